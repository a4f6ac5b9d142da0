"""Cassettes replay, sync and async, with the network closed; and they hold no secret."""

from __future__ import annotations

import re

import pytest
import yaml
from pytest_socket import disable_socket

from mistral_agents import MistralAgents
from scripts.cassettes import FOLDER, SERVICE, STANDIN, address_of, path_of, player
from scripts.scenarios import SCENARIOS, arun, run

WRITTEN = sorted(path.parent.name for path in FOLDER.glob("*/cassette.yaml"))


def client(name: str) -> MistralAgents:
    return MistralAgents(api_key="test-key", base_url=address_of(path_of(name)), max_retries=0)


@pytest.fixture
def no_network():
    """Not even loopback: what replays asks nobody."""
    disable_socket(allow_unix_socket=True)


def test_every_scenario_has_its_cassette_and_says_what_it_was_recorded_against():
    assert sorted(SCENARIOS) == WRITTEN
    for name in WRITTEN:
        said = re.search(
            r"Recorded against (the (?:stand-in at commit \w+|live service on \d{4}-\d\d-\d\d))",
            (FOLDER / name / "README.md").read_text(),
        )
        assert said is not None
        assert path_of(name).read_text().startswith(f"recorded_against: {said.group(1)}")


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_cassette_replays(no_network, name):
    with player().use_cassette(str(path_of(name))) as cassette:
        run(client(name), SCENARIOS[name])
    assert cassette.all_played


@pytest.mark.parametrize("name", SCENARIOS)
async def test_a_cassette_replays_asynchronously(no_network, name):
    with player().use_cassette(str(path_of(name))) as cassette:
        await arun(client(name), SCENARIOS[name])
    assert cassette.all_played


@pytest.mark.parametrize("name", WRITTEN)
def test_a_cassette_holds_no_secret(name):
    text = path_of(name).read_text()
    for word in ("authorization", "cookie", "bearer", "test-key", "the-right-key", "a-wrong-key", "127.0.0.1"):
        assert word not in text.lower()
    assert not re.search(r"\bsig=(?!FILTERED)", text)


@pytest.mark.parametrize("name", WRITTEN)
def test_a_cassette_is_needed_as_it_is(name):
    """A request that was not recorded is refused, so a replay can't pass by asking somebody else."""
    story = yaml.safe_load(path_of(name).read_text())
    address = {"stand-in": STANDIN, "live": SERVICE}[story["recorded_against"].split()[1]]
    assert {entry["request"]["uri"].startswith(address + "/v1/") for entry in story["interactions"]} == {True}
    with (
        player().use_cassette(str(path_of(name))),
        pytest.raises(Exception, match=r"overwrite|overwritten|record"),
    ):
        client(name).conversations.start("never recorded", model="nobody")
