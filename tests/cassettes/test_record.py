"""Every scenario can be recorded anew against the stand-in of today, and what was recorded replays."""

from __future__ import annotations

import pytest

from mistral_agents import MistralAgents
from scripts import cassettes
from scripts.cassettes import STANDIN, player
from scripts.record import Target, record
from scripts.scenarios import SCENARIOS, run


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_scenario_is_recorded_and_replays(monkeypatch, tmp_path, name):
    monkeypatch.setattr(cassettes, "FOLDER", tmp_path)
    monkeypatch.setattr("scripts.record.describe_source", lambda _: "the stand-in at commit abc123")
    left: list[str] = []
    assert (record(SCENARIOS[name], Target(), left), left) == ([], [])
    assert "abc123" in (tmp_path / name / "README.md").read_text()
    assert sorted(path.name for path in (tmp_path / name).iterdir()) == ["README.md", "cassette.yaml"]
    text = (tmp_path / name / "cassette.yaml").read_text()
    assert text.startswith("recorded_against: the stand-in at commit abc123\n")
    assert "127.0.0.1" not in text
    assert "api.mistral.ai" not in text
    assert "authorization" not in text.lower()
    with player().use_cassette(str(tmp_path / name / "cassette.yaml")) as replayed:
        run(MistralAgents(api_key="test-key", base_url=STANDIN, max_retries=0), SCENARIOS[name])
    assert replayed.all_played
