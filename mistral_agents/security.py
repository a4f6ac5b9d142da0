"""Safeguards of a client: which libraries may be used, and what must not leave in an input."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mistral_agents._json import JsonDict
from mistral_agents.errors import ConfigurationError, MistralAgentsError

_HINT = "See allowed_library_ids of the client."


class LibraryNotAllowedError(MistralAgentsError):
    """A tool or an agent uses a library that is not on the client's allow-list; nothing was sent."""


def _read_list(value: object, kind: Any, what: str) -> Sequence[Any]:
    """The members of a list, none where it is left out.

    Raises:
        LibraryNotAllowedError: It is something else; what can't be compared is not allowed.
    """
    if value is None:
        return ()
    if not isinstance(value, (list, tuple)) or not all(isinstance(one, kind) for one in value):
        raise LibraryNotAllowedError(f"{what} can't be read, so they can't be compared with the list.", hint=_HINT)
    return value


@dataclass(frozen=True, slots=True)
class Safeguards:
    """What a client checks before it sends.

    Attributes:
        allowed_library_ids: The only libraries that inline tools and agents may use; None allows all. An agent (and
            every agent it can hand over to) is read before each start with it, since it may have changed; a
            conversation that is appended to keeps the tools it was started with.
        redact: Takes each text of an input (messages, function results) and returns what may be sent. What the model
            searches for is not seen here; let a search wait for confirmation to see it.

    Raises:
        ConfigurationError: One of them is of the wrong kind, and would guard something else than was meant.
    """

    allowed_library_ids: Collection[str] | None = None
    redact: Callable[[str], str] | None = None

    def __post_init__(self) -> None:
        given: object = self.allowed_library_ids
        if given is not None:
            ids = list(given) if isinstance(given, Iterable) and not isinstance(given, (str, bytes)) else [None]
            if not all(isinstance(one, str) for one in ids):
                raise ConfigurationError(f"allowed_library_ids must be a list of ids, or None for all, not {given!r}.")
            object.__setattr__(self, "allowed_library_ids", tuple(ids))
        hook: object = self.redact
        if hook is not None and (not callable(hook) or inspect.iscoroutinefunction(hook)):
            raise ConfigurationError(f"redact must be a blocking function of a text, or None, not {hook!r}.")

    def check_tools(self, tools: Iterable[Mapping[str, Any]] | None, whose: str = "tools") -> None:
        """Compare the libraries of tools with the allow-list.

        Raises:
            LibraryNotAllowedError: One is not on it, or which ones there are can't be read.
        """
        if self.allowed_library_ids is None or tools is None:
            return
        for tool in _read_list(tools, Mapping, f"{whose}: the tools"):
            for key in _read_list(tool.get("library_ids"), str, f"{whose}: the libraries of a tool"):
                if key not in self.allowed_library_ids:
                    raise LibraryNotAllowedError(f"{whose}: the library {key} is not allowed.", hint=_HINT)

    def agents_to_check(self, agent_id: str) -> Generator[str, Mapping[str, Any], None]:
        """Yields the id of each agent to read, takes the agent read, and checks it."""
        waiting, seen = [agent_id], {agent_id}
        while waiting:
            agent = yield waiting.pop()
            whose = f"agent {agent.get('name') or agent.get('id')}"
            self.check_tools(agent.get("tools"), whose)
            handoffs = _read_list(agent.get("handoffs"), str, f"{whose}: the handoffs")
            fresh = [key for key in handoffs if key not in seen]
            seen.update(fresh)
            waiting.extend(fresh)

    def redacted(self, inputs: Any) -> Any:
        """Inputs with the hook applied to each text.

        Raises:
            ConfigurationError: The hook returned something that is no text.
        """
        if self.redact is None or inputs is None:
            return inputs
        if not isinstance(inputs, (list, tuple)):
            return self._redact_content(inputs)
        return [self._redact_entry(entry) if isinstance(entry, Mapping) else entry for entry in inputs]

    def _redact_entry(self, entry: Mapping[str, Any]) -> JsonDict:
        changed = dict(entry)
        for key in ("content", "result"):
            if key in entry:
                changed[key] = self._redact_content(entry[key])
        return changed

    def _redact_content(self, content: object) -> Any:
        if isinstance(content, str):
            return self._redact_text(content)
        if isinstance(content, list):
            return [self._redact_chunk(chunk) for chunk in content]
        return content

    def _redact_chunk(self, chunk: object) -> Any:
        if isinstance(chunk, dict) and isinstance(chunk.get("text"), str):
            return {**chunk, "text": self._redact_text(chunk["text"])}
        return self._redact_text(chunk) if isinstance(chunk, str) else chunk

    def _redact_text(self, text: str) -> str:
        found = self.redact(text) if self.redact is not None else text
        if not isinstance(found, str):
            raise ConfigurationError(f"redact must return a text, not {type(found).__name__}.")
        return found
