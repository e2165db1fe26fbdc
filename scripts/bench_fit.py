"""The fit and the monitoring step on one core, beside those of nrt (European Union, Joint Research Centre)."""

from __future__ import annotations

import datetime as dt
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scripts.bench_figures import BenchParams, Figure, on_one_core, take_turns
from tiles import kernels
from tiles.clear import CLEAR_CLASSES
from tiles.monitor import MonitorParams, PixelMemory, date_quality, follow
from tiles.month import Month, day_number
from tiles.reference import CodedReference, ReferenceParams, design_matrix, fit_curves, fit_reference

_MONTH = Month(2019, 7)
_MIN_OBSERVATIONS = ReferenceParams().min_observations
_ORDER = ReferenceParams().order


@dataclass(frozen=True)
class Series:
    """Real images of the demo's forest: days, and NDVI and near infrared (dates, rows, cols) as the engine has them."""

    days: list[dt.date]
    ndvi: NDArray[np.int16]
    near_infrared: NDArray[np.int16]

    def between(self, first: dt.date, last: dt.date) -> Series:
        """The dates of some time."""
        kept = [index for index, day in enumerate(self.days) if first <= day <= last]
        return Series([self.days[index] for index in kept], self.ndvi[kept], self.near_infrared[kept])


def romania() -> Series:
    """The demo's cube."""
    import nrt.data as nrt_data

    with nrt_data.romania_10m() as ten, nrt_data.romania_20m() as twenty:
        red, nir = (ten[band].values for band in ("B4", "B8"))
        scl = np.nan_to_num(twenty["SCL"].values).astype(np.uint8)
        days = [dt.date.fromisoformat(str(day)) for day in ten.time.values.astype("datetime64[D]")]
    clear = np.isin(scl, CLEAR_CLASSES).repeat(2, axis=1).repeat(2, axis=2) & (red > 0) & (nir > 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        ndvi = np.where(clear, np.rint(kernels.NDVI_SCALE * (nir - red) / (nir + red)), kernels.MISSING)
    return Series(days, ndvi.astype(np.int16), np.nan_to_num(nir).astype(np.int16))


def bench_fit(params: BenchParams) -> Iterator[Figure]:
    """Fit and monitoring on one core, beside nrt's."""
    if find_spec("nrt") is None:
        yield Figure("fit", "left out: the package nrt is not installed", float("nan"))
        return
    yield from on_one_core(_measure, params.repeats, max(1, min(1_000_000, params.size_px**2) // 10_000))


def _measure(repeats: int, copies: int) -> list[Figure]:
    """All figures, of the cube's ten thousand pixels and as many copies of them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of nrt's libraries; none is ours to act upon
        series = romania()
        start = _MONTH.shifted(1 - MonitorParams().window_months)
        history = series.between(start.shifted(-12 * ReferenceParams().years).first_day, start.shifted(-1).last_day)
        recent = series.between(start.first_day, _MONTH.last_day)
        return [*_fit_figures(history, repeats, max(1, copies // 5)), *_monitor_figures(history, recent, copies)]


def _fit_figures(history: Series, repeats: int, copies: int) -> Iterator[Figure]:
    """The same least squares by both, then what each does about outliers."""
    from nrt.fit_methods import ols, rirls

    figure = partial(Figure, "fit")
    pixels = history.ndvi.reshape(len(history.days), -1)
    pixels = pixels[:, (pixels != kernels.MISSING).sum(axis=0) >= _MIN_OBSERVATIONS]
    pixels = np.tile(pixels, copies)
    design = design_matrix(history.days, _ORDER)
    observed = np.where(pixels == kernels.MISSING, np.nan, pixels / kernels.NDVI_SCALE)
    plain = replace(ReferenceParams(), trims=0, ridge=0.0)
    calls: dict[str, Callable[[], Any]] = {
        "own": partial(fit_curves, pixels, history.days, plain),
        "nrt": partial(ols, design, observed),
    }
    found = {name: call() for name, call in calls.items()}
    seconds = {name: median(times) for name, times in take_turns(repeats, calls).items()}
    speed = {name: pixels.shape[1] / time / 1e6 for name, time in seconds.items()}
    name = f"least squares, {design.shape[1]} terms, {design.shape[0]} dates, {pixels.shape[1]} real pixels"
    yield figure(f"{name}: nrt", speed["nrt"], "Mpx/s")
    yield figure("  Sylvigie", speed["own"], "Mpx/s")
    yield figure("  times faster than nrt", speed["own"] / speed["nrt"], "x", at_least=2)
    difference = np.abs(found["own"].coefficients - found["nrt"][0]).max()
    yield figure("  largest difference of a coefficient", float(difference), "NDVI", at_most=1e-5)

    few = pixels.shape[1] // (10 * copies)
    calls = {
        "own": partial(fit_curves, pixels, history.days, ReferenceParams()),
        "nrt": partial(rirls, design, observed[:, :few]),
    }
    for call in calls.values():
        call()
    times = take_turns(max(1, repeats // 2), calls)
    robust = pixels.shape[1] / median(times["own"]) / 1e6
    theirs = few / median(times["nrt"]) / 1e6
    note = f"nrt's robust fit (RIRLS): {theirs:.2g}"
    yield figure("  as a scan fits: ridge, and low outliers left out once", robust, "Mpx/s", note=note)


def _monitor_figures(history: Series, recent: Series, copies: int) -> Iterator[Figure]:
    """Date by date, both by the images of the last year."""
    figure = partial(Figure, "fit")
    reference = fit_reference(history.ndvi.reshape(len(history.days), -1), history.days, ReferenceParams())
    reference = CodedReference(
        np.tile(reference.coefficients, copies), np.tile(reference.lowest, copies), np.tile(reference.count, copies)
    )
    ndvi = np.tile(recent.ndvi.reshape(len(recent.days), -1), copies)
    near_infrared = np.tile(recent.near_infrared.reshape(len(recent.days), -1), copies)
    alone, together, whole = _own_steps(ndvi, near_infrared, recent.days, reference)
    million = ndvi.shape[1] / 1e6
    theirs = {name: million / median(_nrt_steps(model, recent, copies)) for name, model in _nrt_models(history)}
    fastest = max(theirs, key=lambda name: theirs[name])
    note = ", ".join(f"{name} {speed:.3g}" for name, speed in theirs.items())
    yield figure(f"monitoring an image of {million:.2g} Mpx: nrt's {fastest}", theirs[fastest], "Mpx/s", note=note)
    ways = {
        "Sylvigie, one image alone": (alone, 5),
        f"Sylvigie, an image of {len(recent.days)} followed together, as a scan does": (together, 5),
        "the same, with what each date is worth measured first": (whole, None),
    }
    for way, (seconds, goal) in ways.items():
        speed = million / seconds
        ratio = speed / theirs[fastest]
        yield figure(f"  {way}, times faster", ratio, "x", at_least=goal, note=f"{speed:.0f} Mpx/s")


def _own_steps(
    ndvi: NDArray[np.int16], near_infrared: NDArray[np.int16], days: list[dt.date], reference: CodedReference
) -> tuple[float, float, float]:
    """Seconds an image: of the kernel with one image, with all together, and of all that a scan does about them."""
    params, pixels = MonitorParams(), ndvi.shape[1]
    cells = np.array([*range(0, pixels, params.cell_px**2), pixels], np.int64)
    design = design_matrix(days, _ORDER).astype(np.float32)
    quality = date_quality(ndvi, near_infrared, design, cells, reference, params)
    usable = np.ones_like(quality.usable)  # nrt does not leave hazy dates out either
    memory, numbers = PixelMemory.blank(pixels), np.array([day_number(day) for day in days], np.int16)

    def step(part: slice) -> float:
        started = time.perf_counter()
        kernels.monitor(
            ndvi[part], near_infrared[part], reference.coefficients, reference.lowest, design[part], cells,
            usable[part], quality.background[part], quality.low_drop[part], params.intact_drop,
            quality.convincing[part], quality.nir_level[part], params.dark_share, params.settled_lows,
            numbers[part], memory.counts, memory.when, memory.sums, memory.brightness,
        )  # fmt: skip
        return time.perf_counter() - started

    step(slice(0, 1))  # compiled
    alone = median(step(slice(index, index + 1)) for index in range(len(days)))
    memory = PixelMemory.blank(pixels)
    together = step(slice(None)) / len(days)
    started = time.perf_counter()
    follow(ndvi, near_infrared, days, cells, reference, PixelMemory.blank(pixels), params)
    return alone, together, (time.perf_counter() - started) / len(days)


def _nrt_models(history: Series) -> Iterator[tuple[str, Any]]:
    """Every way of monitoring that nrt has, each fitted to the same dates by the same curve."""
    import xarray as xr
    from nrt.monitor.ccdc import CCDC
    from nrt.monitor.cusum import CuSum
    from nrt.monitor.ewma import EWMA
    from nrt.monitor.iqr import IQR
    from nrt.monitor.mosum import MoSum

    values = np.where(history.ndvi == kernels.MISSING, np.nan, history.ndvi / kernels.NDVI_SCALE)
    dims = ("time", "y", "x")
    coordinates = {
        "time": np.array(history.days, "datetime64[ns]"),
        "y": np.arange(values.shape[1]),
        "x": np.arange(values.shape[2]),
    }
    cube = xr.DataArray(values, coordinates, dims)
    for kind in (EWMA, CuSum, MoSum, IQR, CCDC):
        model = kind(trend=False, harmonic_order=_ORDER)
        model.fit(dataarray=cube, method="OLS", screen_outliers=None)
        yield kind.__name__, model


def _nrt_steps(model: Any, recent: Series, copies: int) -> list[float]:
    """Seconds of each image, of as many copies of the cube's pixels side by side."""
    shape = recent.ndvi.shape[1:]
    for name, value in vars(model).items():
        if isinstance(value, np.ndarray) and value.shape[-2:] == shape:
            setattr(model, name, np.tile(value, copies))
    seconds = []
    for index in (0, *range(len(recent.days))):
        ndvi, day = recent.ndvi[index], recent.days[index]
        image = np.where(ndvi == kernels.MISSING, np.nan, ndvi / kernels.NDVI_SCALE).astype(np.float32)
        image = np.tile(image, copies)
        midnight = dt.datetime.combine(day, dt.time())  # nrt wants it without a time zone
        started = time.perf_counter()
        model.monitor(image, midnight)
        seconds.append(time.perf_counter() - started)
    return seconds[1:]
