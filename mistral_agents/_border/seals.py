"""Credentials in a call's options, sealed on their way through a framework's traces.

Frameworks hand the options of a call to whoever watches it. A `SecretStr` shows its value there in no form: neither
printed, nor dumped, nor as JSON.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from pydantic import SecretStr

from mistral_agents._http.concealed import ConcealedFields
from mistral_agents._json import JsonDict

_HEADERS = ("headers", "default_headers")
_TOOLS = ("tools", "connectors")


def seal_options(options: Mapping[str, Any]) -> JsonDict:
    """Options whose headers, and whose tools' credentials, no trace shows; see `unseal_options`."""
    sealed = dict(options)
    for name in _HEADERS:
        if isinstance(sealed.get(name), Mapping):
            sealed[name] = seal_headers(sealed[name])
    for name in _TOOLS:
        if isinstance(sealed.get(name), (list, tuple)):
            sealed[name] = [seal_tool(tool) for tool in sealed[name]]
    return sealed


def unseal_options(options: Mapping[str, Any]) -> JsonDict:
    """The options as they were given."""
    given = dict(options)
    for name in _HEADERS:
        if isinstance(given.get(name), Mapping):
            given[name] = unseal_headers(given[name])
    for name in _TOOLS:
        if isinstance(given.get(name), (list, tuple)):
            given[name] = [unseal_tool(tool) for tool in given[name]]
    return given


def seal_tool(tool: Any) -> Any:
    """A tool whose credential, if it has one, no trace shows; anything else as it is."""
    secret = tool.get("authorization") if isinstance(tool, Mapping) else None
    if not isinstance(secret, Mapping) or not isinstance(secret.get("value"), str):
        return tool
    made: Any = copy.copy(tool)
    made["authorization"] = {**secret, "value": SecretStr(secret["value"])}
    return made


def unseal_tool(tool: Any) -> Any:
    """The tool as it is sent."""
    secret = tool.get("authorization") if isinstance(tool, Mapping) else None
    if not isinstance(secret, Mapping) or not isinstance(secret.get("value"), SecretStr):
        return tool
    made: Any = copy.copy(tool)
    made["authorization"] = ConcealedFields(secret, value=secret["value"].get_secret_value())
    return made


def seal_headers(headers: Mapping[str, Any]) -> JsonDict:
    """Headers whose values traces don't show: keys travel in them."""
    return {name: v if isinstance(v, SecretStr) else SecretStr(v) for name, v in headers.items()}


def unseal_headers(headers: Mapping[str, Any]) -> JsonDict:
    """Headers as they are sent."""
    return {name: v.get_secret_value() if isinstance(v, SecretStr) else v for name, v in headers.items()}
