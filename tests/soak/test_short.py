"""The short form of `make soak`: nothing lost, doubled, foreign or untyped, and nothing left open."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.soak.spoil import FAULTS

ROOT = Path(__file__).parents[2]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=110)


def test_there_are_many_kinds_of_fault() -> None:
    assert len(FAULTS) - 1 >= 30


@pytest.mark.parametrize("seed", ["11", "12"])
def test_turns_through_faults_keep_every_promise(seed: str) -> None:
    done = run("scripts.soak", "--turns", "250", "--seed", seed)
    assert done.returncode == 0, done.stdout + done.stderr
    total = next(line for line in done.stdout.splitlines() if line.startswith("| all |"))
    turns, answered, typed, *broken = (int(cell) for cell in total.split("|")[2:-1])
    assert turns == answered + typed == 250
    assert set(broken) == {0}
    assert answered > 50


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts open files where the system lists them")
def test_cancelled_and_abandoned_work_leaves_nothing_open() -> None:
    done = run("scripts.soak.leftovers", "--streams", "80", "--loops", "10", "--forks", "4")
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [line.split("|")[1:-1] for line in done.stdout.splitlines()[2:]]
    assert len(rows) == 4
    for name, _, files, threads, _ in rows:
        _, between, after = (int(part) for part in files.split("→"))
        assert after <= between + 1, (name, files)
        assert len({int(part) for part in threads.split("→")}) == 1, (name, threads)
