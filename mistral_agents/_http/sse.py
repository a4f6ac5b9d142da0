"""Server-sent events: bytes in, events out, whatever the byte splits, in time that grows with the bytes alone.

Tolerant on purpose: any of the three line endings, a byte order mark, comments, unknown fields, broken UTF-8 and a
last event without its blank line are all read (the HTML standard, section 9.2, would drop the last). What is no line of
a stream of events is kept: a gateway may answer with a page, with the whole reply as JSON, or with one line
of JSON for each event.
"""

from __future__ import annotations

from mistral_agents._border.events import is_known
from mistral_agents._border.text import DeltaMender, may_hold_surrogates
from mistral_agents._http.failures import UNREADABLE
from mistral_agents._json import JsonDict, load_json
from mistral_agents.errors import ResponseFormatError

_BOM = b"\xef\xbb\xbf"
_FIELDS = frozenset({b"data", b"event", b"id", b"retry"})
_MARKUP = (b"{", b"[", b"<")
"""What stands in a damaged line of an event, or in a page, and not in a field that a later standard may define."""
_DOCUMENT = frozenset({b"{", b"[", b"<", b""})
_END_OF_CHAT = b"[DONE]"
"""What chat-completion streams end with; gateways add it to others."""


class EventDecoder:
    """Incremental decoder of one stream; yields each event's JSON as a dict.

    An event whose data is no JSON, or no object where its name is known, becomes
    `{"type": "unreadable", "event": <name>, "data": <text>}` and is counted in `damaged`; JSON that is no object under
    another name becomes `{"type": <name>, "data": <value>}`. `torn` says whether something came between the fields that
    is none: a part of a page, or the line of an event that was damaged at its beginning.

    Args:
        most: The largest event, in bytes; None for no limit.
    """

    __slots__ = (
        "_data",
        "_fresh",
        "_held",
        "_mender",
        "_most",
        "_name",
        "_size",
        "_skip_newline",
        "_stray",
        "_stray_size",
        "damaged",
        "torn",
    )

    def __init__(self, most: int | None = None) -> None:
        self._held: list[bytes] = []  # the beginning of a line, in pieces: joined once, when its end is there
        self._mender = DeltaMender()
        self._name = b""
        self._data: list[bytes] = []
        self._stray: list[bytes] = []
        self._fresh = True
        self._skip_newline = False
        self._most = most
        self._size = 0
        self._stray_size = 0
        self.damaged = 0
        self.torn = False

    @property
    def stray(self) -> bytes:
        """What came that is no line of a stream of events: a page, or a whole reply."""
        return b"\n".join(self._stray)

    @property
    def is_document(self) -> bool:
        """Whether what came begins as JSON or a page does (with blanks, perhaps), and not as a stream of events."""
        pieces = self._stray or self._held
        return bool(pieces and pieces[0]) and pieces[0].lstrip()[:1] in _DOCUMENT

    def read_lines(self) -> list[JsonDict]:
        """The stray lines as events, where each is a JSON object that says its type; else none."""
        events = []
        for line in self._stray:
            try:
                value = load_json(line) if line.strip() else {"type": ""}
            except ValueError:
                return []
            if not isinstance(value, dict) or not isinstance(value.get("type"), str):
                return []
            events.extend(self._mender.mend(value) if value["type"] else [])
        self.torn = False
        return events

    def feed(self, chunk: bytes) -> list[JsonDict]:
        """Take the next bytes and return the events they complete.

        Raises:
            ResponseFormatError: An event is larger than allowed.
        """
        if self._fresh:
            chunk = b"".join((*self._held, chunk))
            self._held.clear()
            if len(chunk) < len(_BOM) and _BOM.startswith(chunk):
                self._held.append(chunk)
                return []
            self._fresh = False
            chunk = chunk.removeprefix(_BOM)
        if self._skip_newline and chunk:
            chunk, self._skip_newline = chunk.removeprefix(b"\n"), False
        self._measure(len(chunk))
        if b"\r" in chunk:
            self._skip_newline = chunk.endswith(b"\r")
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        if b"\n" not in chunk:
            self._held.append(chunk)
            return []
        self._held.append(chunk)
        lines = b"".join(self._held).split(b"\n")
        self._held = [lines.pop()]
        return self._read(lines)

    def flush(self) -> list[JsonDict]:
        """The end of the stream: return what was left without its closing blank line."""
        rest = b"".join(self._held)
        self._held = []
        if any(field.startswith(rest) for field in _FIELDS):  # a line that was cut in the name of its field
            rest = b""
        return [*self._read([rest, b""]), *self._mender.flush()]

    def _measure(self, more: int) -> None:
        self._size += more
        if self._most is not None and self._size > self._most:
            message = f"An event of the stream is larger than {self._most} bytes (max_body_bytes)."
            raise ResponseFormatError(message, hint="Allow more with MistralAgents(max_body_bytes=...).")

    def _read(self, lines: list[bytes]) -> list[JsonDict]:
        events: list[JsonDict] = []
        has_ended = False
        for line in lines:
            if not line:
                if self._data:
                    events.extend(self._take_event())
                self._name, has_ended = b"", True
            elif line.startswith(b"data:"):
                self._data.append(line[6:] if line.startswith(b"data: ") else line[5:])
            elif line.startswith(b"event:"):
                self._name = line[6:].strip()
            elif line.partition(b":")[0] not in _FIELDS and not line.startswith(b":"):
                self._stray.append(line)
                self.torn = self.torn or any(mark in line for mark in _MARKUP)
                self._stray_size += len(line) + 1
        if has_ended:
            self._size = self._stray_size + sum(map(len, self._held))
        return events

    def _take_event(self) -> list[JsonDict]:
        data = self._data[0] if len(self._data) == 1 else b"\n".join(self._data)
        self._data = []
        if not data or data.strip() == _END_OF_CHAT:
            return []
        try:
            value = load_json(data.decode("utf-8", "surrogatepass"))  # as text: bytes would be asked for their encoding
            if not isinstance(value, dict) and is_known(self._read_name()):
                raise ValueError("an event of this name is an object")
        except ValueError:
            self.damaged += 1
            return [{"type": UNREADABLE, "event": self._read_name(), "data": data.decode("utf-8", "replace")}]
        if not isinstance(value, dict):
            return [{"type": self._read_name(), "data": value}]
        if "type" not in value and self._name:
            value["type"] = self._read_name()
        return self._mender.mend(value) if self._mender.held or may_hold_surrogates(data) else [value]

    def _read_name(self) -> str:
        return self._name.decode("utf-8", "replace")
