"""The table of features names tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
NAMED = re.compile(r"`(test_\w+\.py)(?:::(test_\w+))?`")


def test_every_row_is_there_and_every_test_it_names_exists() -> None:
    table = (ROOT / "docs" / "contributors" / "llama-index-features.md").read_text(encoding="utf-8")
    rows = [int(number) for number in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)]
    assert rows == list(range(1, 84))
    sources = {path.name: [] for path in (ROOT / "tests").rglob("test_*.py")}
    for path in (ROOT / "tests").rglob("test_*.py"):
        sources[path.name].append(path.read_text(encoding="utf-8"))
    for file, name in NAMED.findall(table):
        assert file in sources, file
        assert not name or any(f"def {name}(" in text for text in sources[file]), f"{file}::{name}"
