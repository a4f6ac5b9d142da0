"""The keyword index of a snapshot on disk: arrays that are mapped into memory, so that opening one analyses no text.

Everything here can be made again from the texts. So what does not fit (another analysis, a damaged file) is left
aside, and the texts are analysed anew.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mistral_agents.retrieval import analysis
from mistral_agents.retrieval._extras import load
from mistral_agents.retrieval.keyword import TITLE_WEIGHT, KeywordIndex
from mistral_agents.retrieval.postings import K1, B, Postings, TermRows, Vocabulary

_LAYOUT = 1
_ARRAYS = ("numbers", "passages", "starts", "posting_starts", "posting_passages", "posting_weights")
log = logging.getLogger("mistral_agents.retrieval")


def _settings(preparation: str) -> dict[str, Any]:
    """What must be the same for kept arrays to be of use."""
    weights = [K1, B, TITLE_WEIGHT]
    return {"layout": _LAYOUT, "analysis": analysis.VERSION, "weights": weights, "preparation": preparation}


@dataclass(frozen=True, slots=True, eq=False)
class KeptIndex:
    """The arrays of a snapshot.

    Attributes:
        rows: The terms of each document that has passages, in the order of the snapshot.
        postings: Those of all passages.
    """

    rows: Sequence[TermRows]
    postings: Postings


def save_index(place: Path, index: KeywordIndex, preparation: str) -> None:
    """Write an index into a folder of its own, which appears when it is whole.

    Args:
        place: The folder, which must not be there yet.
        index: The index.
        preparation: Names how its texts were cut and analysed.

    Raises:
        OSError: It can't be written; nothing is left behind.
    """
    temporary = place.with_name(f"{place.name}.{os.getpid()}.tmp")
    try:
        temporary.mkdir()
        _write_arrays(temporary, index)
        terms = list(index.vocabulary.numbers)[: len(index.postings.starts) - 1]
        (temporary / "terms.json").write_text(json.dumps(terms), encoding="ascii")
        (temporary / "index.json").write_text(json.dumps(_settings(preparation)), encoding="utf-8")
        os.replace(temporary, place)
    except OSError:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def _write_arrays(folder: Path, index: KeywordIndex) -> None:
    numpy = load("numpy")
    none = numpy.zeros(0, "int64")
    lengths = numpy.concatenate([none, *(numpy.diff(rows.starts) for rows in index.documents)])
    starts = numpy.concatenate([[0], numpy.cumsum(lengths)])
    arrays = {
        "passages": numpy.array([len(rows) for rows in index.documents], dtype="int64"),
        "starts": starts,
        "posting_starts": index.postings.starts,
        "posting_passages": index.postings.passages,
        "posting_weights": index.postings.weights,
    }
    for title, values in arrays.items():
        numpy.save(folder / f"{title}.npy", values)
    # One document after another: joined first, they would be in memory twice. An array of no length can't be mapped.
    numbers = numpy.lib.format.open_memmap(folder / "numbers.npy", "w+", "uint32", (int(starts[-1]) + 1,))
    at = 0
    for rows in index.documents:
        numbers[at : at + len(rows.numbers)] = rows.numbers
        at += len(rows.numbers)
    numbers.flush()


def load_index(place: Path, vocabulary: Vocabulary, preparation: str) -> KeptIndex | None:
    """An index whose terms become those of an empty vocabulary; None where it can't be used."""
    if vocabulary.numbers:
        return None
    try:
        if json.loads((place / "index.json").read_text(encoding="utf-8")) != _settings(preparation):
            return None
        found = {title: _open_array(place / f"{title}.npy") for title in _ARRAYS}
        terms = json.loads((place / "terms.json").read_text(encoding="ascii"))
        _check(found, terms)
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        log.warning("The kept index %s can't be used (%s); the texts are analysed anew.", place, error)
        return None
    vocabulary.numbers = dict(zip(terms, range(len(terms)), strict=True))
    postings = Postings(found["posting_starts"], found["posting_passages"], found["posting_weights"])
    return KeptIndex(list(_rows(found["numbers"], found["passages"].tolist(), found["starts"])), postings)


def _check(found: dict[str, Any], terms: list[str]) -> None:
    """Refuse arrays that do not fit one another, as after a copy that was cut off.

    Raises:
        ValueError: They don't.
    """
    fits = (
        len(found["starts"]) == found["passages"].sum() + 1
        and len(found["numbers"]) >= found["starts"][-1]
        and len(found["posting_starts"]) == len(terms) + 1 == len(set(terms)) + 1
        and len(found["posting_passages"]) == len(found["posting_weights"]) == found["posting_starts"][-1]
    )
    if not fits:
        raise ValueError("its arrays do not fit one another")


def _rows(numbers: Any, sizes: list[int], starts: Any) -> Iterator[TermRows]:
    at = 0
    for size in sizes:
        own = starts[at : at + size + 1]
        yield TermRows(numbers[own[0] : own[-1]], own - own[0])
        at += size


def _open_array(path: Path) -> Any:
    """An array mapped into memory; one of no length can't be mapped."""
    numpy = load("numpy")
    try:
        return numpy.asarray(numpy.load(path, mmap_mode="r", allow_pickle=False))
    except ValueError:
        return numpy.load(path, allow_pickle=False)


def forget_indexes(folder: Path, but: str) -> None:
    """Delete kept indexes, with one exception."""
    for old in folder.glob("index-*"):
        if old.name != but and old.is_dir():
            shutil.rmtree(old, ignore_errors=True)
