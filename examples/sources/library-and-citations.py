# %% [markdown]
# # A document library: search, answer, cite
#
# Documents go to a library of the service; the index ranks their passages here, with true scores and page numbers.
#
# Without `MISTRAL_API_KEY` the first cell starts the local stand-in in this process, which needs no key and no network; with
# a key everything runs on the live service.

# %%
import os

if not os.environ.get("MISTRAL_API_KEY"):
    from mistral_agents_server.testing import Standin

    os.environ |= {"MISTRAL_BASE_URL": Standin().base_url, "MISTRAL_API_KEY": "any-key"}

# %% [markdown]
# ## Fill it from a folder
#
# `sync_dir` makes the library like the folder: another run sends only what changed.

# %%
from llama_index_mistral_agents import MistralAgentLLM, MistralLibraryIndex, show
from mistral_agents import MistralAgents

client = MistralAgents()
index = MistralLibraryIndex.create("solar cooperative", client=client)
report = index.sync_dir("library", wait=True)
report

# %%
client.libraries.documents(index.library_id).all()

# %% [markdown]
# ## Find passages
#
# No model is asked and no token is used. Found words are marked.

# %%
hits = client.libraries.search(index.library_id, "Why was the battery not built?", top_k=2)
hits

# %% [markdown]
# ## Answer with citations

# %%
from llama_index.core.query_engine import CitationQueryEngine

engine = CitationQueryEngine.from_args(
    index,
    llm=MistralAgentLLM(model="mistral-medium-latest"),
    retriever=index.as_retriever(similarity_top_k=2, pages="exact"),
)
response = engine.query("How much did the new inverter cost?")
show(response)

# %% [markdown]
# ## Let an agent read it
#
# The same library as a hosted tool: the service searches, and the turn has the sources.

# %%
from mistral_agents import Conversation, DocumentLibrary

reader = Conversation(client, model="mistral-medium-latest", tools=[DocumentLibrary([index.library_id])])
reader.append("Look into the library: when was the school array built?")

# %% [markdown]
# ## Tidying up

# %%
reader.delete()
client.libraries.delete(index.library_id)
client.close()
