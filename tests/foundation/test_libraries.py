"""Libraries and files: the requests that go out, and what becomes of the replies."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from mistral_agents import MistralAgents
from mistral_agents._api.records import state_of
from mistral_agents.errors import ConfigurationError, InvalidRequestError, NotFoundError, ServerFailureError
from mistral_agents.turn import FileRef, Turn
from tests.wire.conftest import Wire

LIBRARY = "01a07bff-b1ed-70bd-b7d4-34b652c070bb"
DOCUMENT = "bb25e610-377a-4800-b8a4-7e2b82374d30"
OTHER = "bb25e610-377a-4800-b8a4-7e2b82374d31"
PNG = b"\x89PNG\r\n\x1a\n" + b"\x00" * 8 + (64).to_bytes(4, "big") + (32).to_bytes(4, "big")
Make = Callable[..., MistralAgents]


def document(key: str = DOCUMENT, status: str = "done", **more: Any) -> dict[str, Any]:
    return {"id": key, "library_id": LIBRARY, "name": "facts.txt", "process_status": status, **more}


@pytest.mark.parametrize("wrong", ["lib_your_library_id", "", None, f"{LIBRARY}/../x"])
def test_a_library_id_that_is_no_uuid_is_refused_before_any_request(make_client: Make, wire: Wire, wrong: Any) -> None:
    libraries = make_client().libraries
    for call in (libraries.get, libraries.delete, libraries.documents, libraries.list_accesses):
        with pytest.raises(ConfigurationError, match="library_id must be a UUID"):
            call(wrong)
    with pytest.raises(ConfigurationError, match="document_id must be a UUID"):
        libraries.text(LIBRARY, "facts.txt")
    assert wire.requests == []


def test_a_library_is_created_with_what_was_given(make_client: Make, wire: Wire) -> None:
    wire.answer((201, {"id": LIBRARY, "name": "facts", "created_at": "2026-09-07T13:12:29.939498Z", "meta": None}))
    found = make_client().libraries.create("facts", chunk_size=1000)
    assert wire.bodies == [{"name": "facts", "chunk_size": 1000}]
    assert found.id == LIBRARY
    assert found.created_at == datetime(2026, 9, 7, 13, 12, 29, 939498, timezone.utc)
    assert "meta" in found


@pytest.mark.parametrize("size", [255, 32769])
def test_a_chunk_size_out_of_range_is_refused(make_client: Make, wire: Wire, size: int) -> None:
    with pytest.raises(ConfigurationError, match="chunk_size must be a whole number from 256 to 32768"):
        make_client().libraries.create("facts", chunk_size=size)
    assert wire.requests == []


def test_documents_are_walked_over_all_pages_and_a_repeated_page_ends_the_walk(make_client: Make, wire: Wire) -> None:
    more = {"has_more": True, "current_page": 0}
    wire.answer(
        (200, {"data": [document()], "pagination": more}),
        (200, {"data": [document(OTHER)], "pagination": more}),
        (200, {"data": [document(OTHER)], "pagination": more}),
    )
    found = [row.id for row in make_client().libraries.documents(LIBRARY)]
    assert found == [DOCUMENT, OTHER]
    assert [request.url.params["page"] for request in wire.requests] == ["0", "1", "2"]


def test_libraries_are_walked_by_token(make_client: Make, wire: Wire) -> None:
    wire.answer(
        (200, {"data": [{"id": LIBRARY}], "next_page_token": "t2"}),
        (200, {"data": [{"id": OTHER}], "next_page_token": None}),
    )
    assert [row.id for row in make_client().libraries.list()] == [LIBRARY, OTHER]
    assert "page_token" not in wire.requests[0].url.params
    assert wire.requests[1].url.params["page_token"] == "t2"
    assert "page" not in wire.requests[1].url.params


async def test_asynchronous_lists_are_walked_too(make_client: Make, wire: Wire) -> None:
    wire.answer((200, {"data": [document()], "pagination": {"has_more": False}}))
    assert [row.id async for row in make_client().libraries.adocuments(LIBRARY)] == [DOCUMENT]
    wire.answer((200, {"data": [{"id": LIBRARY}], "next_page_token": None}))
    assert [row.id async for row in make_client().libraries.alist()] == [LIBRARY]


def test_an_upload_is_multipart_and_attributes_follow_in_a_second_request(
    make_client: Make, wire: Wire, tmp_path: Path
) -> None:
    path = tmp_path / "notes.md"
    path.write_text("# Notes")
    wire.answer((201, document(status="in_progress")), (200, document(attributes={"team": "a"})))
    moment = datetime(2027, 1, 2, tzinfo=timezone.utc)
    found = make_client().libraries.upload(LIBRARY, path, attributes={"team": "a"}, expires_at=moment)
    upload, update = wire.requests
    assert upload.headers["content-type"].startswith("multipart/form-data")
    assert b'name="file"; filename="notes.md"' in upload.content
    assert b"Content-Type: text/markdown" in upload.content
    assert b"# Notes" in upload.content
    assert (update.method, update.url.path) == ("PATCH", f"/v1/libraries/{LIBRARY}/documents/{DOCUMENT}")
    assert wire_json(update) == {"attributes": {"team": "a"}, "expires_at": "2027-01-02T00:00:00+00:00"}
    assert found.attributes == {"team": "a"}


def wire_json(request: Any) -> Any:
    import json

    return json.loads(request.content)


async def test_bytes_are_uploaded_under_the_name_given(make_client: Make, wire: Wire) -> None:
    wire.answer((201, document()))
    await make_client().libraries.aupload(LIBRARY, ("a.txt", b"hello"))
    await make_client().libraries.aupload(LIBRARY, b"hello", name="b.pdf")
    assert b'filename="a.txt"' in wire.requests[0].content
    assert b'filename="b.pdf"' in wire.requests[1].content
    assert b"application/pdf" in wire.requests[1].content


def test_files_that_cannot_be_sent_are_refused_by_name(make_client: Make, wire: Wire, tmp_path: Path) -> None:
    libraries = make_client().libraries
    with pytest.raises(ConfigurationError, match=r"missing\.txt.*No such file"):
        libraries.upload(LIBRARY, tmp_path / "missing.txt")
    with pytest.raises(ConfigurationError, match="need a name"):
        libraries.upload(LIBRARY, b"hello")
    with pytest.raises(ConfigurationError, match="no time zone"):
        libraries.update_document(LIBRARY, DOCUMENT, expires_at=datetime(2027, 1, 1))
    for moment in (date(2027, 1, 1), timedelta(days=1), 3):
        with pytest.raises(ConfigurationError, match=r"expires_at must be a datetime.*2030-01-01T00:00:00Z"):
            libraries.upload(LIBRARY, ("a.txt", b"x"), expires_at=cast("Any", moment))
    with pytest.raises(ConfigurationError, match=r"attributes .* is no dict"):
        libraries.upload(LIBRARY, ("a.txt", b"x"), attributes=cast("Any", [("year", 2024)]))
    assert wire.requests == []


def test_a_refused_upload_names_the_file(make_client: Make, wire: Wire) -> None:
    wire.answer((422, {"object": "Error", "detail": [{"loc": ["body", "file"], "msg": "mimetype not supported"}]}))
    with pytest.raises(InvalidRequestError, match=r"Uploading 'movie.mkv' failed: file: mimetype not supported"):
        make_client().libraries.upload(LIBRARY, ("movie.mkv", b"x"))


def test_an_upload_is_not_sent_again_after_a_server_failure(make_client: Make, wire: Wire, waits: list[float]) -> None:
    wire.answer((503, "upstream connect error"))
    with pytest.raises(ServerFailureError) as caught:
        make_client().libraries.upload(LIBRARY, ("a.txt", b"x"))
    assert len(wire.requests) == 1
    assert "conversation" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ({"process_status": "done"}, "ready"),
        ({"process_status": "self_managed"}, "ready"),
        ({"process_status": "noop"}, "ready"),
        ({"process_status": "todo"}, "pending"),
        ({"process_status": "waiting_for_capacity"}, "pending"),
        ({"process_status": "a new word"}, "pending"),
        ({"process_status": "error"}, "failed"),
        ({"process_status": "missing_content"}, "failed"),
        ({"processing_status": "Completed"}, "ready"),
        ({"processing_status": "Running"}, "pending"),
        ({}, "pending"),
    ],
)
def test_the_words_of_the_service(status: dict[str, str], state: str) -> None:
    assert state_of(status)[0] == state


def test_waiting_asks_until_each_document_is_finished(
    make_client: Make, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mistral_agents.libraries.time", SimpleNamespace(sleep=lambda seconds: None))
    wire.answer(
        (200, {"process_status": "in_progress"}),
        (200, {"process_status": "error"}),
        (200, {"process_status": "done"}),
    )
    seen: list[tuple[int, int]] = []
    outcomes = make_client().libraries.wait_until_ready(
        LIBRARY, [DOCUMENT, OTHER], on_progress=lambda done, total: seen.append((done, total))
    )
    assert [(o.document_id, o.state, o.process_status) for o in outcomes] == [
        (DOCUMENT, "ready", "done"),
        (OTHER, "failed", "error"),
    ]
    assert seen == [(1, 2), (2, 2)]
    assert len(wire.requests) == 3, "a finished document is not asked for again"


@pytest.mark.parametrize("is_async", [False, True])
def test_a_document_that_somebody_deletes_ends_no_wait_for_the_others(
    make_client: Make, wire: Wire, is_async: bool
) -> None:
    gone: Any = (404, {"object": "Error", "message": "not found"})
    page = {"data": [document(OTHER)], "pagination": {"has_more": False}}
    client = make_client()

    def wait() -> list[Any]:
        if is_async:
            return asyncio.run(client.libraries.await_until_ready(LIBRARY, [DOCUMENT, OTHER]))
        return client.libraries.wait_until_ready(LIBRARY, [DOCUMENT, OTHER])

    wire.answer(gone, (200, page), (200, {"process_status": "done"}))
    assert [(one.document_id, one.state, one.process_status) for one in wait()] == [
        (DOCUMENT, "failed", "not_found"),
        (OTHER, "ready", "done"),
    ]
    wire.answer(gone, gone)
    with pytest.raises(NotFoundError):  # the whole library
        wait()


async def test_at_the_deadline_what_is_unfinished_comes_back_as_pending(make_client: Make, wire: Wire) -> None:
    wire.answer((200, {"process_status": "waiting_for_capacity"}))
    [outcome] = await make_client().libraries.await_until_ready(LIBRARY, [DOCUMENT], timeout=0.05)
    assert (outcome.state, outcome.process_status, outcome.ready) == ("pending", "waiting_for_capacity", False)


def test_waiting_for_a_whole_library_skips_what_is_ready(make_client: Make, wire: Wire) -> None:
    page = {"data": [document(), document(OTHER, "in_progress")], "pagination": {"has_more": False}}
    wire.answer((200, page), (200, {"process_status": "done"}))
    [outcome] = make_client().libraries.wait_until_ready(LIBRARY)
    assert outcome.document_id == OTHER


def test_texts_links_and_sharing(make_client: Make, wire: Wire) -> None:
    libraries = make_client().libraries
    wire.answer((200, {"text": "page two"}))
    assert libraries.text(LIBRARY, DOCUMENT, page_start=1, page_end=1) == "page two"
    assert dict(wire.requests[-1].url.params) == {"page_start": "1", "page_end": "1"}
    wire.answer((200, "https://files.test/x"))
    assert libraries.signed_url(LIBRARY, DOCUMENT, extracted_text=True) == "https://files.test/x"
    assert wire.requests[-1].url.path.endswith("/extracted-text-signed-url")
    wire.answer((200, {"library_id": LIBRARY, "role": "Viewer", "share_with_uuid": OTHER}))
    assert libraries.share(LIBRARY, OTHER, share_with_type="Workspace").role == "Viewer"
    body = {"share_with_uuid": OTHER, "share_with_type": "Workspace", "level": "Viewer"}
    assert wire.bodies[-1] == body
    wire.answer((204, b""))
    libraries.unshare(LIBRARY, OTHER, share_with_type="Workspace")
    assert (wire.requests[-1].method, wire.bodies[-1]) == ("DELETE", body)
    libraries.reprocess(LIBRARY, DOCUMENT)
    libraries.delete(LIBRARY)
    assert [request.method for request in wire.requests[-2:]] == ["POST", "DELETE"]


def test_a_document_is_read_before_it_is_deleted_since_others_may_share_its_file(make_client: Make, wire: Wire) -> None:
    wire.answer((200, document()), (204, b""))
    make_client().libraries.delete_document(LIBRARY, DOCUMENT)
    assert [request.method for request in wire.requests] == ["GET", "DELETE"]


# files --------------------------------------------------------------------------------------------------------------


def test_files_of_a_turn_are_saved_under_true_names(make_client: Make, wire: Wire, tmp_path: Path) -> None:
    chunks = [
        {"type": "tool_file", "tool": "image_generation", "file_id": DOCUMENT, "file_name": "image_generated_0"},
        {"type": "tool_file", "tool": "image_generation", "file_id": OTHER, "file_name": "../image_generated_0"},
    ]
    output = {"type": "message.output", "content": chunks}
    turn = Turn.from_response({"conversation_id": "conv_1", "outputs": [output]})
    wire.answer((200, PNG))
    paths = make_client().files.save(turn, tmp_path)
    assert [path.name for path in paths] == ["image_generated_0.png", "image_generated_0-2.png"]
    assert all(path.parent == tmp_path for path in paths)
    assert make_client().files.read(turn.images[0]).size == (64, 32)


async def test_a_file_given_only_as_a_link_is_fetched_without_the_key(make_client: Make, wire: Wire) -> None:
    ref = FileRef(None, "image", tool="image_generation", url="https://blob.test/image.jpg?sig=1")
    wire.answer((200, b"\xff\xd8\xff\xe0rest"))
    for found in (make_client().files.read(ref), await make_client().files.aread(ref)):
        assert (found.name, found.media_type) == ("image.jpg", "image/jpeg")
    assert all("authorization" not in request.headers for request in wire.requests)
    assert str(wire.requests[0].url) == ref.url


def test_an_expired_link_and_a_foreign_scheme_are_errors(make_client: Make, wire: Wire) -> None:
    wire.answer((404, b"gone"))
    with pytest.raises(NotFoundError, match="expires within the hour"):
        make_client().files.read(FileRef(None, "image", url="https://blob.test/x"))
    with pytest.raises(ConfigurationError, match="no http or https address"):
        make_client().files.read(FileRef(None, "image", url="file:///etc/passwd"))


async def test_the_other_calls_of_files(make_client: Make, wire: Wire, tmp_path: Path) -> None:
    files = make_client().files
    wire.answer((200, {"id": OTHER, "filename": "a.txt", "created_at": 1786389977}))
    assert files.upload(("a.txt", b"x"), purpose="ocr").filename == "a.txt"
    assert b'name="purpose"' in wire.requests[-1].content
    assert (await files.aget(OTHER)).created_at == 1786389977
    wire.answer((200, {"url": "https://files.test/x"}))
    assert await files.asigned_url(OTHER, hours=2) == "https://files.test/x"
    assert wire.requests[-1].url.params["expiry"] == "2"
    with pytest.raises(ConfigurationError, match="hours must be a whole number from 1 to 168"):
        files.signed_url(OTHER, hours=0)
    wire.answer((200, {"data": [{"id": OTHER}], "total": 1}))
    assert [file.id for file in files.list()] == [OTHER]
    wire.answer((200, PNG))
    [path] = await files.asave([FileRef(OTHER, "plot.csv")], tmp_path)
    assert path.name == "plot.png"
    files.delete("../x")
    assert wire.requests[-1].url.raw_path.startswith(b"/v1/files/..%2Fx")


async def test_a_file_is_saved_by_its_id(make_client: Make, wire: Wire, tmp_path: Path) -> None:
    file_id = "2542f176-35a7-4586-828b-8bb00654ce3d"
    wire.answer((200, b"\x89PNG\r\n\x1a\n" + bytes(32)))
    files = make_client().files
    for saved in (files.save(file_id, tmp_path / "a"), await files.asave([file_id], tmp_path / "b")):
        assert [(path.stem, path.suffix) for path in saved] == [(file_id, ".png")]
        assert saved[0].read_bytes().startswith(b"\x89PNG")
    assert len(wire.requests) == 2
