"""The names of functions in a tool's `tool_configuration`: a misspelt guard would guard nothing.

Of the service's own tools the functions are known. Of a connector they are read before a turn or an agent is made
with it; the service wants the connector's own (bare) names, conversations show `<connector>_<tool>`, and both are
taken here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from mistral_agents._json import JsonDict
from mistral_agents._tools.policy import TranslationWarning
from mistral_agents._warnings import warn_user
from mistral_agents.errors import ConfigurationError, UnknownToolNameError

FUNCTIONS: dict[str, tuple[str, ...]] = {
    "code_interpreter": ("code_interpreter",),
    "image_generation": ("generate_image",),
    "web_search": ("web_search", "open_url"),
    "web_search_premium": ("web_search", "news_search", "open_url"),
    "document_library": ("library_search", "library_list_documents", "open_library_result"),
}
"""The functions of the service's own tools, as recorded."""
_PLACES = ("include", "exclude", "requires_confirmation")
_UNGUARDED = (
    "The tools of the connector {} could not be read ({}), so nothing tells whether {} guards anything. "
    "Compare the names with those of client.connectors.tools()."
)


def configured_names(tool: Mapping[str, Any]) -> JsonDict:
    """The lists of names in a tool's configuration, by their place.

    Raises:
        ConfigurationError: One is no list of texts, or the tool both includes and excludes.
    """
    configuration = tool.get("tool_configuration")
    if not isinstance(configuration, Mapping):
        return {}
    found = {place: configuration[place] for place in _PLACES if configuration.get(place) is not None}
    for place, names in found.items():
        if isinstance(names, str) or not all(isinstance(name, str) for name in names):
            raise ConfigurationError(f"{_title(tool)}: {place} must be a list of function names, not {names!r}.")
    if {"include", "exclude"} <= set(found):
        raise ConfigurationError(f"{_title(tool)}: include and exclude can't be given together; choose one.")
    return found


def check_hosted_names(tool: Mapping[str, Any]) -> None:
    """Check the names in the configuration of one of the service's own tools.

    Raises:
        UnknownToolNameError: `requires_confirmation` names a function that the tool does not have.

    Warns:
        TranslationWarning: `include` or `exclude` does.
    """
    names = configured_names(tool)
    known = FUNCTIONS.get(str(tool.get("type")))
    if known is not None:
        _check_named_tools(tool, names, {*known, str(tool["type"])}, known)


def is_configured_connector(tool: Mapping[str, Any]) -> bool:
    """Whether a tool is a connector whose configuration names functions."""
    return tool.get("type") == "connector" and any(configured_names(tool).values())


def with_bare_names(tool: Mapping[str, Any], known: Collection[str], titles: Iterable[str]) -> JsonDict:
    """A connector with the connector's own names in its configuration.

    Args:
        tool: The connector among the tools.
        known: The names of its functions.
        titles: The names of the connector, one of which stands before a name in its long spelling.

    Raises:
        UnknownToolNameError: `requires_confirmation` names a function that the connector does not have.

    Warns:
        TranslationWarning: `include` or `exclude` does.
    """
    names = _bare_names(tool, known, titles)
    _check_named_tools(tool, names, known, sorted(known))
    return {**tool, "tool_configuration": {**tool["tool_configuration"], **names}}


def unknown_names(tool: Mapping[str, Any], known: Collection[str], titles: Iterable[str]) -> set[str]:
    """The names in a connector's configuration that are none of its functions'; see `with_bare_names`."""
    return {name for given in _bare_names(tool, known, titles).values() for name in given} - set(known)


def _bare_names(tool: Mapping[str, Any], known: Collection[str], titles: Iterable[str]) -> JsonDict:
    prefixes = [f"{title}_" for title in titles]
    return {place: [_bare(name, known, prefixes) for name in given] for place, given in configured_names(tool).items()}


def tell_unguarded(tool: Mapping[str, Any], reason: str) -> None:
    """Say that nobody could check the names of a connector's configuration.

    Warns:
        TranslationWarning: Always.
    """
    places = " and ".join(place for place, names in configured_names(tool).items() if names)
    warn_user(_UNGUARDED.format(tool.get("connector_id"), reason, places), TranslationWarning)


def _bare(name: str, known: Collection[str], prefixes: list[str]) -> str:
    if name in known:
        return name
    found = (name[len(prefix) :] for prefix in prefixes if name.startswith(prefix))
    return next((bare for bare in found if bare in known), name)


def _check_named_tools(tool: Mapping[str, Any], names: JsonDict, known: Collection[str], shown: Iterable[str]) -> None:
    for place, given in names.items():
        unknown = [name for name in given if name not in known]
        if not unknown:
            continue
        text = f"{_title(tool)}: {place} names {', '.join(map(repr, unknown))}, which it does not have; it has "
        text += ", ".join(shown) + "."
        if place == "requires_confirmation":
            raise UnknownToolNameError(text, hint="A misspelt name would let the tool run without a question.")
        warn_user(f"{text} Use one of these.", TranslationWarning)


def _title(tool: Mapping[str, Any]) -> str:
    return f"connector {tool.get('connector_id')}" if tool.get("type") == "connector" else str(tool.get("type"))
