"""Bytes to text: by their mark, as UTF-8 even when some of it is damaged, else by a guess; or not at all."""

from __future__ import annotations

import codecs
import re
from unicodedata import category, name

from mistral_agents_server.readers import UnreadableError
from mistral_agents_server.readers.encodings import guess_encoding

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
_SHIFTED = {
    **dict.fromkeys((b"\x1b$B", b"\x1b$@", b"\x1b$(D", b"\x1b(I"), "iso2022_jp_ext"),
    b"\x1b$)C": "iso2022_kr",
}
"""How Japanese and Korean begin where their bytes are those of ASCII."""
_LEAST_WIDE = 3
_MANY = 10
_MOST_NO_TEXT = 0.02
_FEW_NULS = 0.02
_END_OF_DOS = b"\x1a"
_HALVES = re.compile(rb"(?:\xed[\xa0-\xbf][\x80-\xbf])+")
_PART_OF_UTF8 = re.compile(rb"[\xc2-\xf4][\x80-\xbf]")
_CUT = re.compile(rb"[\xc2-\xf4]\Z")
_LEAST_CERTAIN = 0.15
"""Damaged UTF-8 looks like other encodings with a certainty below it."""
_SAMPLED_BYTES = 4096
_READABLE = re.compile(rb"[\t\n\r -/1-~]")
"""What most bytes of texts are that are no UTF-16; there the letters of Japanese have the byte `0`."""
_MOST = 0.75
_FIRST_SIGN = "\u2000"
_COLOUR = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")


def decode(data: bytes) -> str:
    """The text that bytes stand for, without the colours of a terminal.

    By their byte order mark; else as UTF-8 or UTF-16, where single bytes may be damaged; else in the encoding that
    the text looks like.

    Raises:
        UnreadableError: they are no text.
    """
    for mark, encoding in _BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return _require_text(data.decode(encoding, "replace"))
    kept = data.replace(b"\0", b"").rstrip(_END_OF_DOS)
    if data.count(0) > len(data) * _FEW_NULS and not _is_narrow(data, kept):
        return _require_text(data.decode(_wide_encoding(data), "replace"))
    text = _join_halves(kept).decode("utf-8", "replace")
    damaged = text.count("\ufffd") - kept.count("\ufffd".encode())  # the others were lost before
    if text.isascii() and (shifted := [encoding for mark, encoding in _SHIFTED.items() if mark in kept]):
        return _require_text(kept.decode(shifted[0], "replace"))
    if _was_utf8(text, damaged, certain=True) and not text.isascii():
        return _require_text(_mend_lines(kept, text), may_be_damaged=True)
    has_controls = _CONTROLS.search(kept if text.isascii() else data.rstrip(_END_OF_DOS)) is not None
    if (has_controls or _has_kana(data)) and (wide := _wide_text(data)) is not None:
        return wide
    if text.isascii():
        return _require_text(text)
    encoding, confidence = guess_encoding(kept)
    if _was_utf8(text, damaged) and confidence < _LEAST_CERTAIN:
        return _require_text(_mend_lines(kept, text), may_be_damaged=True)
    return _require_text(kept.decode(encoding, "replace"))


def _is_narrow(data: bytes, kept: bytes) -> bool:
    """Whether zero bytes only stand between the letters of a text, as some programs leave them; UTF-16 has more."""
    if len(data) - len(kept) > len(data) // 4 or _CONTROLS.search(kept):
        return False
    try:
        kept.decode()
    except UnicodeDecodeError:
        return False
    return True


def _join_halves(data: bytes) -> bytes:
    """UTF-8 whose emoji are written as two halves of three bytes each (CESU-8), as Java and Oracle do, as it should be.

    Half a one becomes U+FFFD.
    """

    def join(found: re.Match[bytes]) -> bytes:
        halves = found[0].decode("utf-8", "surrogatepass").encode("utf-16", "surrogatepass")
        return halves.decode("utf-16", "replace").encode()

    return _HALVES.sub(join, data)


def _was_utf8(text: str, damaged: int, certain: bool = False) -> bool:
    """Whether text decoded as UTF-8 was UTF-8, damaged or not: legacy encodings hardly ever form valid sequences.

    Args:
        text: with U+FFFD for what could not be decoded.
        damaged: how much that was.
        certain: whether only a few in many may be damaged.
    """
    if damaged == 0:
        return True
    whole = sum(1 for character in text if character > "\x7f") - damaged
    return whole >= damaged * (_MANY if certain else 1)


def _mend_lines(data: bytes, text: str) -> str:
    """UTF-8 in which some lines are of an older encoding, as logs and tables have that were joined from others."""
    if "\ufffd" not in text:
        return text
    lines = [_join_halves(line) for line in data.split(b"\n")]
    older = {number for number, line in enumerate(lines) if _is_older(line, is_last=number == len(lines) - 1)}
    if not older:
        return text
    encoding, _ = guess_encoding(b"\n".join(lines[number] for number in sorted(older)))
    return "\n".join(
        line.decode(encoding if number in older else "utf-8", "replace") for number, line in enumerate(lines)
    )


def _is_older(line: bytes, *, is_last: bool) -> bool:
    """Whether a line can't be UTF-8 and has nothing of it: no character of several bytes, and no part of one."""
    if line.isascii() or _PART_OF_UTF8.search(line) or (is_last and _CUT.search(line)):
        return False
    return "\ufffd" in line.decode("utf-8", "replace")


def _wide_encoding(data: bytes) -> str:
    """UTF-16 or UTF-32 without a mark: by the zero bytes of Latin letters; else its letters are of fewer scripts."""
    zeros = [data[place::4].count(0) for place in range(4)]
    if min(zeros[0], zeros[1]) > len(data) // 8:
        return "utf-32-be"
    if min(zeros[2], zeros[3]) > len(data) // 8:
        return "utf-32-le"
    costs = {"utf-16-le": zeros[0] + zeros[2], "utf-16-be": zeros[1] + zeros[3]}
    if sum(zeros) <= len(data) // 4:
        sample = data[:_SAMPLED_BYTES]
        kana = {"utf-16-le": -data[1::2].count(b"0"), "utf-16-be": -data[::2].count(b"0")}
        return min(costs, key=lambda one: (_count_scripts(sample.decode(one, "replace")), costs[one], kana[one]))
    return min(costs, key=lambda order: costs[order])


def _count_scripts(text: str) -> int:
    """Of how many scripts the letters and signs are; what is no character at all counts as a script of its own."""
    kinds = {character: category(character)[0] for character in {*text} if character not in "\n\r\t\f\v"}
    return len({name(one, one).split(" ", 1)[0] for one, kind in kinds.items() if kind in "LMSC"})


def _has_kana(data: bytes) -> bool:
    """Whether half of the characters of UTF-16 would be of U+3000: the letters of Japanese, which need no controls."""
    halves = (data[place::2].count(b"0") for place in (0, 1))
    return not data.isascii() and max(halves) * 4 >= len(data)


def _wide_text(data: bytes) -> str | None:
    """UTF-16 without a mark, of a script whose letters have no zero bytes: each of its characters is one of a text.

    Bytes of other encodings, taken by twos, hardly ever give letters alone. Those of ASCII do, of Chinese; where they
    hide an alphabet, its letters come before those signs.
    """
    try:
        text = data.decode(_wide_encoding(data))
    except UnicodeDecodeError:
        return None
    if len(text) < _LEAST_WIDE or not all(c in "\n\r\t\f" or category(c)[0] in "LMNPSZ" for c in text):
        return None
    if data.isascii():
        return text if sum(c < _FIRST_SIGN for c in text) > len(text) * _MOST else None
    return text if len(_READABLE.findall(data)) < len(data) * _MOST else None


def show_escapes(text: str) -> str:
    r"""JSON with its letters in place of their codes (`\u00e9`), which many programs write for all but ASCII."""

    def show(found: re.Match[str]) -> str:
        if found[0] == "\\\\":
            return found[0]
        letters = "".join(chr(int(code, 16)) for code in found[0].split("\\u")[1:])
        letters = letters.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return letters if letters.isprintable() and not {'"', "\\"} & {*letters} else found[0]

    return _ESCAPED.sub(show, text)


def _require_text(text: str, *, may_be_damaged: bool = False) -> str:
    """The text, unless much of it is none; of UTF-8 the letters that were lost, here or before, are no sign of that."""
    text = _COLOUR.sub("", text.lstrip("\ufeff"))
    lost = text.count("\ufffd") if may_be_damaged else 0
    if len(_NO_TEXT.findall(text)) - lost > max(1, len(text) * _MOST_NO_TEXT):
        raise UnreadableError("it is a binary file of an unknown kind")
    return text
