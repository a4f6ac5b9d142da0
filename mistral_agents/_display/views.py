"""Which view an object of this package has, and the forms that a view is drawn in."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Container, Iterable, Sequence
from functools import singledispatch
from itertools import islice

from mistral_agents._api.records import Record, Records
from mistral_agents._conversation.archive import collect_file_refs
from mistral_agents._display.blocks import (
    PICTURES,
    Block,
    Columns,
    Diff,
    Drawing,
    Excerpt,
    Sign,
    Table,
    View,
    Words,
)
from mistral_agents._display.html import draw_fragment
from mistral_agents._display.markdown import draw_markdown
from mistral_agents._display.shown import Display, Shown
from mistral_agents._display.talk import picture_of, view_history, view_turn
from mistral_agents._display.terminal import draw_terminal
from mistral_agents._display.words import make_pairs, shorten, write_table, write_time, write_usage, write_value
from mistral_agents._http.concealed import masked
from mistral_agents._turn.media import FileData
from mistral_agents._turn.timeline import Explanation
from mistral_agents.branches import Branch, Comparison
from mistral_agents.cleanup import CleanupReport
from mistral_agents.conversation import Conversation
from mistral_agents.costs import Meter
from mistral_agents.entries import Entry
from mistral_agents.errors import ConfigurationError, MistralAgentsError
from mistral_agents.files import Files
from mistral_agents.graph import HandoffGraph
from mistral_agents.history import Event, History
from mistral_agents.retrieval.folder import FolderReport
from mistral_agents.retrieval.marks import Hits, mark_words
from mistral_agents.retrieval.snapshot import Hit
from mistral_agents.specs import Change, Plan
from mistral_agents.turn import Turn
from mistral_agents.usage import Prices, Quota, Usage

__all__ = ["draw_forms", "draw_fragment", "draw_markdown", "draw_terminal", "show_value", "view_of"]

log = logging.getLogger("mistral_agents")
_MOST_ROWS = 200
_MOST_COLUMNS = 7
_FIRST = (
    *("id", "name", "filename", "title", "model", "agent_id", "version", "alias", "process_status", "nb_documents"),
    *("number_of_pages", "size", "bytes", "created_at", "updated_at"),
)


@singledispatch
def view_of(value: object) -> View:
    """The view of an object.

    Raises:
        ConfigurationError: There is none.
    """
    if isinstance(value, (list, tuple)) and value and all(isinstance(row, Record) for row in value):
        return _view_records(Records(value))
    if isinstance(value, (list, tuple)) and value and all(isinstance(row, Hit) for row in value):
        return _view_hits(Hits(value))
    raise ConfigurationError(f"There is no drawing of a {type(value).__name__}; show what this package returns.")


def show_value(value: object, files: Files | None = None, prices: Prices | None = None) -> Display:
    """A value's view as an object; of an iterator the first rows are read."""
    if isinstance(value, Turn):
        return Display(view_turn(value, _read_pictures(value.entries, files), prices))
    if isinstance(value, History):
        return Display(view_history(value, pictures=_read_pictures(value.entries, files)))
    if isinstance(value, Iterable) and not isinstance(value, (Shown, str, list, tuple, dict)):
        value = list(islice(value, _MOST_ROWS))
        if not value:
            return Display(View("nothing", [Words("nothing")], "nothing"))
    return Display(view_of(value))


def _read_pictures(entries: list[Entry], files: Files | None) -> dict[str, FileData]:
    """The files that entries name, by their id; what can't be read is left to be named."""
    found: dict[str, FileData] = {}
    if files is None:
        return found
    for ref in collect_file_refs(entries):
        try:
            found[str(ref.file_id)] = files.read(ref)
        except MistralAgentsError as error:
            log.warning("The file %s is named and not drawn: %s", ref.file_id, error)
    return found


def draw_forms(view: View, include: Container[str] | None, exclude: Container[str] | None) -> dict[str, object]:
    """A view in the forms that are wanted, by media type; the text form is always among those there are."""
    html = draw_fragment(view)
    found: dict[str, object] = {"text/plain": view.plain, "text/markdown": draw_markdown(view)}
    if html is not None:
        found["text/html"] = html
    for kind, data in view.other.items():
        found[kind] = base64.b64encode(data).decode() if isinstance(data, bytes) else data
    return {
        kind: data
        for kind, data in found.items()
        if (not include or kind in include) and not (exclude and kind in exclude)
    }


def _tabled(title: str, table: Table, note: str = "") -> View:
    text = write_table(table)
    blocks: list[Block] = [table, *([Words(note)] if note else [])]
    return View(title, blocks, f"{text}\n{note}" if note else text)


view_of.register(Turn, view_turn)
view_of.register(History, view_history)


@view_of.register
def _view_conversation(conversation: Conversation) -> View:
    if conversation.id is None:
        return View("A new conversation", [Words("nothing was said yet")], "Conversation (nothing was said yet)")
    history = conversation.history()
    made = view_history(history, pictures=_read_pictures(history.entries, conversation._client.files))
    used = conversation.usage
    if not used.total_tokens:
        return made
    meter = conversation.meter
    cost = f" · {meter.cost:.4f} {meter.prices.currency}" if meter is not None and not meter.prices.is_empty else ""
    note = f"through this object: {write_usage(used)}{cost}"
    return View(made.title, [*made.blocks, Words(note)], f"{made.plain}\n{note}", made.other)


@view_of.register
def _view_branch(branch: Branch) -> View:
    svg, text = branch.to_svg(), str(branch)
    return View(f"Branches of {branch.conversation_id}", [Drawing(svg, text)], text, {"image/svg+xml": svg})


@view_of.register
def _view_comparison(comparison: Comparison) -> View:
    shared = Table(("who", f"shared: {len(comparison.shared)} entries"), _event_rows(comparison.shared))
    sides = ((comparison.left_id, comparison.left), (comparison.right_id, comparison.right))
    columns = tuple((name, [Table(("who", "text"), _event_rows(events))]) for name, events in sides)
    return View("Two conversations", [shared, Columns(columns)], str(comparison))


def _event_rows(events: Iterable[Event]) -> tuple[tuple[str, ...], ...]:
    return tuple((event.role or event.kind, shorten(event.text, 500)) for event in events)


@view_of.register
def _view_graph(graph: HandoffGraph) -> View:
    svg, text, mermaid = graph.to_svg(), str(graph), graph.to_mermaid()
    return View("Handoffs", [Drawing(svg, text)], text, {"image/svg+xml": svg, "text/vnd.mermaid": mermaid})


@view_of.register
def _view_plan(plan: Plan) -> View:
    return View("Plan", [Diff(tuple(line for change in plan.changes for line in _change_lines(change)))], str(plan))


@view_of.register
def _view_change(change: Change) -> View:
    return View(change.name, [Diff(tuple(_change_lines(change)))], str(change))


def _change_lines(change: Change) -> list[tuple[Sign, str]]:
    key = f" ({change.agent_id})" if change.agent_id is not None else ""
    lines: list[tuple[Sign, str]] = [("~", f"{change.action} {change.name}{key}")]
    for name, (now, wanted) in change.differences.items():
        if now is not None:
            lines.append(("-", f"{name}: {_as_json(now)}"))
        lines.append(("+", f"{name}: {_as_json(wanted)}"))
    return lines


def _as_json(value: object) -> str:
    return json.dumps(masked(value), ensure_ascii=False, default=str, sort_keys=True)


@view_of.register
def _view_usage(usage: Usage) -> View:
    return View("Usage", [_usage_table(usage)], write_usage(usage))


def _usage_table(usage: Usage, *more: tuple[str, str]) -> Table:
    rows = [
        ("tokens read", str(usage.prompt_tokens)),
        ("tokens written", str(usage.completion_tokens)),
        ("tokens of tools", str(usage.connector_tokens)),
        ("tokens in all", str(usage.total_tokens)),
        *((f"calls of {name}", str(count)) for name, count in usage.connectors.items()),
    ]
    return Table(("", "used"), (*more, *rows))


@view_of.register
def _view_meter(meter: Meter) -> View:
    cost = f"{meter.cost:.4f} {meter.prices.currency}" if not meter.prices.is_empty else "no price table"
    blocks: list[Block] = [_usage_table(meter.usage, ("turns", str(meter.turns)), ("cost", cost))]
    if meter.unpriced and not meter.prices.is_empty:
        blocks.append(Words(f"{meter.unpriced} turns have no price"))
    if meter.quotas:
        blocks.append(_quota_table(meter.quotas))
    return View("Meter", blocks, str(meter))


def _quota_table(quotas: Iterable[Quota]) -> Table:
    rows = ((q.name, q.window, write_value(q.remaining), write_value(q.limit)) for q in quotas)
    return Table(("quota", "window", "remaining", "limit"), tuple(rows))


@view_of.register
def _view_record(record: Record) -> View:
    return _tabled(str(record.get("name") or record.get("id") or type(record).__name__), make_pairs(masked(record)))


@view_of.register(Records)
def _view_records(records: Records[Record]) -> View:
    known = dict.fromkeys(key for row in records for key, value in row.items() if value not in (None, "", [], {}))
    order = [*(key for key in _FIRST if key in known), *(key for key in known if key not in _FIRST)]
    head = tuple(order[:_MOST_COLUMNS])
    rows = tuple(tuple(_write_cell(key, masked(dict(row)).get(key)) for key in head) for row in records[:_MOST_ROWS])
    left = f" ({_MOST_ROWS} are shown)" if len(records) > _MOST_ROWS else ""
    return _tabled("Records", Table(head if head else ("nothing",), rows if head else ()), f"{len(records)} rows{left}")


def _write_cell(key: str, value: object) -> str:
    return write_time(value) if key.endswith("_at") and isinstance(value, str) else write_value(value)


@view_of.register
def _view_hit(hit: Hit) -> View:
    return _view_hits(Hits([hit]))


@view_of.register
def _view_hits(hits: Hits) -> View:
    blocks: list[Block] = []
    lines: list[str] = []
    for number, hit in enumerate(hits, 1):
        page = f", p. {hit.chunk.page}" if hit.chunk.page is not None else ""
        label = f"{number}. {hit.document.name}{page} · score {hit.score:.3f}"
        blocks += [Words(label), Excerpt(tuple(mark_words(hit.text, hits.terms, hits.language)))]
        lines.append(f"{label}\n   {shorten(hit.text, 300)}")
    return View("Hits", blocks if blocks else [Words("nothing found")], "\n".join(lines) if lines else "nothing found")


@view_of.register
def _view_file(file: FileData) -> View:
    drawn = {file.media_type: file.data} if file.media_type in PICTURES else {}
    text = f"{file.name} ({file.media_type}, {len(file.data)} bytes)"
    return View(file.name, [picture_of(file)], text, {**drawn})


@view_of.register
def _view_cleanup(report: CleanupReport) -> View:
    rows = [(row.done, row.conversation_id, f"{row.age.days} days", write_value(row.error)) for row in report.rows]
    note = f"{len(report.rows)} of {report.looked_at} conversations fit; dry run: {report.dry_run}"
    return _tabled("Cleanup", Table(("done", "conversation", "age", "error"), tuple(rows)), note)


@view_of.register
def _view_folder(report: FolderReport) -> View:
    kinds = ("added", "updated", "moved", "relabelled", "adopted", "deleted", "spared", "skipped", "failed", "left")
    found = [(kind, getattr(report, kind)) for kind in kinds]
    rows = [(kind, path, _reason(values, path)) for kind, values in found for path in values]
    note = f"{report.unchanged} files unchanged; dry run: {report.dry_run}"
    return _tabled("Folder", Table(("", "file", ""), tuple(rows)), note)


def _reason(values: Sequence[str] | dict[str, str], path: str) -> str:
    return shorten(values[path]) if isinstance(values, dict) else ""


@view_of.register
def _view_explanation(explanation: Explanation) -> View:
    rows = tuple(
        (
            f"{step.at:.2f}\u00a0s" if step.at is not None else "",
            step.who if step.who is not None else "you",
            step.what + (" (failed)" if step.failed else ""),
            f"{step.seconds:.2f}\u00a0s" if step.seconds is not None else "",
            shorten(step.detail),
        )
        for step in explanation.steps
    )
    price = f" · {explanation.price:.4f} {explanation.currency}" if explanation.price is not None else ""
    table = Table(("at", "who", "what", "took", "detail"), rows)
    return View("Timeline", [table, Words(write_usage(explanation.usage) + price)], str(explanation))
