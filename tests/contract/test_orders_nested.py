"""Seed 000's own paths: T13 to T19, N-17 to N-25, the tables of rest-nested-openapi.md 3."""

from typing import Any

import pytest
from calling import NOBODY, Api, absent, invalid, no_guest, problem
from ordering import (
    ITEM,
    ORDER,
    PARTS,
    WHOLE_ORDER,
    checked_body,
    guest_of,
    new_item,
    new_order,
    new_person,
    refs_in,
)

NESTED: dict[str, Any] = {"referenceId": "N-1", "orderedAt": "2025-01-02T03:04:05.000Z"}
"""The least that seed 000 takes."""
WHOLE: dict[str, Any] = {**NESTED, "status": "CONFIRMED", "currencyCode": "EUR", "totalPrice": 30.6}


@pytest.fixture
def guest(api: Api) -> dict[str, Any]:
    return api.guest(firstName="Jane", lastName="Doe")


def orders_of(guest: dict[str, Any]) -> str:
    return f"/v2.1/guests/{guest['ref']}/orders"


def nested_order(api: Api, guest: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return checked_body(api.post(orders_of(guest), json={**NESTED, **fields}))


def test_an_order_is_created_for_its_guest(api: Api, guest: dict[str, Any]) -> None:
    """T14, N-19, N-20, table 3.1: and the guest is its contact."""
    order = checked_body(api.post(orders_of(guest), json=WHOLE))
    href = f"{api.url}/v2.1/orders/{order['ref']}"
    assert order == {
        **WHOLE,
        "price": 30.6,
        "ref": order["ref"],
        "orderRef": order["ref"],
        "href": href,
        "createdAt": order["createdAt"],
        "modifiedAt": order["createdAt"],
        "items": [],
        **{part: {"href": f"{href}/{part}"} for part in PARTS},
        "dataExtensions": {"href": f"{href}/extensions"},
    }
    official = checked_body(api.get(href), 200)
    assert (official["price"], official["referenceId"]) == (30.6, "N-1")
    assert refs_in(api.get(f"/v2.1/orders?guestRef={guest['ref']}")) == [order["ref"]]
    (contact,) = api.get(f"{href}/contacts?expand=true").json()["items"]
    assert guest_of(contact) == guest["ref"]
    assert contact["firstName"] == "Jane"


def test_little_is_required(api: Api, guest: dict[str, Any]) -> None:
    """N-20: without price and currency, which the official route then omits."""
    order = nested_order(api, guest)
    assert not {"totalPrice", "price", "currencyCode", "status"} & set(order)
    official = checked_body(api.get(order["href"]), 200)
    assert not {"price", "currencyCode", "status"} & set(official)
    for field in NESTED:
        body = {name: value for name, value in NESTED.items() if name != field}
        answer = api.post(orders_of(guest), json=body)
        assert (answer.status_code, answer.json()) == (400, absent(field))


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("status", "CANCELLED", "not a valid value"),
        ("status", "PURCHASED", "not a valid value"),
        ("currencyCode", "euro", "not a valid value"),
        ("totalPrice", "1", "must be a number"),
    ],
)
def test_a_wrong_value_is_refused(
    api: Api, guest: dict[str, Any], field: str, value: Any, reason: str
) -> None:
    """Table 3.1: seed 000's words only."""
    answer = api.post(orders_of(guest), json={**NESTED, field: value})
    assert (answer.status_code, answer.json()) == (400, invalid(field, reason))


def test_what_the_body_cannot_carry_is_ignored(api: Api, guest: dict[str, Any]) -> None:
    """Table 3.1, C-10: items, contacts and the official fields that seed 000 lacks."""
    order = nested_order(api, guest, items=[1], contacts=[], channel="SHOP", orderRef=NOBODY)
    assert order["orderRef"] != NOBODY
    assert "channel" not in checked_body(api.get(order["href"]), 200)


@pytest.mark.parametrize(
    ("payload", "official"),
    [
        ("PENDING", "PENDING"),
        ("CONFIRMED", "CONFIRMED"),
        ("SHIPPED", "SHIPPED"),
        ("DELIVERED", "DELIVERED"),
        ("CANCELED", "CANCELLED"),
    ],
)
def test_each_status_is_stored_in_official_words(
    api: Api, guest: dict[str, Any], payload: str, official: str
) -> None:
    """N-17: in."""
    order = nested_order(api, guest, status=payload)
    assert order["status"] == payload
    assert checked_body(api.get(order["href"]), 200)["status"] == official
    # Stored, it lasts over an official patch of something else (section 5.1).
    assert checked_body(api.patch(order["href"], json={"price": 1}), 200)["status"] == official


@pytest.mark.parametrize(
    ("official", "expected"),
    [
        ("CANCELLED", "CANCELED"),
        ("PURCHASED", "CONFIRMED"),
        ("PARTIALY_CONFIRMED", "CONFIRMED"),
        ("PAYMENT_PENDING", "PENDING"),
        ("RESERVED", "PENDING"),
        *((word, None) for word in ("BROWSED", "DECLINED", "REFUNDED", "PARTIALY_REFUNDED")),
        *((word, None) for word in ("SEARCHED", "UNKNOWN")),
    ],
)
def test_official_words_are_shown_in_seed_000s(
    api: Api, guest: dict[str, Any], official: str, expected: str | None
) -> None:
    """N-17: out, and a PUT that sends the word shown, or none, keeps the stored one."""
    order = new_order(api, status=official)
    new_person(api, order, "contacts", guest={"href": guest["href"]})
    path = f"{orders_of(guest)}/{order['ref']}"
    assert checked_body(api.get(path), 200).get("status") == expected
    body = {name: ORDER[name] for name in ("referenceId", "orderedAt")}
    response = checked_body(
        api.put(path, json={**body, **({"status": expected} if expected else {})}), 200
    )
    assert response.get("status") == expected
    assert checked_body(api.get(order["href"]), 200)["status"] == official
    changed = checked_body(api.put(path, json={**body, "status": "SHIPPED"}), 200)
    assert changed["status"] == "SHIPPED"
    cleared = checked_body(api.put(path, json=body), 200)
    assert "status" not in cleared


def test_orders_are_listed_as_an_array(api: Api, guest: dict[str, Any]) -> None:
    """T13, N-18, NU-1, NU-2: all of them, whole, the newest last; paged when asked."""
    refs = {}
    for day in (3, 1, 2):
        instant = f"2025-02-0{day}T00:00:00.000Z"
        refs[day] = nested_order(api, guest, referenceId=str(day), orderedAt=instant)
    for number in range(12):
        nested_order(api, guest, referenceId=f"later {number}", orderedAt="2025-03-01")
    other = api.guest()
    nested_order(api, other, referenceId="other")
    order = api.get(orders_of(guest)).json()
    assert len(order) == 15
    assert order[:3] == [refs[1], refs[2], refs[3]]
    paged = api.get(f"{orders_of(guest)}?offset=1&limit=2").json()
    assert paged == [refs[2], refs[3]]
    assert api.get(f"{orders_of(api.guest())}").json() == []
    assert api.get(f"{orders_of(guest)}?limit=0").status_code == 400


def test_a_whole_order_is_fetched(api: Api, guest: dict[str, Any]) -> None:
    """T15, table 3.1: items as an array, contacts, consumers and extensions embedded."""
    order = nested_order(api, guest)
    path = f"{orders_of(guest)}/{order['ref']}"
    item = checked_body(api.post(f"{path}/items", json={"sku": "S", "quantity": 2}))
    checked_body(api.post(f"{order['href']}/extensions/ext", json={"a": 1}))
    whole = checked_body(api.get(path), 200)
    assert whole["items"] == [item]
    assert [guest_of(contact) for contact in whole["contacts"]["items"]] == [guest["ref"]]
    assert whole["consumers"]["items"] == []
    assert whole["dataExtensions"]["items"][0]["a"] == 1
    assert whole["orderItems"] == {"href": f"{order['href']}/orderItems"}
    (listed,) = api.get(orders_of(guest)).json()
    assert (listed["items"], listed["contacts"]) == ([item], {"href": f"{order['href']}/contacts"})


def test_an_order_of_two_days_is_one(api: Api, guest: dict[str, Any]) -> None:
    """N-21: whoever's it is; the guest of the path is added as a contact once."""
    order = new_order(api)
    contact = new_person(api, order, "contacts")
    body = {"referenceId": ORDER["referenceId"], "orderedAt": "2025-12-20", "totalPrice": 7}
    for _ in range(2):
        again = checked_body(api.post(orders_of(guest), json=body))
        assert (again["ref"], again["price"], again["currencyCode"]) == (order["ref"], 7, "EUR")
    people = api.get(f"{order['href']}/contacts?expand=true").json()["items"]
    assert [guest_of(person) for person in people] == [guest_of(contact), guest["ref"]]


def test_a_replace_keeps_what_it_cannot_carry(api: Api, guest: dict[str, Any]) -> None:
    """T16, N-22: price and currency are cleared; both fixed fields are needed, and fixed."""
    order = checked_body(api.post("/v2.1/orders", json=WHOLE_ORDER))
    new_person(api, order, "contacts", guest={"href": guest["href"]})
    path = f"{orders_of(guest)}/{order['ref']}"
    body = {name: ORDER[name] for name in ("referenceId", "orderedAt")}
    checked_body(api.put(path, json={**body, "status": "CONFIRMED"}), 200)
    after = checked_body(api.get(order["href"]), 200)
    expected = {**WHOLE_ORDER}
    del expected["price"], expected["currencyCode"]
    assert {name: after[name] for name in expected} == expected
    assert not {"price", "currencyCode"} & set(after)
    for field in body:
        answer = api.put(path, json={name: body[name] for name in body if name != field})
        assert (answer.status_code, answer.json()) == (400, absent(field))
    for field, value in (("referenceId", "2"), ("orderedAt", "2026-01-01")):
        answer = api.put(path, json={**body, field: value})
        assert (answer.status_code, answer.json()) == (400, invalid(field, "cannot be updated"))


def test_a_delete_takes_the_parts_too(api: Api, guest: dict[str, Any]) -> None:
    """T17, N-23: 204, and the guest stays."""
    order = nested_order(api, guest)
    item = checked_body(
        api.post(f"{orders_of(guest)}/{order['ref']}/items", json={"sku": "S", "quantity": 1})
    )
    answer = api.delete(f"{orders_of(guest)}/{order['ref']}")
    assert (answer.status_code, answer.content) == (204, b"")
    for each in (order["href"], item["href"], f"{orders_of(guest)}/{order['ref']}"):
        assert api.get(each).status_code == 404
    assert api.get(guest["href"]).status_code == 200


def test_what_does_not_belong_together_is_not_found(api: Api, guest: dict[str, Any]) -> None:
    """N-24: unknown guest, unknown order, and an order of somebody else."""
    order = new_order(api)
    body = {name: ORDER[name] for name in ("referenceId", "orderedAt")}
    missing = f"Order with ref {order['ref']} for client key {api.client_key} was not found"
    for who, expected in (
        (guest["ref"], problem(404, "The specified resource does not exist.", missing)),
        (NOBODY, no_guest(api, NOBODY)),
    ):
        path = f"/v2.1/guests/{who}/orders/{order['ref']}"
        answers = [api.get(path), api.put(path, json=body), api.delete(path)]
        answers += [api.get(f"{path}/items")]
        answers += [api.post(f"{path}/items", json={"sku": "S", "quantity": 1})]
        assert [answer.status_code for answer in answers] == [404] * 5
        assert answers[0].json() == answers[2].json() == answers[3].json() == expected
    assert api.get(f"/v2.1/guests/{NOBODY}/orders").json() == no_guest(api, NOBODY)
    answer = api.post(f"/v2.1/guests/{NOBODY}/orders", json=NESTED)
    assert (answer.status_code, answer.json()) == (404, no_guest(api, NOBODY))
    assert refs_in(api.get("/v2.1/orders?referenceId=N-1")) == []
    assert api.get(f"{orders_of(guest)}/{NOBODY}").status_code == 404


def test_a_patch_is_not_defined(api: Api, guest: dict[str, Any]) -> None:
    """N-25."""
    order = nested_order(api, guest)
    assert api.patch(f"{orders_of(guest)}/{order['ref']}", json={}).status_code == 405


# Items


def test_an_item_is_created(api: Api, guest: dict[str, Any]) -> None:
    """T18, T19, table 3.2: sku is productId; the line's total is decimal."""
    order = nested_order(api, guest, status="SHIPPED", currencyCode="EUR")
    path = f"{orders_of(guest)}/{order['ref']}/items"
    item = checked_body(api.post(path, json={"sku": "S-1", "quantity": 3, "price": 0.1}))
    href = f"{api.url}/v2.1/orderItems/{item['ref']}"
    assert item == {
        "ref": item["ref"],
        "itemRef": item["ref"],
        "href": href,
        "sku": "S-1",
        "productId": "S-1",
        "quantity": 3,
        "price": 0.1,
        "totalPrice": 0.3,
        "createdAt": item["createdAt"],
        "modifiedAt": item["createdAt"],
        "order": {"href": order["href"]},
        "dataExtensions": {"href": f"{href}/extensions"},
    }
    named = checked_body(api.post(path, json={"sku": "S-2", "quantity": 1, "name": "Two"}))
    assert (named["name"], "totalPrice" in named) == ("Two", False)
    assert api.get(path).json() == [item, named]


def test_the_other_family_reads_defaults(api: Api, guest: dict[str, Any]) -> None:
    """Table 3.2, last column: name, type, status and currencyCode."""
    bare, whole = (
        nested_order(api, guest),
        nested_order(api, guest, referenceId="2", **{"status": "CANCELED", "currencyCode": "USD"}),
    )
    records = {}
    for order in (bare, whole):
        path = f"{orders_of(guest)}/{order['ref']}/items"
        item = checked_body(api.post(path, json={"sku": "S", "quantity": 1}))
        records[order["referenceId"]] = checked_body(api.get(item["href"]), 200)
    first, second = records["N-1"], records["2"]
    assert (first["name"], first["type"], first["status"]) == ("S", "OTHER", "CONFIRMED")
    assert "currencyCode" not in first
    assert (second["status"], second["currencyCode"]) == ("CANCELLED", "USD")
    assert "price" not in second


def test_an_official_item_is_shown_nested(api: Api, guest: dict[str, Any]) -> None:
    """Table 3.2: without sku and quantity where it has none."""
    order = nested_order(api, guest)
    new_item(api, order)
    (item,) = api.get(f"{orders_of(guest)}/{order['ref']}/items").json()
    assert (item["name"], item["price"]) == (ITEM["name"], 105)
    assert not {"sku", "quantity", "totalPrice", "type", "status"} & set(item)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"quantity": 1}, absent("sku")),
        ({"sku": "S"}, absent("quantity")),
        ({"sku": "S", "quantity": 0}, invalid("quantity", "must be greater than or equal to 1")),
        ({"sku": "S", "quantity": 1.5}, invalid("quantity", "must be an integer")),
        ({"sku": 5, "quantity": 1}, invalid("sku", "must be a string")),
    ],
)
def test_a_wrong_item_is_refused(
    api: Api, guest: dict[str, Any], fields: dict[str, Any], expected: dict[str, Any]
) -> None:
    """Table 3.2."""
    path = f"{orders_of(guest)}/{nested_order(api, guest)['ref']}/items"
    answer = api.post(path, json=fields)
    assert (answer.status_code, answer.json()) == (400, expected)


@pytest.mark.parametrize("key", ["open", "official"])
def test_every_key_is_served_alike(api: Api, official: Api, key: str) -> None:
    """README: compatibility never touches orders."""
    caller = {"open": api, "official": official}[key]
    guest = caller.guest()
    order = nested_order(caller, guest, status="CANCELED")
    assert order["status"] == "CANCELED"
    assert isinstance(caller.get(orders_of(guest)).json(), list)
    assert caller.delete(f"{orders_of(guest)}/{order['ref']}").status_code == 204
