"""Conversations as JSON documents of a versioned format, and made short: written, read back, turned into inputs."""

from __future__ import annotations

import base64
import json
import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mistral_agents._border.calls import answer_unrun
from mistral_agents._http.concealed import without_secrets
from mistral_agents._json import JsonDict, load_json
from mistral_agents._paths import expand_home, writing
from mistral_agents._steps import Job, Many, Steps
from mistral_agents._turn.media import FileData, safe_name
from mistral_agents.entries import Entry, FunctionCall, Handoff, MessageInput, parse_entries, replayable, user_message
from mistral_agents.errors import ConfigurationError
from mistral_agents.history import History
from mistral_agents.turn import FileRef, Turn, open_calls

if TYPE_CHECKING:
    from mistral_agents.files import Files

_FILES_AT_ONCE = 4
REQUEST = (
    "Summarise the conversation below for someone who has to carry it on: facts, decisions, preferences, names, "
    "numbers and open questions. Write only the summary.\n\n{}"
)
OPENING = "Summary of our conversation so far:\n{}"


def request_summary(history: History, info: Mapping[str, Any], model: str | None) -> JsonDict:
    """What to start for a summary.

    Raises:
        ConfigurationError: No model is known (an agent's conversation whose entries name none).
    """
    named = [model, info.get("model"), *(entry.model for entry in reversed(history.entries))]
    found = next((name for name in named if isinstance(name, str)), None)
    if found is None:
        raise ConfigurationError("Which model shall write the summary? Pass model=.")
    return {"inputs": REQUEST.format(history), "model": found, "store": False}


def seed_compacted(summary: str, history: History, keep: int) -> list[JsonDict]:
    """The summary, and the last messages from a message of the user on."""
    places = [place for place, entry in enumerate(history.entries) if entry.role is not None]
    start = places[-keep] if 0 < keep <= len(places) else (0 if keep > 0 else len(history.entries))
    while start < len(history.entries) and not isinstance(history.entries[start], MessageInput):
        start += 1
    return [user_message(OPENING.format(summary)), *replay_seed(history.entries[start:])]


FORMAT = "mistral-agents/conversation"
VERSION = 1
_START = ("agent_id", "agent_version", "model", "instructions", "tools", "completion_args", "guardrails")
_COMMON = ("name", "description", "metadata")


@dataclass(frozen=True, slots=True)
class Imported:
    """An exported conversation, read.

    Attributes:
        conversation_id: Its id where it was exported.
        info: What the service told of it.
        entries: Its entries, as exported.
        files: The files put in.
        seed: The entries as inputs that the service accepts.
    """

    conversation_id: str
    info: JsonDict
    entries: list[JsonDict]
    files: list[FileData] = field(default_factory=list)
    seed: list[JsonDict] = field(default_factory=list)


def start_options(info: Mapping[str, Any]) -> JsonDict:
    """What `start` needs to begin a conversation of the same kind."""
    names = ("agent_id", "agent_version") if info.get("agent_id") is not None else _START
    found = {name: info[name] for name in (*names, *_COMMON) if info.get(name) not in (None, [], {})}
    arguments = found.get("completion_args")
    if isinstance(arguments, Mapping):
        found["completion_args"] = {name: value for name, value in arguments.items() if value is not None}
    return found


def collect_file_refs(entries: Iterable[Entry]) -> list[FileRef]:
    """The files made in a conversation that have an id."""
    return [ref for ref in Turn(None, list(entries)).files if ref.file_id is not None]


def read_files(reader: Files, history: History) -> Steps[list[FileData]]:
    """Download the files made in a conversation, in order."""
    refs = collect_file_refs(history.entries)
    found: dict[int, FileData] = {}
    jobs = ((place, Job(partial(reader.read, ref), partial(reader.aread, ref))) for place, ref in enumerate(refs))
    yield Many(jobs, _FILES_AT_ONCE, found.__setitem__)
    return [found[place] for place in range(len(refs))]


def document(
    info: Mapping[str, Any], history: History, files: Sequence[FileData], imported: Imported | None = None
) -> JsonDict:
    """The document of a conversation; entries it was imported with appear as they were first exported.

    Authorizations of connectors are left out: whoever imports it gives them anew with `tools=`.
    """
    rows = [entry.raw for entry in history.entries]
    if imported is not None:
        rows = [*imported.entries, *rows[len(imported.seed) :]]
        files = [*imported.files, *files]
    return {
        "format": FORMAT,
        "version": VERSION,
        "exported_at": datetime.now(timezone.utc).isoformat(),
        "conversation": without_secrets(dict(info)),
        "entries": rows,
        "files": [_write_file(file) for file in files],
    }


def _write_file(file: FileData) -> JsonDict:
    return {"name": file.name, "media_type": file.media_type, "base64": base64.b64encode(file.data).decode()}


def write(path: str | os.PathLike[str], content: JsonDict) -> None:
    """Write a document so that there is never half of one, and read it back.

    Raises:
        ConfigurationError: It can't be written, or what was read back differs.
    """
    target = expand_home(path)
    text = json.dumps(content, ensure_ascii=False, indent=1)
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        _replace(target, text)


def _replace(target: Path, text: str) -> None:
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name[:50]}.", suffix=".part")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if json.loads(Path(name).read_text(encoding="utf-8")) != json.loads(text):
            raise ConfigurationError(f"{target} could not be read back as it was written.")
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def write_into(folder: str | os.PathLike[str], content: JsonDict) -> Path:
    """Write a document into a folder, under the name of its conversation, and read it back."""
    path = expand_home(folder) / f"{safe_name(str(content['conversation'].get('id')))}.json"
    write(path, content)
    read(path)
    return path


def read(source: str | os.PathLike[str] | Mapping[str, Any]) -> Imported:
    """Read a document.

    Raises:
        ConfigurationError: It can't be read, is no such document, or of a later version.
    """
    data = dict(source) if isinstance(source, Mapping) else _load(expand_home(source))
    if data.get("format") != FORMAT:
        raise ConfigurationError(f"This is no exported conversation: its format is {data.get('format')!r}.")
    if not isinstance(data.get("version"), int) or data["version"] > VERSION:
        raise ConfigurationError(f"The export has version {data.get('version')!r}; this package reads up to {VERSION}.")
    info, rows = data.get("conversation"), data.get("entries")
    if not isinstance(info, dict) or not isinstance(rows, list):
        raise ConfigurationError("The export lacks its conversation or its entries.")
    if not isinstance(info.get("metadata"), (Mapping, type(None))):
        raise ConfigurationError("The export's conversation has metadata that are no mapping.")
    try:
        files = [
            FileData(row["name"], row["media_type"], base64.b64decode(row["base64"])) for row in data.get("files", [])
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigurationError(f"A file in the export can't be read: {error!r}.") from error
    return Imported(str(info.get("id")), info, rows, files, replay_seed(parse_entries(rows)))


def _load(path: Path) -> JsonDict:
    try:
        data = load_json(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path} can't be read as an exported conversation: {error}.") from error
    if not isinstance(data, dict):
        raise ConfigurationError(f"{path} is no exported conversation.")
    return data


def replay_seed(entries: Sequence[Entry]) -> list[JsonDict]:
    """Entries as inputs that can begin a conversation: every call answered, none that a handover made void.

    A call of a hosted tool that waited for confirmation is left out; where it was allowed, its run follows anyway.
    """
    kept: list[Entry] = []
    for entry in entries:
        if isinstance(entry, Handoff):
            void = {id(call) for call in open_calls(kept)}
            kept = [other for other in kept if id(other) not in void]
        elif not (isinstance(entry, FunctionCall) and entry.confirmation_status is not None):
            kept.append(entry)
    return [*replayable(kept), *answer_unrun(open_calls(kept))]
