"""The planner as a brain."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from mistral_agents_server import ids
from mistral_agents_server.planner.choose import choose
from mistral_agents_server.planner.compose import embedded_schema, json_answer, text_answer
from mistral_agents_server.planner.reading import Reading, read
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
        calls = choose(reading, request.tool_choice)
        for index, (name, arguments) in enumerate(calls):
            yield CallPart(index, name=name, id=ids.tool_call_id())
            written = json.dumps(arguments, ensure_ascii=False)
            size = max(_ARGUMENT_PIECE, -(-len(written) // _MOST_PIECES))
            for start in range(0, len(written), size):
                yield CallPart(index, written[start : start + size])
        if not calls:
            pieces = _PIECE.findall(_limited(_answer(reading, request), request))
            size = -(-len(pieces) // _MOST_PIECES)
            for start in range(0, len(pieces), size or 1):
                yield Text("".join(pieces[start : start + size]))


def _answer(reading: Reading, request: ChatRequest) -> str:
    wanted = request.args.get("response_format") or {}
    if wanted.get("type") in ("json_schema", "json_object") or embedded_schema(reading.asked) is not None:
        return json_answer(reading, wanted)
    return text_answer(reading)


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
