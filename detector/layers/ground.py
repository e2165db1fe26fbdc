"""The ground that a layer speaks of: what tells "nothing there" from "not known"; see ADR 0012."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import pyogrio
import shapely

from detector.layers.definitions import Coverage, Definition
from detector.layers.insee import is_departement
from detector.layers.store import CRS, LayerStore
from tiles.errors import LayerError

FRANCE_2154 = shapely.box(0, 5_900_000, 1_350_000, 7_250_000)
"""Box around metropolitan France in Lambert-93, with a margin of 60 km or more: its mainland and islands lie between
(99 000, 6 046 000) and (1 243 000, 7 110 000)."""
FRANCE, EXTENT = "france", "extent"


@dataclass(frozen=True)
class Ground:
    """An area in EPSG:2154, and how it was told."""

    geometry: shapely.Geometry
    said: str


def parse_ground(text: str, store: LayerStore) -> Ground | None:
    """What a user says that a file speaks of.

    Parameters
    ----------
    text
        ``france``; ``extent`` for the rectangle around its features (None is given back: they are not read yet); codes
        of départements such as ``33,40``, which the layer `departements` draws; or a file of polygons.
    store
        Holds the départements.

    Raises
    ------
    LayerError
        When it is none of these, or the départements are not installed.
    """
    if text == EXTENT:
        return None
    if text == FRANCE:
        return Ground(FRANCE_2154, "metropolitan France")
    codes = [code.strip().upper().zfill(2) for code in text.split(",")]
    if all(map(is_departement, codes)):
        return departements_ground(codes, store)
    path = Path(text)
    if not path.exists():
        raise LayerError(f"--covers {text} is no file, no code of a département, nor `france` or `extent`.")
    return Ground(_polygons(path), path.name)


def departements_ground(codes: Sequence[str], store: LayerStore) -> Ground:
    """The area of some départements.

    Raises
    ------
    LayerError
        When the layer of départements is not installed, or does not hold one of them.
    """
    layer = store.vector("departements")
    if layer is None:
        raise LayerError(
            "The area of a département is not known: fetch the départements first, by `sylvigie layers fetch "
            "departements`, or import a file of them."
        )
    frame = layer.read(columns=["insee"])
    missing = sorted(set(codes) - set(frame["insee"]))
    if missing:
        raise LayerError(f"The layer of départements does not hold {', '.join(missing)}: import all of them.")
    words = "département " if len(codes) == 1 else "départements "
    return Ground(shapely.union_all(frame.geometry[frame["insee"].isin(codes)]), words + ", ".join(codes))


def own_ground(what: Definition, features: gpd.GeoDataFrame) -> Ground:
    """What a whole file speaks of, where the user does not say it.

    Raises
    ------
    LayerError
        When it cannot be told from the file.
    """
    match what.coverage:
        case Coverage.FRANCE:
            return Ground(FRANCE_2154, "metropolitan France")
        case Coverage.OWN:
            return Ground(_union(features), "the union of its features")
        case Coverage.FEATURES:
            return Ground(_union(features), "its features alone: outside them nothing is known")
        case Coverage.ASKED:
            raise LayerError(
                f"What ground the file of {what.name} speaks of cannot be told from it: where it has nothing, there "
                "may be nothing, or it may not reach there. Say it by --covers: codes of départements, `france`, "
                "`extent` for the rectangle around its features, or a file of polygons."
            )


def extent_ground(features: gpd.GeoDataFrame) -> Ground:
    """The rectangle around features."""
    return Ground(shapely.box(*features.total_bounds), "the rectangle around its features")


def _union(features: gpd.GeoDataFrame) -> shapely.Geometry:
    shapes = features.geometry.array
    # 35 000 communes that share their borders to the last vertex are laid together in a tenth of the time. Where they
    # do not, the result is wrong without a word: then the areas do not add up.
    quick = shapely.coverage_union_all(shapes)
    if shapely.is_valid(quick) and abs(quick.area - shapely.area(shapes).sum()) <= 1e-9 * quick.area:
        return quick
    try:
        return shapely.union_all(shapes)
    except shapely.GEOSException:
        # Snapped to a millimetre, where rounding makes two edges cross.
        return shapely.union_all(shapes, grid_size=1e-3)


def _polygons(path: Path) -> shapely.Geometry:
    try:
        if len(layers := pyogrio.list_layers(path)) > 1:
            raise LayerError(f"--covers {path} holds {len(layers)} layers: give a file with the one that is meant.")
        frame = gpd.read_file(path)
    except LayerError:
        raise
    except Exception as error:  # GDAL's own words, of whatever kind
        raise LayerError(f"--covers {path} cannot be read ({error}).") from error
    if not isinstance(frame, gpd.GeoDataFrame) or frame.crs is None:
        raise LayerError(f"--covers {path} holds no polygons with a CRS.")
    area = shapely.union_all(shapely.make_valid(shapely.force_2d(frame.to_crs(CRS).geometry.array)))
    if not area.area > 0:
        raise LayerError(f"--covers {path} holds no polygon.")
    return area
