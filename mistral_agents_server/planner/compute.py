"""Arithmetic, numbers, tables, and the Python that describes and plots them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

from mistral_agents_server.planner.extract import content_words, words
from mistral_agents_server.planner.tasks import without_list_numbers

_NUMBER = re.compile(r"(?<![\w.])-?\d{1,3}(?:,\d{3})+(?:\.\d+)?(?!\w)|(?<![\w.])-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?(?!\w)")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}|\d{1,2}/\d{1,2}/\d{2,4}")
_FENCE = re.compile(r"```(?:python|py)?[ \t]*\n(.*?)```", re.DOTALL | re.IGNORECASE)
_LABEL = re.compile(r"[^\W\d][^\d:;.!?]*")
_CELL = re.compile(r"-?\d[\d,]*(?:\.\d+)?")
_STATISTICS = frozenset(
    words("mean average median deviation variance sum total minimum maximum min max statistics statistic quartile")
)
_PLOT = frozenset(words("plot chart graph histogram diagram"))
_TO_SEE = ("visualis", "visualiz")
_CHANGE = frozenset(words("change changes increase increases decrease decreases difference differences"))
_RELATIVE = frozenset(words("rate rates percent percentage relative"))
_STATISTICS_LINES = (
    "import statistics",
    "",
    "for name, values in columns.items():",
    "    deviation = statistics.stdev(values) if len(values) > 1 else 0.0",
    "    print(",
    '        f"{name}: n = {len(values)}, sum = {sum(values):g}, mean = {statistics.fmean(values):.6g}, "',
    '        f"median = {statistics.median(values):g}, standard deviation = {deviation:.6g}, "',
    '        f"minimum = {min(values):g}, maximum = {max(values):g}"',
    "    )",
)
_GROWTH_LINES = (
    "for name, values in columns.items():",
    "    for place in range(1, len(values)):",
    "        before, now = values[place - 1], values[place]",
    '        change = f"{(now - before) / abs(before):+.1%}" if before else "from 0"',
    "        row = labels[place] if labels else place + 1",
    '        print(f"{name}, {row}: {before:g} to {now:g}, {change}")',
)
_PLOT_LINES = (
    "import matplotlib.pyplot as plt",
    "",
    "for name, values in columns.items():",
    '    plt.plot(labels or range(1, len(values) + 1), values, marker="o", label=name)',
)
_OLDEST_YEAR, _LAST_YEAR = 1800, 2200
_LARGEST = 1e300
"""Larger numbers are strings of digits, not data."""


def fenced_code(text: str) -> str | None:
    """The first fenced block of Python, or of no named language."""
    found = _FENCE.search(text)
    return found[1].rstrip() if found else None


def without_fences(text: str) -> str:
    """A text without its fenced code."""
    return _FENCE.sub(" ", text)


def numbers(text: str) -> list[float]:
    """The numbers of a text in order; dates aren't numbers."""
    found = (_number(written) for written in _NUMBER.findall(_DATE.sub(" ", text)))
    return [number for number in found if abs(number) < _LARGEST]


def _number(text: str) -> float:
    value = float(text.replace(",", ""))
    return int(value) if value.is_integer() and "e" not in text.lower() and "." not in text else value


def wants_statistics(text: str) -> bool:
    """Whether descriptive statistics are asked for."""
    return bool(_STATISTICS & set(words(text)))


def wants_plot(text: str) -> bool:
    """Whether a plot is asked for."""
    asked = words(text)
    return bool(_PLOT & set(asked)) or any(word.startswith(_TO_SEE) for word in asked)


def wants_growth(text: str) -> bool:
    """Whether changes from one row to the next are asked for."""
    asked = set(words(text))
    return "growth" in asked or bool(_CHANGE & asked and _RELATIVE & asked)


@dataclass(slots=True)
class Series:
    """Named columns of numbers, and what stands beside each row."""

    columns: dict[str, list[float]]
    labels: list[str]


def series_in(question: str, text: str) -> Series | None:
    """A table's columns of numbers, or three and more bare numbers; only the columns the question names, if it does."""
    found = table_in(question, text)
    if found is not None:
        return found
    bare = numbers(without_list_numbers(text))
    return Series({"values": bare}, []) if len(bare) >= 3 else None


def table_in(question: str, text: str) -> Series | None:
    """The columns of numbers of the longest table that has any; of one with a column that the question names first."""
    wanted = content_words(question)
    tables = [*sorted(_tables(text), key=len, reverse=True), _spaced_table(text)]
    found = [columns for rows in tables if rows and (columns := _columns(rows)) is not None]
    for series in found:
        named = {name: column for name, column in series.columns.items() if content_words(name) & wanted}
        if named:
            return Series(named, series.labels)
    return found[0] if found else None


def _tables(text: str) -> list[list[list[str]]]:
    """The runs of lines with the same number of cells, by `|`, tabs, commas or runs of blanks."""
    found: list[list[list[str]]] = []
    run: list[list[str]] = []
    ruled = False
    for line in text.splitlines():
        cells = _cells(line)
        if cells and run and len(cells) == len(run[0]):
            run.append(cells)
            ruled = "|" in line
            continue
        if not cells and run and (_is_ruler(line) or (ruled and not line.strip())):
            ruled = ruled and bool(line.strip())  # one blank line may stand between rows, as pages have it
            continue
        ruled = "|" in line
        found.append(run)
        run = [cells] if cells else []
    return [rows for rows in (*found, run) if len(rows) >= 3]


def _spaced_table(text: str) -> list[list[str]]:
    """The longest run of lines of a label and numbers with single blanks between, as texts of PDFs have them."""
    longest: list[list[str]] = []
    run: list[list[str]] = []
    before, head = "", ""
    for line in [*text.splitlines(), ""]:
        cells = _labelled_cells(line)
        if not cells or (run and len(cells) != len(run[0])):
            if len(run) >= max(2, len(longest)):
                longest = [_head(head, len(run[0])), *run]
            run = []
        if cells and not run:
            head = before
        run += [cells] if cells else []
        before = line
    return longest


def _labelled_cells(line: str) -> list[str]:
    """A label without digits and the numbers behind it; empty when the line is something else."""
    parts = line.split()
    first = len(parts)
    while first > 0 and _CELL.fullmatch(parts[first - 1]):
        first -= 1
    label = " ".join(parts[:first])
    return [label, *parts[first:]] if first < len(parts) and _LABEL.fullmatch(label) else []


def _head(line: str, width: int) -> list[str]:
    """The names of columns whose parting is lost: each begins with a capital; numbered where that doesn't come out."""
    names = re.findall(r"[A-Z][^A-Z]*", line)
    if len(names) == width:
        return [name.strip() for name in names]
    return ["", *(f"column {place}" for place in range(1, width))]


def _is_ruler(line: str) -> bool:
    return bool(line.strip()) and not line.strip("|-+=: \t")


def _cells(line: str) -> list[str]:
    if _is_ruler(line):
        return []
    for mark in (r"\|", r"\t", r",(?=\s*\S)", r"\s{2,}"):
        cells = [cell.strip() for cell in re.split(mark, line.strip().strip("|"))]
        if len(cells) >= 2 and all(cells):
            return cells
    return []


def _columns(rows: list[list[str]]) -> Series | None:
    head, body = rows[0], rows[1:]
    columns: dict[str, list[float]] = {}
    labels: list[str] = []
    for place, name in enumerate(head):
        cells = [row[place] for row in body]
        values = [numbers(cell) for cell in cells]
        if all(len(value) == 1 for value in values) and not (place == 0 and _counts(values)):
            columns[name] = [value[0] for value in values]
        elif not labels:
            labels = cells
    return Series(columns, labels) if columns else None


def _counts(values: list[list[float]]) -> bool:
    """Whether a first column only counts its rows, up or down, as row numbers do, or names them by years."""
    firsts = [value[0] for value in values]
    steps = {after - before for before, after in pairwise(firsts)}
    years = all(isinstance(first, int) and _OLDEST_YEAR <= first < _LAST_YEAR for first in firsts)
    return len(values) > 1 and (steps in ({1}, {-1}) or (years and len(set(firsts)) == len(firsts)))


def program(series: Series, *, plot: bool, growth: bool = False) -> str:
    """Python that prints descriptive statistics of each column, or its changes from row to row, and may plot them."""
    lines = [f"columns = {series.columns!r}", f"labels = {series.labels!r}"]
    if _run_backwards(series.labels):
        lines += ["labels.reverse()", "for values in columns.values():", "    values.reverse()"]
    lines += ["", *(_GROWTH_LINES if growth else _STATISTICS_LINES)]
    if plot:
        rotation = ['plt.xticks(rotation=45, ha="right")'] if series.labels else []
        lines += ["", *_PLOT_LINES, *rotation, "plt.legend()", "plt.tight_layout()", "plt.show()"]
    return "\n".join(lines)


def _run_backwards(labels: list[str]) -> bool:
    """Whether rows are counted downwards, as years are with the newest one first."""
    counts = [int(label) for label in labels if label.isascii() and label.isdigit() and len(label) < 9]
    return len(counts) == len(labels) > 1 and all(after < before for before, after in pairwise(counts))
