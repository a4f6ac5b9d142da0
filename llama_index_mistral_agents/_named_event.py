"""What the events on LlamaIndex's instrumentation dispatcher share."""

from __future__ import annotations

from llama_index.core.instrumentation.events import BaseEvent


class NamedEvent(BaseEvent):
    """An event that goes by the name of its class, as LlamaIndex's own do."""

    @classmethod
    def class_name(cls) -> str:
        """The event's name."""
        return cls.__name__
