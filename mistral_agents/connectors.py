"""Import path kept for the hosted-tool builders (`mistral_agents.tools`) and connectors (`connector_api`)."""

from __future__ import annotations

from mistral_agents.connector_api import ConnectorInfo, ConnectorResult, Connectors, ConnectorTool, ConnectorToolError
from mistral_agents.tools import (
    HOSTED,
    CodeInterpreter,
    Connector,
    DocumentLibrary,
    HostedTool,
    ImageGeneration,
    MissingLibraryError,
    ReportRow,
    Translation,
    TranslationWarning,
    WebSearch,
    hybrid_tools,
    translate_tools,
)

__all__ = [
    "HOSTED",
    "CodeInterpreter",
    "Connector",
    "ConnectorInfo",
    "ConnectorResult",
    "ConnectorTool",
    "ConnectorToolError",
    "Connectors",
    "DocumentLibrary",
    "HostedTool",
    "ImageGeneration",
    "MissingLibraryError",
    "ReportRow",
    "Translation",
    "TranslationWarning",
    "WebSearch",
    "hybrid_tools",
    "translate_tools",
]
