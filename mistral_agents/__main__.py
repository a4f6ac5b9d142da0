"""`python -m mistral_agents`: as `mistral-agents`, where scripts are not on the path."""

from __future__ import annotations

import sys

from mistral_agents.cli import main

if __name__ == "__main__":
    sys.exit(main())
