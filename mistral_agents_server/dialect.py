"""What a self-hosted chat endpoint takes, found out by asking.

Engines behind the same API differ: one has no `json_schema`, one fails when it is to stream calls, one wants a single
system message. A refused request is asked again in another way, each way at most once; what worked is kept for the next
requests and stands in the log. Asking again costs no more than time: a chat request changes nothing.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

Wire = dict[str, Any]

_log = logging.getLogger(__name__)

_UNINFORMATIVE = 30
"""Refusals of fewer characters don't say what is wrong, nor do those of status 500 and above."""


@dataclass(slots=True, frozen=True)
class Way:
    """Another way to ask for the same.

    Attributes:
        says: what it does, for the log.
        marks: words in a refusal that call for it.
        fits: whether it changes anything in a request.
        change: the changed request.
        blind: whether it is tried on a refusal that says nothing.
    """

    says: str
    marks: tuple[str, ...]
    fits: Callable[[Wire], bool]
    change: Callable[[Wire], Wire]
    blind: bool = False


def _format(body: Wire) -> Wire:
    found: Wire = body.get("response_format") or {}
    return found


def _wants_schema(body: Wire) -> bool:
    return _format(body).get("type") == "json_schema" and bool(_format(body).get("json_schema"))


def _object_for_schema(body: Wire) -> Wire:
    """`json_object`, with the schema where llama.cpp and its like read it, and in the instructions for all others."""
    schema = _format(body)["json_schema"].get("schema", {})
    told = (
        "Answer with one JSON object and nothing else. It must be valid by this JSON schema:\n"
        f"{json.dumps(schema, ensure_ascii=False)}"
    )
    changed = _instruct(body, told)
    return {**changed, "response_format": {"type": "json_object", "schema": schema}}


def _instruct(body: Wire, text: str) -> Wire:
    """The request with a text added to its one system message, or with one that has it."""
    messages = list(body["messages"])
    if messages and messages[0]["role"] == "system":
        messages[0] = {**messages[0], "content": f"{messages[0]['content']}\n\n{text}"}
    else:
        messages.insert(0, {"role": "system", "content": text})
    return {**body, "messages": messages}


def _without_format(body: Wire) -> Wire:
    changed = {name: value for name, value in body.items() if name != "response_format"}
    if "JSON" in str(changed["messages"][0].get("content", "")):
        return changed
    return _instruct(changed, "Answer with one JSON object and nothing else.")


def _without_stream(body: Wire) -> Wire:
    return {name: value for name, value in body.items() if name not in ("stream", "stream_options")}


def _without_options(body: Wire) -> Wire:
    return {name: value for name, value in body.items() if name != "stream_options"}


def _systems(body: Wire) -> list[Wire]:
    return [message for message in body["messages"] if message["role"] == "system"]


def _scattered(body: Wire) -> bool:
    found = _systems(body)
    return len(found) > 1 or (len(found) == 1 and body["messages"][0] is not found[0])


def _one_system(body: Wire) -> Wire:
    text = "\n\n".join(str(message["content"]) for message in _systems(body))
    rest = [message for message in body["messages"] if message["role"] != "system"]
    return {**body, "messages": [{"role": "system", "content": text}, *rest]}


def _system_in_user(body: Wire) -> Wire:
    """For models whose template knows no system message: its text begins the first user message."""
    text = "\n\n".join(str(message["content"]) for message in _systems(body))
    rest = [message for message in body["messages"] if message["role"] != "system"]
    for place, message in enumerate(rest):
        if message["role"] == "user":
            rest[place] = {**message, "content": _joined(text, message["content"])}
            return {**body, "messages": rest}
    return {**body, "messages": [{"role": "user", "content": text}, *rest]}


def _joined(first: Any, second: Any) -> Any:
    """Two contents as one; parts stay parts."""
    if isinstance(first, str) and isinstance(second, str):
        return f"{first}\n\n{second}"
    return [*_content_parts(first), *_content_parts(second)]


def _content_parts(content: Any) -> list[Wire]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else list(content or [])


def _repeats(body: Wire) -> bool:
    roles = [message["role"] for message in body["messages"] if "tool_calls" not in message]
    return any(before == after and before in ("user", "assistant") for before, after in pairwise(roles))


def _alternating(body: Wire) -> Wire:
    messages: list[Wire] = []
    for message in body["messages"]:
        last = messages[-1] if messages else {}
        plain = message["role"] in ("user", "assistant") and not (message.get("tool_calls") or last.get("tool_calls"))
        if plain and last.get("role") == message["role"]:
            messages[-1] = {**last, "content": _joined(last["content"], message["content"])}
        else:
            messages.append(message)
    return {**body, "messages": messages}


def _completion_tokens(body: Wire) -> Wire:
    changed = {name: value for name, value in body.items() if name != "max_tokens"}
    return {**changed, "max_completion_tokens": body["max_tokens"]}


def _forces_one(body: Wire) -> bool:
    return body.get("tool_choice") == "required" and len(body.get("tools", [])) == 1


def _named_choice(body: Wire) -> Wire:
    function = body["tools"][0]["function"]["name"]
    return {**body, "tool_choice": {"type": "function", "function": {"name": function}}}


WITHOUT_STREAM = Way(
    "calls with tools are not streamed",
    ("stream",),
    lambda body: bool(body.get("stream")) and bool(body.get("tools")),
    _without_stream,
    blind=True,
)
WAYS = (
    Way(
        "json_schema is asked for as json_object, with the schema in the instructions",
        ("json_schema", "response_format", "response format"),
        _wants_schema,
        _object_for_schema,
        blind=True,
    ),
    Way(
        "json_object is asked for without a schema beside it",
        ("schema", "response_format", "response format"),
        lambda body: "schema" in _format(body),
        lambda body: {**body, "response_format": {"type": "json_object"}},
        blind=True,
    ),
    Way(
        "JSON is asked for in the instructions only",
        ("json_object", "response_format", "response format"),
        lambda body: _format(body).get("type") == "json_object",
        _without_format,
        blind=True,
    ),
    Way(
        "stream_options is left out",
        ("stream_options", "include_usage"),
        lambda body: "stream_options" in body,
        _without_options,
    ),
    WITHOUT_STREAM,
    Way("all system messages are sent as one", ("system",), _scattered, _one_system, blind=True),
    Way(
        "the system message is sent within the first user message",
        ("system", "roles are supported"),
        lambda body: bool(_systems(body)),
        _system_in_user,
    ),
    Way("messages of the same role are joined", ("alternat",), _repeats, _alternating, blind=True),
    Way(
        "max_tokens is sent as max_completion_tokens",
        ("max_completion_tokens",),
        lambda body: "max_tokens" in body,
        _completion_tokens,
    ),
    Way(
        "the one tool is forced by its name",
        ("tool_choice", "required", "tool choice"),
        _forces_one,
        _named_choice,
        blind=True,
    ),
)
"""The ways, in the order in which they are tried where a refusal calls for several."""
_FORMATS = 3
"""So many of them, the first, are about the form of JSON."""


@dataclass(slots=True)
class Dialect:
    """What is known of one model of an endpoint.

    Attributes:
        ways: how it has to be asked.
        streams_calls: whether it has streamed a whole call already.
        suspected: ways that helped once after a refusal that said nothing, which may have passed by itself.
    """

    ways: list[Way] = field(default_factory=list)
    streams_calls: bool = False
    suspected: list[Way] = field(default_factory=list)


class Dialects:
    """The dialects of an endpoint's models; safe to use from several threads.

    Args:
        place: the endpoint's address, for the log.
    """

    def __init__(self, place: str) -> None:
        self._place = place
        self._known: dict[str, Dialect] = {}
        self._lock = threading.Lock()

    def of(self, model: str) -> Dialect:
        """What is known of a model."""
        with self._lock:
            return self._known.setdefault(model, Dialect())

    def learn(self, model: str, ways: list[Way]) -> None:
        """Keep how a model has to be asked, and say so once."""
        dialect = self.of(model)
        with self._lock:
            new = [way for way in ways if way not in dialect.ways]
            dialect.ways.extend(new)
        for way in new:
            _log.warning("the model endpoint %s (%s) wants it another way: %s", self._place, model, way.says)

    def settle(self, model: str, negotiation: Negotiation) -> None:
        """Learn from an answer: what a refusal called for at once, what was guessed only when it helps again."""
        dialect = self.of(model)
        with self._lock:
            again = [way for way in negotiation.guessed if way in dialect.suspected]
            dialect.suspected = [way for way in negotiation.guessed if way not in again]
        guessed = [way for way in negotiation.guessed if way not in again]
        self.learn(model, [way for way in negotiation.ways if way not in guessed])


class Negotiation:
    """One request on its way to an answer.

    Args:
        body: the request as it should be.
        ways: how the model is known to have to be asked.

    Attributes:
        ways: how it is asked now.
        guessed: those of them that no word of a refusal called for.
    """

    def __init__(self, body: Wire, ways: list[Way]) -> None:
        self._body = body
        self._tried = list(ways)
        self._told = ""
        self.ways = list(ways)
        self.guessed: list[Way] = []

    @property
    def body(self) -> Wire:
        """The request as it is to be sent now."""
        changed = self._body
        for way in WAYS:
            if way in self.ways and way.fits(changed):
                changed = way.change(changed)
        return changed

    def adapt(self, status: int, refusal: str) -> bool:
        """Find another way after a refusal; False when there is none."""
        if refusal == self._told:
            self._drop_guess()
        self._told = refusal
        body, told = self.body, refusal.lower()
        open_ways = [way for way in WAYS if way not in self._tried and way.fits(body)]
        called = [way for way in open_ways if any(mark in told for mark in way.marks)]
        silent = status >= 500 or len(refusal.strip()) < _UNINFORMATIVE
        guesses = [way for way in open_ways if way.blind] if silent and not called else []
        if not called and not guesses:
            return False
        way = [*called, *guesses][0]
        self.guessed += [way] if guesses else []
        self._tried.append(way)
        self.ways.append(way)
        return True

    def _drop_guess(self) -> None:
        """Take back a guess that made no difference, but for the forms of JSON, which lead from one to the next."""
        last = self.ways[-1] if self.ways else None
        if last is not None and last in self.guessed and last not in WAYS[:_FORMATS]:
            self.ways.remove(last)
            self.guessed.remove(last)
