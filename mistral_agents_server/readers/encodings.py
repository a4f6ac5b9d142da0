"""Which encoding a text is in that is no UTF: the likeliest of those in which its words look like words."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

_GUESSED_BYTES = 65536
_MEASURED_BYTES = 4096
_CONTEXT = 80  # bytes that are looked at before the first that ASCII lacks
_WESTERN = "windows-1252"
"""What browsers take ISO 8859-1 for, and what most old texts are in."""
_HABIT = 1.4
"""How much likelier than the letters say; other encodings have the same letters in other places."""
_LEAST_CONFIDENCE = 0.05
"""Below it chardet's guesses of short texts are wrong more often than `_WESTERN` is."""
_ALIKE = 0.03
"""Encodings in which no more than this part of the letters is spoilt beyond those of the best are compared further."""
_NOT_USED = frozenset(
    {
        *("iso-8859-1", "iso8859-15", "iso8859-3", "iso8859-4", "iso8859-10", "iso-8859-13", "iso8859-14"),
        *("iso8859-16", "cp860", "cp861", "cp863", "cp864", "cp865", "cp869", "maciceland", "macturkish", "macgreek"),
    }
)
"""Encodings that hardly any file is in, or that `_WESTERN` reads as well: each would be one more way to be wrong."""
_ASCII = bytes(range(128))
_SIGNS = "¡-©«-³¶¸¹»-¿÷†‡‰‹›“”„‚ˆ˜™€─-◿∞≈≠≤≥∑∏π∫Ω√ƒ∆◊¬…—–•\u00a0˘˙˚˝˛ˇ"
_OPENING = "‚„ˆ˜¤¨¸˘˙˝˛ˇ¿¡‹"
_LETTER = r"(?![µªº])[^\W\d_\x00-\x7f]"
_IN_WORD = re.compile(rf"(?<=[^\x00-@[-`{{-~]){_LETTER}|{_LETTER}(?=[^\x00-@[-`{{-~])")
_OTHER = r"\p{Greek}\p{Cyrillic}\p{Hebrew}\p{Arabic}\p{Thai}\uff61-\uff9f"
_SPOILT = (
    r"[\ufffd\u0080-\u009f\ue000-\uf8ff]",  # no letter at all
    rf"(?<=\p{{L}})[{_SIGNS}](?=\p{{L}})",  # a sign within a word
    rf"(?<=\p{{L}})[{_OPENING}]",  # what opens, or stands over a letter, behind a word
    r"(?<=\p{Ll})(?=\p{Lu})(?![A-Z])|(?<=[^\P{Ll}a-z])(?=\p{Lu})|(?<=\p{Lu}[^\P{Lu}A-Z])(?=\p{Ll}{2})",  # wORD, WOrd
    rf"(?<=\p{{Latin}})(?=[{_OTHER}])|(?<=[{_OTHER}])(?=\p{{Latin}})",  # letters of two alphabets in one word
    rf"(?<!\p{{L}})[{_OTHER}](?=[0-9])",  # a sign of money
)
"""What stands in words that are read in a wrong encoding."""


def guess_encoding(data: bytes) -> tuple[str, float]:
    """The encoding that bytes look like, and how certain that is."""
    import chardet

    eras, sample = chardet.EncodingEra, data[:_GUESSED_BYTES]
    wanted = eras.MODERN_WEB | eras.LEGACY_ISO | eras.DOS | eras.LEGACY_MAC
    found = chardet.detect_all(sample, encoding_era=wanted, ignore_threshold=True)
    certain = {str(one["encoding"]): one["confidence"] for one in found if one["encoding"] is not None}
    certain = {_WESTERN: 0.0, **{name.lower(): value for name, value in certain.items()}}
    telling = _find_telling(data)
    spoilt = {name: _measure_spoilt(telling.decode(name, "replace")) for name in certain if name not in _NOT_USED}
    least = min(spoilt.values()) + _ALIKE
    alike = [name for name, part in spoilt.items() if part <= least]
    best = max(alike, key=lambda name: certain[name] * (_HABIT if name == _WESTERN else 1))
    if _WESTERN in alike and (certain[best] < _LEAST_CONFIDENCE or _has_signs_alone(sample)):
        best = _WESTERN
    return best, certain[best]


def _find_telling(data: bytes) -> bytes:
    """The first lines that hold what ASCII lacks."""
    kept: list[bytes] = []
    for line in data.splitlines():
        if not line.isascii():
            first = len(line) - len(line.lstrip(_ASCII))
            kept.append(line[max(0, first - _CONTEXT) :][:_MEASURED_BYTES])
            if sum(map(len, kept)) > _MEASURED_BYTES:
                break
    return b"\n".join(kept)


def _has_signs_alone(data: bytes) -> bool:
    """Whether what ASCII lacks is signs and words of one letter; they would be words of one in other alphabets, too."""
    return _IN_WORD.search(data.decode(_WESTERN, "replace")) is None


def _measure_spoilt(text: str) -> float:
    """How many places of a text are spoilt, as part of the letters and signs that ASCII lacks."""
    count = sum(not one.isascii() for one in text)
    return len(_compile_spoilt().findall(text)) / max(1, count)


@cache
def _compile_spoilt() -> Any:
    import regex

    return regex.compile("|".join(_SPOILT))
