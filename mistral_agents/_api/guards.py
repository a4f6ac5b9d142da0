"""Reads the tools of configured connectors, so that no misspelt name goes out; one memory per client."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

from mistral_agents._json import JsonDict
from mistral_agents._steps import Job, Steps
from mistral_agents._tools.names import is_configured_connector, tell_unguarded, unknown_names, with_bare_names
from mistral_agents.connector_api import Connectors
from mistral_agents.errors import MistralAgentsError

Known = tuple[frozenset[str], tuple[str, ...]]
"""The names of a connector's tools, and the connector's own names."""


class ConnectorGuards:
    """What one client has read of connectors."""

    def __init__(self) -> None:
        self._known: dict[str, Known] = {}
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        return {"_known": dict(self._known)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()

    def check_tools(self, connectors: Connectors, tools: Sequence[Mapping[str, Any]] | None) -> Steps[list[JsonDict]]:
        """Tools as they may be sent: the names that configure connectors are the connectors' own.

        Raises:
            UnknownToolNameError: A connector has no tool of a name in `requires_confirmation`.

        Warns:
            TranslationWarning: Nor one in `include` or `exclude`; or its tools can't be read.
        """
        ready: list[JsonDict] = []
        for tool in tools if tools is not None else ():
            checked = (yield from self._check(connectors, tool)) if is_configured_connector(tool) else tool
            ready.append(checked)  # type: ignore[arg-type]
        return ready

    def _check(self, connectors: Connectors, tool: Mapping[str, Any]) -> Steps[Mapping[str, Any]]:
        key = str(tool.get("connector_id"))
        kept = self._known.get(key)
        if kept is not None and not unknown_names(tool, *kept):
            return with_bare_names(tool, *kept)
        # A name that is not known may be new: the connector is read again before anything is refused.
        try:
            known = yield from _read(connectors, key)
        except MistralAgentsError as error:
            tell_unguarded(tool, str(error.message))
            return tool
        if not known[0]:
            tell_unguarded(tool, "it shows none")
            return tool
        with self._lock:
            self._known[key] = known
        return with_bare_names(tool, *known)


def _read(connectors: Connectors, key: str) -> Steps[Known]:
    rows = yield Job(lambda: connectors.tools(key), lambda: connectors.atools(key))
    info = yield Job(lambda: connectors.get(key), lambda: connectors.aget(key))
    names = frozenset(row["name"] for row in rows if isinstance(row.get("name"), str))
    return names, tuple(dict.fromkeys(name for name in (key, info.get("name")) if isinstance(name, str)))
