"""Settles what is unverified about the service, with one command: `python -m mistral_agents.verify`.

Each probe makes its own things under a run id, looks at one statement of this package's documentation and gives a
verdict. What it made is deleted at the end, whatever happened. The account's own things are counted where a list must
be read, and neither kept nor shown.
"""

from __future__ import annotations

from mistral_agents.verify.plan import DOES_NOT_HOLD, HOLDS, NOT_TRIED, Finding, Probe
from mistral_agents.verify.probes import PROBES
from mistral_agents.verify.running import Report, recheck, verify

__all__ = ["DOES_NOT_HOLD", "HOLDS", "NOT_TRIED", "PROBES", "Finding", "Probe", "Report", "recheck", "verify"]
