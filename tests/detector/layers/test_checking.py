"""`sylvigie layers check`: what is damaged, disagrees or is old is found."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
from affine import Affine

from detector.layers.checking import Finding, Severity, check_layers
from detector.layers.importing import Whence, import_files
from detector.layers.store import LayerStore
from tests.detector.layers.made import NOW, X, Y, departements, frame, square, write, write_pixels

TODAY = NOW.date()


@pytest.fixture
def store(tmp_path: Path) -> LayerStore:
    """Two communes, two départements, a region, some terrain: all that agrees."""
    store = LayerStore(tmp_path / "layers")
    put(store, tmp_path, "departements", departements())
    put(store, tmp_path, "regions", frame([square(0, 0, 20_000)], code=["75"], nom=["Nouvelle-Aquitaine"]))
    put(store, tmp_path, "communes", frame([square(0, 0), square(10, 0)], code=["40001", "33063"], nom=["A", "B"]))
    dem = write_pixels(tmp_path / "dem.tif", np.ones((40, 40), np.float32), Affine(25, 0, X, 0, -25, Y))
    import_files(store, "elevation", [dem], Whence("made"), NOW)
    return store


def put(
    store: LayerStore,
    folder: Path,
    name: str,
    features: gpd.GeoDataFrame,
    part: str = "whole",
    vintage: str | None = None,
) -> None:
    path = write(folder / f"{name}-{part}.gpkg", features)
    import_files(store, name, [path], Whence("made", vintage=vintage), NOW, part=part)


def errors(store: LayerStore) -> list[Finding]:
    return [finding for finding in check_layers(store, TODAY) if finding.severity is Severity.ERROR]


def test_what_agrees_is_sound(store: LayerStore) -> None:
    assert check_layers(store, TODAY) == [
        Finding("departements", Severity.WARNING, "2 of the 96 départements of metropolitan France are there.")
    ]
    assert check_layers(store, TODAY, ("elevation",)) == []
    assert check_layers(LayerStore(store.folder / "nothing"), TODAY) == []


@pytest.mark.parametrize(
    ("name", "pattern"), [("communes", "*.parquet"), ("communes", "*.wkb"), ("elevation", "*.tif")]
)
def test_a_changed_byte_is_found(store: LayerStore, name: str, pattern: str) -> None:
    (path,) = (store.folder / name).glob(pattern)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    (found,) = [one for one in errors(store) if "SHA-256" in one.words]
    assert found.layer == name
    assert path.name in found.words


def test_a_file_cut_short_is_found(store: LayerStore) -> None:
    (path,) = (store.folder / "communes").glob("*.parquet")
    path.write_bytes(path.read_bytes()[:-1])
    (found,) = errors(store)
    assert "Layer communes is broken" in found.words


def test_codes_that_name_what_is_not_there(store: LayerStore, tmp_path: Path) -> None:
    put(store, tmp_path, "communes", frame([square(0, 0)], code=["83001"], nom=["A"]))
    put(store, tmp_path, "regions", frame([square(0, 0)], code=["93"], nom=["Paca"]))
    assert [finding.words for finding in errors(store)] == [
        "Communes lie in départements that are not in the layer of these: 83.",
        "Départements lie in regions that are not in the layer of these: 75.",
    ]


def test_a_commune_whose_code_is_of_another_departement(store: LayerStore, tmp_path: Path) -> None:
    wrong = frame([square(0, 0)], code=["40001"], nom=["A"], insee_dep=["33"])
    put(store, tmp_path, "communes", wrong)
    assert [finding.words for finding in errors(store)] == [
        "INSEE codes that do not begin with their département: 40001 (1 in all)."
    ]


def test_age_is_told_by_the_edition(store: LayerStore, tmp_path: Path) -> None:
    woods = frame([square(0, 0)], id_mnhn=["FR1"])
    put(store, tmp_path, "natura2000_zsc", woods, vintage="2019-06-01")
    (found,) = check_layers(store, dt.date(2026, 6, 1), ("natura2000_zsc",))
    assert found.severity is Severity.WARNING
    assert found.words.startswith("Part whole is of 2019-06-01, 7.0 years ago")
    assert check_layers(store, dt.date(2020, 6, 1), ("natura2000_zsc",)) == []
    put(store, tmp_path, "natura2000_zsc", woods)
    assert check_layers(store, dt.date(2036, 6, 1), ("natura2000_zsc",)) == []  # of when is not told
