"""Agents as code: ensure, plan, apply; two processes at once; handoff graphs."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mistral_agents import CodeInterpreter, MistralAgents, WebSearch
from mistral_agents._tools.policy import Policy
from mistral_agents.errors import ConfigurationError
from mistral_agents.graph import HandoffGraph
from mistral_agents.specs import AgentSpec, in_order, load_specs
from tests.conftest import API_KEY

MODEL = "mistral-small-latest"


@pytest.fixture
def own(standin_factory: Callable[..., Any]) -> Iterator[tuple[MistralAgents, Any]]:
    served = standin_factory()
    with MistralAgents(api_key=API_KEY, base_url=served.base_url) as client:
        yield client, served


def writes(served: Any) -> list[str]:
    return [seen.method for seen in served.faults.requests if seen.method not in ("GET",)]


SPEC: dict[str, Any] = {
    "model": MODEL,
    "instructions": "Be brief.",
    "tools": [CodeInterpreter(max_iterations=2), WebSearch()],
    "completion_args": {"temperature": 0.2},
    "metadata": {"team": "a"},
}


def test_ensure_creates_once_and_changes_only_what_differs(own: Any) -> None:
    client, served = own
    agent = client.agents.ensure("helper", SPEC)
    assert writes(served) == ["POST"]
    again = client.agents.ensure("helper", SPEC)
    assert (again.id, again.version) == (agent.id, 0)
    assert writes(served) == ["POST"], "nothing differs, nothing is written"
    assert client._planner.book.of_agent(agent.id) == Policy(tool_runs={"code_interpreter": 2})
    changed = client.agents.ensure("helper", {**SPEC, "completion_args": {"temperature": 0.9}})
    assert (changed.id, changed.version, changed.completion_args["temperature"]) == (agent.id, 1, 0.9)
    assert served.faults.requests[-1].json == {"completion_args": {"temperature": 0.9, "tool_choice": "auto"}}
    fewer = client.agents.ensure("helper", {**SPEC, "tools": [WebSearch()], "instructions": "Be long."})
    assert [tool["type"] for tool in fewer.tools] == ["web_search"]
    assert fewer.instructions == "Be long."
    assert fewer.metadata == {"team": "a"}
    assert not client._planner.book.of_agent(agent.id)


def test_a_credential_that_a_pulled_file_masks_stays_as_it_is(own: Any) -> None:
    client, served = own
    secret = {"type": "oauth2-token", "value": "canary"}
    mail = {"type": "connector", "connector_id": "mail", "authorization": secret}
    client.agents.ensure("helper", {"model": MODEL, "tools": [mail]})
    pulled = {"model": MODEL, "tools": [{**mail, "authorization": "***"}]}
    assert client.agents.plan([AgentSpec.of("helper", pulled)]).nothing_to_do
    client.agents.ensure("helper", pulled)
    assert writes(served) == ["POST"]
    more = client.agents.ensure("helper", {**pulled, "tools": [*pulled["tools"], WebSearch()]})
    assert more.tools[0]["authorization"] == secret
    other = {"model": MODEL, "tools": [{"type": "connector", "connector_id": "calendar", "authorization": "***"}]}
    for name in ("helper", "new"):
        with pytest.raises(ConfigurationError, match="calendar is masked"):
            client.agents.ensure(name, other)
        with pytest.raises(ConfigurationError, match="calendar is masked"):
            client.agents.plan([AgentSpec.of(name, other)])


async def test_ensure_without_blocking_and_a_plan_before(own: Any) -> None:
    client, _ = own
    spec = AgentSpec.of("helper", SPEC)
    plan = await client.agents.aplan([spec])
    assert [(change.action, change.agent_id) for change in plan.changes] == [("create", None)]
    agent = await client.agents.aensure("helper", spec)
    assert (await client.agents.aplan([spec])).nothing_to_do
    plan = client.agents.plan([AgentSpec("helper", MODEL, instructions="Other.")])
    [change] = plan.changes
    assert (change.action, change.agent_id, list(change.differences)) == ("update", agent.id, ["instructions"])
    assert '+ "Other."' in str(plan)
    assert client.agents.get(agent.id).version == 0, "a plan changes nothing"
    await client.aclose()


PROCESS = """
import sys
from mistral_agents import MistralAgents
client = MistralAgents(api_key="test-key", base_url=sys.argv[1])
sys.stdin.readline()
print(client.agents.ensure("shared", {"model": "m", "instructions": "x"}).id)
"""


def test_two_processes_at_once_leave_one_agent(own: Any) -> None:
    client, served = own
    command = [sys.executable, "-c", PROCESS, served.base_url]
    running = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    for process in running:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    ids = {process.communicate(timeout=60)[0].strip() for process in running}
    assert len(ids) == 1
    assert [agent.id for agent in client.agents.list(name="shared")] == list(ids)


def test_many_threads_at_once_leave_one_agent(own: Any) -> None:
    client, served = own
    gate = threading.Barrier(6)
    found: list[str] = []

    def ensure() -> None:
        mine = MistralAgents(api_key=API_KEY, base_url=served.base_url)
        gate.wait()
        found.append(mine.agents.ensure("shared", {"model": MODEL}).id)

    threads = [threading.Thread(target=ensure) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(set(found)) == 1
    assert [agent.id for agent in client.agents.list(name="shared")] == found[:1]


TEAM = """
agents:
  front:
    model: mistral-small-latest
    description: Meets everyone.
    handoffs: [billing, support]
  billing:
    model: mistral-small-latest
    handoffs: [front]
  support:
    model: mistral-small-latest
    tools:
      - type: web_search
"""


async def test_a_team_is_applied_with_handoffs_in_a_circle(own: Any, tmp_path: Path) -> None:
    client, _ = own
    path = tmp_path / "team.yaml"
    path.write_text(TEAM)
    specs = load_specs(path)
    agents = client.agents.apply(specs)
    assert set(client.agents.get(agents["front"].id).handoffs) == {agents["billing"].id, agents["support"].id}
    assert client.agents.get(agents["billing"].id).handoffs == [agents["front"].id]
    assert client.agents.plan(specs).nothing_to_do
    again = await client.agents.aapply(specs)
    assert {name: agent.id for name, agent in again.items()} == {name: agent.id for name, agent in agents.items()}
    assert all(agent.version <= 1 for agent in again.values())
    drawn = HandoffGraph.of(client.agents.get(agent.id) for agent in agents.values())
    assert sorted(str(drawn).splitlines()) == ["billing → front", "front → billing, support", "support"]
    mermaid = HandoffGraph.of(specs).to_mermaid()
    assert mermaid.startswith("graph LR\n")
    assert mermaid.count("-->") == 3
    await client.aclose()


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.yaml", "agents: [", "is no YAML"),
        ("a.json", "{", "is no JSON"),
        ("a.yaml", "x: 1", "has no mapping `agents:`"),
        ("a.yaml", "agents: {a: 3}", "agent a must be a mapping"),
        ("a.yaml", "agents: {a: {model: m, colour: red}}", "agent a: unknown colour; known are"),
        ("a.json", '{"agents": {"a": {}}}', "agent a: give its model"),
        ("a.yaml", "agents: {a: {model: m}, a: {model: n}}", "has 'a' twice"),
        ("a.yaml", "agents: {a: {model: m, handoffs: coder}}", "agent a: handoffs must be a list of ids"),
        ("a.yaml", "agents: {a: {model: m, tools: web_search}}", "agent a: tools must be a list of mappings"),
        ("a.yaml", "agents: {a: {model: m, tools: [web_search]}}", "agent a: tools must be a list of mappings"),
        ("a.yaml", "agents: {a: {model: m, instructions: [be kind]}}", "agent a: instructions must be a text"),
        ("a.yaml", "agents: {a: {model: m, completion_args: 3}}", "agent a: completion_args must be a mapping"),
        ("a.json", '{"agents": {"a": {"model": "m"}, "a": {"model": "n"}}}', "has 'a' twice"),
        ("a.yaml", "agents: {a: {model: m, 1: 2, colour: red}}", "agent a: unknown 1, colour; known are"),
        ("a.yaml", "agents: {a: {model: m, metadata: {7: seven}}}", "agent a: metadata has the name 7"),
        ("a.yaml", "agents: {no: {model: m}}", "the name False of an agent is no text"),
        ("a.yaml", "agents: {1.10: {model: m}}", "the name 1.1 of an agent is no text"),
        ("a.yaml", "agents: {a: {model: m, metadata: " + "[" * 3000 + "]" * 3000 + "}}", "is nested too deeply"),
    ],
)
def test_wrong_specifications_are_refused_by_name(tmp_path: Path, name: str, text: str, words: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=words):
        load_specs(path)
    with pytest.raises(ConfigurationError, match="can't be read"):
        load_specs(tmp_path / "absent.yaml")


def test_a_date_in_a_file_is_the_text_it_is(own: Any, tmp_path: Path) -> None:
    client, _ = own
    path = tmp_path / "a.yaml"
    path.write_text("agents: {17: {model: m, metadata: {since: 2026-01-02, at: 2026-01-02T03:04:05Z}}}")
    specs = load_specs(path)
    assert specs[0].metadata == {"since": "2026-01-02", "at": "2026-01-02T03:04:05Z"}
    assert client.agents.apply(specs)["17"].metadata["since"] == "2026-01-02"
    assert client.agents.plan(specs).nothing_to_do


def test_a_pulled_file_keeps_the_limits_on_tools(own: Any) -> None:
    """It tells tools as the service holds them, and the limits in the metadata: they were taken away again."""
    client, _ = own
    limits = Policy(tool_runs={"code_interpreter": 2})
    agent = client.agents.create(model=MODEL, name="a", tools=[CodeInterpreter(max_iterations=2)])
    pulled = AgentSpec(
        "a", MODEL, instructions=agent.instructions, tools=[{"type": "code_interpreter"}], metadata=agent.metadata
    )
    assert client.agents.plan([pulled]).nothing_to_do
    assert Policy.from_metadata(client.agents.apply([pulled])["a"].metadata) == limits
    copied = client.agents.apply([AgentSpec("b", MODEL, tools=pulled.tools, metadata=pulled.metadata)])["b"]
    assert client._planner.book.of_agent(copied.id) == limits
    wider = AgentSpec("a", MODEL, tools=[CodeInterpreter(max_iterations=5)], metadata=agent.metadata)
    assert Policy.from_metadata(client.agents.apply([wider])["a"].metadata).tool_runs == {"code_interpreter": 5}
    free = client.agents.apply([AgentSpec("a", MODEL, tools=[CodeInterpreter()])])["a"]
    assert not Policy.from_metadata(free.metadata)


def test_completion_options_that_others_set_stay(own: Any) -> None:
    client, _ = own
    agent = client.agents.create(model=MODEL, name="a", completion_args={"temperature": 0.2, "max_tokens": 100})
    spec = AgentSpec("a", MODEL, completion_args={"temperature": 0.5})
    assert "max_tokens" in str(client.agents.plan([spec]))
    client.agents.apply([spec])
    held = client.agents.get(agent.id).completion_args
    assert (held["temperature"], held["max_tokens"]) == (0.5, 100)
    client.agents.apply([AgentSpec("a", MODEL, completion_args={"max_tokens": None})])
    held = client.agents.get(agent.id).completion_args
    assert (held["temperature"], held["max_tokens"]) == (0.5, None)


@pytest.mark.parametrize("agents", [None, AgentSpec("a", "m"), {"a": {"id": "ag_1", "name": "a"}}, ["a"], "a"])
def test_a_graph_is_one_of_agents(agents: Any) -> None:
    with pytest.raises(ConfigurationError, match="agents must be a list of AgentSpec or agents"):
        HandoffGraph.of(agents)


def test_specifications_are_ordered_and_unique() -> None:
    one, two = AgentSpec("one", MODEL, handoffs=["two", "ag_elsewhere"]), AgentSpec("two", MODEL)
    assert [spec.name for spec in in_order([one, two])] == ["two", "one"]
    with pytest.raises(ConfigurationError, match="two specifications of one"):
        in_order([one, one])


@pytest.mark.parametrize("suffix", ["yaml", "json"])
def test_a_file_of_an_editor_that_marks_its_encoding_is_read(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"agents.{suffix}"
    path.write_text('{"agents": {"a": {"model": "m"}}}', encoding="utf-8-sig")
    assert [spec.name for spec in load_specs(path)] == ["a"]


def test_one_specification_of_a_file_may_stand_for_two_agents(tmp_path: Path) -> None:
    path = tmp_path / "agents.yaml"
    path.write_text("agents:\n  a: &one {model: m}\n  b: *one\n  c: {<<: *one, description: d}\n")
    assert [(spec.name, spec.model) for spec in load_specs(path)] == [("a", "m"), ("b", "m"), ("c", "m")]


def test_what_is_given_once_is_read_as_often_as_needed() -> None:
    handoffs: Any = (name for name in ["b"])
    tools: Any = (tool for tool in [{"type": "web_search"}])
    spec = AgentSpec("a", "m", handoffs=handoffs, tools=tools)
    assert [each.name for each in in_order([spec, AgentSpec("b", "m")])] == ["b", "a"]
    assert spec.options({"b": "ag_2"}) == spec.options({"b": "ag_2"})
    assert spec.options({"b": "ag_2"})["handoffs"] == ["ag_2"]
    assert spec.options({})["tools"] == [{"type": "web_search"}]


@pytest.mark.parametrize(
    "specs", [None, 3, "a", AgentSpec("a", "m"), {"a": {"model": "m"}}, [{"name": "a", "model": "m"}], [None]]
)
def test_what_is_no_list_of_specifications_is_told_as_such(specs: Any) -> None:
    with pytest.raises(ConfigurationError, match="specs must be a list of AgentSpec"):
        in_order(specs)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (AgentSpec("other", "m"), "has the name 'other'"),
        ({"name": "other", "model": "m"}, "has the name 'other'"),
        (None, "give an AgentSpec or a mapping"),
        ("m", "give an AgentSpec or a mapping"),
        ({"model": "m", 1: 2}, "unknown 1; known are"),
    ],
)
def test_an_agent_is_ensured_by_one_name(spec: Any, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        AgentSpec.of("mine", spec)


@pytest.mark.parametrize("name", ["name", "model"])
@pytest.mark.parametrize("value", [None, "", 3])
def test_an_agent_has_a_name_and_a_model(name: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"{name} must be a non-empty text"):
        AgentSpec(**{"name": "a", "model": "m", name: value})
