"""The form that creates or changes an export."""

from typing import Any, Final

import msgspec
from starlette.responses import Response

from innkeeper.actions.admin.stored_secrets import webhook_secret
from innkeeper.actions.audiences import (
    audience_exports,
    consent,
    segment_catalogue,
    segments,
    static_lists,
)
from innkeeper.actions.audiences.export_settings import has_source
from innkeeper.errors import Invalid, Problem
from innkeeper.resources.base import Record
from innkeeper.resources.exports import (
    BY_COLUMNS,
    CRONS,
    CSV,
    DELIMITERS,
    DELTA,
    EMAIL,
    FORMATS,
    FULL_SYNC,
    HASHED,
    HASHED_FIELDS,
    LISTS,
    NOBODY,
    PHONE,
    POST,
)
from innkeeper.resources.naming import camel
from innkeeper.resources.segments import CORE, ENTITIES, IDENTIFIER, STATIC_LIST
from innkeeper.resources.static_lists import definition_of_list
from innkeeper.resources.values import whole_in
from innkeeper.rules.access import Right
from innkeeper.rules.versions import version_of
from innkeeper.web.ui.formatting import title_words
from innkeeper.web.ui.shell import PageRoute, Visit

DAYS: Final = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
SCHEDULES: Final = (
    ("", "Only on request"),
    ("* * *", "Every day"),
    ("* * 1-5", "Every working day"),
    *((f"* * {day % 7}", f"Every {DAYS[day % 7]}") for day in range(1, 8)),
    ("1 * *", "On the first of the month"),
    ("cron", "By a cron expression"),
)
"""Days of a cron line -> their name in the form."""
PRESETS: Final = (
    ("mailing", "Mailing", ("email", "firstName", "lastName", "language")),
    ("post", "Letters", ("firstName", "lastName", "street", "postCode", "city", "country")),
    ("ads", "Advertising audience", ("sha256.email", "sha256.phone", "country")),
)
"""Name -> title and columns."""
KINDS: Final = ((FULL_SYNC, "All guests"), (DELTA, "Guests added and removed since the last run"))
DESTINATIONS: Final = (
    ("", "Stored here, to download"),
    ("FOLDER", "A folder or a bucket"),
    ("WEBHOOK", "A URL, in batches"),
)
LIST: Final = "list:"
"""Beginning of the value of a static list in a menu of segments."""
CONSENTS: Final = (
    (BY_COLUMNS, "By the columns: of e-mail, phone or post"),
    (EMAIL, "Of e-mail"),
    (PHONE, "Of phone"),
    (POST, "Of post"),
    (NOBODY, "Nobody: all guests are exported"),
)
"""Choice of the unsubscribed guests that an export leaves out -> its name in the form."""
UNCHANGED: Final = "="
"""Value of the menu of segments with which the filter stays as it is."""
_DEFAULT_COLUMNS: Final = ("ref", "firstName", "lastName", "email", "city", "country")


async def new(visit: Visit) -> Response:
    """Show the form with defaults, or as typed when it was refused."""
    segment = visit.query_text("segment")
    defaults = {
        "columns": list(_DEFAULT_COLUMNS),
        "segment": segment,
        "header": True,
        "time": "06:00",
    }
    return await _form(visit, None, defaults)


async def edit(visit: Visit) -> Response:
    """Show the form with a stored export."""
    row = await audience_exports.fetch(visit.work, visit.request.path_params["export"])
    return await _form(visit, row, await _draft_of(visit, row))


async def create(visit: Visit) -> Response:
    """Create an export, and run it at once when the form asks for it."""
    row = await audience_exports.create(visit.work, await _body(visit))
    note = f"{row['name']} was created."
    if row["webhook_secret"]:
        note += _secret_note(visit, row["webhook_secret"])
    return await _finish(visit, row, note)


def _secret_note(visit: Visit, stored: str) -> str:
    secret = webhook_secret(visit.work.settings, stored)
    return f" Its messages are signed with {secret}, which is shown only once."


async def save(visit: Visit) -> Response:
    """Change an export."""
    before = await audience_exports.fetch(visit.work, visit.request.path_params["export"])
    row = await audience_exports.change(
        visit.work, before["ref"], await _body(visit), visit.expected
    )
    note = f"{row['name']} was saved."
    if row["webhook_secret"] != before["webhook_secret"] and row["webhook_secret"]:
        note += _secret_note(visit, row["webhook_secret"])
    return await _finish(visit, row, note)


async def _finish(visit: Visit, row: Record, note: str) -> Response:
    """Run a stored export when the form asks for it, and go to its page."""
    if visit.form_text("run"):
        await audience_exports.start(visit.work, row["ref"])
        note += " An execution was started."
    return visit.go(f"/exports/{row['friendly_id']}", note)


async def _draft_of(visit: Visit, row: Record) -> dict[str, Any]:
    """Return the form's fields for a stored export."""
    shape = row["shape"]
    segment = await audience_exports.fetch_source(visit.work, row)
    destination = row["destination"] or {}
    schedule = row["schedule"] or ""
    days, time = read_schedule(schedule)
    template = shape.get("template")
    return {
        "name": row["name"],
        "segment": (LIST if row["static_list_ref"] else "") + segment["friendly_id"]
        if segment
        else "",
        "kind": row["definition_type"],
        "schedule": days,
        "time": time,
        "cron": schedule if days == "cron" else "",
        "format": shape.get("format", CSV),
        "delimiter": shape.get("delimiter", ","),
        "header": shape.get("header", True),
        "guarded": shape.get("guarded", False),
        "bom": shape.get("bom", False),
        "columns": shape.get("columns", []),
        "template": msgspec.json.format(msgspec.json.encode(template), indent=2).decode()
        if template
        else "",
        "consent": shape.get("consent", BY_COLUMNS),
        "filter": UNCHANGED if shape.get("filter") else "",
        "destination": destination.get("type", ""),
        "url": destination.get("url", ""),
        "webhook": row["webhook"] or "",
    }


async def _form(visit: Visit, row: Record | None, stored: dict[str, Any]) -> Response:
    """Show the form with `stored` fields, or as typed when it was refused."""
    is_refused = visit.fault is not None
    fields = stored
    if is_refused:
        fields = {name: visit.form_text(name) for name in visit.form}
        boxes = {name: visit.form_text(name) == "yes" for name in ("header", "guarded", "bom")}
        fields |= {"columns": visit.form.getlist("columns"), **boxes}
    is_whole = is_refused or visit.is_part
    free = _free(await segment_catalogue.list_guest_fields(visit.work)) if is_whole else None
    choices = [(each["friendly_id"], each["name"]) for each in await segments.list_all(visit.work)]
    choices += [
        (LIST + each["friendly_id"], f"List: {each['name']}")
        for each in await static_lists.list_names(visit.work)
    ]
    is_segment_deleted = row is not None and not has_source(row)
    has_filter = row is not None and row["shape"].get("filter")
    unchanged = [(UNCHANGED, "As it is now")] if has_filter else []
    return visit.show(
        "export_form.html",
        row=row,
        fields=fields,
        segments=[("", "Choose one: it was deleted"), *choices] if is_segment_deleted else choices,
        filters=[("", "No filter: all guests"), *unchanged, *choices],
        groups=_columns(),
        free=free,
        kinds=KINDS,
        formats=[(each, each) for each in FORMATS],
        delimiters=[(each, {",": "comma", "|": "bar"}[each]) for each in DELIMITERS],
        schedules=SCHEDULES,
        presets=PRESETS,
        consents=CONSENTS,
        consent_fields=await consent.list_fields(visit.work),
        destinations=DESTINATIONS,
        version=version_of(row) if row else "",
        differing=[
            (title_words(name), _in_words(name, fields.get(name)), _in_words(name, value))
            for name, value in stored.items()
            if _plain(fields.get(name)) != _plain(value)
        ],
        wrong={each.field: each.reason for each in getattr(visit.fault, "problems", ())},
    )


def _columns() -> list[tuple[str, list[str]]]:
    """Return the columns that every export may have: (heading, column names)."""
    own = ["ref", *(camel(name) for name in ENTITIES["guest"].fields if name != "ref")]
    hashed = [f"{HASHED}.{name}" for name in HASHED_FIELDS]
    return [
        ("Fields", own),
        ("For advertising audiences, as SHA-256", hashed),
        ("Lists (JSON, NDJSON and Parquet)", [camel(name) for name in LISTS]),
    ]


def _free(fields: list[dict[str, Any]]) -> list[tuple[str, list[str]]]:
    """Return the columns that depend on the data, computed traits and data extensions: (heading,
    column names)."""
    traits, free = [], []
    for entry in fields:
        name = f"{entry['location']}.{entry['field']}"
        if entry["location"] == "trait":
            traits.append(name)
        elif entry["location"] not in (CORE, IDENTIFIER, STATIC_LIST):
            free.append(name)
    groups = [("Computed traits", traits), ("Data extensions", free)]
    return [(title, names) for title, names in groups if names]


async def _body(visit: Visit) -> dict[str, Any]:
    """Convert the form to the body of an API request; None for an empty field."""
    form, kind = visit.form_text("format") or CSV, visit.form_text("destination")
    schedule, template = visit.form_text("schedule"), visit.form_text("template")
    body: dict[str, Any] = {
        "name": visit.form_text("name"),
        **_source(visit.form_text("segment")),
        "definitionType": visit.form_text("kind"),
        "format": form,
        "columns": [str(each) for each in visit.form.getlist("columns")],
        "delimiter": (visit.form_text("delimiter") or ",") if form == CSV else None,
        "header": visit.form_text("header") == "yes" if form == CSV else None,
        "guarded": visit.form_text("guarded") == "yes" if form == CSV else None,
        "bom": visit.form_text("bom") == "yes" if form == CSV else None,
        "template": None,
        "consent": visit.form_text("consent") or None,
        "schedule": cron_line(visit, schedule),
        "destination": {"type": kind, "url": visit.form_text("url")} if kind else None,
        "webhook": visit.form_text("webhook") or None,
    }
    if template and form != CSV:
        body |= {"template": _json(template), "columns": None}
    if visit.form_text("filter") != UNCHANGED:
        body["filter"] = await _filter(visit, visit.form_text("filter"))
    return body


def _source(choice: str) -> dict[str, str | None]:
    """Return the members of a request for the chosen segment or list."""
    if choice.startswith(LIST):
        return {"segment": None, "staticList": choice.removeprefix(LIST)}
    return {"segment": choice or None, "staticList": None}


async def _filter(visit: Visit, choice: str) -> Any:
    """Return the definition of the chosen segment or list; None without a choice."""
    if choice.startswith(LIST):
        return definition_of_list(choice.removeprefix(LIST))
    segment = await segments.fetch(visit.work, choice) if choice else None
    return segment["definition"] if segment else None


def read_schedule(schedule: str) -> tuple[str, str]:
    """Return the days of a schedule, one of `SCHEDULES`, and its time: `("* * 1", "06:00")`."""
    minute, hour, *days = CRONS.get(schedule.upper(), schedule).split(" ") if schedule else ("", "")
    if not schedule:
        return "", "06:00"
    joined = " ".join(days)
    if joined not in dict(SCHEDULES) or whole_in(minute) is None or whole_in(hour) is None:
        return "cron", "06:00"
    return joined, f"{int(hour):02}:{int(minute):02}"


def schedule_words(schedule: str) -> str:
    """Describe a schedule: `Every Monday at 06:00 UTC`."""
    days, time = read_schedule(schedule)
    return schedule if days == "cron" else f"{dict(SCHEDULES)[days]} at {time} UTC"


def cron_line(visit: Visit, days: str) -> str | None:
    """Return the cron line of the menus, the typed one, or None."""
    if days == "cron":
        return visit.form_text("cron") or None
    if not days:
        return None
    hour, _, minute = (visit.form_text("time") or "06:00").partition(":")
    if whole_in(hour) is None or whole_in(minute) is None:
        raise Invalid(Problem("schedule", "choose a time of the day"))
    return f"{int(minute)} {int(hour)} {days}"


def _in_words(name: str, value: Any) -> str:
    """Format a value of a field for reading: a schedule by its title."""
    text = _plain(value)
    return dict(SCHEDULES).get(text, text) if name == "schedule" else text


def _plain(value: Any) -> str:
    """Format a value of the form for reading."""
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return {True: "yes", False: "no", None: ""}.get(value, str(value))


def _json(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text


PAGES: Final = (
    PageRoute("/exports/new", new, create, right=Right.EXPORTS),
    PageRoute("/exports/{export}/edit", edit, save, right=Right.EXPORTS),
)
