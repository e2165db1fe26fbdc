"""The whole story: a catalogue and a month in, a change map and alerts out."""

from __future__ import annotations

import datetime as dt
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from itertools import islice
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd
import rasterio
from shapely.geometry.base import BaseGeometry

from detector.alerts import Alert, ScanContext, build_alerts, write_features, write_geojson
from detector.appraisal import Appraiser
from detector.cause.evidence import Evidence, InfraredSource, Loss, described, read_evidence
from detector.cause.params import EvidenceParams
from detector.chips import CHIPS_FOLDER, SERIES_FILE, ChipsMade, make_chips, write_series
from detector.features import patch_features, with_evidence
from detector.outlines import Geometries, to_wgs84
from detector.params import ChipParams, PatchParams
from detector.patches import Patch, find_patches
from detector.scorer import PatchScorer
from tiles.catalog import Catalogue, Found, SkippedScene
from tiles.change import ChangeMapFiles, ChangeMapWriter, read_changed_pixels, write_item
from tiles.engine import ChangeParams, Tally, TilePlan, available_threads, make_change_map
from tiles.errors import AreaError, GridError, NoSceneError, OutputError, SceneReadError, SylvigieError
from tiles.grid import Grid
from tiles.merging import archive_reader
from tiles.month import Month
from tiles.placing import put_file, put_folder, take_away
from tiles.plan import first_month_needed, plan_tile
from tiles.reader import Reader, gdal_env
from tiles.scene import Scene
from tiles.unreadable import Attempts
from tiles.watch import WatchedArea


@dataclass(frozen=True)
class ScanParams:
    """Parameters of a scan, stage by stage."""

    change: ChangeParams = field(default_factory=ChangeParams)
    patches: PatchParams = field(default_factory=PatchParams)


@dataclass(frozen=True)
class TileResult:
    """What came of a tile.

    `grounds` are the alerts' outlines along the pixel edges, in WGS 84; `infrared_unread` are scenes whose infrared
    could not be read around patches, with the reasons; `chips` is what was pictured.
    """

    plan: TilePlan
    tally: Tally
    alerts: tuple[Alert, ...]
    grounds: tuple[BaseGeometry, ...]
    features: pd.DataFrame
    skipped: tuple[SkippedScene, ...]
    infrared_unread: Mapping[str, str] = field(default_factory=dict)
    chips: ChipsMade = field(default_factory=ChipsMade)


@dataclass(frozen=True)
class ScanResult:
    """What came of a scan.

    Parameters
    ----------
    month
        What was scanned.
    tiles
        Tile by tile.
    skipped
        Scenes left out, with reasons.
    idle_tiles
        Tiles of which nothing could be said, and why.
    bytes_read
        Of raster data, as stored.
    warnings
        What is not known of the alerts, and for want of what.
    """

    month: Month
    tiles: tuple[TileResult, ...]
    skipped: tuple[SkippedScene, ...]
    idle_tiles: tuple[str, ...]
    bytes_read: int
    warnings: tuple[str, ...] = ()

    @property
    def alerts(self) -> list[Alert]:
        """Alerts of all tiles, by identity."""
        return sorted((alert for tile in self.tiles for alert in tile.alerts), key=lambda alert: alert.id)

    @property
    def complete(self) -> bool:
        """Whether every scene of the catalogue that had something to say was heard."""
        return not self.idle_tiles and all(skipped.superseded for skipped in self.skipped)

    @property
    def observed_share(self) -> float:
        """Share of the watched forest that the month's scenes said something of."""
        watched = sum(tile.tally.watched for tile in self.tiles)
        return sum(tile.tally.observed for tile in self.tiles) / watched if watched else 0.0


ForestOf = Callable[[Grid], Path | None]
"""Gives a raster of the forest on a grid; None where that is not known, and all is watched."""


class ProgressReport(Protocol):
    """Called as the work goes on."""

    def __call__(self, tile: str, done: int, total: int) -> None:
        """Windows done, and in all, of a tile."""
        ...


def scan(
    catalogue: Catalogue,
    month: Month,
    watched: WatchedArea,
    out: Path,
    params: ScanParams | None = None,
    *,
    today: dt.date,
    threads: int | None = None,
    max_requests_per_host: int = 8,
    progress: ProgressReport | None = None,
    appraiser: Appraiser | None = None,
    forest: ForestOf | None = None,
    scorer: PatchScorer | None = None,
    chips: ChipParams | None = None,
) -> ScanResult:
    """Scan a month: read the archive, map the change, find patches, publish alerts.

    The folder `out` then holds ``alerts.geojson``, ``features.parquet``, ``scan.json``, and of each tile the change map
    and its STAC item; it is touched only once all are written.

    Parameters
    ----------
    catalogue
        Where scenes come from.
    month
        What is scanned.
    watched
        Forest mask and area of interest.
    out
        Folder of the results.
    params
        How.
    today
        A month after it is refused.
    threads
        Decoding and computing threads; as many as processors by default.
    max_requests_per_host
        Requests that are under way to one host at most.
    progress
        Told how far the work is.
    appraiser
        Says where the alerts lie and which criteria they meet; without one that is unknown.
    forest
        Gives the forest of a tile, where `watched` names none.
    scorer
        Says how probably each patch is a clear-cut.
    chips
        How alerts are pictured (``chips/``, ``series.parquet``); they are not where None.

    Raises
    ------
    tiles.errors.SylvigieError
        When the month, the catalogue, the area or the folder will not do; nothing is then left in `out`.
    """
    params = params or ScanParams()
    found = _scenes(catalogue, month, watched, params.change, today)
    by_tile: dict[str, list[Scene]] = {}
    for scene in found.scenes:
        by_tile.setdefault(scene.tile, []).append(scene)
    reader, results = archive_reader(catalogue.access, max_requests_per_host), []
    problems: list[SylvigieError] = []
    with _beside(out) as folder, rasterio.Env(**gdal_env(catalogue.access)):
        for tile, scenes in sorted(by_tile.items()):
            try:
                results.append(
                    _scan_tile(
                        tile, scenes, month, watched, forest, folder, params, reader, threads, progress, scorer, chips
                    )
                )
            except (NoSceneError, GridError) as error:
                problems.append(error)
        if not results:
            raise problems[0]
        if not any(result.tally.watched for result in results):
            raise AreaError(
                "No pixel of the scenes is both forest and inside the area of interest: check the two files."
            )
        # What was superseded at first was read after all, where the newer product could not be.
        read = {product.id for tile in results for scene in tile.plan.scenes for product in scene.members}
        skipped = tuple(left for left in found.skipped if left.id not in read) + tuple(
            left for result in results for left in result.skipped
        )
        idle = [str(problem) for problem in problems] + [said for tile in results if (said := _blind(tile, params))]
        results, warnings = _appraised(results, month, appraiser, params)
        result = ScanResult(month, tuple(results), skipped, tuple(idle), reader.bytes_read, warnings)
        write_geojson(result.alerts, folder / "alerts.geojson")
        alerts = [alert for tile in results for alert in tile.alerts]
        write_features(pd.concat([tile.features for tile in results]), alerts, folder / "features.parquet")
        if chips is not None:
            write_series([row for tile in results for row in tile.chips.series], folder / SERIES_FILE)
        (folder / "scan.json").write_text(_record(result, catalogue, params), encoding="utf-8")
    return result


def _scan_tile(
    tile: str,
    scenes: Sequence[Scene],
    month: Month,
    watched: WatchedArea,
    forest: ForestOf | None,
    folder: Path,
    params: ScanParams,
    reader: Reader,
    threads: int | None,
    progress: ProgressReport | None,
    scorer: PatchScorer | None,
    chips: ChipParams | None,
) -> TileResult:
    """Scan a tile; begin again without the scenes whose pixels turn out unreadable."""
    attempts = Attempts(scenes, reader)
    while True:
        try:
            plan, unfit = plan_tile(tile, attempts.scenes, month, reader, params.change)
        except NoSceneError as error:
            named = "; ".join(f"{left.id} was left out, since {left.reason}" for left in attempts.left_out)
            raise NoSceneError(str(error).removesuffix(".") + (f"; {named}." if named else ".")) from error
        attempts.planned(plan.scenes, unfit)
        files = ChangeMapFiles.under(folder, tile, month)
        try:
            with attempts.reading() as heard, ChangeMapWriter(files, plan.grid) as writer:
                tally = make_change_map(
                    plan,
                    with_forest(watched, forest, plan.grid).on(plan.grid),
                    heard,
                    writer,
                    params.change,
                    threads,
                    None if progress is None else lambda done, total: progress(tile, done, total),
                )
            break
        except SceneReadError as error:
            attempts.failed(error)
    write_item(
        files,
        plan.grid,
        tile,
        month,
        {"reference": plan.reference, "monitored": plan.monitored},
        software_version(),
    )
    infrared = infrared_of(plan, plan.scenes, reader, threads)
    found = find_alerts(files, plan, params.patches, infrared=infrared, scorer=scorer)
    grounds = exact_outlines(found.patches, plan.grid)
    made = ChipsMade()
    if chips is not None:
        at_once = threads or available_threads()
        made = make_chips(found.alerts, plan.scenes, reader, plan.grid, folder / CHIPS_FOLDER, chips, at_once)
    return TileResult(
        plan, tally, found.alerts, tuple(grounds), found.features, tuple(attempts.left_out), found.infrared_unread, made
    )


def infrared_of(plan: TilePlan, scenes: Sequence[Scene], reader: Reader, threads: int | None) -> InfraredSource:
    """The images in which the infrared of a tile's patches is looked at."""
    classes = plan.grid.coarser(plan.pixels_per_class)
    return InfraredSource(scenes, reader, classes, threads or available_threads())


def with_forest(watched: WatchedArea, forest: ForestOf | None, grid: Grid) -> WatchedArea:
    """An area with the forest that layers know of a grid, where it has none of its own and they know any."""
    if forest is None or watched.forest is not None or watched.forest_raster is not None:
        return watched
    return replace(watched, forest_raster=forest(grid))


def exact_outlines(patches: Sequence[Patch], grid: Grid) -> Geometries:
    """Outlines of patches along the pixel edges, in WGS 84, longitude first: object (n,)."""
    exact = np.empty(len(patches), object)
    exact[:] = [patch.exact for patch in patches]
    return to_wgs84(exact, grid.crs)


def _appraised(
    results: Sequence[TileResult], month: Month, appraiser: Appraiser | None, params: ScanParams
) -> tuple[list[TileResult], tuple[str, ...]]:
    """Tiles with what layers and rules say of their alerts, and what these do not know."""
    if appraiser is None:
        return list(results), ()
    appraised = appraiser(
        [alert for tile in results for alert in tile.alerts],
        [ground for tile in results for ground in tile.grounds],
        month.shifted(1 - params.change.monitor.window_months).first_day,
    )
    alerts = iter(appraised.alerts)
    return [replace(tile, alerts=tuple(islice(alerts, len(tile.alerts)))) for tile in results], appraised.warnings


@dataclass(frozen=True)
class TileAlerts:
    """Patches of a tile, their features row by row, and the alerts that they make on their own.

    `infrared_unread` are scenes whose infrared could not be read, with the reasons.
    """

    patches: tuple[Patch, ...]
    features: pd.DataFrame
    alerts: tuple[Alert, ...]
    infrared_unread: Mapping[str, str] = field(default_factory=dict)


def find_alerts(
    files: ChangeMapFiles,
    plan: TilePlan,
    params: PatchParams,
    scenes: Sequence[tuple[dt.date, str]] | None = None,
    *,
    infrared: InfraredSource | None = None,
    earlier: Sequence[Alert] = (),
    scorer: PatchScorer | None = None,
) -> TileAlerts:
    """Find the patches of a tile's change map.

    Parameters
    ----------
    files
        The change map.
    plan
        What it was made from.
    params
        What is a patch.
    scenes
        Day and identifier of the scenes that losses may rest on; those that the plan monitors by default.
    infrared
        Where the infrared of patches is looked at; without it the evidence of their causes is unknown.
    earlier
        Alerts of the month before: of those that are the same still, and were looked at enough, nothing is read again.
    scorer
        Says how probably each is a clear-cut; without one that is unknown.
    """
    if scenes is None:
        scenes = [(scene.day, scene.id) for scene in plan.monitored]
    pixels = read_changed_pixels(files)
    patches = find_patches(pixels, plan.grid, params)
    features = patch_features(patches, pixels, plan.grid, files.state, plan.month.last_day)
    version = None if scorer is None else scorer.version
    context = ScanContext(plan.tile, plan.month.last_day, tuple(scenes), model_version=version)
    alerts = build_alerts(patches, features, pixels, plan.grid, context, params)
    unread: Mapping[str, str] = {}
    if infrared is not None:
        evidence, unread = _look(patches, alerts, features, files, infrared, earlier)
        alerts = [replace(alert, evidence=seen.as_field()) for alert, seen in zip(alerts, evidence, strict=True)]
        features = with_evidence(features, evidence)
    if scorer is not None:
        alerts = [
            replace(alert, clearcut_probability=score.probability, reasons=score.reasons)
            for alert, score in zip(alerts, scorer(features), strict=True)
        ]
    return TileAlerts(tuple(patches), features, tuple(alerts), unread)


def _look(
    patches: Sequence[Patch],
    alerts: Sequence[Alert],
    features: pd.DataFrame,
    files: ChangeMapFiles,
    infrared: InfraredSource,
    earlier: Sequence[Alert],
) -> tuple[list[Evidence], Mapping[str, str]]:
    """Evidence of the patches' causes, and scenes that could not be read for it."""
    before = {alert.id: alert for alert in earlier}
    known = [_still_known(before.get(alert.id), alert) for alert in alerts]
    wanted = [index for index, seen in enumerate(known) if seen is None]
    read = read_evidence(
        [patches[index] for index in wanted],
        [Loss(alerts[index].last_intact, alerts[index].first_low) for index in wanted],
        files.state,
        infrared,
    )
    for index, seen in zip(wanted, read.evidence, strict=True):
        known[index] = seen
    columns = {str(name): features[name].to_numpy() for name in features}
    rows = [{name: values[index] for name, values in columns.items()} for index in range(len(features))]
    return [described(seen or Evidence(), row) for seen, row in zip(known, rows, strict=True)], read.unread


def _still_known(before: Alert | None, now: Alert) -> Evidence | None:
    """What was read of an alert in the month before, where that is all that would be read again."""
    if before is None or before.evidence is None:
        return None
    same = (before.area_ha, before.last_intact, before.first_low) == (now.area_ha, now.last_intact, now.first_low)
    seen = Evidence.of(before.evidence)
    return seen if same and seen.dates_after >= EvidenceParams().dates else None


def _blind(result: TileResult, params: ScanParams) -> str | None:
    """Why a tile that was read has nothing to say, where that is so."""
    if result.tally.watched == 0 or result.tally.with_reference > 0:
        return None
    return (
        f"Tile {result.plan.tile}: no pixel has the {params.change.reference.min_observations} clear dates that a "
        f"reference needs before {result.plan.monitored[0].day} ({len(result.plan.reference)} scenes): "
        "give a catalogue that reaches further back."
    )


def software_version() -> str:
    """Version of Sylvigie, as installed."""
    try:
        return version("sylvigie")
    except PackageNotFoundError:
        return "0+source"


def _scenes(catalogue: Catalogue, month: Month, watched: WatchedArea, params: ChangeParams, today: dt.date) -> Found:
    """Scenes that the scan may need; an error where there is no way to go on."""
    if month.first_day > today:
        raise NoSceneError(f"Month {month} has not begun: the newest that can be scanned is {today:%Y-%m}.")
    first_day = first_month_needed(month, params).first_day
    found = catalogue.search(first_day, month.last_day, watched.bbox())
    if any(scene.day >= month.first_day for scene in found.scenes):
        return found
    elsewhere = watched.area is not None and not catalogue.worldwide
    if elsewhere and catalogue.search(month.first_day, month.last_day).scenes:
        raise AreaError("The area of interest lies outside every scene of the month: check its coordinates and CRS.")
    raise NoSceneError(_nothing_found(found, month))


def _nothing_found(found: Found, month: Month) -> str:
    days = [scene.day for scene in found.scenes]
    known = f"the newest before it is of {max(days)}" if days else "nor any of the years before"
    left = f"; {len(found.skipped)} were left out, the first since {found.skipped[0].reason}" if found.skipped else ""
    return f"The catalogue has no usable scene in {month} ({known}{left})."


@contextmanager
def _beside(out: Path) -> Iterator[Path]:
    """A folder to write in, beside the wanted one, whose files are put there only when all went well.

    Inside it where it exists already, since it may be a disk of its own: files can be moved within one only.
    """
    out = out.expanduser().resolve()
    made = [parent for parent in out.parents if not parent.exists()]
    try:
        if out.exists() and not out.is_dir():
            raise OutputError(f"{out} is a file: give a folder for the results.")
        out.parent.mkdir(parents=True, exist_ok=True)
        # A name of its own, that no killed scan has left there.
        with tempfile.TemporaryDirectory(
            prefix=f".{out.name}.partial-", dir=out if out.exists() else out.parent
        ) as name:
            folder = Path(name)
            yield folder
            out.mkdir(exist_ok=True)
            # The alerts last: who sees them finds all that they speak of.
            written = sorted(folder.iterdir(), key=lambda path: path.name == "alerts.geojson")
            # Pictures of an earlier scan are none of this one's, and a folder takes no other's place while that holds
            # something: what was there goes with the partial.
            take_away(out / CHIPS_FOLDER, folder)
            if folder / SERIES_FILE not in written:
                take_away(out / SERIES_FILE, folder)
            for path in written:
                if path.is_dir():
                    put_folder(path, out / path.name)
                else:
                    put_file(path, out / path.name)
    except OSError as error:
        raise OutputError(f"The results cannot be written to {out} ({error.strerror or error}).") from error
    finally:
        # Folders that were made on the way, and hold nothing, are not left behind.
        with suppress(OSError):
            for parent in made:
                parent.rmdir()


def _record(result: ScanResult, catalogue: Catalogue, params: ScanParams) -> str:
    """The scan's record, as JSON: what was read, left out and seen, and the parameters."""
    record = {
        "month": str(result.month),
        "catalogue": catalogue.href,
        "sylvigie": software_version(),
        "complete": result.complete,
        "bytes_read": result.bytes_read,
        "observed_share": round(result.observed_share, 4),
        "alerts": len(result.alerts),
        "warnings": list(result.warnings),
        "tiles": [
            {
                "tile": tile.plan.tile,
                "grid": str(tile.plan.grid),
                "scenes_reference": [scene.id for scene in tile.plan.reference],
                "scenes_monitored": [scene.id for scene in tile.plan.monitored],
                "scenes_merged": {
                    scene.id: [part.id for part in scene.parts] for scene in tile.plan.scenes if scene.parts
                },
                "offsets_from_pixels": {
                    product.id: product.offset_evidence
                    for scene in tile.plan.scenes
                    for product in scene.members
                    if product.offset_evidence is not None
                },
                "pixels": vars(tile.tally),
                "infrared_unread": dict(tile.infrared_unread),
                "chips": tile.chips.written,
                "chips_unread": dict(tile.chips.unread),
            }
            for tile in result.tiles
        ],
        "idle_tiles": list(result.idle_tiles),
        "scenes_skipped": [asdict(skipped) for skipped in result.skipped],
        "parameters": asdict(params),
    }
    return json.dumps(record, indent=2) + "\n"
