"""Screens of imports: upload a file, map its columns, dry run, import, rejected records."""

import csv
import io
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final, cast
from uuid import UUID, uuid4

from starlette.datastructures import UploadFile
from starlette.responses import Response

from innkeeper import clock
from innkeeper.actions.bulk import batches, imports
from innkeeper.actions.identity import rulebook
from innkeeper.errors import BadRequest, OperatorError
from innkeeper.resources.base import Record
from innkeeper.resources.values import instant
from innkeeper.rules.access import Right
from innkeeper.rules.identity_rules import IdentityRules
from innkeeper.rules.spreadsheets import guarded
from innkeeper.rules.time_zones import suggested_time_zones
from innkeeper.rules.versions import version_of
from innkeeper.store.files import Files
from innkeeper.store.work import Lend
from innkeeper.web.downloads import BLOCK_BYTES, Body, Download, open_stored_file
from innkeeper.web.ui import import_files, import_form, import_questions
from innkeeper.web.ui.formatting import import_state, target_words
from innkeeper.web.ui.import_dry_run import dry_run, in_thread, refused_rows
from innkeeper.web.ui.import_form import ImportDraft
from innkeeper.web.ui.shell import PageRoute, Visit
from innkeeper.wire.bulk.file_formats import MOST_EXPANSION
from innkeeper.wire.bulk.presets import find_preset, preset_folders, read_presets
from innkeeper.wire.bulk.rejected_rows import ReasonCounts
from innkeeper.wire.bulk.sample import TableSample
from innkeeper.wire.bulk.suggestion import are_own_values
from innkeeper.wire.bulk.survey import TableSurvey

HOLDS: Final = (
    ("", "Recognise by columns"),
    *(("guests", "Guests"), ("orders", "Orders"), ("events", "Events")),
)
ACTION_LABELS: Final = {"start": "Import it", "discard": "Delete the file", "try": "Try it"}
REJECTS_SHOWN: Final = 20
"""Most rejected records in a page."""
REJECTS_COUNTED: Final = 10_000
"""Most rejected records whose reasons a page counts."""


async def show_all(visit: Visit) -> Response:
    """List the latest imports, with the form to upload a file."""
    page = await batches.list_(visit.work, visit.page_request, envelopes=False)
    expiry = {row["ref"]: _expiry(visit, row) for row in page.items}
    return visit.show("imports.html", page=page, entity=HOLDS, expiry=expiry)


async def upload(visit: Visit) -> Response:
    """Store a file, without importing it yet."""
    upload_file, entity = visit.form.get("file"), visit.form_text("entity")
    if entity not in dict(HOLDS):
        raise BadRequest("Choose what the records are.")
    if not isinstance(upload_file, UploadFile) or not upload_file.filename:
        raise BadRequest("Choose a file.")
    ref, files = uuid4(), Files.of(visit.settings)
    name = batches.upload_name(visit.workspace, ref)
    most = MOST_EXPANSION * visit.settings.max_upload_bytes
    folders = preset_folders(visit.settings.data, visit.workspace)
    sheet = visit.form_text("sheet")
    arguments = (files, name, upload_file.file, upload_file.filename, most, folders, sheet)
    stored = await in_thread(visit, import_files.store_upload, *arguments)
    kind, size = cast(batches.Holds, entity or stored.entity), stored.size
    await imports.create(visit.work, kind, stored.file_options, stored.checksum, size, ref=ref)
    return visit.go(f"/imports/{ref}")


async def show_one(visit: Visit, trial: Record | None = None) -> Response:
    """Show an import: its mapping before it starts, then its progress and rejected records."""
    row = await imports.fetch(visit.work, visit.ref("import"))
    if row["state"] == batches.UPLOADING and row["file_options"].get("name"):
        return await _mapping_page(visit, row, trial)
    is_finished = row["finished_at"] is not None
    most = REJECTS_COUNTED if is_finished else REJECTS_SHOWN
    failures = [each async for each in _first_items(batches.failures(visit.work, row["ref"]), most)]
    reasons = ReasonCounts()
    for each in failures:
        reasons.add((each["line"], each["errors"] or [each["message"]]), {}, None)
    return visit.show(
        "import.html",
        row=row,
        differing=_differing(visit, row),
        failures=[_rejection_of(each) for each in failures[:REJECTS_SHOWN]],
        reasons=reasons.listed() if is_finished else [],
        counted=len(failures),
        running=not is_finished and row["state"] != batches.UPLOADING,
        pace=_pace(row),
        expires_at=_expiry(visit, row),
        can_undo=row["undo"] is not None and is_finished and not imports.is_dry_run(row),
    )


def _pace(row: Record) -> Record | None:
    """Return how long an import has run, its records a second, and the seconds left."""
    started = row["file_options"].get("started_at")
    until = row["finished_at"] or row["modified_at"]
    if not started or not row["records"]:
        return None
    seconds = max((until - instant(started)).total_seconds(), 0.001)
    lines, line = row["file_options"].get("lines"), row["line"]
    left = (lines - line) * seconds / line if lines and line and lines > line else None
    return {"seconds": seconds, "rate": round(row["records"] / seconds), "left": left}


def _differing(visit: Visit, row: Record) -> list[tuple[str, str, str]]:
    """List the changes of an outdated form: (column, as typed, as stored)."""
    if not visit.is_outdated:
        return []
    stored = (row["file_options"].get("mapping") or {}).get("columns") or {}
    rows = [("The import", ACTION_LABELS.get(visit.form_text("action"), ""), import_state(row))]
    for number in range(import_form.MOST_COLUMNS):
        column = visit.form_text(f"n{number}")
        typed, targets = visit.form_text(f"c{number}"), stored.get(column) or []
        targets = ",".join(targets) if isinstance(targets, list) else str(targets)
        if column and typed != targets:
            rows.append((column, _target_text(typed), _target_text(targets)))
    return rows


def _target_text(targets: str) -> str:
    return target_words(targets) if targets else "Not imported"


async def _mapping_page(visit: Visit, row: Record, trial: Record | None) -> Response:
    table, draft, wrong = await _read_draft(visit, row)
    every = {
        "row": row,
        "version": version_of(row),
        "differing": _differing(visit, row),
        "all_columns": len(table.columns),
        "expires_at": _expiry(visit, row),
        "dry_run": trial,
        "wrong": wrong,
        "json_rows": table.rows[: import_form.SHOWN_ROWS] if visit.personal else None,
    }
    if draft is not None:
        every |= await in_thread(
            visit, _form_parts, draft, await _providers(visit), await _rules(visit), visit.personal
        )
    return visit.show("import_map.html", 400 if wrong else 200, **every)


def _form_parts(
    draft: ImportDraft, providers: list[str], rules: IdentityRules, is_personal: bool
) -> Record:
    """Return what the form shows of a draft."""
    is_masked = not is_personal
    columns = import_form.form_columns(draft, providers)
    has_faults = any(column.refused for column in columns)
    return {
        "draft": draft,
        "columns": columns,
        "rows": import_form.form_rows(draft, is_masked=is_masked),
        "words": import_form.word_columns(draft) if is_personal else [],
        "questions": import_questions.questions(
            draft, rules.region, has_faults=has_faults, is_masked=is_masked
        ),
        "trial": draft.try_rows(rules),
        "zones": suggested_time_zones(),
    }


def _expiry(visit: Visit, row: Record) -> datetime:
    """Return when an import is deleted, with its file if it was not started."""
    created: datetime = row["created_at"]
    return created + timedelta(days=visit.settings.batch_days)


async def _rules(visit: Visit) -> IdentityRules:
    return await rulebook.current(visit.work)


async def _read_draft(visit: Visit, row: Record) -> tuple[TableSample, ImportDraft | None, str]:
    """Return the file's first rows, the mapping of the form or else the suggested one, and the
    fault of the form. JSON with the names of the REST API has no mapping."""
    files, name = Files.of(visit.settings), batches.upload_name(visit.workspace, row["ref"])
    file_options, entity = row["file_options"], row["entity"]
    table = await in_thread(
        visit, import_files.read_sample, files, name, file_options, row["revision"]
    )
    folders = preset_folders(visit.settings.data, visit.workspace)
    has_preset = find_preset(table.columns, entity, read_presets(folders)) is not None
    if file_options["format"] == "ndjson" and not has_preset:
        if are_own_values(entity, table.columns, table.rows):
            return table, None, ""
        file_options = {**file_options, "survey": TableSurvey.of(table.rows).summary()}
    # A file may have thousands of columns: off the event loop.
    arguments = (entity, table, file_options, await _rules(visit), folders)
    try:
        first = await in_thread(visit, import_form.begin_draft, *arguments)
    except OperatorError as error:
        raise BadRequest(str(error)) from error
    if "c0" not in visit.form:
        return table, first, ""
    try:
        return table, await in_thread(visit, import_form.read_draft, first, visit.form), ""
    except OperatorError as error:
        return table, first, str(error)


async def _providers(visit: Visit) -> list[str]:
    """List the identifier providers of the identity rules, then `email` and `CRM`."""
    of_rules = (
        condition.provider
        for rule in (await _rules(visit)).rules
        for condition in rule.conditions
        if condition.provider
    )
    return list(dict.fromkeys([*of_rules, "email", "CRM"]))


async def run_action(visit: Visit) -> Response:
    """Preview a mapping, do a dry run, start the import, or discard the file."""
    row = await imports.fetch(visit.work, visit.ref("import"))
    action, path = visit.form_text("action"), f"/imports/{row['ref']}"
    visit.check_version(version_of(row))
    if row["state"] != batches.UPLOADING:
        raise BadRequest("This import was started already.")
    if action == "discard":
        files, name = Files.of(visit.settings), batches.upload_name(visit.workspace, row["ref"])
        await imports.discard(visit.work, row["ref"], visit.expected)
        await in_thread(visit, files.remove, name)
        import_files.forget_sample(name)
        return visit.go("/imports", "The file was deleted. Nothing was imported.")
    _, draft, wrong = await _read_draft(visit, row)
    if wrong or action == "preview":
        return await show_one(visit)
    mapping = draft.mapping if draft else None
    if mapping is not None and not mapping.columns:
        raise BadRequest("Choose a field for at least one column.")
    if draft is not None and (questions := draft.unanswered()):
        raise BadRequest(" ".join(questions))
    if action == "try":
        return await show_one(visit, await dry_run(visit, row, mapping))
    if action == "refused":
        visit.need(Right.PERSONAL)
        return await refused_rows(visit, row, mapping)
    layout = import_files.layout_of(row["entity"], row["file_options"], mapping)
    file_options = {
        **row["file_options"],
        **layout.file_options(),
        "started_at": clock.now().isoformat(),
    }
    file_options.pop("survey", None)
    await imports.start(visit.work, row["ref"], file_options, visit.expected)
    import_files.forget_sample(batches.upload_name(visit.workspace, row["ref"]))
    return visit.go(path)


def _rejection_of(failure: Record) -> Record:
    """Return a rejected record: its line, and reasons that name fields and quote no values."""
    return {"line": failure["line"], "reasons": list(failure["errors"]) or [failure["message"]]}


async def rejects(visit: Visit) -> Response:
    """Return the rows that an import refused, with the reason, as CSV.

    Of a file that is no table, and for roles that may not see personal data: line and reason.
    """
    row = await imports.fetch(visit.work, visit.ref("import"))
    lend = partial(visit.database.work, visit.workspace, visit.work.actor)
    files = Files.of(visit.settings)

    async def open_body() -> Body:
        return _reject_lines(lend, row["ref"])

    has_rows = row["has_rejects"] and visit.personal
    stored = partial(open_stored_file, files, batches.rejects_name(visit.workspace, row["ref"]))
    name = f"rejects-{row['ref']}.csv"
    body = stored if has_rows else open_body
    return Download(visit.database.limits.downloads, body, "text/csv; charset=utf-8", name)


async def _reject_lines(lend: Lend, ref: UUID) -> Body:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(["line", "reason"])
    async for failure in batches.stream_failures(lend, ref):
        rejection = _rejection_of(failure)
        writer.writerow([rejection["line"], guarded("; ".join(map(str, rejection["reasons"])))])
        if text.tell() >= BLOCK_BYTES:
            yield text.getvalue().encode()
            text.seek(0)
            text.truncate()
    yield text.getvalue().encode()


async def _first_items(rows: AsyncIterator[Any], most: int) -> AsyncIterator[Any]:
    number = 0
    async for row in rows:
        yield row
        number += 1
        if number == most:
            return


PAGES: Final = (
    PageRoute("/imports", show_all, upload, post_right=Right.IMPORTS, whole=False, uploads=True),
    PageRoute("/imports/{import}", show_one, run_action, post_right=Right.IMPORTS, whole=False),
    PageRoute("/imports/{import}/rejects", rejects, right=Right.IMPORTS),
)
