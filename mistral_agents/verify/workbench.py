"""What the probes of one run share: the client, its pace, turns made once, and the list of what must be deleted."""

from __future__ import annotations

import json
import logging
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from mistral_agents._api.conversations import page_call, start_call
from mistral_agents._api.libraries import documents_call
from mistral_agents._api.records import rows_of
from mistral_agents._json import JsonDict
from mistral_agents.entries import Inputs
from mistral_agents.errors import MistralAgentsError, NotFoundError
from mistral_agents.turn import Turn

if TYPE_CHECKING:
    from mistral_agents._http.stream import TurnStream
    from mistral_agents._http.transport import Transport
    from mistral_agents.client import MistralAgents

T = TypeVar("T")
RUN_KEY = "mistral_agents_verify"
"""The metadata key under which everything of a run carries its id."""
_log = logging.getLogger("mistral_agents.verify")


class Workbench:
    """The things of one run.

    Args:
        client: The client of the account.
        model: The model that answers.
        connector: A connector to probe with; None leaves those probes out.
        pace: Seconds between two requests of the probes.
        run_id: The run's id; None makes one.
    """

    def __init__(
        self,
        client: MistralAgents,
        *,
        model: str,
        connector: str | None = None,
        pace: float = 1.0,
        run_id: str | None = None,
    ) -> None:
        self.client = client
        self.model = model
        self.connector = connector
        self.run_id = run_id if run_id is not None else secrets.token_hex(4)
        self.name = f"verify-{self.run_id}"
        self.metadata = {RUN_KEY: self.run_id}
        self.left: list[str] = []
        self._pace = pace
        self._next = 0.0
        self._made: list[tuple[str, Callable[[], None]]] = []
        self._shared: dict[str, Any] = {}

    # pace ----------------------------------------------------------------------------------------------------------

    def wait(self) -> None:
        """Wait until the next request is due."""
        now = time.monotonic()
        if now < self._next:
            time.sleep(self._next - now)
        self._next = time.monotonic() + self._pace

    # turns ---------------------------------------------------------------------------------------------------------

    def start(self, inputs: Inputs, **options: Any) -> Turn:
        """A stored conversation with the run's metadata, deleted at the end."""
        self.wait()
        target = {} if "agent_id" in options else {"model": self.model}
        try:
            turn = self.client.conversations.start(inputs, **{"metadata": self.metadata, **target, **options})
        except MistralAgentsError as error:  # the conversation of a turn that failed is there all the same
            self.keep_conversation(error.conversation_id)
            raise
        self.keep_conversation(turn.conversation_id)
        return turn

    @contextmanager
    def stream(self, inputs: Inputs, **options: Any) -> Iterator[TurnStream]:
        """As `start`, event by event; the conversation is deleted at the end however the stream ends."""
        self.wait()
        target = {} if "agent_id" in options else {"model": self.model}
        stream = self.client.conversations.start_stream(inputs, **{"metadata": self.metadata, **target, **options})
        try:
            with stream:
                yield stream
        finally:
            self.keep_conversation(stream.turn.conversation_id)

    def start_unchecked(self, inputs: str, tools: list[JsonDict]) -> Turn:
        """A turn with tools that the client itself would refuse."""
        body = {"model": self.model, "tools": tools, "metadata": self.metadata}
        transport: Transport = self.client.conversations._transport
        return Turn.from_response(transport.send(start_call(inputs, body)).answer())

    def read_page(self, page_size: int, metadata: JsonDict | None = None) -> list[JsonDict]:
        """The first page of conversations as the service sends it; the client would drop rows that do not fit."""
        transport: Transport = self.client.conversations._transport
        return rows_of(transport.send(page_call(0, page_size, metadata)).json(), "data")

    def read_documents(self, library_id: str, attributes: JsonDict) -> list[JsonDict]:
        """The documents as the service itself filters them; the client looks at their attributes here."""
        transport: Transport = self.client.libraries._transport
        call = documents_call(library_id, {})
        asked = replace(call, params={**call.params, "filters_attributes": json.dumps(attributes)})
        return rows_of(transport.send(asked).json(), "data")

    def append(self, turn: Turn, inputs: Inputs | None = None, **options: Any) -> Turn:
        """A further turn."""
        self.wait()
        return self.client.conversations.append(str(turn.conversation_id), inputs, **options)

    def restart(self, turn: Turn, entry_id: str, inputs: Inputs | None = None, **options: Any) -> Turn:
        """A branch, deleted at the end."""
        self.wait()
        branch = self.client.conversations.restart(str(turn.conversation_id), entry_id, inputs, **options)
        self.keep_conversation(branch.conversation_id)
        return branch

    def share(self, key: str, make: Callable[[], T]) -> T:
        """What several probes look at, made once."""
        if key not in self._shared:
            self._shared[key] = make()
        found: T = self._shared[key]
        return found

    def plain_turn(self) -> Turn:
        """A first turn without tools."""
        return self.share("plain", lambda: self.start("Say the word seven.", instructions="Answer in one word."))

    # what must go --------------------------------------------------------------------------------------------------

    def keep(self, what: str, delete: Callable[[], None]) -> None:
        """Note how something made here is deleted."""
        self._made.append((what, delete))

    def keep_conversation(self, conversation_id: str | None) -> None:
        """Note a conversation for deletion."""
        if conversation_id is not None:
            self.keep("a conversation", lambda: self.client.conversations.delete(conversation_id))

    def forget_last(self) -> None:
        """Leave what was noted last standing, for `recheck`."""
        self._made.pop()

    def clean_up(self) -> bool:
        """Delete what was made, the youngest first; what can't be deleted is counted in `left`.

        Returns:
            Whether it came to its end; False after Ctrl-C, which leaves the rest standing, so that a report is written.
        """
        while self._made:
            what, delete = self._made[-1]
            try:
                self.wait()
                delete()
            except NotFoundError:
                _log.debug("%s was gone already", what)
            except MistralAgentsError as error:
                self.left.append(f"{what}: {type(error).__name__}")
            except KeyboardInterrupt:
                self.left += [f"{one}: broken off" for one, _ in reversed(self._made)]
                return False
            self._made.pop()
        return True


def belongs_to_run(row: JsonDict, run_id: str) -> bool:
    """Whether a row of a list belongs to the run."""
    metadata = row.get("metadata")
    return isinstance(metadata, dict) and metadata.get(RUN_KEY) == run_id
