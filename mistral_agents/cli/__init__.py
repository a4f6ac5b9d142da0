"""The command `mistral-agents`; it needs the extra `cli`."""

from __future__ import annotations

import io
import sys

_LACKING = "mistral-agents: the command line needs {}, which is not installed: pip install 'mistral-agents[cli]'\n"


def main() -> int:
    """Run the command line; without its packages one sentence says what to install, and the exit code is 2."""
    try:
        import rich as rich
        import typer as typer
    except ModuleNotFoundError as error:
        sys.stderr.write(_LACKING.format(error.name))
        return 2
    from mistral_agents.cli.app import app

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # what its encoding lacks, as on Windows in a pipe, is spelt out
            stream.reconfigure(errors="backslashreplace")
    app(prog_name="mistral-agents")
    return 0
