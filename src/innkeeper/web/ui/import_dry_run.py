"""Dry runs of the screens: what an import of the first records of an upload would do."""

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final, TypeVar

import anyio.to_thread
from starlette.responses import Response

from innkeeper.actions.bulk import batches, imports
from innkeeper.actions.bulk.outcomes import MOST_MATCHES, Outcomes, add_reasons
from innkeeper.errors import BadRequest
from innkeeper.resources.base import Record
from innkeeper.rules.batch import BatchRecord
from innkeeper.store.files import Files
from innkeeper.store.limited_streams import TooLong
from innkeeper.store.readers import Unreadable, ahead
from innkeeper.web.ui import import_files
from innkeeper.web.ui.shell import Visit
from innkeeper.wire.bulk.batch_files import Layout
from innkeeper.wire.bulk.mapping import ColumnMapping
from innkeeper.wire.bulk.rejected_rows import ReasonCounts, Refusal

Result = TypeVar("Result")

DRY_RUN_RECORDS: Final = 10_000
"""Most records in a dry run of the screens; `innkeeper import --dry-run` takes all."""
DRY_RUN_BYTES: Final = 64 << 20
"""Most bytes of their text, decompressed, in a dry run of the screens."""


async def in_thread(visit: Visit, act: Callable[..., Result], *arguments: Any) -> Result:
    """Run a slow function on a file in a thread; the connection is released meanwhile."""
    async with visit.work.released(), visit.work.limits.import_files:
        return await anyio.to_thread.run_sync(act, *arguments)


@dataclass(slots=True)
class _DryRun:
    """The counts of a dry run so far."""

    records: int = 0
    failed: int = 0
    outcomes: Outcomes = field(default_factory=Outcomes)
    left_out: Counter[str] = field(default_factory=Counter)
    reasons: ReasonCounts = field(default_factory=ReasonCounts)
    refusals: list[Refusal] = field(default_factory=list)
    """Line and reasons of each refused record."""

    async def count(self, outcomes: Outcomes, chunk: Sequence[BatchRecord]) -> None:
        """Count the outcomes of some records."""
        self.records += len(chunk)
        self.failed += len(outcomes.failures)
        for failure in sorted(outcomes.failures, key=lambda one: one.line):
            refusal = (failure.line, failure.fault.errors or (failure.fault.message,))
            self.reasons.add(refusal, {}, None)
            self.refusals.append(refusal)
        add_reasons(self.left_out, outcomes.count_left_out(chunk))
        self.outcomes.outcomes.update(outcomes.outcomes)
        matches = [*self.outcomes.matches, *outcomes.matches]
        self.outcomes.matches = matches[:MOST_MATCHES]


async def dry_run(visit: Visit, row: Record, mapping: ColumnMapping | None) -> Record:
    """Count what an import of the first records would do, without writing anything."""
    layout = import_files.layout_of(row["entity"], row["file_options"], mapping)
    run, is_whole = await _run(visit, row, layout)
    return {
        "records": run.records,
        "whole": is_whole and run.records < DRY_RUN_RECORDS,
        "outcomes": run.outcomes.outcomes,
        "matches": run.outcomes.matches,
        "failed": run.failed,
        "left_out": run.left_out,
        "reasons": await _with_cells(visit, row, layout, run.reasons),
    }


async def refused_rows(visit: Visit, row: Record, mapping: ColumnMapping | None) -> Response:
    """Run a dry run again; return the rows that it refuses, with the reason, as CSV."""
    layout = import_files.layout_of(row["entity"], row["file_options"], mapping)
    run, _ = await _run(visit, row, layout)
    files, name = Files.of(visit.settings), batches.upload_name(visit.workspace, row["ref"])
    arguments = (files, name, row["file_options"], layout, run.refusals)
    text = await in_thread(visit, import_files.refused_csv, *arguments)
    headers = {"content-disposition": f'attachment; filename="refused-{row["ref"]}.csv"'}
    return Response(text, media_type="text/csv; charset=utf-8", headers=headers)


async def _run(visit: Visit, row: Record, layout: Layout) -> tuple[_DryRun, bool]:
    """Run a dry run; return its counts, and whether the text stayed within the limit of bytes."""
    files, name = Files.of(visit.settings), batches.upload_name(visit.workspace, row["ref"])
    run, is_whole = _DryRun(), True
    try:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(visit.work.in_slot(visit.work.limits.import_files))
            opening = import_files.open_upload(files, name, row["file_options"])
            async with visit.work.released():
                source = await anyio.to_thread.run_sync(stack.enter_context, opening)
            chunks = import_files.first_chunks(layout, source, DRY_RUN_BYTES)
            # Chunks are of a thousand records at most.
            await imports.dry_run(
                visit.work, ahead(islice(chunks, DRY_RUN_RECORDS // 1000)), run.count
            )
    except TooLong:
        is_whole = False
    except Unreadable as error:
        raise BadRequest(f"The file cannot be read: {error}.") from error
    if not is_whole and not run.records:
        raise BadRequest(
            f"The first records are longer than {DRY_RUN_BYTES:,} bytes, which is too long for a "
            f"dry run here. Use `innkeeper import --dry-run` for files of any size."
        )
    return run, is_whole


async def _with_cells(
    visit: Visit, row: Record, layout: Layout, reasons: ReasonCounts
) -> list[Record]:
    """Return the reasons, with the first wrong cell of each for roles that see personal data."""
    listed = reasons.listed()
    if not visit.personal or layout.format == "ndjson" or not listed:
        return listed
    files, name = Files.of(visit.settings), batches.upload_name(visit.workspace, row["ref"])
    lines = {
        one["line"]: [each["reason"] for each in listed if each["line"] == one["line"]]
        for one in listed
    }
    examples = await in_thread(
        visit,
        import_files.read_refused,
        files,
        name,
        row["file_options"],
        layout,
        sorted(lines.items()),
    )
    return [{**one, "value": examples.get(one["reason"])} for one in listed]
