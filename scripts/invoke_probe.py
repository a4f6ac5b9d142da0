"""Prints, as JSON, the modules of the checkout whose code runs during one plain `ChatMistralAgent(...).invoke`.

Run by `scripts.structure` in a process of its own, so that the checkout it names is the one that is imported:
`python invoke_probe.py CHECKOUT`. The service is a fake on loopback that gives one short answer.
"""

from __future__ import annotations

import importlib
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import FrameType
from typing import Any

PACKAGES = ("mistral_agents", "langchain_mistral_agents")
ANSWER = {
    "object": "conversation.response",
    "conversation_id": "conv_1",
    "outputs": [
        {
            "object": "entry",
            "type": "message.output",
            "id": "msg_1",
            "created_at": "2025-01-01T00:00:00Z",
            "completed_at": "2025-01-01T00:00:01Z",
            "model": "mistral-medium-latest",
            "role": "assistant",
            "content": "Hello",
        }
    ],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}


class Fake(BaseHTTPRequestHandler):
    """The service: the same turn for every request."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Answer with the turn."""
        self.rfile.read(int(self.headers.get("content-length", 0)))
        body = json.dumps(ANSWER).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Say nothing: the output is the measurement."""


def trace_invoke(root: Path) -> list[str]:
    """The files below the root whose functions run between a model's construction and its answer, relative to it."""
    wing = importlib.import_module("langchain_mistral_agents")
    if not Path(str(wing.__file__)).is_relative_to(root):
        raise SystemExit(f"{wing.__file__} was imported instead of the wing in {root}.")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Fake)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    files: set[str] = set()

    def note_call(frame: FrameType, event: str, _: Any) -> None:
        if event == "call" and frame.f_code.co_name != "<module>":
            files.add(frame.f_code.co_filename)

    def make_model(host: str) -> Any:
        url = f"http://{host}:{server.server_port}"
        return wing.ChatMistralAgent(model="mistral-medium-latest", api_key="none", base_url=url)

    make_model("localhost").invoke("Hello?")  # loads what is loaded with the first call; loading is no passing
    model = make_model("127.0.0.1")  # with a client of its own
    threading.setprofile(note_call)
    sys.setprofile(note_call)
    try:
        model.invoke("Hello?")
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
        server.shutdown()
        server.server_close()
    ours = tuple(f"{root / package}/" for package in PACKAGES)
    return sorted(Path(file).relative_to(root).as_posix() for file in files if file.startswith(ours))


if __name__ == "__main__":
    checkout = Path(sys.argv[1]).resolve()
    sys.path[0] = str(checkout)
    print(json.dumps(trace_invoke(checkout)))
