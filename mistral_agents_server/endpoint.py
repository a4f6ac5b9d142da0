"""An OpenAI-compatible chat endpoint as the brain (`--model-url`)."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from urllib.parse import SplitResult, urlsplit

from mistral_agents_server.dialect import WITHOUT_STREAM, Dialect, Dialects, Negotiation
from mistral_agents_server.errors import ApiError, rate_limited, server_failure
from mistral_agents_server.strict_json import mend_text
from mistral_agents_server.thinking import CallPart, ChatRequest, Part, Text, Thought, Tokens

Wire = dict[str, Any]

_SAME_NAME = (
    "stop",
    "presence_penalty",
    "frequency_penalty",
    "temperature",
    "top_p",
    "max_tokens",
    "response_format",
    "reasoning_effort",
)

_NEGOTIABLE = frozenset({400, 415, 422, 500, 501})
"""Refusals after which another way is tried. A wrong key or model, a full queue or a gateway's trouble is none."""


def chat_body(request: ChatRequest) -> Wire:
    """The body for `/chat/completions`. Only what was asked for is sent."""
    body: Wire = {
        "model": request.model,
        "messages": request.messages,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    for name in _SAME_NAME:
        if request.args.get(name) is not None:
            body[name] = request.args[name]
    if request.args.get("random_seed") is not None:
        body["seed"] = request.args["random_seed"]
    if request.tools:
        body |= {"tools": request.tools, "tool_choice": request.tool_choice}
    return body


def _split_url(url: str) -> SplitResult:
    """The parts of a model's URL.

    Raises:
        ValueError: it is none, or has what would not be sent; what may be a password is not shown.
    """
    shown = repr(url.rpartition("@")[2].partition("?")[0])
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise ValueError(f"the model URL {shown} can't be read") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"a model URL begins with http:// or https://, not {shown}")
    if "@" in parts.netloc:
        raise ValueError(f"a user name or password in the model URL {shown} is not sent: give --model-key-file")
    if parts.query or parts.fragment:
        raise ValueError(f"a model URL ends with its path, without a query or fragment: {shown}")
    return parts


class Endpoint:
    """Asks a chat endpoint and passes its answer on as it comes.

    Args:
        url: base URL, with or without `/chat/completions`.
        key: sent as a bearer token; None sends none.
        timeout: seconds without a byte before the turn fails.
    """

    cites = False

    def __init__(self, url: str, key: str | None = None, timeout: float = 300.0) -> None:
        parts = _split_url(url)
        self._secure = parts.scheme == "https"
        self._host, self._port = parts.hostname or "", parts.port
        path = parts.path.rstrip("/")
        self._path = path if path.endswith("/chat/completions") else f"{path}/chat/completions"
        self._headers = {"Content-Type": "application/json"}
        if key is not None:
            self._headers["Authorization"] = f"Bearer {key}"
        self._timeout = timeout
        self._dialects = Dialects(f"{parts.scheme}://{parts.netloc}{path}")

    def label(self, model: str) -> str:
        """The model's own name: it does the thinking."""
        return model

    def think(self, request: ChatRequest) -> Iterator[Part]:
        """Ask, and give the parts of the answer as they arrive.

        Raises:
            ApiError: 503 when the endpoint can't be reached or stops in the middle, 429 and 500 as it answers.
        """
        dialect = self._dialects.of(request.model)
        negotiation = Negotiation(chat_body(request), dialect.ways)
        first: _RefusedError | None = None
        while True:
            try:
                yield from self._ask(negotiation.body, dialect)
            except _RefusedError as refused:
                first = first if first is not None else refused
                if not negotiation.adapt(refused.status, refused.text):
                    raise first.error from refused
            else:
                self._dialects.settle(request.model, negotiation)
                return

    def _ask(self, body: Wire, dialect: Dialect) -> Iterator[Part]:
        """Ask in one way.

        Raises:
            _RefusedError: the answer was a refusal, or a broken stream of which nothing has been passed on.
            ApiError: as `think`.
        """
        with closing(self._connect()) as connection:
            try:
                wanted = "text/event-stream" if body.get("stream") else "application/json"
                connection.request("POST", self._path, json.dumps(body), {**self._headers, "Accept": wanted})
                reply = connection.getresponse()
            except (OSError, http.client.HTTPException) as error:
                raise server_failure(f"The model endpoint failed: {error}", 503) from error
            if reply.status != 200:
                raise _refusal(reply)
            unproven = WITHOUT_STREAM.fits(body) and not dialect.streams_calls
            yield from self._proven(reply, body["model"], dialect) if unproven else _mended(_read(reply))

    def _proven(self, reply: http.client.HTTPResponse, model: str, dialect: Dialect) -> Iterator[Part]:
        """A stream with tools of an endpoint that has not shown yet that it can: calls are held back until whole.

        Raises:
            _RefusedError: it broke before anything was passed on; else it is told as it is, and not streamed next time.
        """
        held: list[CallPart] = []
        passed = False
        try:
            for part in _mended(_read(reply)):
                if isinstance(part, CallPart):
                    held.append(part)
                else:
                    passed = passed or not isinstance(part, Tokens)
                    yield part
        except ApiError as error:
            if not passed:
                raise _RefusedError(error.status, f"stream: {error.body}", error) from error
            self._dialects.learn(model, [WITHOUT_STREAM])
            raise
        dialect.streams_calls = dialect.streams_calls or bool(held)
        yield from held

    def _connect(self) -> http.client.HTTPConnection:
        kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        return kind(self._host, self._port, timeout=self._timeout)


class _RefusedError(Exception):
    """An answer that another way of asking may avoid.

    Args:
        status: its HTTP status.
        text: its words.
        error: what it means for the turn, if there is no other way.
    """

    def __init__(self, status: int, text: str, error: ApiError) -> None:
        super().__init__(text)
        self.status, self.text, self.error = status, text, error


def _refusal(reply: http.client.HTTPResponse) -> ApiError | _RefusedError:
    text = reply.read(4000).decode("utf-8", "replace")
    if reply.status == 429:
        return rate_limited({})
    error = server_failure(f"The model endpoint answered {reply.status}: {mend_text(text[:2000])}")
    return _RefusedError(reply.status, text, error) if reply.status in _NEGOTIABLE else error


def _mended(parts: Iterator[Part]) -> Iterator[Part]:
    """The parts with well-formed text: half of a surrogate pair waits for its other half in the next part."""
    waiting: dict[type[Part], str] = {}
    for part in parts:
        if isinstance(part, (Text, Thought)):
            text = waiting.pop(type(part), "") + part.text
            if text and 0xD800 <= ord(text[-1]) < 0xDC00:
                waiting[type(part)], text = text[-1], text[:-1]
            if text:
                yield type(part)(mend_text(text))
        else:
            yield part
    for kind, half in waiting.items():
        yield Thought(mend_text(half)) if kind is Thought else Text(mend_text(half))


def _read(reply: http.client.HTTPResponse) -> Iterator[Part]:
    """The parts of an answer.

    Raises:
        ApiError: it stops in the middle, or is none.
    """
    try:
        yield from _parts(reply)
    except (OSError, http.client.HTTPException) as error:
        raise server_failure(f"The model endpoint failed: {error}", 503) from error


def _parts(reply: http.client.HTTPResponse) -> Iterator[Part]:
    if "text/event-stream" not in reply.headers.get("content-type", ""):
        answer = _json(reply.read().decode("utf-8", "replace"))
        for choice in answer.get("choices") or []:
            yield from _message_parts(choice.get("message") or {})
        yield from _usage(answer)
        return
    ended = False
    for line in reply:
        data = line.decode("utf-8", "replace").strip()
        if not data.startswith("data:"):
            continue
        data = data.removeprefix("data:").strip()
        if data == "[DONE]":
            return
        event = _json(data)
        for choice in event.get("choices") or []:
            yield from _message_parts(choice.get("delta") or {})
            ended = ended or choice.get("finish_reason") is not None
        yield from _usage(event)
    if not ended:
        raise server_failure("The model endpoint stopped in the middle of its answer.", 503)


def _json(text: str) -> Wire:
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise server_failure(f"The model endpoint sent no JSON: {text[:200]}") from error
    if not isinstance(parsed, dict):
        raise server_failure(f"The model endpoint sent no JSON object: {text[:200]}")
    if parsed.get("error"):
        raise server_failure(f"The model endpoint failed: {mend_text(str(parsed['error']))}")
    return parsed


def _message_parts(message: Wire) -> Iterator[Part]:
    """The parts of a delta, or of a whole message, which differ only in that calls of the latter are complete."""
    reasoning = message.get("reasoning_content") or message.get("reasoning")
    if isinstance(reasoning, str) and reasoning:
        yield Thought(reasoning)
    content = message.get("content")
    if isinstance(content, list):
        content = "".join(str(chunk.get("text", "")) for chunk in content if isinstance(chunk, dict))
    if content:
        yield Text(content)
    for place, call in enumerate(message.get("tool_calls") or []):
        yield _call_part(place, call)


def _call_part(place: int, call: Wire) -> CallPart:
    index, function = call.get("index"), call.get("function") or {}
    arguments, name = function.get("arguments") or "", function.get("name")
    if not isinstance(arguments, str):
        arguments = json.dumps(arguments, ensure_ascii=False)  # some engines send them as they are meant
    return CallPart(place if index is None else index, mend_text(arguments), name, call.get("id") or None)


def _usage(event: Wire) -> Iterator[Part]:
    """The engine's own counts: `usage`, or what llama.cpp calls `timings` where it sends no usage."""
    usage = event.get("usage")
    if usage:
        yield Tokens(usage.get("prompt_tokens") or 0, usage.get("completion_tokens") or 0)
    elif timings := event.get("timings"):
        yield Tokens(timings.get("prompt_n") or 0, timings.get("predicted_n") or 0)
