"""An OpenAI-compatible chat endpoint as the brain (`--model-url`)."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

from mistral_agents_server.errors import ApiError, rate_limited, server_failure
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


class Endpoint:
    """Asks a chat endpoint and passes its answer on as it comes.

    Args:
        url: base URL, with or without `/chat/completions`.
        key: sent as a bearer token; None sends none.
        timeout: seconds without a byte before the turn fails.
    """

    cites = False

    def __init__(self, url: str, key: str | None = None, timeout: float = 300.0) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"a model URL begins with http:// or https://, not {url!r}")
        self._secure = parts.scheme == "https"
        self._host, self._port = parts.hostname, parts.port
        path = parts.path.rstrip("/")
        self._path = path if path.endswith("/chat/completions") else f"{path}/chat/completions"
        self._headers = {"Content-Type": "application/json", "Accept": "text/event-stream"}
        if key is not None:
            self._headers["Authorization"] = f"Bearer {key}"
        self._timeout = timeout

    def label(self, model: str) -> str:
        """The model's own name: it does the thinking."""
        return model

    def think(self, request: ChatRequest) -> Iterator[Part]:
        """Ask, and give the parts of the answer as they arrive.

        Raises:
            ApiError: 503 when the endpoint can't be reached or stops in the middle, 429 and 500 as it answers.
        """
        with closing(self._connect()) as connection:
            try:
                connection.request("POST", self._path, json.dumps(chat_body(request)), self._headers)
                reply = connection.getresponse()
                if reply.status != 200:
                    raise _refusal(reply)
                yield from _parts(reply)
            except (OSError, http.client.HTTPException) as error:
                raise server_failure(f"The model endpoint failed: {error}", 503) from error

    def _connect(self) -> http.client.HTTPConnection:
        kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        return kind(self._host, self._port, timeout=self._timeout)


def _refusal(reply: http.client.HTTPResponse) -> ApiError:
    text = reply.read(2000).decode("utf-8", "replace")
    if reply.status == 429:
        return rate_limited({})
    return server_failure(f"The model endpoint answered {reply.status}: {text}")


def _parts(reply: http.client.HTTPResponse) -> Iterator[Part]:
    if "text/event-stream" not in reply.headers.get("content-type", ""):
        answer = _json(reply.read().decode("utf-8", "replace"))
        for choice in answer.get("choices", []):
            yield from _message_parts(choice.get("message", {}))
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
        for choice in event.get("choices", []):
            yield from _message_parts(choice.get("delta", {}))
            ended = ended or choice.get("finish_reason") is not None
        yield from _usage(event)
    if not ended:
        raise server_failure("The model endpoint stopped in the middle of its answer.", 503)


def _json(text: str) -> Wire:
    try:
        parsed = json.loads(text)
    except ValueError as error:
        raise server_failure(f"The model endpoint sent no JSON: {text[:200]}") from error
    if not isinstance(parsed, dict):
        raise server_failure(f"The model endpoint sent no JSON object: {text[:200]}")
    if parsed.get("error"):
        raise server_failure(f"The model endpoint failed: {parsed['error']}")
    return parsed


def _message_parts(message: Wire) -> Iterator[Part]:
    """The parts of a delta, or of a whole message, which differ only in that calls of the latter are complete."""
    reasoning = message.get("reasoning_content") or message.get("reasoning")
    if reasoning:
        yield Thought(reasoning)
    if message.get("content"):
        yield Text(message["content"])
    for place, call in enumerate(message.get("tool_calls") or []):
        yield _call_part(place, call)


def _call_part(place: int, call: Wire) -> CallPart:
    index, function = call.get("index"), call.get("function") or {}
    arguments, name = function.get("arguments") or "", function.get("name")
    return CallPart(place if index is None else index, arguments, name, call.get("id") or None)


def _usage(event: Wire) -> Iterator[Part]:
    usage = event.get("usage")
    if usage:
        yield Tokens(usage.get("prompt_tokens", 0), usage.get("completion_tokens", 0))
