"""`mistral-agents agents`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from mistral_agents._api.records import Agent
from mistral_agents._http.concealed import masked
from mistral_agents._json import JsonDict
from mistral_agents._paths import expand_home, writing
from mistral_agents.cli.exits import DIFFERS, OK
from mistral_agents.cli.session import CommandSession, find_agent_id, find_session
from mistral_agents.errors import ConfigurationError
from mistral_agents.graph import HandoffGraph
from mistral_agents.specs import AgentSpec, Plan, load_specs

app = typer.Typer(no_args_is_help=True)
_SET = "agent_set"
"""The metadata that names the set an agent was applied with; only such agents are ever pruned."""
File = Annotated[Path, typer.Argument(help="A YAML or JSON file: a mapping `agents:` of names to fields.")]
Key = Annotated[str, typer.Argument(help="The agent's id, or its name where only one has it.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do it; without, only say what would be done.")]
Set = Annotated[str | None, typer.Option("--set", help="Mark the agents as of this set, which --prune needs.")]


def _specs(path: Path, label: str | None) -> list[AgentSpec]:
    found = load_specs(path)
    if label is None:
        return found
    return [replace(spec, metadata={**(spec.metadata or {}), _SET: label}) for spec in found]


def _plan_json(plan: Plan, pruned: Sequence[Agent] = ()) -> JsonDict:
    rows = [
        {
            "name": change.name,
            "action": change.action,
            "agent_id": change.agent_id,
            "differences": {name: list(pair) for name, pair in change.differences.items()},
        }
        for change in plan.changes
    ]
    rows += [{"name": a.get("name"), "action": "delete", "agent_id": a["id"], "differences": {}} for a in pruned]
    return {"changes": rows, "nothing_to_do": plan.nothing_to_do and not pruned}


@app.command()
def plan(
    context: typer.Context,
    file: File,
    label: Set = None,
    detailed_exitcode: Annotated[bool, typer.Option(help="End with 2 where there is something to do.")] = False,
) -> None:
    """Say what `apply` would do."""
    session = find_session(context)
    found = session.client.agents.plan(_specs(file, label))
    session.emit(_plan_json(found), found)
    raise typer.Exit(DIFFERS if detailed_exitcode and not found.nothing_to_do else OK)


@app.command()
def apply(
    context: typer.Context,
    file: File,
    label: Set = None,
    prune: Annotated[bool, typer.Option(help="Delete agents of the set that the file no longer names.")] = False,
    yes: Yes = False,
) -> None:
    """Have the service hold what a file says. With --prune nothing is changed without --yes."""
    session = find_session(context)
    if prune and label is None:
        raise ConfigurationError("--prune needs --set NAME: only agents that were applied with that name are deleted.")
    specs = _specs(file, label)
    found = session.client.agents.plan(specs)
    gone = _pruned(session, specs, label) if prune and label is not None else []
    if prune and not yes:
        session.emit(_plan_json(found, gone), found)
        session.agrees((f"would delete {agent.get('name')} ({agent['id']})" for agent in gone), yes)
        return
    agents = session.client.agents.apply(specs)
    for agent in gone:
        session.client.agents.delete(agent["id"])
    session.emit({**_plan_json(found, gone), "agents": {name: agent["id"] for name, agent in agents.items()}}, found)


def _pruned(session: CommandSession, specs: Sequence[AgentSpec], label: str) -> list[Agent]:
    named = {spec.name for spec in specs}
    return [
        agent
        for agent in session.client.agents.list()
        if (agent.get("metadata") or {}).get(_SET) == label and agent.get("name") not in named
    ]


@app.command(name="list")
def list_agents(
    context: typer.Context, name: Annotated[str | None, typer.Option(help="Only this name.")] = None
) -> None:
    """List the agents."""
    session = find_session(context)
    found = session.client.agents.list(name=name).all()
    session.emit(list(found), found)


@app.command(name="show")
def show_agent(
    context: typer.Context,
    agent: Key,
    version: Annotated[str | None, typer.Option(help="A version's number or alias.")] = None,
) -> None:
    """Show an agent."""
    session = find_session(context)
    found = session.client.agents.get(find_agent_id(session, agent), agent_version=version)
    session.emit(found, found)


@app.command()
def versions(context: typer.Context, agent: Key) -> None:
    """List an agent's versions."""
    session = find_session(context)
    found = session.client.agents.versions(find_agent_id(session, agent)).all()
    session.emit(list(found), found)


@app.command()
def alias(
    context: typer.Context,
    agent: Key,
    name: Annotated[str | None, typer.Argument(help="The alias; without it, all are listed.")] = None,
    version: Annotated[int | None, typer.Argument(help="The version it shall stand for.")] = None,
    delete: Annotated[bool, typer.Option(help="Delete the alias.")] = False,
    yes: Yes = False,
) -> None:
    """List, set or delete names of an agent's versions."""
    session = find_session(context)
    agents = session.client.agents
    agent = find_agent_id(session, agent)
    if name is None:
        found = agents.aliases(agent)
        session.emit(found, "\n".join(f"{row.get('alias')}  {row.get('version')}" for row in found) or "no alias")
    elif delete:
        if session.agrees([f"delete the alias {name} of {agent}"], yes):
            agents.delete_alias(agent, name)
            session.emit({"deleted": name}, f"deleted {name}")
    elif version is None:
        raise ConfigurationError(f"Which version shall {name} stand for? Give its number, or --delete.")
    else:
        made = agents.set_alias(agent, name, version)
        session.emit(made, f"{name}  {version}")


@app.command()
def graph(
    context: typer.Context,
    file: Annotated[Path | None, typer.Argument(help="A file of agents; without it, those of the service.")] = None,
    svg: Annotated[bool, typer.Option(help="As SVG.")] = False,
    mermaid: Annotated[bool, typer.Option(help="As Mermaid.")] = False,
) -> None:
    """Draw who hands over to whom."""
    session = find_session(context)
    found = HandoffGraph.of(load_specs(file) if file is not None else session.client.agents.list())
    drawn = found.to_svg() if svg else found.to_mermaid() if mermaid else str(found)
    session.emit({"names": found.names, "arrows": found.arrows}, drawn)


@app.command(name="delete")
def delete_agents(
    context: typer.Context,
    agents: Annotated[list[str], typer.Argument(help="Ids, or names of one each.")],
    yes: Yes = False,
) -> None:
    """Delete agents."""
    session = find_session(context)
    keys = dict.fromkeys(find_agent_id(session, agent) for agent in agents)
    rows = [session.client.agents.get(key) for key in keys]
    if session.agrees((f"delete {row.get('name')} ({row['id']})" for row in rows), yes):
        for row in rows:
            session.client.agents.delete(row["id"])
    session.emit({"deleted" if yes else "would_delete": [row["id"] for row in rows]}, "")


@app.command()
def pull(
    context: typer.Context,
    names: Annotated[list[str] | None, typer.Argument(help="Names; without them, all agents.")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Where to write it (YAML, or .json).")] = None,
) -> None:
    """Write agents of the service as a file that `plan` and `apply` take."""
    session = find_session(context)
    found = [agent for agent in session.client.agents.list() if not names or agent.get("name") in names]
    lacking = sorted(set(names or ()) - {str(agent.get("name")) for agent in found})
    if lacking:
        raise ConfigurationError(f"There is no agent called {', '.join(lacking)}.")
    data = {"agents": _as_specs(found)}
    if output is not None:
        target = expand_home(output)
        with writing(target):
            target.write_text(_dump(data, as_json=target.suffix == ".json"), encoding="utf-8")
        session.note(f"{len(data['agents'])} agents in {output}")
    if output is None or session.as_json:
        session.emit(data, _dump(data, as_json=False))


def _as_specs(agents: Sequence[Agent]) -> JsonDict:
    """The agents by name; of several with one name the oldest, as `apply` takes it. Secrets are masked."""
    ids = {agent["id"]: str(agent.get("name")) for agent in agents}
    known = [field.name for field in fields(AgentSpec) if field.name != "name"]
    rows: JsonDict = {}
    for agent in sorted(agents, key=lambda row: (str(row.get("created_at")), str(row["id"]))):
        kept: Mapping[str, Any] = {key: agent[key] for key in known if agent.get(key) not in (None, [], {}, "")}
        spec = {key: _compact(masked(value)) for key, value in kept.items()}
        if "handoffs" in spec:
            spec["handoffs"] = [ids.get(key, key) for key in spec["handoffs"]]
        rows.setdefault(str(agent.get("name")), spec)
    return rows


def _compact(value: object) -> Any:
    if isinstance(value, dict):
        return {key: _compact(item) for key, item in value.items() if item is not None}
    return [_compact(item) for item in value] if isinstance(value, list) else value


def _dump(data: JsonDict, *, as_json: bool) -> str:
    if as_json:
        return json.dumps(data, ensure_ascii=False, indent=2) + "\n"
    import yaml

    return str(yaml.safe_dump(data, allow_unicode=True, sort_keys=False))
