"""Streams: what comes when, and that they say what a call says."""

from __future__ import annotations

import httpx

from ..conftest import API_KEY

MODEL = "mistral-small-latest"


def test_a_stream_has_the_service_s_shape(api):
    with api.http.stream(
        "POST", "/v1/conversations", json={"inputs": "hello", "model": MODEL, "stream": True}
    ) as reply:
        reply.read()
    assert reply.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert not [name for name in reply.headers if name.startswith("x-ratelimit")]
    assert reply.text.endswith("\n\n")
    assert "[DONE]" not in reply.text


def test_events_of_a_plain_answer(api):
    events = api.events("/conversations", {"inputs": "hello", "model": MODEL})
    kinds = [event["type"] for event in events]
    assert kinds[0] == "conversation.response.started"
    assert kinds[-1] == "conversation.response.done"
    deltas = events[1:-1]
    assert {event["type"] for event in deltas} == {"message.output.delta"}
    assert len(deltas) > 3
    assert set(deltas[0]) == {
        *("type", "created_at", "output_index", "id", "content_index", "model", "role", "content"),
    }
    text = "".join(event["content"] for event in deltas)
    assert text == api.start("hello")["outputs"][0]["content"]
    assert events[-1]["usage"] == api.start("hello")["usage"]


def test_the_turn_is_kept_before_the_last_event(api):
    events = api.events("/conversations", {"inputs": "hello", "model": MODEL})
    history = api.history(events[0]["conversation_id"])
    assert history[1]["content"] == "".join(event["content"] for event in events[1:-1])
    assert history[1]["id"] == events[1]["id"]


def test_append_and_restart_stream(api):
    first = api.start("hello")
    path = f"/conversations/{first['conversation_id']}"
    appended = api.events(path, {"inputs": "more"})
    assert appended[0]["conversation_id"] == first["conversation_id"]
    body = {"inputs": "else", "from_entry_id": first["outputs"][0]["id"]}
    restarted = api.events(f"{path}/restart", body)
    assert restarted[0]["conversation_id"] != first["conversation_id"]


def test_a_function_call_in_a_stream(api):
    function = {"name": "get_rate", "description": "Rate.", "parameters": {"properties": {"rate": {"type": "number"}}}}
    body = {"inputs": "Use get_rate(rate=2.5)", "model": MODEL, "tools": [{"type": "function", "function": function}]}
    deltas = api.events("/conversations", body)[1:-1]
    assert {event["type"] for event in deltas} == {"function.call.delta"}
    assert {(event["name"], event["tool_call_id"], event["id"]) for event in deltas} == {
        ("get_rate", deltas[0]["tool_call_id"], deltas[0]["id"])
    }
    assert "".join(event["arguments"] for event in deltas) == '{"rate": 2.5}'


def test_what_is_wrong_from_the_start_is_a_status(api):
    body = {"inputs": "x", "stream": True}
    assert api.send("POST", "/conversations/conv_unknown", body).status_code == 404
    assert api.send("POST", "/conversations", body).status_code == 422


def test_the_first_event_does_not_wait_for_the_model(scripted, standin_factory):
    """The model may take its time: it answers only after the test has seen the stream begin."""
    import threading

    from ..support.scripted import say

    begun = threading.Event()

    def slow(_body):
        assert begun.wait(30)
        return say("late")

    scripted.script(slow)
    standin = standin_factory(model_url=scripted.url)
    headers = {"Authorization": f"Bearer {API_KEY}"}
    body = {"inputs": "x", "model": MODEL, "stream": True}
    url = f"{standin.base_url}/v1/conversations"
    with httpx.stream("POST", url, json=body, headers=headers, timeout=60) as reply:
        lines = reply.iter_lines()
        assert next(lines) == "event: conversation.response.started"
        begun.set()
        assert any("late" in line or '"la' in line for line in lines)


def test_a_client_that_leaves_ends_the_turn_and_nothing_is_kept(scripted, standin_factory, api_of):
    from ..support.scripted import say

    scripted.script(say("word " * 5000))
    api = api_of(standin_factory(model_url=scripted.url).base_url)
    body = {"inputs": "x", "model": MODEL, "stream": True}
    with api.http.stream("POST", "/v1/conversations", json=body) as reply:
        assert "event: message.output.delta" in reply.iter_lines()
    scripted.script(say("after"))
    assert api.start("y")["outputs"][0]["content"] == "after"
    assert len(api.ok("GET", "/conversations")) == 1
