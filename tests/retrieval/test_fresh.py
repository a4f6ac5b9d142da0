"""What a client itself changed is in its next search; what was being processed is found once it is ready."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

import pytest

from mistral_agents.errors import ServerFailureError
from mistral_agents.retrieval.engine import LibraryEngine
from mistral_agents.retrieval.settings import Settings
from mistral_agents.retrieval.snapshot import Query
from tests.retrieval.service import LIBRARY, LibraryService

Make = Callable[..., LibraryEngine]


def found(engine: LibraryEngine, text: str = "word") -> list[str]:
    return sorted(hit.text for hit in engine.search(Query(text, top_k=100)))


def engines(client: Any, *policies: str) -> list[LibraryEngine]:
    return [LibraryEngine(client, Settings((LIBRARY,), refresh=policy)) for policy in policies]  # type: ignore[arg-type]


def test_own_writes_are_found_at_once_by_every_engine_of_the_client(service: LibraryService) -> None:
    with service.client() as client:
        both = engines(client, "ttl", "on_start", "always")
        libraries = client.libraries
        assert [found(one) for one in both] == [[], [], []]
        first = libraries.upload(LIBRARY, ("a.txt", b"word one"))
        second = libraries.upload(LIBRARY, ("b.txt", b"word two"), attributes={"n": 1})
        assert [found(one) for one in both] == [["word one", "word two"]] * 3
        libraries.delete_document(LIBRARY, first["id"])
        libraries.update_document(LIBRARY, second["id"], attributes={"n": 2})
        for one in both:
            [hit] = one.search(Query("word"))
            assert (hit.text, hit.document.attributes) == ("word two", {"n": 2})


def test_without_a_change_nothing_is_listed_again(service: LibraryService) -> None:
    service.add("a.txt", "word one")
    with service.client() as client:
        [engine] = engines(client, "ttl")
        found(engine)
        service.clear()
        found(engine)
        assert service.requests == []


def test_never_means_never(service: LibraryService) -> None:
    with service.client() as client:
        [engine] = engines(client, "never")
        engine.refresh()
        client.libraries.upload(LIBRARY, ("a.txt", b"word one"))
        assert found(engine) == []
        engine.refresh()
        assert found(engine) == ["word one"]


def test_a_document_that_was_pending_is_found_once_it_is_ready(service: LibraryService, make_engine: Make) -> None:
    ready = service.add("a.txt", "word one")
    late = service.add("b.txt", "word two", process_status="in_progress")
    engine = make_engine()
    assert found(engine) == ["word one"]
    service.clear()
    assert found(engine) == ["word one"]
    assert service.counts() == {"GET status": 1}, "only the unfinished document is asked for"
    service.change(late, process_status="done")
    assert found(engine) == ["word one", "word two"]
    service.clear()
    found(engine)
    assert service.requests == []
    service.change(ready, process_status="in_progress")
    engine.refresh()
    service.change(ready, "word three", process_status="done")
    assert found(engine) == ["word three", "word two"]


@pytest.mark.parametrize("how", ["failed", "deleted", "many"])
def test_pending_documents_may_end_in_other_ways(service: LibraryService, make_engine: Make, how: str) -> None:
    keys = [service.add(f"{n}.txt", "word", process_status="todo") for n in range(20 if how == "many" else 1)]
    engine = make_engine()
    assert found(engine) == []
    if how == "failed":
        service.change(keys[0], process_status="error")
    elif how == "deleted":
        service.remove(keys[0])
    else:
        service.change(keys[3], process_status="done")
    assert found(engine) == (["word"] if how == "many" else [])
    service.clear()
    found(engine)
    assert service.counts()["GET status"] == 0


def test_a_deleted_document_is_not_found_though_the_listing_still_shows_it(service: LibraryService) -> None:
    with service.client() as client:
        [engine] = engines(client, "ttl")
        document = client.libraries.upload(LIBRARY, ("a.txt", b"word one"))
        assert found(engine) == ["word one"]
        kept = service.libraries[LIBRARY][document["id"]]
        client.libraries.delete_document(LIBRARY, document["id"])
        service.libraries[LIBRARY][document["id"]] = kept
        assert found(engine) == []


def test_a_change_after_a_failure_shows_that_the_service_is_back(service: LibraryService) -> None:
    service.add("a.txt", "word one")
    with service.client() as client:
        [engine] = engines(client, "ttl")
        found(engine)
        client.libraries.changes.note(LIBRARY)
        service.fail = lambda *_: (503, "down")
        assert found(engine) == ["word one"]
        service.clear()
        assert found(engine) == ["word one"]
        assert service.requests == []
        service.fail = None
        client.libraries.upload(LIBRARY, ("b.txt", b"word two"))
        assert found(engine) == ["word one", "word two"]


def test_always_raises_what_asking_for_a_pending_document_gave(service: LibraryService, make_engine: Make) -> None:
    service.add("a.txt", "word", process_status="todo")
    engine = make_engine(refresh="always")
    found(engine)
    service.fail = lambda *_: (503, "down")
    with pytest.raises(ServerFailureError):
        found(engine)


def test_a_search_that_joins_a_sync_begun_before_its_own_write_looks_again(service: LibraryService) -> None:
    service.add("a.txt", "word one")

    async def work() -> list[str]:
        async with service.client() as client:
            [engine] = engines(client, "ttl")
            listed, release = asyncio.Event(), asyncio.Event()
            adocuments = client.libraries.adocuments

            async def slow(*args: Any, **options: Any) -> Any:
                rows = [row async for row in adocuments(*args, **options)]
                if not listed.is_set():
                    listed.set()
                    await release.wait()
                for row in rows:
                    yield row

            client.libraries.adocuments = slow  # type: ignore[method-assign]
            early = asyncio.ensure_future(engine.asearch(Query("word")))
            await listed.wait()
            await client.libraries.aupload(LIBRARY, ("b.txt", b"word two"))
            late = asyncio.ensure_future(engine.asearch(Query("word")))
            await asyncio.sleep(0)
            release.set()
            await early
            return sorted(hit.text for hit in await late)

    assert asyncio.run(work()) == ["word one", "word two"]


@pytest.mark.parametrize("knows_bytes", [True, False])
@pytest.mark.parametrize("seed", range(10))
def test_any_order_of_writes_waits_and_searches(service: LibraryService, seed: int, knows_bytes: bool) -> None:
    """What is searched equals what was written and is ready, for several engines and any words in between."""
    service.knows_bytes = knows_bytes
    chance = random.Random(seed)
    with service.client() as client:
        searchers = engines(client, "ttl", "on_start", "ttl")
        written: dict[str, str] = {}
        late: set[str] = set()
        for number in range(60):
            step = chance.choice(["upload", "upload", "delete", "rename", "pend", "settle", "search", "search"])
            if step == "upload":
                text = f"word {chance.choice('abcd')}"
                made = client.libraries.upload(LIBRARY, (f"{number}.txt", text.encode()), attributes={"n": number})
                written[made["id"]] = text
            elif step == "delete" and (settled := sorted(set(written) - late)):
                key = chance.choice(settled)
                client.libraries.delete_document(LIBRARY, key)
                if "~" not in key and knows_bytes:  # another document took its place, under the record's id
                    written = {_now(client, one): text for one, text in written.items() if one != key}
                else:
                    del written[key]
            elif step == "rename" and written:
                client.libraries.update_document(LIBRARY, chance.choice(sorted(written)), name=f"new{number}.txt")
            elif step == "pend":
                late.add(service.add(f"late{number}.txt", f"word late{number}", process_status="in_progress"))
            elif step == "settle" and late:
                key = chance.choice(sorted(late))
                late.remove(key)
                service.change(key, process_status="done")
                written[key] = service.libraries[LIBRARY][key].text
                client.libraries.wait_until_ready(LIBRARY, [key])
            else:
                assert found(chance.choice(searchers)) == sorted(written.values())
        assert [found(one) for one in searchers] == [sorted(written.values())] * 3


def _now(client: Any, key: str) -> str:
    return str(client.libraries.document(LIBRARY, key)["id"])
