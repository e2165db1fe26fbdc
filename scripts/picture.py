"""One picture of a scan: the forest before, after, the change, and the alerts' outlines."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import geopandas as gpd
import numpy as np
import pystac
import rasterio
from numpy.typing import NDArray

from detector.alerts import AlertState
from detector.pipeline import ScanResult
from tiles import kernels
from tiles.clear import CLEAR_CLASSES, class_bits
from tiles.errors import MissingDependencyError
from tiles.grid import Grid
from tiles.placing import put_file
from tiles.scene import QUANTIFICATION, Band, Scene

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BRIGHTEST_FOREST = 0.12
"""Reflectance shown white: forest is dark, so that the usual 0.3 would show it black."""

_OUTLINES = {AlertState.CONFIRMED: "#ff3b30", AlertState.PROVISIONAL: "#ffb020"}


def draw_alerts(catalogue: Path, result: ScanResult, target: Path) -> None:
    """Draw the first tile of a scan: before, after, change of NDVI, outlines.

    Parameters
    ----------
    catalogue
        Root of the archive, whose items have ``blue``, ``green`` and ``red`` assets.
    result
        The scan.
    target
        PNG to write.

    Raises
    ------
    MissingDependencyError
        When matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingDependencyError('The picture needs matplotlib: run `pip install "sylvigie[demo]"`.') from error
    plan = result.tiles[0].plan
    items = {item.id: item for item in pystac.Catalog.from_file(str(catalogue)).get_items(recursive=True)}
    before, after = _pair(result, {item.id: float(item.properties["eo:cloud_cover"]) for item in items.values()})
    outlines = gpd.GeoDataFrame(
        {"state": [alert.state for alert in result.alerts]},
        geometry=[alert.geometry for alert in result.alerts],
        crs="EPSG:4326",
    ).to_crs(plan.grid.crs)

    figure = Figure(figsize=(15, 5.9), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, 3)
    left, bottom, right, top = plan.grid.bounds
    extent = (left, right, bottom, top)
    panels[0].imshow(_true_colour(items[before.id]), extent=extent, interpolation="nearest")
    panels[0].set_title(f"Avant · Before\n{before.day}", fontsize=14)
    panels[1].imshow(_true_colour(items[after.id]), extent=extent, interpolation="nearest")
    panels[1].set_title(f"Après · After\n{after.day}", fontsize=14)
    change = _change(before, after, plan.grid)
    shown = panels[2].imshow(change, extent=extent, interpolation="nearest", cmap="RdYlGn", vmin=-0.5, vmax=0.5)
    panels[2].set_title(f"Changement de NDVI · NDVI change\n{before.day} → {after.day}", fontsize=14)
    figure.colorbar(shown, ax=panels[2], shrink=0.8)
    for panel in panels[1:]:
        _draw_outlines(panel, outlines, "#111111" if panel is panels[2] else None)
    for panel in panels:
        panel.set_axis_off()
    _draw_scale(panels[0], plan.grid)
    hectares = sum(alert.area_ha for alert in result.alerts)
    figure.suptitle(
        f"Sylvigie : {len(result.alerts)} alertes, {hectares:.1f} ha (surface cartographiée, non corrigée)\n",
        fontsize=16,
        fontweight="bold",
    )
    figure.supxlabel(
        "Images Sentinel-2 réelles (Copernicus), forêt de Roumanie, par le paquet nrt (Commission européenne, JRC). "
        "Rouge : confirmée ; orange : provisoire. · Real images; red: confirmed, orange: provisional.",
        fontsize=9,
    )
    temporary = target.with_name(f".{target.name}.partial")
    figure.savefig(temporary, dpi=100, format="png", metadata={"Software": None})
    put_file(temporary, target)


def _pair(result: ScanResult, cloud_pct: dict[str, float]) -> tuple[Scene, Scene]:
    """The clearest scene since most alerts' first low, and the one nearest to its season before their last intact."""
    plan = result.tiles[0].plan
    lows = Counter(alert.first_low for alert in result.alerts)
    intact = [alert.last_intact for alert in result.alerts if alert.last_intact]
    first_low = lows.most_common(1)[0][0] if lows else plan.month.first_day
    last_intact = min(intact) if intact else plan.monitored[0].day
    after = min(
        (scene for scene in plan.monitored if scene.day >= first_low),
        key=lambda scene: (cloud_pct[scene.id], scene.day),
    )
    earlier = [scene for scene in plan.scenes if scene.day <= last_intact]
    clearest = min(cloud_pct[scene.id] for scene in earlier)
    year_before = after.day - dt.timedelta(days=365)
    before = min(
        (scene for scene in earlier if cloud_pct[scene.id] <= clearest + 1),
        key=lambda scene: abs((scene.day - year_before).days),
    )
    return before, after


def _true_colour(item: pystac.Item) -> NDArray[np.float64]:
    bands = [_read(item.assets[name].get_absolute_href()) for name in ("red", "green", "blue")]
    reflectance = np.stack(bands, axis=-1) / QUANTIFICATION
    # A square root brings out the dark forest, as a photograph's gamma does.
    return np.asarray(np.sqrt(np.clip(reflectance / _BRIGHTEST_FOREST, 0, 1)))


def _change(before: Scene, after: Scene, grid: Grid) -> NDArray[np.float64]:
    """NDVI after minus before, NaN where either is not clear."""
    out = np.empty(grid.shape, np.int16)
    first, second = ([_read(scene.hrefs[band]) for band in (Band.RED, Band.NIR, Band.SCL)] for scene in (before, after))
    clear = class_bits(CLEAR_CLASSES)
    kernels.ndvi_change(
        first[0],
        first[1],
        first[2],
        before.known_offset,
        second[0],
        second[1],
        second[2],
        after.known_offset,
        clear,
        out,
    )
    return np.where(out == kernels.MISSING, np.nan, out / kernels.NDVI_SCALE)


def _read(href: str | None) -> NDArray[Any]:
    with rasterio.open(href) as dataset:
        return np.asarray(dataset.read(1))


def _draw_outlines(panel: Axes, outlines: gpd.GeoDataFrame, colour: str | None) -> None:
    for state, part in outlines.groupby("state"):
        part.boundary.plot(ax=panel, color=colour or _OUTLINES[AlertState(state)], linewidth=1.6)


def _draw_scale(panel: Axes, grid: Grid) -> None:
    left, bottom, right, _ = grid.bounds
    margin = (right - left) / 25
    panel.plot([left + margin, left + margin + 200], [bottom + margin] * 2, color="white", linewidth=4)
    panel.text(left + margin, bottom + 1.5 * margin, "200 m", color="white", fontsize=11)
