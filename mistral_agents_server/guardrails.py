"""Guardrails: a list of words for each category takes the place of the service's moderation model.

Which words score what is the stand-in's own; what a request may set, how a block looks and what a reply shows follow
the service's documentation.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mistral_agents_server.errors import ApiError
from mistral_agents_server.messages import content_text

Wire = dict[str, Any]

_COMMON = ("sexual", "hate_and_discrimination", "violence_and_threats")
_LATER = ("selfharm", "health", "financial", "law", "pii")
CATEGORIES = {
    "moderation_llm_v1": (*_COMMON, "dangerous_and_criminal_content", *_LATER),
    "moderation_llm_v2": (*_COMMON, "dangerous", "criminal", *_LATER, "jailbreaking"),
}
_MODELS = {"moderation_llm_v1": "mistral-moderation-2411", "moderation_llm_v2": "mistral-moderation-2603"}

DEFAULT_THRESHOLD = 0.5
"""Of a category for which none is set. What the service takes is not known."""

_LEFT_BY_EACH_WORD = 0.3
_BLOCKED = "Content blocked by guardrail"
_NOT_EVALUATED = 3201


class Moderator:
    """Scores texts by the words they hold.

    Args:
        words: words and phrases by category; they are found whole, in any case.

    Raises:
        ValueError: there is no such category.
    """

    def __init__(self, words: Mapping[str, Sequence[str]]) -> None:
        known = sorted({category for several in CATEGORIES.values() for category in several})
        unknown = sorted(set(words) - set(known))
        if unknown:
            raise ValueError(f"there is no guardrail category {unknown[0]!r}; there are {', '.join(known)}")
        self._patterns = {
            category: [re.compile(rf"(?<!\w){re.escape(word)}(?!\w)", re.IGNORECASE) for word in several]
            for category, several in words.items()
        }

    def check(self, guardrails: Sequence[Wire], texts: Sequence[str]) -> list[Wire] | None:
        """What each guardrail finds in texts; None without guardrails.

        Raises:
            ApiError: 403 when one blocks, or can't be evaluated and is told to block then.
        """
        if not guardrails:
            return None
        found = [{"results": self._results(one, texts)} for one in guardrails]
        for one in found:
            if any(result["violated"] and result["action"] == "block" for result in one["results"].values()):
                raise ApiError(403, {"error": {"message": _BLOCKED, "status": 403}, "guardrails": one})
        return found

    def _results(self, guardrail: Wire, texts: Sequence[str]) -> Wire:
        results = {}
        for kind, model in _MODELS.items():
            rule = guardrail.get(kind)
            if rule is None:
                continue
            if rule.get("model_name", model) != model:  # the stand-in's way to a moderation that fails
                if guardrail.get("block_on_error"):
                    message = f"The guardrail model {rule['model_name']} failed"
                    fields = {"type": "guardrail_error", "code": _NOT_EVALUATED}
                    raise ApiError(403, {"object": "error", "message": message, **fields})
                continue
            results[kind] = self._result(kind, model, rule, texts)
        return results

    def _result(self, kind: str, model: str, rule: Wire, texts: Sequence[str]) -> Wire:
        thresholds = rule.get("custom_category_thresholds") or {}
        decisions = {}
        for category in CATEGORIES[kind]:
            threshold = thresholds.get(category)
            if threshold is None and rule.get("ignore_other_categories"):
                continue
            threshold = DEFAULT_THRESHOLD if threshold is None else threshold
            score = self._score(category, texts)
            decisions[category] = {"threshold": threshold, "score": score, "violated": score > threshold}
        violated = any(decision["violated"] for decision in decisions.values())
        return {
            "model_name": model,
            "decisions": decisions,
            "violated": violated,
            "action": rule.get("action") or "none",
        }

    def _score(self, category: str, texts: Sequence[str]) -> float:
        """0 without a word of the category, 0.7 with one, and nearer to 1 with each one more."""
        found = sum(any(map(pattern.search, texts)) for pattern in self._patterns.get(category, []))
        return round(1 - _LEFT_BY_EACH_WORD**found, 4)


def texts_of(entries: Iterable[Wire]) -> list[str]:
    """What was said in entries: messages, and results of functions."""
    found = []
    for entry in entries:
        if entry["type"].startswith("message."):
            found.append(content_text(entry["content"]))
        elif entry["type"] == "function.result":
            found.append(entry["result"])
    return found
