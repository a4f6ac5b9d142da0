"""The README's Python runs as it is printed, block after block, against the stand-in."""

from __future__ import annotations

import re
from pathlib import Path

from tests.support.docs import python_blocks

README = Path(__file__).parents[1] / "README.md"


def test_the_readme_runs(standin, monkeypatch, capsys):
    monkeypatch.setenv("MISTRAL_BASE_URL", standin.base_url)
    monkeypatch.setenv("MISTRAL_API_KEY", "test-key")
    blocks = python_blocks(README)
    assert len(blocks) >= 4
    for block in blocks:  # each by itself: a reader copies one
        exec(compile(block, "README.md", "exec"), {})
    printed = capsys.readouterr().out
    for word in ("391", "Ada", "1887", "kermor.txt", "Python", "server_tool_result"):
        assert word in printed


def test_the_files_it_names_are_there():
    for target in re.findall(r"\]\(([^)#]+)\)", README.read_text()):
        assert (README.parent / target).exists(), target
