"""SIMULATED reference layers of a country, and SIMULATED patches in its forest, for the benchmark of the context.

A square of France's area, in Lambert-93. Communes and forest are the cells of jittered lattices, bent alike, so that
neighbours share their edges and no ground is claimed twice; départements are blocks of communes, regions blocks of
départements; zones are blobs of 2,000 corners; the terrain is a fractal that repeats every degree, in tiles of a degree
and an arc second, as Copernicus' GLO-30 has them.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
import rasterio
import shapely
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS

from detector.context import Bounds, EarlierCuts
from detector.outlines import Geometries, measure, to_wgs84, trace_masks

_LEFT, _BOTTOM = 250_000.0, 6_250_000.0
_SIDE_M = 740_000.0
"""Of the whole country: 548,000 km2."""
_UTM = CRS.from_epsg(32631)
_DEM_PX = 3600
_WHOLE = {"communes": 35_000, "forest": 400_000, "zsc": 1_400, "zps": 400, "patches": 100_000}
_FOREST_SHARE = 0.4
_CODES = ("FF1-00-00", "FF1G01-01", "FF2-51-51", "FF2-64-64", "FF31", "FF32", "FO1", "FP", "LA4")
_ESSENCES = ("Feuillus", "Chênes décidus", "Pin maritime", "Douglas", "Mixte", "Mixte", "Feuillus", "Peuplier", "NC")


@dataclass(frozen=True)
class ParquetLayer:
    """A GeoParquet file with its bounds covered, as a layer."""

    name: str
    path: Path
    covers: Bounds

    def read(self, bounds_2154: Bounds | None, columns: Sequence[str] | None) -> gpd.GeoDataFrame:
        """Features whose bounds meet some bounds."""
        wanted = None if columns is None else [*columns, "geometry"]
        return gpd.read_parquet(self.path, columns=wanted, bbox=bounds_2154)


@dataclass(frozen=True)
class RasterTiles:
    """The files of a raster layer."""

    name: str
    paths: tuple[Path, ...]


@dataclass(frozen=True)
class SimulatedFrance:
    """A folder of simulated layers.

    Parameters
    ----------
    folder
        Where they are.
    part
        Side of the square, as a part of the country's: numbers of features go with its square.
    """

    folder: Path
    part: float

    @property
    def bounds(self) -> Bounds:
        """Of the square."""
        side = _SIDE_M * self.part
        return (_LEFT, _BOTTOM, _LEFT + side, _BOTTOM + side)

    def count(self, what: str) -> int:
        """How many features there are to be."""
        return max(1, round(_WHOLE[what] * self.part**2))

    def vector(self, name: str) -> ParquetLayer | None:
        """A layer of polygons."""
        path = self.folder / f"{name}.parquet"
        return ParquetLayer(name, path, self.bounds) if path.exists() else None

    def raster(self, name: str) -> RasterTiles | None:
        """The terrain."""
        paths = tuple(sorted((self.folder / name).glob("*.tif")))
        return RasterTiles(name, paths) if paths else None

    def patches(self) -> gpd.GeoDataFrame:
        """Outlines in WGS 84 with `area_ha` and `first_low`."""
        return gpd.read_parquet(self.folder / "patches.parquet")

    def earlier(self) -> EarlierCuts:
        """As many cuts of the five years before."""
        frame = gpd.read_parquet(self.folder / "earlier.parquet")
        return EarlierCuts(frame.geometry.to_numpy(), frame["first_low"].to_numpy().astype("datetime64[D]"))


def simulate_france(folder: Path, part: float) -> SimulatedFrance:
    """Write the layers, or take those that are there."""
    france = SimulatedFrance(folder, part)
    if (folder / "complete").exists():
        return france
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    _write_administrative(france)
    massifs = _write_forest(france)
    for name, what in (("natura2000_zsc", "zsc"), ("natura2000_zps", "zps")):
        _write_zones(france, name, france.count(what))
    _write_patches(france, massifs, "patches", 3)
    _write_patches(france, massifs, "earlier", 4)
    _write_terrain(france)
    (folder / "complete").touch()
    return france


def _write(france: SimulatedFrance, name: str, frame: gpd.GeoDataFrame) -> None:
    order = np.argsort(frame.geometry.hilbert_distance().to_numpy(), kind="stable")
    frame.iloc[order].to_parquet(
        france.folder / f"{name}.parquet",
        index=False,
        compression="zstd",
        schema_version="1.1.0",
        write_covering_bbox=True,
        row_group_size=1000,
    )


def _cells(france: SimulatedFrance, n: int, points: int, seed: int, chosen: NDArray[np.bool_]) -> Geometries:
    """Cells of a jittered lattice of n x n, those that are chosen, each with 4 * points corners."""
    rng = np.random.default_rng(seed)
    step = _SIDE_M * france.part / n
    rows, cols = np.indices((n + 1, n + 1))
    nodes = np.stack([cols, rows], axis=-1) + rng.uniform(-0.3, 0.3, (n + 1, n + 1, 2))
    nodes[0, :, 1], nodes[n, :, 1], nodes[:, 0, 0], nodes[:, n, 0] = 0, n, 0, n
    row, col = np.nonzero(chosen)
    # Each edge is cut from its first node to its last, whichever way the ring runs: neighbours have the same corners.
    t = np.linspace(0, 1, points + 1)[None, :, None]
    edges = [
        nodes[row + r0, col + c0][:, None] * (1 - t) + nodes[row + r1, col + c1][:, None] * t
        for (r0, c0), (r1, c1) in (((0, 0), (0, 1)), ((0, 1), (1, 1)), ((1, 0), (1, 1)), ((0, 0), (1, 0)))
    ]
    around = [edges[0][:, :-1], edges[1][:, :-1], edges[2][:, :0:-1], edges[3][:, :0:-1]]
    rings = np.concatenate(around, axis=1)
    rings = np.concatenate([rings, rings[:, :1]], axis=1)
    # Bent by waves that are shorter than a cell and too low to fold it; they vanish at the country's edge.
    for wave, height in ((0.9, 0.05), (0.23, 0.012)):
        phase = 2 * np.pi * rings[..., ::-1] / wave
        rings = rings + height * np.sin(phase + 1.3) * np.sqrt(np.maximum(np.sin(np.pi * rings / n), 0))
    return np.asarray(shapely.polygons(rings * step + np.array([_LEFT, _BOTTOM])), object)


def _write_administrative(france: SimulatedFrance) -> None:
    n = max(1, round(math.sqrt(france.count("communes"))))
    communes = _cells(france, n, 40, 1, np.ones((n, n), bool))
    row, col = np.divmod(np.arange(n * n), n)
    departement = np.array([f"{r // 19:02d}{c // 19:02d}" for r, c in zip(row, col, strict=True)])
    region = np.array([f"{r // 57:01d}{c // 57:01d}" for r, c in zip(row, col, strict=True)])
    insee = [f"{number:05d}" for number in range(n * n)]
    columns = {"insee": insee, "name": [f"Commune {code}" for code in insee]}
    frame = gpd.GeoDataFrame(columns | {"departement": departement, "region": region}, geometry=communes, crs=2154)
    _write(france, "communes", frame)
    for name, code, kept in (("departements", departement, True), ("regions", region, False)):
        codes, first = np.unique(code, return_index=True)
        outlines = [shapely.coverage_union_all(communes[code == one]) for one in codes]
        texts = {"insee": codes, "name": [f"{name} {one}" for one in codes]} | (
            {"region": region[first]} if kept else {}
        )
        _write(france, name, gpd.GeoDataFrame(texts, geometry=outlines, crs=2154))


def _write_forest(france: SimulatedFrance) -> Geometries:
    n = max(2, round(math.sqrt(france.count("forest") / _FOREST_SHARE)))
    rng = np.random.default_rng(2)
    woods = _fractal(rng, n, 1.2) + 0.3 * rng.standard_normal((n, n))
    cells = _cells(france, n, 14, 2, woods >= np.quantile(woods, 1 - _FOREST_SHARE))
    kind = rng.integers(0, len(_CODES), cells.size)
    columns = {"code_tfv": np.array(_CODES)[kind], "essence": np.array(_ESSENCES)[kind]}
    _write(france, "forest", gpd.GeoDataFrame(columns, geometry=cells, crs=2154))
    return cells


def _write_zones(france: SimulatedFrance, name: str, n: int) -> None:
    rng = np.random.default_rng(sum(name.encode()))
    left, bottom, right, top = france.bounds
    centre = rng.uniform((left, bottom), (right, top), (n, 2))
    radius = rng.lognormal(math.log(2700), 0.6, n)
    angle = np.linspace(0, 2 * np.pi, 2000, endpoint=False)
    ripple = sum(
        rng.uniform(0, 0.6 / k, (n, 1)) * np.sin(k * angle + rng.uniform(0, 6.3, (n, 1)))
        for k in (2, 3, 5, 9, 17, 60, 200)
    )
    r = radius[:, None] * np.exp(ripple)
    rings = centre[:, None] + np.stack([r * np.cos(angle), r * np.sin(angle)], axis=-1)
    codes = [f"{name}-{number}" for number in range(n)]
    zones = shapely.polygons(rings)
    _write(france, name, gpd.GeoDataFrame({"code": codes, "name": codes}, geometry=zones, crs=2154))


def _write_patches(france: SimulatedFrance, woods: Geometries, name: str, seed: int) -> None:
    """Blobs of pixels of 10 m, in the forest: half a hectare to fifty."""
    rng = np.random.default_rng(seed)
    masks = [_blob(rng) for _ in range(200)]
    shapes = trace_masks(masks, [(0, 0)] * len(masks))
    n = france.count("patches")
    place = to_wgs84(shapely.centroid(woods[rng.integers(0, woods.size, n)]), CRS.from_epsg(2154))
    corner = np.round(_to_utm(place) / 10) * 10
    shape = shapes[rng.integers(0, shapes.size, n)]
    xy, owner = shapely.get_coordinates(shape, return_index=True)
    laid = shapely.set_coordinates(shape.copy(), np.column_stack([xy[:, 0], -xy[:, 1]]) * 10 + corner[owner])
    lonlat = to_wgs84(laid, _UTM)
    area_ha, _ = measure(lonlat)
    last = np.datetime64("2025-06-30" if name == "patches" else "2024-06-30")
    days = last - rng.integers(0, 30 if name == "patches" else 1800, n)
    columns = {"area_ha": area_ha, "first_low": days.astype("datetime64[ms]")}
    gpd.GeoDataFrame(columns, geometry=lonlat, crs="OGC:CRS84").to_parquet(france.folder / f"{name}.parquet")


def _to_utm(points: Geometries) -> NDArray[np.float64]:
    moved = gpd.GeoSeries(points, crs="OGC:CRS84").to_crs(_UTM.to_wkt())
    return np.asarray(shapely.get_coordinates(moved.to_numpy()), np.float64)


def _blob(rng: np.random.Generator) -> NDArray[np.bool_]:
    """A few rectangles that lean, hanging together."""
    side_px = math.sqrt(min(max(rng.lognormal(math.log(2.5), 0.8), 0.5), 40) * 100)
    half = int(2 * side_px)
    rows, cols = np.indices((2 * half, 2 * half)) - half
    mask = np.zeros(rows.shape, bool)
    for _ in range(3):
        turn, (dr, dc) = rng.uniform(0, np.pi), rng.uniform(-side_px / 3, side_px / 3, 2)
        u = (rows - dr) * np.cos(turn) + (cols - dc) * np.sin(turn)
        v = (cols - dc) * np.cos(turn) - (rows - dr) * np.sin(turn)
        mask |= (abs(u) <= side_px * rng.uniform(0.3, 0.6)) & (abs(v) <= side_px * rng.uniform(0.2, 0.4))
    return mask


def _fractal(rng: np.random.Generator, size: int, roughness: float) -> NDArray[np.float64]:
    """A periodic surface of mean 0 and standard deviation 1, whose spectrum falls with this power of the frequency."""
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None])
    frequency[0, 0] = np.inf
    noise = rng.standard_normal(frequency.shape) + 1j * rng.standard_normal(frequency.shape)
    surface = np.fft.irfft2(noise / frequency**roughness, (size, size))
    return np.asarray((surface - surface.mean()) / max(surface.std(), 1e-12), np.float64)


def _write_terrain(france: SimulatedFrance) -> None:
    """One tile of terrain, which goes on where it ends, and is laid down degree by degree."""
    folder = france.folder / "elevation"
    folder.mkdir()
    patches = france.patches()
    west, south, east, north = patches.total_bounds
    size = _DEM_PX if france.part > 0.1 else _DEM_PX // 4
    elevation = 2000 + 900 * _fractal(np.random.default_rng(5), size, 1.9)
    first: Path | None = None
    for lat in range(math.floor(south - 0.01), math.ceil(north + 0.01)):
        for lon in range(math.floor(west - 0.01), math.ceil(east + 0.01)):
            path = folder / f"N{lat:02d}_{lon:+04d}.tif"
            transform = Affine(1 / size, 0, lon, 0, -1 / size, lat + 1)
            if first is None:
                first = path
                with rasterio.open(
                    path, "w", driver="GTiff", height=size, width=size, count=1, dtype="float32", crs="EPSG:4326",
                    transform=transform, tiled=True, blockxsize=512, blockysize=512, compress="deflate", predictor=3,
                    zlevel=1, num_threads=2,
                ) as file:  # fmt: skip
                    file.write(np.round(elevation, 1).astype(np.float32), 1)
                continue
            shutil.copyfile(first, path)
            with rasterio.open(path, "r+") as file:
                file.transform = transform
