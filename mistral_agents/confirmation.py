"""Who may run a hosted tool that waits for confirmation: allow, deny or ask, per function."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any, Literal

from mistral_agents._border.control import Questions, call_in_thread, wait_for
from mistral_agents._json import JsonDict
from mistral_agents.entries import FunctionCall
from mistral_agents.errors import ConfigurationError

Decision = Literal["allow", "deny"]
Ask = Callable[[FunctionCall], "bool | Decision | Awaitable[bool | Decision]"]
Rule = bool | Decision | Ask
Rules = Rule | Mapping[str, Rule]
"""One rule for all, or one per function name, where `*` stands for the rest.

A connector's tool may be named as conversations show it (`meteo_weather`) or by its own name (`weather`).
"""


def check_rules(rules: object) -> None:
    """Look whether rules can decide, before a turn is paid for that waits for them.

    Raises:
        ConfigurationError: One is neither `allow` nor `deny`, True nor False, nor a function; or a name is no text.
    """
    odd = next((name for name in rules if not isinstance(name, str)), None) if isinstance(rules, Mapping) else None
    if odd is not None:
        raise ConfigurationError(f"A confirmation rule is named by a function, not by {odd!r}.")
    for rule in rules.values() if isinstance(rules, Mapping) else [rules]:
        if not (rule is None or isinstance(rule, bool) or rule in ("allow", "deny") or callable(rule)):
            raise ConfigurationError(f"A confirmation rule must be allow, deny or a function, not {rule!r}.")


def hangs_on_owner(rules: Rules | None, call: FunctionCall, connectors: Collection[str]) -> bool:
    """Whether a rule would allow a call by its connector's own name, of a connector that is not among those known."""
    if not isinstance(rules, Mapping) or call.name in rules:
        return False
    allowing = [name for name, rule in rules.items() if rule in ("allow", True) and call.name.endswith(f"_{name}")]
    return any(call.name.removesuffix(f"_{name}") not in connectors for name in allowing)


def _find_rule(rules: Rules, call: FunctionCall, connectors: Collection[str]) -> Rule | None:
    if not isinstance(rules, Mapping):
        return rules
    if call.name in rules:
        return rules[call.name]
    for name in sorted(rules, key=len, reverse=True):
        owner = call.name.removesuffix(f"_{name}")
        # What allows holds for connectors that are known; what denies or asks for any owner, as the safe side.
        if owner != call.name and (owner in connectors or rules[name] not in ("allow", True)):
            return rules[name]
    return rules.get("*")


def confirm(call_id: str, answer: object, what: str) -> JsonDict:
    """A decision about a call as the service takes it.

    Args:
        call_id: The call's `tool_call_id`.
        answer: True, False, `allow` or `deny`.
        what: Who gave the answer, for errors.

    Raises:
        ConfigurationError: The answer is none of these.
    """
    if isinstance(answer, bool):
        answer = "allow" if answer else "deny"
    if answer not in ("allow", "deny"):
        raise ConfigurationError(f"{what} must give allow or deny, not {answer!r}.")
    return {"tool_call_id": call_id, "confirmation": answer}


def confirm_each(pending: Sequence[str], allow: bool | Collection[str]) -> list[JsonDict]:
    """Decisions about all calls that wait: whether all are allowed, or the ids of those that are.

    Raises:
        ConfigurationError: An id is none of a call that waits, so that a misspelt one would deny in silence.
    """
    if isinstance(allow, bool):
        return [confirm(call_id, allow, "allow") for call_id in pending]
    named = [allow] if isinstance(allow, str) else [*allow]
    foreign = [call_id for call_id in named if call_id not in pending]
    if foreign:
        waiting = ", ".join(pending) or "none"
        raise ConfigurationError(f"allow names {', '.join(map(repr, foreign))}; the calls that wait are {waiting}.")
    return [confirm(call_id, call_id in named, "allow") for call_id in pending]


def _parse_decision(call: FunctionCall, answer: object) -> JsonDict:
    return confirm(call.tool_call_id, answer, f"A confirmation rule for {call.name}")


def decide(
    rules: Rules | None,
    calls: Sequence[FunctionCall],
    connectors: Collection[str] = (),
    questions: Questions | None = None,
) -> list[JsonDict] | None:
    """The service's `tool_confirmations` for all calls; None where a rule is missing, so that the caller decides.

    Args:
        rules: The rules.
        calls: The calls that wait.
        connectors: Names of the conversation's connectors, for rules by a connector's own names.
        questions: What the exchange asked people.

    Raises:
        ConfigurationError: A rule gave something else than allow or deny.
    """
    found: list[JsonDict] = []
    with (questions if questions is not None else Questions()).asking():
        for call in calls:
            rule = _find_rule(rules, call, connectors) if rules is not None else None
            if rule is None:
                return None
            answer: Any = rule(call) if callable(rule) else rule
            found.append(_parse_decision(call, wait_for(answer) if inspect.isawaitable(answer) else answer))
    return found


async def adecide(
    rules: Rules | None,
    calls: Sequence[FunctionCall],
    connectors: Collection[str] = (),
    questions: Questions | None = None,
) -> list[JsonDict] | None:
    """As `decide`; rules may be asynchronous, others run in a thread."""
    found: list[JsonDict] = []
    with (questions if questions is not None else Questions()).asking():
        for call in calls:
            rule = _find_rule(rules, call, connectors) if rules is not None else None
            if rule is None:
                return None
            answer: Any = rule
            if callable(rule):
                answer = await call_in_thread(rule, call) if not inspect.iscoroutinefunction(rule) else rule(call)
                answer = await answer if inspect.isawaitable(answer) else answer
            found.append(_parse_decision(call, answer))
    return found


def denied(calls: Sequence[FunctionCall]) -> list[JsonDict]:
    """A denial of each call."""
    return [{"tool_call_id": call.tool_call_id, "confirmation": "deny"} for call in calls]
