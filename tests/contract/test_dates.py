"""How instants may be written, by every way in (F12; rest-v2.1.md C-8, stream-api.md 4.1)."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from batching import Batches, record, upsert
from calling import Api
from ordering import ORDER, PERSON, checked_body
from sites import Site
from streams import JANE, Page, ago, product, quarantine

SPELT = {
    "hours alone": ("2024-03-01T12:30:00+02", "2024-03-01T10:30:00.000Z"),
    "a comma": ("2024-03-01T10:30:00,250Z", "2024-03-01T10:30:00.250Z"),
    "PostgreSQL": ("2024-03-01 10:30:00.25+00", "2024-03-01T10:30:00.250Z"),
    "PostgreSQL in Dublin before 1916": (
        "1900-01-01 00:00:00-00:25:21",
        "1900-01-01T00:25:21.000Z",
    ),
    "PostgreSQL in India": ("2024-03-01 16:00:00+05:30", "2024-03-01T10:30:00.000Z"),
}
"""As written, and as it is stored (C-8): worked out by hand."""
EACH = pytest.mark.parametrize(("written", "expected"), SPELT.values(), ids=SPELT)


@pytest.fixture
def batches(api: Api, site: Site) -> Batches:
    return Batches(api, site.settings)


@EACH
def test_f12_by_rest_in_each_dialect(api: Api, written: str, expected: str) -> None:
    """F12, C-8: guests, orders, contacts; official, legacy and nested."""
    payload = {"provider": "email", "id": "jane@example.com", "expiryDate": written}
    guest = api.guest(passportExpiry=written, identifiers=[payload])
    assert guest["passportExpiry"] == guest["identifiers"][0]["expiryDate"] == expected
    order = checked_body(api.post("/v2.1/orders", json={**ORDER, "orderedAt": written}))
    assert order["orderedAt"] == expected
    contact = {**PERSON, "passportExpiry": written}
    contact = checked_body(api.post(f"/v2.1/orders/{order['ref']}/contacts", json=contact))
    assert contact["passportExpiry"] == expected
    old = {**ORDER, "orderedAt": written, "referenceId": "old", "channel": "WEB"}
    old |= {"pointOfSale": "default", "status": "PURCHASED"}
    assert checked_body(api.post("/v2/orders", json=old))["orderedAt"] == expected
    nested = {"referenceId": "nested", "orderedAt": written}
    path = f"/v2.1/guests/{guest['ref']}/orders"
    assert checked_body(api.post(path, json=nested))["orderedAt"] == expected


@EACH
def test_f12_by_batch(batches: Batches, written: str, expected: str) -> None:
    """F12: the vendor's batches."""
    guest = upsert("jane@example.com", passportExpiry=written)
    order = {**ORDER, "orderedAt": written, "channel": "WEB", "pointOfSale": "default"}
    order |= {"contact": {"email": "tom@example.com", "firstName": "Tom", "lastName": "Doe"}}
    order["contact"]["identifiers"] = [{"provider": "email", "id": "tom@example.com"}]
    assert batches.apply(guest, record("order", "upsert", order)) == []
    assert batches.guest("jane@example.com")["passportExpiry"] == expected
    (stored,) = batches.api.get("/v2.1/orders?expand=true").json()["items"]
    assert stored["orderedAt"] == expected


@EACH
@pytest.mark.parametrize("form", ["csv", "ndjson"])
def test_f12_by_import(
    batches: Batches, connection: psycopg.Connection, form: str, written: str, expected: str
) -> None:
    """F12: files of our own imports, guests and events of history."""
    about = {"format": form, "compressed": False}
    guest = {"email": "jane@example.com", "identifiers.email": "j", "firstSeen": written}
    nested = {"email": "jane@example.com", "firstSeen": written}
    nested["identifiers"] = [{"provider": "email", "id": "j"}]  # type: ignore[assignment]
    content = _csv(guest) if form == "csv" else json.dumps(nested).encode()
    done = _imported(batches, {"entity": "guests", **about}, content)
    assert (done["status"], done["outcomes"]) == ("success", {"created": 1}), done
    assert batches.guest("jane@example.com")["firstSeen"] == expected
    event = {"type": "VIEW", "channel": "WEB", "pos": "default", "requested_at": written}
    event["browser_id"] = "6f0c2f32-2d0a-4d0c-9f5b-0a8a8cf3c7a1"
    content = _csv(event) if form == "csv" else json.dumps(event).encode()
    done = _imported(batches, {"entity": "events", **about}, content)
    assert (done["status"], done["outcomes"]) == ("success", {"created": 1}), done
    (row,) = connection.execute("SELECT at FROM ws_live.events").fetchall()
    assert row[0] == datetime.fromisoformat(expected)


@pytest.mark.parametrize("mark", ["+", "%2B"])
def test_f12_in_queries(batches: Batches, mark: str) -> None:
    """F12: a `+` that the caller did not encode arrives as a space."""
    batches.allocate(b"x")
    before = datetime.now(UTC) + timedelta(hours=1)
    after = datetime.now(UTC) - timedelta(hours=1)

    def listed(name: str, moment: datetime) -> int:
        text = (moment + timedelta(hours=2)).strftime("%Y-%m-%dT%H:%M:%S,5")
        answer = batches.api.get(f"/v2/batches/inspect?{name}={text}{mark}02")
        assert answer.status_code == 200, answer.text
        return len(answer.json()["items"])

    assert listed("createdBefore", before) == listed("createdAfter", after) == 1
    assert listed("createdBefore", after) == listed("createdAfter", before) == 0
    batches.api.guest(dateOfBirth="1990-01-02")
    day = f"1990-01-02 00:00:00{mark}00"
    assert batches.api.get(f"/v2.1/guests?dateOfBirth={day}").json()["totalCount"] == 1


@pytest.mark.parametrize("written", ["+02", ",250", " +00"])
def test_f12_an_event_at_its_time(api: Api, written: str) -> None:
    """F12, stream-api.md 4.1 row requested_at: within a day the client's time counts."""
    page, at = Page(api), datetime.now(UTC).replace(microsecond=250_000) - timedelta(hours=3)
    text = {
        "+02": (at + timedelta(hours=2)).strftime("%Y-%m-%dT%H:%M:%S.250+02"),
        ",250": at.strftime("%Y-%m-%dT%H:%M:%S,250Z"),
        " +00": at.strftime("%Y-%m-%d %H:%M:%S.250+00"),
    }[written]
    page("VIEW", requested_at=text)
    (event,) = page.session["events"]
    assert datetime.fromisoformat(event["createdAt"]) == at
    assert quarantine(api) == []


@pytest.mark.parametrize("payload", ["yesterday", "01/02/2024 10:00", 1700000000000, True, ["x"]])
def test_f12_an_event_whose_time_cannot_be_read(api: Api, payload: Any) -> None:
    """F12: 201, at the time of arrival, and the raw value waits with its reason."""
    page = Page(api)
    ref = page("VIEW", requested_at=payload, page="/rooms")["ref"]
    (event,) = page.session["events"]
    arrived = datetime.fromisoformat(event["createdAt"])
    assert abs(arrived - datetime.now(UTC)) < timedelta(minutes=1)
    assert event["page"] == "/rooms"
    (quarantined,) = quarantine(api)
    assert (quarantined["what"], quarantined["eventRef"]) == ("part of an event", ref)
    assert quarantined["reason"] == "bad member"
    assert quarantined["detail"] == "requested_at: must be an ISO 8601 date-time"
    assert quarantined["message"] == {"requested_at": payload}


@pytest.mark.parametrize("payload", [None, ""])
def test_f12_an_event_without_a_time(api: Api, payload: Any) -> None:
    """Nothing was told, so nothing waits."""
    Page(api)("VIEW", requested_at=payload)
    assert quarantine(api) == []


def test_f12_an_order_in_one_event(api: Api) -> None:
    """F12, stream-api.md 4.2 row ORDER_CHECKOUT: it is made, at the time of its event, and so are
    its items; each raw value waits as a part that the order is linked with."""
    page = Page(api)
    page("IDENTITY", **JANE)
    items = [
        {"referenceId": "1", "name": "Rose", "price": 3, "orderedAt": "last week"},
        {"referenceId": "2", "name": "Tulip", "price": 4, "orderedAt": "2024-03-01T10:30:00,25Z"},
    ]
    order = {"referenceId": "O-1", "orderedAt": "19/12/2025", "status": "PURCHASED", "price": 7}
    at = ago(hours=2)
    ref = page(
        "ORDER_CHECKOUT",
        requested_at=at,
        order={**order, "currencyCode": "EUR", "orderItems": items},
    )["ref"]
    (stored,) = api.get("/v2.1/orders?expand=true").json()["items"]
    assert (stored["referenceId"], stored["price"], stored["orderedAt"]) == ("O-1", 7, at)
    lines = api.get(f"/v2.1/orders/{stored['ref']}/orderItems?expand=true").json()["items"]
    times = {line["name"]: line["orderedAt"] for line in lines}
    assert times == {"Rose": at, "Tulip": "2024-03-01T10:30:00.250Z"}
    waiting = quarantine(api, orderRef=stored["ref"])
    waiting.sort(key=lambda one: len(one["detail"]))
    assert [(one["what"], one["reason"], one["detail"], one["message"]) for one in waiting] == [
        (
            *("part of an event", "bad member", f"order.{name}: must be an ISO 8601 date-time"),
            {"order": each},
        )
        for name, each in (
            ("orderedAt", {"referenceId": "O-1", "orderedAt": "19/12/2025"}),
            (
                "orderItems[0].orderedAt",
                {"orderItems": [{"referenceId": "1", "orderedAt": "last week"}]},
            ),
        )
    ]
    assert {one["eventRef"] for one in waiting} == {ref}


def test_f12_a_product_of_a_cart(api: Api) -> None:
    """F12, stream-api.md 4.2 row ADD: its line is bought, at the time of the CHECKOUT, and the raw
    value waits as a part."""
    page = Page(api)
    page("IDENTITY", **JANE)
    page("ADD", product=product("1", 5, orderedAt="soon"))
    page("CHECKOUT", reference_id="B-1", status="PURCHASED")
    checkout = page.session["events"][-1]
    (stored,) = api.get("/v2.1/orders?expand=true").json()["items"]
    (line,) = api.get(f"/v2.1/orders/{stored['ref']}/orderItems?expand=true").json()["items"]
    assert line["orderedAt"] == stored["orderedAt"] == checkout["createdAt"]
    assert (stored["price"], line["price"]) == (5, 5)
    (quarantined,) = quarantine(api)
    line = {"item_id": "1", "referenceId": "R-1", "orderedAt": "soon"}
    assert quarantined["message"] == {"product": line}
    assert quarantined["detail"] == "product.orderedAt: must be an ISO 8601 date-time"
    assert (quarantined["what"], quarantined["type"]) == ("part of an event", "ADD")


def test_f12_a_search_for_a_flight(api: Api) -> None:
    """F12, stream-api.md 4.2 row SEARCH: attached, whatever its local times say."""
    page = Page(api)
    flight = {"product_name": "DUB-LHR", "product_type": "FLIGHT", "flight_type": "OW"}
    flight |= {"origin": "DUB", "destination": "LHR", "start": "tomorrow"}
    ref = page("SEARCH", **flight, adults=1, children=0, infants=0)["ref"]
    assert [event["ref"] for event in page.session["events"]] == [ref]
    (quarantined,) = quarantine(api)
    assert (quarantined["eventRef"], quarantined["message"]) == (ref, {"start": "tomorrow"})


def _csv(row: dict[str, str]) -> bytes:
    return f"{';'.join(row)}\n{';'.join(row.values())}\n".encode()


def _imported(batches: Batches, body: dict[str, Any], content: bytes) -> dict[str, Any]:
    answer = batches.api.post("/innkeeper/v1/imports", json=body)
    assert answer.status_code == 201, answer.text
    assert batches.upload(answer.json()["location"]["href"], content).status_code == 200
    batches.work_at_once()
    done: dict[str, Any] = batches.api.get(answer.json()["href"]).json()
    return done
