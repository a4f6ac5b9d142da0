"""A libraries API on loopback that a test can bend: counts requests, fails on demand, changes under a walk."""

from __future__ import annotations

import json
import re
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

from mistral_agents import MistralAgents

LIBRARY = "0197f425-5e85-7353-b8e7-e8b974b9c613"
OTHER = "01a07bff-b1ed-70bd-b7d4-34b652c070bb"


@dataclass
class Stored:
    record: dict[str, Any]
    pages: list[str]
    separator: str = "\n\n"

    @property
    def text(self) -> str:
        return self.separator.join(self.pages)


@dataclass
class LibraryService:
    """Serves `documents` of each library; `base` and `inclusive` say how it counts pages, `lenient` that it has a blank one where
    there is none.

    `fail` answers in place of the service, `spoil` after it has done what was asked; with `knows_bytes` an upload of
    known bytes is answered with the document that has them.
    """

    base: int = 0
    inclusive: bool = True
    lenient: bool = False
    libraries: dict[str, dict[str, Stored]] = field(default_factory=lambda: {LIBRARY: {}, OTHER: {}})
    requests: list[tuple[str, str]] = field(default_factory=list)
    fail: Callable[[str, str], tuple[int, Any] | None] | None = None
    spoil: Callable[[str, str], tuple[int, Any] | None] | None = None
    knows_bytes: bool = False
    url: str = ""
    turns: list[list[dict[str, Any]]] = field(default_factory=list)
    bodies: list[Any] = field(default_factory=list)
    accesses: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._lock = threading.Lock()
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def client(self, **settings: Any) -> MistralAgents:
        return MistralAgents(**{"api_key": "test-key", "base_url": self.url, "max_retries": 0, **settings})

    # content

    def add(self, name: str, *pages: str, library: str = LIBRARY, **fields: Any) -> str:
        key = fields.pop("id", None) or str(uuid4())
        separator = fields.pop("separator", "\n\n")
        text = separator.join(pages)
        record = {
            "id": key,
            "library_id": library,
            "hash": md5(text.encode()).hexdigest(),
            "mime_type": "text/plain",
            "extension": "txt",
            "size": len(text.encode()),
            "name": name,
            "summary": None,
            "created_at": "2026-09-07T13:12:30.383658Z",
            "last_processed_at": "2026-09-07T13:12:31Z",
            "number_of_pages": len(pages),
            "process_status": "done",
            "attributes": None,
            "expires_at": None,
            **fields,
        }
        self.libraries[library][key] = Stored(record, list(pages), separator)
        return key

    def change(self, key: str, *pages: str, library: str = LIBRARY, **fields: Any) -> None:
        stored = self.libraries[library][key]
        if pages:
            stored.pages = list(pages)
            stored.record.update(hash=md5(stored.text.encode()).hexdigest(), size=len(stored.text))
        stored.record.update(fields)

    def remove(self, key: str, library: str = LIBRARY) -> None:
        del self.libraries[library][key]

    # what was asked

    def counts(self) -> Counter[str]:
        kinds = Counter()
        for method, path in self.requests:
            tail = path.split("?")[0].rpartition("/")[2]
            kinds[f"{method} {tail if re.fullmatch('[a-z_-]+', tail) else 'id'}"] += 1
        return kinds

    @property
    def texts(self) -> int:
        return self.counts()["GET text_content"]

    def clear(self) -> None:
        self.requests.clear()

    # answers

    def answer(self, method: str, target: str, data: bytes = b"", kind: str = "") -> tuple[int, Any]:
        with self._lock:
            self.requests.append((method, target))
        if self.fail is not None and (failure := self.fail(method, target)) is not None:
            return failure
        with self._lock:
            answer = self._answer(method, target, data, kind)
        if self.spoil is not None and (failure := self.spoil(method, target)) is not None:
            return failure
        return answer

    def _answer(self, method: str, target: str, data: bytes, kind: str) -> tuple[int, Any]:
        parts = urlsplit(target)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        steps = parts.path.strip("/").split("/")[2:]
        if parts.path == "/v1/embeddings":
            return 200, _count_letters(json.loads(data))
        if method != "GET":
            return self._changed(method, steps, data, kind)
        documents = self.libraries.get(steps[0])
        if documents is None:
            return 404, {"object": "Error", "message": "Library not found", "code": 3000}
        if steps[1:] == ["share"]:
            return 200, {"data": self.accesses}
        if len(steps) == 2:
            return 200, self._page(documents, query)
        stored = documents.get(steps[2])
        if stored is None:
            return 404, {"object": "Error", "message": "Document not found", "code": 3000}
        if len(steps) == 3:
            return 200, stored.record
        return self._about(stored, steps[3], query)

    def _changed(self, method: str, steps: list[str], data: bytes, kind: str) -> tuple[int, Any]:
        if not steps:
            if kind.startswith("application/json") and b'"inputs"' in data:
                self.bodies.append(json.loads(data))
                return 200, self.turns.pop(0)
            key = str(uuid4())
            self.libraries[key] = {}
            return 201, {**json.loads(data), "id": key}
        if method == "POST":
            name, content = _part(data, kind)
            if name.endswith(".exe"):
                return 422, {"object": "Error", "detail": [{"loc": ["file"], "msg": "mimetype not supported"}]}
            known = [stored.record for stored in self.libraries[steps[0]].values() if stored.text == content]
            if self.knows_bytes and known:
                return 200, known[0]
            key = self.add(name, content, library=steps[0])
            return 201, self.libraries[steps[0]][key].record
        stored = self.libraries[steps[0]].get(steps[2])
        if stored is None:
            return 404, {"object": "Error", "message": "Document not found", "code": 3000}
        if method == "DELETE":
            self.remove(steps[2], steps[0])
            return 204, None
        stored.record.update(json.loads(data))
        return 200, stored.record

    def _page(self, documents: dict[str, Stored], query: dict[str, str]) -> dict[str, Any]:
        page, size = int(query["page"]), int(query["page_size"])
        rows = [stored.record for stored in list(documents.values())]
        part = rows[page * size : (page + 1) * size]
        more = (page + 1) * size < len(rows)
        return {"data": part, "pagination": {"total_items": len(rows), "has_more": more, "current_page": page}}

    def _about(self, stored: Stored, what: str, query: dict[str, str]) -> tuple[int, Any]:
        if what == "status":
            word = stored.record["process_status"]
            return 200, {"document_id": stored.record["id"], "process_status": word}
        if what.endswith("signed-url"):
            return 200, f"https://files.test/{stored.record['id']}?signature={len(self.requests)}"
        if "page_start" not in query:
            return 200, {"text": stored.text}
        first, last = int(query["page_start"]) - self.base, int(query["page_end"]) - self.base
        if not self.lenient and (first < 0 or last - (0 if self.inclusive else 1) >= len(stored.pages)):
            return 422, {"object": "Error", "detail": [{"loc": ["query", "page_start"], "msg": "out of range"}]}
        pages = stored.pages[max(first, 0) : last + 1 if self.inclusive else last]
        return 200, {"text": stored.separator.join(pages)}


def _part(data: bytes, kind: str) -> tuple[str, str]:
    head, _, rest = data.split(kind.partition("boundary=")[2].encode())[1].partition(b"\r\n\r\n")
    name = re.search(rb'filename="([^"]*)"', head)
    return name[1].decode() if name else "", rest.removesuffix(b"\r\n--").decode()


def _count_letters(body: dict[str, Any]) -> dict[str, Any]:
    """Real vectors without a model."""
    vectors = [[text.lower().count(letter) + 0.01 for letter in "abcdefghijklmnopqrstuvwxyz"] for text in body["input"]]
    data = [{"object": "embedding", "index": place, "embedding": one} for place, one in enumerate(vectors)]
    return {"object": "list", "model": body["model"], "data": data, "usage": {"total_tokens": len(vectors)}}


def _sse(events: list[dict[str, Any]]) -> bytes:
    return b"".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events)


def _handler(service: LibraryService) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            sent = self.rfile.read(int(self.headers.get("content-length", 0)))
            status, body = service.answer(self.command, self.path, sent, self.headers.get("content-type", ""))
            is_stream = isinstance(body, list)
            data = _sse(body) if is_stream else b"" if body is None else json.dumps(body).encode()
            media = "text/event-stream" if is_stream else "application/json"
            head = f"HTTP/1.1 {status} X\r\ncontent-type: {media}\r\ncontent-length: {len(data)}\r\n\r\n"
            self.wfile.write(head.encode() + data)

        do_POST = do_PATCH = do_DELETE = do_PUT = do_GET

        def log_message(self, *_: object) -> None: ...

    return Handler
