"""Many inputs as one batch job of the service, with the answers as messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import AIMessage
from typing_extensions import override

from langchain_mistral_agents._errors import as_model_error
from langchain_mistral_agents._messages_in import make_answer
from langchain_mistral_agents._tools import SealedBinding
from langchain_mistral_agents._turns import plan_request
from mistral_agents._api.asks_in_batches import AsksInBatches
from mistral_agents._api.turn_batches import TurnBatch, list_inputs, start_turns
from mistral_agents._steps import Steps, collect_results

if TYPE_CHECKING:
    from langchain_mistral_agents.chat_models import ChatMistralAgent


class MistralBatchJob(TurnBatch[AIMessage]):
    """A batch job of a chat model; made by `ChatMistralAgent.batch_job`."""


def start_job(
    model: ChatMistralAgent,
    inputs: Sequence[LanguageModelInput],
    job_id: str | None,
    job: Mapping[str, Any],
    options: Mapping[str, Any],
) -> Steps[MistralBatchJob]:
    """Start a job, or take up one that runs."""
    given = [model._convert_input(one).to_messages() for one in list_inputs(inputs)]
    requests = yield from collect_results(plan_request(model, messages, None, {**options}) for messages in given)
    found = yield from start_turns(model.mistral, [request.turn for request in requests], job_id, job)
    readers = [partial(make_answer, sent=request.sent) for request in requests]
    return MistralBatchJob(model.mistral, found, readers, as_model_error)


class BoundModel(AsksInBatches[LanguageModelInput, MistralBatchJob], SealedBinding[LanguageModelInput, AIMessage]):
    """A model with what is bound to it, which its batch jobs heed as its calls do."""

    @override
    def _start_batch(
        self,
        inputs: Sequence[LanguageModelInput],
        job_id: str | None,
        job: Mapping[str, Any],
        options: Mapping[str, Any],
    ) -> Steps[MistralBatchJob]:
        return start_job(cast("ChatMistralAgent", self.bound), inputs, job_id, job, {**self.kwargs, **options})
