"""The planner as a brain."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from mistral_agents_server import ids
from mistral_agents_server.planner.choose import choose
from mistral_agents_server.planner.compose import embedded_schema, json_answer, task_answers, text_answer
from mistral_agents_server.planner.reading import Reading, read
from mistral_agents_server.planner.work import Work, plan_work
from mistral_agents_server.thinking import CallPart, ChatRequest, Part, Text, count_tokens

_PIECE = re.compile(r"\s*\S+|\s+")
_ARGUMENT_PIECE = 12
_MOST_PIECES = 2000
"""A longer text comes in larger pieces: each is an event, and is added to all before it."""


class Planner:
    """Answers without a language model."""

    cites = True

    def label(self, model: str) -> str:
        """The `model` field: it says who really answers."""
        return f"stand-in:{model}"

    def think(self, request: ChatRequest) -> Iterator[Part]:
        """Call functions, or answer in pieces of a word each, within `stop` and `max_tokens`."""
        reading = read(request)
        wanted = _wanted_json(reading, request)
        if wanted is not None:
            work = Work(choose(reading, request.tool_choice))
        else:
            work = plan_work(reading, request.tool_choice)
        for index, (name, arguments) in enumerate(work.calls):
            yield CallPart(index, name=name, id=ids.tool_call_id())
            written = json.dumps(arguments, ensure_ascii=False)
            size = max(_ARGUMENT_PIECE, -(-len(written) // _MOST_PIECES))
            for start in range(0, len(written), size):
                yield CallPart(index, written[start : start + size])
        if not work.calls:
            answer = json_answer(reading, wanted) if wanted is not None else _answer(work)
            pieces = _PIECE.findall(_limited(answer, request))
            size = -(-len(pieces) // _MOST_PIECES)
            for start in range(0, len(pieces), size or 1):
                yield Text("".join(pieces[start : start + size]))


def _wanted_json(reading: Reading, request: ChatRequest) -> dict[str, Any] | None:
    """The form of a JSON answer; None when words are wanted."""
    wanted: dict[str, Any] = request.args.get("response_format") or {}
    is_json = wanted.get("type") in ("json_schema", "json_object") or embedded_schema(reading.asked) is not None
    return wanted if is_json else None


def _answer(work: Work) -> str:
    return task_answers(work.parts) if work.parts[0].is_task else text_answer(work.parts[0])


def _limited(text: str, request: ChatRequest) -> str:
    stop = request.args.get("stop") or []
    for mark in [stop] if isinstance(stop, str) else stop:
        if mark:
            text = text.partition(mark)[0]
    most = request.args.get("max_tokens")
    if most is None or count_tokens(text) <= most:
        return text
    kept, left = [], most
    for piece in _PIECE.findall(text):
        left -= count_tokens(piece)
        if left < 0:
            break
        kept.append(piece)
    return "".join(kept)
