"""Probes of what an account's user decides, and of agents that hand over: waiting calls, unknown calls, handoffs."""

from __future__ import annotations

from mistral_agents._json import JsonDict
from mistral_agents.entries import function_result
from mistral_agents.errors import MistralAgentsError
from mistral_agents.tools import Connector, WebSearch
from mistral_agents.turn import Turn
from mistral_agents.verify.plan import Finding, Probe, judge, skip, tell_refusal
from mistral_agents.verify.workbench import Workbench

_COLOUR = "Hand over: in which colour does one paint the sky?"


# waiting calls ---------------------------------------------------------------------------------------------------


def _two_waiting(bench: Workbench) -> Turn:
    bench.wait()
    names = [str(tool.get("name")) for tool in bench.client.connectors.tools(str(bench.connector))]
    called = [f"{bench.connector}_{name}" for name in names[:2]]
    how = "each once" if len(called) > 1 else "twice, with two different arguments"
    ask = f"Call {' and '.join(called)}, {how}, at once, in one answer, for the city of Rome."
    tools = [Connector(str(bench.connector), requires_confirmation=names)]
    return bench.share("waiting", lambda: bench.start(ask, tools=tools))


def _one_of_two(bench: Workbench) -> Finding:
    if bench.connector is None:
        return skip("no --connector was given")
    turn = _two_waiting(bench)
    waiting = turn.pending_confirmations
    if len(waiting) < 2:
        return skip(f"{len(waiting)} calls wait, not two")
    decision = [{"tool_call_id": waiting[0].tool_call_id, "confirmation": "deny"}]
    try:
        bench.append(turn, tool_confirmations=decision)
    except MistralAgentsError as error:
        return judge(False, tell_refusal(error))
    return judge(True, "one of two calls was decided alone")


def _late(bench: Workbench) -> Finding:
    """A search that waits; it is denied in the end, so nothing is billed for it."""
    ask = "Search the web for the height of the Eiffel Tower."
    turn = bench.start(ask, tools=[WebSearch(requires_confirmation=["web_search"])])
    if not turn.pending_confirmations:
        return skip("no call waits for a decision")
    bench.forget_last()
    waiting = turn.pending_confirmations[0]
    late = {"conversation_id": turn.conversation_id, "tool_call_id": waiting.tool_call_id}
    return Finding("could not be tried", "a call waits; decided by --recheck", late=late)


def _late_settled(bench: Workbench, late: JsonDict) -> Finding:
    decision = [{"tool_call_id": late["tool_call_id"], "confirmation": "deny"}]
    try:
        bench.client.conversations.append(late["conversation_id"], tool_confirmations=decision)
        found = judge(True, "the decision was taken")
    except MistralAgentsError as error:
        found = judge(False, tell_refusal(error))
    bench.keep_conversation(late["conversation_id"])
    return found


def _unknown_call(bench: Workbench) -> Finding:
    turn = bench.plain_turn()
    told: dict[str, str] = {}
    results = [function_result("zzzzzzzz9", "21")]
    decisions = [{"tool_call_id": "zzzzzzzz9", "confirmation": "allow"}]
    for kind, options in (("result", {"inputs": results}), ("decision", {"tool_confirmations": decisions})):
        try:
            bench.append(turn, **options)
            told[kind] = "taken"
        except MistralAgentsError as error:
            told[kind] = tell_refusal(error)
    seen = "; ".join(f"{kind}: {verdict}" for kind, verdict in told.items())
    return judge("taken" not in told.values(), seen, **told)


# handoffs --------------------------------------------------------------------------------------------------------


def _pair(bench: Workbench) -> tuple[str, str]:
    """An agent that hands over, and the one that answers and may search."""
    return bench.share("pair", lambda: _make_pair(bench))


def _make_pair(bench: Workbench) -> tuple[str, str]:
    bench.wait()
    second = bench.client.agents.create(
        model=bench.model, name=f"{bench.name}-second", description="Answers questions about colours and paint.",
        instructions="Answer in one word.", tools=[WebSearch()], metadata=bench.metadata,
    )  # fmt: skip
    bench.keep("an agent", lambda: bench.client.agents.delete(second["id"]))
    bench.wait()
    first = bench.client.agents.create(
        model=bench.model, name=f"{bench.name}-first", handoffs=[second["id"]],
        instructions="Hand every question about colours and paint over.", metadata=bench.metadata,
    )  # fmt: skip
    bench.keep("an agent", lambda: bench.client.agents.delete(first["id"]))
    return str(first["id"]), str(second["id"])


def _handed(turn: Turn, second: str) -> Finding:
    if not turn.handoffs:
        return skip("the model did not hand over")
    answered = [
        entry for entry in turn.entries if entry.type == "message.output" and entry.raw.get("agent_id") == second
    ]
    seen = (
        f"{len(turn.handoffs)} handoff, {len(turn.tool_executions)} runs, {len(answered)} answers of the second agent"
    )
    return judge(bool(answered), seen)


def _handoff(bench: Workbench) -> Finding:
    first, second = _pair(bench)
    return _handed(bench.start(_COLOUR, agent_id=first, handoff_execution="server"), second)


def _handoff_streamed(bench: Workbench) -> Finding:
    first, second = _pair(bench)
    asked = f"{_COLOUR} Search the web for it."
    with bench.stream(asked, agent_id=first, handoff_execution="server") as stream:
        kinds = [str(event.get("type")) for event in stream]
    found = _handed(stream.turn, second)
    if found.verdict == "could not be tried":
        return found
    told = {"agent.handoff.started", "agent.handoff.done"} <= set(kinds)
    return judge(told and found.verdict == "holds", f"{found.seen}; its events are {'' if told else 'not '}told")


def _handoff_client(bench: Workbench) -> Finding:
    first, second = _pair(bench)
    turn = bench.start(_COLOUR, agent_id=first, handoff_execution="client")
    if not turn.handoffs and not turn.function_calls:
        return skip("the model did not hand over")
    answers = sum(entry.raw.get("agent_id") == second for entry in turn.entries if entry.type == "message.output")
    seen = f"{len(turn.handoffs)} handoffs, {len(turn.function_calls)} calls, {answers} answers of the second agent"
    return judge(answers == 0, seen, handoffs=len(turn.handoffs), calls=len(turn.function_calls))


def _agent_not_kept(bench: Workbench) -> Finding:
    _, second = _pair(bench)
    try:
        turn = bench.start("Say seven.", agent_id=second, store=False, metadata=None)
    except MistralAgentsError as error:
        return judge(False, tell_refusal(error))
    bench.wait()
    try:
        bench.client.conversations.get(str(turn.conversation_id))
    except MistralAgentsError as error:
        return judge(True, f"taken, and not kept; {tell_refusal(error)}")
    return judge(False, "taken, and kept all the same")


DECISIONS = (
    Probe(
        "one-of-two",
        "a decision about one of two waiting calls",
        "whether it is taken",
        "Waiting calls may be decided one by one.",
        _one_of_two,
    ),
    Probe(
        "late-confirmation",
        "a search that waits for a decision, denied days later",
        "whether the decision is taken",
        "A waiting call may be decided much later.",
        _late,
        settle=_late_settled,
    ),
    Probe(
        "unknown-call",
        "a result and a decision for a call that there is not",
        "whether they are refused",
        "Results and decisions for unknown calls are refused.",
        _unknown_call,
    ),
    Probe(
        "handoff",
        "an agent that hands over to another",
        "who answers",
        "A handoff is run by the service, and the second agent answers.",
        _handoff,
    ),
    Probe(
        "handoff-streamed",
        "a handoff in a stream, to an agent that may search the web",
        "its events, runs, and who answers",
        "A streamed handoff tells its events, and the second agent answers and may search.",
        _handoff_streamed,
        costs={"searches": 1},
    ),
    Probe(
        "handoff-client",
        'a handoff with handoff_execution="client"',
        "handoffs, calls and answers in the reply",
        "A handoff that the client is to run ends the turn.",
        _handoff_client,
    ),
    Probe(
        "agent-not-kept",
        "a turn with agent_id and store=False",
        "whether it is taken, and kept",
        "An agent's turn need not be kept.",
        _agent_not_kept,
    ),
)
