"""What each call of the conversations API takes and sends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mistral_agents._api.arguments import mapping_text
from mistral_agents._api.turn_options import AppendOptions, RestartOptions, StartOptions
from mistral_agents._http.calls import Call, Operation, check_id, check_mappings, path_of
from mistral_agents._json import JsonDict
from mistral_agents.entries import Inputs, as_inputs
from mistral_agents.errors import ConfigurationError

_OURS = frozenset({"timeout", "headers", "after_entry_id"})
_TAG = "beta.conversations"
_BOTH = "Give agent_id or model, not both: an agent brings its own model (the service refuses a request with the two)."
_AGENT_ONLY = "With agent_id, {} cannot be given: the service refuses it with 422. Set it on the agent, or use model=."


def _name_operation(name: str) -> Operation:
    return Operation(f"agents_api_v1_conversations_{name}", _TAG)


def _write_options(options: Mapping[str, Any], known: type[Any], what: str) -> JsonDict:
    allowed = known.__annotations__
    unknown = sorted(set(options) - set(allowed))
    if unknown:
        names = ", ".join(sorted(allowed))
        raise ConfigurationError(f"{what} takes no {', '.join(unknown)}; it takes {names}.")
    check_mappings(options, "guardrails", "tool_confirmations")
    return {name: value for name, value in options.items() if value is not None and name not in _OURS}


def _check_start(body: JsonDict) -> None:
    if ("agent_id" in body) == ("model" in body):
        raise ConfigurationError(_BOTH if "model" in body else "Give agent_id= or model=.")
    if "agent_id" in body:
        refused = [name for name in ("completion_args", "instructions") if name in body]
        if refused:
            raise ConfigurationError(_AGENT_ONLY.format(" and ".join(refused)))
    elif "handoff_execution" in body:
        raise ConfigurationError("handoff_execution needs agent_id: the service refuses it beside model (422).")


def _make_call(
    what: str, path: str, operation: str, body: JsonDict, options: Mapping[str, Any], conversation_id: str | None = None
) -> Call:
    return Call(
        what,
        "POST",
        path,
        _name_operation(operation),
        body=body,
        once=True,
        conversation_id=conversation_id,
        timeout=options.get("timeout"),
        headers=options.get("headers"),
        turn=True,
    )


def start_call(inputs: Inputs | None, options: Mapping[str, Any]) -> Call:
    """A conversation's first turn."""
    body = {"inputs": as_inputs(inputs), **_write_options(options, StartOptions, "start")}
    _check_start(body)
    return _make_call("Starting the conversation", "/v1/conversations", "start", body, options)


def append_call(conversation_id: str | None, inputs: Inputs | None, options: Mapping[str, Any]) -> Call:
    """A further turn."""
    path = path_of("/v1/conversations/{conversation_id}", conversation_id=conversation_id)
    body = _write_options(options, AppendOptions, "append")
    if inputs is not None or not body.get("tool_confirmations"):
        body["inputs"] = as_inputs("" if inputs is None else inputs)
    return _make_call("Appending to the conversation", path, "append", body, options, conversation_id)


def restart_call(
    conversation_id: str | None, from_entry_id: object, inputs: Inputs | None, options: Mapping[str, Any]
) -> Call:
    """A branch."""
    path = path_of("/v1/conversations/{conversation_id}/restart", conversation_id=conversation_id)
    check_id("from_entry_id", from_entry_id)
    known = _write_options(options, RestartOptions, "restart")
    said = {"inputs": as_inputs(inputs)} if inputs is not None else {}
    body = {**said, "from_entry_id": from_entry_id, **known}
    # The branch has no id before the reply tells it, and its parent's is not its own.
    return _make_call(f"Branching from {conversation_id}", path, "restart", body, options)


def _write_plain(method: str, conversation_id: str, operation: str, what: str, suffix: str = "") -> Call:
    path = path_of("/v1/conversations/{conversation_id}", conversation_id=conversation_id) + suffix
    return Call(what, method, path, _name_operation(operation), conversation_id=conversation_id)


def get_conversation_call(conversation_id: str) -> Call:
    """Reading what the service tells of a conversation."""
    return _write_plain("GET", conversation_id, "get", "Reading the conversation")


def get_history_call(conversation_id: str) -> Call:
    """Reading every entry."""
    return _write_plain("GET", conversation_id, "history", "Reading the conversation's history", "/history")


def get_messages_call(conversation_id: str) -> Call:
    """Reading the messages."""
    return _write_plain("GET", conversation_id, "messages", "Reading the conversation's messages", "/messages")


def delete_conversation_call(conversation_id: str) -> Call:
    """Deleting."""
    return _write_plain("DELETE", conversation_id, "delete", "Deleting the conversation")


def page_call(page: int, page_size: int, metadata: Mapping[str, Any] | None) -> Call:
    """One page of the list."""
    params = {"page": page, "page_size": page_size, "metadata": mapping_text("metadata", metadata)}
    return Call("Listing conversations", "GET", "/v1/conversations", _name_operation("list"), params=params)
