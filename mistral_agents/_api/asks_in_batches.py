"""What a model of a wing offers for many inputs at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from mistral_agents._steps import Steps

Item = TypeVar("Item")
Started = TypeVar("Started")


class AsksInBatches(Generic[Item, Started]):
    """What a wing's model offers for many inputs at once; it says itself how they become a job (`_start_batch`)."""

    def _start_batch(self, inputs: Sequence[Item], job_id: str | None, options: Mapping[str, Any]) -> Steps[Started]:
        raise NotImplementedError

    def batch_job(
        self,
        inputs: Sequence[Item],
        *,
        job_id: str | None = None,
        timeout_hours: int | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> Started:
        """Ask all inputs in one batch job of the service, each in a conversation of its own.

        That the service's jobs take conversations is unverified (probe `batch` of `python -m mistral_agents.verify`).

        Args:
            inputs: What the model takes (`invoke`, `chat`), many times.
            job_id: A job that was started with the same inputs, perhaps by another process; None starts one.
            timeout_hours: When the service gives it up, 1 to 168.
            metadata: Your own keys of the job.

        Raises:
            ConfigurationError: An input can't be sent so, or goes on with a stored conversation.
        """
        from mistral_agents._steps import run

        return run(self._start_batch(inputs, job_id, {"timeout_hours": timeout_hours, "metadata": metadata}))

    async def abatch_job(
        self,
        inputs: Sequence[Item],
        *,
        job_id: str | None = None,
        timeout_hours: int | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> Started:
        """As `batch_job`, without blocking."""
        from mistral_agents._steps import arun

        return await arun(self._start_batch(inputs, job_id, {"timeout_hours": timeout_hours, "metadata": metadata}))
