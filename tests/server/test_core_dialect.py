"""A self-hosted engine is asked in the way it takes: issue 15, point 7."""

from __future__ import annotations

import json
import logging

import pytest

from mistral_agents_server.dialect import Dialects, Negotiation
from mistral_agents_server.endpoint import _mended, _usage
from mistral_agents_server.thinking import Text, Thought, Tokens

from ..support.scripted import Reply, call, fail, say, stop_short
from .conftest import MODEL

SCHEMA = {"type": "object", "properties": {"town": {"type": "string"}}, "required": ["town"]}
FORM = {"type": "json_schema", "json_schema": {"name": "place", "schema": SCHEMA}}
LOOKUP = {"type": "function", "function": {"name": "lookup", "parameters": {"type": "object", "properties": {}}}}
NO_SCHEMA = {"error": {"message": "('body','response_format','type'): Input should be 'text' or 'json_object'"}}


def asks(body, **args):
    """A negotiation about a request with these messages."""
    return Negotiation({"model": "m", **body, **args}, [])


def system(text):
    return {"role": "system", "content": text}


def user(text):
    return {"role": "user", "content": text}


def form_of(body):
    return (body.get("response_format") or {}).get("type")


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("refused", [("json_schema",), ("json_schema", "json_object")])
def test_json_is_asked_for_as_the_engine_takes_it(thinking, scripted, refused, streamed, caplog):
    api = thinking()
    scripted.always(lambda body: fail(422, NO_SCHEMA) if form_of(body) in refused else say('{"town": "Kermor"}'))
    args = {"instructions": "Be brief.", "completion_args": {"response_format": FORM}, "stream": streamed}
    with caplog.at_level(logging.WARNING, "mistral_agents_server"):
        for _ in range(2):
            body = {"inputs": "Which town?", "model": MODEL, **args}
            if streamed:
                assert api.events("/conversations", body)[-1]["type"] == "conversation.response.done"
            else:
                assert api.ok("POST", "/conversations", body)["outputs"][-1]["content"] == '{"town": "Kermor"}'
    taken = scripted.requests[-1]
    assert [message["role"] for message in taken["messages"]] == ["system", "user"]
    assert taken["messages"][0]["content"].startswith("Be brief.")
    assert json.dumps(SCHEMA) in taken["messages"][0]["content"]
    assert form_of(taken) == (None if "json_object" in refused else "json_object")
    assert len([one for one in scripted.requests if form_of(one) == "json_schema"]) == 1  # it is remembered
    assert caplog.text.count("json_schema is asked for as json_object") == 1


def test_a_schema_beside_json_object_is_left_out_where_it_is_refused(thinking, scripted):
    api = thinking()

    def engine(body):
        form = body["response_format"]
        return (
            say("{}") if form == {"type": "json_object"} else fail(400, {"error": "response_format is not supported"})
        )

    scripted.always(engine)
    assert api.start("x", completion_args={"response_format": FORM})["outputs"][-1]["content"] == "{}"


@pytest.mark.parametrize(
    "broken",
    [
        fail(400, {"error": {"message": "Streaming is not supported with tools"}}),
        fail(501, ""),
        Reply(calls=call("lookup", {}).calls, broken=True),
        stop_short(""),
    ],
    ids=["refused", "nothing said", "cut in a call", "cut at once"],
)
def test_calls_are_not_streamed_where_that_breaks(thinking, scripted, broken):
    api = thinking()
    scripted.always(lambda body: broken if body.get("stream") and body.get("tools") else call("lookup", {"a": 1}))
    for _ in range(3):
        (entry,) = api.start("x", tools=[LOOKUP])["outputs"]
        assert (entry["name"], json.loads(entry["arguments"])) == ("lookup", {"a": 1})
    assert not scripted.requests[-1].get("stream")
    assert "stream_options" not in scripted.requests[-1]
    tried = len([one for one in scripted.requests if one.get("stream")])
    assert tried == (2 if broken.status == 501 else 1)  # what says nothing is believed the second time
    api.start("x")
    assert scripted.requests[-1]["stream"]  # without tools it streams


def test_a_stream_that_breaks_behind_words_is_told_and_not_tried_again(thinking, scripted):
    api = thinking()
    scripted.always(lambda body: stop_short("I will") if body.get("stream") else call("lookup", {}))
    body = {"inputs": "x", "model": MODEL, "tools": [LOOKUP]}
    assert api.send("POST", "/conversations", body).status_code == 503
    assert api.ok("POST", "/conversations", body)["outputs"][0]["name"] == "lookup"


def test_a_whole_call_that_was_streamed_is_streamed_on(thinking, scripted):
    api = thinking()
    scripted.always(call("lookup", {"a": 1}))
    for _ in range(2):
        events = api.events("/conversations", {"inputs": "x", "model": MODEL, "tools": [LOOKUP]})
        assert "".join(e["arguments"] for e in events if e["type"] == "function.call.delta") == '{"a": 1}'
    assert all(one["stream"] for one in scripted.requests)


def test_a_passing_failure_changes_nothing(thinking, scripted):
    api = thinking()
    scripted.script(fail(500), say("one"), say("two"))
    for text in ("one", "two"):
        assert api.start("x", tools=[LOOKUP])["outputs"][-1]["content"] == text
    assert scripted.requests[-1]["stream"]


def test_what_no_other_way_helps_is_told_in_the_engine_s_first_words(thinking, scripted):
    api = thinking()
    scripted.always(
        lambda body: fail(400, {"error": f"the context of this model is too long, {len(scripted.requests)}"})
    )
    reply = api.send("POST", "/conversations", {"inputs": "x", "model": MODEL, "tools": [LOOKUP]})
    assert reply.status_code == 500
    assert "too long, 1" in reply.json()["message"]
    assert len(scripted.requests) == 1
    for status in (401, 404, 503):
        scripted.always(fail(status))
        assert api.send("POST", "/conversations", {"inputs": "x", "model": MODEL, "tools": [LOOKUP]}).status_code == 500
        assert len(scripted.requests) == 1


def test_an_engine_that_wants_one_system_message_gets_one():
    asked = asks({"messages": [system("a"), user("x"), system("b")]})
    assert asked.adapt(400, "System message must be at the beginning")
    assert asked.body["messages"] == [system("a\n\nb"), user("x")]
    assert asked.adapt(400, "Only user and assistant roles are supported, no system!")
    assert asked.body["messages"] == [user("a\n\nb\n\nx")]
    assert not asked.adapt(400, "no system")


def test_roles_that_must_alternate_do():
    asked = asks({"messages": [user("a"), user("b"), {"role": "assistant", "content": "c"}, user("d")]})
    assert asked.adapt(400, "Conversation roles must alternate user/assistant/user/assistant/...")
    assert [message["content"] for message in asked.body["messages"]] == ["a\n\nb", "c", "d"]


def test_smaller_words_of_dialect():
    asked = asks({"messages": [user("x")]}, max_tokens=5, stream_options={}, tools=[LOOKUP], tool_choice="required")
    assert asked.adapt(400, "Unsupported parameter: use max_completion_tokens")
    assert asked.adapt(422, "stream_options: extra fields not permitted")
    assert asked.adapt(400, "tool_choice must be none, auto or a function")
    assert asked.body == {
        "model": "m",
        "messages": [user("x")],
        "max_completion_tokens": 5,
        "tools": [LOOKUP],
        "tool_choice": {"type": "function", "function": {"name": "lookup"}},
    }


def test_dialects_are_each_model_s_own():
    dialects, asked = Dialects("http://engine.test"), asks({"messages": [user("x")]}, max_tokens=5)
    asked.adapt(400, "use max_completion_tokens")
    dialects.settle("m", asked)
    assert dialects.of("m").ways == asked.ways
    assert dialects.of("n").ways == []


def test_the_engine_s_own_counts_are_reported(thinking, scripted):
    api = thinking()
    scripted.always(Reply(text="hello", usage={"prompt_tokens": 40, "completion_tokens": 2}))
    assert api.start("x")["usage"] == {"prompt_tokens": 40, "completion_tokens": 2, "total_tokens": 42}
    events = api.events("/conversations", {"inputs": "x", "model": MODEL})
    assert events[-1]["usage"]["total_tokens"] == 42
    assert list(_usage({"timings": {"prompt_n": 7, "predicted_n": 3}})) == [Tokens(7, 3)]
    assert list(_usage({"usage": {"prompt_tokens": None}})) == [Tokens(0, 0)]
    assert list(_usage({"usage": None})) == []


def test_a_character_in_two_pieces_is_one():
    parts = [Thought("\ud83d"), Text("a\ud83d"), Text("\ude00b"), Text("\ud83d"), Tokens(1, 1)]
    mended = list(_mended(iter(parts)))
    assert "".join(part.text for part in mended if isinstance(part, Text)) == "a\U0001f600b\ufffd"
    assert "".join(part.text for part in mended if isinstance(part, Thought)) == "\ufffd"
