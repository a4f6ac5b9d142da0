"""The kit's own: `mistral_agents_server.testing.running`."""

from mistral_agents_server.testing.running import *  # noqa: F403
