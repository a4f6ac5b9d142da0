"""Batch jobs: uploaded, waited for, taken up by another process, results in order with errors in place."""

from __future__ import annotations

import inspect
import json
import pickle
from typing import Any

import pytest
from langchain_core.load import dumps, loads
from langchain_core.messages import AIMessage, HumanMessage
from llama_index.core.base.llms.types import ChatMessage

from langchain_mistral_agents import ChatMistralAgent
from llama_index_mistral_agents import MistralAgentLLM
from mistral_agents import CodeInterpreter, MistralAgents, Prices
from mistral_agents.batches import BatchFailedError
from mistral_agents.errors import ConfigurationError, InvalidRequestError, MistralAgentsError, ResponseFormatError
from tests.support.scripted import ScriptedModel, fail, say


@pytest.fixture
def talker(standin_factory: Any, scripted: ScriptedModel) -> MistralAgents:
    return MistralAgents(api_key="k", base_url=standin_factory(model_url=scripted.url).base_url, max_retries=0)


def echo(body: dict[str, Any]) -> Any:
    return say(f"echo {body['messages'][-1]['content']}")


def body(text: str, **fields: Any) -> dict[str, Any]:
    return {"inputs": text, "model": "m", **fields}


async def test_results_stand_in_the_order_of_the_requests(talker: MistralAgents, scripted: ScriptedModel) -> None:
    scripted.always(echo)
    requests = [body("a"), body("b", nonsense=1), body("c")]
    jobs = [talker.batches.create(requests, metadata={"run": "7"}), await talker.batches.acreate(requests)]
    for way, job in zip(("sync", "async"), jobs, strict=True):
        if way == "sync":
            ended, results = talker.batches.wait(job.id), talker.batches.results(job.id)
        else:
            ended, results = await talker.batches.await_end(job.id), await talker.batches.aresults(job.id)
        assert (ended.status, ended.progress) == ("SUCCESS", (3, 3))
        assert [one.index for one in results] == [0, 1, 2]
        assert [one.turn.text for one in (results[0], results[2])] == ["echo a", "echo c"]
        assert isinstance(results[1].error, InvalidRequestError)
        with pytest.raises(InvalidRequestError, match="Request 1 of the batch job"):
            _ = results[1].turn
        used = sum(one.usage.prompt_tokens for one in results)
        assert used == 22, "what the two answers used"
        assert Prices(tokens={"*": (1.0, 1.0)}).of(results[0].usage, "m") is not None
    assert [one.id for one in talker.batches.list(metadata={"run": "7"})] == [jobs[0].id]
    assert [one.id async for one in talker.batches.alist()] == [jobs[1].id, jobs[0].id]
    talker.batches.delete(jobs[0].id)
    await talker.batches.adelete(jobs[1].id)
    assert list(talker.batches.list()) == []
    await talker.aclose()


def test_a_running_job_is_waited_for_by_whoever_knows_its_id(
    make_client: Any, wire: Any, waits: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    monkeypatch.setattr("mistral_agents.batches.time.sleep", slept.append)
    rows = {"total_requests": 2, "completed_requests": 1}
    wire.answer(
        (200, {"id": "j", "status": "QUEUED", **rows}),
        (200, {"id": "j", "status": "RUNNING", **rows}),
        (200, {"id": "j", "status": "SUCCESS", **rows}),
    )
    assert make_client().batches.wait("j").status == "SUCCESS"
    assert len(slept) == 2
    wire.answer((200, {"id": "j", "status": "RUNNING", **rows}))
    assert make_client().batches.wait("j", timeout=0).is_running
    with pytest.raises(ConfigurationError, match="wait for its end"):
        make_client().batches.results("j")


async def test_a_job_is_cancelled(make_client: Any, wire: Any) -> None:
    wire.answer((200, {"id": "j", "status": "CANCELLATION_REQUESTED"}))
    client = make_client()
    assert client.batches.cancel("j").is_running
    assert (await client.batches.acancel("j")).is_running
    assert {(one.method, one.url.path) for one in wire.requests} == {("POST", "/v1/batch/jobs/j/cancel")}
    await client.aclose()


FILE = {"id": "01a07bff-b1ed-70bd-b7d4-34b652c070bb", "object": "file", "purpose": "batch"}
NO = (422, {"detail": [{"msg": "no such endpoint"}]})


@pytest.mark.parametrize("way", ["create", "acreate"])
@pytest.mark.parametrize(
    ("replies", "methods", "named"),
    [
        ([NO, (200, {"deleted": True})], ["POST", "POST", "DELETE"], False),
        ([NO, (500, {})], ["POST", "POST", "DELETE"], True),
        ([(500, {})], ["POST", "POST"], True),
        ([(200, b"no job")], ["POST", "POST"], True),
    ],
    ids=["refused", "refused and kept", "unknown", "unreadable"],
)
async def test_the_input_of_a_job_that_did_not_start_is_deleted_or_named(
    make_client: Any, wire: Any, way: str, replies: Any, methods: Any, named: bool
) -> None:
    wire.answer((200, FILE), *replies)
    client = make_client(max_retries=0)

    async def create() -> None:
        made = getattr(client.batches, way)([body("hi")], model="m")
        assert await made is None

    with pytest.raises(MistralAgentsError) as caught:
        await create()
    assert [request.method for request in wire.requests] == methods
    assert (FILE["id"] in str(caught.value)) is named
    await client.aclose()


def test_what_has_no_result_is_an_error_in_its_place(make_client: Any, wire: Any) -> None:
    job = {"id": "j", "status": "TIMEOUT_EXCEEDED", "total_requests": 3, "output_file": "f", "error_file": None}
    line = {"custom_id": "1", "response": {"status_code": 200, "body": {"outputs": [], "conversation_id": "c"}}}
    wire.answer((200, job), (200, json.dumps(line).encode()))
    results = make_client().batches.results("j")
    assert [type(one.error) for one in results] == [BatchFailedError, type(None), BatchFailedError]
    assert results[1].turn.conversation_id == "c"
    wire.answer((200, {"id": "j", "status": "FAILED", "errors": [{"message": "no such model"}], "total_requests": 0}))
    with pytest.raises(BatchFailedError, match="FAILED and has no results: no such model"):
        make_client().batches.results("j")


def test_half_a_character_in_a_result_is_replaced(make_client: Any, wire: Any) -> None:
    job = {"id": "j", "status": "SUCCESS", "total_requests": 1, "output_file": "f", "error_file": None}
    said = {"type": "message.output", "content": "a\ud83d"}
    row = {"custom_id": "0", "response": {"status_code": 200, "body": {"outputs": [said], "conversation_id": "c"}}}
    wire.answer((200, job), (200, json.dumps(row).encode()))
    [result] = make_client().batches.results("j")
    assert result.turn.text == "a\ufffd"


def test_a_failure_told_in_the_body_of_a_good_result_is_its_error(make_client: Any, wire: Any) -> None:
    job = {"id": "j", "status": "SUCCESS", "total_requests": 2, "output_file": "f", "error_file": None}
    failed = [
        {"object": "error", "message": "all taken"},
        {"conversation_id": "c", "outputs": [], "error": "all taken"},
    ]
    rows = [{"custom_id": str(n), "response": {"status_code": 200, "body": body}} for n, body in enumerate(failed)]
    wire.answer((200, job), (200, "\n".join(map(json.dumps, rows)).encode()))
    results = make_client().batches.results("j")
    assert all("all taken" in str(one.error) for one in results)
    assert [one.error.conversation_id for one in results] == [None, "c"]


@pytest.mark.parametrize("odd", [None, 7, ["RUNNING"], {"a": 1}])
def test_a_status_that_is_no_word_is_no_running_job(make_client: Any, wire: Any, odd: object) -> None:
    wire.answer((200, {"id": "j", "status": odd, "errors": 7}))
    assert make_client().batches.wait("j", timeout=1).is_running is False
    with pytest.raises(BatchFailedError):
        make_client().batches.results("j")


def test_what_cant_be_sent_is_refused_before_the_upload(make_client: Any, wire: Any) -> None:
    batches = make_client().batches
    with pytest.raises(ConfigurationError, match="at least one"):
        batches.create([])
    with pytest.raises(ConfigurationError, match=r"requests\[1\] asks for a stream"):
        batches.create([body("a"), body("b", stream=True)])
    model = ChatMistralAgent(model="m", client=make_client(), store=True, conversation_id="conv_1")
    with pytest.raises(ConfigurationError, match="only begins conversations"):
        model.batch_job(["a"])
    limited = ChatMistralAgent(model="m", client=make_client(), connectors=[CodeInterpreter(timeout=3)])
    with pytest.raises(ConfigurationError, match="Limits on tool runs"):
        limited.batch_job(["a"])
    assert [one for one in wire.requests if one.method == "POST"] == []


@pytest.mark.parametrize("store", [True, False])
async def test_langchain_asks_many_at_once(talker: MistralAgents, scripted: ScriptedModel, store: bool) -> None:
    scripted.script(say("one"), fail(500), say("three"))
    model = ChatMistralAgent(model="m", client=talker, store=store, instructions="Be brief.")
    inputs: list[Any] = ["a", [HumanMessage("b")], "c"]
    job = model.batch_job(inputs)
    assert job.wait(show_progress=False).status == "SUCCESS"
    again = await ChatMistralAgent(model="m", client=talker, store=store, instructions="Be brief.").abatch_job(
        inputs, job_id=job.id
    )
    assert not (await again.await_end()).is_running
    for found in (job.results(), await again.aresults()):
        assert [type(one) is AIMessage or isinstance(one, MistralAgentsError) for one in found] == [True] * 3
        first, second, third = found
        assert isinstance(first, AIMessage)
        assert isinstance(second, MistralAgentsError)
        assert isinstance(third, AIMessage)
        assert (first.text, third.text) == ("one", "three")
    assert job.usage().prompt_tokens == 22
    scripted.always(echo)
    assert isinstance(first, AIMessage)
    assert model.invoke([HumanMessage("a"), first, HumanMessage("more")]).text == "echo more", (
        "an answer is gone on from"
    )
    await talker.aclose()


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


BOUND: dict[str, Any] = {
    "given with the job": lambda model: (model, {"temperature": 0.2, "tools": iter([add])}),
    "bound": lambda model: (model.bind_tools([add], temperature=0.2), {}),
    "bound to what has a config": lambda model: (model.with_config(tags=["a"]).bind(temperature=0.2, tools=[add]), {}),
    "bound, and given with the job": lambda model: (model.bind_tools([add], temperature=0.9), {"temperature": 0.2}),
}


@pytest.mark.parametrize("way", ["sync", "async"])
@pytest.mark.parametrize("how", BOUND)
async def test_options_of_a_call_are_those_of_each_request(
    talker: MistralAgents, scripted: ScriptedModel, how: str, way: str
) -> None:
    scripted.always(echo)
    model, options = BOUND[how](ChatMistralAgent(model="m", client=talker))
    job = model.batch_job(["a", "b"], **options) if way == "sync" else await model.abatch_job(["a", "b"], **options)
    job.wait()
    assert [one.text for one in job.results()] == ["echo a", "echo b"]
    asked = [(one["temperature"], [tool["function"]["name"] for tool in one["tools"]]) for one in scripted.requests]
    assert asked == [(0.2, ["add"])] * 2
    await talker.aclose()


def test_options_of_a_call_are_those_of_each_request_in_llama_index(
    talker: MistralAgents, scripted: ScriptedModel
) -> None:
    scripted.always(echo)
    MistralAgentLLM("m", client=talker).batch_job(["a", "b"], temperature=0.2).wait()
    assert [one["temperature"] for one in scripted.requests] == [0.2, 0.2]


@pytest.mark.parametrize(("name", "value"), [("headers", {"x-team": "a"}), ("timeout", 3)])
@pytest.mark.parametrize("wing", [ChatMistralAgent, MistralAgentLLM])
def test_a_job_has_no_headers_or_timeout_of_a_call(
    make_client: Any, wire: Any, wing: Any, name: str, value: Any
) -> None:
    with pytest.raises(ConfigurationError, match=f"no {name} of a call"):
        wing(model="m", client=make_client()).batch_job(["a"], **{name: value})
    assert wire.requests == []


def test_a_bound_model_is_written_as_langchains_binding(talker: MistralAgents) -> None:
    bound = ChatMistralAgent(model="m", client=talker).bind(temperature=0.2)
    again: Any = loads(dumps(bound), valid_namespaces=["langchain_mistral_agents"], allowed_objects="all")
    assert (again.bound.model, again.kwargs) == ("m", {"temperature": 0.2})
    assert pickle.loads(pickle.dumps(bound)).kwargs == {"temperature": 0.2}


async def test_llama_index_asks_many_at_once(talker: MistralAgents, scripted: ScriptedModel) -> None:
    scripted.always(echo)
    llm = MistralAgentLLM("m", client=talker)
    inputs = ["a", [ChatMessage(content="b")]]
    job = llm.batch_job(inputs)
    job.wait()
    resumed = await llm.abatch_job(inputs, job_id=job.id)
    await resumed.await_end()
    for found in (job.results(), await resumed.aresults()):
        assert [one.message.content for one in found if not isinstance(one, MistralAgentsError)] == ["echo a", "echo b"]
    assert job.usage().prompt_tokens == 22
    await talker.aclose()


@pytest.mark.parametrize("wrong", ["What is 2 + 3?", b"q", {"a": "b"}, None, 5, []])
@pytest.mark.parametrize("wing", [ChatMistralAgent, MistralAgentLLM])
async def test_one_input_is_not_taken_for_many(make_client: Any, wire: Any, wing: Any, wrong: Any) -> None:
    """A text would be a request for each of its letters."""
    model = wing(model="m", client=make_client())
    with pytest.raises(ConfigurationError, match="inputs must"):
        model.batch_job(wrong)
    with pytest.raises(ConfigurationError, match="inputs must"):
        await model.abatch_job(wrong)
    assert wire.requests == []


@pytest.mark.parametrize("requests", [["x"], "x", [None], {"inputs": "x"}])
def test_requests_that_are_no_bodies_are_refused(make_client: Any, wire: Any, requests: Any) -> None:
    with pytest.raises(ConfigurationError, match="requests must be a list of mappings"):
        make_client().batches.create(requests, model="m")
    for hours in (0, 169, True, "3"):
        with pytest.raises(ConfigurationError, match="timeout_hours must be a whole number"):
            make_client().batches.create([body("a")], timeout_hours=hours)
    assert wire.requests == []


@pytest.mark.parametrize("metadata", [7, "team", ["team"], {"team": object()}])
def test_metadata_that_is_no_mapping_is_refused_before_anything_is_uploaded(
    make_client: Any, wire: Any, metadata: Any
) -> None:
    with pytest.raises(ConfigurationError, match=r"metadata must be|JSON"):
        make_client().batches.create([body("a")], metadata=metadata)
    assert wire.requests == []


async def test_a_job_is_taken_up_with_its_own_inputs_only(talker: MistralAgents, scripted: ScriptedModel) -> None:
    scripted.always(echo)
    model = ChatMistralAgent(model="m", client=talker)
    job = model.batch_job(["a", "b"])
    job.wait()
    assert [one.text for one in model.batch_job(["a", "b"], job_id=job.id).results()] == ["echo a", "echo b"]
    assert await job.ausage() == job.usage()
    with pytest.raises(ConfigurationError, match="has 2 requests, but 1 inputs were given"):
        model.batch_job(["a"], job_id=job.id).results()
    with pytest.raises(ConfigurationError, match="job_id must be a non-empty text"):
        model.batch_job(["a"], job_id=" ")
    await talker.aclose()


def test_a_result_with_a_line_separator_in_its_text_is_one_line(make_client: Any, wire: Any) -> None:
    text = "one\u2028two\x85three"
    reply = {"outputs": [{"type": "message.output", "content": text}], "usage": {}}
    line = json.dumps({"custom_id": "0", "response": {"status_code": 200, "body": reply}}, ensure_ascii=False)
    job = {"id": "job_1", "status": "SUCCESS", "total_requests": 1, "completed_requests": 1, "output_file": "f"}
    wire.answer((200, job), (200, f"{line}\n".encode()))
    (result,) = make_client().batches.results("job_1")
    assert result.turn.text == text


def test_lines_of_no_request_are_kept_beside_the_answers(make_client: Any, wire: Any) -> None:
    good = {"custom_id": "0", "response": {"status_code": 200, "body": {"outputs": [], "conversation_id": "c"}}}
    lines = [json.dumps(good), "cut off {", "[" * 100_000, json.dumps({**good, "custom_id": "²"})]
    job = {"id": "j", "status": "SUCCESS", "total_requests": 2, "output_file": "f", "error_file": None}
    wire.answer((200, job), (200, "\n".join(lines).encode()))
    answered, missing = make_client().batches.results("j")
    assert answered.turn.conversation_id == "c"
    assert "3 lines belong to none" in str(missing.error)
    assert missing.error.body == [*lines[1:3], {**good, "custom_id": "²"}]


@pytest.mark.parametrize("total", [None, 2])
async def test_results_that_do_not_match_the_inputs_are_not_blamed_on_them(
    make_client: Any, wire: Any, total: int | None
) -> None:
    """A job that tells no total and lost a result, or has one too many: each input has its answer or an error."""
    reply = {"outputs": [{"type": "message.output", "content": "a"}], "usage": {}, "conversation_id": "c"}
    rows = [{"custom_id": name, "response": {"status_code": 200, "body": reply}} for name in ("0", "7")]
    job = {"id": "j", "status": "SUCCESS", "total_requests": total, "output_file": "f"}
    model = ChatMistralAgent(model="m", client=make_client())
    found = model.batch_job(["q", "r"], job_id="j")
    for read in (found.results, found.aresults):
        wire.answer((200, job), (200, "\n".join(map(json.dumps, rows)).encode()))
        told = read()
        answer, missing = await told if inspect.isawaitable(told) else told
        assert answer.text == "a"
        assert "Request 1 of the batch job has no result" in str(missing)
        assert missing.body == [rows[1]]


def test_a_request_that_is_no_json_is_refused_by_name(make_client: Any, wire: Any) -> None:
    batches = make_client().batches
    for wrong in ({"inputs": object()}, {"inputs": "q", "temperature": float("nan")}):
        with pytest.raises(ConfigurationError, match="written as JSON"):
            batches.create([wrong], model="m")
    assert wire.requests == []


def test_a_job_of_another_program_loses_no_answer(make_client: Any, wire: Any) -> None:
    reply = {"status_code": 200, "body": {"outputs": [], "conversation_id": "c"}}
    rows = [{"custom_id": name, "response": reply} for name in ("a", "20260101")]
    job = {"id": "j", "status": "SUCCESS", "total_requests": 2, "output_file": "f", "error_file": None}
    file = (200, "\n".join(map(json.dumps, rows)).encode())
    wire.answer((200, job), file)
    assert [one.error.body for one in make_client().batches.results("j")] == [rows, rows]
    wire.answer((200, {**job, "total_requests": 0}), file)
    with pytest.raises(ResponseFormatError, match="2 lines belong to none") as caught:
        make_client().batches.results("j")
    assert caught.value.body == rows
