"""Many questions as one batch job of the service, with the answers as LlamaIndex responses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from llama_index.core.base.llms.types import ChatMessage, ChatResponse, MessageRole

from llama_index_mistral_agents._plan import Request
from llama_index_mistral_agents._turns import finish
from mistral_agents._steps import arun, run
from mistral_agents.batches import BatchJob, BatchResult
from mistral_agents.errors import MistralAgentsError
from mistral_agents.usage import Usage

if TYPE_CHECKING:
    from llama_index_mistral_agents.llm import MistralAgentLLM

BatchInput = str | Sequence[ChatMessage]
"""A question, or the messages before an answer."""


class MistralBatchJob:
    """A batch job of an LLM; made by `MistralAgentLLM.batch_job`.

    Attributes:
        id: The job's id, for another process.
    """

    def __init__(self, llm: MistralAgentLLM, requests: Sequence[Request], job_id: str) -> None:
        self.id = job_id
        self._requests = requests
        self._client = llm.client

    def wait(self, *, timeout: float | None = None, show_progress: bool = False) -> BatchJob:
        """Wait for the end; see `mistral_agents.batches.Batches.wait`."""
        return self._client.batches.wait(self.id, timeout=timeout, show_progress=show_progress)

    async def await_end(self, *, timeout: float | None = None, show_progress: bool = False) -> BatchJob:
        """As `wait`, without blocking."""
        return await self._client.batches.await_end(self.id, timeout=timeout, show_progress=show_progress)

    def results(self) -> list[ChatResponse | MistralAgentsError]:
        """The answers in the order of the inputs; the error of an input that failed stands in its place."""
        return self._responses(self._client.batches.results(self.id))

    async def aresults(self) -> list[ChatResponse | MistralAgentsError]:
        """As `results`, without blocking."""
        return self._responses(await self._client.batches.aresults(self.id))

    def usage(self) -> Usage:
        """What the job used in all; `Prices(...).of(usage, model)` says what that costs."""
        return sum((result.usage for result in self._client.batches.results(self.id)), Usage())

    def _responses(self, found: list[BatchResult]) -> list[ChatResponse | MistralAgentsError]:
        return [
            result.error if result.error is not None else finish(request, result.turn)
            for request, result in zip(self._requests, found, strict=False)
        ]


def start_job(
    llm: MistralAgentLLM, inputs: Sequence[BatchInput], job_id: str | None, options: Mapping[str, Any]
) -> MistralBatchJob:
    """Start a job, or take up one that runs."""
    requests = [run(llm._request(_messages_of(one), {})) for one in inputs]
    if job_id is None:
        bodies = [llm.client.conversations.start_body(request.turn) for request in requests]
        job_id = llm.client.batches.create(bodies, **options)["id"]
    return MistralBatchJob(llm, requests, str(job_id))


async def astart_job(
    llm: MistralAgentLLM, inputs: Sequence[BatchInput], job_id: str | None, options: Mapping[str, Any]
) -> MistralBatchJob:
    """As `start_job`, without blocking."""
    requests = [await arun(llm._request(_messages_of(one), {})) for one in inputs]
    if job_id is None:
        bodies = [await llm.client.conversations.astart_body(request.turn) for request in requests]
        job_id = (await llm.client.batches.acreate(bodies, **options))["id"]
    return MistralBatchJob(llm, requests, str(job_id))


def _messages_of(given: BatchInput) -> list[ChatMessage]:
    return [ChatMessage(content=given, role=MessageRole.USER)] if isinstance(given, str) else list(given)
