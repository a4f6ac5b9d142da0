"""The few Linux calls that Python 3.10 has no name for."""

from __future__ import annotations

import ctypes
import os
import platform
import sys

CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_NOEXEC = 0x8
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 0x40000
MNT_DETACH = 2

_MOUNT_ATTR_RDONLY = 0x1
_MOUNT_ATTR_NOSUID = 0x2
_MOUNT_ATTR_NODEV = 0x4
_AT_FDCWD = -100
_AT_RECURSIVE = 0x8000

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_CAPBSET_DROP = 24
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38
PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_CLEAR_ALL = 4
_CAPABILITY_VERSION_3 = 0x20080522

MACHINE = {"AMD64": "x86_64", "arm64": "aarch64"}.get(platform.machine(), platform.machine())
SYS_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}.get(MACHINE)
SYS_MOUNT_SETATTR = 442

_libc = ctypes.CDLL(None, use_errno=True) if sys.platform != "win32" else None


def _checked(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def syscall(what: str, number: int, *args: object) -> int:
    """Make a system call by number.

    Raises:
        OSError: it failed.
    """
    assert _libc is not None
    return _checked(_libc.syscall(ctypes.c_long(number), *args), what)


def prctl(option: int, *args: int) -> None:
    """Call `prctl`, with missing arguments zero."""
    assert _libc is not None
    padded = [ctypes.c_ulong(value) for value in (*args, 0, 0, 0, 0)[:4]]
    _checked(_libc.prctl(option, *padded), f"prctl {option}")


def unshare(flags: int) -> None:
    """Leave the namespaces that `flags` name."""
    assert _libc is not None
    _checked(_libc.unshare(flags), "unshare")


def mount(source: str, target: str, kind: str, flags: int, data: str = "") -> None:
    """Mount `source` on `target`."""
    assert _libc is not None
    parts = [text.encode() for text in (source, target, kind)]
    _checked(_libc.mount(*parts, ctypes.c_ulong(flags), data.encode()), f"mount {target}")


def bind_read_only(source: str, target: str) -> None:
    """Show `source` at `target` too, with all that is mounted below it, read-only (Linux 5.12)."""
    mount(source, target, "", MS_BIND | MS_REC)
    attributes = (ctypes.c_uint64 * 4)(_MOUNT_ATTR_RDONLY | _MOUNT_ATTR_NOSUID | _MOUNT_ATTR_NODEV, 0, 0, 0)
    size = ctypes.c_size_t(ctypes.sizeof(attributes))
    path = ctypes.c_char_p(target.encode())
    syscall("mount_setattr", SYS_MOUNT_SETATTR, _AT_FDCWD, path, _AT_RECURSIVE, ctypes.byref(attributes), size)


def pivot_into(new_root: str) -> None:
    """Make `new_root` the root folder and let go of the old one.

    Raises:
        OSError: it failed, or the number of the call isn't known for this machine.
    """
    assert _libc is not None
    if SYS_PIVOT_ROOT is None:
        raise OSError(f"pivot_root is not known for {MACHINE}")
    os.chdir(new_root)
    here = ctypes.c_char_p(b".")
    syscall("pivot_root", SYS_PIVOT_ROOT, here, here)
    _checked(_libc.umount2(b".", MNT_DETACH), "umount of the old root")
    os.chdir("/")


def drop_capabilities() -> None:
    """Give up every privilege, for this process and all it starts."""
    assert _libc is not None
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    prctl(PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
    last = int(_read("/proc/sys/kernel/cap_last_cap", "40"))
    if os.geteuid() == 0 or _effective_capabilities():
        for capability in range(last + 1):
            prctl(PR_CAPBSET_DROP, capability)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    nothing = (ctypes.c_uint32 * 6)()
    _checked(_libc.capset(ctypes.byref(header), ctypes.byref(nothing)), "capset")


def _effective_capabilities() -> int:
    for line in _read("/proc/self/status", "").splitlines():
        if line.startswith("CapEff:"):
            return int(line.split()[1], 16)
    return 0


def _read(path: str, missing: str) -> str:
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return missing
