"""What the guide's scripts meet: a key and an address in the environment, a library, a model that follows a script."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from mistral_agents import MistralAgents
from mistral_agents.tools import TranslationWarning
from tests.conftest import API_KEY
from tests.support.scripted import ScriptedModel

PAGES = {
    "trends.html": "<html><head><title>Renewable energy trends 2025</title></head><body><p>Renewable energy technology in 2025: "
    "solar panels are now cheaper than fossil fuels in most markets. Solar grew by 29 percent.</p></body></html>",
    "security.html": "<html><head><title>Industry standards for authentication</title></head><body><p>Authentication "
    "system standards in the industry ask for passkeys.</p></body></html>",
}
DOCUMENTS = {
    "Vacation Policy.md": "# Vacation policy\n\nRemote employees have 30 days of vacation a year, as all employees do.",
    "Gateway.md": "# API Gateway\n\nTo configure SSL/TLS for the API Gateway set tls.cert and tls.key in gateway.yaml.",
    "Security Best Practices 2024.txt": "Security recommendations: rotate keys every 90 days.",
    "Cloud Infrastructure Guide.txt": "Security recommendations: rotate keys every 30 days in the cloud.",
    "Compliance Handbook.txt": "Security recommendations: keep a record of every key rotation.",
    "Authentication.md": "# Authentication system\n\nOur authentication system uses passwords with a second factor.",
    "Strategy.md": "# Renewable energy strategy\n\nOur company's renewable energy strategy: 40 MW of solar by 2026.",
}


class Guide:
    """The stand-in of one test: its library's id and the requests it received."""

    def __init__(self, served: Any, library_id: str, documents: dict[str, str]) -> None:
        self.served = served
        self.library_id = library_id
        self.documents = documents

    def bodies(self, path: str) -> list[dict[str, Any]]:
        """The JSON bodies posted to a path."""
        seen = self.served.faults.requests
        return [one.json for one in seen if one.method == "POST" and one.path == path]

    @property
    def agent(self) -> dict[str, Any]:
        """The body that created the last agent."""
        return self.bodies("/v1/agents")[-1]


@pytest.fixture
def guide(
    standin_factory: Callable[..., Any],
    scripted: ScriptedModel,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Guide]:
    pages = tmp_path_factory.mktemp("pages")
    for name, text in PAGES.items():
        (pages / name).write_text(text)
    served = standin_factory(model_url=scripted.url, allow_code=True, pages=pages)
    monkeypatch.setenv("MISTRAL_API_KEY", API_KEY)
    monkeypatch.setenv("MISTRAL_BASE_URL", served.base_url)
    with MistralAgents() as client, warnings.catch_warnings():
        warnings.simplefilter("ignore", TranslationWarning)
        library = client.libraries.create("company")
        uploads = [client.libraries.upload(library.id, (name, text.encode())) for name, text in DOCUMENTS.items()]
        outcomes = client.libraries.wait_until_ready(library.id, [upload.id for upload in uploads])
        assert all(outcome.ready for outcome in outcomes)
        monkeypatch.setenv("MISTRAL_LIBRARY_ID", library.id)
        yield Guide(served, library.id, {upload.name: upload.id for upload in uploads})
