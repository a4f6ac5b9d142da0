"""Which connectors may have made a conversation's calls, for rules that name a connector's tool by its own name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from mistral_agents._json import JsonDict
from mistral_agents._steps import Job, Steps
from mistral_agents.entries import FunctionCall
from mistral_agents.errors import MistralAgentsError

if TYPE_CHECKING:
    from mistral_agents.client import MistralAgents


class Owners:
    """The names of a conversation's connectors; what had to be read of the service is kept.

    Args:
        client: The client.
        options: What the conversation is started with; nothing of it is known where it was resumed or is a branch.
    """

    def __init__(self, client: MistralAgents, options: JsonDict) -> None:
        self._client = client
        self._options = options
        self._known: dict[str | None, frozenset[str]] = {}

    def told(self) -> frozenset[str]:
        """Those that the options name."""
        return frozenset(_list_connectors(self._options.get("tools")))

    def read(self, conversation_id: str, calls: Iterable[FunctionCall]) -> Steps[frozenset[str]]:
        """Those of the conversation, or of the agents that made the calls, by ids and names.

        What can't be read has none: then nothing is allowed for its name, and the caller is asked.
        """
        found: frozenset[str] = frozenset()
        for agent_id in dict.fromkeys(call.agent_id for call in calls):
            if agent_id not in self._known:
                try:
                    self._known[agent_id] = yield from self._read_names(conversation_id, agent_id)
                except MistralAgentsError:
                    continue
            found |= self._known[agent_id]
        return found

    def _read_names(self, conversation_id: str, agent_id: str | None) -> Steps[frozenset[str]]:
        client = self._client
        if agent_id is not None:
            owner: Any = yield Job(partial(client.agents.get, agent_id), partial(client.agents.aget, agent_id))
        elif "tools" in self._options:
            owner = self._options
        else:
            conversations = client.conversations
            owner = yield Job(partial(conversations.get, conversation_id), partial(conversations.aget, conversation_id))
        keys = _list_connectors(owner.get("tools"))
        names = set(keys)
        for key in keys:
            info = yield Job(partial(client.connectors.get, key), partial(client.connectors.aget, key))
            names.add(str(info.get("name")))
        return frozenset(names)


def _list_connectors(tools: Any) -> list[str]:
    rows = tools if tools is not None else ()
    return [str(t.get("connector_id")) for t in rows if isinstance(t, Mapping) and t.get("type") == "connector"]
