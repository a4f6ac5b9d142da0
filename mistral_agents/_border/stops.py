"""What the service can't be asked for is enforced here: an agent's stop sequences, one function call at a time.

A stop sequence may be cut in two by a stream, or by a reference that stands in the text; a message is one text.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import replace

from mistral_agents._border.events import CallDelta, ContentPiece, HandoffDelta, Record, TextDelta
from mistral_agents._json import JsonDict
from mistral_agents._turn.content import chunk_text
from mistral_agents.entries import Entry, MessageOutput, parse_entry
from mistral_agents.turn import Turn


class AnswerCut:
    """Lets the records of a turn pass as far as they may be shown.

    Each message is looked through by itself. What may be the beginning of a stop sequence waits, and so does all that
    comes behind it, until the rest of the message tells.

    Attributes:
        hit: Whether a stop sequence came; nothing after it is shown.
    """

    def __init__(self, words: Sequence[str], *, first_call_only: bool = False) -> None:
        self._words = tuple(word for word in words if word)
        self._first_call_only = first_call_only
        self._call: str | None = None
        self._waiting: deque[tuple[Record, str]] = deque()
        self._entry_id: str | None = None
        self._pieces: dict[int, tuple[ContentPiece, ContentPiece]] = {}
        self.hit = False

    def take(self, records: Iterable[Record]) -> Sequence[Record]:
        """What may be shown, of these records and of what waited before."""
        if self._first_call_only:
            records = [record for record in records if not self._is_further_call(record)]
        if not self._words:
            return list(records)
        return [shown for record in records for shown in self._look_through(record)]

    def end(self) -> list[Record]:
        """What waited, at the end of the turn."""
        return [] if self.hit else self._release(None)

    def _is_further_call(self, record: Record) -> bool:
        """Whether a record belongs to a function call behind the first one; hosted calls that wait are none.

        A handoff voids the calls before it, so the first one is that behind it.
        """
        if isinstance(record, HandoffDelta):
            self._call = None
        if not isinstance(record, CallDelta) or record.entry.get("confirmation_status") is not None:
            return False
        self._call = self._call if self._call is not None else record.key
        return record.key != self._call

    def _look_through(self, record: Record) -> list[Record]:
        if self.hit:
            return []
        if not isinstance(record, TextDelta):
            self._waiting.append((record, ""))
            return self._release(0) if len(self._waiting) == 1 else []
        before: list[Record] = []
        if record.piece.entry_id != self._entry_id:
            before, self._entry_id = self._release(None), record.piece.entry_id
        self._waiting.append((record, record.text))
        text = "".join(text for _, text in self._waiting)
        place = find_stop(text, self._words)
        self.hit = place is not None
        return before + self._release(place if place is not None else len(text) - self._count_doubtful(text))

    def _count_doubtful(self, text: str) -> int:
        """How many characters at the end may be the beginning of a stop sequence."""
        sizes = (size for word in self._words for size in range(1, len(word)) if text.endswith(word[:size]))
        return max(sizes, default=0)

    def _release(self, size: int | None) -> list[Record]:
        """What waits up to a number of characters (None: all), and what stands there that is no text."""
        shown: list[Record] = []
        while self._waiting:
            record, text = self._waiting.popleft()
            taken = text if size is None else text[:size]
            if isinstance(record, TextDelta):
                shown += [self._copy(record, taken)] if taken or not text else []
            else:
                shown.append(record)
            size = None if size is None else size - len(taken)
            if len(taken) < len(text):
                self._waiting.appendleft((record, text[len(taken) :]))
                break
        return shown

    def _copy(self, record: TextDelta, text: str) -> TextDelta:
        """The record with a part of its text, in a piece that holds what was shown of it."""
        piece = record.piece
        _, shown = self._pieces.setdefault(id(piece), (piece, ContentPiece(piece.entry_id, piece.place, piece.chunk)))
        shown.texts.append(text)
        return TextDelta(shown, text)


def find_stop(text: str, words: Sequence[str]) -> int | None:
    """Where the stop sequence begins that is whole first; None where there is none.

    A stream tells no more of a text than that one: a longer one that begins before it may never be whole.
    """
    found = [(text.find(word) + len(word), -len(word)) for word in words if word and word in text]
    return sum(min(found)) if found else None


def cut_turn(turn: Turn, words: Sequence[str]) -> Turn:
    """A turn as far as it may be shown: the message with a stop sequence ends before it, and is the last entry."""
    for place, entry in enumerate(turn.entries):
        if isinstance(entry, MessageOutput):
            size = find_stop(entry.text, words)
            if size is not None:
                return replace(turn, entries=[*turn.entries[:place], _shorten_message(entry, size)])
    return turn


def _shorten_message(entry: MessageOutput, size: int) -> Entry:
    """The message with that many characters of its text, and what stands before them."""
    content: list[JsonDict] = []
    for chunk in entry.chunks:
        text = chunk_text(chunk)
        content.append({**chunk, "text": text[:size]} if text else chunk)
        size -= len(text)
        if text and size < 0:
            break
    return parse_entry({**entry.raw, "content": content})
