"""What Mistral's models can take and do: a table of facts, so that nobody has to ask for it.

`python -m scripts.model_facts` renews the rows from `GET /v1/models`; a name that is not here is unknown, and nothing
is said of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """Facts of a model.

    Attributes:
        context: Most tokens of a conversation, answer included.
        images: Whether it sees images.
        reasoning: Whether it can think before it answers.
        functions: Whether it calls functions.
    """

    context: int
    images: bool = False
    reasoning: bool = False
    functions: bool = True


def facts_of_card(card: Mapping[str, Any]) -> ModelFacts | None:
    """The facts of a model as the service lists it; None where it does not chat or its context is not told."""
    abilities = card.get("capabilities")
    context = card.get("max_context_length")
    if not isinstance(abilities, Mapping) or not abilities.get("completion_chat") or not isinstance(context, int):
        return None
    return ModelFacts(
        context,
        images=bool(abilities.get("vision")),
        reasoning=bool(abilities.get("reasoning")),
        functions=bool(abilities.get("function_calling")),
    )


# The rows below are written by scripts/model_facts.py.
FACTS: dict[str, ModelFacts] = {
    "codestral-latest": ModelFacts(256000),
    "devstral-latest": ModelFacts(262144),
    "devstral-medium-2507": ModelFacts(128000),
    "devstral-medium-latest": ModelFacts(262144),
    "devstral-small-2505": ModelFacts(128000),
    "devstral-small-2507": ModelFacts(128000),
    "magistral-medium-latest": ModelFacts(128000, reasoning=True),
    "magistral-small-latest": ModelFacts(128000, reasoning=True),
    "ministral-3b-latest": ModelFacts(128000),
    "ministral-8b-latest": ModelFacts(128000),
    "mistral-large-2411": ModelFacts(131072),
    "mistral-large-2512": ModelFacts(262144, images=True),
    "mistral-large-latest": ModelFacts(262144, images=True),
    "mistral-medium-2505": ModelFacts(131072, images=True),
    "mistral-medium-2508": ModelFacts(262144, images=True),
    "mistral-medium-2604": ModelFacts(262144, images=True, reasoning=True),
    "mistral-medium-latest": ModelFacts(262144, images=True, reasoning=True),
    "mistral-nemo": ModelFacts(128000),
    "mistral-small-2506": ModelFacts(128000, images=True),
    "mistral-small-2603": ModelFacts(256000, images=True, reasoning=True),
    "mistral-small-latest": ModelFacts(256000, images=True, reasoning=True),
    "open-mistral-nemo": ModelFacts(128000),
    "open-mixtral-8x22b": ModelFacts(64000),
    "pixtral-12b": ModelFacts(128000, images=True),
    "pixtral-large-latest": ModelFacts(128000, images=True),
}
