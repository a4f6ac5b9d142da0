"""What a limited run is asked for, and what it gives back."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

NAMESPACES = "namespaces"
LANDLOCK = "landlock"
NONE = "none"
DATA_LIBRARIES = ("pandas", "matplotlib")
"""What the extra `server` has for the code that is run, and `server-core` leaves out."""


@dataclass(slots=True, frozen=True)
class Limits:
    """What one run may use.

    Attributes:
        cpu_seconds: processor time of one process, seconds.
        wall_seconds: time from start to end, seconds.
        memory_bytes: address space of one process, and resident memory of all of them together.
        processes: processes and threads at once.
        file_bytes: size of one file.
        disk_bytes: size of everything the run writes.
        inodes: files and folders the run may make.
        open_files: open files of one process.
        output_bytes: how much of the output is kept.
        files: how many files are given back.
    """

    cpu_seconds: int = 20
    wall_seconds: float = 30.0
    memory_bytes: int = 1024**3
    processes: int = 48
    file_bytes: int = 64 * 1024**2
    disk_bytes: int = 128 * 1024**2
    inodes: int = 4096
    open_files: int = 128
    output_bytes: int = 64 * 1024
    files: int = 32


@dataclass(slots=True, frozen=True)
class Job:
    """One run.

    Attributes:
        code: Python source.
        folder: a folder of this run alone; the server makes and removes it.
        readable: folders and files that the code may read: the system's libraries and this Python.
        path: the import path.
        isolation: `namespaces`, `landlock` or `none`.
        user: the user id the run drops to when it is started by root; None otherwise.
        limits: what it may use.
    """

    code: str
    folder: str
    readable: list[str]
    path: list[str]
    isolation: str
    user: int | None = None
    limits: Limits = field(default_factory=Limits)

    def to_json(self) -> bytes:
        """As the supervisor reads it."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_json(cls, data: bytes) -> Job:
        """The inverse of :meth:`to_json`."""
        fields: dict[str, Any] = json.loads(data)
        fields["limits"] = Limits(**fields["limits"])
        return cls(**fields)


@dataclass(slots=True)
class Report:
    """How a run ended.

    Attributes:
        output: what the code printed, and the value of a last expression; cut at `Limits.output_bytes`.
        stopped: why it was stopped before its end, in words; empty when it wasn't.
        failed: whether it was stopped or ended with an error.
        files: the files made: name and bytes.
        notes: what was left out, in words.
        broken: why the walls could not be built; the code was not run then.
    """

    output: str = ""
    stopped: str = ""
    failed: bool = False
    files: list[tuple[str, bytes]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    broken: str = ""

    def to_bytes(self) -> bytes:
        """A line of JSON, then the files' bytes one after the other."""
        head = {
            "output": self.output,
            "stopped": self.stopped,
            "failed": self.failed,
            "notes": self.notes,
            "broken": self.broken,
            "files": [[name, len(data)] for name, data in self.files],
        }
        return b"".join([json.dumps(head).encode(), b"\n", *(data for _, data in self.files)])

    @classmethod
    def from_bytes(cls, raw: bytes) -> Report:
        """The inverse of :meth:`to_bytes`.

        Raises:
            ValueError: the bytes are no report.
        """
        line, _, rest = raw.partition(b"\n")
        head: dict[str, Any] = json.loads(line)
        files, start = [], 0
        for name, size in head.pop("files"):
            files.append((name, rest[start : start + size]))
            start += size
        return cls(files=files, **head)
