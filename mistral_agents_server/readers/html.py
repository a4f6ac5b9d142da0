"""HTML to text, as a browser shows it, with headings and list items marked as in Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from mistral_agents_server.readers.formulas import formula_text, raised
from mistral_agents_server.readers.numbering import written_number
from mistral_agents_server.readers.plain import decode

if TYPE_CHECKING:
    from selectolax.lexbor import LexborHTMLParser, LexborNode

_DECLARED_WITHIN = 4096
"""Bytes: browsers look into the first 1024, and further on as a page goes on loading."""

_DECLARATION = re.compile(
    rb"""<meta\b[^>]*?\bcharset\s*=\s*["']?\s*([\w.:-]+) | \A\s*<\?xml\b[^>]*?\bencoding\s*=\s*["']([\w.:-]+)""",
    re.IGNORECASE | re.VERBOSE,
)
_BLOCKS = frozenset(
    {
        *("address", "article", "aside", "blockquote", "body", "caption", "center", "dd", "details", "dialog", "dir"),
        *("div", "dl", "dt", "fieldset", "figcaption", "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6"),
        *("header", "hgroup", "hr", "legend", "listing", "main", "menu", "nav", "ol", "optgroup", "p", "pre"),
        *("plaintext", "search", "section", "summary", "table", "ul", "xmp"),
    }
)
_PREFORMATTED = frozenset({"listing", "plaintext", "pre", "xmp"})
_LINES = frozenset({"br", "li", "option", "tbody", "tfoot", "thead", "tr"})
_UNREAD = frozenset(
    {
        *("annotation", "annotation-xml", "area", "audio", "base", "canvas", "col", "datalist", "defs", "desc"),
        *("head", "iframe", "link", "map", "meta", "metadata", "noembed", "noframes", "noscript", "param", "rp"),
        *("script", "style", "template", "title", "track", "video"),
    }
)
_APART = frozenset({"button", "text"})
"""Elements that stand in a line, each for itself: buttons, and the words of a drawing."""
_LIST_FORMS = {"a": "lowerLetter", "A": "upperLetter", "i": "lowerRoman", "I": "upperRoman"}
_LIST_STYLES = re.compile(r"list-style(?:-type)?\s*:\s*(lower|upper)-(alpha|latin|roman)", re.IGNORECASE)
_KEEPING_STYLE = re.compile(r"white-space\s*:\s*(?:pre|pre-wrap|break-spaces)\s*(?:;|!|$)", re.IGNORECASE)
_XHTML = re.compile(r"\A\s*<\?xml\b|\bxmlns\s*=\s*[\"']http://www\.w3\.org/1999/xhtml")
_EMPTY_ELEMENT = re.compile(r"<([a-zA-Z][\w:.-]*)((?:\s+[\w:.-]+\s*=\s*(?:\"[^\"<]*\"|'[^'<]*'))*)\s*/>")
_SHOWN_INPUTS = (None, "", "button", "email", "number", "reset", "search", "submit", "tel", "text", "url")
_OWN_LINE_STYLE = re.compile(
    r"display\s*:\s*(?:block|flex|flow-root|grid|list-item|table(?:-row)?)\s*(?:;|!|$)", re.IGNORECASE
)
_HEADING = re.compile(r"h[1-6]")
_HIDING_STYLE = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
_ROW_OF_BLOCKS = "table, ul, ol, dl, pre, h1, h2, h3, h4, h5, h6, article, section, blockquote, form"
_DEEPEST = 512
"""Elements in one another: Chromium's limit; what is nested deeper stands side by side there, too."""
_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]*)[^<>]*>")
_NOT_COUNTED = frozenset(
    {
        *(
            "area",
            "base",
            "br",
            "col",
            "embed",
            "hr",
            "img",
            "input",
            "link",
            "meta",
            "param",
            "source",
            "track",
            "wbr",
        ),
        *("body", "head", "html", "tbody", "td", "tfoot", "th", "thead", "tr", "wbr"),
    }
)
"""Elements that hold nothing, or stand in one that is counted."""
_ENDED_BY = {"li": "li", "dd": "dd", "dt": "dd", "option": "option", "p": "p"}
"""Elements that the next of their kind ends."""
_STYLES = frozenset(["a", "b", "big", "code", "em", "font", "i", "nobr", "s", "small", "strike", "strong", "tt", "u"])
_MOST_SPANNING = 50
"""Columns in which a cell may reach into the rows below, and across which it may reach."""
_SPACES = re.compile(r"[ \t\n\r\f\u00a0]+")


def decode_html(data: bytes) -> str:
    """The source of a page: by its byte order mark, by what it declares, else as :func:`~.plain.decode` reads it.

    Raises:
        UnreadableError: it is no text.
    """
    encoding = _declared_encoding(data)
    if encoding is None or encoding.startswith("utf") or data.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        return decode(data)
    return data.decode(encoding, "replace")


def _declared_encoding(data: bytes) -> str | None:
    """The codec that a page declares; None without one, or where it is none of the Web's."""
    head = re.sub(rb"<!--.*?-->", b"", data[:_DECLARED_WITHIN], flags=re.DOTALL)
    found = _DECLARATION.search(head)
    return find_codec((found[1] or found[2]).decode("ascii", "replace")) if found is not None else None


def find_codec(label: str) -> str | None:
    """The codec that browsers take a name for (WHATWG Encoding), such as GB 18030 for `gb2312`; None for no name."""
    import webencodings

    encoding = webencodings.lookup(label)
    if encoding is None or encoding.name in ("replacement", "x-user-defined"):
        return None
    name: str = encoding.codec_info.name
    return "gb18030" if name == "gbk" else name


def parse_html(source: str) -> LexborHTMLParser:
    """A page as a tree that is not deeper than a browser's: the parser's time grows with the square of the depth."""
    from selectolax.lexbor import LexborHTMLParser

    return LexborHTMLParser(_limit_depth(source))


def _limit_depth(source: str) -> str:
    """The source without the tags that would nest deeper than browsers do; what stands in them stays."""
    kept: list[str] = []
    done = 0
    opened = _Opened()
    for tag in _TAG.finditer(source):
        if not opened.takes(tag[2].lower(), closes=tag[1] == "/"):
            kept.append(source[done : tag.start()])
            done = tag.end()
    return "".join([*kept, source[done:]])


@dataclass(slots=True)
class _Opened:
    """Which elements are open, by the tags alone; never fewer than a parser that follows the standard has open."""

    _names: list[str] = field(default_factory=list)
    _left_out: list[str] = field(default_factory=list)

    def takes(self, name: str, *, closes: bool) -> bool:
        """Whether a tag is kept."""
        if name in _NOT_COUNTED:
            return True
        if closes:
            return self._close(name)
        if self._names and self._names[-1] == "p" and name in _BLOCKS | {"li", "dd", "dt"}:
            self._names.pop()
        if self._names and _ENDED_BY.get(name) == _ENDED_BY.get(self._names[-1], ""):
            return True
        if len(self._names) < _DEEPEST:
            self._names.append(name)
            return True
        self._left_out.append(name)
        return False

    def _close(self, name: str) -> bool:
        if self._left_out and self._left_out[-1] == name:
            self._left_out.pop()
            return False
        if name in self._names:
            place = len(self._names) - 1 - self._names[::-1].index(name)
            # What gives a style is opened again behind the end of what it stood in.
            self._names[place:] = [one for one in self._names[place + 1 :] if one in _STYLES]
        return True


def html_text(source: str) -> str:
    """The text that a browser shows of a page, its title first."""
    if _XHTML.search(source, 0, _DECLARED_WITHIN):
        source = _EMPTY_ELEMENT.sub(_close_empty, source)
    page = parse_html(source)
    root = page.root
    if root is None:
        return ""
    text = _Writer()
    for node, entered in _walk(root):
        if entered:
            text.enter(node)
        else:
            text.leave(node)
    return _with_title(page, text.whole())


def _close_empty(element: re.Match[str]) -> str:
    """An element that XML lets end itself (`<script src="a"/>`), which HTML would go on with."""
    is_void = element[1].lower() in _NOT_COUNTED - {"td", "th", "tr", "tbody", "thead", "tfoot"}
    return element[0] if is_void else f"<{element[1]}{element[2]}></{element[1]}>"


def _with_title(page: LexborHTMLParser, text: str) -> str:
    """The text behind the page's title, unless its main heading says the same."""
    title = page.css_first("head > title")
    words = _SPACES.sub(" ", title.text()).strip() if title is not None else ""
    if not words or f"# {words}" in text.splitlines():
        return text
    return f"# {words}\n\n{text}".strip()


def _walk(root: LexborNode) -> Iterator[tuple[LexborNode, bool]]:
    """Every node that is shown, when it is entered and when it is left; without recursion, for pages of any depth."""
    stack = [(root, True)]
    while stack:
        node, entered = stack.pop()
        if entered and not _is_shown(node):
            continue
        yield node, entered
        if entered and node.tag != "math":
            stack.append((node, False))
            child = node.last_child
            while child is not None:
                stack.append((child, True))
                child = child.prev


def _is_shown(node: LexborNode) -> bool:
    tag = node.tag
    if tag == "-text":
        return True
    if tag is None or tag in _UNREAD or tag[0] in "-!":
        return False
    attributes = node.attributes
    if tag == "dialog" and "open" not in attributes:
        return False
    return "hidden" not in attributes and not _HIDING_STYLE.search(attributes.get("style") or "")


@dataclass(slots=True)
class _List:
    """An open list; `number` is None for one without numbers, `step` -1 for one that counts down."""

    number: int | None
    form: str = ""
    step: int = 1


@dataclass(slots=True)
class _Writer:
    """Puts text together as a browser lays it out: spaces collapse, blocks stand apart, cells stand side by side."""

    _parts: list[str] = field(default_factory=list)
    _breaks: int = 0  # line ends that must stand before the next words
    _space: bool = False
    _kept: int = 0  # how many elements are open that keep spaces
    _raised: int = 0  # how many elements are open that hold a number above the line
    _rows: list[bool] = field(default_factory=list)  # for each open row, whether its cells are one line
    _cells: list[int] = field(default_factory=list)  # for each open row, its columns so far
    _across: list[int] = field(default_factory=list)  # for each open row, columns that its last cell reaches across
    _spans: list[dict[int, int]] = field(default_factory=list)  # for each open table, rows that a cell above reaches
    _lists: list[_List] = field(default_factory=list)
    _mark: str = ""  # what stands before the next words: of a heading or an item

    def enter(self, node: LexborNode) -> None:
        """Begin an element, or write a text."""
        tag = node.tag
        if tag == "-text":
            self._write(node.text_content or "")
        elif tag in _BLOCKS or tag in _LINES:
            ends_line_again = tag == "br" and self._breaks > 0
            self._break(2 if tag in _BLOCKS or ends_line_again else 1)
            self._enter_block(node, str(tag))
        elif tag in ("td", "th"):
            self._enter_cell(node)
        elif tag == "textarea":
            self._break(1)
            self._kept += 1
        elif tag == "input" and (node.attributes.get("type") or "").lower() in _SHOWN_INPUTS:
            self._write(f" {node.attributes.get('value') or ''} ")
        elif tag == "q":
            self._write("“")
        elif tag == "rt":
            self._write("(")
        elif tag == "math":
            self._write(_read_formula(node))
        elif tag == "sup":
            self._raised += _is_raised(node)
        elif _has_own_line(node):
            self._break(1)
        elif tag in _APART or (tag == "a" and node.prev is not None and node.prev.tag == "a"):
            self._write(" ")

    def _enter_block(self, node: LexborNode, tag: str) -> None:
        if tag == "table":
            self._spans.append({})
        elif tag == "tr":
            self._rows.append(node.css_first(_ROW_OF_BLOCKS) is None)
            self._cells.append(0)
            self._across.append(0)
        elif tag in ("ol", "ul", "menu", "dir"):
            self._lists.append(_open_ordered(node) if tag == "ol" else _List(None))
        elif tag == "li":
            self._mark = self._item_mark(node)
        elif _HEADING.fullmatch(tag):
            self._mark = "#" * int(tag[1]) + " "
        self._kept += _keeps_spaces(node, tag)

    def _item_mark(self, node: LexborNode) -> str:
        number = self._lists[-1].number if self._lists else None
        if number is None:
            return "- "
        number = _number(node, "value", number)
        self._lists[-1].number = number + self._lists[-1].step
        return f"{written_number(self._lists[-1].form, number)}. "

    def _enter_cell(self, cell: LexborNode) -> None:
        if not self._rows or not self._rows[-1]:
            self._break(2)
            return
        spans = self._spans[-1] if self._spans else {}
        while spans.get(self._cells[-1], 0):  # a cell of a row above stands here
            spans[self._cells[-1]] -= 1
            self._part_cells(is_empty=True)
        rows, columns = _number(cell, "rowspan", 1), _number(cell, "colspan", 1)
        columns = max(1, min(columns, _MOST_SPANNING - self._cells[-1]))
        for column in range(self._cells[-1], self._cells[-1] + columns):
            if rows > 1 and column < _MOST_SPANNING:
                spans[column] = rows - 1
        self._part_cells()
        self._cells[-1] += columns - 1
        self._across[-1] = columns - 1

    def _part_cells(self, *, is_empty: bool = False) -> None:
        if self._cells[-1]:
            self._begin_line()
            self._parts.append("|" if not self._parts or self._parts[-1].endswith("\n") else " |")
            self._parts.append(" |" * self._across[-1])
            self._across[-1] = 0
            self._space = True
        elif is_empty:
            self._begin_line()
        self._cells[-1] += 1

    def leave(self, node: LexborNode) -> None:
        """End an element."""
        tag = node.tag
        if tag in _BLOCKS or (tag in _LINES and tag != "br"):
            self._leave_block(node, str(tag))
            self._break(2 if tag in _BLOCKS else 1)
        elif tag == "textarea":
            self._kept -= 1
            self._break(1)
        elif tag == "q":
            self._write("”")
        elif tag == "rt":
            self._write(")")
        elif tag == "sup":
            self._raised -= _is_raised(node)
        elif tag != "-text" and _has_own_line(node):
            self._break(1)
        elif tag in _APART:
            self._write(" ")

    def _leave_block(self, node: LexborNode, tag: str) -> None:
        if tag == "table":
            self._spans.pop()
        elif tag in ("tbody", "tfoot", "thead") and self._spans:
            self._spans[-1].clear()  # no cell reaches out of these
        elif tag == "tr":
            self._end_row()
        elif tag in ("ol", "ul", "menu", "dir"):
            self._lists.pop()
        self._kept -= _keeps_spaces(node, tag)
        if tag == "li" or _HEADING.fullmatch(tag):
            self._mark = ""

    def _end_row(self) -> None:
        """End a row, and with it one row of the cells that reach down beside its last."""
        spans = self._spans[-1] if self._spans else {}
        for column in [column for column, rows in spans.items() if rows and column >= self._cells[-1]]:
            spans[column] -= 1
        self._rows.pop()
        self._cells.pop()
        self._across.pop()

    def _break(self, lines: int) -> None:
        """Ask for line ends; within a row of a table that is one line, for a space."""
        if self._rows and self._rows[-1] and self._cells[-1]:
            self._space = True
        else:
            self._breaks = max(self._breaks, lines)

    def _begin_line(self) -> None:
        if self._breaks:
            if self._parts:
                self._parts.append("\n" * self._breaks)
            self._breaks, self._space = 0, False

    def _write(self, text: str) -> None:
        if self._raised:
            text = raised(text.strip()) or text
        if self._kept:
            self._write_words(text.replace("\u00a0", " "))
            return
        words = _SPACES.sub(" ", text)
        if not words.strip():
            self._space = self._space or bool(words)
            return
        self._space = self._space or words[0] == " "
        self._write_words(words.strip())
        self._space = words[-1] == " "

    def _write_words(self, words: str) -> None:
        starts_line = self._breaks or not self._parts
        self._begin_line()
        if self._mark:
            self._parts.append(self._mark)
            self._mark = ""
        elif self._space and not starts_line:
            self._parts.append(" ")
        self._space = False
        self._parts.append(words)

    def whole(self) -> str:
        """All that was written."""
        return "".join(self._parts).strip("\n").rstrip()


def _keeps_spaces(node: LexborNode, tag: str) -> bool:
    return tag in _PREFORMATTED or bool(_KEEPING_STYLE.search(node.attributes.get("style") or ""))


def _has_own_line(node: LexborNode) -> bool:
    """Whether an element that usually stands in a line has one of its own, as its own style says."""
    return bool(_OWN_LINE_STYLE.search(node.attributes.get("style") or ""))


def _is_raised(node: LexborNode) -> bool:
    """Whether all that an element holds is a number."""
    inner = node.first_child
    while inner is not None and inner.next is None and inner.tag != "-text":
        inner = inner.first_child
    return inner is not None and inner.next is None and raised((inner.text_content or "").strip()) is not None


def _open_ordered(node: LexborNode) -> _List:
    if "reversed" not in node.attributes:
        return _List(_number(node, "start", 1), _list_form(node))
    items = sum(child.tag == "li" for child in node.iter())
    return _List(_number(node, "start", items), _list_form(node), step=-1)


def _list_form(node: LexborNode) -> str:
    """How the numbers of a list are written, as its type or its own style says."""
    found = _LIST_STYLES.search(node.attributes.get("style") or "")
    if found is None:
        return _LIST_FORMS.get(node.attributes.get("type") or "", "")
    kind = "Roman" if found[2].lower() == "roman" else "Letter"
    return f"{found[1].lower()}{kind}"


def _read_formula(node: LexborNode) -> str:
    try:
        source = (node.html or "").replace("&nbsp;", "\u00a0")
        return formula_text(ElementTree.fromstring(source))  # noqa: S314 (of a page that was parsed, without entities)
    except (ElementTree.ParseError, RecursionError):
        return node.text(deep=True, separator=" ") or ""


def _number(node: LexborNode, name: str, otherwise: int) -> int:
    text = (node.attributes.get(name) or "").strip()
    return int(text) if re.fullmatch(r"-?[0-9]{1,9}", text) else otherwise
