"""Memory and time that cleaning a photo takes: simulated photos, each in a process of its own."""

from __future__ import annotations

import multiprocessing
import resource
import time
from io import BytesIO
from typing import Any, Final

import numpy as np
from PIL import Image

from api.photos.cleaning import clean

_CASES: Final[dict[str, tuple[tuple[int, int], str, int, dict[str, Any]]]] = {
    "JPEG, 12 million pixels": ((4000, 3000), "JPEG", 3, {}),
    "JPEG, 64 million pixels": ((9240, 6930), "JPEG", 3, {}),
    "progressive JPEG, 64 million pixels": ((9240, 6930), "JPEG", 3, {"progressive": True, "subsampling": 0}),
    "PNG with transparency, 64 million pixels": ((9240, 6930), "PNG", 4, {"compress_level": 1}),
}


def main() -> None:
    """Print a line for each kind of photo."""
    spawning = multiprocessing.get_context("spawn")
    for name in _CASES:
        with spawning.Pool(1) as pool:
            came = pool.apply(_made, (name,))
        with spawning.Pool(1) as pool:
            seconds, megabytes = pool.apply(_cleaned, (came,))
        print(f"{name}: {seconds:.1f} s, {megabytes:.0f} MB more at its peak")


def _made(name: str) -> bytes:
    (width, height), form, channels, options = _CASES[name]
    ramp = (np.add.outer(np.arange(height), np.arange(width)) // 16 % 256).astype(np.uint8)
    pixels = np.dstack([ramp, ramp[::-1], ramp[:, ::-1], ramp][:channels])
    pixels[::3, ::3] ^= 21
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, form, **options)
    return buffer.getvalue()


def _cleaned(came: bytes) -> tuple[float, float]:
    before, begun = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    clean(came)
    seconds = time.perf_counter() - begun
    return seconds, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 / 1e6


if __name__ == "__main__":
    main()
