"""ASGI applications served on loopback by a thread, for as long as a test needs them."""

from __future__ import annotations

import socket
import threading
from typing import Any

import uvicorn

from mistral_agents_server.app import create_app
from mistral_agents_server.settings import Settings
from mistral_agents_server.testing.faults import Faults


class _Server(uvicorn.Server):
    """A server that says when it takes requests."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()


class Served:
    """An application on a free port.

    Attributes:
        base_url: where it is.
        app: the application.
    """

    def __init__(self, app: Any) -> None:
        self.app = app
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=512)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.base_url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        config = uvicorn.Config(app, log_level="critical", access_log=False, timeout_graceful_shutdown=2)
        self._server = _Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), daemon=True)
        self._thread.start()
        assert self._server.ready.wait(30), "the server did not start"

    def stop(self) -> None:
        """Stop and wait."""
        self._server.should_exit = True
        self._thread.join(30)
        self._socket.close()
        assert not self._thread.is_alive(), "the server did not stop"


class Standin(Served):
    """A stand-in on a free port.

    Attributes:
        faults: makes it fail on demand.
    """

    def __init__(self, **settings: Any) -> None:
        self.faults = Faults(create_app(Settings(**settings)))
        super().__init__(self.faults)
