"""One object of each kind that can be looked at, with a text of somebody else wherever one may stand."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import Any

from mistral_agents import Meter, Prices
from mistral_agents._api.records import Agent, Records
from mistral_agents._turn.media import FileData
from mistral_agents.branches import Branch, compare_histories
from mistral_agents.cleanup import CleanedUp, CleanupReport
from mistral_agents.entries import parse_entries
from mistral_agents.graph import HandoffGraph
from mistral_agents.history import History
from mistral_agents.retrieval.analysis import Analyzer
from mistral_agents.retrieval.chunking import Chunk
from mistral_agents.retrieval.documents import LibraryDocument
from mistral_agents.retrieval.folder import FolderReport
from mistral_agents.retrieval.marks import Hits
from mistral_agents.retrieval.snapshot import Hit, StoredText
from mistral_agents.specs import Change, Plan
from mistral_agents.turn import Turn
from mistral_agents.usage import Usage

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
HOSTILE = [
    "<script>document.title='ran'</script>",
    "<img src=x onerror=\"document.title='ran'\">",
    "![p](http://tracker.invalid/p.png)",
    "![p][r]\n\n[r]: http://tracker.invalid/p.png",
    "[click](javascript:document.title='ran')",
    "[click](&#106;avascript:alert(1))",
    "[click](data:text/html,<script>1</script>)",
    "<javascript:alert(1)>",
    "</pre></details></style><svg onload=alert(1)>",
    "'\"><iframe src=//tracker.invalid></iframe>",
    "{{ 7 * 7 }} {% raw %}",
    "```\n</code></pre><script>1</script>\n```",
    "<style>@import url(//tracker.invalid)</style>",
    "| a |\n|---|\n| <b onclick=alert(1)>x</b> |",
    "\x1b]8;;http://tracker.invalid\x07x\x1b[31m\u202e\ud800",
]


def entries_of(word: str) -> list[dict[str, Any]]:
    at = {"created_at": "2026-01-01T00:00:00Z", "completed_at": "2026-01-01T00:00:02Z"}
    chunks = [
        {"type": "thinking", "thinking": word},
        {"type": "text", "text": word},
        {
            "type": "tool_reference",
            "tool": "web_search",
            "title": word,
            "url": "https://example.org/a",
            "description": word,
        },
        {"type": "tool_reference", "tool": "web_search", "title": "bad", "url": f"javascript:{word}"},
        {"type": "tool_file", "tool": "code_interpreter", "file_id": "f1", "file_name": word},
    ]
    pictures = [
        {"type": "image_url", "image_url": url}
        for url in (f"http://tracker.invalid/{word}", "data:image/png;base64,AA")
    ]
    svg = base64.b64encode(b"<svg onload='alert(1)' xmlns='http://www.w3.org/2000/svg'></svg>").decode()
    pictures.append({"type": "image_url", "image_url": {"url": f"data:image/svg+xml;base64,{svg}"}})
    pictures.append({"type": "image_url", "image_url": "data:image/png;base64," + base64.b64encode(PNG).decode()})
    return [
        {"type": "message.input", "role": "user", "content": [{"type": "text", "text": word}, *pictures], **at},
        {
            "type": "tool.execution",
            "name": "code_interpreter",
            "arguments": "{}",
            "info": {"code": word, "code_output": word},
            **at,
        },
        {
            "type": "tool.execution",
            "name": word,
            "arguments": word,
            "info": {"result": f"Error executing tool {word}"},
            **at,
        },
        {
            "type": "tool.execution",
            "name": "web_search",
            "arguments": "{}",
            "info": {"result": [{"type": "text", "text": '{"0": {"url": "javascript:1", "title": "<b>"}}'}]},
        },
        {"type": "agent.handoff", "previous_agent_name": word, "next_agent_name": word},
        {"type": "function.call", "name": word, "tool_call_id": "c1", "arguments": word},
        {"type": "function.result", "tool_call_id": "c1", "result": word},
        {"type": word, "id": word},
        {"type": "message.output", "content": chunks, "model": word, "id": "m1", **at},
    ]


def turn_of(word: str) -> Turn:
    usage = {
        "prompt_tokens": 4,
        "completion_tokens": 5,
        "connector_tokens": 3,
        "total_tokens": 12,
        "connectors": {word: 1},
    }
    return Turn.from_response({"conversation_id": "conv_1", "outputs": entries_of(word), "usage": usage})


def hits_of(text: str, question: str) -> Hits:
    document = LibraryDocument("l", "d", text[:60] or "d", mime_type="text/plain")
    stored = StoredText(document, text, (), (Chunk("d", 0, len(text), "3"),), ())
    return Hits([Hit(stored, 0, 1.25)], Analyzer("english").query_terms(question), "english")


def objects_of(word: str) -> dict[str, Any]:
    usage = Usage(1, 2, 3, 6, {word: 2})
    meter = Meter(Prices({"*": (1.0, 2.0)}, currency=word))
    meter.count(usage, "m")
    history = History("conv_1", parse_entries(entries_of(word)))
    other = History("conv_2", parse_entries([{"type": "message.input", "role": "user", "content": f"other {word}"}]))
    agents = [{"id": "a", "name": word, "handoffs": ["b"]}, {"id": "b", "name": "B", "handoffs": ["a", word]}]
    change = Change(word, "update", "ag_1", {"instructions": ("old", word), "tools": (None, [{"type": word}])})
    return {
        "turn": turn_of(word),
        "history": history,
        "branch": Branch("conv_1", word, children=[Branch("conv_2", word, "m1")]),
        "comparison": compare_histories(history, other),
        "graph": HandoffGraph.of(agents),
        "plan": Plan([change]),
        "change": change,
        "usage": usage,
        "meter": meter,
        "record": Agent({"id": "a", "name": word, word: word, "tools": [{"authorization": "secret-token"}]}),
        "records": Records(
            [Agent({"id": "a", "name": word, "created_at": "2026-01-01T00:00:00Z"}), Agent({"id": "b", "x": word})]
        ),
        "hits": hits_of(f"Warranty periods {word}", "warranty period"),
        "file": FileData.of(word, PNG),
        "text file": FileData.of("x.svg", f"<svg>{word}</svg>".encode(errors="replace")),
        "cleanup": CleanupReport([CleanedUp(word, timedelta(1), "failed", error=word)], 3),
        "folder": FolderReport(added={word: "d1"}, failed={"x": word}),
        "timeline": turn_of(word).explain(),
    }
