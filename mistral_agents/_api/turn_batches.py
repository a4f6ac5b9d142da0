"""Turns of a wing's model as one batch job: planned, started, and read back in the order of the inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from mistral_agents._border.turns import TurnRequest
from mistral_agents._http.calls import check_id
from mistral_agents._steps import Job, Steps, arun, run
from mistral_agents.errors import ConfigurationError, MistralAgentsError
from mistral_agents.turn import Turn
from mistral_agents.usage import Usage

if TYPE_CHECKING:
    from mistral_agents.batches import BatchJob, BatchResult
    from mistral_agents.client import MistralAgents

Answer = TypeVar("Answer")
Item = TypeVar("Item")


def list_inputs(inputs: Sequence[Item]) -> list[Item]:
    """The inputs of a job, each a request of its own.

    Raises:
        ConfigurationError: They are no list, or none.
    """
    given: Any = inputs
    if isinstance(given, (str, bytes, Mapping)) or not isinstance(given, Iterable):
        raise ConfigurationError(f"inputs must be a list of inputs, each a request of its own, not {given!r}.")
    found = list(inputs)
    if not found:
        raise ConfigurationError("inputs must not be empty: a batch job needs at least one request.")
    return found


def start_turns(
    client: MistralAgents, requests: Sequence[TurnRequest], job_id: str | None, options: Mapping[str, Any]
) -> Steps[str]:
    """Start a job of these turns, or take up one that runs; its id.

    Raises:
        ConfigurationError: A turn goes on with a stored conversation.
    """
    if job_id is not None:
        return check_id("job_id", job_id)
    conversations, bodies = client.conversations, []
    for request in requests:
        body = yield Job(partial(conversations.start_body, request), partial(conversations.astart_body, request))
        bodies.append(body)
    known = {name: value for name, value in options.items() if value is not None}
    job = yield from client.batches.start_checked(bodies, {"endpoint": "/v1/conversations", **known})
    return str(job["id"])


class TurnBatch(Generic[Answer]):
    """A batch job of a model.

    Args:
        client: The client.
        job_id: The job.
        readers: Makes the answer of each turn, in the order of the inputs.
        tell: What an error is to the framework.

    Attributes:
        id: The job's id, for another process.
    """

    def __init__(
        self,
        client: MistralAgents,
        job_id: str,
        readers: Sequence[Callable[[Turn], Answer]],
        tell: Callable[[MistralAgentsError], MistralAgentsError] | None = None,
    ) -> None:
        self.id = job_id
        self._batches = client.batches
        self._readers = readers
        self._tell = tell

    def wait(self, *, timeout: float | None = None, show_progress: bool = False) -> BatchJob:
        """Wait for the end; see `mistral_agents.batches.Batches.wait`."""
        return self._batches.wait(self.id, timeout=timeout, show_progress=show_progress)

    async def await_end(self, *, timeout: float | None = None, show_progress: bool = False) -> BatchJob:
        """As `wait`, without blocking."""
        return await self._batches.await_end(self.id, timeout=timeout, show_progress=show_progress)

    def results(self) -> list[Answer | MistralAgentsError]:
        """The answers in the order of the inputs; the error of an input that failed stands in its place."""
        return self._read_results(run(self._batches.read_results(self.id, len(self._readers))))

    async def aresults(self) -> list[Answer | MistralAgentsError]:
        """As `results`, without blocking."""
        return self._read_results(await arun(self._batches.read_results(self.id, len(self._readers))))

    def usage(self) -> Usage:
        """What the job used in all; `Prices(...).of(usage, model)` says what that costs."""
        return sum((result.usage for result in self._batches.results(self.id)), Usage())

    async def ausage(self) -> Usage:
        """As `usage`, without blocking."""
        return sum((result.usage for result in await self._batches.aresults(self.id)), Usage())

    def _read_results(self, found: Sequence[BatchResult]) -> list[Answer | MistralAgentsError]:
        return [self._read(reader, result) for reader, result in zip(self._readers, found, strict=True)]

    def _read(self, reader: Callable[[Turn], Answer], result: BatchResult) -> Answer | MistralAgentsError:
        if result.error is None:
            return reader(result.turn)
        return self._tell(result.error) if self._tell is not None else result.error
