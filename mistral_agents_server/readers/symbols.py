"""Characters of the fonts Symbol and Wingdings, in which Word keeps Greek letters, ticks, and the arrows it makes."""

from __future__ import annotations

import re

_FIRST = 0xF020
_SYMBOL = (
    " !∀#∃%&∋()∗+,−./0123456789:;<=>?≅ΑΒΧΔΕΦΓΗΙϑΚΛΜΝΟΠΘΡΣΤΥςΩΞΨΖ[∴]⊥_‾αβχδεφγηιϕκλμνοπθρστυϖωξψζ{|}∼"
    + "\0" * 33
    + "€ϒ′≤⁄∞ƒ♣♦♥♠↔←↑→↓°±″≥×∝∂•÷≠≡≈…|—↵ℵℑℜ℘⊗⊕∅∩∪⊃⊇⊄⊂⊆∈∉∠∇®©™∏√⋅¬∧∨⇔⇐⇑⇒⇓◊〈®©™∑"
)
"""From code 0x20 on (Adobe's Symbol encoding); NUL where there is none."""
_WINGDINGS = {
    **dict(zip(range(0x4A, 0x4D), "☺😐☹", strict=True)),
    **dict(zip((0x6F, 0xA8), "□◻", strict=True)),
    **dict(zip(range(0xDF, 0xE9), "←→↑↓↖↗↙↘⇐⇒", strict=True)),
    **dict(zip(range(0xEF, 0xF3), "⇦⇨⇧⇩", strict=True)),
    **dict(zip(range(0xF3, 0xF5), "⇔⇕", strict=True)),
    **dict(zip(range(0xFB, 0xFF), "✗✓☒☑", strict=True)),
}
"""What people write with it: the ticks of a list, and what Word puts in place of `-->`, `==>` and `:)`."""
_PRIVATE = re.compile("[\uf000-\uf0ff]")


def is_symbol_font(font: str) -> bool:
    """Whether a font draws signs in place of letters."""
    return font.lower() in ("symbol", "wingdings")


def read_symbols(text: str, font: str) -> str:
    """Text whose characters stand for those of a symbol font; other signs of such fonts are pictures of no text."""
    name = font.lower()

    def read(found: re.Match[str]) -> str:
        code = ord(found[0])
        if name == "wingdings":
            return _WINGDINGS.get(code & 0xFF, "")
        place = code - _FIRST
        known = name == "symbol" and 0 <= place < len(_SYMBOL)
        return _SYMBOL[place].replace("\0", "") if known else ""

    return _PRIVATE.sub(read, text)
