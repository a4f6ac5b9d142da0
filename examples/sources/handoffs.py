# %% [markdown]
# # Agents that hand over to one another
#
# A front desk, two experts: agents are written down as code, compared with the service, applied, and drawn.
#
# Without `MISTRAL_API_KEY` the local stand-in answers. Its planner hands nothing over, so a script plays the model's part
# here; with a key the live service decides by itself.

# %%
import os

script = None
if not os.environ.get("MISTRAL_API_KEY"):
    from mistral_agents_server.testing import ScriptedModel, Standin, hand_over, say

    script = ScriptedModel()
    os.environ |= {"MISTRAL_BASE_URL": Standin(model_url=script.url).base_url, "MISTRAL_API_KEY": "any-key"}

# %%
from mistral_agents import Conversation, MistralAgents
from mistral_agents.specs import AgentSpec

client = MistralAgents()
team = [
    AgentSpec(
        "front desk",
        model="mistral-medium-latest",
        instructions="Find out who can help, and hand over to them.",
        handoffs=["tides", "berths"],
    ),
    AgentSpec("tides", model="mistral-medium-latest", description="Knows the tides", instructions="Be brief."),
    AgentSpec("berths", model="mistral-medium-latest", description="Gives berths", handoffs=["front desk"]),
]
plan = client.agents.plan(team)
plan

# %%
agents = client.agents.apply(team)

# %%
from mistral_agents.graph import HandoffGraph

HandoffGraph.of(agents.values())

# %% [markdown]
# ## A handoff
#
# The desk hands over, the expert answers, in one turn of one conversation.

# %%
if script:
    script.script(hand_over("tides"), say("High water is at **14:10**."))
desk = Conversation(client, agent_id=agents["front desk"].id)
desk.append("When is high water today?")

# %%
if script:
    script.script(say("At 02:35, by the same table."))
desk.append("And the next one?")
desk

# %% [markdown]
# ## Handoffs in your own graph
#
# With `handoff_execution="client"` the service leaves the handoff to you, and a LangGraph of yours goes on with the next agent:
# its node, its tools, its checkpoints. (Needs `pip install "mistral-agents[all]"`.)

# %%
from langchain_mistral_agents import ChatMistralAgent, show
from langchain_mistral_agents.handoffs import handoff_graph

names = ("front desk", "tides", "berths")
graph = handoff_graph(
    {name: ChatMistralAgent(agent_id=agents[name].id, handoff_execution="client") for name in names},
    entry="front desk",
)
if script:
    script.script(hand_over("berths"), say("Berth 7 is free."))
show(graph.invoke({"messages": "I need a berth."}))

# %% [markdown]
# ## A change, as a plan

# %%
changed = AgentSpec(
    "tides", model="mistral-medium-latest", description="Knows the tides", instructions="Answer in verse."
)
client.agents.plan([changed])

# %% [markdown]
# ## Tidying up

# %%
desk.delete()
for agent in agents.values():
    client.agents.delete(agent.id)
client.close()
