"""Two-stage search of big libraries: documents by name and summary first, then the texts of the best few."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from mistral_agents._steps import Steps, Work, arun, run
from mistral_agents.errors import ConfigurationError
from mistral_agents.retrieval.analysis import QueryTerm
from mistral_agents.retrieval.documents import INTERNAL, LibraryDocument
from mistral_agents.retrieval.engine import LibraryEngine, warn_of_unknown_fields
from mistral_agents.retrieval.events import SyncReport
from mistral_agents.retrieval.filters import fields
from mistral_agents.retrieval.marks import Hits
from mistral_agents.retrieval.reading import ReadText
from mistral_agents.retrieval.snapshot import Query, Snapshot, StoredText
from mistral_agents.retrieval.store import Journal

_KEPT = 4  # how many times `top_documents` texts stay in memory


class LazyEngine(LibraryEngine):
    """Searches libraries without reading them first.

    A sync only lists. A search ranks documents by name, summary and attributes, reads the texts of the best
    `top_documents` (a few at once; recently read ones are kept), and ranks their passages by BM25. What the first
    stage misses is not found, and scores compare only within one search, since they rest on the texts of that search.

    Args:
        top_documents: How many texts a search reads.
        args: As of `LibraryEngine`; neither `embedder` nor `persist_dir` may be given.

    Raises:
        ConfigurationError: `top_documents` is below 1, or an argument does not fit.
    """

    def __init__(self, *args: Any, top_documents: int, **options: Any) -> None:
        super().__init__(*args, **options)
        if top_documents < 1:
            raise ConfigurationError(f"top_documents must be at least 1, not {top_documents}.")
        if self.embedder is not None or self.persist_dir is not None:
            raise ConfigurationError("A lazy search takes neither an embedding model nor persist_dir.")
        self.top_documents = top_documents

    def _reset(self) -> None:
        super()._reset()
        self._read: OrderedDict[tuple[str, str], StoredText] = OrderedDict()

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in super().__getstate__().items() if key != "_read"}

    def _renewed(self, old: Snapshot | None, report: SyncReport) -> Steps[Snapshot]:
        known = old.texts if old is not None else {}
        plan = yield from self._steps().plan({key: entry.document for key, entry in known.items()}, report)
        self._steps().check(report, len(plan.keep) + len(plan.renew) + len(plan.read), plan.listed)
        kept = [known[key] for key in plan.keep]
        snapshot: Snapshot = yield Work(
            lambda: self._snapshot_of([*kept, *(self._entry(document) for document in [*plan.renew, *plan.read])])
        )
        report.without_summary = sum(entry.document.summary is None for entry in snapshot.texts.values())
        report.snapshot_id = snapshot.id
        return snapshot

    def _entry(self, document: LibraryDocument) -> StoredText:
        values = " ".join(str(value) for key, value in document.attributes.items() if key not in INTERNAL)
        text = f"{document.summary if document.summary is not None else document.name}\n{values}"
        return self._steps().preparation.store(document, text, ())

    def _snapshot_of(self, texts: list[StoredText]) -> Snapshot:
        return Snapshot(texts, self._steps().preparation.vocabulary, self._steps().settings_key)

    def search(self, query: Query) -> Hits:
        """The best passages of the best documents, best first."""
        return run(self._second_stage(self.current(), query))

    async def asearch(self, query: Query) -> Hits:
        """As `search`, without blocking."""
        return await arun(self._second_stage(await self.acurrent(), query))

    def _second_stage(self, catalogue: Snapshot, query: Query) -> Steps[Hits]:
        if query.strategy != "bm25":
            raise ConfigurationError(f"A lazy search ranks by bm25, not by {query.strategy}.")
        terms = self.terms(query.text)
        documents = self._first_stage(catalogue, query, terms)
        found = {key: text for document in documents if (text := self._read.get(key := _key(document))) is not None}

        def put(document: LibraryDocument, read: ReadText) -> None:
            found[_key(document)] = self._steps().preparation.store(document, read.text, read.pages)

        missing = [document for document in documents if _key(document) not in found]
        yield from self._steps().read(missing, Journal({}, {}), SyncReport(), put)
        self._remember(found)
        texts: Snapshot = yield Work(lambda: self._snapshot_of(list(found.values())))
        return Hits(texts.find(query, terms), terms, self.settings.language)

    def _first_stage(self, catalogue: Snapshot, query: Query, terms: list[QueryTerm]) -> list[LibraryDocument]:
        warn_of_unknown_fields(query.filter, catalogue)
        by_document = query.filter if query.filter is None or "page_label" not in fields(query.filter) else None
        hits = catalogue.search(Query(query.text, max(1, len(catalogue)), filter=by_document), terms)
        documents = {hit.document.document_id: hit.document for hit in hits}
        return list(documents.values())[: self.top_documents]

    def _remember(self, found: dict[tuple[str, str], StoredText]) -> None:
        for key, text in found.items():
            self._read.pop(key, None)  # to the end, though another thread may forget it meanwhile
            self._read[key] = text
        while len(self._read) > _KEPT * self.top_documents:
            self._read.popitem(last=False)


def _key(document: LibraryDocument) -> tuple[str, str]:
    return document.document_id, document.text_key
