"""Settings, identity rules: the rules in their order, a preview of changed rules, jobs, guards."""

from typing import Any, Final

from starlette.responses import Response

from innkeeper.actions.identity import rule_changes, rule_settings
from innkeeper.actions.paging import PageRequest
from innkeeper.resources.base import Record
from innkeeper.rules.access import Right
from innkeeper.rules.identity_rules import IdentityRule
from innkeeper.rules.masking import masked
from innkeeper.web.ui.settings import TABS
from innkeeper.web.ui.shell import PageRoute, Visit
from innkeeper.wire.identity.rules import FIELD_NAMES, read_guards, read_rules
from innkeeper.wire.pagination import number_in

ROWS: Final = 20
FIELD: Final = "field:"
GUARDS: Final = "guards"


async def show(
    visit: Visit, typed: list[IdentityRule] | None = None, preview: Any = None
) -> Response:
    """Show the rules in force, or the typed rules with a preview of their effect."""
    book = await rule_settings.read_rules(visit.work)
    in_force = list(book.rules)
    of_guards = visit.form_text("action") == GUARDS
    if typed is None and visit.fault is not None and not of_guards:
        rows = _form_rows(visit)
    else:
        rows = [_row(rule) for rule in (in_force if typed is None else typed)]
    jobs = await rule_settings.list_jobs(visit.work, PageRequest(limit=5))
    return visit.show(
        "settings_rules.html",
        tabs=TABS,
        rows=rows,
        is_changed=typed is not None and typed != in_force,
        preview=_veiled(visit, preview),
        version=str(book.version),
        differing=_differing(
            visit, rows, in_force, of_guards, rule_settings.represent_guards(book)
        ),
        jobs=jobs.items,
        fields=FIELD_NAMES,
        guards=_form_guards(visit) if of_guards else await rule_settings.fetch_guards(visit.work),
        wrong={
            each.field.partition("[")[0]: each.reason
            for each in getattr(visit.fault, "problems", ())
        },
        guarded=(await rule_settings.list_guarded(visit.work, PageRequest(limit=10))).items,
    )


async def change(visit: Visit) -> Response:
    """Preview typed rules, put them in force with or without merging existing guests, or change the
    guards."""
    if visit.form_text("action") == GUARDS:
        return await _change_guards(visit)
    body = [_body(row) for row in _form_rows(visit)]
    rules = read_rules({"rules": body}) or []
    action = visit.form_text("action")
    if action == "preview":
        return await show(visit, rules, await rule_changes.preview(visit.work, rules))
    if action == "apply":
        await rule_settings.apply_rules(visit.work, rules, visit.expected)
        note = "The rules are in force. Existing guests are being merged in the background."
    else:
        await rule_settings.replace_rules(visit.work, rules, visit.expected)
        note = "The rules are in force for new records."
    return visit.go("/settings/identity-rules", note)


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
    return visit.go("/settings/identity-rules", "The guards are in force.")


def _form_guards(visit: Visit) -> dict[str, Any]:
    return {
        "group_limit": visit.form_text("group_limit"),
        "region": visit.form_text("region").upper(),
        "never": [line for line in visit.form_text("never").splitlines() if line.strip()],
    }


def _differing(
    visit: Visit,
    rows: list[dict[str, str]],
    in_force: list[IdentityRule],
    of_guards: bool,
    guards: Record,
) -> list[tuple[str, str, str]]:
    """List the differences from what is in force: (name, as typed, as stored)."""
    if of_guards:
        typed = _form_guards(visit)
        pairs = [
            ("Most guests", str(typed["group_limit"]), str(guards["group_limit"])),
            ("Country", typed["region"] or "", guards["region"] or ""),
            ("Values", ", ".join(typed["never"]), ", ".join(guards["never"])),
        ]
    else:
        stored = [_row(rule) for rule in in_force]
        pairs = [
            (
                f"Rule {at + 1}",
                " = ".join(rows[at].values()) if at < len(rows) else "",
                " = ".join(stored[at].values()) if at < len(stored) else "",
            )
            for at in range(max(len(rows), len(stored)))
        ]
    return [each for each in pairs if each[1] != each[2]]


def _row(rule: IdentityRule) -> dict[str, str]:
    """Convert a rule to its row in the form: conditions separated by commas."""
    parts = [
        each.provider if each.provider is not None else f"{FIELD}{_camel(each.field or '')}"
        for each in rule.conditions
    ]
    return {"name": rule.name, "conditions": ", ".join(parts)}


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _form_rows(visit: Visit) -> list[dict[str, str]]:
    names = [str(each).strip() for each in visit.form.getlist("rule_name")]
    conditions = [str(each).strip() for each in visit.form.getlist("rule_conditions")]
    rows = zip(names[:ROWS], conditions[:ROWS], strict=False)
    return [{"name": name, "conditions": text} for name, text in rows if name or text]


def _body(row: dict[str, str]) -> dict[str, Any]:
    words = [word.strip() for word in row["conditions"].split(",") if word.strip()]
    fields = [word.removeprefix(FIELD).strip() for word in words if word.startswith(FIELD)]
    providers = [word for word in words if not word.startswith(FIELD)]
    body: dict[str, Any] = {"identityRule": row["name"], "providers": providers}
    return body | ({"fields": fields} if fields else {})


def _veiled(visit: Visit, preview: Record | None) -> Record | None:
    """Mask the values in a preview for visitors who may not see personal data."""
    if preview is None or visit.personal:
        return preview
    for group in [*preview["largest"], *preview["samples"]]:
        for joined in group["absorbed"]:
            for part in joined["evidence"]:
                part["value"] = masked(part.get("value", ""))
    return preview


PAGES: Final = (PageRoute("/settings/identity-rules", show, change, post_right=Right.RULES),)
