"""Bars for long jobs: where they are asked for, with the right counts, and silence otherwise."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import tqdm.auto
from llama_index.core import Document

from llama_index_mistral_agents import MistralLibraryIndex
from mistral_agents import MistralAgents
from mistral_agents._progress import counting
from mistral_agents.cleanup import cleanup


class Bar:
    """What is told to a bar."""

    opened: list[Bar]

    def __init__(self, total: int | None = None, desc: str = "") -> None:
        self.total, self.desc, self.n, self.closed = total, desc, 0, False
        Bar.opened.append(self)

    def update(self, more: int) -> None:
        self.n += more

    def close(self) -> None:
        self.closed = True

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()


@pytest.fixture
def bars(monkeypatch: pytest.MonkeyPatch) -> list[Bar]:
    Bar.opened = []
    monkeypatch.setattr(tqdm.auto, "tqdm", Bar)
    return Bar.opened


def told(bars: list[Bar]) -> list[tuple[str, int, int | None, bool]]:
    return [(bar.desc, bar.n, bar.total, bar.closed) for bar in bars]


@pytest.fixture
def library_id(client: MistralAgents) -> Any:
    made = client.libraries.create("bars")
    yield made.id
    client.libraries.delete(made.id)


@pytest.fixture
def folder(tmp_path: Any) -> Any:
    for name in "abc":
        (tmp_path / f"{name}.txt").write_text(f"This is the document {name}.")
    return tmp_path


def test_a_sync_and_its_wait(client, library_id, folder, bars) -> None:
    report = client.libraries.sync_folder(library_id, folder, show_progress=True)
    client.libraries.wait_until_ready(library_id, report.document_ids, show_progress=True)
    assert told(bars) == [("Uploading", 3, 3, True), ("Processing documents", 3, 3, True)]


def test_no_bar_stands_for_nothing(client, library_id, folder, bars) -> None:
    client.libraries.sync_folder(library_id, folder)
    client.libraries.sync_folder(library_id, folder, show_progress=True)
    assert told(bars) == []


async def test_without_blocking(client, library_id, folder, bars) -> None:
    report = await client.libraries.async_folder(library_id, folder, show_progress=True)
    await client.libraries.await_until_ready(library_id, report.document_ids, show_progress=True)
    await client.libraries.aupload(library_id, ("d.txt", b"The fourth."), wait=True, show_progress=True)
    assert [row for row in told(bars) if row[0] != "Uploading"] == [
        ("Processing documents", 3, 3, True),
        ("Processing documents", 1, 1, True),
    ]


def test_an_upload_that_waits(client, library_id, bars) -> None:
    client.libraries.upload(library_id, ("d.txt", b"The fourth."), wait=True, show_progress=True)
    assert told(bars) == [("Processing documents", 1, 1, True)]


def test_a_batch_job(client, bars) -> None:
    job = client.batches.create([{"inputs": "Hi", "store": False}] * 2, model="mistral-small-latest")
    client.batches.wait(job["id"], show_progress=True)
    assert told(bars) == [("Batch", 2, 2, True)]


def test_a_cleanup(client, bars) -> None:
    agent = client.agents.create(model="mistral-small-latest", name="bars")
    client.conversations.start("Hi", agent_id=agent.id)
    cleanup(client, older_than=timedelta(0), agent_id=agent.id, dry_run=False, show_progress=True)
    assert told(bars) == [("Deleting conversations", 1, 1, True)]
    client.agents.delete(agent.id)


def test_an_index_of_documents(client, bars) -> None:
    documents = [Document(text=f"Text number {number}.", id_=f"d{number}") for number in range(2)]
    index = MistralLibraryIndex.from_documents(documents, client=client, name="bars", show_progress=True)
    index.as_retriever().retrieve("text")
    assert [row[:3] for row in told(bars)][:2] == [("Uploading", 2, 2), ("Processing documents", 2, 2)]
    assert ("Reading texts", 2, 2, True) in told(bars)
    client.libraries.delete(index.library_id)


def test_silence_by_default(client, library_id, folder, bars, capsys) -> None:
    client.libraries.sync_folder(library_id, folder)
    client.libraries.wait_until_ready(library_id)
    index = MistralLibraryIndex(library_id, client=client)
    index.sync_dir(folder)
    index.as_retriever().retrieve("document")
    assert bars == []
    assert capsys.readouterr() == ("", "")


def test_a_listener_is_told_beside_the_bar(bars) -> None:
    heard: list[tuple[int, int]] = []
    with counting("Work", True, lambda done, total: heard.append((done, total))) as tick:
        assert tick is not None
        tick(1, 2)
        tick(2, 2)
    assert heard == [(1, 2), (2, 2)]
    assert told(bars) == [("Work", 2, 2, True)]
