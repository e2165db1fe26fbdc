"""Pictures of the guides, made of SIMULATED alerts by the page itself: for people to look at."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from PIL import Image

from tests.browser.conftest import PHONE, Browser, sign_in

GUIDES = Path(__file__).parents[2] / "docs" / "guide"
DESK = (1100, 720)


def test_pictures_of_the_guides(browser: Browser, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    folder = request.config.getoption("--screens") or tmp_path
    alert = browser.service.alerts[-1].id
    shown = {
        "carte": (DESK, "/?at=-0.70,44.115,12", ".list ol > li"),
        "alerte": (DESK, f"/alertes/{alert}", ".pair img"),
        "fiche": (PHONE, f"/alertes/{alert}/fiche", ".steps"),
        "revue": (DESK, "/revue", ".review-shown img"),
    }
    for name, (size, address, there) in shown.items():
        page = browser.window(size, name)
        sign_in(page, "analyst")
        page.goto(address)
        page.wait_for_selector(there)
        page.wait_for_timeout(1500)
        page.screenshot(path=folder / f"{name}.png")
        with Image.open(folder / f"{name}.png") as picture:
            assert picture.size == size
            # Something is to be seen: more than the frame's few colours.
            assert len(picture.convert("RGB").getcolors(1 << 24) or ()) > 100
        browser.close(page)


def test_the_guides_show_pictures_that_there_are() -> None:
    named = {
        name for path in GUIDES.glob("*.md") for name in re.findall(r"\(pictures/([^)]+)\)", path.read_text("utf-8"))
    }
    assert named == {path.name for path in (GUIDES / "pictures").glob("*.png")}


def test_each_guide_is_there_in_both_languages() -> None:
    names = {path.name.split(".")[0] for path in GUIDES.glob("*.md")}
    assert {path.name for path in GUIDES.glob("*.md")} == {f"{name}.{of}.md" for name in names for of in ("fr", "en")}
