"""The keyword index of a snapshot on disk: arrays that are mapped into memory, so that opening one analyses no text.

Everything here can be made again from the texts. So what does not fit (another analysis, a damaged file) is left
aside, and the texts are analysed anew.

The file begins with a line of JSON that says what the arrays are of, their kinds, lengths and places.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from mistral_agents.retrieval import analysis
from mistral_agents.retrieval._extras import load
from mistral_agents.retrieval.keyword import TITLE_WEIGHT, KeywordIndex
from mistral_agents.retrieval.postings import K1, B, Postings, TermRows, Vocabulary

_LAYOUT = 1
_ALIGNED = 64  # bytes
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


def save_index(path: Path, index: KeywordIndex, preparation: str) -> None:
    """Write an index into a file, which appears when it is whole.

    Args:
        path: The file.
        index: The index.
        preparation: Names how its texts were cut and analysed.
    """
    numpy = load("numpy")
    terms = json.dumps(list(index.vocabulary.numbers)[: len(index.postings.starts) - 1]).encode()
    lengths = numpy.concatenate([numpy.zeros(0, "int64"), *(numpy.diff(rows.starts) for rows in index.documents)])
    starts = numpy.concatenate([[0], numpy.cumsum(lengths)])
    # The numbers are written one document after another: joined first, they would be in memory twice.
    parts: dict[str, tuple[str, int, Iterable[Any]]] = {
        "terms": ("uint8", len(terms), [numpy.frombuffer(terms, "uint8")]),
        "sizes": ("int64", len(index.documents), [numpy.array([len(rows) for rows in index.documents], dtype="int64")]),
        "starts": ("int64", len(starts), [starts]),
        "numbers": ("uint32", int(starts[-1]), (rows.numbers for rows in index.documents)),
        "posting_starts": ("int64", len(index.postings.starts), [index.postings.starts]),
        "posting_passages": ("int32", len(index.postings.passages), [index.postings.passages]),
        "posting_weights": ("float32", len(index.postings.weights), [index.postings.weights]),
    }
    arrays = {title: [kind, count] for title, (kind, count, _) in parts.items()}
    temporary = path.with_suffix(".tmp")
    with temporary.open("wb") as file:
        file.write(json.dumps({**_settings(preparation), "arrays": arrays}).encode() + b"\n")
        for kind, _, values in parts.values():
            _align(file)
            for one in values:
                file.write(memoryview(numpy.ascontiguousarray(one, dtype=kind)).cast("B") if len(one) else b"")
    os.replace(temporary, path)


def _align(file: BinaryIO) -> None:
    file.write(bytes(-file.tell() % _ALIGNED))


def load_index(path: Path, vocabulary: Vocabulary, preparation: str) -> KeptIndex | None:
    """An index whose terms become those of an empty vocabulary; None where it can't be used."""
    if vocabulary.numbers:
        return None
    try:
        found = _map_arrays(path, _settings(preparation))
        if found is None:
            return None
        terms = json.loads(found["terms"].tobytes())
        _check_arrays(found, terms)
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        log.warning("The kept index %s can't be used (%s); the texts are analysed anew.", path, error)
        return None
    vocabulary.numbers = dict(zip(terms, range(len(terms)), strict=True))
    postings = Postings(found["posting_starts"], found["posting_passages"], found["posting_weights"])
    return KeptIndex(list(_rows(found["numbers"], found["sizes"].tolist(), found["starts"])), postings)


def _map_arrays(path: Path, settings: dict[str, Any]) -> dict[str, Any] | None:
    """The arrays by title; None where they are of other settings."""
    numpy = load("numpy")
    with path.open("rb") as file:
        first = file.readline(100_000)
    header = json.loads(first)
    arrays = header.pop("arrays")
    if header != settings:
        return None
    whole = numpy.asarray(numpy.memmap(path, mode="r"))
    found, at = {}, len(first)
    for title, (kind, count) in arrays.items():
        at += -at % _ALIGNED
        end = at + count * numpy.dtype(kind).itemsize
        if end > len(whole):
            raise ValueError("it ends too early")
        found[title] = whole[at:end].view(kind)
        at = end
    return found


def _check_arrays(found: dict[str, Any], terms: list[str]) -> None:
    """Refuse arrays that do not fit one another, as in a file that was damaged.

    Raises:
        ValueError: They don't.
    """
    count = int(found["sizes"].sum())
    starts, posting_starts, passages = found["starts"], found["posting_starts"], found["posting_passages"]
    fits = (
        len(starts) == count + 1
        and len(posting_starts) == len(terms) + 1
        and len(set(terms)) == len(terms)
        and bool((found["sizes"] > 0).all())
        and _ascends(starts, len(found["numbers"]))
        and _ascends(posting_starts, len(passages))
        and len(passages) == len(found["posting_weights"])
        and (not len(passages) or (int(passages.min()) >= 0 and int(passages.max()) < count))
        and (not len(found["numbers"]) or int(found["numbers"].max()) < len(terms))
    )
    if not fits:
        raise ValueError("its arrays do not fit one another")


def _ascends(starts: Any, end: int) -> bool:
    return int(starts[0]) == 0 and int(starts[-1]) == end and bool((starts[1:] >= starts[:-1]).all())


def _rows(numbers: Any, sizes: list[int], starts: Any) -> Iterator[TermRows]:
    at = 0
    for size in sizes:
        own = starts[at : at + size + 1]
        yield TermRows(numbers[own[0] : own[-1]], own - own[0])
        at += size


def prepared_by(path: Path) -> str | None:
    """How the texts of a kept index were cut and analysed; None where it does not say."""
    try:
        with path.open("rb") as file:
            found = json.loads(file.readline(100_000)).get("preparation")
    except (OSError, ValueError, AttributeError):
        return None
    return found if isinstance(found, str) else None
