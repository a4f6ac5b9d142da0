"""A turn to be made, and what this process remembers of the conversations it made turns in."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal
from weakref import WeakValueDictionary

from mistral_agents._api.recovery import LOST
from mistral_agents._border.calls import is_unrun_answer
from mistral_agents._forks import renew_in_children
from mistral_agents._http.concealed import conceal_options
from mistral_agents._json import JsonDict, digest
from mistral_agents.entries import Inputs
from mistral_agents.errors import MistralAgentsError, TimeoutExceededError
from mistral_agents.turn import Turn

Operation = Literal["start", "append", "restart"]
_KEPT = 10_000  # conversations of which this process remembers something


class Claim:
    """Goes on with a conversation from where it stands; as long as it lives, no other turn does."""


@dataclass(frozen=True, slots=True)
class TurnRequest:
    """One turn to be made, carried out by `Conversations.send`, `asend`, `open` and `aopen`.

    Attributes:
        operation: What is asked of the service.
        inputs: What is said: a text or entries; None where only confirmations are sent.
        options: Further arguments of that operation, by the names of `Conversations`' methods.
        conversation_id: The conversation to go on with, or to branch from; None for `start`.
        entry_id: The entry to branch from (`restart`), or the last one known (`append`): from it a lost answer is
            found again.
        reason: Why it is no plain continuation; None where it is.
        found: The turn itself, where an earlier request of it was applied and only its answer was lost.
        closes_calls: Whether the conversation may wait for calls that nobody here knows: where it refuses the turn
            because of them, they are answered and it is sent again.
        undecided: The ids of hosted calls that go on waiting for a decision.
        resumes: Whether, in that case, the same words said before are taken for this turn: it was paid, and whoever
            runs its functions can go on.
        claim: What keeps other turns from going on from the same place.
    """

    operation: Operation
    inputs: Any
    options: Mapping[str, Any] = field(default_factory=dict)
    conversation_id: str | None = None
    entry_id: str | None = None
    reason: str | None = None
    found: Turn | None = None
    closes_calls: bool = False
    undecided: tuple[str, ...] = ()
    resumes: bool = False
    claim: Claim | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "options", conceal_options(self.options))

    @property
    def payload(self) -> JsonDict:
        """Operation, ids and body together, to look at."""
        ids = {"conversation_id": self.conversation_id}
        if self.operation == "restart":
            ids["from_entry_id"] = self.entry_id
        known = {name: value for name, value in ids.items() if value is not None}
        inputs = {} if self.inputs is None else {"inputs": self.inputs}
        return {"operation": self.operation, **known, **inputs, **self.options}


@dataclass(frozen=True, slots=True)
class Attempt:
    """A turn that was sent and whose outcome is not known.

    Attributes:
        after_entry_id: The last entry known when it was sent; None where none was.
        key: What tells it from other turns; see `attempt_key`.
        sent: The inputs as they went out.
        runs_until: Until then (seconds of `time.monotonic`) the service may still work on it.
    """

    after_entry_id: str | None
    key: str
    sent: Any
    runs_until: float = 0.0


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A conversation whose first turn was left or broke off; the service may have kept nothing of it."""


class Heads:
    """Where conversations stood last, and turns of unknown outcome; bounded, safe in threads."""

    def __init__(self) -> None:
        self._heads: OrderedDict[tuple[str, str], str | Attempt | Unfinished] = OrderedDict()
        self.renew()
        renew_in_children(self)

    def renew(self) -> None:
        """In a forked process: the turns under way are its parent's, and so is who held the lock."""
        self._claims: WeakValueDictionary[tuple[str, str], Claim] = WeakValueDictionary()
        self._lock = threading.RLock()

    def get(self, base_url: str, conversation_id: str) -> str | None:
        """The last entry, or None where this process does not know."""
        found = self._heads.get((base_url, conversation_id))
        return found if isinstance(found, str) else None

    def attempt(self, base_url: str, conversation_id: str) -> Attempt | None:
        """The turn of unknown outcome; None where there is none."""
        found = self._heads.get((base_url, conversation_id))
        return found if isinstance(found, Attempt) else None

    def is_unfinished(self, base_url: str, conversation_id: str) -> bool:
        """Whether the first turn of the conversation was not seen to its end."""
        return isinstance(self._heads.get((base_url, conversation_id)), Unfinished)

    def set(self, base_url: str, conversation_id: str | None, known: str | Attempt | Unfinished | None) -> None:
        """Remember the last entry, or a turn of unknown outcome; None forgets."""
        if conversation_id is None:
            return
        with self._lock:
            self._heads.pop((base_url, conversation_id), None)
            if known is not None:
                self._heads[base_url, conversation_id] = known
                while len(self._heads) > _KEPT:
                    self._heads.popitem(last=False)

    def peek(self, base_url: str, conversation_id: str | None) -> str | Attempt | Unfinished | None:
        """All that is remembered of a conversation."""
        return self._heads.get((base_url, str(conversation_id)))

    def claim(self, base_url: str, conversation_id: str | None) -> Claim | None:
        """The right to go on with a conversation; None where another turn is planned or under way."""
        with self._lock:
            if self._claims.get((base_url, str(conversation_id))) is not None:
                return None
            claim = self._claims[base_url, str(conversation_id)] = Claim()
            return claim

    def release(self, base_url: str, request: TurnRequest) -> None:
        """The turn is over, or was not made."""
        if request.claim is None:
            return
        with self._lock:
            if self._claims.get((base_url, str(request.conversation_id))) is request.claim:
                del self._claims[base_url, str(request.conversation_id)]

    def settle(self, base_url: str, turn: Turn) -> None:
        """A turn came back: the conversation stands at its last entry."""
        self.set(base_url, turn.conversation_id, turn.last_entry_id)

    def settle_stream(self, base_url: str, request: TurnRequest, turn: Turn) -> None:
        """A stream was read, or left: what of the turn was seen counts, whatever its reader does then."""
        if turn.complete:
            self.settle(base_url, turn)
        elif request.operation != "append":
            self.set(base_url, turn.conversation_id, Unfinished())

    @contextmanager
    def under_way(self, base_url: str, request: TurnRequest, sent: object, timeout: float) -> Iterator[None]:
        """While a turn is on its way nobody knows where its conversation stands; `settle` ends that.

        Args:
            base_url: The service.
            request: The turn.
            sent: Its inputs as they go out.
            timeout: Seconds that the service may go on with it after this side gave up waiting.
        """
        self.set(base_url, request.conversation_id, None)
        try:
            yield
        except GeneratorExit:
            raise  # the reader of a stream left it: nobody waits for this turn any more
        except BaseException as error:
            if request.operation == "append" and not _was_refused(error):
                runs = time.monotonic() + timeout if isinstance(error, TimeoutExceededError) else 0.0
                key = attempt_key(request.inputs, request.options.get("tool_confirmations"))
                attempt = Attempt(request.entry_id, key, sent, runs)
                self.set(base_url, request.conversation_id, attempt)
            raise


def attempt_key(inputs: Inputs | None, confirmations: object) -> str:
    """A digest of what is said; calls that are only closed with it don't count, they may be closed by now."""
    if isinstance(inputs, Sequence) and not isinstance(inputs, str):
        inputs = [entry for entry in inputs if not is_unrun_answer(entry)]
    return digest(inputs if inputs else None, confirmations if confirmations else None)


def _was_refused(error: BaseException) -> bool:
    return isinstance(error, MistralAgentsError) and not isinstance(error, LOST)


HEADS = Heads()
