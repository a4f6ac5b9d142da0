"""What one client was told of models that will be retired."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mistral_agents._warnings import warn_user


class ModelDeprecationWarning(FutureWarning):
    """A model will be retired; the text names what the service recommends instead."""


class ModelNotes:
    """The models with an end that a client has read of, each warned of once."""

    def __init__(self) -> None:
        self._ends: dict[str, str] = {}
        self._told: set[str] = set()

    def keep(self, card: Mapping[str, Any]) -> None:
        """Remember what a model as listed says of its end."""
        end = card.get("deprecation")
        if not isinstance(end, str):
            return
        other = card.get("deprecation_replacement_model")
        advice = f"use {other} instead" if isinstance(other, str) and other else "choose one of client.models"
        text = f"The model {card.get('id')} will be retired on {end}; {advice}."
        aliases = card.get("aliases")
        for name in (card.get("id"), *(aliases if isinstance(aliases, list) else ())):
            self._ends[str(name)] = text

    def warn_of(self, model: Any) -> None:
        """Warn of a model that is about to be used, once.

        Warns:
            ModelDeprecationWarning: It is known to have an end.
        """
        text = self._ends.get(model) if isinstance(model, str) else None
        if text is not None and text not in self._told:
            self._told.add(text)
            warn_user(text, ModelDeprecationWarning)
