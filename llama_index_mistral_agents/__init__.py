"""Mistral's document libraries, agents and conversations in LlamaIndex. Names are loaded when first used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mistral_agents._lazy import offer_names

if TYPE_CHECKING:
    from llama_index_mistral_agents.agent import MistralWorkflowAgent
    from llama_index_mistral_agents.connectors import aload_connector_tools, load_connector_tools
    from llama_index_mistral_agents.display import show
    from llama_index_mistral_agents.index import MistralLibraryIndex
    from llama_index_mistral_agents.llm import MistralAgentLLM
    from llama_index_mistral_agents.memory import MistralConversationMemory
    from llama_index_mistral_agents.metering import MistralMeterHandler
    from llama_index_mistral_agents.reader import MistralLibraryReader
    from llama_index_mistral_agents.retriever import MistralLibraryRetriever

_HOMES = {
    "MistralAgentLLM": "llm",
    "MistralConversationMemory": "memory",
    "MistralLibraryIndex": "index",
    "MistralLibraryReader": "reader",
    "MistralLibraryRetriever": "retriever",
    "MistralMeterHandler": "metering",
    "MistralWorkflowAgent": "agent",
    "aload_connector_tools": "connectors",
    "load_connector_tools": "connectors",
    "show": "display",
}

__all__ = [
    "MistralAgentLLM",
    "MistralConversationMemory",
    "MistralLibraryIndex",
    "MistralLibraryReader",
    "MistralLibraryRetriever",
    "MistralMeterHandler",
    "MistralWorkflowAgent",
    "aload_connector_tools",
    "load_connector_tools",
    "show",
]

if not TYPE_CHECKING:  # a checker shall know the names above only
    __getattr__, __dir__ = offer_names(__name__, _HOMES, {"llama_index": "llama-index"})
