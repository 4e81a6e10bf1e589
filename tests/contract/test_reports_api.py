"""Reports over HTTP, with figures worked out by hand."""

from typing import Any
from uuid import uuid4

import pytest
from calling import Api
from logging_in import Visitor, invited
from process import run
from sites import Site
from streams import Page
from test_segments_api import jobs, order, person

from innkeeper.actions.audiences import reports

PATH = "/innkeeper/v1/reports"
LISTED_TYPES = (
    "known are ADD, ADD_CONSUMERS, ADD_CONTACTS, CHECKOUT, CLEAR_CART, CONFIRM, FORCE_CLOSE, FORM, "
    "IDENTITY, ORDER_CHECKOUT, PAYMENT, SEARCH, VIEW"
)
WEBINAR = {"entity": "event", "type": "webinar"}
WEBINARS = {"filterGroups": [WEBINAR]}
__all__ = ["jobs"]


def report(api: Api, name: str, **params: Any) -> list[list[Any]]:
    query = {"from": "2026-11-01", "to": "2026-11-30", **params}
    answer = api.get(f"{PATH}/{name}", params=query)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    return [list(row.values()) for row in body["rows"]]


def happen(connection: Any, guest: dict[str, Any], kind: str, at: str, page: str = "/x") -> None:
    """An event as the streams store it; reports do not care how it came."""
    connection.execute(
        "INSERT INTO ws_live.events (ref, at, session_ref, guest_ref, browser_ref, number, type, "
        "channel, point_of_sale, timeout_seconds, ends_session, body, received_at) "
        "VALUES (gen_random_uuid(), %s, "
        "gen_random_uuid(), %s, gen_random_uuid(), 1, %s, 'WEB', 'default', 1200, false, "
        "jsonb_build_object('page', %s::text), now())",
        [at, guest["ref"], kind, page],
    )


def test_revenue_by_day_in_a_time_zone(api: Api) -> None:
    """Issue 6: never CANCELLED, REFUNDED is 0 (F4), currencies apart; days of the zone asked."""
    guest = person(api)
    # In November 23:30 UTC is the same day in Dublin, but the next one in Paris.
    order(api, guest, price=100, orderedAt="2026-11-10T23:30:00Z")
    order(api, guest, price=30, orderedAt="2026-11-11T10:00:00Z", status="REFUNDED")
    order(api, guest, price=7, orderedAt="2026-11-11T10:00:00Z", currencyCode="USD")
    order(api, guest, price=999, orderedAt="2026-11-11T10:00:00Z", status="CANCELLED")
    order(api, guest, price=5, orderedAt="2026-12-01T00:00:00Z")
    assert report(api, "revenue") == [
        ["2026-11-10", "EUR", 1, 100],
        ["2026-11-11", "EUR", 0, 0],
        ["2026-11-11", "USD", 1, 7],
    ]
    assert report(api, "revenue", timeZone="Europe/Paris") == [
        ["2026-11-11", "EUR", 1, 100],
        ["2026-11-11", "USD", 1, 7],
    ]
    assert report(api, "revenue", interval="month") == [
        ["2026-11-01", "EUR", 1, 100],
        ["2026-11-01", "USD", 1, 7],
    ]


def test_products_pages_and_events(api: Api, connection: Any) -> None:
    guest, other = person(api), person(api)
    bought = order(api, guest)
    for name, price, quantity in (("Room", 100, 2), ("Spa", 30, 1)):
        body = {
            "name": name,
            "type": "STAY",
            "price": price,
            "quantity": quantity,
            "currencyCode": "EUR",
            "status": "PURCHASED",
            "productId": name.lower(),
        }
        answer = api.post(f"/v2.1/orders/{bought['ref']}/orderItems", json=body)
        assert answer.status_code == 201, answer.text
    assert report(api, "products") == [
        ["room", "EUR", 2, 200, "Room", 1],
        ["spa", "EUR", 1, 30, "Spa", 1],
    ]
    assert report(api, "products", limit=1) == [["room", "EUR", 2, 200, "Room", 1]]
    assert report(api, "variants", product="spa") == [["Spa", "EUR", 1, 30, "spa"]]
    assert report(api, "variants", limit=1) == [["Room", "EUR", 2, 200, "room"]]
    for who, page in ((guest, "/a"), (guest, "/a"), (other, "/a"), (other, "/b")):
        happen(connection, who, "VIEW", "2026-11-20T10:00:00Z", page)
    assert report(api, "pages") == [["/a", 3, 2], ["/b", 1, 1]]
    assert report(api, "events") == [["2026-11-20", "VIEW", 4, 2]]


def test_a_funnel_counts_steps_in_order(api: Api, connection: Any) -> None:
    """Each step counts who took it after the one before it."""
    one, two, three = (person(api) for _ in range(3))
    for guest, kinds in ((one, "VIEW ADD CHECKOUT"), (two, "VIEW ADD"), (three, "ADD VIEW")):
        for minute, kind in enumerate(kinds.split()):
            happen(connection, guest, kind, f"2026-11-20T10:0{minute}:00Z")
    rows = report(api, "funnel", steps="VIEW,ADD,CHECKOUT")
    assert rows == [["VIEW", 3, 1, 1], ["ADD", 2, 0.6667, 0.6667], ["CHECKOUT", 1, 0.3333, 0.5]]


def test_a_funnel_has_a_window_groups_and_the_segment_of_each_step(
    api: Api, connection: Any
) -> None:
    """By hand: in IE one of two adds, and buys five days later; the one in GB only looks."""
    one, two = (person(api, country="IE") for _ in range(2))
    other = person(api, country="GB")
    for guest, steps in ((one, "VIEW:10 ADD:11 CHECKOUT:16"), (two, "VIEW:12"), (other, "VIEW:13")):
        for step in steps.split():
            kind, _, day = step.partition(":")
            happen(connection, guest, kind, f"2026-11-{day}T10:00:00Z")
    steps = "VIEW,ADD,CHECKOUT"
    assert [row[1] for row in report(api, "funnel", steps=steps)] == [3, 1, 1]
    assert [row[1] for row in report(api, "funnel", steps=steps, window=4)] == [3, 1, 0]
    query = {"from": "2026-11-01", "to": "2026-11-30", "steps": steps, "by": "country"}
    body = api.get(f"{PATH}/funnel", params=query).json()
    assert [list(row.values()) for row in body["rows"]] == [
        *(["VIEW", 2, 1, 1, "IE"], ["ADD", 1, 0.5, 0.5, "IE"], ["CHECKOUT", 1, 0.5, 1, "IE"]),
        *(["VIEW", 1, 1, 1, "GB"], ["ADD", 0, 0, 0, "GB"], ["CHECKOUT", 0, 0, 0, "GB"]),
    ]
    for row, definition in zip(body["rows"], body["segments"], strict=True):
        answer = api.post("/innkeeper/v1/segments/preview", json={"definition": definition})
        assert answer.status_code == 200, answer.text
        assert answer.json()["size"] == row["guests"]
    answer = api.get(f"{PATH}/funnel", params={"by": "shoe", "window": "-1"})
    assert answer.json()["errors"] == [
        "window: must be a whole number of days from 0 to 366",
        "by: value must be one of country,city,language,gender,type",
    ]


def test_a_funnel_has_the_segment_of_each_step_that_repeats_a_type(
    api: Api, connection: Any
) -> None:
    """One guest looks once, the other twice."""
    one, two = person(api), person(api)
    for guest, minute in ((one, 0), (two, 0), (two, 1)):
        happen(connection, guest, "VIEW", f"2026-11-20T10:0{minute}:00Z")
    query = {"from": "2026-11-01", "to": "2026-11-30", "steps": "VIEW,VIEW", "by": "type"}
    body = api.get(f"{PATH}/funnel", params=query).json()
    assert [row["guests"] for row in body["rows"]] == [2, 1]
    for row, definition in zip(body["rows"], body["segments"], strict=True):
        answer = api.post("/innkeeper/v1/segments/preview", json={"definition": definition})
        assert answer.json()["size"] == row["guests"]


def test_a_funnel_of_no_guests_by_type(api: Api) -> None:
    query = {"from": "2026-11-01", "to": "2026-11-30", "steps": "VIEW", "by": "type"}
    answer = api.get(f"{PATH}/funnel", params=query)
    assert answer.status_code == 200, answer.text
    assert [list(row.values()) for row in answer.json()["rows"]] == [["VIEW", 0, 0, 0, None]]


def test_totals_have_the_period_before(api: Api) -> None:
    guest = person(api)
    order(api, guest, price=100, orderedAt="2026-11-10T10:00:00Z")
    order(api, guest, price=50, orderedAt="2026-11-11T10:00:00Z")
    # 30 days before 1 November: from 2 October on.
    order(api, guest, price=60, orderedAt="2026-10-02T00:00:00Z")
    order(api, guest, price=999, orderedAt="2026-10-01T23:59:59Z")
    order(api, guest, price=7, orderedAt="2026-11-11T10:00:00Z", currencyCode="USD")
    euros = ["EUR", 2, 150, 75, 1, 60, 1.5]
    assert report(api, "totals") == [euros, ["USD", 1, 7, 7, 0, 0, None]]
    assert report(api, "totals", currency="EUR") == [euros]


def test_campaigns_are_read_from_addresses_which_pages_leave_out(api: Api, connection: Any) -> None:
    guest, other = person(api), person(api)
    mailing = "/a?utm_source=mail%20list&utm_medium=email&x=1&utm_campaign=autumn#top"
    for who, page in (
        (guest, mailing),
        (other, mailing),
        (other, "/a?utm_source=ads"),
        (other, "/a#b"),
    ):
        happen(connection, who, "VIEW", "2026-11-20T10:00:00Z", page)
    assert report(api, "campaigns") == [
        ["mail list", "email", "autumn", 2, 2],
        ["ads", "", "", 1, 1],
    ]
    assert report(api, "pages") == [["/a", 4, 2]]


def test_buyers_are_in_named_groups(api: Api) -> None:
    """By hand, of 5 buyers: the latest has recency 5, the first 1; the last two bought 4 times."""
    for day, orders in ((1, 1), (2, 2), (3, 1), (4, 4), (5, 4)):
        guest = person(api)
        for _ in range(orders):
            order(api, guest, orderedAt=f"2026-11-0{day}T10:00:00Z")
    rows = report(api, "rfm_groups")
    assert [row[:5] for row in rows] == [
        ["champions", 2, 0.4, 8, 80],
        ["promising", 1, 0.2, 1, 10],
        ["at risk", 1, 0.2, 2, 20],
        ["lost", 1, 0.2, 1, 10],
    ]
    assert_segments_match(api, "rfm_groups")


def assert_segments_match(api: Api, name: str) -> None:
    """Check that the segment of each row has the guests that the row counts."""
    body = api.get(f"{PATH}/{name}", params={"from": "2026-11-01", "to": "2026-11-30"}).json()
    for row, definition in zip(body["rows"], body["segments"], strict=True):
        answer = api.post("/innkeeper/v1/segments/preview", json={"definition": definition})
        assert answer.status_code == 200, answer.text
        assert answer.json()["size"] == row["guests"]


def test_retention_by_weekly_cohorts(api: Api, connection: Any) -> None:
    one, two = person(api), person(api)
    # 2026-11-02 and 2026-11-09 are Mondays.
    for guest, day in ((one, "03"), (one, "10"), (one, "11"), (two, "08"), (two, "17")):
        happen(connection, guest, "VIEW", f"2026-11-{day}T10:00:00Z")
    assert report(api, "retention") == [
        ["2026-11-02", 0, 2, 1],
        ["2026-11-02", 1, 1, 0.5],
        ["2026-11-02", 2, 1, 0.5],
    ]


def test_rfm_scores_buyers_of_one_currency(api: Api) -> None:
    for index in range(5):
        guest = person(api)
        for _ in range(index + 1):
            order(api, guest, price=10 * (index + 1), orderedAt=f"2026-11-1{index}T10:00:00Z")
    rows = report(api, "rfm")
    assert rows == [[5 - n, 5 - n, 1, 5 - n, 10 * (5 - n) ** 2] for n in range(5)]
    assert_segments_match(api, "rfm")
    assert report(api, "rfm", currency="USD") == []


def test_guests_by_type_and_merges(api: Api) -> None:
    one, two = person(api), person(api)
    api.post("/innkeeper/v1/merges", json={"survivor": one["ref"], "absorbed": two["ref"]})
    wide = {"from": "2020-01-01", "to": "2040-01-01"}
    assert report(api, "guests", **wide) == [["RETIRED", 1, 1], ["VISITOR", 1, 1]]
    ((_, merges, undone),) = report(api, "merges", **wide)
    assert (merges, undone) == (1, 0)


def test_csv_is_safe_to_open(api: Api, connection: Any) -> None:
    guest = person(api)
    happen(connection, guest, "VIEW", "2026-11-20T10:00:00Z", '=cmd|"x"')
    query = {"from": "2026-11-01", "to": "2026-11-30", "format": "csv"}
    answer = api.get(f"{PATH}/pages", params=query)
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.text == 'page,views,guests\r\n"\'=cmd|""x""",1,1\r\n'


def test_every_report_is_listed_and_answers(api: Api) -> None:
    items = api.get(PATH).json()["items"]
    names = [item["name"] for item in items]
    assert {"funnel", "retention", "rfm", "revenue", "abandoned", "products", "pages"} <= set(names)
    for name in names:
        report(api, name)


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("timeZone", "Nowhere/City", "must be the name of a time zone"),
        ("timeZone", "../../etc/passwd", "must be the name of a time zone"),
        ("timeZone", "right/UTC", "must be the name of a time zone"),
        ("timeZone", "localtime", "must be the name of a time zone"),
        ("from", "soon", "must be a day, YYYY-MM-DD"),
        ("from", "2027-01-01", "must not be after to"),
        ("interval", "hour", "value must be one of day,week,month,year"),
        ("limit", "0", "must be a whole number from 1 to 1000"),
        ("limit", "0000000019999", "must be a whole number from 1 to 1000"),
        ("format", "xml", "value must be one of json,csv"),
    ],
)
def test_a_wrong_parameter_is_named(api: Api, name: str, value: str, reason: str) -> None:
    query = {"to": "2026-11-30", name: value}
    answer = api.get(f"{PATH}/revenue", params=query)
    assert (answer.status_code, answer.json()["errors"]) == (400, [f"{name}: {reason}"])


def test_an_unknown_report_is_404(api: Api) -> None:
    assert api.get(f"{PATH}/nope").status_code == 404


MONTHS = {"from": "1900-01-01", "to": "9000-12-31", "interval": "month"}
FEWER = "choose a later from, or a longer interval (week, month, year)"


@pytest.mark.parametrize(
    ("name", "params", "many", "advice"),
    [
        # Worked out by hand: 1900 to 2026 is 127 years with 31 leap days, less December.
        ("revenue", {"from": "1900-01-01"}, "46355 days, at most 10000", FEWER),
        ("events", {"from": "1999-07-16"}, "10000 days", ""),
        ("events", {"from": "1999-07-15"}, "10001 days, at most 10000", FEWER),
        ("abandoned", {"from": "1900-01-01", "interval": "week"}, "6623 weeks", ""),
        ("merges", {"from": "1900-01-01", "interval": "month"}, "1523 months", ""),
        ("merges", MONTHS, "85212 months, at most 10000", FEWER),
        ("revenue", {"from": "1900-01-01", "interval": "year"}, "127 years", ""),
        ("retention", {"from": "2021-01-01"}, "310 weeks, at most 260", "choose a later from"),
        ("pages", {"from": "1900-01-01"}, "", ""),
        ("totals", {"from": "1900-01-01", "to": "9000-12-31", "interval": "", "by": ""}, "", ""),
    ],
)
def test_s4_a_report_lists_a_limited_number_of_periods(
    api: Api, name: str, params: dict[str, str], many: str, advice: str
) -> None:
    """S4: day by day since 1900 is refused, with what to do instead."""
    query = {"from": "2026-11-01", "to": "2026-11-30", **params}
    answer = api.get(f"{PATH}/{name}", params=query)
    if not advice:
        assert answer.status_code == 200, answer.text
        return
    message = f"would list {many} are possible: {advice}"
    assert (answer.status_code, answer.json()["errors"]) == (400, [f"from: {message}"])


def test_s4_a_report_has_a_limited_number_of_rows(
    api: Api, connection: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S4: however many types of events there are."""
    guest = person(api)
    for number in range(4):
        happen(connection, guest, f"TYPE_{number}", "2026-11-20T10:00:00Z")
    monkeypatch.setattr(reports, "MOST_ROWS", 4)
    assert len(report(api, "events")) == 4
    happen(connection, guest, "ANOTHER", "2026-11-20T10:00:00Z")
    answer = api.get(f"{PATH}/events", params={"from": "2026-11-01", "to": "2026-11-30"})
    message = f"from: would list more than 4 rows: {FEWER}"
    assert (answer.status_code, answer.json()["errors"]) == (400, [message])


@pytest.mark.long
def test_s4_the_command_advises_what_to_do(site: Site) -> None:
    """S4: the same rule at the command line, without a traceback."""
    done = run("report", "revenue", "--from", "1900-01-01", "--database", site.dsn)
    assert done.returncode == 1
    assert "would list " in done.stderr
    assert FEWER in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_s4_the_page_advises_what_to_do(site: Site) -> None:
    """S4: a page draws fewer bars than a file may have rows."""
    with Visitor(site.url) as visitor:
        visitor.follow(invited(site, f"{uuid4().hex}@example.com"))
        query = {"from": "2020-01-01", "to": "2026-11-30", "interval": "day"}
        page = visitor.get("/w/live/reports/revenue", params=query)
        assert page.status_code == 400
        assert f"would list 2526 days, at most 1000 are possible: {FEWER}" in page.text
        file = visitor.get("/w/live/reports/revenue/csv", params=query)
        assert (file.status_code, file.text) == (200, "period,currency,orders,revenue\r\n")


def test_f23_steps_of_a_funnel_in_any_case_and_unknown_ones_with_the_nearest(
    api: Api, connection: Any
) -> None:
    guest = person(api)
    for minute, kind in enumerate(("VIEW", "NEWSLETTER", "CHECKOUT")):
        happen(connection, guest, kind, f"2026-11-20T10:0{minute}:00Z")
    rows = report(api, "funnel", steps="view,newsletter,Checkout")
    assert rows == [[step, 1, 1, 1] for step in ("VIEW", "NEWSLETTER", "CHECKOUT")]
    payload = {"steps": "VEIW,newsleter"}
    answer = api.get("/innkeeper/v1/reports/funnel", params=payload)
    assert (answer.status_code, answer.json()["errors"]) == (
        400,
        [
            "steps: no event is called VEIW; did you mean VIEW?",
            "steps: no event is called NEWSLETER; did you mean NEWSLETTER?",
        ],
    )
    answer = api.get("/innkeeper/v1/reports/funnel", params={"steps": "VIEW,WEBINAR"})
    assert answer.json()["errors"] == [
        f"steps: no event is called WEBINAR; {LISTED_TYPES}, NEWSLETTER"
    ]


def test_f23_products_are_ranked_within_their_currency(api: Api) -> None:
    """100,000 yen are no more than 900 euros: each currency has a ranking of its own."""
    guest = person(api)
    for code, prices in (("JPY", (100_000, 90_000)), ("EUR", (900, 700, 800))):
        bought = order(api, guest, referenceId=code, currencyCode=code)
        for number, price in enumerate(prices):
            body = {
                "name": f"{code}-{number}",
                "type": "STAY",
                "price": price,
                "quantity": 1,
                "currencyCode": code,
                "status": "PURCHASED",
            }
            answer = api.post(f"/v2.1/orders/{bought['ref']}/orderItems", json=body)
            assert answer.status_code == 201, answer.text
    assert report(api, "products", limit=2) == [
        ["EUR-0", "EUR", 1, 900, "EUR-0", 1],
        ["EUR-2", "EUR", 1, 800, "EUR-2", 1],
        ["JPY-0", "JPY", 1, 100_000, "JPY-0", 1],
        ["JPY-1", "JPY", 1, 90_000, "JPY-1", 1],
    ]


def test_f23_events_of_a_filter_in_any_case_and_misspelt_ones_with_the_nearest(
    api: Api, connection: Any
) -> None:
    """Known are the standard types and those that events have: others are refused, with the nearest
    or, where none is near, with the known ones. Stored definitions may go on naming any."""
    happen(connection, person(api), "NEWSLETTER", "2026-11-20T10:00:00Z")

    def preview(*types: str) -> Any:
        groups = [{"entity": "event", "type": list(types)}]
        body = {"definition": {"filterGroups": groups}}
        return api.post("/innkeeper/v1/segments/preview", json=body)

    assert preview("newsletter").json()["size"] == 1
    assert preview("Newsletter", "view").json()["size"] == 1
    no_event = "definition.filterGroups[0].type: no event is called WEBINAR; "
    assert preview("WEBINAR").json()["errors"] == [f"{no_event}{LISTED_TYPES}, NEWSLETTER"]
    wrong = preview("newsleter", "veiw")
    assert (wrong.status_code, wrong.json()["errors"]) == (
        400,
        [
            "definition.filterGroups[0].type: no event is called NEWSLETER; "
            "did you mean NEWSLETTER?",
            "definition.filterGroups[0].type: no event is called VEIW; did you mean VIEW?",
        ],
    )


@pytest.mark.parametrize(
    ("method", "path", "body", "at"),
    [
        (
            "POST",
            "segments",
            {"name": "New", "definition": WEBINARS},
            "definition.filterGroups[0].",
        ),
        ("PATCH", "segments/old", {"definition": WEBINARS}, "definition.filterGroups[0]."),
        (
            "POST",
            "exports",
            {"name": "New", "segment": "old", "filter": WEBINARS},
            "filter.filterGroups[0].",
        ),
        ("PUT", "traits/webinars", {**WEBINAR, "function": "count"}, ""),
    ],
)
def test_f23_unknown_events_of_every_definition(
    api: Api, connection: Any, method: str, path: str, body: Any, at: str
) -> None:
    """Segments, exports and traits alike; what was stored when the event was known stays."""
    guest = person(api)
    happen(connection, guest, "WEBINAR", "2026-11-20T10:00:00Z")
    whole = {"name": "Old", "definition": WEBINARS}
    assert api.post("/innkeeper/v1/segments", json=whole).status_code == 201
    connection.execute("DELETE FROM ws_live.events")
    path = f"/innkeeper/v1/{path}"
    if method != "PATCH":
        (problem,) = api.request(method, path, json=body).json()["errors"]
        assert problem.startswith(f"{at}type: no event is called WEBINAR; known are ")
        return
    assert api.patch(path, json={**body, "tags": ["x"]}).status_code == 200
    steps = [{**WEBINAR, "type": ["view", "Webinarr"]}, {"entity": "order"}]
    other = {"filterGroups": [{"sequence": steps}]}
    (problem,) = api.patch(path, json={"definition": other}).json()["errors"]
    assert problem.startswith(f"{at}sequence[0].type: no event is called WEBINARR; known are ")


def test_f23_an_event_that_was_removed_is_known_by_its_attributes(
    api: Api, connection: Any
) -> None:
    """stream-api.md 4.3: attributes keep their types, so the event is known; one that was only ever
    refused is not."""
    page = Page(api)
    page("WEBINAR", ext={"minutes": 45})
    page("CLICK", ext={"minutes": 45})
    connection.execute("DELETE FROM ws_live.events")
    payload = {"steps": "webinar,CLICK"}
    (problem,) = api.get("/innkeeper/v1/reports/funnel", params=payload).json()["errors"]
    assert problem.startswith("steps: no event is called CLICK; ")


def test_f23_amounts_are_suggested_in_each_currency(api: Api) -> None:
    """The same number is another amount in another currency."""
    guest = person(api)
    for reference, (code, price) in enumerate((("EUR", 100), ("EUR", 100), ("JPY", 100))):
        order(api, guest, referenceId=f"V{reference}", currencyCode=code, price=price)
    payload = {"entity": "order", "field": "price"}
    segment = api.get("/innkeeper/v1/segments/values", params=payload).json()
    values = [(float(one["value"]), one["currency"], one["count"]) for one in segment["values"]]
    assert (segment["total"], values) == (3, [(100.0, "EUR", 2), (100.0, "JPY", 1)])
