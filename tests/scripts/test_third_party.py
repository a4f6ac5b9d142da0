"""The page about packages of others says what `scripts.third_party` runs, in the versions that are pinned."""

from __future__ import annotations

import re
from pathlib import Path

from scripts.third_party import CONSUMERS, HEAD, main, run_consumer

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| (\w+) \| `([\w-]+)` (\S+) \| (.+) \| (works|not ours: .+) \|$", re.MULTILINE)


def test_the_page_has_every_consumer_and_its_pinned_version() -> None:
    page = (ROOT / "docs" / "works-with.md").read_text(encoding="utf-8")
    assert HEAD in page
    rows = ROW.findall(page)
    assert [(wing, package, job) for wing, package, _, job, _ in rows] == [
        (c.wing, c.package, c.job) for c in CONSUMERS
    ]
    pins = (ROOT / "constraints-third-party.txt").read_text(encoding="utf-8")
    assert [package for _, package, version, _, _ in rows if f"\n{package}=={version}" not in f"\n{pins}"] == []


def test_there_are_at_least_twelve_packages_of_both_wings() -> None:
    assert len({consumer.package for consumer in CONSUMERS}) >= 12
    assert {consumer.wing for consumer in CONSUMERS} == {"LangChain", "LlamaIndex"}
    assert len({consumer.name for consumer in CONSUMERS}) == len(CONSUMERS)


def test_a_consumer_is_judged_by_its_outcome(monkeypatch) -> None:
    cache = next(consumer for consumer in CONSUMERS if consumer.name == "cache")
    for name in ("MISTRAL_API_KEY", "MISTRAL_BASE_URL"):
        monkeypatch.setenv(name, "")
    assert run_consumer(cache).result == "works"

    def fail(lab):
        raise AssertionError("planned")

    failing = type(cache)("failing", "nothing", "LangChain", "fails", fail)
    assert run_consumer(failing).result == "**fails**"
    assert run_consumer(type(cache)("no", "nothing", "LangChain", "fails", fail, "its own fault")).row.endswith(
        "| `nothing` (not installed) | fails | not ours: its own fault |"
    )


def test_an_unknown_name_is_refused(capsys) -> None:
    assert main(["deepagent"]) == 2
    assert "deepagents" in capsys.readouterr().out
