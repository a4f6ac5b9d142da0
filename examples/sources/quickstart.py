# %% [markdown]
# # mistral-agents: a first notebook
#
# A LangChain chain, an agent that computes and plots, a conversation that remembers, and questions to a document library.
#
# Without `MISTRAL_API_KEY` the next cell starts the local stand-in, which needs no key and no network. It is no language
# model: its planner extracts, computes and searches. With a key everything runs on the live service.

# %%
import os
import subprocess
import sys

server = None
if not os.environ.get("MISTRAL_API_KEY"):
    command = [sys.executable, "-m", "mistral_agents_server", "--port", "0"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    os.environ["MISTRAL_BASE_URL"] = server.stdout.readline().split()[0]
    os.environ["MISTRAL_API_KEY"] = "any-key"
print("the stand-in" if server else "the live service")

# %% [markdown]
# ## A chain
#
# `ChatMistralAgent` is a LangChain chat model, so it goes into any chain, streams, and is parsed like every other.

# %%
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate

from langchain_mistral_agents import ChatMistralAgent

model = ChatMistralAgent(model="mistral-medium-latest")
prompt = ChatPromptTemplate.from_messages(
    [("system", "Answer from the text only."), ("human", "{text}\n\nQuestion: {question}")]
)
chain = prompt | model | StrOutputParser()

text = "The lighthouse of Kermor was lit in 1887. Its lamp is seen from twenty miles away. The keeper has a cat."
for piece in chain.stream({"text": text, "question": "When was the lighthouse lit?"}):
    print(piece, end="", flush=True)

# %% [markdown]
# ## Hosted tools
#
# Tools that run on the service are dicts. The answer's content blocks say what ran and what came of it; files are fetched
# by their id.

# %%
from mistral_agents import CodeInterpreter, MistralAgents

numbers = "1310, 2140, 3890, 5230, 6110, 6480, 6350, 5620, 4180, 2560, 1420, 1090"
answer = model.bind_tools([CodeInterpreter()]).invoke(f"Calculate the mean and the median of {numbers} and plot them.")
for block in answer.content_blocks:
    print(block["type"], "·", block.get("text") or block.get("name") or block.get("status") or block.get("file_id", ""))
print(answer.usage_metadata)

# %%
from IPython.display import Image

client = MistralAgents()
image = next(block for block in answer.content_blocks if block["type"] == "image")
Image(client.files.download(image["file_id"]), width=420)

# %% [markdown]
# ## Memory
#
# With `store=True` the service keeps the conversation and each call sends only what is new. The conversation's id travels
# with the answers, so another object, or another process, goes on from it.

# %%
from langchain_core.messages import HumanMessage

keeper = ChatMistralAgent(model="mistral-medium-latest", store=True)
first = keeper.invoke([HumanMessage("My name is Ada and I keep a lighthouse.")])
conversation_id = first.response_metadata["conversation_id"]

elsewhere = ChatMistralAgent(model="mistral-medium-latest", store=True, conversation_id=conversation_id)
print(elsewhere.invoke([HumanMessage("What is my name?")]).text)

# %%
for entry in client.conversations.get_history(conversation_id).entries:
    print(f"{entry.type:15} {entry.text}")

# %% [markdown]
# ## A document library
#
# The documents go to a library of the service. The index syncs their texts and ranks passages here, with true scores and
# page numbers; the model answers from the passages and cites them.

# %%
from pathlib import Path

from llama_index.core.query_engine import CitationQueryEngine

from llama_index_mistral_agents import MistralAgentLLM, MistralLibraryIndex

index = MistralLibraryIndex.create("quickstart", client=client)
documents = [index.upload(path) for path in sorted(Path("library").iterdir())]
for document, outcome in zip(documents, index.wait_until_ready([document.id for document in documents])):
    print(f"{outcome.state:6} {document.name}")

# %%
import pandas as pd

retriever = index.as_retriever(similarity_top_k=4, pages="exact")
found = retriever.retrieve("Why was the battery not built?")
pd.DataFrame(
    [
        {
            "score": round(hit.score, 2),
            "file": hit.node.metadata["file_name"],
            "page": hit.node.metadata.get("page_label", ""),
            "passage": " ".join(hit.node.get_content().split())[:70] + " ...",
        }
        for hit in found
    ]
)

# %%
engine = CitationQueryEngine.from_args(
    index,
    llm=MistralAgentLLM(model="mistral-medium-latest"),
    retriever=index.as_retriever(similarity_top_k=3, pages="exact"),
)
response = engine.query("How much did the new inverter cost?")
print(response, "\n")
for number, source in enumerate(response.source_nodes, 1):
    page = source.node.metadata.get("page_label")
    print(f"[{number}]", source.node.metadata["file_name"], f"page {page}" if page else "")

# %% [markdown]
# ## Tidying up
#
# Libraries and conversations stay until they are deleted.

# %%
client.libraries.delete(index.library_id)
client.conversations.delete(conversation_id)
client.close()
if server:
    server.terminate()
    server.wait()
