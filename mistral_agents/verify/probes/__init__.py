"""The probes, in the order in which they run: what is cheap first."""

from __future__ import annotations

from mistral_agents.verify.plan import Probe
from mistral_agents.verify.probes.account import ACCOUNT
from mistral_agents.verify.probes.decisions import DECISIONS
from mistral_agents.verify.probes.stores import STORES
from mistral_agents.verify.probes.tools import TOOLS
from mistral_agents.verify.probes.turns import TURNS

PROBES: tuple[Probe, ...] = (*ACCOUNT, *TURNS, *TOOLS, *DECISIONS, *STORES)
"""Every probe."""
