"""`sylvigie monthly`, killed at random moments and started again each time until it is done."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

from scripts.bench_kills import SYLVIGIE, results
from scripts.exit_codes import ExitCode


def test_a_run_that_is_killed_again_and_again_ends_in_the_same_bytes(small_archive: Path, tmp_path: Path) -> None:
    command = [*SYLVIGIE, "monthly", "--month", "2019-07", "--tiles", "31TDK", "--catalog", str(small_archive)]
    command += ["--data-dir"]
    subprocess.run([*command, str(tmp_path / "unbroken")], check=True, capture_output=True)
    wanted = results(tmp_path / "unbroken")
    assert any(name.endswith("2019-07.1/tile.json") for name in wanted)

    moments, killed = random.Random(3), 0
    while killed < 4:
        with subprocess.Popen(
            [*command, str(tmp_path / "killed")], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        ) as run:
            assert run.stderr is not None
            run.stderr.readline()  # it has begun
            try:
                # Later and later, since the months that are done stay so.
                run.communicate(timeout=moments.uniform(0.05, 0.5))
            except subprocess.TimeoutExpired:
                run.kill()
                killed += 1
        if run.returncode == ExitCode.DONE:
            break
    assert killed >= 1
    subprocess.run([*command, str(tmp_path / "killed")], check=True, capture_output=True)
    assert results(tmp_path / "killed") == wanted
