"""Pictures of alerts: what the images show before and after, and the NDVI of each date.

A chip is a small GeoTIFF of the ground around an alert on one date: true colour and NDVI, ready to be shown. The dates
are those that show the ground clearest, the nearest to the loss of equals. Alerts that lie together are read together.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pyproj
import rasterio
import rasterio.features
import shapely
from numpy.typing import NDArray
from rasterio.windows import Window
from shapely.geometry.base import BaseGeometry

from detector.alerts import Alert
from detector.params import ChipParams
from tiles.clear import CLEAR_CLASSES, class_table
from tiles.errors import OutputError, SceneReadError
from tiles.grid import Grid
from tiles.placing import written_beside
from tiles.reader import Reader
from tiles.scene import COLOUR_BANDS, QUANTIFICATION, Band, Scene

CHIPS_FOLDER: Final = "chips"
SERIES_FILE: Final = "series.parquet"
NDVI_RANGE: Final = (-0.2, 1.0)
"""NDVI of the values 1 and 255 of a chip's NDVI band; 0 is no data."""

_CLEAR = class_table(CLEAR_CLASSES)
_LEAST_PIECE_PX, _MOST_PIECE_PX = 256, 1024
"""Side of what is read at once: a block of the file, unless that is a line or the whole."""


class Moment(StrEnum):
    """Which side of the loss a chip shows."""

    BEFORE = "before"
    AFTER = "after"


@dataclass(frozen=True)
class SeriesRow:
    """What a date shows of an alert: mean NDVI of its clear pixels, and their share (0 to 1)."""

    alert_id: str
    day: dt.date
    scene: str
    ndvi: float | None
    clear_share: float


@dataclass(frozen=True, eq=False)
class ChipsMade:
    """What came of making chips.

    Parameters
    ----------
    written
        Files.
    series
        Of all alerts, by alert and date.
    unread
        Scenes that could not be read for it, with the reasons.
    lacking
        Those of them that each alert had to do without, by alert: what could not be read of a scene may lie elsewhere.
    """

    written: int = 0
    series: tuple[SeriesRow, ...] = ()
    unread: Mapping[str, str] = field(default_factory=dict)
    lacking: Mapping[str, frozenset[str]] = field(default_factory=dict)


def make_chips(
    alerts: Sequence[Alert],
    scenes: Sequence[Scene],
    reader: Reader,
    grid: Grid,
    folder: Path,
    params: ChipParams,
    threads: int = 1,
) -> ChipsMade:
    """Make the chips and the series of the alerts of one tile.

    Parameters
    ----------
    alerts
        Of the tile.
    scenes
        Images of it, with decided offsets; those without `COLOUR_BANDS` give chips of NDVI alone, which say so.
    reader
        Reads them. May be called from several threads.
    grid
        Of the tile, 10 m.
    folder
        Chips are put under ``<folder>/<alert>/before.tif`` and ``after.tif``.
    params
        How.
    threads
        That read at once.
    """
    if not alerts:
        return ChipsMade()
    work = _Work(sorted(scenes, key=lambda scene: (scene.acquired, scene.id)), reader, grid, folder, params)
    cells: dict[tuple[int, int], list[_Subject]] = {}
    for subject in work.subjects(alerts):
        side = params.cell_px
        cells.setdefault((int(subject.window.row_off) // side, int(subject.window.col_off) // side), []).append(subject)
    with ThreadPoolExecutor(max(1, threads), thread_name_prefix="chips") as pool:
        made = list(pool.map(work.cell, [cells[key] for key in sorted(cells)]))
    rows = sorted((row for each in made for row in each[1]), key=lambda row: (row.alert_id, row.day, row.scene))
    lacking = {alert.id: frozenset(work.lacking[alert.id]) for alert in alerts if alert.id in work.lacking}
    return ChipsMade(sum(each[0] for each in made), tuple(rows), dict(sorted(work.unread.items())), lacking)


@dataclass(frozen=True, eq=False)
class _Subject:
    """An alert, the window around it, and which pixels of the window are its own."""

    alert: Alert
    window: Window
    mask: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class _Look:
    """How clear a scene shows a window, 0 to 1."""

    scene: Scene
    clear_share: float


class _Work:
    """The chips of one tile."""

    def __init__(self, scenes: Sequence[Scene], reader: Reader, grid: Grid, folder: Path, params: ChipParams) -> None:
        self._scenes, self._reader, self._grid, self._folder, self._params = scenes, reader, grid, folder, params
        self.unread: dict[str, str] = {}
        self.lacking: dict[str, set[str]] = {}

    def subjects(self, alerts: Sequence[Alert]) -> Iterator[_Subject]:
        """Alerts with their windows: a square around each, larger ones whole with a margin, within the tile."""
        transformer = pyproj.Transformer.from_crs("OGC:CRS84", self._grid.crs.to_wkt(), always_xy=True)

        def on_grid(lonlat: NDArray[np.float64]) -> NDArray[np.float64]:
            return np.column_stack(transformer.transform(lonlat[:, 0], lonlat[:, 1]))

        for alert in alerts:
            shape = shapely.transform(alert.geometry, on_grid)
            window = self._window(shape)
            if window is None:
                continue
            mask = rasterio.features.geometry_mask(
                [shape],
                (int(window.height), int(window.width)),
                self._grid.window_transform(window),
                all_touched=False,
                invert=True,
            )
            yield _Subject(alert, window, mask)

    def _window(self, shape: BaseGeometry) -> Window | None:
        """A window of whole pixels of the classification, within the tile."""
        left, bottom, right, top = shape.bounds
        side = max(self._params.least_m, right - left, top - bottom)
        if side > self._params.least_m:
            side *= 1.2
        side = min(side, self._params.most_m)
        x, y = (left + right) / 2, (bottom + top) / 2
        inverse = ~self._grid.transform
        col, row = inverse @ (x - side / 2, y + side / 2)
        # An even number of pixels from an even one: those of the classification are twice as large.
        first_row, first_col = (max(0, int(value) // 2 * 2) for value in (row, col))
        pixels = -(-int(side / self._grid.pixel_m) // 2) * 2
        height = min(pixels, self._grid.shape[0] - first_row) // 2 * 2
        width = min(pixels, self._grid.shape[1] - first_col) // 2 * 2
        return Window(first_col, first_row, width, height) if height > 0 and width > 0 else None

    def cell(self, subjects: Sequence[_Subject]) -> tuple[int, list[SeriesRow]]:
        """Chips and series of alerts that lie together."""
        looks: dict[str, list[_Look]] = {subject.alert.id: [] for subject in subjects}
        rows: list[SeriesRow] = []
        for scene in self._scenes:
            pieces = _Pieces(self._reader, scene)
            shown = [subject for subject in subjects if self._within_reach(scene, subject.alert)]
            for done, subject in enumerate(shown):
                try:
                    ndvi, clear = self._looked_at(pieces, subject)
                except SceneReadError as error:
                    self._failed(scene, error, shown[done:])
                    break
                looks[subject.alert.id].append(_Look(scene, float(clear.mean())))
                rows += _row(subject, scene, ndvi, clear)
        return self._chips(subjects, looks), rows

    def _failed(self, scene: Scene, error: SceneReadError, subjects: Sequence[_Subject]) -> None:
        """Note what could not be read, and for which alerts."""
        self.unread[error.scene_id] = error.reason
        for subject in subjects:
            self.lacking.setdefault(subject.alert.id, set()).add(scene.id)

    def _within_reach(self, scene: Scene, alert: Alert) -> bool:
        start = (alert.last_intact or alert.first_low) - dt.timedelta(days=self._params.days_before)
        end = alert.first_low + dt.timedelta(days=self._params.days_after)
        return start <= scene.day <= end

    def _looked_at(self, pieces: _Pieces, subject: _Subject) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """As of `_seen`; of what clouds hide, the classification alone is read, which is a small file."""
        clear = _CLEAR[self._classes(pieces, subject.window)] == 1
        if not (subject.mask & clear).any() and clear.mean() < self._params.least_clear_share:
            return np.full(clear.shape, np.nan, np.float32), clear
        return self._seen(pieces, subject.window)

    def _seen(self, pieces: _Pieces, window: Window) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """NDVI, NaN without data, and which pixels are clear."""
        red, nir = (pieces.reflectance(band, window) for band in (Band.RED, Band.NIR))
        classes = self._classes(pieces, window)
        with np.errstate(divide="ignore", invalid="ignore"):
            ndvi = (nir - red) / (nir + red)
        ndvi[~np.isfinite(ndvi) | (np.abs(ndvi) > 1)] = np.nan
        return ndvi, (_CLEAR[classes] == 1) & np.isfinite(ndvi)

    def _classes(self, pieces: _Pieces, window: Window) -> NDArray[np.uint8]:
        times = round(self._reader.grid_of(pieces.scene, Band.SCL).pixel_m / self._grid.pixel_m)
        coarse = Window(
            window.col_off // times, window.row_off // times, -(-window.width // times), -(-window.height // times)
        )
        fine = pieces.read(Band.SCL, coarse, np.uint8).repeat(times, axis=0).repeat(times, axis=1)
        return np.asarray(fine[: int(window.height), : int(window.width)])

    def _is_coloured(self, scene: Scene) -> bool:
        """Whether all products of a scene have the bands of a picture, on the grid of the tile."""
        if any(band not in product.hrefs for product in scene.members for band in COLOUR_BANDS):
            return False
        grids = (self._reader.grid_of(product, band) for product in scene.members for band in COLOUR_BANDS)
        return all(grid.same_as(self._grid) for grid in grids)

    def _chips(self, subjects: Sequence[_Subject], looks: Mapping[str, Sequence[_Look]]) -> int:
        """Write the chips, scene by scene; those whose scene cannot be read are tried with the next clearest."""
        waiting = [
            (subject, moment, self._choice(subject.alert, moment, looks[subject.alert.id]))
            for subject in subjects
            for moment in Moment
        ]
        written = 0
        for turn in range(self._params.tries):
            by_scene: dict[str, list[tuple[_Subject, Moment, list[_Look]]]] = {}
            for chip in waiting:
                if turn < len(chip[2]):
                    by_scene.setdefault(chip[2][turn].scene.id, []).append(chip)
            waiting = []
            for _, chips in sorted(by_scene.items()):
                pieces = _Pieces(self._reader, chips[0][2][turn].scene)
                for done, (subject, moment, choice) in enumerate(chips):
                    try:
                        self._write(pieces, subject, moment, choice[turn])
                        written += 1
                    except SceneReadError as error:
                        self._failed(pieces.scene, error, [chip[0] for chip in chips[done:]])
                        # What is damaged or away for one is so for those beside it.
                        waiting += chips[done:]
                        break
        return written

    def _choice(self, alert: Alert, moment: Moment, looks: Sequence[_Look]) -> list[_Look]:
        """Dates for a chip, the best first."""
        if moment is Moment.BEFORE:
            last = alert.last_intact
            some = [look for look in reversed(looks) if last is not None and look.scene.day <= last]
        else:
            some = [look for look in looks if look.scene.day >= alert.first_low]
        some = [look for look in some if look.clear_share >= self._params.least_clear_share]
        # As clear to the nearest tenth: the nearer date shows the same ground and season better.
        return sorted(some, key=lambda look: -round(look.clear_share, 1))[: self._params.tries]

    def _write(self, pieces: _Pieces, subject: _Subject, moment: Moment, look: _Look) -> None:
        scene, window = look.scene, subject.window
        coloured = self._is_coloured(scene)
        ndvi, _ = self._seen(pieces, window)
        bands = [pieces.reflectance(band, window) for band in (Band.RED, *COLOUR_BANDS)] if coloured else []
        layers = [_shown(band, self._params) for band in bands] + [scaled_ndvi(ndvi)]
        tags = {
            "ALERT": subject.alert.id,
            "MOMENT": moment.value,
            "SCENE": scene.id,
            "DATE": scene.day.isoformat(),
            "CLEAR_SHARE": f"{look.clear_share:.3f}",
            "BANDS": "red,green,blue,ndvi" if coloured else "ndvi",
        }
        path = self._folder / subject.alert.id / f"{moment}.tif"
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_tiff(path, np.stack(layers), self._grid, window, tags)


class _Pieces:
    """Windows of one scene; each block of its files is decoded once, whatever number of windows lie on it."""

    def __init__(self, reader: Reader, scene: Scene) -> None:
        self._reader, self.scene = reader, scene
        self._kept: dict[tuple[Band, int, int], NDArray[Any]] = {}

    def reflectance(self, band: Band, window: Window) -> NDArray[np.float32]:
        """Reflectance, NaN without data."""
        numbers = self.read(band, window, np.uint16)
        reflectance = (numbers.astype(np.float32) + self.scene.known_offset) / np.float32(QUANTIFICATION)
        reflectance[numbers == 0] = np.nan
        return np.asarray(reflectance)

    def read(self, band: Band, window: Window, dtype: type[np.generic]) -> NDArray[Any]:
        """Numbers of a window of a band's own raster; 0 beyond it."""
        side = min(max(self._reader.block_rows(self.scene, band), _LEAST_PIECE_PX), _MOST_PIECE_PX)
        top, left, height, width = (int(v) for v in (window.row_off, window.col_off, window.height, window.width))
        out = np.zeros((height, width), dtype)
        for row in range(top // side * side, top + height, side):
            for col in range(left // side * side, left + width, side):
                piece = self._piece(band, row, col, side, dtype)
                first_row, first_col = max(row, top), max(col, left)
                part = piece[first_row - row : top + height - row, first_col - col : left + width - col]
                rows, cols = part.shape
                out[first_row - top : first_row - top + rows, first_col - left : first_col - left + cols] = part
        return out

    def _piece(self, band: Band, row: int, col: int, side: int, dtype: type[np.generic]) -> NDArray[Any]:
        key = band, row, col
        if key not in self._kept:
            rows, cols = self._reader.grid_of(self.scene, band).shape
            piece = np.zeros((max(0, min(side, rows - row)), max(0, min(side, cols - col))), dtype)
            if piece.size:
                self._reader.read(self.scene, band, Window(col, row, piece.shape[1], piece.shape[0]), piece)
            self._kept[key] = piece
        return self._kept[key]


def write_series(rows: Sequence[SeriesRow], path: Path) -> None:
    """Write series as Parquet: `alert_id`, `day`, `scene`, `ndvi`, `clear_share`.

    Raises
    ------
    tiles.errors.OutputError
        If the file cannot be written.
    """
    columns = {
        "alert_id": pa.array([row.alert_id for row in rows], pa.string()),
        "day": pa.array([row.day for row in rows], pa.date32()),
        "scene": pa.array([row.scene for row in rows], pa.string()),
        "ndvi": pa.array([row.ndvi for row in rows], pa.float32()),
        "clear_share": pa.array([row.clear_share for row in rows], pa.float32()),
    }
    try:
        with written_beside(path) as partial:
            pq.write_table(pa.table(columns), partial, compression="zstd")
    except OSError as error:
        raise OutputError(f"Cannot write {path}: {error.strerror or error}.") from error


def scaled_ndvi(ndvi: NDArray[np.float32]) -> NDArray[np.uint8]:
    """NDVI as a chip has it: 1 to 255 over `NDVI_RANGE`, 0 without data."""
    low, high = NDVI_RANGE
    scaled = np.clip((ndvi - low) / (high - low) * 254 + 1, 1, 255)
    return np.asarray(np.nan_to_num(np.rint(scaled), nan=0.0), np.uint8)


def _shown(reflectance: NDArray[np.float32], params: ChipParams) -> NDArray[np.uint8]:
    """Reflectance as brightness: 1 to 255 from none to `brightest`, with a gamma that opens the shadows."""
    share = np.clip(reflectance / params.brightest, 0, 1) ** (1 / params.gamma)
    return np.asarray(np.nan_to_num(np.rint(share * 254 + 1), nan=0.0), np.uint8)


def _row(subject: _Subject, scene: Scene, ndvi: NDArray[np.float32], clear: NDArray[np.bool_]) -> Iterator[SeriesRow]:
    own = subject.mask & clear
    if not subject.mask.any():
        return
    share = float(own.sum() / subject.mask.sum())
    mean = float(ndvi[own].mean()) if own.any() else None
    yield SeriesRow(subject.alert.id, scene.day, scene.id, mean, share)


def _write_tiff(path: Path, layers: NDArray[np.uint8], grid: Grid, window: Window, tags: Mapping[str, Any]) -> None:
    profile = {
        "driver": "GTiff",
        "dtype": "uint8",
        "count": layers.shape[0],
        "height": layers.shape[1],
        "width": layers.shape[2],
        "crs": grid.crs,
        "transform": grid.window_transform(window),
        "nodata": 0,
        "compress": "DEFLATE",
        "interleave": "pixel",
        # The fourth band is NDVI: readers would take it for opacity.
        "photometric": "MINISBLACK",
        "alpha": "NO",
    }
    with rasterio.open(path, "w", **profile) as chip:
        chip.write(layers)
        chip.update_tags(**tags)
