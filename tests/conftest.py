"""What tests of every room use: stand-ins, a scripted model and a client."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from mistral_agents import MistralAgents

    from .support.running import Standin
    from .support.scripted import ScriptedModel

pytest_plugins = ["mistral_agents_server.testing.plugin"]  # where this checkout is not installed
API_KEY = "test-key"


def pytest_addoption(parser: pytest.Parser) -> None:
    """`make test STRICT=1` gives the option."""
    parser.addoption("--collect-garbage", action="store_true", help="after each test, so that finalizers speak there")


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Bytes name no test: those of an archive hold the hour it was made, and workers must agree on the names."""
    return argname if isinstance(val, bytes) else None


@pytest.fixture(autouse=True)
def _collect_garbage(request: pytest.FixtureRequest) -> Iterator[None]:
    """With `--collect-garbage`: what a test dropped ends with that test."""
    yield
    if request.config.getoption("--collect-garbage"):
        gc.collect()
        gc.freeze()  # what is alive is not looked through again after the next test


@pytest.fixture(scope="session")
def standin() -> Iterator[Standin]:
    """One stand-in with the planner for all tests; it keeps nothing on disk after the session."""
    from .support.running import Standin

    server = Standin()
    yield server
    server.stop()


@pytest.fixture
def standin_factory() -> Iterator[Callable[..., Standin]]:
    """Start stand-ins with `Settings` of one's own; they end with the test. `.faults` makes them fail."""
    from .support.running import Standin

    started: list[Standin] = []

    def start(**settings: Any) -> Standin:
        server = Standin(**settings)
        started.append(server)
        return server

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def scripted() -> Iterator[ScriptedModel]:
    """A chat endpoint that follows a script: `standin_factory(model_url=scripted.url)`."""
    from .support.scripted import ScriptedModel

    model = ScriptedModel()
    yield model
    model.stop()


@pytest.fixture
def client(standin: Standin) -> Iterator[MistralAgents]:
    """A client of the session's stand-in."""
    from mistral_agents import MistralAgents

    with MistralAgents(api_key=API_KEY, base_url=standin.base_url) as made:
        yield made


@pytest.fixture
def meteo(standin_factory: Callable[..., Standin]) -> MistralAgents:
    """A client of a stand-in that has the connector `meteo`."""
    from mistral_agents import MistralAgents

    from .support.connectors import METEO

    return MistralAgents(api_key=API_KEY, base_url=standin_factory(connectors=[METEO]).base_url, max_retries=0)
