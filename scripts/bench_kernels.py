"""The two-date kernel over a tile in memory, beside the machine's bandwidth, numexpr and numpy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from statistics import median

import numba
import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from scripts.bench_figures import BenchParams, Figure, forget_peak, in_child, peak_memory_bytes, take_turns
from tiles import kernels
from tiles.clear import CLEAR_CLASSES, class_bits, class_table

_OFFSETS = (0, -1000)
"""Of the two dates: a scene from before ESA's change of January 2022, and one from after."""
_TRIAD_LENGTH = 40_000_000
"""Numbers of each of the triad's arrays: 320 MB, ten times any cache."""
_NO_VALUE = kernels.MISSING


@dataclass(frozen=True)
class Pair:
    """Two SIMULATED dates of a tile in memory: digital numbers at 10 m, classes at 20 m."""

    red: tuple[NDArray[np.uint16], NDArray[np.uint16]]
    nir: tuple[NDArray[np.uint16], NDArray[np.uint16]]
    scl: tuple[NDArray[np.uint8], NDArray[np.uint8]]

    @property
    def bytes_moved(self) -> int:
        """Bytes that one pass must read and write."""
        arrays = (*self.red, *self.nir, *self.scl)
        return sum(array.nbytes for array in arrays) + self.red[0].size * np.dtype(np.int16).itemsize


def simulated_pair(size_px: int) -> Pair:
    """Two dates: forest and soil, three tenths under clouds in stretches, a few pixels without data."""
    rng = np.random.default_rng(1)
    block = min(size_px, 1024)

    def over_the_tile(values: NDArray[np.generic], side: int) -> NDArray[np.generic]:
        times = -(-side // values.shape[0])
        return np.ascontiguousarray(np.tile(values, (times, times))[:side, :side])

    def band(low: int, high: int, offset: int) -> NDArray[np.uint16]:
        values = rng.integers(low, high, (block, block)) - offset
        values[rng.random(values.shape) < 0.001] = 0
        return over_the_tile(values.astype(np.uint16), size_px).astype(np.uint16, copy=False)

    def classes() -> NDArray[np.uint8]:
        cloudy = np.repeat(rng.random((block // 2, -(-block // 64))) < 0.3, 32, axis=1)[:, : block // 2]
        return over_the_tile(np.where(cloudy, 9, 4).astype(np.uint8), size_px // 2).astype(np.uint8, copy=False)

    return Pair(
        red=(band(150, 1500, _OFFSETS[0]), band(150, 1500, _OFFSETS[1])),
        nir=(band(2000, 4500, _OFFSETS[0]), band(2000, 4500, _OFFSETS[1])),
        scl=(classes(), classes()),
    )


def by_kernel(pair: Pair, out: NDArray[np.int16]) -> None:
    """Sylvigie's way."""
    kernels.ndvi_change_parallel(
        pair.red[0], pair.nir[0], pair.scl[0], _OFFSETS[0], pair.red[1], pair.nir[1], pair.scl[1], _OFFSETS[1],
        class_bits(CLEAR_CLASSES), out,
    )  # fmt: skip


def by_numexpr(pair: Pair, out: NDArray[np.int16]) -> None:
    """As one who knows numexpr writes it: one expression in single precision, all threads, written in place."""
    import numexpr

    one, half, scale = np.float32(1), np.float32(0.5), np.float32(kernels.NDVI_SCALE)
    numexpr.evaluate(
        "where(clear & (r0 > 0) & (n0 > 0) & (r1 > 0) & (n1 > 0) & (n0 + r0 + o0 > 0) & (n1 + r1 + o1 > 0),"
        " floor(scale * ((n1 - r1) / (one * (n1 + r1 + o1)) - (n0 - r0) / (one * (n0 + r0 + o0))) + half), missing)",
        local_dict={
            "clear": _both_clear(pair),
            "r0": pair.red[0],
            "n0": pair.nir[0],
            "r1": pair.red[1],
            "n1": pair.nir[1],
            "o0": np.int32(2 * _OFFSETS[0]),
            "o1": np.int32(2 * _OFFSETS[1]),
            "one": one,
            "half": half,
            "scale": scale,
            "missing": np.float32(_NO_VALUE),
        },
        out=out,
        casting="unsafe",
    )


def by_numpy(pair: Pair, out: NDArray[np.int16]) -> None:
    """As one who knows numpy writes it: single precision, in place where that is possible."""
    indices, valid = [], _both_clear(pair)
    for red, nir, offset in zip(pair.red, pair.nir, _OFFSETS, strict=True):
        r, n = red.astype(np.float32), nir.astype(np.float32)
        total = n + r
        total += np.float32(2 * offset)
        valid &= (red > 0) & (nir > 0) & (total > 0)
        n -= r
        with np.errstate(divide="ignore", invalid="ignore"):
            n /= total
        indices.append(n)
    before, after = indices
    after -= before
    after *= np.float32(kernels.NDVI_SCALE)
    np.rint(after, out=after)
    after[~valid] = _NO_VALUE
    np.copyto(out, after, casting="unsafe")


def _both_clear(pair: Pair) -> NDArray[np.bool_]:
    table = class_table(CLEAR_CLASSES).astype(bool)
    coarse = table[pair.scl[0]] & table[pair.scl[1]]
    return np.repeat(np.repeat(coarse, 2, axis=0), 2, axis=1)


_WAYS: dict[str, Callable[[Pair, NDArray[np.int16]], None]] = {
    "kernel": by_kernel,
    "numexpr": by_numexpr,
    "numpy": by_numpy,
}


@njit(cache=True, parallel=True)
def _triad(a: NDArray[np.float64], b: NDArray[np.float64], c: NDArray[np.float64], s: float) -> None:
    for index in prange(a.size):
        a[index] = b[index] + s * c[index]


def bench_kernels(params: BenchParams) -> Iterator[Figure]:
    """The two-date kernel: share of the bandwidth, times faster than numexpr and numpy, memory."""
    figure = partial(Figure, "kernels")
    size = params.size_px - params.size_px % 2
    pair = simulated_pair(size)
    out = np.empty(pair.red[0].shape, np.int16)
    length = min(_TRIAD_LENGTH, 8 * out.size)
    a, b, c = (np.full(length, value) for value in (0.0, 1.0, 2.0))
    calls: dict[str, Callable[[], object]] = {
        "triad": partial(_triad, a, b, c, 3.0),
        "kernel": partial(by_kernel, pair, out),
    }
    take_turns(1, calls)  # compiled, and every page touched
    seconds = take_turns(4 * params.repeats, calls)
    bandwidth = 3 * a.nbytes / min(seconds["triad"]) / 1e9
    kernel = pair.bytes_moved / min(seconds["kernel"]) / 1e9
    threads = numba.get_num_threads()
    name = f"NDVI change of a pair, {size} x {size} px, {threads} threads"
    yield figure("triad a = b + s * c, best", bandwidth, "GB/s")
    yield figure(f"{name}, best", min(seconds["kernel"]), "s")
    yield figure("  share of the triad's bandwidth", kernel / bandwidth, at_least=0.6)
    del a, b, c

    ways = {name: partial(way, pair, out) for name, way in _WAYS.items()}
    take_turns(1, ways)  # memory that a virtual machine has not used yet is slow to come
    others = take_turns(params.repeats, ways)
    ours = median(others["kernel"])
    for other, goal in (("numexpr", 12), ("numpy", 20)):
        theirs = median(others[other])
        yield figure(f"  times faster than {other}", theirs / ours, "x", at_least=goal, note=f"{theirs:.2f} s")
    del out, pair
    for way, peak in in_child(_memory, size).items():
        note = "an array of the tile's size: %.0f MB" % (size * size * 2 / 1e6) if way == "kernel" else ""
        yield figure(f"  memory beside input and output: {way}", peak / 1e6, "MB", note=note)


def _memory(size_px: int) -> dict[str, int]:
    """Memory that each way takes beside input and output, largest; the results are compared on the way."""
    small = simulated_pair(64)
    for way in _WAYS.values():
        way(small, np.empty(small.red[0].shape, np.int16))
    pair = simulated_pair(size_px)
    expected = np.zeros(pair.red[0].shape, np.int16)
    by_kernel(pair, expected)
    peaks = {}
    for name, way in _WAYS.items():
        out = np.zeros(expected.shape, np.int16)
        out[:] = 1  # every page is there before the measure
        before = forget_peak()
        way(pair, out)
        peaks[name] = max(0, peak_memory_bytes() - before)
        _check_same(expected, out, name)
    return peaks


def _check_same(expected: NDArray[np.int16], found: NDArray[np.int16], name: str) -> None:
    """Rounding apart (one unit, 0.0001 NDVI), all ways must give the same: else their times say nothing."""
    for top in range(0, expected.shape[0], 1024):
        one, other = expected[top : top + 1024].astype(np.int32), found[top : top + 1024].astype(np.int32)
        if not np.array_equal(one == _NO_VALUE, other == _NO_VALUE) or np.abs(one - other).max(initial=0) > 1:
            raise AssertionError(f"{name} computes something else than the kernel")
