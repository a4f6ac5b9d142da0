"""A small service on the loopback that keeps what it is asked."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

USAGE = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}


class Service:
    """Answers every turn with what was planned, by call or stream; keeps bodies, paths and headers."""

    conversation = "conv_1"

    def __init__(self) -> None:
        self.bodies: list[Any] = []
        self.paths: list[str] = []
        self.headers: list[dict[str, str]] = []
        self._status, self._planned = 200, [self._message("ok")]
        self._next: tuple[int, Any] | None = None
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: Any) -> None:
                pass

            def do_POST(self) -> None:
                size = int(self.headers.get("content-length") or 0)
                outer.bodies.append(json.loads(self.rfile.read(size)))
                outer.paths.append(self.path)
                outer.headers.append({name.lower(): value for name, value in self.headers.items()})
                kind, data = outer._answer(bool(outer.bodies[-1].get("stream")))
                status = outer._status
                outer._status, outer._planned = outer._next or (200, [outer._message("ok")])
                outer._next = None
                self.send_response(status)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def __enter__(self) -> Service:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def say(self, text: str) -> None:
        """Plan the words of the next answer."""
        self._planned = [self._message(text)]

    def plan(self, entries: list[dict[str, Any]]) -> None:
        """Plan the entries of the next answer."""
        self._planned = entries

    def answer(self, *contents: Any) -> None:
        """Plan the messages of the next answer by their contents."""
        self._planned = [{**self._message(""), "id": f"msg_{n}", "content": one} for n, one in enumerate(contents)]

    def calls(self, *calls: tuple[str | None, str]) -> None:
        """Plan the calls (id or nothing, name) of the next answer."""
        kind = {"type": "function.call", "arguments": "{}"}
        self._planned = [
            {**kind, "id": f"fc_{len(self.bodies)}_{place}", "tool_call_id": call_id, "name": name}
            for place, (call_id, name) in enumerate(calls)
        ]

    def fail(self, status: int, body: Any) -> None:
        """Plan a failure."""
        self._status, self._planned = status, body

    def fail_next(self, status: int, body: Any) -> None:
        """Plan a failure of the turn after the next."""
        self._next = status, body

    def _message(self, text: str) -> dict[str, Any]:
        return {"type": "message.output", "id": f"msg_{len(self.bodies)}", "role": "assistant", "content": text}

    def _answer(self, streams: bool) -> tuple[str, bytes]:
        if self._status != 200:
            return "application/json", json.dumps(self._planned).encode()
        if not streams:
            reply = {"object": "conversation.response", "conversation_id": self.conversation, "usage": USAGE}
            return "application/json", json.dumps({**reply, "outputs": self._planned}).encode()
        events: list[dict[str, Any]] = [{"type": "conversation.response.started", "conversation_id": self.conversation}]
        for place, entry in enumerate(self._planned):
            events.append({**entry, "type": f"{entry['type']}.delta", "output_index": place})
        events.append({"type": "conversation.response.done", "usage": USAGE})
        return "text/event-stream", b"".join(f"event: {e['type']}\ndata: {json.dumps(e)}\n\n".encode() for e in events)
