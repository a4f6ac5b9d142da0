"""Landlock (Linux 5.13): an unprivileged process gives up all folders but those it names.

Used where namespaces aren't granted, as in many containers.
"""

from __future__ import annotations

import ctypes
import os
import stat
import struct
from collections.abc import Iterable

from mistral_agents_server.tools.limited import kernel

_CREATE, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION_FLAG = 1
_RULE_PATH_BENEATH = 1
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_ALL_FILE_RIGHTS_BY_VERSION = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1}
_NEWEST_FILE_RIGHTS = (1 << 16) - 1
_ON_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | (1 << 14)
_ALL_TCP_RIGHTS = 0b11
_ALL_SCOPES = 0b11


def version() -> int:
    """The version of Landlock the kernel speaks; 0 without it."""
    try:
        return kernel.syscall("landlock", _CREATE, None, ctypes.c_size_t(0), _VERSION_FLAG)
    except (OSError, AssertionError):
        return 0


def _rules(number: int) -> bytes:
    """What is taken away: every right on files; TCP from version 4, abstract sockets and signals from version 6."""
    files = _ALL_FILE_RIGHTS_BY_VERSION.get(number, _NEWEST_FILE_RIGHTS)
    if number >= 6:
        return struct.pack("QQQ", files, _ALL_TCP_RIGHTS, _ALL_SCOPES)
    return struct.pack("QQ", files, _ALL_TCP_RIGHTS) if number >= 4 else struct.pack("Q", files)


def confine(readable: Iterable[str], writable: Iterable[str]) -> None:
    """Leave this process, and all it starts, only these folders and files. Needs `no_new_privs`.

    Raises:
        OSError: the kernel has no Landlock.
    """
    rules = _rules(version())
    rights = struct.unpack("Q", rules[:8])[0]
    ruleset = kernel.syscall("landlock", _CREATE, ctypes.c_char_p(rules), ctypes.c_size_t(len(rules)), 0)
    try:
        for path in readable:
            _allow(ruleset, path, _EXECUTE | _READ_FILE | _READ_DIR)
        for path in writable:
            _allow(ruleset, path, rights & ~_EXECUTE)
        kernel.syscall("landlock", _RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        found = os.open(path, getattr(os, "O_PATH", 0) | os.O_CLOEXEC)
    except FileNotFoundError:
        return  # what isn't there needs no permission
    try:
        if not stat.S_ISDIR(os.fstat(found).st_mode):
            rights &= _ON_FILES
        rule = struct.pack("=Qi", rights, found)
        kernel.syscall("landlock", _ADD_RULE, ruleset, _RULE_PATH_BENEATH, ctypes.c_char_p(rule), 0)
    finally:
        os.close(found)
