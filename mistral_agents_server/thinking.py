"""What the stand-in asks of whatever does its thinking, and the parts an answer comes in.

The planner and the client of an OpenAI-compatible endpoint are both a `Brain`: they get the same chat request and give
the same stream of parts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

Wire = dict[str, Any]

_STRETCH = 65_536
"""Characters counted in one go: between two of them other threads get their turn."""
_TOKEN = re.compile(r"\w{1,6}|[^\w\s]")


@dataclass(slots=True)
class ChatRequest:
    """One question to the brain.

    Attributes:
        model: the model asked for.
        messages: chat messages in OpenAI's form.
        tools: function schemas in OpenAI's form.
        tool_choice: `auto`, `none` or `required`.
        args: the conversation's completion arguments as sent.
    """

    model: str
    messages: list[Wire]
    tools: list[Wire] = field(default_factory=list)
    tool_choice: str = "auto"
    args: Wire = field(default_factory=dict)


@dataclass(slots=True)
class Text:
    """A piece of the answer's text."""

    text: str


@dataclass(slots=True)
class Thought:
    """A piece of reasoning."""

    text: str


@dataclass(slots=True)
class CallPart:
    """A piece of a call. The first piece of an `index` has the name."""

    index: int
    arguments: str = ""
    name: str | None = None
    id: str | None = None


@dataclass(slots=True)
class Tokens:
    """What the answer cost, when the brain knows it."""

    prompt: int
    completion: int


Part = Text | Thought | CallPart | Tokens


class Brain(Protocol):
    """Something that answers chat requests.

    Attributes:
        cites: whether it marks the sources in its answers itself; else those found are added at the end.
    """

    cites: bool

    def label(self, model: str) -> str:
        """The `model` field of what it answers for `model`."""
        ...

    def think(self, request: ChatRequest) -> Iterator[Part]:
        """Answer in parts, each as soon as it is there.

        Raises:
            ApiError: it can't answer.
        """
        ...


def count_tokens(text: str) -> int:
    """A rough count: runs of up to six letters, and signs."""
    return sum(len(_TOKEN.findall(text[start : start + _STRETCH])) for start in range(0, len(text), _STRETCH))
