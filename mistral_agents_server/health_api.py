"""`/health`: whether the server is there, for scripts and containers that wait for it."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from mistral_agents_server.guards import HEALTH_PATH
from mistral_agents_server.settings import Settings, package_version


class HealthApi:
    """The route of `/health`.

    Args:
        settings: what the server was started with.
    """

    def __init__(self, settings: Settings) -> None:
        brain = "planner" if settings.model_url is None else "model-url"
        self._body = {"status": "ok", "version": package_version(), "brain": brain}

    def routes(self) -> list[Route]:
        """The route."""
        return [Route(HEALTH_PATH, self.get, methods=["GET"])]

    async def get(self, _: Request) -> Response:
        """That the server is there, its version, and what does the thinking."""
        return JSONResponse(self._body)
