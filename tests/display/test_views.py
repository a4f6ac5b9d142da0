"""What each object shows: in a notebook, in a terminal, and without the packages for it."""

from __future__ import annotations

import base64
import io
import json
import re
import subprocess
import sys

import pytest
from IPython.core.formatters import DisplayFormatter
from rich.console import Console

import mistral_agents
from mistral_agents import Conversation, MistralAgents, show
from mistral_agents._api.records import Agent, Records
from mistral_agents._display import html
from mistral_agents.costs import Meter, Prices
from mistral_agents.entries import parse_entries
from mistral_agents.errors import ConfigurationError
from mistral_agents.graph import HandoffGraph
from mistral_agents.history import History
from mistral_agents.specs import Plan
from mistral_agents.turn import Turn

from .inert import look_at
from .objects import PNG, hits_of, objects_of, turn_of


def test_a_notebook_shows_a_turn_and_not_its_repr():
    turn = turn_of("The answer")
    shown, _ = DisplayFormatter().format(turn)
    assert {"text/html", "text/markdown", "text/plain"} <= set(shown)
    assert "Turn(" not in shown["text/plain"]
    assert len(shown["text/plain"]) < 1000 < len(repr(turn))


def test_a_turn_shows_answer_runs_sources_and_tokens():
    looker = look_at(turn_of("The **answer**")._repr_html_())
    assert "details" in looker.tags
    assert "strong" in looker.tags
    for word in ("reasoning", "code_interpreter", "2.00 s", "12 tokens", "conv_1"):
        assert word in looker.text, word
    assert looker.links[-1] == "https://example.org/a"
    assert "[1]" in looker.text


def test_pictures_are_drawn_only_where_their_bytes_are_here():
    looker = look_at(turn_of("x")._repr_html_())
    assert looker.tags.count("img") == 1
    assert "picture at http://tracker.invalid/x" in looker.text


def test_a_history_is_bubbles():
    text = look_at(objects_of("Hello there")["history"]._repr_html_()).text
    assert "you · 2026-01-01 00:00 UTC" in text
    assert "Hello there → Hello there" in text


def test_drawings_have_their_media_types():
    graph = objects_of("x")["graph"]._repr_mimebundle_()
    assert graph["text/vnd.mermaid"].startswith("graph LR")
    assert graph["image/svg+xml"].startswith("<svg")
    assert objects_of("x")["branch"]._repr_mimebundle_()["image/svg+xml"].startswith("<svg")


def test_a_graph_with_a_circle_is_drawn_once_for_each_agent():
    rows = [{"id": name, "name": name, "handoffs": ["b" if name == "a" else "a", name]} for name in "ab"]
    drawing = HandoffGraph.of(rows).to_svg()
    assert drawing.count("<rect") == 2
    assert drawing.count('fill="none" stroke="#888"') == 4
    assert HandoffGraph().to_svg().endswith("</svg>")


def test_the_drawing_of_a_circle_begins_at_the_agent_with_most_handoffs():
    rows = [{"id": "tides", "name": "tides"}, {"id": "berths", "name": "berths", "handoffs": ["desk"]}, {"id": "desk", "name": "desk", "handoffs": ["tides", "berths"]}]  # fmt: skip
    drawing = HandoffGraph.of(rows).to_svg()
    place = {name: float(x) for x, name in re.findall(r'<text x="(\d+)"[^>]*>(\w+)<', drawing)}
    assert place["desk"] < place["tides"] == place["berths"]


def test_who_answered_is_named_where_a_handoff_tells_the_name():
    rows = [
        {"type": "agent.handoff", "previous_agent_id": "ag_1", "previous_agent_name": "desk", "next_agent_id": "ag_2", "next_agent_name": "tides"},
        {"type": "message.output", "agent_id": "ag_2", "content": "At 14:10.", "created_at": "2026-01-01T00:00:00.123456Z"},
    ]  # fmt: skip
    text = look_at(show(History("conv_1", parse_entries(rows)))._repr_html_()).text
    assert "tides · 2026-01-01 00:00 UTC" in text


def test_a_result_is_named_by_its_call_and_pages_are_counted_from_one():
    hit = {"url": "doc_1", "title": "strategy.md", "source": "library_search", "metadata": {"relevant_pages": [0, 2]}}
    rows = [
        {"type": "function.call", "name": "get_weather", "tool_call_id": "c1", "arguments": "{}"},
        {"type": "function.result", "tool_call_id": "c1", "result": "Sunny."},
        {"type": "tool.execution", "name": "document_library", "info": {"result": json.dumps({"1": hit})}},
    ]
    history = History("conv_1", parse_entries(rows))
    text = look_at(show(history)._repr_html_()).text
    assert "result of get_weather" in text
    assert "p. 1, 3" in text
    assert "p. 1, 3" in Turn(None, history.entries).footnotes()


def test_lines_and_tags_of_an_answer_stay_in_notebooks_and_terminals():
    text = "2024: +32.1%\n2025: +29.7%, in a <b>table</b>"
    turn = Turn.from_response({"outputs": [{"type": "message.output", "content": text}]})
    looker = look_at(turn._repr_html_())
    assert looker.tags.count("br") == 1
    assert "<b>table</b>" in looker.text
    console = Console(file=io.StringIO(), width=80)
    console.print(turn)
    lines = [line.strip() for line in console.file.getvalue().splitlines()]
    assert {"2024: +32.1%", "2025: +29.7%, in a <b>table</b>"} <= set(lines)


def test_a_plan_is_a_coloured_diff():
    html_ = objects_of("new")["plan"]._repr_html_()
    assert '<span class="ma-del">- instructions: &#34;old&#34;</span>' in html_
    assert '<span class="ma-add">+ instructions: &#34;new&#34;</span>' in html_
    assert Plan([])._repr_html_() is not None


def test_found_words_are_marked():
    looker = hits_of("The warranties last <b>two</b> years.", "How long is the warranty?")._repr_html_()
    assert "<mark>warranties</mark>" in looker
    assert "p. 3 · score 1.250" in looker


def test_hits_of_a_search_know_what_was_searched_for(client):
    from mistral_agents.retrieval.engine import LibraryEngine
    from mistral_agents.retrieval.settings import Settings, checked_library_ids
    from mistral_agents.retrieval.snapshot import Query

    library = client.libraries.create("looks")
    client.libraries.upload(library.id, ("a.txt", b"The warranty lasts two years."), wait=True)
    client.libraries.upload(library.id, ("b.txt", b"Nothing of this kind."), wait=True)
    hits = LibraryEngine(client, Settings(checked_library_ids(library.id))).search(Query("warranties"))
    assert "<mark>warranty</mark>" in hits._repr_html_()
    client.libraries.delete(library.id)


def test_files_are_pictures():
    bundle = objects_of("plot")["file"]
    assert bundle._repr_png_() == PNG
    assert bundle._repr_jpeg_() is None
    assert base64.b64decode(bundle._repr_mimebundle_()["image/png"]) == PNG


def test_records_are_a_table_and_a_dataframe(client):
    one = client.agents.create(model="mistral-small-latest", name="looked at")
    listing = client.agents.list()
    assert next(listing)["id"]
    table = client.agents.list(name="looked at").all()
    assert "looked at" in look_at(table._repr_html_()).text
    assert list(client.agents.list(name="looked at").to_dataframe()["name"]) == ["looked at"]
    assert "looked at" in str(show(client.agents.list(name="looked at")))
    client.agents.delete(one.id)
    assert Records([])._repr_html_() is not None
    assert str(show(iter([]))) == "nothing"


def test_long_lists_are_cut_and_say_so():
    text = look_at(Records([Agent({"id": str(n)}) for n in range(500)])._repr_html_()).text
    assert "500 rows (200 are shown)" in text


def test_a_conversation_shows_its_history(client):
    conversation = Conversation(client, model="mistral-small-latest")
    assert "nothing was said yet" in conversation._repr_html_()
    conversation.append("My name is Ada.")
    assert "My name is Ada." in look_at(conversation._repr_html_()).text
    conversation.delete()


@pytest.mark.parametrize("kind", sorted(objects_of("x")))
def test_rich_prints_every_kind(kind):
    console = Console(file=io.StringIO(), width=80)
    console.print(objects_of("words of mine")[kind])
    text = console.file.getvalue()
    assert text.strip()
    assert "object at 0x" not in text


def test_show_refuses_what_it_does_not_know():
    with pytest.raises(ConfigurationError, match="no drawing of a int"):
        show(5)


def test_a_turn_tells_its_cost_by_a_price_table():
    prices = Prices({"*": (1e6, 2e6)}, currency="EUR")
    view = show(turn_of("x"), prices=prices)
    assert "17.0000 EUR" in str(view)
    assert "17.0000 EUR" in look_at(view._repr_html_()).text
    assert "EUR" not in str(show(turn_of("x"), prices=Prices({"another": (1.0, 1.0)}, currency="EUR")))


def test_pictures_of_a_turn_are_read_where_a_client_is_given(client):
    conversation = Conversation(client, model="mistral-small-latest", tools=[{"type": "code_interpreter"}])
    turn = conversation.append("Plot the numbers 3, 4, 8 and 9.")
    assert look_at(turn._repr_html_()).tags.count("img") == 0
    assert look_at(show(turn, client=client)._repr_html_()).tags.count("img") == 1
    assert look_at(show(conversation.history(), client=client)._repr_html_()).tags.count("img") == 1
    assert look_at(conversation._repr_html_()).tags.count("img") == 1
    client.files.delete(turn.files[0].file_id)
    assert look_at(show(turn, client=client)._repr_html_()).tags.count("img") == 0
    conversation.delete()


def test_a_conversation_tells_what_it_used_and_cost(client):
    meter = Meter(Prices({"*": (1000.0, 1000.0)}, currency="EUR"))
    conversation = Conversation(client, model="mistral-small-latest", meter=meter)
    conversation.append("Hello")
    text = look_at(conversation._repr_html_()).text
    assert f"through this object: {conversation.usage.total_tokens} tokens" in text
    assert f"{meter.cost:.4f} EUR" in text
    conversation.delete()


def test_without_the_template_library_there_is_text(monkeypatch):
    monkeypatch.setattr(html, "_environment", lambda: None)
    bundle = turn_of("The answer")._repr_mimebundle_()
    assert "text/html" not in bundle
    assert "The answer" in bundle["text/plain"]
    assert turn_of("x")._repr_html_() is None


def test_without_the_markdown_library_an_answer_is_plain_text(monkeypatch):
    monkeypatch.setattr(html, "make_markdown", lambda: None)
    assert '<div class="ma-plain">a **b** &lt;script&gt;</div>' in turn_of("a **b** <script>")._repr_html_()


def test_the_room_is_loaded_when_something_is_drawn():
    code = "import mistral_agents, sys; print([m for m in ('jinja2', 'rich', 'mistral_agents._display.views') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert mistral_agents.show is show


def test_include_and_exclude_are_kept():
    turn = turn_of("x")
    assert set(turn._repr_mimebundle_(include={"text/plain"})) == {"text/plain"}
    assert "text/html" not in turn._repr_mimebundle_(exclude={"text/html"})


def test_pages_need_only_themselves(client: MistralAgents, tmp_path):
    conversation = Conversation(client, model="mistral-small-latest", tools=[{"type": "code_interpreter"}])
    conversation.append("Plot the numbers 3, 4, 8 and 9.")
    page = conversation.to_html(tmp_path / "new" / "talk.html")
    assert (tmp_path / "new" / "talk.html").read_text(encoding="utf-8") == page
    looker = look_at(page)
    assert looker.bad == []
    assert "default-src 'none'" in page
    assert "Plot the numbers" in looker.text
    assert looker.tags.count("img") == 1
    assert look_at(conversation.to_html(files=False)).tags.count("img") == 0
    conversation.delete()


async def test_pages_are_made_without_blocking(client: MistralAgents):
    conversation = Conversation(client, model="mistral-small-latest")
    await conversation.aappend("Hello")
    assert "Hello" in look_at(await conversation.ato_html()).text
    await conversation.adelete()
