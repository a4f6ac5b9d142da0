"""Memory that survives in a saved context while a run waits for the user.

LlamaIndex leaves its own memories out of a saved context and takes the run's `memory=` instead. A run that waits gets
none: it goes on in the middle, and would fail there.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.memory import BaseMemory, ChatMemoryBuffer
from llama_index.core.workflow import JsonSerializer
from pydantic import Field
from typing_extensions import Self

from llama_index_mistral_agents._agent_state import dumped, undumped
from mistral_agents._json import JsonDict

if TYPE_CHECKING:
    from llama_index.core.agent.workflow.agent_context import AgentContext

_WAITING: WeakValueDictionary[str, BaseMemory] = WeakValueDictionary()


class WaitingMemory(BaseMemory):
    """Another memory, which is saved as its messages and is the same object again where that lives."""

    inner: Any = Field(description="The memory.", exclude=True, repr=False)

    @classmethod
    def class_name(cls) -> str:
        """The name under which LlamaIndex knows this class."""
        return "WaitingMemory"

    @classmethod
    def from_defaults(cls, **kwargs: Any) -> Self:
        """One around a new buffer."""
        return cls(inner=ChatMemoryBuffer.from_defaults(**kwargs))

    def to_dict(self, **kwargs: object) -> JsonDict:  # noqa: ARG002
        """The messages, and which object it is."""
        key = f"waiting-{secrets.token_hex(8)}"
        _WAITING[key] = self.inner
        return {"class_name": self.class_name(), "live": key, "messages": [dumped(m) for m in self.inner.get_all()]}

    @classmethod
    def from_dict(cls, data: JsonDict, **kwargs: object) -> Self:  # noqa: ARG003
        """The same memory where it lives, else a buffer of the messages."""
        alive = _WAITING.get(data["live"])
        if alive is not None:
            return cls(inner=alive)
        return cls.from_defaults(chat_history=undumped(data["messages"]))

    def get(self, input: str | None = None, **kwargs: object) -> list[ChatMessage]:
        """As the memory itself, as all that follows."""
        return list(self.inner.get(input=input, **kwargs))

    def get_all(self) -> list[ChatMessage]:
        """All messages."""
        return list(self.inner.get_all())

    def put(self, message: ChatMessage) -> None:
        """Keep one."""
        self.inner.put(message)

    def set(self, messages: list[ChatMessage]) -> None:
        """Replace all."""
        self.inner.set(messages)

    def reset(self) -> None:
        """Forget all."""
        self.inner.reset()


@asynccontextmanager
async def keep_memory(ctx: AgentContext, memory: BaseMemory) -> AsyncIterator[None]:
    """While a run waits, its memory stays in the context's saved form."""
    if not isinstance(memory, WaitingMemory) and not _is_saved(memory):
        await ctx.store.set("memory", WaitingMemory(inner=memory))
    yield
    held = await ctx.store.get("memory")
    if isinstance(held, WaitingMemory):
        await ctx.store.set("memory", held.inner)


def _is_saved(memory: BaseMemory) -> bool:
    try:
        JsonSerializer().serialize(memory)
    except ValueError:
        return False
    return True
