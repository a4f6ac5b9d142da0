"""Who hands over to whom, drawn as text or as a Mermaid diagram."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from html import escape
from typing import Any

from mistral_agents._display.shown import Shown
from mistral_agents._printable import show_text
from mistral_agents.errors import ConfigurationError
from mistral_agents.specs import AgentSpec

_CHAR, _GAP, _ROW, _BOX = 7.5, 56, 56, 28  # pixels
_FONT = 'font-family="monospace" font-size="12"'


@dataclass(frozen=True, slots=True)
class HandoffGraph(Shown):
    """Agents and their handoffs.

    Attributes:
        names: Label of each agent, by name or id.
        arrows: From whom to whom.
    """

    names: dict[str, str] = field(default_factory=dict)
    arrows: list[tuple[str, str]] = field(default_factory=list)

    @classmethod
    def of(cls, agents: Iterable[AgentSpec | Mapping[str, Any]]) -> HandoffGraph:
        """The graph of specifications, or of agents as the service sends them.

        Raises:
            ConfigurationError: It is no list of them.
        """
        graph = cls()
        for agent in _read_agents(agents):
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

    def to_svg(self) -> str:
        """The graph as an SVG drawing: each agent in a column to the right of those that hand over to it."""
        labels = {name: show_text(label, one_line=True) for name, label in self.names.items()}
        width = _CHAR * max((len(label) for label in labels.values()), default=1) + 24
        columns: dict[int, list[str]] = {}
        for name, depth in self._depths().items():
            columns.setdefault(depth, []).append(name)
        places = {
            name: (8 + depth * (width + _GAP), 8 + row * _ROW)
            for depth, names in columns.items()
            for row, name in enumerate(names)
        }
        parts = [_draw_arrow(places[one], places[other], width) for one, other in self.arrows]
        parts += [_draw_box(*places[name], width, label) for name, label in labels.items()]
        right = max((x for x, _ in places.values()), default=0) + width + 28
        low = max((y for _, y in places.values()), default=0) + _ROW
        size = f'width="{right:.0f}" height="{low:.0f}" viewBox="0 0 {right:.0f} {low:.0f}"'
        head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} {_FONT}>'
        return "\n".join([head, *parts, "</svg>"])

    def _depths(self) -> dict[str, int]:
        """How far each agent is from one that nobody hands over to; a circle begins at the one with most handoffs."""
        targets = {other for one, other in self.arrows if one != other}
        found: dict[str, int] = {}
        busiest = sorted(self.names, key=lambda name: -sum(one == name for one, _ in self.arrows))
        for start in [*(name for name in self.names if name not in targets), *busiest]:
            reached = [start] if start not in found else []
            found.setdefault(start, 0)
            for name in reached:
                for _, other in (arrow for arrow in self.arrows if arrow[0] == name):
                    if other not in found:
                        found[other] = found[name] + 1
                        reached.append(other)
        return found

    def __str__(self) -> str:
        lines = []
        for name, label in self.names.items():
            others = [self.names[other] for one, other in self.arrows if one == name]
            line = f"{label} → {', '.join(others)}" if others else label
            lines.append(show_text(line, one_line=True))
        return "\n".join(lines)


def _read_agents(agents: object) -> list[AgentSpec | Mapping[str, Any]]:
    is_list = isinstance(agents, Iterable) and not isinstance(agents, Mapping)
    rows: list[Any] = [*agents] if is_list else [None]  # type: ignore[misc]
    if not all(isinstance(row, (AgentSpec, Mapping)) for row in rows):
        raise ConfigurationError(
            f"agents must be a list of AgentSpec or agents, not {type(agents).__name__}.",
            hint="Of what agents.apply gives take .values().",
        )
    return rows


def _draw_box(x: float, y: float, width: float, label: str) -> str:
    box = f'<rect x="{x:.0f}" y="{y}" width="{width:.0f}" height="{_BOX}" rx="6" fill="none" stroke="#4477aa"/>'
    text = f'<text x="{x + width / 2:.0f}" y="{y + 19}" text-anchor="middle" fill="currentColor">{escape(label)}</text>'
    return box + text


def _draw_arrow(start: tuple[float, float], end: tuple[float, float], width: float) -> str:
    """A curve from a box's right side to another's left; back to an earlier column it runs below the boxes."""
    x, y, to_x, to_y = start[0] + width, start[1] + _BOX / 2, end[0], end[1] + _BOX / 2
    if end[0] > start[0]:
        tip = (to_x, to_y, 1)
        path = f"M{x:.0f} {y:.0f} C{x + 20:.0f} {y:.0f} {to_x - 20:.0f} {to_y:.0f} {to_x - 6:.0f} {to_y:.0f}"
    else:
        low, to_x = max(start[1], end[1]) + _BOX + 9, end[0] + width
        tip = (to_x, to_y + 6, -1)
        path = f"M{x:.0f} {y:.0f} h12 V{low:.0f} H{to_x + 18:.0f} V{to_y + 6:.0f} h-12"
    point = f"M{tip[0]:.0f} {tip[1]:.0f} l{-8 * tip[2]} -4 v8 z"
    return f'<path d="{path}" fill="none" stroke="#888"/><path d="{point}" fill="#888"/>'


def _quote(label: str) -> str:
    """A label as a diagram can hold it: one line, no markup."""
    shown = show_text(label, one_line=True).replace('"', "'")
    return shown.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
