"""A user's program on the LangChain wing; lines marked as errors are mistakes that a type checker must tell."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from langchain_core.documents import Document
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import tool
from pydantic import BaseModel
from typing_extensions import TypedDict

from langchain_mistral_agents import (
    ChatMistralAgent,
    MistralAgentRunnable,
    MistralConversationHistory,
    MistralConversationMiddleware,
    MistralLibraryRetriever,
    MistralMeterHandler,
    load_connector_tools,
    show,
    to_portable_messages,
)
from mistral_agents import CodeInterpreter, Meter, MistralAgents, WebSearch
from mistral_agents.options import CallOptions


class Person(BaseModel):
    name: str
    age: int


class Place(TypedDict):
    city: str


class Mood(Enum):
    GOOD = "good"
    BAD = "bad"


@tool
def weather(city: str) -> str:
    """The weather in a city."""
    return f"Rain in {city}"


def make_models(client: MistralAgents) -> list[ChatMistralAgent]:
    ChatMistralAgent(model="mistral-medium-latest", tempreature=0.1)  # error
    ChatMistralAgent(model="mistral-medium-latest", temperature="warm")  # error
    return [
        ChatMistralAgent(model="mistral-medium-latest", stop="END", temperature=0.2, max_tokens=5),
        ChatMistralAgent(model_name="mistral-medium-latest", stop_sequences=["END"], mistral_api_key="key", seed=3),
        ChatMistralAgent(agent_id="ag_1", agent_version=0, store=True, handoff_execution="client", client=client),
        ChatMistralAgent(model="mistral-medium-latest", connectors=[WebSearch(), CodeInterpreter()]),
        ChatMistralAgent(model="mistral-medium-latest", timeout=None, max_retries=None, model_kwargs={"top_p": 1}),
    ]


def ask(model: ChatMistralAgent, config: RunnableConfig) -> str:
    answer: AIMessage = model.invoke("Hi", config, temperature=0.0, max_tokens=3, stop=["END"])
    model.invoke("Hi", config, temprature=0.0)  # error
    model.invoke("Hi", max_tokens="three")  # error
    for chunk in model.stream([HumanMessage("Hi")], store=True, metadata={"user": "ada"}):
        piece: AIMessageChunk = chunk
        print(piece.text, piece.content_blocks)
    model.stream("Hi", stream_usages=True)  # error
    answers: list[AIMessage] = model.batch(["Hi", "Ho"], seed=3)
    model.batch(["Hi"], sead=3)  # error
    options: CallOptions = {"conversation_id": "conv_1", "store": True}
    last: AIMessage = model.bind(**options).invoke("Hi")
    model.bind(conversation="conv_1")  # error
    answer.texts  # error
    print(answers[0].usage_metadata, last.tool_calls)
    return answer.text


async def ask_asynchronously(model: ChatMistralAgent) -> str:
    answer = await model.ainvoke("Hi", timeout=3, tool_choice="none")
    await model.ainvoke("Hi", timeouts=3)  # error
    async for chunk in model.astream("Hi", top_p=0.3):
        print(chunk.text)
    answers = await model.abatch(["Hi"], reasoning_effort="high")
    return answer.text + answers[0].text


def use_tools(model: ChatMistralAgent) -> list[BaseMessage]:
    bound = model.bind_tools([weather, WebSearch(), Person], tool_choice="any", strict=True, temperature=0)
    model.bind_tools([weather], tool_choices="any")  # error
    chain = ChatPromptTemplate.from_template("{question}") | model | StrOutputParser()
    words: str = chain.invoke({"question": "Hi"})
    print(words)
    return to_portable_messages([bound.invoke("Hi")])


def read_forms(model: ChatMistralAgent) -> Person:
    person = model.with_structured_output(Person, method="function_calling").invoke("Ada is 36.")
    person.agee  # error
    place = model.with_structured_output(Place).invoke("Paris")
    mood = model.with_structured_output(Mood, strict=True).invoke("Fine!")
    raw = model.with_structured_output(Person, include_raw=True).invoke("Ada is 36.")
    model.with_structured_output(Person, method="grammar")  # error
    print(place["city"], mood.value, raw["parsed"])
    return person


def run_agent(client: MistralAgents) -> str:
    agent = MistralAgentRunnable(agent_id="ag_1", tools=[weather], max_rounds=3, timeout=None)
    MistralAgentRunnable(tools=[weather])  # error
    MistralAgentRunnable(agent_id="ag_1", model="mistral-medium-latest")  # error
    made = MistralAgentRunnable.create_agent(client=client, model="m", name="Ada", tools=[weather], instructions="Go.")
    answer: AIMessage = agent.invoke("Hi", {"configurable": {"thread_id": "ada"}}, conversation_id="conv_1")
    for chunk in made.stream({"messages": [HumanMessage("Hi")]}):
        print(chunk.text)
    answers: list[AIMessage] = agent.batch(["Hi", "Ho"])
    return answer.text + answers[0].text


def retrieve(client: MistralAgents) -> Sequence[Document]:
    library = client.libraries.create(name="Handbook")
    retriever = MistralLibraryRetriever(library_ids=library.id, k=3, strategy="bm25", client=client)
    MistralLibraryRetriever(library_ids=[library.id], top_k=3)  # error
    MistralLibraryRetriever(library_ids=library.id, strategy="bm26")  # error
    MistralLibraryRetriever(k=3)  # error
    both = MistralLibraryRetriever(library_ids=[library.id], filter={"file_name": "a.pdf"}, score_cutoff=0.5)
    both.invoke("How long?", top_k=3)  # error
    return [*both.invoke("How long?", filter={"file_name": "b.pdf"}), *retriever.invoke("How long?", k=2)]


def use_the_rest(client: MistralAgents) -> None:
    history = MistralConversationHistory("conv_1", client=client)
    messages: list[BaseMessage] = history.messages
    handler = MistralMeterHandler(Meter())
    middleware = MistralConversationMiddleware()
    names = [each.name for each in load_connector_tools("notion", client=client)]
    show(AIMessage("Hi"))
    print(messages, handler, middleware, names)
