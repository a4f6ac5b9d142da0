"""The models there are, and the routes of /v1/models."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from mistral_agents_server.errors import not_found
from mistral_agents_server.settings import LocalModel
from mistral_agents_server.upstream import Upstream

Wire = dict[str, Any]

_USUAL = (
    LocalModel("mistral-small-latest"),
    LocalModel("mistral-medium-latest"),
    LocalModel("mistral-large-latest"),
    LocalModel("mistral-embed", embeds=True),
)
"""What is listed when no models were named; any other name answers too."""


class Models:
    """The models of a server.

    Args:
        configured: those that were named; empty takes every name.
        upstream: the endpoint whose models are listed when none were named.
    """

    def __init__(self, configured: Sequence[LocalModel], upstream: Upstream | None = None) -> None:
        self._configured = tuple(configured)
        self._upstream = upstream

    def knows(self, name: str) -> bool:
        """Whether a request may ask for a model."""
        return not self._configured or any(name in (model.name, *model.aliases) for model in self._configured)

    def all(self) -> Sequence[LocalModel]:
        """Every model that is listed."""
        if self._configured or self._upstream is None:
            return self._configured or _USUAL
        listed = (self._upstream.ask("GET", "/models") or {}).get("data")
        names = [row["id"] for row in listed if isinstance(row, dict) and row.get("id")] if listed else []
        return [LocalModel(name) for name in names] or _USUAL

    def get(self, name: str) -> LocalModel:
        """One model, by its id or an alias.

        Raises:
            ApiError: 404.
        """
        for model in self.all():
            if name in (model.name, *model.aliases):
                return model
        if not self.knows(name):
            raise not_found(f"Model {name} not found")
        return LocalModel(name)


class ModelsApi:
    """The routes of /v1/models.

    Args:
        models: the models there are.
    """

    def __init__(self, models: Models) -> None:
        self._models = models
        self._since = int(time.time())

    def routes(self) -> list[Route]:
        """The routes; a name may hold slashes, as those of other endpoints do."""
        return [
            Route("/v1/models", self.list_all, methods=["GET"]),
            Route("/v1/models/{model:path}", self.get, methods=["GET"]),
        ]

    async def list_all(self, _: Request) -> Response:
        """All models, on one page."""
        found = await run_in_threadpool(self._models.all)
        return JSONResponse({"object": "list", "data": [self._wire(model) for model in found]})

    async def get(self, request: Request) -> Response:
        """One model."""
        return JSONResponse(self._wire(await run_in_threadpool(self._models.get, request.path_params["model"])))

    def _wire(self, model: LocalModel) -> Wire:
        return {
            "id": model.name,
            "object": "model",
            "created": self._since,
            "owned_by": "stand-in",
            "capabilities": {
                "completion_chat": not model.embeds,
                "function_calling": not model.embeds,
                "reasoning": False,
                "completion_fim": False,
                "fine_tuning": False,
                "vision": False,
                "ocr": False,
                "classification": False,
                "moderation": False,
                "audio": False,
                "audio_transcription": False,
            },
            "name": model.name,
            "description": "A model of the stand-in.",
            "max_context_length": model.context,
            "aliases": list(model.aliases),
            "deprecation": model.deprecation,
            "deprecation_replacement_model": model.replacement,
            "default_model_temperature": None,
            "type": "base",
        }
