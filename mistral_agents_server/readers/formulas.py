"""Formulas of Word (OMML) and of pages (MathML) as one line of text, as Word writes them in one line."""

from __future__ import annotations

import re
from collections.abc import Callable
from xml.etree.ElementTree import Element

from mistral_agents_server.readers.xml import attribute_of, child_of, children_of, name_of, text_value

_WORDS = frozenset({"t", "mi", "mn", "mo", "ms", "mtext"})
_SILENT = frozenset({"annotation", "annotation-xml", "del", "mphantom", "phant"})
_RAISED = str.maketrans("0123456789+-−", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻")
_ONE_WORD = re.compile(r"[\w.,⁰¹²³⁴-⁹⁺⁻′]*|√?\([^()]*\)|[\W_]")


def raised(text: str) -> str | None:
    """A number as it stands above the line; None for what is no number."""
    return text.translate(_RAISED) if re.fullmatch(r"[+\-−]?[0-9]+[+\-−]?", text) else None


def formula_text(element: Element) -> str:
    """What a formula, or a part of one, says: `(a+b)/2`, `x²`, `√(y)`."""
    name = name_of(element)
    if name in _SILENT or name.endswith("Pr"):
        return ""
    if name in _SHAPES:
        return _SHAPES[name](element)
    own = (element.text or "").strip("\n\t") if name in _WORDS else ""
    return own + "".join(map(formula_text, element))


def _parts(element: Element, *names: str) -> list[str]:
    """The parts of a shape: by their names in OMML, by their places in MathML."""
    if name_of(element).startswith("m") and name_of(element) != "m":
        children = [formula_text(child) for child in element]
        return [children[place] if place < len(children) else "" for place in range(len(names))]
    return ["".join(map(formula_text, children_of(element, name))) for name in names]


def _group(text: str) -> str:
    text = text.strip()
    return text if _ONE_WORD.fullmatch(text) else f"({text})"


def _fraction(element: Element) -> str:
    above, below = _parts(element, "num", "den")
    return f"{_group(above)}/{_group(below)}"


def _with_scripts(base: str, below: str = "", above: str = "") -> str:
    lower = f"_{_group(below)}" if below.strip() else ""
    upper = (raised(above.strip()) or f"^{_group(above)}") if above.strip() else ""
    return f"{base}{lower}{upper}"


def _with_upper(element: Element) -> str:
    base, above = _parts(element, "e", "lim" if name_of(element) == "limUpp" else "sup")
    return _with_scripts(base, above=above)


def _with_lower(element: Element) -> str:
    return _with_scripts(*_parts(element, "e", "lim" if name_of(element) == "limLow" else "sub"))


def _with_both(element: Element) -> str:
    return _with_scripts(*_parts(element, "e", "sub", "sup"))


def _over_all(element: Element) -> str:
    """A sum, a product, an integral: its sign, its bounds, and of what."""
    sign = child_of(child_of(element, "naryPr"), "chr")
    below, above, inner = _parts(element, "sub", "sup", "e")
    return f"{_with_scripts((text_value(sign) if sign is not None else None) or '∫', below, above)} {inner}"


def _root(element: Element) -> str:
    inner, degree = _parts(element, "e", "deg")
    return f"{raised(degree.strip()) or degree}√({inner})"


def _square_root(element: Element) -> str:
    return f"√({''.join(map(formula_text, element))})"


def _brackets(element: Element) -> str:
    properties = child_of(element, "dPr")
    signs = (child_of(properties, name) for name in ("begChr", "sepChr", "endChr"))
    begin, between, end = (
        (text_value(sign) or "") if sign is not None else usual for sign, usual in zip(signs, "(|)", strict=True)
    )
    return begin + between.join(map(formula_text, children_of(element, "e"))) + end


def _fence(element: Element) -> str:
    begin, end = attribute_of(element, "open"), attribute_of(element, "close")
    inner = ",".join(map(formula_text, element))
    return f"{begin if begin is not None else '('}{inner}{end if end is not None else ')'}"


def _function(element: Element) -> str:
    return " ".join(_parts(element, "fName", "e"))


def _rows(element: Element) -> str:
    rows = [one for one in element if not name_of(one).endswith("Pr")]
    return "; ".join(" ".join(text for cell in row if (text := formula_text(cell))) for row in rows)


def _lines(element: Element) -> str:
    return "; ".join(map(formula_text, children_of(element, "e")))


_KINDS: tuple[tuple[Callable[[Element], str], str], ...] = (
    (_fraction, "f mfrac"),
    (_root, "rad mroot"),
    (_square_root, "msqrt"),
    (_with_upper, "sSup limUpp msup mover"),
    (_with_lower, "sSub limLow msub munder"),
    (_with_both, "sSubSup msubsup munderover"),
    (_over_all, "nary"),
    (_brackets, "d"),
    (_fence, "mfenced"),
    (_function, "func"),
    (_rows, "m mtable"),
    (_lines, "eqArr"),
)
_SHAPES = {name: read for read, names in _KINDS for name in names.split()}
