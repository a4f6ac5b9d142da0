"""Tools of the service's connectors (MCP and HTTP servers) for any LlamaIndex agent: you run them, here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from llama_index.core.base.llms.types import ImageBlock, TextBlock
from llama_index.core.tools import AsyncBaseTool, ToolMetadata, ToolOutput

from mistral_agents import MistralAgents
from mistral_agents.connector_api import ConnectorResult, ConnectorTool, ConnectorToolError


def load_connector_tools(connector: str, *, client: MistralAgents | None = None) -> list[MistralConnectorTool]:
    """The tools of a connector, for any agent or function-calling LLM.

    To let the service run a connector for a Mistral model instead, put `Connector(...)` among the LLM's tools.

    Args:
        connector: Its id or name.
        client: The client; None makes one from the environment.

    Raises:
        MistralAgentsError: The connector can't be read.
    """
    found = client if client is not None else MistralAgents()
    return [MistralConnectorTool(found, connector, tool) for tool in found.connectors.tools(connector)]


async def aload_connector_tools(connector: str, *, client: MistralAgents | None = None) -> list[MistralConnectorTool]:
    """As `load_connector_tools`, without blocking."""
    found = client if client is not None else MistralAgents()
    return [MistralConnectorTool(found, connector, tool) for tool in await found.connectors.atools(connector)]


@dataclass
class _Metadata(ToolMetadata):
    """A tool's metadata with the JSON schema that the connector gave, as it is."""

    parameters: dict[str, Any] = field(default_factory=dict)

    def get_parameters_dict(self) -> dict[str, Any]:
        """The JSON schema of the arguments."""
        return self.parameters


class MistralConnectorTool(AsyncBaseTool):
    """One tool of a connector; a failure of the tool comes back as an output marked as error."""

    def __init__(self, client: MistralAgents, connector: str, tool: ConnectorTool) -> None:
        self._client = client
        self._connector = connector
        name = str(tool["name"])
        self._metadata = _Metadata(str(tool.get("description") or name), name, None, parameters=tool.schema)

    @property
    def metadata(self) -> ToolMetadata:
        """Name, description and schema."""
        return self._metadata

    def call(self, *_: object, **arguments: object) -> ToolOutput:
        """Run the tool."""
        try:
            return self._make_output(arguments, self._client.connectors.call(self._connector, self._name, arguments))
        except ConnectorToolError as error:
            return self._make_output(arguments, error)

    async def acall(self, *_: object, **arguments: object) -> ToolOutput:
        """Run the tool without blocking."""
        try:
            result = await self._client.connectors.acall(self._connector, self._name, arguments)
            return self._make_output(arguments, result)
        except ConnectorToolError as error:
            return self._make_output(arguments, error)

    @property
    def _name(self) -> str:
        return str(self._metadata.name)

    def _make_output(self, arguments: dict[str, Any], result: ConnectorResult | ConnectorToolError) -> ToolOutput:
        failed = isinstance(result, ConnectorToolError)
        text = str(result) if isinstance(result, ConnectorToolError) else result.text
        pictures = [] if isinstance(result, ConnectorToolError) else result.images
        blocks: list[Any] = [TextBlock(text=text)] if text or not pictures else []
        blocks += [ImageBlock(image=data, image_mimetype=kind) for kind, data in pictures]
        return ToolOutput(blocks=blocks, tool_name=self._name, raw_input=arguments, raw_output=result, is_error=failed)
