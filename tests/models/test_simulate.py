"""What is simulated is what it says: laid events are found, labelled and dated; the same seed gives the same bytes."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.causes import Cause
from models.dataset import TrainingTable, place_folds, read_table, write_table
from models.events import KINDS, EventParams, draw_shape
from models.landscape import LaidEvent, Landscape
from models.real_cube import Place, RealCube, find_places, load_cube, seen_openings
from models.simulate import (
    SimulationParams,
    label_patches,
    lay_events,
    scan_landscape,
    simulate,
    simulate_draw,
)
from models.spectra import BAND_NAMES, Ground
from tiles.errors import InvalidParameterError, SceneReadError
from tiles.month import Month

pytest.importorskip("nrt", reason="the real images come with the package nrt, which is not installed")
TINY = SimulationParams(draws=2, stand_px=64, events=EventParams(max_ha=6.0))
MONTH = Month(2018, 9)


@pytest.fixture(scope="module")
def cube() -> RealCube:
    return load_cube()


@pytest.fixture(scope="module")
def places(cube: RealCube) -> list[Place]:
    return find_places(cube, seen_openings(cube))


@pytest.fixture(scope="module")
def table() -> TrainingTable:
    return simulate(1, TINY).table


def _landscape(cube: RealCube, places: list[Place], seed: int = 1) -> Landscape:
    return Landscape(cube, places, 64, np.random.default_rng(seed))


def test_the_same_seed_gives_the_same_bytes(table: TrainingTable, tmp_path: Path) -> None:
    again = simulate(1, TINY).table
    for name, one in (("a", table), ("b", again)):
        write_table(one, tmp_path / f"{name}.parquet", {"seed": 1})
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    assert (tmp_path / "a.events.parquet").read_bytes() == (tmp_path / "b.events.parquet").read_bytes()
    other, _ = simulate_draw(2, 0, TINY)
    assert other.content_hash != table.content_hash
    assert read_table(tmp_path / "a.parquet").content_hash == table.content_hash


def test_clear_cuts_are_found_labelled_and_dated(table: TrainingTable) -> None:
    events, rows = table.events, table.rows
    cuts = events[(events.cause == "clear_cut") & (events.event_area_ha >= 0.5) & (events.n_dates_after >= 2)]
    assert len(cuts) >= 12  # enough for the share below to mean something
    assert cuts.found.mean() > 0.85
    mine = rows[rows.cause == "clear_cut"]
    assert mine.is_clearcut.all()
    assert set(mine.event_id) <= set(events[events.cause == "clear_cut"].event_id)
    assert mine.event_date.between(mine.last_intact, mine.first_low).mean() >= 0.95
    assert (mine.area_ha / mine.event_area_ha).median() == pytest.approx(1, abs=0.15)
    assert not rows[rows.cause != "clear_cut"].is_clearcut.any()
    assert (rows.source == "simulated").all()


def test_no_place_is_on_both_sides(table: TrainingTable) -> None:
    fold = place_folds(table.places, 3, seed=1)
    for number in range(3):
        assert not set(table.places[fold == number]) & set(table.places[fold != number])
    assert set(fold) == {0, 1, 2}


def test_one_laid_event_is_what_is_found(cube: RealCube, places: list[Place]) -> None:
    landscape, rng = _landscape(cube, places), np.random.default_rng(4)
    only = {Cause.CLEAR_CUT: replace(KINDS[Cause.CLEAR_CUT], works_days=(0, 0))}
    params = replace(TINY, disturbed_share=1e-4, events=EventParams(min_ha=2, max_ha=4, kinds=only))
    while True:
        (event, *others) = lay_events(landscape, MONTH, params, rng, "x")
        if dt.date(2018, 4, 20) < event.start < dt.date(2018, 8, 1):
            break
    assert not others
    landscape.events = [event]
    found, count = label_patches(landscape, MONTH, scan_landscape(landscape, MONTH, params), params, "x")
    rows = found.rows[found.rows.cause == "clear_cut"]
    assert list(rows.event_id) == [event.id]
    assert rows.place.item() == landscape.places[event.place].name
    assert rows.last_intact.item().date() <= event.start <= rows.first_low.item().date()
    assert rows.area_ha.item() == pytest.approx(event.shape.area_ha, rel=0.15)
    assert rows.event_share.item() > 0.8
    assert found.events.found.all()
    assert count.mixed == 0


def test_without_events_nothing_is_called_an_event(cube: RealCube, places: list[Place]) -> None:
    landscape = _landscape(cube, places)
    found, _ = label_patches(landscape, MONTH, scan_landscape(landscape, MONTH, TINY), TINY, "x")
    assert set(found.rows.cause) <= {"no_event"}
    assert found.events.empty


def test_a_stand_shows_its_own_place_alone(cube: RealCube, places: list[Place]) -> None:
    landscape = _landscape(cube, places)
    red = landscape.layer(10, "red")
    for row in range(landscape.across):
        for col in range(landscape.across):
            place = places[landscape.stands[row, col]]
            part = red[row * 64 : row * 64 + 64, col * 64 : col * 64 + 64]
            real = cube.bands["red"][10][place.row : place.row + place.rows, place.col : place.col + place.cols]
            assert set(part.ravel()) == set(real.ravel())
    assert set(landscape.stands.ravel()) == set(range(len(places)))


def test_an_event_changes_its_own_pixels_from_its_day_on(cube: RealCube, places: list[Place]) -> None:
    landscape = _landscape(cube, places)
    shape = draw_shape(Cause.FIRE, EventParams(), np.random.default_rng(1), area_ha=1.0)
    cover = np.pad(shape.cover, [(0, side % 2) for side in shape.cover.shape])
    shape = replace(shape, cover=cover, inside=cover > 0.4, delay_days=np.zeros(cover.shape, np.int16))
    start, place = dt.date(2018, 8, 10), int(landscape.place_of[10, 10])
    days = cube.days
    presence = np.array([float(day >= start) for day in days])
    ground = Ground(np.full((len(days), len(BAND_NAMES)), 0.05), presence)
    before = {band: [landscape.layer(i, band) for i in range(len(days))] for band in ("red", "swir16")}
    landscape.events = [LaidEvent("x", Cause.FIRE, place, start, 10, 10, shape, ground)]
    changed = 0
    for index, day in enumerate(days):
        for band, layers in before.items():
            differs = landscape.layer(index, band) != layers[index]
            if day < start or not landscape.series.clear[place, index]:
                assert not differs.any()
                continue
            changed += 1
            size = 1 if band == "red" else 2
            outside = np.ones(differs.shape, bool)
            outside[tuple(slice(part.start // size, part.stop // size) for part in landscape.events[0].window)] = False
            assert differs.any()
            assert not (differs & outside).any()
    assert changed >= 4


def test_a_band_that_the_images_lack_is_named(cube: RealCube, places: list[Place]) -> None:
    landscape = _landscape(cube, places)
    scene = landscape.scenes(dt.date(2018, 9, 30))[0]
    lacking = Landscape(replace(cube, bands={"red": cube.bands["red"]}), places, 64, np.random.default_rng(1))
    from rasterio.windows import Window

    from tiles.scene import Band

    with pytest.raises(SceneReadError, match="have no band nir"):
        lacking.read(scene, Band.NIR, Window(0, 0, 2, 2), np.empty((2, 2), np.uint16))


@pytest.mark.parametrize("wrong", [{"draws": 0}, {"stand_px": 50}, {"disturbed_share": 0.3}])
def test_parameters_outside_their_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InvalidParameterError):
        SimulationParams(**wrong)  # type: ignore[arg-type]
