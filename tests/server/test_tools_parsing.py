"""Documents to pages of text, and texts to ranked passages."""

from __future__ import annotations

import io
import zipfile

import docx
import pytest
from docx.enum.text import WD_BREAK
from fpdf import FPDF

from mistral_agents_server.documents import _passages, summarize
from mistral_agents_server.parsing import UnreadableError, parse
from mistral_agents_server.ranking import Ranker, Source, language_of
from mistral_agents_server.readers.html import html_text


def pdf(*pages: str, password: str | None = None) -> bytes:
    made = FPDF()
    made.set_font("helvetica", size=12)
    for page in pages:
        made.add_page()
        made.multi_cell(0, 8, page)
    if password is not None:
        made.set_encryption(owner_password="o", user_password=password)
    return bytes(made.output())


def test_pdf_pages() -> None:
    pages = parse("a.pdf", pdf("First page on otters.", "", "Third page."))
    assert pages == ["First page on otters.", "", "Third page."]


def test_a_pdf_is_known_by_its_bytes() -> None:
    assert parse("a.txt", pdf("Inside.")) == ["Inside."]


def test_a_pdf_with_a_password_or_without_text_is_unreadable() -> None:
    with pytest.raises(UnreadableError, match="password"):
        parse("a.pdf", pdf("x", password="secret"))
    with pytest.raises(UnreadableError, match="no text"):
        parse("a.pdf", pdf("", ""))


def test_docx_headings_tables_and_page_breaks() -> None:
    document = docx.Document()
    document.add_heading("Report", 0)
    document.add_heading("Part one", 2)
    paragraph = document.add_paragraph("On the first page.")
    paragraph.add_run().add_break(WD_BREAK.PAGE)
    document.add_paragraph("On the second page.")
    table = document.add_table(rows=2, cols=2)
    for row, values in zip(table.rows, (("Year", "Count"), ("2024", "7")), strict=True):
        for cell, value in zip(row.cells, values, strict=True):
            cell.text = value
    packed = io.BytesIO()
    document.save(packed)
    first, second = parse("a.docx", packed.getvalue())
    assert first == "# Report\n\n## Part one\n\nOn the first page."
    assert second == "On the second page.\n\nYear | Count\n2024 | 7"


def test_a_docx_that_grows_too_large_is_unreadable() -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("word/document.xml", "w") as part:
        for _ in range(300):
            part.write(bytes(1024 * 1024))
    assert len(packed.getvalue()) < 1024 * 1024
    with pytest.raises(UnreadableError, match="too large"):
        parse("bomb.docx", packed.getvalue())


def test_html_becomes_text() -> None:
    source = """<html><head><title>T</title><style>p{}</style></head><body><h2>Otters</h2><p>They <b>swim</b>
    well.<br>Yes.</p><ul><li>one</li><li>two</li></ul><table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>2</td></tr>
    </table><script>alert(1)</script></body></html>"""
    text = html_text(source)
    assert "## Otters" in text
    assert "They swim well.\nYes." in text
    assert "- one\n- two" in text
    assert "a | b\n1 | 2" in text
    assert "alert" not in text
    assert parse("a.html", source.encode()) == [text]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_encodings(encoding: str) -> None:
    assert parse("a.txt", "Fluß, café – ok".encode(encoding)) == ["Fluß, café – ok"]


def test_csv_and_json_are_text() -> None:
    assert parse("a.csv", b"x,y\r\n1,2\r\n") == ["x,y\n1,2"]
    assert parse("a.json", b'{"a": 1}') == ['{"a": 1}']


def test_form_feeds_part_pages() -> None:
    assert parse("a.txt", b"one\ftwo") == ["one", "two"]


def test_passages_are_as_short_as_asked_and_keep_their_page() -> None:
    pages = ["Otters swim. " * 60, "Herons wade. " * 60]
    passages = _passages(pages, 256)
    assert all(len(passage.text) <= 256 for passage in passages)
    assert [passage.position for passage in passages] == list(range(len(passages)))
    assert {passage.page for passage in passages if "Otters" in passage.text} == {0}
    assert {passage.page for passage in passages if "Herons" in passage.text} == {1}
    assert len(_passages(pages, 2000)) == 2


def test_a_summary_is_made_of_whole_sentences_of_the_text() -> None:
    text = "# Title\n\n" + "This is a sentence about otters and rivers. " * 20
    summary = summarize(text)
    assert summary.endswith("rivers.")
    assert len(summary) <= 300
    assert "Title" not in summary


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("The otter is a mammal that lives in the rivers of the north", "english"),
        ("Der Otter ist ein Tier und lebt in den Flüssen des Nordens, wo er die Fische fängt", "german"),
        ("La loutre est un animal qui vit dans les rivières et qui mange des poissons avec les autres", "french"),
        ("42 17 88", "english"),
    ],
)
def test_languages_are_told_apart(text: str, language: str) -> None:
    assert language_of(text) == language


def test_ranking_stems_each_document_in_its_language() -> None:
    ranker = Ranker(
        [
            Source("a.txt", ["The otters were swimming in the river, and it is a fine thing to be one of them."]),
            Source(
                "b.txt", ["Die Häuser sind in der Stadt und die Bäume sind auf den Bergen, wo es nicht so warm ist."]
            ),
            Source("c.txt", ["Nothing here on the matter."]),
        ]
    )
    assert ranker.search("otter swims", 3) == [0]
    assert ranker.search("Haus", 3) == [1]
    assert ranker.search("Berg Baum", 3)[0] == 1
    assert ranker.search("submarine", 3) == []
    assert ranker.search("", 3) == []


def test_ranking_nothing() -> None:
    assert Ranker([]).search("x", 3) == []
    assert Ranker([Source("empty", [])]).search("empty", 3) == []


def test_rare_words_count_more() -> None:
    passages = [f"Common words about energy number {n}." for n in range(20)]
    ranker = Ranker([Source(f"{n}", [text]) for n, text in enumerate([*passages, "Common words about tidal energy."])])
    assert ranker.search("tidal energy", 1) == [20]
