"""The hosted tools as dicts, and the translation of the seed guide's vocabulary into the service's.

A builder makes the dict you could write by hand. Options that the service has no field for (`timeout`, `max_results`,
...) stand under `config`, as in the guide; `translate_tools` takes them out again and says of each what becomes of it.
Everything in this package that takes `tools` translates them, so a builder can be passed anywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mistral_agents._border.tool_choices import HOSTED
from mistral_agents._http.concealed import ConcealedFields, masked
from mistral_agents._tools.names import FUNCTIONS, configured_names
from mistral_agents._tools.policy import TranslationWarning
from mistral_agents._tools.translate import (
    MissingLibraryError,
    ReportRow,
    Translation,
    translate_tools,
)
from mistral_agents.errors import ConfigurationError

__all__ = [
    "HOSTED",
    "CodeInterpreter",
    "Connector",
    "DocumentLibrary",
    "HostedTool",
    "ImageGeneration",
    "MissingLibraryError",
    "ReportRow",
    "Translation",
    "TranslationWarning",
    "WebSearch",
    "hybrid_tools",
    "translate_tools",
]

Names = Sequence[str] | bool | None


def _list_function_names(kind: str, given: Names, option: str) -> list[str] | None:
    if given is None or given is False:
        return None
    if given is True:
        known = FUNCTIONS.get(kind)
        if known is None:
            raise ConfigurationError(f"{option}=True needs the names of the functions for a {kind}; pass a list.")
        return list(known)
    if isinstance(given, str):
        raise ConfigurationError(f"{option} must be a list of function names, not the text {given!r}.")
    return list(given)


def _omit_none(values: Mapping[str, Any] | None) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None} if values is not None else {}


class HostedTool(dict[str, Any]):
    """A tool that the service runs: an ordinary dict whose text form hides secrets.

    Args:
        kind: The tool's `type`.
        fields: Further fields of the dict; None means absent.
        config: Options that are ours, not the service's; see `translate_tools`.
        requires_confirmation: Functions that wait for allow or deny before they run; True takes all that are known
            of this tool. A name that the tool does not have is a `ConfigurationError`, before anything is sent.
        include: The only functions to offer.
        exclude: Functions not to offer; not together with `include`. A name that the tool does not have is a
            `TranslationWarning`. The exact effect of both on built-in tools is unverified (probe
            `excluded-function`).
    """

    def __init__(
        self,
        kind: str,
        fields: Mapping[str, Any] | None = None,
        *,
        config: Mapping[str, Any] | None = None,
        requires_confirmation: Names = None,
        include: Sequence[str] | None = None,
        exclude: Sequence[str] | None = None,
    ) -> None:
        super().__init__({"type": kind, **_omit_none(fields)})
        configuration = {
            "requires_confirmation": _list_function_names(kind, requires_confirmation, "requires_confirmation"),
            "include": _list_function_names(kind, include, "include"),
            "exclude": _list_function_names(kind, exclude, "exclude"),
        }
        for key, values in (("tool_configuration", configuration), ("config", config)):
            said = _omit_none(values)
            if said:
                self[key] = said
        configured_names(self)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({masked(dict(self))!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild_tool, (type(self), dict(self))


def _rebuild_tool(kind: type[HostedTool], data: dict[str, Any]) -> HostedTool:
    tool = kind.__new__(kind)
    tool.update(data)
    return tool


class WebSearch(HostedTool):
    """Search of the web.

    Args:
        premium: Also news agencies; the service takes one of the two searches, not both.
        max_results: How many web sources `Turn.citations` shows; the search itself can't be capped.
        recency_bias: Ask, in the instructions, for recent sources.
        options: See `HostedTool`.
    """

    def __init__(
        self, premium: bool = False, *, max_results: int | None = None, recency_bias: bool | None = None, **options: Any
    ) -> None:
        config = {"max_results": max_results, "recency_bias": recency_bias}
        super().__init__("web_search_premium" if premium else "web_search", config=config, **options)


class CodeInterpreter(HostedTool):
    """Python, run by the service.

    Args:
        timeout: Seconds one run may take; enforced by ending the turn.
        max_iterations: Runs one turn may make; enforced by ending the turn when one more begins.
        options: See `HostedTool`.
    """

    def __init__(self, *, timeout: float | None = None, max_iterations: int | None = None, **options: Any) -> None:
        super().__init__("code_interpreter", config={"timeout": timeout, "max_iterations": max_iterations}, **options)


class ImageGeneration(HostedTool):
    """Images; the service chooses the model.

    Args:
        size: Such as `1024x1024`: asked for in the instructions and checked after the download.
        quality: Such as `high`: asked for in the instructions.
        options: See `HostedTool`.
    """

    def __init__(self, *, size: str | None = None, quality: str | None = None, **options: Any) -> None:
        super().__init__("image_generation", config={"default_size": size, "quality": quality}, **options)


class DocumentLibrary(HostedTool):
    """Search of document libraries.

    Args:
        library_ids: The libraries' ids (UUIDs), or one of them.
        max_documents: How many documents to use: asked for in the instructions.
        similarity_threshold: 0 to 1: asked for in the instructions; the service reports no scores.
        options: See `HostedTool`.
    """

    def __init__(
        self,
        library_ids: str | Sequence[str],
        *,
        max_documents: int | None = None,
        similarity_threshold: float | None = None,
        **options: Any,
    ) -> None:
        ids: Any = [library_ids] if isinstance(library_ids, str) else library_ids
        if not isinstance(ids, Iterable) or isinstance(ids, (bytes, Mapping)):
            raise ConfigurationError(f"library_ids must be a library's id or a list of ids, not {library_ids!r}.")
        config = {"max_documents": max_documents, "similarity_threshold": similarity_threshold}
        super().__init__("document_library", {"library_ids": list(ids)}, config=config, **options)


class Connector(HostedTool):
    """A server (MCP or HTTP) registered with the service, whose tools the service calls.

    The names in its options are the connector's own (`weather`); `meteo_weather`, as conversations show it, is taken
    too. They are compared with the connector's tools, read once per client, before a turn or an agent is made with it;
    where they can't be read, a `TranslationWarning` says that nothing guards the calls.

    Args:
        connector_id: Its id or name. One observer saw an unknown id silently ignored, so check it with
            `client.connectors.get`.
        authorization: `{"type": "oauth2-token" | "api-key", "value": …}`; hidden in every text form.
        options: See `HostedTool`.
    """

    def __init__(self, connector_id: str, *, authorization: Mapping[str, str] | None = None, **options: Any) -> None:
        named: Any = connector_id  # users of no type checker give whatever they have
        if not isinstance(named, str) or not named.strip():
            raise ConfigurationError(f"connector_id must be a non-empty text, not {named!r}.")
        if authorization is not None and not isinstance(authorization, Mapping):
            raise ConfigurationError(
                'authorization must be a dict such as {"type": "oauth2-token", "value": ...}, not a text.'
            )
        secret = ConcealedFields(authorization) if authorization is not None else None
        super().__init__("connector", {"connector_id": connector_id, "authorization": secret}, **options)


def hybrid_tools(library_ids: str | Sequence[str], *, premium: bool = False) -> list[HostedTool]:
    """Libraries and the web together; `Citation.origin` then tells which a source came from."""
    return [DocumentLibrary(library_ids), WebSearch(premium)]
