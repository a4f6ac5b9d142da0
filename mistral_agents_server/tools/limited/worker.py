"""The process that runs the code, after it has given up all it can."""

from __future__ import annotations

import ast
import linecache
import os
import pprint
import signal
import sys
import traceback
import types
from typing import Any

from mistral_agents_server.tools.limited import kernel, landlock, namespaces, seccomp
from mistral_agents_server.tools.limited.job import DATA_LIBRARIES, LANDLOCK, NAMESPACES, Job, Limits

FILE_NAME = "<cell>"
FIGURES = "mistral_agents_server.tools.limited.figures"
_DEVICES_READ = ("/dev/zero", "/dev/random", "/dev/urandom")


def run(job: Job, work: str, scratch: str) -> None:
    """Limit this process, run the job's code in it, and end it: 0 when the code ran through, 1 when it raised."""
    if sys.platform != "win32":
        _limit(job, work, scratch)
    os.environ.clear()
    os.environ.update(_environment(work, scratch))
    sys.path[:] = [work, *job.path]
    status = _cell(job.code)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(status)


def _environment(work: str, scratch: str) -> dict[str, str]:
    """A small environment of its own: nothing of the server's is in it."""
    return {
        "HOME": work,
        "TMPDIR": scratch,
        "PATH": "/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
        "MPLBACKEND": f"module://{FIGURES}",
        "MPLCONFIGDIR": scratch,
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
    }


def _limit(job: Job, work: str, scratch: str) -> None:
    os.setpgid(0, 0)
    nothing = os.open("/dev/null", os.O_RDONLY)
    os.dup2(nothing, 0)
    os.closerange(3, 65536)
    os.chdir(work)
    shared = sys.platform == "linux" and job.isolation != NAMESPACES and job.user is None
    _set_limits(job.limits, _tasks_of(os.geteuid()) if shared else 0)
    if sys.platform == "linux":
        if job.isolation != NAMESPACES and job.user is not None:
            namespaces.become(job.user)
        if os.geteuid() == 0:
            raise PermissionError("code is never run as root: root is under no limit of processes")
        kernel.drop_capabilities()
        kernel.prctl(kernel.PR_SET_DUMPABLE, 1)  # so that the keeper can see its open files
        kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
        if job.isolation == LANDLOCK:
            landlock.confine([*job.readable, *_DEVICES_READ], [work, scratch, "/dev/null"])
        if seccomp.supported():
            seccomp.install()
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    for name in ("stdout", "stderr"):
        number = 1 if name == "stdout" else 2
        setattr(sys, name, open(number, "w", 1, "utf-8", "backslashreplace", closefd=False))  # noqa: SIM115


def _tasks_of(user: int) -> int:
    """How many processes and threads a user has: the kernel's limit counts these too."""
    total = 0
    for name in os.listdir("/proc"):
        try:
            if name.isdigit() and os.stat(f"/proc/{name}").st_uid == user:
                total += len(os.listdir(f"/proc/{name}/task"))
        except OSError:
            continue  # it has just ended
    return total


def _set_limits(limits: Limits, already: int) -> None:
    import resource  # not on Windows

    wanted = {"CPU": limits.cpu_seconds + 1, "FSIZE": limits.file_bytes, "NOFILE": limits.open_files, "CORE": 0}
    if sys.platform == "linux":
        processes = limits.processes + already
        wanted |= {"AS": limits.memory_bytes, "NPROC": processes, "MEMLOCK": 0, "MSGQUEUE": 0}
    for name, value in wanted.items():
        kind = getattr(resource, f"RLIMIT_{name}")
        hard = resource.getrlimit(kind)[1]
        bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (max(bound - 1, 0) if name == "CPU" else bound, bound))  # first a signal, then the end


def _cell(code: str) -> int:
    """Run code as a notebook cell: what it prints, then the value of a last expression, then the figures."""
    module = types.ModuleType("__main__")
    sys.modules["__main__"] = module
    sys.argv = [FILE_NAME]
    lines = code.splitlines(keepends=True)
    linecache.cache[FILE_NAME] = (len(code), None, lines, FILE_NAME)
    try:
        _show(_evaluate(code, module.__dict__))
        figures = sys.modules.get(FIGURES)
        if figures is not None:
            figures.save_open()
    except SystemExit as error:
        if error.code in (None, 0):
            return 0
        print(f"SystemExit: {error.code}", file=sys.stderr)  # noqa: T201
        return 1
    except BaseException as error:  # noqa: BLE001
        _print_traceback(error)
        return 1
    return 0


def _evaluate(code: str, names: dict[str, Any]) -> Any:
    tree = ast.parse(code, FILE_NAME)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, FILE_NAME, "exec"), names)  # noqa: S102
    if not isinstance(last, ast.Expr):
        return None
    return eval(compile(ast.Expression(last.value), FILE_NAME, "eval"), names)  # noqa: S307


def _show(value: Any) -> None:
    if value is None:
        return
    text = pprint.pformat(value, sort_dicts=False) if isinstance(value, (list, tuple, dict, set)) else repr(value)
    print(text)  # noqa: T201


def _print_traceback(error: BaseException) -> None:
    """The traceback without the frames of this module."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    traceback.print_exception(type(error), error, trace)
    if isinstance(error, ModuleNotFoundError) and error.name in DATA_LIBRARIES:
        print(  # noqa: T201
            f"{error.name} is not installed beside this stand-in, which has only the extra [server-core]: "
            'pip install "mistral-agents[server]"',
            file=sys.stderr,
        )
