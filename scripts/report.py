"""What the command says while a scan runs, and once it is done."""

from __future__ import annotations

import datetime as dt
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from detector.alerts import Alert
from detector.appraisal import Appraiser
from detector.params import ChipParams
from detector.pipeline import ForestOf, ProgressReport, ScanParams, ScanResult, scan
from detector.scorer import PatchScorer
from scripts.tile_runs import peak_memory_bytes
from tiles.catalog import Catalogue
from tiles.month import Month
from tiles.watch import WatchedArea

_PIPE_WIDTH = 130
"""Columns of the table where no terminal tells how wide it is."""


@dataclass(frozen=True)
class Cost:
    """What a scan cost: seconds on the clock, and the largest memory of the process in bytes."""

    seconds: float
    peak_memory_bytes: int


def run_with_report(
    catalogue: Catalogue,
    month: Month,
    watched: WatchedArea,
    out: Path,
    params: ScanParams,
    *,
    today: dt.date,
    threads: int | None = None,
    max_requests_per_host: int = 8,
    appraiser: Appraiser | None = None,
    scorer: PatchScorer | None = None,
    forest: ForestOf | None = None,
    chips: ChipParams | None = None,
) -> tuple[ScanResult, Cost]:
    """Scan, with a progress bar on a terminal and a JSON line an event elsewhere; see `detector.pipeline.scan`."""
    started = time.monotonic()
    with _progress(month) as progress:
        result = scan(
            catalogue,
            month,
            watched,
            out,
            params,
            today=today,
            threads=threads,
            max_requests_per_host=max_requests_per_host,
            progress=progress,
            appraiser=appraiser,
            scorer=scorer,
            forest=forest,
            chips=chips,
        )
    return result, Cost(time.monotonic() - started, peak_memory_bytes())


def bars() -> Progress:
    """Progress bars on the terminal of stderr, gone at their end."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True)


def worth_a_line(done: int, total: int) -> bool:
    """Whether a window is one of the ten of a tile that a log tells: it is read by people."""
    return done == total or done * 10 // total > (done - 1) * 10 // total


def output_console() -> Console:
    """Where results are printed: as wide as the terminal, or as a page where there is none."""
    return Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH, highlight=False)


@contextmanager
def _progress(month: Month) -> Iterator[ProgressReport]:
    if sys.stderr.isatty():
        with bars() as bar:
            tasks = {}

            def on_bar(tile: str, done: int, total: int) -> None:
                if tile not in tasks:
                    tasks[tile] = bar.add_task(f"{tile} {month}", total=total)
                bar.update(tasks[tile], completed=done)

            yield on_bar
        return

    def on_line(tile: str, done: int, total: int) -> None:
        if worth_a_line(done, total):
            event = {"event": "progress", "month": str(month), "tile": tile, "windows": done, "of": total}
            print(json.dumps(event), file=sys.stderr, flush=True)

    yield on_line


def print_result(result: ScanResult, cost: Cost, out: Path) -> None:
    """Print the alerts as a table, what was left out, and a line of totals."""
    console = output_console()
    if result.alerts:
        console.print(_table(result))
    for skipped in result.skipped:
        console.print(f"left out: {skipped.id}: {skipped.reason}", markup=False, soft_wrap=True)
    for idle in result.idle_tiles:
        console.print(f"left out: {idle}", markup=False, soft_wrap=True)
    unread = {scene: reason for tile in result.tiles for scene, reason in tile.infrared_unread.items()}
    for scene, reason in sorted(unread.items()):
        console.print(f"infrared not read: {scene}: {reason}", markup=False, soft_wrap=True)
    if result.alerts and result.warnings:
        console.print(not_known(result.warnings, "scan.json"), markup=False, soft_wrap=True)
    if any(alert.cause for alert in result.alerts):
        console.print(causes(result.alerts), markup=False, soft_wrap=True)
    console.print(totals(result, cost), markup=False, soft_wrap=True)
    console.print(f"Written to {out}: alerts.geojson, features.parquet, scan.json, change maps.", markup=False)


def not_known(warnings: Sequence[str], where: str) -> str:
    """One line on what is not known of the alerts, and where the rest of it stands."""
    more = f" (and {len(warnings) - 1} more, in {where})" if len(warnings) > 1 else ""
    return f"Not known of the alerts: {warnings[0]}{more}"


def causes(alerts: Sequence[Alert]) -> str:
    """One line: how many alerts of each cause, and how many that may be abusive."""
    counts = Counter(alert.cause for alert in alerts if alert.cause is not None)
    told = ", ".join(f"{number} {cause}" for cause, number in sorted(counts.items(), key=lambda one: (-one[1], one[0])))
    abusive = Counter(alert.potentially_abusive for alert in alerts)
    return f"Causes: {told}. Potentially abusive: {abusive[True]} yes, {abusive[False]} no, {abusive[None]} not known."


def totals(result: ScanResult, cost: Cost) -> str:
    """One line: alerts and hectares, scenes, forest seen, and what it cost."""
    scenes = sum(len(tile.plan.scenes) for tile in result.tiles)
    forest_ha = sum(tile.tally.watched * tile.plan.grid.pixel_m**2 for tile in result.tiles) / 10_000
    hectares = sum(alert.area_ha for alert in result.alerts)
    return (
        f"{result.month}: {len(result.alerts)} alerts, {hectares:.2f} ha (mapped area, uncorrected); "
        f"{scenes} scenes read, {len(result.skipped)} left out; "
        f"{result.observed_share:.1%} of {forest_ha:,.0f} ha of forest observed; "
        f"{cost.seconds:.1f} s, {cost.peak_memory_bytes / 1e6:.0f} MB at most, {result.bytes_read / 1e6:.1f} MB read."
    )


def _table(result: ScanResult) -> Table:
    table = Table(title=f"Alerts of {result.month}")
    table.add_column("alert", no_wrap=True)
    table.add_column("state")
    for heading in ("ha", "last intact", "first low", "NDVI before", "after", "longitude", "latitude"):
        table.add_column(heading, justify="right", no_wrap=True)
    for alert in sorted(result.alerts, key=lambda alert: (-alert.area_ha, alert.id)):
        place = alert.geometry.representative_point()
        table.add_row(
            alert.id,
            alert.state,
            f"{alert.area_ha:.2f}",
            str(alert.last_intact or ""),
            str(alert.first_low),
            "" if alert.ndvi_before is None else f"{alert.ndvi_before:.2f}",
            "" if alert.ndvi_after is None else f"{alert.ndvi_after:.2f}",
            f"{place.x:.5f}",
            f"{place.y:.5f}",
        )
    return table
