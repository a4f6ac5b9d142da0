"""Probes of libraries, embeddings and batch jobs."""

from __future__ import annotations

import time
from uuid import uuid4

from mistral_agents._json import JsonDict
from mistral_agents.errors import MistralAgentsError
from mistral_agents.tools import DocumentLibrary
from mistral_agents.verify.plan import Finding, Probe, judge, skip, tell_refusal
from mistral_agents.verify.workbench import Workbench

_TEXT = "The lighthouse of Kermor is seven metres tall."
_FILES: dict[str, bytes] = {
    "kermor.txt": _TEXT.encode(),
    "kermor.md": f"# Kermor\n\n{_TEXT}\n".encode(),
    "kermor.html": f"<html><body><p>{_TEXT}</p></body></html>".encode(),
    "kermor.csv": b"place,metres\nKermor,7\n",
    "kermor.json": b'{"place": "Kermor", "metres": 7}',
}


def _library(bench: Workbench) -> str:
    bench.wait()
    library = bench.client.libraries.create(bench.name)
    bench.keep("a library", lambda: bench.client.libraries.delete(library["id"]))
    return str(library["id"])


def _filled(bench: Workbench) -> tuple[str, dict[str, str]]:
    """A library with a document of each format, and what became of each."""
    library = bench.share("library", lambda: _library(bench))
    told: dict[str, str] = {}
    ids: dict[str, str] = {}
    for name, data in _FILES.items():
        bench.wait()
        try:
            ids[name] = bench.client.libraries.upload(library, (name, data))["id"]
        except MistralAgentsError as error:
            told[name] = tell_refusal(error)
    outcomes = bench.client.libraries.wait_until_ready(library, list(ids.values()), timeout=300)
    told.update(zip(ids, (outcome.state for outcome in outcomes), strict=True))
    return library, told


def _formats(bench: Workbench) -> Finding:
    _, told = bench.share("filled", lambda: _filled(bench))
    seen = "; ".join(f"{name.partition('.')[2]}: {state}" for name, state in told.items())
    return judge(all(state == "ready" for state in told.values()), seen, **told)


def _document_pages(bench: Workbench) -> Finding:
    library, told = bench.share("filled", lambda: _filled(bench))
    bench.wait()
    wanted = sum(not state.startswith("refused") for state in told.values())
    if wanted < 2:
        return skip(f"the library took {wanted} documents, which is no list with pages")
    found = list(bench.client.libraries.documents(library, page_size=1))
    return judge(len(found) == wanted, f"{len(found)} of {wanted} documents by pages of one")


def _page_counts(bench: Workbench) -> Finding:
    library, _ = bench.share("filled", lambda: _filled(bench))
    bench.wait()
    rows = list(bench.client.libraries.documents(library))
    told = {str(row.get("extension") or row.get("name")): row.get("number_of_pages") for row in rows}
    seen = f"{sum(isinstance(pages, int) for pages in told.values())} of {len(told)} documents tell their pages"
    return judge(bool(told) and all(isinstance(pages, int) for pages in told.values()), seen, **told)


def _attribute_filter(bench: Workbench) -> Finding:
    library, _ = bench.share("filled", lambda: _filled(bench))
    bench.wait()
    ready = list(bench.client.libraries.documents(library))
    bench.wait()
    bench.client.libraries.update_document(library, ready[0]["id"], attributes={"run": bench.run_id})
    bench.wait()
    try:
        rows = bench.read_documents(library, {"run": bench.run_id})
    except MistralAgentsError as error:
        return judge(False, tell_refusal(error))
    return judge(
        [row.get("id") for row in rows] == [ready[0]["id"]], f"{len(rows)} of {len(ready)} documents, 1 wanted"
    )


def _unknown_library(bench: Workbench) -> Finding:
    try:
        turn = bench.start("Search the library for seven.", tools=[DocumentLibrary([str(uuid4())])])
    except MistralAgentsError as error:
        return judge(False, tell_refusal(error))
    if not turn.tool_executions:
        return skip("the model searched nothing")
    hits = sum(len(search.hits) for search in turn.searches)
    failed = sum(run.error is not None for run in turn.tool_executions)
    return judge(hits == 0, f"{len(turn.tool_executions)} runs, {failed} of them failed, {hits} hits")


def _file_expiry(bench: Workbench) -> Finding:
    bench.wait()
    file = bench.client.files.upload((f"{bench.name}.txt", bench.run_id.encode()), expiry=2)
    bench.keep("a file", lambda: bench.client.files.delete(file["id"]))
    bench.wait()
    ends = bench.client.files.get(file["id"]).get("expires_at")
    if not isinstance(ends, (int, float)):
        return skip("the file does not tell its end")
    hours = (ends - time.time()) / 3600
    return judge(1.8 < hours < 2.2, f"expiry=2 ends in {hours:.1f} hours")


_EMBEDDING: JsonDict = {"type": "custom", "name": "verify", "dimensions": 2}


def _search_index(bench: Workbench) -> Finding:
    indexes, name = bench.client.search_indexes, f"verify_{bench.run_id}"
    bench.wait()
    try:
        indexes.create(name, embedding=_EMBEDDING, schema={"document_fields": {}})
    except MistralAgentsError as error:
        return skip(f"no index can be made: {type(error).__name__} ({error.status_code})")
    bench.keep("a search index", lambda: indexes.delete(name))
    indexes.wait_until_ready(name, timeout=120)
    chunk = {"content": _TEXT, "locator": f"char:0-{len(_TEXT)}", "content_embedding": [1.0, 0.0]}
    bench.wait()
    indexes.ingest(name, [{"source_id": "kermor", "chunks": [chunk]}])
    bench.wait()
    hits = indexes.search(name, {"type": "keyword", "query": "lighthouse"})
    return judge(len(hits) == 1, f"{len(hits)} hits for a word of the one document")


def _library_search(bench: Workbench) -> Finding:
    library, _ = bench.share("filled", lambda: _filled(bench))
    turn = bench.start("How tall is the lighthouse of Kermor? Search the library.", tools=[DocumentLibrary([library])])
    if not turn.tool_executions:
        return skip("the model searched nothing")
    hits = sum(len(search.hits) for search in turn.searches)
    return judge(hits > 0, f"{len(turn.tool_executions)} runs, {hits} hits straight after the upload", hits=hits)


def _embeddings(bench: Workbench) -> Finding:
    bench.wait()
    reply = bench.client.sdk.embeddings.create(model="mistral-embed", inputs=["seven"])
    size = len(reply.data[0].embedding)
    return judge(size == 1024, f"vectors of {size} numbers", size=size)


def _batch(bench: Workbench) -> Finding:
    bench.wait()
    requests = [{"custom_id": "seven", "body": {"inputs": "Say the word seven.", "metadata": bench.metadata}}]
    job = bench.client.sdk.batch.jobs.create(
        endpoint="/v1/conversations", requests=requests, model=bench.model, metadata=bench.metadata
    )
    return Finding("could not be tried", "begun; settled by --recheck", late={"job_id": job.id})


def _batch_later(bench: Workbench, late: JsonDict) -> Finding:
    job = bench.client.sdk.batch.jobs.get(job_id=late["job_id"], inline=True)
    if str(job.status) in ("QUEUED", "RUNNING"):
        return Finding("could not be tried", "the job still runs", late=late)
    rows = job.outputs if job.outputs is not None else []
    for row in rows:
        bench.keep_conversation(((row.get("response") or {}).get("body") or {}).get("conversation_id"))
    taken = str(job.status) == "SUCCESS" and job.succeeded_requests == 1
    return judge(taken, f"{job.status}: {job.succeeded_requests} of {job.total_requests} requests were answered")


STORES = (
    Probe(
        "library-formats",
        "a library with a document of five formats",
        "what became of each",
        "Text, Markdown, HTML, CSV and JSON are read.",
        _formats,
    ),
    Probe(
        "library-pages",
        "the list of documents, in pages of one",
        "whether all come",
        "The list of documents has pages.",
        _document_pages,
    ),
    Probe(
        "page-counts",
        "the list of documents",
        "number_of_pages of each",
        "A processed document tells its pages.",
        _page_counts,
    ),
    Probe(
        "attribute-filter",
        "the list of documents with filters_attributes",
        "whether only the one that has the attribute comes",
        "The service filters documents by their attributes.",
        _attribute_filter,
    ),
    Probe(
        "unknown-library",
        "a turn with a library that there is not",
        "whether it is refused, runs and hits",
        "A library that there is not is no error; its search finds nothing.",
        _unknown_library,
    ),
    Probe(
        "file-expiry",
        "an upload with expiry=2",
        "when it ends",
        "The expiry of a file is in hours.",
        _file_expiry,
    ),
    Probe(
        "search-index",
        "a search index with one document",
        "hits for a word of it",
        "A search index finds a document as soon as it is taken.",
        _search_index,
    ),
    Probe(
        "library-search",
        "a turn that searches the library straight after the upload",
        "hits",
        "A document is found as soon as it is processed.",
        _library_search,
        costs={"searches": 1},
    ),
    Probe(
        "embeddings",
        "one vector of mistral-embed",
        "its size",
        "Vectors of mistral-embed have 1024 numbers.",
        _embeddings,
    ),
    Probe(
        "batch",
        "a batch job of one conversation",
        "whether it is taken and answered",
        "Batch jobs take /v1/conversations.",
        _batch,
        settle=_batch_later,
    ),
)
