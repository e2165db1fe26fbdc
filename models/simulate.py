"""Semi-synthetic training data: simulated events in real images, scanned by the scan itself.

What comes out is what the scan finds, with its features, and the cause that is known since it was laid; what it finds
where nothing was laid is a false alarm of the real images, and called `Cause.NO_EVENT`. Events that it does not find
are counted too.
"""

from __future__ import annotations

import datetime as dt
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from detector.params import PatchParams
from detector.patches import Patch
from detector.pipeline import TileAlerts, find_alerts, infrared_of
from models.causes import Cause
from models.dataset import TrainingTable, concatenate
from models.events import EventParams, EventShape, draw_cause, draw_date, draw_shape
from models.landscape import TILE, LaidEvent, Landscape
from models.real_cube import Place, RealCube, find_places, load_cube, seen_openings
from models.schema import Source
from models.spectra import ground_after
from tiles.change import ChangeMapFiles, ChangeMapWriter
from tiles.clear import SceneClass
from tiles.engine import ChangeParams, TilePlan, make_change_map
from tiles.errors import InvalidParameterError
from tiles.month import Month
from tiles.watch import WatchedArea

_MONTHS: Final = tuple(Month(2018, month) for month in (8, 9, 10, 11))
"""Months that are scanned: the first leaves the reference's years their clear dates before 2017, and the last is
that of the last images of 2018."""

_MISCALLED: Final[dict[Cause, tuple[float, SceneClass]]] = {
    Cause.CLEAR_CUT: (0.04, SceneClass.CLOUD_MEDIUM),
    Cause.FIRE: (0.15, SceneClass.DARK),
    Cause.FLOOD: (0.40, SceneClass.WATER),
    Cause.SNOW: (0.50, SceneClass.SNOW),
    Cause.HAZE: (0.30, SceneClass.THIN_CIRRUS),
    Cause.FIELD_EDGE: (0.04, SceneClass.CLOUD_MEDIUM),
}
"""Share of the dates on which the scene classification calls an event something that is not clear: bright bare ground
cloud (the design's third fact), char dark, and snow, haze and water what they are, now and then. Chosen, not
measured."""


@dataclass(frozen=True)
class SimulationParams:
    """What is simulated.

    Parameters
    ----------
    draws
        Landscapes; each holds every place once or more.
    stand_px
        Side of a stand in pixels of 10 m, a multiple of 4: a kilometre, so that 30 ha lie in it well.
    disturbed_share
        Of the landscape, at most: the scan measures a date's noise on the forest around, and ignores up to 16 % of it.
    gap_px
        Pixels between two events, and between an event and the stand's edge.
    min_area_ha
        Smallest patch that the scan keeps: half of what is published, so that a felling of 0.5 ha that is mapped a
        little too small is seen to be so.
    hit_share
        Of a patch's ground, that an event must hold for the patch to be its own.
    found_share
        Of an event's ground, that its patches must hold for it to count as found.
    events
        Sizes and kinds.
    """

    draws: int = 150
    stand_px: int = 96
    disturbed_share: float = 0.10
    gap_px: int = 4
    min_area_ha: float = 0.25
    hit_share: float = 0.4
    found_share: float = 0.5
    events: EventParams = field(default_factory=EventParams)

    def __post_init__(self) -> None:
        if self.draws < 1 or self.stand_px < 32 or self.stand_px % 4:
            raise InvalidParameterError(
                f"draws must be 1 or more and stand_px a multiple of 4 from 32 on, not {self.draws}, {self.stand_px}."
            )
        if not 0 < self.disturbed_share <= 0.16:
            raise InvalidParameterError(
                f"disturbed_share must be above 0 and at most 0.16, not {self.disturbed_share}."
            )


@dataclass(frozen=True)
class SimulationCount:
    """What was left out of the rows, and why.

    Parameters
    ----------
    mixed
        Patches that touch an event without being its own.
    two_places
        Patches over two stands.
    """

    mixed: int
    two_places: int


@dataclass(frozen=True)
class Simulation:
    """Training rows and events, and what was left out."""

    table: TrainingTable
    count: SimulationCount


def simulate(
    seed: int,
    params: SimulationParams | None = None,
    *,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Simulation:
    """Simulate training data.

    Parameters
    ----------
    seed
        The same seed and parameters give the same table, whatever `workers`.
    params
        What is simulated.
    workers
        Processes.
    progress
        Called with draws done and draws in all.

    Raises
    ------
    tiles.errors.MissingDependencyError
        Without the real images (PyPI's nrt).
    """
    params = params or SimulationParams()
    parts: list[tuple[TrainingTable, SimulationCount]] = []
    for part in _in_order([(seed, draw, params) for draw in range(params.draws)], workers):
        parts.append(part)
        if progress is not None:
            progress(len(parts), params.draws)
    count = SimulationCount(sum(c.mixed for _, c in parts), sum(c.two_places for _, c in parts))
    return Simulation(concatenate([table for table, _ in parts]), count)


_Job = tuple[int, int, SimulationParams]


def _in_order(jobs: Sequence[_Job], workers: int) -> Iterator[tuple[TrainingTable, SimulationCount]]:
    if workers == 1:
        yield from map(_work, jobs)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield from pool.map(_work, jobs)


def _work(job: _Job) -> tuple[TrainingTable, SimulationCount]:
    seed, draw, params = job
    return simulate_draw(seed, draw, params)


@cache
def _real() -> tuple[RealCube, RealCube, tuple[Place, ...]]:
    """The cube as it is, with 2017 and 2018 exchanged, and its places."""
    cube = load_cube()
    return cube, cube.with_years_swapped(2017, 2018), tuple(find_places(cube, seen_openings(cube)))


def simulate_draw(seed: int, draw: int, params: SimulationParams) -> tuple[TrainingTable, SimulationCount]:
    """Lay events into one landscape, scan it and label what is found.

    Parameters
    ----------
    seed, draw
        Both together begin the random numbers.
    params
        What is simulated.
    """
    rng = np.random.default_rng([seed, draw])
    cube, swapped, places = _real()
    month = _MONTHS[int(rng.integers(len(_MONTHS)))]
    landscape = Landscape(swapped if rng.random() < 0.5 else cube, places, params.stand_px, rng)
    landscape.events = lay_events(landscape, month, params, rng, f"sim-{seed}-{draw:03d}")
    found = scan_landscape(landscape, month, params)
    return label_patches(landscape, month, found, params, f"sim-{seed}-{draw:03d}")


def lay_events(
    landscape: Landscape, month: Month, params: SimulationParams, rng: np.random.Generator, prefix: str
) -> list[LaidEvent]:
    """Draw events until the landscape holds its share of them.

    Parameters
    ----------
    landscape
        Where.
    month
        The last of the twelve in which they happen.
    params
        How many and which.
    rng
        Of the draw.
    prefix
        Of the events' identifiers.
    """
    rows, cols = landscape.grid.shape
    taken = np.zeros((rows, cols), bool)
    moisture = rng.beta(2, 2, len(landscape.cube.days))
    budget_px = params.disturbed_share * taken.size
    events: list[LaidEvent] = []
    refused = 0
    while budget_px > 0 and refused < 50:
        cause = draw_cause(params.events, rng)
        shape = _even(draw_shape(cause, params.events, rng))
        spot = _free_spot(taken, shape, params, rng)
        if spot is None:
            refused += 1
            continue
        row, col = spot
        place = int(landscape.place_of[row, col])
        seen = landscape.clear_days(place, month.last_day)
        start = draw_date(cause, month, rng, params.events.kinds[cause].recent_share, seen)
        ground = ground_after(cause, start, landscape.cube.days, moisture, rng)
        classes = _miscalled(cause, ground.presence, start, landscape.cube.days, rng)
        event = LaidEvent(f"{prefix}-e{len(events):04d}", cause, place, start, row, col, shape, ground, classes)
        events.append(event)
        taken[event.window] |= shape.cover > 0.01
        budget_px -= 100 * shape.area_ha
    return events


def _even(shape: EventShape) -> EventShape:
    """The same shape in a box of even sides, since some bands have pixels of 20 m."""
    beyond = [(0, side % 2) for side in shape.cover.shape]
    return EventShape(
        shape.area_ha, np.pad(shape.cover, beyond), np.pad(shape.inside, beyond), np.pad(shape.delay_days, beyond)
    )


def _free_spot(
    taken: NDArray[np.bool_], shape: EventShape, params: SimulationParams, rng: np.random.Generator
) -> tuple[int, int] | None:
    """Upper-left pixel of a free box within one stand, both even; None where twenty draws found none."""
    rows, cols = shape.cover.shape
    side, gap = params.stand_px, params.gap_px
    room = (side - 2 * gap - rows, side - 2 * gap - cols)
    if min(room) < 0:
        return None
    across = taken.shape[0] // side
    for _ in range(20):
        row = int(rng.integers(across)) * side + gap + int(rng.integers(room[0] + 1))
        col = int(rng.integers(across)) * side + gap + int(rng.integers(room[1] + 1))
        row, col = row - row % 2, col - col % 2
        if not taken[row - gap : row + rows + gap, col - gap : col + cols + gap].any():
            return row, col
    return None


def _miscalled(
    cause: Cause, presence: NDArray[np.float64], start: dt.date, days: Sequence[dt.date], rng: np.random.Generator
) -> dict[int, SceneClass]:
    share, called = _MISCALLED.get(cause, (0.0, SceneClass.CLOUD_MEDIUM))
    draws = rng.random(len(days))
    return {i: called for i, day in enumerate(days) if day >= start and presence[i] > 0.3 and draws[i] < share}


def scan_landscape(landscape: Landscape, month: Month, params: SimulationParams) -> TileAlerts:
    """Scan a landscape as `detector.pipeline.scan` does a tile."""
    change = ChangeParams()
    first_day = month.shifted(1 - change.monitor.months).first_day
    scenes = landscape.scenes(month.last_day)
    plan = TilePlan(
        TILE,
        month,
        landscape.grid,
        tuple(scene for scene in scenes if scene.day < first_day),
        tuple(scene for scene in scenes if scene.day >= first_day),
        pixels_per_class=2,
    )
    with tempfile.TemporaryDirectory() as folder:
        files = ChangeMapFiles.under(Path(folder), TILE, month)
        with ChangeMapWriter(files, plan.grid) as writer:
            make_change_map(plan, WatchedArea().on(plan.grid), landscape, writer, change, threads=1)
        infrared = infrared_of(plan, plan.scenes, landscape, threads=1)
        return find_alerts(files, plan, PatchParams(min_area_ha=params.min_area_ha), infrared=infrared)


def label_patches(
    landscape: Landscape, month: Month, found: TileAlerts, params: SimulationParams, prefix: str
) -> tuple[TrainingTable, SimulationCount]:
    """Tell each patch's cause by the events that were laid, and each event whether it was found.

    Parameters
    ----------
    landscape
        With its events.
    month
        That was scanned.
    found
        What the scan found.
    params
        Which patch is an event's own.
    prefix
        Of the rows' identifiers.
    """
    shape = landscape.grid.shape
    owner, touched = np.full(shape, -1, np.int32), np.zeros(shape, bool)
    day = np.zeros(shape, np.int32)
    for number, event in enumerate(landscape.events):
        owner[event.window][event.shape.inside] = number
        touched[event.window] |= event.shape.cover > 0.05
        day[event.window][event.shape.inside] = event.start.toordinal() + event.shape.delay_days[
            event.shape.inside
        ].astype(np.int32)
    rows: list[dict[str, Any]] = []
    kept: list[int] = []
    held = np.zeros(len(landscape.events))
    mixed = two_places = 0
    for index, patch in enumerate(found.patches):
        ground = _ground(patch)
        places = np.unique(landscape.place_of[ground])
        owners = owner[ground]
        counts = np.bincount(owners[owners >= 0], minlength=len(landscape.events))
        best = int(counts.argmax()) if counts.size else -1
        if places.size > 1:
            two_places += 1
            continue
        if counts.sum() and counts[best] >= params.hit_share * owners.size:
            event = landscape.events[best]
            held[best] += counts[best]
            truth: dict[str, Any] = {
                "cause": event.cause.value,
                "event_id": event.id,
                "event_date": dt.date.fromordinal(int(np.median(day[ground][owners == best]))),
                "event_area_ha": event.shape.area_ha,
                "event_share": counts[best] / owners.size,
            }
        elif touched[ground].any():
            mixed += 1
            continue
        else:
            truth = {"cause": Cause.NO_EVENT.value}
        alert = found.alerts[index]
        kept.append(index)
        rows.append(
            truth
            | {
                "id": f"{prefix}-p{index:04d}",
                "place": landscape.places[int(places[0])].name,
                "source": Source.SIMULATED.value,
                "tile": TILE,
                "scanned_month": str(month),
                "last_intact": alert.last_intact,
                "first_low": alert.first_low,
                "state": alert.state.value,
                "geometry": alert.geometry,
            }
        )
    events = [
        {
            "event_id": event.id,
            "cause": event.cause.value,
            "event_date": event.start,
            "event_area_ha": event.shape.area_ha,
            "place": landscape.places[event.place].name,
            "source": Source.SIMULATED.value,
            "scanned_month": str(month),
            "n_dates_after": _dates_after(landscape, event, month),
            "found_share": float(held[number] / max(1, np.count_nonzero(event.shape.inside))),
            "found": bool(held[number] >= params.found_share * np.count_nonzero(event.shape.inside)),
        }
        for number, event in enumerate(landscape.events)
    ]
    table = TrainingTable.build(rows, found.features.iloc[kept], events)
    return table, SimulationCount(mixed, two_places)


def _dates_after(landscape: Landscape, event: LaidEvent, month: Month) -> int:
    """Dates, from an event's last day to the month's, on which its place was mostly clear."""
    over = event.start + dt.timedelta(days=int(event.shape.delay_days.max()))
    return sum(day >= over for day in landscape.clear_days(event.place, month.last_day))


def _ground(patch: Patch) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    rows, cols = np.nonzero(patch.mask)
    return rows + patch.row, cols + patch.col
