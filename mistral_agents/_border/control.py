"""What steers a run: raised around a user's function to pause, move or end it, and never an answer for the model.

Cancellation, `KeyboardInterrupt` and exits are no `Exception`s in Python and pass `except Exception` anyway; frameworks
raise some that are. They are known by the names of their classes and modules, so that no framework is imported here.
A function may also give such a wish instead of a result: a command to a graph, which only a graph can carry out.
"""

from __future__ import annotations

import asyncio
import contextvars
import sys
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, is_dataclass, replace
from typing import Any, NoReturn, TypeVar

from mistral_agents.errors import ConfigurationError, PendingCallsError

T = TypeVar("T")
_STEERING = {
    "langgraph": frozenset({"GraphBubbleUp"}),
    "workflows": frozenset({"WaitingForEvent", "WorkflowCancelledByUser", "WorkflowDone"}),
}
"""Base classes of steering exceptions by the package that defines them (LangGraph; LlamaIndex's workflows)."""
_COMMANDS = {"langgraph": frozenset({"Command"})}
_PASSING = (asyncio.CancelledError, CancelledError)


class CommandGivenError(ConfigurationError):
    """A function gave a command to a graph where no graph runs; it is raised, and never told to the model."""


def is_steering(error: BaseException) -> bool:
    """Whether an exception steers a run, so that it must pass every `except`."""
    if not isinstance(error, Exception) or isinstance(error, (*_PASSING, CommandGivenError)):
        return True
    return _is_one_of(error, _STEERING)


def is_command(value: object) -> bool:
    """Whether what a function gave is a command to a graph."""
    return _is_one_of(value, _COMMANDS)


def check_result(name: str, value: object) -> None:
    """Refuse a command as a function's result.

    Raises:
        CommandGivenError: It is one, or holds one.
    """
    given = value if isinstance(value, (list, tuple)) else [value]
    if any(map(is_command, given)):
        refuse_command(name, "a Command")


def refuse_command(name: str, what: str) -> NoReturn:
    """Refuse what only a graph can do.

    Raises:
        CommandGivenError: Always.
    """
    raise CommandGivenError(
        f"The function {name} gave {what}, which only a graph can carry out; no graph runs its functions here.",
        hint="Return a result, or run the function in a graph (LangChain's create_agent, LangGraph's ToolNode).",
    )


def _is_one_of(value: object, kinds: Mapping[str, Collection[str]]) -> bool:
    return any(kind.__name__ in kinds.get(kind.__module__.partition(".")[0], ()) for kind in type(value).__mro__)


# Answers of people ---------------------------------------------------------------------------------------------------

_ANSWERS = "__pregel_scratchpad"
"""Where LangGraph's config holds what people answered to the questions of a node, and counts its questions."""
_FIELDS = ("resume", "get_null_resume", "interrupt_counter")


@dataclass(slots=True)
class Questions:
    """What functions and rules of an exchange asked people, in a graph that they pause for it.

    A graph that goes on runs its node again, and the first question of that run gets the first answer. Functions that
    are done are not run again, so their answers are passed over: else a question would get the answer to another one.

    Attributes:
        settled: How many answers functions have used that are done.
        passed: Whether these were passed over in this run.
    """

    settled: int = 0
    passed: bool = True

    def resume(self) -> None:
        """The run goes on in a new one of the node."""
        self.passed = False

    def begin(self, config: Mapping[str, Any] | None = None) -> Inquiry | None:
        """Before functions are run: where they go on with answers, how; None where there are none.

        Args:
            config: The config of the run; None reads that of the context.
        """
        known = config if config is not None else _read_run_config()
        held: Any = known.get("configurable", {}).get(_ANSWERS) if known is not None else None
        if known is None or not _has_answers(held):
            self.settled, self.passed = 0, True
            return None
        for _ in range(0 if self.passed else self.settled):
            held.interrupt_counter()
        self.passed = True
        return Inquiry(self, known, held)

    @contextmanager
    def asking(self) -> Iterator[None]:
        """While code of the user runs that may ask; at its end all that it asked is answered."""
        inquiry = self.begin()
        if inquiry is None:
            yield
            return
        with inquiry.applied():
            yield
        inquiry.settle()


class Inquiry:
    """Functions that go on with the answers of people. They run one by one, since the order of questions counts.

    Attributes:
        config: The config that they are to be run with.
    """

    def __init__(self, questions: Questions, config: Mapping[str, Any], held: Any) -> None:
        self._questions = questions
        self._count = held.interrupt_counter
        self._asked = 0
        counting = replace(held, interrupt_counter=self._count_question)
        self.config: dict[str, Any] = {**config, "configurable": {**config["configurable"], _ANSWERS: counting}}

    def _count_question(self) -> int:
        self._asked += 1
        number: int = self._count()
        return number

    def settle(self) -> None:
        """A function came to its end: all that it asked was answered."""
        self._questions.settled += self._asked
        self._asked = 0

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Its config as that of the context."""
        variable = _find_context()
        token = variable.set(self.config)
        try:
            yield
        finally:
            variable.reset(token)


def check_pauses(call_ids: Sequence[str], conversation_id: str | None) -> None:
    """Refuse to close calls while the answer waits that a person gave to one of them, and say the words anew.

    Whatever asked people next would be given that answer, or those to earlier questions.

    Raises:
        PendingCallsError: A graph goes on with such an answer.
    """
    held = ((_read_run_config() or {}).get("configurable") or {}).get(_ANSWERS) if call_ids else None
    if held is not None and _has_answers(held) and held.get_null_resume(False) is not None:
        raise PendingCallsError(
            f"These calls wait for what a person answered: {', '.join(call_ids)}. Which question that was is known "
            "only where they were run.",
            call_ids=list(call_ids),
            conversation_id=conversation_id,
            hint="Go on in that process, or say something else there, which closes the calls.",
        )


def _has_answers(held: Any) -> bool:
    """Whether people answered what a node asked; a release of LangGraph that keeps it otherwise tells nothing."""
    if not is_dataclass(held) or any(not hasattr(held, name) for name in _FIELDS):
        return False
    found: Any = held
    return bool(found.resume) or found.get_null_resume(False) is not None


def _find_context() -> Any:
    """Where LangChain keeps the config of a context; None where nobody imported it."""
    return getattr(sys.modules.get("langchain_core.runnables.config"), "var_child_runnable_config", None)


def _read_run_config() -> Mapping[str, Any] | None:
    variable = _find_context()
    found: Mapping[str, Any] | None = variable.get() if variable is not None else None
    return found


async def call_in_thread(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """`asyncio.to_thread` for a user's function, which may raise anything.

    Raises:
        RuntimeError: It raised `StopIteration`: no future takes one, and who awaits it would wait for ever.
    """
    return await asyncio.to_thread(_keep_iteration_inside, function, *args, **kwargs)


def wait_for(value: Awaitable[T]) -> T:
    """What an asynchronous function of a user gives to a caller that blocks, in a notebook (whose loop runs) too."""

    async def give() -> T:
        return await value

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(give())
    with ThreadPoolExecutor(1, thread_name_prefix="mistral-agents-function") as pool:
        return pool.submit(contextvars.copy_context().run, asyncio.run, give()).result()


def _keep_iteration_inside(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    try:
        return function(*args, **kwargs)
    except StopIteration as error:
        raise RuntimeError(f"the function raised StopIteration: {error}") from error
