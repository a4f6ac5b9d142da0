"""Search indexes of the service (`beta.context.search_indexes`): a public preview, and experimental here.

An index is a product of its own, not a view of a library: it holds what was put in, chunks and vectors. This is built
after the SDK's models; no recorded reply of the service was available. Names are checked before a request.
"""

from __future__ import annotations

import asyncio
import builtins
import re
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Literal, TypedDict
from uuid import NAMESPACE_DNS, uuid5

from typing_extensions import Unpack

from mistral_agents._api.arguments import flag_text, known_options
from mistral_agents._api.paging import awalk, by_token, walk
from mistral_agents._api.records import Listing, Record, as_record, rows_of
from mistral_agents._border.text import parse_json
from mistral_agents._http.calls import Call, Operation, check_ids, path_of
from mistral_agents._http.transport import Transport
from mistral_agents._json import JsonDict
from mistral_agents._turn.content import as_json_text
from mistral_agents.errors import ConfigurationError, NotFoundError, ResponseFormatError, ServerFailureError
from mistral_agents.retrieval.errors import IndexNotReadyError, IngestError
from mistral_agents.retrieval.filters import Condition, Filter, known_field, refused

FieldType = Literal["keyword", "int", "long", "float", "timestamp"]
DOCUMENT_FIELDS: dict[str, FieldType] = {
    "library_id": "keyword",
    "document_id": "keyword",
    "file_name": "keyword",
    "file_type": "keyword",
    "file_size": "long",
    "creation_date": "timestamp",
    "last_modified_date": "timestamp",
}
"""What an index of library documents can filter by."""
CHUNK_FIELDS: dict[str, FieldType] = {"page_label": "keyword"}
MAX_TOP_K = 100
SearchKind = Literal["keyword", "nearest_neighbour", "rrf"]
_CANDIDATES = 50  # of each ranking that a fusion joins, at least
_RANK_CONSTANT = 60
_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]{0,62}")
_PAUSE = 0.3  # seconds between looks at an index that is being made
_BASE = "/v1/context/search-indexes"


class SearchIndex(Record):
    """An index; `status` is `provisioning`, `ready`, `failed`, ..."""

    name: str
    status: str | None
    config: JsonDict | None
    schema: JsonDict | None


class IndexSummary(Record):
    """What an index holds, in words; `status` is `generated`, `handwritten`, `generated_confirmed`, ..."""

    content: str
    status: str | None
    translated: bool | None


Language = Literal["en", "fr", "es", "de", "it", "pt_br", "pl", "ar", "nl"]
_LANGUAGES = ("en", "fr", "es", "de", "it", "pt_br", "pl", "ar", "nl")


class IndexFilters(TypedDict, total=False):
    """Which indexes are listed.

    Attributes:
        page_size: Indexes per request, 1 to 100; 20 by default.
        name: Part of the name.
        status: Such as `ready`.
        creator_id: Who made them.
    """

    page_size: int
    name: str | None
    status: str | None
    creator_id: str | None


def checked_name(name: str) -> str:
    """An index's name.

    Raises:
        ConfigurationError: It does not fit the service's rule.
    """
    if _NAME.fullmatch(str(name)) is None:
        raise ConfigurationError(
            f"An index name has 1 to 63 letters, digits or _, and does not begin with a digit, not {name!r}."
        )
    return name


def document_id_of(source_id: str) -> str:
    """The id that an index gives a document, after Mistral's search toolkit."""
    return str(uuid5(NAMESPACE_DNS, source_id))


def _make_index_call(
    method: str, name: str | None, suffix: str, what: str, body: Mapping[str, Any] | None = None
) -> Call:
    path = _BASE if name is None else path_of(f"{_BASE}/{{name}}", name=checked_name(name)) + suffix
    operation = Operation(f"context_search_indexes_{method.lower()}{suffix.replace('/', '_')}", "beta.context")
    return Call(what, method, path, operation, body=body)


def _make_list_call(filters: Mapping[str, Any]) -> Call:
    params = {"page_size": 20, **known_options(filters, IndexFilters, "list")}
    return replace(_make_index_call("GET", None, "", "Listing indexes"), params=params)


def _make_summary_call(method: str, name: str, language: str, what: str, body: Mapping[str, Any] | None = None) -> Call:
    if language not in _LANGUAGES:
        raise ConfigurationError(f"language must be one of {', '.join(_LANGUAGES)}, not {language!r}.")
    return _make_index_call(method, name, f"/summary_field/{language}", what, body)


def _make_setting_call(name: str, language: str, content: str, *, confirmed: bool, translated: bool) -> Call:
    if not content.strip():
        raise ConfigurationError(f"content must be a text that is not blank, not {content!r}.")
    status = "generated_confirmed" if confirmed else "handwritten"
    body = {"content": content, "status": status, "translated": translated}
    return _make_summary_call("PUT", name, language, "Setting the index's summary", body)


def _make_generation_call(name: str, language: str, *, force: bool) -> Call:
    call = _make_summary_call("POST", name, language, "Having the index's summary written")
    return replace(call, params={"force": flag_text(force)}, once=True)


def _join_summary(content: bytes) -> IndexSummary:
    """The summary of a reply that is a line of facts and lines of text.

    Raises:
        ServerFailureError: The service broke off.
        ResponseFormatError: A line can't be read; `.body` is the whole text.
    """
    text = content.decode("utf-8", "replace")
    summary = IndexSummary(content="")
    for line in filter(str.strip, text.split("\n")):
        try:
            row = parse_json(line)
        except ValueError:
            row = None
        if not isinstance(row, dict):
            raise ResponseFormatError("A line of the index's summary is no JSON object.", body=text)
        if "error" in row:
            raise ServerFailureError(f"The index's summary was not finished: {row['error']}", body=row)
        summary["content"] += as_json_text(row.pop("content", None))
        summary.update(row)
    return summary


class SearchIndexes:
    """Makes, fills and searches indexes. Every method has an asynchronous twin with the prefix `a`.

    Raises:
        NotFoundError: There is no such index, or this key may not use it; the service does not tell which.
        ConflictError: The index is not ready.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(self, name: str, *, embedding: Mapping[str, Any], schema: Mapping[str, Any]) -> SearchIndex:
        """Have an index made; it can be used once it is `ready` (see `wait_until_ready`)."""
        return as_record(SearchIndex, self._transport.send(_make_creation_call(name, embedding, schema)).json())

    async def acreate(self, name: str, *, embedding: Mapping[str, Any], schema: Mapping[str, Any]) -> SearchIndex:
        """As `create`, without blocking."""
        return as_record(
            SearchIndex, (await self._transport.asend(_make_creation_call(name, embedding, schema))).json()
        )

    def get(self, name: str) -> SearchIndex:
        """Read an index."""
        return as_record(
            SearchIndex, self._transport.send(_make_index_call("GET", name, "", "Reading the index")).json()
        )

    async def aget(self, name: str) -> SearchIndex:
        """As `get`, without blocking."""
        reply = await self._transport.asend(_make_index_call("GET", name, "", "Reading the index"))
        return as_record(SearchIndex, reply.json())

    def delete(self, name: str) -> None:
        """Have an index deleted, with all it holds."""
        self._transport.send(_make_index_call("DELETE", name, "", "Deleting the index"))

    async def adelete(self, name: str) -> None:
        """As `delete`, without blocking."""
        await self._transport.asend(_make_index_call("DELETE", name, "", "Deleting the index"))

    def list(self, **filters: Unpack[IndexFilters]) -> Listing[SearchIndex]:
        """The indexes of the workspace, page after page; all of them, or by `IndexFilters`."""
        return Listing(map(SearchIndex, walk(self._transport.send, _make_list_call(filters), by_token, "data")))

    async def alist(self, **filters: Unpack[IndexFilters]) -> AsyncIterator[SearchIndex]:
        """As `list`, without blocking."""
        async for row in awalk(self._transport.asend, _make_list_call(filters), by_token, "data"):
            yield SearchIndex(row)

    # summaries -------------------------------------------------------------------------------------------------

    def summary(self, name: str, language: Language = "en") -> IndexSummary:
        """What an index holds, in words.

        Raises:
            NotFoundError: There is no such index, or it has no summary in that language.
        """
        call = _make_summary_call("GET", name, language, "Reading the index's summary")
        return as_record(IndexSummary, self._transport.send(call).json())

    async def asummary(self, name: str, language: Language = "en") -> IndexSummary:
        """As `summary`, without blocking."""
        call = _make_summary_call("GET", name, language, "Reading the index's summary")
        return as_record(IndexSummary, (await self._transport.asend(call)).json())

    def set_summary(
        self, name: str, content: str, language: Language = "en", *, confirmed: bool = False, translated: bool = False
    ) -> None:
        """Say in your own words what an index holds.

        Args:
            name: The index.
            content: The summary.
            language: Its language.
            confirmed: Whether it was generated, and you only confirm it.
            translated: Whether it is a translation.
        """
        self._transport.send(_make_setting_call(name, language, content, confirmed=confirmed, translated=translated))

    async def aset_summary(
        self, name: str, content: str, language: Language = "en", *, confirmed: bool = False, translated: bool = False
    ) -> None:
        """As `set_summary`, without blocking."""
        await self._transport.asend(
            _make_setting_call(name, language, content, confirmed=confirmed, translated=translated)
        )

    def generate_summary(self, name: str, language: Language = "en", *, force: bool = False) -> IndexSummary:
        """Have the service write what an index holds, and wait for it.

        Args:
            name: The index.
            language: The language.
            force: Whether a summary that is there is written anew.

        Raises:
            ServerFailureError: The service broke off.
        """
        return _join_summary(self._transport.send(_make_generation_call(name, language, force=force)).content)

    async def agenerate_summary(self, name: str, language: Language = "en", *, force: bool = False) -> IndexSummary:
        """As `generate_summary`, without blocking."""
        return _join_summary((await self._transport.asend(_make_generation_call(name, language, force=force))).content)

    def wait_until_ready(self, name: str, *, timeout: float = 300.0) -> SearchIndex:
        """Wait for an index that is being made.

        Args:
            name: The index.
            timeout: Seconds.

        Raises:
            IndexNotReadyError: It failed, or the time was up.
        """
        deadline = time.monotonic() + timeout
        while not _is_ready(index := self.get(name), deadline):
            time.sleep(_PAUSE)
        return index

    async def await_until_ready(self, name: str, *, timeout: float = 300.0) -> SearchIndex:
        """As `wait_until_ready`, without blocking."""
        deadline = time.monotonic() + timeout
        while True:
            index = await self.aget(name)
            if _is_ready(index, deadline):
                return index
            await asyncio.sleep(_PAUSE)

    def ensure(self, name: str, *, embedding: Mapping[str, Any], schema: Mapping[str, Any]) -> SearchIndex:
        """The index, made where there is none, when it is ready.

        Raises:
            ConfigurationError: It exists with vectors of another length.
            IndexNotReadyError: It failed, or is not ready in time.
        """
        try:
            self.get(name)
        except NotFoundError:
            self.create(name, embedding=embedding, schema=schema)
        return _check_same_length(self.wait_until_ready(name), embedding)

    async def aensure(self, name: str, *, embedding: Mapping[str, Any], schema: Mapping[str, Any]) -> SearchIndex:
        """As `ensure`, without blocking."""
        try:
            await self.aget(name)
        except NotFoundError:
            await self.acreate(name, embedding=embedding, schema=schema)
        return _check_same_length(await self.await_until_ready(name), embedding)

    def ingest(self, name: str, documents: Sequence[Mapping[str, Any]]) -> None:
        """Put documents in; each replaces the one with its `source_id`.

        Raises:
            IngestError: Some were rejected; the others are in.
        """
        _check_ingest(self._transport.send(_make_ingestion_call(name, documents)).json(), documents)

    async def aingest(self, name: str, documents: Sequence[Mapping[str, Any]]) -> None:
        """As `ingest`, without blocking."""
        _check_ingest((await self._transport.asend(_make_ingestion_call(name, documents))).json(), documents)

    def delete_documents(self, name: str, source_ids: Sequence[str]) -> None:
        """Delete documents by the ids they were put in with; absent ones are no error."""
        self._transport.send(_make_deletion_call(name, source_ids))

    async def adelete_documents(self, name: str, source_ids: Sequence[str]) -> None:
        """As `delete_documents`, without blocking."""
        await self._transport.asend(_make_deletion_call(name, source_ids))

    def search(self, name: str, retriever: Mapping[str, Any]) -> builtins.list[JsonDict]:
        """Hits of a `keyword`, `nearest_neighbour` or `rrf` retriever, best first: `chunk`, `score`, `distance`."""
        call = _make_index_call("POST", name, "/search", "Searching the index", {"retriever": dict(retriever)})
        return rows_of(self._transport.send(call).json(), "hits")

    async def asearch(self, name: str, retriever: Mapping[str, Any]) -> builtins.list[JsonDict]:
        """As `search`, without blocking."""
        call = _make_index_call("POST", name, "/search", "Searching the index", {"retriever": dict(retriever)})
        return rows_of((await self._transport.asend(call)).json(), "hits")


def _make_creation_call(name: str, embedding: Mapping[str, Any], schema: Mapping[str, Any]) -> Call:
    body = {"name": checked_name(name), "config": {"embedding": dict(embedding)}, "schema": dict(schema)}
    return _make_index_call("POST", None, "", "Creating the index", body)


def _make_ingestion_call(name: str, documents: Sequence[Mapping[str, Any]]) -> Call:
    return _make_index_call(
        "POST", name, "/documents", "Filling the index", {"documents": [dict(one) for one in documents]}
    )


def _make_deletion_call(name: str, source_ids: Sequence[str]) -> Call:
    check_ids({"source_ids": source_ids})
    body = {"document_ids": [document_id_of(one) for one in source_ids]}
    return _make_index_call("DELETE", name, "/documents", "Deleting documents of the index", body)


def _is_ready(index: SearchIndex, deadline: float) -> bool:
    status = index.get("status")
    if status == "ready":
        return True
    if status == "failed" or time.monotonic() >= deadline:
        raise IndexNotReadyError(f"Index {index.get('name')} is {status}: {index.get('status_message')}.", body=index)
    return False


def _check_same_length(index: SearchIndex, embedding: Mapping[str, Any]) -> SearchIndex:
    held = (index.get("config") or {}).get("embedding", {}).get("dimensions")
    if held is not None and held != embedding["dimensions"]:
        message = (
            f"Index {index.get('name')} holds vectors of {held} numbers, the model makes {embedding['dimensions']}."
        )
        raise ConfigurationError(message)
    return index


def _check_ingest(reply: object, documents: Sequence[Mapping[str, Any]]) -> None:
    results = rows_of(reply, "results")
    refused_rows = [one for one in results if one.get("status") == "rejected"]
    rejected = {_name_source(one.get("position"), documents): one.get("errors") for one in refused_rows}
    if rejected:
        raise IngestError(f"The index rejected {len(rejected)} document(s): {rejected}.", rejected=rejected, body=reply)


def _name_source(position: object, documents: Sequence[Mapping[str, Any]]) -> str:
    """The id of the document at a place, as the reply names it; what names none stands for itself."""
    if not isinstance(position, int) or not 0 <= position < len(documents):
        return f"the document at {position!r}"
    return str(documents[position].get("source_id"))


# indexes of library documents, and questions ------------------------------------------------------------------------


def make_index(embedding_name: str, dimensions: int, document_fields: Mapping[str, FieldType]) -> JsonDict:
    """The arguments of `SearchIndexes.ensure` for vectors of a model of the caller's."""
    schema = {
        "document_fields": {name: {"type": kind} for name, kind in document_fields.items()},
        "chunk_fields": {name: {"type": kind} for name, kind in CHUNK_FIELDS.items()},
    }
    return {"embedding": {"type": "custom", "name": embedding_name, "dimensions": dimensions}, "schema": schema}


def make_locator(key: str, start: int | None, end: int | None, page: str | None) -> str:
    """Where a chunk stands in its document: by its characters, with its page where known; else by its key."""
    place = f"char:{start}-{end}" if start is not None else f"node:{key}"
    return f"page:{page}:{place}" if page is not None and start is not None else place


def make_retriever(
    kind: SearchKind, top_k: int, text: str | None, vector: Sequence[float] | None, filter_: JsonDict | None
) -> JsonDict:
    """What `SearchIndexes.search` takes for a question; `rrf` joins the rankings by words and by vectors.

    Raises:
        ConfigurationError: `top_k` is out of range, or the question lacks what the kind needs.
    """
    if not 1 <= top_k <= MAX_TOP_K:
        raise ConfigurationError(f"A search index returns 1 to {MAX_TOP_K} chunks, not {top_k}.")
    if kind == "rrf":
        size = max(top_k, _CANDIDATES)
        words = make_retriever("keyword", size, text, vector, filter_)
        near = make_retriever("nearest_neighbour", size, text, vector, filter_)
        return {"type": "rrf", "retrievers": [words, near], "top_k": top_k, "rank_constant": _RANK_CONSTANT}
    name, value = ("query", text) if kind == "keyword" else ("query_embedding", vector)
    if value is None:
        missing = "words" if kind == "keyword" else "a vector"
        raise ConfigurationError(f"A search of an index by {kind} needs {missing}.")
    return {"type": kind, name: value, "top_k": top_k, **({"filter": filter_} if filter_ is not None else {})}


# filters ---------------------------------------------------------------------------------------------------------

_BOUNDS = {">": "gt", ">=": "gte", "<": "lt", "<=": "lte"}
_NUMBERS = ("int", "long", "float")


def compile_filter(filter_: Filter, types: Mapping[str, str]) -> JsonDict:
    """A filter in the index's language.

    Args:
        filter_: The filter.
        types: The fields that the index declares, and their types.

    Raises:
        UnsupportedFilterError: A field is not declared, or an operator or value is none the index knows.
    """
    if isinstance(filter_, Condition):
        return _compile_condition(filter_, types)
    parts = [compile_filter(part, types) for part in filter_.parts]
    if not parts:
        return {"type": "and", "matches": []}
    if filter_.operator == "not":
        return {"type": "not", "match": {"type": "or", "matches": parts}}
    return {"type": filter_.operator, "matches": parts}


def _compile_condition(condition: Condition, types: Mapping[str, str]) -> JsonDict:
    operator, field = condition.operator, known_field(condition.field, types)
    kind = types.get(field)
    if kind is None:
        raise refused(condition, "index", "can filter by declared fields only")
    if operator in ("==", "!="):
        equal = {"type": "equal", "field": field, "value": _check_fitting(condition, condition.value, kind)}
        return equal if operator == "==" else {"type": "not", "match": equal}
    if operator in ("in", "nin"):
        values = [_check_fitting(condition, value, kind) for value in condition.value]
        among = {"type": "in", "field": field, "values": values}
        return among if operator == "in" else {"type": "not", "match": among}
    if operator in _BOUNDS and (kind in _NUMBERS or kind == "timestamp"):
        return {"type": "range", "field": field, _BOUNDS[operator]: _check_fitting(condition, condition.value, kind)}
    raise refused(condition, "index", f"has no such comparison for a field of type {kind}")


def _check_fitting(condition: Condition, value: object, kind: str) -> Any:
    """The value, which must be of the field's type; a bool would silently be sent as 1 or 0."""
    if kind == "timestamp":
        fits = isinstance(value, str) and _is_time(value)
    elif kind in _NUMBERS:
        fits = isinstance(value, (int, float)) and not isinstance(value, bool)
    else:
        fits = isinstance(value, str)
    if not fits:
        raise refused(condition, "index", f"needs a value of type {kind}")
    return value


def _is_time(value: str) -> bool:
    try:
        datetime.fromisoformat(value.replace("Z", "+00:00"))
    except ValueError:
        return False
    return True
