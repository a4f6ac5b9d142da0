"""Mistral's server-side agents, conversations and libraries in LangChain. Names are loaded when first used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mistral_agents._lazy import offer_names

if TYPE_CHECKING:
    from langchain_mistral_agents._portable import to_portable_messages
    from langchain_mistral_agents.chat_models import ChatMistralAgent
    from langchain_mistral_agents.connectors import aload_connector_tools, load_connector_tools
    from langchain_mistral_agents.display import show
    from langchain_mistral_agents.history import MistralConversationHistory
    from langchain_mistral_agents.memory import MistralConversationMemory
    from langchain_mistral_agents.metering import MistralMeterHandler
    from langchain_mistral_agents.middleware import MistralConversationMiddleware, MistralPortableMiddleware
    from langchain_mistral_agents.retriever import MistralLibraryRetriever
    from langchain_mistral_agents.runnable import MistralAgentRunnable
    from langchain_mistral_agents.sessions import MistralSessionHistories

__all__ = [
    "ChatMistralAgent",
    "MistralAgentRunnable",
    "MistralConversationHistory",
    "MistralConversationMemory",
    "MistralConversationMiddleware",
    "MistralLibraryRetriever",
    "MistralMeterHandler",
    "MistralPortableMiddleware",
    "MistralSessionHistories",
    "aload_connector_tools",
    "load_connector_tools",
    "show",
    "to_portable_messages",
]

_HOMES = {
    "ChatMistralAgent": "chat_models",
    "MistralAgentRunnable": "runnable",
    "MistralConversationHistory": "history",
    "MistralConversationMiddleware": "middleware",
    "MistralPortableMiddleware": "middleware",
    "MistralConversationMemory": "memory",
    "MistralLibraryRetriever": "retriever",
    "to_portable_messages": "_portable",
    "MistralSessionHistories": "sessions",
    "MistralMeterHandler": "metering",
    "aload_connector_tools": "connectors",
    "load_connector_tools": "connectors",
    "show": "display",
}

if not TYPE_CHECKING:  # a checker shall know the names above only
    __getattr__, __dir__ = offer_names(__name__, _HOMES, {"langchain_core": "langchain"})
