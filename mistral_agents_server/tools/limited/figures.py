"""A matplotlib backend that saves figures as files: what a notebook shows, a run gives back.

Loaded only inside a worker, by `MPLBACKEND`.
"""

from __future__ import annotations

import itertools
from typing import Any, ClassVar

from matplotlib import pyplot
from matplotlib._pylab_helpers import Gcf
from matplotlib.backend_bases import FigureManagerBase
from matplotlib.backends.backend_agg import FigureCanvasAgg

_numbers = itertools.count()
_saved: set[int] = set()


class FigureManager(FigureManagerBase):
    """Saves its figure when it is shown."""

    def show(self) -> None:
        """Save the figure."""
        _save(self.canvas.figure)

    @classmethod
    def pyplot_show(cls, *, block: bool | None = None) -> None:  # noqa: ARG003
        """Save all open figures and close them, as a notebook does."""
        save_open()
        pyplot.close("all")


class FigureCanvas(FigureCanvasAgg):
    """Draws with Agg, and remembers what was saved by the code itself."""

    manager_class: ClassVar[Any] = FigureManager

    def print_figure(self, *args: Any, **kwargs: Any) -> Any:
        """Save the figure."""
        _saved.add(id(self.figure))
        return super().print_figure(*args, **kwargs)


def _save(figure: Any) -> None:
    if id(figure) not in _saved:
        figure.savefig(f"plot_{next(_numbers)}.png")


def save_open() -> None:
    """Save all open figures that were not saved yet."""
    for manager in Gcf.get_all_fig_managers():
        _save(manager.canvas.figure)
