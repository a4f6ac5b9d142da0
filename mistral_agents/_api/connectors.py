"""What each call of the connectors API takes and sends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, TypedDict

from mistral_agents._api.arguments import flag_text, given, known_options, uuid_text
from mistral_agents._http.calls import Call, Operation, check_id, check_mapping, path_of
from mistral_agents._http.concealed import conceal_fields
from mistral_agents._json import JsonDict
from mistral_agents.errors import ConfigurationError

Scope = Literal["user", "workspace", "organization"]
_SCOPES = ("user", "workspace", "organization")
_ONE = "/v1/connectors/{connector}"


class ConnectorChanges(TypedDict, total=False):
    """What `update` changes.

    Attributes:
        name: Its name.
        title: Its name for people.
        description: What it is for.
        server: The server's address.
        icon_url: Its picture.
        system_prompt: What a model is told about it.
        auth_methods: Ways of authorizing to add or change, as the service takes them.
    """

    name: str | None
    title: str | None
    description: str | None
    server: str | None
    icon_url: str | None
    system_prompt: str | None
    auth_methods: Sequence[Mapping[str, Any]] | None


class ConnectorOptions(TypedDict, total=False):
    """What `create` takes beside name, server and description.

    Attributes:
        title: Its name for people.
        icon_url: Its picture.
        system_prompt: What a model is told about it.
        visibility: `private` (the service's default), `shared_workspace` or `shared_org`.
        headers: Headers that the service sends to the server.
        global_headers: Headers for all users.
        auth_data: `client_id` and `client_secret` of OAuth.
        oauth2_server_metadata: The OAuth server, described.
        oauth2_server_metadata_url: Or where its description is.
    """

    title: str | None
    icon_url: str | None
    system_prompt: str | None
    visibility: Literal["private", "shared_workspace", "shared_org"] | None
    headers: Mapping[str, Any] | None
    global_headers: Mapping[str, Any] | None
    auth_data: Mapping[str, Any] | None
    oauth2_server_metadata: Mapping[str, Any] | None
    oauth2_server_metadata_url: str | None


MOST = 10_000
"""Connectors, or tools of one, above which a list goes on for ever: its server makes up names and cursors."""


def _make_connector_call(what: str, method: str, path: str, operation: str, **facts: Any) -> Call:
    return Call(what, method, path, Operation(f"connector_{operation}_v1", "beta.connectors"), **facts)


def list_connectors_call(page_size: int) -> Call:
    """The first page of the connectors."""
    return _make_connector_call("Listing connectors", "GET", "/v1/connectors", "list", params={"page_size": page_size})


def get_connector_call(connector: str) -> Call:
    """One connector."""
    return _make_connector_call("Reading the connector", "GET", path_of(_ONE, connector=connector), "get")


def tools_call(connector: str, page_size: int, credentials: str | None = None, refresh: bool | None = None) -> Call:
    """The first page of a connector's tools."""
    path = path_of(_ONE + "/tools", connector=connector)
    params = {"page": 1, "page_size": page_size, "credentials_name": credentials, "refresh": flag_text(refresh)}
    return _make_connector_call("Listing the connector's tools", "GET", path, "list_tools", params=params)


def run_call(connector: str, tool: str, arguments: Mapping[str, Any], credentials: str | None) -> Call:
    """Running a tool."""
    path = path_of(_ONE + "/tools/{tool}/call", connector=connector, tool=tool)
    check_mapping("arguments", arguments)
    body, params = {"arguments": dict(arguments)}, {"credentials_name": credentials}
    return _make_connector_call(
        f"Calling {tool} of {connector}", "POST", path, "call_tool", body=body, params=params, once=True
    )


def by_cursor(call: Call, data: object, _: list[JsonDict]) -> Call | None:
    """The next page of a list with cursors."""
    told = data.get("pagination") if isinstance(data, dict) else None
    cursor = told.get("next_cursor") if isinstance(told, Mapping) else None
    return replace(call, params={**call.params, "cursor": cursor}) if cursor else None


def by_page(call: Call, _: object, rows: list[JsonDict]) -> Call | None:
    """The next page of a list with page numbers; the service may not know them and repeat the page (SDK 3.7)."""
    full = len(rows) >= call.params["page_size"]
    return replace(call, params={**call.params, "page": call.params["page"] + 1}) if full else None


def _changed(connector_id: str, suffix: str = "") -> str:
    return path_of(_ONE, connector=uuid_text("connector_id", connector_id)) + suffix


def _scoped(connector: str, scope: str, suffix: str) -> str:
    if scope not in _SCOPES:
        raise ConfigurationError(f"scope must be one of {', '.join(_SCOPES)}, not {scope!r}.")
    return path_of(_ONE, connector=connector) + f"/{scope}/{suffix}"


def create_connector_call(name: str, server: str, description: str, options: Mapping[str, Any]) -> Call:
    """A new connector."""
    needed = {"name": name, "server": server, "description": description}
    for key, value in needed.items():
        check_id(key, value)
    body = {**needed, **known_options(options, ConnectorOptions, "create")}
    return _make_connector_call("Creating the connector", "POST", "/v1/connectors", "create", body=body, once=True)


def update_connector_call(connector_id: str, changes: Mapping[str, Any]) -> Call:
    """Changing a connector."""
    path, body = _changed(connector_id), known_options(changes, ConnectorChanges, "update")
    if not body:
        raise ConfigurationError("update was given nothing to change.")
    return _make_connector_call("Updating the connector", "PATCH", path, "update", body=body, once=True)


def delete_connector_call(connector_id: str) -> Call:
    """Deleting."""
    return _make_connector_call("Deleting the connector", "DELETE", _changed(connector_id), "delete")


def share_connector_call(method: Literal["PUT", "DELETE"], connector_id: str, *, organization: bool) -> Call:
    """Sharing, or taking it back."""
    path = _changed(connector_id, "/organization/share" if organization else "/share")
    name = "share" if method == "PUT" else "unshare"
    end = {("share", True): "_to_organization", ("unshare", True): "_from_organization"}.get((name, organization), "")
    return _make_connector_call("Sharing the connector", method, path, name + end, once=True)


def switch_connector_call(connector_id: str, scope: str, *, active: bool) -> Call:
    """Switching on or off for a scope."""
    name = "activate" if active else "deactivate"
    path = _scoped(uuid_text("connector_id", connector_id), scope, name)
    return _make_connector_call("Switching the connector", "POST", path, f"{name}_for_consumer")


def auth_methods_call(connector: str) -> Call:
    """Ways of authorizing."""
    path = path_of(_ONE, connector=connector) + "/authentication_methods"
    return _make_connector_call(
        "Reading the connector's ways of authorizing", "GET", path, "get_authentication_methods"
    )


class AuthUrlOptions(TypedDict, total=False):
    """How a user is to authorize.

    Attributes:
        app_return_url: Where the user comes back to.
        method_type: Such as `oauth2`; needed where the connector has several ways.
        credentials: The name under which the credentials are to be stored.
        title: Their name for people.
    """

    app_return_url: str | None
    method_type: str | None
    credentials: str | None
    title: str | None


def auth_url_call(connector: str, options: Mapping[str, Any]) -> Call:
    """Where a user authorizes."""
    path = path_of(_ONE, connector=connector) + "/auth_url"
    names = {"credentials": "credentials_name", "title": "credentials_title"}
    known = known_options(options, AuthUrlOptions, "auth_url")
    params = {names.get(name, name): value for name, value in known.items()}
    return _make_connector_call("Asking where to authorize the connector", "GET", path, "get_auth_url", params=params)


def credentials_call(connector: str, scope: str, auth_type: str | None) -> Call:
    """The stored credentials."""
    path, params = _scoped(connector, scope, "credentials"), {"auth_type": auth_type}
    return _make_connector_call(
        "Listing the connector's credentials", "GET", path, f"list_{scope}_credentials", params=params
    )


def set_credentials_call(
    connector: str, scope: str, facts: JsonDict, bearer_token: str | None, headers: Mapping[str, str] | None
) -> Call:
    """New credentials, or a change of those of that name."""
    path = _scoped(connector, scope, "credentials")
    if headers is not None and not isinstance(conceal_fields(headers), Mapping):
        raise ConfigurationError(f"headers must be a mapping of names to texts, not {type(headers).__name__}.")
    secrets = given(bearer_token=bearer_token, headers=conceal_fields(headers))
    if len(secrets) > 1:
        raise ConfigurationError("Give bearer_token= or headers=, not both.")
    body = {**facts, "credentials": secrets} if secrets else facts
    name = f"create_or_update_{scope}_credentials"
    return _make_connector_call("Storing the connector's credentials", "POST", path, name, body=body, once=True)


def delete_credentials_call(connector: str, scope: str, name: str) -> Call:
    """Deleting the credentials of a name."""
    path = _scoped(connector, scope, "credentials") + "/" + path_of("{name}", name=name)
    return _make_connector_call("Deleting the connector's credentials", "DELETE", path, f"delete_{scope}_credentials")
