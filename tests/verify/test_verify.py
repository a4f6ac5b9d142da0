"""`python -m mistral_agents.verify` against the stand-in: verdicts, lies, cost, clean-up, reports, recheck."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mistral_agents import MistralAgents
from mistral_agents.errors import ConfigurationError, RateLimitedError
from mistral_agents.verify import DOES_NOT_HOLD, HOLDS, NOT_TRIED, PROBES, Finding, Probe, recheck, verify
from mistral_agents.verify.__main__ import main
from mistral_agents.verify.plan import DEFAULT_COSTS, judge, parse_costs
from mistral_agents.verify.reporting import as_json, as_markdown, redact, write_reports
from mistral_agents.verify.workbench import Workbench
from mistral_agents_server.app import create_app
from mistral_agents_server.settings import LocalConnector, LocalModel, LocalTool, Settings

from ..support.connectors import METEO, WEATHER
from ..support.lies import LIES, Liar
from ..support.running import Served, Standin

WORDS = {"hate_and_discrimination": ["hate"], "violence_and_threats": ["hurt"]}
WIND = LocalTool("wind", "Wind in a city.", WEATHER, lambda arguments: f"no wind in {arguments['city']}")
TWO_TOOLS = LocalConnector("meteo", "Weather.", [*METEO.tools, WIND])
KEY = "k3y-0f-the-account"
TURNED = {"models", "new-agent", "restart-without-inputs", "wrong-include", "unknown-model"}


RACED = {"left-early", "left-early-quota"}
"""Of a stream that is left: the stand-in may have ended it before it sees that."""


@pytest.fixture
def served() -> Iterator[Served]:
    models = [LocalModel("m"), LocalModel("mistral-embed", embeds=True)]
    settings = Settings(models=models, connectors=[TWO_TOOLS], guardrail_words=WORDS)
    server = Served(Liar(create_app(settings), ()))
    yield server
    server.stop()


@pytest.fixture
def account(served: Served) -> MistralAgents:
    return MistralAgents(api_key=KEY, base_url=served.base_url, max_retries=0)


def bench_of(account: MistralAgents, **options: Any) -> Workbench:
    return Workbench(account, model="m", connector="meteo", pace=0, **options)


def run(account: MistralAgents, **options: Any) -> Any:
    return verify(bench_of(account), PROBES, **{"max_cost": DEFAULT_COSTS, **options})


def settle_job(account: MistralAgents, job_id: str) -> None:
    for _ in range(3000):
        if account.sdk.batch.jobs.get(job_id=job_id).status not in ("QUEUED", "RUNNING"):
            return
    raise AssertionError("the job never ends")


def rest(account: MistralAgents) -> list[Any]:
    return [*account.conversations.list(), *account.agents.list(), *account.libraries.list()]


def test_the_truth_then_five_lies_turn_exactly_five_verdicts(served: Served, account: MistralAgents) -> None:
    honest = run(account)
    assert set(honest.findings) == {probe.name for probe in PROBES if not probe.opt_in}
    verdicts = {name: found.verdict for name, found in honest.findings.items() if name not in RACED}
    assert [name for name, verdict in verdicts.items() if verdict == DOES_NOT_HOLD] == []
    untried = {name: honest.findings[name].seen for name in verdicts if verdicts[name] == NOT_TRIED}
    assert set(untried) == {"retention", "late-confirmation", "batch"}, untried  # what --recheck settles
    assert not any(found.seen.startswith("it failed") for found in honest.findings.values())
    served.app.lies = frozenset(LIES)
    lied = {name: found.verdict for name, found in run(account).findings.items()}
    assert {name for name in verdicts if lied[name] != verdicts[name]} == TURNED
    assert {lied[name] for name in TURNED} == {DOES_NOT_HOLD}


def test_what_was_made_is_deleted_but_for_what_waits(account: MistralAgents) -> None:
    theirs = account.conversations.start("Somebody else's words.", model="m", name="Somebody else")
    report = run(account)
    assert report.left == []
    settle_job(account, report.late["batch"]["job_id"])
    assert len(rest(account)) == 4, "theirs, one that is asked for again, one whose call waits, and the job's"
    again = recheck(bench_of(account, run_id=report.run_id), PROBES, report.late)
    assert {name: found.verdict for name, found in again.findings.items()} == dict.fromkeys(
        ("retention", "late-confirmation", "batch"), HOLDS
    )
    assert [one.id for one in rest(account)] == [theirs.conversation_id]


@pytest.mark.parametrize("fault", [KeyboardInterrupt(), ValueError("s3cret")])
def test_everything_is_deleted_after_ctrl_c_and_after_a_fault(account: MistralAgents, fault: BaseException) -> None:
    def break_off(bench: Workbench) -> Finding:
        bench.start("Say seven.")
        raise fault

    probes = [Probe("broken", "", "", "", break_off), Probe("next", "", "", "", lambda _: judge(True, "seen"))]
    report = verify(bench_of(account), probes, max_cost={})
    assert rest(account) == []
    assert report.stopped is isinstance(fault, KeyboardInterrupt)
    assert ("next" in report.findings) is not report.stopped
    assert "s3cret" not in json.dumps(as_json(report, probes))


def test_cost_is_capped_and_opt_in_probes_wait_to_be_named(account: MistralAgents) -> None:
    report = run(account, max_cost=parse_costs("searches=0,code_runs=0"), only=["code", "web-search", "image"])
    assert [found.verdict for found in report.findings.values()].count(NOT_TRIED) == 2
    assert report.spent == {"images": 1}
    with pytest.raises(ConfigurationError, match="no probe teleport"):
        run(account, only=["teleport"])
    with pytest.raises(ConfigurationError, match="searches=N"):
        parse_costs("tea=2")
    total: dict[str, int] = {}
    for probe in PROBES:
        for kind, number in probe.costs.items():
            total[kind] = total.get(kind, 0) + number
    assert all(number <= DEFAULT_COSTS[kind] for kind, number in total.items())


@pytest.mark.parametrize(
    ("seconds", "verdict", "looks"), [(7.0, HOLDS, 2), (900.0, NOT_TRIED, 1), (None, NOT_TRIED, 1)]
)
def test_a_quota_is_waited_for_when_it_is_short(
    account: MistralAgents, monkeypatch: pytest.MonkeyPatch, seconds: Any, verdict: str, looks: int
) -> None:
    waited: list[float] = []
    monkeypatch.setattr("mistral_agents.verify.running.time.sleep", waited.append)
    looked: list[int] = []

    def look(_: Workbench) -> Finding:
        looked.append(1)
        if len(looked) == 1:
            raise RateLimitedError("full", status_code=429, retry_after=seconds)
        return judge(True, "seen")

    report = verify(bench_of(account), [Probe("p", "", "", "", look)], max_cost={})
    assert (report.findings["p"].verdict, len(looked), waited) == (verdict, looks, [7.0] if looks == 2 else [])


def test_requests_are_paced(account: MistralAgents, monkeypatch: pytest.MonkeyPatch) -> None:
    now, waited = [100.0], []
    monkeypatch.setattr("mistral_agents.verify.workbench.time.monotonic", lambda: now[0])
    monkeypatch.setattr("mistral_agents.verify.workbench.time.sleep", waited.append)
    bench = Workbench(account, model="m", pace=2.0)
    bench.wait()
    now[0] += 0.5
    bench.wait()
    assert waited == [1.5]


def test_reports_hold_nothing_of_the_account(account: MistralAgents, tmp_path: Path) -> None:
    account.conversations.start("Somebody else's words.", model="m", name="Somebody else")
    report = run(account)
    write_reports(tmp_path, report, PROBES, [KEY])
    for name in ("verify-report.md", "verify-report.json"):
        text = (tmp_path / name).read_text()
        assert report.run_id in text
        assert not any(
            word in text for word in (KEY, "Somebody", "127.0.0.1", *map(str, report.late["retention"].values()))
        )
    assert "| retention | **could not be tried** |" in (tmp_path / "verify-report.md").read_text()
    state = tmp_path / f"verify-state-{report.run_id}.json"
    assert stat.S_IMODE(state.stat().st_mode) == 0o600


@pytest.mark.parametrize("name", sorted(RACED))
def test_a_stream_that_is_left_is_looked_at(account: MistralAgents, name: str) -> None:
    (found,) = run(account, only=[name]).findings.values()
    assert not found.seen.startswith("it failed")
    assert rest(account) == []


def test_a_refusal_is_provoked_when_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Standin(models=[LocalModel("m")])
    client = MistralAgents(api_key=KEY, base_url=server.base_url, max_retries=0)
    try:
        server.faults.answer(429, headers={"retry-after": "7"})
        (told,) = run(client, only=["retry-after"]).findings.values()
        assert (told.verdict, told.seen) == (HOLDS, "turn 1 was refused; 7 seconds told")
        server.faults.answer(429)
        (silent,) = run(client, only=["retry-after"]).findings.values()
        assert (silent.verdict, silent.seen) == (DOES_NOT_HOLD, "turn 1 was refused; no wait told")
        monkeypatch.setattr("mistral_agents.verify.probes.turns._MOST_TURNS", 2)
        (never,) = run(client, only=["retry-after"]).findings.values()
        assert never.verdict == NOT_TRIED
        server.faults.answer(404, path="/v1/context")
        (absent,) = run(client, only=["search-index"]).findings.values()
        assert (absent.verdict, absent.seen) == (NOT_TRIED, "no index can be made: NotFoundError (404)")
    finally:
        server.stop()


def test_texts_are_redacted() -> None:
    text = f"{KEY} 01a07bff-b1ed-70bd-b7d4-34b652c070bb conv_01a07bffb1ed70bdb7d434b652c070bb me@example.org https://x.org/a"
    assert redact(text, [KEY, ""]) == "*** <id> <id> <address> <address>"
    assert redact("unknown-model", ["k"]) == "unknown-model"


def test_the_command(
    served: Served, account: MistralAgents, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.setenv("MISTRAL_API_KEY", KEY)
    monkeypatch.setenv("MISTRAL_BASE_URL", served.base_url)
    common = ["--pace", "0", "--model", "m", "--out", str(tmp_path)]
    assert main(["--list"]) == 0
    assert "restart-without-inputs" in capsys.readouterr().out
    assert main([*common, "--only", "models", "retention"]) == 0
    out = capsys.readouterr().out
    run_id = out.rsplit("--recheck ", 1)[1].strip()
    assert "models: holds" in out
    assert main([*common, "--recheck", run_id]) == 0
    assert "1 holds" in capsys.readouterr().out
    assert not (tmp_path / f"verify-state-{run_id}.json").exists()
    assert main([*common, "--recheck", run_id]) == 2
    assert main([*common, "--recheck", "../../x"]) == 2
    assert "8 hexadecimal digits" in capsys.readouterr().err
    monkeypatch.setattr("mistral_agents.verify.running._try", _interrupt)
    assert main([*common, "--only", "models"]) == 130
    monkeypatch.undo()
    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.setenv("MISTRAL_API_KEY", KEY)
    monkeypatch.setenv("MISTRAL_BASE_URL", served.base_url)
    served.app.lies = frozenset(LIES)
    assert main([*common, "--only", "models"]) == 1


def _interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


def test_what_could_not_be_settled_waits_on(account: MistralAgents) -> None:
    def settle(bench: Workbench, late: dict[str, Any]) -> Finding:
        raise RateLimitedError("not now")

    probe = Probe("batch", "", "", "", lambda _: judge(True, "begun"), settle=settle)
    report = recheck(bench_of(account), [probe], {"batch": {"job_id": "1"}})
    assert report.findings["batch"].verdict == NOT_TRIED
    assert report.late == {"batch": {"job_id": "1"}}


def test_a_settlement_that_is_broken_off_ends_as_interrupted(
    served: Served, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MISTRAL_API_KEY", "test-key")
    monkeypatch.setenv("MISTRAL_BASE_URL", served.base_url)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.setattr("mistral_agents.verify.running._look", _interrupt)
    state = tmp_path / "verify-state-1a2b3c4d.json"
    state.write_text('{"batch": {"job_id": "1"}}')
    assert main(["--out", str(tmp_path), "--pace", "0", "--recheck", "1a2b3c4d"]) == 130
    assert state.exists()


def test_the_page_names_every_probe() -> None:
    page = (Path(__file__).parents[2] / "docs" / "verify.md").read_text()
    rows = [f"| `{probe.name}` | {probe.statement} | {probe.request} |" for probe in PROBES]
    assert [row for row in rows if row not in page] == []


def test_a_broken_run_says_so() -> None:
    probe = Probe("p", "request", "look", "statement", lambda _: judge(True, "seen"))
    data = as_json(verify(Workbench(MistralAgents(api_key="k"), model="m"), [probe], max_cost={}), [probe])
    assert "broken off" not in as_markdown(data)
    assert "broken off" in as_markdown({**data, "stopped": True, "left": ["an agent: NotFoundError"]})


class Broken:
    """An application that answers some requests with nothing but a failure."""

    def __init__(self, app: Any, status: int, body: bytes, *, only: str = "") -> None:
        self.app = app
        self.status = status
        self.body = body
        self.only = only

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http" or not scope["path"].endswith(self.only):
            await self.app(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": self.status, "headers": []})
        await send({"type": "http.response.body", "body": self.body})


@pytest.mark.parametrize(
    ("status", "body"),
    [(500, b'{"object": "error", "message": "no"}'), (429, b""), (403, b""), (200, b"<html>"), (200, b"[]")],
)
def test_a_service_that_is_out_of_order_settles_nothing(
    served: Served, account: MistralAgents, monkeypatch: pytest.MonkeyPatch, status: int, body: bytes
) -> None:
    """Every error was taken for a refusal: seven statements did not hold, and some did, on a service that was down."""
    monkeypatch.setattr("mistral_agents.verify.running.time.sleep", lambda _: None)
    served.app.app = Broken(served.app.app, status, body)
    report = run(account)
    told = {name: found.seen for name, found in report.findings.items() if found.verdict != NOT_TRIED}
    assert told == {}


def test_an_outage_while_a_run_is_settled_neither_settles_nor_deletes(served: Served, account: MistralAgents) -> None:
    """What was asked for again later was deleted, and the next look said that the service had not kept it."""
    report = run(account, only=["retention", "late-confirmation"])
    whole = served.app.app
    served.app.app = Broken(whole, 503, b"busy", only="/history")
    again = recheck(bench_of(account, run_id=report.run_id), PROBES, report.late)
    assert again.findings["retention"].verdict == NOT_TRIED
    assert again.findings["late-confirmation"].verdict == HOLDS
    served.app.app = whole
    last = recheck(bench_of(account, run_id=report.run_id), PROBES, again.late)
    assert {name: found.verdict for name, found in last.findings.items()} == {"retention": HOLDS}
    assert rest(account) == []


def test_a_settlement_that_is_broken_off_keeps_what_waits(account: MistralAgents) -> None:
    report = run(account, only=["retention", "late-confirmation"])
    probes = [replace(probe, settle=_interrupt) if probe.name == "late-confirmation" else probe for probe in PROBES]
    again = recheck(bench_of(account, run_id=report.run_id), probes, report.late)
    assert again.stopped
    assert again.late == {"late-confirmation": report.late["late-confirmation"]}


def test_ctrl_c_while_what_was_made_is_deleted_leaves_the_report(
    account: MistralAgents, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(account.conversations, "delete", _interrupt)
    report = run(account, only=["restart-from-user"])
    assert report.stopped
    assert report.findings["restart-from-user"].verdict == HOLDS
    assert report.left == ["a conversation: broken off"] * 2
    assert "but for what is named below" in as_markdown(as_json(report, PROBES))


def test_the_conversation_of_a_stream_that_fails_is_deleted(account: MistralAgents) -> None:
    def break_off(bench: Workbench) -> Finding:
        with bench.stream("Say seven.") as stream:
            next(stream)
            raise ValueError("broken")

    verify(bench_of(account), [Probe("broken", "", "", "", break_off)], max_cost={})
    assert rest(account) == []


def test_what_is_settled_later_goes_into_the_report_of_its_run(account: MistralAgents, tmp_path: Path) -> None:
    """The report that was paid for was written over by the three rows that were settled."""
    report = run(account, only=["models", "retention"])
    write_reports(tmp_path, report, PROBES)
    again = recheck(bench_of(account, run_id=report.run_id), PROBES, report.late)
    data = write_reports(tmp_path, again, PROBES)
    assert {row["name"]: row["verdict"] for row in data["probes"]} == {"models": HOLDS, "retention": HOLDS}
    assert data == json.loads((tmp_path / "verify-report.json").read_text())
    other = run(account, only=["unknown-model"])
    assert [row["name"] for row in write_reports(tmp_path, other, PROBES)["probes"]] == ["unknown-model"]
