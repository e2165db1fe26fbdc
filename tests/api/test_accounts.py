"""Accounts over HTTP: invitations, sessions, keys, new passwords, what is kept of a person and erased."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from argon2 import PasswordHasher
from pydantic import SecretStr
from starlette.testclient import TestClient

from api.identity import passwords
from api.identity.accounts import disable_person
from api.identity.invitations import Invited, accept_invitation, accept_reset, invite, make_reset
from api.identity.retention import forget_old
from api.identity.roles import Role
from api.main import create_app
from api.settings import Settings
from api.store.database import Database
from api.store.ingesting import ingest
from api.store.reading import state_of
from api.store.tables import audit_log, invitations, metadata, sessions, tokens, users
from tests.api.alerts import found_alert, scan_files
from tests.api.notices.servers import smtp_server
from tiles.errors import InvalidParameterError

AUTH, USERS = "/api/v1/auth", "/api/v1/users"
PASSWORD, EMAIL, NAME = "forêt de Tronçais 1669", "zoe@example.org", "Zoé Kerguélen"
PAGE = "http://testserver"


ON_SQLITE = pytest.mark.parametrize("store", ["sqlite"], indirect=True)
"""What does not depend on the engine."""


@pytest.fixture(autouse=True)
def light_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """The least that Argon2 takes: what is tested is not how slow it is."""
    monkeypatch.setattr(passwords, "_HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    passwords._nobodys.cache_clear()


def account(store: Database, email: str = EMAIL, role: Role = Role.ADMINISTRATOR, name: str = NAME, *of: str) -> int:
    """An account, by an invitation."""
    token = invite(store, Invited(email, role, of), "command")
    return accept_invitation(store, token, name, PASSWORD).seq


def client_of(store: Database, **given: Any) -> TestClient:
    url = SecretStr(store.url.render_as_string(hide_password=False))
    return TestClient(create_app(Settings(database_url=url, **given)), raise_server_exceptions=False)


def sign_in(client: TestClient, email: str = EMAIL, password: str = PASSWORD) -> dict[str, str]:
    """Signs a browser in; gives the header of what it sends."""
    answer = client.post(f"{AUTH}/session", json={"email": email, "password": password})
    assert answer.status_code == 200, answer.text
    return {"X-CSRF-Token": answer.json()["csrf_token"]}


@pytest.fixture
def client(store: Database) -> Iterator[TestClient]:
    with client_of(store) as client:
        yield client


def test_without_accounts_all_is_open_and_from_the_first_on_it_is_not(client: TestClient, store: Database) -> None:
    ingest(store, scan_files([found_alert(1)]), data_dir=Path("data"))
    items = "/api/v1/collections/alerts/items"
    assert len(client.get(items).json()["features"]) == 1
    account(store)
    assert state_of(store).accounts
    assert client.get(items).json()["features"] == []
    sign_in(client)
    assert len(client.get(items).json()["features"]) == 1


def test_a_session_is_begun_used_and_ended(client: TestClient, store: Database) -> None:
    account(store, EMAIL, Role.VOLUNTEER, NAME, "40", "33")
    assert client.get(f"{AUTH}/me").json()["role"] == "public"
    answer = client.post(f"{AUTH}/session", json={"email": f" {EMAIL.upper()}", "password": PASSWORD})
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert "secure" not in cookie
    assert answer.headers["cache-control"] == "no-store"
    me = client.get(f"{AUTH}/me").json()
    assert (me["name"], me["role"], me["departements"]) == (NAME, "volunteer", ["33", "40"])
    assert me["csrf_token"] == answer.json()["csrf_token"]
    kept = client.cookies["sylvigie_session"]
    with store.reading() as connection:
        assert kept not in str(connection.execute(sa.select(sessions)).all())
    assert client.delete(f"{AUTH}/session", headers={"X-CSRF-Token": me["csrf_token"]}).status_code == 204
    assert "sylvigie_session" not in client.cookies
    client.cookies.set("sylvigie_session", kept)
    assert client.get(f"{AUTH}/me").json()["role"] == "public"
    assert client.get(f"{AUTH}/keys").status_code == 401


@ON_SQLITE
def test_under_https_no_other_host_lays_the_cookie(store: Database) -> None:
    account(store)
    with client_of(store, public_url="https://alertes.example") as client:
        answer = client.post(f"{AUTH}/session", json={"email": EMAIL, "password": PASSWORD})
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-sylvigie_session=")
    assert {"Secure", "Path=/", "HttpOnly"} <= set(cookie.split("; "))
    assert "Domain" not in cookie


@ON_SQLITE
def test_a_cookie_without_its_header_does_nothing(client: TestClient, store: Database) -> None:
    account(store)
    header = sign_in(client)
    other = sign_in(client_of(store).__enter__())
    body = {"name": "qgis"}
    for headers in (
        {},
        {"X-CSRF-Token": "0" * 64},
        {"X-CSRF-Token": "é"},
        other,
        header | {"Origin": "https://evil.example"},
        header | {"Origin": "null"},
        header | {"Sec-Fetch-Site": "cross-site"},
        header | {"Sec-Fetch-Site": "same-site"},
    ):
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        assert client.post(f"{AUTH}/keys", json=body, headers=raw).status_code == 403, headers
        assert client.delete(f"{AUTH}/session", headers=raw).status_code == 403
    good = header | {"Origin": PAGE, "Sec-Fetch-Site": "same-origin"}
    assert client.post(f"{AUTH}/keys", json=body, headers=good).status_code == 201


@ON_SQLITE
def test_another_sites_page_signs_nobody_in(client: TestClient, store: Database) -> None:
    account(store)
    body, evil = {"email": EMAIL, "password": PASSWORD}, {"Origin": "https://evil.example"}
    assert client.post(f"{AUTH}/session", json=body, headers=evil).status_code == 403
    assert client.post(f"{AUTH}/session", json=body, headers={"Origin": PAGE}).status_code == 200


@ON_SQLITE
def test_a_cookie_that_was_laid_before_becomes_no_session(client: TestClient, store: Database) -> None:
    account(store)
    laid = {"Cookie": f"sylvigie_session={'x' * 43}"}
    answer = client.post(f"{AUTH}/session", json={"email": EMAIL, "password": PASSWORD}, headers=laid)
    assert answer.status_code == 200
    assert "x" * 43 not in answer.headers["set-cookie"]
    client.cookies.clear()
    assert client.get(f"{AUTH}/me", headers=laid).json()["role"] == "public"


def test_signing_in_again_ends_the_session_before(client: TestClient, store: Database) -> None:
    account(store)
    sign_in(client)
    before = {"Cookie": f"sylvigie_session={client.cookies['sylvigie_session']}"}
    sign_in(client)
    client.cookies.clear()
    assert client.get(f"{AUTH}/me", headers=before).json()["role"] == "public"


@pytest.mark.parametrize(("column", "back"), [("used_at", dt.timedelta(hours=12)), ("expires_at", dt.timedelta(14))])
def test_a_session_ends_by_itself(client: TestClient, store: Database, column: str, back: dt.timedelta) -> None:
    account(store)
    sign_in(client)
    with store.reading() as connection:
        begun = connection.execute(sa.select(sessions.c[column])).scalar_one()
    for by, role in ((back - dt.timedelta(minutes=1), "administrator"), (back, "public")):
        with store.altering() as connection:
            connection.execute(sa.update(sessions).values({column: begun - by}))
        assert client.get(f"{AUTH}/me").json()["role"] == role


@ON_SQLITE
def test_wrong_passwords_are_told_alike_and_not_for_long(client: TestClient, store: Database) -> None:
    account(store)
    wrong = [(EMAIL, "x" * 12), ("nobody@example.org", PASSWORD), ("no e-mail", "x")]
    answers = [client.post(f"{AUTH}/session", json={"email": e, "password": p}) for e, p in wrong]
    assert {(answer.status_code, answer.text) for answer in answers} == {(401, answers[0].text)}
    assert PASSWORD not in answers[0].text
    tried = [client.post(f"{AUTH}/session", json={"email": EMAIL, "password": "x"}).status_code for _ in range(10)]
    assert tried == [401] * 9 + [429]
    late = client.post(f"{AUTH}/session", json={"email": EMAIL, "password": PASSWORD})
    assert late.status_code == 429
    assert 1 <= int(late.headers["Retry-After"]) <= 900
    others = [client.post(f"{AUTH}/session", json={"email": f"{i}", "password": "x"}).status_code for i in range(40)]
    assert others[0] == 401
    assert others[-1] == 429


@ON_SQLITE
def test_a_good_sign_in_forgets_the_tries_before(client: TestClient, store: Database) -> None:
    account(store)
    for _ in range(2):
        for _ in range(9):
            client.post(f"{AUTH}/session", json={"email": EMAIL, "password": "x"})
        sign_in(client)


def test_an_invitation_is_good_once_and_for_a_week(client: TestClient, store: Database) -> None:
    account(store)
    header = sign_in(client)
    asked = {"email": "Ydris@Example.org", "role": "volunteer", "departements": ["2A"]}
    link = client.post(f"{AUTH}/invitations", json=asked, headers=header).json()["link"]
    address, _, token = link.partition("#")
    assert address == f"{PAGE}/invitation"
    with store.reading() as connection:
        assert token not in str(connection.execute(sa.select(invitations)).all())
    with client_of(store) as guest:
        body = {"token": token, "name": "Ydris", "password": PASSWORD}
        for wrong in (
            {"token": "x" * 43},
            {"password": "short"},
            {"password": "x" * 201},
            {"name": NAME},
            {"name": "\x00"},
        ):
            status = guest.post(f"{AUTH}/invitations/accept", json=body | wrong).status_code
            assert status in (400, 401, 409), wrong
        assert guest.post(f"{AUTH}/resets/accept", json={"token": token, "password": PASSWORD}).status_code == 401
        assert guest.post(f"{AUTH}/invitations/accept", json=body).status_code == 201
        assert guest.post(f"{AUTH}/invitations/accept", json=body | {"name": "Other"}).status_code == 401
        sign_in(guest, "ydris@example.org")
        assert guest.get(f"{AUTH}/me").json()["departements"] == ["2A"]
        assert guest.post(f"{AUTH}/invitations", json=asked, headers=header).status_code == 403
    assert client.post(f"{AUTH}/invitations", json=asked, headers=header).status_code == 409
    late = invite(store, Invited("late@example.org", Role.ANALYST), "command")
    with store.altering() as connection:
        connection.execute(sa.update(invitations).values(expires_at=dt.datetime.now(dt.UTC)))
    body = {"token": late, "name": "Late", "password": PASSWORD}
    assert client.post(f"{AUTH}/invitations/accept", json=body).status_code == 401


@ON_SQLITE
@pytest.mark.parametrize(
    "wrong", [{"email": "x"}, {"role": "public"}, {"role": "king"}, {"departements": ["1"]}, {"more": 1}]
)
def test_invitations_that_will_not_do(client: TestClient, store: Database, wrong: dict[str, Any]) -> None:
    account(store)
    body = {"email": "a@b.fr", "role": "volunteer", "departements": []} | wrong
    assert client.post(f"{AUTH}/invitations", json=body, headers=sign_in(client)).status_code == 400


def test_a_new_password_ends_what_the_old_one_opened(store: Database) -> None:
    account(store)
    sent: list[tuple[str, str]] = []
    with client_of(store, public_url=PAGE) as client:
        sign_in(client)
        client.app.state.service.deliver = lambda email, link: sent.append((email, link))  # type: ignore[attr-defined]
        forged = {"Host": "evil.example"}
        told = [client.post(f"{AUTH}/resets", json={"email": e}, headers=forged) for e in (EMAIL, "no@example.org")]
        assert {(each.status_code, each.text) for each in told} == {(202, told[0].text)}
        ((email, link),) = sent
        assert email == EMAIL
        assert link.startswith(f"{PAGE}/reset#")
        body = {"token": link.partition("#")[2], "password": "un autre mot de passe"}
        assert client.post(f"{AUTH}/resets/accept", json=body | {"password": "short"}).status_code == 400
        assert client.post(f"{AUTH}/resets/accept", json=body).status_code == 200
        assert client.post(f"{AUTH}/resets/accept", json=body).status_code == 401
        assert client.get(f"{AUTH}/me").json()["role"] == "public"
        refused = client.post(f"{AUTH}/session", json={"email": EMAIL, "password": PASSWORD})
        assert refused.status_code == 401
        sign_in(client, password=body["password"])
        old = make_reset(store, EMAIL, "command")
        assert make_reset(store, EMAIL, "command") is not None
        assert client.post(f"{AUTH}/resets/accept", json=body | {"token": old}).status_code == 401


@ON_SQLITE
def test_without_an_address_of_its_own_the_service_sends_no_link(client: TestClient, store: Database) -> None:
    account(store)
    client.app.state.service.deliver = lambda *_: pytest.fail("it was sent")  # type: ignore[attr-defined]
    answer = client.post(f"{AUTH}/resets", json={"email": EMAIL}, headers={"Host": "evil.example"})
    assert answer.status_code == 202
    with store.reading() as connection:
        assert not [row for row in connection.execute(sa.select(invitations)) if row.used_at is None]


@ON_SQLITE
def test_links_that_are_made_up_are_not_worked_at_for_long(client: TestClient) -> None:
    tried = [
        client.post(f"{AUTH}/resets/accept", json={"token": f"{i:043d}", "password": "x" * 12}).status_code
        for i in range(52)
    ]
    assert tried == [401] * 50 + [429] * 2


@ON_SQLITE
def test_passwords_are_kept_anew_when_parameters_rise(
    client: TestClient, store: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    account(store)
    monkeypatch.setattr(passwords, "_HASHER", PasswordHasher(time_cost=2, memory_cost=8, parallelism=1))
    for _ in range(2):
        sign_in(client)
        with store.reading() as connection:
            assert ",t=2,p=1$" in connection.execute(sa.select(users.c.password)).scalar_one()


def test_a_key_has_fewer_rights_than_its_owner_and_ends(client: TestClient, store: Database) -> None:
    account(store)
    account(store, "ana@example.org", Role.ANALYST, "Ana")
    header = sign_in(client, "ana@example.org")
    made = client.post(f"{AUTH}/keys", json={"name": "qgis", "rights": ["report"]}, headers=header).json()
    assert made["key"].startswith("sylk_")
    bearer = {"Authorization": f"Bearer {made['key']}"}
    with client_of(store) as script:
        told = script.get(f"{AUTH}/me", headers=bearer).json()
        assert (told["role"], told["rights"]) == ("analyst", ["operate", "read", "report", "unsubscribe"])
        assert script.get(USERS, headers=bearer).status_code == 403
        assert script.get(f"{AUTH}/keys", headers=bearer).status_code == 403
        assert script.get(f"{AUTH}/me", headers={"Authorization": f"Bearer {made['key']}x"}).status_code == 401
    assert client.post(f"{AUTH}/keys", json={"name": "a", "rights": ["manage"]}, headers=header).status_code == 403
    assert client.post(f"{AUTH}/keys", json={"name": "qgis"}, headers=header).status_code == 409
    assert [each["name"] for each in client.get(f"{AUTH}/keys").json()["keys"]] == ["qgis"]
    with client_of(store) as other:
        theirs = sign_in(other)
        assert other.delete(f"{AUTH}/keys/{made['id']}", headers=theirs).status_code == 404
    assert client.delete(f"{AUTH}/keys/{made['id']}", headers=header).status_code == 204
    client.cookies.clear()
    assert client.get(f"{AUTH}/me", headers=bearer).status_code == 401


def test_who_is_disabled_is_out_at_once(client: TestClient, store: Database) -> None:
    account(store)
    seq = account(store, "ana@example.org", Role.ANALYST, "Ana")
    with client_of(store) as ana:
        key = ana.post(f"{AUTH}/keys", json={"name": "k"}, headers=sign_in(ana, "ana@example.org")).json()["key"]
        header = sign_in(client)
        assert client.patch(f"{USERS}/{seq}", json={"role": "volunteer"}, headers=header).json()["role"] == "volunteer"
        assert ana.get(f"{AUTH}/me").json()["role"] == "volunteer"
        assert client.post(f"{USERS}/{seq}/disable", headers=header).status_code == 204
        assert ana.get(f"{AUTH}/me").json()["role"] == "public"
        assert ana.get(f"{AUTH}/me", headers={"Authorization": f"Bearer {key}"}).status_code == 401
        body = {"email": "ana@example.org", "password": PASSWORD}
        assert ana.post(f"{AUTH}/session", json=body).status_code == 401
    assert make_reset(store, "ana@example.org", "command") is None


@ON_SQLITE
def test_the_last_administrator_stays(client: TestClient, store: Database) -> None:
    seq = account(store)
    header = sign_in(client)
    for way, body in (("patch", {"role": "analyst"}), ("disable", None), ("erase", None)):
        if body is not None:
            status = client.patch(f"{USERS}/{seq}", json=body, headers=header).status_code
        else:
            status = client.post(f"{USERS}/{seq}/{way}", headers=header).status_code
        assert status == 409
    assert client.get(USERS).json()["people"][0]["role"] == "administrator"


def test_all_that_is_kept_of_a_person_is_given_out_and_erased(
    client: TestClient, store: Database, capfd: pytest.CaptureFixture[str]
) -> None:
    account(store, "admin@example.org", name="Admin")
    seq = account(store)
    with client_of(store) as zoe:
        zoe.post(f"{AUTH}/keys", json={"name": "chez Kerguélen"}, headers=sign_in(zoe))
        header = sign_in(client, "admin@example.org")
        data = client.get(f"{USERS}/{seq}/data").json()["data"]
        assert data["users"][0]["email"] == EMAIL
        assert len(data["sessions"]) == len(data["tokens"]) == 1
        assert {"sign in", "make key"} <= {line["action"] for line in data["audit_log"]}
        assert not {"password", "digest"} & set(data["users"][0] | data["sessions"][0])
        assert client.post(f"{USERS}/{seq}/erase", headers=header).status_code == 204
        assert zoe.get(f"{AUTH}/me").json()["role"] == "public"
    with store.reading() as connection:
        kept = {table.name: str(connection.execute(sa.select(table)).all()) for table in metadata.sorted_tables}
        actions = connection.execute(sa.select(audit_log.c.action)).scalars().all()
        assert connection.execute(sa.select(tokens.c.revoked_at)).scalar_one() is not None
    assert not [name for name, text in kept.items() if "Zoé" in text or EMAIL in text or "Kerguélen" in text]
    assert {"read person's data", "erase person"} <= set(actions)
    assert "user:" in kept["audit_log"]
    log = "".join(capfd.readouterr())
    assert "/api/v1/users/{user_id}/erase" in log
    assert not [each for each in ("Zoé", EMAIL, PASSWORD) if each in log]


@ON_SQLITE
def test_names_are_in_no_line_of_the_audit_log(client: TestClient, store: Database) -> None:
    account(store)
    header = sign_in(client)
    client.post(f"{AUTH}/invitations", json={"email": "xeno@example.org", "role": "analyst"}, headers=header)
    client.get(USERS)
    with store.reading() as connection:
        text = json.dumps([list(map(str, row)) for row in connection.execute(sa.select(audit_log))])
    assert "list people" in text
    assert not [each for each in (NAME, EMAIL, "xeno") if each in text]


def test_a_password_is_neither_short_nor_endless() -> None:
    for wrong in ("", "x" * 11, "x" * 201):
        with pytest.raises(InvalidParameterError, match="12 to 200"):
            passwords.hash_password(wrong)
    assert passwords.password_fits(passwords.hash_password("x" * 200), "x" * 200)
    assert not passwords.password_fits(None, "a password that nobody has")


def test_links_for_new_passwords_go_by_mail(store: Database) -> None:
    account(store, "ana@example.org", Role.ANALYST, "Ana")
    with smtp_server() as mailbox:
        mail = {"smtp_url": SecretStr(mailbox.url), "mail_from": "vigie@example.org"}
        with client_of(store, public_url="https://sylvigie.example.org", **mail) as client:
            for email in ("ana@example.org", "nobody@example.org"):
                assert client.post(f"{AUTH}/resets", json={"email": email}).status_code == 202
    assert mailbox.recipients == ["ana@example.org"]
    text = mailbox.messages[0].get_content()
    token = re.search(r"https://sylvigie\.example\.org/reset#(\S+)", text)
    assert token is not None
    assert accept_reset(store, token[1], "un autre mot de passe").email == "ana@example.org"


def test_what_is_old_is_forgotten(store: Database) -> None:
    account(store)
    seq = account(store, "ana@example.org", Role.ANALYST, "Ana")
    disable_person(store, seq, "command")
    now = dt.datetime.now(dt.UTC)
    assert forget_old(store, 30, now)["accounts"] == 0
    forgotten = forget_old(store, 30, now + dt.timedelta(days=31))
    assert forgotten["accounts"] == 1
    assert forgotten["audit_log"] > 0
    with store.reading() as connection:
        rows = connection.execute(sa.select(users.c.name, users.c.email, users.c.erased_at).order_by(users.c.seq)).all()
    assert (rows[0].name, rows[0].erased_at) == (NAME, None)
    assert rows[1].name != "Ana"
    assert rows[1].email is None
    assert forget_old(store, 30, now + dt.timedelta(days=31))["accounts"] == 0


def test_a_service_that_had_accounts_does_not_open_again(store: Database) -> None:
    seq = account(store, role=Role.ANALYST)
    disable_person(store, seq, "command")
    assert state_of(store).accounts


def test_administrators_read_who_did_what(client: TestClient, store: Database) -> None:
    account(store)
    header = sign_in(client)
    lines = client.get(f"{USERS}/audit/log", headers=header).json()
    assert len(lines) >= 2
    assert NAME not in json.dumps(lines, ensure_ascii=False)
    older = client.get(f"{USERS}/audit/log?before={lines[-1]['seq']}", headers=header).json()
    assert older == []
