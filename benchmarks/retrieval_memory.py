"""Peak memory and time of a sync of 100,000 chunks, at two batch sizes; each measured in a process of its own."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any

from benchmarks._table import Section, peak_memory
from mistral_agents._api.changes import ChangeLog
from mistral_agents._api.records import Document
from mistral_agents._steps import run
from mistral_agents.retrieval.analysis import Analyzer
from mistral_agents.retrieval.chunking import Splitter
from mistral_agents.retrieval.events import SyncReport, ignore
from mistral_agents.retrieval.postings import Vocabulary
from mistral_agents.retrieval.reading import PageReader
from mistral_agents.retrieval.settings import Settings
from mistral_agents.retrieval.snapshot import Preparation
from mistral_agents.retrieval.store import Store
from mistral_agents.retrieval.syncing import Sync

LIBRARY = "0197f425-5e85-7353-b8e7-e8b974b9c613"
DOCUMENTS, CHUNKS_EACH, CHUNK_SIZE, DIMENSION = 2000, 50, 500, 384
WORDS = [f"{stem}{ending}" for stem in ("pump", "valve", "filter", "motor", "garden") for ending in range(2000)]


class _Libraries:
    """Documents made when they are read: nothing of them is held here."""

    changes = ChangeLog()

    def documents(self, *_: object, **__: object) -> Iterator[Document]:
        for number in range(DOCUMENTS):
            yield Document(id=f"{number:08}-0000-4000-8000-000000000000", name=f"d{number}.txt", process_status="done")

    def text(self, _library_id: str, document_id: str) -> str:
        state = int(document_id[:8]) + 1
        paragraphs = []
        for _ in range(CHUNKS_EACH):
            words, length = [], 0
            while length < CHUNK_SIZE - 20:
                state = (state * 1103515245 + 12345) % 2**31
                words.append(WORDS[state % len(WORDS)])
                length += len(words[-1]) + 1
            paragraphs.append(" ".join(words))
        return "\n\n".join(paragraphs)


class _Embedder:
    """Vectors without a model, since its memory is not ours."""

    name = "none"

    def __init__(self, batch_size: int) -> None:
        self.batch_size = batch_size

    def texts(self, texts: list[str]) -> list[list[float]]:
        return [[float(len(text) % 7 + place) for place in range(DIMENSION)] for text in texts]


def _child(batch_size: int) -> None:
    libraries: Any = _Libraries()
    embedder: Any = _Embedder(batch_size) if batch_size else None
    settings = Settings((LIBRARY,), splitter=Splitter(CHUNK_SIZE, 0), max_concurrency=2)
    before, began = peak_memory(), time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        preparation = Preparation(settings.splitter, Analyzer(), Vocabulary())
        store = Store(folder, settings.library_ids)
        sync = Sync(libraries, settings, PageReader(libraries), preparation, embedder, store, ignore)
        snapshot = run(sync.local(None, SyncReport()))
    peak = peak_memory()
    text = sum(len(stored.text) for stored in snapshot.texts.values())
    spent = time.perf_counter() - began
    print(f"{len(snapshot)}\t{text / 2**20:.0f}\t{peak - before:.0f}\t{spent:.0f}")


def section() -> Section:
    """Measure each batch size in its own process."""
    rows = []
    for batch_size in (0, 16, 1024):
        command = [sys.executable, "-m", "benchmarks.retrieval_memory", str(batch_size)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        chunks, text, peak, seconds = done.stdout.split()
        name = f"embedding batches of {batch_size}" if batch_size else "bm25 only"
        rows.append([name, chunks, text, peak, seconds])
    notes = [f"The vectors themselves ({DIMENSION} numbers each) take {100_000 * DIMENSION * 4 / 2**20:.0f} MiB."]
    columns = ["sync", "chunks", "text, MiB", "peak above start, MiB", "seconds"]
    return Section("Memory of a sync of 100,000 chunks", columns, rows, notes)


if __name__ == "__main__":
    _child(int(sys.argv[1]))
