"""The command and the options that all its commands take."""

from __future__ import annotations

import importlib
import importlib.util
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from mistral_agents._version import __version__
from mistral_agents.cli import agents, batch, conversations, libraries
from mistral_agents.cli.chat import chat
from mistral_agents.cli.doctor import examine, report_findings
from mistral_agents.cli.exits import ERROR, INTERRUPTED, OK, exit_code
from mistral_agents.cli.session import CommandSession, find_session, set_logging
from mistral_agents.errors import ConfigurationError, MistralAgentsError

_FLAGS = frozenset({"--json", "-q", "--quiet", "-v", "-vv", "--verbose"})
_KILLED = 128  # and the number of the signal, as shells tell it
_VALUED = frozenset({"--api-key-file", "--base-url", "--prices"})
_OWN_OPTIONS = frozenset({"serve", "verify"})
"""Commands that hand their arguments on as they are."""
_EPILOG = (
    "Exit codes: 0 ok, 1 error, 2 usage, 3 authentication, 4 not found, 5 partly failed, 6 outcome unknown, 7 budget, "
    "130 interrupted. The options above may stand after the command, too."
)


def hoist_options(arguments: list[str]) -> list[str]:
    """The arguments with the options of all commands in front, wherever they stood; after `--` nothing is moved."""
    front: list[str] = []
    rest: list[str] = []
    left = list(arguments)
    while left:
        word = left.pop(0)
        if word in _FLAGS or (word.partition("=")[0] in _VALUED and "=" in word):
            front.append(word)
        elif word in _VALUED and left:
            front += [word, left.pop(0)]
        else:
            rest.append(word)
            if word == "--" or (word in _OWN_OPTIONS and len(rest) == 1):
                break
    return [*front, *rest, *left]


class _Commands(TyperGroup):
    """The root: takes its options anywhere, and ends with the code that fits what happened."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, hoist_options(args))

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except (MistralAgentsError, OSError) as error:
            find_session(ctx).report(str(error))
            ctx.exit(exit_code(error))
        except (KeyboardInterrupt, typer.Abort):
            find_session(ctx).report("interrupted")
            ctx.exit(INTERRUPTED)
        finally:
            find_session(ctx).close()


app = typer.Typer(
    cls=_Commands,
    help="Mistral's agents, conversations and document libraries.",
    epilog=_EPILOG,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(agents.app, name="agents", help="Agents: as code, versions, aliases.")
app.add_typer(conversations.app, name="conversations", help="Stored conversations.")
app.add_typer(libraries.app, name="libraries", help="Document libraries.")
app.add_typer(batch.app, name="batch", help="Batch jobs: many requests at another price.")
app.command()(chat)


def _show_version(context: typer.Context, wanted: bool) -> None:
    if wanted:
        as_json = bool(context.params.get("as_json"))
        CommandSession(as_json).emit({"version": __version__}, f"mistral-agents {__version__}")
        raise typer.Exit


@app.callback()
def start(
    context: typer.Context,
    as_json: Annotated[
        bool, typer.Option("--json", is_eager=True, help="Data as JSON on stdout; all else goes to stderr.")
    ] = False,
    key_file: Annotated[Path | None, typer.Option("--api-key-file", help="A file with the key.")] = None,
    base_url: Annotated[str | None, typer.Option(help="The service's address, without /v1.")] = None,
    prices: Annotated[
        Path | None,
        typer.Option(envvar="MISTRAL_AGENTS_PRICES", help="Your price table (JSON); turns tell a cost."),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only data and errors.")] = False,
    verbose: Annotated[int, typer.Option("--verbose", "-v", count=True, help="Tell what is sent; -vv more.")] = 0,
    _version: Annotated[bool, typer.Option("--version", callback=_show_version, is_eager=True)] = False,
) -> None:
    """Keep what all commands need."""
    set_logging(verbose)
    context.obj = CommandSession(as_json, key_file, base_url, quiet, prices)


_SENDS_NOTHING = frozenset({"--list", "--help", "-h"})
_AS_THEY_ARE = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}


@app.command(context_settings=_AS_THEY_ARE, add_help_option=False)
def serve(context: typer.Context) -> None:
    """Serve the local stand-in; options as of `python -m mistral_agents_server`."""
    command = [sys.executable, "-m", "mistral_agents_server", *_hand_on(context)]
    process = subprocess.Popen(command)  # noqa: S603 our own
    signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    try:
        code = process.wait()
    except KeyboardInterrupt:
        process.terminate()
        process.wait()
        raise
    raise typer.Exit(code if code >= 0 else _KILLED - code)


@app.command()
def doctor(
    context: typer.Context,
    offline: Annotated[bool, typer.Option(help="Send nothing.")] = False,
) -> None:
    """Look at the set-up and say what is broken and what to do."""
    session = find_session(context)
    found = examine(os.environ, session.key_file, session.base_url, offline=offline)
    session.emit([row.to_dict() for row in found], report_findings(found))
    raise typer.Exit(ERROR if any(row.state == "broken" for row in found) else OK)


@app.command(name="verify", context_settings=_AS_THEY_ARE, add_help_option=False)
def run_verify(context: typer.Context) -> None:
    """Settle what is unverified about the service; options as of `python -m mistral_agents.verify`."""
    session = find_session(context)
    if importlib.util.find_spec("mistral_agents.verify") is None:
        raise ConfigurationError("This version has no verification: install one that has `mistral_agents.verify`.")
    if session.base_url is not None:
        os.environ["MISTRAL_BASE_URL"] = session.base_url
    key = session.find_key() if not _SENDS_NOTHING & set(context.args) else None
    if key is not None:
        os.environ["MISTRAL_API_KEY"] = key
    raise typer.Exit(int(importlib.import_module("mistral_agents.verify.__main__").main(_hand_on(context))))


def _hand_on(context: typer.Context) -> list[str]:
    """The arguments for another program, with `--json` where it stood before the command."""
    return [*context.args, *(["--json"] if find_session(context).as_json else [])]
