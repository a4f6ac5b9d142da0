"""LangChain's standard suites for tools: a connector's tool, and an agent as a tool."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.tools import BaseTool
from langchain_tests.integration_tests import ToolsIntegrationTests
from langchain_tests.unit_tests import ToolsUnitTests

from langchain_mistral_agents import MistralAgentRunnable, load_connector_tools
from mistral_agents import MistralAgents


class _ConnectorTool:
    made: BaseTool

    @pytest.fixture(autouse=True)
    def _with_connector(self, meteo: MistralAgents) -> None:
        (tool,) = load_connector_tools("meteo", client=meteo)
        type(self).made = tool

    @property
    def tool_constructor(self) -> Any:
        return self.made

    @property
    def tool_invoke_params_example(self) -> dict[str, Any]:
        return {"city": "Rome"}


class TestConnectorToolUnit(_ConnectorTool, ToolsUnitTests):
    """A connector's tool is made by a function, so that an instance is what the suite gets."""


class TestConnectorTool(_ConnectorTool, ToolsIntegrationTests):
    """The same, against the stand-in."""


class TestAgentTool(ToolsIntegrationTests):
    made: BaseTool

    @pytest.fixture(autouse=True)
    def _with_agent(self, client: MistralAgents) -> None:
        agent = MistralAgentRunnable.create_agent(client=client, model="m", name="helper")
        type(self).made = agent.as_tool(description="Helps.", arg_types={"input": str})

    @property
    def tool_constructor(self) -> Any:
        return self.made

    @property
    def tool_invoke_params_example(self) -> dict[str, Any]:
        return {"input": "What is 2 + 3?"}
