"""Sync, search, memory and opening of 100,000 and 1,000,000 passages; each measured in a process of its own."""

from __future__ import annotations

import importlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

from benchmarks._table import Section, peak_memory
from mistral_agents.retrieval.analysis import Analyzer
from mistral_agents.retrieval.chunking import Splitter
from mistral_agents.retrieval.documents import LibraryDocument
from mistral_agents.retrieval.postings import Vocabulary
from mistral_agents.retrieval.snapshot import Preparation, Query, Snapshot, StoredText
from mistral_agents.retrieval.store import Store

LIBRARY = "0197f425-5e85-7353-b8e7-e8b974b9c613"
SIZES = (100_000, 1_000_000)
EACH, WORDS_EACH, QUESTIONS, TOP_K = 50, 70, 200, 10
_SYLLABLES = ("ka", "lo", "mi", "ne", "tur", "ba", "so", "vi", "ren", "dal")
WORDS = ["".join(_SYLLABLES[int(digit)] for digit in f"{number:05d}") for number in range(50_000)]
"""A word's frequency falls with its rank (Zipf), as in a language."""


def _documents(passages: int) -> Iterator[tuple[LibraryDocument, str]]:
    numpy = importlib.import_module("numpy")
    chance, weights = numpy.random.default_rng(3), 1 / numpy.arange(1, len(WORDS) + 1)
    for number in range(passages // EACH):
        picks = chance.choice(len(WORDS), size=(EACH, WORDS_EACH), p=weights / weights.sum())
        text = "\n\n".join(" ".join(WORDS[word] for word in row) for row in picks)
        yield LibraryDocument(LIBRARY, f"{number:08}", f"d{number}.txt"), text


def _questions() -> list[str]:
    """Four words each: one of the 1,000 most frequent ones, one of the next 9,000 and two of the rest."""
    numpy = importlib.import_module("numpy")
    chance = numpy.random.default_rng(4)
    ranges = ((0, 1000), (1000, 10_000), (10_000, 50_000), (10_000, 50_000))
    return [" ".join(WORDS[int(chance.integers(*one))] for one in ranges) for _ in range(QUESTIONS)]


def _milliseconds(search: Callable[[str], Any]) -> dict[str, float]:
    spent = []
    for question in _questions():
        began = time.process_time()
        search(question)
        spent.append(1000 * (time.process_time() - began))
    return {"p50": statistics.median(spent), "p95": sorted(spent)[int(0.95 * len(spent))]}


def _search(snapshot: Snapshot) -> dict[str, float]:
    analyzer = Analyzer()
    return _milliseconds(lambda text: snapshot.search(Query(text, TOP_K), analyzer.query_terms(text)))


def _preparation() -> Preparation:
    return Preparation(Splitter(3000, 0), Analyzer(), Vocabulary())


def _build(passages: int, folder: str) -> dict[str, float]:
    preparation, texts, spent, size = _preparation(), list[StoredText](), 0.0, 0
    before = peak_memory()
    for document, text in _documents(passages):
        size += len(text)
        began = time.process_time()
        texts.append(preparation.store(document, text, list(_paragraphs(text))))
        spent += time.process_time() - began
    began = time.process_time()
    snapshot = Snapshot(texts, preparation.vocabulary)
    spent += time.process_time() - began
    peak = peak_memory() - before - size / 2**20
    found = {"passages": len(snapshot), "text": size / 2**20, "rate": len(snapshot) / spent, "memory": peak}
    found |= _search(snapshot)
    Store(folder, (LIBRARY,)).save(snapshot, preparation, None)
    return found


def _paragraphs(text: str) -> Iterator[Any]:
    from mistral_agents.retrieval.chunking import Page

    at = 0
    for number, paragraph in enumerate(text.split("\n\n"), start=1):
        yield Page(str(number), at, at + len(paragraph))
        at += len(paragraph) + 2


def _open(_passages: int, folder: str) -> dict[str, float]:
    before, began = peak_memory(), time.process_time()
    preparation = _preparation()
    found = Store(folder, (LIBRARY,)).load(preparation, None)
    assert found is not None
    snapshot = Snapshot(found[0], preparation.vocabulary, "", found[1])
    seconds = time.process_time() - began
    size = sum(len(stored.text) for stored in snapshot.texts.values()) / 2**20
    return {"seconds": seconds, **_search(snapshot), "memory": peak_memory() - before - size}


def _peer(passages: int, _folder: str) -> dict[str, float]:
    """LlamaIndex's BM25Retriever over the same passages."""
    import Stemmer
    from llama_index.core.schema import TextNode

    module = importlib.import_module("llama_index.retrievers.bm25")
    nodes = [TextNode(text=part) for _, text in _documents(passages) for part in text.split("\n\n")]
    before, began = peak_memory(), time.process_time()
    stemmer = Stemmer.Stemmer("english")
    retriever = module.BM25Retriever.from_defaults(nodes=nodes, similarity_top_k=TOP_K, stemmer=stemmer, language="en")
    rate = len(nodes) / (time.process_time() - began)
    memory = peak_memory() - before
    return {"passages": len(nodes), "rate": rate, "memory": memory, **_milliseconds(retriever.retrieve)}


_TASKS = {"build": _build, "open": _open, "peer": _peer}


def _measured(task: str, passages: int, folder: str) -> dict[str, float] | None:
    command = [sys.executable, "-m", "benchmarks.retrieval_scale", task, str(passages), folder]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        if task == "peer":
            return None
        raise RuntimeError(done.stderr)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def section() -> Section:
    """Measure each size."""
    rows: list[list[str]] = []
    for passages in SIZES:
        with tempfile.TemporaryDirectory() as folder:
            built, opened = _measured("build", passages, folder), _measured("open", passages, folder)
        assert built is not None
        assert opened is not None
        rows.append(_row("synced", built, ""))
        rows.append(_row("opened again", {**built, **opened, "rate": 0}, f"{opened['seconds']:.1f}"))
        if passages == SIZES[0] and (peer := _measured("peer", passages, "")) is not None:
            rows.append(_row("llama-index-retrievers-bm25", peer, ""))
    columns = ["index", "passages", "passages/s", "p50, ms", "p95, ms", "memory beside the texts, MiB", "opening, s"]
    notes = [f"bm25, top {TOP_K}; four words a question, one of them frequent; CPU time, of a sync without reading it."]
    return Section("Size", columns, rows, notes)


def _row(name: str, found: dict[str, float], opening: str) -> list[str]:
    rate = f"{found['rate']:,.0f}" if found["rate"] else ""
    times = [f"{found['p50']:.2f}", f"{found['p95']:.2f}"]
    return [name, f"{found['passages']:,.0f}", rate, *times, f"{found['memory']:,.0f}", opening]


if __name__ == "__main__":
    print(json.dumps(_TASKS[sys.argv[1]](int(sys.argv[2]), sys.argv[3])))
