"""`python -m mistral_agents_server`: serve the stand-in."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import os
import socket
import sqlite3
import sys
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import NoReturn

from mistral_agents_server.settings import LOG_LEVELS, LocalConnector, LocalModel, Quota, Settings, package_version

PACKAGES = {
    "starlette": "starlette",
    "uvicorn": "uvicorn",
    "pydantic": "pydantic",
    "python_multipart": "python-multipart",
    "numpy": "numpy",
    "regex": "regex",
    "Stemmer": "PyStemmer",
    "PIL": "pillow",
    "pypdfium2": "pypdfium2",
    "selectolax": "selectolax",
    "webencodings": "webencodings",
    "chardet": "chardet",
}
"""What the extra `server-core` brings, by import name; `server` adds pandas and matplotlib for code that is run."""

API_KEY_VARIABLE = "MISTRAL_AGENTS_SERVER_API_KEY"
MODEL_KEY_VARIABLE = "MISTRAL_AGENTS_SERVER_MODEL_KEY"
_USAGE_ERROR = 2


def _quota(text: str) -> Quota:
    try:
        return Quota.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _guardrail_word(text: str) -> tuple[str, str]:
    category, _, word = (part.strip() for part in text.partition("="))
    if not (category and word):
        raise argparse.ArgumentTypeError(f"a word of a guardrail is written CATEGORY=WORD, not {text!r}")
    return category, word


def _by_category(words: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for category, word in words:
        found.setdefault(category, []).append(word)
    return found


def _models(text: str) -> tuple[LocalModel, ...]:
    names = [name.strip() for name in text.split(",")]
    if not all(names):
        raise argparse.ArgumentTypeError(f"names of models are parted by commas, not {text!r}")
    return tuple(LocalModel(name, embeds="embed" in name) for name in names)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and int(text) <= 65535):
        raise argparse.ArgumentTypeError(f"a port is a number from 0 (any free one) to 65535, not {text!r}")
    return int(text)


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= len(text) <= 6 and int(text) >= 1):
        raise argparse.ArgumentTypeError(f"a number from 1 to 999999 is wanted, not {text!r}")
    return int(text)


def _path(text: str) -> Path:
    if not text.strip():  # such as "$UNSET" in a shell: it would be the folder of the process, or none
        raise argparse.ArgumentTypeError("an empty path names nothing; leave the option out")
    return Path(os.path.expanduser(text))  # Path.expanduser raises where there is no such user


def _folder(text: str) -> Path:
    path = _path(text)
    if not path.is_dir():
        why = "is a file, not a folder" if path.exists() else "is not there"
        raise argparse.ArgumentTypeError(f"the folder {path} {why}")
    return path


def _word(text: str) -> str:
    if not text.strip():  # such as "$UNSET" in a shell
        raise argparse.ArgumentTypeError("it is empty; leave the option out")
    return text


def _host(text: str) -> str:
    return _word(text).strip().strip("[]").lower()


def _key_file(text: str) -> str:
    try:
        key = _path(text).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise argparse.ArgumentTypeError(f"the key can't be read from {text}: {_reason(error)}") from error
    if not key or "\n" in key:
        raise argparse.ArgumentTypeError(f"{text} must hold one key in one line")
    return key


def parser() -> argparse.ArgumentParser:
    """The command line."""
    build = argparse.ArgumentParser(prog="python -m mistral_agents_server", description=__doc__)
    build.add_argument("--port", type=_port, default=8484, help="port; 0 picks a free one (default: 8484)")
    build.add_argument("--data", type=_path, help="folder of the database and files; without it nothing is kept")
    build.add_argument(
        "--host", type=_host, default="127.0.0.1", help="address to bind; not loopback needs a key of its own"
    )
    own = build.add_mutually_exclusive_group()
    own.add_argument(
        "--api-key-file",
        type=_key_file,
        metavar="FILE",
        help=f"a file with the only key accepted (or ${API_KEY_VARIABLE})",
    )
    own.add_argument("--api-key", type=_word, help="the same; but whoever lists this machine's processes sees it")
    build.add_argument("--model-url", type=_word, help="OpenAI-compatible chat endpoint that does the thinking")
    model = build.add_mutually_exclusive_group()
    model.add_argument(
        "--model-key-file", type=_key_file, metavar="FILE", help=f"a file with its key (or ${MODEL_KEY_VARIABLE})"
    )
    model.add_argument("--model-key", type=_word, help="the same; but whoever lists this machine's processes sees it")
    build.add_argument(
        "--allow-code", action="store_true", default=None, help="run Python off loopback or with a model"
    )
    build.add_argument("--pages", type=_folder, help="folder of local pages that web search looks through")
    build.add_argument("--quota", type=_quota, action="append", default=[], metavar="TOOL=N/minute", help="a limit")
    build.add_argument("--connectors", metavar="MODULE:NAME", help="local connectors")
    build.add_argument(
        "--models", type=_models, default=(), metavar="NAME,…", help="the models there are; other names are refused"
    )
    build.add_argument(
        "--guardrail-word",
        type=_guardrail_word,
        action="append",
        default=[],
        metavar="CATEGORY=WORD",
        help="a word that guardrails find, such as violence_and_threats=bomb",
    )
    build.add_argument("--max-turns", type=_count, default=256, metavar="N", help="turns at once, running and waiting")
    build.add_argument("--log-level", choices=LOG_LEVELS, default="warning", help="what is logged (default: warning)")
    build.add_argument("--ready-file", type=_path, metavar="FILE", help="gets the address once requests are taken")
    build.add_argument("--json", action="store_true", help="print the line of the start as JSON")
    build.add_argument("--version", action="version", version=f"mistral-agents {package_version()}")
    return build


def _fail(message: str) -> NoReturn:
    """End with one line and the exit code of a wrong command line."""
    parser().exit(_USAGE_ERROR, f"{parser().prog}: error: {' '.join(message.split())}\n")


def _reason(error: BaseException) -> str:
    """The words of an error, without number and path where it is one of the system's."""
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return said if said else type(error).__name__


def require_packages() -> None:
    """End with a line that says how to install what lacks, if anything does."""
    lacking = [package for module, package in PACKAGES.items() if importlib.util.find_spec(module) is None]
    if lacking:
        _fail(
            f"the stand-in needs packages that are not installed ({', '.join(lacking)}): "
            'pip install "mistral-agents[server]", or [server-core] without pandas and matplotlib'
        )


def load_connectors(path: str | None) -> tuple[LocalConnector, ...]:
    """The connectors that `--connectors` names.

    Raises:
        ValueError: there is no such module or name, or it is no connector.
    """
    if path is None:
        return ()
    name, colon, attribute = path.partition(":")
    if not (name and colon and attribute):
        raise ValueError(f"--connectors is written MODULE:NAME, such as my_tides:tides, not {path!r}")
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise ValueError(f"--connectors {path}: no module {name} here or on PYTHONPATH") from error
        raise ValueError(f"--connectors {path}: {name} needs the module {error.name}, which is not there") from error
    except (Exception, SystemExit) as error:  # whatever the user's module raises is told in one line
        raise ValueError(f"--connectors {path}: {name} can't be loaded: {type(error).__name__}: {error}") from error
    found = getattr(module, attribute, None)
    connectors = tuple(found) if isinstance(found, (list, tuple)) else (found,)
    if not all(isinstance(one, LocalConnector) for one in connectors):
        what = "has nothing of that name" if found is None else f"holds a {type(found).__name__} there"
        raise ValueError(f"--connectors {path}: {name} {what}, where a LocalConnector or a list of them is wanted")
    names = [one.name for one in connectors]
    twice = sorted({one for one in names if names.count(one) > 1})
    if twice:
        raise ValueError(f"--connectors {path}: two connectors are called {', '.join(twice)}; give each its own name")
    return connectors


def settings_from(arguments: argparse.Namespace) -> Settings:
    """The settings that the command line and the environment ask for.

    Raises:
        ValueError: the settings contradict each other, or the connectors can't be loaded.
    """
    own = arguments.api_key if arguments.api_key is not None else arguments.api_key_file
    model = arguments.model_key if arguments.model_key is not None else arguments.model_key_file
    if model is not None and arguments.model_url is None:
        raise ValueError("a key of a model (--model-key, --model-key-file) is for --model-url, which is not given")
    return Settings(
        data=arguments.data,
        host=arguments.host,
        api_key=own if own is not None else os.environ.get(API_KEY_VARIABLE, "").strip() or None,
        model_url=arguments.model_url,
        model_key=model if model is not None else os.environ.get(MODEL_KEY_VARIABLE, "").strip() or None,
        allow_code=arguments.allow_code,
        pages=arguments.pages,
        quotas=tuple(arguments.quota),
        connectors=load_connectors(arguments.connectors),
        models=arguments.models,
        guardrail_words=_by_category(arguments.guardrail_word),
        max_turns=arguments.max_turns,
    )


def start_line(url: str, code: str, arguments: argparse.Namespace) -> str:
    """The line that is printed once requests are taken; the address is its first word, or the field `base_url`."""
    seen = [flag for flag, value in (("--api-key", arguments.api_key), ("--model-key", arguments.model_key)) if value]
    notes = [f"code: {code}"]
    if seen:
        verb = "is" if len(seen) == 1 else "are"
        notes.append(f"{' and '.join(seen)} {verb} visible in the process list ({seen[0]}-file is not)")
    if arguments.json:
        return json.dumps({"base_url": url, "code": code, "notes": notes[1:]})
    return f"{url}  {'; '.join(notes)}"


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until stopped. Prints one line once requests are taken: the base URL, and how code is run."""
    arguments = parser().parse_args(argv)
    require_packages()
    from mistral_agents_server.app import create_app
    from mistral_agents_server.serving import base_url, hold_folder, listen, serve, write_ready_file

    try:
        settings = settings_from(arguments)
        _remove_ready_file(arguments.ready_file)
        listener = listen(settings.host, arguments.port)
    except ValueError as error:
        _fail(str(error))
    except OSError as error:
        _fail(_port_trouble(error, arguments.host, arguments.port))
    with ExitStack() as stack:
        stack.callback(listener.close)
        try:
            stack.enter_context(hold_folder(settings.data))
            app = create_app(settings)
        except (ValueError, OSError, sqlite3.Error) as error:
            _fail(_start_trouble(error, settings.data))
        url = base_url(settings.host, listener)
        line = start_line(url, app.state.toolbox.code_description, arguments)

        def announce() -> None:
            if arguments.ready_file is not None:
                write_ready_file(arguments.ready_file, url)
            print(line, flush=True)

        def retire() -> None:
            with suppress(OSError, ValueError):  # its folder may be gone, and something else may stand there by now
                _remove_ready_file(arguments.ready_file)

        serve(app, listener, log_level=arguments.log_level, announce=announce, retire=retire)
    return 0


def _start_trouble(error: Exception, data: Path | None) -> str:
    if isinstance(error, ValueError):
        return str(error)
    folder = f"the folder of --data, {data}," if data is not None else "a temporary folder"
    return f"{folder} can't be used: {_reason(error)}"


def _remove_ready_file(path: Path | None) -> None:
    """Take away what an earlier server left, or this one.

    Raises:
        ValueError: the file can't be written, or is no such file.
    """
    if path is None:
        return
    if not path.parent.is_dir():
        raise ValueError(f"--ready-file {path}: the folder {path.parent} is not there")
    try:
        if not _may_replace(path):
            raise ValueError(f"--ready-file {path} holds something else than an address; name another file")
        path.unlink(missing_ok=True)
        path.touch()
        path.unlink()
    except OSError as error:
        raise ValueError(f"--ready-file {path} can't be written: {_reason(error)}") from error


def _may_replace(path: Path) -> bool:
    """Whether nothing is there, or what a server left; a device, a pipe or a file of the user's is none."""
    if path.is_symlink() or (path.exists() and not path.is_file()):
        return False
    with suppress(FileNotFoundError), path.open("rb") as file:
        return file.read(7) in (b"", b"http://")
    return True


def _port_trouble(error: OSError, host: str, port: int) -> str:
    told = f"port {port} of {host} can't be opened: {_reason(error)}"
    if isinstance(error, socket.gaierror):
        return f"{told}. Choose another address with --host"
    return f"{told}. Is another server running there? Choose another with --port, or --port 0 for a free one"


if __name__ == "__main__":
    sys.exit(main())
