# %% [markdown]
# # The seed guide's walk
#
# The public connectors guide for the Agents API, from its first agent to its complete example, with one import changed and
# its library's id filled in. [What became of each of its lines](../docs/seed-guide.md) says which of its settings are enforced,
# hinted or impossible.
#
# Without `MISTRAL_API_KEY` the first cell starts the local stand-in in this process, which needs no key and no network; with
# a key everything runs on the live service. The stand-in's web is a folder of pages; here it has one.

# %%
import os
from pathlib import Path
from tempfile import mkdtemp

FIGURES = """# Sun and wind in figures

By the latest statistics renewable energy gave more power than ever before.

| Year | Sun (GW) | Wind (GW) |
|---|---|---|
| 2025 | 2,400 | 1,260 |
| 2024 | 1,850 | 1,130 |
| 2023 | 1,400 | 1,010 |
"""

if not os.environ.get("MISTRAL_API_KEY"):
    from mistral_agents_server.testing import Standin

    pages = Path(mkdtemp())
    (pages / "figures.md").write_text(FIGURES)
    os.environ |= {"MISTRAL_BASE_URL": Standin(pages=pages).base_url, "MISTRAL_API_KEY": "any-key"}

# %% [markdown]
# ## What the guide's tools become
#
# The service's tools have no `config`: what is enforced here, what is only hinted, and what can't be had, is said.

# %%
import warnings

from mistral_agents import MistralAgents as Mistral
from mistral_agents import show, translate_tools

client = Mistral()
library = client.libraries.create("company documents")
strategy = "By our company's strategy renewable energy will drive the mill by 2028. Flour is sold on Fridays."
client.libraries.upload(library.id, ("strategy.md", strategy.encode()), wait=True)

tools = [
    {"type": "code_interpreter", "config": {"timeout": 30, "max_iterations": 5}},
    {"type": "image_generation", "config": {"default_size": "1024x1024"}},
    {"type": "web_search", "config": {"max_results": 10, "recency_bias": True}},
    {"type": "document_retrieval", "config": {"library_id": library.id, "max_documents": 5}},
]
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # the report says the same
    report = translate_tools(tools)
print(report)

# %% [markdown]
# A warning points at your line, and says what to do:

# %%
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    translate_tools([{"type": "web_search", "config": {"recency_bias": True}}])
print(told[0].message)

# %% [markdown]
# ## The comprehensive agent

# %%
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    agent = client.beta.agents.create(
        model="mistral-large-latest",
        name="Comprehensive Research & Analysis Agent",
        description="Full-featured agent with all connectors",
        instructions="Use the library for company information, the web for current data, and code for anything numerical.",
        tools=tools,
        completion_args={"temperature": 0.3, "top_p": 0.95, "max_tokens": 4096},
    )
agent

# %% [markdown]
# ## Its complete example
#
# A list of tasks is worked task by task, each with the tool that fits it, and answered with its sources.

# %%
conversation = client.beta.conversations.start(
    agent_id=agent.id,
    inputs="""
    I need a comprehensive analysis of renewable energy trends:

    1. Search web for renewable energy statistics
    2. Check our document library for our company's renewable energy strategy
    3. Calculate year-over-year growth rates from the data
    4. Generate a visualization showing trends
    5. Create an infographic summarizing key findings

    Provide a complete analysis with all sources cited.
    """,
)
show(conversation, client=client)

# %% [markdown]
# ## Persistent memory

# %%
follow_up = client.beta.conversations.append(
    conversation_id=conversation.id, inputs="Based on this analysis, what should our 2026 strategy focus on?"
)
print(follow_up.text)

# %%
conversation.explain()

# %% [markdown]
# ## Tidying up

# %%
client.conversations.delete(conversation.id)
client.agents.delete(agent.id)
client.libraries.delete(library.id)
client.close()
