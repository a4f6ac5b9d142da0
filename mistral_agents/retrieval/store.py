"""A snapshot on disk: JSON lines and arrays, replaced as a whole, without pickle; and the journal of a running sync."""

from __future__ import annotations

import json
import os
import time
import tokenize
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import uuid4
from zipfile import BadZipFile

from mistral_agents._paths import expand_home
from mistral_agents._warnings import warn_user
from mistral_agents.retrieval._extras import load
from mistral_agents.retrieval.chunking import Chunks, Page
from mistral_agents.retrieval.documents import LibraryDocument
from mistral_agents.retrieval.errors import SnapshotError
from mistral_agents.retrieval.kept_index import KeptIndex, load_index, prepared_by, save_index
from mistral_agents.retrieval.postings import Postings
from mistral_agents.retrieval.reading import ReadText
from mistral_agents.retrieval.snapshot import Preparation, Snapshot, StoredText, sort_key_of

FORMAT, VERSION = "mistral-agents-snapshot", 1
_UNREADABLE = (
    ValueError,
    ArithmeticError,
    LookupError,
    TypeError,
    AttributeError,
    OSError,
    EOFError,
    RecursionError,
    SyntaxError,
    tokenize.TokenError,
    BadZipFile,
    zlib.error,
)
"""What damaged JSON lines and arrays raise; the head of an array is a literal of Python."""
_LEFT = 3600.0  # seconds, after which a file that no snapshot names is nobody's
_TRIES = 5
"""How often a snapshot is opened that others replace meanwhile."""
_DOCUMENT_FIELDS = frozenset(field.name for field in fields(LibraryDocument))


def text_hash(text: str) -> str:
    """Names a chunk's text, whatever its document."""
    return sha256(text.encode()).hexdigest()[:32]


@dataclass(slots=True)
class Journal:
    """What an interrupted sync had already paid for: texts by document and signature, vectors by text."""

    texts: dict[tuple[str, str], ReadText]
    vectors: dict[str, Any]


class Store:
    """The folder of a snapshot.

    Args:
        folder: Made when first written to.
        library_ids: The libraries it must hold.
        exact_pages: Whether its texts must have been read page by page.

    Attributes:
        is_outdated: Whether what was loaded had no index of this version's analysis, so that it is worth saving anew.
    """

    def __init__(
        self, folder: str | os.PathLike[str], library_ids: Sequence[str], *, exact_pages: bool = False
    ) -> None:
        self.folder = expand_home(folder)
        self._library_ids = sorted(library_ids)
        self._exact_pages = exact_pages
        self._segment = 0
        self._is_broken = False
        self._token = uuid4().hex[:8]
        self.is_outdated = False

    @property
    def path(self) -> Path:
        """The snapshot's file."""
        return self.folder / "snapshot.jsonl"

    @property
    def _mark(self) -> str:
        """In the names of files being written: others may write into the same folder, in this process too."""
        return f"{os.getpid()}-{self._token}"

    # snapshot --------------------------------------------------------------------------------------------------

    def save(self, snapshot: Snapshot, preparation: Preparation, embedder: str | None) -> None:
        """Write a snapshot beside the old one, put it in its place, and forget the journal."""
        self._attempt(lambda: self._write(snapshot, preparation, embedder))

    def _attempt(self, write: Callable[[], None]) -> None:
        """Write, or say once that the folder can't be written: it is a convenience, and the search goes on without."""
        if self._is_broken:
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write()
        except OSError as error:
            self._is_broken = True
            for left in self._unfinished():
                with suppress(OSError):
                    left.unlink()
            reason = error.strerror if error.strerror else str(error)
            text = f"The folder {self.folder} can't be written ({reason}), so nothing is kept there."
            warn_user(f"{text} Make room or give another persist_dir.")

    def _unfinished(self) -> list[Path]:
        with suppress(OSError):
            return list(self.folder.glob(f"*{self._mark}*.tmp"))
        return []

    def _write(self, snapshot: Snapshot, preparation: Preparation, embedder: str | None) -> None:
        embedder, matrix = self._choose_vectors(snapshot, preparation, embedder)
        vectors = self._save_vectors(snapshot.id, matrix) if matrix is not None else None
        index = f"index-{snapshot.id}-{self._mark}-{uuid4().hex[:8]}.bin"
        before = self._read_names()
        save_index(self.folder / index, snapshot.keyword, preparation.key)
        header = {
            "format": FORMAT,
            "version": VERSION,
            "library_ids": self._library_ids,
            "splitter": preparation.splitter.key,
            "embedder": embedder,
            "exact_pages": self._exact_pages,
            "vectors": vectors,
            "index": index,
            "documents": len(snapshot.texts),
        }
        temporary = self.path.with_name(f"snapshot.{self._mark}.tmp")
        with temporary.open("w", encoding="utf-8") as file:
            for line in [header, *map(_write_document, snapshot.texts.values())]:
                file.write(json.dumps(line, ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, self.path)
        self.is_outdated = False
        self._forget_files(before, but={index, vectors})
        self.forget_journal()

    def _read_names(self) -> set[object]:
        """The files that the snapshot of before names."""
        try:
            with self.path.open(encoding="utf-8") as file:
                header = json.loads(next(file, ""))
            return {header.get("index"), header["vectors"]}
        except _UNREADABLE:
            return set()

    def _forget_files(self, before: set[object], but: set[str | None]) -> None:
        """Delete what the snapshot of before named, and what was left long ago; others may be at work on the rest.

        What another process has open may stay, where the system wants it so.
        """
        for old in [*self._files("index-*.bin"), *self._files("vectors-*.np[yz]"), *self._files("*.tmp")]:
            with suppress(OSError):
                if old.name not in but and (old.name in before or time.time() - old.stat().st_mtime > _LEFT):
                    old.unlink()

    def _choose_vectors(
        self, snapshot: Snapshot, preparation: Preparation, embedder: str | None
    ) -> tuple[str | None, Any]:
        """Which vectors are kept, and whose: a search by words alone passes on what lies here already.

        Rows of passages that are new to it are NaN; the model's next search has them made.
        """
        if embedder is not None:
            return embedder, snapshot.vectors
        with suppress(*_UNREADABLE, SnapshotError):
            header, lines = self._read_lines()
            known = self._load_vectors(header, header["embedder"], lines)
            if known and header["splitter"] == preparation.splitter.key:
                return header["embedder"], _carry_rows(
                    snapshot, {line.document.document_id: line for line in lines}, known
                )
        return None, None

    def _save_vectors(self, snapshot_id: str, matrix: object) -> str:
        name = f"vectors-{snapshot_id}-{self._mark}-{uuid4().hex[:8]}.npy"
        temporary = self.folder / f"vectors.{self._mark}.tmp"
        with temporary.open("wb") as file:
            load("numpy").save(file, matrix, allow_pickle=False)
        os.replace(temporary, self.folder / name)
        return name

    def load(self, preparation: Preparation, embedder: str | None) -> tuple[list[StoredText], Postings | None] | None:
        """The stored documents, and their postings where these were kept too; None where nothing was stored.

        Chunks are cut again where the splitter has changed; vectors of another model are left out.

        Raises:
            SnapshotError: The file is damaged, of another version, or of other libraries.
        """
        for _ in range(_TRIES):
            before = self._read_names()
            with suppress(FileNotFoundError):
                return self._load(preparation, embedder)
            if self._read_names() == before:  # nobody has replaced it meanwhile
                break
        raise self._bad("names files that are gone")

    def _load(self, preparation: Preparation, embedder: str | None) -> tuple[list[StoredText], Postings | None] | None:
        try:
            if not self.path.exists():
                return None
            header, lines = self._read_lines()
            if self._exact_pages and not header.get("exact_pages", False):  # its texts were read without pages
                return None
            if header["splitter"] == preparation.splitter.key:
                vectors = self._load_vectors(header, embedder, lines)
                texts, postings = _indexed(lines, self._load_index(header, preparation), preparation, vectors)
                self.is_outdated = postings is None and self._may_replace(header, preparation, embedder)
            else:
                texts, postings = [preparation.store(line.document, line.text, line.pages) for line in lines], None
            count = header["documents"]
        except FileNotFoundError:
            raise
        except _UNREADABLE as error:
            raise self._bad(f"can't be read ({error})") from error
        if len(texts) != count:
            raise self._bad(f"holds {len(texts)} documents instead of {count}")
        return texts, postings

    def _read_lines(self) -> tuple[dict[str, Any], list[StoredText]]:
        with self.path.open(encoding="utf-8") as file:
            return self._header(next(file, "")), [_read_line(json.loads(line)) for line in file]

    def _load_index(self, header: dict[str, Any], preparation: Preparation) -> KeptIndex | None:
        name = header.get("index")
        if not isinstance(name, str) or Path(name).name != name:  # written by an older version
            return None
        return load_index(self.folder / name, preparation.vocabulary, preparation.key)

    def _header(self, line: str) -> dict[str, Any]:
        header = json.loads(line)
        if not isinstance(header, dict) or header.get("format") != FORMAT or header.get("version") != VERSION:
            raise self._bad(f"is no snapshot of version {VERSION}")
        if header["library_ids"] != self._library_ids:
            raise self._bad(f"belongs to other libraries: {', '.join(map(str, header['library_ids']))}")
        return header

    def _bad(self, reason: str) -> SnapshotError:
        hint = "Delete the folder, or pass another persist_dir."
        return SnapshotError(f"The snapshot {self.path} {reason}.", hint=hint)

    def _may_replace(self, header: dict[str, Any], preparation: Preparation, embedder: str | None) -> bool:
        """Whether nobody else needs what is stored: an index of other settings, vectors of another model."""
        loses_vectors = header["vectors"] is not None and embedder not in (header["embedder"], None)
        return not loses_vectors and prepared_by(self.folder / str(header.get("index"))) in (preparation.key, None)

    def _load_vectors(
        self, header: dict[str, Any], embedder: str | None, lines: Sequence[StoredText]
    ) -> dict[str, Any]:
        """Each document's vectors; mapped into memory, but for those of an older version (npz)."""
        name = header["vectors"]
        if name is None or embedder is None or header["embedder"] != embedder:
            return {}
        if Path(name).name != name:
            raise self._bad("names vectors outside its folder")
        path = self.folder / name
        return _npz(path) if path.suffix == ".npz" else _cut_matrix(_map_matrix(path), lines)

    # journal ---------------------------------------------------------------------------------------------------

    def note_text(self, document: LibraryDocument, read: ReadText) -> None:
        """Keep a text that was just downloaded."""
        line = {
            "id": document.document_id,
            "key": document.text_key,
            "exact_pages": self._exact_pages,
            "text": read.text,
            "pages": [[page.label, page.start, page.end] for page in read.pages],
        }
        self._attempt(lambda: self._append(line))

    def _append(self, line: dict[str, Any]) -> None:
        with (self.folder / f"journal-{self._mark}.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")

    def note_vectors(self, hashes: list[str], vectors: object, embedder: str) -> None:
        """Keep vectors that a model has just made."""
        self._attempt(lambda: self._add_segment(hashes, vectors, embedder))

    def _add_segment(self, hashes: list[str], vectors: object, embedder: str) -> None:
        numpy = load("numpy")
        self._segment += 1
        name = f"journal-{self._mark}-{self._segment:06d}"
        temporary = self.folder / f"{name}.tmp"
        with temporary.open("wb") as file:
            numpy.savez(file, hashes=numpy.array(hashes), vectors=vectors, embedder=numpy.array(embedder))
        os.replace(temporary, self.folder / f"{name}.npz")

    def journal(self, embedder: str | None) -> Journal:
        """What an interrupted sync left; what can't be read of it is left out, and read anew from the service.

        Args:
            embedder: The model whose vectors are wanted.
        """
        journal = Journal({}, {})
        for path in self._files("journal-*.jsonl"):
            for line in _whole_lines(path):
                if self._exact_pages and not line.get("exact_pages", False):
                    continue
                with suppress(*_UNREADABLE):
                    pages = tuple(Page(*page) for page in line["pages"])
                    journal.texts[line["id"], line["key"]] = ReadText(_text(line["text"]), pages, requests=0)
        for path in self._files("journal-*.npz"):
            with suppress(*_UNREADABLE):
                part = _npz(path)
                if str(part["embedder"]) != embedder:
                    continue
                journal.vectors.update(zip(part["hashes"].tolist(), part["vectors"], strict=True))
        return journal

    def _files(self, pattern: str) -> list[Path]:
        with suppress(OSError):
            return sorted(self.folder.glob(pattern))
        return []

    def forget_journal(self) -> None:
        """Delete the journal, but for what another process has open where the system holds on to that."""
        for path in [*self._files("journal-*.jsonl"), *self._files("journal-*.npz")]:
            with suppress(OSError):
                path.unlink()


def _write_document(stored: StoredText) -> dict[str, Any]:
    return {
        "document": asdict(stored.document),
        "text": stored.text,
        "pages": [[page.label, page.start, page.end] for page in stored.pages],
        "chunks": [[chunk.start, chunk.end, chunk.page] for chunk in stored.chunks],
    }


def _read_line(line: dict[str, Any]) -> StoredText:
    """A document with its chunks, not yet indexed."""
    known = {key: value for key, value in line["document"].items() if key in _DOCUMENT_FIELDS}
    document = LibraryDocument(**known)
    pages = tuple(Page(*page) for page in line["pages"])
    return StoredText(document, _text(line["text"]), pages, Chunks.of(document.document_id, line["chunks"]))


def _indexed(
    lines: list[StoredText], kept: KeptIndex | None, preparation: Preparation, vectors: dict[str, Any]
) -> tuple[list[StoredText], Postings | None]:
    """The documents with the kept arrays, where these are of the same passages; else analysed anew."""
    lines = [replace(line, vectors=vectors.get(line.document.document_id)) for line in lines]
    sizes = [len(line.chunks) for line in lines if line.chunks]
    if kept is None or sizes != [len(rows) for rows in kept.rows] or lines != sorted(lines, key=sort_key_of):
        restore = preparation.restore
        return [restore(line.document, line.text, line.pages, line.chunks, line.vectors) for line in lines], None
    rows = iter(kept.rows)
    return [replace(line, rows=next(rows)) if line.chunks else line for line in lines], kept.postings


def _whole_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The lines that hold an object: a process may have died while it wrote, or written nonsense."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError:
        return
    for line in lines:
        found: Any = None
        with suppress(ValueError, RecursionError):
            found = json.loads(line)
        if isinstance(found, dict):
            yield found


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("no text")
    return value


def _map_matrix(path: Path) -> Any:
    numpy = load("numpy")
    matrix = numpy.asarray(numpy.load(path, mmap_mode="r", allow_pickle=False))
    if matrix.ndim != 2 or matrix.dtype != numpy.float32:
        raise ValueError("its vectors are no rows of numbers")
    return matrix


def _carry_rows(snapshot: Snapshot, lines: Mapping[str, StoredText], known: Mapping[str, Any]) -> Any:
    """Known vectors of a snapshot's passages, and rows of NaN for those of texts that are new or have changed."""
    numpy = load("numpy")
    wide, rows = next(iter(known.values())).shape[1], []
    for key, stored in snapshot.texts.items():
        line = lines.get(key)
        same = line is not None and line.text == stored.text and len(line.chunks) == len(stored.chunks)
        empty = numpy.full((len(stored.chunks), wide), numpy.nan, "float32")
        rows.append(known.get(key, empty) if same else empty)
    return numpy.concatenate(rows)


def _cut_matrix(matrix: Any, lines: Sequence[StoredText]) -> dict[str, Any]:
    """Each document's part of the rows of all, which lie in the order of the documents."""
    found, at = {}, 0
    for line in lines:
        if line.chunks:
            part = matrix[at : at + len(line.chunks)]
            if len(part) and part[0, 0] == part[0, 0]:  # no NaN
                found[line.document.document_id] = part
            at += len(line.chunks)
    if at != len(matrix):
        raise ValueError(f"it has {len(matrix)} vectors for {at} passages")
    return found


def _npz(path: Path) -> dict[str, Any]:
    with path.open("rb") as file, load("numpy").load(file, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}
