"""Progress bars, in notebooks and terminals, for whoever asks for them with `show_progress=True`; silent otherwise."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

Progress = Callable[[int, int], None]
"""Told how much is done, and how much there is."""


def open_bar(label: str, total: int | None = None) -> Any:
    """A bar on stderr, or a widget where a notebook can show one; to be closed by whoever opened it."""
    from tqdm.auto import tqdm

    return tqdm(total=total, desc=label)


@contextmanager
def counting(label: str, shown: bool, then: Progress | None = None) -> Iterator[Progress | None]:
    """What to tell of a job's progress: a bar, if one is wanted, and whoever else listens; None where nobody does.

    The bar stands from the first word on: where there is nothing to do, nothing is shown.

    Args:
        label: What is done.
        shown: Whether a bar is wanted.
        then: Told the same.
    """
    if not shown:
        yield then
        return
    with ExitStack() as stack:
        bar: Any = None

        def tick(done: int, total: int) -> None:
            nonlocal bar
            if bar is None and total:
                bar = stack.enter_context(open_bar(label, total))
            if bar is not None:
                bar.total = total
                bar.update(done - bar.n)
            if then is not None:
                then(done, total)

        yield tick
