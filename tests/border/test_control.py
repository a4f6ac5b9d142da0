"""What steers a run passes through; a resumed run goes on where it was paused."""

from __future__ import annotations

import asyncio
from dataclasses import make_dataclass
from typing import Any

import pytest
from langgraph.errors import GraphInterrupt, NodeInterrupt, ParentCommand
from langgraph.types import Command
from workflows.errors import WorkflowCancelledByUser

from mistral_agents._border.control import Questions, is_steering
from mistral_agents._conversation.dialog import Dialog, RunFunctions, Send
from mistral_agents._conversation.functions import arun_functions, run_functions
from mistral_agents.entries import FunctionCall, parse_entries
from mistral_agents.errors import ConfigurationError
from mistral_agents.turn import Turn

STEERING = [
    GraphInterrupt(()),
    NodeInterrupt("?"),
    ParentCommand(Command(goto="x")),
    WorkflowCancelledByUser(),
    asyncio.CancelledError(),
    KeyboardInterrupt(),
    SystemExit(3),
]


def calls(*names: str) -> list[Any]:
    rows = [{"type": "function.call", "tool_call_id": f"{n}xxxxxxxx"[:9], "name": n, "arguments": "{}"} for n in names]
    return parse_entries(rows)


@pytest.mark.parametrize("error", STEERING, ids=lambda error: type(error).__name__)
def test_it_passes_through_functions(error: BaseException) -> None:
    def steer() -> None:
        raise error

    with pytest.raises(type(error)):
        run_functions(calls("pay"), {"pay": steer})


@pytest.mark.parametrize("error", STEERING[:4], ids=lambda error: type(error).__name__)
async def test_it_passes_through_functions_on_an_event_loop(error: BaseException) -> None:
    async def steer() -> None:
        raise error

    with pytest.raises(type(error)):
        await arun_functions(calls("pay"), {"pay": steer})


@pytest.mark.parametrize("error", [ValueError("x"), RuntimeError("y"), LookupError("z")])
def test_an_ordinary_error_does_not_steer(error: Exception) -> None:
    assert not is_steering(error)


@pytest.mark.parametrize("given", [Command(goto="x"), [Command(update={"a": 1})]], ids=["one", "a list"])
async def test_a_command_to_a_graph_is_refused_and_not_told(given: Any) -> None:
    async def steer() -> Any:
        return given

    with pytest.raises(ConfigurationError, match="pay gave a Command"):
        run_functions(calls("pay"), {"pay": lambda: given})
    with pytest.raises(ConfigurationError, match="pay gave a Command"):
        await arun_functions(calls("pay", "wait"), {"pay": steer, "wait": str})


def test_an_error_of_the_same_name_from_elsewhere_does_not_steer() -> None:
    class GraphBubbleUp(Exception):
        pass

    assert not is_steering(GraphBubbleUp())


@pytest.mark.parametrize("names", [("pay", "log"), ("log", "pay")])
async def test_what_other_functions_gave_is_kept(names: tuple[str, str]) -> None:
    ran: list[str] = []

    def pay() -> None:
        raise GraphInterrupt(())

    functions = {"pay": pay, "log": lambda: ran.append("log")}
    blocking: dict[str, Any] = {}
    with pytest.raises(GraphInterrupt):
        run_functions(calls(*names), functions, blocking)
    waiting: dict[str, Any] = {}
    with pytest.raises(GraphInterrupt):
        await arun_functions(calls(*names), functions, waiting)
    assert list(blocking) == list(waiting) == ["logxxxxxx"]
    assert ran == ["log", "log"]


def walk_to_functions(dialog: Dialog, text: str) -> tuple[Any, Any]:
    exchange = dialog.exchange(text)
    action = next(exchange)
    if isinstance(action, Send):
        asked: list[Any] = calls("pay")
        assert isinstance(asked[0], FunctionCall)
        action = exchange.send(Turn("conv_1", asked))
    return exchange, action


def test_the_same_words_after_a_pause_go_on_and_ask_nothing_again() -> None:
    dialog = Dialog(has_functions=True)
    exchange, action = walk_to_functions(dialog, "Pay 5.")
    with pytest.raises(GraphInterrupt):
        exchange.throw(GraphInterrupt(()))
    again = dialog.exchange("Pay 5.")
    action = next(again)
    assert isinstance(action, RunFunctions)  # not a request: the turn was paid
    sent = again.send([{"type": "function.result", "tool_call_id": "payxxxxxx", "result": "paid"}])
    assert isinstance(sent, Send)
    assert [entry["result"] for entry in sent.inputs] == ["paid"]


def test_other_words_after_a_pause_close_the_call() -> None:
    dialog = Dialog(has_functions=True)
    exchange, _ = walk_to_functions(dialog, "Pay 5.")
    with pytest.raises(GraphInterrupt):
        exchange.throw(GraphInterrupt(()))
    action = next(dialog.exchange("Never mind."))
    assert isinstance(action, Send)
    assert [entry["type"] for entry in action.inputs] == ["function.result", "message.input"]
    assert "interrupted" in action.inputs[0]["result"]


async def test_a_function_that_raises_stop_iteration_ends_on_an_event_loop() -> None:
    """No future takes a StopIteration: unguarded, the turn would wait for its thread for ever."""
    [entry] = await asyncio.wait_for(arun_functions(calls("pay"), {"pay": lambda: next(iter(()))}), 20)
    assert "StopIteration" in entry["result"]


@pytest.mark.parametrize("held", [None, {"resume": ["yes"]}, object(), make_dataclass("Other", ["answers"])(["yes"])])
def test_answers_that_a_graph_keeps_in_another_way_are_left_to_it(held: object) -> None:
    assert Questions().begin({"configurable": {"__pregel_scratchpad": held}}) is None
