"""Stop sequences that the service can't be asked for (beside `agent_id`), enforced here: in streams and whole turns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mistral_agents._json import JsonDict
from mistral_agents._turn.content import chunk_text
from mistral_agents.entries import Entry, MessageOutput, parse_entry
from mistral_agents.turn import Turn


class TextCut:
    """Cuts a growing text before the first stop sequence, even one that a stream cut in two.

    Attributes:
        hit: Whether a stop sequence came; nothing after it is shown.
        shown: What was shown of the text.
    """

    def __init__(self, words: Sequence[str]) -> None:
        self._words = tuple(word for word in words if word)
        self._held = ""
        self.shown = ""
        self.hit = False

    def __bool__(self) -> bool:
        """Whether there is anything to look for."""
        return bool(self._words)

    def begin(self) -> None:
        """Another text begins."""
        self._held = self.shown = ""

    def add(self, text: str) -> str:
        """What may be shown of the text that came, and of what was held back before."""
        if self.hit or not self._words:
            return "" if self.hit else text
        self._held += text
        places = [self._held.find(word) for word in self._words if word in self._held]
        self.hit = bool(places)
        upto = min(places) if places else len(self._held) - self._count_doubtful()
        ready, self._held = self._held[:upto], self._held[upto:]
        self.shown += ready
        return ready

    def end(self) -> str:
        """What was held back, at the end of the text."""
        rest, self._held = "" if self.hit else self._held, ""
        self.shown += rest
        return rest

    def _count_doubtful(self) -> int:
        """How many characters at the end may be the beginning of a stop sequence."""
        sizes = (size for word in self._words for size in range(1, len(word)) if self._held.endswith(word[:size]))
        return max(sizes, default=0)


def cut_turn(turn: Turn, words: Sequence[str]) -> Turn:
    """A turn as far as it may be shown: the message with a stop sequence ends before it, and is the last entry."""
    for place, entry in enumerate(turn.entries):
        if isinstance(entry, MessageOutput):
            cut = TextCut(words)
            shown = cut.add(entry.text)
            if cut.hit:
                return replace(turn, entries=[*turn.entries[:place], _shorten_message(entry, len(shown))])
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
