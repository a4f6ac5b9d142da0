"""What a Runnable shows beside its answer: the turn, and the hosted tools as runs of their own in traces."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from langchain_core.callbacks import (
    AsyncCallbackManager,
    BaseCallbackHandler,
    BaseCallbackManager,
    BaseRunManager,
    CallbackManager,
)
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import ensure_config
from langchain_core.utils.uuid import uuid7

from mistral_agents._json import JsonDict
from mistral_agents.entries import ToolExecution
from mistral_agents.turn import Turn


def with_turn(message: AIMessage, turn: Turn | None) -> AIMessage:
    """The message, with the turn as its attribute `turn`.

    It is no field: checkpoints, `dumps` and comparisons see a plain `AIMessage`. (A class of our own would not be
    restored by LangGraph's checkpoints.)
    """
    message.__dict__["turn"] = turn
    return message


class TurnCatcher(BaseCallbackHandler):
    """Among the handlers of the chat model's runs, it is told their turns, of calls and of streams alike."""

    def __init__(self) -> None:
        self.turns: list[Turn] = []

    @property
    def turn(self) -> Turn | None:
        """All turns as one; None before the first."""
        from mistral_agents._conversation.dialog import merge_turns

        return merge_turns(self.turns) if self.turns else None

    def beside(self, callbacks: BaseCallbackManager) -> BaseCallbackManager:
        """The callbacks and this one."""
        callbacks.add_handler(self, inherit=True)
        return callbacks


def foresee_run(config: RunnableConfig | None, model: BaseChatModel) -> tuple[RunnableConfig, BaseRunManager | None]:
    """The config of a streamed call with its run's id, and that run's manager; None where nobody looks on.

    LangChain gives a stream no manager of its run, so the runs of hosted tools could not be shown below it.
    """
    known = ensure_config(config)
    metadata = known.get("metadata")
    # LangChain makes a tracer for each manager that finds none: the call is to use the one that knows its run.
    inherited = CallbackManager.configure(known.get("callbacks"))
    place = CallbackManager.configure(
        inherited, model.callbacks, model.verbose, known.get("tags"), model.tags, metadata, model.metadata
    )
    if not place.handlers:
        return known, None
    run_id = known.get("run_id") or uuid7()
    shown = BaseRunManager(
        run_id=run_id,
        handlers=place.handlers,
        inheritable_handlers=place.inheritable_handlers,
        inheritable_tags=place.inheritable_tags,
        inheritable_metadata=place.inheritable_metadata,
    )
    return {**known, "callbacks": inherited, "run_id": run_id}, shown


def _make_child(
    run_manager: BaseRunManager, kind: type[CallbackManager] | type[AsyncCallbackManager], metadata: JsonDict
) -> Any:
    """A manager of runs below a run; LangChain gives one to chains only."""
    manager = kind(handlers=[], parent_run_id=run_manager.run_id)
    manager.set_handlers(run_manager.inheritable_handlers)
    manager.add_tags(run_manager.inheritable_tags)
    manager.add_metadata({**run_manager.inheritable_metadata, **metadata})
    return kind.configure(inheritable_callbacks=manager)  # with the handlers that only this context has


@dataclass(frozen=True, slots=True)
class HostedRun:
    """One run of a hosted tool, as a trace shows it; `times` are by the service's clock, where they are known."""

    name: str
    args: Any
    output: Any
    error: str | None
    times: JsonDict = field(default_factory=dict)

    @property
    def start(self) -> JsonDict:
        """What handlers are told at its start."""
        return {
            "serialized": {"name": self.name},
            "name": self.name,
            "input_str": str(self.args),
            "inputs": self.args,
        }


def _tell_turn(turn: Turn, run_manager: BaseRunManager) -> list[HostedRun]:
    """The runs of hosted tools in a turn, which is told to those that catch it."""
    for handler in run_manager.handlers:
        if isinstance(handler, TurnCatcher):
            handler.turns.append(turn)
    return [_read_run(entry) for entry in turn.tool_executions]


def _read_run(entry: ToolExecution) -> HostedRun:
    times = {"started_at": entry.created_at, "completed_at": entry.completed_at}
    known = {name: value for name, value in times.items() if value is not None}
    return HostedRun(entry.name, entry.args, entry.info, entry.error, known)


def trace_runs(turn: Turn, run_manager: BaseRunManager | None) -> None:
    """Show a turn, and each run of a hosted tool in it as a tool run below a run; None where nobody looks on."""
    if run_manager is None:
        return
    for hosted in _tell_turn(turn, run_manager):
        run = _make_child(run_manager, CallbackManager, hosted.times).on_tool_start(**hosted.start)
        if hosted.error is not None:
            run.on_tool_error(RuntimeError(hosted.error))
        else:
            run.on_tool_end(hosted.output)


async def atrace_runs(turn: Turn, run_manager: BaseRunManager | None) -> None:
    """As `trace_runs`, without blocking."""
    if run_manager is None:
        return
    for hosted in _tell_turn(turn, run_manager):
        run = await _make_child(run_manager, AsyncCallbackManager, hosted.times).on_tool_start(**hosted.start)
        if hosted.error is not None:
            await run.on_tool_error(RuntimeError(hosted.error))
        else:
            await run.on_tool_end(hosted.output)
