"""Bytes to text: by their mark, as UTF-8 even when some of it is damaged, else by a guess; or not at all."""

from __future__ import annotations

import codecs
import re
from unicodedata import category

from mistral_agents_server.readers import UnreadableError

_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_NO_TEXT = re.compile("[\x00-\x07\x0e-\x1a\x1c-\x1f\x7f\ufffd\ufffe\uffff\ud800-\udfff]")
_CONTROLS = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_ESCAPED = re.compile(r"\\\\|(?:\\u[0-9a-fA-F]{4})+")
_SHIFTED = (b"\x1b$B", b"\x1b$@")
"""How Japanese begins in ISO-2022-JP, whose bytes are those of ASCII."""
_LEAST_WIDE = 4
_MANY = 10
_MOST_NO_TEXT = 0.02
_FEW_NULS = 0.02
_LEAST_CONFIDENCE = 0.06
"""Below it chardet's guesses of short texts are wrong more often than "Windows-1252" is."""

_GUESSED_BYTES = 65536
_LEAST_OLD = 24
"""Bytes: encodings of DOS and of ISO are taken for one of Windows, and the other way round, where there are fewer."""
_LATIN = ("iso8859-1", "iso8859-15")
"""Western texts in these are read as Windows-1252, which browsers take them for."""
_LAST_LATIN = "\u02ff"
_NO_OLD_TEXT = re.compile("[\x80-\x9f]")


def decode(data: bytes) -> str:
    """The text that bytes stand for.

    By their byte order mark; else as UTF-8 or UTF-16, where single bytes may be damaged; else in the encoding that
    the text looks like.

    Raises:
        UnreadableError: they are no text.
    """
    for mark, encoding in _BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return _require_text(data.decode(encoding, "replace"))
    kept = data.replace(b"\0", b"")
    if data.count(0) > len(data) * _FEW_NULS and not _is_narrow(data, kept):
        return _require_text(data.decode(_wide_encoding(data), "replace"))
    text = kept.decode("utf-8", "replace")
    if text.isascii() and any(mark in kept for mark in _SHIFTED):
        return _require_text(kept.decode("iso2022_jp", "replace"))
    is_doubtful = text.isascii() or not _was_utf8(text, certain=True)
    if is_doubtful and _CONTROLS.search(kept if text.isascii() else data) and (wide := _wide_text(data)) is not None:
        return wide
    if not _was_utf8(text):
        text = kept.decode(_guess_encoding(kept), "replace")
    return _require_text(text)


def _is_narrow(data: bytes, kept: bytes) -> bool:
    """Whether zero bytes only stand between the letters of a text, as some programs leave them; UTF-16 has more."""
    if len(data) - len(kept) > len(data) // 4 or _CONTROLS.search(kept):
        return False
    try:
        kept.decode()
    except UnicodeDecodeError:
        return False
    return True


def _was_utf8(text: str, certain: bool = False) -> bool:
    """Whether text decoded as UTF-8 was UTF-8, damaged or not: legacy encodings hardly ever form valid sequences.

    Args:
        text: with U+FFFD for what could not be decoded.
        certain: whether only a few in many may be damaged.
    """
    damaged = text.count("\ufffd")
    if damaged == 0:
        return True
    whole = sum(1 for character in text if character > "\x7f") - damaged
    return whole >= damaged * (_MANY if certain else 1)


def _wide_encoding(data: bytes) -> str:
    """UTF-16 or UTF-32 without a mark: the zero bytes of Latin letters and spaces stand in the same places."""
    zeros = [data[place::4].count(0) for place in range(4)]
    if min(zeros[0], zeros[1]) > len(data) // 8:
        return "utf-32-be"
    if min(zeros[2], zeros[3]) > len(data) // 8:
        return "utf-32-le"
    return "utf-16-le" if zeros[1] + zeros[3] > zeros[0] + zeros[2] else "utf-16-be"


def _wide_text(data: bytes) -> str | None:
    """UTF-16 without a mark, of a script whose letters have no zero bytes: each of its characters is one of a text.

    Bytes of other encodings, taken by twos, hardly ever give letters alone; ASCII does, but it has no control bytes.
    """
    for encoding in ("utf-16-le", "utf-16-be"):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if len(text) >= _LEAST_WIDE and all(c in "\n\r\t\f" or category(c)[0] in "LMNPSZ" for c in text):
            return text
    return None


def _guess_encoding(data: bytes) -> str:
    import chardet

    eras, sample = chardet.EncodingEra, data[:_GUESSED_BYTES]
    guess = chardet.detect(sample, encoding_era=eras.MODERN_WEB)
    if len(data) >= _LEAST_OLD:
        older = chardet.detect(sample, encoding_era=eras.MODERN_WEB | eras.LEGACY_ISO | eras.DOS)
        name = older["encoding"]
        if (
            older["confidence"] > guess["confidence"]
            and name not in (None, *_LATIN)
            and _is_likely(sample.decode(name, "replace"))
        ):
            guess = older
    encoding = guess["encoding"]
    return encoding if encoding is not None and guess["confidence"] >= _LEAST_CONFIDENCE else "cp1252"


def _is_likely(text: str) -> bool:
    """Whether a text in one of the older encodings has no controls, and its other letters are more than the Latin ones.

    Quotation marks and signs of a Western text are letters of Greek, Hebrew or Cyrillic in others, but few.
    """
    letters = list(filter(str.isalpha, text))
    others = sum(letter > _LAST_LATIN for letter in letters)
    return _NO_OLD_TEXT.search(text) is None and (others == 0 or others > len(letters) - others)


def show_escapes(text: str) -> str:
    r"""JSON with its letters in place of their codes (`\u00e9`), which many programs write for all but ASCII."""

    def show(found: re.Match[str]) -> str:
        if found[0] == "\\\\":
            return found[0]
        letters = "".join(chr(int(code, 16)) for code in found[0].split("\\u")[1:])
        letters = letters.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return letters if letters.isprintable() and not {'"', "\\"} & {*letters} else found[0]

    return _ESCAPED.sub(show, text)


def _require_text(text: str) -> str:
    if len(_NO_TEXT.findall(text)) > max(1, len(text) * _MOST_NO_TEXT):
        raise UnreadableError("it is a binary file of an unknown kind")
    return text
