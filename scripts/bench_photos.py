"""Photos, SIMULATED: the memory that cleaning one takes, and what is lost when the service is killed."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
from PIL import Image

from api.photos.cleaning import clean
from scripts.bench_figures import BenchParams, Figure, forget_peak, in_child, peak_memory_bytes
from scripts.photo_kills import kill_while_sending

_LARGEST: Final = (9240, 6930)
_CASES: Final[dict[str, tuple[tuple[int, int], str, int, dict[str, Any]]]] = {
    "JPEG of 12 million pixels": ((4000, 3000), "JPEG", 3, {}),
    "JPEG of 64 million": (_LARGEST, "JPEG", 3, {}),
    "progressive JPEG of 64 million": (_LARGEST, "JPEG", 3, {"progressive": True, "subsampling": 0}),
    "PNG of 64 million, transparent": (_LARGEST, "PNG", 4, {"compress_level": 1}),
}
_KILLS: Final = 30
_SEED: Final = 3


def bench_photos(params: BenchParams) -> Iterator[Figure]:
    """Memory of each kind of photo; thirty kills of the service while photos are sent to it."""
    for name in _CASES:
        came = in_child(_made, name)
        yield Figure("photos", f"{name}: memory at its peak", in_child(_cleaned, came) / 1e6, "MB")
    with TemporaryDirectory(dir=params.work) as folder:
        killed = kill_while_sending(Path(folder) / "data", in_child(_made, "JPEG of 12 million pixels"), _KILLS, _SEED)
    name = f"{killed.kills} SIGKILLs of the service: photos acknowledged"
    yield Figure("photos", name, killed.acknowledged, at_least=_KILLS)
    yield Figure("photos", "of these, lost", killed.lost, at_most=0)
    yield Figure("photos", "of these, kept twice", killed.doubled, at_most=0)


def _made(name: str) -> bytes:
    (width, height), form, channels, options = _CASES[name]
    ramp = (np.add.outer(np.arange(height), np.arange(width)) // 16 % 256).astype(np.uint8)
    pixels = np.dstack([ramp, ramp[::-1], ramp[:, ::-1], ramp][:channels])
    pixels[::3, ::3] ^= 21
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, form, **options)
    return buffer.getvalue()


def _cleaned(came: bytes) -> int:
    """Bytes at the peak, beyond what was in use before."""
    before = forget_peak()
    clean(came)
    return peak_memory_bytes() - before
