"""F15: misspelt members and parameters: 400 in definitions of ours, named on the vendor's paths."""

import json
from typing import Any
from urllib.parse import unquote

import pytest
from calling import Api
from ordering import ITEM, ORDER, PERSON, V2_ITEM, WHOLE_ORDER

OWN = "/innkeeper/v1"
RULE = {"field": "city", "comparator": "is equal to", "values": ["Cork"]}
GROUP = {"entity": "guest", "rules": [RULE]}


def definition(**group: Any) -> dict[str, Any]:
    return {"filterGroups": [{**GROUP, **group}]}


def segment(**more: Any) -> dict[str, Any]:
    return {"name": "S", "definition": definition(), **more}


def refused(answer: Any) -> list[str]:
    assert answer.status_code == 400, answer.text
    return answer.json()["errors"]


def ignored(answer: Any) -> list[str]:
    assert answer.is_success, answer.text
    names = answer.headers.get("innkeeper-ignored", "")
    return [unquote(name) for name in names.split(", ")] if names else []


SUM = {"comparator": "is greater than", "values": [1], "field": "price", "currncy": "EUR"}
STEPS = [{"entity": "event", "typ": "VIEW"}, {"entity": "order", "withinDay": 1}]


@pytest.mark.parametrize(
    ("method", "path", "body", "message"),
    [
        (
            "POST",
            "/segments",
            {"name": "S", "definition": {"filterGroups": [{"entity": "guest", "rule": [RULE]}]}},
            "definition.filterGroups[0].rule: is not a known member; did you mean rules?",
        ),
        ("POST", "/segments", segment(webhok="https://x.example"), "webhok: … webhook?"),
        (
            "POST",
            "/segments/preview",
            {"definition": definition(rules=[{**RULE, "value": ["Cork"]}])},
            "definition.filterGroups[0].rules[0].value: … values?",
        ),
        (
            "POST",
            "/segments/preview",
            {"definition": {"filterGroups": [{"entity": "order", "sum": SUM}]}},
            "definition.filterGroups[0].sum.currncy: … currency?",
        ),
        (
            "POST",
            "/segments/preview",
            {"definition": {"filterGroups": [{"sequence": STEPS}]}},
            "definition.filterGroups[0].sequence[0].typ: … type?",
        ),
        ("POST", "/segments/preview", {"definition": {"filterGroup": []}}, "… filterGroups?"),
        ("PUT", "/traits/mine", {"entity": "order", "functon": "count"}, "functon: … function?"),
        ("POST", "/exports", {"name": "E", "segmnt": "x"}, "segmnt: … segment?"),
        (
            "POST",
            "/exports",
            {"name": "E", "segment": "x", "filter": definition(ruleOperater="OR")},
            "filter.filterGroups[0].ruleOperater: … ruleOperator?",
        ),
        (
            "POST",
            "/exports",
            {"name": "E", "segment": "x", "destination": {"type": "FOLDER", "ulr": "/tmp"}},
            "destination.ulr: … url?",
        ),
        ("POST", "/imports", {"entity": "guests", "dryrun": True}, "dryrun: … dryRun?"),
        (
            "POST",
            "/imports",
            {"entity": "guests", "mapping": {"colums": {}}},
            "mapping.colums: … columns?",
        ),
        ("POST", "/fileExports", {"entity": "guests", "fromat": "csv"}, "fromat: … format?"),
        (
            "PUT",
            "/identity/rules",
            {"rules": [{"identityRule": "R", "provider": ["email"]}]},
            "rules[0].provider: … providers?",
        ),
        ("PATCH", "/identity/guards", {"grouplimit": 5}, "grouplimit: … groupLimit?"),
        ("POST", "/quarantine/replay", {"reasons": "x"}, "reasons: … reason?"),
        ("POST", "/privacy/erasures", {"guestref": "x"}, "guestref: … guestRef?"),
        ("POST", "/merges", {"surviver": "x", "absorbed": "y"}, "surviver: … survivor?"),
        ("GET", "/reports/revenue?currancy=USD", None, "currancy: … currency?"),
        ("GET", "/merges?guestref=x", None, "guestref: … guestRef?"),
    ],
)
def test_f15_our_own_definitions_name_what_they_do_not_know(
    api: Api, method: str, path: str, body: Any, message: str
) -> None:
    """At every level, with the nearest known name."""
    before, _, after = message.partition("…")
    problems = refused(api.request(method, OWN + path, json=body))
    assert any(each.startswith(before) and each.endswith(after) for each in problems), problems


def test_f15_every_unknown_member_is_named_and_the_work_is_bounded(api: Api) -> None:
    """All of a few; of very many the first 20, each cut to 100 characters."""
    assert len(refused(api.post(f"{OWN}/segments", json=segment(tag=[], nam="x")))) == 2
    many = {f"{number}{'n' * 300}": 1 for number in range(2000)}
    problems = refused(api.post(f"{OWN}/segments", json=segment(**many)))
    assert len(problems) == 20
    assert max(map(len, problems)) < 350


def test_f15_where_no_name_is_near_the_known_ones_are_listed(api: Api) -> None:
    (problem,) = refused(api.post(f"{OWN}/fileExports", json={"entity": "guests", "q": 1}))
    assert problem == "q: is not a known member; known are entity, format, compressed, compression"


@pytest.mark.parametrize(
    ("method", "path", "body", "names"),
    [
        ("POST", "/v2.1/guests", {"guestType": "visitor", "fristName": "Jo"}, ["fristName"]),
        (
            "POST",
            "/v2.1/guests",
            {"identifiers": [{"provider": "p", "id": "i", "expiry": "x"}]},
            ["identifiers[0].expiry"],
        ),
        ("POST", "/v2.1/guests", {"ref": "x", "href": "y", "createdAt": "z"}, []),
        ("POST", "/v2.1/orders", {**ORDER, "refrence": "x"}, ["refrence"]),
        ("POST", "/v2/orders", {**WHOLE_ORDER, "Größe": 1}, ["Größe"]),
        ("GET", "/v2.1/guests?browserRef=x", None, ["browserRef"]),
        ("GET", "/v2.1/guests?limit=1&email=a@b.c&expand=true&sort=email", None, []),
        (
            "POST",
            "/v2/tenants/identity-rules",
            {"identityRule": "F15", "providers": ["f15"], "field": []},
            ["field"],
        ),
    ],
)
def test_f15_vendor_paths_tolerate_and_name(
    api: Api, method: str, path: str, body: Any, names: list[str]
) -> None:
    """C-10, G-11, C-9: tolerated as ever, and named in Innkeeper-Ignored."""
    answer = api.request(method, path, json=body)
    try:
        assert ignored(answer) == names
    finally:
        if "identity-rules" in path:
            api.delete(f"{path}/F15")


def test_f15_parts_of_orders_and_pairs(api: Api) -> None:
    """X-8: what is reserved is not listed; pairs are free, and so are v2's typed items (VU-4)."""
    guest = api.guest()
    pairs = {"name": "ext", "tier": "gold", "key": "default", "guest": {}}
    assert ignored(api.post(f"{guest['href']}/extensions", json=pairs)) == []
    order = api.post("/v2.1/orders", json=ORDER).json()
    assert ignored(api.post(f"{order['href']}/orderItems", json={**ITEM, "colour": "red"})) == [
        "colour"
    ]
    assert ignored(api.post(f"{order['href']}/contacts", json={**PERSON, "mobile": "1"})) == [
        "mobile"
    ]
    v2_items = f"/v2/orders/{order['ref']}/orderItems"
    assert ignored(api.post(v2_items, json={**V2_ITEM, "seatMap": {"row": 4}})) == []
    nested = {"referenceId": "N", "orderedAt": ORDER["orderedAt"], "paymentType": "Card"}
    response = api.post(f"/v2.1/guests/{guest['ref']}/orders", json=nested)
    assert ignored(response) == ["paymentType"]


def test_f15_the_stream_names_parameters_and_keeps_members(api: Api) -> None:
    """stream-api.md 4.1: what else an event holds is its own data, so nothing of it is ignored."""
    key = {"client_key": api.client_key, "message": "{}"}
    browser = api.get("/v1.2/browser/create.json", params={**key, "cleint": "x"}, auth=None)
    assert ignored(browser) == ["cleint"]
    event = {"client_key": api.client_key, "browser_id": browser.json()["ref"], "type": "VIEW"}
    response = api.post("/v1.2/events", json={**event, "colour": "red"}, auth=None)
    assert ignored(response) == []
    answer = api.get(f"/v1.2/browser/{event['browser_id']}/show.json", params=key, auth=None)
    assert ignored(answer) == []


def test_f15_at_most_ten_names_in_a_kilobyte(api: Api) -> None:
    many = {f"n{number}": 1 for number in range(30)}
    assert ignored(api.post("/v2.1/guests", json=many)) == [f"n{number}" for number in range(10)]
    long = {f"{number}{'Ж' * 200}": 1 for number in range(10)}
    answer = api.post("/v2.1/guests", json=long)
    assert answer.is_success
    assert 0 < len(answer.headers["innkeeper-ignored"]) <= 1024


def test_f15_names_cannot_split_a_header(api: Api) -> None:
    """Percent-encoded: line breaks and commas of a name stay in it."""
    answer = api.post("/v2.1/guests", json={"a\r\nX-Evil: 1, b": 1})
    assert ignored(answer) == ["a\r\nX-Evil: 1, b"]
    assert "x-evil" not in answer.headers


def test_f15_an_error_and_a_replay_name_them_too(api: Api) -> None:
    body = {**ORDER, "refrenceId": "x"}
    del body["referenceId"]
    answer = api.post("/v2.1/orders", json=body)
    assert (answer.status_code, answer.headers["innkeeper-ignored"]) == (400, "refrenceId")
    again = {"content": json.dumps({"fristName": "Jo"}), "headers": {"Idempotency-Key": "f15"}}
    again["headers"]["Content-Type"] = "application/json"
    for _ in range(2):
        assert ignored(api.post("/v2.1/guests", **again)) == ["fristName"]


def test_f15_scripts_of_pages_may_read_the_header(api: Api) -> None:
    answer = api.get("/v2.1/guests", headers={"Origin": "https://shop.example"})
    assert "Innkeeper-Ignored" in answer.headers["access-control-expose-headers"]
