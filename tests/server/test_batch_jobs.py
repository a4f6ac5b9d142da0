"""Batch jobs: lines are answered as requests from outside are, errors in place, ends told."""

from __future__ import annotations

import json
import threading

import pytest
from mistralai import client as mistral_sdk

from ..conftest import API_KEY
from ..support.running import Standin
from ..support.scripted import say

MODEL = "m"


def lines_of(data):
    return [json.loads(line) for line in data.splitlines()]


def finished(api, job):
    """Wait for the end of a job, by its own status."""
    for _ in range(3000):
        now = api.ok("GET", f"/batch/jobs/{job['id']}")
        if now["status"] not in ("QUEUED", "RUNNING", "CANCELLATION_REQUESTED"):
            return now
    raise AssertionError("the job never ends")


def uploaded(api, *lines):
    text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    reply = api.http.post("/v1/files", files={"file": ("in.jsonl", text.encode())}, data={"purpose": "batch"})
    return reply.json()["id"]


def content(api, file_id):
    return lines_of(api.http.get(f"/v1/files/{file_id}/content").text)


def created(api, *lines, **fields):
    body = {"endpoint": "/v1/conversations", "input_files": [uploaded(api, *lines)], **fields}
    return finished(api, api.ok("POST", "/batch/jobs", body))


def test_conversations_are_answered_with_errors_in_place(thinking, scripted):
    api = thinking()
    scripted.script(say("one"), say("two"))
    job = created(
        api,
        {"custom_id": "a", "body": {"inputs": "first"}},
        {"custom_id": "b", "body": {"inputs": "", "nonsense": 1}},
        {"custom_id": "c", "body": {"inputs": "second", "stream": True}},
        {"custom_id": "d", "body": {"inputs": "third", "model": "other"}},
        model=MODEL,
        metadata={"run": "7"},
    )
    counts = [job[f"{kind}_requests"] for kind in ("total", "completed", "succeeded", "failed")]
    assert (job["status"], counts) == ("SUCCESS", [4, 4, 2, 2])
    results = content(api, job["output_file"])
    assert [line["custom_id"] for line in results] == ["a", "d"]
    assert [line["response"]["body"]["outputs"][0]["content"] for line in results] == ["one", "two"]
    assert [request["model"] for request in scripted.requests] == [MODEL, "other"]
    errors = content(api, job["error_file"])
    assert [(line["custom_id"], line["response"]["status_code"]) for line in errors] == [("b", 422), ("c", 422)]
    assert all(line["error"]["message"] for line in errors)
    conversation = results[0]["response"]["body"]["conversation_id"]
    assert len(api.history(conversation)) == 2, "it belongs to the key that made the job"
    files = {row["id"]: row for row in api.ok("GET", "/files")["data"]}
    assert [files[job[name]]["sample_type"] for name in ("output_file", "error_file")] == [
        "batch_result",
        "batch_error",
    ]
    assert files[job["output_file"]]["num_lines"] == 2


def test_requests_may_stand_in_the_job_itself(api):
    requests = [
        {"body": {"model": MODEL, "input": "otters"}},
        {"custom_id": "x\u2028y", "body": {"model": MODEL, "input": "owls"}},
    ]
    job = finished(api, api.ok("POST", "/batch/jobs", {"endpoint": "/v1/embeddings", "requests": requests}))
    shown = api.ok("GET", f"/batch/jobs/{job['id']}", inline="true")
    assert [line["custom_id"] for line in shown["outputs"]] == ["0", "x\u2028y"]
    assert len(shown["outputs"][0]["response"]["body"]["data"][0]["embedding"]) == 1024


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["{not json"], "line 1"),
        ([{"custom_id": "a"}], "body"),
        ([{"custom_id": "a", "body": {}}, {"custom_id": "a", "body": {}}], "'a' is there 2 times"),
        ([""], "no requests"),
    ],
)
def test_a_file_that_holds_no_requests_fails_as_a_whole(api, lines, said):
    job = created(api, *lines, model=MODEL)
    assert job["status"] == "FAILED"
    assert said in job["errors"][0]["message"]
    assert job["output_file"] is None


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"endpoint": "/v1/ocr", "requests": [{"body": {}}]}, 422),
        ({"endpoint": "/v1/conversations"}, 422),
        ({"endpoint": "/v1/conversations", "requests": []}, 422),
        ({"endpoint": "/v1/conversations", "input_files": ["0b0b0b0b-0000-4000-8000-000000000000"]}, 404),
        ({"endpoint": "/v1/conversations", "requests": [{"body": {}}], "timeout_hours": 0}, 422),
    ],
)
def test_wrong_jobs_are_refused(api, body, status):
    assert api.send("POST", "/batch/jobs", body).status_code == status


def test_jobs_are_listed_filtered_and_forgotten(api, api_of):
    first = created(api, {"body": {"inputs": "q"}}, model="one", metadata={"run": "a"})
    second = created(api, {"body": {"inputs": "q"}}, model="two")
    ids = [job["id"] for job in api.ok("GET", "/batch/jobs")["data"]]
    assert ids.index(second["id"]) < ids.index(first["id"])
    listed = api.ok("GET", "/batch/jobs", model="one", status="SUCCESS", metadata='{"run": "a"}')
    assert [job["id"] for job in listed["data"]] == [first["id"]]
    assert api.ok("GET", "/batch/jobs", created_after="2999-01-01T00:00:00Z")["total"] == 0
    assert api.send("GET", "/batch/jobs", order_by="name").status_code == 422
    other = api_of(str(api.http.base_url), "another-key")
    assert other.send("GET", f"/batch/jobs/{first['id']}").status_code == 404
    assert api.ok("DELETE", f"/batch/jobs/{first['id']}")["deleted"]
    assert api.send("GET", f"/batch/jobs/{first['id']}").status_code == 404


def test_a_cancelled_job_keeps_what_was_answered(thinking, scripted):
    api = thinking()
    asked, go = threading.Event(), threading.Event()

    def held(_body):
        asked.set()
        assert go.wait(30)
        return say("one")

    scripted.script(held, say("never"))
    requests = [{"body": {"model": MODEL, "inputs": text}} for text in ("first", "second")]
    job = api.ok("POST", "/batch/jobs", {"endpoint": "/v1/conversations", "requests": requests})
    assert asked.wait(30)
    assert api.send("DELETE", f"/batch/jobs/{job['id']}").status_code == 400
    assert api.ok("POST", f"/batch/jobs/{job['id']}/cancel")["status"] == "CANCELLATION_REQUESTED"
    go.set()
    ended = finished(api, job)
    assert (ended["status"], ended["completed_requests"]) == ("CANCELLED", 1)
    assert len(content(api, ended["output_file"])) == 1
    assert api.ok("POST", f"/batch/jobs/{job['id']}/cancel")["status"] == "CANCELLED"


def test_a_job_that_a_stopped_server_left_has_failed(tmp_path, scripted, api_of):
    asked, go = threading.Event(), threading.Event()

    def held(_body):
        asked.set()
        assert go.wait(30)
        return say("late")

    scripted.script(held)
    server = Standin(data=tmp_path, model_url=scripted.url)
    requests = [{"body": {"model": MODEL, "inputs": "q"}}]
    job = api_of(server.base_url).ok("POST", "/batch/jobs", {"endpoint": "/v1/conversations", "requests": requests})
    assert asked.wait(30)
    go.set()
    server.stop()
    again = Standin(data=tmp_path)
    try:
        left = api_of(again.base_url).ok("GET", f"/batch/jobs/{job['id']}")
        assert left["status"] in ("FAILED", "SUCCESS")
        assert (left["status"] == "FAILED") == bool(left["errors"])
    finally:
        again.stop()


def test_the_sdks_own_jobs(standin):
    with mistral_sdk.Mistral(api_key=API_KEY, server_url=standin.base_url) as sdk:
        requests = [{"custom_id": "a", "body": {"inputs": "What is 2 + 2?"}}]
        job = sdk.batch.jobs.create(endpoint="/v1/conversations", requests=requests, model=MODEL)
        while sdk.batch.jobs.get(job_id=job.id).status in ("QUEUED", "RUNNING"):
            pass
        done = sdk.batch.jobs.get(job_id=job.id, inline=True)
        assert done.outputs[0]["response"]["status_code"] == 200
        assert sdk.batch.jobs.list().total >= 1
