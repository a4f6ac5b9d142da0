"""Mails, and pages that Word and browsers save as one file (MHTML), as the usual programs show them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from email import message_from_bytes
from email.errors import MessageError
from email.header import Header, decode_header, make_header
from email.message import Message

from mistral_agents_server.readers import UnreadableError
from mistral_agents_server.readers.html import decode_html, find_codec, html_text
from mistral_agents_server.readers.plain import decode

_START = re.compile(rb"\s*(?:[\w-]+:[^\n]*\n(?:[ \t][^\n]*\n)*){0,40}?MIME-Version:", re.IGNORECASE)
_POSTMARK = re.compile(rb"(?:\A|(?<=\n\n)|(?<=\n\r\n))From [^\r\n]*\d:\d\d[^\r\n]*\r?\n(?=[\w-]+:)")
"""What begins a mail in a mailbox (RFC 4155): its sender's address and the time."""
_SHIELDED = re.compile(rb"^>(>*From )", re.MULTILINE)
_COUNT = re.compile(rb"([0-9]{1,9})[ \t]*\r?\n(?=[\w-]+:)")
"""How many bytes a mail has that Apple keeps; what stands behind it is not the mail's."""
_SAVED_BY = "<Saved by"
_HEADERS = ("From", "To", "Cc", "Date", "Subject")


def is_mail(data: bytes) -> bool:
    """Whether bytes begin as mails do whose parts are coded."""
    return _START.match(data[:8192]) is not None


def read_mail(data: bytes) -> str:
    """The text of a mail, behind its headers, or of a saved page; what is attached is named.

    Raises:
        UnreadableError: it is none, or a part of it is no text.
    """
    counted = _COUNT.match(data)
    if counted is not None:
        data = data[counted.end() : counted.end() + int(counted[1])]
    try:
        return "\n\n".join(text for text in _message_texts(message_from_bytes(data)) if text.strip())
    except (MessageError, ValueError, LookupError, RecursionError) as error:
        raise UnreadableError(f"it is no mail or saved page that can be read: {error}") from error


def is_mailbox(data: bytes) -> bool:
    """Whether bytes begin as files of several mails do."""
    return _POSTMARK.match(data) is not None


def read_mailbox(data: bytes) -> list[str]:
    """The texts of the mails in a mailbox (`mbox`), one page each.

    Raises:
        UnreadableError: one can't be read.
    """
    return [read_mail(_SHIELDED.sub(rb"\1", part)) for part in _POSTMARK.split(data) if part.strip()]


def _message_texts(message: Message) -> Iterator[str]:
    if not str(message.get("From", "")).startswith(_SAVED_BY):  # as browsers name themselves; Word has no such headers
        named = ((name, message[name]) for name in _HEADERS)
        yield "\n".join(f"{name}: {_header_text(value)}" for name, value in named if value)
    yield from _part_texts(message)


def _header_text(value: str | Header) -> str:
    try:
        found = decode_header(value)
        if isinstance(value, Header):  # with bytes that are not coded
            return "".join(decode(text) if isinstance(text, bytes) else text for text, _ in found)
        return str(make_header(found))
    except (MessageError, ValueError, LookupError, UnreadableError):  # coded in a way that nobody knows
        return str(value)


def _part_texts(part: Message) -> Iterator[str]:
    kind = part.get_content_type()
    is_text = kind.startswith(("text/", "multipart/"))  # a multipart without its parts is what stands there
    if kind == "message/rfc822" and part.is_multipart():  # forwarded, in the mail or attached to it
        for message in _children(part):
            yield from _message_texts(message)
    elif part.get_content_disposition() == "attachment" or not (part.is_multipart() or is_text):
        name = part.get_filename()
        if name:
            yield f"[Attached: {_header_text(name)}]"
    elif part.is_multipart():
        chosen = _children(part)
        if kind == "multipart/related":
            chosen = _find_root(part, chosen)
        elif kind == "multipart/alternative":
            chosen = [max(chosen, key=_preference)] if chosen else []
        for one in chosen:
            yield from _part_texts(one)
    else:
        yield _decode_text(part, kind)


def _children(part: Message) -> list[Message]:
    found = part.get_payload()
    return [one for one in found if isinstance(one, Message)] if isinstance(found, list) else []


def _find_root(part: Message, children: list[Message]) -> list[Message]:
    """Of a page and what belongs to it, the page: what is named as the start, else the first that has words."""
    start = part.get_param("start")
    named = [one for one in children if start is not None and one.get("Content-ID") == start]
    worded = [one for one in children if one.get_content_maintype() in ("text", "multipart")]
    return (named or worded or children)[:1]


def _preference(part: Message) -> int:
    """Of parts that say the same, programs show the page, or what holds it."""
    kind = part.get_content_type()
    return 2 if kind in ("text/html", "multipart/related") else 1 if kind == "text/plain" else 0


def _decode_text(part: Message, kind: str) -> str:
    payload = part.get_payload(decode=True)
    data = payload if isinstance(payload, bytes) else b""
    codec = find_codec(part.get_content_charset() or "")  # others of Python's are no encodings of texts, or slow
    text = data.decode(codec, "replace").removeprefix("\ufeff") if codec is not None else None
    if kind == "text/html":
        return html_text(text if text is not None else decode_html(data))
    return text if text is not None else decode(data)
