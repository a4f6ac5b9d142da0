"""Connectors registered with the service (MCP or HTTP servers): list them, see their tools, call one."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from typing_extensions import Unpack

from mistral_agents._api import connectors as calls
from mistral_agents._api.arguments import given
from mistral_agents._api.connectors import AuthUrlOptions, ConnectorChanges, ConnectorOptions, Scope
from mistral_agents._api.paging import awalk, walk
from mistral_agents._api.records import Listing, Record, Records, as_record, rows_of
from mistral_agents._http.calls import Call
from mistral_agents._http.concealed import conceal_fields, conceal_options, conceal_text
from mistral_agents._http.replies import Reply
from mistral_agents._http.transport import Transport
from mistral_agents._json import JsonDict
from mistral_agents.entries import chunk_text
from mistral_agents.errors import MistralAgentsError, ResponseFormatError


class ConnectorInfo(Record):
    """A registered connector."""

    id: str
    name: str
    title: str | None
    description: str | None
    server: str | None
    protocol: str | None
    visibility: str | None
    active: bool | None
    is_authenticated: bool | None
    system_prompt: str | None
    tools: list[JsonDict] | None
    supported_auth_methods: list[JsonDict] | None
    icon_url: str | None
    owner_id: str | None
    owner_type: str | None
    creator_id: str | None
    mistral: bool | None
    private_tool_execution: bool | None
    created_at: datetime
    modified_at: datetime


class ConnectorTool(Record):
    """A tool of a connector.

    In a conversation it is called `<connector>_<tool>`; `as_function` makes a tool that you run yourself.
    """

    id: str | None
    name: str
    description: str | None
    inputSchema: JsonDict | None  # noqa: N815 the service's own name
    jsonschema: JsonDict | None
    system_prompt: str | None
    execution_config: JsonDict | None
    visibility: str | None
    active: bool | None
    created_at: datetime | None
    modified_at: datetime | None

    @property
    def schema(self) -> JsonDict:
        """The JSON schema of its arguments; an object without fields where the service sends none."""
        found = (self.get(name) for name in ("inputSchema", "jsonschema"))
        return next((each for each in found if isinstance(each, dict)), {"type": "object", "properties": {}})

    def as_function(self) -> JsonDict:
        """The tool as a `function` tool, for any model: run it with `client.connectors.call`."""
        described = given(name=self.get("name"), description=self.get("description"))
        return {"type": "function", "function": {**described, "parameters": self.schema}}


class Credentials(Record):
    """Stored credentials of a connector, without their secrets."""

    name: str
    authentication_type: str | None
    is_default: bool | None


class AuthUrl(Record):
    """Where a user authorizes a connector; `ttl` is how long it holds, in seconds."""

    auth_url: str
    ttl: int


class AuthMethod(Record):
    """A way of authorizing a connector."""

    method_type: str
    has_default_credentials: bool | None


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
        """The texts, resources with a text and links, joined by line breaks; without any, `structured` as JSON."""
        texts = [text for item in self.content if (text := _read_words(item))]
        if texts or self.structured is None:
            return "\n".join(texts)
        return json.dumps(self.structured, ensure_ascii=False)

    @property
    def structured(self) -> JsonDict | None:
        """The result as an object, where the tool gave one."""
        found = (place.get("structuredContent") for place in _list_places(self.raw, self.metadata))
        return next((one for one in found if isinstance(one, dict)), None)

    @property
    def images(self) -> list[tuple[str, bytes]]:
        """The pictures: media type and bytes of each; what is damaged is left out."""
        return [found for item in self.content if (found := _read_picture(item)) is not None]


def _read_words(item: JsonDict) -> str:
    if item.get("type") == "resource_link":
        return ": ".join(str(item[name]) for name in ("name", "uri") if item.get(name))
    resource = item.get("resource")
    return chunk_text({"text": resource.get("text")}) if isinstance(resource, dict) else chunk_text(item)


def _read_picture(item: JsonDict) -> tuple[str, bytes] | None:
    data, kind = item.get("data"), item.get("mimeType")
    if item.get("type") != "image" or not isinstance(data, str):
        return None
    try:
        return kind if isinstance(kind, str) else "image/png", base64.b64decode(data, validate=True)
    except ValueError:
        return None


def _list_places(raw: JsonDict, metadata: JsonDict) -> list[JsonDict]:
    """Where the service puts what MCP has beside the content."""
    return [place for place in (raw, metadata, metadata.get("mcp_meta")) if isinstance(place, dict)]


def _read_tool_result(call: Call, reply: Reply) -> ConnectorResult:
    data = reply.json()
    if not isinstance(data, dict):
        raise ResponseFormatError("The service sent no result of the tool.", body=data)
    metadata = data.get("metadata")
    told = metadata if isinstance(metadata, dict) else {}
    result = ConnectorResult(rows_of(data, "content"), told, data)
    if any(place.get("isError") is True for place in _list_places(data, told)):
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

    def list(self, *, page_size: int = 100) -> Listing[ConnectorInfo]:
        """All connectors this key can see (`page_size` is 1 to 1000)."""
        call = calls.list_connectors_call(page_size)
        rows = walk(self._transport.send, call, calls.by_cursor, "items", most=calls.MOST)
        return Listing(map(ConnectorInfo, rows))

    async def alist(self, *, page_size: int = 100) -> AsyncIterator[ConnectorInfo]:
        """As `list`, without blocking."""
        call = calls.list_connectors_call(page_size)
        async for row in awalk(self._transport.asend, call, calls.by_cursor, "items", most=calls.MOST):
            yield ConnectorInfo(row)

    def get(self, connector: str) -> ConnectorInfo:
        """Read a connector."""
        return as_record(ConnectorInfo, self._transport.send(calls.get_connector_call(connector)).json())

    async def aget(self, connector: str) -> ConnectorInfo:
        """As `get`, without blocking."""
        return as_record(ConnectorInfo, (await self._transport.asend(calls.get_connector_call(connector))).json())

    def tools(
        self, connector: str, *, page_size: int = 100, credentials: str | None = None, refresh: bool | None = None
    ) -> Records[ConnectorTool]:
        """The tools of a connector.

        Args:
            connector: Id or name.
            page_size: Tools per request, 1 to 1000.
            credentials: Name of the stored credentials to ask the server with.
            refresh: Whether the service asks the server anew, instead of answering from what it remembers.

        Raises:
            ResponseFormatError: The list does not end.
        """
        call = calls.tools_call(connector, page_size, credentials, refresh)
        rows = walk(self._transport.send, call, calls.by_page, "items", "data", most=calls.MOST)
        return Records(ConnectorTool(row) for row in rows)

    async def atools(
        self, connector: str, *, page_size: int = 100, credentials: str | None = None, refresh: bool | None = None
    ) -> Records[ConnectorTool]:
        """As `tools`, without blocking."""
        call = calls.tools_call(connector, page_size, credentials, refresh)
        rows = awalk(self._transport.asend, call, calls.by_page, "items", "data", most=calls.MOST)
        return Records([ConnectorTool(row) async for row in rows])

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
        call = calls.run_call(connector, tool, arguments if arguments is not None else {}, credentials)
        return _read_tool_result(call, self._transport.send(call))

    async def acall(
        self, connector: str, tool: str, arguments: Mapping[str, Any] | None = None, *, credentials: str | None = None
    ) -> ConnectorResult:
        """As `call`, without blocking."""
        call = calls.run_call(connector, tool, arguments if arguments is not None else {}, credentials)
        return _read_tool_result(call, await self._transport.asend(call))

    # making, changing, sharing ---------------------------------------------------------------------------------

    def create(self, *, name: str, server: str, description: str, **options: Unpack[ConnectorOptions]) -> ConnectorInfo:
        """Register an MCP server.

        Args:
            name: Letters, digits, `_` and `-`, at most 64.
            server: Its address.
            description: What it is for.
            options: See `ConnectorOptions`.
        """
        options = conceal_options(options)
        return as_record(
            ConnectorInfo, self._transport.send(calls.create_connector_call(name, server, description, options)).json()
        )

    async def acreate(
        self, *, name: str, server: str, description: str, **options: Unpack[ConnectorOptions]
    ) -> ConnectorInfo:
        """As `create`, without blocking."""
        options = conceal_options(options)
        return as_record(
            ConnectorInfo,
            (await self._transport.asend(calls.create_connector_call(name, server, description, options))).json(),
        )

    def update(self, connector_id: str, **changes: Unpack[ConnectorChanges]) -> ConnectorInfo:
        """Change a connector by its id (a UUID); None leaves a field as it is."""
        changes = conceal_options(changes)
        return as_record(ConnectorInfo, self._transport.send(calls.update_connector_call(connector_id, changes)).json())

    async def aupdate(self, connector_id: str, **changes: Unpack[ConnectorChanges]) -> ConnectorInfo:
        """As `update`, without blocking."""
        changes = conceal_options(changes)
        return as_record(
            ConnectorInfo, (await self._transport.asend(calls.update_connector_call(connector_id, changes))).json()
        )

    def delete(self, connector_id: str) -> None:
        """Delete a connector by its id (a UUID)."""
        self._transport.send(calls.delete_connector_call(connector_id))

    async def adelete(self, connector_id: str) -> None:
        """As `delete`, without blocking."""
        await self._transport.asend(calls.delete_connector_call(connector_id))

    def share(self, connector_id: str, *, organization: bool = False) -> None:
        """Share your private connector with the workspace, or with the whole organization.

        Authorizations that rest on the owner's identity must be made again afterwards.
        """
        self._transport.send(calls.share_connector_call("PUT", connector_id, organization=organization))

    async def ashare(self, connector_id: str, *, organization: bool = False) -> None:
        """As `share`, without blocking."""
        await self._transport.asend(calls.share_connector_call("PUT", connector_id, organization=organization))

    def unshare(self, connector_id: str, *, organization: bool = False) -> None:
        """Make a shared connector private again."""
        self._transport.send(calls.share_connector_call("DELETE", connector_id, organization=organization))

    async def aunshare(self, connector_id: str, *, organization: bool = False) -> None:
        """As `unshare`, without blocking."""
        await self._transport.asend(calls.share_connector_call("DELETE", connector_id, organization=organization))

    def activate(self, connector_id: str, scope: Scope = "user") -> None:
        """Switch a connector on for the user, the workspace or the organization."""
        self._transport.send(calls.switch_connector_call(connector_id, scope, active=True))

    async def aactivate(self, connector_id: str, scope: Scope = "user") -> None:
        """As `activate`, without blocking."""
        await self._transport.asend(calls.switch_connector_call(connector_id, scope, active=True))

    def deactivate(self, connector_id: str, scope: Scope = "user") -> None:
        """Switch a connector off; see `activate`."""
        self._transport.send(calls.switch_connector_call(connector_id, scope, active=False))

    async def adeactivate(self, connector_id: str, scope: Scope = "user") -> None:
        """As `deactivate`, without blocking."""
        await self._transport.asend(calls.switch_connector_call(connector_id, scope, active=False))

    # authorization -----------------------------------------------------------------------------------------------

    def auth_methods(self, connector: str) -> Records[AuthMethod]:
        """How a connector can be authorized."""
        reply = self._transport.send(calls.auth_methods_call(connector))
        return Records(map(AuthMethod, rows_of(reply.json())))

    async def aauth_methods(self, connector: str) -> Records[AuthMethod]:
        """As `auth_methods`, without blocking."""
        reply = await self._transport.asend(calls.auth_methods_call(connector))
        return Records(map(AuthMethod, rows_of(reply.json())))

    def auth_url(self, connector: str, **options: Unpack[AuthUrlOptions]) -> AuthUrl:
        """Where a user authorizes a connector (OAuth); see `AuthUrlOptions`. `connector` is an id or a name."""
        return as_record(AuthUrl, self._transport.send(calls.auth_url_call(connector, options)).json())

    async def aauth_url(self, connector: str, **options: Unpack[AuthUrlOptions]) -> AuthUrl:
        """As `auth_url`, without blocking."""
        return as_record(AuthUrl, (await self._transport.asend(calls.auth_url_call(connector, options))).json())

    def credentials(
        self, connector: str, scope: Scope = "user", *, auth_type: str | None = None
    ) -> Records[Credentials]:
        """The stored credentials of a connector in a scope; the service does not show their secrets."""
        reply = self._transport.send(calls.credentials_call(connector, scope, auth_type))
        return Records(map(Credentials, rows_of(reply.json(), "credentials")))

    async def acredentials(
        self, connector: str, scope: Scope = "user", *, auth_type: str | None = None
    ) -> Records[Credentials]:
        """As `credentials`, without blocking."""
        reply = await self._transport.asend(calls.credentials_call(connector, scope, auth_type))
        return Records(map(Credentials, rows_of(reply.json(), "credentials")))

    def set_credentials(
        self,
        connector: str,
        name: str,
        scope: Scope = "user",
        *,
        bearer_token: str | None = None,
        headers: Mapping[str, str] | None = None,
        title: str | None = None,
        is_default: bool | None = None,
    ) -> None:
        """Store credentials under a name, or change those of that name.

        Args:
            connector: Id or name.
            name: Letters, digits, `_` and `-`, at most 64; `call(..., credentials=name)` uses them.
            scope: Whose they are.
            bearer_token: The secret, sent as a bearer token.
            headers: Or the headers to send.
            title: For people.
            is_default: Whether they are used where none are named; the first ones must be (the service's rule).
        """
        bearer_token, headers = conceal_text(bearer_token), conceal_fields(headers)
        self._transport.send(
            calls.set_credentials_call(
                connector, scope, given(name=name, title=title, is_default=is_default), bearer_token, headers
            )
        )

    async def aset_credentials(
        self,
        connector: str,
        name: str,
        scope: Scope = "user",
        *,
        bearer_token: str | None = None,
        headers: Mapping[str, str] | None = None,
        title: str | None = None,
        is_default: bool | None = None,
    ) -> None:
        """As `set_credentials`, without blocking."""
        bearer_token, headers = conceal_text(bearer_token), conceal_fields(headers)
        await self._transport.asend(
            calls.set_credentials_call(
                connector, scope, given(name=name, title=title, is_default=is_default), bearer_token, headers
            )
        )

    def delete_credentials(self, connector: str, name: str, scope: Scope = "user") -> None:
        """Delete the credentials of a name."""
        self._transport.send(calls.delete_credentials_call(connector, scope, name))

    async def adelete_credentials(self, connector: str, name: str, scope: Scope = "user") -> None:
        """As `delete_credentials`, without blocking."""
        await self._transport.asend(calls.delete_credentials_call(connector, scope, name))
