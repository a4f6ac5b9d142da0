"""The stand-in as an ASGI application."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import ExceptionHandler

from mistral_agents_server.agents import AgentStore
from mistral_agents_server.agents_api import AgentsApi
from mistral_agents_server.batch_api import BatchApi
from mistral_agents_server.batch_store import BatchStore
from mistral_agents_server.chat_api import ChatApi
from mistral_agents_server.connector_admin_api import ConnectorAdminApi
from mistral_agents_server.connector_store import ConnectorStore
from mistral_agents_server.connectors_api import Connectors, ConnectorsApi
from mistral_agents_server.conversations_api import ConversationsApi
from mistral_agents_server.db import Database
from mistral_agents_server.embeddings_api import EmbeddingsApi
from mistral_agents_server.endpoint import Endpoint
from mistral_agents_server.errors import ApiError, server_failure
from mistral_agents_server.guardrails import Moderator
from mistral_agents_server.guards import Guard
from mistral_agents_server.health_api import HealthApi
from mistral_agents_server.models_api import Models, ModelsApi
from mistral_agents_server.planner import Planner
from mistral_agents_server.quota import QuotaBook, check_quotas
from mistral_agents_server.rooms import Rooms
from mistral_agents_server.settings import Settings
from mistral_agents_server.signing import Located
from mistral_agents_server.store import ConversationStore
from mistral_agents_server.thinking import Brain
from mistral_agents_server.turn_queue import TurnQueue
from mistral_agents_server.turns import Services
from mistral_agents_server.upstream import Upstream


async def _api_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return JSONResponse(error.body, error.status, error.headers)


async def _http_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"detail": error.detail}, error.status_code)


async def _crash(request: Request, _: Exception) -> Response:
    return await _api_error(request, server_failure("Internal Server Error"))


async def _hung_up(*_: object) -> Response:
    """The client went away before it had sent what it declared: nothing was done, and nobody reads this."""
    return Response(status_code=400)


_HANDLERS: dict[type[Exception], ExceptionHandler] = {
    ApiError: _api_error,
    HTTPException: _http_error,
    ClientDisconnect: _hung_up,
    Exception: _crash,
}


def _brain(settings: Settings) -> Brain:
    if settings.model_url is None:
        return Planner()
    return Endpoint(settings.model_url, settings.model_key, settings.model_timeout)


def _check_pages(folder: Path | None) -> None:
    if folder is not None and not folder.is_dir():
        raise ValueError(f"the folder of pages, {folder}, is not there")


def create_app(settings: Settings | None = None) -> Starlette:
    """Build the application. Nothing is served until an ASGI server runs it; the database is opened at once.

    Raises:
        ValueError: the settings contradict each other, or name what is not there.
        OSError, sqlite3.Error: the folder of data can't be used.
    """
    settings = settings if settings is not None else Settings()
    brain = _brain(settings)
    connectors = Connectors(settings.connectors)
    moderator = Moderator(settings.guardrail_words)
    _check_pages(settings.pages)
    check_quotas(settings.quotas, connectors.function_names())
    folder = settings.data if settings.data is not None else Path(tempfile.mkdtemp(prefix="mistral-agents-"))
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    database = Database(folder / "stand-in.sqlite3")
    # An application that is dropped without having been stopped takes its folder along, too.
    remove = weakref.finalize(database, shutil.rmtree, folder, ignore_errors=True) if settings.data is None else None
    agents = AgentStore(database)
    rooms = Rooms(settings, database, folder)
    quota = QuotaBook(settings.quotas)
    upstream = Upstream(settings) if settings.model_url is not None else None
    models = Models(settings.models, upstream)
    services = Services(brain, [rooms.toolbox, connectors], agents, rooms.files, quota, models, moderator)
    made_connectors = ConnectorStore(database)
    connectors_api = ConnectorsApi(connectors, made_connectors)
    queue = TurnQueue(settings.max_turns)
    batches = BatchApi(BatchStore(database), rooms.files)
    routes = [
        *ConversationsApi(ConversationStore(database), services, queue).routes(),
        *AgentsApi(agents, services.sources, models).routes(),
        *batches.routes(),
        *ChatApi(services, queue).routes(),
        *EmbeddingsApi(models, upstream).routes(),
        *ModelsApi(models).routes(),
        *connectors_api.routes(),
        *ConnectorAdminApi(made_connectors, connectors_api).routes(),
        *rooms.routes(quota),
        *HealthApi(settings).routes(),
    ]

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await batches.close()
        await run_in_threadpool(rooms.close)
        database.close()
        if remove is not None:
            remove()

    app = Starlette(
        routes=routes,
        middleware=[Middleware(Guard, settings=settings), Middleware(Located, place=rooms.place)],
        exception_handlers=_HANDLERS,
        lifespan=lifespan,
    )
    app.state.toolbox = rooms.toolbox
    return app
