"""Scenarios that are recorded once and replayed by the tests, sync and async.

A scenario is a generator: it yields `Step`s and gets their results, so that one text serves both kinds of client.
"""

from __future__ import annotations

from scripts.scenarios import failures as failures
from scripts.scenarios import turns as turns
from scripts.scenarios._driver import SCENARIOS, Scenario, arun, run

__all__ = ["SCENARIOS", "Scenario", "arun", "run"]
