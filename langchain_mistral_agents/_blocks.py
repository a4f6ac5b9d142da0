"""What the service sends as LangChain's standard content blocks."""

from __future__ import annotations

import mimetypes
from collections.abc import Mapping
from typing import Any

from langchain_mistral_agents._translator import PROVIDER
from mistral_agents._json import JsonDict
from mistral_agents.entries import ToolExecution, parse_entry
from mistral_agents.turn import Citation, FileRef

VERSION = {"model_provider": PROVIDER, "output_version": "v1"}
"""Stands in the metadata of every chunk; equal values of these two keys merge."""

_STANDARD_NAMES = {
    "web_search": "web_search",
    "web_search_premium": "web_search",
    "code_interpreter": "code_interpreter",
    "image_generation": "image_generation",
    "document_library": "file_search",
    "library_list_documents": "file_search",
    "open_library_result": "file_search",
}


def standard_name(name: str) -> str:
    """LangChain's name of a hosted tool; tools of connectors are `remote_mcp`."""
    return _STANDARD_NAMES.get(name, "remote_mcp")


def drop_none(**values: object) -> JsonDict:
    """What is known among some values."""
    return {key: value for key, value in values.items() if value is not None}


def run_extras(name: str, function: str | None) -> JsonDict:
    """What a hosted run's blocks keep of the service's own words."""
    return drop_none(name=name, function=function)


def result_block(run: ToolExecution, call_id: str) -> JsonDict:
    """The `server_tool_result` of a finished run."""
    return {
        "type": "server_tool_result",
        "tool_call_id": call_id,
        "status": "success" if run.error is None else "error",
        "output": run.info,
        "extras": run_extras(run.name, run.function),
    }


def parsed_output(block: Mapping[str, Any]) -> Any:
    """The `result` in a `server_tool_result`, parsed where it is JSON: hits of a search, a page, what code printed."""
    info = block.get("output")
    run = parse_entry({"type": "tool.execution", "info": info})
    return run.result if isinstance(run, ToolExecution) else info


def citation_block(citation: Citation, offset: int | None) -> JsonDict:
    """A citation as an annotation. The service gives no span; `extras["offset"]` is where the reference stood."""
    extras = drop_none(
        origin=citation.origin,
        document_id=citation.document_id,
        library_id=citation.library_id,
        pages=list(citation.pages) or None,
        tool=citation.raw.get("tool"),
        favicon=citation.raw.get("favicon"),
        description=citation.raw.get("description"),
        source=citation.raw.get("source"),
        offset=offset,
    )
    snippet = citation.snippet if citation.origin == "library" else None
    said = drop_none(url=citation.url, title=citation.title, cited_text=snippet)
    return {"type": "citation", **said, "extras": extras}


def file_block(ref: FileRef) -> JsonDict:
    """A file that a tool made."""
    mime, _ = mimetypes.guess_type(f"x.{ref.declared_type}" if ref.declared_type else ref.name)
    where = drop_none(file_id=ref.file_id, url=ref.url, mime_type=mime)
    extras = drop_none(name=ref.name, tool=ref.tool, file_type=ref.declared_type)
    return {"type": "image" if ref.is_image else "file", **where, "extras": extras}


def handoff_block(data: Mapping[str, Any]) -> JsonDict:
    """A handoff, for which LangChain has no standard block."""
    names = ("id", "previous_agent_id", "previous_agent_name", "next_agent_id", "next_agent_name")
    return non_standard({"type": "agent_handoff", **{name: data[name] for name in names if data.get(name) is not None}})


_VOID = "void"


def void_call_block(call: Mapping[str, Any], arguments: str) -> JsonDict:
    """A function call that a handoff followed: the service takes no result of it, so it is none to be run."""
    value = {"type": "function.call", "tool_call_id": call["id"], "name": call["name"], "arguments": arguments}
    return non_standard({**value, _VOID: "a handoff followed"})


def read_void_call(block: object) -> JsonDict | None:
    """The block of a call that is void, as it came or as LangChain has added it to those of the call; else None."""
    if not isinstance(block, dict):
        return None
    told = block.get("value", block.get("extras"))
    if not isinstance(told, dict) or _VOID not in told:
        return None
    return {**non_standard({**told, "type": "function.call"}), "index": block.get("index")}


def non_standard(value: object) -> JsonDict:
    """A block for what has no standard form, with everything in it."""
    return {"type": "non_standard", "value": value if isinstance(value, dict) else {"value": value}}
