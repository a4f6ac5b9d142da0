"""What LangChain wants to know of a model before it uses it."""

from __future__ import annotations

from langchain_core.language_models import ModelProfile

from mistral_agents._api.model_facts import FACTS


def profile_of(model: str | None) -> ModelProfile | None:
    """The profile of a model; None for one that the table of facts does not name."""
    facts = FACTS.get(model) if model is not None else None
    if facts is None:
        return None
    return ModelProfile(
        max_input_tokens=facts.context,
        text_inputs=True,
        image_inputs=facts.images,
        image_url_inputs=facts.images,
        audio_inputs=False,
        video_inputs=False,
        text_outputs=True,
        image_outputs=False,
        audio_outputs=False,
        video_outputs=False,
        reasoning_output=facts.reasoning,
        tool_calling=facts.functions,
        tool_choice=facts.functions,
        tool_call_streaming=facts.functions,
        structured_output=True,
    )
