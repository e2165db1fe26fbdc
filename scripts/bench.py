"""Speed and detection figures beside the goals of the first issue: ``python -m scripts.bench``.

It measures and prints, and never fails for a goal that is missed: people judge. Ratios are of things measured in turns
in one run on one machine; seconds are of that machine alone.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from scripts.bench_figures import BenchParams, Figure, as_json

_REFERENCE = Path(__file__).resolve().parents[2] / "shared/data/romania/patches_2017_2019.geojson"


class Section(StrEnum):
    """What can be measured."""

    KERNELS = "kernels"
    FIT = "fit"
    SCAN = "scan"
    MONTH = "month"
    BYTES = "bytes"
    KILLS = "kills"
    DETECTION = "detection"
        case Section.CONTEXT:
            from scripts.bench_context import bench_context as bench
