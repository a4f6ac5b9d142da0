"""Files of the service: what tools made, and what was uploaded."""

from __future__ import annotations

import asyncio
import builtins
import os
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypedDict

from typing_extensions import Unpack

from mistral_agents._api.arguments import FileContent, file_part, known_options, texts_of
from mistral_agents._api.paging import awalk, by_number, walk
from mistral_agents._api.records import FileInfo, Listing, as_record
from mistral_agents._http.calls import Call, Operation, check_texts, check_whole_number, path_of
from mistral_agents._http.links import LinkReader
from mistral_agents._http.replies import Reply
from mistral_agents._http.transport import Transport
from mistral_agents._json import JsonDict
from mistral_agents._steps import Job, Steps, Work, arun, run
from mistral_agents._turn.media import FileData
from mistral_agents._warnings import warn_user
from mistral_agents.errors import ConfigurationError, MistralAgentsError, ResponseFormatError
from mistral_agents.turn import FileRef, Turn

__all__ = ["FileData", "Files", "FilesNotSavedError", "ImageSizeWarning"]
_TAG = "files"


def _make_file(method: str, file_id: str, operation: str, what: str, suffix: str = "", **facts: Any) -> Call:
    path = path_of("/v1/files/{file_id}", file_id=file_id) + suffix
    return Call(what, method, path, Operation(f"files_api_routes_{operation}", _TAG), **facts)


def _download(file_id: str) -> Call:
    return _make_file("GET", file_id, "download_file", "Downloading the file", "/content", transfer=True)


def _read_signed_url(file_id: str, hours: int) -> Call:
    check_whole_number("hours", hours, 1, 168)
    return _make_file("GET", file_id, "get_signed_url", "Reading the file's link", "/url", params={"expiry": hours})


def _get_file(file_id: str) -> Call:
    return _make_file("GET", file_id, "retrieve_file", "Reading the file's facts")


def _delete_file(file_id: str) -> Call:
    return _make_file("DELETE", file_id, "delete_file", "Deleting the file")


class UploadOptions(TypedDict, total=False):
    """What an upload takes beside the file.

    Attributes:
        name: The file's name; by default its own.
        purpose: What it is for: `batch`, `ocr`, `fine-tune` (the service's default).
        expiry: When the service deletes it. The description says no unit; the stand-in takes hours, as for links.
            Which it is is unverified (probe `file-expiry`).
        visibility: `workspace` (the service's default) or `user`.
    """

    name: str | None
    purpose: str | None
    expiry: int | None
    visibility: Literal["workspace", "user"] | None


class FileFilters(TypedDict, total=False):
    """Which files are listed. All of it is passed to the service.

    Attributes:
        page_size: Files per request, 1 to 1000; 100 by default.
        search: Part of the name.
        purpose: What they are for.
        source: Where they come from: `upload`, `repository`, `mistral`; one or several.
        sample_type: What they hold, such as `batch_request`; one or several.
        mimetypes: Their media types; one or several.
    """

    page_size: int
    search: str | None
    purpose: str | None
    source: str | Sequence[str] | None
    sample_type: str | Sequence[str] | None
    mimetypes: str | Sequence[str] | None


def _upload(file: FileContent, options: Mapping[str, Any]) -> Call:
    known = known_options(options, UploadOptions, "upload")
    part = file_part(file, known.pop("name", None))
    check_whole_number("expiry", known.get("expiry", 1), 1)
    check_texts(known, "purpose", "visibility")
    parts: dict[str, Any] = {"file": part}
    parts.update((name, (None, str(value))) for name, value in known.items())
    operation = Operation("files_api_routes_upload_file", _TAG)
    return Call(f"Uploading {part[0]!r}", "POST", "/v1/files", operation, files=parts, once=True)


FileSource = Turn | FileRef | str | Iterable[FileRef | str]
"""What to save: the files of a turn, a file of one, a file's id, or several of these."""


def _list_files(filters: Mapping[str, Any]) -> Call:
    known = known_options(filters, FileFilters, "list")
    several: JsonDict = {
        key: texts_of(key, known[key]) for key in ("source", "sample_type", "mimetypes") if key in known
    }
    params = {"page": 0, "page_size": 100, **known, **several}
    operation = Operation("files_api_routes_list_files", _TAG)
    return Call("Listing files", "GET", "/v1/files", operation, params=params)


def _make_url(reply: Reply) -> str:
    data = reply.json()
    url = data.get("url") if isinstance(data, dict) else None
    if not isinstance(url, str):
        raise ResponseFormatError("The service sent no link.", body=data)
    return url


def _link_call(ref: FileRef) -> Call:
    what = "Downloading the file by its link (which expires within the hour)"
    return Call(what, "GET", ref.url if ref.url is not None else "", Operation("", _TAG), transfer=True)


def _make_ref(file: FileRef | str) -> FileRef:
    return file if isinstance(file, FileRef) else FileRef(file, file)


def _find_key(ref: FileRef, taken: Mapping[str, object]) -> str:
    """What tells a file from others: its name, with its id where another one has that name, as images of tools do."""
    return f"{ref.name} ({ref.file_id})" if ref.name in taken else ref.name


def _list_refs(files: FileSource) -> list[FileRef | str]:
    if isinstance(files, (FileRef, str)):
        return [files]
    if isinstance(files, Turn):
        return [*files.files]
    given: object = files
    rows: list[Any] = [*given] if isinstance(given, Iterable) and not isinstance(given, Mapping) else [None]
    if not all(isinstance(row, (FileRef, str)) for row in rows):
        raise ConfigurationError(
            f"files must be a Turn, a file of one, an id, or a list of these, not {given!r:.200}.",
            hint="Of a message: model.fetch_file(block) in LangChain, llm.fetch_files(message) in LlamaIndex.",
        )
    return rows


def _check_file(file: FileData, source: FileSource) -> FileData:
    """Warn where an image has another size than the turn's policy asked for."""
    wanted = source.policy.image_size if isinstance(source, Turn) and source.policy is not None else None
    if wanted is not None and file.size is not None and file.size != wanted:
        found, asked = ("x".join(map(str, size)) for size in (file.size, wanted))
        text = f"{file.name} is {found} pixels; {asked} were asked for."
        warn_user(f"{text} Resize it, or name the size in the message.", ImageSizeWarning)
    return file


class FilesNotSavedError(MistralAgentsError):
    """Some of several files could not be saved.

    Attributes:
        saved: The paths of those that are saved.
        failed: Why each of the others is not, by its name; of one whose name is there already, with its id in brackets.
    """

    def __init__(self, saved: builtins.list[Path], failed: dict[str, MistralAgentsError]) -> None:
        reasons = "; ".join(f"{name}: {error.message}" for name, error in failed.items())
        super().__init__(f"{len(failed)} of {len(failed) + len(saved)} files could not be saved: {reasons}")
        self.saved = saved
        self.failed = failed


class ImageSizeWarning(UserWarning):
    """An image has another size than was asked for, which the service can only be asked, not told."""


class Files:
    """Files. Every method has an asynchronous twin with the prefix `a`.

    How long the service keeps files that tools made is not documented: save what you need.

    Raises:
        ConfigurationError: An argument is wrong; nothing was sent.
        MistralAgentsError: The service or the connection failed; see `mistral_agents.errors`.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def download(self, file_id: str) -> bytes:
        """A file's bytes."""
        return self._transport.send(_download(file_id)).content

    async def adownload(self, file_id: str) -> bytes:
        """As `download`, without blocking."""
        return (await self._transport.asend(_download(file_id))).content

    def read(self, file: FileRef | str) -> FileData:
        """Download a file of a turn (or a file by its id), with a safe name and its true media type.

        An image that the service gave only as a link is fetched by that link, without the API key; such links expire
        within the hour. A link to this machine or its network is refused, at every step it leads on to.
        """
        ref = _make_ref(file)
        if ref.file_id is not None:
            return FileData.of(ref.name, self.download(ref.file_id))
        return FileData.of(ref.name, LinkReader(self._transport).read(_link_call(ref)))

    async def aread(self, file: FileRef | str) -> FileData:
        """As `read`, without blocking."""
        ref = _make_ref(file)
        if ref.file_id is not None:
            return FileData.of(ref.name, await self.adownload(ref.file_id))
        return FileData.of(ref.name, await LinkReader(self._transport).aread(_link_call(ref)))

    def save(self, files: FileSource, folder: str | os.PathLike[str]) -> builtins.list[Path]:
        """Download files (a turn's, or by their ids) into a folder; returns the paths written, in the same order.

        Names can't leave the folder, nothing is overwritten, and extensions follow the bytes. An image of another size
        than the turn's policy asked for warns with `ImageSizeWarning`.

        Raises:
            FilesNotSavedError: Some of several files could not be saved; the others are. One file alone raises its own
                error.
        """
        return run(self._save(files, folder))

    async def asave(self, files: FileSource, folder: str | os.PathLike[str]) -> builtins.list[Path]:
        """As `save`, without blocking."""
        return await arun(self._save(files, folder))

    def _save(self, files: FileSource, folder: str | os.PathLike[str]) -> Steps[builtins.list[Path]]:
        refs = _list_refs(files)
        saved: dict[int, Path] = {}
        failed: dict[str, MistralAgentsError] = {}
        for place, ref in enumerate(refs):
            try:
                file = yield Job(partial(self.read, ref), partial(self.aread, ref))
                saved[place] = yield Work(partial(_check_file(file, files).save, folder))
            except MistralAgentsError as error:
                failed[_find_key(_make_ref(ref), failed)] = error
        first = next(iter(failed.values()), None)
        if first is not None and len(refs) == 1:
            raise first
        if first is not None:
            raise FilesNotSavedError(list(saved.values()), failed) from first
        return list(saved.values())

    def signed_url(self, file_id: str, *, hours: int = 24) -> str:
        """A link that works for `hours` (1 to 168) without a key: keep it secret."""
        return _make_url(self._transport.send(_read_signed_url(file_id, hours)))

    async def asigned_url(self, file_id: str, *, hours: int = 24) -> str:
        """As `signed_url`, without blocking."""
        return _make_url(await self._transport.asend(_read_signed_url(file_id, hours)))

    def upload(self, file: FileContent, **options: Unpack[UploadOptions]) -> FileInfo:
        """Upload a file: a path, bytes, or a `(name, bytes)` pair; see `UploadOptions`.

        A recording shows the service giving back an older file for bytes it knew already, so deleting "your" upload
        may delete someone else's.
        """
        return as_record(FileInfo, self._transport.send(_upload(file, options)).json())

    async def aupload(self, file: FileContent, **options: Unpack[UploadOptions]) -> FileInfo:
        """As `upload`, without blocking."""
        call = await asyncio.to_thread(_upload, file, options)
        return as_record(FileInfo, (await self._transport.asend(call)).json())

    def get(self, file_id: str) -> FileInfo:
        """What is known of a file."""
        return as_record(FileInfo, self._transport.send(_get_file(file_id)).json())

    async def aget(self, file_id: str) -> FileInfo:
        """As `get`, without blocking."""
        return as_record(FileInfo, (await self._transport.asend(_get_file(file_id))).json())

    def list(self, **filters: Unpack[FileFilters]) -> Listing[FileInfo]:
        """The files that this key can see, page after page; all of them, or by `FileFilters`."""
        return Listing(map(FileInfo, walk(self._transport.send, _list_files(filters), by_number, "data")))

    async def alist(self, **filters: Unpack[FileFilters]) -> AsyncIterator[FileInfo]:
        """As `list`, without blocking."""
        async for row in awalk(self._transport.asend, _list_files(filters), by_number, "data"):
            yield FileInfo(row)

    def delete(self, file_id: str) -> None:
        """Delete a file."""
        self._transport.send(_delete_file(file_id))

    async def adelete(self, file_id: str) -> None:
        """As `delete`, without blocking."""
        await self._transport.asend(_delete_file(file_id))
