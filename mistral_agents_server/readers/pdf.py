"""PDF to pages of text, as a viewer shows them: with the values of form fields, and words that a line's end cut."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from typing import Any

from mistral_agents_server.readers import UnreadableError

_pdfium_lock = threading.Lock()  # PDFium must not be entered by two threads

_LINE_HYPHEN = "\ufffe"  # what PDFium gives for a hyphen at a line's end, in place of both
_CUT_WORD = re.compile(rf"(\w+){_LINE_HYPHEN}(\w+)")
_LIGATURES = str.maketrans({"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "st", "ﬆ": "st"})
_NO_LETTER = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\ue000-\uf8ff\ufffd]")
_MOST_NOISE = 0.3
"""The part of a page's text; bullets and arrows of symbol fonts are less."""
_MOST_STAMP = 100
"""Characters on a page that is a picture but for a stamp or a page number."""
_LEAST_PICTURE = 0.5
"""The part of a page that a picture of it fills."""


def read_pdf(data: bytes) -> list[str]:
    """The text of a PDF, by page; a page that is a picture says so.

    Raises:
        UnreadableError: it needs a password, is damaged, or holds nothing but pictures or shapes without letters.
    """
    with _pdfium_lock:
        texts, pictures = _extract_pages(data)
    if pictures and not any(text.strip() for text in texts):
        raise UnreadableError("its pages are pictures (scans) without text: recognise their text (OCR) first")
    noise = {number for number, text in enumerate(texts, 1) if _is_noise(text)}
    if noise and all(number in noise or not text.strip() for number, text in enumerate(texts, 1)):
        raise UnreadableError("its fonts do not tell which letters they draw: recognise its text (OCR) first")
    pages = []
    for number, text in enumerate(_join_cut_words(texts), 1):
        if number in noise:
            pages.append(f"[Page {number} can't be read: its fonts do not tell which letters they draw.]")
        elif number in pictures:
            pages.append(f"{text.strip()}\n\n[Page {number} is a picture (a scan): its text was not read.]")
        else:
            pages.append(text)
    return pages


def _is_noise(text: str) -> bool:
    """Whether many of a page's letters are mere numbers of shapes: control characters, and those for private use."""
    return len(_NO_LETTER.findall(text)) > len(text) * _MOST_NOISE


def _extract_pages(data: bytes) -> tuple[list[str], set[int]]:
    """The text of each page, and the numbers, from 1, of those that are pictures."""
    import pypdfium2
    from pypdfium2 import raw

    try:
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        if error.err_code == raw.FPDF_ERR_PASSWORD:
            raise UnreadableError("it needs a password to be opened") from error
        raise UnreadableError(f"it is no PDF that can be read: {error}") from error
    texts, pictures = [], set()
    try:
        document.init_forms()
        for number in range(len(document)):
            text, is_picture = _read_page(document, number)
            texts.append(text)
            if is_picture:
                pictures.add(number + 1)
    except pypdfium2.PdfiumError as error:
        raise UnreadableError(f"its page {len(texts) + 1} can't be read: {error}") from error
    finally:
        document.close()
    return texts, pictures


def _read_page(document: Any, number: int) -> tuple[str, bool]:
    """A page's text, and whether the page is a picture but for a few words."""
    from pypdfium2 import raw

    page = document[number]
    raw.FPDFPage_Flatten(page, raw.FLAT_NORMALDISPLAY)  # the values of form fields become part of the page
    page.close()
    page = document[number]
    words = page.get_textpage()
    text = words.get_text_range().replace("\r\n", "\n").translate(_LIGATURES)
    is_picture = len(text.strip()) <= _MOST_STAMP and _is_picture(page, bool(text.strip()))
    words.close()
    page.close()
    return text, is_picture


def _is_picture(page: Any, has_words: bool) -> bool:
    from pypdfium2 import raw

    width, height = page.get_size()
    for image in page.get_objects(filter=[raw.FPDF_PAGEOBJ_IMAGE], max_depth=5):
        left, bottom, right, top = image.get_bounds()
        if not has_words or (right - left) * (top - bottom) >= _LEAST_PICTURE * width * height:
            return True
    return False


def _join_cut_words(pages: list[str]) -> list[str]:
    """Make words whole that a line's end cut; a hyphen that belongs to the word stays.

    It does where the word is written with it elsewhere, beside a digit, and before a capital letter.
    """
    known = {word.lower() for word in _words_of(pages)}

    def join(found: re.Match[str]) -> str:
        start, end = found[1], found[2]
        keeps = f"{start}-{end}".lower() in known and (start + end).lower() not in known
        if keeps or not start[-1].isalpha() or not end[0].islower():
            return f"{start}-{end}"
        return start + end

    joined = (re.sub(r"(\w)\u00ad\n(\w)", r"\1\2", page) for page in pages)
    return [_CUT_WORD.sub(join, page).replace(_LINE_HYPHEN, "-") for page in joined]


def _words_of(pages: list[str]) -> Iterator[str]:
    for page in pages:
        if _LINE_HYPHEN in page:
            break
    else:
        return
    for page in pages:
        yield from re.findall(r"\w+(?:-\w+)*", page)
