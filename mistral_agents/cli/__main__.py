"""`python -m mistral_agents.cli`: as `mistral-agents`."""

from __future__ import annotations

import sys

from mistral_agents.cli import main

if __name__ == "__main__":
    sys.exit(main())
