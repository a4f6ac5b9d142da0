"""A chat request as the planner reads it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from mistral_agents_server.planner.extract import sentences
from mistral_agents_server.strict_json import read_json
from mistral_agents_server.thinking import ChatRequest

Wire = dict[str, Any]

_BLANKS = r"[^\S\n]*"
_QUESTION_LABEL = re.compile(rf"^{_BLANKS}(?:question|query|q|user question|user query){_BLANKS}:(.*)$", re.I | re.M)
_ANSWER_LABEL = re.compile(r"\s*(?:answer|helpful answer|response|assistant|a)\s*:", re.I)
_RULER = re.compile(rf"^[-=_*]{{3,}}{_BLANKS}$", re.M)
_SOURCE_LABEL = re.compile(
    rf"^{_BLANKS}(?:source|document|passage|\[){_BLANKS}#?(\d+)(?:{_BLANKS}\])?(?:{_BLANKS}:)?{_BLANKS}$"
    rf"|^{_BLANKS}\[(\d+)\]\s+",
    re.I | re.M,
)
_PARAGRAPH = re.compile(r"\n\s*\n")
_ASKING = re.compile(
    r"\?|\b(?:what|who|whom|whose|when|where|which|why|how|find|search|look|list|tell|give|name|explain|describe|compare|"
    r"summari[sz]e|according)\b",
    re.IGNORECASE,
)
MOST_CHARACTERS = 1_000_000
"""Of a longer message the planner reads the beginning and the end: it shares its process with all other requests."""

_LONG = 3
"""From so many sentences on, an input with a question is read as passages and a question about them."""


@dataclass(slots=True)
class Result:
    """What a call gave."""

    name: str
    arguments: Wire
    text: str


@dataclass(slots=True)
class Passage:
    """A text that an answer may be taken from, and how it is cited."""

    text: str
    mark: str = ""


@dataclass(slots=True)
class Reading:
    """A chat request, taken apart.

    Attributes:
        asked: the last user message.
        question: the question in it.
        passages: what the message brings along to answer it from.
        system: the instructions.
        said: earlier messages as (role, text), oldest first.
        results: what calls gave since the last user message; of a task, what its own calls gave.
        tools: the offered functions by name.
        earlier: of a task, what the calls of the tasks before it gave.
        findings: of a task, what the tasks before it found, in words.
        is_task: whether it is one task of a message.
    """

    asked: str
    question: str
    passages: list[Passage]
    system: str
    said: list[tuple[str, str]]
    results: list[Result]
    tools: dict[str, Wire] = field(default_factory=dict)
    earlier: list[Result] = field(default_factory=list)
    findings: str = ""
    is_task: bool = False

    @property
    def asks(self) -> bool:
        """Whether the input asks for something, rather than tells."""
        return _ASKING.search(self.asked) is not None

    def ran(self, name: str) -> bool:
        """Whether a function was called since the last user message."""
        return any(result.name == name for result in self.results)

    def has(self, name: str) -> bool:
        """Whether a function is offered."""
        return name in self.tools

    def offers(self, name: str) -> bool:
        """Whether a function is offered and wasn't called yet."""
        return name in self.tools and not self.ran(name)


def read(request: ChatRequest) -> Reading:
    """Take a chat request apart."""
    places = [place for place, message in enumerate(request.messages) if message["role"] == "user"]
    last = places[-1] if places else len(request.messages)
    before, since = request.messages[:last], request.messages[last + 1 :]
    asked = _text(request.messages[last]) if places else ""
    question, passages = split_question(asked)
    said = [(m["role"], text) for m in before if m["role"] in ("user", "assistant") and (text := _text(m))]
    system = "\n".join(_text(message) for message in request.messages if message["role"] == "system")
    tools = {schema["function"]["name"]: schema["function"] for schema in request.tools}
    return Reading(asked, question, passages, system, said, _results(since), tools)


def _text(message: Wire) -> str:
    content = message.get("content") or ""
    if not isinstance(content, str):
        content = "\n".join(part.get("text", "") for part in content if part.get("type") == "text")
    if len(content) <= MOST_CHARACTERS:
        return content
    half = MOST_CHARACTERS // 2
    return f"{content[:half]}\n{content[-half:]}"


def _results(messages: list[Wire]) -> list[Result]:
    calls = {call["id"]: call["function"] for message in messages for call in message.get("tool_calls", [])}
    found = []
    for message in messages:
        if message["role"] == "tool":
            function = calls.get(message["tool_call_id"], {"name": message.get("name", ""), "arguments": "{}"})
            found.append(Result(function["name"], _object(function["arguments"]), _text(message)))
    return found


def _object(text: str) -> Wire:
    try:
        parsed = read_json(text)
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}


def split_question(text: str) -> tuple[str, list[Passage]]:
    """The question of an input, and the passages around it, if there are any.

    The question is what stands behind the last `Question:` or `Query:`, else the last sentence with a question mark,
    else the whole input. Between rulers (`---`) the passages are what the last pair encloses.
    """
    body = _without_answer_label(text.strip())
    labelled = _labelled_question(body)
    if labelled is not None:
        question, start, end = labelled
        return question, _passages(body[:start], body[end:])
    parts = sentences(body)
    asking = [part for part in parts if part.endswith("?")]
    question = asking[-1] if asking else body
    if not asking or len(parts) < _LONG:
        return (question if len(parts) >= _LONG else body), []
    start = body.rfind(question)
    return question, _passages(body[:start], body[start + len(question) :])


def is_framed(text: str) -> bool:
    """Whether a message is made of labelled or ruled parts, as prompts with passages are: lists in it are no orders."""
    labelled = _QUESTION_LABEL.search(text) or _SOURCE_LABEL.search(text)
    return labelled is not None or len(_RULER.findall(text)) >= 2


def _without_answer_label(body: str) -> str:
    head, _, last = body.rpartition("\n")
    return head if _ANSWER_LABEL.fullmatch(last) else body


def _labelled_question(body: str) -> tuple[str, int, int] | None:
    """The line behind the last label that something stands behind, and from where to where both reach."""
    for label in reversed(list(_QUESTION_LABEL.finditer(body))):
        question = label[1].strip()
        if question:
            return question, label.start(), label.end()
        line = body[label.end() :].lstrip().partition("\n")[0]
        if line:
            return line.rstrip(), label.start(), body.index(line, label.end()) + len(line)
    return None


def _passages(before: str, after: str) -> list[Passage]:
    rulers = list(_RULER.finditer(before))
    if len(rulers) >= 2:
        before, after = before[rulers[-2].end() : rulers[-1].start()], ""
    text = f"{before}\n{after}".strip()
    labels = list(_SOURCE_LABEL.finditer(text))
    if not labels:
        return [Passage(part.strip()) for part in _PARAGRAPH.split(text) if part.strip()]
    ends = [label.start() for label in labels[1:]] + [len(text)]
    return [
        Passage(text[label.end() : end].strip(), f"[{label[1] or label[2]}]")
        for label, end in zip(labels, ends, strict=True)
    ]
