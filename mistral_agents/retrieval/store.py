"""A snapshot on disk: JSON lines and arrays, replaced as a whole, without pickle; and the journal of a running sync."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import uuid4
from zipfile import BadZipFile

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
    LookupError,
    TypeError,
    AttributeError,
    OSError,
    EOFError,
    RecursionError,
    BadZipFile,
    zlib.error,
)
"""What damaged JSON lines and arrays raise."""
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
        self.folder = Path(folder).expanduser()
        self._library_ids = sorted(library_ids)
        self._exact_pages = exact_pages
        self._segment = 0
        self._is_broken = False
        self.is_outdated = False

    @property
    def path(self) -> Path:
        """The snapshot's file."""
        return self.folder / "snapshot.jsonl"

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
            return [*self.folder.glob(f"*.{os.getpid()}.tmp"), *self.folder.glob(f"journal-{os.getpid()}-*.tmp")]
        return []

    def _write(self, snapshot: Snapshot, preparation: Preparation, embedder: str | None) -> None:
        vectors = self._save_vectors(snapshot, embedder)
        index = f"index-{snapshot.id}-{uuid4().hex[:8]}.bin"
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
        temporary = self.path.with_name(f"snapshot.{os.getpid()}.tmp")
        with temporary.open("w", encoding="utf-8") as file:
            for line in [header, *map(_write_document, snapshot.texts.values())]:
                file.write(json.dumps(line, ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, self.path)
        self.is_outdated = False
        for pattern, kept in (("index-*.bin", index), ("vectors-*.np[yz]", vectors)):
            _forget_files(self.folder, pattern, but=kept)
        self.forget_journal()

    def _save_vectors(self, snapshot: Snapshot, embedder: str | None) -> str | None:
        if embedder is None or snapshot.vectors is None:
            return None
        name = f"vectors-{snapshot.id}-{uuid4().hex[:8]}.npy"
        temporary = self.folder / f"vectors.{os.getpid()}.tmp"
        with temporary.open("wb") as file:
            load("numpy").save(file, snapshot.vectors, allow_pickle=False)
        os.replace(temporary, self.folder / name)
        return name

    def load(self, preparation: Preparation, embedder: str | None) -> tuple[list[StoredText], Postings | None] | None:
        """The stored documents, and their postings where these were kept too; None where nothing was stored.

        Chunks are cut again where the splitter has changed; vectors of another model are left out.

        Raises:
            SnapshotError: The file is damaged, of another version, or of other libraries.
        """
        try:
            if not self.path.exists():
                return None
            with self.path.open(encoding="utf-8") as file:
                header = self._header(next(file, ""))
                if self._exact_pages and not header.get("exact_pages", False):  # its texts were read without pages
                    return None
                same_splitter = header["splitter"] == preparation.splitter.key
                lines = [_read_line(json.loads(line)) for line in file]
            if same_splitter:
                vectors = self._load_vectors(header, embedder, lines)
                texts, postings = _indexed(lines, self._load_index(header, preparation), preparation, vectors)
                self.is_outdated = postings is None and self._may_replace(header, preparation, embedder)
            else:
                texts, postings = [preparation.store(line.document, line.text, line.pages) for line in lines], None
            count = header["documents"]
        except _UNREADABLE as error:
            raise self._bad(f"can't be read ({error})") from error
        if len(texts) != count:
            raise self._bad(f"holds {len(texts)} documents instead of {count}")
        return texts, postings

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
        loses_vectors = header["vectors"] is not None and header["embedder"] != embedder
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
        with (self.folder / f"journal-{os.getpid()}.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")

    def note_vectors(self, hashes: list[str], vectors: object) -> None:
        """Keep vectors that were just made."""
        self._attempt(lambda: self._add_segment(hashes, vectors))

    def _add_segment(self, hashes: list[str], vectors: object) -> None:
        numpy = load("numpy")
        self._segment += 1
        name = f"journal-{os.getpid()}-{self._segment:06d}"
        temporary = self.folder / f"{name}.tmp"
        with temporary.open("wb") as file:
            numpy.savez(file, hashes=numpy.array(hashes), vectors=vectors)
        os.replace(temporary, self.folder / f"{name}.npz")

    def journal(self) -> Journal:
        """What an interrupted sync left; what can't be read of it is left out, and read anew from the service."""
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
                journal.vectors.update(zip(part["hashes"].tolist(), part["vectors"], strict=True))
        return journal

    def _files(self, pattern: str) -> list[Path]:
        with suppress(OSError):
            return sorted(self.folder.glob(pattern))
        return []

    def forget_journal(self) -> None:
        """Delete the journal."""
        for path in self._files("journal-*"):
            path.unlink(missing_ok=True)


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
    return StoredText(document, line["text"], pages, Chunks.of(document.document_id, line["chunks"]))


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


def _cut_matrix(matrix: Any, lines: Sequence[StoredText]) -> dict[str, Any]:
    """Each document's part of the rows of all, which lie in the order of the documents."""
    found, at = {}, 0
    for line in lines:
        if line.chunks:
            found[line.document.document_id] = matrix[at : at + len(line.chunks)]
            at += len(line.chunks)
    if at != len(matrix):
        raise ValueError(f"it has {len(matrix)} vectors for {at} passages")
    return found


def _forget_files(folder: Path, pattern: str, but: str | None) -> None:
    """Delete files that are of no use any more, with one exception; one that another process has open may stay."""
    for old in folder.glob(pattern):
        if old.name != but:
            with suppress(OSError):
                old.unlink()


def _npz(path: Path) -> dict[str, Any]:
    with path.open("rb") as file, load("numpy").load(file, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}
