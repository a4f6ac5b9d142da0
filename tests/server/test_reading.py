"""Documents are read in processes with limits: issue 11, point 11."""

from __future__ import annotations

import io
import threading
import zipfile

import docx
import pytest

from mistral_agents_server.parsing import UnreadableError, parse
from mistral_agents_server.reading import DocumentReader, ReadingLimits, ReadingStoppedError, _Process

W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
TWO_PAGES = b"Otters live by rivers.\fThey sleep on their backs."


def docx_of(inside: str) -> bytes:
    plain, packed = io.BytesIO(), io.BytesIO()
    docx.Document().save(plain)
    body = f'<?xml version="1.0"?><w:document xmlns:w="{W}"><w:body>{inside}</w:body></w:document>'
    with zipfile.ZipFile(plain) as source, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            target.writestr(name, body.encode() if name == "word/document.xml" else source.read(name))
    return packed.getvalue()


@pytest.fixture
def reader_of():
    made: list[DocumentReader] = []

    def make(**limits) -> DocumentReader:
        made.append(DocumentReader(ReadingLimits(**limits)))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_it_reads_as_the_parser_does(reader_of):
    reader = reader_of()
    for name, data in {
        "a.txt": TWO_PAGES,
        "b.html": b"<h1>Otters</h1>",
        "c.docx": docx_of("<w:p><w:r><w:t>x</w:t></w:r></w:p>"),
    }.items():
        assert reader.read(name, data) == parse(name, data)
    assert len(reader._idle) == 1  # one process read them all


def test_what_the_parser_refuses_is_refused_in_its_words(reader_of):
    with pytest.raises(UnreadableError, match="binary file"):
        reader_of().read("a.bin", b"\0\1\2")


def test_one_that_takes_too_long_is_given_up_and_the_next_is_read(reader_of):
    reader = reader_of(seconds=0.0, seconds_per_megabyte=0.0)
    with pytest.raises(UnreadableError, match="takes longer than 0 s"):
        reader.read("a.txt", TWO_PAGES)
    reader.limits = ReadingLimits()
    assert reader.read("a.txt", TWO_PAGES) == parse("a.txt", TWO_PAGES)


def test_one_that_needs_too_much_memory_is_given_up_and_the_next_is_read(reader_of):
    reader = reader_of(memory_bytes=256 * 1024**2, memory_per_byte=0)
    with pytest.raises(UnreadableError):
        reader.read("bomb.docx", docx_of("<w:p/>" * 3_000_000))
    assert reader.read("a.txt", TWO_PAGES) == parse("a.txt", TWO_PAGES)


def test_one_that_holds_too_much_text_is_given_up(reader_of):
    with pytest.raises(UnreadableError, match="more than 10 characters"):
        reader_of(characters=10).read("a.txt", TWO_PAGES)


def test_larger_files_have_more_time():
    limits = ReadingLimits()
    assert limits.seconds_for(50_000_000) > limits.seconds_for(100_000) >= limits.seconds


def test_a_process_that_ended_meanwhile_is_replaced(reader_of):
    reader = reader_of()
    reader.read("a.txt", TWO_PAGES)
    (process,) = reader._idle
    process.kill()
    process._process.wait()
    assert reader.read("a.txt", TWO_PAGES) == parse("a.txt", TWO_PAGES)


def test_closing_stops_what_is_being_read(reader_of, monkeypatch):
    reader, begun, outcome = reader_of(), threading.Event(), []
    ask = _Process.ask

    def announce(self, *order):
        begun.set()
        return ask(self, *order)

    monkeypatch.setattr(_Process, "ask", announce)
    cell = '<w:tcPr><w:gridSpan w:val="3000000"/></w:tcPr><w:p/>'

    def read():
        try:
            outcome.append(reader.read("bomb.docx", docx_of(f"<w:tbl><w:tr><w:tc>{cell}</w:tc></w:tr></w:tbl>")))
        except (UnreadableError, ReadingStoppedError) as error:
            outcome.append(type(error))

    thread = threading.Thread(target=read)
    thread.start()
    assert begun.wait(30)
    reader.close()
    thread.join(30)
    assert outcome == [ReadingStoppedError]
    with pytest.raises(ReadingStoppedError):
        reader.read("a.txt", TWO_PAGES)
