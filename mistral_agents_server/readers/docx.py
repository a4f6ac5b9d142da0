"""DOCX to pages of text, as Word shows the document.

Read straight from its XML (ECMA-376, part 1, chapter 17), by local names: strict and transitional documents differ in
their namespaces only. What Word shows is read, wherever it stands: in links, tracked insertions, content controls,
fields, text boxes, nested tables, headers, footers, foot- and endnotes. What it hides is not: tracked deletions, codes
of fields, hidden text.
"""

from __future__ import annotations

import io
import posixpath
import re
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import zip_longest
from xml.etree import ElementTree

from mistral_agents_server.readers import PAGE_BREAK, UnreadableError
from mistral_agents_server.readers.formulas import formula_text, raised
from mistral_agents_server.readers.html import decode_html, html_text
from mistral_agents_server.readers.mail import is_mail, read_mail
from mistral_agents_server.readers.numbering import ListNumbers
from mistral_agents_server.readers.symbols import is_symbol_font, read_symbols
from mistral_agents_server.readers.xml import attribute_of, child_of, children_of, is_on, name_of, text_value

_MAX_UNPACKED_BYTES = 256 * 1024**2
_MOST_COLUMNS = 63
_OTHER_KINDS = {"xl/": "an Excel workbook", "ppt/": "a PowerPoint presentation"}
_NAMED_KINDS = {
    "application/vnd.oasis.opendocument.text": "an OpenDocument text",
    "application/vnd.oasis.opendocument.spreadsheet": "an OpenDocument spreadsheet",
    "application/vnd.oasis.opendocument.presentation": "an OpenDocument presentation",
    "application/epub+zip": "an EPUB book",
}
"""What an archive says that it is, in its part `mimetype`."""
_HIDDEN = frozenset({"del", "moveFrom", "delText", "delInstrText", "instrText", "pPr", "rPr", "tblPr", "tcPr", "trPr"})
_NOTES = {"footnoteReference": "footnotes", "endnoteReference": "endnotes"}
_MADE = "\x1d"
"""Behind a page break that an author made; another may be the same one, as Word laid the document out."""
_BREAK = {"tab": "\t", "ptab": "\t", "cr": "\n", "noBreakHyphen": "-", "lastRenderedPageBreak": PAGE_BREAK}

Element = ElementTree.Element


def read_docx(data: bytes) -> list[str]:
    """The text of a DOCX file, by page: where its author ended one, or where Word did when it laid it out last.

    Raises:
        UnreadableError: it is no DOCX, is damaged, or is too large when unpacked.
    """
    return _split_pages("\n\n".join(_read_blocks(data)))


def _split_pages(text: str) -> list[str]:
    """The pages of a text; of breaks without words between them those count that an author made, a blank page each."""
    first, *others = text.split(PAGE_BREAK)
    pages, made = [first.strip()], 0
    for part in others:
        made += part.startswith(_MADE)
        words = part.replace(_MADE, "").strip()
        if words:
            pages += [*([""] * (made - 1)), words]
            made = 0
    return pages


def _read_blocks(data: bytes, outer: _Package | None = None) -> list[str]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            if sum(entry.file_size for entry in packed.infolist()) > _MAX_UNPACKED_BYTES:
                raise UnreadableError("it is too large when unpacked")
            return list(_Document(_Package(packed, outer)).blocks())
    except (
        zipfile.BadZipFile,
        ElementTree.ParseError,
        LookupError,
        ValueError,
        EOFError,
        OSError,
        RecursionError,
    ) as error:
        raise UnreadableError(f"it is no DOCX that can be read: {error}") from error


class _Package:
    """The parts of a DOCX file.

    Args:
        packed: the ZIP archive it is.
        outer: that of the document that it stands in.
    """

    def __init__(self, packed: zipfile.ZipFile, outer: _Package | None = None) -> None:
        self._packed = packed
        self.outer = outer
        self.names = frozenset(packed.namelist())
        self._relations: dict[str, dict[str, tuple[str, str]]] = {}
        self._unpacked = 0

    def main_name(self) -> str:
        """The name of the document's part.

        Raises:
            UnreadableError: there is none; the archive is something else.
        """
        for kind, target in self.relations("").values():
            if kind == "officeDocument" and not any(target.startswith(folder) for folder in _OTHER_KINDS):
                return target
        stated = self.read("mimetype")[:99].decode("ascii", "replace") if "mimetype" in self.names else ""
        if stated in _NAMED_KINDS:
            raise UnreadableError(f"it is {_NAMED_KINDS[stated]}: save it as DOCX or PDF")
        kinds = (words for folder, words in _OTHER_KINDS.items() if any(name.startswith(folder) for name in self.names))
        raise UnreadableError(f"it is {next(kinds, 'an archive')}, not a DOCX file")

    def relations(self, name: str) -> dict[str, tuple[str, str]]:
        """What a part (or, for "", the package) relates to: kind and part name, by id."""
        if name not in self._relations:
            self._relations[name] = self._read_relations(name)
        return self._relations[name]

    def _read_relations(self, name: str) -> dict[str, tuple[str, str]]:
        folder, base = posixpath.split(name)
        place = posixpath.join(folder, "_rels", f"{base}.rels")
        if place not in self.names:
            return {}
        found = {}
        for one in self.tree(place):
            target, kind = one.get("Target", ""), one.get("Type", "").rpartition("/")[2]
            if one.get("TargetMode") != "External":
                path = target[1:] if target.startswith("/") else posixpath.normpath(posixpath.join(folder, target))
                found[one.get("Id", "")] = (kind, path)
        return found

    def tree(self, name: str) -> Element:
        """The XML of a part."""
        data = self.read(name)
        if b"<!DOCTYPE" in data[:4096]:
            raise UnreadableError("it declares entities, which no DOCX does")
        return ElementTree.fromstring(data)  # noqa: S314 (no entities)

    def read(self, name: str) -> bytes:
        """The bytes of a part.

        Raises:
            UnreadableError: all that was read is too large; a document may name one part in thousands of places.
        """
        counted = self.outer or self
        counted._unpacked += self._packed.getinfo(name).file_size
        if counted._unpacked > _MAX_UNPACKED_BYTES:
            raise UnreadableError("it is too large when unpacked")
        return self._packed.read(name)


@dataclass(slots=True)
class _Styles:
    """What styles say about paragraphs and runs, those that they are based on included."""

    heading_levels: dict[str, int] = field(default_factory=dict)
    hidden: set[str] = field(default_factory=set)
    page_starts: set[str] = field(default_factory=set)
    numbering: dict[str, Element] = field(default_factory=dict)

    @classmethod
    def read(cls, root: Element | None) -> _Styles:
        """Read `styles.xml`."""
        found = cls()
        styles = {attribute_of(one, "styleId") or "": one for one in children_of(root, "style")}
        for style_id in styles:
            for style in _based_on(styles, style_id):
                properties, runs = child_of(style, "pPr"), child_of(style, "rPr")
                level = _heading_level(text_value(child_of(style, "name")), properties)
                if level is not None:
                    found.heading_levels.setdefault(style_id, level)
                if is_on(child_of(runs, "vanish")):
                    found.hidden.add(style_id)
                if is_on(child_of(properties, "pageBreakBefore")):
                    found.page_starts.add(style_id)
                numbers = child_of(properties, "numPr")
                if numbers is not None:
                    found.numbering.setdefault(style_id, numbers)
        return found


def _based_on(styles: dict[str, Element], style_id: str) -> Iterator[Element]:
    """A style and those it is based on, nearest first."""
    seen: set[str] = set()
    while style_id in styles and style_id not in seen:
        seen.add(style_id)
        yield styles[style_id]
        style_id = text_value(child_of(styles[style_id], "basedOn")) or ""


def _heading_level(style_name: str | None, properties: Element | None) -> int | None:
    found = re.fullmatch(r"heading ([1-9])|title", style_name or "", re.IGNORECASE)
    if found is not None:
        return int(found[1] or 1)
    outline = text_value(child_of(properties, "outlineLvl"))
    return int(outline) + 1 if outline is not None and re.fullmatch("[0-8]", outline) else None


@dataclass(slots=True)
class _Story:
    """A text that stands for itself: the body, a header, a note, a text box.

    Attributes:
        part: the name of its part, whose relations its ids mean.
        fields: for each open field, whether its result has begun; what stands before that is its code.
        aside: blocks that are shown beside the paragraph being read: text boxes and notes.
        begun: the text of a paragraph whose end was deleted, which the next paragraph goes on with.
    """

    part: str
    fields: list[bool] = field(default_factory=list)
    aside: list[str] = field(default_factory=list)
    begun: str = ""

    def take_begun(self) -> list[str]:
        """The text that waits for a next paragraph, once; nothing where none does."""
        text, self.begun = self.begun, ""
        return [text] if text.strip() else []


class _Document:
    """Reads the stories of a document.

    Args:
        package: its parts.
    """

    def __init__(self, package: _Package) -> None:
        self._package = package
        self._main = package.main_name()
        self._styles = _Styles.read(self._related_tree("styles"))
        self._numbers = ListNumbers(self._related_tree("numbering"))
        settings = self._related_tree("settings")
        self._has_even_pages = is_on(child_of(settings, "evenAndOddHeaders"))
        self._notes = {kind: self._read_notes(kind) for kind in _NOTES.values()}
        self._shown_margins: set[str] = set()
        self._read_margins: set[str] = set()
        self._has_begun = False
        self._unclosed: frozenset[Element] = frozenset()
        self._note_count = 0

    def _related_tree(self, kind: str) -> Element | None:
        for related, target in self._package.relations(self._main).values():
            if related == kind and target in self._package.names:
                return self._package.tree(target)
        return None

    def _read_notes(self, kind: str) -> dict[str, Element]:
        root = self._related_tree(kind)
        return {attribute_of(note, "id") or "": note for note in (root if root is not None else ())}

    def blocks(self) -> Iterator[str]:
        """The blocks of text: for each section its headers, if they were not shown before, its text, its footers."""
        body = child_of(self._package.tree(self._main), "body")
        self._unclosed = _unclosed_fields(body)
        story, section, is_first = _Story(self._main), list[str](), True
        for element in body if body is not None else ():
            section += self._blocks_of(element, story)
            properties = element if name_of(element) == "sectPr" else child_of(child_of(element, "pPr"), "sectPr")
            if properties is not None:
                yield from self._section(section, properties, is_first)
                section, is_first = [], False
        yield from [*section, *story.take_begun()]

    def _section(self, blocks: list[str], properties: Element, is_first: bool) -> Iterator[str]:
        """A section between its headers and footers; it begins a page unless it is continuous."""
        starts_page = not is_first and text_value(child_of(properties, "type")) != "continuous"
        breaks = PAGE_BREAK + _MADE if starts_page else ""
        if blocks:
            breaks += _breaks_before(blocks[0])
            blocks = [blocks[0].lstrip(), *blocks[1:]]  # without the break, which would part it from its header
        if breaks:
            yield breaks
        yield from self._margins(properties, "headerReference")
        yield from blocks
        yield from self._margins(properties, "footerReference")

    def _margins(self, section: Element, kind: str) -> Iterator[str]:
        """The headers or footers of a section, each once in a document; numbers of pages alone are left out."""
        relations = self._package.relations(self._main)
        shown = {"default": True, "first": is_on(child_of(section, "titlePg")), "even": self._has_even_pages}
        for reference in children_of(section, kind):
            _, target = relations.get(attribute_of(reference, "id") or "", ("", ""))
            is_shown = shown.get(attribute_of(reference, "type") or "default", True)
            if target not in self._package.names or target in self._read_margins or not is_shown:
                continue
            self._read_margins.add(target)
            text = "\n".join(self._story_blocks(self._package.tree(target), _Story(target)))
            text = _without_breaks(text)
            if re.search(r"[^\W\d_]", text) and text not in self._shown_margins:
                self._shown_margins.add(text)
                yield text

    def _story_blocks(self, elements: Iterable[Element], story: _Story) -> list[str]:
        blocks = [*story.take_begun(), *(block for element in elements for block in self._blocks_of(element, story))]
        return [*blocks, *story.take_begun()]

    def _blocks_of(self, element: Element, story: _Story) -> list[str]:
        """The blocks of an element that stands between paragraphs."""
        name = name_of(element)
        if name == "p":
            return self._paragraph(element, story)
        if name == "tbl":
            return [*story.take_begun(), *self._table(element, story)]
        if name == "altChunk":
            return [*story.take_begun(), *self._foreign(element, story)]
        if name == "AlternateContent":
            return self._story_blocks(_chosen(element), story)
        if name in _HIDDEN or name in ("sectPr", "sdtPr", "sdtEndPr", "customXmlPr"):
            return []
        return self._story_blocks(element, story)  # content controls, custom XML, tracked insertions

    def _paragraph(self, paragraph: Element, story: _Story) -> list[str]:
        properties = child_of(paragraph, "pPr")
        style = text_value(child_of(properties, "pStyle")) or ""
        is_first, self._has_begun = not self._has_begun, True
        text = "".join([*story.take_begun(), *self._texts(paragraph, story)])
        if child_of(child_of(properties, "rPr"), "del") is not None:  # its end was deleted: the next goes on with it
            story.begun = text
            return []
        aside, story.aside = story.aside, []
        if text.strip():
            numbers = child_of(properties, "numPr")
            number = self._numbers.next(numbers if numbers is not None else self._styles.numbering.get(style))
            level = _heading_level(None, properties) or self._styles.heading_levels.get(style)
            mark = f"{'#' * min(level, 6)} " if level is not None else ""
            words = text.lstrip()
            breaks = _breaks_before(text) or (PAGE_BREAK if self._starts_page(properties, style) else "")
            if is_first and _MADE not in breaks:
                breaks = ""  # the first page begins without one
            text = f"{breaks}{mark}{number}{words}"
        return [block for block in (text, *aside) if block.strip(" \n\t\r")]

    def _starts_page(self, properties: Element | None, style: str) -> bool:
        own = child_of(properties, "pageBreakBefore")
        return is_on(own) if own is not None else style in self._styles.page_starts

    def _texts(self, parent: Iterable[Element], story: _Story) -> Iterator[str]:
        """What an element within a paragraph shows, in order."""
        for element in parent:
            name = name_of(element)
            if name in _HIDDEN:
                continue
            if name == "r":
                if not self._is_hidden(element):
                    text = read_symbols("".join(self._run_texts(element, story)), _font_of(element))
                    yield (raised(text) or text) if _is_raised(element) else text
                else:
                    self._follow_fields(element, story)
            elif name == "AlternateContent":
                yield from self._texts(_chosen(element), story)
            elif name == "ruby":
                yield from self._ruby(element, story)
            else:
                yield from self._run_texts([element], story)

    def _is_hidden(self, run: Element) -> bool:
        properties = child_of(run, "rPr")
        own = child_of(properties, "vanish")
        if own is not None:
            return is_on(own)
        return (text_value(child_of(properties, "rStyle")) or "") in self._styles.hidden

    def _follow_fields(self, run: Element, story: _Story) -> None:
        for element in children_of(run, "fldChar"):
            self._turn_field(element, story)

    def _run_texts(self, run: Iterable[Element], story: _Story) -> Iterator[str]:
        for element in run:
            name = name_of(element)
            if name in _HIDDEN:
                continue
            if name == "fldChar":
                self._turn_field(element, story)
                yield _selected(element)
            elif not all(story.fields):
                continue  # the code of a field
            elif name == "t":
                yield element.text or ""
            elif name == "sym":
                yield _symbol(element)
            elif name == "br":
                yield PAGE_BREAK + _MADE if attribute_of(element, "type") == "page" else "\n"
            elif name in _BREAK:
                yield _BREAK[name]
            elif name in _NOTES:
                yield self._note(element, _NOTES[name], story)
            elif name in ("drawing", "pict", "object"):
                story.aside += self._boxes(element, story)
            elif name == "ruby":
                yield from self._ruby(element, story)
            elif name == "AlternateContent":
                yield from self._run_texts(_chosen(element), story)
            elif name == "oMath":
                yield formula_text(element)
            else:
                yield from self._texts(element, story)  # links, insertions, content controls, fields

    def _turn_field(self, element: Element, story: _Story) -> None:
        turn = attribute_of(element, "fldCharType")
        if turn == "begin" and element not in self._unclosed:
            story.fields.append(False)
        elif story.fields and turn == "separate":
            story.fields[-1] = True
        elif story.fields and turn == "end":
            story.fields.pop()

    def _ruby(self, ruby: Element, story: _Story) -> Iterator[str]:
        for name, before, after in (("rubyBase", "", ""), ("rt", "(", ")")):
            base = child_of(ruby, name)
            if base is not None:
                yield f"{before}{''.join(self._texts(base, story))}{after}"

    def _note(self, reference: Element, kind: str, story: _Story) -> str:
        """The mark of a note; its text follows the paragraph, as it stands on the same page."""
        note = self._notes[kind].pop(attribute_of(reference, "id") or "", None)
        if note is None:
            return ""
        self._note_count += 1
        mark = f"[{self._note_count}]"
        story.aside.append(f"{mark} " + " ".join(self._story_blocks(note, _Story(story.part))).strip())
        return mark

    def _boxes(self, drawing: Iterable[Element], story: _Story) -> list[str]:
        """The text boxes of a drawing, and the words of a diagram (SmartArt), a chart or WordArt."""
        found: list[str] = []
        for element in drawing:
            name = name_of(element)
            if name == "txbxContent":
                found += self._story_blocks(element, _Story(story.part))
            elif name == "AlternateContent":
                found += self._boxes(_chosen(element), story)
            elif name == "relIds":
                found += self._diagram(element, story)
            elif name == "chart":
                found += self._chart(element, story)
            elif name == "textpath":  # WordArt, watermarks
                found.append(attribute_of(element, "string") or "")
            else:
                found += self._boxes(element, story)
        return found

    def _diagram(self, ids: Element, story: _Story) -> list[str]:
        root = self._tree_of(attribute_of(ids, "dm"), story)
        return _drawn_paragraphs(root) if root is not None else []

    def _chart(self, chart: Element, story: _Story) -> list[str]:
        """The titles of a chart and of its axes, and the names of what it shows, each once."""
        root = self._tree_of(attribute_of(chart, "id"), story)
        if root is None:
            return []
        named = (value for one in root.iter() if name_of(one) in ("tx", "cat", "strDim") for value in one.iter())
        names = (value.text or "" for value in named if name_of(value) in ("v", "pt"))
        return list(dict.fromkeys(text.strip() for text in (*_drawn_paragraphs(root), *names) if text.strip()))

    def _tree_of(self, relation: str | None, story: _Story) -> Element | None:
        _, target = self._package.relations(story.part).get(relation or "", ("", ""))
        return self._package.tree(target) if target in self._package.names else None

    def _foreign(self, chunk: Element, story: _Story) -> list[str]:
        """A part in another format that Word shows in place: HTML, a saved page, text, or another document."""
        _, target = self._package.relations(story.part).get(attribute_of(chunk, "id") or "", ("", ""))
        if target not in self._package.names:
            return []
        data, extension = self._package.read(target), target.lower().rpartition(".")[2]
        try:
            if data.startswith(b"PK\x03\x04") and self._package.outer is None:  # a third one is not read
                return _read_blocks(data, self._package)
            if extension in ("mht", "mhtml") or is_mail(data):
                return [read_mail(data)]
            if extension in ("htm", "html", "xhtml", "txt"):
                source = decode_html(data)
                return [source if extension == "txt" else html_text(source)]
        except UnreadableError:
            pass
        return [f"[The part {posixpath.basename(target)} was not read.]"]

    def _table(self, table: Element, story: _Story) -> list[str]:
        """A table as one block, a line for each row; one column of cells, as layouts have it, as its blocks.

        Cells that reach across are followed by empty ones, where some row has all columns: in forms none has.
        """
        rows = [list(_cells(row)) for row in _rows(table)]
        if all(len(row) <= 1 for row in rows):
            return [block for row in rows for cell in row for block in self._story_blocks(cell, story)]
        lines, spans = [], [[_columns_of(cell) for cell in row] for row in rows]
        has_columns = max(map(sum, spans)) == max(map(len, rows))
        for row, across in zip(rows, spans, strict=True):
            empty = [number - 1 for number in across[:-1]] if has_columns else []
            texts = [self._cell_text(cell, story) for cell in row]
            line = " | ".join(f"{text}{' | ' * more}" for text, more in zip_longest(texts, empty, fillvalue=0))
            words = _without_breaks(line).strip()
            if words.strip(" |"):
                lines.append("".join(one for one in (PAGE_BREAK, _MADE) if one in line) + words)
        return ["\n".join(lines)] if lines else []

    def _cell_text(self, cell: Element, story: _Story) -> str:
        properties = child_of(cell, "tcPr")
        for merged in (child_of(properties, "vMerge"), child_of(properties, "hMerge")):
            if merged is not None and text_value(merged) != "restart":
                return ""  # part of the cell above or before
        return re.sub(r"[ \t\n]+", " ", " ".join(self._story_blocks(cell, story))).strip(" ")


def _symbol(element: Element) -> str:
    """A character inserted from a font."""
    code, font = attribute_of(element, "char") or "", attribute_of(element, "font") or ""
    number = int(code, 16) if re.fullmatch("[0-9A-Fa-f]{1,4}", code) else 0
    text = read_symbols(chr(number | 0xF000 if number < 0x100 and is_symbol_font(font) else number), font)
    return text if text.isprintable() else ""


def _unclosed_fields(body: Element | None) -> frozenset[Element]:
    """The beginnings of fields without an end, which would hide all the text behind them."""
    opened: list[Element] = []
    for element in body.iter() if body is not None else ():
        if name_of(element) == "fldChar":
            turn = attribute_of(element, "fldCharType")
            if turn == "begin":
                opened.append(element)
            elif turn == "end" and opened:
                opened.pop()
    return frozenset(opened)


def _breaks_before(text: str) -> str:
    """The page breaks before the first word."""
    return "".join(one for one in text[: len(text) - len(text.lstrip())] if one in (PAGE_BREAK, _MADE))


def _without_breaks(text: str) -> str:
    return text.replace(PAGE_BREAK, "").replace(_MADE, "")


def _selected(field_start: Element) -> str:
    """What is chosen in a list or a box of a form of the old kind, which has no result beside it."""
    data = child_of(field_start, "ffData")
    box = child_of(data, "checkBox")
    if box is not None:
        ticked = child_of(box, "checked")
        ticked = child_of(box, "default") if ticked is None else ticked
        return "☒" if ticked is not None and is_on(ticked) else "☐"
    choices = child_of(data, "ddList")
    entries = [text_value(entry) or "" for entry in children_of(choices, "listEntry")]
    chosen = text_value(child_of(choices, "result")) or text_value(child_of(choices, "default")) or "0"
    return entries[int(chosen)] if chosen.isdecimal() and int(chosen) < len(entries) else ""


def _font_of(run: Element) -> str:
    fonts = child_of(child_of(run, "rPr"), "rFonts")
    return (attribute_of(fonts, "ascii") or "") if fonts is not None else ""


def _is_raised(run: Element) -> bool:
    return text_value(child_of(child_of(run, "rPr"), "vertAlign")) == "superscript"


def _drawn_paragraphs(root: Element) -> list[str]:
    paragraphs = (one for one in root.iter() if name_of(one) == "p")
    texts = ("".join(one.text or "" for one in paragraph.iter() if name_of(one) == "t") for paragraph in paragraphs)
    return [text for text in texts if text.strip()]


def _chosen(alternatives: Element) -> Iterable[Element]:
    """The elements of the first choice of `mc:AlternateContent`; all say the same in different ways."""
    return next(iter(alternatives), ())


def _rows(parent: Element) -> Iterator[Element]:
    """The rows of a table, also those in content controls; without those whose deletion is tracked."""
    for element in parent:
        name = name_of(element)
        if name == "tr":
            if child_of(child_of(element, "trPr"), "del") is None:
                yield element
        elif name not in _HIDDEN:
            yield from _rows(element)


def _columns_of(cell: Element) -> int:
    """How many columns a cell reaches across, as far as a table of Word may have any."""
    found = text_value(child_of(child_of(cell, "tcPr"), "gridSpan")) or ""
    return min(max(1, int(found)), _MOST_COLUMNS) if re.fullmatch("[0-9]{1,9}", found) else 1


def _cells(parent: Element) -> Iterator[Element]:
    """The cells of a row, likewise."""
    for element in parent:
        name = name_of(element)
        if name == "tc":
            if child_of(child_of(element, "tcPr"), "cellDel") is None:
                yield element
        elif name not in _HIDDEN:
            yield from _cells(element)
