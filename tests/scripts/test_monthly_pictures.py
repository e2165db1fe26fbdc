"""Pictures in the monthly run, over real files: made once, made again when the alert changes, found by the service."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import rasterio
from numpy.typing import NDArray
from PIL import Image
from pydantic import SecretStr
from starlette.testclient import TestClient

from api.main import create_app
from api.settings import Settings
from api.store.database import Database, database_url
from api.store.reviews import Author, Decision, review
from api.store.teaching import lessons_of
from detector.alert_pictures import PICTURED_FILE
from detector.alerts import ReviewState
from detector.chips import CHIPS_FOLDER
from scripts import cli
from scripts.exit_codes import ExitCode
from tests.fakes.archive import DAYS, FOREST, add_colours, cut_short, folder_of, item_id

TILE = "31TDK"


@pytest.fixture
def archive(small_archive: Path) -> Path:
    add_colours(small_archive)
    return small_archive


def _monthly(monkeypatch: pytest.MonkeyPatch, archive: Path, data: Path, month: str = "2019-07") -> int:
    words = ["monthly", "--month", month, "--tiles", TILE, "--catalog", str(archive), "--data-dir", str(data)]
    monkeypatch.setattr("sys.argv", ["sylvigie", *words])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert isinstance(ended.value.code, int)
    return ended.value.code


def _record(data: Path, month: str = "2019-07") -> Any:
    return json.loads((data / "months" / month / "run.json").read_text())


def _pictures(data: Path) -> dict[str, bytes]:
    folder = data / CHIPS_FOLDER
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _ndvi(data: Path, moment: str) -> NDArray[np.int64]:
    (path,) = (data / CHIPS_FOLDER).glob(f"*/{moment}.tif")
    with rasterio.open(path) as chip:
        assert chip.count == 4
        return np.asarray(chip.read(4), np.int64)


def test_an_alert_of_the_monthly_run_has_pictures_that_the_service_gives(
    monkeypatch: pytest.MonkeyPatch, archive: Path, tmp_path: Path
) -> None:
    assert _monthly(monkeypatch, archive, tmp_path) == ExitCode.DONE
    made = _record(tmp_path)["pictures"]
    assert (made["made"], made["unchanged"], made["without"], made["unread"]) == (1, 0, 0, {})
    assert made["bytes_read"] > 0
    (alert,) = {path.name for path in (tmp_path / CHIPS_FOLDER).iterdir()}
    lost = _ndvi(tmp_path, "before") - _ndvi(tmp_path, "after") > 50
    assert np.count_nonzero(lost) == np.count_nonzero(FOREST.mask())
    settings = Settings(data_dir=tmp_path, database_url=SecretStr(f"sqlite:///{tmp_path}/sylvigie.sqlite"))
    with TestClient(create_app(settings)) as client:
        greenness = {}
        for moment in ("before", "after"):
            answer = client.get(f"/api/v1/alerts/{alert}/chips/{moment}.png?size=200")
            assert answer.status_code == 200
            assert max(Image.open(io.BytesIO(answer.content)).size) == 200
            # As large as the chip, so that pixel lies on pixel.
            shown = f"kind=ndvi&outline=false&size={max(lost.shape)}"
            answer = client.get(f"/api/v1/alerts/{alert}/chips/{moment}.png?{shown}")
            pixels = np.asarray(Image.open(io.BytesIO(answer.content)).convert("RGB"), np.int64)
            assert pixels.shape[:2] == lost.shape
            greenness[moment] = pixels[..., 1] - pixels[..., 0]
        # Less NDVI is less green: where it was lost, and nowhere else.
        assert (greenness["after"][lost] < greenness["before"][lost]).all()
        assert np.abs(greenness["after"] - greenness["before"])[~lost].max() < 30
        dates = client.get(f"/api/v1/alerts/{alert}/series").json()["dates"]
    before = [date["ndvi"] for date in dates if date["day"] < FOREST.felled_on.isoformat() and date["ndvi"] is not None]
    after = [date["ndvi"] for date in dates if date["day"] > FOREST.felled_on.isoformat() and date["ndvi"] is not None]
    assert min(before) > max(after)


def test_a_picture_that_is_made_again_is_shown_to_who_saw_the_old_one(
    monkeypatch: pytest.MonkeyPatch, archive: Path, tmp_path: Path
) -> None:
    assert _monthly(monkeypatch, archive, tmp_path) == ExitCode.DONE
    (folder,) = (tmp_path / CHIPS_FOLDER).iterdir()
    settings = Settings(data_dir=tmp_path, database_url=SecretStr(f"sqlite:///{tmp_path}/sylvigie.sqlite"))
    with TestClient(create_app(settings)) as client:
        for name, file in (("chips/after.png", "after.tif"), ("series", "series.parquet")):
            address = f"/api/v1/alerts/{folder.name}/{name}"
            tag = client.get(address).headers["ETag"]
            assert client.get(address, headers={"If-None-Match": tag}).status_code == 304
            # The store says the same of the alert as before: only the file is another.
            shutil.copyfile(folder / file, tmp_path / "again")
            (tmp_path / "again").replace(folder / file)
            assert client.get(address, headers={"If-None-Match": tag}).status_code == 200


def test_what_is_pictured_is_left_alone_until_it_changes(
    monkeypatch: pytest.MonkeyPatch, archive: Path, tmp_path: Path
) -> None:
    assert _monthly(monkeypatch, archive, tmp_path, "2019-06") == ExitCode.DONE
    first = _pictures(tmp_path)
    assert _monthly(monkeypatch, archive, tmp_path, "2019-06") == ExitCode.DONE
    again = _record(tmp_path, "2019-06")["pictures"]
    assert (again["made"], again["unchanged"], again["bytes_read"]) == (0, 1, 0)
    assert _pictures(tmp_path) == first
    # Of another outline, say: in July the series goes on.
    (said,) = (tmp_path / CHIPS_FOLDER).glob(f"*/{PICTURED_FILE}")
    said.write_text('{"schema": 1, "of": "another"}')
    assert _monthly(monkeypatch, archive, tmp_path, "2019-07") == ExitCode.DONE
    assert _record(tmp_path)["pictures"]["made"] == 1
    then = _pictures(tmp_path)
    assert then.keys() == first.keys()
    (series,) = (name for name in then if name.endswith(".parquet"))
    assert then[series] != first[series]


def test_what_was_lost_is_made_again_the_same(monkeypatch: pytest.MonkeyPatch, archive: Path, tmp_path: Path) -> None:
    assert _monthly(monkeypatch, archive, tmp_path) == ExitCode.DONE
    first = _pictures(tmp_path)
    (folder,) = (tmp_path / CHIPS_FOLDER).iterdir()
    shutil.rmtree(folder)
    # What a run that was killed left behind goes too.
    (tmp_path / CHIPS_FOLDER / ".partial-pictures-x").mkdir()
    assert _monthly(monkeypatch, archive, tmp_path) == ExitCode.DONE
    assert _pictures(tmp_path) == first
    assert [path.name for path in (tmp_path / CHIPS_FOLDER).iterdir()] == [folder.name]


def test_an_image_that_cannot_be_read_is_named_and_tried_again(
    monkeypatch: pytest.MonkeyPatch, archive: Path, tmp_path: Path
) -> None:
    day = max(day for day in DAYS if day < FOREST.felled_on)
    broken = folder_of(archive, day) / "B03.tif"
    if not broken.exists():
        broken = next(folder_of(archive, day).glob("*green*"), broken)
    whole = broken.read_bytes()
    cut_short(broken)
    assert _monthly(monkeypatch, archive, tmp_path) == ExitCode.DONE
    made = _record(tmp_path)["pictures"]
    assert list(made["unread"]) == [item_id(day)]
    broken.write_bytes(whole)
    assert _monthly(monkeypatch, archive, tmp_path) == ExitCode.DONE
    made = _record(tmp_path)["pictures"]
    assert (made["made"], made["unread"]) == (1, {})


def test_pictures_that_fail_do_not_fail_the_month(
    monkeypatch: pytest.MonkeyPatch, archive: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / CHIPS_FOLDER).write_text("a file in its place")
    assert _monthly(monkeypatch, archive, tmp_path) == ExitCode.DONE
    record = _record(tmp_path)
    assert record["pictures"] is None
    assert "Cannot write pictures" in record["pictures_error"]
    assert record["stored"]
    out, err = capfd.readouterr()
    assert "no pictures: " in out
    assert "pictures_failed" in err


def test_pictures_can_be_left_out(monkeypatch: pytest.MonkeyPatch, archive: Path, tmp_path: Path) -> None:
    monkeypatch.setenv("SYLVIGIE_CHIPS", "false")
    assert _monthly(monkeypatch, archive, tmp_path) == ExitCode.DONE
    assert _record(tmp_path)["pictures"] is None
    assert not (tmp_path / CHIPS_FOLDER).exists()


def test_what_was_measured_of_an_alert_goes_into_the_store_for_the_model(
    monkeypatch: pytest.MonkeyPatch, archive: Path, tmp_path: Path
) -> None:
    assert _monthly(monkeypatch, archive, tmp_path) == ExitCode.DONE
    published = json.loads((tmp_path / "months" / "2019-07" / "alerts.geojson").read_text())["features"]
    measured = pd.read_parquet(tmp_path / "months" / "2019-07" / "features.parquet")
    assert list(measured["alert_id"]) == [alert["id"] for alert in published]
    assert measured["ndvi_drop_mean"].between(0.2, 1).all()
    database = Database(database_url(None, tmp_path))
    (alert,) = published
    review(database, alert["id"], Decision(ReviewState.CONFIRMED), Author("command"))
    lessons = lessons_of(database)
    assert list(lessons.reviews["alert_id"]) == [alert["id"]]
    assert lessons.features.loc[alert["id"], "ndvi_drop_mean"] == pytest.approx(measured["ndvi_drop_mean"][0])
    database.close()
