"""Documents to pages of text: TXT, MD, PDF, DOCX, HTML, and CSV and JSON as they are."""

from __future__ import annotations

import codecs
import io
import re
import zipfile
from collections.abc import Iterator
from typing import Any

from mistral_agents_server.uploads import extension_of

_MAX_UNPACKED_BYTES = 256 * 1024**2
_PAGE_BREAK = "\f"
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_BLOCKS = (
    *("address", "article", "aside", "blockquote", "dd", "div", "dl", "dt", "figcaption", "figure", "footer", "form"),
    *("h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "li", "main", "ol", "p", "pre", "section", "table", "ul"),
)
_UNREAD = ("script", "style", "template", "noscript", "svg", "head")


class UnreadableError(Exception):
    """A file holds no text that can be read here; the message says why."""


def parse(name: str, data: bytes) -> list[str]:
    """The text of a file, by page; files without pages are one page, unless form feeds part them.

    Raises:
        UnreadableError: it can't be read, or holds no text.
    """
    if data.startswith(b"%PDF"):
        pages = _pdf(data)
    elif data.startswith(b"PK\x03\x04"):
        pages = _docx(data)
    elif extension_of(name) in ("html", "htm", "xhtml"):
        pages = [html_text(decode(data))]
    else:
        pages = decode(data).split(_PAGE_BREAK)
    cleaned = [_clean(page) for page in pages]
    if not any(cleaned):
        raise UnreadableError("there is no text in it")
    return cleaned


def decode(data: bytes) -> str:
    """The text that bytes stand for: by their byte order mark, else as UTF-8, else as Windows-1252.

    Raises:
        UnreadableError: they are no text.
    """
    for mark, encoding in _BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return data.decode(encoding, "replace")
    if b"\0" in data:
        raise UnreadableError("it is a binary file of an unknown kind")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


def _clean(text: str) -> str:
    lines = text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "").split("\n")
    joined = "\n".join(line.rstrip() for line in lines)
    return re.sub(r"\n{3,}", "\n\n", joined).strip("\n")


def _pdf(data: bytes) -> list[str]:
    import pypdf

    try:
        reader = pypdf.PdfReader(io.BytesIO(data))
        if reader.is_encrypted and not reader.decrypt(""):
            raise UnreadableError("it is protected by a password")
        return [page.extract_text() for page in reader.pages]
    except UnreadableError:
        raise
    except Exception as error:  # pypdf lets many kinds of errors of damaged files through
        raise UnreadableError(f"it is no PDF that can be read: {error}") from error


def _docx(data: bytes) -> list[str]:
    import docx

    try:
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            if sum(entry.file_size for entry in packed.infolist()) > _MAX_UNPACKED_BYTES:
                raise UnreadableError("it is too large when unpacked")
        document = docx.Document(io.BytesIO(data))
    except UnreadableError:
        raise
    except Exception as error:  # python-docx lets KeyError, ValueError and lxml's errors through
        raise UnreadableError(f"it is no DOCX that can be read: {error}") from error
    blocks = "\n\n".join(block for block in _docx_blocks(document) if block)
    return [page for page in re.split(rf"\s*{_PAGE_BREAK}[\s{_PAGE_BREAK}]*", blocks) if page.strip()]


def _docx_blocks(document: Any) -> Iterator[str]:
    for block in document.iter_inner_content():
        if hasattr(block, "rows"):
            yield "\n".join(" | ".join(cell.text.strip() for cell in row.cells) for row in block.rows)
            continue
        level = re.match(r"(?:Heading (\d)|Title$)", block.style.name if block.style is not None else "")
        prefix = "#" * int(level[1] or 1) + " " if level is not None and block.text.strip() else ""
        yield prefix + "".join(_run_text(run) for run in block.runs) if block.runs else block.text


def _run_text(run: Any) -> str:
    """A run's text, with a form feed where a page ends: by the author, or as Word laid it out last."""
    breaks = run._element.xpath('.//w:br[@w:type="page"] | .//w:lastRenderedPageBreak')
    text: str = run.text
    return _PAGE_BREAK + text.replace(_PAGE_BREAK, "") if breaks else text


def html_text(source: str) -> str:
    """The readable text of an HTML page, with headings and list items marked as in Markdown."""
    from bs4 import BeautifulSoup

    soup = BeautifulSoup(source, "html.parser")
    for tag in soup(_UNREAD):
        tag.decompose()
    for tag in soup("br"):
        tag.replace_with("\n")
    for tag in soup(["td", "th"]):
        if tag.find_next_sibling(["td", "th"]) is not None:
            tag.append(" | ")
    for tag in soup("tr"):
        tag.append("\n")
    for tag in soup(_BLOCKS):
        mark = "#" * int(tag.name[1]) + " " if re.fullmatch(r"h[1-6]", tag.name) else "- " if tag.name == "li" else ""
        tag.insert(0, f"\n\n{mark}" if tag.name != "li" else f"\n{mark}")
        tag.append("\n\n" if tag.name != "li" else "\n")
    return _squeezed(soup.get_text())


def _squeezed(text: str) -> str:
    lines = (re.sub(r"[ \t\u00a0]+", " ", line).strip() for line in text.splitlines())
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()
