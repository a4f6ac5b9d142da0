"""What all commands share: the client, and where words and data go (data to stdout, all else to stderr)."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import typer
from rich.console import Console
from rich.text import Text

from mistral_agents._http.concealed import masked
from mistral_agents._paths import expand_home
from mistral_agents._printable import show_text
from mistral_agents.cli.exits import NoKeyError
from mistral_agents.client import MistralAgents
from mistral_agents.errors import ConfigurationError
from mistral_agents.usage import Prices

DEFAULT_MODEL = "mistral-medium-latest"
_NO_KEY = (
    "No API key: set MISTRAL_API_KEY or give --api-key-file; or start the local stand-in with `mistral-agents serve` "
    "and take any word as the key."
)


@dataclass
class CommandSession:
    """One run of the command.

    Attributes:
        as_json: Whether data is written as JSON.
        key_file: The file that holds the key.
        base_url: The service's address; None takes MISTRAL_BASE_URL.
        quiet: Whether notes are left out.
        price_file: The file that holds the price table.
    """

    as_json: bool = False
    key_file: Path | None = None
    base_url: str | None = None
    quiet: bool = False
    price_file: Path | None = None

    @cached_property
    def client(self) -> MistralAgents:
        """The client; a price table is read first, since a turn that was paid for would be too late.

        Raises:
            NoKeyError: There is no key, and nobody to ask.
            ConfigurationError: The key's file or the price table can't be read, or the address is none.
        """
        _ = self.prices
        return MistralAgents(api_key=self.find_key(), base_url=self.base_url)

    def find_key(self) -> str | None:
        """The key of the file or of a prompt; None where the environment has one."""
        if self.key_file is not None:
            return read_key(self.key_file)
        if os.environ.get("MISTRAL_API_KEY") or os.environ.get("MISTRAL_SA_TOKEN_PATH"):
            return None
        if not sys.stdin.isatty():
            raise NoKeyError(_NO_KEY)
        return str(typer.prompt("API key", hide_input=True, err=True)).strip()

    @cached_property
    def prices(self) -> Prices | None:
        """The price table; None where none was given.

        Raises:
            ConfigurationError: Its file is no price table.
        """
        return read_prices(self.price_file) if self.price_file is not None else None

    @property
    def shows_progress(self) -> bool:
        """Whether bars are shown: on a terminal, unless it shall be quiet."""
        return not self.quiet and sys.stderr.isatty()

    def close(self) -> None:
        """Close the client's connections, if there is a client."""
        if "client" in self.__dict__:
            self.client.close()

    def emit(self, data: object, drawing: object) -> None:
        """Write data: as JSON, or the drawing of it."""
        if self.as_json:
            self.write(json.dumps(masked(data), ensure_ascii=True, default=str, indent=2))
        elif isinstance(drawing, str):
            self.write(drawing)
        else:
            Console(highlight=False, soft_wrap=not sys.stdout.isatty()).print(drawing)

    def write(self, text: str) -> None:
        """Write a line to stdout."""
        typer.echo(show_text(text))

    def note(self, text: str) -> None:
        """Say something beside the data, unless it shall be quiet."""
        if not self.quiet:
            Console(stderr=True, highlight=False).print(Text(show_text(text)), soft_wrap=True)

    def report(self, text: str) -> None:
        """Say what went wrong."""
        Console(stderr=True, highlight=False).print(Text(f"mistral-agents: {show_text(text)}"), soft_wrap=True)

    def agrees(self, what: Iterable[str], yes: bool) -> bool:
        """Show what is to be deleted or changed; whether to do it."""
        for line in what:
            self.note(line)
        if not yes:
            self.note("Nothing was changed: add --yes to do it.")
        return yes


def read_key(path: Path) -> str:
    """The key that a file holds in its one line.

    Raises:
        ConfigurationError: It can't be read, or holds no key.
    """
    try:
        key = expand_home(path).read_text(encoding="utf-8-sig").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise ConfigurationError(f"--api-key-file {path} can't be read: {why}.") from error
    if not key or len(key.split()) != 1:
        raise ConfigurationError(f"--api-key-file {path} must hold one key in one line.")
    return key


def read_prices(path: Path) -> Prices:
    """A price table: `{"currency": "EUR", "tokens": {"*": [0.4, 2.0]}, "calls": {"web_search": 0.03}}`.

    Raises:
        ConfigurationError: The file can't be read, or is none.
    """
    try:
        data = json.loads(expand_home(path).read_text(encoding="utf-8-sig"))
        tokens = {str(name): (float(read), float(written)) for name, (read, written) in data["tokens"].items()}
        calls = {str(name): float(price) for name, price in data.get("calls", {}).items()}
        return Prices(tokens, calls, str(data.get("currency", "USD")))
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        wanted = '{"currency": "EUR", "tokens": {"*": [0.4, 2.0]}}, prices of a million tokens read and written'
        raise ConfigurationError(f"--prices {path} is no price table ({error}); it must be like {wanted}.") from error


def set_logging(verbose: int) -> None:
    """Log records go to stderr: warnings, with -v what happens, with -vv all."""
    level = {0: logging.WARNING, 1: logging.INFO}.get(verbose, logging.DEBUG)
    logging.basicConfig(level=level, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s", force=True)


def find_session(context: typer.Context) -> CommandSession:
    """The session of a command."""
    found = context.find_object(CommandSession)
    return found if found is not None else CommandSession()


def find_agent_id(session: CommandSession, agent: str) -> str:
    """The id of an agent that is named by id or name; what no agent is called so is taken for an id.

    Raises:
        ConfigurationError: Several have that name.
    """
    if agent.startswith(("ag_", "ag:")):
        return agent
    found = [row["id"] for row in session.client.agents.list(name=agent) if row.get("name") == agent]
    if len(found) > 1:
        raise ConfigurationError(f"{len(found)} agents are called {agent!r}: give the id ({', '.join(found)}).")
    return str(found[0]) if found else agent
