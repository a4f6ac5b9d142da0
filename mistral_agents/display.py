"""Looking at things: in a notebook, in a terminal, on a page.

What this package returns shows itself where it is the last line of a cell, or when `rich.print` gets it. `show` does it
for lists and iterators. HTML needs the extra `notebook` or `cli` (Jinja2 and markdown-it); without them there is text.
"""

from __future__ import annotations

from mistral_agents._display.shown import Display

__all__ = ["Display", "show"]


def show(value: object) -> Display:
    """Anything of this package to look at.

    Args:
        value: A turn, a conversation, records, hits, ...; a list or an iterator of records, of which the first 200 are
            read.

    Raises:
        ConfigurationError: There is no drawing of it.
    """
    from mistral_agents._display.views import show_value

    return show_value(value)
