"""What a stand-in is started with."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any


def package_version() -> str:
    """The version of this package; `unknown` where it runs from a folder that was never installed."""
    try:
        return version("mistral-agents")
    except PackageNotFoundError:
        return "unknown"


LOG_LEVELS = ("critical", "error", "warning", "info", "debug")
"""From quiet to talkative."""

LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(slots=True, frozen=True)
class LocalTool:
    """One tool of a local connector.

    Attributes:
        name: its name; in a conversation it is called `<connector>_<name>`.
        description: what it does, for the model.
        parameters: JSON schema of the arguments.
        run: takes the arguments and returns the text of the result; what it raises becomes a failed tool.
    """

    name: str
    description: str
    parameters: Mapping[str, Any]
    run: Callable[[dict[str, Any]], str]


@dataclass(slots=True, frozen=True)
class LocalConnector:
    """A connector that lives in this process, instead of an MCP server somewhere.

    Attributes:
        name: its name, also accepted as its id.
        description: what it is for.
        tools: its tools.
    """

    name: str
    description: str
    tools: Sequence[LocalTool]


@dataclass(slots=True, frozen=True)
class LocalModel:
    """A model as `/v1/models` shows it.

    Attributes:
        name: its id.
        context: tokens that it takes; here the planner's, which reads a million characters of a message.
        aliases: other names for it.
        deprecation: when it goes (ISO 8601); None for one that stays.
        replacement: the model to take instead.
        embeds: whether it makes vectors instead of answers.
    """

    name: str
    context: int = 262_144
    aliases: Sequence[str] = ()
    deprecation: str | None = None
    replacement: str | None = None
    embeds: bool = False


@dataclass(slots=True, frozen=True)
class Quota:
    """So many uses of a tool in a minute. `tool` is a key of `usage.connectors`, or `tokens`."""

    tool: str
    per_minute: int

    @classmethod
    def parse(cls, text: str) -> Quota:
        """Read `web_search=30/minute`.

        Raises:
            ValueError: the text has another form.
        """
        found = re.fullmatch(r"([a-z_]+)=(\d+)/minute", text.strip())
        if found is None:
            raise ValueError(f"a quota is written tool=N/minute, such as web_search=30/minute, not {text!r}")
        return cls(found[1], int(found[2]))


@dataclass(slots=True, frozen=True)
class Settings:
    """What a stand-in is started with.

    Attributes:
        data: folder of the SQLite file and the files made; None keeps everything in memory and a temporary folder.
        host: the address it is bound to; anything but loopback needs `api_key`.
        api_key: the only key accepted; None accepts any key that isn't empty.
        model_url: base URL of an OpenAI-compatible chat endpoint that does the thinking; None uses the planner.
        model_key: key for that endpoint.
        model_timeout: seconds without a byte from that endpoint before the turn fails.
        allow_code: whether the code interpreter runs; None means only on loopback and without `model_url`.
        pages: folder of local pages that web search looks through.
        quotas: limits that really run out.
        connectors: local connectors.
        models: the models there are, any other name is refused; empty takes every name.
        guardrail_words: words and phrases by moderation category; what guardrails find.
        max_turns: turns at once, running and waiting; one more is answered with a 429.
    """

    data: Path | None = None
    host: str = "127.0.0.1"
    api_key: str | None = None
    model_url: str | None = None
    model_key: str | None = None
    model_timeout: float = 300.0
    allow_code: bool | None = None
    pages: Path | None = None
    quotas: Sequence[Quota] = field(default_factory=tuple)
    connectors: Sequence[LocalConnector] = field(default_factory=tuple)
    models: Sequence[LocalModel] = field(default_factory=tuple)
    guardrail_words: Mapping[str, Sequence[str]] = field(default_factory=dict)
    max_turns: int = 256

    def __post_init__(self) -> None:
        if self.host not in LOOPBACK_NAMES and not self.api_key:
            why = "anyone who reaches that address could use it"
            raise ValueError(f"binding to {self.host} needs an api_key (--api-key-file FILE): {why}")
        for name, key in (("api_key", self.api_key), ("model_key", self.model_key)):
            if key is not None and not (key.isascii() and key.isprintable() and " " not in key):
                raise ValueError(f"the {name} has blanks, line ends or letters beyond ASCII, which no header can carry")
        if self.max_turns < 1:
            raise ValueError(f"max_turns must be at least 1, not {self.max_turns}")

    @property
    def code_allowed(self) -> bool:
        """Whether the code interpreter runs Python."""
        if self.allow_code is not None:
            return self.allow_code
        return self.host in LOOPBACK_NAMES and self.model_url is None
