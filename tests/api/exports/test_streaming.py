"""Exports do not hold the alerts, hand on small pieces, leave nothing behind, and appear whole or not at all."""

from __future__ import annotations

import tracemalloc
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.exports import ExportFormat, stream, write
from api.exports.record_batches import BATCH_ROWS
from api.exports.writing import CHUNK_BYTES
from api.features import AlertFeature
from tests.fakes.exported_alerts import INFO, many
from tiles.errors import OutputError

TEXT = [fmt for fmt in ExportFormat if fmt.streamed]
BINARY = [fmt for fmt in ExportFormat if not fmt.streamed]


class Watched:
    """Alerts of which it is known how many are alive at once."""

    def __init__(self, like: AlertFeature, n: int) -> None:
        self.most = self.drawn = 0
        self._alive: weakref.WeakSet[AlertFeature] = weakref.WeakSet()
        self._features = many(like, n)

    def __iter__(self) -> Iterator[AlertFeature]:
        for feature in self._features:
            self.drawn += 1
            self._alive.add(feature)
            self.most = max(self.most, len(self._alive))
            yield feature
            del feature


@pytest.mark.parametrize("fmt", [*TEXT, ExportFormat.XLSX])
def test_formats_by_row_hold_one_alert(alerts: list[AlertFeature], fmt: ExportFormat, tmp_path: Path) -> None:
    watched = Watched(alerts[1], 200)
    write(watched, fmt, INFO, tmp_path / "out")
    assert watched.drawn == 200
    assert watched.most <= 3


@pytest.mark.parametrize("fmt", [ExportFormat.GPKG, ExportFormat.FGB, ExportFormat.PARQUET])
def test_formats_by_batch_hold_one_batch(alerts: list[AlertFeature], fmt: ExportFormat, tmp_path: Path) -> None:
    watched = Watched(alerts[1], 2 * BATCH_ROWS + 100)
    write(watched, fmt, INFO, tmp_path / f"out{fmt.suffix}")
    assert watched.drawn == 2 * BATCH_ROWS + 100
    # The next batch is begun while the last is let go.
    assert watched.most <= 2 * BATCH_ROWS


def test_twenty_thousand_alerts_with_flat_memory(alerts: list[AlertFeature]) -> None:
    tracemalloc.start()
    try:
        n_bytes = sum(map(len, stream(many(alerts[1], 20_000), ExportFormat.GEOJSON, INFO)))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert n_bytes > 40e6
    assert peak < 2e6


@pytest.mark.parametrize("fmt", ExportFormat)
def test_pieces_are_small_and_none_is_empty(alerts: list[AlertFeature], fmt: ExportFormat) -> None:
    sizes = [len(piece) for piece in stream(many(alerts[1], 100), fmt, INFO)]
    assert min(sizes) > 0
    assert max(sizes) < 2 * CHUNK_BYTES


@pytest.mark.parametrize("fmt", TEXT)
def test_text_leaves_before_the_alerts_have_all_come(alerts: list[AlertFeature], fmt: ExportFormat) -> None:
    watched = Watched(alerts[1], 1_000_000)
    pieces = stream(watched, fmt, INFO)
    assert next(pieces)
    assert 0 < watched.drawn < 500
    pieces.close()


@pytest.mark.parametrize("fmt", BINARY)
def test_a_client_that_goes_away_leaves_nothing_behind(
    alerts: list[AlertFeature], fmt: ExportFormat, tmp_path: Path
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    pieces = stream(many(alerts[1], 50), fmt, INFO, scratch)
    assert list(scratch.iterdir()) == []
    assert next(pieces)
    assert len(list(scratch.iterdir())) == 1
    pieces.close()
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize("fmt", BINARY)
def test_what_was_streamed_and_what_broke_leave_nothing_behind(
    alerts: list[AlertFeature], fmt: ExportFormat, tmp_path: Path
) -> None:
    def broken() -> Iterator[AlertFeature]:
        yield alerts[0]
        raise RuntimeError("the store is gone")

    scratch = tmp_path / "scratch"
    scratch.mkdir()
    assert b"".join(stream(iter(alerts), fmt, INFO, scratch))
    with pytest.raises(RuntimeError, match="the store is gone"):
        next(stream(broken(), fmt, INFO, scratch))
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize("fmt", ExportFormat)
def test_the_same_alerts_at_the_same_moment_give_the_same_bytes(
    alerts: list[AlertFeature], fmt: ExportFormat, tmp_path: Path
) -> None:
    first, second = tmp_path / f"first{fmt.suffix}", tmp_path / f"second{fmt.suffix}"
    assert write(alerts, fmt, INFO, first) == write(alerts, fmt, INFO, second) == len(alerts)
    assert first.read_bytes() == second.read_bytes() == b"".join(stream(alerts, fmt, INFO))


def test_a_file_that_cannot_be_written_leaves_the_old_one(alerts: list[AlertFeature], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    for fmt in ExportFormat:
        with pytest.raises(OutputError, match="Cannot write"):
            write(alerts, fmt, INFO, tmp_path / "file" / f"out{fmt.suffix}")
    with pytest.raises(OutputError, match="Cannot write an export in"):
        next(stream(alerts, ExportFormat.FGB, INFO, tmp_path / "nowhere"))
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["file"]


@pytest.mark.parametrize("fmt", TEXT)
def test_what_breaks_in_mid_write_leaves_the_old_one(
    alerts: list[AlertFeature], fmt: ExportFormat, tmp_path: Path
) -> None:
    def broken() -> Iterator[AlertFeature]:
        yield alerts[0]
        raise RuntimeError("the store is gone")

    path = tmp_path / "out"
    path.write_text("the old one")
    with pytest.raises(RuntimeError, match="the store is gone"):
        write(broken(), fmt, INFO, path)
    assert path.read_text() == "the old one"
    assert [found.name for found in tmp_path.iterdir() if found.is_file()] == ["out"]


def test_formats_have_media_types_and_suffixes_of_their_own() -> None:
    assert len({fmt.media_type for fmt in ExportFormat}) == len(ExportFormat)
    assert {fmt.suffix for fmt in ExportFormat} == {f".{fmt.value}" for fmt in ExportFormat}
