"""Connectors of this process: their routes, and their tools in conversations."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from mistral_agents_server import ids
from mistral_agents_server.connector_store import OWNERS, ConnectorStore
from mistral_agents_server.errors import conflict, not_found
from mistral_agents_server.paging import number_of, offset_of, token_for
from mistral_agents_server.settings import LocalConnector, LocalTool
from mistral_agents_server.strict_json import mend_text
from mistral_agents_server.thinking import count_tokens
from mistral_agents_server.wire import read_body

Wire = dict[str, Any]

_NAMESPACE = uuid.UUID("6d2f4cf4-53d1-4c0e-9d55-6cf7b1a86a4e")


class CallRequest(BaseModel):
    """POST /v1/connectors/{connector}/tools/{tool}/call; the description allows further fields."""

    model_config = ConfigDict(extra="allow")
    arguments: dict[str, Any] | None = None


@dataclass(slots=True)
class Ran:
    """What a connector's tool gave; it makes no files and names no sources."""

    info: Wire
    connector: str
    tokens: int
    files: list[Any] = field(default_factory=list)
    references: list[Wire] = field(default_factory=list)


class Connectors:
    """The local connectors, as hosted tools.

    Args:
        connectors: what was configured.
    """

    def __init__(self, connectors: Sequence[LocalConnector]) -> None:
        self.all = {connector.name: connector for connector in connectors}
        self._by_id = {connector_id(connector): connector for connector in connectors}

    def find(self, id_or_name: str) -> LocalConnector | None:
        """A connector by its id or name."""
        return self.all.get(id_or_name) or self._by_id.get(id_or_name)

    def function_names(self) -> list[str]:
        """All tools of all connectors, as conversations call them."""
        return [f"{connector.name}_{tool.name}" for connector in self.all.values() for tool in connector.tools]

    def _of(self, tools: list[Wire]) -> list[tuple[LocalConnector, LocalTool]]:
        """The tools that declarations offer; an unknown connector offers none, as on the service."""
        found = [self.find(tool["connector_id"]) for tool in tools if tool["type"] == "connector"]
        return [(connector, tool) for connector in found if connector is not None for tool in connector.tools]

    def schemas(self, tools: list[Wire]) -> list[Wire]:
        """The functions that the declared connectors offer, each named `<connector>_<tool>`."""
        return [
            {
                "type": "function",
                "function": {
                    "name": f"{connector.name}_{tool.name}",
                    "description": tool.description,
                    "parameters": dict(tool.parameters),
                },
            }
            for connector, tool in self._of(tools)
        ]

    def wire_name(self, function: str, tools: list[Wire]) -> str:  # noqa: ARG002
        """The entry's name is the function's."""
        return function

    def bare_name(self, function: str, tools: list[Wire]) -> str:
        """The tool's name as the connector lists it."""
        found = (tool.name for connector, tool in self._of(tools) if f"{connector.name}_{tool.name}" == function)
        return next(found, function)

    def run(self, function: str, arguments: Wire, tools: list[Wire]) -> Ran:
        """Run one tool."""
        for connector, tool in self._of(tools):
            if f"{connector.name}_{tool.name}" == function:
                content = _content(tool, function, arguments)
                return Ran({"result": content}, connector.name, count_tokens(json.dumps(content)))
        return Ran({"result": f"Error executing tool {function}: it is not known"}, function, 0)


def _content(tool: LocalTool, function: str, arguments: Wire) -> Any:
    """The tool's text as a list of text items; a failure is plain text, as for every hosted tool."""
    try:
        return [{"type": "text", "text": mend_text(tool.run(arguments))}]
    except Exception as error:  # noqa: BLE001  (whatever a tool raises is its result, and the turn goes on)
        return f"Error executing tool {function}: {error}"


def connector_id(connector: LocalConnector) -> str:
    """The same UUID for the same name, in every run."""
    return str(uuid.uuid5(_NAMESPACE, connector.name))


class ConnectorsApi:
    """The routes of /v1/connectors that show connectors and run their tools.

    Args:
        connectors: those given at the start.
        store: those made over HTTP; they have no tools here.
    """

    def __init__(self, connectors: Connectors, store: ConnectorStore) -> None:
        self._connectors = connectors
        self._store = store
        self._since = ids.now()

    def routes(self) -> list[Route]:
        """The routes."""
        one = "/v1/connectors/{connector}"
        return [
            Route("/v1/connectors", self.page, methods=["GET"]),
            Route(one, self.get, methods=["GET"]),
            Route(f"{one}/tools", self.tools, methods=["GET"]),
            Route(f"{one}/tools/{{tool}}/call", self.call, methods=["POST"]),
        ]

    async def page(self, request: Request) -> Response:
        """One page of connectors."""
        start, size = (
            offset_of(request.query_params.get("cursor"), "cursor"),
            number_of(request, "page_size", 100, 1, 1000),
        )
        wanted = request.query_params.get("active")
        found = [
            shown
            for shown in await run_in_threadpool(self._all)
            if wanted is None or shown["active"] is (wanted.lower() == "true")
        ]
        cursor = token_for(start + size) if start + size < len(found) else None
        pagination = {"next_cursor": cursor, "page_size": size}
        return JSONResponse({"items": found[start : start + size], "pagination": pagination})

    def _all(self) -> list[Wire]:
        given = [self._given(connector) for connector in self._connectors.all.values()]
        return [self.wire(connector) for connector in [*given, *self._store.all()]]

    async def get(self, request: Request) -> Response:
        """One connector, by id or name; with `fetch_user_data=true` the names of the user's credentials too."""
        connector = self.find(request.path_params["connector"])
        shown = await run_in_threadpool(self.wire, connector)
        if request.query_params.get("fetch_user_data", "").lower() == "true":
            shown["connection_credentials"] = self._store.credentials(connector["id"], "user")
        return JSONResponse(shown)

    async def tools(self, request: Request) -> Response:
        """The connector's tools as an MCP server lists them."""
        page, size = number_of(request, "page", 1, 1), number_of(request, "page_size", 100, 1)
        found = [
            {"name": tool.name, "description": tool.description, "inputSchema": dict(tool.parameters)}
            for tool in self._tools(request)
        ]
        return JSONResponse(found[(page - 1) * size : page * size])

    async def call(self, request: Request) -> Response:
        """Run one tool."""
        name = request.path_params["tool"]
        body = await read_body(request, CallRequest)
        tool = next((tool for tool in self._tools(request) if tool.name == name), None)
        if tool is None:
            raise not_found(f"Connector {request.path_params['connector']} has no tool {name}")
        content = await run_in_threadpool(_content, tool, name, body.arguments or {})
        failed = isinstance(content, str)
        shown = [{"type": "text", "text": content}] if failed else content
        return JSONResponse({"content": shown, "metadata": {"mcp_meta": {"isError": failed}}})

    def _tools(self, request: Request) -> Sequence[LocalTool]:
        given = self._connectors.find(request.path_params["connector"])
        if given is None:
            self._store.get(request.path_params["connector"])
        return given.tools if given is not None else ()

    def find(self, id_or_name: str) -> Wire:
        """What is kept of a connector, by id or name; one given at the start has no `auth_methods`.

        Raises:
            ApiError: 404.
        """
        given = self._connectors.find(id_or_name)
        return self._given(given) if given is not None else self._store.get(id_or_name)

    def require_free(self, name: str, connector_id: str | None = None) -> None:
        """Check that a name is no other connector's.

        Raises:
            ApiError: 409.
        """
        given, made = self._connectors.find(name), self._store.find(name)
        if given is not None or (made is not None and made["id"] != connector_id):
            raise conflict(f"There is a connector {name} already")

    def _given(self, connector: LocalConnector) -> Wire:
        return {
            "id": connector_id(connector),
            "name": connector.name,
            "description": connector.description,
            "created_at": self._since,
            "modified_at": self._since,
            "visibility": "private",
        }

    def methods(self, connector: Wire) -> list[Wire]:
        """How a connector can be authorized."""
        kept = {one["authentication_type"] for one in self._store.credentials(connector["id"]) if one["is_default"]}
        kinds = [method["method_type"] for method in connector.get("auth_methods", [{"method_type": "none"}])]
        return [{"method_type": kind, "headers": None, "has_default_credentials": kind in kept} for kind in kinds]

    def wire(self, connector: Wire) -> Wire:
        """A connector as it is shown."""
        methods = self.methods(connector)
        return {
            "id": connector["id"],
            "name": connector["name"],
            "title": connector.get("title"),
            "description": connector["description"],
            "created_at": connector["created_at"],
            "modified_at": connector["modified_at"],
            "server": connector.get("server"),
            "protocol": "mcp",
            "icon_url": connector.get("icon_url"),
            "owner_type": OWNERS[connector["visibility"]],
            "visibility": connector["visibility"],
            "system_prompt": connector.get("system_prompt"),
            "supported_auth_methods": methods,
            "active": self._store.is_active(connector["id"]),
            "private_tool_execution": "auth_methods" not in connector,
            "supports_mcp": True,  # required by the SDK 3.7, not in the description
            "is_authenticated": any(
                method["has_default_credentials"] or method["method_type"] == "none" for method in methods
            ),
        }
