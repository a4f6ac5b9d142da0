"""A `Meter` fed by LlamaIndex's instrumentation: tokens, connector calls and money over any run."""

from __future__ import annotations

from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.events import BaseEvent
from pydantic import ConfigDict

from llama_index_mistral_agents.turn_events import TurnUsageEvent
from mistral_agents.costs import Meter
from mistral_agents.usage import Usage


class MistralMeterHandler(BaseEventHandler):
    """Counts every turn of a `MistralAgentLLM` or `MistralWorkflowAgent`.

    Add it to a dispatcher: `get_dispatcher().add_event_handler(MistralMeterHandler(meter=meter))`. To stop before a
    limit, ask `meter.check()` before a run: an event handler is told of a turn afterwards.

    Attributes:
        meter: Adds up and knows the limits.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    meter: Meter

    @classmethod
    def class_name(cls) -> str:
        """The handler's name."""
        return "MistralMeterHandler"

    def handle(self, event: BaseEvent, **_: object) -> None:
        """Count the turn of a usage event."""
        if isinstance(event, TurnUsageEvent):
            self.meter.count(Usage.from_wire(event.usage), event.answered_by)
