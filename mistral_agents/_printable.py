"""Text of others made fit for terminals, drawings and log lines: it can be read there, and commands nothing."""

from __future__ import annotations

import unicodedata

_PICTURES = 0x2400
_DELETE = "␡"
_TURNING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that change the direction of what stands around them, and so what a line seems to say."""
_NO_CHARACTERS = frozenset("\ufffe\uffff")


def show_text(text: str, *, one_line: bool = False) -> str:
    """The text with its control characters shown instead of sent: escapes, C1, DEL, turning ones, half surrogates.

    Args:
        text: The text.
        one_line: Whether line ends and tabs are shown too; else they stay.
    """
    kept = "" if one_line else "\n\t"
    if text.isprintable():
        return text
    return "".join(char if char in kept or char.isprintable() else _show_character(char) for char in text)


def _show_character(char: str) -> str:
    code = ord(char)
    if code < 0x20:
        return chr(_PICTURES + code)
    if code == 0x7F:
        return _DELETE
    if code < 0xA0:
        return f"\\x{code:02x}"
    if char in _TURNING or char in "\u2028\u2029":
        return f"\\u{code:04x}"
    return "\ufffd" if unicodedata.category(char) == "Cs" or char in _NO_CHARACTERS else char
