"""Housekeeping: export and delete conversations that are no longer needed; a dry run unless told otherwise."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mistral_agents._api.records import ConversationInfo
from mistral_agents._display.shown import Shown
from mistral_agents._printable import show_text
from mistral_agents._progress import Progress, counting
from mistral_agents._steps import Job, Steps, arun, run
from mistral_agents._turn.content import parse_time
from mistral_agents.errors import ConfigurationError, MistralAgentsError, NotFoundError

if TYPE_CHECKING:
    from mistral_agents.client import MistralAgents
    from mistral_agents.conversations import Conversations

_CLEANING = "Deleting conversations"
Done = Literal["would delete", "deleted", "failed"]


@dataclass(frozen=True, slots=True)
class CleanedUp:
    """What became of one conversation.

    Attributes:
        conversation_id: The conversation.
        age: Since its last change.
        done: `would delete` in a dry run, `deleted`, or `failed`: then it is still there.
        archive: The export, where one was asked for.
        error: Why it failed.
    """

    conversation_id: str
    age: timedelta
    done: Done
    archive: Path | None = None
    error: str | None = None


@dataclass(slots=True)
class CleanupReport(Shown):
    """What a cleanup did.

    Attributes:
        rows: One per conversation that fits.
        looked_at: Conversations that were looked at.
        dry_run: Whether nothing was touched.
    """

    rows: list[CleanedUp] = field(default_factory=list)
    looked_at: int = 0
    dry_run: bool = True

    @property
    def failed(self) -> list[CleanedUp]:
        """What is still there although it fits."""
        return [row for row in self.rows if row.done == "failed"]

    def __str__(self) -> str:
        lines = [
            f"{row.done:12}  {row.conversation_id}  {row.age.days} days"
            + (f"  → {row.archive}" if row.archive is not None else "")
            + (f"  {row.error}" if row.error is not None else "")
            for row in self.rows
        ]
        return show_text(
            "\n".join([*lines, f"{len(self.rows)} of {self.looked_at} conversations fit; dry run: {self.dry_run}"])
        )


@dataclass(slots=True)
class _Plan:
    """Which conversations fit."""

    older_than: timedelta
    now: datetime
    report: CleanupReport
    fitting: list[tuple[str, timedelta]] = field(default_factory=list)

    def look(self, info: ConversationInfo) -> None:
        self.report.looked_at += 1
        changed = parse_time(info.get("updated_at")) or parse_time(info.get("created_at"))
        if changed is not None and self.now - changed > self.older_than:
            self.fitting.append((info.conversation_id, self.now - changed))

    def dry(self) -> CleanupReport:
        self.report.rows = [CleanedUp(key, age, "would delete") for key, age in self.fitting]
        return self.report


def _plan(older_than: timedelta, dry_run: bool) -> _Plan:
    if not isinstance(older_than, timedelta):
        raise ConfigurationError(f"older_than must be a timedelta such as timedelta(days=90), not {older_than!r}.")
    return _Plan(older_than, datetime.now(timezone.utc), CleanupReport(dry_run=dry_run))


def cleanup(
    client: MistralAgents,
    *,
    older_than: timedelta,
    agent_id: str | None = None,
    metadata: Mapping[str, Any] | None = None,
    archive_to: str | os.PathLike[str] | None = None,
    files: bool = False,
    dry_run: bool = True,
    on_progress: Progress | None = None,
    show_progress: bool = False,
) -> CleanupReport:
    """Delete old conversations, each after its export was written and read back.

    A run that was killed can be started again: what it deleted is in the archive, what it had only exported is exported
    anew. Conversations this key can't see are not touched.

    Args:
        client: The client.
        older_than: Since the conversation's last change.
        agent_id: Only those started with this agent.
        metadata: Only those with these fields, compared here.
        archive_to: A folder for the exports, one file a conversation; None deletes without an export.
        files: Whether the exports hold the files made, too.
        dry_run: Only say what would be deleted.
        on_progress: Called after each conversation with (done, all).
        show_progress: Show a bar.

    Raises:
        ConfigurationError: `older_than` is no `timedelta`.
        MistralAgentsError: The list can't be read. A conversation that fails is reported, and the rest goes on.
    """
    found = client.conversations.list(agent_id=agent_id, metadata=metadata)
    plan = _plan(older_than, dry_run)
    for info in found:
        plan.look(info)
    with counting(_CLEANING, show_progress, on_progress) as tick:
        return run(_delete_planned(client, plan, archive_to, tick, files=files))


async def acleanup(
    client: MistralAgents,
    *,
    older_than: timedelta,
    agent_id: str | None = None,
    metadata: Mapping[str, Any] | None = None,
    archive_to: str | os.PathLike[str] | None = None,
    files: bool = False,
    dry_run: bool = True,
    on_progress: Progress | None = None,
    show_progress: bool = False,
) -> CleanupReport:
    """As `cleanup`, without blocking."""
    plan = _plan(older_than, dry_run)
    found: AsyncIterator[ConversationInfo] = client.conversations.alist(agent_id=agent_id, metadata=metadata)
    async for info in found:
        plan.look(info)
    with counting(_CLEANING, show_progress, on_progress) as tick:
        return await arun(_delete_planned(client, plan, archive_to, tick, files=files))


def _delete_planned(
    client: MistralAgents,
    plan: _Plan,
    archive_to: str | os.PathLike[str] | None,
    on_progress: Progress | None,
    *,
    files: bool,
) -> Steps[CleanupReport]:
    if plan.report.dry_run:
        return plan.dry()
    for number, (key, age) in enumerate(plan.fitting, 1):
        try:
            path: Path | None = yield _remove(client.conversations, key, archive_to, files=files)
        except NotFoundError:
            pass  # someone else deleted it meanwhile
        except (MistralAgentsError, OSError) as error:
            plan.report.rows.append(CleanedUp(key, age, "failed", error=str(error)))
        else:
            plan.report.rows.append(CleanedUp(key, age, "deleted", path))
        if on_progress is not None:
            on_progress(number, len(plan.fitting))
    return plan.report


def _remove(conversations: Conversations, key: str, archive_to: str | os.PathLike[str] | None, *, files: bool) -> Job:
    if archive_to is None:
        return Job(lambda: conversations.delete(key), lambda: conversations.adelete(key))
    return Job(
        lambda: conversations.archive(key, archive_to, files=files),
        lambda: conversations.aarchive(key, archive_to, files=files),
    )
