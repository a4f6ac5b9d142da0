"""Agents: tools translated, policies kept where they can be found, versions and aliases, safeguards."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from mistral_agents import CodeInterpreter, DocumentLibrary, MistralAgents, WebSearch
from mistral_agents._tools.policy import POLICY_KEY, Policy
from mistral_agents.errors import ConfigurationError, NotFoundError
from mistral_agents.security import LibraryNotAllowedError, Safeguards
from mistral_agents.tools import Connector, TranslationWarning
from tests.conftest import API_KEY

LIBRARY = "01a07bff-b1ed-70bd-b7d4-34b652c070bb"
OTHER = "01a07bff-b1ed-70bd-b7d4-34b652c070bc"
MODEL = "mistral-small-latest"


def another(client: MistralAgents, **settings: Any) -> MistralAgents:
    return MistralAgents(api_key=API_KEY, base_url=client.base_url, **settings)


def test_an_agent_goes_through_its_life(client: MistralAgents) -> None:
    agent = client.agents.create(model=MODEL, name="life", instructions="Be brief.", tools=[WebSearch()])
    assert (agent.name, agent.version, agent.tools[0]["type"]) == ("life", 0, "web_search")
    assert client.agents.get(agent.id).instructions == "Be brief."
    changed = client.agents.update(agent.id, instructions="Be long.")
    assert changed.version == 1
    assert [found.version for found in client.agents.versions(agent.id)] == [1, 0] or [
        found.version for found in client.agents.versions(agent.id)
    ] == [0, 1]
    assert client.agents.get(agent.id, agent_version=0).instructions == "Be brief."
    assert client.agents.get_version(agent.id, 0).instructions == "Be brief."
    alias = client.agents.set_alias(agent.id, "prod", 0)
    assert (alias.alias, alias.version) == ("prod", 0)
    assert [found.alias for found in client.agents.aliases(agent.id)] == ["prod"]
    assert client.agents.get(agent.id, agent_version="prod").instructions == "Be brief."
    client.agents.delete_alias(agent.id, "prod")
    assert client.agents.aliases(agent.id) == []
    assert client.agents.switch_version(agent.id, 0).instructions == "Be brief."
    assert agent.id in [found.id for found in client.agents.list(name="life")]
    client.agents.delete(agent.id)
    with pytest.raises(NotFoundError):
        client.agents.get(agent.id)


async def test_the_same_without_blocking(client: MistralAgents) -> None:
    agents = client.agents
    agent = await agents.acreate(model=MODEL, name="alife", tools=[CodeInterpreter(max_iterations=2)])
    assert (await agents.aget(agent.id)).id == agent.id
    changed = await agents.aupdate(agent.id, description="d", tools=[WebSearch(max_results=2)])
    assert Policy.from_metadata(changed.metadata) == Policy(max_citations=2), "the new tools' policy replaces the old"
    assert [found.version async for found in agents.aversions(agent.id)]
    assert (await agents.aget_version(agent.id, 0)).tools[0]["type"] == "code_interpreter"
    await agents.aset_alias(agent.id, "prod", 0)
    assert [found.version for found in await agents.aaliases(agent.id)] == [0]
    await agents.adelete_alias(agent.id, "prod")
    await agents.aswitch_version(agent.id, 0)
    assert agent.id in [found.id async for found in agents.alist(name="alife")]
    await agents.adelete(agent.id)
    async with agents.aephemeral(model=MODEL, name="short") as brief:
        assert (await agents.aget(brief.id)).name == "short"
    with pytest.raises(NotFoundError):
        await agents.aget(brief.id)
    await client.aclose()


def test_an_ephemeral_agent_is_deleted_even_when_the_block_fails(client: MistralAgents) -> None:
    kept: list[str] = []

    def use() -> None:
        with client.agents.ephemeral(model=MODEL, name="short") as agent:
            kept.append(agent.id)
            raise RuntimeError("boom")

    with pytest.raises(RuntimeError, match="boom"):
        use()
    with pytest.raises(NotFoundError):
        client.agents.get(kept[0])


def test_the_guides_tools_are_translated_with_warnings_and_the_policy_stays_findable(client: MistralAgents) -> None:
    tools = [
        {"type": "code_interpreter", "config": {"timeout": 30, "max_iterations": 5}},
        {"type": "web_search", "config": {"enable_premium_sources": True, "recency_bias": True}},
    ]
    before = copy.deepcopy(tools)
    with pytest.warns(TranslationWarning, match="recency_bias=True is hinted"):
        agent = client.beta.agents.create(
            model=MODEL, name="guide", instructions="Be brief.", tools=tools, metadata={"team": "a"}
        )
    assert tools == before
    kinds = [tool["type"] for tool in agent.tools]
    assert kinds == ["code_interpreter", "web_search_premium"]
    assert agent.instructions.startswith("Be brief.\n\nRun code at most 5 times")
    assert agent.metadata["team"] == "a"
    wanted = Policy(tool_seconds={"code_interpreter": 30}, tool_runs={"code_interpreter": 5})
    assert client._planner.book.of_agent(agent.id) == wanted
    elsewhere = another(client)
    assert not elsewhere._planner.book.of_agent(agent.id)
    elsewhere.agents.get(agent.id)
    assert elsewhere._planner.book.of_agent(agent.id) == wanted
    assert pickle.loads(pickle.dumps(elsewhere))._planner.book.of_agent(agent.id) == wanted
    changed = client.agents.update(agent.id, tools=[WebSearch()])
    assert POLICY_KEY not in changed.metadata
    assert changed.metadata["team"] == "a"
    assert not client._planner.book.of_agent(agent.id)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"model": "", "name": "x"}, "model must be a non-empty text"),
        ({"model": MODEL, "name": " "}, "name must be a non-empty text"),
        ({"model": MODEL, "name": "x", "temperature": 1}, "create takes no temperature; it takes completion_args"),
    ],
)
def test_wrong_arguments_are_refused_by_name(client: MistralAgents, arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        client.agents.create(**arguments)
    with pytest.raises(ConfigurationError, match="nothing to change"):
        client.agents.update("ag_1")


def test_a_secret_of_an_agents_tool_shows_in_no_text_form(client: MistralAgents) -> None:
    tool = Connector("gmail", authorization={"type": "api-key", "value": "s3cret"})
    agent = client.agents.create(model=MODEL, name="secret", tools=[tool])
    assert "s3cret" not in repr(agent)
    assert "s3cret" not in str(agent)


# safeguards ---------------------------------------------------------------------------------------------------------


def test_libraries_off_the_allow_list_are_refused_before_anything_is_sent(client: MistralAgents) -> None:
    guarded = another(client, safeguards=Safeguards(allowed_library_ids={OTHER}))
    for refused in (
        lambda: guarded.agents.create(model=MODEL, name="x", tools=[DocumentLibrary(LIBRARY)]),
        lambda: guarded.conversations.start("hi", model=MODEL, tools=[DocumentLibrary([OTHER, LIBRARY])]),
    ):
        with pytest.raises(LibraryNotAllowedError, match=LIBRARY):
            refused()
    assert guarded.agents.create(model=MODEL, name="fine", tools=[DocumentLibrary(OTHER)]).id


async def test_an_agent_and_those_it_hands_over_to_are_read_and_checked(client: MistralAgents) -> None:
    inner = client.agents.create(model=MODEL, name="inner", tools=[DocumentLibrary(LIBRARY)])
    outer = client.agents.create(model=MODEL, name="outer", handoffs=[inner.id])
    guarded = another(client, safeguards=Safeguards(allowed_library_ids=[OTHER]))
    with pytest.raises(LibraryNotAllowedError, match="agent inner"):
        guarded.conversations.start("hi", agent_id=outer.id)
    with pytest.raises(LibraryNotAllowedError):
        await guarded.conversations.astart("hi", agent_id=outer.id)
    with pytest.raises(LibraryNotAllowedError):
        guarded.conversations.start_stream("hi", agent_id=outer.id).read()
    with pytest.raises(LibraryNotAllowedError):
        await guarded.conversations.astart_stream("hi", agent_id=outer.id).aread()
    plain = client.agents.create(model=MODEL, name="plain")
    assert guarded.conversations.start("hi", agent_id=plain.id).text
    await guarded.aclose()


@pytest.mark.parametrize(
    "odd",
    [
        {"tools": 5},
        {"tools": {"type": "document_library"}},
        {"tools": ["document_library"]},
        {"tools": [{"type": "document_library", "library_ids": 7}]},
        {"tools": [{"type": "document_library", "library_ids": OTHER}]},
        {"tools": [{"type": "document_library", "library_ids": [[OTHER]]}]},
        {"handoffs": 5},
        {"handoffs": [{"id": "ag_2"}]},
    ],
)
def test_an_agent_whose_libraries_can_not_be_read_is_not_allowed(odd: dict[str, Any]) -> None:
    reading = Safeguards(allowed_library_ids={OTHER}).agents_to_check("ag_1")
    assert next(reading) == "ag_1"
    with pytest.raises(LibraryNotAllowedError, match=r"agent odd: the .* can't be read"):
        reading.send({"id": "ag_1", "name": "odd", **odd})


async def test_what_a_batch_job_uses_and_says_is_checked_too(client: MistralAgents) -> None:
    inner = client.agents.create(model=MODEL, name="inner", tools=[DocumentLibrary(LIBRARY)])
    outer = client.agents.create(model=MODEL, name="outer", handoffs=[inner.id])
    hide = Safeguards(allowed_library_ids=[OTHER], redact=lambda text: text.replace("Ada", "[name]"))
    guarded = another(client, safeguards=hide)
    for bodies, options in (
        ([{"inputs": "hi"}], {"agent_id": outer.id}),
        ([{"inputs": "hi", "agent_id": outer.id}], {}),
        ([{"inputs": "hi", "model": MODEL, "tools": [DocumentLibrary(LIBRARY)]}], {}),
    ):
        with pytest.raises(LibraryNotAllowedError, match=LIBRARY):
            guarded.batches.create(bodies, **options)
        with pytest.raises(LibraryNotAllowedError, match=LIBRARY):
            await guarded.batches.acreate(bodies, **options)
    entries = [{"type": "message.input", "role": "user", "content": "I am Ada."}]
    job = guarded.batches.create([{"inputs": "I am Ada.", "model": MODEL}, {"inputs": entries, "model": MODEL}])
    sent = client.files.download(guarded.batches.wait(job.id)["input_files"][0]).decode()
    assert (sent.count("[name]"), sent.count("Ada")) == (2, 0)
    await guarded.aclose()


def test_inputs_are_redacted_before_they_leave(client: MistralAgents) -> None:
    guarded = another(client, safeguards=Safeguards(redact=lambda text: text.replace("Ada Lovelace", "[name]")))
    turn = guarded.conversations.start("I am Ada Lovelace.", model=MODEL)
    assert turn.conversation_id
    chunks = [{"type": "text", "text": "Again: Ada Lovelace"}]
    guarded.conversations.append(turn.conversation_id, [{"type": "message.input", "role": "user", "content": chunks}])
    history = client.conversations.get_history(turn.conversation_id)
    said = [entry.text for entry in history.entries if entry.type == "message.input"]
    assert said == ["I am [name].", "Again: [name]"]
    broken = another(client, safeguards=Safeguards(redact=lambda text: None))  # type: ignore[arg-type,return-value]
    with pytest.raises(ConfigurationError, match="redact must return a text"):
        broken.conversations.start("x", model=MODEL)


def test_hints_that_cannot_be_sent_with_an_agent_are_not_lost_in_silence(make_client: Any) -> None:
    with (
        pytest.warns(TranslationWarning, match="recency_bias"),
        pytest.warns(TranslationWarning, match="these hints are lost"),
    ):
        make_client().conversations.start("hi", agent_id="ag_1", tools=[WebSearch(recency_bias=True)])
