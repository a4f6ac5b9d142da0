"""What each call of the agents API takes and sends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from mistral_agents._api.arguments import flag_text, known_options, mapping_text, texts_of
from mistral_agents._http.calls import (
    Call,
    Operation,
    check_id,
    check_ids,
    check_mapping,
    check_mappings,
    check_texts,
    check_whole_number,
    path_of,
)
from mistral_agents._json import JsonDict
from mistral_agents._tools.policy import POLICY_KEY, Policy
from mistral_agents._tools.translate import translate_tools
from mistral_agents.errors import ConfigurationError


def agent_body(options: Mapping[str, Any], before: Mapping[str, Any] | None = None) -> tuple[JsonDict, Policy | None]:
    """What to send for an agent: tools translated, hints added, the policy in the metadata.

    Args:
        options: The fields given.
        before: The agent as it is, for an update.

    Returns:
        The body, and the policy; None where no tools were given, so that the policy stays as it is.
    """
    body = {name: value for name, value in options.items() if value is not None}
    old = before if before is not None else {}
    kept = Policy.from_metadata(old.get("metadata"))
    if body.get("tools") is None:
        if "metadata" in body:
            body["metadata"] = {**body["metadata"], **kept.to_metadata()}
        return body, None
    done = translate_tools(body["tools"])
    policy = Policy.from_metadata(body.get("metadata")).joined(done.policy)  # a file of `agents pull` tells it there
    body["tools"] = done.tools
    instructions = done.added_to(body.get("instructions", old.get("instructions")))
    if "instructions" in body or instructions != old.get("instructions"):
        body["instructions"] = instructions
    if policy or kept:
        metadata = {**(old.get("metadata") or {}), **(body.get("metadata") or {})}
        metadata = {key: value for key, value in metadata.items() if key != POLICY_KEY}
        body["metadata"] = {**metadata, **policy.to_metadata()}
    return {name: value for name, value in body.items() if value is not None}, policy


_TAG = "beta.agents"
_ONE = "/v1/agents/{agent_id}"


class AgentSetup(TypedDict, total=False):
    """What an agent has, beside its model, name and tools.

    Attributes:
        instructions: System prompt.
        description: What the agent is for; other agents decide by it whether to hand over.
        completion_args: Sampling and format options by the service's names (`temperature`, `stop`, ...).
        handoffs: Ids of agents it may hand over to.
        guardrails: As the service takes them.
        metadata: Your own keys.
        version_message: A note on this version.
    """

    instructions: str | None
    description: str | None
    completion_args: Mapping[str, Any] | None
    handoffs: Sequence[str] | None
    guardrails: Sequence[Mapping[str, Any]] | None
    metadata: Mapping[str, Any] | None
    version_message: str | None


class AgentOptions(AgentSetup, total=False):
    """What an agent has, beside its model and name.

    Attributes:
        tools: Tools as dicts, builders or in the guide's vocabulary; they are translated (see
            `mistral_agents.tools`), hints are added to the instructions, and what this package enforces is kept in
            the metadata.
    """

    tools: Sequence[Mapping[str, Any]] | None


class AgentChanges(AgentOptions, total=False):
    """What `update` can change: also what follows. None leaves a field as it is.

    Attributes:
        model: The model.
        name: The name.
        deployment_chat: Whether it is offered in Mistral's chat.
    """

    model: str | None
    name: str | None
    deployment_chat: bool | None


def check_setup(options: Mapping[str, Any]) -> None:
    """Check what an agent shall have, before anything is compared or sent.

    Raises:
        ConfigurationError: A field is of the wrong kind.
    """
    check_ids(options)
    check_mappings(options, "guardrails")
    check_texts(options, "instructions", "description", "version_message", "name")
    for name in ("completion_args", "metadata"):
        check_mapping(name, options.get(name))


def wire_options(options: Mapping[str, Any], known: type[Any], what: str) -> JsonDict:
    """The options that are not None.

    Raises:
        ConfigurationError: One is not known, or of the wrong kind.
    """
    unknown = sorted(set(options) - set(known.__annotations__) - set(AgentOptions.__annotations__))
    if unknown:
        names = ", ".join(sorted({*known.__annotations__, *AgentOptions.__annotations__}))
        raise ConfigurationError(f"{what} takes no {', '.join(unknown)}; it takes {names}.")
    check_setup(options)
    return {name: value for name, value in options.items() if value is not None}


def _make_agent_call(what: str, method: str, path: str, operation: str, **facts: Any) -> Call:
    return Call(what, method, path, Operation(f"agents_api_v1_agents_{operation}", _TAG), **facts)


def _fill_path(agent_id: str, suffix: str = "") -> str:
    return path_of(_ONE, agent_id=agent_id) + suffix


def create_agent_call(body: JsonDict) -> Call:
    """A new agent."""
    for name in ("model", "name"):
        if not isinstance(body.get(name), str) or not body[name].strip():
            raise ConfigurationError(f"{name} must be a non-empty text, not {body.get(name)!r}.")
    check_ids(body)
    return _make_agent_call("Creating the agent", "POST", "/v1/agents", "create", body=body, once=True)


def _check_version(name: str, version: object) -> None:
    if isinstance(version, str):
        check_id(name, version)
    else:
        check_whole_number(name, version)


def get_agent_call(agent_id: str, agent_version: int | str | None = None) -> Call:
    """One agent, at a version or alias."""
    if agent_version is not None:
        _check_version("agent_version", agent_version)
    params = {"agent_version": agent_version}
    return _make_agent_call("Reading the agent", "GET", _fill_path(agent_id), "get", params=params)


class AgentFilters(TypedDict, total=False):
    """Which agents are listed. All of it is passed to the service.

    Attributes:
        page_size: Agents per request, 1 to 1000; 100 by default.
        name: The whole name.
        search: Part of a name or id.
        agent_id: The id.
        metadata: Keys and values; that the service filters by them reliably is unverified (probe `new-agent`), so check
            the result.
        deployment_chat: Whether they are offered in Mistral's chat.
        sources: Where they were made: `api`, `playground`, `agent_builder_v1`.
    """

    page_size: int
    name: str | None
    search: str | None
    agent_id: str | None
    metadata: Mapping[str, Any] | None
    deployment_chat: bool | None
    sources: Sequence[str] | None


def list_agents_call(filters: Mapping[str, Any]) -> Call:
    """The first page of the agents."""
    given = known_options(filters, AgentFilters, "list")
    params = {
        "page_size": given.get("page_size", 100),
        "name": given.get("name"),
        "search": given.get("search"),
        "id": given.get("agent_id"),
        "metadata": mapping_text("metadata", given.get("metadata")),
        "deployment_chat": flag_text(given.get("deployment_chat")),
        "sources": texts_of("sources", given.get("sources")),
    }
    return _make_agent_call("Listing agents", "GET", "/v1/agents/pages", "list_pages", params=params)


def update_agent_call(agent_id: str, body: JsonDict) -> Call:
    """A new version of an agent."""
    path = _fill_path(agent_id)
    if not body:
        raise ConfigurationError("update was given nothing to change.")
    return _make_agent_call("Updating the agent", "PATCH", path, "update", body=body, once=True)


def delete_agent_call(agent_id: str) -> Call:
    """Deleting."""
    return _make_agent_call("Deleting the agent", "DELETE", _fill_path(agent_id), "delete")


def versions_call(agent_id: str, page_size: int) -> Call:
    """The first page of an agent's versions."""
    params = {"page": 0, "page_size": page_size}
    return _make_agent_call(
        "Listing the agent's versions", "GET", _fill_path(agent_id, "/versions"), "list_versions", params=params
    )


def version_call(agent_id: str, version: int | str) -> Call:
    """An agent at a version."""
    _check_version("version", version)
    path = path_of(_ONE + "/versions/{version}", agent_id=agent_id, version=str(version))
    return _make_agent_call("Reading the agent's version", "GET", path, "get_version")


def switch_version_call(agent_id: str, version: int) -> Call:
    """Which version an agent's id stands for."""
    check_whole_number("version", version)
    params = {"version": version}
    return _make_agent_call(
        "Switching the agent's version", "PATCH", _fill_path(agent_id, "/version"), "update_version", params=params
    )


def aliases_call(agent_id: str) -> Call:
    """An agent's aliases."""
    return _make_agent_call(
        "Listing the agent's aliases", "GET", _fill_path(agent_id, "/aliases"), "list_version_aliases"
    )


def set_alias_call(agent_id: str, alias: str, version: int) -> Call:
    """A name for a version."""
    check_id("alias", alias)
    check_whole_number("version", version)
    params = {"alias": alias, "version": version}
    return _make_agent_call(
        "Setting the alias", "PUT", _fill_path(agent_id, "/aliases"), "create_or_update_alias", params=params
    )


def delete_alias_call(agent_id: str, alias: str) -> Call:
    """Deleting an alias."""
    check_id("alias", alias)
    return _make_agent_call(
        "Deleting the alias", "DELETE", _fill_path(agent_id, "/aliases"), "delete_alias", params={"alias": alias}
    )
