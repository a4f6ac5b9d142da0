"""JSON out, bytes in: the one road to the service, with retries by what is safe and errors of one tree.

`start`, `append` and `restart` are not idempotent: after a reply of 5xx, a lost connection or a timeout nobody knows
whether the turn was applied, so it is not sent again. What surely did not arrive (no connection, 429) is. All tries
of a call, and the pauses between them, happen within one deadline. No redirect is followed.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from mistral_agents._border.text import mend_parts, mend_word
from mistral_agents._http import sdk as sdk_layer
from mistral_agents._http.calls import Call, json_bytes
from mistral_agents._http.cancelling import run_to_a_safe_end
from mistral_agents._http.clients import Clients
from mistral_agents._http.closing import aclose_surely
from mistral_agents._http.concealed import Concealed, hide_echo, list_tokens, mask_credentials
from mistral_agents._http.network import Deadline
from mistral_agents._http.records import RequestRecord
from mistral_agents._http.replies import AFTER, Reply, body_or_text, headers_of, holds_answer, reply_of, unreadable
from mistral_agents.errors import (
    ConfigurationError,
    ConnectionFailedError,
    MistralAgentsError,
    RateLimitedError,
    RedirectRefusedError,
    ResponseFormatError,
    ServerFailureError,
    TimeoutExceededError,
    UnknownOutcomeError,
    error_for_status,
)

MAX_WAIT = 60.0
"""The longest pause between two tries, in seconds; a longer Retry-After is given to the caller instead."""
_FIRST_WAIT = 0.5
_MAYBE = "It may have been applied and was not sent again; {} before sending it once more."
_log = logging.getLogger("mistral_agents")


def _advise_once(call: Call) -> str:
    turn = call.path.startswith("/v1/conversations")
    if call.advice is not None:
        return call.advice
    return _MAYBE.format("read the conversation's history" if turn else "look whether it is there")


def status_error(call: Call, reply: Reply) -> MistralAgentsError:
    """The error for a reply with a status of 300 or more."""
    if reply.status < 400:
        return _make_redirect_error(call, reply)
    error = error_for_status(
        reply.status,
        body_or_text(reply.content),
        what=call.what,
        headers=reply.headers,
        response=reply.response,
        conversation_id=call.conversation_id,
    )
    if call.once and isinstance(error, (ServerFailureError, TimeoutExceededError)):
        error.hint = _advise_once(call)
    return error


def _make_redirect_error(call: Call, reply: Reply) -> RedirectRefusedError:
    place = show_address(reply.headers.get("location"))
    where = f"to {place}" if place is not None else "that names no address"
    return RedirectRefusedError(
        f"{call.what}: the address answered with a redirect ({reply.status}) {where}, which is not followed.",
        hint="Set base_url= to the service's own address; ask who runs the proxy in between.",
        location=place,
        **{**reply.facts(), "conversation_id": call.conversation_id},
    )


def show_address(url: str | None) -> str | None:
    """An address without its credentials, query and fragment, which may be secrets."""
    if not url:
        return None
    try:
        parts = urlsplit(url)
        return mask_credentials(parts._replace(query="", fragment="").geturl())
    except ValueError:
        return "an address that can't be read"


def transport_error(call: Call, error: Exception, base_url: str) -> MistralAgentsError:
    """The error for a request that got no reply, or one that broke off."""
    facts: dict[str, Any] = {"conversation_id": call.conversation_id}
    if sdk_layer.is_status_error(error):
        return status_error(call, _reply_in(error, call))
    if sdk_layer.is_unreadable(error):
        return unreadable(call.what, error, call.conversation_id, hint=_advise_once(call) if call.once else None)
    if sdk_layer.pool_is_full(error):
        message = f"{call.what} failed: the pool is full: all connections of the HTTP client are taken."
        hint = "Read streams to their end or close them; allow more connections with http_client= (Limits)."
        return ConnectionFailedError(message, hint=hint, **facts)
    if sdk_layer.never_arrived(error):
        hint = sdk_layer.advise_connecting(error)
        text = mask_credentials(reason(error))
        return ConnectionFailedError(f"{call.what} failed: no connection to {base_url}: {text}", hint=hint, **facts)
    maybe = _advise_once(call) if call.once else None
    if sdk_layer.timed_out(error):
        return TimeoutExceededError(f"{call.what}: no answer from {base_url} in time.", hint=maybe, **facts)
    kind = UnknownOutcomeError if call.once else ConnectionFailedError
    text = mask_credentials(reason(error))
    return kind(f"{call.what}: the connection to {base_url} broke off: {text}", hint=maybe, **facts)


def _is_answer(reply: Reply) -> bool:
    try:
        reply.answer()
    except MistralAgentsError:
        return False
    return True


def _is_enough(call: Call, pieces: list[bytes], error: Exception) -> bool:
    """Whether a reply that broke off is a whole answer: a proxy gave a wrong length, or left out the last chunk."""
    return call.turn and sdk_layer.is_transport_error(error) and holds_answer(b"".join(pieces))


def _hide_sent(response: Any, request: Any, call: Call) -> None:
    """Take out of the report of a failure what credentials it repeats; an answer stays as it came."""
    sdk_layer.keep_content(response, hide_echo(response.content, call.body, list_tokens(request.headers)))


def _check_answer(reply: Reply, call: Call) -> None:
    try:
        reply.answer()
    except MistralAgentsError as error:
        if error.hint == AFTER and call.advice is not None:
            error.hint = call.advice
        raise


def _reply_in(error: Any, call: Call) -> Reply:
    response = error.response
    content = response.content if response.is_stream_consumed or response.is_closed else b""
    return Reply(response.status_code, headers_of(response), content, response, call.what, call.conversation_id)


def reason(error: Exception) -> str:
    """What an exception says, or its kind where it says nothing."""
    return str(error) or type(error).__name__


class Retries:
    """Counts the tries of one call and says how long to wait before the next, or that there is none."""

    def __init__(self, call: Call, max_retries: int, deadline: Deadline) -> None:
        self._call = call
        self._left = max_retries
        self._wait = _FIRST_WAIT
        self._deadline = deadline

    def pause(self, error: MistralAgentsError) -> float:
        """Seconds to wait before trying again; a log record says why.

        Raises:
            MistralAgentsError: The error itself, where the call must not or can not be sent again.
        """
        if self._left <= 0 or not self._may_repeat(error):
            raise error
        told = getattr(error, "retry_after", None)
        wait = float(told) if told is not None else self._wait * random.uniform(0.5, 1.0)  # noqa: S311
        if wait > MAX_WAIT or wait >= self._deadline.left:
            raise error
        self._left -= 1
        self._wait = min(self._wait * 2, MAX_WAIT)
        _log.info(
            "%s %s: sent again in %.2f s after %s (status %s); %d more tries.",
            self._call.method,
            self._call.path,
            wait,
            type(error).__name__,
            error.status_code,
            self._left,
        )
        return wait

    def _may_repeat(self, error: MistralAgentsError) -> bool:
        if self._call.once:
            return isinstance(error, (RateLimitedError, ConnectionFailedError))
        return isinstance(error, (RateLimitedError, ConnectionFailedError, ServerFailureError, TimeoutExceededError))


@dataclass(slots=True)
class Opened:
    """A response of a good status, and the hooks that go with it; without `reply` its body is still to be read."""

    response: Any
    hooks: sdk_layer.HookChain
    request: Any
    reply: Reply | None = None

    @property
    def tokens(self) -> list[str]:
        """What was sent in headers that may be a credential."""
        return list_tokens(self.request.headers)


def _note_outcome(record: RequestRecord, call: Call, opened: Opened | None, error: MistralAgentsError | None) -> None:
    if error is not None:
        record.note_failure(error)
    elif opened is not None:
        record.note_reply(opened.response, opened.reply.answer() if opened.reply is not None and call.turn else None)


class Transport:
    """Sends calls through the SDK's clients."""

    def __init__(self, clients: Clients) -> None:
        self.clients = clients

    # one request -----------------------------------------------------------------------------------------------

    def build_request(self, client: Any, call: Call, *, stream: bool = False) -> Any:
        """The HTTP request of a call, built by an HTTP client; the key comes later (see `Clients.authorize`).

        Raises:
            ConfigurationError: It can't be written.
        """
        headers = {"accept": "application/json", "user-agent": sdk_layer.user_agent()}
        content = None
        if call.body is not None:
            content = Concealed(json_bytes({**call.body, "stream": True} if stream else call.body))
            headers["content-type"] = "application/json"
        if stream:
            headers["accept"] = "text/event-stream"
        try:
            request = client.build_request(
                call.method,
                sdk_layer.parse_url(client, self.clients.base_url + call.path),
                params={name: mend_word(value) for name, value in call.params.items() if value is not None} or None,
                content=content.reveal() if content is not None else None,
                files=mend_parts(call.files) if call.files is not None else None,
                headers=headers,
                extensions=sdk_layer.limit_waits(self.seconds_of(call)),
            )
        except Exception as error:
            if not isinstance(error, (ValueError, TypeError)) and not sdk_layer.is_transport_error(error):
                raise
            raise ConfigurationError(f"{call.what}: the request can't be written: {error}") from error
        for further in (self.clients.headers, call.headers):
            if further:
                request.headers.update(further)
        return request

    def seconds_of(self, call: Call) -> float:
        """The timeout of a call."""
        return call.timeout if call.timeout is not None else self.clients.timeout

    def idle_seconds_of(self, call: Call) -> float:
        """How long the stream of a call may be silent."""
        idle = self.clients.stream_idle_timeout
        return idle if idle is not None else self.seconds_of(call)

    def _find_deadline(self, call: Call) -> Deadline:
        return Deadline(None if call.transfer or call.files is not None else self.seconds_of(call))

    @staticmethod
    def _shorten_waits(request: Any, deadline: Deadline) -> None:
        waits = request.extensions.get("timeout")
        if deadline.seconds is not None and isinstance(waits, dict):
            waits.update(dict.fromkeys(waits, max(deadline.left, 0.001)))

    def type_failure(
        self, call: Call, error: Exception, client: object, deadline: Deadline, *, place: str | None = None
    ) -> MistralAgentsError:
        """The typed error for what the HTTP library raised at the service or `place`; others are raised as they are."""
        if isinstance(error, MistralAgentsError):
            return error
        if isinstance(error, RuntimeError) and sdk_layer.is_closed(client):
            return ConfigurationError(f"{call.what}: the HTTP client given to MistralAgents is closed.")
        if isinstance(error, RuntimeError) and "loop" in str(error):
            return ConfigurationError(
                f"{call.what}: async_http_client was used on another event loop before: {error}",
                hint="A client of yours serves one event loop; without async_http_client each loop gets its own.",
            )
        if not sdk_layer.is_transport_error(error):
            raise error
        if deadline.expired and not sdk_layer.never_arrived(error) and not sdk_layer.is_status_error(error):
            return self.make_expired_error(call)
        return transport_error(call, error, place if place is not None else self.clients.base_url)

    def make_expired_error(self, call: Call) -> TimeoutExceededError:
        """The error for a reply that was not whole within `timeout`."""
        message = (
            f"{call.what}: no whole answer from {self.clients.base_url} within {self.seconds_of(call):g} s (timeout)."
        )
        hint = _advise_once(call) if call.once else None
        return TimeoutExceededError(message, conversation_id=call.conversation_id, hint=hint)

    # opening: with retries -------------------------------------------------------------------------------------

    def open(self, call: Call, *, stream: bool) -> Opened:
        """Send a call, again where that is safe; the response has a status below 300.

        Without `stream` its body was read and, where the call wants a turn, is one.

        Raises:
            MistralAgentsError: See `mistral_agents.errors`.
        """
        sdk, deadline = self.clients.sync_sdk(), self._find_deadline(call)
        retries = Retries(call, self.clients.max_retries, deadline)
        while True:
            record = RequestRecord(call.method, call.path)
            with deadline.enforced():
                opened, error = self._try(sdk, call, deadline, stream)
            _note_outcome(record, call, opened, error)
            if error is None:
                return opened  # type: ignore[return-value]
            cause = error.__cause__
            try:
                wait = retries.pause(error)
            except MistralAgentsError:
                raise error from cause
            time.sleep(wait)

    def _try(
        self, sdk: Any, call: Call, deadline: Deadline, stream: bool
    ) -> tuple[Opened | None, MistralAgentsError | None]:
        """One attempt: what came of it, or the error that `Retries` decides about."""
        client, hooks = sdk.sdk_configuration.client, sdk_layer.HookChain(sdk, call.operation)
        request = self.build_request(client, call, stream=stream)
        self.clients.authorize(request, self.clients.key(), call.headers)
        request = hooks.run_before(request)
        self._shorten_waits(request, deadline)
        try:
            return self._run_exchange(client, hooks, request, call, deadline, stream), None
        except Exception as raised:  # noqa: BLE001 - typed, or raised again
            other = hooks.run_after_error(None, raised) if sdk_layer.is_transport_error(raised) else None
            return None, self._translate(hooks, other if other is not None else raised, call, client, deadline)
        except BaseException:
            hooks.leave_span(call.conversation_id)
            raise

    def _translate(
        self, hooks: sdk_layer.HookChain, raised: Exception, call: Call, client: object, deadline: Deadline
    ) -> MistralAgentsError:
        """The typed error for what an attempt raised, told to the span; what is not for us to type is raised again."""
        try:
            error = self.type_failure(call, raised, client, deadline)
        except Exception as other:
            hooks.fail_span(other)
            raise
        if error is not raised:
            error.__cause__ = raised
        hooks.fail_span(error, error.response)
        return error

    def _run_exchange(
        self, client: Any, hooks: sdk_layer.HookChain, request: object, call: Call, deadline: Deadline, stream: bool
    ) -> Opened:
        response = client.send(request, stream=True, follow_redirects=False)
        try:
            if response.status_code >= 300 or not stream:
                self._shorten_waits(request, deadline)  # again, for a client whose network is not ours
                sdk_layer.keep_content(response, self.read_body(response, call, deadline))
            if response.status_code >= 300:
                _hide_sent(response, request, call)
                self._refuse(hooks.run_after_error(response, None), call, response)
            response = hooks.run_after_success(response)
            if stream:
                sdk_layer.set_read_timeout(request, self.idle_seconds_of(call))
                return Opened(response, hooks, request)
            return Opened(response, hooks, request, self._check(call, response, hooks, request))
        except BaseException:
            response.close()
            raise

    def _refuse(self, other: Exception | None, call: Call, response: object) -> None:
        """Raise the error for a status of 300 or more, or what a hook of the user wants raised."""
        if other is not None:
            raise other
        raise status_error(call, reply_of(response, call.what, call.conversation_id))

    def _check(self, call: Call, response: object, hooks: sdk_layer.HookChain, request: object) -> Reply:
        reply = reply_of(response, call.what, call.conversation_id)
        if call.turn and not _is_answer(reply):
            _hide_sent(response, request, call)
            reply = reply_of(response, call.what, call.conversation_id)
            _check_answer(reply, call)
        reply.hide = partial(_hide_sent, response, request, call)
        hooks.end_span(response, reply.answer() if call.turn else None)
        return reply

    def read_body(self, response: Any, call: Call, deadline: Deadline) -> bytes:
        """The unpacked bytes of a response, as far as `max_body_bytes` and the deadline allow."""
        pieces: list[bytes] = []
        size = 0
        try:
            for piece in response.iter_bytes():
                size = self._count(size, piece, response, call, deadline)
                pieces.append(piece)
        except Exception as error:
            if not _is_enough(call, pieces, error):
                raise
        response.close()
        return b"".join(pieces)

    def _count(self, size: int, piece: bytes, response: object, call: Call, deadline: Deadline) -> int:
        size += len(piece)
        if size > self.clients.max_body_bytes:
            raise too_large(call.what, self.clients.max_body_bytes, response, call.conversation_id)
        if deadline.expired:
            raise self.make_expired_error(call)
        return size

    async def aopen(self, call: Call, *, stream: bool) -> Opened:
        """As `open`, on the running event loop's client."""
        sdk, deadline = self.clients.loop_sdk(), self._find_deadline(call)
        retries = Retries(call, self.clients.max_retries, deadline)
        while True:
            record = RequestRecord(call.method, call.path)
            opened, error = await self._atry_in_time(sdk, call, deadline, stream)
            _note_outcome(record, call, opened, error)
            if error is None:
                return opened  # type: ignore[return-value]
            cause = error.__cause__
            try:
                wait = retries.pause(error)
            except MistralAgentsError:
                raise error from cause
            await asyncio.sleep(wait)

    async def _atry_in_time(
        self, sdk: object, call: Call, deadline: Deadline, stream: bool
    ) -> tuple[Opened | None, MistralAgentsError | None]:
        if deadline.seconds is None:
            return await self._atry(sdk, call, deadline, stream)
        from anyio import move_on_after

        # A little longer than the waits of the HTTP library, which know better what was waited for.
        with move_on_after(max(deadline.left, 0.0) + _SLACK):
            return await self._atry(sdk, call, deadline, stream)
        return None, self.make_expired_error(call)

    async def _atry(
        self, sdk: Any, call: Call, deadline: Deadline, stream: bool
    ) -> tuple[Opened | None, MistralAgentsError | None]:
        client, hooks = sdk.sdk_configuration.async_client, sdk_layer.HookChain(sdk, call.operation)
        request = self.build_request(client, call, stream=stream)
        self.clients.authorize(request, await self.clients.akey(), call.headers)
        request = await hooks.arun_before(request)
        self._shorten_waits(request, deadline)
        try:
            exchange = self._arun_exchange(client, hooks, request, call, deadline, stream)
            if sdk_layer.loses_cancelled_requests():
                return await run_to_a_safe_end(request, exchange, self._aclose), None
            return await exchange, None
        except Exception as raised:  # noqa: BLE001 - typed, or raised again
            other = await hooks.arun_after_error(None, raised) if sdk_layer.is_transport_error(raised) else None
            return None, self._translate(hooks, other if other is not None else raised, call, client, deadline)
        except BaseException:
            if deadline.expired:
                hooks.fail_span(self.make_expired_error(call))
            else:
                hooks.leave_span(call.conversation_id)
            raise

    @staticmethod
    async def _aclose(opened: Opened) -> None:
        await opened.response.aclose()

    async def _arun_exchange(
        self, client: Any, hooks: sdk_layer.HookChain, request: object, call: Call, deadline: Deadline, stream: bool
    ) -> Opened:
        response = await client.send(request, stream=True, follow_redirects=False)
        try:
            if response.status_code >= 300 or not stream:
                sdk_layer.keep_content(response, await self.aread_body(response, call, deadline))
            if response.status_code >= 300:
                _hide_sent(response, request, call)
                self._refuse(await hooks.arun_after_error(response, None), call, response)
            response = await hooks.arun_after_success(response)
            if stream:
                sdk_layer.set_read_timeout(request, self.idle_seconds_of(call))
                return Opened(response, hooks, request)
            return Opened(response, hooks, request, self._check(call, response, hooks, request))
        except BaseException:
            await aclose_surely(response)
            raise

    async def aread_body(self, response: Any, call: Call, deadline: Deadline) -> bytes:
        """As `read_body`, without blocking."""
        pieces: list[bytes] = []
        size = 0
        try:
            async for piece in response.aiter_bytes():
                size = self._count(size, piece, response, call, deadline)
                pieces.append(piece)
        except Exception as error:
            if not _is_enough(call, pieces, error):
                raise
        await response.aclose()
        return b"".join(pieces)

    # calls -----------------------------------------------------------------------------------------------------

    def send(self, call: Call) -> Reply:
        """Send a call and read its reply."""
        opened = self.open(call, stream=False)
        return opened.reply if opened.reply is not None else reply_of(opened.response, call.what)

    async def asend(self, call: Call) -> Reply:
        """As `send`, without blocking the event loop."""
        opened = await self.aopen(call, stream=False)
        return opened.reply if opened.reply is not None else reply_of(opened.response, call.what)


_SLACK = 0.05


def too_large(what: str, most: int, response: Any, conversation_id: str | None = None) -> ResponseFormatError:
    """The error for a body beyond the limit."""
    return ResponseFormatError(
        f"{what}: the reply is larger than {most} bytes (max_body_bytes) and was not read to its end.",
        status_code=response.status_code if response is not None else None,
        conversation_id=conversation_id,
        hint="Allow more with MistralAgents(max_body_bytes=...).",
    )
