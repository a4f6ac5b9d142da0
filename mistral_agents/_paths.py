"""Paths as users give them."""

from __future__ import annotations

import os
from pathlib import Path


def expand_home(path: str | os.PathLike[str]) -> Path:
    """A path whose `~` is the home folder; `~draft.txt` and `~nobody/x` are names like others, as in a shell."""
    return Path(os.path.expanduser(path))  # Path.expanduser raises where there is no such user
