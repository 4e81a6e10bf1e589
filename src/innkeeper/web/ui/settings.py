"""Screens of settings: points of sale, users, the workspace, the audit log."""

import asyncio
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final
from uuid import UUID

from starlette.responses import Response

from innkeeper.actions.admin import audit, configuration, users, workspaces
from innkeeper.actions.audiences import export_runs, usage, webhooks
from innkeeper.actions.console import demo_loads, figures, search
from innkeeper.actions.paging import Page
from innkeeper.errors import BadRequest, Invalid, Problem
from innkeeper.resources.base import Record
from innkeeper.resources.configuration import PointOfSale
from innkeeper.resources.guests import Guest
from innkeeper.resources.values import ValueRefused, whole_in
from innkeeper.rules.access import ABOUT, Right, Role
from innkeeper.rules.masking import masked_setting
from innkeeper.web.downloads import Body, Download
from innkeeper.web.ui.audit_words import done_words
from innkeeper.web.ui.downloads import json_file
from innkeeper.web.ui.formatting import TIME_ZONE, title_words
from innkeeper.web.ui.shell import PageRoute, Visit
from innkeeper.wire.administration.audit_log import read_csv

TABS: Final = (
    ("/settings", "API access"),
    ("/settings/identity-rules", "Identity rules"),
    ("/settings/points-of-sale", "Points of sale"),
    ("/settings/webhooks", "Webhooks"),
    ("/settings/users", "Users"),
    ("/settings/workspace", "Workspace"),
    ("/settings/audit-log", "Audit log"),
)


async def points_of_sale(visit: Visit) -> Response:
    """List the points of sale and their uses."""
    rows = await configuration.points_of_sale(visit.work)
    uses = await usage.of_points_of_sale(visit.work)
    changed = [each for each in rows if each["name"] == visit.form_text("name")]
    return visit.show(
        "settings_pos.html",
        tabs=TABS,
        points=rows,
        versions={each["name"]: configuration.version_of(each) for each in rows},
        differing=[
            (title_words(name), visit.form_text(name), each[name])
            for each in changed
            for name in ("market", "brand", "language", "timeout_minutes")
        ],
        uses=uses,
        tokens={name: usage.token_of(each) for name, each in uses.items()},
    )


async def change_point_of_sale(visit: Visit) -> Response:
    """Create, change or delete a point of sale; raises `Invalid` with every problem."""
    name = visit.form_text("name")
    if visit.form_text("action") == "delete":
        uses = (await usage.of_points_of_sale(visit.work)).get(name, [])
        usage.refuse_unless_accepted(f"Point of sale {name}", uses, visit.form_text("uses"))
        await configuration.delete_point_of_sale(visit.work, name)
        return visit.go("/settings/points-of-sale", f"{name} was deleted.")
    is_change = visit.form_text("action") == "change"
    changes: dict[str, Any] = {}
    problems = []
    for field_name in ("name", "market", "brand", "language", "timeout_minutes"):
        text = visit.form_text(field_name)
        if not text:
            continue
        kind = PointOfSale.fields[field_name].kind
        minutes = whole_in(text) if field_name == "timeout_minutes" else None
        value: Any = text if minutes is None else minutes
        try:
            changes[field_name] = kind.read(value)
        except ValueRefused as refused:
            problems.append(Problem(field_name, refused.reason))
    if "name" not in changes and not problems:
        problems.append(Problem("name", "must be given"))
    if problems:
        raise Invalid(*problems)
    if is_change:
        texts = {each: changes.get(each, "") for each in ("market", "brand", "language")}
        await configuration.change_point_of_sale(
            *(visit.work, name, changes.get("timeout_minutes")),
            texts=texts,
            expected=visit.expected,
        )
        return visit.go("/settings/points-of-sale", f"{name} was saved.")
    await configuration.create_point_of_sale(visit.work, changes)
    return visit.go("/settings/points-of-sale", f"{name} was created.")


async def people(visit: Visit, link: str = "", who: str = "") -> Response:
    """List the users; `link` is the one-time link of a user `who` was just invited, shown once."""
    rows = await users.list_all(visit.work)
    changed = [each for each in rows if str(each["ref"]) == visit.form_text("user")]
    return visit.show(
        "settings_users.html",
        tabs=TABS,
        people=rows,
        differing=[row for each in changed for row in _differing(visit, each)],
        resend=users.version_of(changed[0]) if changed else "",
        versions={each["ref"]: users.version_of(each) for each in rows},
        roles=[(role.value, role.value.capitalize()) for role in Role],
        about=ABOUT,
        own=[each["name"] for each in visit.workspaces if each["sandbox_of"] is None],
        link=link,
        who=who,
    )


def _differing(visit: Visit, person: Record) -> list[tuple[str, str, str]]:
    """List the fields of a user that a form changes: (name, as sent, as stored)."""
    every = "every workspace"
    is_every = visit.form_text("every") == "yes"
    typed = every if is_every else ", ".join(visit.form_texts("workspaces"))
    stored = every if person["workspaces"] is None else ", ".join(person["workspaces"])
    access = {True: "no access", False: "may log in"}
    return [
        ("Who", person["email"], person["email"]),
        ("Role", visit.form_text("role"), person["role"]),
        ("Workspaces", typed, stored),
        (
            "Access",
            access[visit.form_text("disabled") == "yes"],
            access[bool(person["disabled_at"])],
        ),
    ]


async def change_people(visit: Visit) -> Response:
    """Invite a user, change a role or workspaces, renew a link, or withdraw access."""
    action, by = visit.form_text("action"), visit.person.giver
    memberships = None if visit.form_text("every") == "yes" else visit.form_texts("workspaces")
    if action == "invite":
        email = visit.form_text("email")
        token = await users.invite(
            *(visit.work, email, visit.form_text("name") or email, _role(visit), memberships), by=by
        )
        return await people(visit, f"{visit.link_base}/login?link={token}", email)
    try:
        user = UUID(visit.form_text("user"))
    except ValueError:
        raise Invalid(Problem("user", "a user")) from None
    if action == "link":
        token = await users.renew_link(visit.work, user, by=by)
        return await people(
            visit, f"{visit.link_base}/login?link={token}", visit.form_text("email")
        )
    disabled = visit.form_text("disabled") == "yes"
    await users.change(
        *(visit.work, user),
        role=_role(visit),
        disabled=disabled,
        memberships=memberships,
        by=by,
        expected=visit.expected,
    )
    return visit.go("/settings/users", "Saved.")


async def workspace(visit: Visit) -> Response:
    """Show the workspace, its retention periods and its sandbox."""
    limits = visit.settings
    return visit.show(
        "settings_workspace.html",
        tabs=TABS,
        stored=await figures.count_stored(visit.work),
        retention=(
            ("Visitors without orders", limits.visitor_retention_days, "visitor_retention_days"),
            ("Imports, batches and their failed records", limits.batch_days, "batch_days"),
            ("What imports changed, for their undo", limits.undo_days, "undo_days"),
            ("Files of audience exports", export_runs.RETENTION.days, ""),
            ("Messages of webhooks", webhooks.RETENTION.days, ""),
        ),
    )


async def change_sandbox(visit: Visit) -> Response:
    """Load demo data into a sandbox, or delete its data; raises `BadRequest` if its name was not
    typed."""
    if visit.form_text("action") == "demo":
        await demo_loads.start(visit.work)
        return visit.go("/jobs", "The demo shop is being written. This takes a minute.")
    name = visit.form_text("workspace")
    if not visit.is_sandbox or name != visit.workspace or visit.form_text("confirm") != name:
        raise BadRequest("Type the name of this sandbox to reset it.")
    await workspaces.reset(visit.work, name)
    return visit.go("/settings/workspace", f"{name} is empty now. Its keys remain.")


async def log(visit: Visit) -> Response:
    """Show the audit log, filtered by actor, action and subject."""
    filters, page = await _audit_page(visit)
    words = await audit.list_filter_values(visit.work, visit.workspace)
    return visit.show(
        "settings_audit.html",
        tabs=TABS,
        page=page,
        actors=[("", "Anybody"), *((each, each) for each in words["actors"])],
        actions=[("", "Anything"), *map(_action_option, words["actions"])],
        chosen=filters,
        guests=await _guests(visit, page.items),
        changes=await asyncio.to_thread(lambda: [_changes(visit, row) for row in page.items]),
    )


def _action_option(action: str) -> tuple[str, str]:
    words = done_words(action)
    return action, words[:1].upper() + words[1:]


async def log_file(visit: Visit) -> Response:
    """Return the rows of a page of the log, with their whole values, as a file."""
    _, page = await _audit_page(visit)
    rows = await asyncio.to_thread(lambda: [_as_json(visit, row) for row in page.items])
    return await json_file("audit-log", rows)


async def log_csv(visit: Visit) -> Response:
    """Return the rows of the log that the filters select as CSV, a line for each change."""
    _, selected = _audit_filters(visit)
    changes = partial(_changes, visit)

    async def open_body() -> Body:
        return read_csv(audit.read_all(visit.lend, selected), changes)

    slots = visit.database.limits.downloads
    return Download(slots, open_body, "text/csv; charset=utf-8", "audit-log.csv")


def _as_json(visit: Visit, row: Record) -> Record:
    names = ("at", "actor", "action", "subject", "details")
    changes = [
        {"field": name, "before": before, "after": after}
        for name, before, after in _changes(visit, row)
    ]
    return {**{name: row[name] for name in names}, "changes": changes}


def _midnight(day: str, days_later: int) -> datetime | None:
    """Return the start of a day of a filter in the visitor's time zone; raises `Invalid`."""
    if not day:
        return None
    try:
        at = datetime.fromisoformat(day) + timedelta(days=days_later)
    except (ValueError, OverflowError):
        raise Invalid(Problem("from", "must be a day, YYYY-MM-DD")) from None
    return at.replace(tzinfo=TIME_ZONE.get())


def _audit_filters(visit: Visit) -> tuple[dict[str, str], audit.AuditFilter]:
    """Return the filters of the request, as they are shown and as they select."""
    names = ("actor", "action", "subject", "from", "to")
    filters = {name: visit.query_text(name) for name in names}
    return filters, audit.AuditFilter(
        visit.workspace,
        actor=filters["actor"] or None,
        action=filters["action"] or None,
        subject=filters["subject"].strip() or None,
        since=_midnight(filters["from"], 0),
        until=_midnight(filters["to"], 1),
    )


async def _audit_page(visit: Visit) -> tuple[dict[str, str], Page]:
    """Return the filters of the request, and the page of the log that it selects."""
    filters, selected = _audit_filters(visit)
    return filters, await audit.list_(visit.work, visit.page_request, selected)


async def _guests(visit: Visit, rows: list[Record]) -> dict[str, Record]:
    """Fetch the subjects of rows that are guests and still exist, by ref."""
    refs = {UUID(row["subject"]) for row in rows if row["subject_kind"] == audit.GUEST}
    guest_rows = await search.list_rows(visit.work, sorted(refs)) if refs else []
    return {str(each["ref"]): visit.veil(each, Guest) for each in guest_rows}


def _changes(visit: Visit, row: Record) -> list[tuple[str, Any, Any]]:
    """List the changes of a row, as this visitor may see them: (field, before, after)."""
    changes = []
    for name, values in (row["changes"] or {}).items():
        pair = values
        if row["subject_kind"] == audit.GUEST:
            pair = [_veiled_value(visit, name, value) for value in pair]
        elif not visit.personal:
            pair = [masked_setting(name, value) for value in pair]
        changes.append((name, *pair))
    return changes


def _veiled_value(visit: Visit, name: str, value: Any) -> Any:
    if name in Guest.fields:
        return None if value is None else visit.veil({name: value}, Guest)[name]
    return visit.veil_value(value)


def _role(visit: Visit) -> Role:
    try:
        return Role(visit.form_text("role"))
    except ValueError:
        raise Invalid(Problem("role", "one of " + ", ".join(Role))) from None


PAGES: Final = (
    PageRoute(
        *("/settings/points-of-sale", points_of_sale, change_point_of_sale),
        post_right=Right.POINTS_OF_SALE,
    ),
    PageRoute("/settings/users", people, change_people, right=Right.USERS),
    PageRoute("/settings/workspace", workspace, change_sandbox, post_right=Right.RESET),
    PageRoute("/settings/audit-log", log, right=Right.AUDIT),
    PageRoute("/settings/audit-log/file", log_file, right=Right.AUDIT),
    PageRoute("/settings/audit-log/csv", log_csv, right=Right.AUDIT),
)
