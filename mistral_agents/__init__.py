"""Mistral's server-side agents, conversations and document libraries; the foundation of the two wings.

Names are loaded when first used, so that importing one room does not import all of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mistral_agents._lazy import offer_names
from mistral_agents._version import __version__ as __version__

if TYPE_CHECKING:
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

_HOMES = {
    "AgentSpec": "specs",
    "CodeInterpreter": "tools",
    "Connector": "tools",
    "Conversation": "conversation",
    "DocumentLibrary": "tools",
    "ImageGeneration": "tools",
    "Meter": "costs",
    "MistralAgents": "client",
    "MistralAgentsError": "errors",
    "Prices": "usage",
    "Safeguards": "security",
    "Turn": "turn",
    "WebSearch": "tools",
    "function_result": "entries",
    "show": "display",
    "translate_tools": "tools",
}

if not TYPE_CHECKING:  # a checker shall know the names above only
    __getattr__, __dir__ = offer_names(__name__, _HOMES)
