"""What a notice says, and what it does not let through."""

from __future__ import annotations

import datetime as dt
import json
import re
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.features import AlertFeature
from api.notices.channels import Letter
from api.notices.digest import Digest, digest_of
from api.notices.mail import message_of
from api.notices.news import MOST_LISTED, News, Share

TOKEN = "t" * 43
ROOT = "https://sylvigie.exemple.fr"
WRITTEN = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)


def _digest(*properties: dict[str, Any], total: int | None = None, departement: str | None = "40") -> Digest:
    features = [
        AlertFeature(f"SYL-{i}", json.dumps({"properties": each}), b"") for i, each in enumerate(properties, start=1)
    ]
    count = len(features) if total is None else total
    share = Share(count, 12.34)
    return digest_of(News(list(range(count)), share, 1, 2, {departement: share}, features), ROOT, TOKEN)


class _Tags(HTMLParser):
    """Tags and addresses of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        assert {name for name, _ in attrs} <= {"href", "lang", "charset"}
        self.links += [value or "" for name, value in attrs if name == "href"]


def test_a_digest_says_it_in_french_and_then_in_english() -> None:
    known = {
        "commune": "L'Haÿ-les-Roses",
        "departement": "94",
        "area_ha": 12.34,
        "last_intact": "2026-09-20",
        "first_low": "2026-10-04",
        "criteria": [{"code": "area", "met": True}, {"code": "slope", "met": None}],
        "potentially_abusive": True,
    }
    undecided = {"criteria": [{"code": "slope", "met": None}, {"code": "area", "met": False}]}
    digest = _digest(known, {"area_ha": 1.0}, undecided, total=25)
    french, english = digest.text.split("-- English --")
    for said in (
        "25 alertes nouvelles, 12,3 ha",
        "- 40 : 25 alertes",
        "12,3 ha, L'Haÿ-les-Roses (94)",
        "coupée entre le 20/09/2026 et le 04/10/2026",
        "critères remplis : area\n",
        "Dont potentiellement abusives, selon les critères de l'association : 1. On ne peut pas le dire de 2.",
        "  potentiellement abusive, selon les critères de l'association",
        "aucun critère rempli à ce que l'on sait ; on ne peut pas juger de : slope",
        "1,0 ha, commune inconnue (inconnu)",
        "critères non évalués",
        "Et 22 autres",
        f"{ROOT}/api/v1/collections/alerts/items/SYL-1",
        f"{ROOT}/api/v1/unsubscribe/{TOKEN}",
    ):
        assert said in french
    for said in ("25 new alerts, 12.3 ha", "cut between 2026-09-20 and 2026-10-04", "commune unknown", "22 others"):
        assert said in english


def test_a_single_alert_and_an_unknown_departement() -> None:
    digest = _digest({"area_ha": 12.34, "criteria": []}, departement=None)
    assert digest.subject == "Sylvigie : 1 alerte nouvelle, 12,3 ha / 1 new alert, 12.3 ha"
    assert "- inconnu : 1 alerte nouvelle" in digest.text
    assert "aucun critère rempli" in digest.text
    assert "autres" not in digest.text


def test_no_form_calls_anything_illegal() -> None:
    digest = _digest({"potentially_abusive": True}, {})
    for form in (digest.subject, digest.text, digest.html, digest.markdown):
        assert not re.search(r"ill[ée]gal|délit", form, flags=re.IGNORECASE)


def test_what_fits_into_a_message_of_mattermost() -> None:
    long = {"commune": "é" * 300, "departement": "40", "criteria": [{"code": "c" * 64, "met": True}] * 50}
    digest = _digest(*[long] * MOST_LISTED, total=MOST_LISTED)
    assert len(digest.markdown) <= 16_000
    listed = digest.markdown.count("/items/") // 2
    assert 0 < listed < MOST_LISTED
    assert f"Et {MOST_LISTED - listed} autres" in digest.markdown


EVIL = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[clic](https://mal.example)",
    "![](https://mal.example/pixel)",
    "https://mal.example/a www.mal.example",
    "@channel @all @here",
    "`code` *gras* _it_ ~~x~~ | a | b |",
    "Sabres\r\nBcc: autre@exemple.fr\r\n\r\n<html>",
    "Sabres\n\n# Titre\n- x",
    "\u202emot\u2066\u200b",
    "\x00\x1b[31m",
]


@pytest.mark.parametrize("evil", EVIL)
@pytest.mark.parametrize("field", ["commune", "departement", "code"])
def test_names_that_would_be_more_than_names(evil: str, field: str) -> None:
    properties = {"criteria": [{"code": evil, "met": True}]} if field == "code" else {field: evil}
    _check_harmless(_digest(properties, departement=evil))


@given(st.text(max_size=60), st.text(max_size=60))
def test_no_name_at_all_is_more_than_a_name(commune: str, code: str) -> None:
    _check_harmless(_digest({"commune": commune, "criteria": [{"code": code, "met": True}]}))


def _check_harmless(digest: Digest) -> None:
    plain = _digest({"commune": "Sabres", "criteria": [{"code": "area", "met": True}]})
    page = _Tags(digest.html)
    assert page.tags == _Tags(plain.html).tags
    assert all(link.startswith(f"{ROOT}/api/v1/") for link in page.links)
    for form in (digest.text, digest.markdown):
        assert len(form.splitlines()) == len((plain.text if form is digest.text else plain.markdown).splitlines())
        assert set(re.findall(r"\w+://[^/\s)]+", form)) == {ROOT}
        assert "www." not in form
        assert "@" not in form
    assert re.findall(r"(?<!\\)[`*_~|<>]", digest.markdown) == []
    assert len(re.findall(r"(?<!\\)\]\(", digest.markdown)) == 4
    assert digest.subject.isascii()
    assert digest.subject.isprintable()


def test_a_message_keeps_its_headers_whole() -> None:
    digest = _digest({"commune": "Sabres\r\nBcc: autre@exemple.fr", "departement": "40"})
    written = bytes(message_of(Letter("garde@exemple.fr", "<a@b.fr>", WRITTEN, digest), "alertes@exemple.fr"))
    head = written.split(b"\r\n\r\n")[0].decode("ascii").split("\r\n")
    assert f"List-Unsubscribe: <{ROOT}/api/v1/unsubscribe/{TOKEN}>" in head
    assert f"Subject: {digest.subject}" in head
    assert "Date: Sun, 01 Nov 2026 00:00:00 +0000" in head
    message = message_from_bytes(written, EmailMessage, policy=default)
    assert "Bcc" not in message
    assert message.get_content_type() == "multipart/alternative"
    assert max(map(len, written.split(b"\r\n"))) <= 998  # RFC 5322, 2.1.1


def test_a_header_with_a_line_end_is_no_header() -> None:
    with pytest.raises(ValueError, match="linefeed"):
        message_of(Letter("garde@exemple.fr\nBcc: x@exemple.fr", "<a@b.fr>", WRITTEN, _digest({})), "a@exemple.fr")


def test_one_click_is_offered_over_https_alone() -> None:
    news = News([1], Share(1, 1.0), 0, 0, {None: Share(1, 1.0)}, [])
    message = message_of(Letter("a@b.fr", "<a@b.fr>", WRITTEN, digest_of(news, "http://x.fr", TOKEN)), "a@exemple.fr")
    assert message["List-Unsubscribe"] == f"<http://x.fr/api/v1/unsubscribe/{TOKEN}>"
    assert "List-Unsubscribe-Post" not in message
