"""Recorded replies of the service, where that folder is: nothing of them is lost."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

import pytest

from langchain_mistral_agents import ChatMistralAgent
from tests.wire.conftest import Wire

FOLDER = Path(__file__).parents[3] / "shared" / "payloads"
REPLIES = [p for p in sorted(FOLDER.glob("*response.json")) if '"outputs"' in p.read_text(encoding="utf-8")]
STREAMS = sorted(FOLDER.glob("*.sse"))
Make = Callable[..., ChatMistralAgent]


def texts(value: Any) -> list[str]:
    """Every text that the model or a tool gave."""
    if isinstance(value, dict):
        kept = {k: v for k, v in value.items() if k in ("text", "content", "outputs", "info", "result", "url", "title")}
        return [text for inner in kept.values() for text in texts(inner)]
    if isinstance(value, list):
        return [text for inner in value for text in texts(inner)]
    return [value] if isinstance(value, str) else []


@pytest.mark.parametrize("path", REPLIES, ids=[p.stem for p in REPLIES])
def test_a_recorded_reply_keeps_every_text(path: Path, prepared: Make, wire: Wire) -> None:
    data = json.loads(path.read_text(encoding="utf-8"))
    wire.answer((200, data))
    shown = json.dumps(prepared().invoke("Go").content, ensure_ascii=False)
    for text in texts(data["outputs"]):
        assert json.dumps(text, ensure_ascii=False)[1:-1] in shown


@pytest.mark.parametrize("path", STREAMS, ids=[p.stem for p in STREAMS])
def test_a_recorded_stream_is_an_answer(path: Path, prepared: Make, wire: Wire) -> None:
    wire.answer((200, path.read_bytes()))
    whole: Any = reduce(add, prepared().stream("Go"))
    assert whole.text
    assert whole.usage_metadata["total_tokens"] > 0
    assert whole.response_metadata["finish_reason"] == "stop"
    calls = [block for block in whole.content_blocks if block["type"].startswith("server_tool_call")]
    assert all(isinstance(block["args"], dict) for block in calls)
