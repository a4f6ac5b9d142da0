"""`python -m mistral_agents_server`: serve the stand-in."""

from __future__ import annotations

import argparse
import importlib
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

import uvicorn

from mistral_agents_server.app import create_app
from mistral_agents_server.settings import LocalConnector, Quota, Settings


def _connectors(path: str) -> Sequence[LocalConnector]:
    module, _, name = path.partition(":")
    found = getattr(importlib.import_module(module), name)
    return found if isinstance(found, (list, tuple)) else [found]


def _quota(text: str) -> Quota:
    try:
        return Quota.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def parser() -> argparse.ArgumentParser:
    """The command line."""
    build = argparse.ArgumentParser(prog="python -m mistral_agents_server", description=__doc__)
    build.add_argument("--port", type=int, default=8484, help="port; 0 picks a free one")
    build.add_argument("--data", type=Path, help="folder of the database and files; without it nothing is kept")
    build.add_argument("--host", default="127.0.0.1", help="address to bind; not loopback needs --api-key")
    build.add_argument("--api-key", help="the only key accepted; without it any key is")
    build.add_argument("--model-url", help="OpenAI-compatible chat endpoint that does the thinking")
    build.add_argument("--model-key", help="key for that endpoint")
    build.add_argument(
        "--allow-code", action="store_true", default=None, help="run Python off loopback or with a model"
    )
    build.add_argument("--pages", type=Path, help="folder of local pages that web search looks through")
    build.add_argument("--quota", type=_quota, action="append", default=[], metavar="TOOL=N/minute", help="a limit")
    build.add_argument("--connectors", type=_connectors, default=(), metavar="MODULE:NAME", help="local connectors")
    return build


def settings_from(arguments: argparse.Namespace) -> Settings:
    """The settings that the command line asks for.

    Raises:
        ValueError: the settings contradict each other.
    """
    return Settings(
        data=arguments.data,
        host=arguments.host,
        api_key=arguments.api_key,
        model_url=arguments.model_url,
        model_key=arguments.model_key,
        allow_code=arguments.allow_code,
        pages=arguments.pages,
        quotas=tuple(arguments.quota),
        connectors=tuple(arguments.connectors),
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until stopped. Prints one line once requests are taken: the base URL, and how code is run."""
    arguments = parser().parse_args(argv)
    try:
        settings = settings_from(arguments)
        app = create_app(settings)
    except ValueError as error:
        parser().error(str(error))
    listener = socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # small replies must not wait for an ACK (40 ms)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((settings.host, arguments.port))
    listener.listen(512)
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    code = app.state.toolbox.code_description
    print(f"http://{host}:{listener.getsockname()[1]}  code: {code}", flush=True)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False))
    server.run(sockets=[listener])
    return 0


if __name__ == "__main__":
    sys.exit(main())
