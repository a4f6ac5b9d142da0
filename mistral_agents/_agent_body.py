"""An agent's fields as they are sent: tools translated, hints added, the policy in the metadata."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mistral_agents._policy import Policy
from mistral_agents._translate import translate_tools

Wire = dict[str, Any]


def agent_body(options: Mapping[str, Any], before: Mapping[str, Any] | None = None) -> tuple[Wire, Policy | None]:
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
    body["tools"] = done.tools
    instructions = done.added_to(body.get("instructions", old.get("instructions")))
    if "instructions" in body or instructions != old.get("instructions"):
        body["instructions"] = instructions
    if done.policy or kept:
        metadata = {**(old.get("metadata") or {}), **(body.get("metadata") or {})}
        metadata = {key: value for key, value in metadata.items() if key not in kept.to_metadata()}
        body["metadata"] = {**metadata, **done.policy.to_metadata()}
    return {name: value for name, value in body.items() if value is not None}, done.policy
