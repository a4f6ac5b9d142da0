"""The Python of the LangChain how-tos runs as printed, block after block, against the stand-in."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.docs import python_blocks
from tests.support.running import Standin

PAGES = Path(__file__).parents[2] / "docs" / "langchain"
NAMES = sorted(page.name for page in PAGES.glob("*.md"))
PRINTED = {
    "history.md": ["Ada", "['human', 'ai', 'human', 'ai']", "code word is heron", "None"],
    "memory.md": ["Ada", "I live in Paris.", "[]"],
    "middleware.md": ["Ada", "True", "Bob", "code_interpreter {'code':", "42", "waits for code_interpreter"],
}


@pytest.mark.parametrize("name", [name for name in NAMES if name != "peers.md"])  # a table, without code
@pytest.mark.filterwarnings("ignore::langchain_core._api.LangChainDeprecationWarning")
def test_a_page_runs(
    name: str,
    standin_factory: Callable[..., Standin],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("MISTRAL_BASE_URL", standin_factory(allow_code=True).base_url)
    monkeypatch.setenv("MISTRAL_API_KEY", "test-key")
    monkeypatch.chdir(tmp_path)
    blocks = python_blocks(PAGES / name)
    assert blocks
    names: dict[str, Any] = {}
    for number, block in enumerate(blocks, 1):
        exec(compile(block, f"{name}, block {number}", "exec"), names)
    out = capsys.readouterr().out
    for word in PRINTED.get(name, []):
        assert word in out, f"{word!r} is not in\n{out}"


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_somewhere(name: str) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", (PAGES / name).read_text(encoding="utf-8")):
        assert (PAGES / target).exists(), target
