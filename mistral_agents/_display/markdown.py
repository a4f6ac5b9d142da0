"""Views as Markdown that a notebook may render: what others wrote in it loads nothing and runs nothing."""

from __future__ import annotations

import re

from mistral_agents._display import blocks
from mistral_agents._display.blocks import Block, View
from mistral_agents._display.links import safe_link
from mistral_agents._printable import show_text

_TAG = re.compile(r"<(?=[A-Za-z/!?])")
_LINK = re.compile(r"\](?=\((?!https?://)|\[|:(?!\s*https?://))", re.IGNORECASE)
_MARKS = re.compile(r"([\\`*_\[\]<>|#~$&!])")


def defuse_markdown(text: str) -> str:
    """Markdown whose pictures, raw HTML and links other than to the web are shown as text.

    Renderers differ in what they keep out, and a picture is loaded without a click; so they are no markup any more.
    """
    shown = _TAG.sub("&lt;", show_text(text))
    return _LINK.sub(r"\\]", shown.replace("![", "!\\["))


def escape_markdown(text: str) -> str:
    """Plain text as it stands in Markdown, on one line."""
    return _MARKS.sub(r"\\\1", " ".join(show_text(text).split()))


def fence_text(text: str, language: str = "") -> str:
    """A block of code that its own text can't end."""
    shown = show_text(text)
    longest = max((len(run) for run in re.findall(r"`+", shown)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{shown}\n{fence}"


def draw_markdown(view: View) -> str:
    """A view as Markdown."""
    return "\n\n".join(filter(None, map(_write_block, view.blocks)))


def _write_block(block: Block) -> str:
    if isinstance(block, blocks.Prose):
        return _write_prose(block.text)
    if isinstance(block, blocks.Words):
        return escape_markdown(block.text) if block.role == "note" else fence_text(block.text)
    if isinstance(block, blocks.Excerpt):
        return "> " + "".join(f"**{escape_markdown(t)}**" if m else _escape_inner(t) for t, m in block.pieces)
    if isinstance(block, blocks.Table):
        return _write_table(block)
    if isinstance(block, blocks.Sources):
        return "\n".join(_write_source(row.number, row.title, row.url, row.detail) for row in block.rows)
    if isinstance(block, blocks.Picture):
        return f"*{escape_markdown(block.name)}*"
    if isinstance(block, blocks.Drawing):
        return fence_text(block.text)
    if isinstance(block, blocks.Diff):
        return fence_text("\n".join(f"{sign} {line}" for sign, line in block.lines), "diff")
    return _write_group(block)


def _write_prose(text: str) -> str:
    """Markdown of others; in a quotation where it has fences: one that is left open ends with it, not in our own."""
    shown = defuse_markdown(text)
    if "```" not in shown and "~~~" not in shown:
        return shown
    return "\n".join(f"> {line}" for line in shown.splitlines())


def _write_group(block: blocks.Fold | blocks.Bubble | blocks.Columns) -> str:
    if isinstance(block, blocks.Columns):
        parts = [(title, inner) for title, inner in block.columns]
    else:
        parts = [(block.title if isinstance(block, blocks.Fold) else block.who, block.blocks)]
    return "\n\n".join(
        "\n\n".join([f"**{escape_markdown(title)}**", *filter(None, map(_write_block, inner))])
        for title, inner in parts
    )


def _escape_inner(text: str) -> str:
    head = " " if text[:1].isspace() else ""
    tail = " " if text[-1:].isspace() and text.strip() else ""
    return f"{head}{escape_markdown(text)}{tail}"


def _write_table(table: blocks.Table) -> str:
    rows = [table.head, ("---",) * len(table.head)]
    lines = ["| " + " | ".join(rows[0]) + " |", "|" + "|".join(rows[1]) + "|"]
    return "\n".join([*lines, *("| " + " | ".join(map(escape_markdown, row)) + " |" for row in table.rows)])


def _write_source(number: int, title: str, url: str | None, detail: str) -> str:
    link = safe_link(url)
    label = escape_markdown(title)
    where = f"[{label}](<{link.replace('>', '%3E').replace('<', '%3C')}>)" if link is not None else label
    return f"{number}. {where}{f' {escape_markdown(detail)}' if detail else ''}"
