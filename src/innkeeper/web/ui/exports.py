"""Exports: definitions of who goes out in which shape, running them, their files."""

from typing import Any, Final
from urllib.parse import urlsplit

from starlette.responses import RedirectResponse, Response

from innkeeper.actions.admin import audit
from innkeeper.actions.audiences import audience_exports, segment_catalogue, segments
from innkeeper.errors import BadRequest, NotFound
from innkeeper.resources.base import Record
from innkeeper.resources.exports import (
    CSV,
    DAILY,
    DELIMITERS,
    DELTA,
    FINISHED,
    FORMATS,
    FULL_SYNC,
    LISTS,
    NDJSON,
    SUCCESS,
    WEEKLY,
)
from innkeeper.resources.segments import ENTITIES
from innkeeper.rules.access import Right
from innkeeper.web.ui.shell import Page, Visit
from innkeeper.wire.naming import camel

SCHEDULES: Final = (
    ("", "Only when asked"),
    (DAILY, "Every day at 00:30 UTC"),
    (WEEKLY, "Every Monday at 00:30 UTC"),
    ("cron", "By a cron line"),
)
KINDS: Final = ((FULL_SYNC, "Everybody in it"), (DELTA, "Who came and who went since last time"))
DESTINATIONS: Final = (
    ("", "Kept here, to download"),
    ("FOLDER", "A folder or a bucket"),
    ("WEBHOOK", "A web address, in batches"),
)
DESCRIBED: Final = {"": "here", "FOLDER": "a folder", "WEBHOOK": "a web address"}
_USUAL: Final = frozenset({"ref", "firstName", "lastName", "email", "city", "country"})


async def every(visit: Visit) -> Response:
    """All of them, with what came of the last execution."""
    rows = await audience_exports.list_all(visit.work)
    named = {row["ref"]: row for row in await segments.list_all(visit.work)}
    latest = {}
    for row in rows:
        _, executions = await audience_exports.executions(visit.work, row["ref"])
        latest[row["ref"]] = executions[0] if executions else None
    return visit.show(
        "exports.html",
        rows=rows,
        segments=named,
        latest=latest,
        kinds=dict(KINDS),
        any_segment=bool(named),
    )


async def new(visit: Visit) -> Response:
    """The form, with what was typed when it was refused."""
    known = await segments.list_all(visit.work)
    catalogue = await segment_catalogue.fields(visit.work)
    again = visit.fault is not None
    chosen = [str(each) for each in visit.form.getlist("columns")] if again else None
    wrong = {problem.field: problem.reason for problem in getattr(visit.fault, "problems", ())}
    return visit.show(
        "export_new.html",
        segments=[(row["friendly_id"], row["name"]) for row in known],
        groups=_columns(catalogue),
        chosen=_USUAL if chosen is None else chosen,
        typed=visit.sent if again else lambda name, default="": visit.asked(name) or default,
        kinds=KINDS,
        formats=[(each, each) for each in FORMATS],
        delimiters=[(each, {",": "comma", "|": "bar"}[each]) for each in DELIMITERS],
        schedules=SCHEDULES,
        destinations=DESTINATIONS,
        wrong=wrong,
    )


def _columns(catalogue: dict[str, Any]) -> list[tuple[str, list[str]]]:
    """(what they are, column names) that an export may have."""
    guest = catalogue["entities"][0]
    own = ["ref", *(camel(name) for name in ENTITIES["guest"].fields if name != "ref")]
    free, traits = [], []
    for known in guest["fields"]:
        if known["location"] == "trait":
            traits.append(f"trait.{known['field']}")
        elif known["location"] not in ("core", "identifier"):
            free.append(f"{known['location']}.{known['field']}")
    groups = [("Fields", own), ("Data extensions", free), ("Computed traits", traits)]
    groups.append(("Lists (JSON, NDJSON and Parquet)", [camel(name) for name in LISTS]))
    return [(title, names) for title, names in groups if names]


async def create(visit: Visit) -> Response:
    """Keep a new export; run it at once when that was asked."""
    row = await audience_exports.create(visit.work, _body(visit))
    await audit.note(visit.work, "export.create", friendly_id=row["friendly_id"])
    note = f"{row['name']} was created."
    if visit.sent("run"):
        await audience_exports.start(visit.work, row["ref"])
        note += " It is being run."
    if row["webhook_secret"]:
        note += f" Its messages are signed with {row['webhook_secret']}, which is shown this once."
    return visit.go(f"/exports/{row['friendly_id']}", note)


def _body(visit: Visit) -> dict[str, Any]:
    """What an API client would send for what was typed."""
    form, kind = visit.sent("format") or CSV, visit.sent("destination")
    body: dict[str, Any] = {
        "name": visit.sent("name"),
        "segment": visit.sent("segment"),
        "definitionType": visit.sent("kind"),
        "format": form,
        "columns": [str(each) for each in visit.form.getlist("columns")],
    }
    if form == CSV:
        body["delimiter"] = visit.sent("delimiter") or ","
        body["header"] = visit.sent("header") == "yes"
    schedule = visit.sent("schedule")
    if schedule:
        body["schedule"] = visit.sent("cron") if schedule == "cron" else schedule
    if kind:
        body["destination"] = {"type": kind, "url": visit.sent("url")}
    if visit.sent("webhook"):
        body["webhook"] = visit.sent("webhook")
    return body


async def one(visit: Visit) -> Response:
    """An export: what it is, and its executions with their files."""
    name = visit.request.path_params["export"]
    row, executions = await audience_exports.executions(visit.work, name)
    files = {}
    for execution in executions[:20]:
        if execution["status"] == SUCCESS:
            found = await audience_exports.listing(visit.work, execution["ref"])
            files[execution["ref"]] = found["files"]
    place = row["destination"] or {"type": "", "url": ""}
    return visit.show(
        "export.html",
        row=row,
        segment=await segments.fetch(visit.work, row["segment_ref"]),
        executions=executions[:20],
        running=[each for each in executions if each["status"] not in FINISHED],
        files=files,
        place=DESCRIBED[place["type"]],
        host=urlsplit(place["url"]).hostname or place["url"],
        kinds=dict(KINDS),
        is_json=row["shape"].get("format") == NDJSON,
        download=visit.may(Right.EXPORTS) and visit.personal,
    )


async def act(visit: Visit) -> Response:
    """Run or delete an export."""
    name, action = visit.request.path_params["export"], visit.sent("action")
    row = await audience_exports.fetch(visit.work, name)
    if action not in ("run", "delete"):
        raise BadRequest("Unknown action.")
    await audit.note(visit.work, f"export.{action}", friendly_id=row["friendly_id"])
    if action == "delete":
        await audience_exports.delete(visit.work, row["ref"])
        return visit.go("/exports", f"{row['name']} was deleted.")
    await audience_exports.start(visit.work, row["ref"])
    return visit.go(f"/exports/{name}", "It is being run.")


async def download(visit: Visit) -> Response:
    """Send to a link of a file that works for an hour; that somebody asked is noted."""
    visit.need(Right.PERSONAL)
    execution, number = visit.ref("execution"), visit.request.path_params["number"]
    found = await audience_exports.listing(visit.work, execution)
    links: dict[str, Record] = {str(file["number"]): file for file in found["files"]}
    if number not in links or found["export"]["friendly_id"] != _named(visit):
        raise NotFound
    await audit.note(
        visit.work, "export.download", friendly_id=_named(visit), execution=str(execution)
    )
    return RedirectResponse(links[number]["href"], 303)


def _named(visit: Visit) -> str:
    return str(visit.request.path_params["export"])


PAGES: Final = (
    Page("/exports", every),
    Page("/exports/new", new, create, right=Right.EXPORTS, post_right=Right.EXPORTS),
    Page("/exports/{export}/files/{execution}/{number}", download, right=Right.EXPORTS),
    Page("/exports/{export}", one, act, post_right=Right.EXPORTS),
)
