"""Turns with a model that decides as the test wants: hosted tools, confirmations, handovers, failures."""

from __future__ import annotations

import json

import pytest

from mistral_agents_server.messages import chat_messages, user_entry
from mistral_agents_server.settings import LocalConnector, LocalTool

from ..support.scripted import call, calls, fail, say, stop_short

MODEL = "mistral-small-latest"
WORD = {"type": "object", "properties": {"word": {"type": "string"}}, "required": ["word"]}


def _broken(_arguments):
    raise RuntimeError("no such word")


DICTIONARY = LocalConnector(
    "dictionary",
    "Words.",
    [
        LocalTool("look_up", "Look a word up.", WORD, lambda given: f"{given['word']}: a word"),
        LocalTool("spell", "Spell a word.", WORD, lambda given: "-".join(given["word"])),
        LocalTool("break", "Always fails.", WORD, _broken),
    ],
)
CONNECTOR = {"type": "connector", "connector_id": "dictionary"}
FUNCTION = {"type": "function", "function": {"name": "ask_client", "description": "Asks.", "parameters": WORD}}


@pytest.fixture
def api(thinking):
    return thinking(connectors=[DICTIONARY])


def kinds(reply):
    return [entry["type"] for entry in reply["outputs"]]


def folded(events):
    """The outputs that the events of a stream amount to, without times."""
    found = {}
    for event in events[1:-1]:
        entry = found.setdefault(event["output_index"], {"id": event["id"], "type": event["type"].rpartition(".")[0]})
        if event["type"] == "message.output.delta":
            chunks = entry.setdefault("chunks", {})
            content = event["content"]
            key = event["content_index"]
            chunks[key] = chunks.get(key, "") + content if isinstance(content, str) else content
        elif event["type"].startswith(("tool.execution", "function.call")):
            entry["name"] = event["name"]
            entry["arguments"] = entry.get("arguments", "") + event.get("arguments", "")
            entry |= {key: event[key] for key in ("function", "info", "confirmation_status") if key in event}
        else:
            entry |= {key: event[key] for key in event if key.endswith(("agent_id", "agent_name"))}
    return [found[index] for index in sorted(found)]


def test_a_hosted_run_and_its_answer(api, scripted):
    scripted.script(call("dictionary_look_up", {"word": "mill"}), say("A mill is a word."))
    reply = api.start("What is a mill?", tools=[CONNECTOR])
    run, message = reply["outputs"]
    assert list(run) == [
        *("object", "type", "created_at", "completed_at", "model", "id", "name", "arguments", "function", "info")
    ]
    assert (run["name"], run["function"]) == ("dictionary_look_up", "dictionary_look_up")
    assert json.loads(run["arguments"]) == {"word": "mill"}
    assert run["info"] == {"result": [{"type": "text", "text": "mill: a word"}]}
    assert message["content"] == "A mill is a word."
    usage = reply["usage"]
    assert usage["connectors"] == {"dictionary": 1}
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"] + usage["connector_tokens"]
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (22, 14)
    asked = scripted.requests[1]["messages"]
    assert [message["role"] for message in asked] == ["user", "assistant", "tool"]
    assert asked[2]["content"] == "mill: a word"


def test_two_calls_of_one_id_keep_their_own_results():
    """Some models number their calls anew in each answer; rounds stay rounds, too."""
    entries = []
    for word in ("one", "two"):
        entries.append({"type": "function.call", "tool_call_id": "call00000", "name": "f", "arguments": word})
        entries.append({"type": "function.result", "tool_call_id": "call00000", "result": word.upper()})
    read = chat_messages(None, [user_entry("q"), *entries])
    assert [one["role"] for one in read] == ["user", "assistant", "tool", "assistant", "tool"]
    assert [one["content"] for one in read if one["role"] == "tool"] == ["ONE", "TWO"]


def test_parallel_runs_start_one_by_one_and_end_together(api, scripted):
    two = calls(call("dictionary_look_up", {"word": "a"}), call("dictionary_spell", {"word": "bc"}))
    scripted.script(two, say("done"))
    events = api.events("/conversations", {"inputs": "x", "model": MODEL, "tools": [CONNECTOR]})
    steps = [event["type"] for event in events if event["type"].startswith("tool.")]
    compressed = [kind for place, kind in enumerate(steps) if place == 0 or steps[place - 1] != kind]
    assert compressed == [*["tool.execution.started", "tool.execution.delta"] * 2, "tool.execution.done"]
    assert steps[-2:] == ["tool.execution.done"] * 2
    started = next(event for event in events if event["type"] == "tool.execution.started")
    assert (started["arguments"], started["function"]) == ("", "dictionary_look_up")
    done = next(event for event in events if event["type"] == "tool.execution.done")
    assert "arguments" not in done
    assert done["function"] == "dictionary_look_up"


@pytest.mark.parametrize(
    "steps",
    [
        [say("plain words")],
        [say("answer", thinking="let me think about it")],
        [say("")],
        [call("dictionary_spell", {"word": "ab"}), say("a-b")],
        [say("first", calls=[call("dictionary_spell", {"word": "ab"})]), say("second")],
        [call("ask_client", {"word": "ä"})],
        [calls(call("dictionary_spell", {"word": "ab"}), call("ask_client", {"word": "b"}))],
        [call("dictionary_break", {"word": "x"}), say("sorry")],
    ],
)
def test_stream_and_call_agree(api, scripted, steps):
    body = {"inputs": "x", "model": MODEL, "tools": [CONNECTOR, FUNCTION]}
    scripted.script(*steps)
    streamed = api.events("/conversations", body)
    outputs = folded(streamed)
    scripted.script(*steps)
    reply = api.ok("POST", "/conversations", body)
    assert [entry["type"] for entry in outputs] == kinds(reply)
    assert streamed[-1]["usage"] == reply["usage"]
    for mine, entry in zip(outputs, reply["outputs"], strict=True):
        for key in ("name", "arguments", "function", "info"):
            assert mine.get(key) == entry.get(key)
        if "chunks" in mine:
            texts = [chunk for chunk in mine["chunks"].values() if isinstance(chunk, str)]
            content = entry["content"]
            said = content if isinstance(content, str) else content[-1]["text"]
            assert "".join(texts) == said
    kept = api.history(streamed[0]["conversation_id"])[1:]
    assert [entry["id"] for entry in kept] == [entry["id"] for entry in outputs]


def test_reasoning_is_a_chunk_before_the_text(api, scripted):
    scripted.script(say("answer", thinking="because"))
    (message,) = api.start("x")["outputs"]
    assert message["content"] == [
        {"type": "thinking", "thinking": [{"type": "text", "text": "because"}], "closed": True},
        {"type": "text", "text": "answer"},
    ]


@pytest.mark.parametrize(
    ("step", "text"),
    [
        (call("dictionary_break", {"word": "x"}), "Error executing tool dictionary_break: no such word"),
        (call("dictionary_spell", "{not json"), "Error executing tool dictionary_spell: the arguments are no JSON"),
        (call("dictionary_spell", "[1]"), "Error executing tool dictionary_spell: the arguments must be a JSON object"),
    ],
)
def test_a_failed_tool_is_a_result_inside_a_200(api, scripted, step, text):
    scripted.script(step, say("sorry"))
    reply = api.start("x", tools=[CONNECTOR])
    assert reply["outputs"][0]["info"]["result"].startswith(text)
    assert reply["outputs"][1]["content"] == "sorry"


def test_hosted_runs_end_even_with_a_model_that_never_stops(api, scripted):
    def again(body):
        return say("enough") if body["tool_choice"] == "none" else call("dictionary_spell", {"word": "a"})

    scripted.always(again)
    reply = api.start("x", tools=[CONNECTOR])
    assert kinds(reply)[-1] == "message.output"
    assert kinds(reply).count("tool.execution") == 12


def test_a_hosted_run_beside_a_call_of_the_client(api, scripted):
    scripted.script(calls(call("dictionary_spell", {"word": "ab"}), call("ask_client", {"word": "b"})), say("end"))
    reply = api.start("x", tools=[CONNECTOR, FUNCTION])
    assert kinds(reply) == ["tool.execution", "function.call"]
    result = {
        "type": "function.result",
        "tool_call_id": reply["outputs"][1]["tool_call_id"],
        "result": "r",
    }
    assert api.append(reply["conversation_id"], [result])["outputs"][0]["content"] == "end"


def test_required_holds_for_the_first_step_only(api, scripted):
    scripted.script(call("ask_client", {"word": "b"}))
    api.start("x", tools=[FUNCTION], completion_args={"tool_choice": "any"})
    assert scripted.requests[0]["tool_choice"] == "required"


def test_completion_args_reach_the_model(api, scripted):
    scripted.script(say("x"))
    args = {"temperature": 0.0, "max_tokens": 5, "stop": ["q"], "random_seed": 0, "top_p": 0.5}
    api.start("x", completion_args=args, instructions="Be brief.")
    body = scripted.requests[0]
    assert (body["temperature"], body["max_tokens"], body["stop"], body["seed"], body["top_p"]) == (0, 5, ["q"], 0, 0.5)
    assert body["messages"][0] == {"role": "system", "content": "Be brief."}
    assert (body["model"], body["stream"]) == (MODEL, True)
    assert "tools" not in body


def test_include_and_exclude_choose_the_functions(api, scripted):
    for configuration, offered in [
        ({"include": ["spell"]}, ["dictionary_spell"]),
        ({"exclude": ["dictionary_break", "spell"]}, ["dictionary_look_up"]),
    ]:
        scripted.script(say("x"))
        api.start("x", tools=[{**CONNECTOR, "tool_configuration": configuration}])
        assert [tool["function"]["name"] for tool in scripted.requests[0]["tools"]] == offered


def test_an_unknown_connector_is_ignored(api, scripted):
    scripted.script(say("x"))
    assert api.start("x", tools=[{"type": "connector", "connector_id": "nobody"}])["outputs"]
    assert "tools" not in scripted.requests[0]


# --- confirmations ---

CAREFUL = {**CONNECTOR, "tool_configuration": {"requires_confirmation": ["spell"]}}


def pending(api, scripted, *steps, **fields):
    scripted.script(call("dictionary_spell", {"word": "ab"}), *steps)
    reply = api.start("x", tools=[CAREFUL, FUNCTION], **fields)
    (waiting,) = reply["outputs"]
    assert (waiting["type"], waiting["confirmation_status"]) == ("function.call", "pending")
    return reply["conversation_id"], waiting


def test_allowed_it_runs(api, scripted):
    conversation_id, waiting = pending(api, scripted, say("it is a-b"))
    allow = [{"tool_call_id": waiting["tool_call_id"], "confirmation": "allow"}]
    reply = api.append(conversation_id, tool_confirmations=allow)
    assert kinds(reply) == ["tool.execution", "message.output"]
    assert reply["outputs"][0]["info"]["result"][0]["text"] == "a-b"
    history = api.history(conversation_id)
    assert [entry["type"] for entry in history] == [
        *("message.input", "function.call", "tool.execution", "message.output")
    ]
    assert history[1]["confirmation_status"] == "allowed"
    roles = [message["role"] for message in scripted.requests[1]["messages"]]
    assert roles == ["user", "assistant", "tool"]


def test_denied_it_does_not_run(api, scripted):
    conversation_id, waiting = pending(api, scripted, say("as you wish"))
    deny = [{"tool_call_id": waiting["tool_call_id"], "confirmation": "deny"}]
    reply = api.append(conversation_id, tool_confirmations=deny)
    assert kinds(reply) == ["message.output"]
    assert api.history(conversation_id)[1]["confirmation_status"] == "denied"
    assert "not allow" in scripted.requests[1]["messages"][2]["content"]
    scripted.script(say("more"))
    assert api.append(conversation_id, "go on")["outputs"][0]["content"] == "more"


def test_a_confirmed_turn_in_a_stream(api, scripted):
    conversation_id, waiting = pending(api, scripted, say("a-b"))
    allow = [{"tool_call_id": waiting["tool_call_id"], "confirmation": "allow"}]
    events = api.events(f"/conversations/{conversation_id}", {"tool_confirmations": allow})
    assert events[1]["type"] == "tool.execution.started"
    assert events[1]["output_index"] == 0


def test_confirmations_that_do_not_fit(api, scripted):
    conversation_id, waiting = pending(api, scripted, say("unused"))
    path = f"/conversations/{conversation_id}"
    wrong = {"tool_confirmations": [{"tool_call_id": "nobody000", "confirmation": "allow"}]}
    assert api.send("POST", path, wrong).status_code == 400
    assert api.send("POST", path, {"inputs": "never mind"}).status_code == 400
    result = {"type": "function.result", "tool_call_id": waiting["tool_call_id"], "result": "r"}
    api.append(conversation_id, [result])
    late = {"tool_confirmations": [{"tool_call_id": waiting["tool_call_id"], "confirmation": "allow"}]}
    assert api.send("POST", path, late).status_code == 400


# --- handovers ---


@pytest.fixture
def team(api):
    def agent(name, **fields):
        return api.ok("POST", "/agents", {"model": MODEL, "name": name, **fields})

    second = agent("Second one", instructions="You are second.", description="Does sums.")
    first = agent("First", instructions="You are first.", handoffs=[second["id"], "ag_gone"], tools=[FUNCTION])
    return first, second


def test_a_handover_on_the_server(api, scripted, team):
    first, second = team
    scripted.script(call("transfer_to_second_one"), say("I am second."), say("still me"))
    reply = api.start("x", agent_id=first["id"])
    assert kinds(reply) == ["agent.handoff", "message.output"]
    handoff, message = reply["outputs"]
    assert (handoff["previous_agent_id"], handoff["previous_agent_name"]) == (first["id"], "First")
    assert (handoff["next_agent_id"], handoff["next_agent_name"]) == (second["id"], "Second one")
    assert message["agent_id"] == second["id"]
    assert scripted.requests[1]["messages"][0]["content"] == "You are second."
    again = api.append(reply["conversation_id"], "y")
    assert again["outputs"][0]["agent_id"] == second["id"]


def test_a_handover_left_to_the_client(api, scripted, team):
    first, _ = team
    scripted.script(call("transfer_to_second_one"))
    reply = api.start("x", agent_id=first["id"], handoff_execution="client")
    assert kinds(reply) == ["agent.handoff"]
    assert len(scripted.requests) == 1


def test_a_handover_in_a_stream(api, scripted, team):
    first, second = team
    scripted.script(call("transfer_to_second_one"), say("hi"))
    events = api.events("/conversations", {"inputs": "x", "agent_id": first["id"]})
    started, done = events[1:3]
    assert (started["type"], started["previous_agent_id"]) == ("agent.handoff.started", first["id"])
    assert (done["type"], done["next_agent_id"]) == ("agent.handoff.done", second["id"])
    assert started["id"] == done["id"]
    assert started["output_index"] == done["output_index"] == 0


def test_a_handover_makes_earlier_calls_void(api, scripted, team):
    first, _ = team
    scripted.script(calls(call("ask_client", {"word": "w"}), call("transfer_to_second_one")), say("mine now"))
    reply = api.start("x", agent_id=first["id"], handoff_execution="client")
    assert kinds(reply) == ["function.call", "agent.handoff"]
    late = {"type": "function.result", "tool_call_id": reply["outputs"][0]["tool_call_id"], "result": "r"}
    path = f"/conversations/{reply['conversation_id']}"
    refused = api.send("POST", path, {"inputs": [late]})
    assert (refused.status_code, "Unexpected tool call id" in refused.text) == (400, True)
    assert api.append(reply["conversation_id"], "go on")["outputs"][0]["content"] == "mine now"


# --- failures of the model ---


@pytest.mark.parametrize(
    ("step", "status"),
    [(fail(500), 500), (fail(400), 500), (fail(429), 429), (stop_short("half"), 503)],
)
def test_a_failing_model_is_an_error_and_nothing_is_kept(api, scripted, step, status):
    scripted.script(step, step)
    reply = api.send("POST", "/conversations", {"inputs": "x", "model": MODEL})
    assert reply.status_code == status
    events = api.events("/conversations", {"inputs": "x", "model": MODEL})
    assert events[-1]["type"] == "conversation.response.error"
    assert isinstance(events[-1]["code"], int)
    assert events[-1]["message"]
    assert api.ok("GET", "/conversations") == []


def test_a_failed_append_leaves_the_conversation_as_it_was(api, scripted):
    scripted.script(say("one"), fail(500), say("two"))
    conversation_id = api.start("x")["conversation_id"]
    assert api.send("POST", f"/conversations/{conversation_id}", {"inputs": "y"}).status_code == 500
    assert len(api.history(conversation_id)) == 2
    assert api.append(conversation_id, "y")["outputs"][0]["content"] == "two"


def test_no_model_there_is_a_503(standin_factory, api_of):
    api = api_of(standin_factory(model_url="http://127.0.0.1:9/v1").base_url)
    reply = api.send("POST", "/conversations", {"inputs": "x", "model": MODEL})
    assert (reply.status_code, reply.json()["code"]) == (503, 3000)


# --- connectors over HTTP ---


def test_connectors_are_listed_and_called(api):
    page = api.ok("GET", "/connectors")
    assert page["pagination"] == {"next_cursor": None, "page_size": 100}
    (shown,) = page["items"]
    assert shown["name"] == "dictionary"
    assert api.ok("GET", f"/connectors/{shown['id']}") == api.ok("GET", "/connectors/dictionary") == shown
    names = [tool["name"] for tool in api.ok("GET", "/connectors/dictionary/tools")]
    assert names == ["look_up", "spell", "break"]
    path = "/connectors/dictionary/tools"
    good = api.ok("POST", f"{path}/spell/call", {"arguments": {"word": "ab"}})
    assert good["content"] == [{"type": "text", "text": "a-b"}]
    bad = api.ok("POST", f"{path}/break/call", {"arguments": {"word": "ab"}})
    assert bad["metadata"]["mcp_meta"]["isError"] is True
    assert api.send("GET", "/connectors/nobody").status_code == 404
    assert api.send("POST", f"{path}/nothing/call", {}).status_code == 404
