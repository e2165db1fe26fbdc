"""SIGKILLs at random moments of `sylvigie monthly` on SIMULATED tiles: started again, each ends in the same bytes."""

from __future__ import annotations

import datetime as dt
import json
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from api.exports.stable import FOLDER as EXPORTS_FOLDER
from api.store.database import SQLITE_FILE, Database, database_url
from api.store.filters import AlertFilter
from api.store.reading import all_alerts
from scripts.bench_figures import BenchParams, Figure
from scripts.exit_codes import ExitCode
from scripts.simulated_tile import write_simulated_tile
from tiles.month import Month

SYLVIGIE = (sys.executable, "-c", "from scripts.cli import main; main()")
"""The command, of this checkout."""

_TILES = ("31TDK", "31TEK")
_MONTH = Month(2019, 7)
_SIDE_PX = 256
_KILLS = 50
_SEED = 11
_PATIENCE_S = 600
_SAID = ("runs/", "locks/", "run.json")
"""What tells of the runs themselves: they are not the same from one to the next."""


@dataclass(frozen=True)
class Killed:
    """What came of kills.

    Parameters
    ----------
    kills
        Processes that were killed at work.
    survived
        Of these, those after which the run, started again, ended in the bytes of an unbroken one.
    seconds
        Of the unbroken run, from its first event on.
    """

    kills: int
    survived: int
    seconds: float


def kill_at_random(command: Sequence[str], data_dir: Path, kills: int, seed: int) -> Killed:
    """Run a command unbroken, then killed at random moments, each time from nothing and then started again.

    Parameters
    ----------
    command
        A `sylvigie monthly` without its data directory.
    data_dir
        Where it is to be; what is there afterwards is the last run's.
    kills
        How often.
    seed
        Of the moments, evenly spread from the first event to the end of the unbroken run.
    """
    moments, survived, killed = random.Random(seed), 0, 0
    whole = [*command, "--data-dir", str(data_dir)]
    _run_to_end(whole)
    shutil.rmtree(data_dir)
    seconds = _run_to_end(whole)  # the second time: kernels compiled, files in memory
    wanted = results(data_dir)
    while killed < kills:
        shutil.rmtree(data_dir)
        if not _run_and_kill(whole, moments.uniform(0, seconds)):
            continue  # it was done before: another moment
        killed += 1
        _run_to_end(whole)
        survived += results(data_dir) == wanted
    return Killed(killed, survived, seconds)


def results(data_dir: Path) -> dict[str, bytes]:
    """States, change maps and alerts of a data directory and its store, leftovers of killed runs among them."""
    files = ((str(path.relative_to(data_dir)), path) for path in sorted(data_dir.rglob("*")) if path.is_file())
    # The store's own file says when: what it gives out is compared.
    store = (SQLITE_FILE, EXPORTS_FOLDER)
    found = {
        name: path.read_bytes()
        for name, path in files
        if not name.startswith((*_SAID[:2], *store)) and path.name != _SAID[2] and path.suffix != ".lock"
    }
    if (data_dir / SQLITE_FILE).exists():
        database = Database(database_url(None, data_dir))
        found["store"] = "\n".join(feature.text for feature in all_alerts(database, AlertFilter())).encode()
        database.close()
    return found


def _start(command: Sequence[str]) -> subprocess.Popen[str]:
    """Start a run, and wait for its first event: what comes before is Python's own start."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    process.stderr.readline()
    return process


def _run_to_end(command: Sequence[str]) -> float:
    process = _start(command)
    started = time.perf_counter()
    _, said = process.communicate(timeout=_PATIENCE_S)
    if process.returncode != ExitCode.DONE:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}: {said[-2000:]}")
    return time.perf_counter() - started


def _run_and_kill(command: Sequence[str], after_s: float) -> bool:
    """Whether the run was still at work when it was killed."""
    process = _start(command)
    try:
        process.communicate(timeout=after_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return True
    return False


def bench_kills(params: BenchParams) -> Iterator[Figure]:
    """Fifty kills of a run that builds two tiles' references and works out their months since."""
    catalogue = simulated_pair(params.work / f"kills-{_SIDE_PX}px")
    command = [*SYLVIGIE, "monthly", "--month", str(_MONTH), "--tiles", ",".join(_TILES)]
    command += ["--catalog", str(catalogue)]
    with TemporaryDirectory(dir=params.work) as folder:
        killed = kill_at_random(command, Path(folder) / "data", _KILLS, _SEED)
    name = f"{killed.kills} SIGKILLs of a run over {len(_TILES)} SIMULATED tiles: the same bytes after"
    note = f"at even chances over {killed.seconds:.1f} s"
    yield Figure("kills", name, killed.survived, at_least=_KILLS, note=note)


def simulated_pair(folder: Path) -> Path:
    """A catalogue of two small simulated tiles, with the names of real ones, which the command asks for."""
    first, last = dt.date(2014, 9, 1), _MONTH.last_day
    # Often enough for a reference, and two or three dates in each month since.
    days = [first + dt.timedelta(step) for step in range(0, (dt.date(2019, 1, 1) - first).days, 45)]
    days += [dt.date(2019, 1, 1) + dt.timedelta(step) for step in range(0, (last - dt.date(2019, 1, 1)).days, 12)]
    links = []
    for seed, tile in enumerate(_TILES):
        archive = folder / tile
        write_simulated_tile(archive, _SIDE_PX, days, seed, 0.8, 0.15)
        for path in archive.glob("*/*/*.json"):
            item = json.loads(path.read_text(encoding="utf-8"))
            item["properties"]["grid:code"] = f"MGRS-{tile}"
            path.write_text(json.dumps(item), encoding="utf-8")
        links.append({"rel": "child", "href": f"./{tile}/catalog.json", "type": "application/json"})
    root = {"type": "Catalog", "stac_version": "1.0.0", "id": "simulated-pair", "description": "SIMULATED tiles."}
    (folder / "catalog.json").write_text(json.dumps({**root, "links": links}), encoding="utf-8")
    return folder / "catalog.json"
