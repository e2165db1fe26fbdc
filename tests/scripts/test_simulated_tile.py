"""The simulated tile costs what a real one does, says that it is simulated, and its seed decides it."""

from __future__ import annotations

import hashlib
import json
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pystac
import pytest
import rasterio

from scripts.simulated_tile import compression_ratio, write_simulated_tile

DATES = [date(2019, 7, 5), date(2018, 6, 20), date(2019, 6, 1)]  # out of order on purpose


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_simulated_tile(tmp_path_factory.mktemp("simulated") / "tile", 2048, DATES, seed=1).parent


def _item_folder(archive: Path, day: date) -> Path:
    return archive / "sentinel-2-l2a" / f"SIMULATED_S2_{day:%Y%m%d}_0_L2A"


def _digests(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def _pixels(path: Path) -> np.ndarray[Any, Any]:
    with rasterio.open(path) as source:
        pixels: np.ndarray[Any, Any] = source.read(1)
    return pixels


@pytest.mark.parametrize("day", DATES)
@pytest.mark.parametrize("band", ["red", "nir"])
def test_bands_compress_as_real_ones(archive: Path, day: date, band: str) -> None:
    assert 1.6 <= compression_ratio(_item_folder(archive, day) / f"{band}.tif") <= 2.4


def test_files_are_as_real_ones(archive: Path) -> None:
    for name, dtype, size in (("red", "uint16", 2048), ("nir", "uint16", 2048), ("scl", "uint8", 1024)):
        with rasterio.open(_item_folder(archive, DATES[0]) / f"{name}.tif") as source:
            assert source.dtypes == (dtype,)
            assert source.shape == (size, size)
            assert source.block_shapes == [(512, 512)]
            assert source.nodata == 0
            assert source.crs.to_epsg() == 32631
            structure = source.tags(ns="IMAGE_STRUCTURE")
            assert (structure["LAYOUT"], structure["COMPRESSION"], structure["PREDICTOR"]) == (
                "COG",
                "ZSTD",
                "2",
            )
    assert not list(archive.rglob("*staging*"))


def test_everything_says_that_it_is_simulated(archive: Path) -> None:
    catalog = pystac.Catalog.from_file(archive / "catalog.json")
    items = list(catalog.get_items(recursive=True))
    assert "SIMULATED" in catalog.description
    assert [item.properties["datetime"][:10] for item in items] == ["2018-06-20", "2019-06-01", "2019-07-05"]
    assert all(item.id.startswith("SIMULATED_") for item in items)
    assert all(item.properties["grid:code"] == "SIMULATED" for item in items)


def test_shares_are_those_asked_for(tmp_path: Path) -> None:
    days = [date(2019, 1 + index % 12, 1 + index // 12) for index in range(24)]
    root = write_simulated_tile(tmp_path / "tile", 256, days, seed=3, forest_share=0.3, cloud_share=0.2).parent
    assert float((_pixels(root / "forest.tif") == 1).mean()) == pytest.approx(0.3, abs=0.02)
    clouds = [np.isin(_pixels(_item_folder(root, day) / "scl.tif"), (8, 9, 10)).mean() for day in days]
    assert float(np.mean(clouds)) == pytest.approx(0.2, abs=0.06)
    assert max(clouds) - min(clouds) > 0.1


def test_cuts_appear_between_their_two_dates(archive: Path) -> None:
    cuts = json.loads((archive / "simulated_clearcuts.json").read_text())
    forest = _pixels(archive / "forest.tif") == 1
    assert 3 <= len(cuts) <= 8
    for cut in cuts:
        assert 0.5 <= cut["area_ha"] <= 30
        seen = {}
        for key in ("last_intact", "first_low"):
            folder = _item_folder(archive, date.fromisoformat(cut[key]))
            if _pixels(folder / "scl.tif")[cut["row"] // 2, cut["column"] // 2] in (4, 5):
                red, nir = (
                    _pixels(folder / f"{band}.tif")[cut["row"], cut["column"]].astype(float) for band in ("red", "nir")
                )
                seen[key] = (nir - red) / (nir + red)
        if forest[cut["row"], cut["column"]]:
            assert seen.get("last_intact", 1) > 0.7
            assert seen.get("first_low", 0) < 0.35


def test_the_seed_decides_the_bytes(tmp_path: Path) -> None:
    first, same, other = (
        write_simulated_tile(tmp_path / name, 256, DATES, seed=seed).parent
        for name, seed in (("first", 5), ("same", 5), ("other", 6))
    )
    assert _digests(first) == _digests(same)
    assert _digests(first) != _digests(other)


def test_strips_join_without_a_seam(tmp_path: Path) -> None:
    # 640 rows are a whole strip of 512 and a part of one.
    root = write_simulated_tile(tmp_path / "tile", 640, [date(2019, 7, 5)], seed=2, cloud_share=0).parent
    nir = _pixels(_item_folder(root, date(2019, 7, 5)) / "nir.tif").astype(float)
    steps = np.median(np.abs(np.diff(nir, axis=0)), axis=1)
    assert steps[511] < 2 * np.median(steps)


@pytest.mark.parametrize(
    ("size_px", "dates", "shares"),
    [
        (127, DATES, {}),
        (257, DATES, {}),
        (256, [], {}),
        (256, DATES[:1] * 2, {}),
        (256, DATES, {"cloud_share": 2}),
    ],
)
def test_senseless_parameters_are_refused(
    tmp_path: Path, size_px: int, dates: list[date], shares: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match="must be"):
        write_simulated_tile(tmp_path / "tile", size_px, dates, 1, **shares)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_extreme_shares_work(tmp_path: Path, share: float) -> None:
    root = write_simulated_tile(tmp_path / "tile", 128, DATES, 1, forest_share=share, cloud_share=share).parent
    assert float((_pixels(root / "forest.tif") == 1).mean()) == share
