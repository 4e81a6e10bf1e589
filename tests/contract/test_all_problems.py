"""F15: every problem of a definition of ours in one answer, wrong names and wrong values alike."""

import re
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from calling import NOBODY, Api
from sites import Site
from test_key_scopes import keyed
from test_unknown_names import OWN, RULE, refused

from innkeeper.resources.kinds import Kind, ObjectOf
from innkeeper.resources.payload_kinds import Described, MapOf
from innkeeper.resources.payloads import JsonOf, PayloadOf, members_of
from innkeeper.rules.scopes import EVERY_SCOPE
from innkeeper.wire.registry import OURS

RULES = {
    "rules": [
        {"identityRule": "", "providers": ["email"]},
        {"identityRule": "A", "fields": ["nope"], "provider": "email"},
        {"identityRule": "B", "providers": ["p"]},
        {"identityRule": "B", "providers": ["q"]},
    ]
}
OF_RULES = ["rules[0].identityRule", "rules[1].provider", "rules[1].fields[0]", "identityRule"]
GROUPS = [
    {"entity": "event", "type": "NEVER_SEEN", "rul": [], "rules": [{**RULE, "field": "nope"}]},
    {"entity": "order", "sum": {"field": "price", "comparator": "is greater than", "values": [1]}},
]
DEFINITION = {"filterGroups": GROUPS, "operator": "XOR"}
OF_DEFINITION = [
    "filterGroups[0].type",
    "filterGroups[0].rul",
    "filterGroups[0].rules[0].field",
    "filterGroups[1].sum.currency",
    "operator",
]
SEGMENT = {"friendlyId": "A B", "tags": 1, "webhook": "nope", "definition": DEFINITION}
OF_SEGMENT = ["friendlyId", "tags", "webhook", *(f"definition.{name}" for name in OF_DEFINITION)]
EXPORT = {
    "definitionType": "x",
    "segment": "none",
    "format": "XLS",
    "columns": ["ref", "nope"],
    "filter": DEFINITION,
    "schedule": "never",
    "destination": {"type": "FOLDER"},
}
OF_EXPORT = [
    *("definitionType", "segment", "format", "columns[1]", "schedule", "destination.url"),
    *(f"filter.{name}" for name in OF_DEFINITION),
]
MAPPING = {"columns": {"A": "nope", "B": 1}, "types": {"A": "x"}, "encoding": "x", "colum": {}}
WRONG: dict[str, tuple[dict[str, Any], list[str]]] = {
    "replaceIdentityRules": (RULES, OF_RULES),
    "previewIdentityRules": (RULES, OF_RULES),
    "applyIdentityRules": (RULES, OF_RULES),
    "reorderIdentityRules": ({"identityRules": ["x", "x"]}, ["rules"]),
    "changeIdentityGuards": (
        {"groupLimit": 0, "region": "ZZ", "addNever": [1], "removeNever": ["x" * 999]},
        ["groupLimit", "region", "addNever[0]", "removeNever[0]"],
    ),
    "createMerge": ({"survivor": "x"}, ["survivor", "absorbed"]),
    "replayQuarantine": ({"reason": 1, "refs": "x"}, ["reason", "refs"]),
    "correctQuarantined": ({"message": 1}, ["message"]),
    "createSegment": ({"name": "", **SEGMENT}, ["name", *OF_SEGMENT]),
    "changeSegment": ({"name": "", **SEGMENT}, ["name", *OF_SEGMENT]),
    "listGuestTable": (
        {"definition": DEFINITION, "columns": ["nope"], "limit": "x"},
        ["limit", *(f"definition.{name}" for name in OF_DEFINITION), "columns[0]"],
    ),
    "previewSegment": (
        {"definition": DEFINITION},
        [f"definition.{name}" for name in OF_DEFINITION],
    ),
    "putTrait": (
        {
            "entity": "order",
            "function": "most",
            "field": "nope",
            "rules": [{**RULE, "field": "nope"}],
        },
        ["name", "function", "field", "rules[0].field"],
    ),
    "createExport": ({"name": "", **EXPORT}, ["name", *OF_EXPORT]),
    "changeExport": ({"name": "", **EXPORT}, ["name", *OF_EXPORT]),
    "createImport": (
        {"entity": "guests", "format": "xls", "dryRun": 1, "size": -1, "mapping": MAPPING},
        [
            *("format", "dryRun", "size", "mapping.colum"),
            *("mapping.columns.A", "mapping.columns.B", "mapping.types.A", "mapping.encoding"),
        ],
    ),
    "createImportSource": (
        {"name": "", "address": "/etc/passwd", "entity": "x", "schedule": "often", "markColumn": 1},
        ["name", "address", "entity", "schedule", "markColumn"],
    ),
    "changeImportSource": (
        {
            **{"name": "", "address": "/etc/passwd", "schedule": "often", "markColumn": 1},
            **{"format": "xls", "compressed": 1, "mapping": MAPPING},
        },
        [
            *("name", "address", "schedule", "markColumn", "format", "compressed", "mapping.colum"),
            *("mapping.columns.A", "mapping.columns.B", "mapping.types.A", "mapping.encoding"),
        ],
    ),
    "replaceConsent": ({"items": [{"channel": "x"}]}, ["items[0].channel", "items[0].field"]),
    "replaceDashboard": (
        {"items": [{"report": "", "days": 0, "parameters": 1}]},
        ["items[0].report", "items[0].days", "items[0].parameters"],
    ),
    "loadDemo": ({"guests": 0}, ["guests"]),
    "testWebhook": ({"kind": "x", "friendlyId": ""}, ["kind", "friendlyId"]),
    "setSegmentTags": ({"tags": [1]}, ["tags[0]"]),
    "createGuestView": (
        {"name": "", "definition": DEFINITION, "columns": ["nope"], "shared": 1},
        ["name", "shared", *(f"definition.{name}" for name in OF_DEFINITION), "columns[0]"],
    ),
    "changeGuestView": ({"name": "", "sort": 1}, ["name", "sort"]),
    **dict.fromkeys(("explainSql", "saveQuery"), ({"sql": 1}, ["sql"])),
    "renameQuery": ({"name": 1}, ["name"]),
    "createStaticList": (
        {"name": "", "friendlyId": "A", "description": 1},
        ["name", "friendlyId", "description"],
    ),
    "changeStaticList": ({"name": "", "description": 1}, ["name", "description"]),
    **dict.fromkeys(
        ("addStaticListGuests", "removeStaticListGuests"),
        ({"selection": {"guests": ["x"]}, "expected": "x"}, ["selection.guests[0]", "expected"]),
    ),
    "previewBulkAction": ({"selection": {"segment": 1}}, ["selection.segment"]),
    "eraseGuests": ({"mode": "x", "suppress": 1}, ["selection", "expected", "mode", "suppress"]),
    "createFileExport": (
        {"entity": "x", "format": "y", "compression": "z"},
        ["entity", "format", "compression"],
    ),
    "undoImport": ({"skipChanged": "x"}, ["skipChanged"]),
    "eraseGuest": ({"mode": "x", "suppress": 1}, ["guestRef", "mode", "suppress"]),
    "suppressIdentifiers": (
        {"reason": 1, "email": "x", "identifiers": [{}]},
        ["reason", "email", "identifiers[0].provider", "identifiers[0].id"],
    ),
    "releaseIdentifiers": ({"email": "x", "identifiers": 1}, ["email", "identifiers"]),
    "createKey": (
        {"name": 1, "compatibility": "x", "scopes": ["nope"]},
        ["name", "compatibility", "scopes[0]"],
    ),
}
"""Operation -> a body with wrong values, and the members that its errors name."""
PLAIN = {"filterGroups": [{"entity": "guest", "rules": [RULE]}]}
RIGHT: dict[str, dict[str, Any]] = {
    "replaceIdentityRules": {"rules": []},
    "previewIdentityRules": {},
    "applyIdentityRules": {"rules": []},
    "reorderIdentityRules": {"identityRules": ["email"]},
    "changeIdentityGuards": {"groupLimit": 7},
    "replayQuarantine": {},
    "correctQuarantined": {"message": {}},
    "createSegment": {"name": "New", "definition": PLAIN},
    "changeSegment": {"name": "New"},
    "previewSegment": {"definition": PLAIN},
    "listGuestTable": {"definition": PLAIN},
    "putTrait": {"entity": "order", "function": "count"},
    "createExport": {"name": "New", "segment": "old"},
    "changeExport": {"name": "New"},
    "createImport": {"entity": "guests"},
    "setSegmentTags": {"tags": ["new"]},
    "createGuestView": {"name": "New", "definition": PLAIN},
    "changeGuestView": {"name": "New"},
    "explainSql": {"sql": "SELECT guest_ref FROM guests"},
    "saveQuery": {"sql": "SELECT guest_ref FROM guests"},
    "renameQuery": {"name": "New"},
    "createStaticList": {"name": "New"},
    "changeStaticList": {"name": "New"},
    "addStaticListGuests": {"selection": {"segment": "old"}},
    "removeStaticListGuests": {"selection": {"segment": "old"}},
    "previewBulkAction": {"selection": {"segment": "old"}},
    "eraseGuests": {"selection": {"segment": "old"}, "expected": 0},
    "createFileExport": {"entity": "guests"},
    "undoImport": {"skipChanged": True},
    "createImportSource": {"name": "New", "address": "a.csv", "entity": "guests"},
    "changeImportSource": {"schedule": "DAILY"},
    "replaceConsent": {"items": []},
    "replaceDashboard": {"items": []},
    "loadDemo": {"guests": 1},
    "testWebhook": {"kind": "export", "friendlyId": "old"},
    "suppressIdentifiers": {"email": "jane@example.com"},
    "releaseIdentifiers": {"email": "jane@example.com"},
    "createKey": {"name": "New"},
}
"""Operation -> a body that it would take."""
LISTS = (
    *("identity/rules", "identity/guards", "identity/jobs", "merges", "segments", "traits"),
    *("exports", "imports", "fileExports", "privacy/suppressions", "keys"),
    *("importSources", "staticLists", "bulkActions", "guestViews", "webhooks"),
)
OPERATIONS = {
    route.name: route
    for route in OURS.endpoints
    if route.body is not None and route.path.startswith(OWN)
}


@pytest.fixture
def api(api: Api, site: Site) -> Iterator[Api]:
    """A key with every scope."""
    with keyed(site, *EVERY_SCOPE) as client:
        yield client


@pytest.fixture
def stored(api: Api) -> None:
    """A segment, an export, a list and a view that can be changed."""
    segment = {"name": "Old", "definition": PLAIN}
    assert api.post(f"{OWN}/segments", json=segment).status_code == 201
    assert api.post(f"{OWN}/exports", json={"name": "Old", "segment": "old"}).status_code == 201
    assert api.post(f"{OWN}/staticLists", json={"name": "Old"}).status_code == 201
    source = {"name": "old", "address": "a.csv", "entity": "guests"}
    assert api.post(f"{OWN}/importSources", json=source).status_code == 201
    assert api.post(f"{OWN}/guestViews", json=segment).status_code == 201


def send_unknown_member(api: Api, name: str, body: Any) -> Any:
    """A body with an unknown member."""
    route = OPERATIONS[name]
    trait = "own" if name in RIGHT and body.get("function") == "count" else "Wrong name"
    names = dict.fromkeys(("segment", "export", "static_list", "source"), "old")
    names |= {"email": "nobody@example.com", "trait": trait, "name": "old"}
    if "{view}" in route.path:
        names["view"] = api.get(f"{OWN}/guestViews").json()["items"][0]["ref"]
    path = route.path.format(**names, **{"quarantined": NOBODY, "import": NOBODY})
    return api.request(route.method, path, json={**body, "zzz": 1})


def test_f15_every_operation_is_tried() -> None:
    assert OPERATIONS.keys() == WRONG.keys()


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.usefixtures("stored")
def test_f15_wrong_names_and_wrong_values_at_once(api: Api, name: str) -> None:
    """F15, ER-3: the unknown member and each wrong value, in one answer."""
    body, members = WRONG[name]
    problems = refused(send_unknown_member(api, name, body))
    assert sorted(each.partition(": ")[0] for each in problems) == sorted(["zzz", *members])
    assert len(set(problems)) == len(problems)


@pytest.mark.parametrize("name", RIGHT)
@pytest.mark.usefixtures("stored")
def test_f15_an_unknown_member_alone_keeps_all_as_it_was(api: Api, name: str) -> None:
    """F15: nothing is written, whatever else the body says."""

    def state() -> list[Any]:
        return [api.get(f"{OWN}/{path}").text for path in LISTS]

    before = state()
    (problem,) = refused(send_unknown_member(api, name, RIGHT[name]))
    assert problem.startswith("zzz: is not a known member")
    assert state() == before


def wrong_for(kind: Kind) -> Any:
    """A value that no member of a kind accepts."""
    return (
        [[]]
        if isinstance(kind, PayloadOf | JsonOf | Described | MapOf | ObjectOf)
        else {"wrong": [1]}
    )


@pytest.mark.parametrize("name", sorted(OPERATIONS))
@pytest.mark.usefixtures("stored")
def test_f15_every_declared_member_is_checked(api: Api, name: str) -> None:
    """F15: a wrong value for every member of a declaration, each named in one answer."""
    members = members_of(OPERATIONS[name].request)
    body = {member.wire_name: wrong_for(member.kind) for member in members}
    named = {re.split(r"[.:\[]", each)[0] for each in refused(send_unknown_member(api, name, body))}
    assert named >= {"zzz", *body}
    required = {member.wire_name for member in members if member.is_required}
    if required:
        assert {
            each.partition(":")[0] for each in refused(send_unknown_member(api, name, {}))
        } >= required


PAGED = {
    route.name: route
    for route in OURS.endpoints
    if route.parameters is not None
    and "limit" in route.query
    and route.name not in ("fetchReport", "searchGuests")
}


@pytest.mark.parametrize("name", sorted(PAGED))
@pytest.mark.usefixtures("stored")
def test_f15_every_parameter_of_a_page_is_checked(api: Api, name: str) -> None:
    """F15: offset, limit and an unknown parameter, each named in one answer."""
    path = PAGED[name].path.format(segment="old", static_list="old", view=uuid4())
    answer = api.get(path, params={"offset": -1, "limit": "x", "zzz": 1})
    assert [each.partition(":")[0] for each in refused(answer)] == ["zzz", "offset", "limit"]
