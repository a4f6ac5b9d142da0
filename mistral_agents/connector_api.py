"""Connectors registered with the service (MCP or HTTP servers): list them, see their tools, call one."""

from __future__ import annotations

import builtins
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from mistral_agents._api.paging import awalk, given, walk
from mistral_agents._api.records import Record, as_record, rows_of
from mistral_agents._http.sdk import Operation
from mistral_agents._http.transport import Call, Reply, Transport, path_of
from mistral_agents._json import JsonDict
from mistral_agents.entries import chunk_text
from mistral_agents.errors import MistralAgentsError, ResponseFormatError

_ONE = "/v1/connectors/{connector}"


class ConnectorInfo(Record):
    """A registered connector: `id`, `name`, `description`, `protocol`, `is_authenticated`, ..."""


class ConnectorTool(Record):
    """A tool of a connector: `name`, `description`, `inputSchema`.

    In a conversation it is called `<connector>_<tool>`; `as_function` makes a tool that you run yourself.
    """

    @property
    def schema(self) -> JsonDict:
        """The JSON schema of its arguments; an object without fields where the service sends none."""
        found = self.get("inputSchema", self.get("jsonschema"))
        return found if isinstance(found, dict) else {"type": "object", "properties": {}}

    def as_function(self) -> JsonDict:
        """The tool as a `function` tool, for any model: run it with `client.connectors.call`."""
        described = given(name=self.get("name"), description=self.get("description"))
        return {"type": "function", "function": {**described, "parameters": self.schema}}


class ConnectorToolError(MistralAgentsError):
    """A tool of a connector reported a failure; `.body` is its reply."""


@dataclass(frozen=True, slots=True)
class ConnectorResult:
    """What a tool of a connector gave.

    Attributes:
        content: Items as sent: text, images, resources.
        metadata: What came beside it.
        raw: The whole reply.
    """

    content: list[JsonDict]
    metadata: JsonDict = field(default_factory=dict)
    raw: JsonDict = field(default_factory=dict, repr=False)

    @property
    def text(self) -> str:
        """The text items, joined by line breaks."""
        return "\n".join(text for item in self.content if (text := chunk_text(item)))


def _call(what: str, method: str, path: str, operation: str, **facts: Any) -> Call:
    return Call(what, method, path, Operation(f"connector_{operation}_v1", "beta.connectors"), **facts)


def _list(page_size: int) -> Call:
    return _call("Listing connectors", "GET", "/v1/connectors", "list", params={"page_size": page_size})


def _get(connector: str) -> Call:
    return _call("Reading the connector", "GET", path_of(_ONE, connector=connector), "get")


def _tools(connector: str, page_size: int) -> Call:
    path = path_of(_ONE + "/tools", connector=connector)
    params = {"page": 1, "page_size": page_size}
    return _call("Listing the connector's tools", "GET", path, "list_tools", params=params)


def _run(connector: str, tool: str, arguments: Mapping[str, Any], credentials: str | None) -> Call:
    path = path_of(_ONE + "/tools/{tool}/call", connector=connector, tool=tool)
    body, params = {"arguments": dict(arguments)}, {"credentials_name": credentials}
    return _call(f"Calling {tool} of {connector}", "POST", path, "call_tool", body=body, params=params, once=True)


def _by_cursor(call: Call, data: Any, rows: list[JsonDict]) -> Call | None:
    told = data.get("pagination") if isinstance(data, dict) else None
    cursor = told.get("next_cursor") if isinstance(told, Mapping) else None
    return replace(call, params={**call.params, "cursor": cursor}) if cursor and rows else None


def _by_page(call: Call, _: Any, rows: list[JsonDict]) -> Call | None:
    full = len(rows) >= call.params["page_size"]
    return replace(call, params={**call.params, "page": call.params["page"] + 1}) if full else None


def _result(call: Call, reply: Reply) -> ConnectorResult:
    data = reply.json()
    if not isinstance(data, dict):
        raise ResponseFormatError("The service sent no result of the tool.", body=data)
    metadata = data.get("metadata")
    told = metadata if isinstance(metadata, dict) else {}
    result = ConnectorResult(rows_of(data, "content"), told, data)
    nested = told.get("mcp_meta")
    if any(isinstance(place, dict) and place.get("isError") is True for place in (data, told, nested)):
        raise ConnectorToolError(f"{call.what} failed: {result.text or 'no message'}", body=data)
    return result


class Connectors:
    """Connectors of the service. Every method has an asynchronous twin with the prefix `a`.

    A `connector` argument is an id or a name. Three ways to use one: let an agent's server run it
    (`Connector(...)` among its tools), call a tool yourself (`call`), or offer its tools to any model as functions.

    Raises:
        ConfigurationError: An argument is wrong; nothing was sent.
        MistralAgentsError: The service or the connection failed; see `mistral_agents.errors`.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(self, *, page_size: int = 100) -> Iterator[ConnectorInfo]:
        """All connectors this key can see (`page_size` is 1 to 1000)."""
        return map(ConnectorInfo, walk(self._transport.send, _list(page_size), _by_cursor, "items"))

    async def alist(self, *, page_size: int = 100) -> AsyncIterator[ConnectorInfo]:
        """As `list`, without blocking."""
        async for row in awalk(self._transport.asend, _list(page_size), _by_cursor, "items"):
            yield ConnectorInfo(row)

    def get(self, connector: str) -> ConnectorInfo:
        """Read a connector."""
        return as_record(ConnectorInfo, self._transport.send(_get(connector)).json())

    async def aget(self, connector: str) -> ConnectorInfo:
        """As `get`, without blocking."""
        return as_record(ConnectorInfo, (await self._transport.asend(_get(connector))).json())

    def tools(self, connector: str, *, page_size: int = 100) -> builtins.list[ConnectorTool]:
        """The tools of a connector."""
        rows = walk(self._transport.send, _tools(connector, page_size), _by_page, "items", "data")
        return [ConnectorTool(row) for row in rows]

    async def atools(self, connector: str, *, page_size: int = 100) -> builtins.list[ConnectorTool]:
        """As `tools`, without blocking."""
        rows = awalk(self._transport.asend, _tools(connector, page_size), _by_page, "items", "data")
        return [ConnectorTool(row) async for row in rows]

    def call(
        self, connector: str, tool: str, arguments: Mapping[str, Any] | None = None, *, credentials: str | None = None
    ) -> ConnectorResult:
        """Run a tool of a connector.

        Args:
            connector: Id or name.
            tool: The tool's own name.
            arguments: By the tool's schema.
            credentials: Name of the stored credentials to use.

        Raises:
            ConnectorToolError: The tool itself failed.
        """
        call = _run(connector, tool, arguments if arguments is not None else {}, credentials)
        return _result(call, self._transport.send(call))

    async def acall(
        self, connector: str, tool: str, arguments: Mapping[str, Any] | None = None, *, credentials: str | None = None
    ) -> ConnectorResult:
        """As `call`, without blocking."""
        call = _run(connector, tool, arguments if arguments is not None else {}, credentials)
        return _result(call, await self._transport.asend(call))
