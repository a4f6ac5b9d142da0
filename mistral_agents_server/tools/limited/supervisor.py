"""The process between the server and the code: builds the walls, runs the worker, and reports.

Started by `runner` as a fresh interpreter with an empty environment: reads a job from standard input, writes a report
to standard output.
"""

from __future__ import annotations

import os
import signal
import sys

from mistral_agents_server.tools.limited import kernel, namespaces, worker
from mistral_agents_server.tools.limited.job import NAMESPACES, Job, Report
from mistral_agents_server.tools.limited.keeper import Watch


def main() -> None:
    """Run the job on standard input."""
    job = Job.from_json(sys.stdin.buffer.read())
    if sys.platform == "linux":
        kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    if job.isolation == NAMESPACES:
        _isolated(job)
    else:
        _send(_plain(job))


def _send(report: Report) -> None:
    sys.stdout.buffer.write(report.to_bytes())
    sys.stdout.buffer.flush()


def _isolated(job: Job) -> None:
    try:
        namespaces.leave(job)
    except OSError as error:
        _send(Report(broken=str(error), failed=True))
        return
    parent = os.getpid()
    first = os.fork()
    if first == 0:
        try:
            _send(_first(job, parent))
        finally:
            os._exit(0)
    os.waitpid(first, 0)


def _first(job: Job, parent: int) -> Report:
    """The first process of the process namespace: with its end all others end."""
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() not in (0, parent):
        os._exit(0)  # the supervisor ended before this line
    try:
        namespaces.settle(job)
    except OSError as error:
        return Report(broken=str(error), failed=True)
    kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
    watch = Watch(job.limits, namespaces.WORK, measured=None, alone=True)
    return watch.run(lambda: worker.run(job, namespaces.WORK, namespaces.SCRATCH))


def _plain(job: Job) -> Report:
    """Without namespaces: limits, and whatever walls the kernel grants an ordinary process."""
    work, scratch = f"{job.folder}/work", f"{job.folder}/scratch"
    for folder in (work, scratch):
        os.mkdir(folder, 0o700)
        if job.user is not None:
            os.chown(folder, job.user, job.user)
    if job.user is not None:
        os.chmod(job.folder, 0o711)  # noqa: S103 (the run's user must pass through)
    if sys.platform == "linux":
        kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)
        kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
    watch = Watch(job.limits, work, measured=job.folder, alone=False)
    return watch.run(lambda: worker.run(job, work, scratch))
