"""Documents to pages of text: TXT, MD, PDF, DOCX, HTML, mails, mailboxes, saved pages, and CSV and JSON as they are."""

from __future__ import annotations

import re

from mistral_agents_server.readers import PAGE_BREAK, UnreadableError
from mistral_agents_server.readers.docx import read_docx
from mistral_agents_server.readers.html import decode_html, html_text
from mistral_agents_server.readers.mail import is_mail, is_mailbox, read_mail, read_mailbox
from mistral_agents_server.readers.pdf import read_pdf
from mistral_agents_server.readers.plain import decode, show_escapes
from mistral_agents_server.uploads import extension_of

__all__ = ["UnreadableError", "parse"]

_HTML_NAMES = ("htm", "html", "shtml", "xht", "xhtml")
_MAIL_NAMES = ("eml", "emlx", "mht", "mhtml")
_JSON_NAMES = ("geojson", "ipynb", "json", "json5", "jsonl", "ndjson")
_ANYTHING_NAMES = ("", "asp", "aspx", "cgi", "doc", "docx", "jsp", "pdf", "php", "xls")
"""Under these a page of HTML is often saved: it is known by how it begins."""

_HTML_START = re.compile(
    rb"\A(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html)\b", re.I | re.S
)
_XML_START = (b"<?xml", b"\xef\xbb\xbf<?xml")
_PDF_START = b"%PDF-"
_MOST_BEFORE_PDF = 1024
"""Bytes that viewers skip before a PDF begins (Adobe's implementation note 13 to the PDF Reference 1.7)."""

_UNREAD_KINDS = (
    (b"{\\rtf", "an RTF file: save it as DOCX"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"GIF87a", "a picture"),
    (b"GIF89a", "a picture"),
    (b"II*\0", "a picture"),
    (b"MM\0*", "a picture"),
    (b"%!PS", "a PostScript file: save it as PDF"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"7z\xbc\xaf", "an archive"),
    (b"Rar!\x1a\x07", "an archive"),
)
_OLD_OFFICE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENCRYPTED_PACKAGE = "EncryptedPackage".encode("utf-16-le")


def parse(name: str, data: bytes) -> list[str]:
    """The text of a file, by page; files without pages are one page, unless form feeds part them.

    Raises:
        UnreadableError: it can't be read, or holds no text.
    """
    cleaned = [_clean(page) for page in _read(name, data)]
    if not any(cleaned):
        raise UnreadableError("there is no text in it")
    return cleaned


def _read(name: str, data: bytes) -> list[str]:
    extension = extension_of(name)
    if (start := _pdf_start(data, extension)) is not None:
        return read_pdf(data[start:])
    if data.startswith(b"PK\x03\x04"):
        return read_docx(data)
    _refuse_known_kinds(data)
    if extension in _HTML_NAMES or (extension in _ANYTHING_NAMES and _HTML_START.match(data)):
        return [html_text(decode_html(data))]
    if extension in (*_MAIL_NAMES, "mbox", "") and is_mailbox(data):
        return read_mailbox(data)
    if extension in _MAIL_NAMES or (extension in _ANYTHING_NAMES and is_mail(data)):
        return [read_mail(data)]
    text = decode_html(data) if data.lstrip().startswith(_XML_START) else decode(data)
    return (show_escapes(text) if extension in _JSON_NAMES else text).split(PAGE_BREAK)


def _pdf_start(data: bytes, extension: str) -> int | None:
    """Where a PDF begins: badly saved downloads have other bytes before it, under its own name as many as they like."""
    if extension == "pdf":
        start = data.find(_PDF_START)
    else:
        start = data.find(_PDF_START, 0, _MOST_BEFORE_PDF + len(_PDF_START))
    if start == 0 or (start > 0 and (extension == "pdf" or b"startxref" in data[-_MOST_BEFORE_PDF:])):
        return start
    return None


def _refuse_known_kinds(data: bytes) -> None:
    if data.startswith(_OLD_OFFICE):
        if _ENCRYPTED_PACKAGE in data:
            raise UnreadableError("it needs a password to be opened")
        raise UnreadableError("it is an Office file of the old kind: save it as DOCX or PDF")
    for start, kind in _UNREAD_KINDS:
        if data.startswith(start):
            raise UnreadableError(f"it is {kind}")


def _clean(text: str) -> str:
    lines = text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "").split("\n")
    joined = "\n".join(line.rstrip() for line in lines)
    return re.sub(r"\n{3,}", "\n\n", joined).strip("\n")
