"""Keys and passwords stand in no local variable that a traceback keeps, in no address that is shown, in no repr."""

from __future__ import annotations

import asyncio
import copy
import json
import pickle
import traceback
import warnings
from functools import partial

import pytest

from mistral_agents import MistralAgents
from mistral_agents._http.calls import Call
from mistral_agents._http.concealed import Concealed, hide_echo, mask_credentials
from mistral_agents.errors import ConfigurationError, MistralAgentsError
from mistral_agents.tools import Connector, translate_tools

from .conftest import DONE, REPLY, STARTED, WAYS, delta, sse, take_turn

KEY, PASSWORD = "canary-key-7f3a", "canary-word-2d4e"


def locals_of(error):
    """The local variables that an error tracker keeps of our frames, of causes too."""
    found, waiting = [], [traceback.TracebackException.from_exception(error, capture_locals=True)]
    while waiting:
        one = waiting.pop()
        found += [str(frame.locals) for frame in one.stack if "mistral_agents/" in frame.filename]
        waiting += [cause for cause in (one.__cause__, one.__context__) if cause is not None]
    return "\n".join(found)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("fault", ["no JSON", "401", "page", "lost", "hangs up", "no header", "bad timeout"])
def test_no_local_variable_holds_the_key_where_something_failed(make_client, wire, way, fault):
    from mistral_agents._http import sdk

    options = {
        "no JSON": {"metadata": {"x": object()}},
        "no header": {"headers": {"x": "é"}},
        "bad timeout": {"timeout": -1},
    }
    wire.answer(
        {
            "401": (401, {"detail": "no"}),
            "page": (200, b"<html>"),
            "lost": sdk.http().ReadError("gone"),
            "hangs up": sdk.http().ConnectError("gone"),
        }.get(fault, (200, {}))
    )
    with pytest.raises(MistralAgentsError) as caught:
        take_turn(make_client(api_key=KEY, max_retries=0), way, **options.get(fault, {}))
    shown = locals_of(caught.value)
    assert "self" in shown
    assert KEY not in shown
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    "bad", [{"timeout": -1}, {"base_url": "ftp://x"}, {"max_retries": "a"}, {"headers": {"x": "é"}}]
)
def test_a_constructor_that_fails_holds_no_key(bad):
    with pytest.raises(ConfigurationError) as caught:
        MistralAgents(api_key=KEY, **bad)
    assert KEY not in locals_of(caught.value)


@pytest.mark.parametrize("key", [f"{KEY} x", f"{KEY}\n\n{KEY}", f"{KEY}é", lambda: f"{KEY} x"])
def test_a_key_that_is_refused_is_not_shown(make_client, key):
    with pytest.raises(ConfigurationError, match="API key") as caught:
        make_client(api_key=key).conversations.start("hello", model="m")
    assert KEY not in locals_of(caught.value)


def test_an_asynchronous_key_function_is_refused_without_its_key(make_client):
    async def key():
        return KEY

    with pytest.raises(ConfigurationError, match="asynchronous"):
        make_client(api_key=key).conversations.start("hello", model="m")


def test_credentials_of_the_address_are_sent_and_never_shown(make_client, wire):
    client = make_client(base_url=f"https://user:{PASSWORD}@service.test/v1")
    client.conversations.start("hello", model="m")
    assert wire.requests[0].headers["authorization"].startswith("Basic ")
    assert PASSWORD not in str(wire.requests[0].url)
    wire.answer((500, {"message": "boom"}))
    with pytest.raises(MistralAgentsError) as caught:
        client.conversations.start("hello", model="m")
    shown = [repr(client), str(vars(client)), repr(vars(client._clients)), str(caught.value), locals_of(caught.value)]
    assert not [text for text in shown if PASSWORD in text]
    assert client.base_url == "https://service.test"


def test_credentials_survive_a_copy(make_client):
    client = MistralAgents(api_key=KEY, base_url=f"https://user:{PASSWORD}@service.test")
    for twin in (copy.deepcopy(client), pickle.loads(pickle.dumps(client))):
        assert twin._clients._credentials.reveal() == f"user:{PASSWORD}"
        assert twin._clients._api_key.reveal() == KEY


@pytest.mark.parametrize(
    "url",
    [
        f"ftp://u:{PASSWORD}@host",
        f"https://u:{PASSWORD}@host:notaport",
        f"https://u:{PASSWORD}@",
        *(f"https://u:a{mark}{PASSWORD}@host" for mark in "#/? "),  # as a password may be written by mistake
        f"u:{PASSWORD}@host:8484",
        f"//u:{PASSWORD}@host",
        f"https:/u:{PASSWORD}@host",
        f"https://host/v1?key={PASSWORD}",
        f"https://host/#{PASSWORD}",
        f"https://u:{PASSWORD}@host..test",
        f"https://u:{PASSWORD}@host\n",
    ],
)
def test_a_refused_address_shows_no_password(url):
    with pytest.raises(ConfigurationError) as caught:
        MistralAgents(base_url=url)
    assert PASSWORD not in str(caught.value)
    assert PASSWORD not in locals_of(caught.value)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("to https://a:b@c/d failed", "to https://***@c/d failed"),
        ("http://a@c, ws://x:y@z", "http://***@c, ws://***@z"),
        ("https://a:b@c@d/e", "https://***@d/e"),
        ("mail me@example.org", "mail me@example.org"),
        ("https://c/d@e", "https://c/d@e"),
    ],
)
def test_credentials_are_masked_in_texts(text, masked):
    assert mask_credentials(text) == masked


def test_the_repr_of_half_made_objects_works():
    from mistral_agents._http.clients import Clients

    assert "MistralAgents" in repr(object.__new__(MistralAgents))
    assert "Clients" in repr(object.__new__(Clients))


def test_what_is_concealed_prints_as_stars():
    call = Call("x", "GET", "/x", operation=None, headers={"x-token": KEY}, body={"a": KEY})
    assert KEY not in repr(call)
    assert (repr(Concealed(KEY)), str(Concealed(KEY))) == ("***", "***")


def test_headers_of_the_client_show_their_names_only():
    client = MistralAgents(headers={"x-token": KEY})
    assert KEY not in repr(vars(client._clients))
    assert "x-token" in repr(client._clients.headers)


async def test_an_asynchronous_key_is_in_no_local_variable(make_client, wire):
    async def key():
        return KEY

    wire.answer((401, {"detail": "no"}))
    with pytest.raises(MistralAgentsError) as caught:
        await make_client(api_key=key).conversations.astart("hello", model="m")
    assert KEY not in locals_of(caught.value)
    await asyncio.sleep(0)


@pytest.mark.parametrize("wing", ["langchain", "llama_index", "agents", "tools by hand"])
def test_no_local_variable_holds_an_authorization(make_client, wire, wing):
    """What an error tracker keeps of our frames: the tools show that there is an authorization, never its value."""
    from langchain_mistral_agents import ChatMistralAgent
    from llama_index_mistral_agents import MistralAgentLLM

    gmail = Connector("gmail", authorization={"type": "api-key", "value": PASSWORD})
    client = make_client(api_key=KEY, max_retries=0)
    wire.answer((500, {"message": "boom"}), (500, {"message": "boom"}))
    actions = {
        "langchain": lambda: ChatMistralAgent(model="m", client=client, connectors=[gmail]).invoke("hello"),
        "llama_index": lambda: MistralAgentLLM("m", client=client, tools=[gmail]).complete("hello"),
        "agents": lambda: client.agents.create(model="m", name="mail", tools=[gmail]),
        "tools by hand": lambda: client.agents.create(
            model="m", name="mail", tools=translate_tools([dict(gmail)]).tools
        ),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the connector's tools can't be read here
        with pytest.raises(MistralAgentsError) as caught:
            actions[wing]()
    assert "gmail" in locals_of(caught.value)
    assert PASSWORD not in locals_of(caught.value)


BY_HAND = {"type": "connector", "connector_id": "gmail", "authorization": {"type": "api-key", "value": PASSWORD}}
HANDS = ["start", "astart", "start_stream", "astart_stream", "create", "acreate", "talk", "langchain", "llama_index"]


def use_by_hand(client, way):
    from langchain_mistral_agents import ChatMistralAgent
    from llama_index_mistral_agents import MistralAgentLLM
    from mistral_agents import Conversation

    tool = {**BY_HAND, "authorization": dict(BY_HAND["authorization"])}
    talks, agents = client.conversations, client.agents
    return {
        "start": lambda: talks.start("hello", model="m", tools=[tool]),
        "astart": lambda: asyncio.run(talks.astart("hello", model="m", tools=[tool])),
        "start_stream": lambda: talks.start_stream("hello", model="m", tools=[tool]).read(),
        "astart_stream": lambda: asyncio.run(talks.astart_stream("hello", model="m", tools=[tool]).aread()),
        "create": lambda: agents.create(model="m", name="mail", tools=[tool]),
        "acreate": lambda: asyncio.run(agents.acreate(model="m", name="mail", tools=[tool])),
        "talk": lambda: Conversation(client, model="m", tools=[tool]).append("hello"),
        "langchain": lambda: ChatMistralAgent(model="m", client=client, connectors=[tool]).invoke("hello"),
        "llama_index": lambda: MistralAgentLLM("m", client=client, tools=[tool]).complete("hello"),
    }[way]


@pytest.mark.parametrize("way", HANDS)
@pytest.mark.parametrize("status", [422, 500])
def test_an_authorization_written_by_hand_is_sent_and_never_shown(make_client, wire, way, status):
    """Neither in the frames of a failure, nor in what the service repeats of the request that it refuses."""
    wire.answer((status, {"detail": [{"loc": ["body"], "msg": "no", "input": {"tools": [BY_HAND], "key": KEY}}]}))
    with pytest.raises(MistralAgentsError) as caught:
        use_by_hand(make_client(api_key=KEY, max_retries=0), way)()
    assert wire.bodies[-1]["tools"][0]["authorization"]["value"] == PASSWORD
    error = caught.value
    shown = [locals_of(error), str(error), str(error.body), error.response.text if error.response is not None else ""]
    assert not [text for text in shown if PASSWORD in text or KEY in text]
    assert "gmail" in str(error.body)


ECHO = {"message": f"no: {PASSWORD}", "input": {"tools": [BY_HAND], "header": f"Bearer {KEY}"}}
TOLD = {
    "error event": sse(STARTED, {"type": "conversation.response.error", "code": 3000, **ECHO}),
    "error object": sse({"type": "odd", "object": "error", **ECHO}),
    "refused": sse({"type": "error", "error": {"status": 422, **ECHO}}),
    "unknown event": sse(STARTED, {"type": "odd", "error": ECHO}),
    "unreadable": sse(STARTED) + f"event: error\ndata: {json.dumps(ECHO)[:-1]}\n\n".encode(),
    "JSON": json.dumps(ECHO).encode(),
    "a failure": json.dumps({"object": "error", **ECHO}).encode(),
    "text": f"no: {PASSWORD} {KEY}".encode(),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("told", TOLD)
def test_a_failure_told_with_a_good_status_repeats_no_credential(make_client, wire, told, way):
    wire.answer((200, TOLD[told], {"content-type": "text/event-stream"}))
    with pytest.raises(MistralAgentsError) as caught:
        take_turn(make_client(api_key=KEY, max_retries=0), way, tools=[BY_HAND])
    error = caught.value
    shown = [locals_of(error), str(error), str(error.body)]
    shown += [error.response.text] if "call" in way else []  # that of a stream keeps nothing but what this test gave
    shown += [str(error.turn.raw), str(error.turn.unknown_events)] if error.turn is not None else []
    assert not [text for text in shown if PASSWORD in text or KEY in text]
    assert "***" in str(error.body)


@pytest.mark.parametrize("way", [way for way in WAYS if "call" not in way])
def test_a_stream_that_breaks_off_after_a_failure_repeats_no_credential(make_client, wire, way):
    """An answer had begun and an event is damaged, so that the message tells what the service had said before."""
    odd = {"type": "odd", "error": ECHO}
    wire.answer((200, sse(STARTED, delta("Hel"), odd) + b"data: {cut\n\n" + sse(DONE)))
    with pytest.raises(MistralAgentsError, match="had told of an error") as caught:
        take_turn(make_client(api_key=KEY, max_retries=0), way, tools=[BY_HAND])
    error = caught.value
    shown = [locals_of(error), str(error), str(error.turn.unknown_events)]
    assert not [text for text in shown if PASSWORD in text or KEY in text]


@pytest.mark.parametrize("way", WAYS)
def test_an_answer_keeps_its_words_where_they_are_those_of_the_key(make_client, wire, way):
    """Keys for a local service are often words, and an answer is paid: only reports of failures are masked."""
    said = "A test of conversation: the message is a test."
    whole = {**REPLY, "outputs": [{**REPLY["outputs"][0], "content": said}]}
    wire.answer((200, whole) if "call" in way else (200, sse(STARTED, delta(said), DONE)))
    assert take_turn(make_client(api_key="test"), way).text == said


def test_what_holds_a_tool_written_by_hand_shows_no_authorization():
    from langchain_core.load import dumps

    from langchain_mistral_agents import ChatMistralAgent
    from mistral_agents import AgentSpec

    bound = ChatMistralAgent(model="m", api_key=KEY).bind(tools=[BY_HAND])
    spec = AgentSpec.of("mail", {"model": "m", "tools": [BY_HAND]})
    assert not [text for text in (repr(bound), dumps(bound), repr(spec)) if PASSWORD in text]
    assert spec.options({})["tools"] == [BY_HAND]


@pytest.mark.parametrize("secret", ['quo"te\\n', "grün", "😀key"])
def test_an_echo_is_hidden_however_it_is_written(secret):
    body = {"tools": [{"type": "connector", "authorization": {"type": "api-key", "value": secret}}], "inputs": "key"}
    for ascii_only in (True, False):
        echo = json.dumps({"said": secret, "type": "api-key"}, ensure_ascii=ascii_only).encode()
        assert json.loads(hide_echo(echo, body, ())) == {"said": "***", "type": "api-key"}


def _langchains_holders_of_an_address():
    from langchain_mistral_agents import (
        ChatMistralAgent,
        MistralAgentRunnable,
        MistralConversationMemory,
        MistralLibraryRetriever,
    )

    given = {"api_key": KEY, "base_url": f"https://user:{PASSWORD}@service.test"}
    yield (model := ChatMistralAgent(model="m", **given)), model.mistral
    yield (runnable := MistralAgentRunnable(agent_id="ag_1", **given)), runnable.model.mistral
    yield (memory := MistralConversationMemory(**given)), memory.chat_memory.client
    yield MistralLibraryRetriever(library_ids="11111111-1111-4111-8111-111111111111", **given), None


def test_what_is_shown_or_dumped_leaves_the_credentials_of_its_address_out():
    """Dumps are logged and traced; what is loaded again goes to the same address."""
    from langchain_core.load import dumps

    for made, client in _langchains_holders_of_an_address():
        for text in (repr(made), str(made), dumps(made), str(made.model_dump()), made.model_dump_json()):
            assert PASSWORD not in text
            assert KEY not in text
        assert "https://service.test" in made.model_dump_json()
        if client is not None:
            assert client._clients._credentials.reveal() == f"user:{PASSWORD}"


LIBRARY = "01a07bff-b1ed-70bd-b7d4-34b652c070bb"
BAD = {
    "address": {"base_url": f"ftp://user:{PASSWORD}@host"},
    "unknown": {"no_such_option": 1},
    "number": {"max_retries": "many"},
    "header": {"headers": {"x-token": f"{PASSWORD}é"}},
    "two clients": {"client": MistralAgents(api_key="k")},
}


def list_makers():
    import langchain_mistral_agents as lc
    import llama_index_mistral_agents as li
    from llama_index_mistral_agents.vector_store import MistralSearchIndexVectorStore

    return {
        "client": MistralAgents,
        "chat model": partial(lc.ChatMistralAgent, model="m"),
        "runnable": partial(lc.MistralAgentRunnable, agent_id="ag_1"),
        "history": partial(lc.MistralConversationHistory, "conv_1"),
        "sessions": lc.MistralSessionHistories,
        "memory": lc.MistralConversationMemory,
        "retriever": partial(lc.MistralLibraryRetriever, library_ids=LIBRARY),
        "llm": partial(li.MistralAgentLLM, "m"),
        "index": partial(li.MistralLibraryIndex, LIBRARY),
        "reader": partial(li.MistralLibraryReader, LIBRARY),
        "vector store": partial(MistralSearchIndexVectorStore, "index"),
        "llama retriever": partial(li.MistralLibraryRetriever, LIBRARY),
        "llama memory": li.MistralConversationMemory,
    }


@pytest.mark.parametrize("maker", list_makers())
@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
def test_no_constructor_that_fails_holds_the_key_or_a_password(maker, bad):
    """Many take no such option, or look at it later: then there is nothing to see."""
    try:
        list_makers()[maker](api_key=KEY, **bad)
    except Exception as error:  # noqa: BLE001 - a framework's own kinds too
        shown = f"{error} {error!r} {locals_of(error)}"
        assert KEY not in shown
        assert PASSWORD not in shown


def ask_with_headers(client, way):
    """A turn with a credential in its own headers, in each way there is."""
    from langchain_mistral_agents import ChatMistralAgent, MistralAgentRunnable
    from llama_index_mistral_agents import MistralAgentLLM
    from mistral_agents import Conversation

    own = {"headers": {"x-api-key": PASSWORD}}
    talks = client.conversations
    ways = {
        "start": lambda: talks.start("q", model="m", **own),
        "start_stream": lambda: talks.start_stream("q", model="m", **own).read(),
        "append": lambda: talks.append("conv_1", "q", **own),
        "append_stream": lambda: talks.append_stream("conv_1", "q", **own).read(),
        "restart": lambda: talks.restart("conv_1", "e", "q", **own),
        "conversation": lambda: Conversation(client, model="m", **own).append("q"),
        "chat model": lambda: ChatMistralAgent(model="m", client=client).invoke("q", **own),
        "chat model, batch": lambda: ChatMistralAgent(model="m", client=client).batch(["q"], **own),
        "chat model, stream": lambda: list(ChatMistralAgent(model="m", client=client).stream("q", **own)),
        "runnable": lambda: MistralAgentRunnable(agent_id="ag_1", client=client).invoke("q", **own),
        "runnable, stream": lambda: list(MistralAgentRunnable(agent_id="ag_1", client=client).stream("q", **own)),
        "llm": lambda: MistralAgentLLM("m", client=client).complete("q", **own),
        "llm, stream": lambda: list(MistralAgentLLM("m", client=client).stream_complete("q", **own)),
    }
    return ways[way]()


@pytest.mark.parametrize(
    "way",
    [
        *("start", "start_stream", "append", "append_stream", "restart", "conversation", "chat model"),
        *("chat model, batch", "chat model, stream", "runnable", "runnable, stream", "llm", "llm, stream"),
    ],
)
def test_headers_of_a_call_are_in_no_local_variable_and_no_echo(make_client, wire, way):
    wire.answer((422, {"detail": f"refused: x-api-key {PASSWORD}"}))
    with pytest.raises(MistralAgentsError, match="refused") as caught:
        ask_with_headers(make_client(max_retries=0), way)
    assert wire.requests[-1].headers["x-api-key"] == PASSWORD
    assert PASSWORD not in f"{caught.value} {caught.value.body} {locals_of(caught.value)}"


@pytest.mark.parametrize(
    "told",
    [(403, {"message": f"{KEY} {PASSWORD}"}), (200, f"<p>{KEY} {PASSWORD}".encode()), (200, {"error": PASSWORD})],
)
def test_no_report_of_a_reading_repeats_a_credential(make_client, wire, told):
    """A gateway's page shows the request that it refuses; headers of the client may be its own key."""
    wire.answer(told)
    client = make_client(api_key=KEY, headers={"x-gateway-token": PASSWORD}, max_retries=0)
    with pytest.raises(MistralAgentsError) as caught:
        client.agents.get("ag_1")
    shown = f"{caught.value} {caught.value.body} {caught.value.response.text} {locals_of(caught.value)}"
    assert KEY not in shown
    assert PASSWORD not in shown


def list_connector_calls(client):
    """What takes credentials of a connector."""
    new = {"name": "tides", "server": "https://tides.test", "description": "Tides."}
    connectors = client.connectors
    return {
        "create": lambda: connectors.create(**new, headers={"x": PASSWORD}),
        "OAuth": lambda: connectors.create(**new, auth_data={"client_id": "tides", "client_secret": PASSWORD}),
        "bearer token": lambda: connectors.set_credentials("tides", "own", bearer_token=PASSWORD),
        "headers": lambda: connectors.set_credentials("tides", "own", headers={"x": PASSWORD}),
    }


@pytest.mark.parametrize("way", ["create", "OAuth", "bearer token", "headers"])
def test_credentials_of_a_connector_are_in_no_local_variable_and_no_echo(make_client, wire, way):
    wire.answer((422, {"detail": f"refused: {PASSWORD}"}))
    with pytest.raises(MistralAgentsError, match="refused") as caught:
        list_connector_calls(make_client(max_retries=0))[way]()
    assert PASSWORD in wire.requests[-1].content.decode()
    assert PASSWORD not in f"{caught.value} {caught.value.body} {locals_of(caught.value)}"


def test_the_requests_of_a_batch_job_are_in_no_local_variable_as_a_file(make_client, wire):
    wire.answer((422, {"detail": "refused"}))
    tool = {"type": "connector", "connector_id": "tides", "authorization": {"type": "api-key", "value": PASSWORD}}
    body = {"model": "m", "inputs": "q", "tools": [tool]}
    with pytest.raises(MistralAgentsError, match="refused") as caught:
        make_client(max_retries=0).batches.create([body])
    assert PASSWORD in wire.requests[-1].content.decode()
    assert PASSWORD not in locals_of(caught.value)
    with pytest.raises(ConfigurationError, match="row of a file") as refused:
        make_client(max_retries=0).batches.create([{"custom_id": "0", "body": body}])
    assert PASSWORD not in locals_of(refused.value)


def test_the_fields_of_a_model_show_no_credential():
    """`vars(model)`, as debuggers print it; the values are there all the same."""
    from langchain_mistral_agents import ChatMistralAgent, MistralAgentRunnable, MistralLibraryRetriever
    from llama_index_mistral_agents import MistralAgentLLM

    address = f"https://user:{PASSWORD}@service.test"
    own = {"base_url": address, "headers": {"x": PASSWORD}}
    chat, runnable = ChatMistralAgent(model="m", **own), MistralAgentRunnable(agent_id="ag_1", **own)
    retriever = MistralLibraryRetriever(library_ids=LIBRARY, base_url=address)
    llm = MistralAgentLLM("m", client=MistralAgents(api_key="k"), tools=[BY_HAND])
    for model in (chat, runnable, retriever, llm, copy.deepcopy(runnable), pickle.loads(pickle.dumps(chat))):
        assert PASSWORD not in repr(vars(model))
    assert (chat.base_url, chat.default_headers) == (address, {"x": PASSWORD})
    assert llm.tools == [BY_HAND]


@pytest.mark.parametrize("way", ["at once", "later", "behind a config"])
def test_headers_that_are_bound_to_a_runnable_are_sent_and_never_shown(make_client, wire, way):
    from langchain_mistral_agents import MistralAgentRunnable

    agent = MistralAgentRunnable(agent_id="ag_1", client=make_client())
    begun = {"at once": agent, "later": agent.bind(timeout=3), "behind a config": agent.with_config(tags=["a"])}[way]
    bound = begun.bind(headers={"x-api-key": PASSWORD})
    assert PASSWORD not in repr(bound)
    bound.invoke("hello")
    assert wire.requests[-1].headers["x-api-key"] == PASSWORD
