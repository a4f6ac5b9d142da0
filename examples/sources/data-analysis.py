# %% [markdown]
# # Data analysis: code that the service runs, plots that come back
#
# Without `MISTRAL_API_KEY` the first cell starts the local stand-in in this process, which needs no key and no network; with
# a key everything runs on the live service.

# %%
import os

if not os.environ.get("MISTRAL_API_KEY"):
    from mistral_agents_server.testing import Standin

    os.environ |= {"MISTRAL_BASE_URL": Standin().base_url, "MISTRAL_API_KEY": "any-key"}

# %%
import pandas as pd

from mistral_agents import CodeInterpreter, Conversation, MistralAgents, show
from mistral_agents.costs import Meter, Prices

months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
energy = pd.DataFrame({"kWh": [1310, 2140, 3890, 5230, 6110, 6480, 6350, 5620, 4180, 2560, 1420, 1090]}, index=months)
energy.T

# %% [markdown]
# ## Ask for figures and a plot
#
# The turn shows the code, its output, and the picture. `Prices` is your own table (prices of a million tokens): none is built
# in, since prices change.

# %%
prices = Prices({"*": (0.4, 2.0)}, currency="EUR")
client = MistralAgents()
analyst = Conversation(
    client, model="mistral-medium-latest", tools=[CodeInterpreter()], meter=Meter(prices, max_cost=0.50)
)
numbers = ", ".join(map(str, energy["kWh"]))
turn = analyst.append(f"Calculate the mean, the median and the standard deviation of {numbers} and plot them.")
show(turn, client=client, prices=prices)

# %% [markdown]
# ## The picture and the figures, to go on with

# %%
picture = client.files.read(turn.files[0])
picture

# %%
for run in turn.code_runs:
    print(run.code, "→", run.output, sep="\n")

# %% [markdown]
# ## Your own code
#
# Code in a message is run as it stands. The conversation goes on: what was said is remembered.

# %%
code = """
```python
rows = [1310, 2140, 3890, 5230, 6110, 6480, 6350, 5620, 4180, 2560, 1420, 1090]
best = max(range(12), key=rows.__getitem__)
print("best month:", best + 1, "with", rows[best], "kWh;", round(100 * sum(rows[3:9]) / sum(rows)), "% from April to September")
```
"""
print(analyst.append(f"Run this: {code}").code_runs[0].output)

# %% [markdown]
# ## What happened when, and what it cost

# %%
turn.explain(prices)

# %%
analyst.meter

# %% [markdown]
# ## Tidying up

# %%
analyst.delete()
client.close()
