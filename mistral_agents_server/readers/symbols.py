"""Characters of the font Symbol, in which Word keeps Greek letters and signs that were inserted from it."""

from __future__ import annotations

import re

_FIRST = 0xF020
_SYMBOL = (
    " !∀#∃%&∋()∗+,−./0123456789:;<=>?≅ΑΒΧΔΕΦΓΗΙϑΚΛΜΝΟΠΘΡΣΤΥςΩΞΨΖ[∴]⊥_‾αβχδεφγηιϕκλμνοπθρστυϖωξψζ{|}∼"
    + "\0" * 33
    + "€ϒ′≤⁄∞ƒ♣♦♥♠↔←↑→↓°±″≥×∝∂•÷≠≡≈…|—↵ℵℑℜ℘⊗⊕∅∩∪⊃⊇⊄⊂⊆∈∉∠∇®©™∏√⋅¬∧∨⇔⇐⇑⇒⇓◊〈®©™∑"
)
"""From code 0x20 on (Adobe's Symbol encoding); NUL where there is none."""
_PRIVATE = re.compile("[\uf000-\uf0ff]")


def read_symbols(text: str, font: str) -> str:
    """Text whose characters stand for those of a symbol font; signs of other such fonts are pictures of no text."""

    def read(found: re.Match[str]) -> str:
        place = ord(found[0]) - _FIRST
        known = font.lower() == "symbol" and 0 <= place < len(_SYMBOL)
        return _SYMBOL[place].replace("\0", "") if known else ""

    return _PRIVATE.sub(read, text)
