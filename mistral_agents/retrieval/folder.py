"""Keeping a library like a folder: what is new is uploaded first, what is gone deleted last, the rest is left alone."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal, TypedDict
from uuid import uuid4

from mistral_agents._api.libraries import document_changes
from mistral_agents._api.records import Document
from mistral_agents._api.shared_files import Row
from mistral_agents._api.writing import Upload
from mistral_agents._display.shown import Shown
from mistral_agents._paths import as_folder
from mistral_agents._progress import Progress, counting
from mistral_agents._steps import Job, Many, Steps, Work, arun, run
from mistral_agents.errors import ConfigurationError, InvalidRequestError, NotFoundError
from mistral_agents.retrieval.documents import SYNC_HASH as HASH
from mistral_agents.retrieval.documents import SYNC_PATH as PATH
from mistral_agents.retrieval.documents import SYNC_SOURCE as SOURCE
from mistral_agents.retrieval.folder_files import FolderContents, FolderFiles
from mistral_agents.retrieval.folder_plan import (
    Attributes,
    FolderPlan,
    Origin,
    Task,
    attributes_of,
    make_plan,
)
from mistral_agents.retrieval.service import LibraryApi

Delete = bool | Literal["all"]
_ROUNDS = 3
"""How often folder and library are compared while files change under the sync."""
_VANISHED = "it was gone when it was to be sent"
log = logging.getLogger("mistral_agents.retrieval")


@dataclass(slots=True)
class FolderReport(Shown):
    """What a folder sync did, or with `dry_run` would do. Paths are relative to the folder.

    Attributes:
        added: New files and their document ids (empty ids in a dry run).
        updated: Files with new content, and the ids of their documents.
        moved: Files whose content was there under another path.
        relabelled: Unchanged files whose documents got other attributes.
        adopted: Unchanged files whose documents were made by a version that did not note the folder.
        deleted: Paths that are gone and whose documents were deleted.
        spared: Paths that are gone and whose documents stay: the folder, or the pattern's part of it, is empty, and
            `delete` is not "all".
        skipped: Files that don't count (links out of the folder, lock files, empty ones), and why.
        failed: Files and folders (these end with `/`) that could not be read, files that the service refused, and why.
        left: Paths of documents that may belong to the folder and were left alone, and why.
        unchanged: How many files stayed as they were.
        dry_run: Whether nothing was changed.
    """

    added: dict[str, str] = field(default_factory=dict)
    updated: dict[str, str] = field(default_factory=dict)
    moved: dict[str, str] = field(default_factory=dict)
    relabelled: list[str] = field(default_factory=list)
    adopted: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    spared: list[str] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    left: dict[str, str] = field(default_factory=dict)
    unchanged: int = 0
    dry_run: bool = False

    @property
    def document_ids(self) -> list[str]:
        """Ids of the documents that were uploaded, to wait for."""
        return [key for key in [*self.added.values(), *self.updated.values()] if key]

    def note(self, task: Task, document_id: str) -> None:
        """Note a file's document; one that changed again while the sync ran keeps its first kind."""
        if task.kind == "kept":
            if task.path not in self.relabelled and task.path not in self.adopted:
                self.relabelled.append(task.path)
            return
        known = next((ids for ids in (self.added, self.updated, self.moved) if task.path in ids), None)
        kinds = {"added": self.added, "updated": self.updated, "moved": self.moved}
        (known if known is not None else kinds[task.kind])[task.path] = document_id


class FolderOptions(TypedDict, total=False):
    """Options of a folder sync, as of `FolderSync`."""

    pattern: str
    delete: Delete
    dry_run: bool
    attributes: Attributes
    source: str | None
    max_concurrency: int
    on_progress: Progress | None
    show_progress: bool


@dataclass(frozen=True, slots=True)
class FolderSync:
    """A folder and the library to keep like it.

    Only documents that a sync of the same folder and pattern made are ever deleted. Two files with equal content are
    two documents. A sync that was killed is completed by the next one, and several at once end as one would.

    Attributes:
        libraries: The libraries of a client.
        library_id: The library.
        folder: The folder; `~` is the home folder.
        pattern: Which files, as in `Path.rglob`; hidden files and folders are left out.
        delete: Whether documents of files that are gone are deleted. An empty folder, or a pattern that nothing
            matches, deletes nothing unless this is "all".
        dry_run: Only report.
        attributes: Attributes for every document, or a function from a relative path to them; None keeps those there.
        source: Names the folder, for example where it lies at another path on another machine. None takes a hash of
            its resolved path.
        max_concurrency: How many files are sent at once.
        on_progress: Called with how many files are done and how many there are.
        show_progress: Show a bar.

    Raises:
        ConfigurationError: A value is wrong.
    """

    libraries: LibraryApi
    library_id: str
    folder: Path
    pattern: str = "*"
    delete: Delete = True
    dry_run: bool = False
    attributes: Attributes = None
    source: str | None = None
    max_concurrency: int = 4
    on_progress: Progress | None = None
    show_progress: bool = False

    def __post_init__(self) -> None:
        if self.delete not in (True, False, "all"):
            raise ConfigurationError(f'delete must be True, False or "all", not {self.delete!r}.')
        source: object = self.source
        if source is not None and not (isinstance(source, str) and source.strip()):
            raise ConfigurationError(f"source must be a text that names the folder, not {source!r}.")
        given: object = self.max_concurrency
        if not isinstance(given, int) or given < 1:
            raise ConfigurationError(f"max_concurrency must be a whole number of at least 1, not {given!r}.")
        is_dry: object = self.dry_run
        if not isinstance(is_dry, bool):
            raise ConfigurationError(f"dry_run must be True or False, not {is_dry!r}.")

    def steps(self) -> Steps[FolderReport]:
        """The steps of the sync; run them with `_steps.run` or `_steps.arun`.

        Folder and library are compared again after a change, until nothing is left to do: files may change meanwhile.

        Raises:
            ConfigurationError: The folder does not exist, or attributes can't be kept.
        """
        files = FolderFiles(Path(self.folder), self.pattern)
        origin = Origin(self.source if self.source is not None else files.source, self.pattern)
        return _Run(self, files, origin).steps()


class _Run:
    """One sync: what it has done so far."""

    def __init__(self, settings: FolderSync, files: FolderFiles, origin: Origin) -> None:
        self._settings = settings
        self._files = files
        self._origin = origin
        self._libraries = settings.libraries
        self._library_id = settings.library_id
        self._report = FolderReport(dry_run=settings.dry_run)
        self._made: dict[str, Document] = {}
        self._deleted: dict[str, Document] = {}
        self._labelled: set[str] = set()
        self._unsettled: set[str] = set()

    def steps(self) -> Steps[FolderReport]:
        for number in range(_ROUNDS):
            contents: FolderContents = yield Work(self._files.contents)
            files = {path: key for path, key in contents.files.items() if path not in self._report.failed}
            documents = yield from self._documents()
            documents = [one for one in documents if not contents.may_hold(str(attributes_of(one).get(PATH)))]
            plan = make_plan(files, documents, self._origin, self._settings.attributes)
            self._begin(contents, plan, first=number == 0)
            if self._settings.dry_run:
                self._foresee(plan, contents)
                break
            tasks = [task for task in plan.tasks if task.kind != "kept" or task.path not in self._labelled]
            yield from self._perform(tasks)
            if not (yield from self._clean(plan, contents)) and not tasks:
                break
        return self._report

    def _begin(self, contents: FolderContents, plan: FolderPlan, *, first: bool) -> None:
        report = self._report
        report.skipped, report.left = contents.skipped, plan.left
        report.failed.update(contents.unreadable)
        if first:
            report.unchanged, report.adopted = plan.unchanged, plan.adopted

    def _documents(self) -> Steps[list[Document]]:
        """The library's documents; what this sync did counts even where the listing does not show it yet."""
        libraries, library_id = self._libraries, self._library_id

        async def alisting() -> list[Document]:
            return [record async for record in libraries.adocuments(library_id)]

        listed: list[Document] = yield Job(lambda: list(libraries.documents(library_id)), alisting)
        found = {record["id"]: record for record in listed if not self._was_deleted(record)}
        for key in [key for key in self._made if key not in found]:
            try:
                found[key] = yield Job(
                    partial(libraries.document, library_id, key), partial(libraries.adocument, library_id, key)
                )
            except NotFoundError:  # somebody else took it away: its file is sent again
                del self._made[key]
        return list(found.values())

    def _was_deleted(self, record: Document) -> bool:
        """Whether this sync deleted a document; the id of one with equal bytes may have gone over to the next."""
        row = self._deleted.get(str(record["id"]))
        return row is not None and _marks(row) == _marks(record)

    # sending ---------------------------------------------------------------------------------------------------

    def _perform(self, tasks: list[Task]) -> Steps[None]:
        """Send and rename; files with equal content share a document's record and so go one after the other."""
        groups: dict[str, list[Task]] = {}
        for task in tasks:
            groups.setdefault(task.digest, []).append(task)
        self._unsettled.clear()
        done = 0
        with counting("Uploading", self._settings.show_progress, self._settings.on_progress) as tick:

            def take(group: list[Task], _: object) -> None:
                nonlocal done
                done += len(group)
                if tick is not None:
                    tick(done, len(tasks))

            jobs = ((group, _job_of(partial(self._send_all, group))) for group in groups.values())
            yield Many(jobs, self._settings.max_concurrency, take)

    def _send_all(self, group: list[Task]) -> Steps[None]:
        for task in group:
            try:
                document = yield from self._relabel(task, task.row) if task.row is not None else self._upload(task)
            except (InvalidRequestError, ConfigurationError, OSError) as error:
                self._report.failed[task.path] = str(error)
                continue
            if document is None:
                self._unsettled.add(task.path)
                continue
            self._labelled.add(task.path)
            self._made[document["id"]] = document
            self._report.note(task, str(document["id"]))

    def _relabel(self, task: Task, row: Document) -> Steps[Document | None]:
        changes = document_changes(_name(task), task.attributes, None)
        try:
            return (yield from self._libraries.writer.update(self._library_id, str(row["id"]), changes))
        except NotFoundError:  # another sync was here: the next round sends the file
            return None

    def _upload(self, task: Task) -> Steps[Document | None]:
        try:
            data: bytes = yield Work(partial(self._files.read, task.path))
        except FileNotFoundError:  # the next round sees that it is gone
            return None
        attributes = {**task.attributes, HASH: sha256(data).hexdigest()}  # it may have changed since it was looked at
        upload = Upload(
            self._library_id,
            data,
            Row(_name(task), attributes),
            sent_as=f"{self._origin.mark}{uuid4().hex[:8]}-{_name(task)}",
            is_ours=lambda name: name.startswith(self._origin.mark),
            is_same=lambda document: self._origin.made(document) and attributes_of(document)[PATH] == task.path,
        )
        return (yield from self._libraries.writer.upload(upload))

    # deleting --------------------------------------------------------------------------------------------------

    def _clean(self, plan: FolderPlan, contents: FolderContents) -> Steps[int]:
        """Delete what files have no use for any more, then what is gone; how many documents that were."""
        waiting = self._unsettled | self._report.failed.keys()
        replaced = [(path, row) for path, row in plan.replaced if path not in waiting]
        gone = self._doomed(plan, contents)
        done = 0
        for path, row in [*replaced, *(("", row) for row in plan.leftovers), *gone]:
            is_gone = (path, row) in gone
            if is_gone and (yield Work(partial(self._files.holds, path))):
                continue  # it came back meanwhile
            if (yield from self._delete(row)):
                done += 1
                if is_gone:
                    self._report.deleted = sorted({*self._report.deleted, path})
        return done

    def _doomed(self, plan: FolderPlan, contents: FolderContents) -> list[tuple[str, Document]]:
        """Documents of files that are gone, as far as they may be deleted."""
        gone = [(path, row) for path, row in plan.gone if path not in self._report.failed]
        if not self._settings.delete:
            return []
        if gone and not contents.files and self._settings.delete != "all":
            self._report.spared = sorted({path for path, _ in gone})
            message = '%s has no file that matches %r: the documents of %d file(s) stay (delete="all" deletes them).'
            log.warning(message, self._files.folder, self._files.pattern, len(gone))
            return []
        return gone

    def _delete(self, row: Document) -> Steps[bool]:
        key = str(row["id"])
        only = partial(self._is_unchanged, row)
        try:
            was_there = yield from self._libraries.writer.delete(self._library_id, key, only=only)
        except NotFoundError:
            was_there = False
        if was_there:
            self._deleted[key] = row
            self._made.pop(key, None)
        return was_there

    def _is_unchanged(self, row: Document, now: Document) -> bool:
        """Whether a document is still what it was when it was chosen; another sync may have given it to a file."""
        return _marks(row) == _marks(now) and (self._origin.is_leftover(now) or self._origin.made(now))

    def _foresee(self, plan: FolderPlan, contents: FolderContents) -> None:
        for task in plan.tasks:
            self._report.note(task, str(task.row["id"]) if task.row is not None else "")
        self._report.deleted = sorted({path for path, _ in self._doomed(plan, contents)})


def _marks(row: Document) -> tuple[Any, ...]:
    """Which file of which folder a document is of."""
    return tuple(attributes_of(row).get(key) for key in (SOURCE, PATH, HASH))


def _name(task: Task) -> str:
    """The document's name: the file's own."""
    return os.path.basename(task.path)


def plan_sync(libraries: LibraryApi, library_id: str, folder: object, options: FolderOptions) -> FolderSync:
    """A folder sync as a user asks for it.

    Raises:
        ConfigurationError: The folder or an option is none.
    """
    known = FolderOptions.__annotations__
    for name in options:
        if name not in known:
            raise ConfigurationError(f"A folder sync knows no {name!r}: known are {', '.join(sorted(known))}.")
    return FolderSync(libraries, library_id, as_folder(folder, "folder"), **options)


def _job_of(steps: Callable[[], Steps[Any]]) -> Job:
    return Job(lambda: run(steps()), lambda: arun(steps()))
