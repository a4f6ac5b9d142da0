"""What others wrote stays inert in every drawing: nothing runs, nothing is loaded, no link leads elsewhere than to the web."""

from __future__ import annotations

import io
import unicodedata

import pytest
from markdown_it import MarkdownIt
from rich.console import Console

from mistral_agents._display.html import draw_page
from mistral_agents._display.links import safe_link

from .inert import look_at
from .objects import HOSTILE, objects_of

KINDS = sorted(objects_of("x"))


@pytest.mark.parametrize("word", HOSTILE)
@pytest.mark.parametrize("kind", KINDS)
def test_html_is_inert(kind, word):
    thing = objects_of(word)[kind]
    for html in (thing._repr_html_(), draw_page(thing._view())):
        assert look_at(html).bad == []


@pytest.mark.parametrize("word", HOSTILE)
@pytest.mark.parametrize("kind", KINDS)
def test_markdown_is_inert_whoever_renders_it(kind, word):
    html = MarkdownIt("commonmark", {"html": True}).enable("table").render(objects_of(word)[kind]._repr_markdown_())
    looker = look_at(html)
    assert [bad for bad in looker.bad if not bad.startswith("style")] == []
    assert "img" not in looker.tags


@pytest.mark.parametrize("kind", KINDS)
def test_a_terminal_gets_no_command(kind):
    console = Console(file=io.StringIO(), force_terminal=False, width=100)
    console.print(objects_of("".join(HOSTILE))[kind])
    text = console.file.getvalue()
    assert {char for char in text if unicodedata.category(char) in ("Cc", "Cf", "Cs")} <= {"\n", "\t"}


@pytest.mark.parametrize("kind", KINDS)
def test_the_text_form_is_there_and_commands_nothing(kind):
    text = objects_of("".join(HOSTILE))[kind]._repr_mimebundle_()["text/plain"]
    assert "secret-token" not in text


def test_secrets_are_masked_in_every_form():
    bundle = objects_of("x")["record"]._repr_mimebundle_()
    assert "secret-token" not in str(bundle)
    assert "***" in bundle["text/html"]


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "JAVASCRIPT:x",
        " https://a.b",
        "https://a b",
        "data:text/html,x",
        "//a.b",
        "file:///etc",
        "https:",
        "http://[",
        None,
        "https://a.b/\u202e",
    ],
)
def test_links_lead_to_the_web_only(url):
    assert safe_link(url) is None


def test_a_link_to_the_web_stays():
    assert safe_link("https://example.org/a?b=c#d") == "https://example.org/a?b=c#d"
