"""Looking at things: in a notebook, in a terminal, on a page.

What this package returns shows itself where it is the last line of a cell, or when `rich.print` gets it. `show` does it
for lists and iterators. HTML needs the extra `notebook` or `cli` (Jinja2 and markdown-it); without them there is text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mistral_agents._display.shown import Display

if TYPE_CHECKING:
    from mistral_agents.client import MistralAgents
    from mistral_agents.usage import Prices

__all__ = ["Display", "show"]


def show(value: object, *, client: MistralAgents | None = None, prices: Prices | None = None) -> Display:
    """Anything of this package to look at.

    Args:
        value: A turn, a conversation, records, hits, ...; a list or an iterator of records, of which the first 200 are
            read.
        client: Reads the pictures that a turn or a history names, so that they are drawn; one that can't be read is
            named.
        prices: Your price table: a turn tells what it cost.

    Raises:
        ConfigurationError: There is no drawing of it.
    """
    from mistral_agents._display.views import show_value

    return show_value(value, client.files if client is not None else None, prices)
