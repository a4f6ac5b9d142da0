"""Tools of the service's connectors (MCP and HTTP servers) for any LangChain model: you run them, here."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

from langchain_core.tools import StructuredTool, ToolException

from mistral_agents import MistralAgents
from mistral_agents.connector_api import ConnectorResult, ConnectorTool, ConnectorToolError


def load_connector_tools(connector: str, *, client: MistralAgents | None = None) -> list[StructuredTool]:
    """The tools of a connector, to bind to any chat model or give to `create_agent`.

    To let the service run a connector for a Mistral model instead, put `Connector(...)` among the model's tools.

    Args:
        connector: Its id or name.
        client: The client; None makes one from the environment.

    Raises:
        MistralAgentsError: The connector can't be read.
    """
    found = client if client is not None else MistralAgents()
    return [_make_connector_tool(found, connector, tool) for tool in found.connectors.tools(connector)]


async def aload_connector_tools(connector: str, *, client: MistralAgents | None = None) -> list[StructuredTool]:
    """As `load_connector_tools`, without blocking."""
    found = client if client is not None else MistralAgents()
    return [_make_connector_tool(found, connector, tool) for tool in await found.connectors.atools(connector)]


def _make_connector_tool(client: MistralAgents, connector: str, tool: ConnectorTool) -> StructuredTool:
    name = str(tool["name"])

    def run(**arguments: object) -> tuple[Any, ConnectorResult]:
        try:
            return _split_result(client.connectors.call(connector, name, arguments))
        except ConnectorToolError as error:
            raise ToolException(str(error)) from error

    async def arun(**arguments: object) -> tuple[Any, ConnectorResult]:
        try:
            return _split_result(await client.connectors.acall(connector, name, arguments))
        except ConnectorToolError as error:
            raise ToolException(str(error)) from error

    return StructuredTool(
        name=name,
        description=str(tool.get("description") or name),
        args_schema=tool.schema,
        func=run,
        coroutine=arun,
        response_format="content_and_artifact",
        handle_tool_error=True,
        metadata={"connector": connector},
    )


def _split_result(result: ConnectorResult) -> tuple[str | list[str | dict[str, Any]], ConnectorResult]:
    """What the model is told, and the artifact: the text, or blocks where there are pictures."""
    pictures: list[str | dict[str, Any]] = [
        {"type": "image", "base64": b64encode(data).decode(), "mime_type": kind} for kind, data in result.images
    ]
    words: list[str | dict[str, Any]] = [{"type": "text", "text": result.text}] if result.text else []
    return [*words, *pictures] if pictures else result.text, result
