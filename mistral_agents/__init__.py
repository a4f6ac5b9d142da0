"""Mistral's server-side agents, conversations and document libraries; the foundation of the two wings."""

from __future__ import annotations

from mistral_agents.client import MistralAgents
from mistral_agents.connectors import (
    CodeInterpreter,
    Connector,
    DocumentLibrary,
    ImageGeneration,
    WebSearch,
    translate_tools,
)
from mistral_agents.conversation import Conversation
from mistral_agents.turn import Turn

__version__ = "0.1.0"
__all__ = [
    "CodeInterpreter",
    "Connector",
    "Conversation",
    "DocumentLibrary",
    "ImageGeneration",
    "MistralAgents",
    "Turn",
    "WebSearch",
    "translate_tools",
]
