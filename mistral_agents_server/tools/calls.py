"""Arguments of the hosted functions: one model each gives the schema and the check, with the service's error text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError, create_model

from mistral_agents_server.tools.results import ToolError, ToolResult

Wire = dict[str, Any]
Arguments = TypeVar("Arguments", bound=BaseModel)


@dataclass(slots=True, frozen=True)
class HostedFunction(Generic[Arguments]):
    """One function of a hosted tool.

    Attributes:
        name: how the model calls it.
        description: what it does, for the model.
        arguments: model of its arguments.
        run: runs it on checked arguments and the declared tool.
        connector: its key in `usage.connectors`; empty for the declared tool's type.
        entry: the `name` of its runs; empty for the declared tool's type.
    """

    name: str
    description: str
    arguments: type[Arguments]
    run: Callable[[Arguments, Wire], ToolResult]
    connector: str = ""
    entry: str = ""

    def schema(self) -> Wire:
        """Its schema in OpenAI's form."""
        parameters = self.arguments.model_json_schema()
        for part in (parameters, *parameters["properties"].values()):
            part.pop("title", None)
        parameters.pop("description", None)
        function = {"name": self.name, "description": self.description, "parameters": parameters}
        return {"type": "function", "function": function}

    def call(self, arguments: Wire, tool: Wire) -> ToolResult:
        """Check the arguments and run.

        Raises:
            ToolError: the arguments are wrong, or the tool failed.
        """
        named = create_model(f"call[{self.name}]", __base__=self.arguments)
        try:
            checked = named.model_validate(arguments)
        except ValidationError as error:
            raise ToolError(str(error)) from error
        result = self.run(checked, tool)
        result.connector = self.connector if self.connector else tool["type"]
        return result
