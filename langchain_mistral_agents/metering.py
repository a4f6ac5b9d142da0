"""A `Meter` fed by LangChain's callbacks: tokens, connector calls, money and quotas over any run."""

from __future__ import annotations

from typing import Any

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, LLMResult

from langchain_mistral_agents._translator import PROVIDER
from mistral_agents.costs import Meter
from mistral_agents.usage import Quota, Usage


class MistralMeterHandler(BaseCallbackHandler):
    """Counts every answer of a `ChatMistralAgent` in a run, and stops the run before a limit of the meter.

    Pass it as a callback: `chain.invoke(..., config={"callbacks": [MistralMeterHandler(meter)]})`. Answers of other
    providers' models, and those that a cache gave, are not counted.

    Args:
        meter: Adds up and knows the limits.

    Raises:
        BudgetExceededError: At the start of a model call, when a limit is reached; nothing was sent.
    """

    raise_error = True
    run_inline = True

    def __init__(self, meter: Meter) -> None:
        self.meter = meter

    def on_chat_model_start(self, *_: object, **__: object) -> None:
        """Stop where a limit is reached."""
        self.meter.check()

    def on_llm_end(self, response: LLMResult, **_: object) -> None:
        """Count the answers."""
        for generations in response.generations:
            for generation in generations:
                if isinstance(generation, ChatGeneration) and isinstance(generation.message, AIMessage):
                    self._count(generation.message)

    def _count(self, message: AIMessage) -> None:
        facts, usage = message.response_metadata, message.usage_metadata
        is_cached = usage is not None and "total_cost" in usage  # LangChain's mark: it cost nothing
        if facts.get("model_provider") == PROVIDER and usage is not None and not is_cached:
            self.meter.count(usage_of(message), facts.get("model_name"), quotas_of(facts.get("quotas")))


def usage_of(message: AIMessage) -> Usage:
    """An answer's usage, as the service counts it: tokens of hosted tools apart."""
    usage = message.usage_metadata
    if usage is None:
        return Usage()
    details: dict[str, Any] = dict(usage.get("input_token_details", {}))
    connector = details.get("connector", 0)
    return Usage(
        prompt_tokens=usage["input_tokens"] - connector,
        completion_tokens=usage["output_tokens"],
        connector_tokens=connector,
        total_tokens=usage["total_tokens"],
        connectors=dict(message.response_metadata.get("connectors") or {}),
    )


def quotas_of(told: object) -> list[Quota]:
    """The quotas in an answer's metadata (streams report none)."""
    found = told if isinstance(told, dict) else {}
    rows = ((key.rpartition("/"), facts) for key, facts in found.items())
    return [Quota(name, window, facts.get("limit"), facts.get("remaining")) for (name, _, window), facts in rows]
