"""Events and entries as content blocks: a stream's chunks add up to the message of the call."""

from __future__ import annotations

import copy
import json
from functools import reduce
from operator import add
from typing import Any

import pytest
from langchain_core.messages import AIMessage, AIMessageChunk

from langchain_mistral_agents._answer_chunk import merge_chunks
from langchain_mistral_agents._blocks import parsed_output
from langchain_mistral_agents._chunks import AnswerChunks
from langchain_mistral_agents._messages_in import Sent, make_answer
from mistral_agents._http.fold import EventFold
from mistral_agents.turn import Turn

Wire = dict[str, Any]
SENT = Sent(stored=True, prefix="p", setup="s", model="mistral-small-latest")
USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "connector_tokens": 100, "total_tokens": 115}
HITS = {
    "ab12cd34": {
        "url": "0b9d1c1e-0000-4000-8000-000000000001",
        "title": "report.pdf",
        "snippets": ["Rain fell.", "A report"],
        "metadata": {"relevant_pages": [3], "library_id": "lib"},
    }
}


def started() -> Wire:
    return {"type": "conversation.response.started", "created_at": at(0), "conversation_id": "conv_1"}


def done(**usage: Any) -> Wire:
    return {"type": "conversation.response.done", "created_at": at(99), "usage": usage or USAGE}


def at(second: int) -> str:
    return f"2026-01-01T00:00:{second:02d}.000000Z"


def text(content: Any, *, place: int = 0, entry: str = "msg_1", out: int = 0, second: int = 50) -> Wire:
    return {
        "type": "message.output.delta",
        "created_at": at(second),
        "output_index": out,
        "id": entry,
        "content_index": place,
        "model": "mistral-small-2506",
        "role": "assistant",
        "content": content,
    }


def tool(step: str, entry: str, second: int, name: str = "code_interpreter", out: int = 0, **rest: Any) -> Wire:
    fixed = {"created_at": at(second), "output_index": out, "id": entry, "name": name, "function": name}
    return {"type": f"tool.execution.{step}", **fixed, **rest}


def call(arguments: str, entry: str = "fc_1", call_id: str = "6TI17yZkV", out: int = 0, **rest: Any) -> Wire:
    fixed = {"created_at": at(60), "output_index": out, "id": entry, "name": "add", "tool_call_id": call_id}
    return {"type": "function.call.delta", **fixed, "arguments": arguments, **rest}


def reference(title: str | None = "Page", url: str | None = "https://e.org", **rest: Any) -> Wire:
    said = {"title": title, "url": url, **rest}
    return {"type": "tool_reference", "tool": "web_search", **{k: v for k, v in said.items() if v is not None}}


def streamed(events: list[Wire]) -> AIMessage:
    """What the chunks of a stream add up to."""
    chunks, fold = AnswerChunks(SENT), EventFold()
    found: list[AIMessageChunk] = []
    for event in events:
        chunk = chunks.feed(fold.apply(event))
        found += [chunk] if chunk is not None else []
    found.extend(chunks.end(Turn.from_response(fold.response(), unknown_events=list(fold.unknown))))
    assert [chunk.chunk_position for chunk in found].index("last") == len(found) - 1
    assert sum(chunk.usage_metadata is not None for chunk in found) <= 1
    added: AIMessageChunk = reduce(add, found)
    assert (added.content, added.tool_calls) == (merge_chunks(found).content, merge_chunks(found).tool_calls)
    return merge_chunks(found)


def called(events: list[Wire]) -> AIMessage:
    """The message of the same turn as a call."""
    fold = EventFold()
    for event in events:
        fold.apply(event)
    return make_answer(Turn.from_response(fold.response(), unknown_events=list(fold.unknown)), SENT)


def both(*events: Wire) -> AIMessage:
    """The message, after checking that stream and call agree and that nothing given was changed."""
    given = [started(), *events, done()]
    before = copy.deepcopy(given)
    stream, whole = streamed(given), called(given)
    assert given == before
    assert stream.content == whole.content
    assert stream.tool_calls == whole.tool_calls
    assert stream.invalid_tool_calls == whole.invalid_tool_calls
    assert stream.usage_metadata == whole.usage_metadata
    assert stream.response_metadata == whole.response_metadata
    assert stream.id == whole.id
    return whole


def kinds(message: AIMessage) -> list[str]:
    return [block["type"] for block in message.content_blocks]


def test_plain_text_is_one_block_and_each_piece_of_metadata_stands_once() -> None:
    message = both(text("Hel"), text("lo"))

    assert message.content_blocks == [{"type": "text", "text": "Hello", "index": 0}]
    assert message.id == "msg_1"
    assert message.response_metadata["conversation_id"] == "conv_1"
    assert message.response_metadata["model_name"] == "mistral-small-2506"
    assert message.response_metadata["model_provider"] == "mistral_agents"
    assert message.response_metadata["entry_ids"] == ["msg_1"]


def test_tokens_add_up_with_those_of_connectors() -> None:
    usage = both(text("x")).usage_metadata

    assert usage is not None
    assert usage["input_tokens"] == 110
    assert usage["input_tokens"] + usage["output_tokens"] == usage["total_tokens"] == 115
    assert usage["input_token_details"] == {"connector": 100}


def test_a_citation_stands_at_the_text_before_it() -> None:
    message = both(
        text("First. "),
        text(reference(), place=1),
        text(reference("Other", "https://o.org"), place=2),
        text("Second.", place=3),
    )

    first, second = message.content_blocks
    assert [note["title"] for note in first["annotations"]] == ["Page", "Other"]
    assert [note["extras"]["offset"] for note in first["annotations"]] == [7, 7]
    assert not any("start_index" in note or "index" in note for note in first["annotations"])
    assert "annotations" not in second
    assert message.text == "First. Second."


def test_a_reference_before_any_text_belongs_to_the_next() -> None:
    message = both(text(reference(), place=0), text("After.", place=1))

    assert [block["text"] for block in message.content_blocks] == ["After."]
    assert message.content_blocks[0]["annotations"][0]["url"] == "https://e.org"


def test_a_reference_without_any_text_is_kept() -> None:
    message = both(text(reference()))

    assert message.content_blocks[0]["annotations"][0]["title"] == "Page"


@pytest.mark.parametrize("missing", [{"title": None}, {"url": None}, {"title": None, "url": None}])
def test_a_reference_may_lack_anything(missing: dict[str, None]) -> None:
    message = both(text("So. "), text(reference(**missing), place=1))

    assert len(message.content_blocks[0]["annotations"]) == 1
    assert message.text == "So. "


def test_a_hosted_run_is_a_call_and_its_result_with_one_id() -> None:
    info = {"result": [{"type": "text", "text": "703\n"}], "code": "print(703)", "code_output": "703\n"}
    message = both(
        tool("started", "tool_1", 1, arguments=""),
        tool("delta", "tool_1", 2, arguments='{"code": "pri'),
        tool("delta", "tool_1", 3, arguments='nt(703)"}'),
        tool("done", "tool_1", 4, info=info),
        text("It is 703.", out=1),
    )

    run, result, _ = message.content_blocks
    assert kinds(message) == ["server_tool_call", "server_tool_result", "text"]
    assert (run["name"], run["args"]) == ("code_interpreter", {"code": "print(703)"})
    assert run["extras"]["name"] == "code_interpreter"
    assert (result["tool_call_id"], result["status"]) == (run["id"], "success")
    assert result["output"] == info
    assert parsed_output(result) == 703
    assert message.tool_calls == []


def test_a_failed_hosted_run_is_marked() -> None:
    info = {"result": "Error executing tool code_interpreter: no"}
    message = both(tool("started", "tool_1", 1), tool("done", "tool_1", 2, info=info))

    assert message.content_blocks[1]["status"] == "error"


@pytest.mark.parametrize("arguments", ["latest results", "[1, 2]", '"quoted"', "7"])
def test_arguments_that_are_no_object_still_give_a_dict(arguments: str) -> None:
    message = both(tool("started", "t", 1, arguments=arguments), tool("done", "t", 2, info={"result": "ok"}))

    run = message.content_blocks[0]
    assert run["type"] == "server_tool_call"
    assert list(run["args"]) == ["input"]


def test_arguments_may_be_missing_or_come_only_at_the_end() -> None:
    missing = both(tool("started", "t", 1), tool("done", "t", 2, info={}))
    late = both(tool("started", "t", 1), tool("done", "t", 2, info={}, arguments='{"query": "x"}'))

    assert missing.content_blocks[0]["args"] == {}
    assert late.content_blocks[0]["args"] == {"query": "x"}


def test_several_runs_at_once_stay_apart_and_in_the_order_in_which_things_happened() -> None:
    message = both(
        tool("started", "a", 1, arguments="", out=0),
        tool("delta", "a", 2, arguments='{"code": "1"}', out=0),
        tool("started", "b", 3, arguments="", out=1),
        tool("delta", "b", 4, arguments='{"code": "2"}', out=1),
        tool("done", "b", 5, info={"result": "two"}, out=1),
        tool("done", "a", 6, info={"result": "one"}, out=0),
        text("Both.", out=2),
    )

    calls = [b for b in message.content_blocks if b["type"] == "server_tool_call"]
    results = [b for b in message.content_blocks if b["type"] == "server_tool_result"]
    assert [(b["id"], b["args"]["code"]) for b in calls] == [("a", "1"), ("b", "2")]
    assert {b["tool_call_id"]: b["output"]["result"] for b in results} == {"a": "one", "b": "two"}
    assert [b["tool_call_id"] for b in results] == ["b", "a"]


def test_runs_one_after_the_other_are_pairs() -> None:
    message = both(
        tool("started", "a", 1, out=0),
        tool("done", "a", 2, info={"result": "one"}, out=0),
        tool("started", "b", 3, out=1),
        tool("done", "b", 4, info={"result": "two"}, out=1),
    )

    assert kinds(message) == ["server_tool_call", "server_tool_result"] * 2


@pytest.mark.parametrize(
    ("wire", "standard"),
    [
        ("web_search", "web_search"),
        ("web_search_premium", "web_search"),
        ("code_interpreter", "code_interpreter"),
        ("document_library", "file_search"),
        ("library_list_documents", "file_search"),
        ("open_library_result", "file_search"),
        ("quickstart_context7_query-docs", "remote_mcp"),
    ],
)
def test_tool_names_are_langchains_and_the_raw_name_is_kept(wire: str, standard: str) -> None:
    message = both(tool("started", "t", 1, name=wire), tool("done", "t", 2, name=wire, info={"result": "ok"}))

    assert message.content_blocks[0]["name"] == standard
    assert message.content_blocks[0]["extras"]["name"] == wire


def test_library_hits_become_citations_of_the_answer() -> None:
    info = {"result": json.dumps(HITS)}
    fields = {"name": "document_library", "function": "library_search"}
    message = both(
        tool("started", "t", 1, **fields), tool("done", "t", 2, info=info, **fields), text("It rained.", out=1)
    )

    (note,) = message.content_blocks[-1]["annotations"]
    assert (note["title"], note["cited_text"]) == ("report.pdf", "Rain fell.")
    assert note["extras"]["document_id"] == HITS["ab12cd34"]["url"]
    assert note["extras"]["pages"] == [3]
    assert "url" not in note


def test_a_failed_library_search_cites_nothing() -> None:
    info = {"result": "Error executing tool library_search: bad id"}
    fields = {"name": "document_library", "function": "library_search"}
    message = both(tool("started", "t", 1, **fields), tool("done", "t", 2, info=info, **fields), text("No.", out=1))

    assert "annotations" not in message.content_blocks[-1]


def test_a_function_call_is_in_the_content_and_beside_it() -> None:
    message = both(call('{"a": '), call("1}"))

    assert message.content_blocks == [{"type": "tool_call", "name": "add", "args": {"a": 1}, "id": "6TI17yZkV"}]
    assert [(c["name"], c["args"], c["id"]) for c in message.tool_calls] == [("add", {"a": 1}, "6TI17yZkV")]
    assert message.response_metadata["finish_reason"] == "tool_calls"


def test_calls_at_once_do_not_mix() -> None:
    message = both(
        call('{"a": ', "fc_1", "aaaaaaaaa", 0),
        call('{"b": ', "fc_2", "bbbbbbbbb", 1),
        call("1}", "fc_1", "aaaaaaaaa", 0),
        call("2}", "fc_2", "bbbbbbbbb", 1),
    )

    assert [(c["id"], c["args"]) for c in message.tool_calls] == [("aaaaaaaaa", {"a": 1}), ("bbbbbbbbb", {"b": 2})]


def test_arguments_that_are_no_object_make_an_invalid_call() -> None:
    message = both(call("[1]"))

    assert message.tool_calls == []
    assert [c["args"] for c in message.invalid_tool_calls] == ["[1]"]


def test_a_hosted_tool_that_waits_for_confirmation_is_no_call_for_the_client() -> None:
    message = both(call('{"query": "x"}', confirmation_status="pending"))

    (block,) = message.content_blocks
    assert block["type"] == "server_tool_call"
    assert block["extras"]["confirmation_status"] == "pending"
    assert message.tool_calls == []
    assert message.response_metadata["pending_confirmations"][0]["tool_call_id"] == "6TI17yZkV"


def test_thinking_comes_in_pieces_that_all_say_closed() -> None:
    def thought(part: str) -> Wire:
        return text({"type": "thinking", "thinking": [{"type": "text", "text": part}], "closed": True})

    message = both(thought("Let me "), thought("see."), text("42", place=1))

    assert kinds(message) == ["reasoning", "text"]
    assert message.content_blocks[0]["reasoning"] == "Let me see."


@pytest.mark.parametrize(("name", "kind", "block"), [("plot_0.png", "png", "image"), ("table.csv", "csv", "file")])
def test_files_are_images_or_files(name: str, kind: str, block: str) -> None:
    chunk = {
        "type": "tool_file",
        "tool": "code_interpreter",
        "file_id": "0b9d1c1e-0000-4000-8000-000000000002",
        "file_name": name,
        "file_type": kind,
    }
    message = both(text("See:"), text(chunk, place=1))

    found = message.content_blocks[1]
    assert (found["type"], found["file_id"], found["extras"]["name"]) == (block, chunk["file_id"], name)


def test_an_image_without_a_file_is_taken_from_the_link() -> None:
    info = {"result": json.dumps({"url": "https://images.example/signed"})}
    fields = {"name": "image_generation", "function": "generate_image"}
    message = both(tool("started", "t", 1, **fields), tool("done", "t", 2, info=info, **fields), text("Here.", out=1))

    assert message.content_blocks[-1]["type"] == "image"
    assert message.content_blocks[-1]["url"] == "https://images.example/signed"


def test_a_handoff_is_one_block() -> None:
    fixed = {"id": "handoff_1", "output_index": 0}
    message = both(
        {
            "type": "agent.handoff.started",
            "created_at": at(1),
            "previous_agent_id": "ag_1",
            "previous_agent_name": "A",
            **fixed,
        },
        {"type": "agent.handoff.done", "created_at": at(2), "next_agent_id": "ag_2", "next_agent_name": "B", **fixed},
        text("Hello from B", out=1),
    )

    value = message.content_blocks[0]["value"]
    assert (value["type"], value["previous_agent_id"], value["next_agent_name"]) == ("agent_handoff", "ag_1", "B")


def test_a_call_that_a_handoff_followed_is_none_to_be_run() -> None:
    fixed = {"id": "handoff_1", "output_index": 2, "previous_agent_id": "ag_1", "next_agent_id": "ag_2"}
    before = [call('{"a": 1}'), call('{"a": ', entry="fc_2", call_id="Void22222", out=1)]
    handoff = [{"type": f"agent.handoff.{step}", "created_at": at(61), **fixed} for step in ("started", "done")]
    behind = call('{"b": 2}', entry="fc_3", call_id="Later3333", out=3)

    message = both(*before, *handoff, behind)
    assert [one["id"] for one in message.tool_calls] == ["Later3333"]
    assert message.invalid_tool_calls == []
    assert message.response_metadata["finish_reason"] == "tool_calls"
    values = [block.get("value", {}).get("type", block["type"]) for block in message.content_blocks]
    assert values == ["function.call", "function.call", "agent_handoff", "tool_call"]

    message = both(*before, *handoff, text("Hello from B", out=3))
    assert message.tool_calls == message.invalid_tool_calls == []
    assert (message.text, message.response_metadata["finish_reason"]) == ("Hello from B", "stop")


def test_what_nobody_knows_is_kept() -> None:
    message = both(
        text("a"),
        text({"type": "brand_new_chunk", "x": 1}, place=1),
        {"type": "brand.new.event", "created_at": at(70), "y": 2},
    )

    values = [block["value"] for block in message.content_blocks if block["type"] == "non_standard"]
    assert [value["type"] for value in values] == ["brand_new_chunk", "brand.new.event"]


def test_an_unknown_entry_of_a_call_is_kept() -> None:
    outputs = [{"type": "memory.recall", "id": "mem_1", "fact": 1}]
    message = make_answer(Turn.from_response({"conversation_id": "conv_1", "outputs": outputs}), SENT)

    assert message.content_blocks[0]["value"] == outputs[0]


def test_messages_before_and_after_a_tool_stay_in_order() -> None:
    message = both(
        text("Let me look.", entry="msg_1", out=0, second=1),
        tool("started", "t", 2, out=1),
        tool("done", "t", 3, out=1, info={"result": "ok"}),
        text("Found.", entry="msg_2", out=2, second=4),
    )

    assert kinds(message) == ["text", "server_tool_call", "server_tool_result", "text"]
    assert message.text == "Let me look.Found."
    assert message.response_metadata["entry_ids"] == ["msg_1", "t", "msg_2"]


def test_an_answer_without_words_has_no_blocks() -> None:
    assert both(text("")).content == ""
