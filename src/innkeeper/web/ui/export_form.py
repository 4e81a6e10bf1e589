"""The form of an export: a new one, or one that is changed."""

from typing import Any, Final

import msgspec
from starlette.responses import Response

from innkeeper.actions.admin.stored_secrets import webhook_secret
from innkeeper.actions.audiences import audience_exports, segment_catalogue, segments
from innkeeper.resources.base import Record
from innkeeper.resources.exports import (
    CSV,
    DAILY,
    DELIMITERS,
    DELTA,
    FORMATS,
    FULL_SYNC,
    LISTS,
    WEEKLY,
)
from innkeeper.resources.segments import ENTITIES
from innkeeper.rules.access import Right
from innkeeper.rules.versions import version_of
from innkeeper.web.ui.shell import PageRoute, Visit
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
UNCHANGED: Final = "="
"""In place of a segment: the filter stays as it is."""
_USUAL: Final = ("ref", "firstName", "lastName", "email", "city", "country")


async def new(visit: Visit) -> Response:
    """The form, with what was typed when it was refused."""
    usual = {"columns": list(_USUAL), "segment": visit.query_text("segment"), "header": True}
    return await _form(visit, None, usual)


async def edit(visit: Visit) -> Response:
    """The form with an export in it."""
    row = await audience_exports.fetch(visit.work, visit.request.path_params["export"])
    return await _form(visit, row, await _draft_of(visit, row))


async def create(visit: Visit) -> Response:
    """Keep a new export; run it at once when that was asked."""
    row = await audience_exports.create(visit.work, await _body(visit))
    note = f"{row['name']} was created."
    if row["webhook_secret"]:
        note += _secret_note(visit, row["webhook_secret"])
    return await _stored_secret(visit, row, note)


def _secret_note(visit: Visit, stored: str) -> str:
    secret = webhook_secret(visit.work.settings, stored)
    return f" Its messages are signed with {secret}, which is shown this once."


async def save(visit: Visit) -> Response:
    """Change an export."""
    before = await audience_exports.fetch(visit.work, visit.request.path_params["export"])
    row = await audience_exports.change(
        visit.work, before["ref"], await _body(visit), visit.expected
    )
    note = f"{row['name']} was saved."
    if row["webhook_secret"] != before["webhook_secret"] and row["webhook_secret"]:
        note += _secret_note(visit, row["webhook_secret"])
    return await _stored_secret(visit, row, note)


async def _stored_secret(visit: Visit, row: Record, note: str) -> Response:
    if visit.form_text("run"):
        await audience_exports.start(visit.work, row["ref"])
        note += " It is being run."
    return visit.go(f"/exports/{row['friendly_id']}", note)


async def _draft_of(visit: Visit, row: Record) -> dict[str, Any]:
    """What the form holds of an export."""
    shape = row["shape"]
    segment = await audience_exports.fetch_source(visit.work, row)
    place = row["destination"] or {}
    schedule = row["schedule"] or ""
    named = schedule.upper() in (DAILY, WEEKLY, "")
    template = shape.get("template")
    return {
        "name": row["name"],
        "segment": segment["friendly_id"] if segment else "",
        "kind": row["definition_type"],
        "schedule": schedule.upper() if named else "cron",
        "cron": "" if named else schedule,
        "format": shape.get("format", CSV),
        "delimiter": shape.get("delimiter", ","),
        "header": shape.get("header", True),
        "guarded": shape.get("guarded", False),
        "columns": shape.get("columns", []),
        "template": msgspec.json.format(msgspec.json.encode(template), indent=2).decode()
        if template
        else "",
        "filter": UNCHANGED if shape.get("filter") else "",
        "destination": place.get("type", ""),
        "url": place.get("url", ""),
        "webhook": row["webhook"] or "",
    }


async def _form(visit: Visit, row: Record | None, told: dict[str, Any]) -> Response:
    again = visit.fault is not None
    stored = told
    if again:
        told = {name: visit.form_text(name) for name in visit.form}
        boxes = {name: visit.form_text(name) == "yes" for name in ("header", "guarded")}
        told |= {"columns": visit.form.getlist("columns"), **boxes}
    is_whole = again or visit.is_part
    offered = segment_catalogue.list_fields if is_whole else segment_catalogue.list_declared_fields
    catalogue = await offered(visit.work)
    known = [(each["friendly_id"], each["name"]) for each in await segments.list_all(visit.work)]
    is_gone = row is not None and row["segment_ref"] is None
    kept = [(UNCHANGED, "As it is now")] if row is not None and row["shape"].get("filter") else []
    return visit.show(
        "export_form.html",
        row=row,
        told=told,
        segments=[("", "Choose one: it was deleted"), *known] if is_gone else known,
        filters=[("", "Nobody else is left out"), *kept, *known],
        groups=_columns(),
        free=_free(catalogue) if is_whole else None,
        kinds=KINDS,
        formats=[(each, each) for each in FORMATS],
        delimiters=[(each, {",": "comma", "|": "bar"}[each]) for each in DELIMITERS],
        schedules=SCHEDULES,
        destinations=DESTINATIONS,
        version=version_of(row) if row else "",
        differing=[
            (camel(name).capitalize(), _plain(told.get(name)), _plain(value))
            for name, value in stored.items()
            if _plain(told.get(name)) != _plain(value)
        ],
        wrong={each.field: each.reason for each in getattr(visit.fault, "problems", ())},
    )


def _columns() -> list[tuple[str, list[str]]]:
    """(what they are, column names) that an export may have, whatever the data."""
    own = ["ref", *(camel(name) for name in ENTITIES["guest"].fields if name != "ref")]
    return [("Fields", own), ("Lists (JSON, NDJSON and Parquet)", [camel(name) for name in LISTS])]


def _free(catalogue: dict[str, Any]) -> list[tuple[str, list[str]]]:
    """The same of what the data holds: computed traits, data extensions."""
    traits, free = [], []
    for known in catalogue["entities"][0]["fields"]:
        name = f"{known['location']}.{known['field']}"
        if known["location"] == "trait":
            traits.append(name)
        elif known["location"] not in ("core", "identifier"):
            free.append(name)
    groups = [("Computed traits", traits), ("Data extensions", free)]
    return [(title, names) for title, names in groups if names]


async def _body(visit: Visit) -> dict[str, Any]:
    """What an API client would send for what was typed; None where nothing was."""
    form, kind = visit.form_text("format") or CSV, visit.form_text("destination")
    schedule, template = visit.form_text("schedule"), visit.form_text("template")
    body: dict[str, Any] = {
        "name": visit.form_text("name"),
        "segment": visit.form_text("segment") or None,
        "definitionType": visit.form_text("kind"),
        "format": form,
        "columns": [str(each) for each in visit.form.getlist("columns")],
        "delimiter": (visit.form_text("delimiter") or ",") if form == CSV else None,
        "header": visit.form_text("header") == "yes" if form == CSV else None,
        "guarded": visit.form_text("guarded") == "yes" if form == CSV else None,
        "template": None,
        "schedule": (visit.form_text("cron") if schedule == "cron" else schedule) or None,
        "destination": {"type": kind, "url": visit.form_text("url")} if kind else None,
        "webhook": visit.form_text("webhook") or None,
    }
    if template and form != CSV:
        body |= {"template": _json(template), "columns": None}
    if visit.form_text("filter") != UNCHANGED:
        chosen = visit.form_text("filter")
        narrower = await segments.fetch(visit.work, chosen) if chosen else None
        body["filter"] = narrower["definition"] if narrower else None
    return body


def _plain(value: Any) -> str:
    """A value of the form as a person reads it."""
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return {True: "yes", False: "no", None: ""}.get(value, str(value))


def _json(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text


PAGES: Final = (
    PageRoute("/exports/new", new, create, right=Right.EXPORTS, post_right=Right.EXPORTS),
    PageRoute("/exports/{export}/edit", edit, save, right=Right.EXPORTS, post_right=Right.EXPORTS),
)
