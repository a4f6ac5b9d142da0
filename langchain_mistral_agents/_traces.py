"""What a Runnable shows beside its answer: the turn, and the hosted tools as runs of their own in traces."""

from __future__ import annotations

from typing import Any

from langchain_core.callbacks import (
    AsyncCallbackManagerForChainRun,
    BaseCallbackHandler,
    BaseCallbackManager,
    CallbackManagerForChainRun,
)
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, LLMResult
from pydantic import PrivateAttr

from mistral_agents.turn import Turn


class TurnGeneration(ChatGeneration):
    """An answer that still knows its turn; the turn is not serialised."""

    _turn: Turn | None = PrivateAttr(default=None)

    def with_turn(self, turn: Turn) -> TurnGeneration:
        """Set the turn."""
        self._turn = turn
        return self

    @property
    def turn(self) -> Turn | None:
        """The turn."""
        return self._turn


def with_turn(message: AIMessage, turn: Turn | None) -> AIMessage:
    """The message, with the turn as its attribute `turn`.

    It is no field: checkpoints, `dumps` and comparisons see a plain `AIMessage`. (A class of our own would not be
    restored by LangGraph's checkpoints.)
    """
    message.__dict__["turn"] = turn
    return message


class TurnCatcher(BaseCallbackHandler):
    """Takes the turn out of the chat model's run."""

    def __init__(self) -> None:
        self.turn: Turn | None = None

    def on_llm_end(self, response: LLMResult, **_: Any) -> None:
        """Keep the turn of the last answer."""
        for generations in response.generations:
            for generation in generations:
                if isinstance(generation, TurnGeneration):
                    self.turn = generation.turn

    def beside(self, callbacks: BaseCallbackManager) -> BaseCallbackManager:
        """The callbacks and this one."""
        callbacks.add_handler(self, inherit=True)
        return callbacks


def _runs(message: AIMessage) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    blocks: list[Any] = list(message.content_blocks)
    results = {block["tool_call_id"]: block for block in blocks if block["type"] == "server_tool_result"}
    calls = [block for block in blocks if block["type"] == "server_tool_call" and block["id"] in results]
    return [(call, results[call["id"]]) for call in calls]


def _start(call: dict[str, Any]) -> dict[str, Any]:
    name = call.get("extras", {}).get("name", call["name"])
    args = call["args"]
    return {"serialized": {"name": name}, "input_str": str(args), "inputs": args, "name": name}


def trace_runs(message: AIMessage, run_manager: CallbackManagerForChainRun) -> None:
    """Show each hosted tool of an answer as a tool run."""
    for call, result in _runs(message):
        run = run_manager.get_child().on_tool_start(**_start(call))
        if result["status"] == "error":
            run.on_tool_error(RuntimeError(str(result["output"].get("result"))))
        else:
            run.on_tool_end(result["output"])


async def atrace_runs(message: AIMessage, run_manager: AsyncCallbackManagerForChainRun) -> None:
    """As `trace_runs`, without blocking."""
    for call, result in _runs(message):
        run = await run_manager.get_child().on_tool_start(**_start(call))
        if result["status"] == "error":
            await run.on_tool_error(RuntimeError(str(result["output"].get("result"))))
        else:
            await run.on_tool_end(result["output"])
