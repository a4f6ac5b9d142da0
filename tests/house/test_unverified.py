"""Every sentence that calls something unverified names the probe that settles it, or says that none does."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from mistral_agents.verify import PROBES

ROOT = Path(__file__).parents[2]
PACKAGES = ("mistral_agents", "langchain_mistral_agents", "llama_index_mistral_agents", "mistral_agents_server")
NO_PAGES = ("changelog.md", "observability.md")
"""The log of changes, and what is said of other programs than the service."""
PAGES = sorted(
    path for path in (ROOT / "docs").rglob("*.md") if "reference" not in path.parts and path.name not in NO_PAGES
)
WORD = re.compile(r"\bunverified\b|\bnot verified\b", re.IGNORECASE)
OF_THE_MARK = re.compile(
    r"what is unverified|says \*unverified\*|marks it \*unverified\*|\| \*\*unverified\*\* \||nothing unverified|of these spans is unverified",
    re.IGNORECASE,
)
"""Where the sentence is about the word itself, or about other programs than the service."""
NAMED = re.compile(r"\bprobes? ((?:`[\w-]+`(?:, | and )?)+)")


def sentences(text: str) -> Iterator[str]:
    """The sentences of a text, and the rows and items of its tables and lists."""
    for block in re.split(r"\n\s*\n|\n(?=\s*(?:[-*|]|\d+\.) ?)", text):
        yield from re.split(r"(?<=[.!?])\s+(?=[A-Z`])", " ".join(block.split()))


def docstrings(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            yield ast.get_docstring(node) or ""
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.value.value


def texts() -> Iterator[tuple[str, str]]:
    for path in (*PAGES, ROOT / "README.md"):
        yield path.relative_to(ROOT).as_posix(), path.read_text("utf-8")
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            for text in set(docstrings(path)):
                yield path.relative_to(ROOT).as_posix(), text


def unsettled(text: str) -> list[str]:
    """Its sentences that call something unverified and leave it at that."""
    found = [one for one in sentences(text) if WORD.search(one) and not OF_THE_MARK.search(one)]
    return [one for one in found if not NAMED.search(one) and "no probe" not in one]


def test_each_names_its_probe_or_says_that_there_is_none() -> None:
    assert [(place, one) for place, text in texts() for one in unsettled(text)] == []


def test_the_probes_that_are_named_exist() -> None:
    named = {
        (place, name)
        for place, text in texts()
        for found in NAMED.finditer(" ".join(text.split()))
        for name in re.findall(r"`([\w-]+)`", found.group(1))
    }
    known = {probe.name for probe in PROBES}
    assert {(place, name) for place, name in named if name not in known} == set()
    assert len(named) > 20


@pytest.mark.parametrize(
    ("text", "bad"),
    [
        ("How long it is kept is unverified.", 1),
        ("How long it is kept is unverified (probe `retention`).", 0),
        ("| kept | unverified | no probe |\n| fast | unverified | |", 1),
        ("It is fast. That is unverified; no probe settles it. Retries are unverified.", 1),
        ("`verify` settles what is unverified.", 0),
    ],
)
def test_sentences_are_told_apart(text: str, bad: int) -> None:
    assert len(unsettled(text)) == bad
