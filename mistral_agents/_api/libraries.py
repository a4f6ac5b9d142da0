"""What each call of the libraries API takes and sends."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Literal, TypedDict

from mistral_agents._api.arguments import flag_text, given, known_options, media_type_of, time_text, uuid_text
from mistral_agents._api.shared_files import split_id
from mistral_agents._http.calls import Call, Operation, check_mapping, check_whole_number, path_of
from mistral_agents._json import JsonDict
from mistral_agents.errors import ConfigurationError

Level = Literal["Viewer", "Editor"]
OwnerType = Literal["User", "Workspace"]
_OWNERS = ("User", "Workspace")
ShareWith = Literal["User", "Workspace", "Org"]
_TAG = "beta.libraries"


def _call_library(
    method: str, library_id: str, operation: str, what: str, body: Mapping[str, Any] | None = None
) -> Call:
    path = path_of("/v1/libraries/{library_id}", library_id=uuid_text("library_id", library_id))
    return Call(what, method, path, Operation(f"libraries_{operation}_v1", _TAG), body=body)


def create_library_call(
    name: str, description: str | None, chunk_size: int | None, owner_type: OwnerType | None
) -> Call:
    """A new library."""
    if owner_type not in (None, *_OWNERS):
        raise ConfigurationError(f"owner_type must be one of {', '.join(_OWNERS)}, not {owner_type!r}.")
    text: object = name
    if not isinstance(text, str) or not text.strip():
        raise ConfigurationError(f"name must not be empty, but a text, not {text!r}.")
    if chunk_size is not None:
        check_whole_number("chunk_size", chunk_size, 256, 32768)
    body = given(name=name, description=description, chunk_size=chunk_size, owner_type=owner_type)
    operation = Operation("libraries_create_v1", _TAG)
    return Call("Creating the library", "POST", "/v1/libraries", operation, body=body, once=True)


def list_libraries_call(page_size: int, search: str | None, owned_by_me: bool | None) -> Call:
    """The first page of the libraries."""
    params = {"page_size": page_size, "search": search, "filter_owned_by_me": flag_text(owned_by_me)}
    return Call("Listing libraries", "GET", "/v1/libraries", Operation("libraries_list_v1", _TAG), params=params)


def get_library_call(library_id: str) -> Call:
    """One library."""
    return _call_library("GET", library_id, "get", "Reading the library")


def update_library_call(library_id: str, name: str | None, description: str | None) -> Call:
    """A new name or description."""
    return _call_library(
        "PATCH", library_id, "patch", "Updating the library", given(name=name, description=description)
    )


def delete_library_call(library_id: str) -> Call:
    """Deleting, documents included."""
    return _call_library("DELETE", library_id, "delete", "Deleting the library")


def _make_documents_call(method: str, library_id: str, operation: str, what: str, **facts: Any) -> Call:
    path = path_of("/v1/libraries/{library_id}/documents", library_id=uuid_text("library_id", library_id))
    return Call(what, method, path, Operation(f"libraries_documents_{operation}_v1", f"{_TAG}.documents"), **facts)


class DocumentFilters(TypedDict, total=False):
    """Which documents are listed, and in which order.

    Attributes:
        page_size: Records per request, 1 to 100; 100 by default.
        search: The service's, by the name of the first of the documents that share a file.
        attributes: Values that a document must have, all of them; of a list one in common is enough. Looked at here,
            since documents that share a file keep theirs in one record; the service's own filter is deprecated (probe
            `attribute-filter`).
        sort_by: By which field the service sorts, such as `created_at` (its default) or `name`. Documents that share a
            file stand together.
        sort_order: `asc` or `desc` (the service's default).
    """

    page_size: int
    search: str | None
    attributes: Mapping[str, Any] | None
    sort_by: str | None
    sort_order: Literal["asc", "desc"] | None


def documents_call(library_id: str, filters: Mapping[str, Any]) -> Call:
    """The first page of a library's documents."""
    known = known_options(filters, DocumentFilters, "documents")
    check_mapping("attributes", known.pop("attributes", None))
    if known.get("sort_order", "asc") not in ("asc", "desc"):
        raise ConfigurationError(f"sort_order must be 'asc' or 'desc', not {known['sort_order']!r}.")
    params = {"page_size": 100, "page": 0, **known}
    return _make_documents_call("GET", library_id, "list", "Listing the library's documents", params=params)


def has_attributes(document: Mapping[str, Any], wanted: Mapping[str, Any] | None) -> bool:
    """Whether a document has all the attributes wanted."""
    kept = document.get("attributes")
    return not wanted or (isinstance(kept, Mapping) and all(_shares(kept.get(key), wanted[key]) for key in wanted))


def _shares(kept: object, wanted: object) -> bool:
    one, other = (list(value) if isinstance(value, (list, tuple)) else [value] for value in (kept, wanted))
    return any(isinstance(a, bool) == isinstance(b, bool) and a == b for a in one for b in other)


def upload_call(library_id: str, name: str, data: bytes) -> Call:
    """A new document."""
    part = (name, data, media_type_of(name))
    return _make_documents_call("POST", library_id, "upload", f"Uploading {name!r}", files={"file": part}, once=True)


def _make_document_call(
    method: str, library_id: str, document_id: str, operation: str, what: str, suffix: str = "", **facts: Any
) -> Call:
    path = path_of(
        "/v1/libraries/{library_id}/documents/{document_id}",
        library_id=uuid_text("library_id", library_id),
        document_id=uuid_text("document_id", split_id(document_id)[0]),
    )
    operation_of = Operation(f"libraries_documents_{operation}_v1", f"{_TAG}.documents")
    return Call(what, method, path + suffix, operation_of, **facts)


def document_call(library_id: str, document_id: str) -> Call:
    """One document."""
    return _make_document_call("GET", library_id, document_id, "get", "Reading the document")


def status_call(library_id: str, document_id: str) -> Call:
    """How far a document is processed."""
    return _make_document_call("GET", library_id, document_id, "get_status", "Reading the document's status", "/status")


def text_call(library_id: str, document_id: str, page_start: int | None, page_end: int | None) -> Call:
    """A document's text."""
    for name, page in (("page_start", page_start), ("page_end", page_end)):
        if page is not None:
            check_whole_number(name, page)
    params = {"page_start": page_start, "page_end": page_end}
    what, suffix = "Reading the document's text", "/text_content"
    return _make_document_call("GET", library_id, document_id, "get_text_content", what, suffix, params=params)


def document_changes(
    name: str | None, attributes: Mapping[str, Any] | None, expires_at: datetime | str | None
) -> JsonDict:
    """A document's new name, attributes or expiry, checked; None keeps what it has."""
    moment = time_text("expires_at", expires_at) if expires_at is not None else None
    return given(name=name, attributes=checked_attributes(attributes), expires_at=moment)


def change_document_call(library_id: str, document_id: str, changes: Mapping[str, Any]) -> Call:
    """New fields of a document."""
    return _make_document_call("PATCH", library_id, document_id, "patch", "Updating the document", body=changes)


def checked_attributes(attributes: Mapping[str, Any] | None) -> JsonDict | None:
    """Attributes as the service takes them.

    Raises:
        ConfigurationError: Some it does not take; all of them are named.
    """
    if attributes is None:
        return None
    bad = list(unfit_attributes(attributes))
    if bad:
        allowed = "texts, whole or finite numbers, bools, and lists of one of these kinds"
        raise ConfigurationError(f"attributes can't be kept by the service: {'; '.join(bad)}. Allowed are {allowed}.")
    return dict(attributes)


def unfit_attributes(attributes: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with each attribute that the service would refuse."""
    given: Any = attributes
    if not isinstance(given, Mapping):
        yield f"{given!r} is no dict"
        return
    for key, value in given.items():
        if not isinstance(key, str):
            yield f"the name {key!r} is no text"
        elif not key:
            yield "a name is empty"
        elif not _is_scalar(value) and not _is_list(value):
            yield f"{key!r} is {value!r}"


def _is_scalar(value: object) -> bool:
    return isinstance(value, (str, int)) or (isinstance(value, float) and math.isfinite(value))


def _is_list(value: object) -> bool:
    if not isinstance(value, (list, tuple)) or not all(_is_scalar(item) for item in value):
        return False
    kinds = {str if isinstance(item, str) else bool if isinstance(item, bool) else float for item in value}
    return len(kinds) <= 1


def delete_document_call(library_id: str, document_id: str) -> Call:
    """Deleting a document."""
    return _make_document_call("DELETE", library_id, document_id, "delete", "Deleting the document")


def reprocess_call(library_id: str, document_id: str) -> Call:
    """Processing a document again."""
    return _make_document_call("POST", library_id, document_id, "reprocess", "Reprocessing the document", "/reprocess")


def signed_url_call(library_id: str, document_id: str, *, extracted_text: bool) -> Call:
    """A link to a document, or to the text taken from it."""
    kind = "extracted-text-signed-url" if extracted_text else "signed-url"
    operation = "get_extracted_text_signed_url" if extracted_text else "get_signed_url"
    return _make_document_call("GET", library_id, document_id, operation, "Reading the document's link", f"/{kind}")


def share_library_call(method: str, library_id: str, operation: str, body: Mapping[str, Any] | None = None) -> Call:
    """The list of who may use a library (GET), a new right (PUT) or a right withdrawn (DELETE)."""
    path = path_of("/v1/libraries/{library_id}/share", library_id=uuid_text("library_id", library_id))
    operation_of = Operation(f"libraries_share_{operation}_v1", f"{_TAG}.accesses")
    return Call("Reading or changing the library's sharing", method, path, operation_of, body=body)


def share_body(share_with: str, share_with_type: ShareWith, level: Level) -> dict[str, Any]:
    """Who gets which right; the service wants the level in a withdrawal too."""
    known = uuid_text("share_with", share_with)
    return {"share_with_uuid": known, "share_with_type": share_with_type, "level": level}
