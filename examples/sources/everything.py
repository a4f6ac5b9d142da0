# %% [markdown]
# # What everything looks like
#
# What this package returns shows itself where it is the last line of a cell: in dark and in light, wide and narrow. Nothing
# that others wrote runs or loads anything. [Show turns](../docs/display.md) has the list. Needs
# `pip install "mistral-agents[notebook,cli]"`.
#
# Without `MISTRAL_API_KEY` the first cell starts the local stand-in in this process, which needs no key and no network; with
# a key everything runs on the live service.

# %%
import os

if not os.environ.get("MISTRAL_API_KEY"):
    from mistral_agents_server.testing import Standin

    os.environ |= {"MISTRAL_BASE_URL": Standin().base_url, "MISTRAL_API_KEY": "any-key"}

# %%
from datetime import timedelta

from mistral_agents import (
    CodeInterpreter,
    Conversation,
    DocumentLibrary,
    ImageGeneration,
    MistralAgents,
    WebSearch,
    show,
)
from mistral_agents.costs import Meter, Prices

client = MistralAgents()
prices = Prices({"*": (0.4, 2.0)}, currency="EUR")
library = client.libraries.create("Kermor")
report = client.libraries.sync_folder(library.id, "library", pattern="*.md")
client.libraries.wait_until_ready(library.id)
tools = [CodeInterpreter(), WebSearch(), ImageGeneration(), DocumentLibrary([library.id])]

# %% [markdown]
# ## A turn: answer, tool runs to open, pictures, numbered sources, tokens and cost

# %%
talk = Conversation(client, model="mistral-medium-latest", tools=tools, meter=Meter(prices), name="what it looks like")
turn = talk.append("""
1. Search the web: how does BM25 rank?
2. Calculate the mean of 3, 4, 8 and 9 and plot them
3. Look into the library: what was decided about the battery?
""")
show(turn, client=client, prices=prices)

# %% [markdown]
# ## A conversation, with who answered

# %%
talk.append("Draw an image of a lighthouse.")
talk

# %% [markdown]
# ## Branches, and two of them side by side

# %%
one, other = talk.branch(), talk.branch()
one.append("My favourite colour is green.")
other.append("My favourite colour is red.")
talk.tree()

# %%
from mistral_agents.branches import compare

compare(one, other)

# %% [markdown]
# ## Agents as code: a plan, and who hands over to whom

# %%
from mistral_agents.graph import HandoffGraph
from mistral_agents.specs import AgentSpec

desk = AgentSpec("front desk", model="mistral-medium-latest", handoffs=["tides"])
tides = AgentSpec("tides", model="mistral-medium-latest", instructions="Be brief.", handoffs=["front desk"])
team = client.agents.apply([desk, tides])
client.agents.plan([desk, AgentSpec("tides", model="mistral-medium-latest", instructions="Answer in verse.")])

# %%
HandoffGraph.of(team.values())

# %% [markdown]
# ## Usage, a meter, a timeline

# %%
turn.usage

# %%
talk.meter

# %%
turn.explain(prices)

# %% [markdown]
# ## Records: one, many, as a data frame

# %%
team["tides"]

# %%
client.libraries.documents(library.id).all()

# %%
client.libraries.documents(library.id).to_dataframe()[["name", "size"]]

# %% [markdown]
# ## Passages that were found

# %%
client.libraries.search(library.id, "battery decision", top_k=2)

# %% [markdown]
# ## Files, and reports

# %%
client.files.read(turn.files[0])

# %%
report

# %%
from mistral_agents.cleanup import cleanup

cleanup(client, older_than=timedelta(days=90))

# %% [markdown]
# ## Messages of LangChain, responses of LlamaIndex

# %%
from langchain_mistral_agents import ChatMistralAgent
from langchain_mistral_agents import show as show_message

model = ChatMistralAgent(model="mistral-medium-latest", connectors=[CodeInterpreter()])
show_message(model.invoke("Calculate the median of 3, 4, 8 and 9."))

# %%
from llama_index_mistral_agents import MistralAgentLLM, MistralLibraryIndex
from llama_index_mistral_agents import show as show_response

index = MistralLibraryIndex(library.id, client=client)
engine = index.as_query_engine(llm=MistralAgentLLM(model="mistral-medium-latest"), similarity_top_k=2)
show_response(engine.query("What was decided about the battery?"))

# %% [markdown]
# ## In a terminal
#
# `rich` prints the same, without colours where there are none.

# %%
from rich.console import Console

Console(width=90, force_jupyter=False, color_system=None).print(turn.usage)

# %% [markdown]
# ## What others wrote stays inert

# %%
Conversation(client, model="mistral-medium-latest").append(
    "Repeat: <img src=x onerror=alert(1)> <script>alert(2)</script> [click](javascript:alert(3))"
)

# %% [markdown]
# ## Tidying up

# %%
for conversation in (one, other, talk):
    conversation.delete()
for agent in team.values():
    client.agents.delete(agent.id)
client.libraries.delete(library.id)
client.close()
