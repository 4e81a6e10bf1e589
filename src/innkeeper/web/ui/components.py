"""The page of components: every macro that templates share, in each of its states."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, Final
from uuid import UUID

from starlette.responses import Response

from innkeeper.actions.audiences.usage import Use
from innkeeper.web.ui.draft import (
    COUNTS,
    SEQUENCE,
    TOTALS,
    UNITS,
    WORDS,
    Draft,
    GroupRow,
    RuleRow,
    StepRow,
)
from innkeeper.web.ui.identity_rule_form import ConditionRow, IdentityRuleRow
from innkeeper.web.ui.rendering import PAGE_SIZE
from innkeeper.web.ui.shell import PageRoute, Visit

_GUESTS: Final = (
    {
        "ref": UUID(int=1),
        "first_name": "Aoife",
        "last_name": "Murphy",
        "email": "aoife@example.com",
    },
    {"ref": UUID(int=2), "first_name": "Lukas", "last_name": "Weber", "email": "lukas@example.com"},
    {"ref": UUID(int=3), "email": "nobody@example.com"},
)
_EVIDENCE: Final = [{"field": "email", "value": "aoife@example.com"}]
_MERGE: Final = {
    "ref": UUID(int=9),
    "survivor_ref": UUID(int=1),
    "absorbed_ref": UUID(int=2),
    "rule": "E-mail",
    "evidence": _EVIDENCE,
    "merged_at": datetime(2026, 11, 29, tzinfo=UTC),
}
_IDENTITY_PREVIEW: Final = {
    "guests": 1200,
    "merging": 7,
    "groups": 2,
    "named": [
        {
            "survivor": UUID(int=1),
            "size": 7,
            "absorbed": [{"guest": UUID(int=2), "rule": "E-mail", "evidence": _EVIDENCE}],
        }
    ],
    "guarded": [
        {"reason": "too many guests", "rule": "E-mail", "evidence": _EVIDENCE, "size": 120}
    ],
    "unsupported": 1,
    "unsupported_merges": [_MERGE],
}
_IDENTITY_ROWS: Final = (
    IdentityRuleRow("E-mail", [ConditionRow("field:email")]),
    IdentityRuleRow("", [ConditionRow("provider:"), ConditionRow("field:city"), ConditionRow()]),
)
_USES: Final = (
    Use("export", "weekly", "Weekly mail", "reads it"),
    Use("segment", "vip", "VIP", "compares with it"),
    Use("trait", "dearest", "Dearest", "counts it"),
    Use("events", "", "12 late events", "need it"),
    Use("webhook", "", "https://example.com/hook", "receives its messages"),
)
_ENTITY: Final = {
    "name": "event",
    "types": [{"name": "VIEW", "count": 12_345}, {"name": "ADD", "count": 0}],
    "fields": [
        {"location": "core", "field": "channel", "type": "string"},
        {"location": "core", "field": "createdAt", "type": "timestamp"},
        {"location": "core", "field": "price", "type": "number"},
        {"location": "ext", "field": "category", "type": "string"},
    ],
}
_RULES: Final = (
    ("No field", RuleRow()),
    ("One value", RuleRow("ext:category:string", "is equal to", "shoes")),
    ("Several values", RuleRow("core:channel:string", "includes any of", "WEB, APP")),
    ("No value", RuleRow("core:channel:string", "is not null")),
    ("Two values", RuleRow("core:price:number", "is between", "10", "20")),
    ("A unit", RuleRow("core:createdAt:timestamp", "is in the past", "1", "months")),
    ("A field that is no longer there", RuleRow("ext:colour:string", "is equal to", "red")),
)
_BOUGHT: Final = [rule for name, rule in _RULES if name in ("Two values", "A unit")]
_GROUPS: Final = (
    GroupRow(rules=[_RULES[1][1]]),
    GroupRow(exclude=True),
    GroupRow("event", type="VIEW,ADD", count_comparator=COUNTS[1][0], count="5", rules=_BOUGHT),
    GroupRow("order", True, total="price", total_value="500", currency="EUR"),
    GroupRow(
        SEQUENCE,
        steps=[
            StepRow("event:VIEW", rules=[_RULES[1][1]]),
            StepRow("event:ADD", days="1"),
            StepRow("order:", days="7", absent=True),
        ],
    ),
    GroupRow(SEQUENCE, exclude=True, steps=[StepRow()]),
)
_VALUES: Final = (
    ("Nothing", None),
    ("Text", "Cork"),
    ("Number", 12),
    ("Object", {"floor": 3, "view": "sea"}),
    ("List", ["a@example.com", "b@example.com"]),
    ("List of objects", [{"street": "1 Main Street"}, {"street": "2 Main Street"}]),
    ("Identifiers", [{"provider": "CRM", "id": "C-1"}, {"provider": "WEB", "id": "7"}]),
    ("Time", datetime(2026, 11, 21, 9, 48, tzinfo=UTC)),
)
_AMOUNTS: Final = {"least": 5, "average": 42.5, "greatest": 980, "guests": 300, "total": 1000}
_FEW: Final = {"guests": 2, "total": 3}
_TRAITS: Final[tuple[tuple[str, dict[str, Any], list[tuple[dict[str, Any], Any]]], ...]] = (
    ("lifetimeValue.EUR", {**_AMOUNTS, "type": "number", "currency": "EUR"}, [(_GUESTS[0], 980)]),
    ("orders", {**_AMOUNTS, "type": "number"}, []),
    ("lastSeen", {**_FEW, "type": "timestamp"}, [(_GUESTS[1], _VALUES[-1][1])]),
    ("city", {**_FEW, "type": "string", "values": [("Cork", 2), ("Galway", 1)]}, []),
    ("mailDomain", {**_FEW, "type": "string", "values": []}, []),
    ("never", {"guests": 0, "total": 0, "type": "number"}, []),
)
_JOB: Final = {"kind": "import", "words": "Import", "started_at": _VALUES[-1][1]}
_JOBS: Final = (
    {**_JOB, "ref": 1, "name": "a.csv", "state": "running", "done": 40, "total": 100, "href": "#"},
    {**_JOB, "ref": 2, "state": "waiting", "done": None},
    {
        **{**_JOB, "ref": 3, "name": "b.csv", "state": "failed", "finished_at": _VALUES[-1][1]},
        "error": "The file is empty.",
    },
)
_FAILURES: Final = (
    {"line": 3, "reasons": ["email: must be an e-mail address"]},
    {"line": 9, "reasons": ["firstName: is too long", "country: is no code of a country"]},
)


async def show(visit: Visit) -> Response:
    """Show every component, with sample contents."""
    return visit.show(
        "components.html",
        people=_GUESTS,
        uses=_USES,
        entity=_ENTITY,
        rules=_RULES,
        units=UNITS,
        draft=Draft(groups=[*_GROUPS]),
        words=WORDS,
        counts=dict(COUNTS),
        totals=dict(TOTALS),
        identity_rows=_IDENTITY_ROWS,
        identity_preview=_IDENTITY_PREVIEW,
        names={each["ref"]: each for each in _GUESTS},
        values=_VALUES,
        traits=_TRAITS,
        failures=_FAILURES,
        jobs=_JOBS,
        table_columns=[("city", "City", False), ("trait.orderCount", "Order Count", True)],
        table_rows=[
            (_GUESTS[0], ["Cork", "12"]),
            (_GUESTS[1], ["Galway", "3"]),
            (_GUESTS[2], ["", ""]),
        ],
        outdated=_sample_visit(visit, is_outdated=True),
        visits=[_sample_visit(visit, offset) for offset in (0, PAGE_SIZE, 2 * PAGE_SIZE)],
    )


def _sample_visit(visit: Visit, offset: int = 0, *, is_outdated: bool = False) -> SimpleNamespace:
    """Return what macros read of a visit, in another state than the visit of this page."""
    return SimpleNamespace(
        url=visit.url,
        csrf=visit.csrf,
        offset=offset,
        is_outdated=is_outdated,
        form_fields=[],
        may=visit.may,
        personal=visit.personal,
    )


PAGES: Final = (PageRoute("/ui/components", show),)
