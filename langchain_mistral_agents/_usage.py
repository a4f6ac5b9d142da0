"""Tokens in LangChain's terms."""

from __future__ import annotations

from typing import Any, cast

from langchain_core.messages.ai import UsageMetadata

from mistral_agents.usage import Usage


def usage_metadata(usage: Usage) -> UsageMetadata | None:
    """Tokens that add up: connector tokens count as input, and stand in its details too.

    In every reply recorded the total is prompt + completion + connector tokens.

    Returns:
        None where the service reported no usage.
    """
    if not usage.raw:
        return None
    read = usage.prompt_tokens + usage.connector_tokens
    found: dict[str, Any] = {
        "input_tokens": read,
        "output_tokens": usage.completion_tokens,
        "total_tokens": read + usage.completion_tokens,
    }
    if usage.connector_tokens:
        found["input_token_details"] = {"connector": usage.connector_tokens}
    return cast("UsageMetadata", found)
