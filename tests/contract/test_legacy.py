"""The v2 dialect: guests, orders, items, people, contexts, configuration (rest-v2-legacy.md)."""

from typing import Any

import pytest
from calling import NOBODY, Api, absent, invalid, problem
from ordering import (
    ITEM,
    PARTS,
    PERSON,
    V2_ITEM,
    WHOLE_ORDER,
    checked_body,
    guest_of,
    new_order,
    own_fields,
    refs_in,
)

_TYPES = (
    "FLIGHT HOTEL CAR BAG INSURANCE CAR_SEAT MEAL FEE LOUNGE_ACCESS HOTEL_WIFI "
    "HOTEL_BREAKFAST SEAT_UPGRADE TAXI PARKING SEAT UPGRADE TRANSPORT OTHER "
    "INFLIGHT_ENTERTAINMENT ACTIVITY CARBON_OFFSET PAID_SUBSCRIPTION COMFORT_PACK "
    "INFLIGHT_VOUCHER PACKAGE SMS_ITINERARY SPECIAL_ASSISTANCE CHARITY_DONATION TRANSFER "
    "BAGGAGE FEES SEAT_UPGRADES INFLIGHT_VOUCHERS"
)
TYPES = _TYPES.split()
_STATUSES = "RESERVED PENDING DECLINED CONFIRMED CANCELLED REFUNDED PURCHASED UNKNOWN"
STATUSES = _STATUSES.split()
SEGMENT = {
    "id": "1",
    "origin": "DUB",
    "destination": "LHR",
    "departureDateTime": "2025-12-24T09:30:00.000Z",
    "arrivalDateTime": "2025-12-24T10:50:00.000Z",
    "flightNumber": "EI154",
    "fareClass": "Y",
    "carrier": "EI",
    "originDestination": "DUB-LHR",
    "seatRow": {"number": 12},
}


def v2(body: dict[str, Any]) -> dict[str, Any]:
    """The body of an error as v2 tells it (ER-2)."""
    return {**body, "status": body["code"], "moreInfo": "https://support.sitecore.com"}


def v2_order(api: Api, **fields: Any) -> dict[str, Any]:
    return checked_body(api.post("/v2/orders", json={**WHOLE_ORDER, **fields}))


def v2_item(api: Api, order: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return checked_body(
        api.post(f"/v2/orders/{order['ref']}/orderItems", json={**V2_ITEM, **fields})
    )


def v2_guest(api: Api, **fields: Any) -> dict[str, Any]:
    return checked_body(api.post("/v2/guests", json={"guestType": "customer", **fields}))


# What v2 lacks


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *((method, "/v2/guests/{guest}") for method in ("PUT", "PATCH", "DELETE")),
        *((method, "/v2/orders/{order}") for method in ("PUT", "PATCH", "DELETE")),
        *((method, "/v2/orderItems/{item}") for method in ("PUT", "PATCH")),
        *((method, "/v2/orderContacts/{contact}") for method in ("PUT", "PATCH")),
        *((method, "/v2/orderConsumers/{consumer}") for method in ("PUT", "PATCH", "DELETE")),
    ],
)
def test_updates_are_posts_and_some_deletes_are_missing(api: Api, method: str, path: str) -> None:
    """V-1, V-4, VU-7: 405, whatever the ref."""
    at = path.partition("{")[0] + NOBODY
    answer = api.request(method, at, json={} if method[0] == "P" else None)
    assert answer.status_code == 405
    assert answer.json()["moreInfo"] == "https://support.sitecore.com"


@pytest.mark.parametrize(
    "path",
    [
        "/v2/orderItems/{ref}/extext",
        "/v2/orderItems/{ref}/extensions/ext",
        "/v2/guests/{ref}/extext/{ref}/fields",
    ],
)
def test_some_paths_are_not_there(api: Api, path: str) -> None:
    """V-2, V-3."""
    assert api.get(path.replace("{ref}", NOBODY)).status_code == 404


def test_errors_have_a_number_and_another_link(api: Api, anonymous: Api) -> None:
    """ER-2, VU-5: `status` is an integer even of a 401, `moreInfo` repeats `moreInfoUrl`."""
    body = anonymous.get("/v2/guests").json()
    assert (body["status"], body["moreInfo"]) == (401, body["moreInfoUrl"])
    text = f"Order with ref {NOBODY} for client key {api.client_key} was not found"
    missing = problem(404, "The specified resource does not exist.", text)
    assert api.get(f"/v2/orders/{NOBODY}").json() == v2(missing)


# Guests


def test_a_guest_is_created_found_and_replaced(api: Api) -> None:
    """LG1 to LG4, VG-1, V-1, V-5, VU-1: POST on the resource replaces it with 200."""
    body = {
        "guestType": "customer",
        "firstName": "Jane",
        "gender": "Male",
        "dateOfBirth": "1976-10-28T00:00:00.000Z",
        "emails": ["jane@example.com"],
        "subscriptions": [{"name": "News", "channel": "EMAIL", "status": "SUBSCRIBED"}],
    }
    guest = checked_body(api.post("/v2/guests", json=body))
    assert guest["href"] == f"{api.url}/v2/guests/{guest['ref']}"
    assert {name: guest[name] for name in body} == body
    assert "dataExtensions" not in guest
    answer = api.post("/v2/guests", json={"firstName": "J"})
    assert (answer.status_code, answer.json()) == (400, v2(absent("guestType")))
    replaced = checked_body(api.post(guest["href"], json={"lastName": "Doe"}), 200)
    assert (replaced["guestType"], replaced["lastName"]) == ("customer", "Doe")
    assert not {"firstName", "emails", "subscriptions"} & set(replaced)
    assert checked_body(api.get(guest["href"]), 200) == replaced
    assert api.post(f"/v2/guests/{NOBODY}", json={}).status_code == 404


def test_guests_are_searched(api: Api) -> None:
    """LG2, VG-2, VG-3, VL-1, VL-2, VL-3: links; offset and limit before the filter."""
    jane = v2_guest(
        api,
        firstName="Jane",
        lastName="Doe",
        emails=["Jane@Example.com"],
        phoneNumbers=["+353161123345"],
        identifiers=[{"provider": "BXLP", "id": "123456"}],
    )
    v2_guest(api, firstName="John")
    query = "identifiers.provider=BXLP&identifiers.id=123456"
    page = api.get(f"/v2/guests?{query}").json()
    href = f"{api.url}/v2/guests?offset=0&limit=10&{query}"
    assert page == {
        "href": href,
        "offset": 0,
        "limit": 10,
        "first": {"href": href},
        "last": {"href": href},
        "items": [{"href": jane["href"]}],
    }
    for each in (
        "firstName=Jane",
        "lastName=Doe",
        "email=jane@example.com",
        "email.untouched=Jane@Example.com",
        "phoneNumber=%2B353161123345",
    ):
        assert refs_in(api.get(f"/v2/guests/?{each}")) == [jane["ref"]]
    assert refs_in(api.get("/v2/guests?email.untouched=jane@example.com")) == []
    assert len(refs_in(api.get("/v2/guests?limit=1&offset=1"))) == 1
    assert api.get("/v2/guests?limit=1000").json()["limit"] == 100
    assert api.get("/v2/guests?limit=0").status_code == 400
    assert api.get("/v2/guests?expand=true&firstName=Jane").json()["items"] == [jane]


# Orders


@pytest.mark.parametrize(
    "field", ["pointOfSale", "currencyCode", "price", "orderedAt", "referenceId"]
)
def test_an_order_needs_five_fields(api: Api, field: str) -> None:
    """VO-1."""
    body = {name: value for name, value in WHOLE_ORDER.items() if name != field}
    answer = api.post("/v2/orders", json=body)
    assert (answer.status_code, answer.json()) == (400, v2(absent(field)))


def test_an_order_is_created_and_replaced(api: Api) -> None:
    """LO1, LO3, LO4, VO-2, VO-4, VO-6, VO-7, VL-4: and its href keeps an expand."""
    order = v2_order(api)
    path = f"/v2/orders/{order['ref']}"
    href = f"{api.url}{path}"
    assert order == {
        **WHOLE_ORDER,
        "href": href,
        "ref": order["ref"],
        "createdAt": order["createdAt"],
        "modifiedAt": order["createdAt"],
        **{part: {"href": f"{href}/{part}", "items": []} for part in PARTS},
    }
    links = {part: {"href": f"{href}/{part}"} for part in PARTS}
    assert checked_body(api.get(path), 200) == {**order, **links}
    item = v2_item(api, order)
    expanded = checked_body(api.get(f"{path}?expand=orderItems"), 200)
    assert expanded["href"] == f"{href}?expand=orderItems"
    assert (expanded["orderItems"]["items"], expanded["contacts"]) == ([item], links["contacts"])
    small = {name: WHOLE_ORDER[name] for name in ("pointOfSale", "currencyCode", "price")}
    replaced = checked_body(api.post(path, json=small), 200)
    assert own_fields(replaced) == {
        **small,
        **{name: WHOLE_ORDER[name] for name in ("orderedAt", "referenceId")},
    }
    for field, value in (("referenceId", "2"), ("orderedAt", "2026-01-01")):
        answer = api.post(path, json={**WHOLE_ORDER, field: value})
        assert (answer.status_code, answer.json()) == (400, v2(invalid(field, "cannot be updated")))


def test_an_order_of_two_days_is_one(api: Api) -> None:
    """VU-6: as over v2.1, and with it."""
    order = v2_order(api)
    again = v2_order(api, orderedAt="2025-12-21T12:07:18.149Z", price=1)
    assert (again["ref"], again["price"]) == (order["ref"], 1)
    assert new_order(api)["ref"] == order["ref"]


def test_orders_are_listed_by_reference_or_guest(api: Api) -> None:
    """LO2, VO-3, VO-5, VL-1: one of the two is needed; a create may name the guest."""
    guest = v2_guest(api, firstName="Jane")
    order = checked_body(api.post(f"/v2/orders?guestRef={guest['ref']}", json=WHOLE_ORDER))
    (contact,) = order["contacts"]["items"]
    assert guest_of(contact) == guest["ref"]
    page = api.get(f"/v2/orders?guestRef={guest['ref']}").json()
    assert page["href"] == f"{api.url}/v2/orders?offset=0&limit=10&guestRef={guest['ref']}"
    assert page["items"] == [{"href": order["href"]}]
    assert refs_in(api.get("/v2/orders?referenceId=B94TXY-1")) == [order["ref"]]
    answer = api.get("/v2/orders")
    reason = "either referenceId or guestRef must be provided"
    assert (answer.status_code, answer.json()) == (400, v2(invalid("query", reason)))


# Items


@pytest.mark.parametrize("field", V2_ITEM)
def test_an_item_needs_six_fields(api: Api, field: str) -> None:
    """Section 7."""
    body = {name: value for name, value in V2_ITEM.items() if name != field}
    answer = api.post(f"/v2/orders/{v2_order(api)['ref']}/orderItems", json=body)
    assert (answer.status_code, answer.json()) == (400, v2(absent(field)))


def test_every_documented_word_is_taken(api: Api) -> None:
    """Section 7: types and statuses, and no other."""
    order = v2_order(api)
    for kind in TYPES:
        assert v2_item(api, order, type=kind)["type"] == kind
    for status in STATUSES:
        assert v2_item(api, order, status=status)["status"] == status
    path = f"/v2/orders/{order['ref']}/orderItems"
    for field, value in (("type", "MOBILE"), ("type", "flight"), ("status", "Accepted")):
        answer = api.post(path, json={**V2_ITEM, field: value})
        assert (answer.status_code, answer.json()) == (400, v2(invalid(field, "not a valid value")))


def test_a_flight_keeps_its_segments(api: Api) -> None:
    """Section 7, VU-4: local times as they came, members no document lists among them."""
    fields = {"passengerTypeCode": "ADT", "flightSegments": [SEGMENT], "quantity": 2}
    item = v2_item(api, v2_order(api), **fields)
    assert own_fields(item, "orderedAt") == {**V2_ITEM, **fields}
    assert checked_body(api.get(item["href"]), 200) == item
    official = checked_body(api.get(f"/v2.1/orderItems/{item['ref']}"), 200)
    assert not {"flightSegments", "passengerTypeCode"} & set(official)
    checked_body(api.patch(official["href"], json={"vendor": "EI"}), 200)
    checked_body(api.put(official["href"], json={**ITEM, "quantity": 2}), 200)
    after = checked_body(api.get(item["href"]), 200)
    assert after["flightSegments"] == [SEGMENT]
    incomplete = {name: value for name, value in SEGMENT.items() if name != "carrier"}
    answer = api.post(item["href"], json={**V2_ITEM, "flightSegments": [incomplete]})
    assert (answer.status_code, answer.json()) == (400, v2(absent("flightSegments[0].carrier")))


def test_typed_items_keep_what_no_document_lists(api: Api) -> None:
    """Section 7, VU-4: opaque members are echoed, and replaced with the item."""
    extra = {"hotelStars": 4, "rooms": [{"beds": 2}], "checkIn": "2025-12-24"}
    item = v2_item(api, v2_order(api), type="HOTEL", **extra)
    assert own_fields(item, "orderedAt") == {**V2_ITEM, "type": "HOTEL", **extra}
    replaced = checked_body(api.post(item["href"], json=V2_ITEM), 200)
    assert own_fields(replaced, "orderedAt") == V2_ITEM


def test_items_are_listed_replaced_and_deleted(api: Api) -> None:
    """LI2, LI4, LI5."""
    order = v2_order(api)
    item = v2_item(api, order, name="One", vendor="V")
    path = f"/v2/orders/{order['ref']}/orderItems"
    page = api.get(path).json()
    assert page["href"] == f"{api.url}{path}?offset=0&limit=10"
    assert page["items"] == [{"href": item["href"]}]
    assert api.get(f"{path}?expand=true").json()["items"] == [item]
    replaced = checked_body(api.post(item["href"], json={**V2_ITEM, "price": 30.6}), 200)
    assert own_fields(replaced, "orderedAt") == {**V2_ITEM, "price": 30.6}
    assert api.delete(item["href"]).status_code == 204
    assert api.get(item["href"]).status_code == 404


def test_a_free_type_is_shown_as_it_is(api: Api) -> None:
    """Section 7: a v2.1 item over v2."""
    order = new_order(api)
    item = checked_body(api.post(f"/v2.1/orders/{order['ref']}/orderItems", json=ITEM))
    response = checked_body(api.get(f"/v2/orderItems/{item['ref']}"), 200)
    assert (response["type"], "dataExtensions" in response) == ("MOBILE", False)
    assert response["order"] == {"href": f"{api.url}/v2/orders/{order['ref']}"}


# People


@pytest.mark.parametrize(
    ("kind", "one"), [("contacts", "orderContacts"), ("consumers", "orderConsumers")]
)
def test_people_need_both_names(api: Api, kind: str, one: str) -> None:
    """LC1 to LC4, LN1 to LN4, VC-2, section 9, VG-4."""
    order = v2_order(api)
    path = f"/v2/orders/{order['ref']}/{kind}"
    for field in ("firstName", "lastName"):
        body = {name: value for name, value in PERSON.items() if name != field}
        answer = api.post(path, json=body)
        assert (answer.status_code, answer.json()) == (400, v2(absent(field)))
    person = checked_body(api.post(path, json={**PERSON, "gender": "Male"}))
    expected = {
        **PERSON,
        "gender": "male",
        "href": f"{api.url}/v2/{one}/{person['ref']}",
        "ref": person["ref"],
        "createdAt": person["createdAt"],
        "modifiedAt": person["createdAt"],
        "guest": {"href": f"{api.url}/v2/guests/{guest_of(person)}"},
        "order": {"href": order["href"]},
    }
    if kind == "consumers":
        expected["orderItems"] = {"items": []}
    assert person == expected
    assert api.get(path).json()["items"] == [{"href": person["href"]}]
    assert api.get(path).json()["href"] == f"{api.url}{path}?offset=0&limit=10"
    small = {"firstName": "J", "lastName": "D"}
    replaced = checked_body(api.post(person["href"], json=small), 200)
    assert own_fields(replaced, "orderItems") == small
    assert guest_of(replaced) == guest_of(person)


def test_a_guest_is_linked_by_href(api: Api) -> None:
    """VC-1, VC-3 to VC-5: in upper case too; today is no future; a delete takes the guest off."""
    guest, order = v2_guest(api), v2_order(api)
    href = f"{api.url}/v2/guests/{guest['ref'].upper()}"
    body = {"firstName": "A", "lastName": "B", "guest": {"href": href}}
    contact = checked_body(
        api.post(
            f"/v2/orders/{order['ref'].upper()}/contacts",
            json={**body, "dateOfBirth": "2025-12-24T00:00Z"},
        )
    )
    assert contact["guest"] == {"href": guest["href"]}
    future = {**body, "dateOfBirth": "2999-12-24T00:00Z"}
    assert api.post(f"/v2/orders/{order['ref']}/contacts", json=future).status_code == 400
    answer = api.delete(contact["href"])
    assert (answer.status_code, answer.content) == (204, b"")
    assert refs_in(api.get(f"/v2/orders?guestRef={guest['ref']}")) == []


def test_a_consumer_names_items(api: Api) -> None:
    """Section 9: links in request and answer."""
    order = v2_order(api)
    item = v2_item(api, order)
    links = {"items": [{"href": item["href"]}]}
    body = {**PERSON, "orderItems": links}
    consumer = checked_body(api.post(f"/v2/orders/{order['ref']}/consumers", json=body))
    assert consumer["orderItems"] == links


# Guest contexts


def test_a_guest_context_holds_everything(api: Api) -> None:
    """LK1, VK-1, VL-5: orders with their items, the latest first; extensions with values."""
    guest = v2_guest(api, firstName="Jane")
    by = f"/v2/orders?guestRef={guest['ref']}"
    orders = [
        checked_body(
            api.post(by, json={**WHOLE_ORDER, "referenceId": day, "orderedAt": f"2025-01-{day}"})
        )
        for day in ("01", "02", "03")
    ]
    item = v2_item(api, orders[2])
    extension = checked_body(
        api.post(f"{guest['href']}/extext", json={"key": "default", "vip": True})
    )
    path = f"/v2/guestContexts/{guest['ref']}"
    query = "expand=items.orders(offset:0,limit:100)&source=all&timeout=30000"
    context = checked_body(api.get(f"{path}?{query}"), 200)
    assert (context["ref"], context["firstName"]) == (guest["ref"], "Jane")
    assert [order["ref"] for order in context["orders"]] == [o["ref"] for o in reversed(orders)]
    assert [order["orderItems"] for order in context["orders"]] == [[item], [], []]
    assert context["orders"][0]["contacts"] == {"href": f"{orders[2]['href']}/contacts"}
    expected = {name: extension[name] for name in ("href", "ref", "createdAt", "modifiedAt", "key")}
    assert context["dataExtensions"] == [{**expected, "name": "ext", "values": {"vip": True}}]
    assert context["sessions"] == []
    part = checked_body(
        api.get(f"{path}?expand=orders(offset:1,limit:1),sessions(offset:0,limit:5)"), 200
    )
    assert [order["ref"] for order in part["orders"]] == [orders[1]["ref"]]
    assert len(checked_body(api.get(path), 200)["orders"]) == 3
    assert api.get(f"/v2/guestContexts/{NOBODY}").status_code == 404


def test_a_browser_without_guest_has_no_context(api: Api) -> None:
    """LK2, VK-2: 400 without browserRef, no items for one nobody knows."""
    answer = api.get("/v2/guestContexts")
    assert (answer.status_code, answer.json()) == (400, v2(absent("browserRef")))
    assert checked_body(api.get("/v2/guestContexts?browserRef=x"), 200) == {"items": []}


# Configuration


def test_points_of_sale_are_configured(api: Api) -> None:
    """segmentation-and-export.md 7: a bare list, create, delete with a body."""
    path = "/v2/tenants/points-of-sale"
    before = checked_body(api.get(path), 200)
    assert {"name": "default", "timeout": 20} in before
    shop = {"name": "spinair.com/france", "market": "France", "brand": "B", "language": "fr"}
    answer = api.post(path, json={**shop, "timeout": 30})
    assert answer.status_code == 201
    assert answer.json() == {
        **shop,
        "timeout": 30,
        "result": "OK",
        "message": "Done.",
        "status": 201,
        "code": 201,
    }
    location = answer.headers["location"]
    assert location == f"{api.url}{path}/spinair.com%2Ffrance"
    after = checked_body(api.get(path), 200)
    assert [point for point in after if point not in before] == [{**shop, "timeout": 30}]
    assert api.post(path, json=shop).status_code == 409
    assert api.post(path, json={}).json() == v2(absent("name"))
    answer = api.post(path, json={**shop, "timeout": 0})
    assert answer.json() == v2(invalid("timeout", "must be greater than or equal to 1"))
    answer = api.delete(location)
    assert (answer.status_code, answer.json()["result"]) == (200, "OK")
    assert api.delete(location).status_code == 404


def test_the_configuration_names_the_workspace(api: Api) -> None:
    """segmentation-and-export.md 7."""
    response = checked_body(api.get("/v2/configurations"), 200)
    assert response["settings"]["clientKey"] == api.client_key
    assert response["settings"]["defaultTimeout"] == 20
    assert response["configurations"]["name"] == "live"
