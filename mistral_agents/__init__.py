"""Mistral's server-side agents, conversations and document libraries; the foundation of the two wings."""

from __future__ import annotations

from mistral_agents._version import __version__ as __version__
from mistral_agents.client import MistralAgents
from mistral_agents.conversation import Conversation
from mistral_agents.costs import Meter
from mistral_agents.display import show
from mistral_agents.entries import function_result
from mistral_agents.errors import MistralAgentsError
from mistral_agents.security import Safeguards
from mistral_agents.specs import AgentSpec
from mistral_agents.tools import (
    CodeInterpreter,
    Connector,
    DocumentLibrary,
    ImageGeneration,
    WebSearch,
    translate_tools,
)
from mistral_agents.turn import Turn
from mistral_agents.usage import Prices

__all__ = [
    "AgentSpec",
    "CodeInterpreter",
    "Connector",
    "Conversation",
    "DocumentLibrary",
    "ImageGeneration",
    "Meter",
    "MistralAgents",
    "MistralAgentsError",
    "Prices",
    "Safeguards",
    "Turn",
    "WebSearch",
    "function_result",
    "show",
    "translate_tools",
]
