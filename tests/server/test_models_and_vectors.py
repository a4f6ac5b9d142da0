"""Routes for other clients of the service: models, vectors, and chat."""

from __future__ import annotations

import base64
import json
import struct

import pytest
from mistralai import client as mistral_sdk
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from mistral_agents_server.search_index.hashing import embed
from mistral_agents_server.settings import LocalModel

from ..conftest import API_KEY
from ..support.running import Served
from ..support.scripted import call, fail, say, stop_short

OLD = LocalModel("old", 1000, aliases=("older",), deprecation="2026-12-01T00:00:00Z", replacement="new")


@pytest.fixture
def named(standin_factory, api_of):
    return api_of(standin_factory(models=[OLD, LocalModel("new"), LocalModel("vectors", embeds=True)]).base_url)


def test_named_models_are_listed_with_what_is_known_of_them(named):
    listed = named.ok("GET", "/models")["data"]
    assert [model["id"] for model in listed] == ["old", "new", "vectors"]
    assert listed[0]["max_context_length"] == 1000
    assert listed[0]["deprecation_replacement_model"] == "new"
    assert [model["capabilities"]["completion_chat"] for model in listed] == [True, True, False]
    assert named.ok("GET", "/models/older") == listed[0]
    assert named.send("GET", "/models/nobody").status_code == 404


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("/conversations", {"inputs": "q"}, 3003),
        ("/agents", {"name": "a"}, 3003),
        ("/chat/completions", {"messages": [{"role": "user", "content": "q"}]}, "1500"),
        ("/embeddings", {"input": "q"}, "1500"),
    ],
)
def test_other_names_are_refused_when_models_are_named(named, path, body, code):
    reply = named.send("POST", path, {"model": "nobody", **body})
    assert (reply.status_code, reply.json()["code"]) == (400, code)
    assert "nobody" in reply.json()["message"]
    assert named.send("POST", path, {"model": "older", **body}).status_code == 200


def test_an_agent_is_not_changed_to_an_unknown_model(named):
    agent = named.ok("POST", "/agents", {"model": "new", "name": "a"})
    assert named.send("PATCH", f"/agents/{agent['id']}", {"model": "nobody"}).json()["code"] == 3003


def test_any_name_is_a_model_when_none_are_named(api):
    assert {model["id"] for model in api.ok("GET", "/models")["data"]} >= {"mistral-small-latest", "mistral-embed"}
    assert api.ok("GET", "/models/my/own")["id"] == "my/own"


def test_vectors_of_hashed_words(api):
    reply = api.ok("POST", "/embeddings", {"model": "mistral-embed", "input": ["Otters swim.", "Owls"]})
    assert [row["embedding"] for row in reply["data"]] == [embed("Otters swim.", 1024), embed("Owls", 1024)]
    assert reply["model"] == "stand-in:mistral-embed"
    packed = api.ok("POST", "/embeddings", {"model": "m", "input": "Otters", "encoding_format": "base64"})
    data = base64.b64decode(packed["data"][0]["embedding"])
    assert struct.unpack("<1024f", data) == pytest.approx(embed("Otters", 1024), abs=1e-6)


@pytest.mark.parametrize("wrong", [{"input": []}, {"input": "x", "output_dimension": 0}, {"input": "x", "inputs": "x"}])
def test_wrong_requests_for_vectors_are_refused(api, wrong):
    assert api.send("POST", "/embeddings", {"model": "m", **wrong}).status_code == 422


@pytest.fixture
def engine():
    """An endpoint with vectors and models of its own."""

    async def embeddings(request):
        body = await request.json()
        engine.asked = body
        texts = body["input"] if isinstance(body["input"], list) else [body["input"]]
        data = [{"object": "embedding", "embedding": [1.0, 2.0], "index": n} for n, _ in enumerate(texts)]
        return JSONResponse({"object": "list", "data": data, "model": body["model"], "usage": {"prompt_tokens": 1}})

    async def models(_request):
        return JSONResponse({"object": "list", "data": [{"id": "tiny"}]})

    routes = [Route("/v1/embeddings", embeddings, methods=["POST"]), Route("/v1/models", models)]
    engine = Served(Starlette(routes=routes))
    yield engine
    engine.stop()


def test_vectors_and_models_are_those_of_the_endpoint_behind(engine, standin_factory, api_of):
    api = api_of(standin_factory(model_url=f"{engine.base_url}/v1/chat/completions").base_url)
    reply = api.ok("POST", "/embeddings", {"model": "tiny", "input": ["a", "b"], "output_dimension": 2})
    assert [row["embedding"] for row in reply["data"]] == [[1.0, 2.0]] * 2
    assert engine.asked == {"model": "tiny", "input": ["a", "b"], "dimensions": 2}
    assert [model["id"] for model in api.ok("GET", "/models")["data"]] == ["tiny"]


def test_an_endpoint_without_vectors_leaves_them_to_hashed_words(thinking):
    reply = thinking().ok("POST", "/embeddings", {"model": "m", "input": "Otters"})
    assert reply["data"][0]["embedding"] == embed("Otters", 1024)


# --- chat ---

TOOL = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object", "properties": {}}}}


def chat(api, **fields):
    body = {"model": "m", "messages": [{"role": "user", "content": "q"}], **fields}
    return api.ok("POST", "/chat/completions", body)


def streamed(api, **fields):
    body = {"model": "m", "messages": [{"role": "user", "content": "q"}], "stream": True, **fields}
    with api.http.stream("POST", "/v1/chat/completions", json=body) as reply:
        assert reply.status_code == 200
        return [line.removeprefix("data: ") for line in reply.read().decode().split("\n\n") if line]


def test_a_chat_answer_and_its_stream_agree(thinking, scripted):
    api = thinking()
    scripted.script(say("Hello there.", thinking="Hm."), say("Hello there.", thinking="Hm."))
    whole = chat(api)["choices"][0]
    assert whole["finish_reason"] == "stop"
    assert whole["message"]["content"][1] == {"type": "text", "text": "Hello there."}
    *lines, end = streamed(api)
    assert end == "[DONE]"
    chunks = [json.loads(line) for line in lines]
    texts = [chunk["choices"][0]["delta"].get("content") for chunk in chunks]
    assert "".join(text for text in texts if isinstance(text, str)) == "Hello there."
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
    assert chunks[-1]["usage"] == {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}


def test_calls_and_their_results_pass_through(thinking, scripted):
    api = thinking()
    scripted.script(call("look_up", {"a": 1}), say("found"))
    first = chat(api, tools=[TOOL], tool_choice="any", temperature=0.5)["choices"][0]
    [made] = first["message"]["tool_calls"]
    assert (first["finish_reason"], made["function"]) == ("tool_calls", {"name": "look_up", "arguments": '{"a": 1}'})
    assert scripted.requests[0]["tool_choice"] == "required"
    assert scripted.requests[0]["temperature"] == 0.5
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "q"}]},
        {"role": "assistant", "content": "", "tool_calls": [made]},
        {"role": "tool", "tool_call_id": made["id"], "content": "42"},
    ]
    assert chat(api, messages=messages, tools=[TOOL])["choices"][0]["message"]["content"] == "found"
    sent = scripted.requests[1]["messages"]
    assert [message["role"] for message in sent] == ["system", "user", "assistant", "tool"]
    assert sent[2]["tool_calls"][0]["id"] == sent[3]["tool_call_id"]


def test_a_failing_endpoint_is_a_status_before_the_first_word_and_an_event_after_it(thinking, scripted):
    api = thinking()
    scripted.script(fail(500), stop_short("half"))
    body = {"model": "m", "messages": [{"role": "user", "content": "q"}], "stream": True}
    assert api.send("POST", "/chat/completions", body).status_code == 500
    *_, last = streamed(api)
    assert json.loads(last)["object"] == "error"


def test_the_planner_chats_too(api):
    reply = chat(api, messages=[{"role": "user", "content": "Say what you are."}])
    assert reply["model"] == "stand-in:m"
    assert reply["choices"][0]["message"]["content"]


def test_the_sdk_starts(standin):
    with mistral_sdk.Mistral(api_key=API_KEY, server_url=standin.base_url) as sdk:
        assert sdk.models.list().data[0].id
        assert sdk.models.retrieve(model_id="mistral-small-latest").max_context_length > 0
        assert len(sdk.embeddings.create(model="mistral-embed", inputs=["a"]).data[0].embedding) == 1024
        messages = [{"role": "user", "content": "What is 2 + 2?"}]
        whole = sdk.chat.complete(model="m", messages=messages)
        assert "4" in whole.choices[0].message.content
        chunks = [event.data for event in sdk.chat.stream(model="m", messages=messages)]
        assert chunks[-1].choices[0].finish_reason == "stop"
