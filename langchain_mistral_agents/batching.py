"""Many inputs as one batch job of the service, with the answers as messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import AIMessage

from langchain_mistral_agents._errors import as_model_error
from langchain_mistral_agents._plan import Request
from mistral_agents._steps import arun, run
from mistral_agents.batches import BatchJob, BatchResult
from mistral_agents.errors import MistralAgentsError
from mistral_agents.usage import Usage

if TYPE_CHECKING:
    from langchain_mistral_agents.chat_models import ChatMistralAgent


class MistralBatchJob:
    """A batch job of a chat model; made by `ChatMistralAgent.batch_job`.

    Attributes:
        id: The job's id, for another process.
    """

    def __init__(self, model: ChatMistralAgent, requests: Sequence[Request], job_id: str) -> None:
        self.id = job_id
        self._model = model
        self._requests = requests
        self._client = model.mistral

    def wait(self, *, timeout: float | None = None, show_progress: bool = False) -> BatchJob:
        """Wait for the end; see `mistral_agents.batches.Batches.wait`."""
        return self._client.batches.wait(self.id, timeout=timeout, show_progress=show_progress)

    async def await_end(self, *, timeout: float | None = None, show_progress: bool = False) -> BatchJob:
        """As `wait`, without blocking."""
        return await self._client.batches.await_end(self.id, timeout=timeout, show_progress=show_progress)

    def results(self) -> list[AIMessage | MistralAgentsError]:
        """The answers in the order of the inputs; the error of an input that failed stands in its place."""
        return self._messages(self._client.batches.results(self.id))

    async def aresults(self) -> list[AIMessage | MistralAgentsError]:
        """As `results`, without blocking."""
        return self._messages(await self._client.batches.aresults(self.id))

    def usage(self) -> Usage:
        """What the job used in all; `Prices(...).of(usage, model)` says what that costs."""
        return sum((result.usage for result in self._client.batches.results(self.id)), Usage())

    def _messages(self, found: list[BatchResult]) -> list[AIMessage | MistralAgentsError]:
        return [self._message(request, result) for request, result in zip(self._requests, found, strict=False)]

    def _message(self, request: Request, result: BatchResult) -> AIMessage | MistralAgentsError:
        if result.error is not None:
            return as_model_error(result.error)
        message = self._model._result(result.turn, request).generations[0].message
        assert isinstance(message, AIMessage)
        return message


def start_job(
    model: ChatMistralAgent, inputs: Sequence[LanguageModelInput], job_id: str | None, options: Mapping[str, Any]
) -> MistralBatchJob:
    """Start a job, or take up one that runs."""
    client = model.mistral
    requests = [run(model._plan(_messages_of(model, one), None, {})) for one in inputs]
    if job_id is None:
        bodies = [client.conversations.start_body(request.turn) for request in requests]
        job_id = client.batches.create(bodies, **options)["id"]
    return MistralBatchJob(model, requests, str(job_id))


async def astart_job(
    model: ChatMistralAgent, inputs: Sequence[LanguageModelInput], job_id: str | None, options: Mapping[str, Any]
) -> MistralBatchJob:
    """As `start_job`, without blocking."""
    client = model.mistral
    requests = [await arun(model._plan(_messages_of(model, one), None, {})) for one in inputs]
    if job_id is None:
        bodies = [await client.conversations.astart_body(request.turn) for request in requests]
        job_id = (await client.batches.acreate(bodies, **options))["id"]
    return MistralBatchJob(model, requests, str(job_id))


def _messages_of(model: ChatMistralAgent, given: LanguageModelInput) -> list[Any]:
    return model._convert_input(given).to_messages()
