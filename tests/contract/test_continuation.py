"""Where a turn goes, in every way a user can ask: what is new is sent, edits are noticed, nothing is said twice."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from mistral_agents import DocumentLibrary, MistralAgents
from mistral_agents._http import sdk
from mistral_agents.errors import ConfigurationError, DivergenceError, MistralAgentsError, UnknownOutcomeError
from tests.contract.conftest import World
from tests.contract.test_edits import Service
from tests.contract.ways import Way, each_stored_way, each_way
from tests.support.scripted import call, say

SHELVES = [f"{letter * 8}-1111-4111-8111-111111111111" for letter in "ab"]


def talk(way: Way, world: World, *texts: str) -> list[Any]:
    """A conversation of some turns, ending with an answer."""
    model, messages = way.model(world.client), []
    for text in texts:
        messages.append(way.user(text))
        messages.append(way.ask(model, messages))
    return messages


def said(body: Any) -> list[str]:
    inputs = body["inputs"]
    return [inputs] if isinstance(inputs, str) else [entry["content"] for entry in inputs]


def heard(world: World) -> list[str]:
    """What the model was told with its last request."""
    return [message["content"] for message in world.mind.requests[-1]["messages"]]


@each_way
def test_only_what_is_new_is_sent_of_a_stored_conversation(way: Way, world: World) -> None:
    world.mind.always(say("ok"))
    messages = talk(way, world, "one", "two")
    assert [path for path, _ in world.turns] == (["", "/"] if way.stored else ["", ""])
    assert said(world.turns[-1][1]) == (["two"] if way.stored else ["one", "ok", "two"])
    assert heard(world) == ["one", "ok", "two"]
    assert way.text(messages[-1]) == "ok"


@each_way
def test_an_edited_beginning_is_heard(way: Way, world: World) -> None:
    world.mind.always(say("ok"))
    messages = talk(way, world, "My name is Ada.", "I like cats.")
    messages[0] = way.user("My name is Eve.")
    way.ask(way.model(world.client), [*messages, way.user("Who am I?")])
    assert heard(world) == ["My name is Eve.", "ok", "I like cats.", "ok", "Who am I?"]
    assert world.turns[-1][0] == ""


@each_way
def test_an_edit_in_the_middle_branches_at_the_last_shared_answer(way: Way, world: World) -> None:
    world.mind.always(say("ok"))
    messages = talk(way, world, "one", "two")
    messages[2] = way.user("TWO")
    answer = way.ask(way.model(world.client), [*messages, way.user("three")])
    assert heard(world) == ["one", "ok", "TWO", "ok", "three"]
    assert world.turns[-1][0] == ("/restart" if way.stored else "")
    world.forget()
    way.ask(way.model(world.client), [*messages, way.user("three"), answer, way.user("four")])
    assert heard(world)[-3:] == ["three", "ok", "four"]
    assert world.turns[-1][0] == ("/" if way.stored else "")


@each_way
@pytest.mark.parametrize("same_process", [True, False])
def test_a_rewound_conversation_branches(way: Way, world: World, same_process: bool) -> None:
    world.mind.always(say("ok"))
    messages = talk(way, world, "one", "two")
    if not same_process:
        world.forget()
    answer = way.ask(way.model(world.client), [*messages[:2], way.user("other")])
    assert heard(world) == ["one", "ok", "other"]
    if way.stored:
        assert world.turns[-1][0] == "/restart"
        assert world.inputs_of(way.conversation(messages[-1])) == ["one", "two"]
        assert way.conversation(answer) != way.conversation(messages[-1])


@each_way
def test_a_trimmed_history_is_what_the_model_hears(way: Way, world: World) -> None:
    world.mind.always(say("ok"))
    messages = talk(way, world, "one", "two")
    way.ask(way.model(world.client), [*messages[2:], way.user("three")])
    assert heard(world) == ["two", "ok", "three"]


@each_way
def test_other_tools_take_effect(way: Way, world: World) -> None:
    world.mind.always(say("ok"))
    messages = [way.user("Which colour?")]
    messages.append(way.ask(way.model(world.client, [DocumentLibrary([SHELVES[0]])]), messages))
    messages.append(way.user("And now?"))
    way.ask(way.model(world.client, [DocumentLibrary([SHELVES[1]])]), messages)
    path, body = world.turns[-1]
    assert (path, body["tools"][0]["library_ids"]) == ("", [SHELVES[1]])


@each_way
def test_another_model_takes_effect(way: Way, world: World) -> None:
    """A conversation keeps the model that it was begun with, so another one begins its own with all that was said."""
    world.mind.always(say("ok"))
    messages = talk(way, world, "one", "two")
    for other in ("other", "other", None):
        settings = {"model": other} if other is not None else {}
        messages.append(way.user(f"and {other}?"))
        messages.append(way.ask(way.model(world.client, **settings), messages))
    asked = [request["model"] for request in world.mind.requests]
    assert asked == [asked[0], asked[0], "other", "other", asked[0]]
    assert heard(world) == ["one", "ok", "two", "ok", "and other?", "ok", "and other?", "ok", "and None?"]
    kept = "/" if way.stored else ""
    assert [path for path, _ in world.turns] == ["", kept, "", kept, ""]


@each_stored_way
def test_a_divergence_may_be_refused(way: Way, world: World) -> None:
    world.mind.always(say("ok"))
    messages = talk(way, world, "one", "two")
    model = way.model(world.client, on_divergence="raise")
    with pytest.raises(DivergenceError, match="gone on"):
        way.ask(model, [*messages[:2], way.user("other")])
    way.ask(way.model(world.client, on_divergence="new"), [*messages[:2], way.user("other")])
    assert world.turns[-1][0] == ""


@each_stored_way
def test_a_conversation_named_by_its_id_goes_on_behind_the_last_answer_it_holds(way: Way, world: World) -> None:
    world.mind.always(say("Blue."))
    started = world.client.conversations.start("Sky?", model="m", store=True).conversation_id
    model = way.model(world.client, conversation_id=started)
    way.ask(model, [way.user("Sky?"), way.assistant("Blue."), way.user("Why?")])
    assert (world.turns[-1][0], said(world.turns[-1][1])) == ("/", ["Why?"])
    with pytest.raises(ConfigurationError, match="do not continue"):
        way.ask(model, [way.user("Sea?"), way.assistant("Green."), way.user("Why?")])


@each_stored_way
@pytest.mark.parametrize("named", [True, False], ids=["by its id", "by its answers"])
def test_the_same_turn_again_after_a_lost_answer_is_not_said_twice(way: Way, world: World, named: bool) -> None:
    world.mind.always(say("ok"))
    messages = talk(way, world, "hello")
    conversation = way.conversation(messages[-1])
    model = way.model(world.client, conversation_id=conversation) if named else way.model(world.client)
    asked = [way.user("BUY")] if named else [*messages, way.user("BUY")]
    world.mind.always(say("bought"))
    world.served.faults.cut_stream(2, method="POST", path="/v1/conversations")
    world.served.faults.answer(500, method="GET", path="/history")
    with pytest.raises(MistralAgentsError) as caught:
        way.ask(model, asked)
    assert getattr(caught.value, "is_retryable", False) is False
    assert way.text(way.ask(model, asked)) == "bought"
    assert world.inputs_of(conversation) == ["hello", "BUY"]


@each_stored_way
def test_a_lost_answer_is_found_by_whoever_read_a_part_of_it(way: Way, world: World) -> None:
    """A call gives the answer of the history; a stream that has begun fails, and its error holds that answer."""
    world.mind.always(say("ok"))
    messages = talk(way, world, "hello")
    world.mind.always(say("bought"))
    world.served.faults.cut_stream(450, method="POST", path="/v1/conversations")
    asked = [*messages, way.user("BUY")]
    if way.streamed:
        with pytest.raises(MistralAgentsError) as caught:
            way.ask(way.model(world.client), asked)
        part, whole = caught.value.turn, caught.value.found
        assert (part is not None and part.complete, whole is not None and whole.complete) == (False, True)
        answer = whole.text if whole is not None else ""
    else:
        answer = way.text(way.ask(way.model(world.client), asked))
    assert answer == "bought"
    assert world.inputs_of(way.conversation(messages[-1])) == ["hello", "BUY"]


@each_stored_way
def test_what_was_said_before_is_not_taken_for_an_answer(way: Way, world: World) -> None:
    """Nothing is known of the conversation but its id, and its last words are the same: nobody knows, nothing is sent."""
    world.mind.always(say("ok"))
    started = world.client.conversations.start("BUY", model="m", store=True).conversation_id
    world.forget()
    model = way.model(world.client, conversation_id=started)
    world.served.faults.drop_before(method="POST", path="/v1/conversations")
    with pytest.raises(MistralAgentsError):
        way.ask(model, [way.user("BUY")])
    with pytest.raises(UnknownOutcomeError):
        way.ask(model, [way.user("BUY")])
    assert world.inputs_of(started) == ["BUY"]


@each_stored_way
def test_another_writers_answer_is_never_ours(way: Way, world: World) -> None:
    world.mind.always(say("ours"))
    messages = talk(way, world, "hello")
    conversation = way.conversation(messages[-1])
    world.mind.always(say("theirs"))
    world.client.conversations.append(str(conversation), "another question")
    world.served.faults.drop_before(method="POST", path="/v1/conversations")
    with pytest.raises(MistralAgentsError) as caught:
        way.ask(way.model(world.client, conversation_id=conversation), [way.user("BUY")])
    assert caught.value.turn is None or "theirs" not in caught.value.turn.text
    assert world.inputs_of(conversation) == ["hello", "another question"]


@each_stored_way
def test_calls_that_someone_left_open_are_closed_with_the_next_turn(way: Way, world: World) -> None:
    tool = {"type": "function", "function": {"name": "price", "parameters": {"type": "object", "properties": {}}}}
    world.mind.script(call("price"), say("never mind"))
    started = world.client.conversations.start("What does it cost?", model="m", store=True, tools=[tool])
    world.forget()
    model = way.model(world.client, conversation_id=started.conversation_id)
    world.served.faults.answer(500, method="POST", path="/v1/conversations")
    with pytest.raises(MistralAgentsError):
        way.ask(model, [way.user("Forget it.")])
    assert way.text(way.ask(model, [way.user("Forget it.")])) == "never mind"
    kinds = [entry["type"] for entry in world.turns[-1][1]["inputs"]]
    assert kinds == ["function.result", "message.input"]


class Meanwhile(Service):
    """Does something while the first further turn of a conversation is under way."""

    def __init__(self, way: Way) -> None:
        super().__init__()
        self.way = way
        self.jobs: list[Callable[[], Any]] = []

    def make_client(self) -> MistralAgents:
        """A client that it answers."""
        library = sdk.http()

        async def answer(request: Any) -> Any:
            return self(request)

        return MistralAgents(
            api_key="k",
            base_url=f"https://{str(self.way).replace(' ', '-').replace('_', '-')}.test",
            http_client=library.Client(transport=library.MockTransport(self)),
            async_http_client=library.AsyncClient(transport=library.MockTransport(answer)),
        )

    def ask(self, messages: list[Any]) -> Any:
        """An answer to messages, by a client of its own."""
        return self.way.ask(self.way.model(self.make_client()), messages)

    def __call__(self, request: Any) -> Any:
        if self.jobs and request.method == "POST":
            with ThreadPoolExecutor(1) as pool:
                pool.submit(self.jobs.pop()).result()
        return super().__call__(request)


@each_stored_way
def test_turns_from_one_answer_at_a_time_do_not_hear_one_another(way: Way) -> None:
    """A batch of questions behind one history, or parallel steps of a graph: the first goes on, others are branches."""
    service = Meanwhile(way)
    messages = [way.user("Hello.")]
    messages.append(service.ask(messages))
    answers: list[Any] = []
    service.jobs = [lambda: answers.append(service.ask([*messages, way.user("Two?")]))]
    answers.append(service.ask([*messages, way.user("One?")]))
    kept = [service.kept[str(way.conversation(answer))] for answer in answers]
    said = [[entry["content"] for entry in entries if entry["type"] == "message.input"] for entries in kept]
    assert said == [["Hello.", "Two?"], ["Hello.", "One?"]]
    last = service.ask([*messages, way.user("One?"), answers[-1], way.user("Three?")])
    assert way.conversation(last) == way.conversation(answers[-1]) == way.conversation(messages[1])


@each_stored_way
def test_turns_of_one_history_of_the_service_all_go_into_it(way: Way) -> None:
    """A session's history is one conversation for all who use it at the same time; none of them forgets another."""
    service = Meanwhile(way)
    named = str(way.conversation(service.ask([way.user("Hello.")])))
    if way.wing == "langchain":
        from langchain_mistral_agents import MistralConversationHistory

        held: list[Any] = MistralConversationHistory(named, client=service.make_client()).messages
    else:
        from llama_index_mistral_agents import MistralConversationMemory

        held = MistralConversationMemory(conversation_id=named, client=service.make_client()).get_all()
    answers: list[Any] = []
    service.jobs = [lambda: answers.append(service.ask([*held, way.user("Two?")]))]
    answers.append(service.ask([*held, way.user("One?")]))
    assert [way.conversation(answer) for answer in answers] == [named, named]
    said = [entry["content"] for entry in service.kept[named] if entry["type"] == "message.input"]
    assert said == ["Hello.", "Two?", "One?"]


@each_stored_way
def test_a_turn_that_was_not_made_leaves_its_place_to_the_next(way: Way, world: World) -> None:
    """The error may be kept by whoever saw it, as notebooks do."""
    world.mind.script(say("Hi."), say("Yes."))
    messages = talk(way, world, "Hello.")
    messages.append(way.user("One?"))
    with pytest.raises(ConfigurationError) as kept:
        way.ask(way.model(world.client), messages, headers={"x-tenant": "a\nb"})
    last = way.ask(way.model(world.client), messages)
    assert way.conversation(last) == way.conversation(messages[1])
    assert kept.value


class Silent(Meanwhile):
    """Answers the turns in `silent` with nothing; such an answer has no entries."""

    silent: tuple[str, ...] = ()

    def __call__(self, request: Any) -> Any:
        reply = super().__call__(request)
        told = reply.json()
        if request.method == "GET" or json.loads(request.content)["inputs"][-1]["content"] not in self.silent:
            return reply
        del self.kept[told["conversation_id"]][-1]
        return self._reply({**told, "outputs": []})


def said_in(service: Service, conversation: object) -> list[str]:
    return [entry["content"] for entry in service.kept[str(conversation)] if entry["type"] == "message.input"]


@each_stored_way
@pytest.mark.parametrize("same_process", [True, False])
def test_an_answer_of_nothing_is_no_dead_end(way: Way, world: World, same_process: bool) -> None:
    service = Silent(way)
    service.silent = ("Hello.", "Two?")
    messages: list[Any] = []
    for text in ("Hello.", "One?", "Two?", "Three?"):
        messages += [way.user(text), service.ask([*messages, way.user(text)])]
        if not same_process:
            world.forget()
    assert {way.conversation(answer) for answer in messages[1::2]} == {way.conversation(messages[1])}
    assert said_in(service, way.conversation(messages[1])) == ["Hello.", "One?", "Two?", "Three?"]


@each_stored_way
def test_a_conversation_that_went_on_behind_an_answer_of_nothing_is_not_mixed_with_another(
    way: Way, world: World
) -> None:
    service = Silent(way)
    service.silent = ("Hello.",)
    messages = [way.user("Hello.")]
    messages.append(service.ask(messages))
    service.ask([*messages, way.user("Never mind.")])
    for same_process in (True, False):
        if not same_process:
            world.forget()
        other = service.ask([*messages, way.user("Who am I?")])
        assert said_in(service, way.conversation(other)) == ["Hello.", "Who am I?"]


class Nameless(Meanwhile):
    """Answers without ids, in replies and in histories."""

    def __call__(self, request: Any) -> Any:
        reply = super().__call__(request)
        told = reply.json()
        if request.method == "GET":
            return reply
        said = {name: value for name, value in told["outputs"][0].items() if name != "id"}
        self.kept[told["conversation_id"]][-1] = said
        return self._reply({**told, "outputs": [said]})


@each_stored_way
def test_a_conversation_goes_on_behind_an_answer_without_an_id(way: Way, world: World) -> None:
    service = Nameless(way)
    messages: list[Any] = []
    for text in ("Hello.", "One?", "Two?"):
        messages += [way.user(text), service.ask([*messages, way.user(text)])]
        world.forget()
    assert said_in(service, way.conversation(messages[1])) == ["Hello.", "One?", "Two?"]
