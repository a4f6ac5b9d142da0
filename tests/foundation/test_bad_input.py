"""What a user gives by mistake is told by name before anything is sent, and loses nothing that was paid for."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mistral_agents import (
    CodeInterpreter,
    Conversation,
    DocumentLibrary,
    MistralAgents,
    Safeguards,
    translate_tools,
)
from mistral_agents._api.planner import ModelNotes
from mistral_agents._api.records import Listing
from mistral_agents._conversation import archive
from mistral_agents._conversation.dialog import Dialog, ReadHistory, Send
from mistral_agents._conversation.functions import arun_functions, run_functions
from mistral_agents._conversation.lineage import branch_point
from mistral_agents._display.page import write_page
from mistral_agents._http.replies import Reply
from mistral_agents.cli.session import read_key, read_prices
from mistral_agents.confirmation import confirm
from mistral_agents.entries import FunctionCall, assistant_message, parse_entries, parse_entry, user_message
from mistral_agents.errors import ConfigurationError
from mistral_agents.files import FileData
from mistral_agents.history import History
from mistral_agents.models import Models
from mistral_agents.threads import InMemoryConversations, SqliteConversations
from tests.border.service import USAGE, Service

HANDOFF = {"type": "agent.handoff", "id": "h", "previous_agent_id": "ag_1", "next_agent_id": "ag_2"}
ENTRIES = [
    {"type": "message.input", "id": "m0", "role": "user", "content": "Hi"},
    {"type": "message.output", "id": "m1", "role": "assistant", "content": "Hello"},
]


@pytest.fixture
def service() -> Iterator[Service]:
    with Service() as found:
        yield found


@pytest.fixture
def client(service: Service) -> Iterator[MistralAgents]:
    with MistralAgents(api_key="k", base_url=service.url, max_retries=0) as found:
        yield found


@pytest.mark.parametrize("rounds", [-1, None, "3", 2.5, True])
def test_rounds_that_are_no_number_are_refused_before_a_turn_is_paid_for(client: MistralAgents, rounds: Any) -> None:
    with pytest.raises(ConfigurationError, match="max_rounds must be a whole number from 0"):
        Conversation(client, model="m", functions={}, max_rounds=rounds)


@pytest.mark.parametrize(
    ("name", "value"), [("meter", "m"), ("on_handoff", "go on"), ("functions", {1: len}), ("functions", [len])]
)
def test_what_a_conversation_is_held_with_is_looked_at_first(client: MistralAgents, name: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"{name} must be"):
        Conversation(client, model="m", **{name: value})


async def follow_later(handoff: Any) -> str:
    return "Go on."


@pytest.mark.parametrize("blocking", [True, False], ids=["sync", "async"])
@pytest.mark.parametrize("follow", [follow_later, lambda handoff: "Go on."], ids=["async", "plain"])
def test_what_to_say_to_the_next_agent_may_be_asynchronous(
    service: Service, client: MistralAgents, follow: Any, *, blocking: bool
) -> None:
    service.plan([HANDOFF])
    talk = Conversation(client, agent_id="ag_1", handoff_execution="client", on_handoff=follow)
    turn = talk.append("Hi") if blocking else asyncio.run(talk.aappend("Hi"))
    assert turn.text == "ok"
    assert service.bodies[1]["inputs"] == "Go on."


@pytest.mark.parametrize("said", [3, "", ["x"]])
def test_a_wrong_word_to_the_next_agent_keeps_the_paid_turn(service: Service, client: MistralAgents, said: Any) -> None:
    service.plan([HANDOFF])
    talk = Conversation(client, agent_id="ag_1", handoff_execution="client", on_handoff=lambda _: said)
    with pytest.raises(ConfigurationError, match="on_handoff must give a text") as caught:
        talk.append("Hi")
    assert caught.value.turn is not None
    assert caught.value.turn.usage.total_tokens == USAGE["total_tokens"]


@pytest.mark.parametrize("options", [{"keep": "2"}, {"keep": -1}, {"keep": 1.5}, {"model": ""}, {"model": b"m"}])
def test_a_conversation_is_not_summarised_for_a_wrong_argument(
    service: Service, client: MistralAgents, options: dict[str, Any]
) -> None:
    with pytest.raises(ConfigurationError, match=f"{next(iter(options))} must be"):
        Conversation(client, "conv_1").compact(**options)
    assert service.paths == []


def test_a_branch_begins_at_an_entry_itself() -> None:
    history = History("conv_1", parse_entries(ENTRIES))
    assert branch_point(history, history.entries[0]) == 0


async def pick_later(entry: Any) -> bool:
    return False


@pytest.mark.parametrize("at", [1.0, [0], b"m1", True, pick_later, parse_entry({"type": "message.output"})])
def test_what_names_no_entry_is_told_as_such(at: Any) -> None:
    with pytest.raises(ConfigurationError, match="at must be a place"):
        branch_point(History("conv_1", parse_entries(ENTRIES)), at)


@pytest.mark.parametrize("content", [None, 3, b"x", {"type": "text", "text": "x"}, ["x"]])
@pytest.mark.parametrize("make", [user_message, assistant_message])
def test_content_that_is_none_is_told_as_such(make: Callable[[Any], Any], content: Any) -> None:
    with pytest.raises(ConfigurationError, match="content must be a text or a list of chunks"):
        make(content)


WRITERS: dict[str, Callable[[Any], object]] = {
    "saved": lambda path: FileData.of("a.txt", b"x").save(path),
    "exported": lambda path: archive.write(path, {"a": 1}),
    "page": lambda path: write_page(path, "<p>page"),
}


@pytest.mark.parametrize("use", [*WRITERS.values(), archive.read], ids=[*WRITERS, "read"])
@pytest.mark.parametrize("path", [None, b"x", 3, "a\0b", "a\ud800"], ids=repr)
def test_what_is_no_path_is_told_as_such(use: Callable[[Any], object], path: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"must be a text or a Path|is no path"):
        use(path)


@pytest.mark.parametrize("use", WRITERS.values(), ids=WRITERS)
def test_a_place_that_can_not_be_written_to_is_named(tmp_path: Path, use: Callable[[Any], object]) -> None:
    (tmp_path / "file").write_text("x")
    for path in (tmp_path / "file" / "below", tmp_path / ("x" * 300)):
        with pytest.raises(ConfigurationError, match=r"(can't be written|is a file)"):
            use(path)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("role", ["system", "tool", "developer"])
@pytest.mark.parametrize("several", [True, False])
def test_a_message_of_another_role_is_told_what_to_do(client: MistralAgents, role: str, several: bool) -> None:
    message = {"role": role, "content": "Be brief."}
    inputs: Any = [{"role": "user", "content": "hi"}, message] if several else message
    for send in (client.conversations.start, Conversation(client, model="m").append):
        with pytest.raises(ConfigurationError, match=rf"inputs\[{int(several)}\] has the role '{role}'") as caught:
            send(inputs, **({"model": "m"} if send == client.conversations.start else {}))
        assert "instructions=" in str(caught.value)


@pytest.mark.parametrize(
    "files", [{"type": "image", "file_id": "f"}, [{"file_id": "f"}], [("content", [])], b"f", 3, None, [None]]
)
def test_what_names_no_files_is_told_before_anything_is_asked(
    client: MistralAgents, tmp_path: Path, files: Any
) -> None:
    """A framework's message or block was taken for a list of ids, or ended in a TypeError."""
    with pytest.raises(ConfigurationError, match="files must be a Turn, a file of one, an id"):
        client.files.save(files, tmp_path)


def test_files_of_an_editor_that_marks_its_encoding_are_read(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("key-1\n", encoding="utf-8-sig")
    assert read_key(path) == "key-1"
    path.write_text('{"tokens": {"*": [0.4, 2.0]}}', encoding="utf-8-sig")
    assert read_prices(path).tokens == {"*": (0.4, 2.0)}
    export = {"format": archive.FORMAT, "version": archive.VERSION, "conversation": {"id": "c"}, "entries": []}
    path.write_text(json.dumps(export), encoding="utf-8-sig")
    assert archive.read(path).conversation_id == "c"


LIBRARY = "01a07bff-b1ed-70bd-b7d4-34b652c070bb"
ASKED: dict[str, Callable[[MistralAgents, Any], object]] = {
    "version": lambda client, value: client.agents.switch_version("ag_1", value),
    "version of an alias": lambda client, value: client.agents.set_alias("ag_1", "a", value),
    "version read": lambda client, value: client.agents.get_version("ag_1", value),
    "alias": lambda client, value: client.agents.delete_alias("ag_1", value),
    "hours": lambda client, value: client.files.signed_url(LIBRARY, hours=value),
    "page_start": lambda client, value: client.libraries.text(LIBRARY, LIBRARY, page_start=value or b""),
    "chunk_size": lambda client, value: client.libraries.create("a", chunk_size=value or b""),
    "page_size": lambda client, value: list(client.agents.list(page_size=value or b"")),
    "page_size of versions": lambda client, value: list(client.agents.versions("ag_1", page_size=value)),
    "page_size of conversations": lambda client, value: list(client.conversations.list(page_size=value)),
    "page_size of tools": lambda client, value: client.connectors.tools("c", page_size=value),
    "search": lambda client, value: list(client.libraries.list(search=value or b"")),
    "search of documents": lambda client, value: list(client.libraries.documents(LIBRARY, search=value or b"")),
    "purpose": lambda client, value: client.files.upload(("a.txt", b"x"), purpose=value or b""),
    "attributes": lambda client, value: list(client.libraries.documents(LIBRARY, attributes=value or b"")),
    "metadata": lambda client, value: client.agents.create(model="m", name="a", metadata=value or b""),
    "metadata of a branch": lambda client, value: client.conversations.restart("c", "m", "x", metadata=value or b""),
    "name": lambda client, value: client.connectors.create(name=value, server="https://example.org", description="d"),
    "arguments": lambda client, value: client.connectors.call("c", "t", value or b"x"),
    "headers": lambda client, value: client.connectors.set_credentials("c", "n", headers=value or b"x"),
    "inputs": lambda client, value: client.embeddings.create(value),
    "files": lambda client, value: client.files.save(value, "folder"),
}


@pytest.mark.parametrize("name", ASKED)
@pytest.mark.parametrize("value", [None, b"x", object(), 1.5], ids=["none", "bytes", "object", "float"])
def test_what_can_not_be_asked_is_refused_by_name(
    service: Service, client: MistralAgents, name: str, value: Any
) -> None:
    with pytest.raises(ConfigurationError, match=rf"\b{name.split()[0]} must be"):
        ASKED[name](client, value)
    assert service.paths == []


def pick(first: int, second: int = 1, /, *, third: int = 2) -> list[int]:
    return [first, second, third]


def count(most: int) -> Iterator[int]:
    yield from range(most)


async def count_later(most: int) -> AsyncIterator[int]:
    for number in range(most):
        yield number


@pytest.mark.parametrize("blocking", [True, False], ids=["sync", "async"])
@pytest.mark.parametrize(
    ("function", "arguments", "result"),
    [
        (pick, {"first": 5}, "[5, 1, 2]"),
        (pick, {"third": 7, "second": 6, "first": 5}, "[5, 6, 7]"),
        (math.sqrt, {"x": 9}, "3.0"),
        (count, {"most": 3}, "[0, 1, 2]"),
        (count_later, {"most": 3}, "[0, 1, 2]"),
        (lambda: {"a": 1}.values(), {}, "[1]"),
    ],
)
def test_functions_of_every_form_run(
    function: Callable[..., Any], arguments: dict[str, Any], result: str, *, blocking: bool
) -> None:
    entry = {"type": "function.call", "tool_call_id": "c", "name": "f", "arguments": json.dumps(arguments)}
    calls = [call for call in parse_entries([entry]) if isinstance(call, FunctionCall)]
    functions = {"f": function}
    found: Any = run_functions(calls, functions) if blocking else asyncio.run(arun_functions(calls, functions))
    assert found[0]["result"] == result


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: Safeguards(allowed_library_ids=LIBRARY), "allowed_library_ids must be a list of ids"),
        (lambda: Safeguards(allowed_library_ids=3), "allowed_library_ids must be a list of ids"),  # type: ignore[arg-type]
        (lambda: Safeguards(allowed_library_ids=[3]), "allowed_library_ids must be a list of ids"),  # type: ignore[list-item]
        (lambda: Safeguards(redact="x"), "redact must be a blocking function"),  # type: ignore[arg-type]
        (lambda: Safeguards(redact=pick_later), "redact must be a blocking function"),  # type: ignore[arg-type]
        (lambda: DocumentLibrary(None), "library_ids must be a library's id or a list of ids"),  # type: ignore[arg-type]
        (lambda: translate_tools([CodeInterpreter(timeout=math.nan)]), "must be a number from 0.001"),
        (lambda: translate_tools([CodeInterpreter(timeout=math.inf)]), "must be a number from 0.001"),
    ],
)
def test_what_guards_nothing_is_refused(make: Callable[[], object], named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        make()


def test_an_allow_list_may_be_read_once_only() -> None:
    ids: Any = (key for key in [LIBRARY])
    safeguards = Safeguards(allowed_library_ids=ids)
    for _ in range(2):
        safeguards.check_tools([DocumentLibrary(LIBRARY)])


def test_every_list_is_a_table(client: MistralAgents) -> None:
    lists: list[Any] = [client.connectors.list(), client.batches.list(), client.agents.list(), client.files.list()]
    assert all(isinstance(each, Listing) for each in lists)
    pd = pytest.importorskip("pandas")
    transport: Any = SimpleNamespace(send=lambda call: Reply(200, {}, b'{"data": [{"id": "m"}]}'))
    assert Models(transport, ModelNotes()).list().to_dataframe().equals(pd.DataFrame([{"id": "m"}]))


def wait(*call_ids: str) -> list[dict[str, Any]]:
    call = {"type": "function.call", "name": "mail_send", "arguments": "{}", "confirmation_status": "pending"}
    return [{**call, "id": f"fc_{key}", "tool_call_id": key} for key in call_ids]


def test_a_decision_about_no_call_denies_nothing(service: Service, client: MistralAgents) -> None:
    service.plan(wait("call-1", "call-2"))
    talk = Conversation(client, model="m")
    talk.append("Send it.")
    with pytest.raises(ConfigurationError, match=r"No call 'call-3' waits .* those that wait: call-1, call-2"):
        talk.confirm_calls({"call-1": True, "call-3": True})
    with pytest.raises(ConfigurationError, match="decisions must be a mapping"):
        talk.confirm_calls(["call-1"])  # type: ignore[arg-type]
    talk.confirm_calls({"call-1": True, "call-2": True}).append()
    told = service.bodies[-1]["tool_confirmations"]
    assert [each["confirmation"] for each in told] == ["allow", "allow"]


def test_a_decision_about_no_call_of_a_resumed_conversation_is_told_before_anything_is_sent() -> None:
    dialog = Dialog("conv_1", unsure=True)
    dialog.keep({"call-3": confirm("call-3", True, "It")})
    exchange = dialog.exchange(None)
    assert isinstance(next(exchange), ReadHistory)
    with pytest.raises(ConfigurationError, match="No call 'call-3' waits"):
        exchange.send(History("conv_1", parse_entries(wait("call-1"))))
    dialog.keep({"call-1": confirm("call-1", True, "It")})
    again = dialog.exchange(None)
    assert isinstance(next(again), ReadHistory)
    sent = again.send(History("conv_1", parse_entries(wait("call-1"))))
    assert isinstance(sent, Send)
    assert [each["confirmation"] for each in sent.confirmations] == ["allow"]


def test_a_file_of_threads_that_can_not_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.db").write_text("no database" * 100)
    for path in (tmp_path, tmp_path / "absent" / "threads.db", tmp_path / "broken.db"):
        with pytest.raises(ConfigurationError, match=r"threads' file .* can't be used"):
            SqliteConversations(path).get("thread", "agent")
    threads = SqliteConversations(tmp_path / "threads.db")
    for thread in ("half \ud83d", ["a list"]):
        with pytest.raises(ConfigurationError, match=r"threads' file .* can't be used"):
            threads.set(thread, "agent", "conv_1")  # type: ignore[arg-type]


def test_stores_and_safeguards_of_another_kind_are_refused_where_they_are_given() -> None:
    for limit in (-1, "5", None):
        with pytest.raises(ConfigurationError, match="limit must be a whole number from 0"):
            InMemoryConversations(limit)  # type: ignore[arg-type]
    for path in (None, ""):
        with pytest.raises(ConfigurationError, match=r"path must"):
            SqliteConversations(path)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="safeguards must be Safeguards"):
        MistralAgents(api_key="k", safeguards={"allowed_library_ids": []})  # type: ignore[arg-type]
