"""Imports: upload a file, say which column is what, try it, apply it, fetch what was refused."""

import csv
import io
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from itertools import islice
from typing import Any, Final, TypeVar, cast
from uuid import UUID, uuid4

import anyio.to_thread
from starlette.datastructures import UploadFile
from starlette.responses import Response

from innkeeper.actions.bulk import batches, imports
from innkeeper.actions.bulk.outcomes import Outcomes
from innkeeper.actions.identity import rulebook
from innkeeper.errors import BadRequest, OperatorError
from innkeeper.resources.base import Record
from innkeeper.rules.access import Right
from innkeeper.rules.batch import BatchRecord, Failure
from innkeeper.rules.masking import masked
from innkeeper.rules.spreadsheets import guarded
from innkeeper.rules.versions import version_of
from innkeeper.store.files import Files
from innkeeper.store.limited_streams import TooLong
from innkeeper.store.readers import Unreadable, ahead
from innkeeper.store.work import Lend
from innkeeper.web.downloads import BLOCK_BYTES, Body, Download
from innkeeper.web.ui import import_files
from innkeeper.web.ui.formatting import import_state, target_words
from innkeeper.web.ui.rendering import PAGE_SIZE
from innkeeper.web.ui.shell import PageRoute, Visit
from innkeeper.wire.bulk.mapping import ColumnMapping

Result = TypeVar("Result")

HOLDS: Final = (("guests", "Guests"), ("orders", "Orders"), ("events", "Events"))
TRIED: Final = 10_000
"""Records that a dry run of the screens looks at; `innkeeper import --dry-run` takes them all."""
TRIED_BYTES: Final = 64 << 20
"""Bytes of their text, expanded, that it looks at."""
SENT_ACTIONS: Final = {"start": "Import it", "discard": "Throw it away", "try": "Try it"}
REFUSED: Final = 20
"""Refused records that a page shows."""


async def every(visit: Visit) -> Response:
    """What was imported lately, and the form for another file."""
    page = await batches.list_(visit.work, envelopes=False, limit=PAGE_SIZE, offset=visit.offset)
    return visit.show("imports.html", page=page, holds=HOLDS)


async def upload(visit: Visit) -> Response:
    """Keep a file; nothing of it is applied yet."""
    sent, holds = visit.form.get("file"), cast(batches.Holds, visit.form_text("holds"))
    if holds not in dict(HOLDS):
        raise BadRequest("Say what the file holds.")
    if not isinstance(sent, UploadFile) or not sent.filename:
        raise BadRequest("Choose a file.")
    ref, files = uuid4(), Files.of(visit.settings)
    name = batches.upload_name(visit.workspace, ref)
    kept = await _in_thread(visit, import_files.keep, files, name, sent.file, sent.filename)
    await imports.create(visit.work, holds, kept.about, kept.checksum, kept.size, ref=ref)
    return visit.go(f"/imports/{ref}")


async def _in_thread(visit: Visit, act: Callable[..., Result], *given: Any) -> Result:
    """Do something with a file that may take long, while others use the connection."""
    async with visit.work.released(), visit.work.limits.import_files:
        return await anyio.to_thread.run_sync(act, *given)


async def one(visit: Visit, tried: Record | None = None) -> Response:
    """An import: its mapping while it waits, then how far it is and what was refused."""
    row = await imports.fetch(visit.work, visit.ref("import"))
    if row["state"] == batches.UPLOADING and row["about"].get("name"):
        return await _mapping_page(visit, row, tried)
    failures = [each async for each in _some(batches.failures(visit.work, row["ref"]), REFUSED)]
    return visit.show(
        "import.html",
        row=row,
        differing=_differing(visit, row),
        failures=[_rejection_of(each) for each in failures],
        running=row["finished_at"] is None and row["state"] != batches.UPLOADING,
    )


def _differing(visit: Visit, row: Record) -> list[tuple[str, str, str]]:
    """(column, as sent, as stored) of a mapping that came after another one was stored."""
    if not visit.is_outdated:
        return []
    stored = (row["about"].get("mapping") or {}).get("columns") or {}
    rows = [("The import", SENT_ACTIONS.get(visit.form_text("action"), ""), import_state(row))]
    for at in range(import_files.MOST_COLUMNS):
        column = visit.form_text(f"n{at}")
        sent, kept = visit.form_text(f"c{at}"), stored.get(column) or []
        kept = ",".join(kept) if isinstance(kept, list) else str(kept)
        if column and sent != kept:
            rows.append((column, _target_said(sent), _target_said(kept)))
    return rows


def _target_said(targets: str) -> str:
    return target_words(targets) if targets else "Not imported"


async def _mapping_page(visit: Visit, row: Record, tried: Record | None) -> Response:
    table, mapping, wrong = await _mapped(visit, row)
    holds = row["holds"]
    columns = [] if mapping is None else import_files.columns_of(holds, table, mapping)
    if not visit.personal:
        for column in columns:
            column.examples = [masked(each) for each in column.examples]
    providers = await _providers(visit)
    return visit.show(
        "import_map.html",
        400 if wrong else 200,
        row=row,
        version=version_of(row),
        differing=_differing(visit, row),
        columns=columns,
        all_columns=len(table.columns),
        targets=[import_files.targets_of(holds, each, providers) for each in columns],
        preview=import_files.preview(holds, table, mapping) if visit.personal else None,
        tried=tried,
        wrong=wrong,
    )


async def _mapped(
    visit: Visit, row: Record
) -> tuple[import_files.Sample, ColumnMapping | None, str]:
    """The file's first rows, the mapping of the form or the suggested one, what is wrong."""
    files, name = Files.of(visit.settings), batches.upload_name(visit.workspace, row["ref"])
    about, holds = row["about"], row["holds"]
    table = await _in_thread(visit, import_files.sample, files, name, about)
    if about["format"] == "ndjson":
        return table, None, ""
    encoding = "utf-8-sig"
    if about["format"] == "csv":
        encoding = await _in_thread(visit, import_files.encoding_of, files, name)
    # Of thousands of columns: off the event loop.
    first = await _in_thread(visit, import_files.first_mapping, holds, table, encoding)
    if "c0" not in visit.form:
        return table, first, ""
    try:
        sent = await _in_thread(
            *(visit, import_files.form_mapping, holds, table, visit.form, first)
        )
        return table, sent, ""
    except OperatorError as error:
        return table, first, str(error)


async def _providers(visit: Visit) -> list[str]:
    """Identifier providers that identity rules look at."""
    book = await rulebook.current(visit.work)
    found = (
        condition.provider
        for rule in book.rules
        for condition in rule.conditions
        if condition.provider
    )
    return list(dict.fromkeys([*found, "email", "CRM"]))


async def act(visit: Visit) -> Response:
    """Look again, try, begin, or give up."""
    row = await imports.fetch(visit.work, visit.ref("import"))
    action, path = visit.form_text("action"), f"/imports/{row['ref']}"
    visit.check_version(version_of(row))
    if row["state"] != batches.UPLOADING:
        raise BadRequest("This import was begun already.")
    if action == "discard":
        files, name = Files.of(visit.settings), batches.upload_name(visit.workspace, row["ref"])
        await imports.discard(visit.work, row["ref"], visit.expected)
        await _in_thread(visit, files.remove, name)
        return visit.go("/imports", "The file was thrown away. Nothing was imported.")
    _, mapping, wrong = await _mapped(visit, row)
    if wrong or action == "preview":
        return await one(visit)
    if mapping is not None and not mapping.columns:
        raise BadRequest("Say what at least one column is.")
    if action == "try":
        return await one(visit, await _tried(visit, row, mapping))
    layout = import_files.layout_of(row["holds"], row["about"], mapping)
    await imports.start(visit.work, row["ref"], {**row["about"], **layout.about()}, visit.expected)
    return visit.go(path)


async def _tried(visit: Visit, row: Record, mapping: ColumnMapping | None) -> Record:
    """What applying the first records would do; nothing of it is done."""
    files, name = Files.of(visit.settings), batches.upload_name(visit.workspace, row["ref"])
    layout = import_files.layout_of(row["holds"], row["about"], mapping)
    records, outcomes, failures, failed = 0, dict[str, int](), list[Failure](), 0
    whole = True

    async def told(tally: Outcomes, entries: Sequence[BatchRecord]) -> None:
        nonlocal records, failed
        records += len(entries)
        failed += len(tally.failures)
        failures.extend(tally.failures[: REFUSED - len(failures)])
        for outcome, many in tally.outcomes.items():
            outcomes[outcome] = outcomes.get(outcome, 0) + many

    try:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(visit.work.in_slot(visit.work.limits.import_files))
            opening = import_files.opened(files, name, row["about"])
            async with visit.work.released():
                source = await anyio.to_thread.run_sync(stack.enter_context, opening)
            chunks = import_files.first_chunks(layout, source, TRIED_BYTES)
            # Chunks are of a thousand records at most.
            await imports.dry_run(visit.work, ahead(islice(chunks, TRIED // 1000)), told)
    except TooLong:
        whole = False
    except Unreadable as error:
        raise BadRequest(f"The file cannot be read: {error}.") from error
    shown = [
        {"line": one.line, "message": one.fault.message, "errors": list(one.fault.errors)}
        for one in failures
    ]
    if not whole and not records:
        raise BadRequest(
            f"The first records are longer than {TRIED_BYTES:,} bytes: too long to be tried here. "
            "`innkeeper import --dry-run` tries files of any size."
        )
    return {
        "records": records,
        "whole": whole and records < TRIED,
        "outcomes": outcomes,
        "failed": failed,
        "failures": [_rejection_of(each) for each in shown],
    }


def _rejection_of(failure: Record) -> Record:
    """A refused record: its line, and why in words that name fields and never quote them."""
    return {
        "line": failure["line"],
        "reasons": list(failure["errors"]) or [failure["message"]],
    }


async def rejects(visit: Visit) -> Response:
    """Every refused record as CSV: line and reason."""
    row = await imports.fetch(visit.work, visit.ref("import"))
    lend = partial(visit.database.work, visit.workspace, visit.work.actor)

    async def opened() -> Body:
        return _reject_lines(lend, row["ref"])

    name = f"rejects-{row['ref']}.csv"
    return Download(visit.database.limits.downloads, opened, "text/csv; charset=utf-8", name)


async def _reject_lines(lend: Lend, ref: UUID) -> Body:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(["line", "reason"])
    async for failure in batches.stream_failures(lend, ref):
        told = _rejection_of(failure)
        writer.writerow([told["line"], guarded("; ".join(map(str, told["reasons"])))])
        if text.tell() >= BLOCK_BYTES:
            yield text.getvalue().encode()
            text.seek(0)
            text.truncate()
    yield text.getvalue().encode()


async def _some(rows: AsyncIterator[Any], most: int) -> AsyncIterator[Any]:
    number = 0
    async for row in rows:
        yield row
        number += 1
        if number == most:
            return


PAGES: Final = (
    PageRoute("/imports", every, upload, post_right=Right.IMPORTS, whole=False, uploads=True),
    PageRoute("/imports/{import}", one, act, post_right=Right.IMPORTS, whole=False),
    PageRoute("/imports/{import}/rejects", rejects, right=Right.IMPORTS),
)
