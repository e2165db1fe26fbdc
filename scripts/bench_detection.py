"""How many of the demo's openings are found, how many alerts meet none, and how long a second scan takes.

The patches beside which alerts are held were derived by a threshold from the same images and looked at; nobody
surveyed them on the ground. They hold detection up to what an eye sees in the images, not to what happened.
"""

from __future__ import annotations

import datetime as dt
import math
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import geopandas as gpd
import shapely

from detector.params import PatchParams
from detector.pipeline import ScanParams, scan
from scripts.bench_figures import BenchParams, Figure
from scripts.demo_archive import DemoArchive, build_archive
from tiles.catalog import open_catalogue
from tiles.month import Month
from tiles.watch import WatchedArea

_EPSG = 3035  # the demo's own: areas are true in it
_COVERED = 0.25
"""Share of a patch under alerts from which it counts as met."""


@dataclass(frozen=True)
class Goals:
    """What the first issue asks of a month; None where it asks nothing."""

    met: int | None = None
    meet_none: int | None = None
    alerts: int | None = None
    on_road: int | None = None
    cut_between: tuple[dt.date, dt.date, dt.date] | None = None
    """First and last day for `last_intact`, and the last for `first_low`, of the alerts that meet a patch."""


_WINTER = (dt.date(2018, 1, 1), dt.date(2018, 12, 31), dt.date(2019, 6, 16))

_MONTHS: tuple[tuple[Month, float, int, Goals], ...] = (
    (Month(2019, 7), 0.05, 2019, Goals(17, meet_none=3, on_road=0, cut_between=_WINTER)),
    (Month(2019, 6), 0.05, 2019, Goals(met=10)),
    (Month(2018, 7), 0.5, 2018, Goals(alerts=1)),
    (Month(2018, 8), 0.5, 2018, Goals(alerts=1)),
    (Month(2018, 9), 0.5, 2018, Goals(alerts=1)),
    (Month(2018, 7), 0.05, 2018, Goals()),
    (Month(2017, 7), 0.05, 2017, Goals()),
)
"""Month, smallest alert (ha), year of the patches that it is held beside, goals."""


def bench_detection(params: BenchParams) -> Iterator[Figure]:
    """Months of the demo beside the patches that were looked at."""
    if not params.reference.is_file():
        yield Figure("detection", f"left out: there is no {params.reference}", math.nan)
        return
    archive = build_archive(params.work / "romania")
    patches = gpd.read_file(params.reference).to_crs(_EPSG)
    for month, min_area_ha, year, goals in _MONTHS:
        alerts, observed = _scan(archive, month, min_area_ha)
        name, note = f"{month} at {min_area_ha:g} ha: alerts", f"{observed:.0%} of the forest observed"
        yield Figure("detection", name, len(alerts), at_most=goals.alerts, note=note)
        if goals.alerts is None:
            yield from _beside(alerts, patches[patches["year"] == year], _road(patches), goals)
    yield _second_scan(archive, max(2, params.repeats // 2))


def _scan(archive: DemoArchive, month: Month, min_area_ha: float) -> tuple[gpd.GeoDataFrame, float]:
    with TemporaryDirectory() as folder:
        found = scan(
            open_catalogue(str(archive.catalog)),
            month,
            WatchedArea.open(archive.forest_mask, None),
            Path(folder) / "scan",
            ScanParams(patches=PatchParams(min_area_ha=min_area_ha)),
            today=dt.date.today(),
        )
    columns = ("state", "last_intact", "first_low", "geometry")
    rows = [{name: getattr(alert, name) for name in columns} for alert in found.alerts]
    alerts = gpd.GeoDataFrame(rows, columns=list(columns), geometry="geometry", crs="EPSG:4326")
    return alerts.to_crs(_EPSG), found.observed_share


def _road(patches: gpd.GeoDataFrame) -> shapely.Geometry:
    """The road and river along the valley: the one long strip among the patches of 2017."""
    of_2017 = patches[patches["year"] == 2017]
    return of_2017.geometry[of_2017.geometry.area.idxmax()]


def _beside(
    alerts: gpd.GeoDataFrame, patches: gpd.GeoDataFrame, road: shapely.Geometry, goals: Goals
) -> Iterator[Figure]:
    figure = partial(Figure, "detection")
    together = alerts.geometry.union_all()
    covered = patches.geometry.intersection(together).area / patches.geometry.area
    of = f"of {len(patches)}"
    missed = ", ".join(f"{share:.0%}" for share in covered[covered < _COVERED])
    note = f"the others are covered to {missed}" if missed else ""
    yield figure("  patches of the year a quarter covered", int((covered >= _COVERED).sum()), of, goals.met, note=note)
    meets = alerts.geometry.intersects(patches.geometry.union_all())
    yield figure("  alerts that meet none", int((~meets).sum()), at_most=goals.meet_none)
    if goals.cut_between is not None:
        first, last, low = goals.cut_between
        right = [first <= alert.last_intact <= last and alert.first_low <= low for alert in alerts[meets].itertuples()]
        name = f"  of those that meet one, last intact in {first.year} and low by {low}"
        yield figure(name, sum(right), f"of {len(right)}", at_least=len(right))
    yield figure("  alerts on the valley road", int(alerts.geometry.intersects(road).sum()), at_most=goals.on_road)
    for state in ("confirmed", "provisional"):
        yield figure(f"  {state}", int((alerts["state"] == state).sum()), note=_dates(alerts[alerts["state"] == state]))


def _dates(alerts: gpd.GeoDataFrame) -> str:
    if alerts.empty:
        return ""
    ranges = {name: [str(day)[:10] for day in alerts[name].dropna()] for name in ("last_intact", "first_low")}
    return ", ".join(f"{name} {min(days)} to {max(days)}" for name, days in ranges.items() if days)


def _second_scan(archive: DemoArchive, repeats: int) -> Figure:
    """Seconds of the command from start to end, with everything compiled and read before."""
    seconds = []
    with TemporaryDirectory() as folder:
        command = [
            *(sys.executable, "-c", "from scripts.cli import main; main()", "scan"),
            *("--catalog", str(archive.catalog), "--month", "2019-07", "--min-area-ha", "0.05"),
            *("--forest-mask", str(archive.forest_mask), "--out", folder),
        ]
        for _ in range(repeats + 1):
            started = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            seconds.append(time.perf_counter() - started)
    return Figure("detection", "a second `sylvigie scan`, the whole process", median(seconds[1:]), "s", at_most=5)
