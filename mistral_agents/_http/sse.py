"""Server-sent events: bytes in, events out, whatever the byte splits.

Tolerant on purpose: any of the three line endings, a byte order mark, comments, unknown fields, broken UTF-8 and a
last event without its blank line are all read (the HTML standard, section 9.2, would drop the last).
"""

from __future__ import annotations

import json
from typing import Any

_BOM = b"\xef\xbb\xbf"


class EventDecoder:
    """Incremental decoder of one stream; yields each event's JSON as a dict.

    An event whose data is no JSON object becomes `{"type": <event name>, "data": <text>}`, so nothing is lost.
    """

    __slots__ = ("_data", "_fresh", "_name", "_tail")

    def __init__(self) -> None:
        self._tail = b""
        self._name = b""
        self._data: list[bytes] = []
        self._fresh = True

    def feed(self, chunk: bytes) -> list[dict[str, Any]]:
        """Take the next bytes and return the events they complete."""
        buffer = self._tail + chunk
        if self._fresh and len(buffer) >= len(_BOM):
            self._fresh = False
            buffer = buffer.removeprefix(_BOM)
        if b"\r" in buffer:
            buffer = self._normalized(buffer)
            if buffer.endswith(b"\r"):
                lines = buffer[:-1].split(b"\n")
                self._tail = lines.pop() + b"\r"
                return self._read(lines)
        lines = buffer.split(b"\n")
        self._tail = lines.pop()
        return self._read(lines)

    def flush(self) -> list[dict[str, Any]]:
        """The end of the stream: return what was left without its closing blank line."""
        rest, self._tail = self._tail.rstrip(b"\r"), b""
        return self._read([rest, b""])

    @staticmethod
    def _normalized(buffer: bytes) -> bytes:
        held = b"\r" if buffer.endswith(b"\r") else b""
        body = buffer[: len(buffer) - len(held)]
        return body.replace(b"\r\n", b"\n").replace(b"\r", b"\n") + held

    def _read(self, lines: list[bytes]) -> list[dict[str, Any]]:
        events: list[dict[str, Any]] = []
        for line in lines:
            if not line:
                if self._data:
                    events.append(self._event())
                self._name = b""
            elif line.startswith(b"data:"):
                self._data.append(line[6:] if line.startswith(b"data: ") else line[5:])
            elif line.startswith(b"event:"):
                self._name = line[6:].strip()
        return events

    def _event(self) -> dict[str, Any]:
        data = self._data[0] if len(self._data) == 1 else b"\n".join(self._data)
        self._data = []
        try:
            value = json.loads(data)
        except ValueError:
            value = None
        if not isinstance(value, dict):
            return {"type": self._name.decode("utf-8", "replace"), "data": data.decode("utf-8", "replace")}
        if "type" not in value and self._name:
            value["type"] = self._name.decode("utf-8", "replace")
        return value
