"""What the service can't be asked for is enforced here: an agent's stop sequences, one function call at a time."""

from __future__ import annotations

from collections.abc import Sequence

from langchain_mistral_agents._streaming import Step
from mistral_agents._border.stops import TextCut

_CALLS = frozenset({"tool_call", "tool_call_chunk", "invalid_tool_call"})


class Stopper:
    """Cuts a message before the first stop sequence, even one that the stream cut in two, and behind its first call."""

    def __init__(self, stop: Sequence[str], *, first_call_only: bool = False) -> None:
        self._cut = TextCut(stop)
        self._first_call_only = first_call_only
        self._call: int | None = None
        self._open: set[int] = set()

    @property
    def hit(self) -> bool:
        """Whether a stop sequence came; nothing after it is shown."""
        return self._cut.hit

    def steps(self, steps: list[Step]) -> list[Step]:
        """The steps that may be shown."""
        if self._first_call_only:
            steps = [step for step in steps if not self._is_further_call(step)]
        if not self._cut:
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
                self._cut.begin()
            return [step]
        if step.kind == "close" and step.index in self._open:
            self._open.discard(step.index)
            return self._close(step)
        if self.hit:
            return []
        return self._add(step, self._cut.add(step.block["text"])) if step.block["type"] == "text" else [step]

    @staticmethod
    def _add(step: Step, text: str) -> list[Step]:
        return [Step("add", step.index, {"type": "text", "text": text})] if text else []

    def _close(self, step: Step) -> list[Step]:
        if step.block["type"] != "text":
            return [step]
        if not self.hit:
            return [*self._add(step, self._cut.end()), step]
        notes = [note for note in step.block.get("annotations", ()) if not note["extras"].get("offset")]
        cut = {**step.block, "text": self._cut.shown, "annotations": notes}
        if not notes:
            del cut["annotations"]
        return [Step("close", step.index, cut)]
