"""The benchmark of the exports writes every format, on little; how fast is not a test's business."""

from __future__ import annotations

from pathlib import Path

from api.exports import ExportFormat
from scripts.bench_exports import cost_of_formats


def test_every_format_is_measured(tmp_path: Path) -> None:
    costs = cost_of_formats(2, 20, tmp_path / "work")
    assert list(costs) == list(ExportFormat)
    for cost in costs.values():
        assert cost.seconds > 0
        assert cost.n_bytes > 2_000
    assert list((tmp_path / "work").iterdir()) == []
