"""The routes of /v1/libraries."""

from __future__ import annotations

import re
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from uuid import UUID, uuid4

import httpx
import pytest

from mistral_agents_server.db import Database
from mistral_agents_server.documents import Documents
from mistral_agents_server.libraries import LibraryStore
from mistral_agents_server.parsing import UnreadableError
from mistral_agents_server.reading import DocumentReader

TEXT = b"Otters live by rivers.\n\nThey eat fish.\fSecond page: otters sleep on their backs."
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


@pytest.fixture
def http(standin):
    with httpx.Client(base_url=standin.base_url, headers={"Authorization": "Bearer k"}, timeout=30) as client:
        yield client


def library(http, **fields):
    reply = http.post("/v1/libraries", json={"name": "Rivers", **fields})
    assert reply.status_code == 201, reply.text
    return reply.json()


def upload(http, library_id, name="otters.txt", data=TEXT):
    return http.post(f"/v1/libraries/{library_id}/documents", files={"file": (name, data)})


def ready(http, document):
    """Wait for the end of processing, by its own status."""
    place = f"/v1/libraries/{document['library_id']}/documents/{document['id']}"
    for _ in range(20_000):
        if http.get(f"{place}/status").json()["process_status"] != "in_progress":
            return http.get(place).json()
    raise AssertionError("the document is never ready")


def test_a_library_from_beginning_to_end(http):
    made = library(http, description="About otters", chunk_size=300)
    assert set(made) == {
        *("id", "name", "created_at", "updated_at", "owner_id", "owner_type", "total_size", "nb_documents"),
        *("chunk_size", "emoji", "description", "generated_description", "explicit_user_members_count"),
        *("explicit_workspace_members_count", "org_sharing_role", "workspace_sharing_role", "sharing_scope"),
        *("meta", "type", "visibility"),
    }
    assert UUID(made["id"]).version == 7
    assert MOMENT.fullmatch(made["created_at"])
    assert (made["owner_type"], made["nb_documents"], made["chunk_size"]) == ("Workspace", 0, 300)
    place = f"/v1/libraries/{made['id']}"
    assert http.get(place).json() == made
    changed = http.put(place, json={"name": "Rivers and lakes"}).json()
    assert (changed["name"], changed["description"]) == ("Rivers and lakes", "About otters")
    assert changed["updated_at"] > made["updated_at"]
    assert http.patch(place, json={"description": None}).json()["description"] is None
    document = ready(http, upload(http, made["id"]).json())
    deleted = http.delete(place)
    assert (deleted.status_code, deleted.json()["nb_documents"]) == (200, 1)
    assert deleted.json()["total_size"] == len(TEXT)
    assert "otters.txt" in deleted.json()["generated_description"]
    for gone in (place, f"{place}/documents", f"{place}/documents/{document['id']}"):
        assert http.get(gone).json()["code"] == 3000
    assert http.delete(place).status_code == 404


@pytest.mark.parametrize(
    ("body", "field"),
    [({}, "name"), ({"name": ""}, "name"), ({"name": "x", "chunk_size": 10}, "chunk_size"), ({"name": 3}, "name")],
)
def test_wrong_libraries_are_422(http, body, field):
    reply = http.post("/v1/libraries", json=body)
    assert reply.status_code == 422
    assert reply.json()["detail"][0]["loc"] == ["body", field]


@pytest.mark.parametrize(
    "place",
    ["x", "x/documents", f"{uuid4()}/documents/x", f"{uuid4()}/documents/x/status"],
    ids=["library", "documents", "document", "status"],
)
def test_ids_that_are_no_uuids_are_422(http, place):
    reply = http.get(f"/v1/libraries/{place}")
    assert reply.status_code == 422
    assert reply.json()["detail"][0]["type"] == "uuid_parsing"


def test_a_document_from_beginning_to_end(http):
    owner = library(http)
    reply = upload(http, owner["id"])
    first = reply.json()
    assert reply.status_code == 201
    assert set(first) == {
        *("id", "library_id", "hash", "mime_type", "extension", "size", "name", "summary", "created_at"),
        *("last_processed_at", "number_of_pages", "process_status", "uploaded_by_id", "uploaded_by_type"),
        *("tokens_processing_main_content", "tokens_processing_summary", "url", "attributes", "expires_at"),
        *("processing_status", "tokens_processing_total"),
    }
    assert UUID(first["id"]).version == 4
    assert (first["process_status"], first["processing_status"]) == ("in_progress", "Running")
    assert (first["summary"], first["number_of_pages"], first["tokens_processing_total"]) == (None, None, 0)
    assert "x-ratelimit-remaining-document-minute" in reply.headers
    done = ready(http, first)
    assert (done["process_status"], done["processing_status"]) == ("done", "Completed")
    assert (done["number_of_pages"], done["mime_type"], done["extension"]) == (2, "text/plain", "txt")
    assert done["summary"].startswith("Otters live by rivers.")
    assert done["tokens_processing_total"] > 10
    place = f"/v1/libraries/{owner['id']}/documents/{done['id']}"
    assert http.delete(place).status_code == 204
    assert http.get(place).status_code == 404
    assert http.get(f"/v1/libraries/{owner['id']}").json()["nb_documents"] == 0


def test_text_and_its_pages(http):
    owner = library(http)
    document = ready(http, upload(http, owner["id"]).json())
    place = f"/v1/libraries/{owner['id']}/documents/{document['id']}/text_content"

    def text(**pages):
        return http.get(place, params=pages).json()["text"]

    assert text() == "Otters live by rivers.\n\nThey eat fish.\n\nSecond page: otters sleep on their backs."
    assert text(page_start=1) == "Second page: otters sleep on their backs."
    assert text(page_start=0, page_end=0) == "Otters live by rivers.\n\nThey eat fish."
    assert text(page_start=5) == ""
    assert http.get(place, params={"page_start": "x"}).status_code == 422


def test_the_same_bytes_are_one_document(http):
    owner = library(http)
    first, again = upload(http, owner["id"]), upload(http, owner["id"], "copy.txt")
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json()["id"] == first.json()["id"]
    assert upload(http, library(http)["id"]).status_code == 201


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("a.pdf", b"%PDF-1.4 broken", "no PDF"),
        ("a.docx", b"PK\x03\x04broken", "no DOCX"),
        ("a.bin", b"\0\1\2", "binary"),
        ("empty.txt", b"  \n", "no text"),
    ],
)
def test_what_can_not_be_read_is_an_error_of_the_document_that_says_why(http, name, data, reason):
    owner = library(http)
    reply = upload(http, owner["id"], name, data)
    assert reply.status_code == 201
    document = ready(http, reply.json())
    assert document["process_status"] == "error"
    assert reason in document["summary"]


def test_documents_are_filtered_by_attributes(http):
    owner = library(http)
    place = f"/v1/libraries/{owner['id']}/documents"
    kept = {"a": {"year": 2026, "tags": ["x", "y"]}, "b": {"year": 2025, "tags": ["y"]}, "c": {"year": True}, "d": None}
    for name, attributes in kept.items():
        document = ready(http, upload(http, owner["id"], f"{name}.txt", name.encode()).json())
        http.put(f"{place}/{document['id']}", json={"attributes": attributes})

    def found(wanted):
        query = {"filters_attributes": wanted, "sort_by": "name", "sort_order": "asc"}
        return "".join(one["name"][0] for one in http.get(place, params=query).json()["data"])

    assert found('{"year": 2026}') == "a"
    assert found('{"year": [2025, 2026]}') == "ab"
    assert found('{"tags": "y"}') == "ab"
    assert found('{"tags": "y", "year": 2025}') == "b"
    assert found('{"year": 1}') == ""
    assert found("{}") == "abcd"
    for wrong in ("year", "[1]"):
        assert http.get(place, params={"filters_attributes": wrong}).status_code == 422


def test_changes_to_a_document(http):
    owner = library(http)
    document = ready(http, upload(http, owner["id"]).json())
    place = f"/v1/libraries/{owner['id']}/documents/{document['id']}"
    attributes = {"year": 2026, "open": True, "rate": 0.5, "tags": ["a", "b"], "who": "x"}
    changed = http.put(place, json={"name": "Otter book", "attributes": attributes}).json()
    assert (changed["name"], changed["attributes"]) == ("Otter book", attributes)
    assert (changed["extension"], changed["mime_type"]) == ("txt", "text/plain")
    moved = http.patch(place, json={"expires_at": "2099-01-01T00:00:00+02:00"}).json()
    assert moved["expires_at"] == "2098-12-31T22:00:00.000000Z"
    assert moved["attributes"] == attributes
    assert http.put(place, json={"attributes": None, "expires_at": None}).json()["expires_at"] is None
    assert http.put(place, json={"attributes": {"deep": {"er": 1}}}).status_code == 422
    assert http.put(place, json={"name": ""}).status_code == 422


def test_a_document_that_expires_is_gone(http):
    owner = library(http)
    document = ready(http, upload(http, owner["id"]).json())
    place = f"/v1/libraries/{owner['id']}/documents/{document['id']}"
    before = (datetime.now(timezone.utc) - timedelta(seconds=1)).isoformat()
    assert http.put(place, json={"expires_at": before}).status_code == 404
    assert http.get(f"/v1/libraries/{owner['id']}").json()["nb_documents"] == 0
    assert upload(http, owner["id"]).status_code == 201


def test_reprocessing(http):
    owner = library(http)
    document = ready(http, upload(http, owner["id"]).json())
    place = f"/v1/libraries/{owner['id']}/documents/{document['id']}"
    assert http.post(f"{place}/reprocess").status_code == 204
    again = ready(http, document)
    assert again["last_processed_at"] > document["last_processed_at"]
    assert (again["hash"], again["number_of_pages"]) == (document["hash"], 2)


def test_signed_urls_are_bare_strings(http, standin):
    owner = library(http)
    document = ready(http, upload(http, owner["id"]).json())
    place = f"/v1/libraries/{owner['id']}/documents/{document['id']}"
    file, text = http.get(f"{place}/signed-url").json(), http.get(f"{place}/extracted-text-signed-url").json()
    assert file.startswith(standin.base_url)
    assert httpx.get(file).content == TEXT
    assert httpx.get(text).text.startswith("Otters live by rivers.")
    assert httpx.get(file.replace("?", "/text?")).status_code == 403


def test_pages_of_documents(http):
    owner = library(http)
    for number in range(5):
        upload(http, owner["id"], f"Doc {number}.txt", b"text %d" % number)
    place = f"/v1/libraries/{owner['id']}/documents"
    first = http.get(place, params={"page_size": 2}).json()
    assert [d["name"] for d in first["data"]] == ["Doc 4.txt", "Doc 3.txt"]
    assert first["pagination"] == {
        "total_items": 5,
        "total_pages": 3,
        "current_page": 0,
        "page_size": 2,
        "has_more": True,
    }
    last = http.get(place, params={"page_size": 2, "page": 2}).json()
    assert ([d["name"] for d in last["data"]], last["pagination"]["has_more"]) == (["Doc 0.txt"], False)
    named = http.get(place, params={"sort_by": "name", "sort_order": "asc", "search": "DOC"}).json()
    assert [d["name"] for d in named["data"]] == [f"Doc {n}.txt" for n in range(5)]
    for wrong in ({"page_size": 101}, {"page": -1}, {"sort_by": "x"}, {"sort_order": "up"}):
        assert http.get(place, params=wrong).status_code == 422


def test_pages_of_libraries(standin_factory):
    server = standin_factory()
    with httpx.Client(base_url=server.base_url, headers={"Authorization": "Bearer k"}) as http:
        for number in range(5):
            library(http, name=f"L{number}")
        reply = http.get("/v1/libraries", params={"page_size": 2}).json()
        names = [found["name"] for found in reply["data"]]
        assert reply["pagination"] is None
        while reply["next_page_token"] is not None:
            reply = http.get("/v1/libraries", params={"page_size": 2, "page_token": reply["next_page_token"]}).json()
            names += [found["name"] for found in reply["data"]]
        assert names == ["L4", "L3", "L2", "L1", "L0"]
        old = http.get("/v1/libraries", params={"page_size": 2, "page": 1}).json()
        assert [found["name"] for found in old["data"]] == ["L2", "L1"]
        assert old["pagination"]["total_items"] == 5
        assert len(http.get("/v1/libraries", params={"search": "l3"}).json()["data"]) == 1
        assert http.get("/v1/libraries", params={"page_token": "%%%"}).status_code == 422


def test_sharing(http):
    owner = library(http)
    place = f"/v1/libraries/{owner['id']}/share"
    entity = {"share_with_uuid": str(uuid4()), "share_with_type": "User"}
    made = http.put(place, json={**entity, "level": "Viewer"}).json()
    assert set(made) == {"library_id", "user_id", "org_id", "role", "share_with_type", "share_with_uuid"}
    assert (made["role"], made["share_with_uuid"]) == ("Viewer", entity["share_with_uuid"])
    http.put(place, json={**entity, "level": "Editor"})
    assert [share["role"] for share in http.get(place).json()["data"]] == ["Owner", "Editor"]
    assert http.get(f"/v1/libraries/{owner['id']}").json()["explicit_user_members_count"] == 1
    assert http.request("DELETE", place, json=entity).json()["role"] == "Editor"
    assert http.request("DELETE", place, json=entity).status_code == 404
    assert http.put(place, json={**entity, "level": "King"}).status_code == 422


def test_many_uploads_at_once_lose_nothing(http):
    """48 uploads from 16 threads: half of them twice the same bytes."""
    owner = library(http)
    barrier = threading.Barrier(16)

    def one(number: int) -> httpx.Response:
        if number < 16:
            barrier.wait(20)
        return upload(http, owner["id"], f"{number}.txt", b"Document %d is about otters." % (number // 2))

    with ThreadPoolExecutor(16) as pool:
        replies = list(pool.map(one, range(48)))
    assert sorted(reply.status_code for reply in replies) == [200] * 24 + [201] * 24
    ids = {reply.json()["id"] for reply in replies}
    assert len(ids) == 24
    finished = [ready(http, reply.json()) for reply in replies if reply.status_code == 201]
    assert {document["process_status"] for document in finished} == {"done"}
    listed = http.get(f"/v1/libraries/{owner['id']}/documents").json()
    assert {document["id"] for document in listed["data"]} == ids


def test_an_upload_that_breaks_off_leaves_nothing(http):
    owner = library(http)
    place = f"/v1/libraries/{owner['id']}/documents"
    head = (
        f"POST {place} HTTP/1.1\r\nHost: {http.base_url.host}\r\nAuthorization: Bearer k\r\nContent-Length: 100000\r\n"
        "Content-Type: multipart/form-data; boundary=b\r\n\r\n"
        '--b\r\nContent-Disposition: form-data; name="file"; filename="half.txt"\r\n\r\nhalf of it'
    )
    for _ in range(20):
        with socket.create_connection((http.base_url.host, http.base_url.port)) as client:
            client.sendall(head.encode())
    ready(http, upload(http, owner["id"]).json())
    assert [d["name"] for d in http.get(place).json()["data"]] == ["otters.txt"]


def test_deleting_while_processing_leaves_nothing(http):
    owner = library(http)
    place = f"/v1/libraries/{owner['id']}/documents"
    made = [upload(http, owner["id"], f"{n}.txt", b"x %d " % n * 3000).json() for n in range(12)]
    assert {http.delete(f"{place}/{document['id']}").status_code for document in made} == {204}
    ready(http, upload(http, owner["id"], "last.txt", b"last").json())
    assert [d["name"] for d in http.get(place).json()["data"]] == ["last.txt"]


@pytest.fixture
def stores(tmp_path):
    database = Database(tmp_path / "db")
    made: list[Documents] = []

    def build() -> LibraryStore:
        made.append(Documents(database, tmp_path / "documents"))
        return LibraryStore(database, made[-1])

    yield build
    for one in made:
        one.close()


def settled(store, document) -> str:
    for _ in range(1_000_000):
        status = store.documents.get(document["library_id"], document["id"])["process_status"]
        if status != "in_progress":
            return status
    raise AssertionError("the document is never ready")


def test_a_parser_that_breaks_fails_one_document_only(stores, monkeypatch, caplog):
    def read(self, name: str, data: bytes) -> list[str]:
        if data == b"bad":
            raise RecursionError("too deep")
        return [data.decode()]

    monkeypatch.setattr(DocumentReader, "read", read)
    store = stores()
    owner = store.create("L", None, None, "Workspace")
    bad, _ = store.documents.upload(owner, "bad.txt", b"bad")
    good, _ = store.documents.upload(owner, "good.txt", b"good")
    assert settled(store, bad) == "error"
    assert settled(store, good) == "done"
    assert "RecursionError" in caplog.text


def test_what_a_stopped_server_left_is_taken_up_again(stores, monkeypatch):
    gate, begun = threading.Event(), threading.Event()

    def read(self, name: str, data: bytes) -> list[str]:
        begun.set()
        gate.wait(20)
        return [data.decode()]

    with monkeypatch.context() as patch:
        patch.setattr(DocumentReader, "read", read)
        store = stores()
        owner = store.create("L", None, None, "Workspace")
        made = [store.documents.upload(owner, f"{n}.txt", b"%d" % n)[0] for n in range(4)]
        assert begun.wait(20)
        store.documents._workers.shutdown(wait=False, cancel_futures=True)
        gate.set()
        store.documents.close()
    states = [store.documents.get(owner["id"], one["id"])["process_status"] for one in made]
    assert "in_progress" in states
    assert "done" in states
    again = stores()
    assert [settled(again, one) for one in made] == ["done"] * 4


def test_a_document_that_was_given_up_on_is_not_taken_up_again(stores, monkeypatch):
    def give_up(self, name: str, data: bytes) -> list[str]:
        raise UnreadableError("reading it takes longer than 30 s")

    with monkeypatch.context() as patch:
        patch.setattr(DocumentReader, "read", give_up)
        store = stores()
        owner = store.create("L", None, None, "Workspace")
        bomb, _ = store.documents.upload(owner, "bomb.docx", b"bomb")
        assert settled(store, bomb) == "error"
        store.documents.close()
    asked = []
    monkeypatch.setattr(DocumentReader, "read", lambda self, name, data: asked.append(name) or ["text"])
    again = stores()
    good, _ = again.documents.upload(owner, "good.txt", b"good")
    assert settled(again, good) == "done"
    assert settled(again, bomb) == "error"
    assert asked == ["good.txt"]
