"""What the infrared shows around patches, on images made by hand: which dates, which pixels, which numbers."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.windows import Window

from detector.cause.evidence import Evidence, EvidenceRead, InfraredSource, Loss, read_evidence
from detector.cause.params import EvidenceParams
from detector.patches import Patch
from tiles.clear import SceneClass
from tiles.errors import InvalidParameterError, SceneReadError
from tiles.grid import Grid
from tiles.pixel_state import PixelState
from tiles.scene import ESA_OFFSET, INFRARED_BANDS, Band, Scene

GRID = Grid(CRS.from_epsg(32631), Affine(10, 0, 600_000, 0, -10, 5_000_000), (80, 80))
CLASSES = GRID.coarser(2)
LAST_INTACT, FIRST_LOW = dt.date(2019, 3, 1), dt.date(2019, 5, 1)
#: Rows and columns of the felling in pixels of 10 m: 4 x 4 of those of 20 m.
FELLED = (slice(32, 40), slice(32, 40))
FOREST = {Band.NIR08: 0.30, Band.SWIR16: 0.15, Band.SWIR22: 0.07}
GROUND = {Band.NIR08: 0.24, Band.SWIR16: 0.30, Band.SWIR22: 0.20}


class FakeInfrared:
    """Images by day: forest, with bare ground in the felling from `FIRST_LOW` on."""

    def __init__(self, days: list[dt.date], bands: tuple[Band, ...] = INFRARED_BANDS, dn_offset: int = 0) -> None:
        self.classes = {day: np.full(CLASSES.shape, SceneClass.VEGETATION, np.uint8) for day in days}
        self.layers = {(day, band): self._layer(day, band, dn_offset) for day in days for band in bands}
        self.broken: set[dt.date] = set()
        self.reads: list[tuple[dt.date, Band]] = []
        self._lock = threading.Lock()
        self.scenes = [
            Scene(
                f"S{day:%Y%m%d}",
                dt.datetime.combine(day, dt.time(11), dt.UTC),
                "31TDK",
                dict.fromkeys((Band.RED, Band.NIR, Band.SCL, *bands), day.isoformat()),
                dn_offset,
            )
            for day in days
        ]

    def _layer(self, day: dt.date, band: Band, dn_offset: int) -> NDArray[np.uint16]:
        reflectance = np.full(CLASSES.shape, FOREST[band])
        if day >= FIRST_LOW:
            reflectance[16:20, 16:20] = GROUND[band]
        return np.asarray(np.rint(reflectance * 10_000) - dn_offset, np.uint16)

    def grid_of(self, scene: Scene, band: Band) -> Grid:
        return CLASSES

    def read(self, scene: Scene, band: Band, window: Window, out: NDArray[Any]) -> None:
        with self._lock:
            self.reads.append((scene.day, band))
        if scene.day in self.broken:
            raise SceneReadError(scene.id, "its file is cut short")
        layer: NDArray[Any] = self.classes[scene.day] if band is Band.SCL else self.layers[scene.day, band]
        rows = slice(window.row_off, window.row_off + window.height)
        out[...] = layer[rows, window.col_off : window.col_off + window.width]

    def block_rows(self, scene: Scene, band: Band) -> int:
        return CLASSES.shape[0]

    def stop(self) -> None:
        """Nothing waits."""

    @property
    def bytes_read(self) -> int:
        return 0


def patch_of(rows: slice, cols: slice) -> Patch:
    height, width = rows.stop - rows.start, cols.stop - cols.start
    box = shapely.box(0, 0, 1, 1)
    return Patch(np.arange(1), 1, rows.start, cols.start, np.ones((height, width), bool), 0, box, box, 0.64)


def days(*told: str) -> list[dt.date]:
    return [dt.date.fromisoformat(day) for day in told]


USUAL = days("2018-03-05", "2019-01-20", "2019-02-10", "2019-03-01", "2019-05-01", "2019-05-20", "2019-06-10")


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Forest everywhere, lost in the felling; nothing but forest is known in the last columns."""
    states = np.full(GRID.shape, PixelState.INTACT, np.uint8)
    states[FELLED] = PixelState.CONFIRMED
    return write_states(tmp_path, states)


def write_states(folder: Path, states: NDArray[np.uint8]) -> Path:
    path = folder / "state.tif"
    rows, cols = states.shape
    with rasterio.open(
        path, "w", driver="GTiff", height=rows, width=cols, count=1, dtype="uint8", crs=GRID.crs,
        transform=GRID.transform,
    ) as target:  # fmt: skip
        target.write(states, 1)
    return path


def seen(
    infrared: FakeInfrared,
    state: Path,
    *patches: Patch,
    params: EvidenceParams | None = None,
    last_intact: dt.date | None = LAST_INTACT,
) -> EvidenceRead:
    chosen = patches or (patch_of(*FELLED),)
    source = InfraredSource(infrared.scenes, infrared, CLASSES, threads=2)
    return read_evidence(chosen, [Loss(last_intact, FIRST_LOW)] * len(chosen), state, source, params)


def index(values: Mapping[Band, float], band: Band) -> float:
    return (values[Band.NIR08] - values[band]) / (values[Band.NIR08] + values[band])


@pytest.mark.parametrize("dn_offset", [0, ESA_OFFSET])
def test_a_felling_is_seen_before_and_after_beside_the_forest(state: Path, dn_offset: int) -> None:
    (evidence,) = seen(FakeInfrared(USUAL, dn_offset=dn_offset), state).evidence
    assert (evidence.dates_before, evidence.dates_after, evidence.dates_earlier) == (2, 2, 1)
    assert evidence.nir_before == pytest.approx(0.30)
    assert evidence.nir_after == pytest.approx(0.24)
    assert evidence.swir16_after == pytest.approx(0.30)
    assert evidence.swir22_after == pytest.approx(0.20)
    assert evidence.ndmi_before == pytest.approx(index(FOREST, Band.SWIR16))
    assert evidence.nbr_after == pytest.approx(index(GROUND, Band.SWIR22))
    assert evidence.ndmi_change == pytest.approx(index(GROUND, Band.SWIR16) - index(FOREST, Band.SWIR16))
    assert evidence.nbr_change == pytest.approx(index(GROUND, Band.SWIR22) - index(FOREST, Band.SWIR22))
    assert evidence.nir_kept == pytest.approx(0.8)
    assert evidence.swir16_kept == pytest.approx(2.0)
    assert evidence.ndmi_drift == pytest.approx(0)
    assert evidence.ndmi_apart_earlier == pytest.approx(0)


def test_what_all_the_forest_does_is_taken_away(state: Path) -> None:
    infrared = FakeInfrared(USUAL)
    plain = seen(infrared, state).evidence[0]
    for (day, band), layer in infrared.layers.items():
        if day >= FIRST_LOW and band is Band.SWIR16:
            # Drier everywhere: the ring's NDMI falls with the patch's.
            layer += 300
    drier = seen(infrared, state).evidence[0]
    assert plain.swir16_after == pytest.approx(0.30)
    assert drier.swir16_after == pytest.approx(0.33)
    expected = (0.24 - 0.33) / (0.24 + 0.33) - (0.30 - 0.18) / (0.30 + 0.18)
    assert drier.ndmi_change == pytest.approx(expected)


def test_nearest_clear_dates_are_taken_and_clouded_ones_passed_over(state: Path) -> None:
    infrared = FakeInfrared(USUAL)
    infrared.classes[dt.date(2019, 5, 1)][16:20, 16:20] = SceneClass.CLOUD_HIGH
    infrared.classes[dt.date(2019, 3, 1)][:, 15] = SceneClass.CLOUD_SHADOW  # beside the patch
    (evidence,) = seen(infrared, state).evidence
    bands_read = {day for day, band in infrared.reads if band is not Band.SCL}
    assert bands_read == set(days("2018-03-05", "2019-01-20", "2019-02-10", "2019-05-20", "2019-06-10"))
    assert (evidence.dates_before, evidence.dates_after) == (2, 2)


def test_a_date_is_read_once_for_all_patches_of_a_square(state: Path) -> None:
    infrared = FakeInfrared(USUAL)
    two = seen(infrared, state, patch_of(*FELLED), patch_of(slice(34, 40), slice(34, 40)))
    assert len(infrared.reads) == len(set(infrared.reads))
    assert two.evidence[0].ndmi_change == pytest.approx(two.evidence[1].ndmi_change)
    apart = seen(
        infrared, state, patch_of(*FELLED), patch_of(slice(34, 40), slice(34, 40)), params=EvidenceParams(cell_px=17)
    )
    assert apart.evidence == two.evidence


def test_a_stand_that_declined_for_a_year_is_told(state: Path) -> None:
    infrared = FakeInfrared(USUAL)
    for day in days("2019-01-20", "2019-02-10", "2019-03-01"):
        infrared.layers[day, Band.SWIR16][16:20, 16:20] = 2000
    (evidence,) = seen(infrared, state).evidence
    assert evidence.ndmi_drift == pytest.approx(0.1 / 0.5 - index(FOREST, Band.SWIR16))


def test_ground_that_was_open_a_year_before_is_told(state: Path) -> None:
    infrared = FakeInfrared(USUAL)
    infrared.layers[dt.date(2018, 3, 5), Band.SWIR16][16:20, 16:20] = 3000
    (evidence,) = seen(infrared, state).evidence
    assert evidence.ndmi_apart_earlier == pytest.approx(0 - index(FOREST, Band.SWIR16))


def test_a_scene_that_cannot_be_read_is_named_and_the_next_takes_its_place(state: Path) -> None:
    infrared = FakeInfrared(USUAL)
    infrared.broken = {dt.date(2019, 5, 1)}
    read = seen(infrared, state)
    assert read.unread == {"S20190501": "its file is cut short"}
    assert read.evidence[0].dates_after == 2


def test_without_infrared_bands_nothing_is_known_and_nothing_read(state: Path) -> None:
    infrared = FakeInfrared(USUAL, bands=())
    assert seen(infrared, state).evidence == (Evidence(ring_forest_share=1.0),)
    assert infrared.reads == []


def test_without_b12_the_rest_is_known(state: Path) -> None:
    (evidence,) = seen(FakeInfrared(USUAL, bands=(Band.NIR08, Band.SWIR16)), state).evidence
    assert evidence.ndmi_change is not None
    assert (evidence.swir22_after, evidence.nbr_after, evidence.nbr_change) == (None, None, None)


def test_without_forest_around_changes_are_unknown(tmp_path: Path) -> None:
    states = np.full(GRID.shape, PixelState.NOT_FOREST, np.uint8)
    states[FELLED] = PixelState.CONFIRMED
    (evidence,) = seen(FakeInfrared(USUAL), write_states(tmp_path, states)).evidence
    assert evidence.ndmi_after == pytest.approx(index(GROUND, Band.SWIR16))
    assert (evidence.ndmi_change, evidence.nir_kept, evidence.ndmi_drift) == (None, None, None)
    assert evidence.ring_forest_share == 0


def test_a_loss_that_was_never_seen_intact_has_no_before(state: Path) -> None:
    (evidence,) = seen(FakeInfrared(USUAL), state, last_intact=None).evidence
    assert (evidence.dates_before, evidence.dates_earlier, evidence.dates_after) == (0, 0, 2)
    assert evidence.ndmi_change is None


def test_a_patch_at_the_tile_s_corner_and_one_without_a_whole_pixel(state: Path) -> None:
    infrared = FakeInfrared(USUAL)
    corner, speck = seen(
        infrared, state, patch_of(slice(0, 6), slice(0, 6)), patch_of(slice(41, 42), slice(10, 11))
    ).evidence
    assert corner.dates_after == 2
    assert corner.ndmi_change == pytest.approx(0)
    assert speck == Evidence(ring_forest_share=1.0)


def test_no_patch_reads_nothing(state: Path) -> None:
    infrared = FakeInfrared(USUAL)
    source = InfraredSource(infrared.scenes, infrared, CLASSES)
    read = read_evidence([], [], state, source)
    assert (read.evidence, read.unread) == ((), {})
    assert infrared.reads == []


@pytest.mark.parametrize("wrong", [{"core_share": 0.0}, {"ring_from_m": 200.0}, {"dates": 0}, {"clear_share": 1.1}])
def test_parameters_that_will_not_do_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidParameterError):
        EvidenceParams(**wrong)


def test_evidence_of_an_alert_comes_back_whole() -> None:
    evidence = Evidence(dates_after=2, ndmi_change=-0.27, compactness=0.4)
    assert Evidence.of(evidence.as_field()) == evidence
    assert Evidence.of({"dates_after": 1, "of_a_later_version": 3}) == Evidence(dates_after=1)
