"""All forms of a view by media type, as notebooks take them."""

from __future__ import annotations

import base64
from collections.abc import Container
from typing import Any

from mistral_agents._display.blocks import View
from mistral_agents._display.html import draw_fragment
from mistral_agents._display.markdown import draw_markdown


def make_bundle(view: View, include: Container[str] | None, exclude: Container[str] | None) -> dict[str, Any]:
    """The forms that are wanted; the text form is always among those there are."""
    html = draw_fragment(view)
    found: dict[str, Any] = {"text/plain": view.plain, "text/markdown": draw_markdown(view)}
    if html is not None:
        found["text/html"] = html
    for kind, data in view.other.items():
        found[kind] = base64.b64encode(data).decode() if isinstance(data, bytes) else data
    return {
        kind: data
        for kind, data in found.items()
        if (not include or kind in include) and not (exclude and kind in exclude)
    }
