"""Paths as users give them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mistral_agents.errors import ConfigurationError


def expand_home(path: str | os.PathLike[str]) -> Path:
    """A path whose `~` is the home folder; `~draft.txt` and `~nobody/x` are names like others, as in a shell.

    Raises:
        ConfigurationError: It is no path, or one that no system has.
    """
    given: object = path
    named = os.fspath(given) if isinstance(given, os.PathLike) else given
    if not isinstance(named, str):
        raise ConfigurationError(f"A path must be a text or a Path, not {given!r}.")
    try:
        usable = b"\0" not in os.fsencode(named)
    except UnicodeEncodeError:  # half a character
        usable = False
    if not usable:
        raise ConfigurationError(f"{named!r} is no path: it holds a character that no file's name can have.")
    return Path(os.path.expanduser(named))  # Path.expanduser raises where there is no such user


def as_folder(folder: object, name: str) -> Path:
    """As `expand_home`, of the folder that an option names.

    Raises:
        ConfigurationError: It is no path, or empty, which would be the folder of the process.
    """
    if isinstance(folder, (str, os.PathLike)) and str(folder).strip():
        with suppress(ConfigurationError):
            return expand_home(folder)
    raise ConfigurationError(f"{name} must be the path of a folder, not {folder!r}.")


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Tell by name that something can't be written.

    Raises:
        ConfigurationError: The system said so; the error says why.
    """
    try:
        yield
    except FileExistsError as error:
        raise ConfigurationError(f"{str(path)!r} is a file; a folder is wanted.", hint="Name another place.") from error
    except OSError as error:
        why = error.strerror if error.strerror is not None else str(error)
        raise ConfigurationError(f"{str(path)!r} can't be written: {why}.", hint="Name another place.") from error
