"""Runs Python code in a limited process, from the server's side."""

from __future__ import annotations

import os
import secrets
import shutil
import site
import subprocess
import sys
import sysconfig
import tempfile
import threading
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from mistral_agents_server.tools.limited import landlock, seccomp
from mistral_agents_server.tools.limited.job import LANDLOCK, NAMESPACES, NONE, Job, Limits, Report

_PACKAGE = Path(__file__).resolve().parents[2]
_START = (
    "import sys; sys.path.insert(0, {root!r}); from mistral_agents_server.tools.limited.supervisor import main; main()"
)
_SYSTEM = (
    *("/usr", "/bin", "/sbin", "/lib", "/lib64", "/lib32"),
    *("/etc/ld.so.cache", "/etc/localtime", "/etc/alternatives", "/etc/fonts", "/etc/mime.types", "/etc/ssl/certs"),
)
_GRACE_SECONDS = 15.0
_FIRST_RUN_USER = 1_500_000_000
_RUN_USERS = 100_000_000


class CodeUnavailableError(Exception):
    """This machine can't run code within limits; the text says why."""


class LimitedRunner:
    """Runs code in limited processes; at most `parallel` at once, the others wait.

    How well a run is walled off depends on the machine: see :attr:`isolation` and :attr:`description`.

    Args:
        limits: what one run may use.
        parallel: runs at the same time.
        isolation: force one kind of wall; None takes the best the machine grants.
    """

    def __init__(self, limits: Limits | None = None, *, parallel: int = 4, isolation: str | None = None) -> None:
        self.limits = limits if limits is not None else Limits()
        self._turns = threading.BoundedSemaphore(parallel)
        self._forced = isolation
        self._lock = threading.Lock()

    @cached_property
    def _probed(self) -> tuple[str, str]:
        """The kind of wall and why a better one isn't there, found out once by running a line of code."""
        if sys.platform == "win32":
            raise CodeUnavailableError("code can't be limited on Windows")
        reasons: list[str] = []
        for kind in [self._forced] if self._forced is not None else _kinds():
            try:
                report = self._run("print('ready')", kind, replace(self.limits, wall_seconds=20.0))
            except CodeUnavailableError as error:
                report = Report(broken=str(error))
            if report.output == "ready\n":
                return kind, "; ".join(reasons)
            reasons.append(f"{kind}: {report.broken or report.stopped or report.output.strip()}")
        raise CodeUnavailableError("; ".join(reasons))

    @property
    def isolation(self) -> str:
        """`namespaces`, `landlock` or `none`.

        Raises:
            CodeUnavailableError: not even limits can be had.
        """
        with self._lock:
            return self._probed[0]

    @property
    def description(self) -> str:
        """One phrase for the start line.

        Raises:
            CodeUnavailableError: not even limits can be had.
        """
        kind = self.isolation
        calls = ", filtered system calls" if sys.platform == "linux" and seccomp.supported() else ""
        if kind == NAMESPACES:
            return f"limited (own user, mount, network and process namespaces{calls})"
        files = ", files by Landlock" if kind == LANDLOCK else ""
        return f"limited, not isolated (no namespaces here{files}{calls})"

    def run(self, code: str) -> Report:
        """Run code and wait for its end.

        Raises:
            CodeUnavailableError: not even limits can be had.
        """
        with self._turns:
            return self._run(code, self.isolation, self.limits)

    def _run(self, code: str, kind: str, limits: Limits) -> Report:
        folder = tempfile.mkdtemp(prefix="code-")
        try:
            job = Job(code, folder, _readable(), _import_path(), kind, _run_user(kind), limits)
            return _supervise(job)
        finally:
            _remove(folder)


def _kinds() -> list[str]:
    if sys.platform != "linux":
        return [NONE]
    landlocked = [LANDLOCK] if landlock.version() and seccomp.supported() else []
    return [NAMESPACES, *landlocked, NONE]


def _run_user(kind: str) -> int | None:
    """A user id of this run's own when the server is root: root is under no limit of processes.

    Raises:
        CodeUnavailableError: another user can't read this Python, and there are no namespaces to show it in.
    """
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return None
    user = _FIRST_RUN_USER + secrets.randbelow(_RUN_USERS)
    if kind == NAMESPACES or all(_reachable(path) for path in [*_import_path(), sys.executable]):
        return user
    raise CodeUnavailableError("this Python can only be read by root; start the server as an ordinary user")


def _reachable(path: str) -> bool:
    """Whether any user may pass through all folders above a path."""
    return all(parent.stat().st_mode & 0o001 for parent in Path(path).parents if parent.exists())


def _import_path() -> list[str]:
    """This Python's own library folders, and the folder that holds this package."""
    own = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    own += [path for path in sys.path if path.endswith((".zip", "lib-dynload", "site-packages", "dist-packages"))]
    found = [path for path in dict.fromkeys([*own, *site.getsitepackages()]) if path and os.path.exists(path)]
    return [*found, str(_PACKAGE.parent)]


def _readable() -> list[str]:
    """What the code may read: the system's libraries, this Python and this package; never the whole home folder."""
    home = os.path.realpath(os.path.expanduser("~"))
    prefixes = [sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix]
    prefixes = [path for path in prefixes if not _within(home, os.path.realpath(path))]  # a Python installed into home
    libraries = [path for path in _import_path() if path != str(_PACKAGE.parent)]
    everything = [*_SYSTEM, *prefixes, *libraries, str(_PACKAGE)]
    kept: list[str] = []
    for path in dict.fromkeys(everything):
        if not any(_within(path, shown) for shown in kept if not os.path.islink(shown)):
            kept.append(path)
    return kept


def _within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _supervise(job: Job) -> Report:
    command = [sys.executable, "-I", "-S", "-c", _START.format(root=str(_PACKAGE.parent))]
    limit = job.limits.wall_seconds + _GRACE_SECONDS
    with subprocess.Popen(  # noqa: S603
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={},
        cwd="/",
        start_new_session=True,
    ) as process:
        try:
            output, errors = process.communicate(job.to_json(), limit)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            return Report(stopped="its supervisor did not answer", failed=True)
    if not output:
        return Report(broken=errors.decode(errors="replace").strip() or "the supervisor ended", failed=True)
    return Report.from_bytes(output)


def _remove(folder: str) -> None:
    """Remove a run's folder, also when the code made it deep or unreadable."""
    if os.path.isdir(f"{folder}/work"):
        for command in (["chmod", "-R", "u+rwX", folder], ["rm", "-rf", folder]):
            subprocess.run(command, check=False, capture_output=True)  # noqa: S603
    shutil.rmtree(folder, ignore_errors=True)
