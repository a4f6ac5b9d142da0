"""The routes of /v1/connectors that make, change, share and authorize connectors."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Annotated, Any, Literal
from urllib.parse import urlencode, urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from mistral_agents_server.connector_store import SCOPES, ConnectorStore
from mistral_agents_server.connectors_api import ConnectorsApi
from mistral_agents_server.errors import bad_request, invalid
from mistral_agents_server.uploads import uuid_in_path
from mistral_agents_server.wire import read_body, wire

Wire = dict[str, Any]

_AUTH_SECONDS = 600
_AUTH_TYPES = ("oauth2", "bearer", "none", "github_app", "slack_app")
_CREDENTIALS_NAME = r"^[a-zA-Z0-9_-]{1,64}$"


def _web_address(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("Input should be a valid URL that begins with http:// or https://")
    return text


WebAddress = Annotated[str, Field(min_length=1, max_length=2083), AfterValidator(_web_address)]
Name = Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
Title = Annotated[str, Field(max_length=255)]


class _Connector(BaseModel):
    """What making and changing have in common; the description allows further fields."""

    model_config = ConfigDict(extra="allow")
    protocol: Literal["mcp"] = "mcp"
    title: Title | None = None
    icon_url: str | None = None
    system_prompt: str | None = None


class CreateConnector(_Connector):
    """POST /v1/connectors."""

    name: Name
    description: str
    server: WebAddress
    visibility: Literal["shared_org", "shared_workspace", "private"] = "private"
    headers: dict[str, Any] | None = None
    global_headers: dict[str, Any] = Field(default_factory=dict)
    auth_data: dict[str, Any] | None = None
    oauth2_server_metadata: dict[str, Any] | None = None
    oauth2_server_metadata_url: WebAddress | None = None


class AuthMethod(BaseModel):
    """A way of authorizing."""

    model_config = ConfigDict(extra="allow")
    method_type: str
    oauth2_server_metadata: dict[str, Any] | None = None


class UpdateConnector(_Connector):
    """PATCH /v1/connectors/{id}."""

    name: Name | None = None
    description: str | None = None
    server: WebAddress | None = None
    auth_methods: list[AuthMethod] | None = None


class Secrets(BaseModel):
    """What credentials hold; it is looked at and not kept."""

    model_config = ConfigDict(extra="allow")
    oauth: dict[str, Any] | None = None
    headers: dict[str, str] | None = None
    bearer_token: str | None = None


class Credentials(BaseModel):
    """POST and PATCH of credentials."""

    model_config = ConfigDict(extra="allow")
    name: Annotated[str, Field(pattern=_CREDENTIALS_NAME)]
    title: Title | None = None
    is_default: bool | None = None
    credentials: Secrets | None = None


class ConnectorAdminApi:
    """The routes that make, change, share and authorize connectors.

    Args:
        store: where they are kept.
        shown: shows and finds connectors, those given at the start too.
    """

    def __init__(self, store: ConnectorStore, shown: ConnectorsApi) -> None:
        self._store = store
        self._shown = shown

    def routes(self) -> list[Route]:
        """The routes."""
        one = "/v1/connectors/{connector}"
        scoped = f"{one}/{{scope}}"
        return [
            Route("/v1/connectors", self.create, methods=["POST"]),
            Route(one, self.update, methods=["PATCH"]),
            Route(one, self.delete, methods=["DELETE"]),
            Route(f"{one}/share", self.share, methods=["PUT"]),
            Route(f"{one}/share", self.unshare, methods=["DELETE"]),
            Route(f"{one}/organization/share", self.share_widely, methods=["PUT"]),
            Route(f"{one}/organization/share", self.unshare, methods=["DELETE"]),
            Route(f"{one}/auth_url", self.auth_url, methods=["GET"]),
            Route(f"{one}/authentication_methods", self.methods, methods=["GET"]),
            Route(f"{scoped}/activate", self.activate, methods=["POST"]),
            Route(f"{scoped}/deactivate", self.deactivate, methods=["POST"]),
            Route(f"{scoped}/credentials", self.credentials, methods=["GET"]),
            Route(f"{scoped}/credentials", self.keep_credentials, methods=["POST", "PATCH"]),
            Route(f"{scoped}/credentials", self.delete_all_credentials, methods=["DELETE"]),
            Route(f"{scoped}/credentials/{{name}}", self.delete_credentials, methods=["DELETE"]),
        ]

    async def create(self, request: Request) -> Response:
        """A new connector: 201."""
        body = await read_body(request, CreateConnector)
        self._shown.require_free(body.name)
        given = wire(body)
        kept = {
            name: given.get(name) for name in ("name", "title", "description", "server", "icon_url", "system_prompt")
        }
        kept |= {"visibility": body.visibility, "auth_methods": _methods_of(body)}
        return JSONResponse(self._shown.wire(await run_in_threadpool(self._store.create, kept)), 201)

    async def update(self, request: Request) -> Response:
        """Change a made connector."""
        changes = {
            name: value for name, value in wire(await read_body(request, UpdateConnector)).items() if value is not None
        }
        connector = self._made(request)
        if "name" in changes and changes["name"] != connector["name"]:
            self._shown.require_free(changes["name"], connector["id"])
        if "auth_methods" in changes:
            old = {method["method_type"]: method for method in connector["auth_methods"]}
            new = {method["method_type"]: _method(method) for method in changes["auth_methods"]}
            changes["auth_methods"] = list((old | new).values())
        known = ("name", "title", "description", "server", "icon_url", "system_prompt", "auth_methods")
        kept = {name: value for name, value in changes.items() if name in known}
        return JSONResponse(self._shown.wire(await run_in_threadpool(self._store.update, connector["id"], kept)))

    async def delete(self, request: Request) -> Response:
        """Forget a made connector."""
        connector = self._made(request)
        await run_in_threadpool(self._store.delete, connector["id"])
        return _message(f"Connector {connector['name']} was deleted")

    async def share(self, request: Request) -> Response:
        """Share a private connector with the workspace."""
        return await self._show_to(request, "shared_workspace", lambda now: now == "private")

    async def share_widely(self, request: Request) -> Response:
        """Share a connector with the organization."""
        return await self._show_to(request, "shared_org", lambda now: now != "shared_org")

    async def unshare(self, request: Request) -> Response:
        """Make a shared connector private again."""
        return await self._show_to(request, "private", lambda now: now != "private")

    async def _show_to(self, request: Request, visibility: str, allowed: Callable[[str], bool]) -> Response:
        connector = self._made(request)
        if not allowed(connector["visibility"]):
            raise bad_request(f"Connector {connector['name']} is {connector['visibility']} already")
        await run_in_threadpool(self._store.update, connector["id"], {"visibility": visibility})
        return _message(f"Connector {connector['name']} is now {visibility}")

    def _made(self, request: Request) -> Wire:
        """The connector of the path, if it can be changed.

        Raises:
            ApiError: 404, 422 when the id is none, 400 for one that was given at the start.
        """
        connector = self._shown.find(uuid_in_path(request, "connector"))
        if "auth_methods" not in connector:
            raise bad_request(f"Connector {connector['name']} was given at the start and can't be changed")
        return connector

    async def activate(self, request: Request) -> Response:
        """Switch a connector on."""
        return await self._use(request, active=True)

    async def deactivate(self, request: Request) -> Response:
        """Switch a connector off."""
        return await self._use(request, active=False)

    async def _use(self, request: Request, active: bool) -> Response:
        scope, connector = _scope(request), self._shown.find(uuid_in_path(request, "connector"))
        await run_in_threadpool(self._store.use, connector["id"], scope, active)
        return _message(f"Connector {connector['name']} is {'active' if active else 'not active'} for the {scope}")

    async def auth_url(self, request: Request) -> Response:
        """Where a user would authorize the connector. Nothing comes back from there to the stand-in."""
        connector, query = self._found(request), request.query_params
        kind = query.get("method_type", "oauth2")
        _require(kind, _AUTH_TYPES, "query", "method_type")
        method = next((one for one in connector.get("auth_methods", []) if one["method_type"] == kind), None)
        if method is None:
            raise bad_request(f"Connector {connector['name']} has no authentication by {kind}")
        parts = urlsplit(connector["server"])
        endpoint = method.get("authorization_endpoint") or f"{parts.scheme}://{parts.netloc}/authorize"
        asked = {"response_type": "code", "client_id": method.get("client_id") or connector["id"]}
        asked["state"] = secrets.token_urlsafe(16)
        if "app_return_url" in query:
            asked["redirect_uri"] = query["app_return_url"]
        return JSONResponse({"auth_url": f"{endpoint}?{urlencode(asked)}", "ttl": _AUTH_SECONDS})

    async def methods(self, request: Request) -> Response:
        """How a connector can be authorized."""
        connector = self._found(request)
        return JSONResponse(await run_in_threadpool(self._shown.methods, connector))

    async def credentials(self, request: Request) -> Response:
        """The credentials of a scope, without their secrets."""
        scope, kind = _scope(request), request.query_params.get("auth_type")
        if kind is not None:
            _require(kind, _AUTH_TYPES, "query", "auth_type")
        found = await run_in_threadpool(self._store.credentials, self._found(request)["id"], scope, kind)
        return JSONResponse({"credentials": found, "connector_preset_credentials_for_auth": []})

    async def keep_credentials(self, request: Request) -> Response:
        """Make or change credentials."""
        scope, connector = _scope(request), self._found(request)
        body = await read_body(request, Credentials)
        given = {name: value for name, value in wire(body).items() if name != "credentials"}
        kind = _kind_of(body.credentials, connector)
        await run_in_threadpool(self._store.keep_credentials, connector["id"], scope, given, kind)
        return _message(f"Credentials {body.name} were kept")

    async def delete_credentials(self, request: Request) -> Response:
        """Forget credentials of a name."""
        scope, name = _scope(request), request.path_params["name"]
        await run_in_threadpool(self._store.delete_credentials, self._found(request)["id"], scope, name)
        return _message(f"Credentials {name} were deleted")

    async def delete_all_credentials(self, request: Request) -> Response:
        """Forget all credentials of a user."""
        if _scope(request) != "user":
            raise bad_request("Only a user's credentials can be deleted all at once")
        await run_in_threadpool(self._store.delete_credentials, self._found(request)["id"], "user")
        return _message("All credentials were deleted")

    def _found(self, request: Request) -> Wire:
        return self._shown.find(request.path_params["connector"])


def _message(text: str) -> Response:
    return JSONResponse({"message": text})


def _scope(request: Request) -> str:
    scope = str(request.path_params["scope"])
    _require(scope, tuple(SCOPES), "path", "consumer_scope")
    return scope


def _require(value: str, allowed: tuple[str, ...], *where: str) -> None:
    if value not in allowed:
        raise invalid(where, "enum", f"Input should be one of {', '.join(allowed)}", value)


def _methods_of(body: CreateConnector) -> list[Wire]:
    """How a new connector is authorized: by OAuth where that is described, by headers, or not at all."""
    if body.auth_data is not None or body.oauth2_server_metadata is not None or body.oauth2_server_metadata_url:
        client = (body.auth_data or {}).get("client_id")
        metadata = {"oauth2_server_metadata": body.oauth2_server_metadata}
        return [{**_method({"method_type": "oauth2", **metadata}), "client_id": client}]
    return [_method({"method_type": "bearer" if body.headers or body.global_headers else "none"})]


def _method(given: Wire) -> Wire:
    """What is kept of a method: no secrets."""
    metadata = given.get("oauth2_server_metadata") or {}
    return {"method_type": given["method_type"], "authorization_endpoint": metadata.get("authorization_endpoint")}


def _kind_of(given: Secrets | None, connector: Wire) -> str:
    """By what credentials authorize: what they hold says it, else what the connector takes."""
    if given is not None and given.oauth is not None:
        return "oauth2"
    if given is not None and (given.bearer_token is not None or given.headers is not None):
        return "bearer"
    methods = connector.get("auth_methods") or [{"method_type": "none"}]
    return str(methods[0]["method_type"])
