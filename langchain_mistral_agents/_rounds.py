"""The rounds of a call: an answer, its functions, the next answer; a function may pause them, to go on later."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, ToolMessage

from langchain_mistral_agents._answer_chunk import merge_chunks
from langchain_mistral_agents._items import history_digest
from langchain_mistral_agents._local_tools import PausedError
from langchain_mistral_agents._traces import TurnCatcher
from mistral_agents._border.control import Questions
from mistral_agents._json import JsonDict

Shown = TypeVar("Shown", bound=AIMessage)
Place = tuple[str, str, str]
"""The service, the agent, and the thread or the conversation that a call names."""
_OF_FIRST_TURN = ("tool_confirmations", "name", "description", "metadata", "conversation_metadata")
_KEPT = 1_000  # paused calls that this process remembers


@dataclass(slots=True)
class Rounds:
    """How far a call has come.

    Attributes:
        place: Where it may be paused; None where a repetition of the call can't be told.
        key: The digest of what the call was given, where it may be paused.
        given: What the call was given.
        messages: What the next answer is asked for.
        answer: The last answer, whose functions are not all answered yet.
        done: What functions of that answer gave before another paused the call.
        conversation_id: The conversation of the last answer.
        questions: What functions asked people.
        catcher: Takes the turns of all answers.
    """

    place: Place | None
    key: str
    given: list[BaseMessage]
    messages: list[BaseMessage]
    answer: AIMessage | None = None
    done: dict[str, ToolMessage] = field(default_factory=dict)
    conversation_id: str | None = None
    questions: Questions = field(default_factory=Questions)
    catcher: TurnCatcher = field(default_factory=TurnCatcher)

    @contextmanager
    def pausing(self) -> Iterator[AIMessage]:
        """The answer whose functions are to be run; one that steers the run elsewhere is raised as it came.

        A graph that is resumed makes the same call again: it then goes on here, so that the turn is not paid twice and
        no function runs twice.
        """
        if self.answer is None:
            raise RuntimeError("there is no answer whose functions could run")
        try:
            yield self.answer
        except PausedError as paused:
            self.done.update(paused.results)
            PAUSED.keep(self)
            raise paused.cause from None

    def options_of_turn(self, options: JsonDict) -> JsonDict:
        """A call's options for its next turn; decisions, and what a conversation begins with, go with the first one."""
        if self.messages is self.given:
            return options
        return {name: value for name, value in options.items() if name not in _OF_FIRST_TURN}

    def go_on(self, results: Sequence[ToolMessage]) -> None:
        """Ask the model again, with the results of its functions."""
        if self.answer is not None:
            self.conversation_id = self.answer.response_metadata.get("conversation_id")
            self.messages = [*self.messages, self.answer, *results]
        self.answer, self.done = None, {}

    def show(self, answer: Shown, written: Sequence[AIMessageChunk] = ()) -> Shown:
        """An answer, or the last chunk of one, for the caller, who sees nothing of the rounds before.

        It stands behind what the call was given then: with that digest a further call goes on with its conversation.

        Args:
            answer: The answer or chunk.
            written: All chunks of it.
        """
        if len(self.messages) == len(self.given) or "history_digest" not in answer.response_metadata:
            return answer
        whole = merge_chunks(written) if written else answer
        told = history_digest([whole], systems=False, start=history_digest(self.given, systems=True))
        return answer.model_copy(update={"response_metadata": {**answer.response_metadata, "history_digest": told}})


class PausedCalls:
    """The calls of this process that a function paused; bounded."""

    def __init__(self) -> None:
        self._calls: OrderedDict[Place, Rounds] = OrderedDict()
        self._lock = threading.Lock()

    def keep(self, rounds: Rounds) -> None:
        """Remember how far a call came."""
        if rounds.place is None:
            return
        with self._lock:
            self._calls[rounds.place] = rounds
            while len(self._calls) > _KEPT:
                self._calls.popitem(last=False)

    def take(self, place: Place | None, messages: list[BaseMessage]) -> Rounds:
        """The rounds of a call: those that were paused where it is the same call, else new ones."""
        if place is None:
            return Rounds(None, "", messages, messages)
        key = history_digest(messages, systems=True)
        with self._lock:
            known = self._calls.pop(place, None)
        if known is None or known.key != key:
            return Rounds(place, key, messages, messages)
        known.questions.resume()
        return known


PAUSED = PausedCalls()
