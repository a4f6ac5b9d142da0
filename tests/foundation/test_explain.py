"""Timelines, footnotes, prices, histories in other forms."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import pytest

from mistral_agents import Turn
from mistral_agents.costs import BudgetExceededError, Meter, Prices
from mistral_agents.entries import parse_entries
from mistral_agents.errors import ConfigurationError
from mistral_agents.history import History
from mistral_agents.usage import Usage

DAY = "2026-09-07T13:12:"


def run(name: str, function: str, start: float, end: float, arguments: str, **more: Any) -> dict[str, Any]:
    return {
        "type": "tool.execution",
        "id": f"t_{function}_{start}",
        "name": name,
        "function": function,
        "arguments": arguments,
        "created_at": f"{DAY}{start:05.2f}Z",
        "completed_at": f"{DAY}{end:05.2f}Z",
        "model": "m",
        "info": {"result": "ok"},
        **more,
    }


OUTPUTS = [
    run("web_search", "web_search", 1, 3, '{"query": "robots"}'),
    run("code_interpreter", "code_interpreter", 2, 4.5, '{"code": "print(42)"}'),
    run("document_library", "library_search", 5, 6, "{}", info={"result": "Error executing tool library_search: no"}),
    {"type": "agent.handoff", "id": "h", "next_agent_name": "clerk", "created_at": f"{DAY}06.50Z"},
    {
        "type": "function.call",
        "id": "f",
        "name": "pay",
        "tool_call_id": "c1",
        "arguments": "{}",
        "confirmation_status": "pending",
    },
    {"type": "function.result", "id": "r", "tool_call_id": "c1", "result": "paid"},
    {
        "type": "message.output",
        "id": "msg",
        "role": "assistant",
        "created_at": f"{DAY}07.00Z",
        "completed_at": f"{DAY}07.25Z",
        "content": [
            {"type": "text", "text": "Seven"},
            {"type": "tool_reference", "url": "https://a.test", "title": "A"},
            {"type": "text", "text": "."},
        ],
    },
    {"type": "memory.recall", "id": "x"},
]
USAGE = {
    "prompt_tokens": 1_000_000,
    "completion_tokens": 500_000,
    "connector_tokens": 0,
    "total_tokens": 1_500_000,
    "connectors": {"web_search": 2},
}
TURN = Turn.from_response({"conversation_id": "conv_1", "outputs": OUTPUTS, "usage": USAGE})
PRICES = Prices(tokens={"m": (0.1, 0.3)}, calls={"web_search": 0.03}, currency="EUR")


def test_a_turn_is_explained_as_a_timeline() -> None:
    told = TURN.explain(PRICES)
    assert [(step.at, step.what, step.seconds) for step in told.steps[:3]] == [
        (0, "ran web_search", 2),
        (1, "ran code_interpreter", 2.5),
        (4, "ran library_search", 1),
    ]
    assert [step.detail for step in told.steps[:2]] == ["robots", "print(42)"]
    assert [step.failed for step in told.steps[:3]] == [False, False, True]
    assert told.overlap == pytest.approx(1.0), "two tools ran at once for one second, by their timestamps"
    assert told.price == pytest.approx(0.1 + 0.15 + 0.06)
    text = str(told)
    for words in ("handed over to clerk", "called pay (waits for confirmation)", "answered a call", "memory.recall",
                  "FAILED", "1500000 tokens · web_search 2 · 0.3100 EUR · tools overlapped for 1.00 s"):  # fmt: skip
        assert words in text
    assert Turn.from_response({}).explain().steps == []


def test_prices_are_the_callers_own() -> None:
    assert Prices().of(TURN.usage, "m") is None
    assert Prices(tokens={"*": (0, 0)}, calls={"web_search": 1}).of(TURN.usage, None) == 2


def test_sources_become_footnotes() -> None:
    assert TURN.footnotes() == "Seven[1].\n\n[1] A (web, https://a.test)"
    hit = '{"k": {"url": "d1", "title": "facts.txt", "metadata": {"relevant_pages": [2, 3]}}}'
    library = {
        "type": "tool.execution",
        "name": "document_library",
        "function": "library_search",
        "info": {"result": hit},
    }
    said = {"type": "message.output", "content": "Robots."}
    found = Turn.from_response({"outputs": [library, said]}).footnotes()
    assert found == "Robots.[1]\n\n[1] facts.txt, p. 3, 4 (library, d1)"
    assert Turn.from_response({"outputs": [said]}).footnotes() == "Robots."


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"max_tokens": "many"}, "max_tokens='many'"),
        ({"max_tokens": -1}, "max_tokens=-1"),
        ({"max_cost": "1"}, "max_cost='1'"),
        ({"max_cost": 1}, "max_cost=1 can't be honoured: without prices="),
        ({"max_cost": 1, "prices": Prices()}, "max_cost=1 can't be honoured: without prices="),
        ({"max_calls": 5}, "max_calls=5"),
        ({"max_calls": {"web_search": "x"}}, "max_calls="),
        ({"keep_free": ["web-search"]}, "keep_free="),
        ({"prices": {"m": (1, 1)}}, r"prices must be Prices\(...\), not dict"),
    ],
)
def test_a_limit_that_is_none_is_refused_before_a_turn_is_paid(settings: Any, named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        Meter(**settings)


def test_no_limit_may_be_infinity_and_numbers_of_any_kind_are_numbers() -> None:
    prices: Any = Prices({"*": (Fraction(1, 2), 2)})  # as NumPy's, which are no int or float either
    limits: Any = {"max_tokens": math.inf, "max_calls": {"web_search": Fraction(3)}}
    meter = Meter(prices, **limits)
    meter.count(Usage(prompt_tokens=1_000_000, total_tokens=1_000_000), "m")
    meter.check()
    assert meter.cost == 0.5


def test_a_table_of_calls_alone_prices_them_and_stops() -> None:
    """It was taken as a price table, and every turn cost nothing: `max_cost` never stopped."""
    meter = Meter(Prices(calls={"web_search": 0.03}), max_cost=0.05)
    meter.add(TURN)
    assert (meter.cost, meter.unpriced) == (0.06, 0)
    assert "0.0600 USD" in str(meter)
    with pytest.raises(BudgetExceededError, match=r"0.05 USD is reached: 0.06 used"):
        meter.check()


@pytest.mark.parametrize(
    "table", [{"tokens": {"m": 1}}, {"tokens": {"m": ("1", 2)}}, {"tokens": 3}, {"calls": {"w": "x"}}]
)
def test_a_price_that_is_none_is_refused(table: Any) -> None:
    with pytest.raises(ConfigurationError, match="Prices are a pair of numbers"):
        Prices(**table)


def test_quotas_and_limits_stop_the_next_turn() -> None:
    headers = {"x-ratelimit-limit-web-search-minute": "30", "x-ratelimit-remaining-web-search-minute": "2"}
    meter = Meter(PRICES, keep_free={"web-search": 2}, max_calls={"code_interpreter": 5})
    meter.check()
    meter.add(Turn.from_response({"outputs": [], "usage": USAGE}, headers=headers))
    with pytest.raises(BudgetExceededError, match=r"2 of the quota web-search \(minute\) remain; 2 are to be kept"):
        meter.check()
    assert meter.unpriced == 1
    for settings, words in (
        ({"max_cost": 0.3}, "0.3 EUR"),
        ({"max_calls": {"web_search": 2}}, "2 calls of web_search"),
    ):
        other = Meter(PRICES, **settings)
        other.add(TURN)
        with pytest.raises(BudgetExceededError, match=words):
            other.check()


@pytest.mark.parametrize(
    ("told", "counted"),
    [
        ("10", 10),
        (10.0, 10),
        (-10, 0),
        (10**400, 0),
        (2**63, 0),
        (float("inf"), 0),
        (float("nan"), 0),
        ([1], 0),
        ("²", 0),
    ],
)
def test_figures_of_any_form_are_counted_or_are_none(told: object, counted: int) -> None:
    usage = {"prompt_tokens": told, "completion_tokens": 5, "total_tokens": told, "connectors": {"web_search": told}}
    meter = Meter(Prices({"*": (1e6, 0.0)}, {"web_search": 1.0}))
    meter.add(Turn.from_response({"outputs": [], "usage": usage}))
    assert (meter.usage.prompt_tokens, meter.usage.completion_tokens) == (counted, 5)
    assert meter.usage.total_tokens == (counted or 5)
    assert meter.usage.connectors == {"web_search": counted}
    assert meter.cost == 2.0 * counted


def test_a_history_in_other_forms() -> None:
    rows = [
        {"type": "message.input", "id": "i", "role": "user", "content": "hi", "created_at": f"{DAY}00.50Z"},
        *OUTPUTS,
    ]
    history = History("conv_1", parse_entries(rows))
    stats = history.stats()
    assert (stats.entries, stats.messages, stats.tool_executions, stats.failed_tools) == (9, 2, 3, 1)
    assert stats.tools == {"web_search": 1, "code_interpreter": 1, "document_library": 1}
    assert stats.functions == {"pay": 1}
    assert stats.tool_seconds["code_interpreter"] == pytest.approx(2.5)
    assert stats.first is not None
    assert [event.role for event in history.events][:2] == ["user", None]
    assert history.events[0].time is not None
    roles = [message["role"] for message in history.to_messages()]
    assert roles == [
        "user",
        "assistant",
        "tool",
        "assistant",
        "tool",
        "assistant",
        "tool",
        "assistant",
        "tool",
        "assistant",
    ]
    frame = history.to_dataframe()
    assert list(frame.columns) == ["kind", "role", "time", "agent", "text", "id"]
    assert len(frame) == 9
    assert str(history).startswith("user: hi\ntool.execution: web_search(")
    assert all(hasattr(entry, "role") for entry in history.entries)
