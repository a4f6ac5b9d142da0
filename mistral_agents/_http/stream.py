"""A turn as a stream of events, with the same result in the end as a call's."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from typing_extensions import Self

from mistral_agents._border.events import STARTED, Record
from mistral_agents._http import sdk as sdk_layer
from mistral_agents._http.fold import EventFold
from mistral_agents._http.guard import TurnGuard
from mistral_agents._http.sse import EventDecoder
from mistral_agents._http.transport import Call, Transport, headers_of, reason
from mistral_agents._json import JsonDict
from mistral_agents._tools.policy import Policy
from mistral_agents.errors import (
    MistralAgentsError,
    StreamInterruptedError,
    TimeoutExceededError,
    ToolBudgetExceededError,
    TurnFailedError,
    message_of,
)
from mistral_agents.turn import Turn

_CUT = "The stream ended before `conversation.response.done`; the answer may be incomplete."
_AFTER = "The turn may have been applied; read the conversation's history before sending it again."


@dataclass(frozen=True, slots=True)
class Watch:
    """What goes along with a stream.

    Attributes:
        policy: What is enforced while it is read.
        met: Told the conversation's id and the policy, once the id is known.
    """

    policy: Policy
    met: Callable[[str | None, Policy], None]


class _Reading:
    """What both streams share: bytes to events, the turn so far, and how a stream may end.

    Attributes:
        headers: The reply's headers.
        records: What the event given last added, typed; for those who show a turn as it comes.
    """

    def __init__(self, call: Call, watch: Watch | None) -> None:
        self._call = call
        self._watch = watch
        self._guard = TurnGuard(watch.policy) if watch is not None and watch.policy.watches_stream else None
        self._decoder = EventDecoder()
        self._fold = EventFold()
        self.headers: dict[str, str] = {}
        self.records: Sequence[Record] = ()

    @property
    def conversation_id(self) -> str | None:
        """The conversation's id: from the first event on; for `append` from the start."""
        found = self._fold.conversation_id
        return found if found is not None else self._call.conversation_id

    @property
    def turn(self) -> Turn:
        """What has arrived so far; `complete` is True once the stream has ended well."""
        turn = Turn.from_response(
            self._fold.response(),
            headers=self.headers,
            unknown_events=list(self._fold.unknown),
            complete=self._fold.done,
        )
        if turn.conversation_id is None:
            turn.conversation_id = self.conversation_id
        if self._watch is not None and self._watch.policy:
            turn.policy = self._watch.policy
        return turn

    def _events(self, chunk: bytes | None) -> list[JsonDict]:
        return self._decoder.flush() if chunk is None else self._decoder.feed(chunk)

    def _apply(self, event: JsonDict) -> None:
        self.records = self._fold.apply(event)
        if self._watch is not None and event.get("type") == STARTED:
            self._watch.met(self.conversation_id, self._watch.policy)
        if self._fold.error is not None:
            raise self._failed(self._fold.error)
        if self._guard is not None:
            self._guard.take(event)

    def _facts(self) -> dict[str, Any]:
        return {
            "conversation_id": self.conversation_id,
            "request_id": self.headers.get("mistral-correlation-id"),
            "turn": self.turn,
        }

    def _stopped(self, error: ToolBudgetExceededError) -> ToolBudgetExceededError:
        for name, value in self._facts().items():
            setattr(error, name, value)
        return error

    def _failed(self, event: JsonDict) -> MistralAgentsError:
        message, code = message_of(event)
        return TurnFailedError(
            f"{self._call.what} failed in the stream: {message or 'no message from the service'}",
            code=code,
            body=event,
            hint=_AFTER,
            **self._facts(),
        )

    def _check_end(self) -> None:
        if not self._fold.done:
            raise StreamInterruptedError(_CUT, hint=_AFTER, **self._facts())

    def _broken(self, error: Exception) -> MistralAgentsError:
        if sdk_layer.timed_out(error):
            return TimeoutExceededError("The stream fell silent for too long.", hint=_AFTER, **self._facts())
        return StreamInterruptedError(f"The stream broke off: {reason(error)}", hint=_AFTER, **self._facts())


class TurnStream(_Reading):
    """One turn as it happens: iterate over the service's events, then read `.turn`.

    The request goes out at the first event asked for (or on `with`). Leaving the loop or the `with` block early frees
    the connection; whether the service then stops working or billing is unverified.

    Raises:
        StreamInterruptedError: The stream ended before `conversation.response.done`; `.turn` holds what arrived.
        TurnFailedError: The service sent `conversation.response.error`.
        ToolBudgetExceededError: A limit of the policy was passed; `.turn` holds what arrived.
        TimeoutExceededError: No bytes came for `stream_idle_timeout` (else `timeout`) seconds.
    """

    def __init__(
        self,
        transport: Transport,
        call: Call,
        watch: Watch | None = None,
        before: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(call, watch)
        self._transport = transport
        self._before = before
        self._response: Any = None
        self._iterator = self._run()

    def __enter__(self) -> Self:
        self._open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[JsonDict]:
        return self._iterator

    def __next__(self) -> JsonDict:
        return next(self._iterator)

    def _open(self) -> None:
        if self._response is None:
            if self._before is not None:
                self._before()
            self._response = self._transport.open(self._call, stream=True)
            self.headers = headers_of(self._response)

    def _run(self) -> Iterator[JsonDict]:
        self._open()
        try:
            arriving = self._response.iter_bytes()
            for chunk in arriving if self._guard is None else self._guard.watch(arriving):
                for event in self._events(chunk):
                    self._apply(event)
                    yield event
                if self._fold.done:
                    return
            for event in self._events(None):
                self._apply(event)
                yield event
            self._check_end()
        except ToolBudgetExceededError as error:
            raise self._stopped(error) from None
        except Exception as error:
            if not sdk_layer.is_transport_error(error):
                raise
            raise self._broken(error) from error
        finally:
            self._response.close()

    def read(self) -> Turn:
        """Read to the end and return the turn."""
        for _ in self:
            pass
        return self.turn

    def close(self) -> None:
        """Free the connection."""
        if self._response is not None:
            self._response.close()


class AsyncTurnStream(_Reading):
    """As `TurnStream`, without blocking the event loop; made by the `astart_stream` family, which needs no `await`."""

    def __init__(
        self,
        transport: Transport,
        call: Call,
        watch: Watch | None = None,
        before: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        super().__init__(call, watch)
        self._transport = transport
        self._before = before
        self._response: Any = None
        self._iterator = self._run()

    async def __aenter__(self) -> Self:
        await self._open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def __aiter__(self) -> AsyncIterator[JsonDict]:
        return self._iterator

    async def __anext__(self) -> JsonDict:
        return await self._iterator.__anext__()

    async def _open(self) -> None:
        if self._response is None:
            if self._before is not None:
                await self._before()
            self._response = await self._transport.aopen(self._call, stream=True)
            self.headers = headers_of(self._response)

    async def _run(self) -> AsyncIterator[JsonDict]:
        await self._open()
        try:
            arriving = self._response.aiter_bytes()
            async for chunk in arriving if self._guard is None else self._guard.awatch(arriving):
                for event in self._events(chunk):
                    self._apply(event)
                    yield event
                if self._fold.done:
                    return
            for event in self._events(None):
                self._apply(event)
                yield event
            self._check_end()
        except ToolBudgetExceededError as error:
            raise self._stopped(error) from None
        except Exception as error:
            if not sdk_layer.is_transport_error(error):
                raise
            raise self._broken(error) from error
        finally:
            await self._response.aclose()

    async def aread(self) -> Turn:
        """Read to the end and return the turn."""
        async for _ in self:
            pass
        return self.turn

    async def aclose(self) -> None:
        """Free the connection."""
        if self._response is not None:
            await self._response.aclose()
