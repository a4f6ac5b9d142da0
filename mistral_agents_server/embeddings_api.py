"""The route of /v1/embeddings."""

from __future__ import annotations

import base64
import struct
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from mistral_agents_server import ids
from mistral_agents_server.errors import invalid_model
from mistral_agents_server.models_api import Models
from mistral_agents_server.search_index.hashing import embed
from mistral_agents_server.thinking import count_tokens
from mistral_agents_server.upstream import Upstream
from mistral_agents_server.wire import read_body, wire

Wire = dict[str, Any]

_DIMENSIONS = 1024


class EmbeddingRequest(BaseModel):
    """POST /v1/embeddings. Vectors are of floats here."""

    model_config = ConfigDict(extra="forbid")
    model: str
    input: str | Annotated[list[str], Field(min_length=1)]
    metadata: dict[str, Any] | None = None
    output_dimension: int | None = Field(None, ge=1, le=8192)
    output_dtype: Literal["float"] = "float"
    encoding_format: Literal["float", "base64"] = "float"


class EmbeddingsApi:
    """Vectors of texts: those of the endpoint behind `--model-url` where it has any, else of hashed words.

    Args:
        models: the models there are.
        upstream: the endpoint.
    """

    def __init__(self, models: Models, upstream: Upstream | None = None) -> None:
        self._models = models
        self._upstream = upstream

    def routes(self) -> list[Route]:
        """The route."""
        return [Route("/v1/embeddings", self.embed, methods=["POST"])]

    async def embed(self, request: Request) -> Response:
        """A vector for each text. Those of hashed words are of no model: their `model` says so."""
        body = await read_body(request, EmbeddingRequest)
        if not self._models.knows(body.model):
            raise invalid_model(body.model)
        return JSONResponse(await run_in_threadpool(self._reply, body))

    def _reply(self, body: EmbeddingRequest) -> Wire:
        texts = [body.input] if isinstance(body.input, str) else body.input
        asked = self._upstream.ask("POST", "/embeddings", _passed_on(body)) if self._upstream is not None else None
        if asked is not None and _has_vectors(asked, len(texts)):
            return asked
        dimensions = body.output_dimension if body.output_dimension is not None else _DIMENSIONS
        data = [
            {
                "object": "embedding",
                "embedding": _encoded(embed(text, dimensions), body.encoding_format),
                "index": number,
            }
            for number, text in enumerate(texts)
        ]
        tokens = sum(map(count_tokens, texts))
        usage = {"prompt_tokens": tokens, "completion_tokens": 0, "total_tokens": tokens}
        model = f"stand-in:{body.model}"
        return {"id": ids.uuid4_str(), "object": "list", "data": data, "model": model, "usage": usage}


def _passed_on(body: EmbeddingRequest) -> Wire:
    """The request in OpenAI's form."""
    given = {name: value for name, value in wire(body).items() if name in ("model", "input", "encoding_format")}
    return given | ({"dimensions": body.output_dimension} if body.output_dimension is not None else {})


def _has_vectors(answer: Wire, number: int) -> bool:
    data = answer.get("data")
    return isinstance(data, list) and len(data) == number and all("embedding" in row for row in data)


def _encoded(vector: list[float], encoding: str) -> list[float] | str:
    if encoding == "float":
        return vector
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
