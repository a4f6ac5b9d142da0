"""The kit's own: `mistral_agents_server.testing.scripted`."""

from mistral_agents_server.testing.scripted import *  # noqa: F403
