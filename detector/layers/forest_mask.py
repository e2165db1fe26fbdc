"""What is watched as forest on a tile: BD Forêt where it speaks, tree cover where it does not; see ADR 0012.

A mask is written once a tile and kept under a name that says what it was made of: other layers, another grid or other
parameters make another one.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import rasterio
import rasterio.features
import rasterio.warp
import shapely
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from detector.layers.manifest import Bounds, broken
from detector.layers.store import CRS, LAYERS_FOLDER, LayerStore, RasterLayer, VectorLayer
from tiles.errors import InvalidParameterError, OutputError
from tiles.grid import Grid
from tiles.placing import PARTIAL, put_file
from tiles.watch import mask_profile

NOT_FOREST, BY_BD_FORET, BY_TREE_COVER, UNKNOWN = 0, 1, 2, 255
"""Values of a mask's pixels; the last is its no-data value."""

_MADE_AS = 1
"""Raised when masks are made otherwise, so that older ones are not taken for the same."""
_WINDOW_PX = 2048
_STRAIGHT_M = 1000.0
"""Longest piece of an outline that is taken to another CRS by its ends alone; see `tiles.watch`."""
_MARGIN_M = 100.0


class ForestClass(StrEnum):
    """Groups of BD Forêt v2's 32 types of vegetation.

    IGN: "BD Forêt version 2.0, descriptif de contenu", 2016; "La cartographie forestière, version 2, guide technique".
    """

    CLOSED = "closed"
    """FF1, FF2, FF3: trees cover 40 % or more."""
    OPEN = "open"
    """FO1, FO2, FO3: trees cover 10 to 40 %."""
    BARE = "bare"
    """FF0, FO0: "jeune peuplement ou coupe rase ou incident"."""
    POPLAR = "poplar"
    """FP: poplar plantations."""
    HEATH = "heath"
    """LA4."""
    GRASS = "grass"
    """LA6."""
    UNKNOWN = "unknown"
    """A code that is none of these, or none at all."""


_CLASS_OF_PREFIX = {
    "FF0": ForestClass.BARE,
    "FO0": ForestClass.BARE,
    "FF": ForestClass.CLOSED,
    "FO": ForestClass.OPEN,
    "FP": ForestClass.POPLAR,
    "LA4": ForestClass.HEATH,
    "LA6": ForestClass.GRASS,
}

WATCHED = (ForestClass.CLOSED, ForestClass.OPEN, ForestClass.BARE, ForestClass.POPLAR)


@dataclass(frozen=True)
class ForestMaskParams:
    """What counts as forest.

    Parameters
    ----------
    watched
        Groups of BD Forêt. By default all that is forest to IGN: young stands and clearings too, since what was bare
        when the photograph was taken, in 2005 to 2018, has grown since; heath and grass are not.
    min_tree_cover_pct
        Least tree cover of a pixel, in percent: 10, as of FAO's definition of forest (FRA 2020, "Terms and
        definitions": a canopy cover of more than 10 percent).
    """

    watched: tuple[ForestClass, ...] = WATCHED
    min_tree_cover_pct: float = 10.0

    def __post_init__(self) -> None:
        if not 0 < self.min_tree_cover_pct <= 100:
            raise InvalidParameterError(f"min_tree_cover_pct is {self.min_tree_cover_pct:g}: give 0 to 100 percent.")
        if not self.watched:
            raise InvalidParameterError("No group of BD Forêt is watched: name one or more.")


@dataclass(frozen=True)
class ForestOnGrid:
    """A tile's forest mask.

    Parameters
    ----------
    path
        Raster on the tile's grid: `BY_BD_FORET` or `BY_TREE_COVER` in forest, `NOT_FOREST`, and `UNKNOWN` (no data)
        where no layer speaks. `tiles.watch.WatchedArea(forest_raster=path)` watches the forest.
    identity
        Name of what it was made of.
    forest_share, by_tree_cover_share, unknown_share
        Shares of the grid's pixels: forest, forest that only tree cover knows, and ground that no layer knows.
    unknown_codes
        Codes of BD Forêt that are of no group, and so not watched.
    sources
        Names and content of the layers that it was made of.
    """

    path: Path
    identity: str
    forest_share: float
    by_tree_cover_share: float
    unknown_share: float
    unknown_codes: tuple[str, ...]
    sources: dict[str, str]


MASKS_FOLDER = "forest-masks"
"""Of the layers' folder: masks of tiles, named by what they were made of."""


def forest_class(code_tfv: str | None) -> ForestClass:
    """Group of a type of vegetation of BD Forêt v2, by its ``code_tfv``."""
    code = "" if code_tfv is None or pd.isna(code_tfv) else code_tfv.strip().upper()
    return _CLASS_OF_PREFIX.get(code[:3]) or _CLASS_OF_PREFIX.get(code[:2], ForestClass.UNKNOWN)


def forest_on(
    store: LayerStore,
    grid: Grid,
    folder: Path,
    params: ForestMaskParams = ForestMaskParams(),
) -> ForestOnGrid | None:
    """The forest mask of a tile, made where it is not there yet.

    Parameters
    ----------
    store
        Holds `forest`, `tree_cover`, or both.
    grid
        Of the tile.
    folder
        Where masks are kept.
    params
        What counts as forest.

    Returns
    -------
    ForestOnGrid or None
        None where neither layer is installed: what is forest is not known then.

    Raises
    ------
    LayerError
        When a layer is broken.
    OutputError
        When the disk does not take the mask.
    """
    forest, cover = store.vector("forest"), store.raster("tree_cover")
    if forest is None and cover is None:
        return None
    layers = {layer.name: layer.provenance.sha256 for layer in (forest, cover) if layer is not None}
    identity = _identity(layers, grid, params)
    path = folder / f"forest-{identity[:16]}.tif"
    if not path.exists():
        _write(path, identity, _Forest(forest, params), cover, grid, params)
    return _described(path, identity, layers)


def forest_of_layers(data_dir: Path) -> Callable[[Grid], Path | None]:
    """What gives the forest of a tile from the layers of a data directory, and None where none of them says it."""
    store = LayerStore(data_dir / LAYERS_FOLDER)

    def forest(grid: Grid) -> Path | None:
        found = forest_on(store, grid, data_dir / LAYERS_FOLDER / MASKS_FOLDER)
        return None if found is None else found.path

    return forest


def _identity(layers: dict[str, str], grid: Grid, params: ForestMaskParams) -> str:
    made_of = {
        "made_as": _MADE_AS,
        "layers": layers,
        "params": asdict(params),
        "grid": [grid.crs.to_wkt(), list(grid.transform)[:6], list(grid.shape)],
    }
    return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()


class _Forest:
    """BD Forêt's polygons of the watched groups, window by window."""

    def __init__(self, layer: VectorLayer | None, params: ForestMaskParams) -> None:
        self._layer = layer
        self._watched = set(params.watched)
        self.unknown_codes: set[str] = set()

    def burn(self, grid: Grid, window: Window, mask: NDArray[np.uint8]) -> None:
        """Write what BD Forêt knows of a window on a mask that is `UNKNOWN` there."""
        if self._layer is None:
            return
        left, bottom, right, top = rasterio.warp.transform_bounds(grid.crs, CRS, *grid.window_bounds(window))
        bounds = left - _MARGIN_M, bottom - _MARGIN_M, right + _MARGIN_M, top + _MARGIN_M
        ground = shapely.intersection(self._layer.covers, shapely.box(*bounds))
        _burn([ground] if ground.area > 0 else [], NOT_FOREST, grid, window, mask)
        features = self._layer.read(bounds, ["code_tfv"])
        groups = features["code_tfv"].map(forest_class, na_action=None)
        self.unknown_codes |= set(features["code_tfv"][groups == ForestClass.UNKNOWN].fillna("none"))
        watched = features.geometry[groups.isin(self._watched).to_numpy(bool)]
        # Polygons that overlap are forest once; one that reaches beyond the ground that the layer speaks of still is.
        _burn(list(watched), BY_BD_FORET, grid, window, mask)


def _burn(shapes: Sequence[Any], value: int, grid: Grid, window: Window, mask: NDArray[np.uint8]) -> None:
    if not shapes:
        return
    placed = gpd.GeoSeries(list(shapes), crs=CRS).segmentize(_STRAIGHT_M).to_crs(grid.crs)
    rasterio.features.rasterize(
        ((shape, value) for shape in placed if not shape.is_empty), out=mask, transform=grid.window_transform(window)
    )


def _write(
    path: Path, identity: str, forest: _Forest, cover: RasterLayer | None, grid: Grid, params: ForestMaskParams
) -> None:
    """Write a mask beside, and rename it once all of it is there."""
    counts = np.zeros(256, np.int64)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=PARTIAL, dir=path.parent, ignore_cleanup_errors=True) as beside:
            written = Path(beside) / path.name
            with (
                rasterio.open(written, "w", **mask_profile(grid), nodata=UNKNOWN) as raster,
                _covers_on(cover, grid) as covers,
            ):
                for window in grid.windows(_WINDOW_PX):
                    mask = np.full((window.height, window.width), UNKNOWN, np.uint8)
                    forest.burn(grid, window, mask)
                    _add_tree_cover(covers, window, mask, params.min_tree_cover_pct)
                    counts += np.bincount(mask.ravel(), minlength=256)
                    raster.write(mask, 1, window=window)
                raster.update_tags(**_tags(identity, counts, forest.unknown_codes))
            _check_written(written, counts, grid)
            put_file(written, path)
    except (RasterioError, OSError) as error:
        raise OutputError(
            f"The forest mask cannot be written to {path} ({error}): make room there, or choose another data directory."
        ) from error


def _check_written(path: Path, counts: NDArray[np.int64], grid: Grid) -> None:
    """What a full disk does not take when a file is closed, GDAL keeps to itself."""
    there = np.zeros(256, np.int64)
    with rasterio.open(path) as raster:
        for window in grid.windows(_WINDOW_PX):
            there += np.bincount(raster.read(1, window=window).ravel(), minlength=256)
    if not np.array_equal(there, counts):
        raise OSError("it is not what was written")


@contextmanager
def _covers_on(layer: RasterLayer | None, grid: Grid) -> Iterator[list[WarpedVRT]]:
    """Files of tree cover that meet a grid, as seen on it."""
    with ExitStack() as opened:
        rasters = []
        for path, (crs, bounds) in zip(layer.paths, layer.bounds, strict=True) if layer is not None else ():
            if _meets(crs, bounds, grid):
                try:
                    dataset = opened.enter_context(rasterio.open(path))
                except RasterioError as error:
                    raise broken("tree_cover", f"{path.name} cannot be read ({error})") from error
                rasters.append(opened.enter_context(_warped(dataset, grid)))
        yield rasters


def _warped(dataset: DatasetReader, grid: Grid) -> WarpedVRT:
    rows, cols = grid.shape
    # Coarser pixels are laid on the grid as they are: a mean of forest and field is neither.
    return WarpedVRT(
        dataset, crs=grid.crs, transform=grid.transform, width=cols, height=rows, resampling=Resampling.nearest
    )


def _meets(crs: str, bounds: Bounds, grid: Grid) -> bool:
    left, bottom, right, top = rasterio.warp.transform_bounds(crs, grid.crs, *bounds)
    mine = grid.bounds
    return bool(left <= mine[2] and right >= mine[0] and bottom <= mine[3] and top >= mine[1])


def _add_tree_cover(covers: Sequence[WarpedVRT], window: Window, mask: NDArray[np.uint8], least_pct: float) -> None:
    """Fill in what BD Forêt does not know."""
    for raster in covers:
        open_ground = mask == UNKNOWN
        if not open_ground.any():
            return
        percent = raster.read(1, window=window, masked=True)
        known = open_ground & ~np.ma.getmaskarray(percent)
        mask[known] = np.where(percent.data[known] >= least_pct, BY_TREE_COVER, NOT_FOREST)


def _tags(identity: str, counts: NDArray[np.int64], unknown_codes: set[str]) -> dict[str, str]:
    return {
        "identity": identity,
        "by_bd_foret": str(counts[BY_BD_FORET]),
        "by_tree_cover": str(counts[BY_TREE_COVER]),
        "unknown": str(counts[UNKNOWN]),
        "unknown_codes": json.dumps(sorted(unknown_codes)),
    }


def _described(path: Path, identity: str, layers: dict[str, str]) -> ForestOnGrid:
    with rasterio.open(path) as raster:
        tags, pixels = raster.tags(), raster.width * raster.height
    by_cover = int(tags["by_tree_cover"])
    return ForestOnGrid(
        path=path,
        identity=identity,
        forest_share=(int(tags["by_bd_foret"]) + by_cover) / pixels,
        by_tree_cover_share=by_cover / pixels,
        unknown_share=int(tags["unknown"]) / pixels,
        unknown_codes=tuple(json.loads(tags["unknown_codes"])),
        sources=layers,
    )
