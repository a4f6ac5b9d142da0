# %% [markdown]
# # Memory: conversations that stay, and branch
#
# The service keeps conversations. Any process goes on with one by its id, from its end or from an earlier entry.
#
# Without `MISTRAL_API_KEY` the first cell starts the local stand-in in this process, which needs no key and no network; with
# a key everything runs on the live service.

# %%
import os

if not os.environ.get("MISTRAL_API_KEY"):
    from mistral_agents_server.testing import Standin

    os.environ |= {"MISTRAL_BASE_URL": Standin().base_url, "MISTRAL_API_KEY": "any-key"}

# %%
from mistral_agents import Conversation, MistralAgents

client = MistralAgents()
question = Conversation(client, model="mistral-medium-latest", name="database")
question.append("My name is Ada. We store 2,000 orders a day in one table.")
resumed = Conversation(client, question.id)
print(resumed.append("What is my name?").text)

# %% [markdown]
# ## Two ways on
#
# A branch is a conversation of its own; the first one stays as it is.

# %%
sql, documents = question.branch(), question.branch()
sql.append("We choose SQL, since orders have rows.")
documents.append("We choose documents, since orders differ.")
question.tree()

# %%
from mistral_agents.branches import compare

compare(sql, documents)

# %% [markdown]
# ## What was said
#
# A conversation shows itself as bubbles; its history is a table as well.

# %%
sql

# %%
sql.history().to_dataframe()[["role", "text"]]

# %% [markdown]
# ## The same memory in LangChain
#
# The id travels with the messages, never on the model: one model object serves many users.

# %%
from langchain_core.messages import HumanMessage

from langchain_mistral_agents import ChatMistralAgent

keeper = ChatMistralAgent(model="mistral-medium-latest", store=True)
messages = [HumanMessage("I keep the lighthouse of Kermor.")]
messages.append(keeper.invoke(messages))
messages.append(HumanMessage("Which lighthouse do I keep?"))
print(keeper.invoke(messages).text)

# %% [markdown]
# ## And in LlamaIndex

# %%
from llama_index.core.chat_engine import SimpleChatEngine

from llama_index_mistral_agents import MistralAgentLLM, MistralConversationMemory

llm = MistralAgentLLM(model="mistral-medium-latest", store=True)
chat = SimpleChatEngine.from_defaults(llm=llm, memory=MistralConversationMemory.from_defaults())
chat.chat("My boat is called Blue Heron.")
print(chat.chat("What is my boat called?"))

# %% [markdown]
# ## Keep it, and tidy up
#
# A page needs nothing else: no script, nothing that a browser would load. An export can be imported again.

# %%
page = sql.to_html()
print(f"{len(page):,} characters,", "no script" if "<script" not in page else "scripts!")
for conversation in (sql, documents, question):
    conversation.delete()
client.conversations.delete(messages[1].response_metadata["conversation_id"])
client.close()
