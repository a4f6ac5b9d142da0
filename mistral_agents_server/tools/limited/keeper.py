"""Watches one worker: takes its output, stops it at a limit, kills all it started, collects the files it made."""

from __future__ import annotations

import os
import selectors
import signal
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from mistral_agents_server.tools.limited.job import Limits, Report

_POLL_SECONDS = 0.05
_KILL_SECONDS = 5.0
_MAX_DEPTH = 4
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


@dataclass(slots=True)
class Watch:
    """The limits of one run, and what is needed to measure it.

    Attributes:
        limits: what the run may use.
        work: the folder whose files are given back.
        measured: a folder whose size is bounded by watching; None where the kernel bounds it.
        alone: whether this process is the first of a process namespace, in which all others belong to the run.
    """

    limits: Limits
    work: str
    measured: str | None
    alone: bool
    _output: bytearray = field(default_factory=bytearray)
    _cut: bool = False

    def run(self, worker: Callable[[], None]) -> Report:
        """Fork, let the child call `worker` (which doesn't return), and see it through."""
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.dup2(writing, 1)
            os.dup2(writing, 2)
            try:
                worker()
            finally:
                os._exit(70)
        os.close(writing)
        stopped, status = self._see_through(child, reading)
        self._kill_all(child)
        if status is None:
            status = _exit_status(child)
        self._take(reading)
        os.close(reading)
        report = Report(output=self._text(), stopped=stopped or _signal_text(status))
        report.failed = bool(report.stopped) or status != 0
        if not report.failed:
            report.files, report.notes = collect(self.work, self.limits)
        return report

    def _see_through(self, child: int, reading: int) -> tuple[str, int | None]:
        """Wait for the worker's end or the first limit it passes."""
        deadline = time.monotonic() + self.limits.wall_seconds
        os.set_blocking(reading, False)
        with selectors.DefaultSelector() as selector:
            selector.register(reading, selectors.EVENT_READ)
            while True:
                selector.select(_POLL_SECONDS)
                if not self._take(reading) and selector.get_map():
                    selector.unregister(reading)
                done, status = os.waitpid(child, os.WNOHANG)
                if done:
                    return "", os.waitstatus_to_exitcode(status)
                passed = self._passed(child, deadline)
                if passed:
                    return passed, None

    def _take(self, reading: int) -> bool:
        """Take what has been printed; False at its end. What is over the limit is read and forgotten."""
        for _ in range(256):
            try:
                data = os.read(reading, 65536)
            except BlockingIOError:
                return True
            if not data:
                return False
            room = self.limits.output_bytes - len(self._output)
            self._output += data[: max(room, 0)]
            self._cut = self._cut or len(data) > room
        return True

    def _text(self) -> str:
        text = self._output.decode("utf-8", "replace")
        return f"{text}\n[output cut after {self.limits.output_bytes} bytes]\n" if self._cut else text

    def _passed(self, child: int, deadline: float) -> str:
        """The limit that has been passed, in words."""
        limits = self.limits
        if time.monotonic() > deadline:
            return f"it ran longer than {limits.wall_seconds:g} s"
        pids = list(_descendants(os.getpid()) if self.alone else [child, *_descendants(child)])
        if len(pids) > limits.processes:
            return f"it started more than {limits.processes} processes"
        if sum(map(_resident_bytes, pids)) > limits.memory_bytes:
            return f"it used more than {limits.memory_bytes} bytes of memory"
        if self.measured is not None:
            size, count = _written(self.measured)
            if size + sum(map(_unlinked_bytes, pids)) > limits.disk_bytes:
                return f"it wrote more than {limits.disk_bytes} bytes"
            if count > limits.inodes:
                return f"it made more than {limits.inodes} files"
        return ""

    def _kill_all(self, child: int) -> None:
        """Kill the worker and all it started, also what left its process group."""
        if self.alone:
            _signal(-1, signal.SIGKILL)
            return
        deadline = time.monotonic() + _KILL_SECONDS
        while time.monotonic() < deadline:
            _signal(-child, signal.SIGKILL)
            left = [pid for pid in _descendants(os.getpid()) if _state(pid) not in "ZX"]
            for pid in left:
                _signal(pid, signal.SIGKILL)
            if not left:
                return


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return  # it has ended already
    except PermissionError:
        return  # macOS says so of a group in which only the ended leader is left


def _exit_status(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _signal_text(status: int) -> str:
    if status >= 0:
        return ""
    if -status == signal.SIGXCPU:
        return "it used up its processor time"
    return f"it was ended by signal {-status} ({signal.Signals(-status).name})"


def _stat_fields(pid: int) -> list[str]:
    """State, parent and what follows, from `/proc/<pid>/stat`; the name before them may hold anything."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return []


def _state(pid: int) -> str:
    fields = _stat_fields(pid)
    return fields[0] if fields else "X"


def _descendants(root: int) -> Iterator[int]:
    """All processes below `root`; none where there is no /proc."""
    if not os.path.isdir("/proc/self"):
        return
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit() and len(fields := _stat_fields(int(name))) > 1:
            children.setdefault(int(fields[1]), []).append(int(name))
    waiting = [root]
    while waiting:
        found = children.get(waiting.pop(), [])
        yield from found
        waiting += found


def _resident_bytes(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_BYTES
    except (OSError, IndexError):
        return 0


def _unlinked_bytes(pid: int) -> int:
    """What a process still holds of files that have no name any more."""
    total = 0
    try:
        for name in os.listdir(f"/proc/{pid}/fd"):
            found = os.stat(f"/proc/{pid}/fd/{name}")
            if stat.S_ISREG(found.st_mode) and found.st_nlink == 0:
                total += found.st_blocks * 512
    except OSError:
        return total
    return total


def _written(folder: str) -> tuple[int, float]:
    """Bytes on the disk and number of names below a folder; endless names where it is too deep to look."""
    total, count = 0, 0
    waiting = [folder]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    count += 1
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    else:
                        total += entry.stat(follow_symlinks=False).st_blocks * 512
        except FileNotFoundError:
            continue  # removed in the meantime
        except OSError:
            return total, float("inf")
    return total, count


def collect(work: str, limits: Limits) -> tuple[list[tuple[str, bytes]], list[str]]:
    """The regular files of a folder, and a note on each that is not given back.

    A link is never followed: what it points to is not the run's own. A file with several names is left out too.
    """
    files: list[tuple[str, bytes]] = []
    notes: list[str] = []
    room = limits.disk_bytes
    for path in _names(work, 0):
        data, why = _read_own(path, room)
        name = os.path.relpath(path, work)
        if data is None:
            notes.append(f"{name!r} is not given back: {why}")
        elif len(files) == limits.files:
            notes.append(f"{name!r} is not given back: only {limits.files} files are")
            break
        else:
            room -= len(data)
            files.append((name, data))
    return files, notes


def _names(folder: str, depth: int) -> Iterator[str]:
    with os.scandir(folder) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        if entry.name.startswith(".") or entry.name == "__pycache__":
            continue
        if not entry.is_dir(follow_symlinks=False):
            yield entry.path
        elif depth < _MAX_DEPTH:
            yield from _names(entry.path, depth + 1)


def _read_own(path: str, room: int) -> tuple[bytes | None, str]:
    try:
        opened = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None, "it is a link or can't be read"
    with os.fdopen(opened, "rb") as file:
        found = os.fstat(opened)
        if not stat.S_ISREG(found.st_mode):
            return None, "it is no regular file"
        if found.st_nlink != 1:
            return None, "it has another name elsewhere"
        if found.st_size > room:
            return None, "the files are too large together"
        return file.read(), ""
