"""A root folder of the run's own, in user, mount, network, process and IPC namespaces.

What isn't named in `Job.readable` doesn't exist inside: no home folder, no data of the server. All that can be written
is one small file system in memory, so the disk can't be filled. There is no network device but a loopback that is down.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from mistral_agents_server.tools.limited import kernel
from mistral_agents_server.tools.limited.job import Job

INSIDE_ID = 1000
"""The user and group id that the code sees."""

WORK = "/cell"
SCRATCH = "/tmp"  # noqa: S108 (a folder inside the run's own root)
SHARED = "/dev/shm"  # noqa: S108 (likewise)

_NEW_ROOT = "/sys"
"""Where the new root folder is mounted: every Linux has it, any user reaches it, and nobody else sees the mount."""

_DEVICES = ("null", "zero", "full", "random", "urandom")
_UNSHARED = (
    kernel.CLONE_NEWUSER
    | kernel.CLONE_NEWNS
    | kernel.CLONE_NEWPID
    | kernel.CLONE_NEWNET
    | kernel.CLONE_NEWIPC
    | kernel.CLONE_NEWUTS
    | kernel.CLONE_NEWCGROUP
)


def become(user: int) -> None:
    """Become an ordinary user, as root."""
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
    kernel.prctl(kernel.PR_SET_DUMPABLE, 1)  # else /proc/self belongs to root, and the ids can't be mapped


def leave(job: Job) -> None:
    """Leave the server's namespaces. The next process forked is the first of the new process namespace.

    Root builds the new root folder first: an ordinary user may not reach a Python that lies in root's home.

    Raises:
        OSError: the machine doesn't grant it.
    """
    if job.user is not None:
        kernel.unshare(kernel.CLONE_NEWNS)
        _build(job, job.user)
        become(job.user)
    user, group = os.geteuid(), os.getegid()
    kernel.unshare(_UNSHARED)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{INSIDE_ID} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{INSIDE_ID} {group} 1")


def settle(job: Job) -> None:
    """Move into the new root folder: for the first process of the process namespace.

    Raises:
        OSError: the machine doesn't grant it.
    """
    if job.user is None:
        _build(job, INSIDE_ID)
    kernel.mount(_NEW_ROOT, _NEW_ROOT, "", kernel.MS_BIND | kernel.MS_REC)  # a copy that may be pivoted to
    flags = kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC
    kernel.mount("proc", f"{_NEW_ROOT}/proc", "proc", flags)
    Path(f"{_NEW_ROOT}/proc/sys/user/max_user_namespaces").write_text("0")
    kernel.pivot_into(_NEW_ROOT)


def _build(job: Job, owner: int) -> None:
    """Make the new root folder at `_NEW_ROOT`."""
    root = _NEW_ROOT
    kernel.mount("none", "/", "", kernel.MS_REC | kernel.MS_PRIVATE)
    options = f"mode=755,uid={owner},gid={owner},size={job.limits.disk_bytes},nr_inodes={job.limits.inodes}"
    kernel.mount("limited", root, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, options)
    for folder in ("/dev", "/etc", "/proc"):
        os.mkdir(root + folder)
    for folder in (WORK, SCRATCH, SHARED):
        os.mkdir(root + folder)
        os.chown(root + folder, owner, owner)
    Path(f"{root}/etc/passwd").write_text(f"code:x:{INSIDE_ID}:{INSIDE_ID}::{WORK}:/bin/false\n")
    Path(f"{root}/etc/group").write_text(f"code:x:{INSIDE_ID}:\n")
    for path in job.readable:
        _show(path, root)
    for device in _DEVICES:
        Path(f"{root}/dev/{device}").touch()
        kernel.mount(f"/dev/{device}", f"{root}/dev/{device}", "", kernel.MS_BIND)
    for name, target in (("fd", "/proc/self/fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")):
        os.symlink(target, f"{root}/dev/{name}")


def _show(path: str, root: str) -> None:
    """Show one folder or file of the machine at the same place below `root`; a link is copied as a link."""
    inside = Path(root + path)
    if os.path.lexists(inside):
        return
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    inside.parent.mkdir(parents=True, exist_ok=True)
    if stat.S_ISLNK(mode):
        inside.symlink_to(os.readlink(path))
        return
    if stat.S_ISDIR(mode):
        inside.mkdir()
    else:
        inside.touch()
    kernel.bind_read_only(path, str(inside))
