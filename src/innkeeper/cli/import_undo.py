"""`innkeeper import undo`: remove what an import created and restore what it changed."""

import sys
from asyncio import sleep
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import typer

from innkeeper.cli.options import CommandContext
from innkeeper.errors import OperatorError

if TYPE_CHECKING:
    from innkeeper.store.work import Work

UNDO = "undo"
"""Word that is typed in place of a kind of records."""
_PAUSE: Final = 0.5
"""Seconds between two attempts to lock an import."""
_LOCKED: Final = (
    "The last steps of the import are running, or a server is undoing it already: waiting for "
    "their end."
)


@dataclass(frozen=True)
class UndoOptions:
    """The options of one command."""

    context: CommandContext
    workspace: str
    skip_changed: bool
    is_dry_run: bool
    json: bool


def undo_import(options: UndoOptions, words: list[str]) -> None:
    """Undo an import, or with `is_dry_run` show what that would do; without a ref, list imports."""
    from innkeeper.cli.output import print_rows, show

    if not words:
        rows = options.context.run(options.workspace, _list)
        print_rows(rows, options.json, *("ref", "name", "entity", "records", "state", "begun"))
        return
    try:
        (ref,) = map(UUID, words)
    except ValueError as error:
        raise OperatorError("Name one import: innkeeper import undo IMPORT_REF.") from error

    async def act(work: "Work") -> Any:
        return await undo_now(work, ref, options)

    undone = options.context.run(options.workspace, act)
    if options.json:
        show(undone)
    else:
        _print(undone)
    if undone["state"] == "refused":
        raise typer.Exit(1)


async def undo_now(work: "Work", ref: UUID, options: UndoOptions) -> dict[str, Any]:
    """Preview the undo of an import, or request and run it; return it."""
    from innkeeper.actions.bulk import batches, undo

    if options.is_dry_run:
        return await undo.describe(work, ref)
    await undo.request(work, ref, skip_changed=options.skip_changed)
    is_waiting = False
    while not await batches.try_lock(work, ref):
        if not is_waiting:
            print(_LOCKED, file=sys.stderr)
        is_waiting = True
        await sleep(_PAUSE)
    try:
        await undo.run(work, ref)
    finally:
        await batches.unlock(work, ref)
    return await undo.describe(work, ref)


async def _list(work: "Work") -> list[dict[str, Any]]:
    """List the latest imports and batches that can be undone, newest first."""
    from innkeeper.actions.bulk import batches
    from innkeeper.actions.paging import PageRequest

    rows = [
        row
        for envelopes in (False, True)
        for row in (await batches.list_(work, PageRequest(limit=100), envelopes=envelopes)).items
    ]
    return [
        {
            "ref": str(row["ref"]),
            "name": row["file_options"].get("name"),
            "entity": row["entity"],
            "records": row["records"],
            "state": (row["undo"] or {}).get("state") or row["state"],
            "begun": row["created_at"],
        }
        for row in sorted(rows, key=lambda row: row["created_at"], reverse=True)
        if row["undo"] is not None
    ]


def _print(undone: dict[str, Any]) -> None:
    from innkeeper.actions.bulk.undo import NOT_UNDONE
    from innkeeper.cli.output import table

    done = undone["state"] == "done"
    names = sorted({*undone["removed"], *undone["restored"]})
    rows = [
        {
            "what": name,
            "removed": undone["removed"].get(name, 0),
            "restored": undone["restored"].get(name, 0),
        }
        for name in names
    ]
    table(rows, "what", "removed", "restored")
    for name, many in undone["lists"].items():
        print(f"Static list {name}: {many} of these guests {'were' if done else 'are'} on it.")
    if undone["not_undone"]:
        counts = undone["not_undone"].items()
        kinds = ", ".join(f"{NOT_UNDONE.get(name, name)} ({many})" for name, many in counts)
        print(f"Not undone: {kinds}.")
    if undone["blocked"]:
        reasons = ", ".join(f"{many} {reason}" for reason, many in undone["blocked"].items())
        print(f"{'Left as they are' if done else 'Blocked'}: {reasons}")
        for one in undone["examples"]:
            print(f"  {one['of'][:-1]} {one['ref']}: {one['reason']}")
    if not undone["complete"]:
        print("Only the start of the import is checked here; all of it is before it is undone.")
    if undone["state"] is None:
        print("Nothing is changed yet. Without --dry-run it is undone.")
