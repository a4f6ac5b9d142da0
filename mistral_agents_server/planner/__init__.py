"""The brain without a language model: deterministic, extractive, and it says so.

It answers with sentences of the input, the history and the passages that tools found; computes with the numbers it
sees; runs code it is given; and calls functions whose names the input names. It knows nothing else.
"""

from __future__ import annotations

from mistral_agents_server.planner.brain import Planner

__all__ = ["Planner"]
