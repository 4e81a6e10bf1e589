"""Sessions: when one ends, late events, points of sale, what is shown (stream-api.md 5, 9)."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from calling import Api
from sites import Site
from streams import Page, ago, product, quarantine, work_on

from innkeeper.actions.events import browsers, partitions, sessions, stream_settings


@pytest.fixture
def page(api: Api) -> Page:
    return Page(api)


@pytest.fixture
def point(api: Api) -> Iterator[Any]:
    """Creates points of sale that are gone after the test."""
    created: list[str] = []

    def create(name: str, **more: Any) -> str:
        answer = api.post("/v2/tenants/points-of-sale", json={"name": name, **more})
        assert answer.status_code == 201, answer.text
        created.append(name)
        return name

    yield create
    for name in created:
        api.delete(f"/v2/tenants/points-of-sale/{name}")


def numbers(page: Page) -> list[list[int]]:
    """The sessions as the numbers of their pages, oldest first."""
    return [[int(event["page"]) for event in session["events"]] for session in page.sessions]


def visit(page: Page, *minutes: float, **more: Any) -> None:
    """Views that many minutes ago, in this order of arrival; the page is the minute."""
    for minute in minutes:
        page("VIEW", requested_at=ago(minutes=minute), page=str(int(minute)), **more)


def test_a_session_goes_on_until_the_timeout(page: Page) -> None:
    """Section 5 rows sessionization and timeout; section 9: 20 minutes by default."""
    visit(page, 100, 81, 62, 41, 10)
    assert numbers(page) == [[100, 81, 62], [41], [10]]


def test_sessions_are_of_a_channel(page: Page) -> None:
    """Section 5: group by channel and browser id."""
    visit(page, 9, 8, channel="WEB")
    visit(page, 7, 6, channel="MOBILE_APP")
    visit(page, 5, channel="WEB")
    assert sorted(numbers(page)) == [[7, 6], [9, 8, 5]]
    assert {session["sessionType"] for session in page.sessions} == {"WEB", "MOBILE_APP"}


def test_sessions_are_of_a_browser(api: Api, page: Page) -> None:
    other = Page(api)
    visit(page, 3)
    visit(other, 2)
    visit(page, 1)
    assert numbers(page) == [[3, 1]]
    assert numbers(other) == [[2]]


def test_a_point_of_sale_has_its_timeout(page: Page, point: Any) -> None:
    """Section 5 row timeout per point of sale; in force at once."""
    point("brief", timeout=2)
    point("long", timeout=120)
    visit(page, 300, 297, pos="brief")
    visit(page, 200, 90, pos="long")
    assert numbers(page) == [[300], [297], [200, 90]]


def test_a_session_goes_on_over_points_of_sale(page: Page, point: Any) -> None:
    """Section 9 row session spans pos change: pos is the event's; the widest reach holds."""
    point("brief", timeout=2)
    point("long", timeout=120)
    visit(page, 200, pos="long")
    visit(page, 150, pos="brief")
    visit(page, 100, pos="default")
    (session,) = page.sessions
    assert [event["pointOfSale"] for event in session["events"]] == ["long", "brief", "default"]
    assert session["pointOfSale"] == "default"


def test_a_changed_timeout_is_in_force_at_once(site: Site, page: Page, point: Any) -> None:
    """Issue: configuration is never out of date, whoever changed it."""
    from innkeeper.actions.admin import configuration

    point("changing", timeout=2)
    visit(page, 300, 297, pos="changing")
    work_on(
        site.dsn,
        lambda work: configuration.change_point_of_sale(work, "changing", timeout_minutes=60),
    )
    visit(page, 200, 150, pos="changing")
    assert numbers(page) == [[300], [297], [200, 150]]


# Late events


def test_a_late_event_lands_in_its_session(page: Page) -> None:
    """Issue: late and out-of-order events land in the right session."""
    visit(page, 200, 190, 100, 90, 195, 95, 205, 105)
    assert numbers(page) == [[205, 200, 195, 190], [105, 100, 95, 90]]
    first, second = page.sessions
    assert (first["firstPageURI"], first["lastPageURI"]) == ("205", "190")
    assert (second["firstPageURI"], second["lastPageURI"]) == ("105", "90")
    assert abs(first["duration"] - 15 * 60) <= 1


def test_a_late_event_between_two_sessions_makes_them_one(page: Page) -> None:
    """Issue, section 5: order by time; the gap is none any more."""
    visit(page, 100, 70)
    before = {session["ref"] for session in page.sessions}
    visit(page, 85)
    assert numbers(page) == [[100, 85, 70]]
    assert page.session["ref"] in before
    assert {event["sessionRef"] for event in page.session["events"]} == {page.session["ref"]}
    # It goes on as one.
    visit(page, 55, 40)
    assert numbers(page) == [[100, 85, 70, 55, 40]]


# FORCE_CLOSE


def test_force_close_at_a_test_point_of_sale(page: Page, point: Any) -> None:
    """4.2 row FORCE_CLOSE, 5, 9: closes the session at once."""
    point("tests", test=True)
    visit(page, 3, pos="tests")
    page("FORCE_CLOSE", pos="tests", page="2", requested_at=ago(minutes=2))
    session = page.session
    assert (session["status"], session["cartType"]) == ("CLOSED", "BROWSED")
    visit(page, 1, pos="tests")
    assert numbers(page) == [[3, 2], [1]]
    assert page.sessions[1]["status"] == "OPEN"


def test_force_close_elsewhere_is_an_event(page: Page) -> None:
    """Section 9 row FORCE_CLOSE in production: without the setting it closes nothing."""
    visit(page, 3)
    page("FORCE_CLOSE", page="2", requested_at=ago(minutes=2))
    visit(page, 1)
    assert numbers(page) == [[3, 2, 1]]
    assert page.session["status"] == "OPEN"


def test_a_late_force_close_divides(page: Page, point: Any) -> None:
    """Section 5: order by time; what came after it is another session."""
    point("tests", test=True)
    visit(page, 10, 8, 4, pos="tests")
    page("FORCE_CLOSE", pos="tests", page="6", requested_at=ago(minutes=6))
    assert numbers(page) == [[10, 8, 6], [4]]
    closed, opened = page.sessions
    assert (closed["status"], opened["status"]) == ("CLOSED", "OPEN")
    visit(page, 7, 5, pos="tests")
    assert numbers(page) == [[10, 8, 7, 6], [5, 4]]


# Closing


def test_a_job_closes_idle_sessions(
    site: Site, page: Page, point: Any, connection: psycopg.Connection
) -> None:
    """Issue: a background job closes idle ones."""
    from streams import product

    point("brief", timeout=1)
    page("ADD", pos="brief", product=product("1", 12.5, 2))
    assert page.session["status"] == "OPEN"
    assert work_on(site.dsn, sessions.close_idle) == 0
    # An hour passes.
    connection.execute(
        "UPDATE ws_live.sessions SET expires_at = expires_at - interval '1 hour', "
        "started_at = started_at - interval '1 hour', last_at = last_at - interval '1 hour'"
    )
    # Who reads it sees at once what the job is going to write.
    assert page.session["cartType"] == "ABANDONED"
    assert work_on(site.dsn, sessions.close_idle) == 1
    assert work_on(site.dsn, sessions.close_idle) == 0
    row = connection.execute(
        "SELECT closed_at IS NOT NULL, cart_type, revenue FROM ws_live.sessions"
    ).fetchone()
    assert row == (True, "ABANDONED", 25)
    # What comes then is another session.
    visit(page, 0, pos="brief")
    assert [session["status"] for session in page.sessions] == ["CLOSED", "OPEN"]


def test_a_late_event_opens_a_closed_session_again(page: Page, point: Any) -> None:
    """Issue: late events land in the right session, even one that is over."""
    point("long", timeout=60)
    visit(page, 70)
    assert page.session["status"] == "CLOSED"
    visit(page, 55, pos="long")
    assert page.session["status"] == "OPEN"


# Points of sale


def test_an_unknown_point_of_sale(api: Api, page: Page) -> None:
    """Section 4 row 201 but dropped, section 9: 201, quarantined, not attached."""
    ref = page("VIEW", pos="nowhere")["ref"]
    (quarantined,) = quarantine(api)
    assert (quarantined["ref"], quarantined["reason"], quarantined["detail"]) == (
        ref,
        "unknown point of sale",
        "nowhere",
    )
    assert page.context()["sessions"] == []


def test_the_point_of_sale_of_a_site(site: Site, api: Api, page: Page, point: Any) -> None:
    """Issue, section 1: the site is a point of sale, an alias of one, else the default."""
    point("shop/ie")
    work_on(site.dsn, lambda work: stream_settings.set_site_alias(work, "site-ie", "shop/ie"))
    for name, meant in (("shop/ie", "shop/ie"), ("site-ie", "shop/ie"), ("x", "default")):
        page.post(
            f"/v1/events/v1.2/events?sitecoreContextId={api.client_key}&siteId={name}",
            json={"browser_id": page.browser, "client_key": "", "pos": "", "type": "VIEW"},
        )
        assert page.session["events"][-1]["pointOfSale"] == meant
    work_on(site.dsn, lambda work: stream_settings.delete_site_alias(work, "site-ie"))
    page.post(
        f"/v1/events/v1.2/events?sitecoreContextId={api.client_key}&siteId=site-ie",
        json={"browser_id": page.browser, "client_key": "", "pos": "", "type": "VIEW"},
    )
    assert page.session["events"][-1]["pointOfSale"] == "default"


# What is shown of a guest


def test_the_window_of_a_guest_context(page: Page) -> None:
    """identity.md 6: the last 40 sessions, at most 10 of them offline, 100 events of each."""
    for number in range(41):
        visit(page, 23 * 60 - number * 21)
    for number in range(12):
        visit(page, 300 - number * 21, channel="OFFLINE")
    for number in range(101):
        page("VIEW", page=str(number), channel="KIOSK")
    result = page.context()["sessions"]
    assert len(result) == 40
    assert sum(session["channel"] == "OFFLINE" for session in result) == 10
    kiosk = next(session for session in result if session["channel"] == "KIOSK")
    assert len(kiosk["events"]) == 100
    assert kiosk["events"][0]["page"] == "100"


def test_last_seen_is_the_start_of_the_current_session(api: Api, page: Page) -> None:
    """identity.md 7 row lastSeen."""
    guest = api.get(f"/v2.1/guests/{page.guest}").json()
    page("VIEW", requested_at=ago(minutes=-30))
    page("VIEW", requested_at=ago(minutes=-35))
    record = api.get(f"/v2.1/guests/{page.guest}").json()
    assert record["lastSeen"] == page.session["startedAt"] > guest["lastSeen"]
    assert record["firstSeen"] == guest["firstSeen"]
    # A late session does not turn the clock back.
    page("VIEW", requested_at=ago(hours=5))
    assert api.get(f"/v2.1/guests/{page.guest}").json()["lastSeen"] == record["lastSeen"]


def test_the_guest_of_a_browser(api: Api, page: Page) -> None:
    """rest-v2-legacy.md VK-2."""
    record = api.get("/v2/guestContexts", params={"browserRef": page.browser}).json()
    assert record["ref"] == record["items"][0]["ref"] == page.guest
    for unknown in ("nonsense", page.guest):
        assert api.get("/v2/guestContexts", params={"browserRef": unknown}).json() == {"items": []}


def test_a_guest_goes_with_all_its_behaviour(
    api: Api, page: Page, connection: psycopg.Connection
) -> None:
    """rest-v2.1.md G-6: browsers, sessions, events and what is in quarantine."""
    other = Page(api)
    for one in (page, other):
        visit(one, 50, 1)
        one("VIEW", pos="nowhere")
    assert api.delete(f"/v2.1/guests/{page.guest}").status_code == 204
    assert page.send("VIEW").status_code == 404
    for table, left in (("browsers", 1), ("sessions", 2), ("events", 2), ("quarantine", 1)):
        count = connection.execute(f"SELECT count(*) FROM ws_live.{table}").fetchone()
        assert count == (left,), table
    assert numbers(other) == [[50], [1]]


# Retention


def test_visitors_are_forgotten(site: Site, api: Api, connection: psycopg.Connection) -> None:
    """identity.md 6 and 9: 183 days after lastSeen; a visitor with orders, a customer: kept."""
    idle, ordered, identified, recent = (Page(api) for _ in range(4))
    ordered("CHECKOUT", reference_id="R1", status="PURCHASED", currency="EUR")
    identified("IDENTITY", identifiers=[{"provider": "email", "id": "a@example.com"}])
    old = [page.guest for page in (idle, ordered, identified)]
    connection.execute(
        "UPDATE ws_live.guests SET last_seen = now() - interval '184 days', "
        "created_at = now() - interval '300 days' WHERE ref = ANY (%s::uuid[])",
        [old],
    )
    assert work_on(site.dsn, lambda work: browsers.purge_visitors(work, 0)) == 0
    assert work_on(site.dsn, lambda work: browsers.purge_visitors(work, 185)) == 0
    assert work_on(site.dsn, lambda work: browsers.purge_visitors(work, 183)) == 1
    assert idle.send("VIEW").status_code == 404
    for page in (ordered, identified, recent):
        assert page.send("VIEW").status_code == 201
    assert Page(api).guest  # and whoever comes is counted right
    assert api.get("/v2.1/guests").json()["totalCount"] == 4


# Partitions


def test_room_for_any_month(site: Site, api: Api, connection: psycopg.Connection) -> None:
    """Issue: partitioned by time; a month without partition gets one when it is needed."""
    work_on(site.dsn, partitions.add_partitions)
    work_on(site.dsn, partitions.add_partitions)
    names = {
        name
        for (name,) in connection.execute(
            "SELECT relname FROM pg_class JOIN pg_inherits ON inhrelid = oid "
            "WHERE inhparent = 'ws_live.events'::regclass"
        )
    }
    now = datetime.now(UTC)
    assert {f"events_{now + timedelta(days=days):%Y_%m}" for days in (-1, 0, 1, 27)} <= names


def test_events_of_one_browser_from_32_clients_at_once(
    api: Api, page: Page, connection: psycopg.Connection
) -> None:
    """4, 9: whether written together or alone, each is there once, under the ref it was told."""
    page("VIEW", page="first")

    def client(number: int) -> list[tuple[str, str]]:
        messages = []
        with api.another() as caller:
            mine = Page(caller, page.browser)
            for turn in range(2):
                name = f"{number} {turn}"
                if number % 8 == 0 and turn == 1:
                    answer = mine("ADD", page=name, product=product("1", 1))
                elif number == 3:
                    answer = mine("VIEW", page=name, channel="MOBILE_APP")
                else:
                    answer = mine("VIEW", page=name)
                assert answer["customer_ref"] == guest
                messages.append((answer["ref"], name))
        return messages

    guest = page.guest
    with ThreadPoolExecutor(32) as pool:
        messages = [one for several in pool.map(client, range(32)) for one in several]
    rows = connection.execute(
        "SELECT ref::text, body ->> 'page' FROM ws_live.events WHERE body ->> 'page' <> 'first'"
    ).fetchall()
    assert Counter(rows) == Counter(messages)
    sessions = {session["channel"]: session for session in page.context()["sessions"]}
    counted = connection.execute("SELECT channel, events FROM ws_live.sessions").fetchall()
    assert dict(counted) == {"WEB": 63, "MOBILE_APP": 2}
    assert len(sessions["MOBILE_APP"]["events"]) == 2
