"""A folder kept in a library: whatever files do, the library equals the folder, and what others put there stays."""

from __future__ import annotations

import asyncio
import os
import random
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mistral_agents import MistralAgents
from mistral_agents._steps import arun, run
from mistral_agents.errors import ConfigurationError, MistralAgentsError
from mistral_agents.retrieval.folder import FolderReport, FolderSync
from mistral_agents.retrieval.folder_files import FolderFiles
from mistral_agents.retrieval.folder_plan import Origin
from tests.retrieval.service import LIBRARY, LibraryService

BOTH_SERVICES = pytest.mark.parametrize("knows_bytes", [True, False], ids=["bytes once", "bytes twice"])


@pytest.fixture
def client(service: LibraryService) -> Iterator[MistralAgents]:
    service.knows_bytes = True
    with service.client() as made:
        yield made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "docs"
    made.mkdir()
    return made


def sync(client: MistralAgents, folder: Path, **options: Any) -> FolderReport:
    return run(FolderSync(client.libraries, LIBRARY, folder, **options).steps())


def fill(folder: Path, **files: str) -> None:
    for name, text in files.items():
        (folder / f"{name}.txt").write_text(text)


def documents(client: MistralAgents) -> list[tuple[str, str, dict[str, Any]]]:
    """Name, text and the user's attributes of every document."""
    listed = list(client.libraries.documents(LIBRARY))
    found = ((one["name"], client.libraries.text(LIBRARY, one["id"]), one["attributes"] or {}) for one in listed)
    return sorted(found, key=str)


def texts(client: MistralAgents) -> dict[str, str]:
    return {name: text for name, text, _ in documents(client)}


def of_folder(client: MistralAgents, source: str) -> list[tuple[str, str]]:
    return sorted((own["sync_path"], text) for _, text, own in documents(client) if own.get("sync_source") == source)


def of_others(client: MistralAgents) -> list[tuple[str, str, dict[str, Any]]]:
    return [one for one in documents(client) if "sync_path" not in one[2]]


# --- one situation each ---


def test_two_equal_files_are_two_documents(client: MistralAgents, folder: Path) -> None:
    fill(folder, a="same", b="same")
    sync(client, folder)
    assert texts(client) == {"a.txt": "same", "b.txt": "same"}
    (folder / "a.txt").unlink()
    report = sync(client, folder)
    assert (report.deleted, texts(client)) == (["a.txt"], {"b.txt": "same"})


def test_a_file_that_another_document_equals_leaves_that_document_alone(client: MistralAgents, folder: Path) -> None:
    for attributes in ({"mine": 1}, None):
        own = client.libraries.upload(LIBRARY, ("a.txt", b"alpha"), attributes=attributes)
        fill(folder, a="alpha", b="beta")
        sync(client, folder, attributes={"team": "x"})
        assert [one for one in of_others(client) if one[0] == "a.txt"] == [("a.txt", "alpha", attributes or {})]
        assert len(of_folder(client, FolderFiles(folder, "*").source)) == 2
        (folder / "a.txt").unlink()
        sync(client, folder)
        assert of_others(client) == [("a.txt", "alpha", attributes or {})]
        client.libraries.delete_document(LIBRARY, own["id"])


def test_a_document_that_a_user_uploads_after_the_sync_stays_his(client: MistralAgents, folder: Path) -> None:
    fill(folder, a="alpha")
    sync(client, folder)
    client.libraries.upload(LIBRARY, ("a.txt", b"alpha"))
    (folder / "a.txt").write_text("other")
    sync(client, folder)
    assert documents(client)[0][:2] == ("a.txt", "alpha")
    assert of_others(client) == [("a.txt", "alpha", {})]


def test_a_missing_folder_and_wrong_values_are_refused(
    client: MistralAgents, service: LibraryService, tmp_path: Path, folder: Path
) -> None:
    (tmp_path / "file").write_text("x")
    for missing in (tmp_path / "missing", tmp_path / "file"):
        with pytest.raises(ConfigurationError, match="no folder"):
            sync(client, missing)
    wrongs: list[dict[str, Any]] = [
        *({"delete": "yes"}, {"source": " "}, {"pattern": "/x"}, {"pattern": ""}, {"dry_run": "no"}),
        *({"max_concurrency": 0}, {"max_concurrency": "4"}, {"max_concurrency": 1.5}),
    ]
    for wrong in wrongs:
        with pytest.raises(ConfigurationError, match=next(iter(wrong))):
            sync(client, folder, **wrong)
    assert service.requests == []


@pytest.mark.parametrize(
    "wrong", [{"source": 5}, {"pattern": None}, {"pattern": 5}, {"wait": True}, {"attributes": {1: 2}}]
)
def test_a_value_of_another_kind_is_refused_by_name(
    client: MistralAgents, service: LibraryService, folder: Path, wrong: dict[str, Any]
) -> None:
    fill(folder, a="one")
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        client.libraries.sync_folder(LIBRARY, folder, **wrong)
    for path in ("\0", folder / ("long" * 99)):
        with pytest.raises(ConfigurationError, match="folder"):
            client.libraries.sync_folder(LIBRARY, path)
    assert texts(client) == {}


def test_what_takes_over_the_id_of_an_equal_document_is_not_sent_again(client: MistralAgents, folder: Path) -> None:
    fill(folder, **{f"f{number}": "same" for number in range(6)})
    sync(client, folder)
    for number in (0, 2, 4):
        (folder / f"f{number}.txt").unlink()
    report = sync(client, folder)
    assert (report.deleted, report.added) == (["f0.txt", "f2.txt", "f4.txt"], {})
    fill(folder, f1="other")
    report = sync(client, folder)
    assert (list(report.updated), report.added) == (["f1.txt"], {})
    assert texts(client) == {"f1.txt": "other", "f3.txt": "same", "f5.txt": "same"}


def test_an_empty_folder_deletes_nothing_unless_told(
    client: MistralAgents, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fill(folder, a="one")
    sync(client, folder)
    (folder / "a.txt").unlink()
    for _ in range(2):
        report = sync(client, folder)
        assert (report.deleted, report.spared, texts(client)) == ([], ["a.txt"], {"a.txt": "one"})
    assert 'delete="all"' in caplog.text
    assert sync(client, folder, delete="all").deleted == ["a.txt"]
    assert texts(client) == {}


def test_a_pattern_that_matches_nothing_deletes_nothing(client: MistralAgents, folder: Path) -> None:
    fill(folder, a="one")
    sync(client, folder)
    assert sync(client, folder, pattern="*.pdf").deleted == []
    assert texts(client) == {"a.txt": "one"}


def test_another_pattern_touches_no_document_of_the_first(client: MistralAgents, folder: Path) -> None:
    fill(folder, a="one")
    (folder / "b.md").write_text("two")
    sync(client, folder, pattern="*.txt")
    (folder / "a.txt").unlink()
    sync(client, folder, pattern="*.md")
    assert texts(client) == {"a.txt": "one", "b.md": "two"}
    fill(folder, c="three")
    assert sync(client, folder, pattern="*.txt").deleted == ["a.txt"]
    assert texts(client) == {"c.txt": "three", "b.md": "two"}


def test_a_file_that_two_patterns_match_is_one_document_and_either_deletes_it(
    client: MistralAgents, folder: Path
) -> None:
    fill(folder, a="one", b="two")
    sync(client, folder, pattern="*.txt")
    assert sync(client, folder).unchanged == 2
    assert len(documents(client)) == 2
    (folder / "a.txt").unlink()
    assert sync(client, folder).deleted == ["a.txt"]


def test_two_folders_in_one_library_do_not_meet(client: MistralAgents, folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    fill(folder, a="same", b="two")
    fill(other, a="same", b="three")
    for one in (folder, other, folder):
        sync(client, one)
    assert len(documents(client)) == 4
    (folder / "a.txt").unlink()
    sync(client, folder)
    assert [(name, text) for name, text, _ in documents(client)] == [
        ("a.txt", "same"),
        ("b.txt", "three"),
        ("b.txt", "two"),
    ]


def test_a_source_of_ones_own_is_found_again_at_another_path(
    client: MistralAgents, folder: Path, tmp_path: Path
) -> None:
    fill(folder, a="one")
    sync(client, folder, source="handbook")
    moved = folder.rename(tmp_path / "elsewhere")
    assert sync(client, moved, source="handbook").unchanged == 1
    assert "elsewhere" not in str(documents(client))
    assert str(tmp_path) not in str(documents(client))


def test_a_dry_run_shows_what_would_happen_and_does_nothing(
    client: MistralAgents, folder: Path, service: LibraryService
) -> None:
    fill(folder, a="one", b="two", c="three", d="four")
    sync(client, folder)
    before = documents(client)
    (folder / "a.txt").unlink()
    (folder / "b.txt").rename(folder / "e.txt")
    fill(folder, c="new", f="six")
    service.clear()
    report = sync(client, folder, dry_run=True, attributes={"x": 1})
    shown = (list(report.added), list(report.updated), list(report.moved), report.deleted, report.relabelled)
    assert shown == (["f.txt"], ["c.txt"], ["e.txt"], ["a.txt"], ["d.txt"])
    assert set(service.counts()) == {"GET documents"}
    assert documents(client) == before


def test_attributes_follow_what_is_given_and_keep_what_a_person_added(client: MistralAgents, folder: Path) -> None:
    fill(folder, a="one")
    sync(client, folder, attributes={"team": "a"})
    [document] = client.libraries.documents(LIBRARY)
    client.libraries.update_document(LIBRARY, document["id"], attributes={**document["attributes"], "reviewed": True})
    report = sync(client, folder, attributes={"year": 2025})
    shown = {key: value for key, value in documents(client)[0][2].items() if not key.startswith("sync_")}
    assert (report.relabelled, report.updated, shown) == (["a.txt"], {}, {"reviewed": True, "year": 2025})
    assert sync(client, folder).relabelled == []
    fill(folder, a="two")
    sync(client, folder)
    assert documents(client)[0][2]["reviewed"] is True


def test_attributes_that_can_not_be_kept_are_named_together_before_anything_is_sent(
    client: MistralAgents, folder: Path, service: LibraryService
) -> None:
    fill(folder, a="one", b="two")
    given = {"a.txt": {"x": float("nan"), "source": "s"}, "b.txt": {"y": {"z": 1}}}
    with pytest.raises(ConfigurationError) as caught:
        sync(client, folder, attributes=lambda path: given[path])
    for part in ("a.txt: 'x'", "a.txt: 'source' is a name of ours", "b.txt: 'y'"):
        assert part in str(caught.value)
    assert service.counts()["POST documents"] == 0


def test_links_and_lock_files_are_reported(client: MistralAgents, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "private.txt").write_text("secret")
    fill(folder, a="one")
    (folder / "out.txt").symlink_to(tmp_path / "private.txt")
    (folder / "loop.txt").symlink_to(folder / "loop.txt")
    (folder / "in.txt").symlink_to(folder / "a.txt")
    (folder / "~$a.docx").write_text("lock")
    report = sync(client, folder)
    assert set(report.skipped) >= {"out.txt", "~$a.docx"}
    assert texts(client) == {"a.txt": "one", "in.txt": "one"}


def test_a_file_that_became_a_link_out_of_the_folder_is_no_longer_in_the_library(
    client: MistralAgents, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "private.txt").write_text("secret")
    fill(folder, a="one", b="two")
    sync(client, folder)
    (folder / "a.txt").unlink()
    (folder / "a.txt").symlink_to(tmp_path / "private.txt")
    sync(client, folder)
    assert texts(client) == {"b.txt": "two"}


def test_documents_of_0_1_0_are_adopted_only_if_path_and_hash_equal_a_file(
    client: MistralAgents, folder: Path, service: LibraryService
) -> None:
    from hashlib import sha256

    fill(folder, a="one", b="changed")
    for name, text in (("a.txt", "one"), ("b.txt", "two"), ("gone.txt", "three")):
        own = {"sync_path": name, "sync_sha256": sha256(text.encode()).hexdigest()}
        service.add(name, text, attributes=own)
    report = sync(client, folder)
    assert report.adopted == ["a.txt"]
    assert set(report.left) == {"b.txt", "gone.txt"}
    assert sorted(text for _, text, _ in documents(client)) == ["changed", "one", "three", "two"]
    assert sync(client, folder).adopted == []


def test_a_refused_file_keeps_its_old_document(client: MistralAgents, folder: Path, service: LibraryService) -> None:
    (folder / "a.exe").write_text("x")
    fill(folder, b="two")
    service.add(
        "a.exe",
        "old",
        attributes={"sync_path": "a.exe", "sync_sha256": "0", "sync_patterns": ["*"]}
        | {"sync_source": FolderFiles(folder, "*").source},
    )
    report = sync(client, folder)
    assert "mimetype" in report.failed["a.exe"]
    assert texts(client) == {"a.exe": "old", "b.txt": "two"}


def test_an_unreadable_file_is_reported_and_keeps_its_document(
    client: MistralAgents, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(folder, a="one", b="two")
    sync(client, folder)
    opened = Path.open

    def refuse(path: Path, *args: Any, **options: Any) -> Any:
        if path.name == "a.txt":
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, *args, **options)

    monkeypatch.setattr(Path, "open", refuse)
    report = sync(client, folder)
    assert (list(report.failed), report.deleted, len(documents(client))) == (["a.txt"], [], 2)


def test_a_file_that_may_not_be_looked_at_is_reported_and_keeps_its_document(
    client: MistralAgents, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(folder, a="one", b="two")
    sync(client, folder)
    looked, is_file = Path.stat, Path.is_file

    def refuse(path: Path, **options: Any) -> Any:
        if path.name == "a.txt":
            raise PermissionError(13, "Permission denied", str(path))
        return looked(path, **options)

    monkeypatch.setattr(Path, "stat", refuse)
    monkeypatch.setattr(Path, "is_file", lambda path: path.name != "a.txt" and is_file(path))  # as Python 3.14 has it
    report = sync(client, folder)
    assert (report.failed, report.deleted) == ({"a.txt": "can't be read: Permission denied"}, [])
    assert len(documents(client)) == 2


def test_a_file_that_goes_while_the_folder_is_looked_at_is_gone(
    client: MistralAgents, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(folder, a="one", b="two")
    sync(client, folder)
    opened = Path.open

    def late(path: Path, *args: Any, **options: Any) -> Any:
        if path.name == "a.txt":
            path.unlink(missing_ok=True)
        return opened(path, *args, **options)

    monkeypatch.setattr(Path, "open", late)
    report = sync(client, folder)
    assert (report.failed, report.deleted, texts(client)) == ({}, ["a.txt"], {"b.txt": "two"})


def test_a_folder_that_can_not_be_listed_is_reported_and_keeps_its_documents(
    client: MistralAgents, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "sub").mkdir()
    fill(folder / "sub", a="one", b="two")
    fill(folder, a="one")
    sync(client, folder)
    before, listed = documents(client), os.scandir

    def refuse(closed: Path) -> None:
        def scandir(path: Any = ".") -> Any:
            if Path(path) == closed:
                raise PermissionError(13, "Permission denied", str(path))
            return listed(path)

        monkeypatch.setattr(os, "scandir", scandir)
        monkeypatch.setattr(Path, "_scandir", lambda path: scandir(path), raising=False)  # Python 3.10 has its own

    refuse(folder / "sub")
    report = sync(client, folder, delete="all")
    assert (report.failed, report.deleted) == ({"sub/": "can't be read: Permission denied"}, [])
    assert documents(client) == before
    refuse(folder)
    with pytest.raises(ConfigurationError, match="can't be read"):
        sync(client, folder, delete="all")


def test_an_empty_file_is_named_and_not_sent(client: MistralAgents, folder: Path) -> None:
    fill(folder, a="", b="two", c="")
    report = sync(client, folder)
    assert (report.skipped, list(report.added)) == ({"a.txt": "it is empty", "c.txt": "it is empty"}, ["b.txt"])
    assert texts(client) == {"b.txt": "two"}
    fill(folder, a="one", b="")
    report = sync(client, folder)
    assert (list(report.added), report.deleted, list(report.skipped)) == (["a.txt"], ["b.txt"], ["b.txt", "c.txt"])
    assert texts(client) == {"a.txt": "one"}


@BOTH_SERVICES
def test_a_file_that_is_edited_while_it_is_sent_ends_with_its_last_text(
    client: MistralAgents, folder: Path, service: LibraryService, knows_bytes: bool
) -> None:
    service.knows_bytes = knows_bytes
    fill(folder, a="one", b="two")

    def edit(method: str, target: str) -> None:
        if method == "POST" and not (folder / "c.txt").exists():
            fill(folder, a="later", c="new")
            (folder / "b.txt").unlink()

    service.spoil = edit
    report = sync(client, folder, max_concurrency=1)
    assert texts(client) == {"a.txt": "later", "c.txt": "new"}
    assert list(report.updated) == []
    assert all(client.libraries.document(LIBRARY, key) for key in report.document_ids)


@BOTH_SERVICES
def test_two_syncs_at_once_end_as_one(
    client: MistralAgents, folder: Path, service: LibraryService, knows_bytes: bool
) -> None:
    service.knows_bytes = knows_bytes
    fill(folder, **{f"f{n}": f"text {n % 7}" for n in range(12)})
    threads = [threading.Thread(target=sync, args=(client, folder)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sync(client, folder)
    assert of_folder(client, FolderFiles(folder, "*").source) == [
        (f"{name}.txt", f"text {int(name[1:]) % 7}") for name in sorted(f"f{n}" for n in range(12))
    ]
    assert all(not name.startswith("sync-") for name, _, _ in documents(client))


# --- any sequence ---

NAMES = ["a.txt", "b.txt", "c.txt", "sub/d.txt"]
TEXTS = ["one", "two", "three", "four"]


class World:
    """A folder, another one, and a library, with what each should hold."""

    def __init__(self, service: LibraryService, client: MistralAgents, root: Path, chance: random.Random) -> None:
        self.service, self.client, self.chance = service, client, chance
        self.folders = [root / "first", root / "second"]
        self.outside = root / "outside.txt"
        self.outside.write_text("secret")
        for folder in self.folders:
            (folder / "sub").mkdir(parents=True)
        self.kills = 0
        self.foreign: dict[tuple[str, str, str], tuple[str, str, dict[str, Any]]] = {}

    def step(self) -> None:
        self.chance.choice(
            [self.write, self.write, self.move, self.swap, self.copy, self.delete, self.link, self.upload]
        )()

    def files(self) -> list[Path]:
        return [path for folder in self.folders for path in folder.rglob("*") if path.is_file() or path.is_symlink()]

    def place(self) -> Path:
        path = self.chance.choice(self.folders) / self.chance.choice(NAMES)
        if path.is_symlink():
            path.unlink()
        return path

    def write(self) -> None:
        self.place().write_text(self.chance.choice(TEXTS))

    def move(self) -> None:
        place = self.place()
        if files := self.files():
            os.replace(self.chance.choice(files), place)

    def swap(self) -> None:
        one, two = self.place(), self.place()
        if one.exists() and two.exists():
            first, second = one.read_text(), two.read_text()
            one.write_text(second)
            two.write_text(first)

    def copy(self) -> None:
        if files := [path for path in self.files() if path.exists()]:
            text = self.chance.choice(files).read_text()
            self.place().write_text(text)

    def delete(self) -> None:
        if files := self.files():
            self.chance.choice(files).unlink()

    def link(self) -> None:
        path = self.place()
        path.unlink(missing_ok=True)
        path.symlink_to(self.outside)

    def upload(self) -> None:
        name, text = self.chance.choice(NAMES[:3]), self.chance.choice(TEXTS)
        attributes = self.chance.choice([{"mine": 1}, {"mine": 2}])
        self.client.libraries.upload(LIBRARY, (name, text.encode()), attributes=attributes)
        self.foreign[name, text, str(attributes)] = (name, text, attributes)

    def expected(self, folder: Path) -> list[tuple[str, str]]:
        held = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
        return sorted((path.relative_to(folder).as_posix(), path.read_text()) for path in held)

    def sync(self, folder: Path, workers: int) -> None:
        how = FolderSync(self.client.libraries, LIBRARY, folder, delete="all", max_concurrency=workers)
        run(how.steps())

    def killed(self, folder: Path, workers: int) -> None:
        """A sync whose requests fail from some point on, before or after the service did what was asked."""
        left = self.chance.randrange(1, 12)

        def fail(_: str, __: str) -> tuple[int, Any] | None:
            nonlocal left
            left -= 1
            return (503, "gone") if left <= 0 else None

        where = self.chance.choice(["fail", "spoil"])
        setattr(self.service, where, fail)
        try:
            self.sync(folder, workers)
        except MistralAgentsError:
            self.kills += 1
        finally:
            self.service.fail = self.service.spoil = None

    def check(self, folder: Path) -> None:
        assert of_folder(self.client, FolderFiles(folder, "*").source) == self.expected(folder)
        elsewhere = [Origin(FolderFiles(one, "*").source, "*").mark for one in self.folders if one != folder]
        others = [one for one in of_others(self.client) if not one[0].startswith(tuple(elsewhere))]
        assert others == sorted(self.foreign.values(), key=str)


@BOTH_SERVICES
@pytest.mark.parametrize("workers", [1, 8])
@pytest.mark.parametrize("seed", range(12))
def test_whatever_files_do_the_library_equals_the_folder(
    service: LibraryService, tmp_path: Path, workers: int, seed: int, knows_bytes: bool
) -> None:
    service.knows_bytes = knows_bytes
    with service.client() as client:
        world = World(service, client, tmp_path, random.Random(seed))
        if not knows_bytes:
            world.upload = lambda: None  # type: ignore[method-assign] - the service would keep each one
        for _ in range(10):
            for _ in range(world.chance.randrange(1, 6)):
                world.step()
            folder = world.chance.choice(world.folders)
            if world.chance.random() < 0.4:
                world.killed(folder, workers)
            else:
                world.sync(folder, workers)
                world.check(folder)
        for folder in world.folders:
            world.sync(folder, workers)
        for folder in world.folders:
            world.check(folder)
            service.clear()
            world.sync(folder, workers)
            assert set(service.counts()) == {"GET documents"}
        assert of_others(client) == sorted(world.foreign.values(), key=str)  # nothing is left of what was killed


def test_the_asynchronous_sync_does_the_same(service: LibraryService, folder: Path) -> None:
    service.knows_bytes = True
    fill(folder, a="one", b="one", c="three")

    async def work() -> FolderReport:
        async with service.client() as client:
            steps: Callable[[], Any] = FolderSync(client.libraries, LIBRARY, folder).steps
            await arun(steps())
            (folder / "a.txt").write_text("three")
            (folder / "c.txt").unlink()
            return await arun(steps())

    report = asyncio.run(work())
    with service.client() as client:
        assert texts(client) == {"a.txt": "three", "b.txt": "one"}
    assert list(report.updated) == ["a.txt"]


@pytest.mark.parametrize("given", [None, "", "  ", 7, b"docs"])
async def test_what_is_no_folder_is_refused_by_name(service: LibraryService, given: Any) -> None:
    """An empty path would be the folder that the process runs in."""
    from llama_index_mistral_agents import MistralLibraryIndex

    with service.client() as client:
        index = MistralLibraryIndex(LIBRARY, client=client)
        for work in (client.libraries.sync_folder, lambda _, folder: index.sync_dir(folder)):
            with pytest.raises(ConfigurationError, match="folder must be the path"):
                work(LIBRARY, given)
        with pytest.raises(ConfigurationError, match="folder must be the path"):
            await client.libraries.async_folder(LIBRARY, given)


@pytest.mark.skipif(os.name != "posix", reason="such names exist there")
def test_a_file_whose_name_is_no_text_is_reported_and_the_others_are_kept(client: MistralAgents, folder: Path) -> None:
    fill(folder, good="Good.")
    try:
        with open(os.fsencode(folder) + b"/caf\xe9.txt", "w") as file:
            file.write("Bad name.")
    except OSError:
        pytest.skip("this file system takes no such name")
    report = sync(client, folder)
    assert texts(client) == {"good.txt": "Good."}
    assert list(report.failed) == ["caf\\xe9.txt"]
    assert "rename" in report.failed["caf\\xe9.txt"]
    str(report).encode()
