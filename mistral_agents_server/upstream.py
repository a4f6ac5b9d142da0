"""The routes besides chat of the endpoint behind `--model-url`: its models and its vectors."""

from __future__ import annotations

import http.client
import json
import logging
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

from mistral_agents_server.settings import Settings

Wire = dict[str, Any]

_log = logging.getLogger(__name__)


class Upstream:
    """Asks an OpenAI-compatible endpoint for what it may have.

    Args:
        settings: with a `model_url`.
    """

    def __init__(self, settings: Settings) -> None:
        parts = urlsplit(settings.model_url or "")
        self._connection = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._host, self._port = parts.hostname or "", parts.port
        self._base = parts.path.rstrip("/").removesuffix("/chat/completions")
        self._timeout = settings.model_timeout
        self._headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if settings.model_key is not None:
            self._headers["Authorization"] = f"Bearer {settings.model_key}"

    def ask(self, method: str, path: str, body: Wire | None = None) -> Wire | None:
        """The JSON object that it answers; None when it does not serve the route, or can't be reached."""
        try:
            with closing(self._connection(self._host, self._port, timeout=self._timeout)) as connection:
                text = json.dumps(body) if body is not None else None
                connection.request(method, f"{self._base}{path}", text, self._headers)
                reply = connection.getresponse()
                answer = json.loads(reply.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            _log.warning("the model endpoint does not answer %s %s: %s", method, path, error)
            return None
        if reply.status != 200 or not isinstance(answer, dict):
            _log.warning("the model endpoint answered %s %s with %d", method, path, reply.status)
            return None
        return answer
