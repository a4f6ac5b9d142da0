from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from mistral_agents.retrieval.chunking import Splitter
from mistral_agents.retrieval.engine import LibraryEngine
from mistral_agents.retrieval.settings import Settings
from tests.retrieval.service import LIBRARY, LibraryService


@pytest.fixture
def service() -> Iterator[LibraryService]:
    running = LibraryService()
    yield running
    running.stop()


@pytest.fixture
def make_engine(service: LibraryService) -> Iterator[Callable[..., LibraryEngine]]:
    clients = []

    def make(library_ids: tuple[str, ...] = (LIBRARY,), **options: Any) -> LibraryEngine:
        known = {key: options.pop(key) for key in ("embedder", "persist_dir", "notify", "clock") if key in options}
        options.setdefault("splitter", Splitter(200, 40))
        client = service.client()
        clients.append(client)
        return LibraryEngine(client, Settings(library_ids, **options), **known)

    yield make
    for client in clients:
        client.close()


class LetterEmbedder:
    """Counts letters: real vectors without a model. Keeps what it was asked."""

    batch_size = 16

    def __init__(self, name: str = "letters") -> None:
        self.name = name
        self.asked: list[str] = []
        self.batches: list[int] = []

    def _vector(self, text: str) -> list[float]:
        return [float(text.lower().count(letter)) + 0.01 for letter in "abcdefghijklmnopqrstuvwxyz"]

    def texts(self, texts: list[str]) -> list[list[float]]:
        self.asked += texts
        self.batches.append(len(texts))
        return [self._vector(text) for text in texts]

    async def atexts(self, texts: list[str]) -> list[list[float]]:
        return self.texts(texts)

    def query(self, text: str) -> list[float]:
        return self._vector(text)

    async def aquery(self, text: str) -> list[float]:
        return self._vector(text)


@pytest.fixture
def embedder() -> LetterEmbedder:
    return LetterEmbedder()
