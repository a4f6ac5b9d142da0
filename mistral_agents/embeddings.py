"""Embeddings: vectors of texts, made by the service."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any

from mistral_agents._http.calls import Call, Operation, check_id, check_whole_number
from mistral_agents._http.replies import Reply
from mistral_agents._http.transport import Transport
from mistral_agents._json import JsonDict, count_of
from mistral_agents._steps import Job, Steps, arun, run
from mistral_agents.errors import ConfigurationError, InvalidRequestError, ResponseFormatError

__all__ = ["DEFAULT_MODEL", "EmbeddingModel", "Embeddings", "Vectors"]

DEFAULT_MODEL = "mistral-embed"
_MOST_TEXTS = 64
"""Texts in one request: the default of Mistral's search toolkit, whose other limit is 32,768 tokens."""
_MOST_CHARACTERS = 64_000
"""Of one request, unless a single text has more: two characters a token stay within the toolkit's limit."""
_OPERATION = Operation("embeddings_v1_embeddings_post", "embeddings")


class Vectors(list[list[float]]):
    """One vector for each text, in order.

    Attributes:
        model: The model's name as the service told it.
        usage: Tokens of all requests together, by the service's names.
    """

    def __init__(self) -> None:
        super().__init__()
        self.model: str | None = None
        self.usage: dict[str, int] = {}

    def _add(self, data: JsonDict, vectors: list[list[float]]) -> None:
        self += vectors
        model, usage = data.get("model"), data.get("usage")
        self.model = model if isinstance(model, str) else self.model
        for name, count in usage.items() if isinstance(usage, dict) else ():
            if count_of(count) or count == 0:
                self.usage[name] = self.usage.get(name, 0) + count_of(count)


class Embeddings:
    """Makes vectors of texts. Making them twice does no harm, so requests are repeated after any passing failure.

    Raises:
        ConfigurationError: An argument is wrong; nothing was sent.
        MistralAgentsError: The service or the connection failed; see `mistral_agents.errors`.

    Examples:
        >>> vectors = client.embeddings.create(["How long is the warranty?"])
        >>> len(vectors), vectors.usage
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(
        self,
        inputs: str | Sequence[str],
        *,
        model: str = DEFAULT_MODEL,
        output_dimension: int | None = None,
        timeout: float | None = None,
    ) -> Vectors:
        """A vector for each text.

        Args:
            inputs: One text or several, none of them blank; sent in requests of up to 64.
            model: An embedding model of the service.
            output_dimension: Numbers in a vector, where the model lets one choose; None takes the model's.
            timeout: Seconds for each request; None takes the client's.

        Raises:
            ResponseFormatError: The service sent no vector for a text.
        """
        return run(self._steps(_check_texts(inputs, model, output_dimension), model, output_dimension, timeout))

    async def acreate(
        self,
        inputs: str | Sequence[str],
        *,
        model: str = DEFAULT_MODEL,
        output_dimension: int | None = None,
        timeout: float | None = None,
    ) -> Vectors:
        """As `create`, without blocking."""
        return await arun(self._steps(_check_texts(inputs, model, output_dimension), model, output_dimension, timeout))

    def _steps(
        self, texts: list[str], model: str, output_dimension: int | None, timeout: float | None
    ) -> Steps[Vectors]:
        vectors = Vectors()
        waiting = list(_batches(texts))[::-1]
        while waiting:
            batch = waiting.pop()
            body: JsonDict = {"model": model, "input": batch}
            if output_dimension is not None:
                body["output_dimension"] = output_dimension
            call = Call("Making vectors", "POST", "/v1/embeddings", _OPERATION, body=body, timeout=timeout)
            try:
                reply: Reply = yield Job(partial(self._transport.send, call), partial(self._transport.asend, call))
            except InvalidRequestError:
                if len(batch) == 1:
                    raise
                half = len(batch) // 2  # the service counts tokens, which nobody knows here: it may be too much at once
                waiting += [batch[half:], batch[:half]]
                continue
            data = reply.json()
            vectors._add(data if isinstance(data, dict) else {}, _vectors_in(data, len(batch)))
        return vectors


def _check_texts(inputs: str | Sequence[str], model: str, output_dimension: int | None) -> list[str]:
    given: object = inputs
    if not isinstance(given, Iterable) or isinstance(given, bytes):
        raise ConfigurationError(f"inputs must be a text or a list of texts, not {given!r}.")
    texts: list[Any] = [inputs] if isinstance(inputs, str) else list(inputs)
    for place, text in enumerate(texts):
        if not isinstance(text, str) or not text.strip():
            raise ConfigurationError(f"inputs must be texts that are not blank; number {place} is {text!r}.")
    check_id("model", model)
    if output_dimension is not None:
        check_whole_number("output_dimension", output_dimension, 1)
    return texts


def _batches(texts: Sequence[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    size = 0
    for text in texts:
        if batch and (len(batch) == _MOST_TEXTS or size + len(text) > _MOST_CHARACTERS):
            yield batch
            batch, size = [], 0
        batch.append(text)
        size += len(text)
    if batch:
        yield batch


def _vectors_in(data: object, count: int) -> list[list[float]]:
    """The vectors of a reply, each at the place that its `index` names."""
    rows = data.get("data") if isinstance(data, dict) else None
    found: dict[int, list[float]] = {}
    for place, row in enumerate(rows if isinstance(rows, list) else ()):
        vector = row.get("embedding") if isinstance(row, dict) else None
        if isinstance(vector, list) and vector and all(type(number) in (int, float) for number in vector):
            index = row.get("index")
            found[index if type(index) is int else place] = [float(number) for number in vector]
    if sorted(found) != list(range(count)):
        raise ResponseFormatError(f"The service sent {len(found)} vectors for {count} texts.", body=data)
    return [found[place] for place in range(count)]


class EmbeddingModel:
    """An embedding model of the service as the embedder of a search.

    Args:
        embeddings: Makes the vectors.
        model: The model's name.
        batch_size: Texts per step of a sync; None takes 64.

    Raises:
        ConfigurationError: An argument is wrong.
    """

    def __init__(self, embeddings: Embeddings, model: str = DEFAULT_MODEL, batch_size: int | None = None) -> None:
        _check_texts([], model, None)
        if batch_size is not None and (type(batch_size) is not int or batch_size < 1):
            raise ConfigurationError(f"batch_size must be a whole number from 1, or None, not {batch_size!r}.")
        self._embeddings = embeddings
        self.model = model
        self.name = f"mistral:{model}"
        self.batch_size = batch_size if batch_size is not None else _MOST_TEXTS

    def texts(self, texts: list[str]) -> list[list[float]]:
        """Vectors of passages."""
        return self._embeddings.create(texts, model=self.model)

    async def atexts(self, texts: list[str]) -> list[list[float]]:
        """As `texts`, without blocking."""
        return await self._embeddings.acreate(texts, model=self.model)

    def query(self, text: str) -> list[float]:
        """The vector of a question."""
        return self._embeddings.create(text, model=self.model)[0]

    async def aquery(self, text: str) -> list[float]:
        """As `query`, without blocking."""
        return (await self._embeddings.acreate(text, model=self.model))[0]
