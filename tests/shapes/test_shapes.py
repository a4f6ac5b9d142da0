"""The shapes hold no text of a recording, the checker can fail, and the stand-in's replies fit."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest

from scripts.shapes import derive

from .check import SHAPES, problems, stream_problems

SHARED = Path(__file__).parents[3] / "shared" / "payloads"

REPLY = {
    "object": "conversation.response",
    "conversation_id": "conv_1",
    "outputs": [
        {"object": "entry", "type": "message.output", "created_at": "t", "completed_at": "t", "model": "m", "id": "msg_1",
         "role": "assistant", "content": "hi"}
    ],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    "guardrails": None,
}  # fmt: skip


def test_a_good_reply_has_no_problems():
    assert problems("conversation.response", REPLY) == []


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        (("conversation_id",), 7, "conversation_id: number"),
        (("outputs", 0, "content"), 7, "message.output.content: number"),
        (("outputs", 0, "mood"), "good", "message.output.mood: never recorded"),
        (("usage", "prompt_tokens"), "1", "usage.prompt_tokens: string"),
    ],
)
def test_a_wrong_reply_is_told(path, value, says):
    reply = copy.deepcopy(REPLY)
    inner = reply
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    assert any(says in text for text in problems("conversation.response", reply))


def test_a_missing_key_is_told():
    reply = copy.deepcopy(REPLY)
    del reply["guardrails"]
    assert problems("conversation.response", reply) == ["conversation.response.guardrails: missing"]


def test_shapes_hold_only_names_and_types():
    words = {"string", "number", "boolean", "null", "object", "array"}

    def walk(shape):
        assert set(shape) <= {"types", "keys", "items", "values", "kind", "optional"}
        assert set(shape["types"]) <= words
        for part in ("items", "values"):
            if part in shape:
                walk(shape[part])
        for inner in shape.get("keys", {}).values():
            walk(inner)

    for shape in SHAPES.values():
        walk(shape)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the recordings are not part of a user's clone")
def test_the_committed_shapes_are_those_of_the_recordings():
    assert derive(SHARED) == json.loads((Path(__file__).parent / "shapes.json").read_text())


def test_the_stand_in_answers_in_recorded_shapes(client):
    turn = client.conversations.start("What is 2 + 3?", model="mistral-small-latest")
    assert problems("conversation.response", turn.raw) == []
    with client.conversations.append_stream(turn.conversation_id, "And 7 * 6?") as stream:
        assert stream_problems(list(stream)) == []


@pytest.mark.parametrize("tool", ["code_interpreter", "web_search", "image_generation"])
def test_the_stand_ins_hosted_tools_answer_in_recorded_shapes(client, tool):
    asked = {
        "code_interpreter": "Run this:\n```python\nprint(6 * 7)\n```",
        "web_search": "Search the web for renewable energy.",
        "image_generation": "Draw a red circle.",
    }
    tools = [{"type": tool}]
    turn = client.conversations.start(asked[tool], model="mistral-small-latest", tools=tools)
    assert [run.name for run in turn.tool_executions][:1] == [tool]
    assert problems("conversation.response", turn.raw) == []
    with client.conversations.start_stream(asked[tool], model="mistral-small-latest", tools=tools) as stream:
        assert stream_problems(list(stream)) == []


def test_the_stand_ins_objects_have_recorded_shapes(client):
    agent = client.agents.create(model="mistral-small-latest", name="shaped")
    library = client.libraries.create("shaped")
    document = client.libraries.upload(library.id, ("facts.txt", b"The project is called paper robots."))
    status = client.libraries.status(library.id, document.id)
    for name, value in (("agent", agent), ("library", library), ("document", document), ("document_status", status)):
        assert problems(name, dict(value)) == []
