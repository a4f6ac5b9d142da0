"""Code that does harm is refused or survived.

Each test runs on the best wall this machine grants and, where it can be had, on the plain limits too.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import textwrap
import threading
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from mistral_agents_server.tools.limited.job import DATA_LIBRARIES, LANDLOCK, NAMESPACES, Limits, Report
from mistral_agents_server.tools.limited.runner import CodeUnavailableError, LimitedRunner, _kinds, _readable

MEGABYTE = 1024**2
LIMITS = Limits(
    cpu_seconds=5,
    wall_seconds=15.0,
    memory_bytes=512 * MEGABYTE,
    processes=24,
    file_bytes=8 * MEGABYTE,
    disk_bytes=32 * MEGABYTE,
    inodes=600,
    output_bytes=20_000,
    files=5,
)


@cache
def available() -> list[str]:
    found = []
    for kind in _kinds():
        try:
            found.append(LimitedRunner(LIMITS, isolation=kind).isolation)
        except CodeUnavailableError:
            continue
    return found


@pytest.fixture(params=available())
def runner(request: pytest.FixtureRequest) -> LimitedRunner:
    return LimitedRunner(LIMITS, isolation=request.param)


@pytest.fixture
def walled() -> LimitedRunner:
    """The best this machine grants."""
    return LimitedRunner(LIMITS)


def run(runner: LimitedRunner, code: str) -> Report:
    report = runner.run(textwrap.dedent(code))
    assert report.broken == ""
    return report


def supervisors() -> set[str]:
    """The supervisors of this process, and those whose starter is gone; other workers of the tests have their own."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
            if parent in ("1", str(os.getpid())) and b"limited.supervisor" in (folder / "cmdline").read_bytes():
                found.add(folder.name)
        except OSError:
            continue
    return found


def test_something_is_available() -> None:
    assert available()


def test_start_line_says_what_there_is(runner: LimitedRunner) -> None:
    assert runner.description.startswith("limited")
    assert ("not isolated" in runner.description) == (runner.isolation != NAMESPACES)


def test_a_cell_shows_what_it_prints_and_its_last_value(runner: LimitedRunner) -> None:
    report = run(runner, "print('a')\nx = 21 * 2\nx")
    assert (report.output, report.failed, report.files) == ("a\n42\n", False, [])


def test_none_is_not_shown_and_long_lists_are_broken(runner: LimitedRunner) -> None:
    assert run(runner, "None").output == ""
    assert run(runner, "list(range(40))").output.splitlines()[:2] == ["[0,", " 1,"]


def test_statements_after_an_expression_hide_it(runner: LimitedRunner) -> None:
    assert run(runner, "1\ny = 2").output == ""


def test_an_error_shows_the_codes_own_lines_only(runner: LimitedRunner) -> None:
    report = run(runner, "def half(x):\n    return x / 0\n\nhalf(3)")
    assert report.failed
    assert "ZeroDivisionError" in report.output
    assert 'File "<cell>", line 2, in half' in report.output
    assert "return x / 0" in report.output
    assert "worker.py" not in report.output


def test_a_syntax_error_is_an_error_of_the_code(runner: LimitedRunner) -> None:
    report = run(runner, "def (")
    assert report.failed
    assert "SyntaxError" in report.output


def test_leaving_early(runner: LimitedRunner) -> None:
    assert not run(runner, "import sys; print('x'); sys.exit()").failed
    assert run(runner, "import sys; sys.exit('no')").failed
    assert run(runner, "import os; os._exit(3)").failed


def test_libraries_are_there_and_figures_become_files(runner: LimitedRunner) -> None:
    report = run(
        runner,
        """
        import matplotlib.pyplot as plt, numpy as np, pandas as pd
        frame = pd.DataFrame({"x": np.arange(3), "y": [2.0, 4.0, 8.0]})
        frame.to_csv("table.csv", index=False)
        plt.plot(frame.x, frame.y); plt.show()
        plt.figure(); plt.bar([1], [2]); plt.savefig("own.png")
        plt.figure(); plt.plot([1, 2])
        frame.y.mean()
        """,
    )
    assert not report.failed, report.output
    assert "4.666" in report.output
    made = dict(report.files)
    assert sorted(made) == ["own.png", "plot_0.png", "plot_1.png", "table.csv"]
    assert made["plot_0.png"].startswith(b"\x89PNG\r\n")
    assert made["table.csv"].decode().splitlines()[0] == "x,y"


@pytest.mark.parametrize("name", DATA_LIBRARIES)
def test_what_the_light_extra_leaves_out_is_named_with_what_to_install(runner: LimitedRunner, name: str) -> None:
    report = run(runner, f"import sys\nsys.modules['{name}'] = None\nimport {name}")
    assert report.failed
    assert report.output.strip().splitlines()[-1].startswith(f"{name} is not installed beside this stand-in")
    assert report.output.strip().endswith('pip install "mistral-agents[server]"')


def test_another_module_that_is_missing_is_an_ordinary_error(runner: LimitedRunner) -> None:
    report = run(runner, "import nowhere_to_be_found")
    assert report.output.strip().endswith("No module named 'nowhere_to_be_found'")


def test_runs_share_nothing(runner: LimitedRunner) -> None:
    assert not run(runner, "open('kept.txt', 'w').write('x'); import os; os.mkdir('d')").failed
    assert run(runner, "import os; os.listdir('.')").output == "[]\n"


# --- reading what is not its own


def test_server_data_and_home_can_not_be_read(walled: LimitedRunner, tmp_path: Path) -> None:
    if walled.isolation not in (NAMESPACES, LANDLOCK):
        assert "not isolated" in walled.description
        return
    secret = tmp_path / "server.sqlite3"
    secret.write_text("CANARY-DATA")
    for folder in (tmp_path, *tmp_path.parents):
        if folder != Path("/tmp") and folder.owner() == secret.owner() and str(folder).startswith("/tmp/"):
            folder.chmod(0o755)  # so that only the wall, not its mode, can hide it
    home = Path("~").expanduser()
    report = run(
        walled,
        f"""
        import os
        def attempt(what, path):
            try:
                print(what(path))
            except OSError as error:
                print("refused", type(error).__name__)
        attempt(lambda p: open(p).read(), {str(secret)!r})
        attempt(os.listdir, {str(tmp_path)!r})
        attempt(lambda p: [n for n in os.listdir(p) if n.startswith(".b") or n.startswith(".s")], {str(home)!r})
        """,
    )
    first, second, third = report.output.splitlines()
    assert first.startswith("refused")
    assert second.startswith("refused")
    assert third.startswith("refused") or third == "[]"
    assert "CANARY" not in report.output


def test_a_python_installed_into_home_does_not_show_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("prefix", "exec_prefix", "base_prefix", "base_exec_prefix"):
        monkeypatch.setattr(sys, name, str(tmp_path))
    assert str(tmp_path) not in _readable()
    assert not any(str(tmp_path).startswith(f"{path}/") for path in _readable())


def test_server_environment_can_not_be_read(walled: LimitedRunner) -> None:
    """The server is a process of its own here: only then is the value in its first environment block."""
    if walled.isolation not in (NAMESPACES, LANDLOCK):
        assert "not isolated" in walled.description
        return
    code = textwrap.dedent(
        """
        import os
        print(dict(os.environ))
        pids = []
        try:
            pids = [p for p in os.listdir("/proc") if p.isdigit()]
        except OSError:
            pass
        for pid in ["self", str(os.getppid()), *pids]:
            for name in ("environ", "cmdline", "maps"):
                try:
                    print(open(f"/proc/{pid}/{name}", "rb").read())
                except OSError:
                    pass
        """
    )
    server = (
        "import sys; from mistral_agents_server.tools.limited.runner import LimitedRunner; "
        "sys.stdout.write(LimitedRunner().run(sys.argv[1]).output)"
    )
    done = subprocess.run(
        [sys.executable, "-c", server, code],
        env={**os.environ, "MISTRAL_API_KEY": "CANARY-KEY"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "HOME" in done.stdout
    assert "CANARY-KEY" not in done.stdout


def test_code_is_never_root(runner: LimitedRunner) -> None:
    assert int(run(runner, "import os; os.getuid()").output) != 0


def test_no_privilege_is_left(runner: LimitedRunner) -> None:
    if not sys.platform.startswith("linux"):
        return
    report = run(
        runner,
        """
        import ctypes
        libc = ctypes.CDLL(None, use_errno=True)
        print([libc.unshare(0x10000000), libc.mount(b"a", b"/", b"tmpfs", 0, None), libc.ptrace(0, 0, 0, 0)])
        """,
    )
    assert report.output == "[-1, -1, -1]\n"


# --- reaching out


def test_sockets_are_refused(walled: LimitedRunner) -> None:
    if not sys.platform.startswith("linux"):
        return
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)
        port = server.getsockname()[1]
        report = run(
            walled,
            f"""
            import socket, urllib.request
            for attempt in (
                lambda: socket.create_connection(("127.0.0.1", {port}), 2),
                lambda: socket.socket(socket.AF_UNIX),
                lambda: urllib.request.urlopen("http://127.0.0.1:{port}", timeout=2),
            ):
                try:
                    attempt(); print("open")
                except OSError as error:
                    print("refused")
            """,
        )
        assert report.output == "refused\n" * 3
        with pytest.raises(TimeoutError):
            server.accept()


def test_other_processes_can_not_be_killed(walled: LimitedRunner) -> None:
    """Or the run is lost, never the server."""
    victim = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        if walled.isolation in (NAMESPACES, LANDLOCK):
            code = (
                f"import os\nfor pid in ({victim.pid}, os.getppid()):\n  try: os.kill(pid, 9)\n  except OSError: pass"
            )
            walled.run(code)
        assert victim.poll() is None
    finally:
        victim.communicate(b"\n")
    assert run(walled, "1 + 1").output == "2\n"


# --- using up


@pytest.mark.parametrize("body", ["os.fork()", "os.fork(); os.setsid()"])
def test_forking_for_ever_ends(runner: LimitedRunner, body: str) -> None:
    """Safe to run: the kernel's limit on processes holds, which the test above on privileges and root shows."""
    before = supervisors()
    report = runner.run(f"import os\nfor _ in range(5000):\n    {body}\n")
    assert report.failed
    assert supervisors() <= before


def test_what_outlives_the_code_is_killed(runner: LimitedRunner) -> None:
    before = supervisors()
    report = run(
        runner,
        """
        import os, time
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                time.sleep(600)
            os._exit(0)
        print("over")
        """,
    )
    assert report.output == "over\n"
    assert supervisors() <= before


def test_printing_a_hundred_megabytes_is_cut(runner: LimitedRunner) -> None:
    report = run(runner, "for _ in range(100): print('x' * 1_000_000)\nprint('end')")
    assert not report.failed
    assert len(report.output) < LIMITS.output_bytes + 100
    assert report.output.endswith("[output cut after 20000 bytes]\n")


@pytest.mark.parametrize(
    "body",
    [
        "open(str(i), 'wb').write(bytes(4_000_000))",
        "f = open('same', 'wb', 0); f.write(bytes(4_000_000)); os.unlink('same'); kept.append(f)",
        "open('big', 'ab').write(bytes(4_000_000))",
        "os.mkdir('d'); os.chdir('d')",
        "open(os.environ['TMPDIR'] + f'/{i}', 'wb').write(bytes(4_000_000))",
    ],
    ids=["many files", "files without a name", "one large file", "deep folders", "scratch folder"],
)
def test_filling_the_disk_is_stopped(runner: LimitedRunner, body: str) -> None:
    report = run(runner, f"import os, time\nkept = []\nfor i in range(700):\n    {body}\ntime.sleep(10)")
    assert report.failed
    assert report.files == []
    assert any(words in report.output + report.stopped for words in ("Errno 28", "Errno 27", "wrote more", "made more"))


def test_memory_is_limited(runner: LimitedRunner) -> None:
    assert "MemoryError" in run(runner, "x = bytearray(2 * 1024**3)").output


def test_memory_of_all_processes_is_limited(runner: LimitedRunner) -> None:
    if not os.path.isdir("/proc/self"):
        return
    report = run(
        runner,
        """
        import os, time
        for _ in range(5):
            if os.fork() == 0:
                held = b"1" * 200_000_000
                break
        time.sleep(60)
        """,
    )
    assert "bytes of memory" in report.stopped


def test_endless_work_is_stopped_by_processor_time() -> None:
    worker = LimitedRunner(replace(LIMITS, cpu_seconds=1, wall_seconds=100.0))
    assert "processor time" in run(worker, "while True: pass").stopped


def test_endless_waiting_is_stopped_by_the_clock() -> None:
    waiter = LimitedRunner(replace(LIMITS, wall_seconds=3.0))
    report = run(waiter, "import time\nprint('begun', flush=True)\ntime.sleep(600)")
    assert "longer than 3 s" in report.stopped
    assert run(waiter, "import time\nprint('begun')\ntime.sleep(600)").output == "begun\n"


# --- giving back what is not its own


def test_links_and_devices_are_not_given_back(runner: LimitedRunner) -> None:
    report = run(
        runner,
        """
        import os
        os.symlink("/etc/passwd", "passwd.txt")
        os.symlink("/proc/self/environ", "environ.txt")
        os.symlink("/usr", "folder")
        os.mkfifo("pipe")
        open("one", "w").write("1"); os.link("one", "two")
        os.mkdir("sub"); open("sub/kept.txt", "w").write("kept")
        """,
    )
    assert not report.failed, report.output
    assert report.files == [("sub/kept.txt", b"kept")]
    assert len(report.notes) == 6


def test_only_so_many_files_are_given_back(runner: LimitedRunner) -> None:
    report = run(runner, "for i in range(9): open(f'{i}.txt', 'w').write(str(i))")
    assert [name for name, _ in report.files] == ["0.txt", "1.txt", "2.txt", "3.txt", "4.txt"]
    assert "only 5 files" in report.notes[-1]


def test_nothing_is_left_on_the_machine(runner: LimitedRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    run(runner, "import os; os.makedirs('a/b'); open('a/b/c', 'w').write('x'); os.chmod('a/b', 0); os.chmod('a', 0)")
    assert list(tmp_path.iterdir()) == []


def test_runs_at_the_same_time_do_not_meet(runner: LimitedRunner) -> None:
    outputs: dict[int, str] = {}

    def one(number: int) -> None:
        outputs[number] = runner.run(f"open('n', 'w').write('{number}')\nprint(open('n').read())").output

    threads = [threading.Thread(target=one, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {n: text.split()[0] for n, text in outputs.items()} == {n: str(n) for n in range(8)}
