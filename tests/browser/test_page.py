"""The page as people use it: found, compared, reviewed; read by axe; light."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from api.identity.invitations import Invited, invite
from api.identity.roles import Role
from api.store.tables import reviews
from tests.browser.conftest import AXE, DESK, PHONE, Browser, sign_in, until

if TYPE_CHECKING:
    from playwright.sync_api import Page

MOST_BYTES = 600_000


def _rows(page: Page) -> int:
    return page.locator(".list ol > li").count()


@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_an_alert_is_found_and_its_images_compared(browser: Browser, size: tuple[int, int]) -> None:
    page = browser.window(size)
    sign_in(page, "volunteer")
    if size == PHONE:
        page.get_by_role("button", name="Liste").click()
    until(lambda: _rows(page) == 12)
    page.get_by_role("button", name=re.compile("^Filtres")).click()
    page.get_by_label("Surface d'au moins (ha)").fill("10.5")
    page.get_by_label("Surface d'au moins (ha)").press("Tab")
    until(lambda: _rows(page) == 4)
    assert "min_area_ha=10.5" in page.evaluate("location.href")
    # Filters are there again at the next visit, and in an address that is handed on.
    page.goto("/a-propos")
    page.goto("/")
    until(lambda: "min_area_ha=10.5" in page.evaluate("location.href"))
    if size == PHONE:
        page.get_by_role("button", name="Liste").click()
    until(lambda: _rows(page) == 4)
    page.locator(".list ol > li a").first.click()
    page.wait_for_url("**/alertes/**")
    slider = page.get_by_label("Comparer")
    page.wait_for_selector(".pair img")
    over = page.locator(".pair .over")
    before = over.evaluate("element => getComputedStyle(element).clipPath")
    slider.focus()
    slider.press("ArrowRight")
    assert over.evaluate("element => getComputedStyle(element).clipPath") != before
    until(lambda: page.locator(".pair img").first.evaluate("image => image.naturalWidth") == 512)
    assert "Code forestier, L124-5 : à vérifier" in page.inner_text("article")
    assert "illégal" not in page.inner_text("article")
    until(lambda: page.locator(".chart canvas").count() == 1)


def test_the_map_draws_the_alerts_that_the_list_tells(browser: Browser) -> None:
    page = browser.window(DESK)
    sign_in(page, "analyst")
    until(lambda: _rows(page) == 12)
    first = page.locator(".list ol > li a").first
    first.focus()
    assert page.locator(".list ol > li.pointed").count() == 1
    page.goto("/?at=-0.70,44.12,12")
    until(lambda: page.locator("canvas").count() == 1)
    until(lambda: _rows(page) > 0)

    def drawn() -> bool:
        # What is drawn is no longer the plain ground: outlines are there.
        return len(set(page.locator("canvas").screenshot()[200:])) > 100

    until(drawn)


def test_an_analyst_reviews_by_key(browser: Browser) -> None:
    page = browser.window(DESK)
    sign_in(page, "analyst")
    page.goto("/revue")
    until(lambda: page.locator(".review-shown").count() == 1)
    most_suspect = browser.service.alerts[-1].id
    page.keyboard.press("c")
    until(lambda: "Confirmée" in page.inner_text(".told"))
    page.keyboard.press("r")
    page.keyboard.press("4")
    until(lambda: "Rejetée" in page.inner_text(".told"))
    store = browser.service.store()

    def kept() -> dict[str, tuple[str, str | None]]:
        with store.reading() as connection:
            rows = connection.execute(
                sa.text("SELECT a.id, r.state, r.reason FROM reviews r JOIN alerts a ON a.seq = r.alert_seq")
            )
            return {row[0]: (row[1], row[2]) for row in rows}

    found = until(lambda: kept() if len(kept()) == 2 else None)
    assert found[most_suspect] == ("confirmed", None)
    assert ("rejected", "fire") in found.values()
    page.keyboard.press("z")
    until(lambda: "annulée" in page.inner_text(".told"))
    with store.reading() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(reviews)).scalar_one() == 3
    store.close()


def test_somebody_invited_makes_an_account_and_signs_in(browser: Browser) -> None:
    store = browser.service.store()
    token = invite(store, Invited("nouveau@example.org", Role.VOLUNTEER, ("33",)), "test")
    store.close()
    page = browser.window(PHONE)
    page.goto(f"/invitation#{token}")
    page.get_by_label(re.compile("Votre nom")).fill("Ydris")
    page.get_by_label(re.compile("Mot de passe")).fill("encore un long mot de passe")
    # The link is no longer in the address, where somebody might read it.
    assert token not in page.evaluate("location.href")
    page.get_by_role("button", name="Créer le compte").click()
    until(lambda: "Le compte est fait" in page.inner_text("main"))
    page.locator("main").get_by_role("link", name="Se connecter").click()
    page.get_by_label("Adresse e-mail").first.fill("nouveau@example.org")
    page.get_by_label("Mot de passe", exact=True).fill("encore un long mot de passe")
    page.get_by_role("button", name="Se connecter").click()
    until(lambda: "Ydris" in page.inner_text("header"))


def test_the_other_language_is_a_switch_away_and_stays(browser: Browser) -> None:
    page = browser.window(DESK)
    page.goto("/a-propos")
    until(lambda: "Ce qu'une alerte ne dit pas" in page.inner_text("main"))
    page.get_by_role("button", name="English").click()
    until(lambda: "What an alert does not say" in page.inner_text("main"))
    page.reload()
    until(lambda: "What an alert does not say" in page.inner_text("main"))
    assert page.locator("html").get_attribute("lang") == "en"


@pytest.mark.parametrize(
    ("role", "rooms"),
    [
        ("volunteer", ["/", "/alertes/{id}", "/alertes/{id}/fiche", "/fiches", "/terrain", "/compte"]),
        ("administrator", ["/revue", "/administration", "/administration?onglet=rules", "/administration?onglet=runs"]),
        (None, ["/connexion", "/a-propos", "/guide/benevole"]),
    ],
)
def test_axe_finds_no_serious_fault(browser: Browser, role: str | None, rooms: list[str]) -> None:
    if not AXE.is_file():
        pytest.skip("axe-core is not installed: run `make web`")
    page = browser.window(PHONE)
    if role is not None:
        sign_in(page, role)
    serious = []
    for room in rooms:
        page.goto(room.format(id=browser.service.alerts[0].id))
        until(lambda: page.locator("main h1, main h2").count() > 0)
        page.wait_for_timeout(700)
        page.evaluate(AXE.read_text(encoding="utf-8"))
        found = page.evaluate("async () => (await axe.run(document)).violations")
        serious += [
            (room, one["id"], [node["html"][:120] for node in one["nodes"]][:3])
            for one in found
            if one["impact"] in ("serious", "critical")
        ]
    assert serious == []


def test_the_first_load_of_the_map_is_light(browser: Browser) -> None:
    page = browser.window(PHONE)
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    taken: dict[str, float] = {}
    session.on("Network.loadingFinished", lambda told: taken.update({told["requestId"]: told["encodedDataLength"]}))
    page.goto("/")
    until(lambda: page.locator("canvas").count() == 1)
    page.wait_for_timeout(1500)
    # Beside what the page asks for: the map's worker, which asks for itself.
    worker = max((path.stat().st_size for path in _assets("maplibre-gl-worker-*")), default=0)
    assert worker > 0
    assert 300_000 < sum(taken.values()) < MOST_BYTES


def _assets(pattern: str) -> list[Path]:
    from api.routes.page import WEB_FOLDER

    return list((WEB_FOLDER / "assets").glob(pattern))
