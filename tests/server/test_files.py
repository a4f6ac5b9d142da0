"""The routes of /v1/files."""

from __future__ import annotations

import gc
import sqlite3
from pathlib import Path
from uuid import UUID

import httpx
import pytest

from mistral_agents_server.blobs import Blobs
from mistral_agents_server.db import Database
from mistral_agents_server.errors import ApiError
from mistral_agents_server.file_store import FileStore
from mistral_agents_server.uploads import safe_name

CLIMBING = [
    "../../etc/passwd",
    "..\\..\\boot.ini",
    "/etc/shadow",
    "a/../../b.txt",
    "....//x",
    ".hidden",
    "nul\x00l",
    "\n",
]


@pytest.fixture
def http(standin):
    with httpx.Client(base_url=standin.base_url, headers={"Authorization": "Bearer k"}, timeout=30) as client:
        yield client


def upload(http, name="notes.txt", data=b"hello", **fields):
    reply = http.post("/v1/files", files={"file": (name, data)}, data={"purpose": "ocr", **fields})
    assert reply.status_code == 200, reply.text
    return reply.json()


def test_upload_get_download_delete(http):
    made = upload(http, "sample.pdf", b"%PDF-")
    assert set(made) == {
        *("id", "object", "bytes", "created_at", "filename", "purpose", "sample_type", "num_lines", "mimetype"),
        *("source", "signature", "expires_at", "visibility"),
    }
    assert (made["bytes"], made["mimetype"], made["source"]) == (5, "application/pdf", "upload")
    assert UUID(made["id"]).version == 4
    assert http.get(f"/v1/files/{made['id']}").json() == {**made, "deleted": False}
    content = http.get(f"/v1/files/{made['id']}/content")
    assert (content.content, content.headers["content-type"]) == (b"%PDF-", "application/octet-stream")
    assert http.delete(f"/v1/files/{made['id']}").json() == {"id": made["id"], "object": "file", "deleted": True}
    for place in ("", "/content", "/url"):
        assert http.get(f"/v1/files/{made['id']}{place}").status_code == 404
    assert http.delete(f"/v1/files/{made['id']}").json()["code"] == 3000


def test_a_signed_url_needs_no_key_and_can_not_be_changed(http, standin):
    made = upload(http, "notes.txt", b"secret")
    url = http.get(f"/v1/files/{made['id']}/url", params={"expiry": 1}).json()["url"]
    assert url.startswith(standin.base_url)
    assert httpx.get(url).content == b"secret"
    other = upload(http, "other.txt", b"other")
    assert httpx.get(url.replace(made["id"], other["id"])).status_code == 403
    assert httpx.get(url.partition("?")[0]).status_code == 403
    later = httpx.URL(url).copy_set_param("se", str(2**40))
    assert httpx.get(later).status_code == 403
    assert httpx.get(httpx.URL(url).copy_set_param("sig", "é")).status_code == 403


def test_a_page_of_another_site_can_not_run_in_a_file(http):
    made = upload(http, "page.html", b"<script>1</script>")
    reply = httpx.get(http.get(f"/v1/files/{made['id']}/url").json()["url"])
    assert reply.headers["content-security-policy"] == "sandbox"
    assert reply.headers["content-disposition"].startswith("attachment")


@pytest.mark.parametrize("name", CLIMBING)
def test_names_that_climb_are_only_names(http, name):
    safe = safe_name(name)
    assert safe
    assert not set(safe) & set("/\\\0\n")
    assert not safe.startswith(".")
    made = upload(http, name.replace("\x00", "").replace("\n", "") or "x", b"data")
    assert "/" not in made["filename"]
    assert http.get(f"/v1/files/{made['id']}/content").content == b"data"


def test_long_names_keep_their_extension():
    assert safe_name("x" * 500 + ".csv").endswith(".csv")
    assert len(safe_name("x" * 500 + ".csv")) <= 200
    assert safe_name(None) == "file"


@pytest.mark.parametrize("blob_id", ["../x", "a/b", "", "..", "x" * 36])
def test_ids_that_climb_are_no_ids(tmp_path: Path, blob_id):
    with pytest.raises(ValueError):
        Blobs(tmp_path / "blobs").path(blob_id)


@pytest.mark.parametrize("path", ["x", "..%2f..%2fstand-in.sqlite3", "00000000-0000-0000-0000-00000000000g"])
def test_an_id_that_is_no_uuid_is_422(http, path):
    reply = http.get(f"/v1/files/{path}/content")
    assert reply.status_code in (404, 422)
    if reply.status_code == 422:
        assert reply.json()["detail"][0]["type"] == "uuid_parsing"


def test_the_folder_is_its_owners_alone(tmp_path: Path):
    blobs = Blobs(tmp_path / "blobs")
    blobs.put("00000000-0000-4000-8000-000000000001", b"x")
    assert (tmp_path / "blobs").stat().st_mode & 0o077 == 0


def test_files_have_a_visibility_and_an_end(http, tmp_path: Path):
    shown = upload(http, visibility="user", expiry="2")
    assert (shown["visibility"], shown["expires_at"] - shown["created_at"]) == ("user", pytest.approx(2 * 3600, abs=5))
    store = FileStore(Database(tmp_path / "files.sqlite3"), tmp_path / "files")
    kept = store.upload("kept.txt", b"a", "ocr", "workspace", 1)
    with pytest.raises(ApiError, match="404"):
        store.upload("gone.txt", b"b", "ocr", "workspace", -1)
    assert store.page(0, 10, {}, None) == ([kept], 1)


def test_wrong_uploads_are_422(http):
    assert http.post("/v1/files", files={"other": ("a", b"b")}).json()["detail"][0]["loc"] == ["body", "file"]
    for fields in ({"purpose": "fun"}, {"visibility": "all"}, {"expiry": "soon"}):
        reply = http.post("/v1/files", files={"file": ("a.txt", b"b")}, data=fields)
        assert reply.status_code == 422
        assert reply.json()["detail"][0]["loc"] == ["body", next(iter(fields))]


def test_lists_are_paged_and_filtered(standin_factory):
    server = standin_factory()
    with httpx.Client(base_url=server.base_url, headers={"Authorization": "Bearer k"}) as http:
        ids = [upload(http, f"f{n}.txt", b"%d" % n)["id"] for n in range(5)]
        upload(http, "big.jsonl", b"{}\n{}\n", purpose="batch")
        first = http.get("/v1/files", params={"page_size": 3}).json()
        second = http.get("/v1/files", params={"page_size": 3, "page": 1}).json()
        assert first["total"] == 6
        assert [f["filename"] for f in first["data"] + second["data"]] == [
            *("big.jsonl", "f4.txt", "f3.txt", "f2.txt", "f1.txt", "f0.txt")
        ]
        assert http.get("/v1/files", params={"purpose": "batch"}).json()["data"][0]["num_lines"] == 2
        assert [f["id"] for f in http.get("/v1/files", params={"search": "F3"}).json()["data"]] == [ids[3]]
        assert http.get("/v1/files", params={"include_total": False}).json()["total"] is None
        assert http.get("/v1/files", params={"page": -1}).status_code == 422


def test_files_outlive_the_server(standin_factory, tmp_path):
    first = standin_factory(data=tmp_path)
    headers = {"Authorization": "Bearer k"}
    reply = httpx.post(f"{first.base_url}/v1/files", files={"file": ("a.txt", b"kept")}, headers=headers)
    second = standin_factory(data=tmp_path)
    content = httpx.get(f"{second.base_url}/v1/files/{reply.json()['id']}/content", headers=headers)
    assert content.content == b"kept"


def test_a_database_that_is_dropped_is_closed(tmp_path: Path):
    database = Database(tmp_path / "dropped")
    connection = database._connection
    del database
    gc.collect()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        connection.execute("SELECT 1")


def test_a_full_disk_is_told_as_such_and_the_next_change_is_kept(tmp_path):
    database = Database(tmp_path / "small")
    database.script("CREATE TABLE words (word TEXT); PRAGMA max_page_count = 10;")

    def add(*words):
        with database.transaction():
            for word in words:
                database.run("INSERT INTO words VALUES (?)", (word,))

    with pytest.raises(sqlite3.OperationalError, match="full"):
        add("small", "large" * 50_000)
    add("next")
    assert [row["word"] for row in database.run("SELECT word FROM words")] == ["next"]
    database.close()


def test_a_database_that_is_damaged_held_or_not_to_be_written_is_told_when_it_is_opened(tmp_path, monkeypatch):
    path = tmp_path / "kept"
    database = Database(path)
    database.script("CREATE TABLE words (word TEXT); CREATE INDEX by_word ON words (word);")
    for number in range(500):
        database.run("INSERT INTO words VALUES (?)", (f"{number} " * 50,))
    database.close()
    whole = path.read_bytes()
    middle = len(whole) // 2 // 4096 * 4096
    path.write_bytes(whole[:middle] + bytes(4096) + whole[middle + 4096 :])
    with pytest.raises(sqlite3.DatabaseError, match="damaged"):
        Database(path)
    path.write_bytes(whole)
    connect = sqlite3.connect
    holder = connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    monkeypatch.setattr(sqlite3, "connect", lambda *given, **more: connect(*given, timeout=0, **more))
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        Database(path)
    holder.close()
    Database(path).close()
