"""What makes a library like a folder: which documents stay, take another path, are new, or go. Sends nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Literal

from mistral_agents._api.libraries import unfit_attributes
from mistral_agents._api.records import Document
from mistral_agents._json import JsonDict
from mistral_agents.errors import ConfigurationError
from mistral_agents.retrieval.documents import INTERNAL, REF_ID, RESERVED
from mistral_agents.retrieval.documents import SYNC_HASH as HASH
from mistral_agents.retrieval.documents import SYNC_KEYS as KEYS
from mistral_agents.retrieval.documents import SYNC_PATH as PATH
from mistral_agents.retrieval.documents import SYNC_PATTERNS as PATTERNS
from mistral_agents.retrieval.documents import SYNC_SOURCE as SOURCE

_OWN = frozenset({PATH, HASH, SOURCE, PATTERNS, KEYS})
_OURS = _OWN | INTERNAL | RESERVED | {REF_ID}
Attributes = Mapping[str, Any] | Callable[[str], Mapping[str, Any] | None] | None
Kind = Literal["kept", "moved", "updated", "added"]


@dataclass(frozen=True, slots=True)
class Origin:
    """Whose documents a sync may touch.

    Attributes:
        source: Names the folder.
        pattern: Names which of its files.
    """

    source: str
    pattern: str

    @property
    def mark(self) -> str:
        """How the names of files begin that are being sent; what a kill leaves behind is known by it."""
        return f"sync-{sha256(self.source.encode('utf-8', 'surrogateescape')).hexdigest()[:8]}-"

    def made(self, document: Document) -> bool:
        """Whether a sync of this folder made a document, with whatever pattern."""
        return attributes_of(document).get(SOURCE) == self.source and PATH in attributes_of(document)

    def may_delete(self, document: Document) -> bool:
        """Whether a sync of this folder and pattern made a document."""
        return self.made(document) and self.pattern in attributes_of(document).get(PATTERNS, ())

    def is_leftover(self, document: Document) -> bool:
        """Whether an upload of this folder broke off before the document got its name."""
        return not attributes_of(document) and str(document.get("name")).startswith(self.mark)


@dataclass(frozen=True, slots=True)
class Task:
    """A file whose document is to be made or changed.

    Attributes:
        path: The file, relative to the folder.
        digest: What is in it.
        kind: `kept` where only attributes change.
        row: The document that becomes the file's; None uploads one.
        attributes: The document's attributes.
    """

    path: str
    digest: str
    kind: Kind
    row: Document | None
    attributes: JsonDict


@dataclass(slots=True)
class FolderPlan:
    """What is to be done.

    Attributes:
        tasks: Files whose documents are made or changed.
        unchanged: How many files have their document, whatever its attributes.
        adopted: Files whose documents an older version made, which kept no source.
        replaced: Documents that a file has no use for any more, by the file.
        gone: Documents of files that are gone, by path.
        leftovers: Documents of uploads that broke off.
        left: Names of documents that may belong here and are left alone, and why.
    """

    tasks: list[Task] = field(default_factory=list)
    unchanged: int = 0
    adopted: list[str] = field(default_factory=list)
    replaced: list[tuple[str, Document]] = field(default_factory=list)
    gone: list[tuple[str, Document]] = field(default_factory=list)
    leftovers: list[Document] = field(default_factory=list)
    left: dict[str, str] = field(default_factory=dict)


def attributes_of(document: Document) -> JsonDict:
    """A document's attributes, none included."""
    found = document.get("attributes")
    return found if isinstance(found, dict) else {}


def make_plan(files: Mapping[str, str], documents: Iterable[Document], origin: Origin, given: Attributes) -> FolderPlan:
    """Compare a folder's files with a library's documents.

    A document stays with its path where that holds the same bytes; others go to the paths that hold their bytes now;
    only bytes that no document of this folder has are uploaded.

    Raises:
        ConfigurationError: Attributes can't be kept; all files concerned are named.
    """
    plan = FolderPlan()
    mine, legacy = _sort_out(documents, origin, plan)
    chosen = _stay(files, mine)
    chosen.update(_adopt(files, legacy, chosen, plan))
    pool = _free_rows(files, mine, chosen, origin)
    old_of = {_path(row): row for row in reversed(mine)}
    bad: list[str] = []
    for path, digest in files.items():
        kind: Kind = "kept"
        row: Document | None = chosen.get(path)
        if row is None:
            row = pool[digest].pop(0) if pool.get(digest) else None
            kind = "updated" if path in old_of else "moved" if row is not None else "added"
        now = _given(path, given, bad)
        wanted = _collect_attributes(path, digest, row if row is not None else old_of.get(path), origin, now)
        plan.unchanged += kind == "kept"
        if kind != "kept" or row is None or wanted != attributes_of(row):
            plan.tasks.append(Task(path, digest, kind, row, wanted))
    if bad:
        raise ConfigurationError(f"attributes can't be kept: {'; '.join(bad)}.")
    for row in (row for rows in pool.values() for row in rows):
        (plan.replaced if _path(row) in files else plan.gone).append((_path(row), row))
    return plan


def _free_rows(
    files: Mapping[str, str], mine: list[Document], chosen: Mapping[str, Document], origin: Origin
) -> dict[str, list[Document]]:
    """Documents that no path needs as they are, by their content."""
    used = {row["id"] for row in chosen.values()}
    pool: dict[str, list[Document]] = {}
    for row in mine:
        if row["id"] not in used and (_path(row) in files or origin.may_delete(row)):
            pool.setdefault(str(attributes_of(row).get(HASH)), []).append(row)
    return pool


def _sort_out(documents: Iterable[Document], origin: Origin, plan: FolderPlan) -> tuple[list[Document], list[Document]]:
    """Documents of this folder, oldest first, and those of a version that kept no source."""
    mine, legacy = [], []
    for document in documents:
        if origin.is_leftover(document):
            plan.leftovers.append(document)
        elif origin.made(document):
            mine.append(document)
        elif PATH in attributes_of(document) and SOURCE not in attributes_of(document):
            legacy.append(document)
    mine.sort(key=lambda row: (str(row.get("created_at")), str(row["id"])))
    return mine, legacy


def _path(row: Document) -> str:
    return str(attributes_of(row)[PATH])


def _stay(files: Mapping[str, str], mine: list[Document]) -> dict[str, Document]:
    """Per path the oldest document that has the bytes which are there."""
    chosen: dict[str, Document] = {}
    for row in mine:
        if files.get(_path(row)) == attributes_of(row).get(HASH):
            chosen.setdefault(_path(row), row)
    return chosen


def _adopt(
    files: Mapping[str, str], legacy: list[Document], chosen: Mapping[str, Document], plan: FolderPlan
) -> dict[str, Document]:
    adopted: dict[str, Document] = {}
    for row in legacy:
        path = _path(row)
        fits = path in files and files[path] == attributes_of(row).get(HASH)
        if fits and path not in chosen and path not in adopted:
            adopted[path] = row
            plan.adopted.append(path)
        elif not fits:
            plan.left[path] = "made by a version that did not note its folder, and no file here equals it"
    return adopted


def _given(path: str, given: Attributes, bad: list[str]) -> JsonDict | None:
    """The user's attributes for a file, as they come back from the service; what can't be kept is noted in `bad`."""
    own: Any = given(path) if callable(given) else given
    if own is None:
        return None
    if not isinstance(own, Mapping):
        bad.append(f"{path}: {own!r} is no dict")
        return None
    bad += [f"{path}: {reason}" for reason in unfit_attributes(own)]
    bad += [f"{path}: {key!r} is a name of ours" for key in own if key in _OURS]
    return {key: list(value) if isinstance(value, tuple) else value for key, value in own.items()}


def _collect_attributes(path: str, digest: str, old: Document | None, origin: Origin, now: JsonDict | None) -> JsonDict:
    """A document's attributes: those of the user's hand stay, those of earlier syncs give way to those given now."""
    before = attributes_of(old) if old is not None else {}
    kept = {key: value for key, value in before.items() if key not in _OWN}
    keys = before.get(KEYS, [])
    if now is not None:
        kept = {**{key: value for key, value in kept.items() if key not in keys}, **now}
        keys = sorted(now)
    patterns = sorted({*before.get(PATTERNS, ()), origin.pattern}) if before.get(SOURCE) else [origin.pattern]
    own = {PATH: path, HASH: digest, SOURCE: origin.source, PATTERNS: patterns, **({KEYS: keys} if keys else {})}
    return {**kept, **own}
