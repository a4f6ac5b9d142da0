"""The managed index: files, documents of LlamaIndex, folders, sharing of one snapshot, reader, tools."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from llama_index.core.indices.managed.base import BaseManagedIndex
from llama_index.core.llms import MockLLM
from llama_index.core.readers.base import BaseReader
from llama_index.core.schema import Document, TextNode

from llama_index_mistral_agents import MistralLibraryIndex, MistralLibraryReader
from llama_index_mistral_agents.tools import MistralLibraryToolSpec
from mistral_agents.errors import ConfigurationError, NotFoundError
from mistral_agents.retrieval.errors import DocumentProcessingError, LibraryNotReadyError
from tests.retrieval.service import LIBRARY, LibraryService


@pytest.fixture
def index(service: LibraryService) -> MistralLibraryIndex:
    return MistralLibraryIndex(LIBRARY, client=service.client())


@pytest.fixture(params=["sync", "async"])
def do(request: pytest.FixtureRequest, index: MistralLibraryIndex) -> Callable[..., Any]:
    """Calls a method of the index, or its asynchronous twin."""

    async def awaited(name: str, *args: Any, **options: Any) -> Any:
        async with index.client:
            return await getattr(index, name)(*args, **options)

    def call(name: str, *args: Any, **options: Any) -> Any:
        if request.param == "sync":
            return getattr(index, name)(*args, **options)
        twin = {"sync_dir": "async_dir"}.get(name, f"a{name}")
        return asyncio.run(awaited(twin, *args, **options))

    return call


def names(service: LibraryService) -> list[str]:
    return sorted(stored.record["name"] for stored in service.libraries[LIBRARY].values())


def test_it_is_a_managed_index_and_sends_nothing_when_made(index: MistralLibraryIndex, service: LibraryService) -> None:
    assert BaseManagedIndex.__name__ in [base.__name__ for base in type(index).__mro__]
    index.as_query_engine(llm=MockLLM())
    assert service.requests == []


def test_upload_wait_ask(do: Callable[..., Any], index: MistralLibraryIndex, service: LibraryService) -> None:
    record = do("upload", ("a.txt", b"About walruses."), attributes={"team": "sea"})
    outcomes = do("wait_until_ready", [record["id"]])
    assert [(one.document_id, one.state) for one in outcomes] == [(record["id"], "ready")]
    assert index.as_retriever().retrieve("walrus")[0].metadata["team"] == "sea"


def test_waiting_ends_at_the_deadline_and_names_what_failed(do: Callable[..., Any], service: LibraryService) -> None:
    slow = service.add("slow.txt", "x", process_status="waiting_for_capacity")
    assert [(one.state, one.process_status) for one in do("wait_until_ready", [slow], timeout=0.01)] == [
        ("pending", "waiting_for_capacity")
    ]
    with pytest.raises(LibraryNotReadyError) as pending:
        do("wait_until_ready", [slow], timeout=0.01, raise_on_error=True)
    assert pending.value.pending == [slow]
    bad = service.add("bad.pdf", "x", process_status="error")
    with pytest.raises(DocumentProcessingError) as failed:
        do("wait_until_ready", [bad], raise_on_error=True)
    assert failed.value.failed == {bad: "error"}


# documents of LlamaIndex -----------------------------------------------------------------------------------------


def test_insert_update_refresh_delete(
    do: Callable[..., Any], index: MistralLibraryIndex, service: LibraryService
) -> None:
    one = Document(text="Walruses swim.", id_="ref-1", metadata={"file_name": "w.txt", "year": 2024, "odd": None})
    do("insert", one)
    [stored] = service.libraries[LIBRARY].values()
    assert stored.record["name"] == "w.txt"
    assert stored.record["attributes"] == {
        "file_name": "w.txt",
        "year": 2024,
        "ref_doc_id": "ref-1",
        "ref_doc_hash": one.hash,
    }
    changed = Document(text="Walruses sleep.", id_="ref-1", metadata={"file_name": "w.txt"})
    do("update_ref_doc", changed)
    assert [stored.text for stored in service.libraries[LIBRARY].values()] == ["Walruses sleep."]
    other = Document(text="Seals bark.", id_="ref-2")
    assert do("refresh_ref_docs", [changed, other]) == [False, True]
    assert do("refresh_ref_docs", [changed, other]) == [False, False]
    assert names(service) == ["ref-2.txt", "w.txt"]
    do("delete_ref_doc", "ref-2")
    assert names(service) == ["w.txt"]
    do("delete_ref_doc", next(iter(service.libraries[LIBRARY])))
    do("delete_ref_doc", "unknown")
    assert names(service) == []


def test_from_documents_makes_a_library_and_waits(service: LibraryService) -> None:
    index = MistralLibraryIndex.from_documents(
        [Document(text="Walruses swim.", id_="a"), Document(text="Seals bark.", id_="b")],
        name="Sea",
        client=service.client(),
    )
    assert index.library_id not in (LIBRARY,)
    assert [node.text for node in index.as_retriever().retrieve("seal")] == ["Seals bark."]
    again = MistralLibraryIndex.from_documents(
        [Document(text="Orcas.")], library_id=index.library_id, client=index.client
    )
    assert len(again.ref_doc_info) == 3


def test_nodes_can_not_be_inserted(index: MistralLibraryIndex) -> None:
    with pytest.raises(ConfigurationError, match="takes files"):
        index.insert_nodes([TextNode(text="a")])


def test_ref_doc_info_has_documents_and_synced_nodes(index: MistralLibraryIndex, pumps: LibraryService) -> None:
    assert all(info.node_ids == [] for info in index.ref_doc_info.values())
    nodes = index.as_retriever().retrieve("boiler")
    info = index.ref_doc_info[nodes[0].node.ref_doc_id]
    assert info.node_ids == [nodes[0].node_id]
    assert info.metadata["file_name"] == "boiler.txt"


# retrievers and keywords -----------------------------------------------------------------------------------------


def test_retrievers_of_one_index_share_the_snapshot(index: MistralLibraryIndex, pumps: LibraryService) -> None:
    index.as_retriever(similarity_top_k=1).retrieve("valve")
    index.as_retriever(similarity_top_k=3).retrieve("water")
    index.as_query_engine(llm=MockLLM()).query("valve")
    assert pumps.texts == 3
    index.as_retriever(chunk_size=100, chunk_overlap=0).retrieve("valve")
    assert pumps.texts == 6  # another splitter is another snapshot


def test_keywords_of_engines_pass_and_unknown_ones_do_not(index: MistralLibraryIndex, pumps: LibraryService) -> None:
    engine = index.as_query_engine(llm=MockLLM(), similarity_top_k=1, response_mode="tree_summarize", streaming=False)
    assert len(engine.query("valve").source_nodes) == 1
    with pytest.raises(ConfigurationError, match="similarity_topk"):
        index.as_retriever(similarity_topk=1)


# folders ---------------------------------------------------------------------------------------------------------


def test_a_folder_is_kept_like_with_rsync(
    do: Callable[..., Any], service: LibraryService, tmp_path: Path, index: MistralLibraryIndex
) -> None:
    foreign = service.add("uploaded by hand.txt", "Stays.")
    (tmp_path / "sub").mkdir()
    for name, text in {
        "a.md": "Walrus.",
        "sub/b.txt": "Seal.",
        "c.txt": "Orca.",
        "copy.txt": "Orca.",
        ".hidden": "x",
    }.items():
        (tmp_path / name).write_text(text)
    planned = do("sync_dir", tmp_path, dry_run=True)
    assert (sorted(planned.added), planned.dry_run, names(service)) == (
        ["a.md", "c.txt", "copy.txt", "sub/b.txt"],
        True,
        ["uploaded by hand.txt"],
    )
    first = do("sync_dir", tmp_path, attributes=lambda path: {"top": path.partition("/")[0]})
    assert sorted(first.added) == ["a.md", "c.txt", "copy.txt", "sub/b.txt"]
    assert len(set(first.document_ids)) == 4
    service.clear()
    second = do("sync_dir", tmp_path)
    assert (second.unchanged, second.added, service.counts()) == (4, {}, {"GET documents": 1})

    (tmp_path / "a.md").write_text("Walrus and more.")
    (tmp_path / "sub/b.txt").rename(tmp_path / "moved.txt")
    (tmp_path / "c.txt").unlink()
    (tmp_path / "copy.txt").unlink()
    third = do("sync_dir", tmp_path)
    assert (list(third.updated), list(third.moved), third.deleted) == (["a.md"], ["moved.txt"], ["c.txt", "copy.txt"])
    assert names(service) == ["a.md", "moved.txt", "uploaded by hand.txt"]
    assert service.counts()["POST documents"] == 1
    assert foreign in service.libraries[LIBRARY]
    kept = do("sync_dir", tmp_path, pattern="*.md", delete=False)
    assert kept.deleted == []


def test_a_refused_file_is_named_and_the_rest_goes_on(do: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Fine.")
    (tmp_path / "b.exe").write_text("MZ")
    report = do("sync_dir", tmp_path)
    assert list(report.added) == ["a.txt"]
    assert "mimetype" in report.failed["b.exe"]


def test_a_missing_folder_is_refused(do: Callable[..., Any], service: LibraryService) -> None:
    with pytest.raises(ConfigurationError, match="no folder"):
        do("sync_dir", "/nowhere/at/all")
    assert service.requests == []


# reader and tools ------------------------------------------------------------------------------------------------


def test_the_reader_gives_ready_documents_and_resources(pumps: LibraryService) -> None:
    pumps.add("late.txt", "x", process_status="todo")
    pumps.accesses = [{"share_with_uuid": LIBRARY, "role": "Viewer"}]
    reader = MistralLibraryReader(LIBRARY, client=pumps.client())
    assert isinstance(reader, BaseReader)
    documents = reader.load_data()
    assert [document.metadata["file_name"] for document in documents] == [
        "pump manual.txt",
        "boiler.txt",
        "gardening.txt",
    ]
    first = next(iter(reader.lazy_load_data()))
    assert pumps.texts == 4  # one more, not three
    assert reader.load_data([documents[1].doc_id])[0].text == documents[1].text
    assert len(reader.list_resources()) == 4
    assert reader.get_resource_info(first.doc_id)["name"] == "pump manual.txt"
    assert reader.load_resource(first.doc_id)[0].hash == first.hash
    assert reader.get_permission_info(first.doc_id)["accesses"][0]["role"] == "Viewer"

    async def load() -> list[Document]:
        async with reader.client:
            return await reader.aload_data()

    assert [document.hash for document in asyncio.run(load())] == [document.hash for document in documents]


@pytest.mark.parametrize("is_async", [False, True])
def test_the_reader_says_which_documents_it_left_out(pumps: LibraryService, is_async: bool) -> None:
    late = pumps.add("late.txt", "x", process_status="todo")
    for name in ("note", "note-2"):
        pumps.add(f"{name}.txt", name, attributes={"ref_doc_id": name})
    reader = MistralLibraryReader(LIBRARY, client=pumps.client())

    def load(ids: str | list[str]) -> list[str]:
        found = asyncio.run(reader.aload_data(ids)) if is_async else reader.load_data(ids)
        return [document.text for document in found]

    assert load("note-2") == ["note-2"], "one id is not a text to look for others in"
    with pytest.warns(UserWarning, match=f"Not loaded.*'{late}', 'nobody'") as seen:
        assert load(["note", late, "nobody"]) == ["note"]
    assert len(seen) == 1


@pytest.mark.parametrize("is_async", [False, True])
def test_the_reader_passes_over_what_somebody_deletes_meanwhile(pumps: LibraryService, is_async: bool) -> None:
    def load() -> list[str]:
        reader = MistralLibraryReader(LIBRARY, client=pumps.client())
        found = asyncio.run(reader.aload_data()) if is_async else reader.load_data()
        return [document.metadata["file_name"] for document in found]

    def delete(_: str, target: str) -> None:
        if "page=0" in target:
            pumps.libraries[LIBRARY].pop(boiler, None)

    def delete_all(_: str, target: str) -> None:
        if "page=0" in target:
            pumps.libraries.clear()

    boiler = next(key for key, one in pumps.libraries[LIBRARY].items() if one.record["name"] == "boiler.txt")
    pumps.spoil = delete
    assert load() == ["pump manual.txt", "gardening.txt"]
    pumps.spoil = delete_all
    with pytest.raises(NotFoundError):
        load()


def test_the_functions_an_agent_may_call(pumps: LibraryService, index: MistralLibraryIndex) -> None:
    retriever: Any = index.as_retriever()
    tools = {tool.metadata.name: tool for tool in MistralLibraryToolSpec(retriever, max_characters=10).to_tool_list()}
    assert set(tools) == {"search_library", "read_document", "list_documents"}
    assert tools["search_library"].metadata.to_openai_tool()["function"]["parameters"]["required"] == ["query"]
    [row] = json.loads(tools["search_library"].call(query="boiler").raw_output)
    assert (row["file_name"], row["score"] > 0) == ("boiler.txt", True)
    part = json.loads(tools["read_document"].call(document_id=row["document_id"]).raw_output)
    assert part == {"text": "The boiler", "next_start": 10}
    assert "error" in json.loads(tools["read_document"].call(document_id="none").raw_output)
    assert len(json.loads(tools["list_documents"].call().raw_output)) == 3

    async def together() -> Any:
        async with index.client:
            found = await tools["search_library"].acall(query="boiler")
            part = await tools["read_document"].acall(document_id=row["document_id"], start=4)
            listed = await tools["list_documents"].acall()
            return found.raw_output, part.raw_output, listed.raw_output

    found, part, listed = asyncio.run(together())
    assert json.loads(found)[0]["document_id"] == row["document_id"]
    assert json.loads(part)["text"].startswith("boiler")
    assert len(json.loads(listed)) == 3
