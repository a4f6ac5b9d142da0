"""Views as HTML: escaped by Jinja2, without scripts, and with nothing that a browser would load."""

from __future__ import annotations

import base64
from functools import cache
from importlib.resources import files
from typing import Any

from mistral_agents._display.blocks import PICTURES, Picture, View
from mistral_agents._display.links import safe_link
from mistral_agents._printable import show_text


@cache
def _environment() -> Any:
    """The templates; None where Jinja2 is not installed."""
    try:
        from jinja2 import Environment, FunctionLoader, StrictUndefined
    except ImportError:
        return None
    folder = files("mistral_agents._display")
    made = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=FunctionLoader(lambda name: (folder / "templates" / name).read_text(encoding="utf-8")),
    )
    made.filters.update(shown=show_text, link=safe_link, prose=_draw_prose, data=_data_address, own=_own_markup)
    made.tests["picture"] = lambda block: block.media_type in PICTURES
    made.globals["kind"] = lambda block: type(block).__name__
    return made


def draw_fragment(view: View) -> str | None:
    """A view as a piece of HTML with its own styles; None where Jinja2 is not installed."""
    environment = _environment()
    return str(environment.get_template("fragment.html").render(view=view)) if environment is not None else None


def draw_page(view: View) -> str | None:
    """A view as one page that needs nothing else; None where Jinja2 is not installed."""
    environment = _environment()
    return str(environment.get_template("page.html").render(view=view)) if environment is not None else None


def _data_address(picture: Picture) -> str:
    return f"data:{picture.media_type};base64,{base64.b64encode(picture.data).decode()}"


def _own_markup(svg: str) -> Any:
    """An SVG of this package, whose texts are escaped where it is drawn."""
    from markupsafe import Markup

    return Markup(svg)  # noqa: S704 drawn by `branches` and `graph`, which escape every text


@cache
def make_markdown() -> Any:
    """CommonMark with tables, without raw HTML and pictures; a line stays one; None where not installed."""
    try:
        from markdown_it import MarkdownIt
    except ImportError:
        return None
    made = MarkdownIt("commonmark", {"html": False, "linkify": False, "breaks": True}).enable(
        ["table", "strikethrough"]
    )
    made.disable(["image", "html_block", "html_inline"])
    made.validateLink = _is_safe  # type: ignore[method-assign]
    made.add_render_rule("link_open", _open_link)
    return made


def _is_safe(url: str) -> bool:
    return safe_link(url) is not None


def _open_link(renderer: Any, tokens: Any, place: int, options: object, env: object) -> Any:
    tokens[place].attrSet("rel", "noopener noreferrer nofollow")
    tokens[place].attrSet("target", "_blank")
    return renderer.renderToken(tokens, place, options, env)


def _draw_prose(text: str) -> Any:
    from markupsafe import Markup, escape

    markdown = make_markdown()
    if markdown is None:
        return Markup('<div class="ma-plain">{}</div>').format(escape(show_text(text)))
    return Markup(markdown.render(show_text(text)))  # noqa: S704 markdown-it escapes all it does not make itself
