"""What `make peers` says of our model, tried here with ours alone: nothing is lost and every line of it can be had."""

from __future__ import annotations

import pytest

from benchmarks import peers

OURS = next(peer for peer in peers.PEERS if peer.name == peers.OURS)


@pytest.fixture(scope="module")
def claims() -> list[peers.Claim]:
    return peers.measure([OURS], rounds=1)


def test_ours_holds_in_every_trial(claims: list[peers.Claim]) -> None:
    told = {claim.title: claim.outcomes[peers.OURS] for claim in claims}
    tried = {title: outcome for title, outcome in told.items() if outcome.holds is not None}
    assert [f"{title}: {outcome.text}" for title, outcome in tried.items() if not outcome.holds] == []
    assert [outcome.text for title, outcome in tried.items() if "citations" in title] == ["3 of 3"] * 4
    assert len(tried) == len(told) - 2  # the two import rows have nothing to lose


class Forgetful:
    """A model that keeps one source under v3 and cannot be copied."""

    def __deepcopy__(self, memo: object) -> Forgetful:
        raise TypeError("no copies")

    def invoke(self, question: str) -> object:
        return self

    content_blocks = ("https://s2.test/",)

    def model_dump(self) -> dict[str, str]:
        return {}


def test_a_loss_is_told_as_one() -> None:
    assert peers._kept(OURS, Forgetful()) == peers.Outcome("1 of 3", False)


def test_a_failure_is_told_with_its_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers.Peer, "make", lambda *_: Forgetful())
    assert peers._deep(OURS, "") == peers.Outcome("`TypeError: no copies`", False)


def test_a_peer_that_is_not_installed_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = peers.Peer("ChatNobody", "no_such_package", "", ())
    monkeypatch.setattr(peers, "PEERS", (absent, OURS))
    assert peers.installed() == ([OURS], ["ChatNobody was not tried: `no_such_package` is not installed."])
