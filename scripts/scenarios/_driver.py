"""Runs scenarios with synchronous or asynchronous calls."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from mistral_agents import MistralAgents
from mistral_agents._http.stream import AsyncTurnStream, TurnStream
from mistral_agents.errors import MistralAgentsError


@dataclass(frozen=True)
class Step:
    """One call: `Step("conversations.start", "hello", model=...)`; what it raises of our errors is its result."""

    call: str
    args: tuple[Any, ...]
    options: Mapping[str, Any]


def step(call: str, *args: Any, **options: Any) -> Step:
    """Write a step as one would write the call."""
    return Step(call, args, options)


Steps = Generator[Step, Any, None]


@dataclass(frozen=True)
class Scenario:
    """A recorded story.

    Attributes:
        name: The folder of its cassette.
        steps: Starts the generator.
        standin: Settings of the stand-in it is recorded against; `faults` plans failures there.
        live: Whether the live service can be made to do this.
        key: The API key it uses; None takes the recorder's.
    """

    name: str
    steps: Callable[[], Steps]
    standin: Mapping[str, Any] = field(default_factory=dict)
    faults: Callable[[Any], None] | None = None
    live: bool = True
    key: str | None = None


@dataclass
class Made:
    """What a run made on the service, to be deleted by its id.

    Attributes:
        things: the resource and the id of each, in the order they were made.
    """

    things: list[tuple[str, str]] = field(default_factory=list)

    def note(self, wanted: Step, result: Any) -> None:
        """Note what a step made; a turn that failed may have made a conversation too."""
        resource, _, method = wanted.call.partition(".")
        if resource == "conversations" and method.partition("_")[0] in ("start", "restart"):
            kept = wanted.options.get("store") is not False
            self._add("conversations", getattr(result, "conversation_id", None) if kept else None)
        elif method in ("create", "upload") and resource in ("agents", "libraries", "files"):
            is_document = (resource, method) == ("libraries", "upload")  # goes with its library
            self._add(resource, None if is_document or isinstance(result, Exception) else result["id"])
        for file in getattr(result, "files", ()):
            self._add("files", file.file_id)

    def _add(self, resource: str, key: str | None) -> None:
        if key is not None and (resource, key) not in self.things:
            self.things.append((resource, key))


SCENARIOS: dict[str, Scenario] = {}


def scenario(name: str, **facts: Any) -> Callable[[Callable[[], Steps]], Callable[[], Steps]]:
    """Register a scenario under the name of its folder."""

    def register(steps: Callable[[], Steps]) -> Callable[[], Steps]:
        SCENARIOS[name] = Scenario(name, steps, **facts)
        return steps

    return register


def run(
    client: MistralAgents, found: Scenario, made: Made | None = None, wait: Callable[[], None] | None = None
) -> None:
    """Run a scenario with synchronous calls; its assertions are the check.

    Args:
        client: The client.
        found: The scenario.
        made: Notes what is made.
        wait: Called before each step.
    """
    steps, result = found.steps(), None
    while True:
        try:
            wanted = steps.send(result)
        except StopIteration:
            return
        if wait is not None:
            wait()
        result = _do(client, wanted)
        if made is not None:
            made.note(wanted, result)


def _do(client: MistralAgents, wanted: Step) -> Any:
    resource, _, method = wanted.call.partition(".")
    try:
        result = getattr(getattr(client, resource), method)(*wanted.args, **wanted.options)
        if isinstance(result, TurnStream):
            with result:
                return result.read()
        return list(result) if isinstance(result, Iterator) else result
    except MistralAgentsError as error:
        return error


async def arun(client: MistralAgents, found: Scenario) -> None:
    """Run a scenario with asynchronous calls."""
    steps, result = found.steps(), None
    while True:
        try:
            wanted = steps.send(result)
        except StopIteration:
            return
        resource, _, method = wanted.call.partition(".")
        try:
            result = getattr(getattr(client, resource), "a" + method)(*wanted.args, **wanted.options)
            if isinstance(result, AsyncTurnStream):
                async with result:
                    result = await result.aread()
            elif isinstance(result, AsyncIterator):
                result = [item async for item in result]
            else:
                result = await result
        except MistralAgentsError as error:
            result = error
