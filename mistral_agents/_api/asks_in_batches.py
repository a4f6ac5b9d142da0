"""What a model of a wing offers for many inputs at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from mistral_agents._http.concealed import conceal_options
from mistral_agents._json import JsonDict

if TYPE_CHECKING:
    from mistral_agents._steps import Steps

Item = TypeVar("Item")
Started = TypeVar("Started")


class AsksInBatches(Generic[Item, Started]):
    """What a wing's model offers for many inputs at once; it says itself how they become a job (`_start_batch`)."""

    def _start_batch(
        self, inputs: Sequence[Item], job_id: str | None, job: Mapping[str, Any], options: Mapping[str, Any]
    ) -> Steps[Started]:
        raise NotImplementedError

    def batch_job(
        self,
        inputs: Sequence[Item],
        *,
        job_id: str | None = None,
        timeout_hours: int | None = None,
        metadata: Mapping[str, str] | None = None,
        **options: Any,
    ) -> Started:
        """Ask all inputs in one batch job of the service, each in a conversation of its own.

        That the service's jobs take conversations is unverified (probe `batch` of `python -m mistral_agents.verify`).

        Args:
            inputs: What the model takes (`invoke`, `chat`), many times.
            job_id: A job that was started with the same inputs, perhaps by another process; None starts one.
            timeout_hours: When the service gives it up, 1 to 168.
            metadata: Your own keys of the job.
            options: Those of a call (`tools`, `temperature`, ...), for each input.

        Raises:
            ConfigurationError: An input can't be sent so, or goes on with a stored conversation.
        """
        from mistral_agents._steps import run

        job = {"timeout_hours": timeout_hours, "metadata": metadata}
        return run(self._start_batch(inputs, job_id, job, _read_options(options)))

    async def abatch_job(
        self,
        inputs: Sequence[Item],
        *,
        job_id: str | None = None,
        timeout_hours: int | None = None,
        metadata: Mapping[str, str] | None = None,
        **options: Any,
    ) -> Started:
        """As `batch_job`, without blocking."""
        from mistral_agents._steps import arun

        job = {"timeout_hours": timeout_hours, "metadata": metadata}
        return await arun(self._start_batch(inputs, job_id, job, _read_options(options)))


def _read_options(options: JsonDict) -> JsonDict:
    """The options, which are read once for each input: tools that can be read only once are a list from here on."""
    from mistral_agents._border.forms import list_tools

    list_tools(options)
    found: JsonDict = conceal_options(options)
    return found
