"""What the service can't be asked for is enforced here: an agent's stop sequences, one function call at a time."""

from __future__ import annotations

from collections.abc import Sequence

from langchain_mistral_agents._streaming import Step

_CALLS = frozenset({"tool_call", "tool_call_chunk", "invalid_tool_call"})


class Stopper:
    """Cuts a message before the first stop sequence, even one that the stream cut in two, and behind its first call.

    Attributes:
        hit: Whether a stop sequence came; nothing after it is shown.
    """

    def __init__(self, stop: Sequence[str], *, first_call_only: bool = False) -> None:
        self._stop = tuple(word for word in stop if word)
        self._first_call_only = first_call_only
        self._call: int | None = None
        self._held = ""
        self._shown = ""
        self._open: set[int] = set()
        self.hit = False

    def steps(self, steps: list[Step]) -> list[Step]:
        """The steps that may be shown."""
        if self._first_call_only:
            steps = [step for step in steps if not self._is_further_call(step)]
        if not self._stop:
            return steps
        return [shown for step in steps for shown in self._show(step)]

    def _is_further_call(self, step: Step) -> bool:
        """Whether a step belongs to a function call behind the first one."""
        if step.block["type"] not in _CALLS:
            return False
        if self._call is None:
            self._call = step.index
        return step.index != self._call

    def _show(self, step: Step) -> list[Step]:
        """After a stop sequence only what is open is closed."""
        if step.kind == "open" and not self.hit:
            self._open.add(step.index)
            if step.block["type"] == "text":
                self._held = self._shown = ""
            return [step]
        if step.kind == "close" and step.index in self._open:
            self._open.discard(step.index)
            return self._close(step)
        if self.hit:
            return []
        return self._add(step) if step.block["type"] == "text" else [step]

    def _add(self, step: Step) -> list[Step]:
        self._held += step.block["text"]
        places = [self._held.find(word) for word in self._stop if word in self._held]
        self.hit = bool(places)
        upto = min(places) if places else len(self._held) - self._doubtful()
        text, self._held = self._held[:upto], self._held[upto:]
        self._shown += text
        return [Step("add", step.index, {"type": "text", "text": text})] if text else []

    def _close(self, step: Step) -> list[Step]:
        if step.block["type"] != "text":
            return [step]
        if not self.hit:
            rest = Step("add", step.index, {"type": "text", "text": self._held})
            return [rest, step] if self._held else [step]
        notes = [note for note in step.block.get("annotations", ()) if not note["extras"].get("offset")]
        cut = {**step.block, "text": self._shown, "annotations": notes}
        if not notes:
            del cut["annotations"]
        return [Step("close", step.index, cut)]

    def _doubtful(self) -> int:
        """How many characters at the end may be the beginning of a stop sequence."""
        sizes = (size for word in self._stop for size in range(1, len(word)) if self._held.endswith(word[:size]))
        return max(sizes, default=0)
