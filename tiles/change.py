"""The change map: what it says of a pixel, its files, and how to open them in a notebook."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self, cast

import numpy as np
import pystac
import rasterio
import rasterio.shutil
import rioxarray
import shapely
import xarray as xr
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.io import DatasetWriter
from rasterio.windows import Window

from tiles.errors import OutputError
from tiles.grid import Grid
from tiles.month import Month
from tiles.pixel_state import PixelState
from tiles.reader import GDAL_OPTIONS
from tiles.scene import Scene

__all__ = [
    "BLOCK_PX",
    "CHANGE_BANDS",
    "NO_VALUE",
    "STATE_COLOURS",
    "ChangeBand",
    "ChangeMapFiles",
    "ChangeMapWriter",
    "ChangedPixels",
    "PixelState",
    "open_change_map",
    "read_changed_pixels",
    "write_item",
]

NO_VALUE = -32_768
"""No data in the change map's bands."""

BLOCK_PX = 512
"""Side of a block of the files."""


STATE_COLOURS: dict[PixelState, tuple[int, int, int, int]] = {
    PixelState.NOT_FOREST: (0, 0, 0, 0),
    PixelState.INTACT: (27, 94, 63, 255),
    PixelState.PROVISIONAL: (244, 165, 53, 255),
    PixelState.CONFIRMED: (200, 35, 51, 255),
    PixelState.UNOBSERVED: (176, 184, 191, 255),
}
"""Colours (red, green, blue, alpha) of the state map."""


class ChangeBand(NamedTuple):
    """A band of the change map: its name, unit, scale and meaning."""

    name: str
    unit: str
    scale: float
    description: str


CHANGE_BANDS = (
    ChangeBand("ndvi_before", "1", 1e-4, "NDVI expected of the intact forest, mean over the low dates"),
    ChangeBand("ndvi_after", "1", 1e-4, "NDVI observed, mean over the low dates"),
    ChangeBand("ndvi_drop", "1", 1e-4, "ndvi_before minus ndvi_after"),
    ChangeBand("last_intact", "days since 1970-01-01", 1, "last date on which the forest was intact"),
    ChangeBand("first_low", "days since 1970-01-01", 1, "first date on which it was lost"),
    ChangeBand("n_low", "1", 1, "dates that say it is lost"),
    ChangeBand("n_clear_before", "1", 1, "clear dates before first_low, reference included"),
    ChangeBand("n_clear_after", "1", 1, "clear dates since first_low"),
)
"""Bands of the change map: 16-bit integers, with values in provisional and confirmed pixels only."""


@dataclass(frozen=True)
class ChangedPixels:
    """The changed (provisional and confirmed) pixels of a tile, by row, then by column.

    Parameters
    ----------
    row, col : ndarray of int32, shape (pixels,)
        Place on the tile's grid.
    state : ndarray of uint8
        `PixelState`.
    ndvi_before, ndvi_after, ndvi_drop : ndarray of float32
        NDVI; the drop is positive for a loss.
    last_intact, first_low : ndarray of datetime64[D]
        The dates that hold the loss between them.
    n_low, n_clear_before, n_clear_after : ndarray of int16
        Numbers of dates.
    """

    row: NDArray[np.int32]
    col: NDArray[np.int32]
    state: NDArray[np.uint8]
    ndvi_before: NDArray[np.float32]
    ndvi_after: NDArray[np.float32]
    ndvi_drop: NDArray[np.float32]
    last_intact: NDArray[np.datetime64]
    first_low: NDArray[np.datetime64]
    n_low: NDArray[np.int16]
    n_clear_before: NDArray[np.int16]
    n_clear_after: NDArray[np.int16]


@dataclass(frozen=True)
class ChangeMapFiles:
    """Where the files of a tile's change map are."""

    change: Path
    state: Path
    item: Path

    @classmethod
    def under(cls, directory: Path, tile: str, month: Month) -> ChangeMapFiles:
        """Names of the files of a tile and month in a folder."""
        stem = f"{tile}_{month}"
        return cls(directory / f"change_{stem}.tif", directory / f"state_{stem}.tif", directory / f"change_{stem}.json")


_CANNOT_WRITE = (RasterioError, OSError)


class ChangeMapWriter:
    """Takes windows in any order and makes two Cloud-Optimized GeoTIFFs of them.

    Windows without a changed pixel take no room in the change map. Use as a context manager: the files appear when it
    ends without an error.

    Raises
    ------
    OutputError
        When the disk does not take the files.
    """

    def __init__(self, files: ChangeMapFiles, grid: Grid) -> None:
        self._files, self._grid = files, grid
        self._raw = (files.change.with_suffix(".raw.tif"), files.state.with_suffix(".raw.tif"))
        self._changed: list[Window] = []

    def __enter__(self) -> Self:
        try:
            self._open()
        except _CANNOT_WRITE as problem:
            raise self._refusal(problem) from problem
        return self

    def _open(self) -> None:
        rows, cols = self._grid.shape
        base = {
            "driver": "GTiff",
            "width": cols,
            "height": rows,
            "crs": self._grid.crs,
            "transform": self._grid.transform,
            "tiled": True,
            "blockxsize": BLOCK_PX,
            "blockysize": BLOCK_PX,
            "sparse_ok": True,
            "bigtiff": "IF_SAFER",
        }
        self._change: DatasetWriter = rasterio.open(
            self._raw[0], "w", **base, count=len(CHANGE_BANDS), dtype="int16", nodata=NO_VALUE, interleave="band"
        )
        self._state: DatasetWriter = rasterio.open(self._raw[1], "w", **base, count=1, dtype="uint8", nodata=0)
        self._change.scales = [band.scale for band in CHANGE_BANDS]
        self._change.units = [band.unit for band in CHANGE_BANDS]
        for index, band in enumerate(CHANGE_BANDS, start=1):
            self._change.set_band_description(index, band.name)
            self._change.update_tags(index, description=band.description)
        self._state.set_band_description(1, "state")
        self._state.update_tags(1, **{f"class_{state.value}": state.name.lower() for state in PixelState})
        self._state.write_colormap(1, {state.value: colour for state, colour in STATE_COLOURS.items()})

    def write(self, window: Window, change: NDArray[np.int16] | None, state: NDArray[np.uint8]) -> None:
        """Put a window in its place.

        Parameters
        ----------
        window
            Of the tile's grid.
        change : ndarray of int16, shape (bands, rows, cols), or None
            `CHANGE_BANDS`; None where no pixel has changed.
        state : ndarray of uint8, shape (rows, cols)
            `PixelState`.
        """
        try:
            if change is not None:
                self._change.write(change, window=window)
                self._changed.append(window)
            self._state.write(state, 1, window=window)
        except _CANNOT_WRITE as problem:
            raise self._refusal(problem) from problem

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        whole = False
        try:
            self._change.close()
            self._state.close()
            if kind is None:
                self._finish()
                whole = True
        except _CANNOT_WRITE as problem:
            raise self._refusal(problem) from problem
        finally:
            for path in self._raw if whole else (*self._raw, self._files.change, self._files.state):
                path.unlink(missing_ok=True)

    def _finish(self) -> None:
        targets, windows = (self._files.change, self._files.state), (self._changed, self._grid.windows(2 * BLOCK_PX))
        try:
            with ThreadPoolExecutor(2, thread_name_prefix="cog") as pool:
                list(pool.map(_to_cog, self._raw, targets, ("YES", "NO"), windows))
        except _CANNOT_WRITE:
            raise
        except Exception as problem:  # some of GDAL's own errors come through rasterio, of no public class
            raise RasterioError(" ".join(str(problem).split())) from problem

    def _refusal(self, problem: Exception) -> OutputError:
        return OutputError(
            f"The change map cannot be written to {self._files.change.parent} ({problem}): make room there or choose "
            "another folder."
        )


def _to_cog(raw: Path, target: Path, predictor: str, windows: Iterable[Window]) -> None:
    """Make a Cloud-Optimized GeoTIFF of a plain one, and read back the windows that were written to it."""
    # The COG driver's own overviews would pass over every pixel of the eight bands, empty ones too; those of a sparse
    # GeoTIFF with separate bands know what is empty. Nearest, since a mode of states costs a tenth of a month's scan.
    with rasterio.Env(**GDAL_OPTIONS, SPARSE_OK_OVERVIEW="YES"):
        with rasterio.open(raw, "r+") as dataset:
            levels = [2**level for level in range(1, 16) if max(dataset.shape) > BLOCK_PX * 2 ** (level - 1)]
            if levels:
                dataset.build_overviews(levels, Resampling.nearest)
        _copy_to_cog(raw, target, predictor, with_overviews=bool(levels))
        _check_copy(raw, target, windows)


def _copy_to_cog(raw: Path, target: Path, predictor: str, *, with_overviews: bool) -> None:
    rasterio.shutil.copy(
        raw,
        target,
        driver="COG",
        compress="DEFLATE",
        predictor=predictor,
        blocksize=BLOCK_PX,
        overviews="FORCE_USE_EXISTING" if with_overviews else "NONE",
        sparse_ok="YES",
        num_threads="ALL_CPUS",
    )


def _check_copy(raw: Path, target: Path, windows: Iterable[Window]) -> None:
    """Read a copy back: on a disk that fills up while GDAL closes a file, it tells nobody."""
    with rasterio.open(raw) as one, rasterio.open(target) as other:
        for window in windows:
            if not np.array_equal(one.read(window=window), other.read(window=window)):
                raise OSError(f"{target.name} does not hold what was written to it; is the disk full?")


def write_item(
    files: ChangeMapFiles,
    grid: Grid,
    tile: str,
    month: Month,
    scenes: Mapping[str, tuple[Scene, ...]],
    software: str,
) -> None:
    """Write the STAC item that describes a change map and names the scenes it was made from.

    Parameters
    ----------
    files
        The change map; the item goes beside it.
    grid, tile, month
        What it shows.
    scenes
        The scenes used, by what for: ``reference`` and ``monitored``.
    software
        Name and version of what made it.
    """
    west, south, east, north = grid.bounds_wgs84()
    code = grid.crs.to_epsg()
    item = pystac.Item(
        id=files.change.stem,
        geometry=shapely.geometry.mapping(shapely.box(west, south, east, north)),
        bbox=[west, south, east, north],
        datetime=None,
        start_datetime=dt.datetime.combine(month.first_day, dt.time(), dt.UTC),
        end_datetime=dt.datetime.combine(month.last_day, dt.time(23, 59, 59), dt.UTC),
        properties={
            "grid:code": tile if tile.startswith("DEMO") else f"MGRS-{tile}",
            **({"proj:code": f"EPSG:{code}"} if code else {"proj:code": None, "proj:wkt2": grid.crs.to_wkt()}),
            "proj:shape": list(grid.shape),
            "proj:transform": list(grid.transform)[:6],
            "processing:software": {"sylvigie": software},
            "sylvigie:scenes": {use: [scene.id for scene in used] for use, used in scenes.items()},
        },
        stac_extensions=[
            "https://stac-extensions.github.io/grid/v1.1.0/schema.json",
            "https://stac-extensions.github.io/projection/v2.0.0/schema.json",
            "https://stac-extensions.github.io/raster/v2.0.0/schema.json",
            "https://stac-extensions.github.io/processing/v1.2.0/schema.json",
            "https://stac-extensions.github.io/classification/v2.0.0/schema.json",
        ],
    )
    cog = pystac.MediaType.COG
    item.add_asset("change", pystac.Asset(files.change.name, "Change map", media_type=cog, roles=["data"]))
    item.assets["change"].extra_fields["bands"] = [
        {
            "name": band.name,
            "description": band.description,
            "data_type": "int16",
            "nodata": NO_VALUE,
            "unit": band.unit,
            "raster:scale": band.scale,
        }
        for band in CHANGE_BANDS
    ]
    item.add_asset("state", pystac.Asset(files.state.name, "State of each pixel", media_type=cog, roles=["data"]))
    item.assets["state"].extra_fields["classification:classes"] = [
        {
            "value": state.value,
            "name": state.name.lower(),
            "color_hint": "{:02X}{:02X}{:02X}".format(*STATE_COLOURS[state][:3]),
            "nodata": state is PixelState.NOT_FOREST,
        }
        for state in PixelState
    ]
    document = item.to_dict(include_self_link=False, transform_hrefs=False)
    files.item.write_text(json.dumps(document, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def open_change_map(item: str | Path) -> xr.Dataset:
    """Open a change map for a notebook.

    Parameters
    ----------
    item
        The map's STAC item: ``change_<tile>_<month>.json``.

    Returns
    -------
    xarray.Dataset
        Variables ``ndvi_before``, ``ndvi_after``, ``ndvi_drop`` (float32, NaN where the pixel has not changed),
        ``last_intact``, ``first_low`` (datetime64, NaT), ``n_low``, ``n_clear_before``, ``n_clear_after`` (float32,
        NaN) and ``state`` (uint8, `PixelState`) on coordinates ``y``, ``x``; its CRS by ``.rio.crs``. Values are read
        when they are asked for.

    Raises
    ------
    OutputError
        When the item or its files are not there.
    """
    try:
        described = json.loads(Path(item).read_text(encoding="utf-8"))
        change, state = (
            cast("xr.Dataset", rioxarray.open_rasterio(Path(item).parent / asset["href"], band_as_variable=True))
            for asset in (described["assets"]["change"], described["assets"]["state"])
        )
    except (OSError, KeyError, ValueError, RasterioError) as error:
        raise OutputError(f"No change map can be opened at {item} ({error}).") from error
    variables: dict[str, xr.DataArray] = {}
    for index, band in enumerate(CHANGE_BANDS, start=1):
        layer = change[f"band_{index}"]
        layer.attrs = {"_FillValue": np.int16(NO_VALUE), "long_name": band.description, "units": band.unit}
        if band.scale != 1:
            layer.attrs["scale_factor"] = np.float32(band.scale)
        variables[band.name] = layer
    states = state["band_1"]
    states.attrs = {
        "long_name": "state of the pixel at the end of the month",
        "flag_values": np.array([value.value for value in PixelState], np.uint8),
        "flag_meanings": " ".join(value.name.lower() for value in PixelState),
    }
    dataset = xr.decode_cf(xr.Dataset({**variables, "state": states}))
    dataset.attrs = {"title": described["id"], "scenes": json.dumps(described["properties"]["sylvigie:scenes"])}
    return dataset


def read_changed_pixels(files: ChangeMapFiles) -> ChangedPixels:
    """Read the changed pixels of a change map, block row by block row.

    Memory grows with what has changed, not with the tile.
    """
    parts: list[tuple[NDArray[Any], ...]] = []
    with rasterio.open(files.change) as change, rasterio.open(files.state) as state:
        step = state.block_shapes[0][0]
        for top in range(0, state.height, step):
            window = Window(0, top, state.width, min(step, state.height - top))
            states = state.read(1, window=window)
            # Of one axis: numpy finds the few in a long list several times faster than in a raster.
            changed = np.flatnonzero((states == PixelState.PROVISIONAL) | (states == PixelState.CONFIRMED))
            row, col = np.divmod(changed, state.width)
            if row.size:
                left, right = int(col.min()), int(col.max()) + 1
                bands = change.read(window=Window(left, top, right - left, window.height))
                parts.append((row + top, col, states[row, col], bands[:, row, col - left]))
    if parts:
        row, col, states, values = (np.concatenate(part, axis=-1) for part in zip(*parts, strict=True))
    else:
        row = col = states = np.empty(0, np.int32)
        values = np.empty((len(CHANGE_BANDS), 0), np.int16)
    scaled = {
        band.name: value if band.scale == 1 else (value * band.scale).astype(np.float32)
        for band, value in zip(CHANGE_BANDS, values, strict=True)
    }
    for name in ("last_intact", "first_low"):
        days = scaled[name].astype("datetime64[D]")
        days[scaled[name] == NO_VALUE] = np.datetime64("NaT")
        scaled[name] = days
    return ChangedPixels(row=row.astype(np.int32), col=col.astype(np.int32), state=states.astype(np.uint8), **scaled)
