"""Undo the guests or orders of one chunk: lock them, find blocking reasons, remove or restore."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal
from uuid import UUID

from innkeeper.actions.bulk.import_changes import extension_parts
from innkeeper.actions.identity import ledger, rulebook
from innkeeper.resources.orders import CHILDREN
from innkeeper.rules.identity_keys import guest_keys
from innkeeper.store.work import Json, Row, Work

CHUNK: Final = 1000
"""Changed guests or orders per transaction; of created ones, those of a chunk of the import."""
_LAST: Final = datetime(9999, 1, 1, tzinfo=UTC)
_FIRST: Final = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Phase:
    """A part of an undo: the orders or guests that the import created, or only changed."""

    of: Literal["orders", "guests"]
    created: bool

    @property
    def parts(self) -> Mapping[str, Sequence[str]]:
        """The parts of the queries that read the rows that the import wrote."""
        return {"of_roots": [f"import_undo.of_{self.of}"]}

    @property
    def rows(self) -> Mapping[str, Sequence[str]]:
        """The parts of the queries that read the current rows."""
        if self.of == "guests":
            return {"rows": ["import_undo.rows_of_guests"]}
        children = [f"{child.table}.rows_of_roots" for child in CHILDREN]
        return {"rows": ["import_undo.rows_of_orders"], "children": children}


PHASES: Final = (
    Phase("orders", created=True),
    Phase("orders", created=False),
    Phase("guests", created=True),
    Phase("guests", created=False),
)
"""Orders come before the guests that they refer to."""
_BLOCKING: Final = {
    "orders": ["import_undo.used_items", "import_undo.waiting_events"],
    "guests": ["import_undo.used_guests"],
}
_TABLES: Final = {"orders": "import_changes.orders", "guests": "import_undo.guests_table"}


async def read_next(
    work: Work, batch: UUID, phase: Phase, reached: str | None
) -> tuple[str, list[UUID]] | None:
    """Return the next guests or orders of a phase, and the position after them; None at the end."""
    if phase.created:
        before = _LAST if reached is None else datetime.fromisoformat(reached)
        row = await work.one(f"import_undo.created_{phase.of}", batch=batch, before=before)
        return None if row is None else (row["written_at"].isoformat(), row["refs"])
    after = _FIRST if reached is None else UUID(reached)
    query = f"import_undo.changed_{phase.of}"
    rows = await work.all(query, batch=batch, after=after, most=CHUNK)
    if not rows:
        return None
    return str(rows[-1]["last"]), [row["ref"] for row in rows if not row["is_created"]]


async def lock(work: Work, phase: Phase, roots: list[UUID]) -> None:
    """Lock guests or orders: nothing can be added to them until the transaction ends."""
    await work.all(f"import_undo.lock_{phase.of}", refs=roots)


async def find_blocked(
    work: Work, batch: UUID, phase: Phase, reached: str, roots: list[UUID], *, strict: bool
) -> dict[UUID, str]:
    """Return the guests or orders that something later depends on, with the reason.

    A row may have the time of the chunk that created it (`reached`, of created ones), or one that
    is recorded with the row: other writes may have the time of some other chunk.
    `strict`: the orders that the import created are undone already, so that each that is left
    blocks its guests.
    """
    rows = await work.all(
        "import_undo.blocked",
        parts={
            **phase.parts,
            **phase.rows,
            "roots": [_TABLES[phase.of]],
            "more": _BLOCKING[phase.of],
        },
        batch=batch,
        roots=roots,
        created=phase.created,
        created_at=datetime.fromisoformat(reached) if phase.created else None,
        **({"strict": strict} if phase.of == "guests" else {}),
    )
    blocked: dict[UUID, str] = {}
    for row in sorted(rows, key=lambda one: (str(one["ref"]), one["reason"])):
        blocked.setdefault(row["ref"], row["reason"])
    if phase.of == "guests" and not phase.created and blocked:
        return await _with_groups(work, roots, blocked)
    return blocked


async def _with_groups(work: Work, roots: list[UUID], blocked: dict[UUID, str]) -> dict[UUID, str]:
    """Add the other guests of merged groups: a group is restored as a whole."""
    rows = await work.all("import_undo.groups", refs=roots)
    reasons = {row["root"]: blocked[row["ref"]] for row in rows if row["ref"] in blocked}
    others = {row["ref"]: reasons[row["root"]] for row in rows if row["root"] in reasons}
    return others | blocked


async def count_rows(work: Work, batch: UUID, phase: Phase, roots: list[UUID]) -> list[Row]:
    """Count the rows of guests or orders that an undo removes or restores, by table."""
    if phase.created:
        return await work.all("import_undo.count_created", parts=phase.rows, roots=roots)
    parts = {**phase.parts, **phase.rows}
    return await work.all("import_undo.count_changed", parts=parts, batch=batch, roots=roots)


async def count_lists(work: Work, phase: Phase, roots: list[UUID]) -> list[Row]:
    """Count the guests that static lists lose, by `name`, when created guests are removed."""
    if phase.of == "orders" or not phase.created:
        return []
    return await work.all("import_undo.lists_of_guests", roots=roots)


async def undo(work: Work, batch: UUID, phase: Phase, roots: list[UUID], version: UUID) -> None:
    """Remove or restore locked guests or orders that nothing blocks.

    The caller's transaction keeps the identity rules of `version` in force.
    """
    guests = roots
    if phase.of == "orders":
        people = await work.all("import_undo.guests_of_orders", roots=roots)
        guests = [row["ref"] for row in people]
    await work.run("import_undo.delete_guarded", batch=batch, guests=guests)
    if phase.created:
        if phase.of == "orders":
            await work.run("import_undo.delete_joins_of_orders", roots=roots)
        await work.run(f"import_undo.delete_{phase.of}", roots=roots)
        return
    if phase.of == "orders":
        await _restore_orders(work, batch, phase, roots)
    else:
        await _restore_guests(work, batch, phase, roots, version)
    of_roots = {"of_roots": phase.parts["of_roots"]}
    await work.run("import_undo.forget_rows", parts=of_roots, batch=batch, roots=roots)


async def _restore_orders(work: Work, batch: UUID, phase: Phase, roots: list[UUID]) -> None:
    """Restore changed orders: first without the parts that the import added."""
    params: dict[str, Any] = {"batch": batch, "roots": roots}
    await work.run("import_undo.delete_joins_of_parts", **params)
    await work.run("import_undo.delete_item_extensions", parts=phase.parts, **params)
    await _run_extensions(work, "delete", "order", phase, params)
    for child in CHILDREN:
        parts = {**phase.parts, "table": [f"{child.table}.table"]}
        await work.run("import_undo.delete_parts", parts=parts, table_name=child.table, **params)
    for name in ("orders", "items", "contacts"):
        await work.run(f"import_undo.restore_{name}", parts=phase.parts, **params)
    for of in ("order", "order_item"):
        await _run_extensions(work, "restore", of, phase, params)


async def _run_extensions(
    work: Work,
    verb: Literal["delete", "restore"],
    of: Literal["guest", "order", "order_item"],
    phase: Phase,
    params: Mapping[str, Any],
) -> None:
    """Delete the data extensions that the import added, or restore those that it changed."""
    parts = {**phase.parts, **extension_parts(of)}
    query = f"import_undo.{verb}_extensions"
    await work.run(query, parts=parts, table_name=f"{of}_extensions", **params)


async def _restore_guests(
    work: Work, batch: UUID, phase: Phase, roots: list[UUID], version: UUID
) -> None:
    """Restore changed guests, with the keys by the rules in force."""
    book = await rulebook.of_version(work, version)
    params: dict[str, Any] = {"batch": batch, "roots": roots}
    await _run_extensions(work, "delete", "guest", phase, params)
    await _run_extensions(work, "restore", "guest", phase, params)
    await work.run("import_undo.delete_joins_of_guests", **params)
    keys = []
    for row in await work.all("import_undo.previous_guests", parts=phase.parts, **params):
        states = [ledger.visible_record(row), ledger.unmerged_record(row)]
        of_guest = {key for state in states for key in guest_keys(state, book.keys(state))}
        keys.append({"ref": row["ref"], "keys": sorted(of_guest)})
    await work.run("import_undo.restore_guests", parts=phase.parts, keys=Json(keys), **params)
