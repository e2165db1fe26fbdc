"""OpenID Connect: tokens that are good and those that are not, and a sign-in through a live provider."""

from __future__ import annotations

import base64
import hmac
import json
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import sqlalchemy as sa
from joserfc import jwt
from joserfc.jwk import OctKey
from starlette.testclient import TestClient

from api.identity.provider import Provider, ProviderParams
from api.store.database import Database
from api.store.tables import users
from tests.api.provider import KeyedProvider, User, ec_key, keyed_provider, live_provider, okp_key, rsa_key
from tests.api.test_accounts import ON_SQLITE, client_of
from tiles.errors import AccessRefusedError, ProviderError

AUTH = "/api/v1/auth"
# The provider that the tests run is made with what its own library means to give up.
pytestmark = pytest.mark.filterwarnings("ignore:get_(jwt_config|client):DeprecationWarning")
KEY = rsa_key("first")
OTHER = rsa_key("second")


@pytest.fixture
def keyed() -> Iterator[KeyedProvider]:
    with keyed_provider() as provider:
        provider.keys = [KEY]
        yield provider


def _of(keyed: KeyedProvider) -> Provider:
    return Provider(ProviderParams(keyed.issuer, "sylvigie", None, "groups"))


def _unsigned(alg: str, claims: dict[str, Any], signature: str = "") -> str:
    def packed(part: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()

    return f"{packed({'alg': alg, 'kid': 'first'})}.{packed(claims)}.{signature}"


def test_a_good_token_is_taken(keyed: KeyedProvider) -> None:
    provider = _of(keyed)
    assert provider.claims_of(keyed.token(KEY))["sub"] == "zoe"
    assert provider.claims_of(keyed.token(KEY, aud=["x", "sylvigie"]))["sub"] == "zoe"
    assert keyed.asked == ["/.well-known/openid-configuration", "/keys"]


@pytest.mark.parametrize(
    "given",
    [
        {"aud": "another"},
        {"aud": ["another", "more"]},
        {"aud": None},
        {"iss": "http://127.0.0.1/else"},
        {"iss": None},
        {"exp": int(time.time()) - 70},
        {"exp": None},
        {"exp": "soon"},
        {"nbf": int(time.time()) + 600},
        {"iat": int(time.time()) + 600},
        {"sub": None},
        {"sub": ""},
        {"sub": 7},
        {"sub": "x" * 300},
    ],
)
def test_a_token_that_says_something_else_is_refused(keyed: KeyedProvider, given: dict[str, Any]) -> None:
    with pytest.raises(AccessRefusedError, match="not good here"):
        _of(keyed).claims_of(keyed.token(KEY, **given))


def test_clocks_may_differ_by_a_minute(keyed: KeyedProvider) -> None:
    now = int(time.time())
    assert _of(keyed).claims_of(keyed.token(KEY, exp=now - 30, nbf=now + 30, iat=now + 30))


def test_algorithms_without_a_pair_of_keys_are_refused(keyed: KeyedProvider) -> None:
    provider, claims = _of(keyed), keyed.claims()
    made = [_unsigned(alg, claims) for alg in ("none", "None", "NONE", "", "RS256")]
    made += [_unsigned("none", claims, "x"), _unsigned("XS256", claims, "x")]
    # As signed by a secret that is what everybody knows: the public key.
    for alg in ("HS256", "HS512"):
        signed = _unsigned(alg, claims).rstrip(".")
        digest = hmac.digest(KEY.as_pem(private=False), signed.encode(), f"sha{alg[2:]}")
        made.append(f"{signed}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}")
    # As if the provider told a secret among its keys.
    keyed.keys = [KEY, OctKey.generate_key(256, {"kid": "secret"})]
    made += [jwt.encode({"alg": "HS256", "kid": "secret"}, claims, keyed.keys[1])]
    made += ["..", "a.b.c", "x" * 20_000, "é.é.é", keyed.token(KEY)[:-8], _unsigned("RS256", claims, "AAAA")]
    made += [base64.urlsafe_b64encode(b'{"alg":' + b"[" * 3000).decode() + ".e30.AAAA"]
    for token in made:
        with pytest.raises(AccessRefusedError):
            provider.claims_of(token)
    assert provider.claims_of(keyed.token(KEY))


@pytest.mark.parametrize(("key", "alg"), [(ec_key("e"), "ES256"), (okp_key("o"), "Ed25519"), (KEY, "RS512")])
def test_other_pairs_of_keys_are_taken(keyed: KeyedProvider, key: Any, alg: str) -> None:
    keyed.keys = [key]
    assert _of(keyed).claims_of(keyed.token(key, alg))["sub"] == "zoe"


@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")
def test_the_older_name_of_an_algorithm_is_taken(keyed: KeyedProvider) -> None:
    keyed.keys = [okp_key("o")]
    token = jwt.encode({"alg": "EdDSA", "kid": "o"}, keyed.claims(), keyed.keys[0], algorithms=["EdDSA"])
    assert _of(keyed).claims_of(token)["sub"] == "zoe"


def test_keys_that_are_changed_are_fetched_once_a_minute(keyed: KeyedProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = [1000.0]
    monkeypatch.setattr("api.identity.provider.time.monotonic", lambda: now_s[0])
    provider = _of(keyed)
    provider.claims_of(keyed.token(KEY))
    keyed.keys = [OTHER]
    for _ in range(30):
        with pytest.raises(AccessRefusedError):
            provider.claims_of(keyed.token(OTHER))
        now_s[0] += 1.9
    assert keyed.asked.count("/keys") == 1
    now_s[0] += 5
    assert provider.claims_of(keyed.token(OTHER))
    for _ in range(30):
        with pytest.raises(AccessRefusedError):
            provider.claims_of(keyed.token(KEY))
    assert keyed.asked.count("/keys") == 2
    # Without a name, any of the keys may be the one; that asks for none.
    nameless = jwt.encode({"alg": "RS256"}, keyed.claims(), OTHER)
    assert provider.claims_of(nameless)
    keyed.fails = True
    now_s[0] += 4000
    assert provider.claims_of(keyed.token(OTHER))
    assert keyed.asked.count("/keys") == 3


@ON_SQLITE
def test_a_provider_that_fails_is_told_and_not_asked_again_at_once(keyed: KeyedProvider, store: Database) -> None:
    keyed.fails = True
    with client_of(store, oidc_issuer=keyed.issuer, oidc_client_id="sylvigie") as client:
        for _ in range(3):
            answer = client.get(f"{AUTH}/me", headers={"Authorization": f"Bearer {keyed.token(KEY)}"})
            assert (answer.status_code, answer.json()["code"]) == (503, "503")
            assert "provider" in answer.json()["description"]
    assert len(keyed.asked) == 1


def test_a_provider_that_calls_itself_otherwise_is_refused(keyed: KeyedProvider) -> None:
    elsewhere = Provider(ProviderParams(f"{keyed.issuer}/", "sylvigie", None, "groups"))
    with pytest.raises(ProviderError, match="otherwise"):
        elsewhere.endpoint("jwks_uri")


def test_scripts_come_with_the_providers_token(keyed: KeyedProvider, store: Database) -> None:
    with client_of(store, oidc_issuer=keyed.issuer, oidc_client_id="sylvigie") as client:

        def me(**given: Any) -> Any:
            return client.get(f"{AUTH}/me", headers={"Authorization": f"Bearer {keyed.token(KEY, **given)}"})

        assert me().json()["role"] == "volunteer"
        assert me(groups=["sylvigie-analyst", "sylvigie-volunteer"]).json()["role"] == "analyst"
        assert me(groups=["others"]).status_code == 403
        assert me(groups=None).status_code == 403
        assert me(aud="another").status_code == 401
        twin = me(sub="another", groups="sylvigie-volunteer").json()
        assert twin["name"] == "Zoé Kerguélen (2)"
        with store.altering() as connection:
            connection.execute(sa.update(users).values(disabled_at=users.c.created_at))
        assert me().status_code == 403
    with store.reading() as connection:
        assert len(connection.execute(sa.select(users)).all()) == 2


def _through(client: TestClient, provider: str, sub: str) -> httpx.URL:
    """What a browser does: to the provider, signs in there, and is sent back."""
    start = client.get(f"{AUTH}/oidc/start", follow_redirects=False)
    assert start.status_code == 302
    assert start.headers["location"].startswith(f"{provider}/oauth2/authorize?")
    answer = httpx.post(start.headers["location"], data={"sub": sub})
    assert answer.status_code == 302, answer.text
    return httpx.URL(answer.headers["location"])


@pytest.fixture
def live(store: Database) -> Iterator[tuple[TestClient, str, Any]]:
    claims = {"name": "Zoé", "email": "zoe@example.org", "groups": ["sylvigie-analyst"]}
    with (
        live_provider(User(sub="zoe", claims=claims), User(sub="nobody")) as (issuer, gate),
        client_of(store, oidc_issuer=issuer, oidc_client_id="sylvigie", oidc_client_secret="s/e c+r") as client,
    ):
        yield client, issuer, gate


def test_a_person_signs_in_through_a_live_provider(live: tuple[TestClient, str, Any], store: Database) -> None:
    client, issuer, gate = live
    for _ in range(2):
        back = _through(client, issuer, "zoe")
        answer = client.get(str(back), follow_redirects=False)
        assert (answer.status_code, answer.headers["location"]) == (303, "http://testserver/")
        assert "sylvigie_signing_in" not in client.cookies
    me = client.get(f"{AUTH}/me").json()
    assert (me["name"], me["role"]) == ("Zoé", "analyst")
    assert gate.exchanges == [200, 200]
    body, header = {"name": "k"}, {"X-CSRF-Token": me["csrf_token"]}
    assert client.post(f"{AUTH}/keys", json=body).status_code == 403
    assert client.post(f"{AUTH}/keys", json=body, headers=header).status_code == 201
    with store.reading() as connection:
        (row,) = connection.execute(sa.select(users)).all()
    assert (row.email, row.issuer, row.subject, row.password) == ("zoe@example.org", issuer, "zoe", None)
    # A password cannot be made for who has none.
    assert client.post(f"{AUTH}/session", json={"email": row.email, "password": "x"}).status_code == 401


@ON_SQLITE
def test_what_comes_back_otherwise_than_it_went_is_refused(live: tuple[TestClient, str, Any]) -> None:
    client, issuer, gate = live
    back = _through(client, issuer, "zoe")
    asked = {name: values[0] for name, values in parse_qs(urlsplit(str(back)).query).items()}
    kept = client.cookies["sylvigie_signing_in"]
    state, nonce, verifier = kept.split(".")

    def comes(cookie: str | None, **given: str) -> int:
        client.cookies.clear()
        headers = {} if cookie is None else {"Cookie": f"sylvigie_signing_in={cookie}"}
        address = f"{AUTH}/oidc/callback"
        return client.get(address, params=asked | given, headers=headers, follow_redirects=False).status_code

    assert comes(None) == 401
    assert comes(kept, state="x" * 43) == 401
    assert comes(f"{'x' * 43}.{nonce}.{verifier}") == 401
    assert comes(kept, code="") == 401
    assert comes(kept, iss="https://evil.example") == 401
    assert gate.exchanges == []
    assert comes(f"{state}.{nonce}.{'x' * 43}") == 401
    assert gate.exchanges == [400]
    assert comes(kept) == 303
    assert comes(kept) == 401
    # A token that was made for another question.
    back = _through(client, issuer, "zoe")
    state, _, verifier = client.cookies["sylvigie_signing_in"].split(".")
    asked = {name: values[0] for name, values in parse_qs(urlsplit(str(back)).query).items()}
    assert comes(f"{state}.{'x' * 43}.{verifier}") == 401


@ON_SQLITE
def test_who_has_no_group_has_no_account(live: tuple[TestClient, str, Any], store: Database) -> None:
    client, issuer, _ = live
    answer = client.get(str(_through(client, issuer, "nobody")), follow_redirects=False)
    assert answer.status_code == 403
    with store.reading() as connection:
        assert connection.execute(sa.select(users)).all() == []


@ON_SQLITE
def test_without_a_provider_there_is_nothing_to_start(store: Database) -> None:
    with client_of(store) as client:
        assert client.get(f"{AUTH}/oidc/start", follow_redirects=False).status_code == 404
        bearer = {"Authorization": "Bearer a.b.c"}
        assert client.get(f"{AUTH}/me", headers=bearer).status_code == 401
