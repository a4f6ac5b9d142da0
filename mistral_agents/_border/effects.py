"""Which turns may be made twice: those of which the service keeps nothing, and whose tools do nothing but look.

What a tool does is told by its type. A connector may do anything, an image is paid for by itself, and of a type that
this version does not know nobody can say; an agent brings tools of its own, which count as known once they were read.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from typing import Any

HARMLESS = frozenset(
    {"function", "web_search", "web_search_premium", "code_interpreter", "document_library", "library_search"}
)
_KEPT = 1_000  # agents whose tools one client remembers


def have_effects(tools: Iterable[Mapping[str, Any]] | None) -> bool:
    """Whether running one of these tools twice may do something twice."""
    return any(tool.get("type") not in HARMLESS for tool in tools or ())


class AgentEffects:
    """Whether the tools of agents have effects, as far as one client has read them; bounded, safe in threads."""

    def __init__(self) -> None:
        self._harmless: dict[tuple[str, str], bool] = {}
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        return {"_harmless": dict(self._harmless)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()

    def learn(self, agent: Mapping[str, Any], version: Any = None) -> None:
        """Remember an agent's record, read at a version or alias (None: its latest); handoffs lead to others."""
        harmless = not agent.get("handoffs") and not have_effects(agent.get("tools"))
        with self._lock:
            if len(self._harmless) >= _KEPT:
                self._harmless.clear()
            for known in {str(version), str(agent.get("version"))}:
                self._harmless[str(agent.get("id")), known] = harmless

    def is_harmless(self, agent_id: Any, version: Any) -> bool:
        """Whether an agent is known to have only tools without effects."""
        return self._harmless.get((str(agent_id), str(version)), False)


def may_repeat(options: Mapping[str, Any], agents: AgentEffects) -> bool:
    """Whether a first turn with these options, of which nothing is kept, may be made twice without harm."""
    if have_effects(options.get("tools")):
        return False
    agent_id = options.get("agent_id")
    return agent_id is None or agents.is_harmless(agent_id, options.get("agent_version"))
