"""Without network: what a volunteer writes in the forest reaches the service once, bytes and all."""

from __future__ import annotations

import hashlib
import io
import random
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import sqlalchemy as sa
from PIL import Image

from api.store.tables import observation_reports, photos
from tests.browser.conftest import PHONE, Browser, sign_in, until

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route


def _picture(folder: Path, number: int) -> Path:
    pixels = np.random.default_rng(number).integers(0, 255, (600, 800, 3)).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=90)
    path = folder / f"photo{number}.jpg"
    path.write_bytes(buffer.getvalue())
    return path


def _kept(browser: Browser) -> tuple[list[Any], list[Any]]:
    store = browser.service.store()
    with store.reading() as connection:
        of_reports = connection.execute(sa.select(observation_reports)).all()
        of_photos = connection.execute(sa.select(photos)).all()
    store.close()
    return list(of_reports), list(of_photos)


def _worker_is_there(page: Page) -> None:
    until(lambda: page.evaluate("() => navigator.serviceWorker.getRegistration().then((one) => !!one?.active)"))
    page.reload()
    until(lambda: page.evaluate("() => navigator.serviceWorker.controller !== null"))


def test_a_report_written_without_network_is_sent_once_when_it_is_back(browser: Browser, tmp_path: Path) -> None:
    page = browser.window(PHONE, "volunteer")
    sign_in(page, "volunteer")
    alert = browser.service.alerts[2].id
    _worker_is_there(page)
    page.goto(f"/alertes/{alert}/fiche")
    page.wait_for_selector("text=Étape 1 sur")
    page.context.set_offline(True)
    page.reload()
    page.wait_for_selector("text=Étape 1 sur")
    assert "Hors ligne" in page.inner_text("header")
    page.get_by_label("Météo").fill("pluie battante")
    page.get_by_role("button", name="Suivant").click()
    page.locator("label", has_text="Oui").first.click()
    page.locator(".steps select").select_option("6")
    pictures = [_picture(tmp_path, number) for number in (1, 2)]
    page.locator('input[data-kind="cut"]').set_input_files([str(picture) for picture in pictures])
    until(lambda: "2 photos" in page.inner_text("main"))
    page.locator(".steps select").select_option("7")
    page.get_by_role("button", name="Envoyer la fiche").click()
    page.wait_for_url("**/fiches**")
    until(lambda: page.locator('.queue li[data-state="waiting"]').count() == 3)
    assert _kept(browser) == ([], [])
    # The phone dies; it is another day, and there is a network.
    browser.close(page)
    page = browser.window(PHONE, "volunteer")
    page.goto("/fiches")
    until(lambda: page.locator('.queue li[data-state="sent"]').count() == 3, 30)
    reports, kept = _kept(browser)
    assert [report.version for report in reports] == [1]
    assert {photo.sha256 for photo in kept} == {hashlib.sha256(p.read_bytes()).hexdigest() for p in pictures}
    page.reload()
    page.wait_for_timeout(500)
    assert len(_kept(browser)[0]) == 1


def test_a_draft_is_there_after_the_tab_was_closed(browser: Browser, tmp_path: Path) -> None:
    page = browser.window(PHONE, "draft")
    sign_in(page, "volunteer")
    address = f"/alertes/{browser.service.alerts[4].id}/fiche"
    page.goto(address)
    page.get_by_label("Remarques").fill("ornières profondes")
    page.wait_for_timeout(600)
    browser.close(page)
    page = browser.window(PHONE, "draft")
    page.goto(address)
    until(lambda: page.get_by_label("Remarques").input_value() == "ornières profondes")


FIFTY = """
async (alert) => {
  const db = await new Promise((resolve, reject) => {
    const request = indexedDB.open("sylvigie");
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  const transaction = db.transaction(["errands"], "readwrite");
  const ids = [];
  for (let i = 0; i < 50; i++) {
    const id = crypto.randomUUID();
    ids.push(id);
    transaction.objectStore("errands").put({
      what: "report", id, alertId: alert, state: "waiting", since: new Date(1.79e12 + i).toISOString(), attempts: 0,
      notBefore: 0, bytes: 100,
      body: {
        alert_id: alert, observed_on: "2026-11-20", answers: { comment: "visite " + i }, outline: null, of_version: null
      },
    });
  }
  await new Promise((resolve) => { transaction.oncomplete = resolve; });
  db.close();
  return ids;
}
"""


def test_of_fifty_reports_over_a_network_that_drops_half_none_is_lost_or_doubled(browser: Browser) -> None:
    page = browser.window(PHONE, "fifty")
    sign_in(page, "volunteer")
    _worker_is_there(page)
    chance, lost = random.Random(5), [0, 0]

    def drop(route: Route) -> None:
        draw = chance.random()
        if draw < 0.25:
            lost[0] += 1
            route.abort()
        elif draw < 0.5:
            # It arrives, and the answer is lost.
            route.fetch()
            lost[1] += 1
            route.abort()
        else:
            route.continue_()

    before = len(_kept(browser)[0])
    ids = page.evaluate(FIFTY, browser.service.alerts[0].id)
    page.route("**/api/v1/reports/*", drop)
    page.goto("/fiches")

    def all_sent() -> bool:
        button = page.get_by_role("button", name="Envoyer maintenant")
        if button.count() and button.is_enabled():
            button.click()
        return page.locator('.queue li[data-state="waiting"]').count() == 0 and page.locator(".queue li").count() >= 50

    until(all_sent, 60)
    reports, _ = _kept(browser)
    assert len(reports) - before == 50
    assert {report.id for report in reports} >= set(ids)
    assert {report.version for report in reports} == {1}
    assert min(lost) > 3
    # What was dropped on purpose is heard as an error; nothing else is.
    browser.faults[:] = [fault for fault in browser.faults if "ERR_FAILED" not in fault]
