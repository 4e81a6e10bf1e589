"""Screens of exports: the list, one export with its executions, their files."""

from typing import Final
from urllib.parse import urlsplit

from starlette.responses import RedirectResponse, Response

from innkeeper.actions.admin import audit
from innkeeper.actions.audiences import audience_exports, segments, static_lists
from innkeeper.errors import BadRequest, NotFound
from innkeeper.resources.base import Record
from innkeeper.resources.exports import FINISHED, NDJSON, SUCCESS
from innkeeper.rules.access import Right
from innkeeper.web.ui import consent, export_form
from innkeeper.web.ui.export_form import KINDS, schedule_words
from innkeeper.web.ui.shell import PageRoute, Visit

DESTINATION_NAMES: Final = {"": "here", "FOLDER": "a folder", "WEBHOOK": "a web address"}


async def show_all(visit: Visit) -> Response:
    """List the exports, each with its latest execution."""
    rows = await audience_exports.list_all(visit.work)
    sources = [*await segments.list_all(visit.work), *await static_lists.list_names(visit.work)]
    names = {row["ref"]: row["name"] for row in sources}
    latest = {}
    for row in rows:
        _, executions = await audience_exports.list_executions(visit.work, row["ref"])
        latest[row["ref"]] = executions[0] if executions else None
    return visit.show(
        "exports.html",
        rows=rows,
        sources={
            row["ref"]: names.get(row["segment_ref"] or row["static_list_ref"]) for row in rows
        },
        first_source=sources[0]["friendly_id"] if sources else "",
        latest=latest,
        kinds=dict(KINDS),
        any_segment=bool(sources),
    )


async def show_one(visit: Visit) -> Response:
    """Show an export: its settings, and its executions with their files."""
    name = visit.request.path_params["export"]
    row, executions = await audience_exports.list_executions(visit.work, name)
    files = {}
    for execution in executions[:20]:
        if execution["status"] == SUCCESS:
            listing = await audience_exports.fetch_listing(visit.work, execution["ref"])
            files[execution["ref"]] = listing["files"]
    destination = row["destination"] or {"type": "", "url": ""}
    return visit.show(
        "export.html",
        row=row,
        pattern=visit.veil_value(row["shape"].get("template")),
        webhook=visit.veil_text(row["webhook"]),
        segment=await audience_exports.fetch_source(visit.work, row),
        executions=executions[:20],
        schedule=schedule_words(row["schedule"] or ""),
        running=[each for each in executions if each["status"] not in FINISHED],
        files=files,
        place=DESTINATION_NAMES[destination["type"]],
        host=urlsplit(destination["url"]).hostname or destination["url"],
        kinds=dict(KINDS),
        is_json=row["shape"].get("format") == NDJSON,
        download=visit.may(Right.EXPORTS) and visit.personal,
    )


async def run_action(visit: Visit) -> Response:
    """Run or delete an export."""
    name, action = visit.request.path_params["export"], visit.form_text("action")
    row = await audience_exports.fetch(visit.work, name)
    if action not in ("run", "delete"):
        raise BadRequest("Unknown action.")
    if action == "delete":
        # Deleting files in another system takes time: no transaction is open meanwhile.
        await audience_exports.delete(visit.work, row["ref"])
        return visit.go("/exports", f"{row['name']} was deleted.")
    await audience_exports.start(visit.work, row["ref"])
    return visit.go(f"/exports/{name}", "An execution was started.")


async def download(visit: Visit) -> Response:
    """Redirect to a link of a file, valid for an hour, and record the download in the audit log."""
    visit.need(Right.PERSONAL)
    execution, number = visit.ref("execution"), visit.request.path_params["number"]
    listing = await audience_exports.fetch_listing(visit.work, execution)
    links: dict[str, Record] = {str(file["number"]): file for file in listing["files"]}
    links |= {f"{file['number']}.mapping": file for file in listing["files"] if file["mapping"]}
    if number not in links or listing["export"]["friendly_id"] != _export_name(visit):
        raise NotFound
    await audit.note(
        *(visit.work, "export.download"),
        about=audit.AuditSubject("export", _export_name(visit)),
        execution=str(execution),
    )
    member = "mapping" if number.endswith(".mapping") else "href"
    return RedirectResponse(links[number][member], 303)


def _export_name(visit: Visit) -> str:
    return str(visit.request.path_params["export"])


PAGES: Final = (
    PageRoute("/exports", show_all),
    *consent.PAGES,
    *export_form.PAGES,
    PageRoute("/exports/{export}/files/{execution}/{number}", download, right=Right.EXPORTS),
    PageRoute("/exports/{export}", show_one, run_action, post_right=Right.EXPORTS, whole=False),
)
