"""Whoever takes a client, or what makes one, decides alike: one of both, never both."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import SecretStr

from mistral_agents import MistralAgents
from mistral_agents.client import choose_client
from mistral_agents.errors import ConfigurationError

LIBRARY = "00000000-0000-4000-8000-000000000001"


def test_the_given_client_is_taken_where_nothing_else_was_given() -> None:
    own = MistralAgents(api_key="k")
    assert choose_client(own, api_key=None, base_url=None) is own


def test_a_client_is_made_of_what_was_given() -> None:
    made = choose_client(None, api_key=SecretStr("k"), base_url="http://127.0.0.1:9/v1", timeout=3.0)
    assert (made.base_url, made.timeout) == ("http://127.0.0.1:9", 3.0)


def test_both_are_refused_by_name() -> None:
    with pytest.raises(ConfigurationError, match="Give client, or api_key and timeout, not both"):
        choose_client(MistralAgents(api_key="k"), timeout=3.0, api_key="other")


@pytest.mark.parametrize("sdk", [3, "x", MistralAgents, object()])
def test_what_is_no_sdk_is_told_as_such(sdk: Any) -> None:
    with pytest.raises(ConfigurationError, match="sdk must be a client such as mistralai"):
        MistralAgents(sdk=sdk)


def _takers() -> list[Any]:
    from langchain_mistral_agents import MistralConversationHistory as ChatHistory
    from langchain_mistral_agents import MistralSessionHistories
    from langchain_mistral_agents.threads import InMemoryConversations
    from llama_index_mistral_agents import (
        MistralAgentLLM,
        MistralConversationMemory,
        MistralLibraryIndex,
        MistralLibraryReader,
        MistralLibraryRetriever,
    )
    from llama_index_mistral_agents.vector_store import MistralSearchIndexVectorStore

    return [
        ChatHistory,
        lambda **given: MistralSessionHistories(InMemoryConversations(), **given),
        lambda **given: MistralAgentLLM("m", **given),
        MistralConversationMemory,
        lambda **given: MistralLibraryIndex(LIBRARY, **given),
        lambda **given: MistralLibraryReader(LIBRARY, **given),
        lambda **given: MistralLibraryRetriever(LIBRARY, **given),
        lambda **given: MistralSearchIndexVectorStore("index", **given),
    ]


@pytest.mark.parametrize("place", range(8))
def test_every_class_of_the_wings_refuses_a_client_beside_settings(place: int) -> None:
    take = _takers()[place]
    with pytest.raises(ConfigurationError, match="not both"):
        take(client=MistralAgents(api_key="k"), base_url="http://127.0.0.1:9")
