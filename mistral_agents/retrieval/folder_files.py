"""The files of a folder that is kept in a library: which count, and what is in them."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path, PurePath

from mistral_agents._paths import expand_home
from mistral_agents.errors import ConfigurationError

_BLOCK = 1 << 20  # bytes read at once
_OUTSIDE = "a link that leads out of the folder"
_LOCK = "a lock file of an office program"
_EMPTY = "it is empty"
_NOTHING_THERE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})

_UNWRITABLE = "its name holds bytes that are no text (UTF-8), so no document can bear it; rename the file"


@dataclass(slots=True)
class FolderContents:
    """What a folder holds. Paths are relative to it, with `/`.

    Attributes:
        files: Files and the SHA-256 of what is in them.
        skipped: What is left out, and why.
        unreadable: Files and folders (these end with `/`) that could not be read, and why.
    """

    files: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)

    def may_hold(self, name: str) -> bool:
        """Whether a file may be there that could not be read, so that nobody can say what became of it."""
        return name in self.unreadable or any(part.endswith("/") and name.startswith(part) for part in self.unreadable)


class FolderFiles:
    """Looks into a folder, several times if need be; unchanged files are read once.

    Args:
        folder: The folder; `~` is the home folder.
        pattern: Which files, as in `Path.rglob`.

    Raises:
        ConfigurationError: The pattern is none.
    """

    def __init__(self, folder: Path, pattern: str) -> None:
        given: object = pattern
        if not isinstance(given, str) or not given.strip() or PurePath(given).is_absolute():
            raise ConfigurationError(f'pattern must be one as of Path.rglob, such as "*.md", not {pattern!r}.')
        self.folder = expand_home(folder).resolve()
        self.pattern = pattern
        self._digests: dict[tuple[str, int, int], str] = {}

    @property
    def source(self) -> str:
        """Names the folder without telling its path."""
        return sha256(str(self.folder).encode("utf-8", "surrogateescape")).hexdigest()[:16]

    def contents(self) -> FolderContents:
        """Look into the folder.

        Raises:
            ConfigurationError: There is no such folder, or the pattern is none.
        """
        if not os.path.isdir(self.folder):  # of a name that is too long, too
            raise ConfigurationError(f"{self.folder} is no folder.")
        found = FolderContents(unreadable=self._unreadable_folders())
        for path in self._matches():
            name = path.relative_to(self.folder).as_posix()
            try:
                self._look_at(path, name, found)
            except FileNotFoundError:  # it went meanwhile
                continue
            except OSError as error:
                found.unreadable[name] = f"can't be read: {error.strerror}"
        return found

    def _look_at(self, path: Path, name: str, found: FolderContents) -> None:
        reason = self.reason(name)
        if reason is not None:
            found.skipped[name] = reason
        elif not _is_text_file(name):
            found.unreadable[os.fsencode(name).decode("utf-8", "backslashreplace")] = _UNWRITABLE
        elif _is_file(path):
            found.files[name] = self._digest(path)

    def _unreadable_folders(self) -> dict[str, str]:
        """Folders that can't be listed, which a search by pattern passes over without a word.

        Raises:
            ConfigurationError: The whole folder can't be.
        """
        failures: list[OSError] = []
        for _, folders, _ in os.walk(self.folder, onerror=failures.append):
            folders[:] = [name for name in folders if not name.startswith(".")]
        found = {
            Path(error.filename).relative_to(self.folder): f"can't be read: {error.strerror}" for error in failures
        }
        if (reason := found.get(Path())) is not None:
            raise ConfigurationError(f"{self.folder} {reason}.")
        return {f"{path.as_posix()}/": reason for path, reason in found.items()}

    def _matches(self) -> Iterator[Path]:
        try:
            matches = sorted(self.folder.rglob(self.pattern))
        except (ValueError, NotImplementedError) as error:
            raise ConfigurationError(f"pattern {self.pattern!r} can't be used: {error}.") from error
        return (path for path in matches if not _is_hidden(path.relative_to(self.folder)))

    def reason(self, name: str) -> str | None:
        """Why a path is left out; None where it counts.

        Raises:
            OSError: Nobody can say what is there.
        """
        path = self.folder / name
        if path.name.startswith("~$"):
            return _LOCK
        try:
            inside = path.resolve().is_relative_to(self.folder)
        except (OSError, RuntimeError):  # a link to itself
            inside = False
        if not inside:
            return _OUTSIDE
        return _EMPTY if _is_file(path) and not path.stat().st_size else None

    def holds(self, name: str) -> bool:
        """Whether a file is there now that counts, or may be; asked before its document is deleted."""
        try:
            return self.reason(name) is None and _is_file(self.folder / name)
        except OSError:
            return True

    def read(self, name: str) -> bytes:
        """A file's bytes as they are now.

        Raises:
            OSError: It can't be read.
        """
        return (self.folder / name).read_bytes()

    def _digest(self, path: Path) -> str:
        facts = path.stat()
        key = (str(path), facts.st_mtime_ns, facts.st_size)
        if key not in self._digests:
            digest = sha256()
            with path.open("rb") as file:
                while block := file.read(_BLOCK):
                    digest.update(block)
            self._digests[key] = digest.hexdigest()
        return self._digests[key]


def _is_file(path: Path) -> bool:
    """As `Path.is_file`, which from Python 3.14 on calls a file that may not be looked at none.

    Raises:
        OSError: Nobody can say what is there.
    """
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError as error:
        if error.errno in _NOTHING_THERE:
            return False
        raise


def _is_text_file(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_hidden(path: PurePath) -> bool:
    return any(part.startswith(".") for part in path.parts)
