"""A month of a tile: what is known from before, the month's scenes, and what is then known, kept for the next.

A tile of which nothing is known is built first: the reference from the years before, and the months since followed up
to where scenes may still come late. After that a month reads its own scenes alone. Months of which scenes came
late are worked out again, with all that stand on them.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import rasterio

from detector.alert_tables import read_found, write_found
from detector.alerts import Alert
from detector.known import FoundPatch
from detector.layers.forest_mask import forest_of_layers
from detector.month_record import days_heard, grid_of, month_record, plain, remembered_scene, skipped_of
from detector.pipeline import TileAlerts, exact_outlines, find_alerts, infrared_of, software_version, with_forest
from detector.ports import Progress, TileJob, TileOutcome, TileStatus
from detector.tile_rows import RowJob, RowShare, put_together
from detector.tile_store import FOREST_FILE, PATCHES_FILE, TileMonth, TileStore, write_record
from detector.unheard import any_readable, missing_again, missing_in, missing_of, unheard_of
from tiles.catalog import Catalogue, Found, SkippedScene, open_catalogue
from tiles.change import ChangeMapFiles, ChangeMapWriter, write_item
from tiles.engine import Tally, TilePlan, make_change_map, row_count
from tiles.errors import SceneReadError, StateError
from tiles.grid import Grid
from tiles.merging import archive_reader
from tiles.month import Month
from tiles.plan import clearest, first_month_needed, plan_known, plan_tile
from tiles.reader import Reader, gdal_env
from tiles.scene import Scene
from tiles.state import StateReader, StateWriter
from tiles.unreadable import Attempts
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

    @property
    def is_build(self) -> bool:
        """Whether the reference is built, of the clearest scenes alone."""
        return self.before is None


@dataclass
class _Done:
    """What was counted over the months of a job."""

    scenes: list[str] = field(default_factory=list)
    skipped: dict[str, SkippedScene] = field(default_factory=dict)
    redone: list[str] = field(default_factory=list)
    still_broken: dict[str, SkippedScene] = field(default_factory=dict)
    """What months that were left as they are had to do without, and still would."""
    may_be_mended: bool = False
    """Whether something that the reference is short of can be read by now, and it was not built again."""


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
            else:
                self._mend_reference(months, done)
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

    def _mend_reference(self, months: Mapping[Month, TileMonth], done: _Done) -> None:
        """Build a young reference again if something that it is short of can be read by now.

        Only then is it worth a hundred scenes: where a month had others to take the place, nothing is missing.
        """
        job = self._job
        built = max(
            (kept for kept in months.values() if kept.is_build and kept.month < job.month), default=None, key=_when
        )
        if built is None or not _is_young(built, job.month) or not missing_in(built):
            return
        found = self._scenes(first_month_needed(built.month, job.params.change).first_day, built.month)
        if not self._any_readable(missing_again(built, found), built):
            return
        if job.may_build:
            self._check_parameters(built)
            self._build(built.month, done)
        else:
            done.may_be_mended = True

    def _any_readable(self, products: Sequence[Scene], kept: TileMonth) -> bool:
        if not products:
            return False
        forest = self._store.reference_of(kept).folder / FOREST_FILE
        return any_readable(self._job.tile, products, kept, forest, self._reader)

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
                done.still_broken |= _faults(skipped_of(kept.record))
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
        """Whether nothing came since a month was worked out: no scene, and no other wish of what is a patch.

        Scenes that could not be read then are looked at again: the month is left alone while they are broken still.
        """
        if kept.record["patch_parameters"] != plain(self._job.params.patches):
            return False
        unheard = unheard_of(kept, found)
        return not unheard.late and not self._any_readable(unheard.broken, kept)

    def _check_parameters(self, known: TileMonth) -> None:
        """Refuse to compare with what was made by other parameters."""
        if known.record["parameters"] != plain(self._job.params.change):
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
        area = WatchedArea.open(self._job.forest_mask, None)

        def plan(scenes: Sequence[Scene]) -> tuple[TilePlan, list[SkippedScene]]:
            chosen = clearest(scenes, BUILD_SCENES_PER_MONTH)
            return plan_tile(self._job.tile, chosen, month, self._reader, params, unseen_month=True)

        self._write(_Work(month, found, plan, area, None, None), done)

    def _scan(self, month: Month, found: Found, done: _Done) -> None:
        """Work a month out from the month before it."""
        before = self._store.months()[month.shifted(-1)]
        known, forest = self._store.open_state(before)
        grid, size = grid_of(before.record)

        def plan(scenes: Sequence[Scene]) -> tuple[TilePlan, list[SkippedScene]]:
            return plan_known(self._job.tile, scenes, month, self._reader, grid, size)

        area = WatchedArea(forest_raster=forest)
        self._write(_Work(month, found, plan, area, known, before), done)

    def _write(self, work: _Work, done: _Done) -> None:
        """Compute a month and put it in place; begin again without the scenes that turn out unreadable."""
        attempts = Attempts(work.found.scenes, self._reader)
        while True:
            plan, unfit = work.plan(attempts.scenes)
            attempts.planned(plan.scenes, unfit)
            if unfit and work.is_build:
                # The next clearest takes the place of one that will not do.
                continue
            try:
                with self._store.new_version(work.month) as folder:
                    self._compute(work, plan, attempts, folder)
                break
            except SceneReadError as error:
                attempts.failed(error)
        done.scenes += [scene.id for scene in plan.scenes]
        done.skipped.update({left.id: left for left in (*work.found.skipped, *attempts.left_out)})

    def _compute(self, work: _Work, plan: TilePlan, attempts: Attempts, folder: Path) -> None:
        """Fill a month's folder."""
        job, params = self._job, self._job.params
        files = ChangeMapFiles.under(folder, job.tile, work.month)
        area = work.area
        if work.known is None:
            area = with_forest(area, forest_of_layers(job.data_dir), plan.grid)
            write_forest(area.on(plan.grid), plan.grid, folder / FOREST_FILE)
            area = WatchedArea(forest_raster=folder / FOREST_FILE)
        terms = 1 + 2 * params.change.reference.order if work.known is None else None
        with (
            attempts.reading() as reader,
            ChangeMapWriter(files, plan.grid) as writer,
            StateWriter(folder, terms) as keeper,
        ):
            if self._share is not None and row_count(plan.grid) > 1:
                tally = self._compute_elsewhere(self._share, work, plan, attempts, area, writer, keeper)
            else:
                tally = make_change_map(
                    plan,
                    area.on(plan.grid),
                    reader,
                    writer,
                    params.change,
                    job.threads,
                    self._progress,
                    known=work.known,
                    keeper=keeper,
                )
        uses = {"reference": plan.reference, "monitored": plan.monitored}
        write_item(files, plan.grid, job.tile, work.month, uses, software_version())
        left_out = [*work.found.skipped, *attempts.left_out]
        scenes, per_month = work.found.scenes, BUILD_SCENES_PER_MONTH
        record = month_record(
            job,
            work.month,
            plan,
            work.before,
            tally,
            skipped=left_out,
            not_chosen=len(attempts.scenes) - len(plan.scenes),
            missing=missing_of(scenes, plan, left_out, per_month) if work.is_build else (),
        )
        before = self._scenes_before(work.before)
        remembered = [scene for told in before if (scene := remembered_scene(job.tile, told)) is not None]
        found = find_alerts(
            files,
            plan,
            params.patches,
            days_heard([*before, *record["scenes"]]),
            infrared=infrared_of(plan, [*remembered, *plan.scenes], self._reader, job.threads),
            earlier=() if work.before is None else self._alerts_of(work.before),
            scorer=job.scorer,
        )
        record["model_version"] = None if job.scorer is None else job.scorer.version
        record["infrared_unread"] = dict(found.infrared_unread)
        features = {str(name): found.features[name].to_numpy() for name in found.features}
        write_found(_found_patches(found, plan.grid), folder / PATCHES_FILE, features)
        write_record(folder, record)

    @staticmethod
    def _alerts_of(kept: TileMonth) -> list[Alert]:
        """Alerts that a month's patches make on their own."""
        return [patch.alert for patch in read_found(kept.folder / PATCHES_FILE)]

    def _compute_elsewhere(
        self,
        share: RowShare,
        work: _Work,
        plan: TilePlan,
        attempts: Attempts,
        area: WatchedArea,
        writer: ChangeMapWriter,
        keeper: StateWriter,
    ) -> Tally:
        """Have the rows of windows worked out by others, and write what they come to."""
        job, total = self._job, row_count(plan.grid)
        row = RowJob(
            0,
            plan,
            area,
            None if work.known is None else work.known.folders,
            job.params.change,
            job.catalogue,
            job.max_requests_per_host,
            job.threads,
            job.credentials,
            attempts.find_faults,
        )
        jobs = [replace(row, row=index) for index in range(total)]
        progress = self._progress
        tally, bytes_read, faults = put_together(
            share(jobs), writer, keeper, lambda done: None if progress is None else progress(done, total)
        )
        self._bytes_elsewhere += bytes_read
        attempts.found(faults)
        return tally

    def _scenes_before(self, before: TileMonth | None) -> list[dict[str, Any]]:
        """Scenes of the months that a month stands on, back to the one in which the reference was built."""
        if before is None:
            return []
        months = self._store.months()
        built = Month.parse(before.record["reference"]["month"])
        return [scene for month in _each(built, before.month) for scene in months[month].record["scenes"]]

    def _outcome(self, status: TileStatus, done: _Done, kept: TileMonth) -> TileOutcome:
        record, messages = kept.record, []
        skipped = (done.skipped or skipped_of(record)) | done.still_broken
        faults = [left for _, left in sorted(_faults(skipped | skipped_of(record)).items())]
        if not record["scenes"]:
            messages.append(f"The catalogue has no scene of {self._job.tile} in {kept.month}.")
        if faults:
            messages.append(f"Scenes were left out, of them {faults[0].id}, since {faults[0].reason}.")
        built = self._store.months().get(Month.parse(record["reference"]["month"]))
        missing = [str(left["id"]) for left in missing_in(built)] if built is not None else []
        if built is not None and missing and _is_young(built, kept.month):
            messages.append(self._of_missing(built, missing, done.may_be_mended))
        pixels = record["pixels"]
        return TileOutcome(
            self._job.tile,
            self._job.month,
            TileStatus.INCOMPLETE if messages else status,
            " ".join(messages) or None,
            scenes_read=tuple(done.scenes) or tuple(scene["id"] for scene in record["scenes"]),
            scenes_skipped=tuple(left for _, left in sorted(skipped.items())),
            reference_missing=tuple(missing),
            infrared_unread=dict(record.get("infrared_unread", {})),
            redone_months=tuple(done.redone),
            bytes_read=self._reader.bytes_read + self._bytes_elsewhere,
            watched_px=pixels["watched"],
            observed_px=pixels["observed"],
            provisional_px=pixels["provisional"],
            confirmed_px=pixels["confirmed"],
        )

    def _of_missing(self, built: TileMonth, missing: Sequence[str], readable: bool) -> str:
        """What is said of a reference that is short of scenes: how it is mended."""
        short = f"Its reference is short of {len(missing)} scenes that could not be read, such as {missing[0]}"
        command = f"sylvigie reference build --tile {self._job.tile} --month {built.month.shifted(1 + LATE_MONTHS)}"
        if readable:
            return f"{short}: some can be by now, build it anew by `{command}`."
        return f"{short}: the next runs look for them, or build it anew by `{command}` once the archive has them."


def _when(kept: TileMonth) -> Month:
    return kept.month


def _is_young(built: TileMonth, month: Month) -> bool:
    """Whether a month is among the first that a reference serves, so that what it is short of is still looked for."""
    return month <= built.month.shifted(1 + 2 * LATE_MONTHS)


def _faults(skipped: Mapping[str, SkippedScene]) -> dict[str, SkippedScene]:
    """Those that were left out though nothing was read in their place."""
    return {name: left for name, left in skipped.items() if not left.superseded}


def _each(first: Month, last: Month) -> Iterator[Month]:
    """Months from one to another, both included."""
    month = first
    while month <= last:
        yield month
        month = month.shifted(1)


def _found_patches(found: TileAlerts, grid: Grid) -> list[FoundPatch]:
    """Patches with their exact outlines in degrees, as tracking wants them."""
    exact = exact_outlines(found.patches, grid)
    return [FoundPatch(alert, outline) for alert, outline in zip(found.alerts, exact, strict=True)]
