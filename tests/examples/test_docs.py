"""The Python of the guides that belong to no wing runs as printed, block after block, against the stand-in."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mistral_agents_server.__main__ import parser

DOCS = Path(__file__).parents[2] / "docs"


def blocks_of(name: str) -> list[str]:
    return re.findall(r"```python\n(.*?)\n```\n", (DOCS / name).read_text(), flags=re.DOTALL)


@pytest.mark.parametrize(
    ("name", "printed"),
    [
        ("foundation.md", ["Ada", "5050", "Blue Heron", "404 3000", "inputs is empty", "Paris"]),
        ("server.md", ["Starlette", "stand-in:mistral-small-latest", "18", "15.5"]),
    ],
)
def test_a_guide_runs(standin, monkeypatch, capsys, name, printed):
    monkeypatch.setenv("MISTRAL_BASE_URL", standin.base_url)
    monkeypatch.setenv("MISTRAL_API_KEY", "test-key")
    names: dict[str, object] = {}
    for block in blocks_of(name):
        exec(compile(block, name, "exec"), names)
    out = capsys.readouterr().out
    for word in printed:
        assert word in out, word


def test_every_option_of_the_stand_in_is_described():
    options = {word for action in parser()._actions for word in action.option_strings if word.startswith("--")}
    text = (DOCS / "server.md").read_text()
    assert sorted(word for word in options - {"--help"} if word not in text) == []


@pytest.mark.parametrize("name", ["index.md", "foundation.md", "server.md"])
def test_links_lead_somewhere(name):
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", (DOCS / name).read_text()):
        assert (DOCS / target).exists(), target
