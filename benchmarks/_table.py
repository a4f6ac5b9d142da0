"""What a section of the benchmark returns, and its Markdown form."""

from __future__ import annotations

import re
import resource
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path


class Missing(Exception):  # noqa: N818
    """A section can't run here; the message says in one line what is missing."""


@dataclass(slots=True)
class Section:
    """One table.

    Attributes:
        title: Its heading.
        columns: Column headings.
        rows: Cells as text, one row per thing measured.
        notes: Lines below the table.
    """

    title: str
    columns: Sequence[str]
    rows: list[Sequence[str]]
    notes: list[str] = field(default_factory=list)

    def markdown(self) -> str:
        """The section as Markdown, its columns aligned."""
        table = [[str(cell) for cell in row] for row in [self.columns, *self.rows]]
        widths = [max(len(row[place]) for row in table) for place in range(len(self.columns))]
        lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |" for row in table]  # noqa: B905
        lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
        return "\n".join([f"## {self.title}", "", *lines, *([""] if self.notes else []), *self.notes])


def peak_memory() -> float:
    """MiB that this process has held at most; what `resource` tells begins with the peak of its parent."""
    status = Path("/proc/self/status")
    found = re.search(r"VmHWM:\s*(\d+) kB", status.read_text()) if status.exists() else None
    kilobytes = int(found.group(1)) if found is not None else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kilobytes / 1024
