"""Undo an import: preview, request, and run as a job in chunks.

What the import created is removed, what it changed is restored, unless something later depends on
it. A guest or an order, with its parts, is undone as a whole or not at all: rows that were written
again, merges, later orders and events block it. An import of events is undone by its transactions
(`event_undo.py`). An undo that anything blocks is refused, or, with
`skip_changed`, leaves what is blocked as it is.

All is checked before anything is changed, and each chunk again in its own transaction, which also
stores how far the undo is: after an interruption it continues.
"""

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any, Final
from uuid import UUID

from innkeeper import clock
from innkeeper.actions.admin import audit, background
from innkeeper.actions.bulk import batches, event_undo, imports, undo_chunks
from innkeeper.actions.bulk.undo_chunks import PHASES, Phase
from innkeeper.errors import Conflict
from innkeeper.resources.base import Record
from innkeeper.resources.values import iso
from innkeeper.rules.audited import IMPORT
from innkeeper.store.database import retrying
from innkeeper.store.work import Json, Row, Work

TASK: Final = "imports.undo"
"""The background task that undoes an import."""
WAITING: Final = "waiting"
CHECKING: Final = "checking"
UNDOING: Final = "undoing"
DONE: Final = "done"
REFUSED: Final = "refused"
RUNNING: Final = (WAITING, CHECKING, UNDOING)
STATES: Final = (*RUNNING, DONE, REFUSED)
PREVIEW_ROOTS: Final = 50_000
"""Guests and orders after which a preview stops; the job checks all."""
MOST_EXAMPLES: Final = 10
NOT_UNDONE: Final = {
    "deleted": "records that deleted guests or orders",
    "merged": "records that merged guests",
}
"""What an undo leaves, in words."""
COUNTS: Final = ("removed", "restored", "blocked", "lists")
"""Counters of a stored undo: rows by kind, remaining guests and orders by reason, and removed
guests by the static list that loses them."""
Chunk = tuple[Phase, str, list[UUID]]
"""Some guests or orders of a phase, and the position after them."""


@dataclass(slots=True)
class Effect:
    """The effect of the undo of some guests and orders."""

    removed: Counter[str] = field(default_factory=Counter)
    """Kind of row (`guests`, `items`, `extensions` …) -> number."""
    restored: Counter[str] = field(default_factory=Counter)
    blocked: Counter[str] = field(default_factory=Counter)
    """Reason -> guests and orders that it blocks."""
    lists: Counter[str] = field(default_factory=Counter)
    """Name of a static list -> guests on it that are removed."""
    examples: list[dict[str, str]] = field(default_factory=list)
    """The first blocked guests and orders: `of`, `ref`, `reason`."""

    @classmethod
    def of(cls, undo: dict[str, Any]) -> "Effect":
        """Return the effect so far of a stored undo."""
        counts = {name: Counter(undo.get(name) or {}) for name in COUNTS}
        return cls(**counts, examples=list(undo.get("examples") or ()))

    def members(self) -> dict[str, Any]:
        """Return it as members of a stored undo."""
        return {**{name: dict(getattr(self, name)) for name in COUNTS}, "examples": self.examples}

    def block(self, phase: Phase, blocked: dict[UUID, str]) -> None:
        """Add guests or orders that are left as they are."""
        self.blocked.update(blocked.values())
        for ref, reason in blocked.items():
            if len(self.examples) == MOST_EXAMPLES:
                return
            self.examples.append({"of": phase.of, "ref": str(ref), "reason": reason})

    def block_events(self, rows: Sequence[Row]) -> None:
        """Set the reasons that block an import of events, from `event_undo.check`."""
        self.blocked = Counter({row["reason"]: row["removed"] for row in rows})
        examples = [(*one.split(), row["reason"]) for row in rows for one in row["examples"]]
        self.examples = [
            {"of": of, "ref": ref, "reason": reason} for of, ref, reason in examples[:MOST_EXAMPLES]
        ]

    def count(self, rows: Sequence[Row]) -> None:
        """Add the counts of a chunk: `table_name`, `removed`, `restored`."""
        for row in rows:
            for name in ("removed", "restored"):
                if row[name]:
                    getattr(self, name)[_word_of(row["table_name"])] += row[name]

    def count_lists(self, rows: Sequence[Row]) -> None:
        """Add the guests that static lists lose: `name`, `guests`."""
        for row in rows:
            self.lists[row["name"]] += row["guests"]


def _word_of(table: str) -> str:
    """Return the kind of the rows of a table: data extensions of all tables are `extensions`."""
    return "extensions" if table.endswith("_extensions") else table.removeprefix("order_")


@dataclass(frozen=True, slots=True)
class Preview:
    """The preview of the undo of an import."""

    effect: Effect
    is_complete: bool
    """Whether everything was checked; of a large import only the start is."""


async def describe(work: Work, ref: UUID) -> Record:
    """Return the undo of an import: the requested one, else its preview (`preview`).

    `state` is None for a preview; `complete` is false if only the start of a large import was
    checked. Raises `Unknown`, and `Conflict` if the import cannot be undone.
    """
    row = await batches.fetch(work, ref)
    undo, more = row["undo"] or {}, {"ref": ref, "not_undone": _not_undone(row)}
    if "state" in undo:
        return {**undo, **Effect.of(undo).members(), **more, "complete": True}
    result = await preview(work, ref)
    return {**result.effect.members(), **more, "state": None, "complete": result.is_complete}


def _not_undone(row: Row) -> dict[str, int]:
    """Return how many records deleted or merged guests or orders (what was deleted is not stored,
    and each merge has an undo of its own), and how many settings the import changed."""
    outcomes = row["outcomes"]
    counts = {name: outcomes[name] for name in ("deleted", "merged") if outcomes.get(name)}
    return {**counts, **row["file_options"].get(batches.NOT_UNDONE, {})}


async def preview(work: Work, ref: UUID, most: int = PREVIEW_ROOTS) -> Preview:
    """Return the preview of the undo of an import; changes nothing.

    Raises `Unknown`, and `Conflict` if the import cannot be undone.
    """
    row = await batches.fetch(work, ref)
    await _check_undoable(work, row)
    async with work.in_slot(work.limits.undo_previews):
        return await _preview(work, row, most)


async def _preview(work: Work, row: Row, most: int | None) -> Preview:
    effect, checked, ref = Effect(), 0, row["ref"]
    if batches.is_recorded_by_rows(row):
        rows_max = None if most is None else event_undo.PREVIEW_ROWS
        check = await event_undo.check(work, ref, rows_max)
        effect.count(check.counts)
        effect.block_events(check.blocked)
        effect.count_lists(check.lists)
        return Preview(effect, check.is_complete)
    async for phase, reached, roots in _chunks(work, ref):
        if most is not None and checked >= most:
            return Preview(effect, is_complete=False)
        checked += len(roots)
        blocked = await undo_chunks.find_blocked(work, ref, phase, reached, roots, strict=False)
        effect.block(phase, blocked)
        free = [root for root in roots if root not in blocked]
        effect.count(await undo_chunks.count_rows(work, ref, phase, free))
        effect.count_lists(await undo_chunks.count_lists(work, phase, free))
    return Preview(effect, is_complete=True)


async def request(work: Work, ref: UUID, *, skip_changed: bool = False) -> Record:
    """Queue the undo of an import and return the import.

    Raises `Conflict` if the import cannot be undone, or if something depends on it and
    `skip_changed` is false.
    """
    result = await preview(work, ref)
    if result.effect.blocked and not skip_changed:
        raise Conflict(blocked_message(result.effect))
    async with work.transaction():
        row = await batches.lock_batch(work, ref)
        await _check_undoable(work, row)
        undo = {
            "state": WAITING,
            "skip_changed": skip_changed,
            "by": work.actor,
            "requested_at": iso(clock.now()),
        }
        after = await _store(work, row, undo)
        await background.defer(work, TASK, batch=str(ref))
        await audit.record(work, IMPORT, "undo", row, row, skip_changed=skip_changed)
    return after


def blocked_message(effect: Effect) -> str:
    """Return the message of a refused undo: the number of guests and orders that block it, and
    examples."""
    reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(effect.blocked.items()))
    examples = ", ".join(f"{one['of'][:-1]} {one['ref']}" for one in effect.examples)
    return (
        f"Nothing is undone, since something later depends on this import: {reasons}. "
        f"Examples: {examples}. Skip what changed, or undo first what is later."
    )


async def _check_undoable(work: Work, row: Row) -> None:
    """Raise `Conflict` if an import cannot be undone."""
    ref, undo = row["ref"], row["undo"]
    if imports.is_dry_run(row):
        raise Conflict(f"Import {ref} was a dry run: it changed nothing.")
    if row["finished_at"] is None:
        raise Conflict(f"Import {ref} has not ended yet.")
    if undo is None:
        raise Conflict(f"The changes of import {ref} were not recorded (undo_days).")
    if undo.get("state") in RUNNING:
        raise Conflict(f"Import {ref} is being undone already.")
    if await work.one("import_undo.is_recorded", batch=ref) is None:
        if undo.get("state") == DONE:
            raise Conflict(f"Import {ref} is undone already.")
        days = work.settings.undo_days
        if row["created_at"] < clock.now() - timedelta(days=days):
            raise Conflict(f"Import {ref} is older than {days} days (undo_days).")
        raise Conflict(f"Import {ref} changed nothing.")


async def run(work: Work, ref: UUID) -> Record:
    """Run the requested undo of a locked import to its end, and return the import."""
    row = await batches.fetch(work, ref)
    undo = dict(row["undo"] or {})
    if undo.get("state") in (WAITING, CHECKING):
        await _store(work, row, {**undo, "state": CHECKING})
        effect = (await _preview(work, row, None)).effect
        if effect.blocked and not undo["skip_changed"]:
            return await _finish(work, row, {**undo, **effect.members()}, REFUSED)
        total = sum(effect.removed.values()) + sum(effect.restored.values())
        undo = {**undo, "state": UNDOING, "rows": total, "phase": 0, "reached": None}
        if batches.is_recorded_by_rows(row):
            # The undo of a chunk of events learns which guests it removes only by removing them.
            undo["lists"] = dict(effect.lists)
        await _store(work, row, undo)
    if undo.get("state") != UNDOING:
        return row
    if batches.is_recorded_by_rows(row):
        return await _undo_events(work, row, undo)
    async for chunk in _chunks(work, ref, undo["phase"], undo["reached"]):
        undo = await retrying(partial(_undo_chunk, work, row, undo, chunk))
    await work.run("import_undo.forget_created", batch=ref)
    return await _finish(work, row, undo, DONE)


async def _undo_events(work: Work, row: Row, undo: dict[str, Any]) -> Record:
    """Undo an import of events to its end; the remaining rows are those that something blocks."""
    while (after := await retrying(partial(_undo_event_chunk, work, row, undo))) is not None:
        undo = after
    await event_undo.finish(work, row["ref"])
    effect = Effect.of(undo)
    effect.block_events((await event_undo.check(work, row["ref"], None)).blocked)
    return await _finish(work, row, {**undo, **effect.members()}, DONE)


async def _undo_event_chunk(work: Work, row: Row, undo: dict[str, Any]) -> dict[str, Any] | None:
    """Undo some transactions in one, and return the stored undo; None at the end."""
    async with work.transaction():
        settings = await work.row("batches.start_chunk")
        done = await event_undo.undo_chunk(
            work, row["ref"], row["created_at"], undo["reached"], settings["version"]
        )
        if done is None:
            return None
        effect = Effect.of(undo)
        effect.count(done[1])
        undo = {**undo, **effect.members(), "reached": done[0]}
        await _store(work, row, undo)
    return undo


async def _undo_chunk(work: Work, row: Row, undo: dict[str, Any], chunk: Chunk) -> dict[str, Any]:
    """Undo some guests or orders in one transaction, and return the stored undo."""
    effect = Effect.of(undo)
    phase, reached, roots = chunk
    async with work.transaction():
        settings = await work.row("batches.start_chunk")
        await undo_chunks.lock(work, phase, roots)
        blocked = await undo_chunks.find_blocked(
            work, row["ref"], phase, reached, roots, strict=True
        )
        effect.block(phase, blocked)
        free = [root for root in roots if root not in blocked]
        if free:
            effect.count(await undo_chunks.count_rows(work, row["ref"], phase, free))
            effect.count_lists(await undo_chunks.count_lists(work, phase, free))
            await undo_chunks.undo(work, row["ref"], phase, free, settings["version"])
        position = {"phase": PHASES.index(phase), "reached": reached}
        undo = {**undo, **effect.members(), **position}
        await _store(work, row, undo)
    return undo


async def _chunks(
    work: Work, ref: UUID, phase: int = 0, reached: str | None = None
) -> AsyncIterator[Chunk]:
    """Yield the guests and orders that an import wrote, those that it created first.

    Each chunk has the position after it, from which `phase` and `reached` continue.
    """
    for number, each in enumerate(PHASES[phase:], start=phase):
        position = reached if number == phase else None
        while (result := await undo_chunks.read_next(work, ref, each, position)) is not None:
            position, roots = result
            if roots:
                yield each, position, roots


async def _finish(work: Work, row: Row, undo: dict[str, Any], state: str) -> Record:
    """Store the end of an undo, with a row in the audit log by whoever requested it."""
    undo = {**undo, "state": state, "finished_at": iso(clock.now())}
    counts: dict[str, Any] = {name: undo.get(name) or {} for name in COUNTS}
    async with work.transaction():
        after = await _store(work, row, undo)
        about = audit.AuditSubject(IMPORT.name, str(row["ref"]))
        await audit.note(work, f"import.undo_{state}", about=about, by=undo["by"], **counts)
    return after


async def _store(work: Work, row: Row, undo: dict[str, Any]) -> Record:
    """Store the undo of an import, and return the import."""
    await work.run("import_undo.set", ref=row["ref"], undo=Json(undo))
    return {**row, "undo": undo}


async def expire(work: Work) -> int:
    """Delete the recorded changes of imports that are too old to be undone; return the number of
    rows."""
    before = clock.now() - timedelta(days=work.settings.undo_days)
    return await work.run("import_changes.expire", before=before)
