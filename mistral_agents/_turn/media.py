"""Files made by tools: what their bytes really are, and names under which they can be saved without harm."""

from __future__ import annotations

import os
import re
import struct
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath

from mistral_agents._display.shown import Shown
from mistral_agents._paths import expand_home, writing

_MAGIC: tuple[tuple[bytes, int, str, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", 0, "png", "image/png"),
    (b"\xff\xd8\xff", 0, "jpg", "image/jpeg"),
    (b"GIF8", 0, "gif", "image/gif"),
    (b"WEBP", 8, "webp", "image/webp"),
    (b"%PDF-", 0, "pdf", "application/pdf"),
    (b"PAR1", 0, "parquet", "application/vnd.apache.parquet"),
    (b"\x1f\x8b", 0, "gz", "application/gzip"),
)
_ZIPPED = {"xlsx", "docx", "pptx", "zip", "npz", "ods", "odt", "epub"}
_TEXT = {
    "csv": "text/csv",
    "json": "application/json",
    "md": "text/markdown",
    "html": "text/html",
    "svg": "image/svg+xml",
    "py": "text/x-python",
}
_SAME = {"jpeg": "jpg", "htm": "html"}
_RESERVED = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[\d\xb9\xb2\xb3])", re.IGNORECASE)
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Kinds of characters that can't be seen, turn what stands around them, or are none: they have no place in a name."""
_LONGEST_NAME = 200  # bytes; file systems allow 255, and a name that is taken gets a number
_LONGEST_EXTENSION = 40  # bytes


def sniff(data: bytes, name: str = "") -> tuple[str, str]:
    """The extension and media type of a file, by its bytes; its name decides only between kinds of text and zip."""
    for magic, place, extension, kind in _MAGIC:
        if data[place : place + len(magic)] == magic:
            return extension, kind
    told = _find_extension(name)
    if data[:4] == b"PK\x03\x04":
        return (told if told in _ZIPPED else "zip"), "application/zip"
    if b"\x00" in data[:1024]:
        return told, "application/octet-stream"
    return told, _TEXT.get(told, "text/plain")


def _find_extension(name: str) -> str:
    told = name.rpartition(".")[2].lower() if "." in name else ""
    return _SAME.get(told, told)


def image_size(data: bytes) -> tuple[int, int] | None:
    """Width and height in pixels, read from the header of a PNG, JPEG, GIF or WebP; None for anything else."""
    kind = sniff(data)[0]
    reader = _SIZES.get(kind)
    if reader is None:
        return None
    try:
        return reader(data)
    except (struct.error, IndexError):
        return None


def _read_png_size(data: bytes) -> tuple[int, int] | None:
    width, height = struct.unpack(">II", data[16:24])
    return width, height


def _read_gif_size(data: bytes) -> tuple[int, int] | None:
    width, height = struct.unpack("<HH", data[6:10])
    return width, height


def _read_jpeg_size(data: bytes) -> tuple[int, int] | None:
    place = 2
    while data[place] == 0xFF:
        marker, length = data[place + 1], struct.unpack(">H", data[place + 2 : place + 4])[0]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", data[place + 5 : place + 9])
            return width, height
        place += 2 + length
    return None


def _read_webp_size(data: bytes) -> tuple[int, int] | None:
    form = data[12:16]
    if form == b"VP8X":
        return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    if form == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if form == b"VP8 ":
        width, height = struct.unpack("<HH", data[26:30])
        return width & 0x3FFF, height & 0x3FFF
    return None


_SIZES: dict[str, Callable[[bytes], tuple[int, int] | None]] = {
    "png": _read_png_size,
    "gif": _read_gif_size,
    "jpg": _read_jpeg_size,
    "webp": _read_webp_size,
}


def safe_name(name: str, data: bytes = b"") -> str:
    """A file name that every system takes and that says what it is, its extension true to the bytes.

    It has no folders, drives, reserved names, nor characters that can't be seen, and is short enough in bytes.
    """
    last = PureWindowsPath(PurePosixPath(name.replace("\x00", "")).name).name
    clean = _clean_name(last)
    extension = sniff(data, clean)[0] if data else _find_extension(clean)
    stem = clean.rpartition(".")[0] if "." in clean else clean
    if not extension or _find_extension(clean) == extension:
        stem, extension = (stem, clean.rpartition(".")[2]) if "." in clean else (clean, "")
    elif _find_extension(clean) and not _knows_extension(_find_extension(clean)):
        stem = clean
    extension = _cut(extension, _LONGEST_EXTENSION)
    stem = _cut(stem, _LONGEST_NAME - len(extension.encode()) - 1)
    return f"{stem}.{extension}" if extension else stem


def _clean_name(name: str) -> str:
    seen = "".join("_" if unicodedata.category(char) == "Cc" else char for char in name)
    seen = "".join(char for char in seen if unicodedata.category(char) not in _HIDDEN)
    clean = re.sub(r'[<>:"/\\|?*]', "_", seen).strip(" .")
    reserved = _RESERVED.fullmatch(clean.partition(".")[0].rstrip(" "))
    return f"file_{clean}".rstrip("_") if not clean or reserved else clean


def _cut(text: str, most: int) -> str:
    """At most so many bytes of a text, without half a character and without a blank or a dot at its end."""
    return text.encode()[:most].decode(errors="ignore").rstrip(" .")


def _knows_extension(extension: str) -> bool:
    return extension in _TEXT or extension in _ZIPPED or any(extension == magic[2] for magic in _MAGIC)


@dataclass(frozen=True, slots=True)
class FileData(Shown):
    """A downloaded file.

    Attributes:
        name: A safe name, its extension true to the bytes.
        media_type: By the bytes, since the service declares a wrong one (a recording shows a JPEG called png).
        data: The bytes.
    """

    name: str
    media_type: str
    data: bytes = field(repr=False)

    @classmethod
    def of(cls, name: str, data: bytes) -> FileData:
        """A file of some bytes and the name they were given."""
        safe = safe_name(name, data)
        return cls(safe, sniff(data, safe)[1], data)

    def _repr_png_(self) -> bytes | None:
        return self.data if self.media_type == "image/png" else None

    def _repr_jpeg_(self) -> bytes | None:
        return self.data if self.media_type == "image/jpeg" else None

    @property
    def size(self) -> tuple[int, int] | None:
        """Width and height in pixels; None where it is no image this module can read."""
        return image_size(self.data)

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write it into a folder, which is made; a name that is taken gets a number, nothing is overwritten.

        Raises:
            ConfigurationError: `folder` is a file, or can't be written to.
        """
        place = expand_home(folder)
        with writing(place):
            place.mkdir(parents=True, exist_ok=True)
        stem, dot, extension = self.name.rpartition(".") if "." in self.name else (self.name, "", "")
        number = 1
        while True:
            target = place / (self.name if number == 1 else f"{stem}-{number}{dot}{extension}")
            with writing(target):
                try:
                    with target.open("xb") as file:
                        file.write(self.data)
                except FileExistsError:
                    number += 1
                else:
                    return target
