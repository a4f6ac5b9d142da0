"""Arithmetic, numbers, tables, and the Python that describes and plots them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

from mistral_agents_server.planner.extract import content_words, words

_NUMBER = re.compile(r"(?<![\w.])-?\d{1,3}(?:,\d{3})+(?:\.\d+)?(?!\w)|(?<![\w.])-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?(?!\w)")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}|\d{1,2}/\d{1,2}/\d{2,4}")
_FENCE = re.compile(r"```(?:python|py)?[ \t]*\n(.*?)```", re.DOTALL | re.IGNORECASE)
_LABEL = re.compile(r"[^\W\d][^\d:;.!?]*")
_CELL = re.compile(r"-?\d[\d,]*(?:\.\d+)?")
_STATISTICS = frozenset(
    words("mean average median deviation variance sum total minimum maximum min max statistics statistic quartile")
)
_PLOT = frozenset(words("plot chart graph histogram diagram visualise visualize"))
_LARGEST = 1e300
"""Larger numbers are strings of digits, not data."""


def fenced_code(text: str) -> str | None:
    """The first fenced block of Python, or of no named language."""
    found = _FENCE.search(text)
    return found[1].rstrip() if found else None


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
    return bool(_PLOT & set(words(text)))


@dataclass(slots=True)
class Series:
    """Named columns of numbers, and what stands beside each row."""

    columns: dict[str, list[float]]
    labels: list[str]


def series_in(question: str, text: str) -> Series | None:
    """A table's columns of numbers, or three and more bare numbers; only the columns the question names, if it does."""
    tables = (_table(text), _spaced_table(text))
    found = next((columns for rows in tables if rows and (columns := _columns(rows)) is not None), None)
    if found is None:
        bare = numbers(text)
        return Series({"values": bare}, []) if len(bare) >= 3 else None
    wanted = content_words(question)
    named = {name: column for name, column in found.columns.items() if content_words(name) & wanted}
    return Series(named or found.columns, found.labels)


def _table(text: str) -> list[list[str]]:
    """The longest run of lines with the same number of cells, by `|`, tabs, commas or runs of blanks."""
    longest: list[list[str]] = []
    run: list[list[str]] = []
    for line in [*text.splitlines(), ""]:
        cells = _cells(line)
        if cells and run and len(cells) == len(run[0]):
            run.append(cells)
            continue
        if len(run) > len(longest):
            longest = run
        run = [cells] if cells else run if _is_ruler(line) and run else []
    return longest if len(longest) >= 3 else []


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
    """Whether a first column only counts its rows, as years and row numbers do."""
    steps = {after[0] - before[0] for before, after in pairwise(values)}
    return len(values) > 1 and steps == {1}


def program(series: Series, plot: bool) -> str:
    """Python that prints descriptive statistics of each column and, if wanted, plots them."""
    lines = ["import statistics", "", f"columns = {series.columns!r}", "", "for name, values in columns.items():"]
    lines += [
        "    deviation = statistics.stdev(values) if len(values) > 1 else 0.0",
        "    print(",
        '        f"{name}: n = {len(values)}, sum = {sum(values):g}, mean = {statistics.fmean(values):.6g}, "',
        '        f"median = {statistics.median(values):g}, standard deviation = {deviation:.6g}, "',
        '        f"minimum = {min(values):g}, maximum = {max(values):g}"',
        "    )",
    ]
    if plot:
        lines += [
            "",
            "import matplotlib.pyplot as plt",
            "",
            f"labels = {series.labels!r}",
            "for name, values in columns.items():",
            '    plt.plot(labels or range(1, len(values) + 1), values, marker="o", label=name)',
            *(['plt.xticks(rotation=45, ha="right")'] if series.labels else []),
            "plt.legend()",
            "plt.tight_layout()",
            "plt.show()",
        ]
    return "\n".join(lines)
