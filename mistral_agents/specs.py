"""Agents as code: specifications in Python or YAML, what differs from the service, and in which order to apply them."""

from __future__ import annotations

import json
import os
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from mistral_agents._api import agents as calls
from mistral_agents._api.agents import agent_body, check_setup
from mistral_agents._display.shown import Shown
from mistral_agents._http.calls import Call, check_id, check_mappings
from mistral_agents._http.concealed import MASK, conceal_options, conceal_tool, masked
from mistral_agents._json import JsonDict, load_json
from mistral_agents._paths import expand_home
from mistral_agents._printable import show_text
from mistral_agents._tools.policy import POLICY_KEY
from mistral_agents.errors import ConfigurationError

Action = Literal["create", "update", "keep"]


def _check_keys(name: str, value: Mapping[Any, Any] | None) -> None:
    odd = next((key for key in value if not isinstance(key, str)), None) if value is not None else None
    if odd is not None:
        raise ConfigurationError(f"{name} has the name {odd!r}, which is no text; write it in quotes.")


def _keep_rows(rows: Any) -> Any:
    """What can be read once only, as a list: a plan reads it more often."""
    return list(rows) if isinstance(rows, Iterable) and not isinstance(rows, (Sequence, Mapping)) else rows


@dataclass(frozen=True, slots=True)
class AgentSpec:
    """What an agent shall be. A field left at None is not looked at, so what the service holds there stays.

    Attributes:
        name: By which it is found again; the oldest agent of that name is taken.
        model: Its model.
        instructions: System prompt; hints of the tools are added.
        tools: Tools, builders or in the guide's vocabulary.
        description: What it is for.
        completion_args: Only the keys given are compared and changed; one of None is emptied.
        handoffs: Agents it may hand over to: names of other specifications, or ids.
        guardrails: As the service takes them.
        metadata: Only the keys given are compared and changed.

    Raises:
        ConfigurationError: A field is of the wrong kind, or the name or model is missing.
    """

    name: str
    model: str
    instructions: str | None = None
    tools: Sequence[Mapping[str, Any]] | None = None
    description: str | None = None
    completion_args: Mapping[str, Any] | None = None
    handoffs: Sequence[str] | None = None
    guardrails: Sequence[Mapping[str, Any]] | None = None
    metadata: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        for key in ("tools", "handoffs", "guardrails"):
            object.__setattr__(self, key, _keep_rows(getattr(self, key)))
        object.__setattr__(self, "tools", conceal_options({"tools": self.tools})["tools"])
        given = {f.name: getattr(self, f.name) for f in fields(self)}
        try:
            check_id("name", self.name)
            check_id("model", self.model)
            check_setup(given)
            check_mappings(given, "tools")
            for key in ("completion_args", "metadata"):
                _check_keys(key, given[key])
        except ConfigurationError as error:
            raise ConfigurationError(f"agent {self.name}: {error.message}") from None

    @classmethod
    def of(cls, name: str, spec: AgentSpec | Mapping[str, Any]) -> AgentSpec:
        """A specification from a mapping of its fields.

        Raises:
            ConfigurationError: A field is not known, the model is missing, or it is a specification of another name.
        """
        if not isinstance(spec, (AgentSpec, Mapping)):
            raise ConfigurationError(f"agent {name}: give an AgentSpec or a mapping of its fields, not {spec!r}.")
        other = spec.name if isinstance(spec, AgentSpec) else spec.get("name", name)
        if other != name:
            raise ConfigurationError(f"agent {name}: its specification has the name {other!r}; give one name.")
        if isinstance(spec, AgentSpec):
            return spec
        known = {f.name for f in fields(cls)}
        unknown = sorted(str(key) for key in spec if key not in known)
        if unknown:
            raise ConfigurationError(
                f"agent {name}: unknown {', '.join(unknown)}; known are {', '.join(sorted(known))}."
            )
        if not isinstance(spec.get("model"), str):
            raise ConfigurationError(f"agent {name}: give its model.")
        return cls(**{**spec, "name": name})

    def options(self, ids: Mapping[str, str]) -> JsonDict:
        """Its fields as `create` takes them, names in `handoffs` replaced by ids."""
        found = {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) is not None}
        if self.handoffs is not None:
            found["handoffs"] = [ids.get(key, key) for key in self.handoffs]
        return found


@dataclass(frozen=True, slots=True)
class Change(Shown):
    """What applying a specification does.

    Attributes:
        name: The agent's name.
        action: `create`, `update` or `keep`.
        agent_id: The agent; None where it is to be created.
        differences: Per field: what is there, and what shall be.
    """

    name: str
    action: Action
    agent_id: str | None = None
    differences: dict[str, tuple[Any, Any]] = field(default_factory=dict)

    def __str__(self) -> str:
        lines = [f"{self.action} {self.name}" + (f" ({self.agent_id})" if self.agent_id is not None else "")]
        for key, (now, wanted) in self.differences.items():
            lines += [f"  {key}", f"  - {_write_value(now)}", f"  + {_write_value(wanted)}"]
        return show_text("\n".join(lines))


@dataclass(frozen=True, slots=True)
class Plan(Shown):
    """What applying specifications would do, in order."""

    changes: list[Change]

    @property
    def nothing_to_do(self) -> bool:
        """Whether the service holds what the specifications say."""
        return all(change.action == "keep" for change in self.changes)

    def __str__(self) -> str:
        return "\n".join(map(str, self.changes))


def _write_value(value: object) -> str:
    return json.dumps(masked(value), ensure_ascii=False, default=str, sort_keys=True)


def load_specs(path: str | os.PathLike[str]) -> list[AgentSpec]:
    """Specifications from a YAML or JSON file: a mapping `agents:` of names to fields.

    Raises:
        ConfigurationError: The file can't be read or says something unknown; PyYAML is missing for YAML.
    """
    file = expand_home(path)
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
        raise ConfigurationError(f"{file} can't be read: {why}.") from error
    data = _parse_text(file, text)
    agents = data.get("agents") if isinstance(data, dict) else None
    if not isinstance(agents, dict) or not agents:
        raise ConfigurationError(f"{file} has no mapping `agents:` of names to fields.")
    for name, spec in agents.items():
        if not isinstance(name, (str, int)) or isinstance(name, bool):
            raise ConfigurationError(f"{file}: the name {name!r} of an agent is no text; write it in quotes.")
        if not isinstance(spec, Mapping):
            raise ConfigurationError(f"{file}: agent {name} must be a mapping of fields.")
    return [AgentSpec.of(str(name), spec) for name, spec in agents.items()]


def _parse_text(file: Path, text: str) -> Any:
    if file.suffix.lower() == ".json":
        try:
            data = load_json(text)
            json.loads(text, object_pairs_hook=lambda pairs: _check_once(file, [name for name, _ in pairs]))
        except ValueError as error:
            raise ConfigurationError(f"{file} is no JSON: {error}.") from error
        return data
    try:
        import yaml
    except ImportError as error:
        raise ConfigurationError("YAML specifications need PyYAML: pip install pyyaml") from error
    try:
        _check_names(file, yaml.compose(text, yaml.SafeLoader))
        return yaml.load(text, _without_dates(yaml.SafeLoader))  # noqa: S506 - it is a safe loader
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{file} is no YAML: {error}.") from error
    except RecursionError:
        raise ConfigurationError(f"{file} is nested too deeply.") from None


def _without_dates(loader: Any) -> Any:
    """A loader that takes a date for the text it is: the service, and JSON files, know none."""

    class TextLoader(loader):  # type: ignore[misc]
        yaml_implicit_resolvers = {  # noqa: RUF012 - the name and the kind are PyYAML's
            first: [(tag, pattern) for tag, pattern in rows if not tag.endswith(":timestamp")]
            for first, rows in loader.yaml_implicit_resolvers.items()
        }

    return TextLoader


def _check_once(file: Path, names: Sequence[str]) -> None:
    """Refuse a mapping that has a name twice, of which a reader would keep the last only: of two agents, say."""
    twice = next((name for place, name in enumerate(names) if name in names[:place]), None)
    if twice is not None:
        raise ConfigurationError(f"{file} has {twice!r} twice; give it once.")


def _check_names(file: Path, node: Any) -> None:
    rows = getattr(node, "value", None)
    if not isinstance(rows, list):
        return
    pairs = [row for row in rows if isinstance(row, tuple)]
    _check_once(file, [key.value for key, _ in pairs if isinstance(key.value, str) and key.value != "<<"])
    for row in rows:
        _check_names(file, row[1] if isinstance(row, tuple) else row)


def _read_specs(specs: object) -> list[AgentSpec]:
    given = list(specs) if isinstance(specs, Iterable) and not isinstance(specs, (str, bytes, Mapping)) else [specs]
    found = [spec for spec in given if isinstance(spec, AgentSpec)]
    if len(found) < len(given) or given == [specs]:
        raise ConfigurationError(
            f"specs must be a list of AgentSpec, not {specs!r}.",
            hint="AgentSpec.of(name, fields) makes one of a mapping, load_specs(path) those of a file.",
        )
    return found


def in_order(specs: Iterable[AgentSpec]) -> list[AgentSpec]:
    """Specifications so that an agent comes after those it hands over to, where there is no circle.

    Raises:
        ConfigurationError: A name is given twice, or something else than specifications.
    """
    by_name: dict[str, AgentSpec] = {}
    for spec in _read_specs(specs):
        if spec.name in by_name:
            raise ConfigurationError(f"There are two specifications of {spec.name}.")
        by_name[spec.name] = spec
    done: dict[str, AgentSpec] = {}
    seen: set[str] = set()

    def visit(spec: AgentSpec) -> None:
        if spec.name in seen:
            return
        seen.add(spec.name)
        for other in spec.handoffs if spec.handoffs is not None else ():
            if other in by_name:
                visit(by_name[other])
        done[spec.name] = spec

    for spec in by_name.values():
        visit(spec)
    return list(done.values())


# Comparing and ensuring ---------------------------------------------------------------------------------------------


def differences(wanted: Mapping[str, Any], agent: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Per field that differs: what the agent has, and what is wanted."""
    return {key: (agent.get(key), value) for key, value in wanted.items() if not _are_equal(value, agent.get(key))}


def _are_equal(wanted: object, found: object) -> bool:
    if isinstance(wanted, Mapping) and isinstance(found, Mapping):
        names = {key for one in (wanted, found) for key, value in one.items() if value is not None}
        return all(_are_equal(wanted.get(key), found.get(key)) for key in names)
    if isinstance(wanted, (list, tuple)) and isinstance(found, (list, tuple)):
        return len(wanted) == len(found) and all(map(_are_equal, wanted, found))
    if not wanted and wanted != 0 and wanted is not False:
        return not found
    return bool(wanted == found)


@dataclass(frozen=True, slots=True)
class Ask:
    """One request of `ensure_steps`; with `rows`, all rows of a list are wanted."""

    call: Call
    rows: bool = False


def _find_oldest(rows: Iterable[Mapping[str, Any]], name: str) -> Mapping[str, Any] | None:
    named = [row for row in rows if row.get("name") == name]
    return min(named, key=lambda row: (str(row.get("created_at")), str(row.get("id"))), default=None)


def _find(name: str) -> Ask:
    return Ask(calls.list_agents_call({"name": name}), rows=True)


def _fill_masks(name: str, options: JsonDict, found: Mapping[str, Any] | None) -> JsonDict:
    """The options with the credentials that `agents pull` writes as `***`: those that the agent has stay.

    Raises:
        ConfigurationError: The agent has none for that connector.
    """
    tools = options.get("tools")
    if tools is None or all(tool.get("authorization") != MASK for tool in tools):
        return options
    rows = [row for row in (found or {}).get("tools") or () if isinstance(row, Mapping)]
    kept = {row.get("connector_id"): row["authorization"] for row in rows if row.get("authorization")}
    filled: list[Mapping[str, Any]] = []
    for tool in tools:
        connector = tool.get("connector_id")
        if tool.get("authorization") != MASK:
            filled.append(tool)
        elif connector in kept:
            filled.append(conceal_tool({**tool, "authorization": kept[connector]}))
        else:
            raise ConfigurationError(
                f"agent {name}: the authorization of {connector} is masked ({MASK}) and there is none to keep: give it."
            )
    return {**options, "tools": filled}


def _find_changes(options: JsonDict, found: Mapping[str, Any]) -> tuple[JsonDict, dict[str, tuple[Any, Any]]]:
    """What to send for an agent that is there, and which of it differs; what others keep in a mapping stays."""
    both = [key for key in ("completion_args", "metadata") if key in options]
    options = {**options, **{key: _merge(found.get(key), options[key]) for key in both}}
    body, _ = agent_body(options, found)
    return body, differences(body, found)


def _merge(found: Mapping[str, Any] | None, given: Mapping[str, Any]) -> JsonDict:
    kept = {key: value for key, value in (found or {}).items() if value is not None and key != POLICY_KEY}
    return {**kept, **given}


def ensure_steps(spec: AgentSpec, ids: Mapping[str, str]) -> Generator[Ask, Any, Mapping[str, Any]]:
    """Find an agent by its name; create it, or update what differs.

    Two processes may both find nothing and create: each then looks again, and the one whose agent is not the oldest
    deletes its own. The younger agent's maker always sees the older one, so one remains.
    """
    options = spec.options(ids)
    found = _find_oldest((yield _find(spec.name)), spec.name)
    if found is None:
        made = yield Ask(calls.create_agent_call(agent_body(_fill_masks(spec.name, options, None))[0]))
        found = _find_oldest((yield _find(spec.name)), spec.name)
        if found is None or found["id"] == made["id"]:
            return dict(made)
        yield Ask(calls.delete_agent_call(made["id"]))
    body, changed = _find_changes(_fill_masks(spec.name, options, found), found)
    if not changed:
        return found
    return dict((yield Ask(calls.update_agent_call(found["id"], {key: body[key] for key in changed}))))


def plan_steps(spec: AgentSpec, ids: Mapping[str, str]) -> Generator[Ask, Any, Change]:
    """What `ensure_steps` would do."""
    options = spec.options(ids)
    found = _find_oldest((yield _find(spec.name)), spec.name)
    if found is None:
        body, _ = agent_body(_fill_masks(spec.name, options, None))
        return Change(spec.name, "create", None, {key: (None, value) for key, value in body.items() if key != "name"})
    _, changed = _find_changes(_fill_masks(spec.name, options, found), found)
    return Change(spec.name, "update" if changed else "keep", found["id"], changed)
