"""Views for terminals, by `rich`; text of others commands nothing there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mistral_agents._display import blocks, html
from mistral_agents._display.blocks import Block, View
from mistral_agents._printable import show_text

if TYPE_CHECKING:
    from rich.console import RenderableType

_STYLES = {"note": "dim", "code": "cyan", "output": "", "error": "red"}
_SIGNS = {"+": "green", "-": "red", "~": "bold", " ": ""}


def draw_terminal(view: View) -> Any:
    """A view as `rich` prints it."""
    from rich.console import Group

    return Group(*(_render_block(block) for block in view.blocks))


def _render_block(block: Block) -> RenderableType:
    from rich.text import Text

    if isinstance(block, blocks.Prose):
        return _render_prose(block.text)
    if isinstance(block, blocks.Words):
        return Text(show_text(block.text), style=_STYLES[block.role])
    if isinstance(block, blocks.Excerpt):
        return Text.assemble(*((show_text(text), "bold yellow" if marked else "") for text, marked in block.pieces))
    if isinstance(block, blocks.Table):
        return _render_table(block)
    if isinstance(block, blocks.Sources):
        rows = (f"[{r.number}] {r.title} {r.url if r.url is not None else ''} {r.detail}" for r in block.rows)
        return Text("\n".join(show_text(row, one_line=True).rstrip() for row in rows))
    if isinstance(block, blocks.Picture):
        return Text(f"[{show_text(block.name, one_line=True)}]", style="dim")
    if isinstance(block, blocks.Drawing):
        return Text(show_text(block.text))
    if isinstance(block, blocks.Diff):
        return Text.assemble(*((f"{sign} {show_text(line)}\n", _SIGNS[sign]) for sign, line in block.lines))
    return _render_group(block)


def _render_prose(text: str) -> RenderableType:
    """Markdown as notebooks show it: the parser of `rich` leaves tags out, and joins lines."""
    from rich.markdown import Markdown

    prose = Markdown("", hyperlinks=False)
    prose.parsed = html.make_markdown().parse(show_text(text))
    for piece in (child for token in prose.parsed for child in token.children or ()):
        if piece.type == "softbreak":
            piece.type = "hardbreak"
    return prose


def _render_table(table: blocks.Table) -> RenderableType:
    from rich.table import Table as Grid
    from rich.text import Text

    grid = Grid()
    for name in table.head:
        grid.add_column(Text(show_text(name)), overflow="fold")
    for row in table.rows:
        grid.add_row(*(Text(show_text(cell)) for cell in row))
    return grid


def _render_group(block: blocks.Fold | blocks.Bubble | blocks.Columns) -> RenderableType:
    from rich.columns import Columns as Sides
    from rich.console import Group
    from rich.panel import Panel
    from rich.text import Text

    if isinstance(block, blocks.Columns):
        return Sides([_render_group(blocks.Bubble(title, "left", inner)) for title, inner in block.columns], equal=True)
    title = block.title if isinstance(block, blocks.Fold) else block.who
    failed = isinstance(block, blocks.Fold) and block.failed
    inner = Group(*map(_render_block, block.blocks))
    return Panel(inner, title=Text(show_text(title, one_line=True)), title_align="left", style="red" if failed else "")
