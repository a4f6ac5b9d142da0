"""Probes of conversations: where they can be restarted, what they replay, how they stop."""

from __future__ import annotations

from mistral_agents._json import JsonDict
from mistral_agents.entries import Inputs, function_call, function_result
from mistral_agents.errors import GuardrailBlockedError, MistralAgentsError, RateLimitedError
from mistral_agents.turn import Turn
from mistral_agents.verify.plan import Finding, Probe, judge, skip, tell_refusal
from mistral_agents.verify.workbench import Workbench

_TEMPERATURE: JsonDict = {
    "type": "function",
    "function": {
        "name": "read_thermometer",
        "description": "The temperature outside, in degrees.",
        "parameters": {"type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"]},
    },
}


def _entry_of(bench: Workbench, turn: Turn, kind: str) -> str | None:
    bench.wait()
    history = bench.client.conversations.get_history(str(turn.conversation_id))
    return next((entry.id for entry in history.entries if entry.type == kind and entry.id), None)


def _restart(bench: Workbench, turn: Turn, entry_id: str | None, inputs: Inputs | None) -> Finding:
    if entry_id is None:
        return skip("the history shows no such entry")
    try:
        branch = bench.restart(turn, entry_id, inputs)
    except MistralAgentsError as error:
        return judge(False, tell_refusal(error))
    return judge(branch.conversation_id != turn.conversation_id, "a branch with an id of its own was made")


def _restart_from_user(bench: Workbench) -> Finding:
    turn = bench.plain_turn()
    return _restart(bench, turn, _entry_of(bench, turn, "message.input"), "Say eight.")


def _restart_at_once(bench: Workbench) -> Finding:
    turn = bench.start("Say the word nine.")
    return _restart(bench, turn, turn.last_entry_id, "Say ten.")


def _restart_without_inputs(bench: Workbench) -> Finding:
    turn = bench.plain_turn()
    return _restart(bench, turn, _entry_of(bench, turn, "message.input"), None)


def _called(bench: Workbench) -> Turn:
    ask = "Call read_thermometer for the place Rome."
    return bench.share("called", lambda: bench.start(ask, tools=[_TEMPERATURE]))


def _restart_from_call(bench: Workbench) -> Finding:
    turn = _called(bench)
    if not turn.function_calls:
        return skip("the model called no function")
    call = turn.function_calls[0]
    return _restart(bench, turn, call.id, [function_result(call.tool_call_id, "21")])


def _restart_from_result(bench: Workbench) -> Finding:
    turn = _called(bench)
    if not turn.function_calls:
        return skip("the model called no function")
    results = [function_result(call.tool_call_id, "21") for call in turn.function_calls]
    bench.share("answered", lambda: bench.append(turn, results))
    return _restart(bench, turn, _entry_of(bench, turn, "function.result"), "And in words?")


def _probe_replay(bench: Workbench) -> Finding:
    """Each kind of entry as an input of a conversation that is not kept."""
    user: JsonDict = {"type": "message.input", "role": "user", "content": "How warm is it in Rome?"}
    answer: JsonDict = {"type": "message.output", "role": "assistant", "content": "It is warm."}
    pair = [function_call("abcdefgh1", "read_thermometer", '{"place": "Rome"}'), function_result("abcdefgh1", "21")]
    run: JsonDict = {"type": "tool.execution", "name": "web_search", "arguments": "{}", "info": {}}
    again: JsonDict = {"type": "message.input", "role": "user", "content": "Say it in one word."}
    kinds = {
        "message.output": [user, answer, again],
        "function": [user, *pair],
        "tool.execution": [user, run, answer, again],
    }
    verdicts: dict[str, str] = {}
    for kind, entries in kinds.items():
        try:
            bench.start(entries, store=False, tools=[_TEMPERATURE], metadata=None)
            verdicts[kind] = "taken"
        except MistralAgentsError as error:
            verdicts[kind] = tell_refusal(error)
    seen = "; ".join(f"{kind}: {verdict}" for kind, verdict in verdicts.items())
    return judge(all(verdict == "taken" for verdict in verdicts.values()), seen, **verdicts)


def _left_early(bench: Workbench) -> Finding:
    with bench.stream("Write the numbers from one to fifty as words.") as stream:
        for _ in stream:
            break
    turn = stream.turn
    if turn.conversation_id is None:
        return skip("the stream told no conversation before it was left")
    bench.wait()
    try:
        history = bench.client.conversations.get_history(turn.conversation_id)
    except MistralAgentsError as error:
        return judge(True, f"the conversation is not there; {tell_refusal(error)}")
    answered = any(entry.type == "message.output" for entry in history.entries)
    return judge(not answered, f"{len(history.entries)} entries, {'an' if answered else 'no'} answer among them")


_LONG = "Write the numbers from one to two hundred as words."


def _tokens_left(turn: Turn) -> int | None:
    return next((quota.remaining for quota in turn.quotas if quota.name == "tokens"), None)


def _left_early_quota(bench: Workbench) -> Finding:
    """What the quota of tokens lost by a stream that was left; once more where it was filled up meanwhile."""
    found = _leave_and_count(bench)
    return found if found.verdict != "could not be tried" else _leave_and_count(bench)


def _leave_and_count(bench: Workbench) -> Finding:
    before = bench.start("Say seven.", store=False, metadata=None)
    bench.wait()
    with bench.client.conversations.start_stream(_LONG, model=bench.model, store=False) as stream:
        for event in stream:
            if event.get("type") == "message.output.delta":
                break
    after = bench.start("Say seven.", store=False, metadata=None)
    first, last = _tokens_left(before), _tokens_left(after)
    if first is None or last is None or last > first:
        return skip("the replies tell no quota of tokens, or it was filled up meanwhile")
    spent = first - last - after.usage.total_tokens
    return judge(spent < _WHOLE, f"the stream cost {max(spent, 0)} tokens of the quota", tokens=spent)


_WHOLE = 300
"""Tokens; the whole answer has more than twice as many."""
_MOST_TURNS = 300


def _retry_after(bench: Workbench) -> Finding:
    """Turns of one token, one upon the other, until one is refused; the client itself repeats some."""
    for count in range(_MOST_TURNS):
        try:
            bench.client.conversations.start(
                "Say seven.", model=bench.model, store=False, completion_args={"max_tokens": 1}
            )
        except RateLimitedError as error:
            told = error.retry_after
            seen = f"turn {count + 1} was refused; {'no wait' if told is None else f'{told:g} seconds'} told"
            return judge(told is not None, seen, turns=count + 1, code=error.code)
    return skip(f"{_MOST_TURNS} turns were all taken, repeated where need be")


def _guardrail_passes(bench: Workbench) -> Finding:
    turn = bench.start("Say the word seven.", guardrails=[_guardrail(0.99)])
    return judge(bool(turn.guardrails), "the turn has results of the check" if turn.guardrails else "no results")


def _guardrail_blocks(bench: Workbench) -> Finding:
    try:
        turn = bench.start("I hate this and I want to hurt somebody.", guardrails=[_guardrail(0.01)])
    except GuardrailBlockedError as error:
        return judge(bool(error.violations), f"blocked with {error.status_code} for {len(error.violations)} categories")
    return judge(False, "the turn was made", results=bool(turn.guardrails))


def _guardrail(threshold: float) -> JsonDict:
    categories = {"violence_and_threats": threshold, "hate_and_discrimination": threshold}
    rule = {"custom_category_thresholds": categories, "ignore_other_categories": True, "action": "block"}
    return {"moderation_llm_v2": rule, "block_on_error": False}


def _retention(bench: Workbench) -> Finding:
    turn = bench.start("Remember the word seven.", name=bench.name)
    bench.forget_last()
    return Finding("could not be tried", "asked again by --recheck", late={"conversation_id": turn.conversation_id})


def _retention_later(bench: Workbench, late: JsonDict) -> Finding:
    try:
        history = bench.client.conversations.get_history(late["conversation_id"])
    except MistralAgentsError as error:
        return judge(False, f"it is gone; {tell_refusal(error)}")
    bench.keep_conversation(late["conversation_id"])
    return judge(bool(history.entries), f"{len(history.entries)} entries are there")


_RESTART = "POST /v1/conversations/{id}/restart "
TURNS = (
    Probe(
        "restart-from-user",
        _RESTART + "from a message of the user",
        "whether a branch is made",
        "A conversation restarts from a message of the user.",
        _restart_from_user,
    ),
    Probe(
        "restart-at-once",
        _RESTART + "straight after a start",
        "whether the last entry is known",
        "A conversation restarts from the last entry of a turn that has just ended.",
        _restart_at_once,
    ),
    Probe(
        "restart-without-inputs",
        _RESTART + "without inputs",
        "whether a branch is made",
        "A restart without inputs answers again.",
        _restart_without_inputs,
    ),
    Probe(
        "restart-from-call",
        _RESTART + "from a function call, with its result",
        "whether a branch is made",
        "A conversation restarts from a function call.",
        _restart_from_call,
    ),
    Probe(
        "restart-from-result",
        _RESTART + "from the result of a function",
        "whether a branch is made",
        "A conversation restarts from the result of a function.",
        _restart_from_result,
    ),
    Probe(
        "replay",
        "a conversation that is not kept, with each kind of entry as input",
        "which kinds are taken",
        "Answers, function calls with results and tool runs are taken as input.",
        _probe_replay,
    ),
    Probe(
        "left-early",
        "a stream left at its first event, then the history",
        "whether an answer stands there",
        "A turn whose stream is left early leaves no answer in the history.",
        _left_early,
    ),
    Probe(
        "left-early-quota",
        "the quota of tokens before and after a stream left at its first words",
        "how many it lost",
        "A stream that is left early stops working and using tokens.",
        _left_early_quota,
    ),
    Probe(
        "retry-after",
        "turns of one token without a pause, until one is refused (up to 300)",
        "the refusal's Retry-After",
        "A 429 tells how long to wait.",
        _retry_after,
        opt_in=True,
    ),
    Probe(
        "guardrail-passes",
        "a harmless turn with a guardrail",
        "results of the check in the reply",
        "A turn with guardrails tells the results of the check.",
        _guardrail_passes,
    ),
    Probe(
        "guardrail-blocks",
        "a turn that breaks a low threshold",
        "status and violations",
        "A block is a 403 that names what was violated.",
        _guardrail_blocks,
    ),
    Probe(
        "retention",
        "a conversation left standing, read days later",
        "whether its entries are there",
        "A conversation is kept at least until it is asked for again.",
        _retention,
        settle=_retention_later,
    ),
)
