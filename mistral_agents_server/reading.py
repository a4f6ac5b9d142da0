"""Documents are read in processes of their own, with limits on time and memory.

A small file may unpack to a huge one, and parsers of foreign formats find ways to need for ever. In a process such a
document fails by itself: the server neither waits for it nor shares its memory or its interpreter lock with it. What
was given up on is told as unreadable, so it is never taken up again.
"""

from __future__ import annotations

import contextlib
import json
import os
import struct
import subprocess
import sys
import threading
from dataclasses import dataclass
from typing import IO, Any

from mistral_agents_server.parsing import UnreadableError, parse

_START = "import sys; sys.path[:] = {path!r}; from mistral_agents_server.reading import main; main()"
_KEPT_VARIABLES = ("SYSTEMROOT", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "TEMP", "TMP")
_SIZES = struct.Struct(">II")
_SIZE = struct.Struct(">I")


@dataclass(slots=True, frozen=True)
class ReadingLimits:
    """What reading one document may use.

    Attributes:
        seconds: time, for a document of any size.
        seconds_per_megabyte: time for each megabyte (10**6 bytes) more, so that honest large files are read.
        memory_bytes: address space, where the system can bound it.
        memory_per_byte: bytes of memory for each byte of the document more.
        characters: text that is kept of one document; what holds more is refused.
    """

    seconds: float = 30.0
    seconds_per_megabyte: float = 2.0
    memory_bytes: int = 1024**3
    memory_per_byte: int = 4
    characters: int = 32_000_000

    def seconds_for(self, size: int) -> float:
        """Time for a document of `size` bytes."""
        return self.seconds + self.seconds_per_megabyte * size / 10**6


class ReadingStoppedError(Exception):
    """The reader was closed while it read: the document is as unread as before."""


class DocumentReader:
    """Reads documents in processes that are kept for the next one, or replaced when one had to be stopped.

    Safe to use from several threads; as many processes are started as read at the same time.

    Args:
        limits: what one document may use.
    """

    def __init__(self, limits: ReadingLimits | None = None) -> None:
        self.limits = limits if limits is not None else ReadingLimits()
        self._lock = threading.Lock()
        self._idle: list[_Process] = []
        self._busy: set[_Process] = set()
        self._closed = False

    def read(self, name: str, data: bytes) -> list[str]:
        """The text of a file, by page, as :func:`~mistral_agents_server.parsing.parse` gives it.

        Raises:
            UnreadableError: it can't be read, holds no text, or needs more than the limits.
            ReadingStoppedError: the reader was closed meanwhile.
        """
        process = self._take()
        try:
            answer = process.ask(name, data, self.limits)
        except (OSError, EOFError) as error:
            process.end()
            if self._closed:
                raise ReadingStoppedError(name) from error
            raise UnreadableError(process.why(self.limits, len(data))) from error
        finally:
            self._give_back(process)
        if "unreadable" in answer:
            raise UnreadableError(answer["unreadable"])
        pages: list[str] = answer["pages"]
        return pages

    def _take(self) -> _Process:
        with self._lock:
            if self._closed:
                raise ReadingStoppedError("the reader is closed")
            ended = []
            while self._idle and not self._idle[-1].alive:
                ended.append(self._idle.pop())
            process = self._idle.pop() if self._idle else _Process()
            self._busy.add(process)
        for one in ended:
            one.end()
        return process

    def _give_back(self, process: _Process) -> None:
        with self._lock:
            self._busy.discard(process)
            if process.reusable and not self._closed:
                self._idle.append(process)
                return
        process.end()

    def close(self) -> None:
        """End all processes at once; what was being read stays unread."""
        with self._lock:
            self._closed = True
            idle, busy = self._idle, list(self._busy)
            self._idle = []
        for process in idle:
            process.end()
        for process in busy:
            process.kill()


class _Process:
    """One reading process, seen from the server."""

    def __init__(self) -> None:
        self._late = False
        self.reusable = True
        environment = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
        self._process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-I", "-c", _START.format(path=sys.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
        )

    @property
    def alive(self) -> bool:
        """Whether it runs; the system may have ended it, as it does when memory is short."""
        return self._process.poll() is None

    def ask(self, name: str, data: bytes, limits: ReadingLimits) -> dict[str, Any]:
        """Let it read one document.

        Raises:
            OSError, EOFError: it ended, or was stopped at the limit of time.
        """
        order = json.dumps({"name": name, "limits": _fields(limits)}).encode()
        watch = threading.Timer(limits.seconds_for(len(data)), self._stop_late)
        watch.daemon = True
        watch.start()
        try:
            self._write(_SIZES.pack(len(order), len(data)), order, data)
            assert self._process.stdout is not None
            answer: dict[str, Any] = json.loads(_exactly(self._process.stdout, *_SIZE.unpack(_head(self._process))))
        except BaseException:
            self.reusable = False
            raise
        finally:
            watch.cancel()
        self.reusable = not self._late and not answer.get("tired", False)
        return answer

    def _write(self, *parts: bytes) -> None:
        assert self._process.stdin is not None
        for part in parts:
            self._process.stdin.write(part)
        self._process.stdin.flush()

    def _stop_late(self) -> None:
        self._late = True
        self._process.kill()

    def why(self, limits: ReadingLimits, size: int) -> str:
        """Why it ended, in words."""
        if self._late:
            return f"reading it takes longer than {limits.seconds_for(size):.0f} s"
        return f"its reader ended with code {self._process.returncode}"

    def kill(self) -> None:
        """Stop it; whoever waits for it gets an error and cleans up."""
        self._process.kill()

    def end(self) -> None:
        """Stop it and give back what it holds. May be called again."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):  # what was not written yet can't be any more
                    stream.close()


def _fields(limits: ReadingLimits) -> dict[str, Any]:
    return {name: getattr(limits, name) for name in ReadingLimits.__slots__}


def _head(process: subprocess.Popen[bytes]) -> bytes:
    assert process.stdout is not None
    return _exactly(process.stdout, _SIZE.size)


def _exactly(stream: IO[bytes], size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise EOFError("the stream has ended")
    return data


# --- in the process ---


def main() -> None:
    """Read documents from standard input, one after the other, until it ends."""
    _die_with_parent()
    orders, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what a parser prints is no answer
    while head := orders.read(_SIZES.size):
        order_size, size = _SIZES.unpack(head)
        order = json.loads(_exactly(orders, order_size))
        answer = json.dumps(_answer(order["name"], _exactly(orders, size), ReadingLimits(**order["limits"]))).encode()
        answers.write(_SIZE.pack(len(answer)) + answer)
        answers.flush()


def _answer(name: str, data: bytes, limits: ReadingLimits) -> dict[str, Any]:
    _bound_memory(limits.memory_bytes + limits.memory_per_byte * len(data))
    try:
        pages = parse(name, data)
    except UnreadableError as error:
        return {"unreadable": str(error)}
    except MemoryError:
        return {"unreadable": f"reading it takes more than {limits.memory_bytes} bytes of memory", "tired": True}
    except Exception as error:  # noqa: BLE001 (a parser may fail in any way; the document says so)
        return {"unreadable": f"its reader failed: {type(error).__name__}: {error}", "tired": True}
    finally:
        _bound_memory(None)  # the answer itself must fit, whatever is still held
    if sum(map(len, pages)) > limits.characters:
        return {"unreadable": f"it holds more than {limits.characters} characters of text", "tired": True}
    return {"pages": pages}


def _bound_memory(size: int | None) -> None:
    if sys.platform == "win32":
        return
    import resource

    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    bound = hard if size is None else size if hard == resource.RLIM_INFINITY else min(size, hard)
    resource.setrlimit(resource.RLIMIT_AS, (bound, hard))


def _die_with_parent() -> None:
    if sys.platform != "linux":
        return
    import signal

    from mistral_agents_server.tools.limited import kernel

    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
