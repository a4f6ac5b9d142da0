"""A turn as a stream of events, with the same result in the end as a call's."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

from typing_extensions import Self

from mistral_agents._http.calls import Call
from mistral_agents._http.closing import OpenStream, keeper_of
from mistral_agents._http.network import wake_reader
from mistral_agents._http.reading import Reading, Watch
from mistral_agents._http.transport import Transport
from mistral_agents._json import JsonDict
from mistral_agents.errors import MistralAgentsError
from mistral_agents.turn import Turn


class TurnStream(Reading):
    """One turn as it happens: iterate over the service's events, then read `.turn`.

    The request goes out at the first event asked for (or on `with`). Leaving the loop or the `with` block early frees
    the connection, and so does dropping the stream; whether the service then stops working or billing is
    unverified (probe `left-early-quota`).

    Raises:
        StreamInterruptedError: The stream ended before `conversation.response.done`, or an event of it can't be read;
            `.turn` holds what arrived, and `.found` the whole where the history of the conversation holds it.
        TurnFailedError: The service told of a failure.
        ResponseFormatError: The reply is no stream of events, and no conversation response either.
        ToolBudgetExceededError: A limit of the policy was passed; `.turn` holds what arrived.
        TimeoutExceededError: It did not begin within `timeout` seconds, a whole reply was sent instead and was not
            there by then, no bytes came for `stream_idle_timeout` (else
            `timeout`) seconds, or no event for `stream_event_timeout` seconds.
    """

    def __init__(
        self,
        transport: Transport,
        call: Call,
        watch: Watch | None = None,
        before: Callable[[], None] | None = None,
        find: Callable[[MistralAgentsError], Turn] | None = None,
    ) -> None:
        super().__init__(transport, call, watch)
        self._before = before
        self._find = find
        self._chunks: Iterator[bytes] | None = None

    def __enter__(self) -> Self:
        self._begin_reading()
        try:
            self._open()
        except MistralAgentsError as error:
            self._recover(error)
        finally:
            self._at_work.release()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[JsonDict]:
        return self

    def __next__(self) -> JsonDict:
        self._begin_reading()
        try:
            return self._read_next()
        finally:
            self._at_work.release()

    def _read_next(self) -> JsonDict:
        if self._over:
            raise StopIteration
        try:
            self._open()
            if self._over:  # closed by another thread meanwhile
                raise StopIteration
            while not self._pending:
                if self._chunks is None:
                    self._check_end()
                    raise StopIteration
                self._read_chunk(self._chunks)
            event = self._take_pending()
        except StopIteration:
            self._close(None)
            raise
        except Exception as error:
            if self._over:  # closed by another thread: there is nothing more to read
                raise StopIteration from error
            raised = self._type_failure(error)
            self._close(raised)
            if not isinstance(raised, MistralAgentsError):
                raise
            raised.__cause__ = error if raised is not error else error.__cause__
            self._recover(raised)
            return self._read_next()
        except BaseException as error:
            self._close(error)
            raise
        if self._fold.done:
            self._close(None)
        return event

    def _open(self) -> None:
        if self._opened is None and self._whole is None and not self._over:
            if self._before is not None:
                self._before()
            self._asked = time.monotonic()
            opened = self._transport.open(self._call, stream=True)
            self._begin(opened)
            arriving = opened.response.iter_bytes()
            self._chunks = arriving if self._guard is None else self._guard.watch(arriving)

    def _recover(self, error: MistralAgentsError) -> None:
        """Look for a lost turn: it is told where nothing of it was told yet, else the error carries it.

        Raises:
            MistralAgentsError: It is not found, or its reader has a part of it.
        """
        if self._find is None:
            raise error
        if not self._has_begun:
            self._take_found(self._find(error))
            return
        with contextlib.suppress(MistralAgentsError):
            error.found = self._find(error)
        raise error

    def _read_chunk(self, chunks: Iterator[bytes]) -> None:
        chunk = next(chunks, None)
        if chunk is None:
            self._chunks = None
            self._take_end()
        else:
            self._take_chunk(chunk)

    def read(self) -> Turn:
        """Read to the end and return the turn."""
        for _ in self:
            pass
        return self.turn

    def close(self) -> None:
        """Free the connection; what has arrived stays in `.turn`. A reader in another thread comes to its end."""
        if self._at_work.locked():
            self._wake_reader()
        self._close(None)

    def _close(self, error: BaseException | None) -> None:
        self._over = True
        self._note_end(error)
        if self._guard is not None:
            self._wake_reader()
        if self._opened is not None:
            self._opened.response.close()

    def _wake_reader(self) -> None:
        self._over = True
        if self._opened is not None:
            wake_reader(self._opened.response)

    def __del__(self) -> None:
        if not self.__dict__.get("_over", True):
            with contextlib.suppress(Exception):
                self.close()


class AsyncTurnStream(Reading):
    """As `TurnStream`, without blocking the event loop; made by the `astart_stream` family, which needs no `await`."""

    def __init__(
        self,
        transport: Transport,
        call: Call,
        watch: Watch | None = None,
        before: Callable[[], Awaitable[None]] | None = None,
        find: Callable[[MistralAgentsError], Awaitable[Turn]] | None = None,
    ) -> None:
        super().__init__(transport, call, watch)
        self._before = before
        self._find = find
        self._open_stream: OpenStream | None = None
        self._at_end = False

    async def __aenter__(self) -> Self:
        self._begin_reading()
        try:
            await self._open()
        except MistralAgentsError as error:
            await self._recover(error)
        finally:
            self._at_work.release()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def __aiter__(self) -> AsyncIterator[JsonDict]:
        return self

    async def __anext__(self) -> JsonDict:
        self._begin_reading()
        try:
            return await self._read_next()
        finally:
            self._at_work.release()

    async def _read_next(self) -> JsonDict:
        if self._over:
            raise StopAsyncIteration
        try:
            await self._open()
            if self._over:  # closed by another task meanwhile
                raise StopAsyncIteration
            while not self._pending:
                if self._at_end:
                    self._check_end()
                    raise StopAsyncIteration
                await self._read_chunk()
            event = self._take_pending()
        except StopAsyncIteration:
            await self.aclose()
            raise
        except Exception as error:
            if self._over:  # closed by another task: there is nothing more to read
                raise StopAsyncIteration from error
            raised = self._type_failure(error)
            await self._aclose(raised)
            if not isinstance(raised, MistralAgentsError):
                raise
            raised.__cause__ = error if raised is not error else error.__cause__
            await self._recover(raised)
            return await self._read_next()
        except BaseException as error:
            await self._aclose(error)
            raise
        if self._fold.done:
            await self.aclose()
        return event

    async def _open(self) -> None:
        if self._opened is None and self._whole is None and not self._over:
            if self._before is not None:
                await self._before()
            keeper = keeper_of()
            await keeper.enter()
            try:
                self._asked = time.monotonic()
                opened = await self._transport.aopen(self._call, stream=True)
            except BaseException:
                keeper.leave()
                raise
            self._begin(opened)
            arriving = opened.response.aiter_bytes()
            chunks = arriving if self._guard is None else self._guard.awatch(arriving)
            self._open_stream = keeper.keep(opened.response, chunks, arriving)

    async def _recover(self, error: MistralAgentsError) -> None:
        if self._find is None:
            raise error
        if not self._has_begun:
            self._take_found(await self._find(error))
            self._open_stream = None
            return
        with contextlib.suppress(MistralAgentsError):
            error.found = await self._find(error)
        raise error

    async def _read_chunk(self) -> None:
        chunk = await self._open_stream.read() if self._open_stream is not None else None
        if chunk is None:
            self._at_end = True
            self._take_end()
        else:
            self._take_chunk(chunk)

    async def aread(self) -> Turn:
        """Read to the end and return the turn."""
        async for _ in self:
            pass
        return self.turn

    async def aclose(self) -> None:
        """Free the connection; what has arrived stays in `.turn`."""
        await self._aclose(None)

    async def _aclose(self, error: BaseException | None) -> None:
        self._over = True
        self._note_end(error)
        if self._open_stream is not None:
            await self._open_stream.aclose()

    def __del__(self) -> None:
        opened = self.__dict__.get("_open_stream")
        if opened is not None and not self._over:
            with contextlib.suppress(Exception):
                self._note_end(None)
            opened.abandon()
