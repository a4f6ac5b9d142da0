"""What several rooms read from requests: an uploaded file, and ids in paths."""

from __future__ import annotations

import mimetypes
import re
import unicodedata
from dataclasses import dataclass
from uuid import UUID

from starlette.datastructures import UploadFile
from starlette.requests import Request

from mistral_agents_server.errors import invalid

_MAX_NAME = 200
_OWN_TYPES = {"md": "text/markdown", "markdown": "text/markdown", "jsonl": "application/jsonl", "csv": "text/csv"}


@dataclass(slots=True, frozen=True)
class Upload:
    """A file in a multipart body.

    Attributes:
        name: its name without folders.
        data: its bytes.
        fields: the text fields that came with it.
    """

    name: str
    data: bytes
    fields: dict[str, str]

    @property
    def extension(self) -> str:
        """What follows the last dot of the name, in lower case."""
        return extension_of(self.name)

    @property
    def mime_type(self) -> str:
        """The type that the name's extension stands for."""
        return mime_type_of(self.name)


def extension_of(name: str) -> str:
    """What follows the last dot of a name, in lower case; empty without one."""
    stem, dot, extension = name.rpartition(".")
    return extension.lower() if dot and stem else ""


def mime_type_of(name: str) -> str:
    """The type that a name's extension stands for."""
    extension = extension_of(name)
    return _OWN_TYPES.get(extension) or mimetypes.guess_type(f"x.{extension}")[0] or "application/octet-stream"


def safe_name(name: str | None) -> str:
    """A name without folders, control characters or a leading dot; never empty."""
    last = re.split(r"[/\\]", unicodedata.normalize("NFC", name if name is not None else ""))[-1]
    printable = "".join(c for c in last if c.isprintable() and not 0xD800 <= ord(c) <= 0xDFFF)
    kept = printable.strip().lstrip(".")
    stem, dot, extension = kept.rpartition(".")
    if len(kept) > _MAX_NAME and dot:
        kept = f"{stem[: _MAX_NAME - len(extension[:20]) - 1]}.{extension[:20]}"
    return kept[:_MAX_NAME] or "file"


async def read_upload(request: Request) -> Upload:
    """Read the `file` of a multipart body.

    Raises:
        ApiError: 422 when there is none.
    """
    async with request.form() as form:
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise invalid(("body", "file"), "missing", "Field required", None)
        fields = {key: value for key, value in form.items() if isinstance(value, str)}
        return Upload(safe_name(file.filename), await file.read(), fields)


def uuid_in_path(request: Request, name: str) -> str:
    """An id of the path.

    Raises:
        ApiError: 422 when it is no UUID.
    """
    text = str(request.path_params[name])
    try:
        return str(UUID(text))
    except ValueError as error:
        raise invalid(("path", name), "uuid_parsing", f"Input should be a valid UUID, {error}", text) from error
