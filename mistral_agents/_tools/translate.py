"""Tools as the seed guide writes them → tools as the service takes them, with an honest report.

The service's tools have no `config`; the SDK drops it without a word. Here each of its keys is enforced by this
package, hinted to the model in the instructions, or called impossible. Nothing is dropped in silence.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from mistral_agents._api.arguments import uuid_text
from mistral_agents._border.tool_choices import HOSTED, make_tool_error, read_tools
from mistral_agents._http.concealed import ConcealedFields
from mistral_agents._json import JsonDict
from mistral_agents._tools.names import check_hosted_names
from mistral_agents._tools.policy import Policy, TranslationWarning
from mistral_agents._warnings import warn_user
from mistral_agents.errors import ConfigurationError

Status = Literal["enforced", "hinted", "impossible"]
_KNOWN = HOSTED | {"function", "connector", "document_retrieval"}
_MOST_TOOLS = 128
_ADVICE = {"hinted": "Look whether answers keep to it, or leave it out.", "impossible": "Leave it out."}
_SIZE = re.compile(r"^(\d{1,5})\s*[xX×]\s*(\d{1,5})$")


class MissingLibraryError(ConfigurationError):
    """A document library tool names no library; the service needs at least one."""


@dataclass(frozen=True, slots=True)
class ReportRow:
    """What became of one key.

    Attributes:
        tool: The tool's type, as given.
        key: The key.
        value: Its value.
        status: `enforced` (by the service or by us), `hinted` (in the instructions) or `impossible`.
        note: How, or why not.
    """

    tool: str
    key: str
    value: Any
    status: Status
    note: str


@dataclass(frozen=True, slots=True)
class Translation:
    """What `translate_tools` gives.

    Attributes:
        tools: The tools to send.
        instructions: Text to add to the agent's instructions; empty where there is nothing to say.
        policy: What this package enforces at each turn.
        report: A row per key of each `config`, in order.
    """

    tools: list[JsonDict] = field(default_factory=list)
    instructions: str = ""
    policy: Policy = field(default_factory=Policy)
    report: list[ReportRow] = field(default_factory=list)

    def added_to(self, instructions: str | None) -> str | None:
        """Instructions with the hints added; a hint that is there already is not added again."""
        lines = [line for line in self.instructions.splitlines() if instructions is None or line not in instructions]
        if not lines:
            return instructions
        hints = "\n".join(lines)
        return f"{instructions.rstrip()}\n\n{hints}" if instructions else hints

    def __str__(self) -> str:
        rows = (f"{row.tool}.{row.key} = {row.value!r}: {row.status}; {row.note}" for row in self.report)
        return "\n".join(rows)


@dataclass(slots=True)
class _Draft:
    """One tool on its way, and what its keys gave so far."""

    given: str
    tool: JsonDict
    hints: list[str] = field(default_factory=list)
    policy: Policy = field(default_factory=Policy)
    report: list[ReportRow] = field(default_factory=list)

    def row(self, key: str, value: object, status: Status, note: str) -> None:
        self.report.append(ReportRow(self.given, key, value, status, note))

    def limit(self, **limits: Any) -> None:
        self.policy = self.policy.joined(Policy(**limits))


Key = Callable[[_Draft, str, Any], None]


def _apply_timeout(draft: _Draft, key: str, value: object) -> None:
    draft.limit(tool_seconds={"code_interpreter": value})
    note = f"a run of more than {value} s ends the turn with ToolBudgetExceededError, which keeps what had arrived"
    draft.row(key, value, "enforced", note)


def _apply_max_iterations(draft: _Draft, key: str, value: Any) -> None:
    draft.limit(tool_runs={"code_interpreter": value})
    draft.hints.append(f"Run code at most {value} times in one answer.")
    note = f"run {value + 1} of a turn ends it with ToolBudgetExceededError; the model is told the number too"
    draft.row(key, value, "enforced", note)


def _apply_max_results(draft: _Draft, key: str, value: object) -> None:
    draft.limit(max_citations=value)
    draft.row(key, value, "enforced", f"Turn.citations shows at most {value} web sources; the search can't be capped")


def _apply_premium(draft: _Draft, key: str, value: object) -> None:
    if value:
        draft.tool["type"] = "web_search_premium"
    draft.row(key, value, "enforced", f"sent as the tool {draft.tool['type']}")


def _make_hint(text: str) -> Key:
    def apply(draft: _Draft, key: str, value: object) -> None:
        if value is False:
            draft.row(key, value, "enforced", "nothing to ask for")
            return
        draft.hints.append(text.format(value=value))
        draft.row(key, value, "hinted", "asked for in the instructions; the service has no such field")

    return apply


def _refuse_image_model(draft: _Draft, key: str, value: object) -> None:
    draft.row(key, value, "impossible", "the service chooses the image model; there is no field for it")


def _apply_image_size(draft: _Draft, key: str, value: object) -> None:
    match = _SIZE.match(value) if isinstance(value, str) else None
    if match is None:
        raise ConfigurationError("it must be a size such as '1024x1024'.")
    width, height = int(match[1]), int(match[2])
    draft.limit(image_size=(width, height))
    draft.hints.append(f"Generate images of {width}x{height} pixels unless the user asks for another size.")
    draft.row(key, value, "hinted", "asked for in the instructions; checked after the download, with a warning")


def _apply_library_id(draft: _Draft, key: str, value: Any) -> None:
    ids = [value] if isinstance(value, str) else value
    if not ids:
        raise MissingLibraryError(f"{draft.given}: {key} is {value!r}; give the id of a document library.")
    draft.tool["library_ids"] = [*draft.tool.get("library_ids", []), *ids]
    draft.row(key, value, "enforced", "sent as library_ids of the tool document_library")


def _apply_max_documents(draft: _Draft, key: str, value: object) -> None:
    draft.limit(max_documents=value)
    draft.hints.append(f"Base an answer on at most {value} library documents.")
    note = "asked for in the instructions, and Turn.citations shows no more; the service's search can't be capped"
    draft.row(key, value, "hinted", note)


def _apply_similarity(draft: _Draft, key: str, value: object) -> None:
    draft.limit(similarity_threshold=value)
    draft.hints.append("Use only library passages that closely match the question; say so when none does.")
    note = "asked for in the instructions; the service reports no scores, a retriever that has them applies it"
    draft.row(key, value, "hinted", note)


_SEARCH_KEYS: dict[str, Key] = {
    "enable_premium_sources": _apply_premium,
    "max_results": _apply_max_results,
    "recency_bias": _make_hint("Prefer recent web sources and say how old they are."),
    "prefer_premium": _make_hint("Prefer news agencies among the web sources, and say which sources are agencies."),
}
_KEYS: dict[str, dict[str, Key]] = {
    "code_interpreter": {"timeout": _apply_timeout, "max_iterations": _apply_max_iterations},
    "image_generation": {
        "model": _refuse_image_model,
        "default_size": _apply_image_size,
        "quality": _make_hint("Aim for {value} image quality."),
    },
    "web_search": _SEARCH_KEYS,
    "web_search_premium": _SEARCH_KEYS,
    "document_library": {
        "library_id": _apply_library_id,
        "library_ids": _apply_library_id,
        "max_documents": _apply_max_documents,
        "similarity_threshold": _apply_similarity,
    },
}


def translate_tools(tools: Iterable[Mapping[str, Any]] | None, *, strict: bool = False) -> Translation:
    """Translate tools, as the guide writes them or as the builders make them.

    Args:
        tools: Dicts with a `type`; those without `config` are checked and passed on as they are.
        strict: Raise where a key is only hinted or impossible, instead of warning.

    Returns:
        The service's tools, text for the instructions, the policy to enforce and a report.

    Raises:
        ConfigurationError: A type is not known, a value is wrong, or `strict` and not every key is enforced.
        MissingLibraryError: A library tool names no library.

    Warns:
        TranslationWarning: For each key that is only hinted, or impossible.
    """
    given = read_tools(tools, "tools") if tools is not None else []
    drafts = [_translate(tool, place) for place, tool in enumerate(given)]
    _check_together([draft.tool for draft in drafts])
    policy = Policy()
    for draft in drafts:
        policy = policy.joined(draft.policy)
    hints = dict.fromkeys(hint for draft in drafts for hint in draft.hints)
    report = [row for draft in drafts for row in draft.report]
    _speak([row for row in report if row.status != "enforced"], strict)
    return Translation([draft.tool for draft in drafts], "\n".join(hints), policy, report)


def _translate(tool: object, place: int) -> _Draft:
    if not isinstance(tool, Mapping):
        raise make_tool_error(tool, f"tools[{place}]", "a dict with a `type`")
    given = tool.get("type")
    if given not in _KNOWN:
        known = ", ".join(sorted(_KNOWN))
        raise ConfigurationError(f"tools[{place}] has the unknown type {given!r}; known are {known}.")
    draft = _Draft(str(given), {key: value for key, value in tool.items() if key != "config"})
    if isinstance(secret := draft.tool.get("authorization"), Mapping):
        draft.tool["authorization"] = ConcealedFields(secret)
    if given == "document_retrieval":
        draft.tool["type"] = "document_library"
        draft.row("type", given, "enforced", "the service calls it document_library")
    config = tool.get("config")
    if config is not None and not isinstance(config, Mapping):
        raise ConfigurationError(f"tools[{place}].config must be a dict, not {type(config).__name__}.")
    known_keys = _KEYS.get(draft.tool["type"], {})
    for key, value in config.items() if config is not None else ():
        _apply(draft, known_keys.get(key), key, value)
    _check_library(draft)
    check_hosted_names(draft.tool)
    return draft


def _apply(draft: _Draft, translate: Key | None, key: str, value: object) -> None:
    if translate is None:
        draft.row(key, value, "impossible", "the service has no such option; it was not sent")
        return
    try:
        translate(draft, key, value)
    except MissingLibraryError:
        raise
    except ConfigurationError as error:
        raise ConfigurationError(f"{draft.given}: {key}={value!r}: {error.message}") from error


def _check_library(draft: _Draft) -> None:
    if draft.tool["type"] != "document_library":
        return
    ids = draft.tool.get("library_ids")
    if not ids:
        raise MissingLibraryError(f"{draft.given} names no library; give library_ids=[…] (config: library_id).")
    draft.tool["library_ids"] = [uuid_text("library_ids", key) for key in dict.fromkeys(ids)]


def _check_together(tools: list[JsonDict]) -> None:
    if {"web_search", "web_search_premium"} <= {tool["type"] for tool in tools}:
        raise ConfigurationError("web_search and web_search_premium can't be given together; choose one.")
    if len(tools) > _MOST_TOOLS:
        raise ConfigurationError(f"{len(tools)} tools were given; the service takes at most {_MOST_TOOLS}.")


def _speak(rows: list[ReportRow], strict: bool) -> None:
    said = [f"{row.tool}: {row.key}={row.value!r} is {row.status}: {row.note}." for row in rows]
    if strict and said:
        raise ConfigurationError("strict=True, and not everything can be enforced. " + " ".join(said))
    for row, text in zip(rows, said, strict=True):
        warn_user(f"{text} {_ADVICE[row.status]}", TranslationWarning)
