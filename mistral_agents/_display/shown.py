"""The methods by which notebooks and terminals ask for a drawing, in one place."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    from collections.abc import Container

    from rich.console import RenderableType

    from mistral_agents._display.blocks import View


class Drawer(Protocol):
    """What draws; `_display.views` is it."""

    def view_of(self, value: object) -> View:
        """The view of an object."""

    def draw_fragment(self, view: View) -> str | None:
        """A view as HTML."""

    def draw_markdown(self, view: View) -> str:
        """A view as Markdown."""

    def draw_terminal(self, view: View) -> RenderableType:
        """A view as `rich` prints it."""

    def draw_forms(
        self, view: View, include: Container[str] | None, exclude: Container[str] | None
    ) -> dict[str, object]:
        """A view in all forms, by media type."""


def _load_drawer() -> Drawer:
    """What draws is loaded by its name: it knows every object, and so every object would know the whole package."""
    return cast("Drawer", import_module("mistral_agents._display.views"))


class Shown:
    """Gives an object its pictures: HTML and Markdown in notebooks, colours where `rich` prints it.

    Without Jinja2 (extras `notebook` and `cli`) there is no HTML, and the text is shown.
    """

    __slots__ = ()

    def _view(self) -> View:
        return _load_drawer().view_of(self)

    def _repr_html_(self) -> str | None:
        return _load_drawer().draw_fragment(self._view())

    def _repr_markdown_(self) -> str:
        return _load_drawer().draw_markdown(self._view())

    def _repr_mimebundle_(
        self, include: Container[str] | None = None, exclude: Container[str] | None = None
    ) -> dict[str, object]:
        return _load_drawer().draw_forms(self._view(), include, exclude)

    def __rich__(self) -> RenderableType:
        return _load_drawer().draw_terminal(self._view())


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
