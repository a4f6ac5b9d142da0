"""The fold of events takes what the service left out."""

from __future__ import annotations

from typing import Any

from mistral_agents._http.fold import EventFold


def test_a_thinking_piece_without_text_is_taken() -> None:
    fold = EventFold()
    pieces: list[dict[str, Any]] = [
        {"type": "thinking"},
        {"type": "thinking", "thinking": [{"type": "text", "text": "so"}]},
    ]
    for piece in pieces:
        fold.apply({"type": "message.output.delta", "id": "m", "content_index": 0, "content": piece})
    assert fold.response()["outputs"][0]["content"] == [
        {"type": "thinking", "thinking": [{"type": "text", "text": "so"}]}
    ]
