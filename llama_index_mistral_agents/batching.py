"""Many questions as one batch job of the service, with the answers as LlamaIndex responses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from llama_index.core.base.llms.generic_utils import prompt_to_messages
from llama_index.core.base.llms.types import ChatMessage, ChatResponse

from llama_index_mistral_agents._turns import finish
from mistral_agents._api.turn_batches import TurnBatch, list_inputs, start_turns
from mistral_agents._steps import Steps, collect_results

if TYPE_CHECKING:
    from llama_index_mistral_agents.llm import MistralAgentLLM

BatchInput = str | Sequence[ChatMessage]
"""A question, or the messages before an answer."""


class MistralBatchJob(TurnBatch[ChatResponse]):
    """A batch job of an LLM; made by `MistralAgentLLM.batch_job`."""


def start_job(
    llm: MistralAgentLLM,
    inputs: Sequence[BatchInput],
    job_id: str | None,
    job: Mapping[str, Any],
    options: Mapping[str, Any],
) -> Steps[MistralBatchJob]:
    """Start a job, or take up one that runs."""
    given = [prompt_to_messages(one) if isinstance(one, str) else one for one in list_inputs(inputs)]
    requests = yield from collect_results(llm._request(messages, options) for messages in given)
    found = yield from start_turns(llm.client, [request.turn for request in requests], job_id, job)
    return MistralBatchJob(llm.client, found, [partial(finish, request) for request in requests])
