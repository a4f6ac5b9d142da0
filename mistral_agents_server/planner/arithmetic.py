"""Arithmetic in a text: found and computed in one pass, however long it is."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}|\d{1,2}/\d{1,2}/\d{2,4}")
_TOKEN = re.compile(r"(?P<number>\d+(?:\.\d+)?(?![\w]))|(?P<sign>\*\*|[-+*/%^×÷()])|(?P<other>[^\W]+|\S)")
_SPOKEN = (
    (re.compile(r"multipl(?:y|ying)\s+(-?[\d.]+)\s+(?:by|with|and)\s+(-?[\d.]+)", re.IGNORECASE), r"\1 * \2"),
    (re.compile(r"divid(?:e|ing)\s+(-?[\d.]+)\s+by\s+(-?[\d.]+)", re.IGNORECASE), r"\1 / \2"),
    (re.compile(r"add(?:ing)?\s+(-?[\d.]+)\s+(?:and|to)\s+(-?[\d.]+)", re.IGNORECASE), r"\1 + \2"),
    (re.compile(r"subtract(?:ing)?\s+(-?[\d.]+)\s+from\s+(-?[\d.]+)", re.IGNORECASE), r"\2 - \1"),
    (re.compile(r"(?<=\d)\s+plus\s+(?=[-\d])", re.IGNORECASE), " + "),
    (re.compile(r"(?<=\d)\s+minus\s+(?=[-\d])", re.IGNORECASE), " - "),
    (re.compile(r"(?<=\d)\s+(?:times|multiplied by)\s+(?=[-\d])", re.IGNORECASE), " * "),
    (re.compile(r"(?<=\d)\s+divided by\s+(?=[-\d])", re.IGNORECASE), " / "),
)
_PYTHON = {"^": "**", "×": "*", "÷": "/"}
_BINARY: dict[str, tuple[int, Callable[[float, float], float]]] = {
    "+": (1, operator.add),
    "-": (1, operator.sub),
    "*": (2, operator.mul),
    "/": (2, operator.truediv),
    "%": (2, operator.mod),
    "**": (4, operator.pow),
}
_NEGATION = "negation"
_NEGATION_RANK = 3
_LARGEST = 1e300
_LARGEST_BASE = 10**12
_HIGHEST_POWER = 64
_MOST_DIGITS = 300


@dataclass(slots=True, frozen=True)
class Token:
    """A number, a sign, or something that is neither.

    Attributes:
        kind: `number`, `sign` or `other`.
        text: as Python writes it.
        start: where it begins.
        end: where it ends.
        apart: whether blanks stand on both sides of it.
    """

    kind: str
    text: str
    start: int
    end: int
    apart: bool


def read_tokens(text: str) -> Iterator[Token]:
    """The tokens of a text."""
    before = 0
    for found in _TOKEN.finditer(text):
        start, end = found.span()
        apart = start > before and text[end : end + 1].isspace()
        written = _PYTHON.get(found[0], found[0])
        yield Token(found.lastgroup or "other", written, start, end, apart)
        before = end


def expression(text: str) -> str | None:
    """The longest arithmetic expression of a text, written as Python; None without one that can be computed."""
    text = _DATE.sub(" ; ", text)
    for pattern, form in _SPOKEN:
        text = pattern.sub(form, text)
    found = [text[run[0].start : run[-1].end] for run in _runs(text)]
    for candidate in sorted(found, key=len, reverse=True):
        written = candidate.replace("^", "**").replace("×", "*").replace("÷", "/")
        if evaluate(written) is not None:
            return written
    return None


def _runs(text: str) -> Iterator[list[Token]]:
    """Stretches of tokens that may be an expression, each with an operator between two numbers at least."""
    run = _Run()
    for token in read_tokens(text):
        if run.takes(token):
            continue
        if kept := run.cut():
            yield kept
        run = _Run()
        run.takes(token)
    if kept := run.cut():
        yield kept


@dataclass(slots=True)
class _Run:
    """Tokens that have so far the form of an expression."""

    tokens: list[Token] = field(default_factory=list)
    depth: int = 0
    complete: int = 0
    operators: int = 0

    def takes(self, token: Token) -> bool:
        """Take one more token, if it may stand there."""
        after_number = bool(self.tokens) and (self.tokens[-1].kind == "number" or self.tokens[-1].text == ")")
        if token.kind == "number" or token.text == "(":
            fits = not after_number
        elif token.text == ")":
            fits = after_number and self.depth > 0
        elif token.text == "-":
            fits = not after_number or token.apart  # 3-4 is a range, 3 - 4 a difference
        else:
            fits = token.kind == "sign" and after_number
        if fits:
            self._add(token, after_number)
        return fits

    def _add(self, token: Token, after_number: bool) -> None:
        self.depth += {"(": 1, ")": -1}.get(token.text, 0)
        self.operators += token.kind == "sign" and after_number and token.text != ")"
        self.tokens.append(token)
        if token.kind == "number" or token.text == ")":
            self.complete = len(self.tokens)

    def cut(self) -> list[Token]:
        """The tokens up to the last number, without parentheses that nothing closes; empty when nothing is computed."""
        kept = self.tokens[: self.complete]
        unclosed = sum({"(": 1, ")": -1}.get(token.text, 0) for token in kept)
        leading = next((place for place, token in enumerate(kept) if token.text != "("), 0)
        kept = kept[min(leading, max(unclosed, 0)) :]
        return kept if self.operators and any(token.text in _BINARY for token in kept[1:-1]) else []


def evaluate(written: str) -> float | None:
    """The value of an arithmetic expression; None when it is none, or beyond what is computed here."""
    try:
        return _Stack().run(list(read_tokens(written)))
    except (ValueError, ArithmeticError, IndexError):
        return None


class _Stack:
    """Computes from left to right with a stack of values and one of operators, so that no length is too long."""

    def __init__(self) -> None:
        self._values: list[float] = []
        self._waiting: list[str] = []

    def run(self, tokens: Sequence[Token]) -> float:
        """The value.

        Raises:
            ValueError: it is no expression, or a number is too large.
            ArithmeticError: it can't be computed.
            IndexError: an operand lacks.
        """
        after_number = False
        for token in tokens:
            if (token.kind == "number" or token.text == "(") == after_number and token.text not in ("-", ")"):
                raise ValueError(f"{token.text} can't stand there")
            if token.kind == "number":
                self._values.append(_number(token.text))
            elif token.text == "(":
                self._waiting.append("(")
            elif token.text == ")":
                self._close()
            elif token.text == "-" and not after_number:
                self._waiting.append(_NEGATION)
            else:
                self._reduce(_BINARY[token.text][0] if token.text in _BINARY else _fail(token), token.text)
                self._waiting.append(token.text)
            after_number = token.kind == "number" or token.text == ")"
        self._reduce(0, "")
        if self._waiting or len(self._values) != 1:
            raise ValueError("not arithmetic")
        return self._values[0]

    def _close(self) -> None:
        self._reduce(0, "")
        if self._waiting.pop() != "(":
            raise ValueError("a parenthesis is not opened")

    def _reduce(self, rank: int, following: str) -> None:
        """Apply what waits and binds at least as strongly as what follows; powers are taken from the right."""
        while self._waiting and self._waiting[-1] != "(":
            top = self._waiting[-1]
            own = _NEGATION_RANK if top == _NEGATION else _BINARY[top][0]
            if own < rank or (following == "**" and own == rank):
                return
            self._apply(self._waiting.pop())

    def _apply(self, name: str) -> None:
        right = self._values.pop()
        if name == _NEGATION:
            self._values.append(-right)
            return
        left = self._values.pop()
        if name == "**" and (abs(right) > _HIGHEST_POWER or abs(left) > _LARGEST_BASE):
            raise ValueError("too large")
        value = _BINARY[name][1](left, right)
        if isinstance(value, complex) or abs(value) > _LARGEST:
            raise ValueError("too large, or not real")
        self._values.append(value)


def _fail(token: Token) -> int:
    raise ValueError(f"{token.text} is not arithmetic")


def _number(text: str) -> float:
    if len(text) > _MOST_DIGITS:
        raise ValueError("too many digits")
    return float(text) if "." in text else int(text)
