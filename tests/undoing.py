"""Imports of records in chunks, their undo, and what a workspace has before and after."""

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

from drawn_records import LINE
from in_process import Site

from innkeeper.actions.bulk import batches, command_imports, undo
from innkeeper.rules.batch import BatchRecord
from innkeeper.store.work import Work
from innkeeper.wire.bulk.batch_files import Layout

IGNORED = {
    **dict.fromkeys(
        ("batches", "batch_failures", "import_chunks", "import_rows"), "imports themselves"
    ),
    **dict.fromkeys(("lake_changes", "segment_queue"), "queues of changes"),
    "identifier_providers": "names of providers that the search suggests",
}
ORDERED_AT = "2026-01-02T03:04:05.000Z"
COUNTS = {"guest_counts": "guests", "order_counts": "orders"}
"""Table with a row a shard -> its count."""


def records(holds: Any, values: Sequence[dict[str, Any]]) -> list[BatchRecord]:
    layout = Layout(holds, tracking=True)
    return [layout.entry(line, json.dumps(value).encode()) for line, value in enumerate(values, 1)]


def run_import(holds: Any, values: Sequence[dict[str, Any]], chunk: int = 2) -> UUID:
    """Import records in chunks of some size, as the command does; the import's ref."""

    async def run() -> UUID:
        async with Site.database.work("live", "test") as work:
            batch = await command_imports.start(
                work, uuid4(), entity=holds, source=None, file_options={}
            )
            if any(value.get("schema") == "tracking" for value in values):
                batch = await batches.mark_with_events(work, batch["ref"])
            source, entries = batches.source_of(batch), records(holds, values)
            for start in range(0, len(entries), chunk):
                part = entries[start : start + chunk]
                batch = await batches.apply_chunk(work, batch, source, part)
            await batches.finish(work, batch["ref"])
            ref: UUID = batch["ref"]
            return ref

    return Site.runner.run(run())


def call(act: Any, *args: Any, **more: Any) -> Any:
    """Run an action outside of a transaction."""

    async def run() -> Any:
        async with Site.database.work("live", "test") as work:
            return await act(work, *args, **more)

    return Site.runner.run(run())


def run_undo(ref: UUID, *, skip_changed: bool = False) -> dict[str, Any]:
    """Request the undo of an import and run it to its end; the stored undo."""

    async def run(work: Work) -> Any:
        await undo.request(work, ref, skip_changed=skip_changed)
        return await undo.run(work, ref)

    undone: dict[str, Any] = call(run)["undo"]
    return undone


def contents() -> dict[str, Counter[str]]:
    """Every row of every table of the workspace, as text, apart from those in IGNORED."""
    tables = Site.rows(
        "SELECT relname FROM pg_class WHERE relnamespace = 'ws_live'::regnamespace "
        "AND relkind IN ('r', 'p') AND NOT relispartition ORDER BY relname"
    )
    results = {}
    for name in (row["relname"] for row in tables):
        if name in COUNTS:
            of = "guest_type" if name == "guest_counts" else "''"
            rows = Site.rows(
                f"SELECT {of} AS of, sum({COUNTS[name]}) AS many FROM ws_live.{name} "
                f"GROUP BY 1 HAVING sum({COUNTS[name]}) <> 0"
            )
        elif name not in IGNORED:
            # Which import matched an item last is of no consequence to any other; versions of
            # browsers and sessions only rise.
            rows = Site.rows(
                "SELECT (to_jsonb(t) - '{import_ref,version}'::text[])::text AS t "
                f"FROM ws_live.{name} t"
            )
        else:
            continue
        results[name] = Counter(map(str, rows))
    return results


def differences(before: dict[str, Counter[str]]) -> dict[str, Any]:
    """Table -> rows that were there and rows that are new, of the tables that differ."""
    return {
        name: {"missing": list(before[name] - rows), "new": list(rows - before[name])}
        for name, rows in contents().items()
        if rows != before[name]
    }


def person(number: int, **fields: Any) -> dict[str, Any]:
    return {"identifiers": [{"provider": "email", "id": f"{number}@example.com"}], **fields}


def order(number: int, who: int, **fields: Any) -> dict[str, Any]:
    return {
        **{"referenceId": f"R-{number}", "orderedAt": ORDERED_AT, "currencyCode": "EUR"},
        **{"channel": "WEB", "pointOfSale": "shop", "status": "PURCHASED", "price": 10},
        **{"paymentType": "Cash", "contact": person(who), "orderItems": [LINE], **fields},
    }


def enveloped(schema: str, mode: str, value: dict[str, Any]) -> dict[str, Any]:
    """A record of a batch."""
    return {"ref": str(uuid4()), "schema": schema, "mode": mode, "value": value}


def guest_of(number: int) -> Any:
    (row,) = Site.rows(
        "SELECT ref FROM ws_live.guests WHERE body -> 'identifiers' -> 0 ->> 'id' = %s",
        f"{number}@example.com",
    )
    return row["ref"]


def event(number: int, **members: Any) -> dict[str, Any]:
    common = {"type": "VIEW", "channel": "WEB", "pos": "default", "page": "/", **members}
    at = f"2026-01-02T03:{number:02}:05.000Z"
    identifier = {"provider": "email", "id": f"{number}@example.com"}
    return {"identifiers": identifier, "requested_at": at, **common}
