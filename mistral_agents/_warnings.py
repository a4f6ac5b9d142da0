"""Warnings that point at the line of whoever called: the one home for all that this package and its wings warn of."""

from __future__ import annotations

import asyncio
import sys
import threading
import warnings
from collections.abc import Iterator
from types import FrameType
from typing import Any

from mistral_agents._printable import show_text

_OURS = frozenset({"mistral_agents", "langchain_mistral_agents", "llama_index_mistral_agents"})
_FRAMEWORKS = frozenset(
    {
        *("langchain", "langchain_classic", "langchain_community", "langchain_core", "langgraph", "langsmith"),
        *("llama_index", "llama_index_instrumentation", "workflows"),
    }
)
_BETWEEN = _FRAMEWORKS | frozenset(
    {
        *("pydantic", "tenacity", "wrapt", "nest_asyncio"),
        *("asyncio", "anyio", "concurrent", "contextlib", "contextvars", "functools", "threading", "queue"),
    }
)
"""Frameworks, and what runs code on their behalf: a line of theirs tells a user nothing."""


def warn_user(text: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the first line outside this package and the frameworks that call it.

    In a thread that a framework started it is the line that waits for the framework. In a thread or task that no line
    of the user's leads to, it is the first line outside this package. Python's own filters decide whether it is shown,
    once for each such line by default.

    Args:
        text: What is the matter, and what to do about it; control characters of others in it are shown, not sent.
        category: The kind of warning, by which it can be filtered.
    """
    frame = _find_frame()
    warnings.warn_explicit(
        show_text(text),
        category,
        frame.f_code.co_filename,
        frame.f_lineno,
        module=_name_module(frame),
        registry=frame.f_globals.setdefault("__warningregistry__", {}),
    )


def _find_frame() -> FrameType:
    here = sys._getframe(2)
    outside: FrameType | None = None
    for frame in _list_frames(here):
        root = _name_module(frame).partition(".")[0]
        if root in _OURS:
            continue
        if root not in _BETWEEN:
            return frame
        outside = outside if outside is not None else frame
    waiting = _find_waiting_thread()
    if waiting is not None:
        return waiting
    return outside if outside is not None else here


def _find_waiting_thread() -> FrameType | None:
    """The user's line in the other threads that are within a framework, such as `batch`; None where they differ."""
    own = threading.get_ident()
    found = [_find_line_before_framework(frame) for key, frame in sys._current_frames().items() if key != own]
    lines = {(frame.f_code, frame.f_lineno): frame for frame in found if frame is not None}
    return next(iter(lines.values())) if len(lines) == 1 else None


def _find_line_before_framework(frame: FrameType | None) -> FrameType | None:
    is_framework = False
    while frame is not None:
        root = _name_module(frame).partition(".")[0]
        if root not in _BETWEEN and root not in _OURS:
            return frame if is_framework else None
        is_framework = is_framework or root in _FRAMEWORKS
        frame = frame.f_back
    return None


def _list_frames(frame: FrameType | None) -> Iterator[FrameType]:
    """The stack from within; where an event loop runs a task, who waits for that task stands before the loop."""
    while frame is not None:
        if _name_module(frame) == "asyncio.events":
            yield from _list_waiting()
        yield frame
        frame = frame.f_back


def _list_waiting() -> Iterator[FrameType]:
    """The stacks of the tasks that wait for this one, as LangChain starts a task for each step of a chain."""
    task: asyncio.Task[Any] | None = asyncio.current_task()
    while task is not None:
        task = next((other for other in asyncio.all_tasks() if _waits_for(other, task)), None)
        coroutine: Any = task.get_coro() if task is not None else None
        frames: list[FrameType] = []
        while (frame := getattr(coroutine, "cr_frame", None)) is not None:
            frames.append(frame)
            coroutine = coroutine.cr_await
        yield from reversed(frames)


def _waits_for(other: asyncio.Task[Any], task: asyncio.Task[Any]) -> bool:
    """Whether a task waits for another, or for several of which it is one (`gather`).

    Neither attribute has a public name; without them no task is found, and the loop's own stack is all there is.
    """
    awaited = getattr(other, "_fut_waiter", None)
    return awaited is task or task in getattr(awaited, "_children", ())


def _name_module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__") or "<string>")
