"""Segments over HTTP: segmentation-and-export.md 1 and 9, rule by rule."""

import hmac
import json
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from calling import NOBODY, Api
from receiving import Receiver, receiver, send_due

from innkeeper import clock
from innkeeper.actions.admin import background
from innkeeper.actions.audiences import segment_runs, segments, webhooks
from innkeeper.lake.segment_members import Question
from innkeeper.store.database import Database

OWN = "/innkeeper/v1/segments"
__all__ = ["receiver"]


def rule(field: str, comparator: str, *values: Any, **more: Any) -> dict[str, Any]:
    return {"field": field, "comparator": comparator, "values": list(values), **more}


def guests_where(*rules: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"filterGroups": [{"entity": "guest", "rules": list(rules), **more}]}


def create_segment(api: Api, definition: dict[str, Any], **more: Any) -> dict[str, Any]:
    answer = api.post(OWN, json={"name": "Some guests", "definition": definition, **more})
    assert answer.status_code == 201, answer.text
    return answer.json()


def members(api: Api, segment: dict[str, Any]) -> set[str]:
    answer = api.get(f"{OWN}/{segment['ref']}/guests")
    assert answer.status_code == 200, answer.text
    return set(answer.json()["items"])


def order(api: Api, guest: dict[str, Any], **fields: Any) -> dict[str, Any]:
    body = {
        "referenceId": f"R-{uuid4()}",
        "orderedAt": "2026-11-20T10:00:00Z",
        "currencyCode": "EUR",
        "price": 10,
        "status": "PURCHASED",
        **fields,
    }
    answer = api.post("/v2.1/orders", json=body)
    assert answer.status_code == 201, answer.text
    made_order = answer.json()
    person = {"firstName": "A", "lastName": "B", "identifiers": guest["identifiers"]}
    answer = api.post(f"/v2.1/orders/{made_order['ref']}/contacts", json=person)
    assert answer.status_code == 201, answer.text
    return made_order


def person(api: Api, **fields: Any) -> dict[str, Any]:
    """A guest whom an order's contact is found to be, by e-mail address."""
    address = f"{uuid4().hex}@example.com"
    return api.guest(identifiers=[{"provider": "email", "id": address}], **fields)


@pytest.fixture
def jobs(site: Any) -> Any:
    """Runs what the background does, now."""

    def run(act: Any, workspace: str = "live") -> Any:
        async def inside() -> Any:
            async with (
                Database(site.dsn, pool_size=2, settings=site.settings) as database,
                database.work(workspace, "job") as work,
            ):
                return await act(work)

        import asyncio

        return asyncio.run(inside())

    return run


def publish(api: Api, jobs: Any, segment: dict[str, Any]) -> dict[str, Any]:
    from uuid import UUID

    answer = api.post(f"{OWN}/{segment['ref']}/start")
    assert (answer.status_code, answer.json()["status"]) == (202, "PUBLISHING")
    jobs(lambda work: segment_runs.publish(work, UUID(segment["ref"])))
    return api.get(f"{OWN}/{segment['ref']}").json()


def test_a_new_segment_is_a_draft_in_the_vendors_form(api: Api) -> None:
    """1.1 Draft is the default; 1.3 the fields of a segment."""
    segment = create_segment(api, guests_where(rule("city", "is equal to", "Cork")), tags=["a"])
    listed = api.get("/v4/segmentDefinitions").json()
    assert listed["href"].endswith("/v4/segmentDefinitions")
    (item,) = listed["items"]
    assert api.get(f"/v4/segmentDefinitions/{segment['ref']}").json() == item
    assert api.get(f"/v4/segmentDefinitions/{segment['friendlyId']}").json() == item
    expected = {name: item[name] for name in ("name", "friendlyId", "status", "type", "tags")}
    assert expected == {
        "name": "Some guests",
        "friendlyId": "some_guests",
        "status": "DRAFT",
        "type": "BASIC",
        "tags": ["a"],
    }
    assert item["clientKey"] == api.client_key
    assert item["href"] == f"{api.url}/v4/segmentDefinitions/{segment['ref']}"
    assert (item["revision"], item["archived"], item["sample"]) == (1, False, [])
    assert item["executions"]["href"].endswith("/runs")
    assert item["revisions"]["href"].endswith("/revisions")
    assert item["definition"] == guests_where(rule("city", "is equal to", "Cork"))


def test_every_problem_of_a_definition_is_named(api: Api) -> None:
    """EU-3: all at once."""
    body = {
        "name": "",
        "definition": {
            "filterGroups": [
                {"entity": "guest", "rules": [rule("nope", "is equal to", "x")]},
                {"entity": "nobody"},
                {"entity": "event", "rules": [rule("createdAt", "contains", "x")]},
            ]
        },
    }
    answer = api.post(OWN, json=body)
    assert answer.status_code == 400
    at = "definition.filterGroups"
    assert answer.json()["errors"] == [
        "name: size must be between 1 and 128",
        f"{at}[0].rules[0].field: guest has no field nope",
        f"{at}[1].entity: value must be one of guest,session,event,order,order_item",
        f"{at}[2].rules[0].comparator: cannot compare a timestamp",
    ]


def test_an_unknown_segment_is_404(api: Api) -> None:
    assert api.get(f"{OWN}/{NOBODY}").status_code == 404
    assert api.get("/v4/segmentDefinitions/no_such").status_code == 404


def test_a_taken_friendly_id_is_409(api: Api) -> None:
    definition = guests_where(rule("city", "is null"))
    create_segment(api, definition, friendlyId="once")
    answer = api.post(OWN, json={"name": "x", "friendlyId": "once", "definition": definition})
    assert answer.status_code == 409


def test_a_question_sees_a_guest_as_soon_as_it_is_committed(api: Api) -> None:
    """9: evaluated live on demand."""
    segment = create_segment(api, guests_where(rule("city", "is equal to", "Cork")))
    assert members(api, segment) == set()
    guest = api.guest(city="Cork")
    assert members(api, segment) == {guest["ref"]}
    api.patch(guest["href"], json={"city": "Sligo"})
    assert members(api, segment) == set()


def test_preview_has_size_and_share(api: Api) -> None:
    """1: the audience size while building."""
    for city in ("Cork", "Cork", "Sligo", None):
        api.guest(city=city)
    definition = guests_where(rule("city", "is equal to", "Cork"))
    answer = api.post(f"{OWN}/preview", json={"definition": definition}).json()
    assert (answer["size"], answer["total"], answer["share"]) == (2, 4, 0.5)
    assert len(answer["sample"]) == 2


def test_an_idempotency_key_does_not_hinder_a_preview(api: Api) -> None:
    definition = guests_where(rule("city", "is null"))
    answer = api.post(
        f"{OWN}/preview", json={"definition": definition}, headers={"Idempotency-Key": "k"}
    )
    assert answer.status_code == 200


def test_orders_count_for_their_contact_and_sums_keep_currencies_apart(api: Api) -> None:
    """9: count conditions; revenue never adds currencies."""
    rich, poor = person(api), person(api)
    for price, currency in ((60, "EUR"), (50, "EUR"), (500, "USD")):
        order(api, rich, price=price, currencyCode=currency)
    order(api, poor, price=90)
    spent = {"comparator": "is greater than", "values": [100], "field": "price", "currency": "EUR"}
    group = {"entity": "order", "sum": spent}
    assert members(api, create_segment(api, {"filterGroups": [group]})) == {rich["ref"]}
    many = {"entity": "order", "count": {"comparator": "is less than", "values": [2]}}
    segment = create_segment(api, {"filterGroups": [many]}, name="few")
    assert members(api, segment) == {poor["ref"]}
    answer = api.post(
        OWN,
        json={
            "name": "mixed",
            "definition": {
                "filterGroups": [{"entity": "order", "sum": {**spent, "currency": None}}]
            },
        },
    )
    assert answer.json()["errors"] == ["definition.filterGroups[0].sum.currency: may not be null."]


def test_groups_join_by_and_or_and_may_be_excluded(api: Api) -> None:
    """9: AND by default, OR selectable, a group may be excluded."""
    both = api.guest(city="Cork", country="IE")
    cork = api.guest(city="Cork", country="FR")
    irish = api.guest(city="Sligo", country="IE")
    one = {"entity": "guest", "rules": [rule("city", "is equal to", "Cork")]}
    two = {"entity": "guest", "rules": [rule("country", "is equal to", "IE")]}
    results = [
        members(api, create_segment(api, definition, name=f"join {index}"))
        for index, definition in enumerate(
            [
                {"filterGroups": [one, two]},
                {"filterGroups": [one, two], "operator": "OR"},
                {"filterGroups": [one, {**two, "filterGroupType": "EXCLUDE"}]},
            ]
        )
    ]
    every = {both["ref"], cork["ref"], irish["ref"]}
    assert results == [{both["ref"]}, every, {cork["ref"]}]


def test_extensions_are_compared_by_their_type(api: Api) -> None:
    """1: extension fields included; 5 is not "5"."""
    number, text = api.guest(), api.guest()
    api.extension(number, name="loyalty", tier=5)
    api.extension(text, name="loyalty", tier="5")
    typed = {"location": "loyalty", "comparatorDataType": "number"}
    segment = create_segment(api, guests_where(rule("tier", "is equal to", 5, **typed)))
    assert members(api, segment) == {number["ref"]}
    fields = api.get(f"{OWN}/fields").json()["entities"][0]["fields"]
    result = {(each["type"], each["count"]) for each in fields if each["field"] == "tier"}
    assert result == {("number", 1), ("string", 1)}


def test_the_builder_is_offered_what_is_there_with_shares(api: Api) -> None:
    """1: entities, subtypes and values already seen; per-field counts and value shares."""
    for city in ("Cork", "Cork", "Sligo"):
        api.guest(city=city)
    guest = api.get(f"{OWN}/fields").json()["entities"][0]
    types = {each["name"]: each["share"] for each in guest["types"]}
    assert types == {"CUSTOMER": 0, "VISITOR": 1, "TRAVELLER": 0, "RETIRED": 0}
    values = api.get(f"{OWN}/values", params={"entity": "guest", "field": "city"}).json()
    assert values == {
        "total": 3,
        "values": [
            {"value": "Cork", "count": 2, "share": 0.666667},
            {"value": "Sligo", "count": 1, "share": 0.333333},
        ],
    }


def test_values_of_every_sort_of_field_are_suggested_with_shares(api: Api) -> None:
    """1: value shares; of lists, identifiers, extensions, traits, items; narrowed as one types."""
    first, second = person(api, emails=["a@x.ie", "b@x.ie"]), person(api, emails=["a@x.ie"])
    api.post(f"{first['href']}/extensions", json={"name": "loyalty", "tier": "Gold", "points": 5})
    api.post(f"{second['href']}/extensions", json={"name": "loyalty", "tier": "gilded"})
    order(api, first)
    order(api, first, status="CANCELLED")

    def shares(**params: str) -> dict[str, float]:
        answer = api.get(f"{OWN}/values", params=params)
        assert answer.status_code == 200, answer.text
        return {each["value"]: each["share"] for each in answer.json()["values"]}

    assert shares(entity="guest", field="emails") == {"a@x.ie": 1, "b@x.ie": 0.5}
    loyalty = {"entity": "guest", "location": "loyalty"}
    assert shares(**loyalty, field="tier") == {"Gold": 0.5, "gilded": 0.5}
    assert shares(**loyalty, field="tier", contains="gOL") == {"Gold": 0.5}
    assert shares(**loyalty, field="points") == {"5": 0.5}
    assert shares(entity="guest", location="trait", field="orderCount") == {"0": 0.5, "1": 0.5}
    assert shares(entity="order", field="status") == {"PURCHASED": 0.5, "CANCELLED": 0.5}
    address = first["identifiers"][0]["id"]
    result = shares(entity="guest", location="identifier", field="email", contains=address)
    assert result == {address: 0.5}
    for params in ({"field": "nosuch"}, {"field": "nosuch", "location": "trait"}):
        answer = api.get(f"{OWN}/values", params={"entity": "guest", **params})
        assert answer.status_code == 400
        assert answer.json()["message"] == "field: guest has no field nosuch"


def test_why_a_guest_is_in_a_segment(api: Api) -> None:
    guest = person(api, city="Cork")
    order(api, guest)
    definition = {
        "filterGroups": [
            {"entity": "guest", "rules": [rule("city", "starts with", "Co")]},
            {"entity": "order", "count": {"comparator": "is greater than", "values": [1]}},
        ]
    }
    segment = create_segment(api, definition)
    answer = api.get(f"{OWN}/{segment['ref']}/guests/{guest['ref']}").json()
    assert answer["member"] is False
    city, orders = answer["groups"]
    assert (city["holds"], orders["holds"], orders["value"]) == (True, False, 1)
    assert city["rules"] == [{"holds": True, "what": "core.city starts with", "value": "Cork"}]


def test_a_segment_follows_a_merge_and_leaves_the_absorbed_out(api: Api) -> None:
    """9: follow the surviving guest; retired guests are a subtype of their own."""
    one, two = person(api), person(api)
    order(api, two)
    answer = api.post("/innkeeper/v1/merges", json={"survivor": one["ref"], "absorbed": two["ref"]})
    assert answer.status_code == 201, answer.text
    bought = create_segment(api, {"filterGroups": [{"entity": "order"}]})
    assert members(api, bought) == {one["ref"]}
    retired = create_segment(api, guests_where(type="retired"), name="retired")
    assert members(api, retired) == {two["ref"]}
    everyone = create_segment(api, guests_where(rule("ref", "is not null")), name="everyone")
    assert members(api, everyone) == {one["ref"]}


def test_the_life_cycle(api: Api, jobs: Any) -> None:
    """1.1: Draft, Publishing, Scheduled, Live, Paused; a Live one is not edited or deleted."""
    guest = api.guest(city="Cork")
    segment = create_segment(api, guests_where(rule("city", "is equal to", "Cork")))
    path = f"{OWN}/{segment['ref']}"
    assert api.post(f"{path}/pause").status_code == 409
    live = publish(api, jobs, segment)
    assert (live["status"], live["size"], live["sample"]) == ("LIVE", 1, [guest["ref"]])
    assert "lastLiveAt" in live
    assert api.patch(path, json={"name": "other"}).status_code == 409
    assert api.delete(path).status_code == 409
    assert api.post(f"{path}/pause").json()["status"] == "PAUSED"
    changed = api.patch(path, json={"name": "other"}).json()
    assert (changed["name"], changed["revision"]) == ("other", 2)
    names = [each["name"] for each in api.get(f"{path}/revisions").json()["items"]]
    assert names == ["other", "Some guests"]
    assert publish(api, jobs, segment)["status"] == "LIVE"
    api.post(f"{path}/pause")
    assert api.delete(path).status_code == 204
    assert api.get(path).status_code == 404


def test_a_publishing_that_fails_goes_back_and_says_why(api: Api, jobs: Any) -> None:
    """1.1: on error back to Draft or Paused."""
    sql = "SELECT guest_ref FROM guests WHERE CAST(core_city AS INTEGER) = 1"
    api.guest(city="Cork")
    segment = publish(api, jobs, create_segment(api, {"sql": sql}))
    assert segment["status"] == "DRAFT"
    (run,) = api.get(f"{OWN}/{segment['ref']}/runs").json()["items"]
    assert run["state"] == "FAILED"
    assert "Cork" in run["error"]


def test_the_night_moves_days_on(api: Api, jobs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """1, 9: stored membership of 00:00 UTC: nothing happened, but days have passed."""
    api.guest()
    created = create_segment(api, guests_where(rule("lastSeen", "is in the past", 2, "days")))
    assert publish(api, jobs, created)["size"] == 1
    jobs(segment_runs.refresh)
    now = Question.tree
    later = timedelta(days=2)
    monkeypatch.setattr(Question, "tree", lambda self, at, *more: now(self, at + later, *more))
    jobs(segment_runs.refresh)
    assert api.get(f"{OWN}/{created['ref']}").json()["size"] == 1
    jobs(segment_runs.recalculate_all_live)
    stored = api.get(f"{OWN}/{created['ref']}").json()
    assert (stored["size"], stored["change"]) == (0, {"guests": -1, "share": -1})
    (run, *_) = api.get(f"{OWN}/{created['ref']}/runs").json()["items"]
    assert (run["kind"], run["departed"]) == ("NIGHTLY", 1)


def test_every_run_is_recorded(api: Api) -> None:
    """Issue 6: start, duration, rows, engine, error; change since the last run."""
    segment = create_segment(api, guests_where(rule("city", "is equal to", "Cork")))
    path = f"{OWN}/{segment['ref']}"
    for _ in range(2):
        assert api.post(f"{path}/run").json()["state"] == "SUCCESS"
        api.guest(city="Cork")
    run, before = api.get(f"{path}/runs").json()["items"]
    assert (run["rows"], before["rows"], run["engine"], run["kind"]) == (
        1,
        0,
        "duckdb",
        "ON_DEMAND",
    )
    assert run["milliseconds"] >= 0
    record = api.get(path).json()
    assert (record["size"], record["change"], record["share"]) == (1, {"guests": 1}, 1.0)


def test_a_live_segment_reports_entries_and_exits(api: Api, jobs: Any, receiver: Receiver) -> None:
    """Issue 6: stored membership follows changes; a webhook with retries and a signature."""
    created = create_segment(
        api, guests_where(rule("city", "is equal to", "Cork")), webhook=receiver.url
    )
    publish(api, jobs, created)
    guest = api.guest(city="Cork")
    api.guest(city="Sligo")
    jobs(segment_runs.refresh)
    assert api.get(f"{OWN}/{created['ref']}").json()["size"] == 1
    receiver.status = 503
    assert jobs(send_due) == 0
    (message,) = jobs(webhooks.list_all)
    assert (message["attempts"], message["error"]) == (1, "answered with an error (5xx)")
    receiver.status = 200
    jobs(
        lambda work: work.connection.execute(
            "UPDATE ws_live.webhook_messages SET due_at = now() - interval '1 second'"
        )
    )
    assert jobs(send_due) == 1
    ((headers, body),) = receiver.got
    result = json.loads(body)
    assert (result["event"], result["guests"]) == ("segment.entered", [guest["ref"]])
    stamp = headers[webhooks.SIGNATURE].partition(",")[0].removeprefix("t=")
    # As docs/segments.md tells a receiver to check it.
    secret = created["webhookSecret"].encode()
    for path in (f"{OWN}/{created['ref']}", OWN, f"/v4/segmentDefinitions/{created['ref']}"):
        assert "webhookSecret" not in api.get(path).text
    mac = hmac.new(secret, f"{stamp}.".encode() + body, "sha256").hexdigest()
    assert headers["X-Innkeeper-Signature"] == f"t={stamp},v1={mac}"
    api.delete(guest["href"])
    jobs(segment_runs.refresh)
    jobs(send_due)
    assert json.loads(receiver.got[1][1])["event"] == "segment.departed"
    assert api.get(f"{OWN}/{created['ref']}").json()["size"] == 0


def test_stored_membership_follows_an_order_that_is_deleted(api: Api, jobs: Any) -> None:
    guest = person(api)
    bought = order(api, guest)
    segment = create_segment(api, {"filterGroups": [{"entity": "order"}]})
    assert publish(api, jobs, segment)["size"] == 1
    api.delete(bought["href"])
    jobs(segment_runs.refresh)
    assert api.get(f"{OWN}/{segment['ref']}").json()["size"] == 0


def test_a_guest_shows_its_traits_and_segments(api: Api, jobs: Any) -> None:
    """Issue 6: revenue never counts CANCELLED, counts REFUNDED as 0 (F4), never adds currencies."""
    guest = person(api)
    statuses = [
        "PURCHASED",
        "CANCELLED",
        "REFUNDED",
        "CONFIRMED",
        "BROWSED",
        "DECLINED",
        "SEARCHED",
    ]
    for index, status in enumerate(statuses):
        order(api, guest, price=10 + index, status=status)
    order(api, guest, price=1000, currencyCode="USD")
    answer = api.get(f"/innkeeper/v1/guests/{guest['ref']}/traits").json()
    assert answer["traits"]["orderCount"] == 3
    # 10 + 13
    assert answer["traits"]["lifetimeValue.EUR"] == 23
    assert answer["traits"]["lifetimeValue.USD"] == 1000
    put = api.put(
        "/innkeeper/v1/traits/cheapest",
        json={"entity": "order", "function": "least", "field": "price", "currency": "EUR"},
    )
    assert put.status_code == 200, put.text
    values = [
        ("orderCount", "is equal to", 3),
        ("lifetimeValue.EUR", "is equal to", 23),
        # The refunded one (F4).
        ("cheapest", "is equal to", 0),
    ]
    rules = [rule(field, how, value, location="trait") for field, how, value in values]
    segment = publish(api, jobs, create_segment(api, guests_where(*rules)))
    assert segment["size"] == 1
    answer = api.get(f"/innkeeper/v1/guests/{guest['ref']}/traits").json()
    assert answer["traits"]["cheapest"] == 0
    assert [each["friendlyId"] for each in answer["segments"]] == ["some_guests"]


def _days_ago(days: int) -> str:
    return f"{clock.now() - timedelta(days=days):%Y-%m-%dT%H:%M:%S.000Z}"


def test_a_trait_may_have_rules_about_days(api: Api, jobs: Any) -> None:
    """Issue 6: the same of a guest, of a segment's SQL and of suggested values, as of now."""
    recent = {"field": "orderedAt", "comparator": "is in the past", "values": [30, "days"]}
    body = {"entity": "order", "function": "count", "rules": [recent]}
    assert api.put("/innkeeper/v1/traits/lately", json=body).status_code == 200
    guest = person(api)
    order(api, guest, orderedAt=_days_ago(2))
    order(api, guest, orderedAt=_days_ago(60))
    trait_values = api.get(f"/innkeeper/v1/guests/{guest['ref']}/traits").json()
    assert trait_values["traits"]["lately"] == 1
    once = rule("lately", "is equal to", 1, location="trait")
    assert publish(api, jobs, create_segment(api, guests_where(once)))["size"] == 1
    payload = {"entity": "guest", "location": "trait", "field": "lately"}
    values = api.get(f"{OWN}/values", params=payload).json()["values"]
    assert [each["value"] for each in values] == ["1"]


def test_a_segment_may_be_sql_over_documented_views(api: Api) -> None:
    """9: read-only SQL over documented views; must return a guest_ref column."""
    guest = person(api, city="Cork")
    order(api, guest)
    sql = (
        "SELECT g.guest_ref FROM guests g JOIN orders o ON o.guest_ref = g.guest_ref "
        "GROUP BY 1 HAVING sum(o.core_price) >= 10"
    )
    segment = create_segment(api, {"sql": sql})
    assert segment["type"] == "ADVANCED"
    assert members(api, segment) == {guest["ref"]}
    answer = api.get(f"{OWN}/{segment['ref']}/guests/{guest['ref']}")
    assert answer.status_code == 409


@pytest.mark.parametrize(
    ("sql", "line", "column", "reason"),
    [
        ("SELECT guest_ref\nFROM read_csv('/etc/passwd')", 2, 6, "must read only"),
        ("SELECT guest_ref\nFROM guests\nWHERE nosuch = 1", 3, 7, "nosuch"),
        ("SELECT guest_ref FROM guest", 1, 23, "; did you mean guests?"),
        ("SELECT guest_ref FROM guests WHERE core_cty = 'x'", 1, 36, "mean core_city or core_"),
        ("SELECT guest_ref FROM orders WHERE statsu = 'x'", 1, 36, "; did you mean core_status?"),
        ("SELECT guest_ref FROM guests WHERE cuont(1)", 1, 36, "must not call cuont; did you mean"),
        ("SELECT guest_ref FROM guests\nWHERE (core_city = 'x'", 2, 20, "is not SQL"),
    ],
)
def test_an_error_in_sql_names_line_and_column(
    api: Api, sql: str, line: int, column: int, reason: str
) -> None:
    for answer in (
        api.post(f"{OWN}/preview", json={"definition": {"sql": sql}}),
        api.post(OWN, json={"name": "In SQL", "definition": {"sql": sql}}),
    ):
        assert answer.status_code == 400
        body = answer.json()
        assert (body["line"], body["column"]) == (line, column), body
        assert body["developerMessage"].endswith(f"[line: {line}, column: {column}].")
        assert reason in body["message"]
        assert body["message"].startswith("definition.sql: ")


def test_segments_stay_in_their_workspace(api: Api, stranger: Api) -> None:
    segment = create_segment(api, guests_where(rule("city", "is null")))
    api.guest()
    assert stranger.get(f"{OWN}/{segment['ref']}").status_code == 404
    assert segments.SEGMENTS.singular == "Segment"


@pytest.mark.long
def test_rfm_scores_are_traits_in_fifths_of_all_buyers(api: Api, jobs: Any) -> None:
    """Issue 6: RFM scores usable in segments and shown on the guest; by hand: ten buyers, the
    n-th with n orders of n euro, two of them alike, and one who only gave back."""
    buyers = [person(api) for _ in range(10)]
    for index, guest in enumerate(buyers):
        # The last two bought as often, for as much, on the same day: alike, so one score.
        number = min(index, 8) + 1
        for _ in range(number):
            order(api, guest, price=number, orderedAt=f"2026-10-{number:02}T10:00:00Z")
    refunded, visitor = person(api), person(api)
    order(api, refunded, price=500, status="REFUNDED", orderedAt="2026-11-01T10:00:00Z")

    def scores(guest: dict[str, Any]) -> list[Any]:
        answer = api.get(f"/innkeeper/v1/guests/{guest['ref']}/traits").json()["traits"]
        return [answer.get(name) for name in ("rfmRecency", "rfmFrequency", "rfmValue.EUR")]

    # Before the n-th of ten stand n - 1: 0 and 1 in the first fifth, 8 alike (the ninth's place).
    assert [scores(guest)[0] for guest in buyers] == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    assert scores(buyers[2]) == [2, 2, 2]
    assert scores(refunded) == scores(visitor) == [None, None, None]
    best = [
        rule(f"rfm{name}", "is equal to", 5, location="trait") for name in ("Recency", "Value.EUR")
    ]
    created = create_segment(api, guests_where(*best))
    assert publish(api, jobs, created)["size"] == 2
    answer = api.get(f"{OWN}/{created['ref']}/guests/{buyers[9]['ref']}").json()
    assert answer["member"]
    assert [each["value"] for each in answer["groups"][0]["rules"]] == [5, 5]
    # Another guest's order moves others: eleven buyers, the new one before all.
    order(api, visitor, price=1000, orderedAt="2026-11-02T10:00:00Z")
    jobs(segment_runs.refresh)
    # Of eleven, 8 bought earlier and for less than the two alike: floor(5 * 8 / 11) is 3, so 4.
    # The new one bought once, so 9 bought less often: floor(5 * 9 / 11) is 4, so 5.
    assert scores(buyers[8]) == [4, 5, 4]
    stored = api.get(f"{OWN}/{created['ref']}").json()
    assert stored["size"] == 1
    of_visitor = api.get(f"/innkeeper/v1/guests/{visitor['ref']}/traits").json()["segments"]
    assert [each["ref"] for each in of_visitor] == [created["ref"]]


def test_a_trait_that_is_redefined_moves_live_segments(api: Api, jobs: Any) -> None:
    """Issue 6: traits are kept fresh in stored membership, whatever made them another."""
    path = "/innkeeper/v1/traits/spent"
    body = {"entity": "order", "function": "sum", "field": "price", "currency": "EUR"}
    assert api.put(path, json=body).status_code == 200
    one, two = person(api), person(api)
    order(api, one, price=100)
    order(api, two, price=100, currencyCode="USD")
    rules = [rule("spent", "is greater than", 50, location="trait")]
    created = publish(api, jobs, create_segment(api, guests_where(*rules)))
    assert api.get(f"/innkeeper/v1/guests/{one['ref']}/traits").json()["segments"]
    assert api.put(path, json={**body, "currency": "USD"}).status_code == 200
    queued = jobs(background.list_jobs)
    (job,) = [each for each in queued if each["task"] == "segments.recalculate"]
    assert job["workspace"]
    jobs(lambda work: segment_runs.recalculate(work, UUID(created["ref"])))
    assert api.get(f"/innkeeper/v1/guests/{one['ref']}/traits").json()["segments"] == []
    assert api.get(f"/innkeeper/v1/guests/{two['ref']}/traits").json()["segments"]
    run = api.get(f"{OWN}/{created['ref']}/runs").json()["items"][0]
    assert (run["kind"], run["entered"], run["departed"]) == ("TRAIT", 1, 1)
    # It is a number to the segment, and asked for.
    text = {"entity": "order", "function": "latest", "field": "status"}
    answer = api.put(path, json=text)
    assert answer.status_code == 409
    assert "some_guests" in answer.json()["message"]
    assert api.delete(path).status_code == 409
    api.post(f"{OWN}/{created['ref']}/pause")
    api.delete(f"{OWN}/{created['ref']}")
    assert api.delete(path).status_code == 204


def test_free_members_of_events_are_offered_with_their_type(api: Api, connection: Any) -> None:
    """Issue 6: the builder's fields come from the data; a type is that which most rows have."""
    guest = api.guest()
    for score, member in ((5, True), (7.5, False), ("many", True)):
        custom = {"ext": {"score": score, "member": member, "shop": "Cork"}, "colour": "red"}
        connection.execute(
            "INSERT INTO ws_live.events (ref, at, session_ref, guest_ref, browser_ref, number, "
            "type, channel, point_of_sale, timeout_seconds, ends_session, body, received_at) "
            "VALUES "
            "(gen_random_uuid(), now(), gen_random_uuid(), %s, gen_random_uuid(), 1, 'VIEW', "
            "'WEB', 'default', 1200, false, %s, now())",
            [guest["ref"], json.dumps({"data": custom})],
        )
    entities = {each["name"]: each for each in api.get(f"{OWN}/fields").json()["entities"]}
    offered = {
        (each["location"], each["field"]): each["type"]
        for each in entities["event"]["fields"]
        if each["location"] != "core"
    }
    assert offered == {
        ("custom", "colour"): "string",
        ("ext", "member"): "boolean",
        ("ext", "score"): "number",
        ("ext", "shop"): "string",
    }


def test_the_location_of_a_new_segment_is_where_it_can_be_changed(api: Api) -> None:
    """Its `href` is of the vendor's API, which only reads segments."""
    body = {"name": "Located", "definition": {"filterGroups": [{"entity": "guest"}]}}
    segment = api.post("/innkeeper/v1/segments", json=body)
    copied = api.post(f"/innkeeper/v1/segments/{segment.json()['ref']}/duplicate")
    for answer in (segment, copied):
        assert answer.status_code == 201, answer.text
        path = f"/innkeeper/v1/segments/{answer.json()['ref']}"
        assert answer.headers["location"].endswith(path)
        assert api.delete(path).status_code == 204
