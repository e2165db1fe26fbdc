"""The context of a month's patches of a whole country, against SIMULATED layers of that size."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from detector.context import describe
from scripts.bench_figures import BenchParams, Figure, in_child, peak_memory_bytes
from scripts.simulated_france import simulate_france

_THREADS = 2
_WHOLE_PX = 10980


@dataclass(frozen=True)
class _Run:
    """What one run came to."""

    seconds: float
    processor_seconds: float
    peak_gb: float
    natura2000_share: float
    steep_share: float
    told_share: float


def bench_context(params: BenchParams) -> Iterator[Figure]:
    """Time and memory of `describe`; the number of features goes with the square of the tile's side."""
    figure = partial(Figure, "context")
    part = params.size_px / _WHOLE_PX
    folder = params.work / f"simulated-france-{part:.3f}"
    france = simulate_france(folder, part)
    whole = in_child(_described, folder, part, 1)
    quarter = in_child(_described, folder, part, 4)
    n = france.count("patches")
    counts = f"{france.count('communes')} communes, {france.count('forest')} forest polygons, " + (
        f"{france.count('zsc') + france.count('zps')} Natura 2000 sites, SIMULATED"
    )
    yield figure(f"{n} patches, {_THREADS} threads", whole.seconds, "s", at_most=120, note=counts)
    yield figure("  of the processors, both together", whole.processor_seconds, "s")
    yield figure("  peak memory", whole.peak_gb, "GB", at_most=3)
    yield figure("  peak memory, of every fourth patch", quarter.peak_gb, "GB")
    yield figure("  seconds, of every fourth patch", quarter.seconds, "s")
    yield figure("  patches in Natura 2000", whole.natura2000_share)
    yield figure("  patches with a block of slope >= 30 %", whole.steep_share)
    yield figure("  patches of which commune, forest type and slope are told", whole.told_share)


def _described(folder: Path, part: float, every: int) -> _Run:
    """Describe each so many-th patch, in a process of its own."""
    france = simulate_france(folder, part)
    patches = france.patches().iloc[::every]
    outlines, area_ha = patches.geometry.to_numpy(), patches["area_ha"].to_numpy()
    on, earlier = patches["first_low"].to_numpy().astype("datetime64[D]"), france.earlier()
    started, used = time.perf_counter(), time.process_time()
    described = describe(outlines, area_ha, on, france, earlier, threads=_THREADS)
    seconds, processor_seconds = time.perf_counter() - started, time.process_time() - used
    contexts = described.contexts
    told = [(one.commune, one.departement, one.region, one.forest_type, one.slope_block_ha) for one in contexts]
    return _Run(
        seconds,
        processor_seconds,
        peak_memory_bytes() / 1e9,
        float(np.mean([bool(one.natura2000_ha) for one in contexts])),
        float(np.mean([bool(one.slope_block_ha) for one in contexts])),
        float(np.mean([None not in one for one in told])),
    )
