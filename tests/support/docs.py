"""The code of Markdown pages: each fenced block with its language, and what stands before it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
_FENCE = re.compile(
    r"^(?P<indent> *)(?P<fence>```+|~~~+)(?P<language>[^\n]*)\n(?P<text>.*?)^(?P=indent)(?P=fence) *$", re.M | re.S
)


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block: its language, its text, and the last line before it."""

    language: str
    text: str
    before: str


def read_blocks(page: Path) -> list[Block]:
    """All fenced blocks of a page."""
    text = page.read_text(encoding="utf-8")
    found = []
    for block in _FENCE.finditer(text):
        above = text[: block.start()].strip().splitlines()
        found.append(Block(block["language"].strip(), block["text"], above[-1] if above else ""))
    return found


def python_blocks(page: Path) -> list[str]:
    """The Python of a page, block after block: what its test runs."""
    return [block.text for block in read_blocks(page) if block.language == "python"]
