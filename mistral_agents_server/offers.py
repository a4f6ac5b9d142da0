"""The functions offered to the brain in one step: the client's, the hosted tools', the connectors', and handovers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from mistral_agents_server.errors import invalid
from mistral_agents_server.strict_json import read_json

Wire = dict[str, Any]

Kind = Literal["client", "hosted", "handoff"]


class MadeFile(Protocol):
    """A file that a tool made."""

    name: str
    type: str
    data: bytes
    file_id: str


class ToolResult(Protocol):
    """What a hosted tool gives back."""

    info: Wire
    files: Any
    references: list[Wire]
    connector: str
    tokens: int


class HostedTools(Protocol):
    """A set of hosted tools."""

    def schemas(self, tools: list[Wire]) -> list[Wire]:
        """The functions that the declared tools offer."""
        ...

    def wire_name(self, function: str, tools: list[Wire]) -> str:
        """The `name` of a run of `function`."""
        ...

    def bare_name(self, function: str, tools: list[Wire]) -> str:
        """The function's own name, by which a `tool_configuration` means it."""
        ...

    def run(self, function: str, arguments: Wire, tools: list[Wire]) -> Any:
        """Run one function; a failure is a result too."""
        ...


@dataclass(slots=True)
class Offer:
    """One function offered to the brain.

    Attributes:
        schema: its schema in OpenAI's form.
        kind: who answers a call: the client, this server, or another agent.
        wire_name: the entry's `name` for a hosted run.
        confirm: whether the user must allow each call.
        declared: the tool declaration it comes from.
        source: the set of hosted tools that runs it.
        target: the agent that takes over.
    """

    schema: Wire
    kind: Kind
    wire_name: str = ""
    confirm: bool = False
    declared: Wire = field(default_factory=dict)
    source: HostedTools | None = None
    target: Wire | None = None

    @property
    def name(self) -> str:
        """The name by which the brain calls it."""
        return str(self.schema["function"]["name"])


@dataclass(slots=True)
class Outcome:
    """A hosted run, done."""

    info: Wire
    connector: str
    tokens: int = 0
    files: Sequence[MadeFile] = ()
    references: Sequence[Wire] = ()


def offers_of(tools: Iterable[Wire], sources: Sequence[HostedTools], agents: Iterable[Wire]) -> dict[str, Offer]:
    """Everything offered in one step, by function name."""
    found: dict[str, Offer] = {}
    for tool in tools:
        for offer in _client(tool) if tool["type"] == "function" else _hosted(tool, sources):
            found.setdefault(offer.name, offer)
    for agent in agents:
        offer = Offer(_transfer_schema(agent), "handoff", target=agent)
        found.setdefault(offer.name, offer)
    return found


def _client(tool: Wire) -> list[Offer]:
    return [Offer({"type": "function", "function": tool["function"]}, "client", declared=tool)]


def _hosted(tool: Wire, sources: Sequence[HostedTools]) -> list[Offer]:
    configuration = tool.get("tool_configuration") or {}
    include, exclude = configuration.get("include"), configuration.get("exclude") or []
    confirm = configuration.get("requires_confirmation") or []
    found = []
    for source in sources:
        for schema in source.schemas([tool]):
            function = schema["function"]["name"]
            wire_name = source.wire_name(function, [tool])
            names = _spellings(function, tool, source)
            if (include is not None and not names & set(include)) or names & set(exclude):
                continue
            found.append(Offer(schema, "hosted", wire_name, bool(names & set(confirm)), tool, source))
    return found


def check_configurations(tools: Sequence[Wire], sources: Sequence[HostedTools]) -> None:
    """Check that tool configurations name functions that the tools have: a misspelt guard would guard nothing.

    Raises:
        ApiError: 422 that names the unknown function, or when one tool both includes and excludes.
    """
    for place, tool in enumerate(tools):
        configuration = tool.get("tool_configuration") or {}
        where = ("body", "tools", place, tool["type"], "tool_configuration")
        if configuration.get("include") is not None and configuration.get("exclude") is not None:
            raise invalid(where, "value_error", "include and exclude can't be used together")
        offered = [(source, one["function"]["name"]) for source in sources for one in source.schemas([tool])]
        named = {name for source, function in offered for name in _spellings(function, tool, source)}
        if not offered:
            continue  # a connector that is not known is ignored
        known = sorted(source.bare_name(function, [tool]) for source, function in offered)
        for field_name in ("include", "exclude", "requires_confirmation"):
            for name in configuration.get(field_name) or []:
                if name not in named:
                    message = f"Unknown tool {name!r}; {_title(tool)} has {', '.join(known)}"
                    raise invalid((*where, field_name), "value_error", message, name)


def _title(tool: Wire) -> str:
    return f"the connector {tool['connector_id']}" if tool["type"] == "connector" else str(tool["type"])


def _spellings(function: str, tool: Wire, source: HostedTools) -> set[str]:
    """The names by which a configuration may mean a function."""
    return {function, source.wire_name(function, [tool]), source.bare_name(function, [tool])}


def transfer_name(agent: str) -> str:
    """The function that hands a conversation over to the agent of this name."""
    slug = re.sub(r"[^a-z0-9]+", "_", agent.lower()).strip("_")
    return f"transfer_to_{slug}"[:64]


def _transfer_schema(agent: Wire) -> Wire:
    description = f"Hand the conversation over to the agent {agent['name']}. {agent.get('description') or ''}".strip()
    parameters: Wire = {"type": "object", "properties": {}}
    function = {"name": transfer_name(agent["name"]), "description": description, "parameters": parameters}
    return {"type": "function", "function": function}


def run_hosted(offer: Offer, arguments: str) -> Outcome:
    """Run one hosted function with the arguments the brain wrote. Every failure is a result, as on the service."""
    try:
        parsed = read_json(arguments) if arguments.strip() else {}
    except ValueError as error:
        return failed(offer, f"the arguments are no JSON: {error}")
    if not isinstance(parsed, dict):
        return failed(offer, "the arguments must be a JSON object")
    if offer.source is None:
        return failed(offer, "it is not hosted here")
    result: ToolResult = offer.source.run(offer.name, parsed, [offer.declared])
    return Outcome(result.info, result.connector, result.tokens, list(result.files), list(result.references))


def failed(offer: Offer, reason: str) -> Outcome:
    """A run that failed, in the service's words for it."""
    return Outcome({"result": f"Error executing tool {offer.name}: {reason}"}, offer.wire_name)
