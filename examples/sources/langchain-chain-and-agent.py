# %% [markdown]
# # LangChain: a chain, an agent, a graph
#
# Mistral's hosted tools and your own functions, in the places where LangChain looks for them. Needs
# `pip install "mistral-agents[all]"`.
#
# Without `MISTRAL_API_KEY` the first cell starts the local stand-in in this process, which needs no key and no network; with
# a key everything runs on the live service.

# %%
import os

if not os.environ.get("MISTRAL_API_KEY"):
    from mistral_agents_server.testing import Standin

    os.environ |= {"MISTRAL_BASE_URL": Standin().base_url, "MISTRAL_API_KEY": "any-key"}

# %% [markdown]
# ## A chain with structured output

# %%
from langchain_core.prompts import ChatPromptTemplate
from pydantic import BaseModel, Field

from langchain_mistral_agents import ChatMistralAgent, show


class Lighthouse(BaseModel):
    """What a text says of a lighthouse."""

    name: str = Field(description="name of the lighthouse")
    year: int = Field(description="year in which it was lit")


model = ChatMistralAgent(model="mistral-medium-latest")
prompt = ChatPromptTemplate.from_template("What does this text say? {text}")
chain = prompt | model.with_structured_output(Lighthouse)
chain.invoke({"text": "Name: Kermor. Year: 1887. The keeper has a cat."})

# %% [markdown]
# ## Hosted tools in a message
#
# The service runs the code; the message has what ran, what came of it, and what it used. `show` draws any message.

# %%
from mistral_agents import CodeInterpreter, WebSearch

analyst = model.bind_tools([CodeInterpreter(), WebSearch()])
show(analyst.invoke("Calculate the mean and the standard deviation of 3, 4, 8 and 9."))

# %% [markdown]
# With web search the sources are citations on the text blocks.

# %%
answer = analyst.invoke("Search the web: how does BM25 rank?")
show(answer)

# %% [markdown]
# ## An agent with functions of your own
#
# `create_agent` runs your functions in its graph; the middleware leaves the conversation on the service, so that each turn
# sends only what is new.

# %%
from langchain.agents import create_agent
from langgraph.checkpoint.memory import InMemorySaver

from langchain_mistral_agents import MistralConversationMiddleware


def get_weather(city: str) -> str:
    """The weather in a city."""
    return f"Sunny in {city}, 21 degrees."


graph = create_agent(
    model, tools=[get_weather], middleware=[MistralConversationMiddleware()], checkpointer=InMemorySaver()
)
thread = {"configurable": {"thread_id": "ada"}}
state = graph.invoke({"messages": "What is the weather in Paris?"}, thread)
show(state)

# %%
state = graph.invoke({"messages": "What is the weather in Rome?"}, thread)
print(state["messages"][-1].text)

# %% [markdown]
# ## An agent of the service as a Runnable
#
# It keeps the conversation for each thread, runs its functions here, batches, and is a tool for other agents.

# %%
from langchain_mistral_agents import MistralAgentRunnable
from mistral_agents import MistralAgents

client = MistralAgents()
weather = MistralAgentRunnable.create_agent(
    client=client, model="mistral-medium-latest", name="weather", tools=[get_weather]
)
for found in weather.batch(["What is the weather in Oslo?", "What is the weather in Bern?"]):
    print(found.text)

# %% [markdown]
# ## Tidying up

# %%
client.agents.delete(weather.agent_id)
client.close()
