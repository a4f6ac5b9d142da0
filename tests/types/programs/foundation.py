"""A user's program on the foundation; lines marked as errors are mistakes that a type checker must tell."""

from __future__ import annotations

from mistral_agents import (
    CodeInterpreter,
    Conversation,
    DocumentLibrary,
    Meter,
    MistralAgents,
    MistralAgentsError,
    Prices,
    Turn,
    WebSearch,
    function_result,
    show,
    translate_tools,
)
from mistral_agents.entries import FunctionCall, Message
from mistral_agents.events import CallDelta, EventReader, RunEnd, TextDelta
from mistral_agents.options import ClientOptions, CompletionOptions


def get_weather(city: str) -> str:
    return f"Rain in {city}"


def make_client() -> MistralAgents:
    MistralAgents(api_key="key", timeout="long")  # error
    MistralAgents(api_kei="key")  # error
    return MistralAgents(api_key="key", base_url="http://localhost:8080", timeout=30, max_retries=1)


def use_records(client: MistralAgents) -> list[str]:
    agent = client.agents.create(
        model="mistral-medium-latest",
        name="Ada",
        instructions="Be brief.",
        tools=[WebSearch(), CodeInterpreter()],
        completion_args={"temperature": 0.2},
    )
    client.agents.create(model="mistral-medium-latest")  # error
    client.agents.create(model="mistral-medium-latest", name="Ada", instruction="Be brief.")  # error
    library = client.libraries.create(name="Handbook")
    agent.nmae  # error
    library.ident  # error
    names: list[str] = [each.id for each in client.agents.list()]
    return [agent.id, library.id, library.name, *names]


def read_turn(turn: Turn) -> str:
    for entry in turn.entries:
        match entry:
            case FunctionCall():
                print(entry.name, entry.tool_call_id)
            case Message():
                print(entry.role)
            case _:
                print(entry.type)
    turn.txt  # error
    total: int = turn.usage.total_tokens
    conversation_id: str | None = turn.conversation_id
    print(total, conversation_id)
    return turn.text


def converse(client: MistralAgents) -> str:
    turn = client.conversations.start("Hi", model="mistral-medium-latest", completion_args={"stop": ["END"]})
    client.conversations.start("Hi", model="mistral-medium-latest", stores=True)  # error
    client.conversations.start("Hi", model=5)  # error
    with client.conversations.start_stream("Hi", model="mistral-medium-latest") as stream:
        for event in stream:
            kind: str = event["type"]
            print(kind, stream.records)
        print(stream.turn.text)
    return read_turn(turn)


def follow(conversation: Conversation) -> str:
    reader, words = EventReader(), list[str]()
    for event in conversation.stream("More"):
        for record in reader.read(event):
            match record:
                case TextDelta(text=text):
                    words.append(text)
                    text.no_such_method()  # error
                case RunEnd(entry=run):
                    print(run["name"])
                case CallDelta():
                    print(record.arguments)
                    record.argument  # error
                case _:
                    pass
    return "".join(words)


def keep_conversation(client: MistralAgents) -> None:
    conversation = Conversation(
        client,
        model="mistral-medium-latest",
        functions={"get_weather": get_weather},
        temperature=0.3,
        stop_sequences=["END"],
        meter=Meter(Prices({})),
    )
    Conversation(client, model="mistral-medium-latest", temprature=0.3)  # error
    answer = conversation.append("Weather in Paris?")
    branch: Conversation = conversation.branch(0)
    for entry in conversation.history().entries:
        print(entry.id)
    print(answer.text, branch.append().text, conversation.export()["format"])
    show(answer)


async def keep_asynchronously(client: MistralAgents) -> str:
    conversation = Conversation(client, model="mistral-medium-latest")
    async for event in conversation.astream("Hi"):
        print(event["type"])
    agent = await client.agents.aget("ag_1", agent_version=0)
    async with client.conversations.astart_stream("Hi", agent_id=agent.id) as stream:
        async for event in stream:
            print(event["type"])
    answer = await conversation.aappend("More")
    answer.append("More")  # error
    return answer.text


def handle_errors(client: MistralAgents) -> str | None:
    try:
        client.conversations.append("conv_1", [function_result("call_1", "7")])
    except MistralAgentsError as error:
        error.hints  # error
        return error.hint
    return None


def share_options(client: MistralAgents, library_id: str) -> None:
    reach: ClientOptions = {"timeout": 3.0, "max_retries": None}
    sampling: CompletionOptions = {"temperature": 0.1, "seed": 3}
    wrong: CompletionOptions = {"temperatur": 0.1}  # error
    tools = translate_tools([DocumentLibrary([library_id])])
    print(reach, sampling, wrong, tools, client)
