"""Agents of the service: create, read, update, delete, versions and aliases."""

from __future__ import annotations

import builtins
from collections.abc import AsyncIterator, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar, cast

from typing_extensions import Unpack

from mistral_agents._api import agents as calls
from mistral_agents._api.agents import agent_body
from mistral_agents._api.paging import awalk, by_number, by_token, walk
from mistral_agents._api.planner import Planner
from mistral_agents._api.records import Agent, Listing, Record, Records, as_record, rows_of
from mistral_agents._http.concealed import conceal_options
from mistral_agents._http.replies import Reply
from mistral_agents._http.transport import Transport
from mistral_agents._json import JsonDict
from mistral_agents._steps import Steps, arun, run
from mistral_agents._tools.policy import Policy
from mistral_agents.connector_api import Connectors
from mistral_agents.specs import AgentSpec, Ask, Change, Plan, ensure_steps, in_order, plan_steps

T = TypeVar("T")


class Alias(Record):
    """A name for a version of an agent."""

    alias: str
    version: int
    created_at: datetime
    updated_at: datetime


def _read_agent(reply: Reply) -> Agent | None:
    return as_record(Agent, reply.json()) if reply.content else None


def _list_rounds(ordered: builtins.list[AgentSpec], ids: Mapping[str, str]) -> Iterator[AgentSpec]:
    """Each specification as far as it can be had now; those of a circle come again, whole, at the end."""
    names = {spec.name for spec in ordered}
    again = []
    for spec in ordered:
        missing = [key for key in spec.handoffs or () if key in names and key not in ids]
        if missing:
            again.append(spec)
        yield replace(spec, handoffs=None) if missing else spec
    yield from again


class Agents:
    """Agents. Every method has an asynchronous twin with the prefix `a`.

    Tools are translated: what the service has no field for is enforced at each turn of the agent (a *policy*), hinted
    in its instructions, or reported as impossible, with a `TranslationWarning` for all but the first. The policy is
    kept in the agent's metadata and in this client; a client that never read the agent does not know it, so read an
    agent once (`get`, `ensure`) in a process that did not create it.

    Raises:
        ConfigurationError: An argument is wrong; nothing was sent.
        MistralAgentsError: The service or the connection failed; see `mistral_agents.errors`.
    """

    def __init__(self, transport: Transport, planner: Planner) -> None:
        self._transport = transport
        self._planner = planner

    def _learn_policy(self, data: object, version: int | str | None = None) -> Agent:
        agent = as_record(Agent, data)
        if "id" in agent:
            self._planner.effects.learn(agent, version)
            self._planner.book.set_agent(agent["id"], Policy.from_metadata(agent.get("metadata")))
        return agent

    def _make_agent(self, reply: Reply, policy: Policy | None) -> Agent:
        agent = self._learn_policy(reply.json())
        if policy is not None:
            self._planner.book.set_agent(agent["id"], policy)
        return agent

    def _new(self, model: str, name: str, options: Mapping[str, Any]) -> tuple[JsonDict, Policy | None]:
        known = calls.wire_options(options, calls.AgentOptions, "create")
        body, policy = agent_body({"model": model, "name": name, **known})
        self._planner.safeguards.check_tools(body.get("tools"))
        self._planner.notes.warn_of(model)
        return body, policy

    def _guard_body(self, body: JsonDict) -> Steps[JsonDict]:
        """The body with the connectors' own names where it configures connectors."""
        if body.get("tools") is None:
            return body
        return {**body, "tools": (yield from self._guard_tools(body["tools"]))}

    def _guard_tools(self, tools: Sequence[Mapping[str, Any]]) -> Steps[builtins.list[JsonDict]]:
        return (yield from self._planner.guards.check_tools(Connectors(self._transport), tools))

    def _guard_spec(self, spec: AgentSpec) -> Steps[AgentSpec]:
        if spec.tools is None:
            return spec
        return replace(spec, tools=(yield from self._guard_tools(spec.tools)))

    def create(self, *, model: str, name: str, **options: Unpack[calls.AgentOptions]) -> Agent:
        """Create an agent; see `AgentOptions`. Each call makes a new one: `ensure` finds one by its name first."""
        options = conceal_options(options)
        body, policy = self._new(model, name, options)
        return self._make_agent(self._transport.send(calls.create_agent_call(run(self._guard_body(body)))), policy)

    async def acreate(self, *, model: str, name: str, **options: Unpack[calls.AgentOptions]) -> Agent:
        """As `create`, without blocking."""
        options = conceal_options(options)
        body, policy = self._new(model, name, options)
        return self._make_agent(
            await self._transport.asend(calls.create_agent_call(await arun(self._guard_body(body)))), policy
        )

    def get(self, agent_id: str, *, agent_version: int | str | None = None) -> Agent:
        """Read an agent, at a version (they start at 0) or alias where given."""
        return self._learn_policy(
            self._transport.send(calls.get_agent_call(agent_id, agent_version)).json(), agent_version
        )

    async def aget(self, agent_id: str, *, agent_version: int | str | None = None) -> Agent:
        """As `get`, without blocking."""
        return self._learn_policy(
            (await self._transport.asend(calls.get_agent_call(agent_id, agent_version))).json(), agent_version
        )

    def list(self, **filters: Unpack[calls.AgentFilters]) -> Listing[Agent]:
        """The agents that this key can see, page after page; all of them, or by `AgentFilters`."""
        call = calls.list_agents_call(filters)
        return Listing(map(self._learn_policy, walk(self._transport.send, call, by_token, "data")))

    async def alist(self, **filters: Unpack[calls.AgentFilters]) -> AsyncIterator[Agent]:
        """As `list`, without blocking."""
        call = calls.list_agents_call(filters)
        async for row in awalk(self._transport.asend, call, by_token, "data"):
            yield self._learn_policy(row)

    def update(self, agent_id: str, **changes: Unpack[calls.AgentChanges]) -> Agent:
        """Change an agent, which makes a new version; where tools or metadata change, the agent is read first."""
        changes = conceal_options(changes)
        known = calls.wire_options(changes, calls.AgentChanges, "update")
        body, policy = agent_body(known, self.get(agent_id) if {"tools", "metadata"} & set(known) else None)
        self._planner.safeguards.check_tools(body.get("tools"))
        ready = run(self._guard_body(body))
        return self._make_agent(self._transport.send(calls.update_agent_call(agent_id, ready)), policy)

    async def aupdate(self, agent_id: str, **changes: Unpack[calls.AgentChanges]) -> Agent:
        """As `update`, without blocking."""
        changes = conceal_options(changes)
        known = calls.wire_options(changes, calls.AgentChanges, "update")
        body, policy = agent_body(known, await self.aget(agent_id) if {"tools", "metadata"} & set(known) else None)
        self._planner.safeguards.check_tools(body.get("tools"))
        ready = await arun(self._guard_body(body))
        return self._make_agent(await self._transport.asend(calls.update_agent_call(agent_id, ready)), policy)

    # agents as code --------------------------------------------------------------------------------------------

    def ensure(self, name: str, spec: AgentSpec | Mapping[str, Any]) -> Agent:
        """The agent of that name, as specified: created where there is none, changed only where it differs.

        Args:
            name: By which it is found; the oldest agent of that name is taken.
            spec: A specification, or its fields (`model`, `instructions`, `tools`, ...).
        """
        return self._ensure_agent(AgentSpec.of(name, spec), {})

    async def aensure(self, name: str, spec: AgentSpec | Mapping[str, Any]) -> Agent:
        """As `ensure`, without blocking."""
        return await self._aensure_agent(AgentSpec.of(name, spec), {})

    def plan(self, specs: Iterable[AgentSpec]) -> Plan:
        """What `apply` would do; nothing is changed."""
        ids: dict[str, str] = {}
        changes: dict[str, Change] = {}
        for spec in _list_rounds(in_order(specs), ids):
            change = changes[spec.name] = self._drive(plan_steps(run(self._guard_spec(spec)), ids))
            ids[spec.name] = change.agent_id if change.agent_id is not None else f"(the new {spec.name})"
        return Plan([*changes.values()])

    async def aplan(self, specs: Iterable[AgentSpec]) -> Plan:
        """As `plan`, without blocking."""
        ids: dict[str, str] = {}
        changes: dict[str, Change] = {}
        for spec in _list_rounds(in_order(specs), ids):
            ready = await arun(self._guard_spec(spec))
            change = changes[spec.name] = await self._adrive(plan_steps(ready, ids))
            ids[spec.name] = change.agent_id if change.agent_id is not None else f"(the new {spec.name})"
        return Plan([*changes.values()])

    def apply(self, specs: Iterable[AgentSpec]) -> dict[str, Agent]:
        """Have the service hold what the specifications say; the agents by name.

        `handoffs` may name other specifications, in circles too: an agent that is named before it exists is handed over
        to in a second step. Agents that no specification names are left alone.
        """
        ids: dict[str, str] = {}
        agents: dict[str, Agent] = {}
        for spec in _list_rounds(in_order(specs), ids):
            agents[spec.name] = self._ensure_agent(spec, ids)
            ids[spec.name] = agents[spec.name]["id"]
        return agents

    async def aapply(self, specs: Iterable[AgentSpec]) -> dict[str, Agent]:
        """As `apply`, without blocking."""
        ids: dict[str, str] = {}
        agents: dict[str, Agent] = {}
        for spec in _list_rounds(in_order(specs), ids):
            agents[spec.name] = await self._aensure_agent(spec, ids)
            ids[spec.name] = agents[spec.name]["id"]
        return agents

    def _ensure_agent(self, spec: AgentSpec, ids: Mapping[str, str]) -> Agent:
        self._planner.safeguards.check_tools(spec.tools)
        return self._learn_policy(dict(self._drive(ensure_steps(run(self._guard_spec(spec)), ids))))

    async def _aensure_agent(self, spec: AgentSpec, ids: Mapping[str, str]) -> Agent:
        self._planner.safeguards.check_tools(spec.tools)
        ready = await arun(self._guard_spec(spec))
        return self._learn_policy(dict(await self._adrive(ensure_steps(ready, ids))))

    def _drive(self, steps: Generator[Ask, Any, T]) -> T:
        answer: Any = None
        while True:
            try:
                ask = steps.send(answer)
            except StopIteration as end:
                return cast("T", end.value)
            if ask.rows:
                answer = builtins.list(map(Agent, walk(self._transport.send, ask.call, by_token, "data")))
            else:
                answer = _read_agent(self._transport.send(ask.call))

    async def _adrive(self, steps: Generator[Ask, Any, T]) -> T:
        answer: Any = None
        while True:
            try:
                ask = steps.send(answer)
            except StopIteration as end:
                return cast("T", end.value)
            if ask.rows:
                answer = [Agent(row) async for row in awalk(self._transport.asend, ask.call, by_token, "data")]
            else:
                answer = _read_agent(await self._transport.asend(ask.call))

    def delete(self, agent_id: str) -> None:
        """Delete an agent."""
        self._transport.send(calls.delete_agent_call(agent_id))

    async def adelete(self, agent_id: str) -> None:
        """As `delete`, without blocking."""
        await self._transport.asend(calls.delete_agent_call(agent_id))

    @contextmanager
    def ephemeral(self, *, model: str, name: str, **options: Unpack[calls.AgentOptions]) -> Iterator[Agent]:
        """An agent for the length of a `with` block; it is deleted at the end, however the block ends."""
        agent = self.create(model=model, name=name, **options)
        try:
            yield agent
        finally:
            self.delete(agent["id"])

    @asynccontextmanager
    async def aephemeral(self, *, model: str, name: str, **options: Unpack[calls.AgentOptions]) -> AsyncIterator[Agent]:
        """As `ephemeral`, without blocking."""
        agent = await self.acreate(model=model, name=name, **options)
        try:
            yield agent
        finally:
            await self.adelete(agent["id"])

    # versions and aliases --------------------------------------------------------------------------------------

    def versions(self, agent_id: str, *, page_size: int = 20) -> Listing[Agent]:
        """Every version of an agent."""
        rows = walk(self._transport.send, calls.versions_call(agent_id, page_size), by_number, "data")
        return Listing(map(Agent, rows))

    async def aversions(self, agent_id: str, *, page_size: int = 20) -> AsyncIterator[Agent]:
        """As `versions`, without blocking."""
        async for row in awalk(self._transport.asend, calls.versions_call(agent_id, page_size), by_number, "data"):
            yield Agent(row)

    def get_version(self, agent_id: str, version: int | str) -> Agent:
        """Read one version of an agent."""
        return as_record(Agent, self._transport.send(calls.version_call(agent_id, version)).json())

    async def aget_version(self, agent_id: str, version: int | str) -> Agent:
        """As `get_version`, without blocking."""
        return as_record(Agent, (await self._transport.asend(calls.version_call(agent_id, version))).json())

    def switch_version(self, agent_id: str, version: int) -> Agent:
        """Have the agent's id stand for a version."""
        return self._learn_policy(self._transport.send(calls.switch_version_call(agent_id, version)).json())

    async def aswitch_version(self, agent_id: str, version: int) -> Agent:
        """As `switch_version`, without blocking."""
        return self._learn_policy((await self._transport.asend(calls.switch_version_call(agent_id, version))).json())

    def aliases(self, agent_id: str) -> Records[Alias]:
        """The names given to versions of an agent."""
        return Records(map(Alias, rows_of(self._transport.send(calls.aliases_call(agent_id)).json(), "data")))

    async def aaliases(self, agent_id: str) -> Records[Alias]:
        """As `aliases`, without blocking."""
        reply = await self._transport.asend(calls.aliases_call(agent_id))
        return Records(map(Alias, rows_of(reply.json(), "data")))

    def set_alias(self, agent_id: str, alias: str, version: int) -> Alias:
        """Name a version, for `agent_version=`; an alias that exists is moved."""
        return as_record(Alias, self._transport.send(calls.set_alias_call(agent_id, alias, version)).json())

    async def aset_alias(self, agent_id: str, alias: str, version: int) -> Alias:
        """As `set_alias`, without blocking."""
        reply = await self._transport.asend(calls.set_alias_call(agent_id, alias, version))
        return as_record(Alias, reply.json())

    def delete_alias(self, agent_id: str, alias: str) -> None:
        """Delete an alias; the version stays."""
        self._transport.send(calls.delete_alias_call(agent_id, alias))

    async def adelete_alias(self, agent_id: str, alias: str) -> None:
        """As `delete_alias`, without blocking."""
        await self._transport.asend(calls.delete_alias_call(agent_id, alias))
