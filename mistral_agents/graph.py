"""Who hands over to whom, drawn as text or as a Mermaid diagram."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mistral_agents._printable import show_text
from mistral_agents.specs import AgentSpec


@dataclass(frozen=True, slots=True)
class HandoffGraph:
    """Agents and their handoffs.

    Attributes:
        names: Label of each agent, by name or id.
        arrows: From whom to whom.
    """

    names: dict[str, str] = field(default_factory=dict)
    arrows: list[tuple[str, str]] = field(default_factory=list)

    @classmethod
    def of(cls, agents: Iterable[AgentSpec | Mapping[str, Any]]) -> HandoffGraph:
        """The graph of specifications, or of agents as the service sends them."""
        graph = cls()
        for agent in agents:
            if isinstance(agent, AgentSpec):
                key, label, handoffs = agent.name, agent.name, agent.handoffs
            else:
                key, label, handoffs = str(agent.get("id")), str(agent.get("name")), agent.get("handoffs")
            graph.names[key] = label
            graph.arrows.extend((key, str(other)) for other in (handoffs if handoffs is not None else ()))
        for _, other in graph.arrows:
            graph.names.setdefault(other, other)
        return graph

    def to_mermaid(self) -> str:
        """A Mermaid flowchart, which GitHub and notebooks draw."""
        keys = {name: f"a{number}" for number, name in enumerate(self.names)}
        nodes = [f'  {keys[name]}["{_quote(label)}"]' for name, label in self.names.items()]
        return "\n".join(["graph LR", *nodes, *(f"  {keys[one]} --> {keys[other]}" for one, other in self.arrows)])

    def __str__(self) -> str:
        lines = []
        for name, label in self.names.items():
            others = [self.names[other] for one, other in self.arrows if one == name]
            line = f"{label} → {', '.join(others)}" if others else label
            lines.append(show_text(line, one_line=True))
        return "\n".join(lines)


def _quote(label: str) -> str:
    """A label as a diagram can hold it: one line, no markup."""
    shown = show_text(label, one_line=True).replace('"', "'")
    return shown.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
