"""The Python of docs/first-hour.md prints what the page says that it prints, block after block."""

from __future__ import annotations

import gc
import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "first-hour.md"
BLOCKS = re.compile(r"```python\n(.*?)```\n\n```text\n(.*?)```", re.DOTALL)


def test_every_block_of_python_has_its_output():
    text = PAGE.read_text(encoding="utf-8")
    assert len(BLOCKS.findall(text)) == text.count("```python") == 4


@pytest.mark.timeout(200)
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_the_transcript_is_true(standin_factory, monkeypatch, capsys):
    monkeypatch.setenv("MISTRAL_BASE_URL", standin_factory().base_url)
    monkeypatch.setenv("MISTRAL_API_KEY", "anything")
    names: dict[str, object] = {}
    for code, printed in BLOCKS.findall(PAGE.read_text(encoding="utf-8")):
        exec(compile(code, "first-hour.md", "exec"), names)
        assert capsys.readouterr().out == printed
    names.clear()
    gc.collect()  # the page leaves its clients to the end of the script; here that is the end of this test
