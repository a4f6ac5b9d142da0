"""LangChain's standard unit suite, in both modes."""

from __future__ import annotations

from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_tests.unit_tests import ChatModelUnitTests

from langchain_mistral_agents import ChatMistralAgent

ENV = ({"MISTRAL_API_KEY": "from-env"}, {}, {"api_key": "from-env"})


class TestModelMode(ChatModelUnitTests):
    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return ChatMistralAgent

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"model": "mistral-small-latest", "api_key": "test-key"}

    @property
    def init_from_env_params(self) -> tuple[dict[str, str], dict[str, Any], dict[str, Any]]:
        return ENV[0], {"model": "mistral-small-latest"}, ENV[2]


class TestAgentMode(ChatModelUnitTests):
    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return ChatMistralAgent

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"agent_id": "ag_0123456789abcdef0123456789abcdef", "api_key": "test-key"}

    @property
    def init_from_env_params(self) -> tuple[dict[str, str], dict[str, Any], dict[str, Any]]:
        return ENV[0], {"agent_id": "ag_0123456789abcdef0123456789abcdef"}, ENV[2]
