"""A user's program on the LlamaIndex wing; lines marked as errors are mistakes that a type checker must tell."""

from __future__ import annotations

from collections.abc import Sequence

from llama_index.core.llms import ChatMessage, ChatResponse
from llama_index.core.prompts import PromptTemplate
from llama_index.core.schema import Document, NodeWithScore
from llama_index.core.tools import FunctionTool
from pydantic import BaseModel

from llama_index_mistral_agents import (
    MistralAgentLLM,
    MistralConversationMemory,
    MistralLibraryIndex,
    MistralLibraryReader,
    MistralLibraryRetriever,
    MistralWorkflowAgent,
)
from mistral_agents import CodeInterpreter, MistralAgents, WebSearch
from mistral_agents.options import CallOptions


class Person(BaseModel):
    name: str
    age: int


def weather(city: str) -> str:
    """The weather in a city."""
    return f"Rain in {city}"


def make_models(client: MistralAgents) -> list[MistralAgentLLM]:
    MistralAgentLLM("mistral-medium-latest", tempreature=0.1)  # error
    MistralAgentLLM("mistral-medium-latest", max_tokens="five")  # error
    return [
        MistralAgentLLM("mistral-medium-latest", stop="END", temperature=0.2, max_tokens=5),
        MistralAgentLLM(model="mistral-medium-latest", stop_sequences=["END"], api_base="http://localhost", seed=3),
        MistralAgentLLM(agent_id="ag_1", agent_version="prod", store=True, client=client),
        MistralAgentLLM(
            "mistral-medium-latest", tools=[WebSearch(), CodeInterpreter()], additional_kwargs={"top_p": 1}
        ),
    ]


def ask(llm: MistralAgentLLM) -> str:
    question = [ChatMessage(role="user", content="Hi")]
    answer: ChatResponse = llm.chat(question, temperature=0.0, max_tokens=3, stop=["END"])
    llm.chat(question, temprature=0.0)  # error
    llm.chat(question, max_tokens="three")  # error
    llm.chat("Hi")  # error
    for response in llm.stream_chat(question, seed=3):
        print(response.delta)
    llm.stream_chat(question, sead=3)  # error
    options: CallOptions = {"conversation_id": "conv_1", "store": True}
    text: str = llm.complete("Hi", **options).text
    llm.complete("Hi", stored=True)  # error
    for piece in llm.stream_complete("Hi", top_p=0.3):
        print(piece.delta)
    answer.mesage  # error
    return (answer.message.content or "") + text


async def ask_asynchronously(llm: MistralAgentLLM) -> str:
    question = [ChatMessage(role="user", content="Hi")]
    answer = await llm.achat(question, metadata={"user": "ada"}, timeout=3)
    await llm.achat(question, timeouts=3)  # error
    async for response in await llm.astream_chat(question, reasoning_effort="high"):
        print(response.delta)
    text: str = (await llm.acomplete("Hi", tool_choice="none")).text
    async for piece in await llm.astream_complete("Hi"):
        print(piece.delta)
    return (answer.message.content or "") + text


def read_forms(llm: MistralAgentLLM) -> Person:
    person = llm.structured_predict(Person, PromptTemplate("{text}"), text="Ada is 36.")
    person.agee  # error
    return person


def use_tools(llm: MistralAgentLLM) -> list[str]:
    tool = FunctionTool.from_defaults(weather)
    response = llm.chat_with_tools([tool], "Weather in Paris?", tool_required=True)
    bound: MistralAgentLLM = llm.bind("conv_1")
    return [call.tool_name for call in bound.get_tool_calls_from_response(response)]


def retrieve(client: MistralAgents) -> Sequence[NodeWithScore]:
    library = client.libraries.create(name="Handbook")
    retriever = MistralLibraryRetriever(library_ids=library.id, client=client, similarity_top_k=3, strategy="bm25")
    MistralLibraryRetriever(library_ids=[library.id], k=3)  # error
    MistralLibraryRetriever(library_ids=library.id, strategy="bm26")  # error
    return retriever.retrieve("How long is the warranty?")


def fill(client: MistralAgents) -> list[Document]:
    index = MistralLibraryIndex.from_documents([Document(text="Hi")], client=client, embed_model="mistral-embed")
    MistralLibraryIndex.from_documents([Document(text="Hi")], embedding="mistral-embed")  # error
    made = MistralLibraryIndex.create("Handbook", client=client, show_progress=True)
    print(index.as_retriever(similarity_top_k=2).retrieve("Hi"), made.library_id)
    return MistralLibraryReader(made.library_id, client=client).load_data()


async def run_agent(llm: MistralAgentLLM, client: MistralAgents) -> str | None:
    agent = MistralWorkflowAgent(llm=llm, name="Ada", tools=[weather], timeout=30)
    MistralWorkflowAgent(llm=llm, nmae="Ada")  # error
    existing = MistralWorkflowAgent.from_existing("ag_1", name="Bob", verbose=True)
    memory = MistralConversationMemory.from_defaults(llm=llm, chat_history=[ChatMessage("Hi")])
    MistralConversationMemory(conversation="conv_1")  # error
    messages: list[ChatMessage] = memory.get_all()
    await agent.run(user_msg="Hi", memory=memory)
    print(existing.agent_id, messages)
    return MistralConversationMemory("conv_1", client=client).conversation_id
