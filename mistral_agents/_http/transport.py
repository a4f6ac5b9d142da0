"""JSON out, bytes in: the one road to the service, with retries by what is safe and errors of one tree.

`start`, `append` and `restart` are not idempotent: after a reply of 5xx, a lost connection or a timeout nobody knows
whether the turn was applied, so it is not sent again. What surely did not arrive (no connection, 429) is.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from mistral_agents._http import sdk as sdk_layer
from mistral_agents._http.clients import Clients
from mistral_agents.errors import (
    ConfigurationError,
    ConnectionFailedError,
    MistralAgentsError,
    RateLimitedError,
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


def path_of(template: str, **parts: Any) -> str:
    """A path with its parts percent-encoded; the SDK itself does not encode them.

    Raises:
        ConfigurationError: A part is empty or no text.
    """
    for name, value in parts.items():
        if not isinstance(value, str) or not value.strip():
            raise ConfigurationError(f"{name} must be a non-empty text, not {value!r}.")
    return template.format(**{name: quote(value, safe="") for name, value in parts.items()})


@dataclass(slots=True)
class Call:
    """One request.

    Attributes:
        what: What it does, for error messages.
        method: The HTTP method.
        path: The path, from `path_of`.
        operation: The SDK's name of the operation, for its hooks.
        body: JSON to send; None sends no body.
        params: Query parameters; a value of None is left out.
        files: Multipart parts, as the HTTP library takes them.
        once: Whether a second application would do harm, so that only what surely did not arrive is sent again.
        conversation_id: The conversation concerned, for errors.
        timeout: Seconds; None takes the client's setting.
        headers: Further headers.
    """

    what: str
    method: str
    path: str
    operation: sdk_layer.Operation
    body: Mapping[str, Any] | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    files: Any = None
    once: bool = False
    conversation_id: str | None = None
    timeout: float | None = None
    headers: Mapping[str, str] | None = None


@dataclass(slots=True)
class Reply:
    """A reply read to its end.

    Attributes:
        status: HTTP status.
        headers: Lower-cased names.
        content: The bytes.
        response: The HTTP library's object.
    """

    status: int
    headers: dict[str, str]
    content: bytes
    response: Any = None

    def json(self) -> Any:
        """The parsed JSON.

        Raises:
            ResponseFormatError: It is no JSON; the error's `body` keeps the text.
        """
        try:
            return json.loads(self.content)
        except ValueError as error:
            text = self.content.decode("utf-8", "replace")
            raise ResponseFormatError(
                f"The service answered {self.status} with something that is no JSON.",
                status_code=self.status,
                request_id=self.headers.get("mistral-correlation-id"),
                body=text,
                response=self.response,
            ) from error


def headers_of(response: Any) -> dict[str, str]:
    """A response's headers with lower-cased names."""
    return {key.lower(): value for key, value in response.headers.items()}


def reply_of(response: Any) -> Reply:
    """A response that was read to its end."""
    return Reply(response.status_code, headers_of(response), response.content, response)


def _body_or_text(content: bytes) -> Any:
    text = content.decode("utf-8", "replace")
    try:
        return json.loads(text)
    except ValueError:
        return text


def _maybe(call: Call) -> str:
    turn = call.path.startswith("/v1/conversations")
    return _MAYBE.format("read the conversation's history" if turn else "look whether it is there")


def status_error(call: Call, reply: Reply) -> MistralAgentsError:
    """The error for a reply with a status of 400 or more."""
    error = error_for_status(
        reply.status,
        _body_or_text(reply.content),
        what=call.what,
        headers=reply.headers,
        response=reply.response,
        conversation_id=call.conversation_id,
    )
    if call.once and isinstance(error, ServerFailureError):
        error.hint = _maybe(call)
    return error


def transport_error(call: Call, error: Exception, base_url: str) -> MistralAgentsError:
    """The error for a request that got no reply."""
    facts: dict[str, Any] = {"conversation_id": call.conversation_id}
    if sdk_layer.never_arrived(error):
        hint = "Is the address right, and is a server listening there?"
        return ConnectionFailedError(f"{call.what} failed: no connection to {base_url}: {error}", hint=hint, **facts)
    maybe = _maybe(call) if call.once else None
    if sdk_layer.timed_out(error):
        return TimeoutExceededError(f"{call.what}: no answer from {base_url} in time.", hint=maybe, **facts)
    kind = UnknownOutcomeError if call.once else ConnectionFailedError
    return kind(f"{call.what}: the connection to {base_url} broke off: {reason(error)}", hint=maybe, **facts)


def reason(error: Exception) -> str:
    """What an exception says, or its kind where it says nothing."""
    return str(error) or type(error).__name__


class Retries:
    """Counts the tries of one call and says how long to wait before the next, or that there is none."""

    def __init__(self, call: Call, max_retries: int) -> None:
        self._call = call
        self._left = max_retries
        self._wait = _FIRST_WAIT

    def pause(self, error: MistralAgentsError) -> float:
        """Seconds to wait before trying again.

        Raises:
            MistralAgentsError: The error itself, where the call must not or can not be sent again.
        """
        if self._left <= 0 or not self._may_repeat(error):
            raise error
        told = getattr(error, "retry_after", None)
        if told is not None and told > MAX_WAIT:
            raise error
        self._left -= 1
        wait, self._wait = self._wait, min(self._wait * 2, MAX_WAIT)
        return float(told) if told is not None else wait * random.uniform(0.5, 1.0)  # noqa: S311

    def _may_repeat(self, error: MistralAgentsError) -> bool:
        if self._call.once:
            return isinstance(error, (RateLimitedError, ConnectionFailedError))
        return isinstance(error, (RateLimitedError, ConnectionFailedError, ServerFailureError, TimeoutExceededError))


def json_bytes(body: Mapping[str, Any]) -> bytes:
    """A request body.

    Raises:
        ConfigurationError: It holds something that JSON cannot say.
    """
    try:
        return json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"The request cannot be written as JSON: {error}") from error


class Transport:
    """Sends calls through the SDK's clients."""

    def __init__(self, clients: Clients) -> None:
        self.clients = clients

    def request(self, client: Any, call: Call, key: str | None, *, stream: bool = False) -> Any:
        """The HTTP request of a call, built by an HTTP client."""
        headers = self.clients.request_headers(key)
        if call.headers is not None:
            headers.update(call.headers)
        content = None
        if call.body is not None:
            body = {**call.body, "stream": True} if stream else call.body
            content = json_bytes(body)
            headers["content-type"] = "application/json"
        if stream:
            headers["accept"] = "text/event-stream"
        return client.build_request(
            call.method,
            self.clients.base_url + call.path,
            params={name: value for name, value in call.params.items() if value is not None} or None,
            content=content,
            files=call.files,
            headers=headers,
            timeout=self._timeout(call, stream),
        )

    def _timeout(self, call: Call, stream: bool) -> Any:
        seconds = call.timeout if call.timeout is not None else self.clients.timeout
        idle = self.clients.stream_idle_timeout
        return sdk_layer.http().Timeout(seconds, read=idle if stream and idle is not None else seconds)

    def open(self, call: Call, *, stream: bool) -> Any:
        """Send a call, again where that is safe; returns the HTTP response, of any status below 400.

        Raises:
            MistralAgentsError: See `mistral_agents.errors`.
        """
        sdk, retries = self.clients.sync_sdk(), Retries(call, self.clients.max_retries)
        while True:
            request = self.request(sdk.sdk_configuration.client, call, self.clients.key(), stream=stream)
            try:
                response = sdk_layer.send(sdk, request, call.operation, stream=stream)
                if response.status_code < 400:
                    return response
                if stream:
                    response.read()
                    response.close()
                time.sleep(retries.pause(status_error(call, reply_of(response))))
            except Exception as error:
                if not sdk_layer.is_transport_error(error):
                    raise
                time.sleep(_pause_or_raise(retries, transport_error(call, error, self.clients.base_url), error))

    async def aopen(self, call: Call, *, stream: bool) -> Any:
        """As `open`, on the running event loop's client."""
        sdk, retries = self.clients.loop_sdk(), Retries(call, self.clients.max_retries)
        while True:
            request = self.request(sdk.sdk_configuration.async_client, call, await self.clients.akey(), stream=stream)
            try:
                response = await sdk_layer.asend(sdk, request, call.operation, stream=stream)
                if response.status_code < 400:
                    return response
                if stream:
                    await response.aread()
                    await response.aclose()
                await asyncio.sleep(retries.pause(status_error(call, reply_of(response))))
            except Exception as error:
                if not sdk_layer.is_transport_error(error):
                    raise
                failure = transport_error(call, error, self.clients.base_url)
                await asyncio.sleep(_pause_or_raise(retries, failure, error))

    def send(self, call: Call) -> Reply:
        """Send a call and read its reply."""
        return reply_of(self.open(call, stream=False))

    async def asend(self, call: Call) -> Reply:
        """As `send`, without blocking the event loop."""
        return reply_of(await self.aopen(call, stream=False))


def _pause_or_raise(retries: Retries, failure: MistralAgentsError, cause: Exception) -> float:
    try:
        return retries.pause(failure)
    except MistralAgentsError as error:
        raise error from cause
