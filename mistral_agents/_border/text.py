"""Which text may pass: well-formed Unicode, in both directions.

JSON can name half a character (a surrogate), and a stream may cut one in two. Python keeps such halves, which no
encoder takes: a history that holds one can never be sent again. A half waits for its other half in the next delta; what
stays alone becomes U+FFFD, the replacement character (Unicode 15, section 3.9, D93b).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from mistral_agents._json import JsonDict, load_json

_SURROGATE = re.compile("[\ud800-\udfff]")
_HIGH_AT_END = re.compile("[\ud800-\udbff]\\Z")
_ESCAPED = re.compile(rb"\\u[dD][89a-fA-F]|\xed[\xa0-\xbf]")
_CONTENT = "message.output.delta"
_ARGUMENTS = frozenset({"function.call.delta", "tool.execution.delta", "tool.execution.started"})
_ENDS = frozenset({"conversation.response.done", "conversation.response.error"})


def mend_text(text: str) -> str:
    """A text whose surrogates are joined to characters, or replaced where they stand alone."""
    if text.isascii() or _SURROGATE.search(text) is None:
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def mend_json(value: object, mend: Callable[[str], str] = mend_text) -> Any:
    """A JSON value with every text in it mended, keys included."""
    if isinstance(value, str):
        return mend(value)
    if isinstance(value, dict):
        return {mend_json(key, mend): mend_json(each, mend) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [mend_json(each, mend) for each in value]
    return value


def mend_growing_json(value: object) -> Any:
    """A JSON value that is still being written: half a character at the end of a text waits for its other half."""
    return mend_json(value, lambda text: mend_text(_HIGH_AT_END.sub("", text)))


def mend_parts(parts: Mapping[str, Any]) -> dict[str, Any]:
    """The parts of an upload with their names mended; their bytes stay as they are."""
    return {name: tuple(map(mend_word, part)) if isinstance(part, tuple) else part for name, part in parts.items()}


def mend_word(value: object) -> Any:
    """A text mended; anything else as it is."""
    return mend_text(value) if isinstance(value, str) else value


def may_hold_surrogates(content: bytes) -> bool:
    """Whether some JSON names a surrogate, paired or not."""
    return (b"\\u" in content or b"\xed" in content) and _ESCAPED.search(content) is not None


def parse_json(content: bytes | str) -> Any:
    """The value that a JSON text of the service holds, with halves of characters in it replaced.

    Raises:
        ValueError: It is no JSON, or nested more deeply than can be read.
    """
    value = load_json(content)
    data = content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content
    return mend_json(value) if may_hold_surrogates(data) else value


class DeltaMender:
    """Mends the events of one stream; half a character waits for the next delta of the same text.

    Attributes:
        held: What waits, by the text that it belongs to.
    """

    __slots__ = ("held",)

    def __init__(self) -> None:
        self.held: dict[tuple[Any, ...], tuple[str, JsonDict]] = {}

    def mend(self, event: JsonDict) -> list[JsonDict]:
        """The event, mended; before an end also what was waiting in vain."""
        if event.get("type") in _ENDS:
            return [*self.flush(), mend_json(event)]
        place = _find_growing_text(event)
        if place is None:
            return [mend_json(event)]
        holder, name, key = place
        before, _ = self.held.pop(key, ("", event))
        text = before + holder[name]
        half = _HIGH_AT_END.search(text)
        holder[name] = text[: half.start()] if half is not None else text
        mended = mend_json(event)
        if half is not None:
            self.held[key] = (half.group(), mended)
        return [mended]

    def flush(self) -> list[JsonDict]:
        """What was waiting in vain, as deltas."""
        held, self.held = self.held, {}
        found = []
        for half, event in held.values():
            again = mend_json(event)
            place = _find_growing_text(again)
            if place is not None:
                place[0][place[1]] = mend_text(half)
                found.append(again)
        return found


def _find_growing_text(event: JsonDict) -> tuple[Any, Any, tuple[Any, ...]] | None:
    """What holds the text that an event adds to, its key there, and what tells this text from others."""
    kind = event.get("type")
    holder: Any = None
    name: Any = None
    if kind in _ARGUMENTS:
        holder, name = event, "arguments"
    elif kind == _CONTENT:
        holder, name = _find_last_text(event, "content")
    if holder is None or not isinstance(holder.get(name) if isinstance(holder, dict) else holder[name], str):
        return None
    return holder, name, (event.get("id"), event.get("output_index"), event.get("content_index"), name == "arguments")


def _find_last_text(holder: Any, name: object) -> tuple[Any, Any]:
    """The last text inside a value: a string, a text chunk's, or that of the last part of a thought."""
    value = holder.get(name) if isinstance(holder, dict) else holder[name]
    if isinstance(value, str):
        return holder, name
    if isinstance(value, dict):
        return _find_last_text(value, "thinking" if "thinking" in value else "text")
    if isinstance(value, list) and value:
        return _find_last_text(value, len(value) - 1)
    return None, name
