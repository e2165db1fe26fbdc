"""A month of a tile: what is known from before, the month's scenes, and what is then known, kept for the next.

A tile of which nothing is known is built first: the reference from the years before, and the months since followed up
to where scenes may still come late. After that a month reads its own scenes alone. Months of which scenes came
late are worked out again, with all that stand on them.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import rasterio
from affine import Affine
from rasterio.crs import CRS

from detector.alert_tables import write_found
from detector.known import FoundPatch
from detector.params import PatchParams
from detector.pipeline import TileAlerts, exact_outlines, find_alerts, software_version
from detector.ports import Progress, TileJob, TileOutcome, TileStatus
from detector.tile_rows import RowJob, RowShare, put_together
from detector.tile_store import FOREST_FILE, PATCHES_FILE, TileMonth, TileStore, write_record
from tiles.catalog import Catalogue, Found, SkippedScene, open_catalogue
from tiles.catalog.passes import drop_from, same_moment
from tiles.change import ChangeMapFiles, ChangeMapWriter, write_item
from tiles.engine import ChangeParams, Tally, TilePlan, make_change_map, row_count
from tiles.errors import SceneReadError, StateError
from tiles.grid import Grid
from tiles.merging import archive_reader
from tiles.month import Month
from tiles.plan import clearest, first_month_needed, plan_known, plan_tile
from tiles.reader import Reader, gdal_env
from tiles.scene import Band, Scene
from tiles.state import StateReader, StateWriter
from tiles.watch import WatchedArea, write_forest

LATE_MONTHS = 2
"""Months before the one that is asked for in which scenes may still arrive, or be read after all."""

BUILD_SCENES_PER_MONTH = 3
"""Scenes of each month that a reference is built from, and the months since are followed by: the least clouded. Of
three years that makes a hundred, of which a pixel sees some fifty, where its curve needs ten. All of them would take
three times the bytes, most of them of cloud."""

KEPT_MONTHS = 6
"""Months whose memory is kept: enough to begin again before the late ones."""


def work_tile(job: TileJob, progress: Progress | None, share: RowShare | None = None) -> TileOutcome:
    """Bring a tile up to a month. To be called with the tile's lock held; see `detector.ports.TileWork`.

    Raises
    ------
    tiles.errors.SylvigieError
        When the tile cannot be worked on; what is kept of it is as it was, or further by whole months.
    """
    return _TileWork(job, progress, share).run()


def build_reference(job: TileJob, progress: Progress | None, share: RowShare | None = None) -> TileOutcome:
    """Build a tile's reference, to serve from the job's month on; see `work_tile`."""
    return _TileWork(job, progress, share).build()


@dataclass(frozen=True)
class _Work:
    """A month to be worked out: its scenes, how they are planned, the watched forest, and what it stands on."""

    month: Month
    found: Found
    plan: Callable[[Sequence[Scene]], tuple[TilePlan, list[SkippedScene]]]
    area: WatchedArea
    known: StateReader | None
    before: TileMonth | None
    not_chosen: int = 0
    """Scenes of a build that were left aside for clearer ones."""


@dataclass
class _Done:
    """What was counted over the months of a job."""

    scenes: list[str] = field(default_factory=list)
    skipped: dict[str, SkippedScene] = field(default_factory=dict)
    redone: list[str] = field(default_factory=list)


class _TileWork:
    def __init__(self, job: TileJob, progress: Progress | None, share: RowShare | None) -> None:
        self._job, self._progress, self._share = job, progress, share
        self._bytes_elsewhere = 0
        self._store = TileStore(job.data_dir, job.tile)
        self._catalogue: Catalogue = open_catalogue(job.catalogue, job.credentials)
        self._options = gdal_env(self._catalogue.access)
        self._reader: Reader = archive_reader(self._catalogue.access, job.max_requests_per_host)

    def run(self) -> TileOutcome:
        job, store, done = self._job, self._store, _Done()
        store.clear_leftovers()
        with rasterio.Env(**self._options):
            months = store.months()
            if job.month in months and months[job.month].is_build:
                # The reference was built after its scenes; who wants it otherwise builds an earlier one.
                return self._outcome(TileStatus.UNCHANGED, done, months[job.month])
            if not any(month < job.month and kept.has_state for month, kept in months.items()):
                if not job.may_build:
                    raise StateError(
                        f"Tile {job.tile} has no reference that serves {job.month}: build it by "
                        f"`sylvigie reference build --tile {job.tile}`."
                    )
                self._build(self._month_of_reference, done)
            worked = self._catch_up(done)
            # Also when nothing was to be done: the run that did it may have been killed just before this.
            store.forget_old_states(max(store.months()), KEPT_MONTHS)
        status = TileStatus.DONE if worked else TileStatus.UNCHANGED
        return self._outcome(status, done, store.months()[job.month])

    @property
    def _month_of_reference(self) -> Month:
        """Where a reference is built that is to serve the job's month: so early that it hears what may still come late.

        The months between are scanned one by one, which reads no scene twice.
        """
        return self._job.month.shifted(-1 - LATE_MONTHS)

    def build(self) -> TileOutcome:
        self._store.clear_leftovers()
        done, month = _Done(), self._month_of_reference
        with rasterio.Env(**self._options):
            self._build(month, done)
        return self._outcome(TileStatus.DONE, done, self._store.months()[month])

    def _catch_up(self, done: _Done) -> bool:
        """Work out the months that are missing, out of date or have scenes that they have not heard; whether any was.

        Those after the month that is asked for too, since they stand on it; up to where a newer reference was built.
        """
        months, wanted = self._store.months(), self._job.month
        builds = [month for month, kept in months.items() if kept.is_build]
        if not any(month < wanted for month in builds):
            raise StateError(
                f"The month in which the reference of tile {self._job.tile} was built is gone: build it anew by "
                f"`sylvigie reference build --tile {self._job.tile}`."
            )
        built = max(month for month in builds if month < wanted)
        self._check_parameters(months[built])
        newer = [month.shifted(-1) for month in builds if month > wanted]
        last = min(newer, default=max([wanted, *months]))
        worked = False
        for month in _each(self._first_in_doubt(built, months), last):
            found = self._scenes(month.first_day, month)
            kept, before = months.get(month), months[month.shifted(-1)]
            if kept is not None and kept.stands_on(before) and self._is_heard(kept, found):
                continue
            if kept is not None:
                done.redone.append(str(month))
            self._scan(month, found, done)
            months, worked = self._store.months(), True
        return worked

    def _first_in_doubt(self, built: Month, months: Mapping[Month, TileMonth]) -> Month:
        """The first month after the reference that is missing or out of date, or may have got scenes since."""
        wanted = self._job.month
        after = list(_each(built.shifted(1), wanted))
        gone = [month for month in after if month not in months]
        stale = [
            month
            for month in after
            if month.shifted(-1) in months
            and month in months
            and not months[month].stands_on(months[month.shifted(-1)])
        ]
        return max(after[0], min([wanted.shifted(-LATE_MONTHS), *gone, *stale]))

    def _is_heard(self, kept: TileMonth, found: Found) -> bool:
        """Whether nothing came since a month was worked out: no scene, and no other wish of what is a patch."""
        return kept.record["patch_parameters"] == _plain(self._job.params.patches) and not _unheard(kept, found)

    def _check_parameters(self, known: TileMonth) -> None:
        """Refuse to compare with what was made by other parameters."""
        if known.record["parameters"] != _plain(self._job.params.change):
            raise StateError(
                f"The state of tile {self._job.tile} was made with other parameters: restore them, or build the "
                f"reference anew by `sylvigie reference build --tile {self._job.tile}`."
            )

    def _scenes(self, first_day: dt.date, last: Month) -> Found:
        """Scenes of the tile from a day on; that there are none is no error."""
        return self._catalogue.search(first_day, last.last_day, tile=self._job.tile)

    def _build(self, month: Month, done: _Done) -> None:
        """Make the reference, and follow the months since up to and with this one."""
        params = self._job.params.change
        found = self._scenes(first_month_needed(month, params).first_day, month)
        chosen = clearest(found.scenes, BUILD_SCENES_PER_MONTH)
        not_chosen = len(found.scenes) - len(chosen)
        found = Found(tuple(chosen), found.skipped)
        area = WatchedArea.open(self._job.forest_mask, None)

        def plan(scenes: Sequence[Scene]) -> tuple[TilePlan, list[SkippedScene]]:
            return plan_tile(self._job.tile, scenes, month, self._reader, params, unseen_month=True)

        self._write(_Work(month, found, plan, area, None, None, not_chosen), done)

    def _scan(self, month: Month, found: Found, done: _Done) -> None:
        """Work a month out from the month before it."""
        before = self._store.months()[month.shifted(-1)]
        known, forest = self._store.open_state(before)
        grid, size = _grid_of(before.record["grid"]), int(before.record["pixels_per_class"])

        def plan(scenes: Sequence[Scene]) -> tuple[TilePlan, list[SkippedScene]]:
            return plan_known(self._job.tile, scenes, month, self._reader, grid, size)

        area = WatchedArea(forest_raster=forest)
        self._write(_Work(month, found, plan, area, known, before), done)

    def _write(self, work: _Work, done: _Done) -> None:
        """Compute a month and put it in place; begin again without a scene that turns out unreadable."""
        broken: list[SkippedScene] = []
        scenes = list(work.found.scenes)
        while True:
            try:
                with self._store.new_version(work.month) as folder:
                    plan, unfit = work.plan(scenes)
                    skipped = [*broken, *unfit]
                    self._compute(work, plan, skipped, folder)
                break
            except SceneReadError as error:
                scenes, left_out = drop_from(scenes, error.scene_id, error.reason)
                broken.append(left_out)
        done.scenes += [scene.id for scene in plan.scenes]
        done.skipped.update({left.id: left for left in (*work.found.skipped, *skipped)})

    def _compute(self, work: _Work, plan: TilePlan, skipped: Sequence[SkippedScene], folder: Path) -> None:
        """Fill a month's folder."""
        job, params = self._job, self._job.params
        files = ChangeMapFiles.under(folder, job.tile, work.month)
        area = work.area
        if work.known is None:
            write_forest(area.on(plan.grid), plan.grid, folder / FOREST_FILE)
            area = WatchedArea(forest_raster=folder / FOREST_FILE)
        terms = 1 + 2 * params.change.reference.order if work.known is None else None
        with ChangeMapWriter(files, plan.grid) as writer, StateWriter(folder, terms) as keeper:
            if self._share is not None and row_count(plan.grid) > 1:
                tally = self._compute_elsewhere(self._share, work, plan, area, writer, keeper)
            else:
                tally = make_change_map(
                    plan,
                    area.on(plan.grid),
                    self._reader,
                    writer,
                    params.change,
                    job.threads,
                    self._progress,
                    known=work.known,
                    keeper=keeper,
                )
        uses = {"reference": plan.reference, "monitored": plan.monitored}
        write_item(files, plan.grid, job.tile, work.month, uses, software_version())
        record = _record(job, work, plan, skipped, tally)
        heard = [*self._scenes_before(work.before), *record["scenes"]]
        scenes = [(dt.datetime.fromisoformat(scene["acquired"]).date(), str(scene["id"])) for scene in heard]
        found = find_alerts(files, plan, params.patches, scenes)
        features = {str(name): found.features[name].to_numpy() for name in found.features}
        write_found(_found_patches(found, plan.grid), folder / PATCHES_FILE, features)
        write_record(folder, record)

    def _compute_elsewhere(
        self,
        share: RowShare,
        work: _Work,
        plan: TilePlan,
        area: WatchedArea,
        writer: ChangeMapWriter,
        keeper: StateWriter,
    ) -> Tally:
        """Have the rows of windows worked out by others, and write what they come to."""
        job, total = self._job, row_count(plan.grid)
        assert area.forest_raster is not None  # _compute has written it
        row = RowJob(
            0,
            plan,
            area.forest_raster,
            None if work.known is None else work.known.folders,
            job.params.change,
            job.catalogue,
            job.max_requests_per_host,
            job.threads,
            job.credentials,
        )
        jobs = [replace(row, row=index) for index in range(total)]
        progress = self._progress
        tally, bytes_read = put_together(
            share(jobs), writer, keeper, lambda done: None if progress is None else progress(done, total)
        )
        self._bytes_elsewhere += bytes_read
        return tally

    def _scenes_before(self, before: TileMonth | None) -> list[dict[str, Any]]:
        """Scenes of the months that a month stands on, back to the one in which the reference was built."""
        if before is None:
            return []
        months = self._store.months()
        built = Month.parse(before.record["reference"]["month"])
        return [scene for month in _each(built, before.month) for scene in months[month].record["scenes"]]

    def _outcome(self, status: TileStatus, done: _Done, kept: TileMonth) -> TileOutcome:
        record, message = kept.record, None
        skipped = [SkippedScene(**left) for left in record["scenes_skipped"]]
        faults = [left for left in (*done.skipped.values(), *skipped) if not left.superseded]
        if not record["scenes"]:
            status, message = TileStatus.INCOMPLETE, f"The catalogue has no scene of {self._job.tile} in {kept.month}."
        if faults:
            status = TileStatus.INCOMPLETE
            message = f"Scenes were left out, of them {faults[0].id}, since {faults[0].reason}."
        pixels = record["pixels"]
        return TileOutcome(
            self._job.tile,
            self._job.month,
            status,
            message,
            scenes_read=tuple(done.scenes) or tuple(scene["id"] for scene in record["scenes"]),
            scenes_skipped=tuple(done.skipped.values()) or tuple(skipped),
            redone_months=tuple(done.redone),
            bytes_read=self._reader.bytes_read + self._bytes_elsewhere,
            watched_px=pixels["watched"],
            observed_px=pixels["observed"],
            provisional_px=pixels["provisional"],
            confirmed_px=pixels["confirmed"],
        )


def _each(first: Month, last: Month) -> Iterator[Month]:
    """Months from one to another, both included."""
    month = first
    while month <= last:
        yield month
        month = month.shifted(1)


def _unheard(kept: TileMonth, found: Found) -> bool:
    """Whether a scene of a kept month was not heard, or not in whole: it came late, or could not be read.

    A pass that was heard is not heard again for being processed anew.
    """
    faults = {left["id"] for left in kept.record["scenes_skipped"] if not left["superseded"]}
    heard = [(dt.datetime.fromisoformat(scene["acquired"]), scene["products"]) for scene in kept.record["scenes"]]
    for scene in found.scenes:
        products = [product for moment, of_pass in heard if same_moment(scene.acquired, moment) for product in of_pass]
        # The ground of a pass comes in as many products however often it is processed; more is a half that came late.
        if len(scene.members) > len(products) or any(product.id in faults for product in scene.members):
            return True
    return False


def _record(job: TileJob, work: _Work, plan: TilePlan, skipped: Sequence[SkippedScene], tally: Tally) -> dict[str, Any]:
    """What is to be known of a month: nothing of the clock or the machine, so that it is the same when done again."""
    before = work.before
    left_out = {left.id: left for left in (*work.found.skipped, *skipped)}
    return {
        "tile": job.tile,
        "month": str(work.month),
        "sylvigie": software_version(),
        "catalogue": job.catalogue,
        "before": None if before is None else {"month": str(before.month), "identity": before.identity},
        "reference": None if before is None else before.record["reference"],
        "grid": _described(plan.grid),
        "pixels_per_class": plan.pixels_per_class,
        "scenes_reference": [scene.id for scene in plan.reference],
        "scenes": [_heard(scene) for scene in plan.monitored],
        "scenes_not_chosen": work.not_chosen,
        "scenes_skipped": [asdict(left) for _, left in sorted(left_out.items())],
        "pixels": vars(tally),
        "parameters": _plain(job.params.change),
        "patch_parameters": _plain(job.params.patches),
    }


def _heard(scene: Scene) -> dict[str, Any]:
    """A scene in the record: what was read of which product, and where its classification lies."""
    return {
        "id": scene.id,
        "acquired": scene.acquired.isoformat(),
        "products": [product.id for product in scene.members],
        "offset_from_pixels": {
            product.id: product.offset_evidence for product in scene.members if product.offset_evidence is not None
        },
        "classification": scene.hrefs[Band.SCL],
    }


def _plain(params: ChangeParams | PatchParams) -> dict[str, Any]:
    """Parameters as JSON gives them back."""
    plain: dict[str, Any] = json.loads(json.dumps(asdict(params)))
    return plain


def _found_patches(found: TileAlerts, grid: Grid) -> list[FoundPatch]:
    """Patches with their exact outlines in degrees, as tracking wants them."""
    exact = exact_outlines(found.patches, grid)
    return [FoundPatch(alert, outline) for alert, outline in zip(found.alerts, exact, strict=True)]


def _described(grid: Grid) -> dict[str, Any]:
    code = grid.crs.to_epsg()
    return {
        "crs": f"EPSG:{code}" if code else grid.crs.to_wkt(),
        "transform": list(grid.transform)[:6],
        "shape": list(grid.shape),
    }


def _grid_of(described: dict[str, Any]) -> Grid:
    rows, cols = described["shape"]
    return Grid(CRS.from_user_input(described["crs"]), Affine(*described["transform"]), (rows, cols))
