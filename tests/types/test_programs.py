"""Programs of users pass mypy (no plugins) and pyright in strict mode, and each mistake in them is told.

A line of `programs/` that ends in `# error` is a mistake; every other line is right. Both checkers must tell exactly
the marked lines. Each checker runs once, for all programs.
"""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PROGRAMS = sorted((HERE / "programs").glob("*.py"))
Lines = set[tuple[str, int]]

pytestmark = pytest.mark.timeout(300)


def need(module: str) -> None:
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} is not installed")


def marked_lines() -> Lines:
    return {
        (program.name, number)
        for program in PROGRAMS
        for number, line in enumerate(program.read_text(encoding="utf-8").splitlines(), 1)
        if line.endswith("# error")
    }


def run_checker(*command: str) -> str:
    done = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return done.stdout


def check_told(told: dict[tuple[str, int], str]) -> None:
    marked = marked_lines()
    wrong = {line: told[line] for line in sorted(told.keys() - marked)}
    assert not wrong, "right lines that are told as mistakes"
    missed = sorted(marked - told.keys())
    assert not missed, "mistakes that are not told"


def test_mypy_tells_the_mistakes_and_nothing_else() -> None:
    need("mypy")
    config = ["--config-file=", "--strict", "--python-version=3.10", "--follow-imports=silent", "--no-error-summary"]
    output = run_checker("mypy", *config, "--cache-dir=.mypy_cache/programs", *map(str, PROGRAMS))
    told = {}
    for line in output.splitlines():
        found = re.match(r"(.+?\.py):(\d+): error: (.*)", line)
        if found:
            told[Path(found[1]).name, int(found[2])] = found[3]
    check_told(told)


def test_pyright_tells_the_mistakes_and_nothing_else() -> None:
    need("basedpyright")
    command = ["--project", str(HERE), "--pythonpath", sys.executable, "--outputjson"]
    report = json.loads(run_checker("basedpyright", *command))
    assert report["summary"]["filesAnalyzed"] == len(PROGRAMS)
    check_told(
        {
            (Path(each["file"]).name, each["range"]["start"]["line"] + 1): each["message"]
            for each in report["generalDiagnostics"]
            if each["severity"] == "error"
        }
    )
