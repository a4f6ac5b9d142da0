"""Keeping a library like a folder: upload what is new or changed, delete what is gone, touch nothing else."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

from mistral_agents._api.records import Document
from mistral_agents._steps import Job, Many, Steps, Work
from mistral_agents.errors import ConfigurationError, InvalidRequestError
from mistral_agents.libraries import Libraries

PATH, HASH = "sync_path", "sync_sha256"
"""Attributes by which a later sync knows the documents it made."""
Progress = Callable[[int, int], None]


@dataclass(slots=True)
class FolderReport:
    """What a folder sync did, or with `dry_run` would do. Paths are relative to the folder.

    Attributes:
        added: New files and their document ids (empty ids in a dry run).
        updated: Files with new content; the old document is deleted once the new one is there.
        moved: Files whose content was there under another path.
        deleted: Paths that are gone and whose documents were deleted.
        duplicates: Files with the same content as another, which is kept once.
        failed: Files that the service refused, and its reason.
        unchanged: How many files stayed as they were.
        dry_run: Whether nothing was changed.
    """

    added: dict[str, str] = field(default_factory=dict)
    updated: dict[str, str] = field(default_factory=dict)
    moved: dict[str, str] = field(default_factory=dict)
    deleted: list[str] = field(default_factory=list)
    duplicates: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    unchanged: int = 0
    dry_run: bool = False

    @property
    def document_ids(self) -> list[str]:
        """Ids of the documents that were uploaded, to wait for."""
        return [key for key in [*self.added.values(), *self.updated.values()] if key]


@dataclass(frozen=True, slots=True)
class FolderSync:
    """A folder and the library to keep like it.

    Attributes:
        libraries: The libraries of a client.
        library_id: The library.
        folder: The folder.
        pattern: Which files, as in `Path.rglob`; hidden files and folders are left out.
        delete: Whether documents of files that are gone are deleted. Documents that no sync made are never touched.
        dry_run: Only report.
        attributes: Attributes for every document, or a function from a relative path to them.
        max_concurrency: How many files are sent at once.
        on_progress: Called with how many files are done and how many there are.
    """

    libraries: Libraries
    library_id: str
    folder: Path
    pattern: str = "*"
    delete: bool = True
    dry_run: bool = False
    attributes: Mapping[str, Any] | Callable[[str], Mapping[str, Any]] | None = None
    max_concurrency: int = 4
    on_progress: Progress | None = None

    def steps(self) -> Steps[FolderReport]:
        """The steps of the sync; run them with `jobs.run` or `jobs.arun`.

        Raises:
            ConfigurationError: The folder does not exist.
        """
        report = FolderReport(dry_run=self.dry_run)
        files: dict[str, str] = yield Work(lambda: self._files(report))
        records: list[Document] = yield self._listing()
        known = {record["attributes"][PATH]: record for record in records if PATH in (record.get("attributes") or {})}
        gone = {path: record for path, record in known.items() if path not in files}
        tasks = [
            task
            for path, digest in files.items()
            if (task := self._task(path, digest, known.get(path), gone, report)) is not None
        ]
        yield from self._perform(tasks, report)
        if self.delete:
            yield from self._delete(gone, report)
        return report

    def _files(self, report: FolderReport) -> dict[str, str]:
        """Relative paths and content hashes; of equal files the first counts."""
        if not self.folder.is_dir():
            raise ConfigurationError(f"{self.folder} is no folder.")
        found: dict[str, str] = {}
        for path in sorted(self.folder.rglob(self.pattern)):
            relative = path.relative_to(self.folder)
            if not path.is_file() or any(part.startswith(".") for part in relative.parts):
                continue
            digest = sha256(path.read_bytes()).hexdigest()
            if digest in found.values():
                report.duplicates.append(relative.as_posix())
            else:
                found[relative.as_posix()] = digest
        return found

    def _listing(self) -> Job:
        async def alisting() -> list[Document]:
            return [record async for record in self.libraries.adocuments(self.library_id)]

        return Job(lambda: list(self.libraries.documents(self.library_id)), alisting)

    def _task(
        self, path: str, digest: str, old: Document | None, gone: dict[str, Document], report: FolderReport
    ) -> _Task | None:
        if old is not None and old["attributes"].get(HASH) == digest:
            report.unchanged += 1
            return None
        if old is None:
            moved = next((key for key, record in gone.items() if record["attributes"].get(HASH) == digest), None)
            if moved is not None:
                return _Task(path, digest, gone.pop(moved), "moved")
        return _Task(path, digest, old, "added" if old is None else "updated")

    def _attributes(self, task: _Task) -> dict[str, Any]:
        own = self.attributes(task.path) if callable(self.attributes) else self.attributes
        return {**(own if own is not None else {}), PATH: task.path, HASH: task.digest}

    # performing ------------------------------------------------------------------------------------------------

    def _perform(self, tasks: list[_Task], report: FolderReport) -> Steps[None]:
        done = 0

        def take(task: _Task, outcome: Any) -> None:
            nonlocal done
            done += 1
            if isinstance(outcome, Exception):
                report.failed[task.path] = str(outcome)
            else:
                getattr(report, task.kind)[task.path] = outcome
            if self.on_progress is not None:
                self.on_progress(done, len(tasks))

        if self.dry_run:
            for task in tasks:
                getattr(report, task.kind)[task.path] = task.old["id"] if task.old is not None else ""
            return
        jobs = ((task, Job(partial(self._send, task), partial(self._asend, task))) for task in tasks)
        yield Many(jobs, self.max_concurrency, take, tolerate=(InvalidRequestError, ConfigurationError))

    def _send(self, task: _Task) -> str:
        attributes = self._attributes(task)
        if task.kind == "moved":
            key = str(task.old["id"])  # type: ignore[index]
            self.libraries.update_document(self.library_id, key, name=task.name, attributes=attributes)
            return key
        document = self.libraries.upload(
            self.library_id, self.folder / task.path, name=task.name, attributes=attributes
        )
        if task.old is not None and task.old["id"] != document["id"]:
            self.libraries.delete_document(self.library_id, task.old["id"])
        return str(document["id"])

    async def _asend(self, task: _Task) -> str:
        attributes = self._attributes(task)
        if task.kind == "moved":
            key = str(task.old["id"])  # type: ignore[index]
            await self.libraries.aupdate_document(self.library_id, key, name=task.name, attributes=attributes)
            return key
        document = await self.libraries.aupload(
            self.library_id, self.folder / task.path, name=task.name, attributes=attributes
        )
        if task.old is not None and task.old["id"] != document["id"]:
            await self.libraries.adelete_document(self.library_id, task.old["id"])
        return str(document["id"])

    def _delete(self, gone: dict[str, Document], report: FolderReport) -> Steps[None]:
        report.deleted += sorted(gone)
        if self.dry_run:
            return
        for record in gone.values():
            key = str(record["id"])
            yield Job(
                partial(self.libraries.delete_document, self.library_id, key),
                partial(self.libraries.adelete_document, self.library_id, key),
            )


@dataclass(frozen=True, slots=True)
class _Task:
    path: str
    digest: str
    old: Document | None
    kind: str

    @property
    def name(self) -> str:
        """The document's name: the file's own."""
        return os.path.basename(self.path)
