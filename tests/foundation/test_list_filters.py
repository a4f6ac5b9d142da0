"""Filters, orders and further fields of the SDK 3.7, through both clients, against the stand-in."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timedelta, timezone
from inspect import isawaitable
from typing import Any

import pytest

from mistral_agents import MistralAgents
from mistral_agents.errors import ConfigurationError, NotFoundError, ResponseFormatError, ServerFailureError
from mistral_agents.retrieval.errors import IngestError
from mistral_agents_server.settings import LocalModel

from ..support.connectors import METEO
from ..support.running import Standin


@pytest.fixture(scope="module")
def standin() -> Iterator[Standin]:
    server = Standin(connectors=[METEO], models=[LocalModel("m")])
    yield server
    server.stop()


@pytest.fixture
def client(standin: Standin) -> MistralAgents:
    standin.faults.requests.clear()
    return MistralAgents(api_key="k", base_url=standin.base_url, max_retries=0)


@pytest.fixture(params=["", "a"], ids=["sync", "async"])
def ask(request: Any, client: MistralAgents) -> Any:
    """Calls a method by its name, in one of its two forms."""

    async def call(path: str, /, *arguments: Any, **options: Any) -> Any:
        resource, _, method = path.partition(".")
        found = getattr(getattr(client, resource), request.param + method)(*arguments, **options)
        if isawaitable(found):
            return await found
        if isinstance(found, AsyncIterator):
            return [one async for one in found]
        return list(found) if isinstance(found, Iterator) else found

    return call


def names(rows: list[Any]) -> list[str]:
    return [row["name"] for row in rows]


async def test_agents_are_filtered(ask: Any, client: MistralAgents) -> None:
    kept = client.agents.create(model="m", name="one", metadata={"team": "a"})
    client.agents.create(model="m", name="two", metadata={"team": "b"})
    try:
        assert names(await ask("agents.list", agent_id=kept.id)) == ["one"]
        assert set(names(await ask("agents.list", sources=["api"]))) >= {"one", "two"}
        assert await ask("agents.list", sources="playground") == []
        assert await ask("agents.list", metadata={"team": "a"}, name="two") == []
        await ask("agents.update", kept.id, deployment_chat=True)
        assert names(await ask("agents.list", deployment_chat=True)) == ["one"]
        assert "one" not in names(await ask("agents.list", deployment_chat=False))
        with pytest.raises(ConfigurationError, match="sources must be"):
            await ask("agents.list", sources=5)
        with pytest.raises(ConfigurationError, match="list takes no mood"):
            await ask("agents.list", mood="good")
    finally:
        for agent in list(client.agents.list()):
            client.agents.delete(agent.id)


@pytest.mark.parametrize("path", ["agents.list", "conversations.list", "batches.list"])
async def test_filters_by_metadata_are_checked(ask: Any, standin: Standin, path: str) -> None:
    for wrong, words in (("team", "must be a mapping"), ({"team": object()}, "written as JSON")):
        with pytest.raises(ConfigurationError, match=words):
            await ask(path, metadata=wrong)
    assert standin.faults.requests == []


async def test_documents_are_sorted_and_filtered_by_attributes(ask: Any, client: MistralAgents) -> None:
    library = client.libraries.create("sorted")
    for name, year in (("b.txt", 2024), ("a.txt", 2025), ("c.txt", 2025)):
        client.libraries.upload(library.id, (name, name.encode()), attributes={"year": year, "tags": [name, "all"]})
    client.libraries.upload(library.id, ("twin.txt", b"a.txt"), attributes={"year": 2030})
    up = await ask("libraries.documents", library.id, sort_by="name", sort_order="asc", page_size=1)
    assert [name for name in names(up) if name != "twin.txt"] == ["a.txt", "b.txt", "c.txt"]
    down = await ask("libraries.documents", library.id, sort_by="name", sort_order="desc")
    assert [name for name in names(down) if name != "twin.txt"] == ["c.txt", "b.txt", "a.txt"]
    found = await ask("libraries.documents", library.id, attributes={"year": 2025, "tags": "all"})
    assert set(names(found)) == {"a.txt", "c.txt"}
    assert names(await ask("libraries.documents", library.id, attributes={"tags": ["b.txt", "x"]})) == ["b.txt"]
    assert names(await ask("libraries.documents", library.id, attributes={"year": 2030})) == ["twin.txt"]
    assert await ask("libraries.documents", library.id, attributes={"year": True}) == []
    with pytest.raises(ConfigurationError, match="'asc' or 'desc', not 'up'"):
        await ask("libraries.documents", library.id, sort_order="up")


async def test_a_library_belongs_to_the_workspace_or_to_a_user(ask: Any, client: MistralAgents) -> None:
    for owner in ("User", "Workspace"):
        library = await ask("libraries.create", f"of a {owner}", owner_type=owner)
        assert library.owner_type == owner
        assert library.id in [one.id for one in await ask("libraries.list", owned_by_me=True)]
        client.libraries.delete(library.id)
    with pytest.raises(ConfigurationError, match="owner_type must be one of User, Workspace, not 'me'"):
        await ask("libraries.create", "mine", owner_type="me")


async def test_files_end_are_seen_and_are_filtered(ask: Any, standin: Standin) -> None:
    made = await ask(
        "files.upload", ("lines.jsonl", b"{}\n"), purpose="batch", expiry=3, visibility="user", name="other.jsonl"
    )
    sent = standin.faults.requests[-1].body
    assert b'name="expiry"\r\n\r\n3\r\n' in sent
    assert b'name="visibility"\r\n\r\nuser\r\n' in sent
    facts = await ask("files.get", made.id)
    assert (facts.filename, facts.visibility, facts.purpose) == ("other.jsonl", "user", "batch")
    assert 2 * 3600 < facts.expires_at - datetime.now(timezone.utc).timestamp() <= 3 * 3600
    plain = await ask("files.upload", ("picture.png", b"\x89PNG"))
    by_purpose = await ask("files.list", purpose="batch")
    assert made.id in [one.id for one in by_purpose]
    assert plain.id not in [one.id for one in by_purpose]
    assert plain.id in [one.id for one in await ask("files.list", source=["upload"], mimetypes="image/png")]
    assert await ask("files.list", source="repository") == []
    for wrong in (0, -1, True, "3"):
        with pytest.raises(ConfigurationError, match="expiry must be a whole number"):
            await ask("files.upload", ("a", b"a"), expiry=wrong)
    for key in (made.id, plain.id):
        await ask("files.delete", key)


async def test_batch_jobs_are_filtered(ask: Any) -> None:
    before = datetime.now(timezone.utc) - timedelta(minutes=5)
    first = await ask("batches.create", [{"inputs": "one"}], model="m", metadata={"n": "1"})
    second = await ask("batches.create", [{"inputs": "two"}], model="m", metadata={"n": "2"})
    keys = {first.id, second.id}

    async def listed(**filters: Any) -> list[str]:
        return [job.id for job in await ask("batches.list", **filters) if job.id in keys]

    assert set(await listed(model="m", created_after=before, created_by_me=True, page_size=1)) == keys
    assert await listed(metadata={"n": "2"}) == [second.id]
    assert await listed(model="other") == []
    assert await listed(status=["CANCELLED"]) == []
    assert set(await listed(order_by="created")) == keys
    with pytest.raises(ConfigurationError, match="has no time zone"):
        await listed(created_after=datetime(2026, 1, 1))
    with pytest.raises(ConfigurationError, match="order_by must be"):
        await listed(order_by="name")


async def test_a_connectors_tools_are_asked_with_credentials_and_anew(ask: Any) -> None:
    assert names(await ask("connectors.tools", "meteo", credentials="mine", refresh=True)) == ["weather"]
    with pytest.raises(ConfigurationError, match="auth_url takes no mood"):
        await ask("connectors.auth_url", "meteo", mood="good")


EMBEDDING = {"type": "custom", "name": "x", "dimensions": 2}


async def test_an_index_is_listed_and_summed_up(ask: Any, client: MistralAgents, standin: Standin) -> None:
    client.search_indexes.ensure("summed", embedding=EMBEDDING, schema={})
    try:
        assert names(await ask("search_indexes.list", name="umm", status="ready", page_size=1)) == ["summed"]
        assert await ask("search_indexes.list", name="nothing of it") == []
        with pytest.raises(NotFoundError):
            await ask("search_indexes.summary", "summed", "fr")
        made = await ask("search_indexes.generate_summary", "summed")
        assert (made.content, made.status, made.translated) == ("It is empty.", "generated", False)
        assert await ask("search_indexes.summary", "summed") == made
        await ask("search_indexes.set_summary", "summed", "Des phares.", "fr", translated=True)
        told = await ask("search_indexes.summary", "summed", "fr")
        assert (told.content, told.status, told.translated) == ("Des phares.", "handwritten", True)
        await ask("search_indexes.set_summary", "summed", "It is empty.", confirmed=True)
        assert (await ask("search_indexes.generate_summary", "summed")).status == "generated_confirmed"
        assert (await ask("search_indexes.generate_summary", "summed", force=True)).status == "generated"
        for language in ("xx", "../x", ""):
            with pytest.raises(ConfigurationError, match="language must be one of en, fr"):
                await ask("search_indexes.summary", "summed", language)
        standin.faults.answer(
            200, '{"status": "generated", "translated": false}\n{"content": "ha"}\n{"error": "tired"}\n'
        )
        with pytest.raises(ServerFailureError, match="not finished: tired"):
            await ask("search_indexes.generate_summary", "summed", force=True)
        standin.faults.answer(200, '{"content": "two "}\n{"content": null}\n{"content": "words"}')
        assert (await ask("search_indexes.generate_summary", "summed", force=True)).content == "two words"
        for line in ("cut {", "[]"):
            standin.faults.answer(200, f'{{"content": "ha"}}\n{line}')
            with pytest.raises(ResponseFormatError, match="no JSON object") as caught:
                await ask("search_indexes.generate_summary", "summed", force=True)
            assert caught.value.body == f'{{"content": "ha"}}\n{line}'
        for content in ("", " "):
            with pytest.raises(ConfigurationError, match="content must be a text"):
                await ask("search_indexes.set_summary", "summed", content)
    finally:
        client.search_indexes.delete("summed")


async def test_a_rejection_that_names_no_document_is_told(ask: Any, client: MistralAgents, standin: Standin) -> None:
    client.search_indexes.ensure("fussy", embedding=EMBEDDING, schema={})
    try:
        rows = [{"position": 0, "status": "rejected", "errors": ["a"]}, {"status": "rejected"}, {"status": "indexed"}]
        standin.faults.answer(200, {"results": rows})
        with pytest.raises(IngestError) as caught:
            await ask("search_indexes.ingest", "fussy", [{"source_id": "s", "chunks": []}])
        assert caught.value.rejected == {"s": ["a"], "the document at None": None}
    finally:
        client.search_indexes.delete("fussy")
