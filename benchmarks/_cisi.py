"""The CISI test collection, and the two measures of ranking that are printed."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks._table import Missing

FOLDER = Path(__file__).parents[2] / "shared" / "data" / "cisi"


@dataclass(frozen=True, slots=True)
class Abstract:
    """A document of the collection."""

    key: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Collection:
    """Documents, questions, and which documents answer which question."""

    abstracts: list[Abstract]
    questions: dict[str, str]
    relevant: dict[str, set[str]]


def load() -> Collection:
    """Read the collection.

    Raises:
        Missing: It is not beside the project.
    """
    if not FOLDER.is_dir():
        raise Missing(f"the CISI collection is not at {FOLDER.name} beside the project.")
    abstracts = [Abstract(key, " ".join(part["T"].split()), part["W"].strip()) for key, part in _records("CISI.ALL")]
    relevant: dict[str, set[str]] = {}
    for line in _lines("CISI.REL"):
        question, document = line.split()[:2]
        relevant.setdefault(question, set()).add(document)
    questions = {key: part["W"].strip() for key, part in _records("CISI.QRY") if key in relevant}
    return Collection(abstracts, questions, relevant)


def _lines(name: str) -> list[str]:
    return (FOLDER / name).read_text(encoding="latin-1").splitlines(keepends=True)


def _records(name: str) -> Iterator[tuple[str, dict[str, str]]]:
    key, part, field = "", {}, ""
    for line in _lines(name):
        if line.startswith(".I"):
            if key:
                yield key, part
            key, part, field = line.split()[1], {}, ""
        elif re.match(r"\.[A-Z]\s*$", line):
            field = line[1]
            part.setdefault(field, "")
        elif field:
            part[field] += line
    yield key, part


def measured(collection: Collection, rank: Callable[[str], Sequence[str]]) -> tuple[float, float]:
    """Mean nDCG@10 (binary gains) and recall@100 over the questions; `rank` gives document keys, best first."""
    gains, recalls = [], []
    for key, question in collection.questions.items():
        relevant, ranking = collection.relevant[key], list(rank(question))
        found = sum(1 / math.log2(place + 2) for place, doc in enumerate(ranking[:10]) if doc in relevant)
        ideal = sum(1 / math.log2(place + 2) for place in range(min(10, len(relevant))))
        gains.append(found / ideal)
        recalls.append(len(relevant.intersection(ranking[:100])) / len(relevant))
    return sum(gains) / len(gains), sum(recalls) / len(recalls)
