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
    LOOKS = "looks"
    KILLS = "kills"
    DETECTION = "detection"
    CLOUDS = "clouds"
    CONTEXT = "context"
    CAUSES = "causes"
    MODELS = "models"
    FEATURES = "features"
    STORE = "store"
    EXPORTS = "exports"
    PHOTOS = "photos"


def measure(section: Section, params: BenchParams) -> Iterator[Figure]:
    """The figures of a section, as they come."""
    # Not at the top: each brings libraries that the others do without.
    bench: Callable[[BenchParams], Iterator[Figure]]
    match section:
        case Section.KERNELS:
            from scripts.bench_kernels import bench_kernels as bench
        case Section.FIT:
            from scripts.bench_fit import bench_fit as bench
        case Section.SCAN:
            from scripts.bench_scan import bench_scan as bench
        case Section.MONTH:
            from scripts.bench_month import bench_month as bench
        case Section.BYTES:
            from scripts.bench_bytes import bench_bytes as bench
        case Section.LOOKS:
            from scripts.bench_looks import bench_looks as bench
        case Section.KILLS:
            from scripts.bench_kills import bench_kills as bench
        case Section.DETECTION:
            from scripts.bench_detection import bench_detection as bench
        case Section.CLOUDS:
            from scripts.bench_clouds import bench_clouds as bench
        case Section.CONTEXT:
            from scripts.bench_context import bench_context as bench
        case Section.CAUSES:
            from scripts.bench_causes import bench_causes as bench
        case Section.MODELS:
            from scripts.bench_models import bench_models as bench
        case Section.FEATURES:
            from scripts.bench_features import bench_features as bench
        case Section.STORE:
            from scripts.bench_store import bench_store as bench
        case Section.EXPORTS:
            from scripts.bench_exports import bench_exports as bench
        case Section.PHOTOS:
            from scripts.bench_photos import bench_photos as bench
    yield from bench(params)


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def run(
    section: Annotated[list[Section] | None, typer.Option(help="What to measure, may be repeated; all by default.")],
    size_px: Annotated[int, typer.Option(min=256, help="Side of the simulated tile, in pixels.")] = 10980,
    dates: Annotated[int, typer.Option(min=8, help="Dates of the simulated tile, over four years.")] = 16,
    forest_share: Annotated[float, typer.Option(min=0, max=1, help="Forest in the simulated tile.")] = 0.5,
    cloud_share: Annotated[float, typer.Option(min=0, max=1, help="Cloud in the simulated tile.")] = 0.3,
    repeats: Annotated[int, typer.Option(min=1, help="How often each timing is taken.")] = 5,
    work: Annotated[
        Path | None, typer.Option(help="Folder where the simulated tile (5 GB) is kept; a passing one by default.")
    ] = None,
    reference: Annotated[Path, typer.Option(help="Patches of the demo that were looked at.")] = _REFERENCE,
    json_file: Annotated[Path | None, typer.Option("--json", help="File for the figures as JSON.")] = None,
) -> None:
    """Measure, and print a line a figure: value, goal, whether it is met."""
    figures = []
    with tempfile.TemporaryDirectory(prefix="sylvigie-bench-") as passing:
        folder = (work or Path(passing)).expanduser().absolute()
        folder.mkdir(parents=True, exist_ok=True)
        params = BenchParams(size_px, dates, folder, reference, repeats, forest_share, cloud_share)
        for wanted in section or list(Section):
            for figure in measure(wanted, params):
                print(figure.line(), flush=True)
                figures.append(figure)
    judged = [figure.met for figure in figures if figure.met is not None]
    print(f"{sum(judged)} of {len(judged)} goals met.")
    if json_file is not None:
        json_file.write_text(json.dumps(as_json(figures), indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    app()
