"""The kit's own: `mistral_agents_server.testing.faults`."""

from mistral_agents_server.testing.faults import *  # noqa: F403
