"""The screen of import sources: files elsewhere that are imported again, on a schedule."""

from typing import Any, Final

from starlette.responses import Response

from innkeeper.actions.bulk import batches, import_sources, imports
from innkeeper.actions.paging import PageRequest
from innkeeper.errors import BadRequest, Problem
from innkeeper.resources.base import Record
from innkeeper.resources.payloads import read_members
from innkeeper.resources.values import ref_in
from innkeeper.rules.access import Right
from innkeeper.rules.versions import version_of
from innkeeper.web.ui.export_form import SCHEDULES, cron_line, read_schedule, schedule_words
from innkeeper.web.ui.formatting import title_words
from innkeeper.web.ui.shell import PageRoute, Visit
from innkeeper.wire.bulk.import_sources import CreateImportSourceRequest, changed_values, options_of

ENTITIES: Final = (("guests", "Guests"), ("orders", "Orders"), ("events", "Events"))
_MODELS: Final = 50
"""Most imports that a new source can take its columns from."""


async def show(visit: Visit) -> Response:
    """List the import sources, with a dialog that creates one."""
    rows = await import_sources.list_all(visit.work)
    models = [("", "Recognise by columns"), *await _models(visit)]
    differing, version = _differing(visit, rows)
    return visit.show(
        "import_sources.html",
        rows=[{**row, "address": visit.veil_text(row["address"]), **_form_of(row)} for row in rows],
        differing=differing,
        version=version,
        entities=ENTITIES,
        schedules=SCHEDULES,
        models=models,
        changed_models=[("", "As they are"), *models[1:]],
    )


def _form_of(row: Record) -> dict[str, str]:
    """Return the version of a source, and its schedule as the form has it."""
    schedule = row["schedule"] or ""
    days, time = read_schedule(schedule)
    return {
        "version": version_of(row),
        "days": days,
        "time": time,
        "cron": schedule if days == "cron" else "",
    }


def _differing(visit: Visit, rows: list[Record]) -> tuple[list[tuple[str, str, str]], str]:
    """Return the changes of an outdated form, (field, as typed, as stored), and the stored
    version."""
    ref = visit.form_text("source") if visit.is_outdated else ""
    row = next((row for row in rows if str(row["ref"]) == ref), None)
    if row is None:
        return [], ""
    typed = {name: visit.form_text(name) for name in ("name", "address", "mark_column")}
    fields = [
        (title_words(name), text, row[name] or "")
        for name, text in typed.items()
        if text != (row[name] or "")
    ]
    stored, chosen = row["schedule"] or "", cron_line(visit, visit.form_text("schedule")) or ""
    if chosen != stored:
        typed_words = schedule_words(chosen) if chosen else ""
        fields.append(("Schedule", typed_words, schedule_words(stored) if stored else ""))
    return fields, version_of(row)


async def _models(visit: Visit) -> list[tuple[str, str]]:
    """Return the latest imports that have a mapping: (ref, name)."""
    page = await batches.list_(visit.work, PageRequest(0, _MODELS), envelopes=False)
    return [
        (str(row["ref"]), f"As in {row['file_options'].get('name') or row['ref']}")
        for row in page.items
        if row["file_options"].get("mapping")
    ]


async def change(visit: Visit) -> Response:
    """Create, change, read or delete an import source."""
    action = visit.form_text("action")
    if action == "create":
        await _create(visit)
        return visit.go("/import-sources", f"{visit.form_text('name')} was created.")
    ref = ref_in(visit.form_text("source"))
    if ref is None or action not in ("change", "run", "delete"):
        raise BadRequest("Unknown action.")
    row = await import_sources.fetch(visit.work, ref)
    if action == "change":
        body = await _body(visit)

        def read(row: Record, problems: list[Problem]) -> tuple[Any, Any]:
            return changed_values(row, body, problems)

        await import_sources.change(visit.work, ref, read, visit.expected)
        return visit.go("/import-sources", f"{visit.form_text('name')} was changed.")
    if action == "delete":
        await import_sources.delete(visit.work, ref)
        return visit.go("/import-sources", f"{row['name']} was deleted.")
    await import_sources.start(visit.work, ref)
    return visit.go("/import-sources", f"{row['name']} is being read.")


async def _create(visit: Visit) -> Record:
    body = {"format": "csv", **await _body(visit), "entity": visit.form_text("entity")}
    problems: list[Any] = []
    values = read_members(CreateImportSourceRequest, body, problems)
    return await import_sources.create(visit.work, values, options_of(values, problems), problems)


async def _body(visit: Visit) -> dict[str, Any]:
    """Convert the form of a source to the body of a request."""
    schedule, model = visit.form_text("schedule"), ref_in(visit.form_text("model"))
    body: dict[str, Any] = {
        **{name: visit.form_text(name) for name in ("name", "address")},
        "schedule": cron_line(visit, schedule) or None,
        "markColumn": visit.form_text("mark_column") or None,
    }
    if model is not None:
        options = (await imports.fetch(visit.work, model))["file_options"]
        body |= {name: options[name] for name in ("format", "mapping")}
    return body


PAGES: Final = (PageRoute("/import-sources", show, change, post_right=Right.IMPORTS),)
