"""The fixtures of the kit for pytest (entry point `pytest11`): none is automatic or costs before it is asked for."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from mistral_agents_server.testing.frozen import FrozenClock
    from mistral_agents_server.testing.running import Standin
    from mistral_agents_server.testing.scripted import ScriptedModel

_MARKER = (
    "mistral_standin(**settings): settings of the stand-in that this test gets, as in mistral_agents_server.settings"
)
_HERE = ("127.", "::1", "localhost")
_EXTRA = 'The stand-in needs the extra [server]: pip install "mistral-agents[server]" (missing: {})'


def pytest_configure(config: pytest.Config) -> None:
    """Register the kit's marker."""
    config.addinivalue_line("markers", _MARKER)


@pytest.fixture
def scripted_model() -> Iterator[ScriptedModel]:
    """A model that decides what the test says: `scripted_model.script(call("weather"), say("Sunny."))`."""
    try:
        from mistral_agents_server.testing.scripted import ScriptedModel
    except ModuleNotFoundError as error:
        pytest.fail(_EXTRA.format(error.name), pytrace=False)
    model = ScriptedModel()
    yield model
    model.stop()


@pytest.fixture
def mistral_standin(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Standin]:
    """A stand-in of the service in a thread; `MISTRAL_BASE_URL` and `MISTRAL_API_KEY` lead there during the test.

    A test that asks for `scripted_model` too gets one that is led by it; else the planner answers. The marker
    `@pytest.mark.mistral_standin(...)` gives it further settings. `.faults` makes it fail, `.faults.requests` holds
    what came in.
    """
    try:
        from mistral_agents_server.testing.running import Standin
    except ModuleNotFoundError as error:
        pytest.fail(_EXTRA.format(error.name), pytrace=False)
    settings: dict[str, Any] = {}
    if "scripted_model" in request.fixturenames:
        settings["model_url"] = request.getfixturevalue("scripted_model").url
    for marker in reversed(list(request.node.iter_markers("mistral_standin"))):
        settings.update(marker.kwargs)
    standin = Standin(**settings)
    monkeypatch.setenv("MISTRAL_BASE_URL", standin.base_url)
    monkeypatch.setenv("MISTRAL_API_KEY", "test-key")
    around = os.environ.get("no_proxy") or os.environ.get("NO_PROXY")
    monkeypatch.setenv("no_proxy", f"{around},127.0.0.1" if around else "127.0.0.1")  # no proxy reaches this machine
    yield standin
    standin.stop()


@pytest.fixture
def frozen_clock() -> Iterator[FrozenClock]:
    """Ids and times of conversations, agents, entries and documents in the stand-in are the same in every run."""
    from mistral_agents_server.testing.frozen import FrozenClock

    with FrozenClock() as clock:
        yield clock


@pytest.fixture
def forbid_live_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection to another machine, or a look-up of its name, fails the test at once."""
    look_up, connect, connect_ex = socket.getaddrinfo, socket.socket.connect, socket.socket.connect_ex

    def check(host: Any) -> None:
        name = host.decode() if isinstance(host, bytes) else host
        if isinstance(name, str) and name and not name.startswith(_HERE):
            pytest.fail(f"forbid_live_calls: this test reached for {name}, which is not on this machine")

    def checked_look_up(host: Any, *rest: Any, **options: Any) -> Any:
        check(host)
        return look_up(host, *rest, **options)

    def checked_connect(self: socket.socket, address: Any) -> None:
        check(address[0] if isinstance(address, tuple) else None)
        connect(self, address)

    def checked_connect_ex(self: socket.socket, address: Any) -> int:
        check(address[0] if isinstance(address, tuple) else None)
        return connect_ex(self, address)

    monkeypatch.setattr(socket, "getaddrinfo", checked_look_up)
    monkeypatch.setattr(socket.socket, "connect", checked_connect)
    monkeypatch.setattr(socket.socket, "connect_ex", checked_connect_ex)
