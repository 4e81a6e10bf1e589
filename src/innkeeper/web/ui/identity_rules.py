"""Settings, identity rules: menus with a live preview, guards, rule changes and their undo."""

from collections.abc import Iterable
from typing import Any, Final
from uuid import UUID

from starlette.responses import Response

from innkeeper.actions.console import search
from innkeeper.actions.identity import rule_changes, rule_settings, rule_undo
from innkeeper.actions.paging import PageRequest
from innkeeper.errors import ApiError, Invalid, Problem, Unavailable
from innkeeper.resources.base import Record
from innkeeper.resources.guests import Guest
from innkeeper.rules.access import Right
from innkeeper.rules.identity_rules import IdentityRule
from innkeeper.web.ui.guest_form import countries
from innkeeper.web.ui.identity_rule_form import (
    EXAMPLES,
    MOST_CONDITIONS,
    MOST_RULES,
    IdentityRuleRow,
    read_rows,
    rows_of,
)
from innkeeper.web.ui.settings import TABS
from innkeeper.web.ui.shell import PageRoute, Visit
from innkeeper.wire.identity.rules import FIELD_NAMES, read_guards, read_rules
from innkeeper.wire.pagination import number_in

GUARDS: Final = "guards"
PATH: Final = "/settings/identity-rules"
LIVE_MOST: Final = 20_000
"""Most guests of a workspace whose preview follows each change; of more, a button shows it."""
GROUPS: Final = 6
"""Groups that a preview names."""
NAMED: Final = 4
"""Guests that it names of a group, and merges and blocked values beside the groups."""


async def show(
    visit: Visit, rows: list[IdentityRuleRow] | None = None, focus: str = ""
) -> Response:
    """Show the rules in force, or those of a changed form with a preview of their effect."""
    book = await rule_settings.read_rules(visit.work)
    of_guards = visit.form_text("action") == GUARDS
    in_force = rows_of(book.rules)
    is_form = rows is not None
    if rows is None:
        is_refused = visit.fault is not None and not of_guards
        rows = read_rows(visit.form)[0] if is_refused else in_force
    problems = [] if of_guards else _problems(visit.fault)
    live: dict[str, Any] = {"preview": None, "is_busy": False, "is_large": False}
    if is_form:
        live |= await _live(visit, rows, problems)
    jobs = await rule_settings.list_jobs(visit.work, PageRequest(limit=5))
    return visit.show(
        "settings_rules.html",
        tabs=TABS,
        rows=rows,
        focus=focus,
        problems=problems,
        is_first=not is_form and visit.fault is None,
        version=str(book.version),
        differing=_differing(visit, rows, in_force, rule_settings.represent_guards(book)),
        jobs=jobs.items,
        providers=await search.list_providers(visit.work),
        fields=FIELD_NAMES,
        examples=EXAMPLES,
        most=(MOST_RULES, MOST_CONDITIONS),
        countries=[("", "None"), *countries()],
        guards=_form_guards(visit) if of_guards else await rule_settings.fetch_guards(visit.work),
        wrong={
            each.field.partition("[")[0]: each.reason
            for each in getattr(visit.fault, "problems", ())
        },
        guarded=(await rule_settings.list_guarded(visit.work, PageRequest(limit=10))).items,
        **live,
    )


async def change(visit: Visit) -> Response:
    """Show the form again with a preview, put its rules in force with or without merging existing
    guests, or change the guards."""
    if visit.form_text("action") == GUARDS:
        return await _change_guards(visit)
    rows, focus = read_rows(visit.form)
    action = visit.form_text("do")
    if action not in ("save", "apply"):
        return await show(visit, rows, focus)
    rules = _rules(rows)
    if action == "apply":
        job = await rule_settings.apply_rules(visit.work, rules, visit.expected)
        return visit.go(f"{PATH}/{job['ref']}")
    await rule_settings.replace_rules(visit.work, rules, visit.expected)
    return visit.go(PATH, "The rules are in force for new records.")


def _rules(rows: list[IdentityRuleRow]) -> list[IdentityRule]:
    """Return the rules of the form; raises `Invalid`."""
    used = [row for row in rows if not row.is_empty]
    for row in used:
        if not any(one.is_complete for one in row.conditions):
            raise Invalid(Problem("rules", f"{row.name}: choose what must be equal"))
    return read_rules({"rules": [row.body() for row in used]}) or []


def _problems(fault: ApiError | None) -> list[str]:
    problems = fault.problems if isinstance(fault, Invalid) else ()
    named = {"identityRule": "The name of a rule ", "providers": "A provider "}
    return [f"{named.get(each.field.rpartition('.')[2], '')}{each.reason}" for each in problems]


async def _live(visit: Visit, rows: list[IdentityRuleRow], problems: list[str]) -> dict[str, Any]:
    """Return the preview of the form's rules; None if they cannot be previewed now."""
    try:
        rules = _rules([row for row in rows if any(one.is_complete for one in row.conditions)])
    except Invalid as fault:
        problems += _problems(fault)
        return {}
    total = sum((await search.counts(visit.work)).values())
    if total > LIVE_MOST and visit.form_text("do") != "preview":
        return {"is_large": True, "total": total}
    try:
        preview = await rule_changes.preview(visit.work, rules)
    except Unavailable:
        return {"is_busy": True}
    preview["named"] = [*preview["largest"], *preview["samples"]][:GROUPS]
    refs: list[UUID] = []
    for group in preview["named"]:
        refs += [group["survivor"], *(one["guest"] for one in group["absorbed"][:NAMED])]
    for merge in preview["unsupported_merges"][:NAMED]:
        refs += [merge["survivor_ref"], merge["absorbed_ref"]]
    return {"preview": _veiled(visit, preview), "names": await _names(visit, refs)}


async def _names(visit: Visit, refs: Iterable[UUID]) -> dict[UUID, Record]:
    """Return the list rows of guests, merged ones too, by ref."""
    rows = await search.list_rows(visit.work, [*dict.fromkeys(refs)])
    return {row["ref"]: visit.veil(row, Guest) for row in rows}


async def _change_guards(visit: Visit) -> Response:
    """Store the guards of the form: limit, country and list of values; raises `Invalid`."""
    guards = _form_guards(visit)
    changes = read_guards(
        {
            "groupLimit": number_in(guards["group_limit"]),
            "region": guards["region"] or None,
            "never": guards["never"],
        }
    )
    await rule_settings.set_guards(visit.work, changes, visit.expected)
    return visit.go(PATH, "The guards are in force.")


def _form_guards(visit: Visit) -> dict[str, Any]:
    return {
        "group_limit": visit.form_text("group_limit"),
        "region": visit.form_text("region").upper(),
        "never": [line for line in visit.form_text("never").splitlines() if line.strip()],
    }


def _differing(
    visit: Visit, rows: list[IdentityRuleRow], in_force: list[IdentityRuleRow], guards: Record
) -> list[tuple[str, str, str]]:
    """List the guards that differ from those in force: (name, as typed, as stored)."""
    if visit.form_text("action") == GUARDS:
        typed = _form_guards(visit)
        pairs = [
            ("Most guests", str(typed["group_limit"]), str(guards["group_limit"])),
            ("Country", typed["region"] or "", guards["region"] or ""),
            ("Values", ", ".join(typed["never"]), ", ".join(guards["never"])),
        ]
    else:
        pairs = [
            (
                f"Rule {at + 1}",
                _words(rows[at]) if at < len(rows) else "",
                _words(in_force[at]) if at < len(in_force) else "",
            )
            for at in range(max(len(rows), len(in_force)))
        ]
    return [each for each in pairs if each[1] != each[2]]


def _words(row: IdentityRuleRow) -> str:
    return f"{row.label}: {' + '.join(one.label for one in row.conditions)}"


def _veiled(visit: Visit, preview: Record) -> Record:
    """Mask the values in a preview for visitors who may not see personal data."""
    groups = [*preview["largest"], *preview["samples"]]
    absorbed = [one for group in groups for one in group["absorbed"]]
    for each in [*absorbed, *preview["guarded"], *preview["unsupported_merges"]]:
        each["evidence"] = visit.veil_evidence(each["evidence"])
    return preview


async def show_change(visit: Visit) -> Response:
    """Show a rule change: its progress, its merges, and what its undo would do."""
    job = await rule_settings.fetch_job(visit.work, visit.ref("job"))
    undo = await rule_undo.describe(visit.work, job["ref"])
    refs = [*undo["changed"]]
    for merge in undo["examples"]:
        refs += [merge["survivor_ref"], merge["absorbed_ref"]]
        merge["evidence"] = visit.veil_evidence(merge["evidence"])
    before, after = (
        [IdentityRule.of(**row) for row in job[name] or ()]
        for name in ("rules_before", "rules_after")
    )
    return visit.show(
        "rule_change.html",
        tabs=TABS,
        job=job,
        undo=undo,
        names=await _names(visit, refs),
        before=rows_of(before),
        after=rows_of(after),
        running=job["finished_at"] is None,
    )


async def undo_change(visit: Visit) -> Response:
    """Queue the undo of a rule change, and show its progress."""
    job = await rule_undo.request(visit.work, visit.ref("job"))
    return visit.go(f"{PATH}/{job['ref']}")


PAGES: Final = (
    PageRoute(PATH, show, change, post_right=Right.RULES, whole=False),
    PageRoute(f"{PATH}/{{job}}", show_change, undo_change, post_right=Right.RULES),
)
