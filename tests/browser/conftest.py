"""The page in a real browser: Debian's chromium, driven by Playwright; what is missing is said, and the tests skip."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from api.routes.page import WEB_FOLDER
from tests.browser.served import PASSWORD, Served, served

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page, Playwright

PHONE, DESK = (390, 844), (1440, 900)
AXE = Path(__file__).parents[2] / "api" / "page" / "node_modules" / "axe-core" / "axe.min.js"
#: The browser says so of everything that the base map, which does not answer here, was asked for.
_UNREACHED = ("127.0.0.1:9/", "ERR_CONNECTION_REFUSED", "ERR_UNSAFE_PORT", "ERR_INTERNET_DISCONNECTED")


def _chromium() -> str:
    for name in ("chromium", "chromium-browser", "google-chrome"):
        path = shutil.which(name)
        if path is not None:
            return path
    pytest.skip("no chromium on this machine: the page is not tried in a browser")


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not (WEB_FOLDER / "index.html").is_file():
        pytest.skip("the page is not built: run `make web`")
    _chromium()
    with api.sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, playwright: Playwright) -> Iterator[Served]:
    """A service whose store holds SIMULATED alerts of the Landes."""
    with served(tmp_path_factory.mktemp("served")) as running:
        yield running


class Browser:
    """Opens windows, each with a profile of its own, and listens for what goes wrong in them."""

    def __init__(self, playwright: Playwright, service: Served, profiles: Path) -> None:
        self._playwright, self.service, self._profiles = playwright, service, profiles
        self.faults: list[str] = []
        self._open: list[BrowserContext] = []

    def window(self, size: tuple[int, int] = DESK, profile: str = "one") -> Page:
        """A window; with the profile of one that was closed, it is the same browser opened again."""
        context = self._playwright.chromium.launch_persistent_context(
            self._profiles / profile,
            executable_path=_chromium(),
            # As root, as in CI, chromium starts without its sandbox alone.
            args=["--no-sandbox"],
            viewport={"width": size[0], "height": size[1]},
            locale="fr-FR",
            base_url=self.service.root,
            permissions=["geolocation"],
            geolocation={"latitude": 44.1, "longitude": -0.7},
        )
        self._open.append(context)
        page = context.pages[0]
        page.on("console", lambda message: self._hear(message.type, message.text, message.location.get("url", "")))
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        return page

    def _hear(self, kind: str, text: str, url: str) -> None:
        if kind == "error" and not any(known in f"{text} {url}" for known in _UNREACHED):
            self.faults.append(f"{text} {url}")

    def close(self, page: Page) -> None:
        """Close a window, and its browser."""
        self._open.remove(page.context)
        page.context.close()

    def close_all(self) -> None:
        """Close what is open still."""
        for context in self._open:
            context.close()


@pytest.fixture
def browser(playwright: Playwright, service: Served, tmp_path: Path) -> Iterator[Browser]:
    """A browser in which nothing may fail unheard: no error in the console, no breach of the policy."""
    opened = Browser(playwright, service, tmp_path)
    yield opened
    opened.close_all()
    assert opened.faults == []


def sign_in(page: Page, role: str) -> None:
    """Sign in by the form."""
    page.goto("/connexion")
    page.get_by_label("Adresse e-mail").first.fill(f"{role}@example.org")
    page.get_by_label("Mot de passe", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Se connecter").click()
    until(lambda: page.locator("header a[href='/compte']").count() == 1)


def until(told: Callable[[], Any], seconds: float = 20.0) -> Any:
    """What something tells once it is true; polled from here, since the page's policy forbids evaluated strings."""
    import time

    deadline = time.monotonic() + seconds
    while not (answer := told()):
        if time.monotonic() > deadline:
            raise AssertionError(f"it was still {answer!r} after {seconds} s")
        time.sleep(0.05)
    return answer
