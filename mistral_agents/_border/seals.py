"""Credentials in a call's options, sealed on their way through a framework's traces.

Frameworks hand the options of a call to whoever watches it. A `SecretStr` shows its value there in no form: neither
printed, nor dumped, nor as JSON.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import SecretStr

from mistral_agents._http.concealed import ConcealedFields
from mistral_agents._json import JsonDict

_HEADERS = ("headers", "default_headers")
_TOOLS = ("tools", "connectors")


def seal_options(options: Mapping[str, Any]) -> JsonDict:
    """Options whose headers, and whose tools' credentials, no trace shows; see `unseal_options`."""
    return _change_secrets(options, seal_headers, seal_tool)


def unseal_options(options: Mapping[str, Any]) -> JsonDict:
    """The options as they were given."""
    return _change_secrets(options, unseal_headers, unseal_tool)


def _change_secrets(
    options: Mapping[str, Any], change_headers: Callable[[Any], JsonDict], change_tool: Callable[[Any], Any]
) -> JsonDict:
    changed = dict(options)
    for name, value in options.items():
        if name in _HEADERS and isinstance(value, Mapping):
            changed[name] = change_headers(value)
        elif name in _TOOLS and isinstance(value, (list, tuple)):
            changed[name] = [change_tool(tool) for tool in value]
    return changed


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
