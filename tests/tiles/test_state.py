"""What is kept of a tile between months: what comes back is what went in, and what is spoilt is found out."""

from __future__ import annotations

import dataclasses
import datetime as dt
import random
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tests.fakes.archive import cut_short
from tests.fakes.forest import Forest, days_of
from tests.fakes.reader import FakeReader, KeepingSink, plan_of
from tiles import engine
from tiles.engine import ChangeParams, Tally, make_change_map
from tiles.errors import OutputError, StateError
from tiles.false_cloud import CloudList, FalseCloudParams
from tiles.monitor import MonitorParams, PixelMemory
from tiles.month import Month
from tiles.reference import CodedReference
from tiles.state import CLOUDS_FILE, MONTHLY_FILES, REFERENCE_FILE, StateReader, StateWriter

TERMS = 5
#: Forest pixels of each window; some have none.
PIXELS = (700, 0, 1, 1300, 0, 64)
#: Of what is known of false clouds, a row of windows; of one nothing.
CLOUDS = (30, 0, 7)
FILES = (REFERENCE_FILE, *MONTHLY_FILES)

Window = tuple[CodedReference, PixelMemory]


def _window(index: int, pixels: int) -> Window:
    """Any content, over the whole range of each number; a suspicion in one pixel of four."""
    rng = np.random.default_rng(index)
    reference = CodedReference(
        rng.integers(-128, 128, (TERMS, pixels)).astype(np.int8),
        rng.integers(0, 256, pixels).astype(np.uint8),
        rng.integers(0, 256, pixels).astype(np.uint8),
    )
    memory = PixelMemory(
        rng.integers(1, 32768, (5, pixels)).astype(np.int16),
        rng.integers(-1, 32768, (3, pixels)).astype(np.int16),
        rng.normal(0, 3, (2, pixels)).astype(np.float32),
        rng.integers(0, 256, pixels).astype(np.uint8),
    )
    memory.counts[4] %= 2
    memory.n_low[rng.random(pixels) < 0.75] = 0
    return reference, memory


def _clouds(row: int, of: int = 0) -> CloudList:
    rng, pixels = np.random.default_rng([of, row]), CLOUDS[row]
    return CloudList(
        np.sort(rng.choice(2**31 - 1, pixels, replace=False)).astype(np.int32),
        rng.integers(1, 256, pixels).astype(np.uint8),
        rng.integers(1, 32768, pixels).astype(np.int16),
    )


WINDOWS = [_window(index, pixels) for index, pixels in enumerate(PIXELS)]


def _keep(
    folder: Path, windows: Sequence[Window], order: Iterable[int], threads: int = 1, of: int = 0
) -> dict[str, int]:
    folder.mkdir(parents=True)
    with StateWriter(folder, TERMS) as writer:

        def keep(index: int) -> None:
            reference, memory = windows[index]
            # As the engine does: its arrays are used again for the next window.
            lent = PixelMemory(memory.counts.copy(), memory.when.copy(), memory.sums.copy(), memory.brightness.copy())
            writer.keep(index, reference, lent)
            for array in (lent.counts, lent.when, lent.sums, lent.brightness):
                array[:] = 7

        def keep_clouds(row: int) -> None:
            lent = _clouds(row, of)
            writer.keep_clouds(row, lent)
            lent.pixel[:], lent.count[:], lent.last_day[:] = 7, 7, 7

        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(keep, order))
            list(pool.map(keep_clouds, reversed(range(len(CLOUDS)))))
    return writer.checksums()


def _garbage(pixels: int) -> PixelMemory:
    memory = PixelMemory.blank(pixels)
    for array in (memory.counts, memory.when, memory.sums, memory.brightness):
        array[:] = 99
    return memory


def _same(recalled: Window, kept: Window) -> None:
    for name in ("coefficients", "lowest", "count"):
        np.testing.assert_array_equal(getattr(recalled[0], name), getattr(kept[0], name))
    got, given = recalled[1], kept[1]
    for name in ("n_low", "n_before", "last_intact", "brightness"):
        np.testing.assert_array_equal(getattr(got, name), getattr(given, name))
    suspected = given.n_low > 0
    np.testing.assert_array_equal(got.counts[:, suspected], given.counts[:, suspected])
    np.testing.assert_array_equal(got.first_low[suspected], given.first_low[suspected])
    np.testing.assert_array_equal(got.sums[:, suspected], given.sums[:, suspected])
    # What was said in the months before says nothing of whether this one was observed.
    assert (got.last_seen == -1).all()


@pytest.mark.parametrize("threads", [1, 4])
def test_what_is_recalled_is_what_was_kept(tmp_path: Path, threads: int) -> None:
    order = random.Random(threads).sample(range(len(WINDOWS)), len(WINDOWS))
    sums = _keep(tmp_path / "state", WINDOWS, order, threads)
    reader = StateReader(tmp_path / "state", tmp_path / "state", sums)

    def recall(index: int) -> Window:
        memory = _garbage(PIXELS[index])
        return reader.recall(index, memory), memory

    with ThreadPoolExecutor(threads) as pool:
        for recalled, kept in zip(pool.map(recall, range(len(WINDOWS))), WINDOWS, strict=True):
            _same(recalled, kept)
    for row in range(len(CLOUDS)):
        for name, column in vars(_clouds(row)).items():
            np.testing.assert_array_equal(getattr(reader.recall_clouds(row), name), column)


def test_the_order_of_the_windows_and_the_threads_do_not_show_in_the_bytes(tmp_path: Path) -> None:
    orders = [list(range(len(WINDOWS))), list(reversed(range(len(WINDOWS)))), [3, 0, 5, 4, 1, 2]]
    for place, order in enumerate(orders):
        _keep(tmp_path / str(place), WINDOWS, order, 1 + place)
    first = {name: (tmp_path / "0" / name).read_bytes() for name in FILES}
    for place in (1, 2):
        assert {name: (tmp_path / str(place) / name).read_bytes() for name in FILES} == first


def test_what_has_no_meaning_does_not_show_in_the_bytes(tmp_path: Path) -> None:
    reference, memory = WINDOWS[0]
    other = PixelMemory(memory.counts.copy(), memory.when.copy(), memory.sums.copy(), memory.brightness.copy())
    calm = memory.n_low == 0
    for row in (1, 3, 4):
        other.counts[row, calm] += 1
    other.when[1:, calm], other.sums[:, calm] = 5, 5
    sums = _keep(tmp_path / "one", [(reference, memory)], [0])
    assert _keep(tmp_path / "other", [(reference, other)], [0]) == sums


def test_a_month_after_the_first_keeps_no_reference(tmp_path: Path) -> None:
    with StateWriter(tmp_path) as writer:
        writer.keep(0, *WINDOWS[0])
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(MONTHLY_FILES)
    assert sorted(writer.checksums()) == sorted(MONTHLY_FILES)


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("spoil", [_flip, cut_short, Path.unlink, lambda path: path.write_bytes(b"")])
def test_a_spoilt_file_is_refused_before_it_is_used(tmp_path: Path, name: str, spoil: Any) -> None:
    sums = _keep(tmp_path / "state", WINDOWS, range(len(WINDOWS)))
    StateReader(tmp_path / "state", tmp_path / "state", sums)
    spoil(tmp_path / "state" / name)
    with pytest.raises(StateError, match=rf"{name}[^.]* (is not as it was written|cannot be read).*\.$") as raised:
        StateReader(tmp_path / "state", tmp_path / "state", sums)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_another_tile_is_refused(tmp_path: Path, name: str) -> None:
    sums = _keep(tmp_path / "state", WINDOWS, range(len(WINDOWS)))
    others = [_window(index + 50, pixels) for index, pixels in enumerate(PIXELS)]
    _keep(tmp_path / "other", others, range(len(PIXELS)), of=1)
    shutil.copy(tmp_path / "other" / name, tmp_path / "state" / name)
    with pytest.raises(StateError, match=f"{name} is not as it was written"):
        StateReader(tmp_path / "state", tmp_path / "state", sums)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("spoil", [cut_short, Path.unlink])
def test_a_file_that_is_lost_while_it_is_used_is_told(tmp_path: Path, name: str, spoil: Any) -> None:
    sums = _keep(tmp_path / "state", WINDOWS, range(len(WINDOWS)))
    reader = StateReader(tmp_path / "state", tmp_path / "state", sums)
    spoil(tmp_path / "state" / name)

    def recall() -> None:
        reader.recall(0, _garbage(PIXELS[0]))
        reader.recall_clouds(0)

    with pytest.raises(StateError, match=f"{name} is damaged: build"):
        recall()


@pytest.mark.parametrize("pixels", [0, PIXELS[0] - 1, PIXELS[0] + 1, PIXELS[3]])
def test_another_number_of_forest_pixels_is_refused(tmp_path: Path, pixels: int) -> None:
    sums = _keep(tmp_path / "state", WINDOWS, range(len(WINDOWS)))
    reader = StateReader(tmp_path / "state", tmp_path / "state", sums)
    with pytest.raises(StateError, match=f"knows 700 forest pixels of a window that has {pixels}: build"):
        reader.recall(0, _garbage(pixels))


def test_a_window_that_was_never_kept_is_refused(tmp_path: Path) -> None:
    sums = _keep(tmp_path / "state", WINDOWS, range(len(WINDOWS)))
    reader = StateReader(tmp_path / "state", tmp_path / "state", sums)
    with pytest.raises(StateError, match="build the tile's reference anew"):
        reader.recall(len(WINDOWS), _garbage(10))


def test_a_reference_of_other_forest_than_the_memory_is_refused(tmp_path: Path) -> None:
    sums = _keep(tmp_path / "state", WINDOWS, range(len(WINDOWS)))
    other = _keep(tmp_path / "other", [_window(0, 9), *WINDOWS[1:]], range(len(WINDOWS)))
    reader = StateReader(tmp_path / "other", tmp_path / "state", {**sums, REFERENCE_FILE: other[REFERENCE_FILE]})
    with pytest.raises(StateError, match=f"{REFERENCE_FILE} knows 9 forest pixels of a window that has 700"):
        reader.recall(0, _garbage(700))


def test_a_folder_that_takes_no_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"cannot be written to .*absent .*make room or choose"):
        StateWriter(tmp_path / "absent").__enter__()


def test_a_disk_that_fills_up_is_told(tmp_path: Path) -> None:
    code = (
        "import resource, signal, sys\n"
        "from pathlib import Path\n"
        "from tests.tiles.test_state import TERMS, _window\n"
        "from tiles.errors import OutputError\n"
        "from tiles.state import StateWriter\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
        "try:\n"
        "    with StateWriter(Path(sys.argv[1]), TERMS) as writer:\n"
        "        for index in range(9):\n"
        "            writer.keep(index, *_window(index, 5000))\n"
        "except OutputError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"The state cannot be written to {tmp_path} (")
    assert done.stdout.endswith("make room or choose another data directory; the month before is as it was.\n")


# --- Months, by the engine --------------------------------------------------------------------------------------------

REFERENCE = days_of(dt.date(2016, 7, 3), dt.date(2018, 6, 30), 24)
LAST = Month(2019, 7)
MONITORED = days_of(dt.date(2018, 8, 3), dt.date(2019, 7, 29), 10)
FOREST = Forest(
    shape=(72, 80),
    # Over four windows; a sixth of none, so that it is no noise.
    felled=(slice(29, 35), slice(28, 36)),
    felled_on=dt.date(2019, 5, 20),
    hazy=frozenset({MONITORED[12], MONITORED[30]}),
    cloudy=frozenset(MONITORED[20:23]),
)
PARAMS = dataclasses.replace(ChangeParams(), monitor=MonitorParams(cell_px=32, min_cell_px=1, min_window_px=1))
#: The same, but that what is felled is called cloud ever after; and how it is heard nevertheless. Over two rows of
#: windows, each of which reads and remembers less than the tile.
BRIGHT = dataclasses.replace(FOREST, called=9)
FREEING = dataclasses.replace(PARAMS, false_clouds=FalseCloudParams(max_extent_m=100, ring_m=40))


def _engine(
    month: Month,
    reference: list[dt.date],
    monitored: list[dt.date],
    folder: Path,
    known: StateReader | None,
    threads: int,
    forest: Forest = FOREST,
    params: ChangeParams = PARAMS,
) -> tuple[KeepingSink, Tally, dict[str, int]]:
    folder.mkdir(parents=True)
    plan = plan_of(forest, month, reference, monitored)
    sink = KeepingSink(forest.shape)
    with StateWriter(folder, TERMS if known is None else None) as keeper:
        tally = make_change_map(
            plan,
            _watched(),
            FakeReader(forest),
            sink,
            params,
            threads,
            known=known,
            keeper=keeper,
        )
    return sink, tally, keeper.checksums()


class _Wood:
    """Forest all over but in one window, and in a strip of the others."""

    def masks(self, window: Any) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        mask = np.ones(FOREST.shape, bool)
        mask[32:64, 64:] = False
        mask[:, 3:5] = False
        part = mask[window.row_off : window.row_off + window.height, window.col_off : window.col_off + window.width]
        return part, part


def _watched() -> Any:
    return _Wood()


def _in_two(
    folder: Path, cut: int, threads: int, forest: Forest, params: ChangeParams
) -> tuple[KeepingSink, Tally, dict[str, int]]:
    """The map of the last month, from what was kept after the first so many dates."""
    day = MONITORED[cut - 1]
    first, then = folder / "first", folder / "then"
    month = Month(day.year, day.month)
    _, _, sums = _engine(month, REFERENCE, MONITORED[:cut], first, None, threads, forest, params)
    sink, tally, _ = _engine(LAST, [], MONITORED[cut:], then, StateReader(first, first, sums), threads, forest, params)
    return sink, tally, sums


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("cut", [1, 15, 21, 29, 30, 31, len(MONITORED) - 1])
@pytest.mark.parametrize(("forest", "params"), [(FOREST, PARAMS), (BRIGHT, FREEING)], ids=["plain", "bright"])
def test_a_month_after_what_was_kept_is_as_one_run_over_all_dates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, threads: int, cut: int, forest: Forest, params: ChangeParams
) -> None:
    monkeypatch.setattr(engine, "WINDOW_PX", 32)
    whole, tally, sums = _engine(LAST, REFERENCE, MONITORED, tmp_path / "whole", None, 1, forest, params)
    assert tally.confirmed == FOREST.mask().sum()

    then, then_tally, first = _in_two(tmp_path, cut, threads, forest, params)
    np.testing.assert_array_equal(then.state, whole.state)
    np.testing.assert_array_equal(then.change, whole.change)
    assert first[REFERENCE_FILE] == sums[REFERENCE_FILE]
    for name in MONTHLY_FILES:
        assert (tmp_path / "then" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    for name in ("watched", "with_reference", "confirmed", "provisional", "suspected"):
        assert getattr(then_tally, name) == getattr(tally, name)


def test_without_what_was_known_of_false_clouds_a_month_tells_less(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "WINDOW_PX", 32)
    # On the last two dates of what is kept the felled is called cloud; the second is hazy, and says nothing.
    kept, _, _ = _in_two(tmp_path / "kept", 31, 1, BRIGHT, FREEING)
    monkeypatch.setattr(StateReader, "recall_clouds", lambda *_: CloudList.blank())
    dropped, _, _ = _in_two(tmp_path / "dropped", 31, 1, BRIGHT, FREEING)
    looks = [sink.band("n_clear_after")[FOREST.mask()] for sink in (kept, dropped)]
    assert (looks[0] == looks[1] + 1).all()
    clouds = [(tmp_path / name / "then" / CLOUDS_FILE).read_bytes() for name in ("kept", "dropped")]
    assert clouds[0] != clouds[1]


def test_a_month_without_scenes_hands_on_what_was_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "WINDOW_PX", 32)
    _in_two(tmp_path, len(MONITORED), 1, BRIGHT, FREEING)
    kept, handed_on = (tmp_path / name / CLOUDS_FILE for name in ("first", "then"))
    assert handed_on.read_bytes() == kept.read_bytes()
    reader = pa.ipc.open_file(str(kept))
    assert [reader.get_batch(row).num_rows > 0 for row in range(3)] == [True, True, False]


@pytest.mark.parametrize("window_px", [32, 64, 1024])
@pytest.mark.parametrize("threads", [1, 4])
def test_false_clouds_do_not_depend_on_windows_and_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, window_px: int, threads: int
) -> None:
    few = MONITORED[:33]
    wanted, tally, _ = _engine(LAST, REFERENCE, few, tmp_path / "one", None, 1, BRIGHT, FREEING)
    monkeypatch.setattr(engine, "WINDOW_PX", window_px)
    got, _, _ = _engine(LAST, REFERENCE, few, tmp_path / "other", None, threads, BRIGHT, FREEING)
    assert tally.confirmed == FOREST.mask().sum()
    np.testing.assert_array_equal(got.state, wanted.state)
    np.testing.assert_array_equal(got.change, wanted.change)


def test_plain_classes_hide_what_is_called_cloud(tmp_path: Path) -> None:
    _, tally, sums = _engine(LAST, REFERENCE, MONITORED, tmp_path / "plain", None, 1, BRIGHT, PARAMS)
    assert (tally.provisional, tally.confirmed, tally.suspected) == (0, 0, 0)
    reader = StateReader(tmp_path / "plain", tmp_path / "plain", sums)
    assert reader.recall_clouds(0).pixel.size == 0


def test_where_nothing_is_called_cloud_freeing_changes_nothing(tmp_path: Path) -> None:
    plain, _, sums = _engine(LAST, REFERENCE, MONITORED, tmp_path / "plain", None, 1, FOREST, PARAMS)
    freed, _, other = _engine(LAST, REFERENCE, MONITORED, tmp_path / "freed", None, 1, FOREST, FREEING)
    np.testing.assert_array_equal(freed.state, plain.state)
    np.testing.assert_array_equal(freed.change, plain.change)
    assert other == sums
