"""Conversations over HTTP: what is kept, and what is refused."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor

import pytest

MODEL = "mistral-small-latest"
HOSTED = {"type": "web_search"}
FUNCTION = {
    "type": "function",
    "function": {
        "name": "get_rate",
        "description": "The interest rate.",
        "parameters": {"type": "object", "properties": {"date": {"type": "string"}}, "required": ["date"]},
    },
}


def refused(reply, status, text):
    assert reply.status_code == status, reply.text
    assert text in reply.text
    return reply.json()


def test_a_call_has_the_service_s_shape(api):
    reply = api.send("POST", "/conversations", {"inputs": "hello", "model": MODEL})
    body = reply.json()
    assert list(body) == ["object", "conversation_id", "outputs", "usage", "guardrails"]
    assert body["guardrails"] is None
    assert re.fullmatch(r"conv_[0-9a-f]{32}", body["conversation_id"])
    (entry,) = body["outputs"]
    assert set(entry) == {"object", "type", "created_at", "completed_at", "model", "id", "role", "content"}
    assert entry["model"] == f"stand-in:{MODEL}"
    assert isinstance(entry["content"], str)
    usage = body["usage"]
    assert set(usage) == {"prompt_tokens", "completion_tokens", "total_tokens"}
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert "x-ratelimit-remaining-tokens-minute" in reply.headers


def test_append_keeps_the_id_and_remembers(api):
    first = api.start("My name is Ada.")
    second = api.append(first["conversation_id"], "What is my name?")
    assert second["conversation_id"] == first["conversation_id"]
    assert "Ada" in second["outputs"][0]["content"]
    kinds = [entry["type"] for entry in api.history(first["conversation_id"])]
    assert kinds == ["message.input", "message.output"] * 2


def test_history_shows_nothing_as_completed_and_messages_are_a_part_of_it(api):
    conversation_id = api.start("hello")["conversation_id"]
    history = api.ok("GET", f"/conversations/{conversation_id}/history")
    messages = api.ok("GET", f"/conversations/{conversation_id}/messages")
    assert history["object"] == "conversation.history"
    assert messages["object"] == "conversation.messages"
    assert messages["messages"] == history["entries"]
    assert {entry["completed_at"] for entry in history["entries"]} == {None}


def test_restart_makes_a_new_conversation_from_a_part(api):
    first = api.start("My colour is red.")
    api.append(first["conversation_id"], "My colour is blue.")
    branch = api.ok(
        "POST",
        f"/conversations/{first['conversation_id']}/restart",
        {"inputs": "What is my colour?", "from_entry_id": first["outputs"][-1]["id"], "handoff_execution": "server"},
    )
    assert branch["conversation_id"] != first["conversation_id"]
    assert "red" in branch["outputs"][0]["content"]
    assert len(api.history(first["conversation_id"])) == 4
    kept = api.history(branch["conversation_id"])
    assert [entry["id"] for entry in kept[:2]] == [e["id"] for e in api.history(first["conversation_id"])[:2]]
    assert len(kept) == 4


def test_restart_from_an_unknown_entry(api):
    conversation_id = api.start("hello")["conversation_id"]
    reply = api.send("POST", f"/conversations/{conversation_id}/restart", {"inputs": "x", "from_entry_id": "msg_0"})
    assert refused(reply, 404, "msg_0")["code"] == 3000


def test_list_pages_newest_first_and_filters(standin_factory, api_of):
    api = api_of(standin_factory().base_url)
    made = [api.start("hello", metadata={"n": n % 2})["conversation_id"] for n in range(5)]
    assert [c["id"] for c in api.ok("GET", "/conversations")] == made[::-1]
    assert [c["id"] for c in api.ok("GET", "/conversations", page=1, page_size=2)] == made[::-1][2:4]
    assert api.ok("GET", "/conversations", page=3, page_size=2) == []
    odd = api.ok("GET", "/conversations", metadata='{"n": 1}')
    assert [c["id"] for c in odd] == [made[3], made[1]]
    assert len(api.ok("GET", "/conversations", metadata="null")) == 5
    for bad in ('"~?~unset~?~sentinel~?~"', "{"):
        assert api.send("GET", "/conversations", metadata=bad).status_code == 422
    assert api.send("GET", "/conversations", page=-1).status_code == 422
    assert api.send("GET", "/conversations", page_size="many").status_code == 422


def test_delete(api):
    conversation_id = api.start("hello")["conversation_id"]
    assert api.send("DELETE", f"/conversations/{conversation_id}").status_code == 204
    for method, path in [("GET", ""), ("DELETE", ""), ("GET", "/history"), ("GET", "/messages")]:
        reply = api.send(method, f"/conversations/{conversation_id}{path}")
        assert refused(reply, 404, conversation_id)["code"] == 3000
    assert api.send("POST", f"/conversations/{conversation_id}", {"inputs": "x"}).status_code == 404


def test_a_conversation_that_isnt_stored_is_a_404(api):
    reply = api.start("hello", store=False)
    assert api.send("GET", f"/conversations/{reply['conversation_id']}").json()["code"] == 3000


def test_append_without_storing_changes_nothing(api):
    conversation_id = api.start("hello")["conversation_id"]
    api.append(conversation_id, "more", store=False)
    assert len(api.history(conversation_id)) == 2


def test_another_key_sees_nothing(standin, api, api_of):
    conversation_id = api.start("hello")["conversation_id"]
    assert api_of(standin.base_url, "another").send("GET", f"/conversations/{conversation_id}").status_code == 404


def test_settings_are_shown(api):
    tools = [FUNCTION]
    started = api.start("hello", tools=tools, instructions="Be brief.", name="n", metadata={"a": 1}, description="d")
    shown = api.ok("GET", f"/conversations/{started['conversation_id']}")
    assert shown["object"] == "conversation"
    assert (shown["tools"], shown["instructions"], shown["model"]) == (tools, "Be brief.", MODEL)
    assert (shown["name"], shown["description"], shown["metadata"]) == ("n", "d", {"a": 1})
    assert shown["completion_args"]["tool_choice"] == "auto"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"inputs": "x"}, "agent_id"),
        ({"inputs": "x", "model": "m", "agent_id": "ag_1"}, "agent_id"),
        ({"inputs": "", "model": "m"}, "inputs is required"),
        ({"inputs": [], "model": "m"}, "inputs is required"),
        ({"model": "m"}, "inputs is required"),
        (
            {"inputs": "x", "agent_id": "ag_1", "completion_args": {"temperature": 0.1}},
            "Conversation with an 'agent' can't contain the following fields completion_args",
        ),
        ({"inputs": "x", "agent_id": "ag_1", "instructions": "y"}, "can't contain the following fields instructions"),
        (
            {"inputs": "x", "model": "m", "handoff_execution": "server"},
            "Conversation with a 'model' can't contain the following fields handoff_execution",
        ),
        (
            {"inputs": "x", "model": "m", "tools": [{"type": "web_search"}, {"type": "web_search_premium"}]},
            "Can't add web_search and web_search_premium together",
        ),
        (
            {"inputs": "x", "model": "m", "tools": [HOSTED], "completion_args": {"tool_choice": "required"}},
            "Can't set 'tool_choice' to 'required' when using built in connectors",
        ),
        (
            {"inputs": "x", "model": "m", "tools": [{"type": "document_library", "library_ids": ["facts"]}]},
            "not a valid UUID",
        ),
        ({"inputs": "x", "model": "m", "tools": [{"type": "document_library", "library_ids": []}]}, "too_short"),
        ({"inputs": "x", "model": "m", "tools": [{"type": "document_retrieval"}]}, "union_tag_invalid"),
        ({"inputs": "x", "model": "m", "tools": [{"type": "web_search", "config": {}}]}, "extra_forbidden"),
        ({"inputs": "x", "model": "m", "tools": [FUNCTION] * 129}, "128"),
        ({"inputs": "x", "model": "m", "n": 2}, "extra_forbidden"),
        ({"inputs": "x", "model": "m", "temperature": 1}, "extra_forbidden"),
        ({"inputs": "x", "model": "m", "completion_args": {"temperature": 3}}, "less_than_equal"),
        ({"inputs": "x", "model": "m", "completion_args": {"parallel_tool_calls": True}}, "extra_forbidden"),
        ({"inputs": [{"type": "memory", "content": "x"}], "model": "m"}, "union_tag_invalid"),
        ({"inputs": [{"role": "system", "content": "x"}], "model": "m"}, "literal_error"),
    ],
)
def test_start_refuses(api, body, text):
    refused(api.send("POST", "/conversations", body), 422, text)


@pytest.mark.parametrize("field", ["tools", "instructions", "metadata", "guardrails", "model", "agent_id", "name"])
def test_append_refuses_what_is_fixed_at_the_start(api, field):
    conversation_id = api.start("hello")["conversation_id"]
    body = refused(api.send("POST", f"/conversations/{conversation_id}", {"inputs": "x", field: None}), 422, field)
    assert body["object"] == "Error"
    assert body["detail"][0]["type"] == "extra_forbidden"
    assert body["detail"][0]["loc"] == ["body", field]


def test_append_needs_inputs(api):
    conversation_id = api.start("hello")["conversation_id"]
    for body in ({}, {"inputs": ""}, {"inputs": []}):
        refused(api.send("POST", f"/conversations/{conversation_id}", body), 422, "inputs is required")


def called(api, **fields):
    reply = api.start("Which interest rate was it on 2024-06-06?", tools=[FUNCTION], **fields)
    (call,) = reply["outputs"]
    return reply, call


def test_a_function_call_and_its_result(api):
    reply, call = called(api)
    assert call["type"] == "function.call"
    assert call["completed_at"] is None
    assert re.fullmatch(r"fc_[0-9a-f]{32}", call["id"])
    assert re.fullmatch(r"[A-Za-z0-9]{9}", call["tool_call_id"])
    assert "2024-06-06" in call["arguments"]
    result = {"type": "function.result", "tool_call_id": call["tool_call_id"], "result": "2.5%"}
    answer = api.append(reply["conversation_id"], [result])
    assert answer["outputs"][0]["content"] == "2.5%"


def test_an_open_call_blocks_the_conversation(api):
    reply, call = called(api)
    path = f"/conversations/{reply['conversation_id']}"
    assert refused(api.send("POST", path, {"inputs": "hello?"}), 400, "results")["code"] == 3001
    wrong = {"type": "function.result", "tool_call_id": "nobody000", "result": "x"}
    refused(api.send("POST", path, {"inputs": [wrong]}), 400, "Unexpected tool call id")
    assert len(api.history(reply["conversation_id"])) == 2
    both = [{**wrong, "tool_call_id": call["tool_call_id"]}, {"role": "user", "content": "and now?"}]
    assert api.append(reply["conversation_id"], both)["outputs"]


def test_some_results_of_parallel_calls_are_not_enough(api):
    calls = [
        {"type": "function.call", "tool_call_id": name, "name": "get_rate", "arguments": "{}"} for name in ("a1", "b2")
    ]
    one = {"type": "function.result", "tool_call_id": "a1", "result": "1"}
    body = {"inputs": [{"role": "user", "content": "x"}, *calls, one], "model": MODEL, "store": False}
    assert refused(api.send("POST", "/conversations", body), 400, "Not the same number")["code"] == 3230
    body["inputs"].append({**one, "tool_call_id": "b2"})
    assert api.send("POST", "/conversations", body).status_code == 200


def test_a_replayed_hosted_run_is_read(api):
    inputs = [
        {"type": "message.input", "role": "user", "content": "Use Python to multiply 37 by 19."},
        {"type": "function.call", "tool_call_id": "5e0a6e2ca", "name": "code_interpreter", "arguments": "{}"},
        {"type": "function.result", "tool_call_id": "5e0a6e2ca", "result": '[{"type":"text","text":"703\\n"}]'},
        {"type": "message.output", "content": [{"type": "text", "text": "The result is **703**."}], "model": "m"},
        {"type": "message.input", "role": "user", "content": "What was the result?"},
    ]
    assert "703" in api.start(inputs, store=False)["outputs"][0]["content"]


def test_entries_of_a_reply_may_be_sent_back_as_they_came(api):
    first = api.start("hello", store=False)
    again = api.start([{"role": "user", "content": "hello"}, *first["outputs"], {"role": "user", "content": "x"}])
    assert api.history(again["conversation_id"])[1]["id"] == first["outputs"][0]["id"]


def test_concurrent_appends_follow_each_other(api):
    conversation_id = api.start("begin")["conversation_id"]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: api.append(conversation_id, f"Number {n} speaking."), range(16)))
    history = api.history(conversation_id)
    assert [entry["type"] for entry in history] == ["message.input", "message.output"] * 17
    said = [entry["content"] for entry in history[2::2]]
    assert sorted(said) == sorted(f"Number {n} speaking." for n in range(16))
    for asked, answer in zip(history[::2], history[1::2], strict=True):
        assert asked["content"] in answer["content"]


def test_data_survives_a_restart(tmp_path, standin_factory, api_of):
    first = standin_factory(data=tmp_path)
    conversation_id = api_of(first.base_url).start("My name is Ada.")["conversation_id"]
    first.stop()
    second = api_of(standin_factory(data=tmp_path).base_url)
    assert "Ada" in second.append(conversation_id, "What is my name?")["outputs"][0]["content"]


@pytest.mark.parametrize("given", [{"stop": "language"}, {"stop": ["zzz", "language"]}, {"max_tokens": 2}])
def test_stop_and_max_tokens_cut_the_text(api, given):
    text = api.start("hello", completion_args=given)["outputs"][0]["content"]
    assert "No" in text
    assert "language" not in text


def test_an_answer_by_a_schema(api):
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    wanted = {"type": "json_schema", "json_schema": {"name": "c", "schema": schema, "strict": True}}
    reply = api.start("The city is Oslo.", completion_args={"response_format": wanted})
    assert reply["outputs"][0]["content"] == '{"city": "Oslo"}'
