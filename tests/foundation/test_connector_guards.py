"""Connectors: lists end, no misspelt guard goes out, calls are confirmed one by one, connectors are made and shared."""

from __future__ import annotations

import pickle
import warnings
from typing import Any

import pytest

from mistral_agents import CodeInterpreter, Connector, Conversation, MistralAgents, WebSearch, translate_tools
from mistral_agents._tools.policy import TranslationWarning
from mistral_agents.confirmation import check_rules, confirm_each, decide
from mistral_agents.entries import FunctionCall
from mistral_agents.errors import ConfigurationError, NotFoundError, UnknownToolNameError
from tests.support.connectors import METEO
from tests.support.scripted import ScriptedModel, call, calls, say

TWO = calls(call("meteo_weather", {"city": "Rome"}), call("meteo_weather", {"city": "Oslo"}))


@pytest.fixture
def served(standin_factory: Any, scripted: ScriptedModel) -> Any:
    return standin_factory(model_url=scripted.url, connectors=[METEO])


@pytest.fixture
def talker(served: Any) -> MistralAgents:
    return MistralAgents(api_key="k", base_url=served.base_url, max_retries=0)


# lists --------------------------------------------------------------------------------------------------------------


def test_every_list_ends_though_its_pages_repeat(make_client: Any, wire: Any) -> None:
    """A service that gives the same full page for ever is asked twice at most, whatever the rows are keyed by."""
    rows = [{"id": str(n), "name": f"n{n}"} for n in range(2)]
    client = make_client()
    bare = [{"name": "a"}, {"name": "b"}]
    endless: list[tuple[Any, Any]] = [
        (lambda: client.agents.list(page_size=2), {"data": rows, "next_page_token": "again"}),
        (lambda: client.conversations.list(page_size=2), rows),
        (lambda: client.libraries.list(page_size=2), {"data": rows, "next_page_token": "again"}),
        (lambda: client.files.list(page_size=2), {"data": rows}),
        (lambda: client.connectors.list(page_size=2), {"items": rows, "pagination": {"next_cursor": "again"}}),
        (lambda: client.connectors.tools("m", page_size=2), bare),
        (lambda: client.connectors.tools("m", page_size=2), [{"description": "x"}, {"description": "y"}]),
    ]
    for read, page in endless:
        wire.answer(*[(200, page)] * 2)
        before = len(wire.requests)
        assert len(list(read())) == 2
        assert len(wire.requests) - before <= 2


def test_a_list_that_shifts_while_it_is_read_goes_on(make_client: Any, wire: Any) -> None:
    """A page that repeats a row, because one came in before it, is no end."""
    wire.answer((200, [{"name": "a"}, {"name": "b"}]), (200, [{"name": "b"}, {"name": "c"}]), (200, [{"name": "d"}]))
    assert [tool.name for tool in make_client().connectors.tools("m", page_size=2)] == ["a", "b", "c", "d"]


# names --------------------------------------------------------------------------------------------------------------


def test_a_misspelt_guard_of_a_hosted_tool_is_refused_and_a_filter_warns() -> None:
    with pytest.raises(ConfigurationError, match=r"'code_interpeter'.*it has code_interpreter"):
        translate_tools([CodeInterpreter(requires_confirmation=["code_interpeter"])])
    with pytest.warns(TranslationWarning, match="exclude names 'news'"):
        translate_tools([WebSearch(exclude=["news"])])
    with pytest.raises(ConfigurationError, match="include and exclude"):
        translate_tools([WebSearch(include=["web_search"], exclude=["open_url"])])


@pytest.mark.parametrize("spelling", ["weather", "meteo_weather"])
@pytest.mark.parametrize("by_id", [True, False])
async def test_both_spellings_guard_and_the_bare_one_is_sent(
    served: Any, talker: MistralAgents, scripted: ScriptedModel, spelling: str, by_id: bool
) -> None:
    key = talker.connectors.get("meteo").id if by_id else "meteo"
    tools = [Connector(key, requires_confirmation=[spelling])]
    for stream in (True, False):
        scripted.script(call("meteo_weather", {"city": "Rome"}))
        if stream:
            turn = await talker.conversations.astart_stream("q", model="m", tools=tools).aread()
        else:
            turn = talker.conversations.start("q", model="m", tools=tools)
        assert len(turn.pending_confirmations) == 1
        sent = [seen.json for seen in served.faults.requests if seen.path == "/v1/conversations"][-1]
        assert sent["tools"][0]["tool_configuration"] == {"requires_confirmation": ["weather"]}
    agent = talker.agents.create(model="m", name="a", tools=tools)
    assert agent.tools[0]["tool_configuration"]["requires_confirmation"] == ["weather"]
    first = talker.agents.ensure("b", {"model": "m", "tools": tools})
    assert talker.agents.ensure("b", {"model": "m", "tools": tools}).version == first.version, "nothing differs"
    await talker.aclose()


async def test_a_misspelt_guard_of_a_connector_is_refused_before_anything_is_sent(
    served: Any, talker: MistralAgents
) -> None:
    tools = [Connector("meteo", requires_confirmation=["wheather"])]
    with pytest.raises(UnknownToolNameError, match=r"'wheather'.*it has weather"):
        talker.conversations.start("q", model="m", tools=tools)
    with pytest.raises(ConfigurationError, match="wheather"):
        await talker.conversations.astart("q", model="m", tools=tools)
    with pytest.raises(ConfigurationError, match="wheather"):
        Conversation(talker, model="m", tools=tools).append("q")
    with pytest.raises(ConfigurationError, match="wheather"):
        talker.agents.create(model="m", name="a", tools=tools)
    with pytest.raises(ConfigurationError, match="wheather"):
        talker.agents.ensure("a", {"model": "m", "tools": tools})
    assert {seen.method for seen in served.faults.requests} == {"GET"}
    await talker.aclose()


def test_tools_are_read_once_and_a_client_stays_picklable(
    served: Any, talker: MistralAgents, scripted: ScriptedModel
) -> None:
    scripted.always(say("ok"))
    tools = [Connector("meteo", requires_confirmation=["weather"])]
    for _ in range(2):
        talker.conversations.start("q", model="m", tools=tools)
        talker = pickle.loads(pickle.dumps(talker))
    assert [seen.path for seen in served.faults.requests].count("/v1/connectors/meteo/tools") == 1


def test_where_the_tools_cant_be_read_the_user_is_told(
    served: Any, talker: MistralAgents, scripted: ScriptedModel
) -> None:
    scripted.always(say("ok"))
    served.faults.answer(403, method="GET", path="/v1/connectors/meteo/tools")
    with pytest.warns(TranslationWarning, match="nothing tells whether requires_confirmation guards"):
        talker.conversations.start("q", model="m", tools=[Connector("meteo", requires_confirmation=["weather"])])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        talker.conversations.start("q", model="m", tools=[Connector("meteo")])


def test_a_builder_refuses_what_no_request_can_ask() -> None:
    with pytest.raises(ConfigurationError, match="include and exclude can't be given together"):
        Connector("meteo", include=["a"], exclude=["b"])
    authorization: Any = "very-secret"
    with pytest.raises(ConfigurationError, match="authorization must be a dict") as caught:
        Connector("meteo", authorization=authorization)
    assert "very-secret" not in str(caught.value)


# confirmations ------------------------------------------------------------------------------------------------------


def test_one_of_two_calls_is_decided_first(talker: MistralAgents, scripted: ScriptedModel) -> None:
    scripted.script(TWO, say("done"))
    talk = Conversation(talker, model="m", tools=[Connector("meteo", requires_confirmation=["weather"])])
    first, second = talk.append("q").pending_confirmations
    half = talk.confirm_calls({first.tool_call_id: True}).append()
    assert (half.text, [run.result for run in half.tool_executions]) == ("", ["sun in Rome"])
    assert [one.tool_call_id for one in talk.open_calls] == [second.tool_call_id]
    assert talk.confirm_calls({second.tool_call_id: False}).append().text == "done"
    assert talk.open_calls == []


def test_a_decision_may_be_told_in_words_and_others_are_refused(talker: MistralAgents, scripted: ScriptedModel) -> None:
    scripted.script(TWO, say("done"))
    talk = Conversation(talker, model="m", tools=[Connector("meteo", requires_confirmation=["weather"])])
    first, second = talk.append("q").pending_confirmations
    wrong: Any = {first.tool_call_id: "perhaps"}
    with pytest.raises(ConfigurationError, match="must give allow or deny, not 'perhaps'"):
        talk.confirm_calls(wrong)
    turn = talk.confirm_calls({first.tool_call_id: "allow", second.tool_call_id: "deny"}).append()
    assert (turn.text, [run.result for run in turn.tool_executions]) == ("done", ["sun in Rome"])


KINDS = ("started", "started by id", "branch", "resumed", "branch of a resumed one", "compacted", "agent")


def find_talk(talker: MistralAgents, scripted: ScriptedModel, kind: str) -> Conversation:
    """A conversation with a connector whose tool is allowed by its own name."""
    confirm: Any = {"weather": "allow", "*": "deny"}
    guarded = [Connector("meteo", requires_confirmation=["weather"])]
    if kind == "agent":
        agent = talker.agents.create(model="m", name="clerk", tools=guarded)
        return Conversation(talker, agent_id=agent.id, confirm=confirm)
    if kind == "started by id":
        key = talker.connectors.get("meteo")["id"]
        return Conversation(talker, model="m", tools=[{**guarded[0], "connector_id": key}], confirm=confirm)
    talk = Conversation(talker, model="m", tools=guarded, confirm=confirm)
    if kind == "started":
        return talk
    scripted.script(say("hello"), say("a summary"))
    talk.append("hello")
    if kind == "branch":
        return talk.branch()
    if kind == "compacted":
        return talk.compact()
    resumed = Conversation(talker, talk.id, confirm=confirm)
    return resumed if kind == "resumed" else resumed.branch()


@pytest.mark.parametrize("way", ["call", "stream", "acall"])
@pytest.mark.parametrize("kind", KINDS)
async def test_a_rule_by_a_connectors_own_name_holds_in_every_conversation(
    talker: MistralAgents, scripted: ScriptedModel, kind: str, way: str
) -> None:
    talk = find_talk(talker, scripted, kind)
    scripted.script(call("meteo_weather", {"city": "Rome"}), say("sunny"))
    if way == "stream":
        assert list(talk.stream("q"))
        turn = talk.last_turn
    else:
        turn = talk.append("q") if way == "call" else await talk.aappend("q")
    assert turn is not None
    assert (turn.text, [run.result for run in turn.tool_executions]) == ("sunny", ["sun in Rome"])
    assert turn.pending_confirmations == [], "what was decided on the way waits no longer"
    [asked] = [entry for entry in turn.entries if isinstance(entry, FunctionCall)]
    assert asked.confirmation_status == "allowed"


def test_connectors_that_can_not_be_read_leave_the_decision_to_the_caller(
    served: Any, talker: MistralAgents, scripted: ScriptedModel
) -> None:
    agent = talker.agents.create(model="m", name="clerk", tools=[Connector("meteo", requires_confirmation=["weather"])])
    talk = Conversation(talker, agent_id=agent.id, confirm={"weather": "allow"})
    scripted.script(call("meteo_weather", {"city": "Rome"}), say("sunny"))
    served.faults.answer(500, {"message": "no"}, method="GET", path="/agents")
    [waiting] = talk.append("q").pending_confirmations
    assert talk.confirm_calls({waiting.tool_call_id: True}).append().text == "sunny"


def test_what_can_not_decide_or_run_is_refused_before_a_turn_is_paid(client: MistralAgents) -> None:
    wrong: list[tuple[Any, str]] = [
        ({"confirm": "approve"}, "not 'approve'"),
        ({"confirm": {"weather": "yes"}}, "not 'yes'"),
        ({"confirm": {3: "allow"}}, "named by a function, not by 3"),
        ({"store": False}, "store=False can't be honoured"),
        ({"functions": [print]}, "functions by name.*not list"),
        ({"functions": {"f": "print"}}, "holds something else"),
    ]
    for given, words in wrong:
        with pytest.raises(ConfigurationError, match=words):
            Conversation(client, model="m", **given)
    other: Any = "sk-key"
    with pytest.raises(ConfigurationError, match=r"client must be a MistralAgents\(\.\.\.\), not str"):
        Conversation(other, model="m")


def test_ids_that_wait_for_nothing_are_named() -> None:
    assert [one["confirmation"] for one in confirm_each(["a", "b"], ["b"])] == ["deny", "allow"]
    assert [one["confirmation"] for one in confirm_each(["a", "b"], "a")] == ["allow", "deny"]
    assert [one["confirmation"] for one in confirm_each(["a", "b"], True)] == ["allow", "allow"]
    for allow in (["a", "c"], "c", {"c"}):
        with pytest.raises(ConfigurationError, match="'c'; the calls that wait are a, b"):
            confirm_each(["a", "b"], allow)


def test_what_is_undecided_when_something_is_said_is_denied(talker: MistralAgents, scripted: ScriptedModel) -> None:
    scripted.script(TWO, say("done"))
    talk = Conversation(talker, model="m", tools=[Connector("meteo", requires_confirmation=["weather"])])
    first, _ = talk.append("q").pending_confirmations
    turn = talk.confirm_calls({first.tool_call_id: True}).append("go on")
    assert (turn.text, len(turn.tool_executions)) == ("done", 1)


@pytest.mark.parametrize(
    ("rules", "owners", "expected"),
    [
        ({"meteo_weather": "allow"}, [], "allow"),
        ({"weather": "allow"}, ["meteo"], "allow"),
        ({"weather": "allow"}, [], None),
        ({"weather": "allow", "*": "deny"}, ["other"], "deny"),
        ({"weather": "deny", "*": "allow"}, [], "deny"),
        ({"weather": "deny", "meteo_weather": "allow"}, ["meteo"], "allow"),
        (True, [], "allow"),
        ({"weather": True}, ["meteo"], "allow"),
        ({"weather": True}, [], None),
        ({"weather": False, "*": "allow"}, [], "deny"),
    ],
)
def test_rules_take_both_spellings_and_err_on_the_safe_side(rules: Any, owners: Any, expected: Any) -> None:
    waiting = FunctionCall(type="function.call", id="1", raw={}, name="meteo_weather", tool_call_id="c", arguments="{}")
    check_rules(rules)
    found = decide(rules, [waiting], owners)
    assert (found[0]["confirmation"] if found is not None else None) == expected


# making and sharing -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["sync", "async"])
async def test_a_connector_is_made_authorized_shared_and_deleted(client: MistralAgents, way: str) -> None:
    made = client.connectors

    async def do(method: str, *args: Any, **options: Any) -> Any:
        plain = {"create": made.create, "update": made.update, "delete": made.delete, "share": made.share}
        plain |= {"unshare": made.unshare, "activate": made.activate, "deactivate": made.deactivate}
        plain |= {"auth_methods": made.auth_methods, "auth_url": made.auth_url, "credentials": made.credentials}
        plain |= {"set_credentials": made.set_credentials, "delete_credentials": made.delete_credentials}
        other = {"create": made.acreate, "update": made.aupdate, "delete": made.adelete, "share": made.ashare}
        other |= {"unshare": made.aunshare, "activate": made.aactivate, "deactivate": made.adeactivate}
        other |= {"auth_methods": made.aauth_methods, "auth_url": made.aauth_url, "credentials": made.acredentials}
        other |= {"set_credentials": made.aset_credentials, "delete_credentials": made.adelete_credentials}
        return plain[method](*args, **options) if way == "sync" else await other[method](*args, **options)

    name = f"tides_{way}"
    made_one = await do(
        "create", name=name, server="https://tides.example.org/mcp", description="d", auth_data={"client_id": "me"}
    )
    assert (await do("update", made_one.id, title="Tides")).title == "Tides"
    assert "client_id=me" in (await do("auth_url", name, method_type="oauth2")).auth_url
    assert [one.method_type for one in await do("auth_methods", name)] == ["oauth2"]
    await do("set_credentials", name, "mine", bearer_token="s3cret")
    [kept] = await do("credentials", name)
    assert (kept.name, "s3cret" in repr(kept)) == ("mine", False)
    await do("delete_credentials", name, "mine")
    await do("share", made_one.id)
    await do("unshare", made_one.id)
    await do("share", made_one.id, organization=True)
    assert client.connectors.get(name).visibility == "shared_org"
    await do("deactivate", made_one.id, "workspace")
    assert client.connectors.get(name).active is False
    await do("activate", made_one.id, "workspace")
    await do("delete", made_one.id)
    with pytest.raises(NotFoundError):
        client.connectors.get(name)
    await client.aclose()


def test_wrong_arguments_are_named_before_anything_is_sent(make_client: Any, wire: Any) -> None:
    connectors = make_client().connectors
    with pytest.raises(ConfigurationError, match="connector_id must be a UUID"):
        connectors.delete("meteo")
    with pytest.raises(ConfigurationError, match="create takes no colour"):
        connectors.create(name="a", server="https://x", description="d", colour="red")  # type: ignore[call-arg]
    with pytest.raises(ConfigurationError, match="scope must be one of"):
        connectors.credentials("meteo", "planet")  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="not both"):
        connectors.set_credentials("meteo", "a", bearer_token="x", headers={"a": "b"})
    assert wire.requests == []


# batch jobs -----------------------------------------------------------------------------------------------------------


def guarded(*names: str) -> dict[str, Any]:
    return {"type": "connector", "connector_id": "meteo", "tool_configuration": {"requires_confirmation": [*names]}}


async def test_a_misspelt_guard_in_a_batch_request_is_refused(talker: MistralAgents) -> None:
    """A request written by hand is a turn like any other: a name that guards nothing does not go out."""
    body = {"inputs": "q", "model": "m", "tools": [guarded("wether")]}
    with pytest.raises(UnknownToolNameError, match="'wether'"):
        talker.batches.create([body])
    with pytest.raises(UnknownToolNameError, match="'wether'"):
        await talker.batches.acreate([body])
    hosted = {"type": "web_search", "tool_configuration": {"requires_confirmation": ["web_serch"]}}
    with pytest.raises(UnknownToolNameError, match="web_serch"):
        talker.batches.create([{**body, "tools": [hosted]}])
    with pytest.raises(ConfigurationError, match="a batch job can't be"):
        talker.batches.create([{**body, "tools": [CodeInterpreter(timeout=3)]}])
    assert list(talker.batches.list()) == []


def test_names_in_a_batch_request_go_out_bare(make_client: Any, wire: Any) -> None:
    rows, info = [{"name": "weather"}], {"id": "c", "name": "meteo"}
    wire.answer((200, rows), (200, info), (200, {"id": "f"}), (200, {"id": "j"}))
    make_client().batches.create([{"inputs": "q", "model": "m", "tools": [guarded("meteo_weather")]}])
    uploaded = next(request for request in wire.requests if request.url.path.endswith("/files"))
    assert b'"requires_confirmation": ["weather"]' in uploaded.content
