"""The methods by which notebooks and terminals ask for a drawing, in one place."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mistral_agents._display.blocks import View


class Shown:
    """Gives an object its pictures: HTML and Markdown in notebooks, colours where `rich` prints it.

    What draws is loaded by its name: it knows every object, and so every object would know the whole package.

    Without Jinja2 (extras `notebook` and `cli`) there is no HTML, and the text is shown.
    """

    __slots__ = ()

    def _view(self) -> View:
        made: View = import_module("mistral_agents._display.views").view_of(self)
        return made

    def _repr_html_(self) -> str | None:
        from mistral_agents._display.html import draw_fragment

        return draw_fragment(self._view())

    def _repr_markdown_(self) -> str:
        from mistral_agents._display.markdown import draw_markdown

        return draw_markdown(self._view())

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        from mistral_agents._display.bundle import make_bundle

        return make_bundle(self._view(), include, exclude)

    def __rich__(self) -> Any:
        from mistral_agents._display.terminal import draw_terminal

        return draw_terminal(self._view())


class Display(Shown):
    """A view of something of another package."""

    __slots__ = ("_made",)

    def __init__(self, made: View) -> None:
        self._made = made

    def _view(self) -> View:
        return self._made

    def __str__(self) -> str:
        return self._made.plain

    __repr__ = __str__
