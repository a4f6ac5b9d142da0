"""Bytes to text: by their mark, as UTF-8 even when some of it is damaged, else by a guess; or not at all."""

from __future__ import annotations

import codecs
import re

from mistral_agents_server.readers import UnreadableError

_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_NO_TEXT = re.compile("[\x00-\x07\x0e-\x1a\x1c-\x1f\x7f\ufffd\ufffe\uffff\ud800-\udfff]")
_MOST_NO_TEXT = 0.02
_FEW_NULS = 0.02
_LEAST_CONFIDENCE = 0.06
"""Below it chardet's guesses of short texts are wrong more often than "Windows-1252" is."""

_GUESSED_BYTES = 65536


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
    if data.count(0) > len(data) * _FEW_NULS:
        return _require_text(data.decode(_wide_encoding(data), "replace"))
    kept = data.replace(b"\0", b"")
    text = kept.decode("utf-8", "replace")
    if not _is_damaged_utf8(text):
        text = kept.decode(_guess_encoding(kept), "replace")
    return _require_text(text)


def _is_damaged_utf8(text: str) -> bool:
    """Whether text decoded as UTF-8 was UTF-8: legacy encodings hardly ever form valid sequences."""
    damaged = text.count("\ufffd")
    if damaged == 0:
        return True
    whole = sum(1 for character in text if character > "\x7f") - damaged
    return whole >= damaged


def _wide_encoding(data: bytes) -> str:
    """UTF-16 or UTF-32 without a mark: the zero bytes of Latin letters and spaces stand in the same places."""
    zeros = [data[place::4].count(0) for place in range(4)]
    if min(zeros[0], zeros[1]) > len(data) // 8:
        return "utf-32-be"
    if min(zeros[2], zeros[3]) > len(data) // 8:
        return "utf-32-le"
    return "utf-16-le" if zeros[1] + zeros[3] > zeros[0] + zeros[2] else "utf-16-be"


def _guess_encoding(data: bytes) -> str:
    import chardet

    guess = chardet.detect(data[:_GUESSED_BYTES], encoding_era=chardet.EncodingEra.MODERN_WEB)
    encoding = guess["encoding"]
    return encoding if encoding is not None and guess["confidence"] >= _LEAST_CONFIDENCE else "cp1252"


def _require_text(text: str) -> str:
    if len(_NO_TEXT.findall(text)) > max(1, len(text) * _MOST_NO_TEXT):
        raise UnreadableError("it is a binary file of an unknown kind")
    return text
