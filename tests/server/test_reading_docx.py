"""DOCX files are read as Word shows them."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import docx
import pytest
from docx.enum.section import WD_SECTION
from docx.opc.constants import RELATIONSHIP_TYPE
from docx.opc.packuri import PackURI
from docx.opc.part import Part
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls

from mistral_agents_server.parsing import UnreadableError, parse

W = nsdecls("w")
NAMES = W + (
    ' xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"'
    ' xmlns:wps="http://schemas.microsoft.com/office/word/2010/wordprocessingShape"'
    ' xmlns:v="urn:schemas-microsoft-com:vml" xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math"'
)


def run(text: str, properties: str = "") -> str:
    return f"<w:r>{f'<w:rPr>{properties}</w:rPr>' if properties else ''}<w:t xml:space='preserve'>{text}</w:t></w:r>"


def math(text: str) -> str:
    return f"<m:r><m:t>{text}</m:t></m:r>"


def field(kind: str) -> str:
    return f'<w:r><w:fldChar w:fldCharType="{kind}"/></w:r>'


def tick_box(state: str) -> str:
    data = f"<w:ffData><w:checkBox>{state.replace('`', chr(34))}</w:checkBox></w:ffData>"
    return f"<w:r><w:fldChar w:fldCharType='begin'>{data}</w:fldChar></w:r>{field('end')}"


def saved(document: docx.document.Document) -> bytes:
    file = io.BytesIO()
    document.save(file)
    return file.getvalue()


def read(document: docx.document.Document) -> str:
    return "\f".join(parse("a.docx", saved(document)))


def paragraph_of(inner: str) -> str:
    document = docx.Document()
    document.element.body.insert(0, parse_xml(f"<w:p {NAMES}>{inner}</w:p>"))
    return read(document)


BOX = f"<w:txbxContent><w:p>{run('boxed')}</w:p></w:txbxContent>"
TWICE = (
    f"<mc:AlternateContent><mc:Choice Requires='wps'><w:drawing><wps:txbx>{BOX}</wps:txbx></w:drawing></mc:Choice>"
    f"<mc:Fallback><w:pict><v:shape><v:textbox>{BOX}</v:textbox></v:shape></w:pict></mc:Fallback></mc:AlternateContent>"
)


@pytest.mark.parametrize(
    ("inner", "shown"),
    [
        (run("see ") + f"<w:hyperlink>{run('the link')}</w:hyperlink>" + run("."), "see the link."),
        (f"<w:ins w:id='1' w:author='a'>{run('new')}</w:ins>{run(' text')}", "new text"),
        (f"{run('kept')}<w:del w:id='1' w:author='a'><w:r><w:delText>gone</w:delText></w:r></w:del>", "kept"),
        (f"{run('kept')}<w:moveFrom w:id='1' w:author='a'>{run('moved')}</w:moveFrom>", "kept"),
        (f"<w:sdt><w:sdtPr/><w:sdtContent><w:sdt><w:sdtContent>{run('deep')}</w:sdtContent></w:sdt></w:sdtContent></w:sdt>", "deep"),
        (f"<w:fldSimple w:instr='REF x'>{run('simple')}</w:fldSimple>", "simple"),
        (f"{run('one')}<w:r><w:tab/><w:t>two</w:t><w:br/><w:t>three</w:t><w:noBreakHyphen/><w:t>four</w:t></w:r>", "one\ttwo\nthree-four"),
        (f"{run('seen')}{run('hidden', '<w:vanish/>')}{run(' too', '<w:vanish w:val=`0`/>'.replace('`', chr(34)))}", "seen too"),
        (f"{run('beside')}<w:r>{TWICE}</w:r>", "beside\n\nboxed"),
        ("<w:ruby><w:rt><w:r><w:t>かん</w:t></w:r></w:rt><w:rubyBase><w:r><w:t>漢</w:t></w:r></w:rubyBase></w:ruby>", "漢(かん)"),
        (f"{run('sum ')}<m:oMath><m:r><m:t>a+b</m:t></m:r></m:oMath>", "sum a+b"),
        (f"<m:oMath><m:f><m:num>{math('a+b')}</m:num><m:den>{math('2')}</m:den></m:f></m:oMath>", "(a+b)/2"),
        (f"<m:oMath>{math('f')}<m:d><m:e>{math('x')}</m:e><m:e>{math('y')}</m:e></m:d></m:oMath>", "f(x|y)"),
        (f"<m:oMath><m:sSup><m:e>{math('x')}</m:e><m:sup>{math('-2')}</m:sup></m:sSup></m:oMath>", "x⁻²"),
        (f"<m:oMath><m:nary><m:naryPr><m:chr m:val='∑'/></m:naryPr><m:sub>{math('i=1')}</m:sub><m:sup>{math('n')}</m:sup><m:e>{math('i')}</m:e></m:nary></m:oMath>", "∑_(i=1)^n i"),
        (f"<m:oMath><m:func><m:fName>{math('sin')}</m:fName><m:e>{math('x')}</m:e></m:func></m:oMath>", "sin x"),
        (f"<m:oMath><m:rad><m:deg>{math('3')}</m:deg><m:e>{math('x')}</m:e></m:rad></m:oMath>", "³√(x)"),
        (f"{run('Is ')}<w:r><w:fldChar w:fldCharType='begin'><w:ffData><w:ddList><w:result w:val='1'/><w:listEntry w:val='open'/><w:listEntry w:val='closed'/></w:ddList></w:ffData></w:fldChar></w:r>{field('end')}{run('.')}", "Is closed."),
        (f"{run('10')}{run('3', '<w:vertAlign w:val=`superscript`/>'.replace('`', chr(34)))} {run('1st')}", "10³1st"),
        (f"{run('±'.replace('±', chr(0xF0B1)), '<w:rFonts w:ascii=`Symbol`/>'.replace('`', chr(34)))}{run(chr(0xF0B1) + '5')}", "±5"),
        ("<w:r><w:sym w:font='Symbol' w:char='F06D'/><w:t>m</w:t></w:r>", "μm"),
        ("<w:r><w:pict><v:shape><v:textpath string='DRAFT'/></v:shape></w:pict></w:r>", "DRAFT"),
        (f"<w:bdo w:val='rtl'>{run('turned')}</w:bdo>", "turned"),
        (f"{run('10 k')}<w:r><w:sym w:font='Calibri' w:char='03A9'/></w:r>", "10 kΩ"),
        (f"{run('done ')}<w:r><w:sym w:font='Wingdings' w:char='F0FC'/><w:sym w:char='x'/><w:t>yes</w:t></w:r>", "done ✓yes"),
        (f"{run('File ')}<w:r><w:sym w:font='Wingdings' w:char='F0E0'/></w:r>{run(' Save ')}<w:r><w:sym w:font='Wingdings' w:char='4A'/></w:r>", "File → Save ☺"),
        (f"{tick_box('<w:default w:val=`0`/><w:checked/>')}{run(' Yes ')}{tick_box('<w:default w:val=`0`/>')}{run(' No ')}{tick_box('<w:default w:val=`1`/>')}{run(' Both')}", "☒ Yes ☐ No ☒ Both"),
    ],
)  # fmt: skip
def test_what_word_shows_in_a_paragraph(inner: str, shown: str) -> None:
    assert paragraph_of(inner) == shown


def test_a_field_shows_its_result_and_not_its_code() -> None:
    code = "<w:r><w:instrText>IF </w:instrText></w:r>"
    nested = field("begin") + code + field("separate") + run("compared") + field("end")
    inner = (
        run("a ") + field("begin") + code + nested + run("literal") + field("separate") + run("result") + field("end")
    )
    assert paragraph_of(inner + run(" z")) == "a result z"


def test_a_field_may_end_in_another_paragraph() -> None:
    document = docx.Document()
    first = f"<w:p {W}>{field('begin')}<w:r><w:instrText>TOC</w:instrText></w:r>{field('separate')}{run('One 1')}</w:p>"
    for place, xml in enumerate((first, f"<w:p {W}>{run('Two 2')}{field('end')}</w:p>")):
        document.element.body.insert(place, parse_xml(xml))
    assert read(document) == "One 1\n\nTwo 2"


def test_a_table_is_read_by_rows_with_merged_cells_once_and_nested_ones_in_place() -> None:
    document = docx.Document()
    table = document.add_table(3, 3)
    table.cell(0, 0).merge(table.cell(0, 2)).text = "Wide"
    table.cell(1, 0).merge(table.cell(2, 0)).text = "Tall"
    table.cell(1, 1).text, table.cell(2, 2).text = "b", "f"
    table.cell(2, 1).text = "Two\nlines"
    table.cell(1, 2).add_table(1, 1).cell(0, 0).text = "nested"
    assert read(document) == "Wide\nTall | b | nested\n | Two lines | f".replace("\n |", "\n|")


def test_a_cell_that_reaches_across_keeps_the_columns_of_a_table_but_not_those_of_a_form() -> None:
    document = docx.Document()
    table = document.add_table(2, 3)
    table.cell(0, 0).merge(table.cell(0, 1)).text, table.cell(0, 2).text = "2025", "Note"
    for column, text in enumerate(("H1", "H2", "x")):
        table.cell(1, column).text = text
    assert read(document) == "2025 |  | Note\nH1 | H2 | x"
    form = docx.Document()
    table = form.add_table(2, 5)
    for row, ends in enumerate(((2, 4), (1, 4))):
        table.cell(row, 0).merge(table.cell(row, ends[0])).text = "Name"
        table.cell(row, ends[0] + 1).merge(table.cell(row, ends[1])).text = "Ada"
    assert read(form) == "Name | Ada\nName | Ada"


def test_cells_that_claim_to_reach_across_more_columns_than_word_has_make_no_long_text() -> None:
    document = docx.Document()
    table = document.add_table(1, 200)
    for number in range(200):
        across = '<w:tcPr><w:gridSpan w:val="199"/></w:tcPr>'
        cells = [f"<w:tc>{told}<w:p><w:r><w:t>c{number}</w:t></w:r></w:p></w:tc>" for told in (across, "")]
        table._tbl.append(parse_xml(f"<w:tr {W}>{''.join(cells)}</w:tr>"))
    text = read(document)
    assert text.count("c199") == 2
    assert text.count("|") < 200 * 70


def test_a_row_whose_deletion_is_tracked_is_not_read() -> None:
    document = docx.Document()
    table = document.add_table(2, 2)
    for number, cell in enumerate(table._cells):
        cell.text = f"cell {number}"
    table.rows[1]._tr.insert(0, parse_xml(f'<w:trPr {W}><w:del w:id="1" w:author="a"/></w:trPr>'))
    assert read(document) == "cell 0 | cell 1"


DELETED_END = "<w:pPr><w:rPr><w:del w:id='9' w:author='a'/></w:rPr></w:pPr>"


@pytest.mark.parametrize(
    ("blocks", "shown"),
    [
        (f"<w:p>{DELETED_END}{run('KX-')}</w:p><w:p>{run('77')}</w:p><w:p>{run('end')}</w:p>", "KX-77\n\nend"),
        (f"<w:p>{DELETED_END}{run('a')}</w:p><w:p>{DELETED_END}{run('b')}</w:p><w:p>{run('c')}</w:p>", "abc"),
        (f"<w:p>{DELETED_END}{run('a')}</w:p><w:tbl><w:tr><w:tc><w:p>{run('b')}</w:p></w:tc></w:tr></w:tbl>", "a\n\nb"),
        (f"<w:tbl><w:tr><w:tc><w:p>{DELETED_END}{run('a')}</w:p></w:tc></w:tr></w:tbl><w:p>{run('b')}</w:p>", "a\n\nb"),
        (f"<w:p>{DELETED_END}{run('a')}</w:p><w:sdt><w:sdtContent><w:p>{run('b')}</w:p></w:sdtContent></w:sdt>", "a\n\nb"),
        (f"<w:p>{run('a')}</w:p><w:p>{DELETED_END}{run('last')}</w:p>", "a\n\nlast"),
        (f"<w:p>{DELETED_END}<w:del w:id='1'><w:r><w:delText>gone</w:delText></w:r></w:del></w:p><w:p>{run('a')}</w:p>", "a"),
    ],
)  # fmt: skip
def test_a_paragraph_whose_end_was_deleted_goes_on(blocks: str, shown: str) -> None:
    document = docx.Document()
    for place, element in enumerate(list(parse_xml(f"<w:body {NAMES}>{blocks}</w:body>"))):
        document.element.body.insert(place, element)
    assert read(document) == shown


def test_a_layout_of_one_column_keeps_its_blocks() -> None:
    document = docx.Document()
    cell = document.add_table(1, 1).cell(0, 0)
    cell.paragraphs[0].text = "First"
    cell.add_paragraph("Part", style="Heading 1")
    assert read(document) == "First\n\n# Part"


def test_headers_and_footers_are_read_once_where_they_are_shown() -> None:
    document = docx.Document()
    document.add_paragraph("Body one")
    document.sections[0].header.paragraphs[0].text = "Manual KX"
    document.sections[0].footer.paragraphs[0].text = "Confidential"
    document.sections[0].first_page_header.paragraphs[0].text = "never shown"
    document.add_section(WD_SECTION.NEW_PAGE)
    document.add_paragraph("Body two")
    document.sections[1].header.is_linked_to_previous = False
    document.sections[1].header.paragraphs[0].text = "Annex"
    document.sections[1].footer.is_linked_to_previous = False
    document.sections[1].footer.paragraphs[0].text = "Confidential"
    document.sections[0].different_first_page_header_footer = False
    assert read(document) == "Manual KX\n\nBody one\n\nConfidential\fAnnex\n\nBody two"


def test_a_footer_with_a_page_number_alone_is_left_out() -> None:
    document = docx.Document()
    document.add_paragraph("Body")
    document.sections[0].footer.paragraphs[0].text = "- 7 -"
    assert read(document) == "Body"


def test_pages_begin_where_the_author_or_word_began_them() -> None:
    document = docx.Document()
    document.add_paragraph("one")
    second = document.add_paragraph("two")
    second.paragraph_format.page_break_before = True
    third = document.add_paragraph()
    third._p.append(parse_xml(f"<w:r {W}><w:lastRenderedPageBreak/><w:t>three</w:t></w:r>"))
    assert parse("a.docx", saved(document)) == ["one", "two", "three"]


def page_break() -> Any:
    return parse_xml(f'<w:p {W}><w:r><w:br w:type="page"/></w:r></w:p>')


def test_a_page_without_text_is_a_page_all_the_same() -> None:
    document = docx.Document()
    document.element.body.insert(0, page_break())
    document.add_paragraph("Alpha", style=None)._p.addnext(page_break())
    document.element.body.insert(3, page_break())
    laid_out = document.add_paragraph()
    laid_out._p.append(parse_xml(f"<w:r {W}><w:lastRenderedPageBreak/><w:t>Beta</w:t></w:r>"))
    document.add_section()
    document.add_section()
    document.add_paragraph("Gamma")
    assert parse("a.docx", saved(document)) == ["", "Alpha", "", "Beta", "", "Gamma"]


def test_a_first_paragraph_that_would_begin_a_page_begins_the_first() -> None:
    document = docx.Document()
    for text in ("One", "Two"):
        document.add_heading(text, 1).paragraph_format.page_break_before = True
    assert parse("a.docx", saved(document)) == ["# One", "# Two"]


def with_part(name: str, kind: str, xml: str, document: docx.document.Document | None = None) -> docx.document.Document:
    document = document if document is not None else docx.Document()
    part = Part(PackURI(f"/word/{name}"), "application/xml", xml.encode(), document.part.package)
    document.part.relate_to(part, kind)
    return document


def test_the_words_of_a_chart_are_read_once() -> None:
    names = 'xmlns:c="http://schemas.openxmlformats.org/drawingml/2006/chart" xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"'
    title = "<c:title><c:tx><c:rich><a:p><a:r><a:t>Sales </a:t></a:r><a:r><a:t>2024</a:t></a:r></a:p></c:rich></c:tx></c:title>"
    months = "<c:cat><c:strRef><c:strCache><c:pt><c:v>May</c:v></c:pt><c:pt><c:v>June</c:v></c:pt></c:strCache></c:strRef></c:cat>"
    series = "".join(
        f"<c:ser><c:tx><c:strRef><c:strCache><c:pt><c:v>{name}</c:v></c:pt></c:strCache></c:strRef></c:tx>{months}</c:ser>"
        for name in ("North", "South")
    )
    relation = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/chart"
    document = with_part("charts/chart1.xml", relation, f"<c:chartSpace {names}>{title}{series}</c:chartSpace>")
    [key] = [one.rId for one in document.part.rels.values() if one.reltype == relation]
    used = f'{names} xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"'
    drawing = f'<w:r {W}><w:drawing><c:chart {used} r:id="{key}"/></w:drawing></w:r>'
    document.add_paragraph("See")._p.append(parse_xml(drawing))
    assert read(document).split("\n\n") == ["See", "Sales 2024", "North", "May", "June", "South"]


@pytest.mark.parametrize("kind", ["footnote", "endnote"])
def test_a_note_follows_the_paragraph_that_refers_to_it(kind: str) -> None:
    notes = f'<w:{kind}s {W}><w:{kind} w:id="2"><w:p>{run("The note.")}</w:p></w:{kind}></w:{kind}s>'
    relation = f"http://schemas.openxmlformats.org/officeDocument/2006/relationships/{kind}s"
    document = with_part(f"{kind}s.xml", relation, notes)
    paragraph = document.add_paragraph("A claim")
    paragraph._p.append(parse_xml(f'<w:r {W}><w:{kind}Reference w:id="2"/></w:r>'))
    document.add_paragraph("More.")
    assert read(document) == "A claim[1]\n\n[1] The note.\n\nMore."


def test_lists_and_numbered_headings_have_their_numbers() -> None:
    document = docx.Document()
    for text, style in (("apple", "List Bullet"), ("first", "List Number"), ("second", "List Number")):
        document.add_paragraph(text, style=style)
    assert read(document) == "- apple\n\n1. first\n\n2. second"


def test_numbers_of_several_levels_are_counted_as_word_counts() -> None:
    level = '<w:lvl w:ilvl="{0}"><w:start w:val="1"/><w:numFmt w:val="{1}"/><w:lvlText w:val="{2}"/></w:lvl>'
    levels = "".join(
        level.format(*one) for one in ((0, "upperRoman", "%1"), (1, "decimal", "%1.%2"), (2, "lowerLetter", "%3)"))
    )
    numbering = f'<w:abstractNum {W} w:abstractNumId="90">{levels}</w:abstractNum>'
    document = docx.Document()
    root = document.part.numbering_part.element
    root.insert(0, parse_xml(numbering))
    root.append(parse_xml(f'<w:num {W} w:numId="91"><w:abstractNumId w:val="90"/></w:num>'))
    for depth, text in ((0, "a"), (1, "b"), (1, "c"), (2, "d"), (0, "e"), (1, "f")):
        paragraph = document.add_paragraph(text)
        numbers = f'<w:numPr {W}><w:ilvl w:val="{depth}"/><w:numId w:val="91"/></w:numPr>'
        paragraph._p.get_or_add_pPr().append(parse_xml(numbers))
    assert read(document).split("\n\n") == ["I a", "I.1 b", "I.2 c", "a) d", "II e", "II.1 f"]


def test_a_field_that_never_ends_hides_nothing() -> None:
    document = docx.Document()
    document.add_paragraph("Before")._p.append(parse_xml(f"<w:r {W}><w:fldChar w:fldCharType='begin'/></w:r>"))
    document.add_paragraph("Behind")
    assert read(document) == "Before\n\nBehind"


SAVED_PAGE = b"MIME-Version: 1.0\nContent-Type: multipart/related; boundary=b\n\n--b\nContent-Type: text/html\n\n<p>From a page\n--b--"


def containing(name: str, data: bytes) -> docx.document.Document:
    """A document in which another format was put in as a part."""
    document = docx.Document()
    part = Part(PackURI(f"/word/{name}"), "text/html", data, document.part.package)
    chunk = document.part.relate_to(part, RELATIONSHIP_TYPE.A_F_CHUNK)
    names = f'{W} xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"'
    document.element.body.insert(0, parse_xml(f'<w:altChunk {names} r:id="{chunk}"/>'))
    return document


@pytest.mark.parametrize(
    ("name", "data", "shown"),
    [
        ("chunk.html", b"<p>From <b>elsewhere</b></p>", "From elsewhere"),
        ("chunk.mht", SAVED_PAGE, "From a page"),
        ("chunk.txt", b"From a text", "From a text"),
        ("chunk.rtf", b"{\\rtf1 x}", "[The part chunk.rtf was not read.]"),
    ],
)
def test_another_format_that_was_put_in_as_a_part_is_read_in_place(name: str, data: bytes, shown: str) -> None:
    assert read(containing(name, data)) == shown


def test_a_document_in_a_document_is_read_and_a_third_in_it_is_named() -> None:
    inner = containing("third.docx", saved(docx.Document()))
    inner.add_heading("Inner", 1)
    assert read(containing("inner.docx", saved(inner))) == "[The part third.docx was not read.]\n\n# Inner"


def test_a_part_that_is_named_in_many_places_does_not_make_a_small_file_a_large_text(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    inner = docx.Document()
    for _ in range(200):
        inner.add_paragraph("word " * 100)
    document = containing("inner.docx", saved(inner))
    chunk = document.element.body[0]
    monkeypatch.setattr("mistral_agents_server.readers.docx._MAX_UNPACKED_BYTES", 2_000_000)
    assert read(document).startswith("word word")
    for _ in range(50):
        chunk.addnext(deepcopy(chunk))
    with pytest.raises(UnreadableError, match="too large"):
        read(document)


def rewritten(change: Callable[[str, bytes], bytes]) -> bytes:
    document = docx.Document()
    document.add_heading("Strict", 1)
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(saved(document))) as old, zipfile.ZipFile(file, "w") as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
    return file.getvalue()


def test_a_document_saved_as_strict_open_xml_is_read() -> None:
    def make_strict(_name: str, data: bytes) -> bytes:
        data = data.replace(
            b"http://schemas.openxmlformats.org/wordprocessingml/2006/main",
            b"http://purl.oclc.org/ooxml/wordprocessingml/main",
        )
        return data.replace(b"http://schemas.openxmlformats.org/officeDocument/2006/relationships", b"http://purl.oclc.org/ooxml/officeDocument/relationships")  # fmt: skip

    assert parse("a.docx", rewritten(make_strict)) == ["# Strict"]


def test_entities_are_refused() -> None:
    bomb = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaa">]><x>&a;</x>'
    with pytest.raises(UnreadableError, match="entities"):
        parse("a.docx", rewritten(lambda name, data: bomb if name == "word/document.xml" else data))


def test_a_damaged_document_is_unreadable() -> None:
    with pytest.raises(UnreadableError, match="no DOCX"):
        parse("a.docx", rewritten(lambda name, data: data[:200] if name == "word/document.xml" else data))
    with pytest.raises(UnreadableError, match="no DOCX"):
        parse("a.docx", b"PK\x03\x04 and nothing of a ZIP archive")
