"""Serves the application with uvicorn, and says when it takes requests."""

from __future__ import annotations

import copy
import logging
import os
import socket
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette

from mistral_agents_server.settings import LOG_LEVELS

try:
    import fcntl
except ImportError:  # on Windows
    fcntl = None  # type: ignore[assignment]

KEEP_ALIVE_SECONDS = 75
"""How long an idle connection stays open: longer than clients keep theirs (httpx 5 s, browsers up to 60 s), so that the
client closes first and no request is sent into a connection that is just being closed."""

MAX_CONNECTIONS = 900
"""Connections at once, idle ones among them; one more gets a 503. Below the 1,024 open files most systems allow."""

_BACKLOG = 512


def listen(host: str, port: int) -> socket.socket:
    """Open the port.

    Raises:
        OSError: it is taken, forbidden, or the address is none of this machine.
    """
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # small replies must not wait for an ACK (40 ms)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


def base_url(host: str, listener: socket.socket) -> str:
    """Where the server is reached."""
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{listener.getsockname()[1]}"


def hold_folder(data: Path | None) -> AbstractContextManager[object]:
    """Keep a folder of data for this process, as long as what is returned is open; turns of two servers would mix.

    Raises:
        OSError: the folder can't be used.
        ValueError: another stand-in has it.
    """
    if data is None or fcntl is None:
        return nullcontext()
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    held = (data / "in-use").open("w")
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        held.close()
        raise ValueError(f"another stand-in uses the folder of --data, {data}; stop it, or give another one") from error
    return held


def write_ready_file(path: Path, url: str) -> None:
    """Write the address into a file that appears as a whole."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.part")
    partial.write_text(f"{url}\n", encoding="utf-8")
    partial.replace(path)


def _log_config() -> dict[str, Any]:
    """Uvicorn's own, with requests on standard error too: standard output has the one line with the address."""
    config = copy.deepcopy(uvicorn.config.LOGGING_CONFIG)
    config["handlers"]["access"]["stream"] = "ext://sys.stderr"
    return config


class _Server(uvicorn.Server):
    """A server that calls back once it takes requests, and when it takes no more."""

    def __init__(self, config: uvicorn.Config, announce: Callable[[], None], retire: Callable[[], None]) -> None:
        super().__init__(config)
        self._announce, self._retire = announce, retire

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._announce()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._retire()  # not after `run`: a SIGTERM ends the process there
        await super().shutdown(sockets)


def serve(
    app: Starlette,
    listener: socket.socket,
    *,
    log_level: str = "warning",
    announce: Callable[[], None],
    retire: Callable[[], None],
) -> None:
    """Serve until stopped; `announce` is called once requests are taken, `retire` when no more are."""
    config = uvicorn.Config(
        app,
        log_config=_log_config(),
        log_level=log_level,
        access_log=LOG_LEVELS.index(log_level) >= LOG_LEVELS.index("info"),
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        limit_concurrency=MAX_CONNECTIONS,
    )
    own = logging.getLogger("mistral_agents_server")
    own.setLevel(log_level.upper())
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
    own.addHandler(handler)
    try:
        with suppress(KeyboardInterrupt):  # uvicorn has shut down in order, and passes the signal on
            _Server(config, announce, retire).run(sockets=[listener])
    finally:
        own.removeHandler(handler)
        listener.close()
