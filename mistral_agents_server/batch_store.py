"""Batch jobs in SQLite."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from mistral_agents_server import ids
from mistral_agents_server.db import Database
from mistral_agents_server.errors import not_found

Wire = dict[str, Any]

RUNNING = ("QUEUED", "RUNNING", "CANCELLATION_REQUESTED")
_STOPPED = {"message": "the stand-in was stopped while the job ran", "count": 1}
_TABLES = """
CREATE TABLE IF NOT EXISTS batch_jobs (id TEXT PRIMARY KEY, owner TEXT NOT NULL, body TEXT NOT NULL);
"""


class BatchStore:
    """Keeps jobs. Those that a stopped server left unfinished have failed: their turns are not repeated.

    Args:
        database: where to keep them.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        database.script(_TABLES)
        for row in database.run("SELECT id, body FROM batch_jobs"):
            if json.loads(row["body"])["status"] in RUNNING:
                self.change(row["id"], status="FAILED", errors=[_STOPPED], completed_at=int(time.time()))

    def create(self, owner: str, given: Wire) -> Wire:
        """A new job that waits."""
        job = {
            "id": ids.uuid4_str(),
            "object": "batch",
            "input_files": [],
            "metadata": None,
            "model": None,
            "agent_id": None,
            "output_file": None,
            "error_file": None,
            "outputs": None,
            "errors": [],
            "status": "QUEUED",
            "created_at": int(time.time()),
            "started_at": None,
            "completed_at": None,
            "total_requests": 0,
            "completed_requests": 0,
            "succeeded_requests": 0,
            "failed_requests": 0,
            **given,
        }
        self._database.run("INSERT INTO batch_jobs VALUES (?, ?, ?)", (job["id"], owner, json.dumps(job)))
        return job

    def get(self, job_id: str, owner: str) -> Wire:
        """One job.

        Raises:
            ApiError: 404 when there is none, or another key made it.
        """
        rows = self._database.run("SELECT body FROM batch_jobs WHERE id = ? AND owner = ?", (job_id, owner))
        if not rows:
            raise not_found(f"Batch job {job_id} not found")
        return dict(json.loads(rows[0]["body"]))

    def all(self, owner: str) -> list[Wire]:
        """All jobs of a key, oldest first."""
        rows = self._database.run("SELECT body FROM batch_jobs WHERE owner = ? ORDER BY rowid", (owner,))
        return [json.loads(row["body"]) for row in rows]

    def change(self, job_id: str, allowed: Callable[[Wire], bool] = lambda _: True, **fields: Any) -> Wire | None:
        """Change some fields, if the job is still there and `allowed` agrees; what it is then, else None."""
        with self._database.transaction():
            rows = self._database.run("SELECT body FROM batch_jobs WHERE id = ?", (job_id,))
            if not rows or not allowed(job := json.loads(rows[0]["body"])):
                return None
            job |= fields
            self._database.run("UPDATE batch_jobs SET body = ? WHERE id = ?", (json.dumps(job), job_id))
        return dict(job)

    def delete(self, job_id: str) -> None:
        """Forget a job."""
        self._database.run("DELETE FROM batch_jobs WHERE id = ?", (job_id,))
