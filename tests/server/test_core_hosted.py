"""Hosted tools in turns: files, sources, and where citations stand."""

from __future__ import annotations

import re

import pytest

from mistral_agents_server.citations import CitationSplitter

from ..support.scripted import call, say

MODEL = "mistral-small-latest"
REFERENCE = {"type": "tool_reference", "tool": "web_search", "title": "t", "url": "https://a.test/"}


@pytest.mark.parametrize("size", [1, 2, 3, 5, 100])
def test_marks_become_references_however_they_arrive(size):
    splitter = CitationSplitter({"abcd1234": REFERENCE})
    text = "One [[abcd1234]]. Two [[unknown1]] [x] [[16"
    pieces = []
    for start in range(0, len(text), size):
        pieces += splitter.feed(text[start : start + size])
    pieces += splitter.flush()
    place = pieces.index(REFERENCE)
    assert "".join(pieces[:place]) == "One "
    assert "".join(pieces[place + 1 :]) == ". Two [[unknown1]] [x] [[16"


@pytest.fixture
def pages(tmp_path):
    (tmp_path / "hares.html").write_text(
        "<title>Hares</title><h1>Hares</h1><p>The mountain hare turns white in winter.</p>"
    )
    return tmp_path


def test_the_planner_cites_where_it_quotes(standin_factory, api_of, pages):
    api = api_of(standin_factory(pages=pages).base_url)
    reply = api.start("When does the mountain hare turn white?", tools=[{"type": "web_search"}])
    run, message = reply["outputs"]
    assert (run["name"], run["function"]) == ("web_search", "web_search")
    text, reference = message["content"]
    assert "winter" in text["text"]
    assert (reference["type"], reference["tool"], reference["title"]) == ("tool_reference", "web_search", "Hares")
    assert reply["usage"]["connectors"] == {"web_search": 1}


def test_a_model_that_marks_nothing_still_names_its_sources(thinking, scripted, pages):
    api = thinking(pages=pages)
    body = {"inputs": "x", "model": MODEL, "tools": [{"type": "web_search"}]}
    steps = call("web_search", {"query": "mountain hare"}), say("In winter.")
    scripted.script(*steps)
    content = api.ok("POST", "/conversations", body)["outputs"][1]["content"]
    assert [chunk["type"] for chunk in content] == ["text", "tool_reference"]
    scripted.script(*steps)
    deltas = [e for e in api.events("/conversations", body) if e["type"] == "message.output.delta"]
    assert deltas[-1]["content"] == content[1]
    assert (deltas[0]["content_index"], deltas[-1]["content_index"]) == (0, 1)


def test_a_model_may_mark_its_sources(thinking, scripted, pages):
    def answer(body):
        key = re.search(r'"(\w{8})":', body["messages"][-1]["content"])[1]
        return say(f"White in winter [[{key}]], brown in summer.")

    scripted.script(call("web_search", {"query": "mountain hare"}), answer)
    content = thinking(pages=pages).start("x", tools=[{"type": "web_search"}])["outputs"][1]["content"]
    assert [chunk["type"] for chunk in content] == ["text", "tool_reference", "text"]
    assert content[2]["text"] == ", brown in summer."


def test_a_picture_is_a_file_that_can_be_had(api):
    reply = api.start("Draw a red circle", tools=[{"type": "image_generation"}])
    run, message = reply["outputs"]
    assert (run["name"], run["function"]) == ("image_generation", "generate_image")
    file = message["content"][-1]
    assert set(file) == {"type", "tool", "file_id", "file_name", "file_type"}
    reply = api.send("GET", f"/files/{file['file_id']}/content")
    assert (reply.status_code, reply.headers["content-type"]) == (200, "application/octet-stream")
    assert reply.content


def test_code_runs_and_its_plot_is_a_file(api):
    reply = api.start("Compute the mean of 3, 4, 5 and 9, and plot them.", tools=[{"type": "code_interpreter"}])
    run, message = reply["outputs"]
    assert set(run["info"]) == {"result", "code", "code_output"}
    assert "mean = 5.25" in run["info"]["code_output"]
    assert message["content"][-1]["file_name"] == "plot_0.png"
    assert api.send("GET", f"/files/{message['content'][-1]['file_id']}/content").content.startswith(b"\x89PNG")


def test_with_a_model_code_is_off_unless_allowed(thinking, scripted):
    for allowed, output in [(None, "Error executing tool code_interpreter"), (True, "42\n")]:
        scripted.script(call("code_interpreter", {"code": "print(42)"}), say("done"))
        reply = thinking(allow_code=allowed).start("x", tools=[{"type": "code_interpreter"}])
        result = reply["outputs"][0]["info"]["result"]
        assert (result if isinstance(result, str) else result[0]["text"]).startswith(output)


def test_all_tools_together_compute_over_a_document(api):
    library = api.ok("POST", "/libraries", {"name": "Weather"})
    path = f"/v1/libraries/{library['id']}/documents"
    table = "# Rain\n\n| month | rain |\n|---|---|\n| May | 10 |\n| June | 20 |\n| July | 60 |\n"
    document = api.http.post(path, files={"file": ("rain.md", table.encode())}).json()
    for _ in range(1000):
        if api.ok("GET", f"/libraries/{library['id']}/documents/{document['id']}/status")["process_status"] == "done":
            break
    tools = [
        *({"type": "document_library", "library_ids": [library["id"]]}, {"type": "code_interpreter"}),
        *({"type": "web_search"}, {"type": "image_generation"}),
    ]
    reply = api.start("Compute the mean rain in the table of rain.md and plot it.", tools=tools)
    functions = [entry.get("function") for entry in reply["outputs"]]
    assert functions == ["library_search", "open_library_result", "code_interpreter", None]
    assert "mean = 30" in reply["outputs"][-1]["content"][0]["text"]
