"""Probes of models, lists and agents."""

from __future__ import annotations

from itertools import islice

from mistral_agents.errors import ContextWindowExceededError, MistralAgentsError, UnknownModelError
from mistral_agents.verify.plan import Finding, Probe, judge, skip, tell_refusal
from mistral_agents.verify.workbench import Workbench, belongs_to_run

_ROWS = 100
"""The most rows of the account's lists that a probe reads."""


def _models(bench: Workbench) -> Finding:
    bench.wait()
    listed = bench.client.models.list()
    chats = [one for one in listed if one.can("completion_chat")]
    told = [one for one in chats if one.facts is not None]
    if not chats:
        return skip("no chat model is listed")
    ends = sum(one.retires_at is not None for one in listed)
    seen = f"{len(told)} of {len(chats)} chat models tell their context; {ends} have an end"
    return judge(len(told) == len(chats), seen, listed=len(listed), chats=len(chats), ends=ends)


def _unknown_model(bench: Workbench) -> Finding:
    try:
        bench.start("Say seven.", model=f"no-such-model-{bench.run_id}")
    except UnknownModelError as error:
        return judge(True, f"refused with {error.status_code}, code {error.code}")
    except MistralAgentsError as error:
        return judge(False, tell_refusal(error))
    return judge(False, "a turn was made")


def _list_by_metadata(bench: Workbench) -> Finding:
    bench.plain_turn()
    bench.wait()
    # The raw page: the client itself drops rows that do not fit.
    rows = bench.read_page(_ROWS, bench.metadata)
    ours = sum(belongs_to_run(row, bench.run_id) for row in rows)
    return judge(ours > 0 and ours == len(rows), f"{ours} rows of ours, {len(rows) - ours} others", rows=len(rows))


def _list_without_metadata(bench: Workbench) -> Finding:
    bench.plain_turn()
    bench.wait()
    rows = bench.read_page(_ROWS)
    ours = sum(belongs_to_run(row, bench.run_id) for row in rows)
    return judge(ours > 0, f"{ours} rows of ours, {len(rows) - ours} others", rows=len(rows))


def _new_agent(bench: Workbench) -> Finding:
    bench.wait()
    agent = bench.client.agents.create(model=bench.model, name=bench.name, metadata=bench.metadata)
    bench.keep("an agent", lambda: bench.client.agents.delete(agent["id"]))
    bench.wait()
    found = list(islice(bench.client.agents.list(name=bench.name), _ROWS))
    there = any(one.get("id") == agent["id"] for one in found)
    others = sum(one.get("name") != bench.name for one in found)
    seen = f"the new agent is {'' if there else 'not '}listed; {others} rows have another name"
    return judge(there and not others, seen, rows=len(found))


def _deleted_agent(bench: Workbench) -> Finding:
    bench.wait()
    agent = bench.client.agents.create(model=bench.model, name=f"{bench.name}-gone", metadata=bench.metadata)
    deleted = False
    bench.keep("an agent", lambda: None if deleted else bench.client.agents.delete(agent["id"]))
    turn = bench.start("Say seven.", agent_id=agent["id"])
    bench.wait()
    bench.client.agents.delete(agent["id"])
    deleted = True
    try:
        bench.append(turn, "And now eight.")
    except MistralAgentsError as error:
        return judge(True, f"the next turn is {tell_refusal(error)}")
    return judge(False, "the conversation went on")


def _long_input(bench: Workbench) -> Finding:
    facts = bench.client.models.get(bench.model).facts
    if facts is None:
        return skip("the model's context is not told")
    try:
        bench.start("seven " * (facts.context + 1000), store=False, completion_args={"max_tokens": 1})
    except MistralAgentsError as error:
        return judge(isinstance(error, ContextWindowExceededError), tell_refusal(error))
    return judge(False, "a turn was made")


ACCOUNT = (
    Probe(
        "models",
        "GET /v1/models",
        "max_context_length and deprecation of each chat model",
        "Every chat model tells its context.",
        _models,
    ),
    Probe(
        "unknown-model",
        "a turn with a model that there is not",
        "status, code and message",
        "An unknown model is refused in a way that is known as such.",
        _unknown_model,
    ),
    Probe(
        "list-by-metadata",
        "the first page of conversations, filtered by the run's metadata",
        "whether each row has it",
        "The list of conversations is filtered by metadata, and holds a new one at once.",
        _list_by_metadata,
    ),
    Probe(
        "list-without-metadata",
        "the first page of conversations",
        "whether a new one is there; other rows are counted",
        "A new conversation stands on the first page of the list.",
        _list_without_metadata,
    ),
    Probe(
        "new-agent",
        "an agent is made, then listed by its name",
        "whether it is there, and rows of other names",
        "A new agent is listed at once, and the list is filtered by name.",
        _new_agent,
    ),
    Probe(
        "deleted-agent",
        "an agent is deleted, then its conversation continued",
        "the status of the next turn",
        "A conversation can't go on once its agent is deleted.",
        _deleted_agent,
    ),
    Probe(
        "long-input",
        "an input larger than the model's context (billed only if it is taken)",
        "status and message",
        "An input that does not fit is refused as such.",
        _long_input,
        opt_in=True,
    ),
)
