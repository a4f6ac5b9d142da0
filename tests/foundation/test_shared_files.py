"""Documents that share their bytes: the service keeps one file, and they stay documents of their own."""

from __future__ import annotations

import io
import threading
import unicodedata
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from mistral_agents import MistralAgents
from mistral_agents.errors import ConfigurationError, InvalidRequestError, NotFoundError
from tests.retrieval.service import LIBRARY, LibraryService


@pytest.fixture
def service() -> Iterator[LibraryService]:
    running = LibraryService(knows_bytes=True)
    yield running
    running.stop()


@pytest.fixture
def client(service: LibraryService) -> Iterator[MistralAgents]:
    with service.client() as made:
        yield made


def upload(client: MistralAgents, name: str, **options: Any) -> Any:
    return client.libraries.upload(LIBRARY, (name, b"same"), **options)


def listed(client: MistralAgents) -> list[tuple[str, Any]]:
    return [(one["name"], one["attributes"]) for one in client.libraries.documents(LIBRARY)]


def test_two_names_for_the_same_bytes_are_two_documents(client: MistralAgents, service: LibraryService) -> None:
    first = upload(client, "policy.txt", attributes={"team": "hr"})
    second = upload(client, "copy.txt", attributes={"team": "legal"})
    assert listed(client) == [("policy.txt", {"team": "hr"}), ("copy.txt", {"team": "legal"})]
    assert len(service.libraries[LIBRARY]) == 1
    for one in (first, second):
        assert client.libraries.text(LIBRARY, one["id"]) == "same"
        assert client.libraries.document(LIBRARY, one["id"])["name"] == one["name"]
        assert client.libraries.signed_url(LIBRARY, one["id"]).startswith("https://")
    outcomes = client.libraries.wait_until_ready(LIBRARY, [first["id"], second["id"]])
    assert [outcome.ready for outcome in outcomes] == [True, True]


def test_the_same_upload_twice_is_one_document(client: MistralAgents) -> None:
    ids = {upload(client, "a.txt", attributes={"x": 1})["id"] for _ in range(2)}
    ids |= {upload(client, "b.txt", attributes={"x": 1})["id"] for _ in range(2)}
    assert len(ids) == 2
    assert len(listed(client)) == 2


def test_the_same_name_with_other_attributes_is_another_document(client: MistralAgents) -> None:
    upload(client, "a.txt", attributes={"team": "hr"})
    upload(client, "a.txt", attributes={"team": "legal"})
    assert listed(client) == [("a.txt", {"team": "hr"}), ("a.txt", {"team": "legal"})]


def test_an_upload_that_broke_off_before_its_attributes_is_completed(
    client: MistralAgents, service: LibraryService
) -> None:
    service.fail = lambda method, _: (503, "down") if method == "PATCH" else None
    with pytest.raises(Exception, match="503"):
        upload(client, "a.txt", attributes={"x": 1})
    service.fail = None
    upload(client, "a.txt", attributes={"x": 1})
    assert listed(client) == [("a.txt", {"x": 1})]


def test_attributes_that_the_service_refuses_leave_no_document(client: MistralAgents, service: LibraryService) -> None:
    service.fail = (
        lambda method, _: (422, {"detail": [{"loc": ["attributes"], "msg": "no"}]}) if method == "PATCH" else None
    )
    with pytest.raises(InvalidRequestError):
        upload(client, "a.txt", attributes={"x": 1})
    assert listed(client) == []


def test_a_document_has_the_name_that_it_was_given(client: MistralAgents, service: LibraryService) -> None:
    name = 'the "blue" pump.txt'  # HTTP carries no quotation mark in the name of a file
    first, again = upload(client, name), upload(client, name)
    assert (first.id, first.name) == (again.id, again.name)
    assert listed(client) == [(name, None)]
    service.fail = lambda method, _: (422, {"detail": [{"loc": ["name"], "msg": "no"}]}) if method == "PATCH" else None
    other = client.libraries.upload(LIBRARY, ('"other".txt', b"other"))
    assert other.id in [one["id"] for one in client.libraries.documents(LIBRARY)], "a name that is refused loses none"


@pytest.mark.parametrize("name", [unicodedata.normalize("NFD", "Größe.txt"), ".env.txt", "a\tb.txt"], ids=ascii)
def test_a_name_that_the_service_writes_in_another_way_is_the_given_one(standin: Any, name: str) -> None:
    with MistralAgents(api_key="k", base_url=standin.base_url) as client:
        library = client.libraries.create("names").id
        ids = {client.libraries.upload(library, (name, b"pump")).id for _ in range(2)}
        assert [(one.id, one.name) for one in client.libraries.documents(library)] == [(*ids, name)]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {"k": 1}, [{"k": 1}], [1, "a"], [True, 1], None, b"x"])
def test_attributes_that_no_service_takes_are_refused_before_anything_is_sent(
    client: MistralAgents, service: LibraryService, value: Any
) -> None:
    with pytest.raises(ConfigurationError, match=r"'odd'.*'worse'"):
        upload(client, "a.txt", attributes={"odd": value, "worse": object(), "fine": [1, 2.5]})
    assert service.requests == []


@pytest.mark.parametrize("seed", range(5))
def test_uploads_of_the_same_bytes_at_once_are_all_kept(client: MistralAgents, seed: int) -> None:
    names = [f"{seed}-{number}.txt" for number in range(3)]
    upload(client, "first.txt", attributes={"n": 0})
    threads = [threading.Thread(target=upload, args=(client, name), kwargs={"attributes": {"n": 1}}) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(name for name, _ in listed(client)) == sorted(["first.txt", *names])


def test_changing_one_leaves_the_others(client: MistralAgents) -> None:
    first, second = upload(client, "a.txt", attributes={"n": 1}), upload(client, "b.txt", attributes={"n": 2})
    client.libraries.update_document(LIBRARY, first["id"], attributes={"n": 3})
    client.libraries.update_document(LIBRARY, second["id"], name="c.txt")
    assert listed(client) == [("a.txt", {"n": 3}), ("c.txt", {"n": 2})]


@pytest.mark.parametrize("gone", [0, 1, 2])
def test_deleting_one_leaves_the_others_and_their_ids(
    client: MistralAgents, service: LibraryService, gone: int
) -> None:
    made = [upload(client, f"{name}.txt", attributes={"n": name}) for name in "abc"]
    client.libraries.delete_document(LIBRARY, made[gone]["id"])
    rest = [one for place, one in enumerate(made) if place != gone]
    assert sorted(name for name, _ in listed(client)) == [one["name"] for one in rest]
    if gone:
        with pytest.raises(NotFoundError):
            client.libraries.document(LIBRARY, made[gone]["id"])
    for one in reversed(rest):
        assert client.libraries.document(LIBRARY, one["id"])["name"] == one["name"]
        client.libraries.delete_document(LIBRARY, one["id"])
    assert service.libraries[LIBRARY] == {}


def test_the_file_lives_as_long_as_the_last_of_its_documents(client: MistralAgents, service: LibraryService) -> None:
    soon, later = (datetime.now(timezone.utc) + timedelta(days=days) for days in (1, 2))
    upload(client, "a.txt", expires_at=soon)
    upload(client, "b.txt", expires_at=later, attributes={"n": 1})
    [record] = [stored.record for stored in service.libraries[LIBRARY].values()]
    assert record["expires_at"] == later.isoformat()
    assert [one["expires_at"] for one in client.libraries.documents(LIBRARY)] == [soon.isoformat(), later.isoformat()]
    upload(client, "c.txt", attributes={"n": 2})
    assert record["expires_at"] is None


def test_a_document_that_expired_is_not_listed_while_another_keeps_its_file(client: MistralAgents) -> None:
    upload(client, "a.txt", expires_at=datetime(2020, 1, 1, tzinfo=timezone.utc))
    upload(client, "b.txt", attributes={"n": 1})
    assert [name for name, _ in listed(client)] == ["b.txt"]


def test_a_table_that_somebody_damaged_is_a_value_like_others(client: MistralAgents, service: LibraryService) -> None:
    for odd in (["no json"], ["[]"], [], "x", 3, [1], ['{"tag": "t"}']):
        key = service.add("a.txt", "text", attributes={"mistral_agents_documents": odd})
        assert client.libraries.document(LIBRARY, key)["attributes"] == {"mistral_agents_documents": odd}
        client.libraries.delete_document(LIBRARY, key)


async def test_the_asynchronous_twins(client: MistralAgents) -> None:
    libraries = client.libraries
    first = await libraries.aupload(LIBRARY, ("a.txt", b"same"))
    second = await libraries.aupload(LIBRARY, ("b.txt", b"same"), wait=True)
    await libraries.aupdate_document(LIBRARY, second["id"], attributes={"n": 1})
    await libraries.adelete_document(LIBRARY, first["id"])
    found = [(one["name"], one["attributes"]) async for one in libraries.adocuments(LIBRARY)]
    assert found == [("b.txt", {"n": 1})]
    assert (await libraries.adocument(LIBRARY, second["id"]))["name"] == "b.txt"
    await client.aclose()


def test_what_can_be_uploaded(
    client: MistralAgents, service: LibraryService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "home.txt").write_text("from home")
    client.libraries.upload(LIBRARY, "~/home.txt")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "~draft.txt").write_text("a draft")
    client.libraries.upload(LIBRARY, "~draft.txt")
    with (tmp_path / "home.txt").open("rb") as file:
        client.libraries.upload(LIBRARY, file, attributes={"open": True})
    client.libraries.upload(LIBRARY, io.BytesIO(b"in memory"), name="memory.txt")
    client.libraries.upload(LIBRARY, ("pair.txt", io.BytesIO(b"a pair")))
    assert sorted(name for name, _ in listed(client)) == ["home.txt", "memory.txt", "pair.txt", "~draft.txt"]
    with pytest.raises(ConfigurationError, match="no path"):
        client.libraries.upload(LIBRARY, "a\0b.txt")
    with pytest.raises(ConfigurationError, match="need a name"):
        client.libraries.upload(LIBRARY, io.BytesIO(b"x"))
    with (tmp_path / "home.txt").open() as text, pytest.raises(ConfigurationError, match="mode 'rb'"):
        client.libraries.upload(LIBRARY, text)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="not int"):
        client.libraries.upload(LIBRARY, 3, name="x")  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="closed"):
        client.libraries.upload(LIBRARY, file)
    with pytest.raises(ConfigurationError, match="not tuple"):
        client.libraries.upload(LIBRARY, ("alone.txt",))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", [3, b"a.txt", ["a.txt"]])
def test_a_name_that_is_no_text_is_refused(client: MistralAgents, name: Any) -> None:
    with pytest.raises(ConfigurationError, match="name of a file must be a text"):
        client.libraries.upload(LIBRARY, b"x", name=name)
    with pytest.raises(ConfigurationError, match="name of a file must be a text"):
        client.files.upload((name, b"x"))
    assert listed(client) == []


async def test_a_folder_is_synced_without_a_framework(client: MistralAgents, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one")
    report = client.libraries.sync_folder(LIBRARY, tmp_path, attributes={"n": 1})
    assert list(report.added) == ["a.txt"]
    assert client.libraries.sync_folder(LIBRARY, str(tmp_path)).unchanged == 1
    assert (await client.libraries.async_folder(LIBRARY, tmp_path)).unchanged == 1
    await client.aclose()
