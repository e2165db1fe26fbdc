"""Real layers and real clear-cuts: where they lie, what forest they were, how steep the ground is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from rasterio.crs import CRS

from detector.context import Described, ForestType, describe
from detector.outlines import Geometries, measure, to_wgs84
from tests.fakes.layers import FakeLayers, FakeRaster, FakeVector, layers_of, vector
from tests.oracles import terrain as oracle


def _described(lonlat: Geometries, layers: FakeLayers) -> Described:
    on = np.full(lonlat.size, np.datetime64("2024-08-01", "D"))
    return describe(lonlat, measure(lonlat)[0], on, layers, threads=1)


def _frame(path: Path, **options: Any) -> gpd.GeoDataFrame:
    if not path.exists():
        pytest.skip(f"no {path.name} beside the checkout")
    return gpd.read_file(path, **options).to_crs(2154)


def _named(name: str, frame: gpd.GeoDataFrame, **more: Any) -> FakeVector:
    columns = {"insee": frame["code"].tolist(), "name": frame["nom"].tolist()} | more
    return vector(name, frame.geometry.tolist(), **columns)


@pytest.fixture
def real_cuts(shared_data: Path) -> Geometries:
    frame = _frame(shared_data / "labels" / "brigade_sample_clear_cuts_2024.geojson")
    return to_wgs84(frame.geometry.to_numpy(), CRS.from_epsg(2154))


def test_real_cuts_lie_in_their_departements_and_communes(shared_data: Path, real_cuts: Geometries) -> None:
    folder = shared_data / "layers"
    departements = _frame(folder / "departements_2018.geojson")
    landes, gironde = (_frame(folder / f"communes-{name}-2018.geojson") for name in ("40-landes", "33-gironde"))
    regions = _frame(folder / "regions_2018.geojson")
    both = gpd.pd.concat([landes, gironde], ignore_index=True)
    layers = layers_of(
        _named("departements", departements, region=[None] * len(departements)),
        _named("communes", both, departement=both["code"].str[:2].tolist(), region=["75"] * len(both)),
        _named("regions", regions),
    )
    result = _described(real_cuts, layers)
    found = [context.departement for context in result.contexts]
    # Three are in Switzerland and in Italy: the detections do not stop at the border.
    assert found == ["47", "40", "24", "40", None, "79", None, "40", "33", "40", "33", None, None]
    for context in result.contexts:
        if context.departement in ("33", "40"):
            assert context.commune_insee is not None
            assert context.commune_insee.startswith(context.departement)
            assert sum(place.share for place in context.communes) == pytest.approx(1, abs=1e-3)
        else:
            assert context.commune is None
        inside = {"24", "33", "40", "47", "79"}
        assert (context.region_name == "Nouvelle-Aquitaine") == (context.departement in inside)


@pytest.mark.parametrize("name", ["maures", "couchey"])
def test_forest_of_bd_foret(shared_data: Path, name: str) -> None:
    cells = _frame(shared_data / "layers" / f"{name}.gpkg", layer="bdforet_v2")
    layer = vector(
        "forest", cells.geometry.tolist(), code_tfv=cells["code_tfv"].tolist(), essence=cells["essence"].tolist()
    )
    rng = np.random.default_rng(1)
    centres = shapely.get_coordinates(shapely.point_on_surface(rng.choice(cells.geometry.to_numpy(), 40)))
    squares = shapely.box(*(centres - 120).T, *(centres + 120).T)
    result = _described(to_wgs84(squares, CRS.from_epsg(2154)), layers_of(layer))
    kinds, overlaps = set(), False
    for square, context in zip(squares, result.contexts, strict=True):
        met = cells[cells.intersects(square)].clip(square)
        area = met.dissolve("code_tfv").area / square.area
        # Some of the real polygons overlap: their ground is counted once.
        once = met.union_all().area / square.area / area.sum()
        overlaps = overlaps or once < 0.999
        assert context.forest_shares == pytest.approx((area[area > 0] * once).to_dict(), rel=1e-6, abs=1e-9)
        kinds.add(context.forest_type)
    assert overlaps
    assert len(kinds) >= 5
    assert not kinds & {None, ForestType.OTHER}


def test_slopes_of_the_cevennes(shared_data: Path) -> None:
    path = shared_data / "layers" / "dem_cevennes_utm31_30m.tif"
    if not path.exists():
        pytest.skip("no terrain of the Cévennes beside the checkout")
    with rasterio.open(path) as file:
        transform = file.transform
        rows, cols = np.random.default_rng(2).integers(100, 1400, (2, 30))
        # Patches of pixels of 10 m, as Sentinel-2's grid of the zone has them: 15 to 36 ha, on pixels of 30 m.
        left, top = (np.round(value, -1) for value in (transform.c + 30 * cols, transform.f - 30 * rows))
        outlines = [
            shapely.box(x, y - 300, x + 500, y).union(shapely.box(x, y - 700, x + 200, y))
            for x, y in zip(left, top, strict=True)
        ]
        lonlat = to_wgs84(np.array(outlines, object), file.crs)
        result = _described(lonlat, layers_of(FakeRaster("elevation", (path,))))
        blocks = np.array([context.slope_block_ha for context in result.contexts]) / measure(lonlat)[0]
        for outline, row, col, context, block in zip(outlines, rows, cols, result.contexts, blocks, strict=True):
            window = rasterio.windows.Window(col - 2, row - 2, 24, 32)
            east, south = oracle.horn_gradient(file.read(1, window=window).astype(np.float32))
            slope_pct = 100 * np.hypot(east, south) / 30
            place = rasterio.windows.transform(rasterio.windows.Window(col - 1, row - 1, 1, 1), transform)
            laid = shapely.transform(outline, lambda xy, to=~place: np.column_stack(to @ tuple(xy.T)))
            share = oracle.cover_pixels(laid, *slope_pct.shape)
            # UTM's metres are 0.04 % short of those on the ground.
            assert context.slope_mean_pct == pytest.approx((share * slope_pct).sum() / share.sum(), rel=1e-3)
            assert context.slope_max_pct == pytest.approx(slope_pct[share > 1e-6].max(), rel=1e-3)
            assert block <= share[slope_pct >= 30 * (1 - 1e-3)].sum() / share.sum() + 1e-6
    assert blocks.max() > 0.9
    assert blocks.min() < 0.1
