"""Orders over v2.1: operations O1 to O6, rules O-1 to O-11 (rest-v2.1.md 5)."""

import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest
from calling import NOBODY, Api, absent, invalid, problem
from ordering import (
    ORDER,
    ORDERED_AT,
    PARTS,
    PERSON,
    WHOLE_ORDER,
    checked_body,
    guest_of,
    new_item,
    new_order,
    new_person,
    own_fields,
    refs_in,
)

INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z")
_STATUSES = (
    "BROWSED CANCELLED CONFIRMED DECLINED PARTIALY_CONFIRMED PARTIALY_REFUNDED "
    "PAYMENT_PENDING PENDING PURCHASED REFUNDED RESERVED SEARCHED UNKNOWN"
)
STATUSES = _STATUSES.split()
_CHANNELS = "WEB MOBILE_WEB MOBILE_APP CALL_CENTER AIRPORT_KIOSK BRANCH KIOSK OFFLINE GDS OTA OTHER"
CHANNELS = _CHANNELS.split()


def no_order(api: Api, ref: str) -> dict[str, Any]:
    text = f"Order with ref {ref} for client key {api.client_key} was not found"
    return problem(404, "The specified resource does not exist.", text)


# Create


def test_an_order_is_created_with_every_field(api: Api) -> None:
    """O1, O-9, C-4 to C-8: 201 with all that was sent; no guest, no part yet."""
    order = checked_body(api.post("/v2.1/orders", json=WHOLE_ORDER))
    base = f"{api.url}/v2.1/orders/{UUID(order['ref'])}"
    assert INSTANT.fullmatch(order["createdAt"])
    assert order == {
        **WHOLE_ORDER,
        "ref": order["ref"],
        "href": base,
        "createdAt": order["createdAt"],
        "modifiedAt": order["createdAt"],
        **{part: {"href": f"{base}/{part}", "items": []} for part in PARTS},
        "dataExtensions": {"href": f"{base}/extensions", "items": []},
    }
    assert api.get("/v2.1/guests").json()["totalCount"] == 0


def test_an_order_is_fetched_with_links_to_its_parts(api: Api) -> None:
    """O3: a member for each collection, none embedded."""
    order = new_order(api)
    fetched = checked_body(api.get(f"/v2.1/orders/{order['ref']}"), 200)
    base = order["href"]
    assert {name: fetched[name] for name in (*PARTS, "dataExtensions")} == {
        **{part: {"href": f"{base}/{part}"} for part in PARTS},
        "dataExtensions": {"href": f"{base}/extensions"},
    }
    assert own_fields(fetched) == ORDER


@pytest.mark.parametrize("field", ["referenceId", "orderedAt", "currencyCode", "price"])
def test_a_required_field_is_missed(api: Api, field: str) -> None:
    """Section 5.1: four fields make an order."""
    body = {name: value for name, value in ORDER.items() if name != field}
    answer = api.post("/v2.1/orders", json=body)
    assert (answer.status_code, answer.json()) == (400, absent(field))
    answer = api.post("/v2.1/orders", json={**ORDER, field: None})
    assert (answer.status_code, answer.json()) == (400, absent(field))


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("currencyCode", "eur", "not a valid value"),
        ("currencyCode", "XXQ", "not a valid value"),
        ("price", "12", "must be a number"),
        ("orderedAt", "yesterday", "must be an ISO 8601 date-time"),
        ("channel", "web", "not a valid value"),
        ("channel", "SHOP", "not a valid value"),
        ("status", "SHIPPED", "not a valid value"),
        ("status", "PARTIALLY_CONFIRMED", "not a valid value"),
        ("pointOfSale", 5, "must be a string"),
        ("referenceId", 7, "must be a string"),
    ],
)
def test_a_wrong_value_is_refused(api: Api, field: str, value: Any, reason: str) -> None:
    """Section 5.1, U-14: enums are closed, the vendor's misspellings are the words."""
    answer = api.post("/v2.1/orders", json={**ORDER, field: value})
    assert (answer.status_code, answer.json()) == (400, invalid(field, reason))


@pytest.mark.parametrize(
    ("field", "word"),
    [*(("status", word) for word in STATUSES), *(("channel", word) for word in CHANNELS)],
)
def test_every_documented_word_is_taken(api: Api, field: str, word: str) -> None:
    """Section 5.1: channel and status."""
    assert new_order(api, **{field: word})[field] == word


@pytest.mark.parametrize("price", ["12", "12.0", "12.50", "-45", "0.1", "30.6"])
def test_money_stays_what_it_was(api: Api, price: str) -> None:
    """Section 5.1: 12 is not 12.0, and 12.50 keeps its zero."""
    body = f'{{"referenceId":"M","orderedAt":"2025-01-01","currencyCode":"EUR","price":{price}}}'
    headers = {"content-type": "application/json"}
    order = checked_body(api.post("/v2.1/orders", content=body, headers=headers))
    text = api.get(f"/v2.1/orders/{order['ref']}").text
    assert f'"price":{price},' in text


def test_server_owned_members_are_ignored(api: Api) -> None:
    """C-9, C-10: createdAt and modifiedAt may be sent, and anything unknown."""
    order = new_order(api, createdAt="2001-01-01", modifiedAt="2001-01-01", ref=NOBODY, colour=1)
    assert order["ref"] != NOBODY
    assert order["createdAt"] > "2026"
    assert "colour" not in order
    assert new_order(api, referenceId="2", contacts=[], orderItems=5)["orderItems"]["items"] == []


def test_one_guest_may_be_linked_by_the_query(api: Api) -> None:
    """O-10: `guestRef` makes that guest a contact, once; an unknown one is 400."""
    guest = api.guest(firstName="Jane", lastName="Doe", gender="Female", email="jane@example.com")
    path = f"/v2.1/orders?guestRef={guest['ref']}"
    order = checked_body(api.post(path, json=ORDER))
    (contact,) = order["contacts"]["items"]
    assert guest_of(contact) == guest["ref"]
    assert own_fields(contact) == {
        "firstName": "Jane",
        "lastName": "Doe",
        "gender": "female",
        "emails": ["jane@example.com"],
    }
    again = checked_body(api.post(path, json=ORDER))
    assert again["ref"] == order["ref"]
    assert len(again["contacts"]["items"]) == 1
    assert api.get(f"/v2.1/guests/{guest['ref']}").json()["guestType"] == "customer"
    for unknown in (NOBODY, "nobody"):
        answer = api.post(f"/v2.1/orders?guestRef={unknown}", json={**ORDER, "referenceId": "N"})
        assert (answer.status_code, answer.json()) == (
            400,
            invalid("guestRef", "not a valid value"),
        )
    assert api.get("/v2.1/orders?referenceId=N").json()["items"] == []


# One order within two days


@pytest.mark.parametrize(
    ("ordered_at", "same"),
    [
        ("2025-12-19T12:07:18.149Z", True),
        ("2025-12-21T12:07:18.149Z", True),
        ("2025-12-21T12:07:18.150Z", False),
        ("2025-12-17T12:07:18.149Z", True),
        ("2025-12-17T12:07:18.148Z", False),
        ("2025-12-21T13:07:18.149+01:00", True),
        ("2024-12-19T12:07:18.149Z", False),
    ],
)
def test_an_order_within_two_days_is_the_same(api: Api, ordered_at: str, same: bool) -> None:
    """O-1 to O-3: 48 hours either way, both ends included; answers 201 with the first ref."""
    first = new_order(api)
    second = new_order(api, orderedAt=ordered_at, price=99)
    assert (second["ref"] == first["ref"]) is same
    assert second["price"] == 99
    if same:
        assert second["orderedAt"] == ORDERED_AT
        assert second["createdAt"] == first["createdAt"]
        assert second["modifiedAt"] >= first["modifiedAt"]


def test_another_reference_is_another_order(api: Api) -> None:
    """O-1: the reference is compared exactly, however long."""
    long = "x" * 8000
    refs = {new_order(api, referenceId=text)["ref"] for text in ("a", "A", "a ", long, long + "y")}
    assert len(refs) == 5
    assert new_order(api, referenceId=long)["ref"] in refs


def test_the_nearest_order_is_taken_then_the_oldest(api: Api) -> None:
    """O-2: several orders in reach."""
    first = new_order(api, orderedAt="2025-01-01T00:00:00Z")
    second = new_order(api, orderedAt="2025-01-04T00:00:00Z")
    assert new_order(api, orderedAt="2025-01-02T00:00:00Z")["ref"] == first["ref"]
    assert new_order(api, orderedAt="2025-01-03T00:00:00Z")["ref"] == second["ref"]
    assert new_order(api, orderedAt="2025-01-02T12:00:00Z")["ref"] == first["ref"]
    older = new_order(api, referenceId="2", orderedAt="2025-01-04T00:00:00Z")
    new_order(api, referenceId="2", orderedAt="2025-01-01T00:00:00Z")
    middle = new_order(api, referenceId="2", orderedAt="2025-01-02T12:00:00Z")
    assert middle["ref"] == older["ref"]


def test_a_match_updates_what_was_sent(api: Api) -> None:
    """O-3: fields not sent stay, null clears, parts stay and are shown."""
    order = new_order(api, cardType="Visa", channel="WEB")
    item = new_item(api, order)
    again = new_order(api, price=13, cardType=None, status="REFUNDED")
    assert own_fields(again) == {**ORDER, "price": 13, "channel": "WEB", "status": "REFUNDED"}
    assert [each["ref"] for each in again["orderItems"]["items"]] == [item["ref"]]
    assert api.get(f"/v2.1/orders/{order['ref']}").json()["price"] == 13


def test_64_creates_at_once_make_one_order(api: Api) -> None:
    """O-1 to O-3: whatever their instants within two days of each other."""

    def create(number: int) -> str:
        with api.another() as caller:
            body = {**ORDER, "orderedAt": f"2025-12-19T12:{number % 60:02}:00Z", "price": number}
            return str(checked_body(caller.post("/v2.1/orders", json=body))["ref"])

    with ThreadPoolExecutor(64) as pool:
        refs = set(pool.map(create, range(64)))
    assert len(refs) == 1
    assert refs_in(api.get("/v2.1/orders")) == [*refs]


# Update


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_what_makes_an_order_cannot_change(api: Api, method: str) -> None:
    """O-4, U-4: another referenceId or a far orderedAt is 400; a near one changes nothing."""
    order = new_order(api)
    path = f"/v2.1/orders/{order['ref']}"
    for field, value in (("referenceId", "B94TXY-2"), ("orderedAt", "2025-12-21T12:07:18.150Z")):
        answer = api.request(method, path, json={**ORDER, field: value})
        assert (answer.status_code, answer.json()) == (400, invalid(field, "cannot be updated"))
    answer = api.request(method, path, json={**ORDER, "orderedAt": "2025-12-21T12:07:18.149Z"})
    assert answer.json()["orderedAt"] == ORDERED_AT


def test_a_replace_clears_what_is_not_sent(api: Api) -> None:
    """O4, O-4, O-5: referenceId and orderedAt may be left out, price and currency not."""
    order = checked_body(api.post("/v2.1/orders", json=WHOLE_ORDER))
    path = f"/v2.1/orders/{order['ref']}"
    replaced = checked_body(api.put(path, json={"currencyCode": "USD", "price": 5}), 200)
    assert own_fields(replaced) == {**ORDER, "currencyCode": "USD", "price": 5}
    assert replaced == checked_body(api.get(path), 200)
    answer = api.put(path, json={"cardType": "Visa"})
    assert (answer.status_code, answer.json()) == (
        400,
        absent("currencyCode", "price: may not be null."),
    )


def test_a_patch_changes_what_is_sent(api: Api) -> None:
    """O5, O-5, C-11: a subset; null clears an optional field, not a required one."""
    order = checked_body(api.post("/v2.1/orders", json=WHOLE_ORDER))
    path = f"/v2.1/orders/{order['ref']}"
    patched = checked_body(api.patch(path, json={"status": "REFUNDED", "cardType": None}), 200)
    expected = {**WHOLE_ORDER, "status": "REFUNDED"}
    del expected["cardType"]
    assert own_fields(patched) == expected
    assert patched["modifiedAt"] >= order["modifiedAt"]
    assert own_fields(checked_body(api.patch(path, json={}), 200)) == expected
    answer = api.patch(path, json={"price": None})
    assert (answer.status_code, answer.json()) == (400, absent("price"))


# Lists


def test_all_orders_are_listed_oldest_first(api: Api) -> None:
    """O2, O-6, L-1, L-2, L-7, L-8, L-10: links of href and ref, no total."""
    refs = [new_order(api, referenceId=str(number))["ref"] for number in range(3)]
    first = api.get("/v2.1/orders?limit=2").json()
    page = f"{api.url}/v2.1/orders?offset=%d&limit=2"
    assert first == {
        "href": page % 0,
        "offset": 0,
        "limit": 2,
        "first": {"href": page % 0},
        "last": {"href": page % 2},
        "next": {"href": page % 2},
        "items": [{"href": f"{api.url}/v2.1/orders/{ref}", "ref": ref} for ref in refs[:2]],
    }
    last = api.get(first["next"]["href"]).json()
    assert [item["ref"] for item in last["items"]] == refs[2:]
    assert "next" not in last
    assert last["prev"] == {"href": page % 0}
    beyond = api.get("/v2.1/orders?offset=50").json()
    assert (beyond["items"], beyond["last"]["href"]) == (
        [],
        f"{api.url}/v2.1/orders?offset=0&limit=10",
    )


def test_orders_are_found_by_reference_and_guest(api: Api) -> None:
    """O-6, O-8, L-7: filters combine, and stand before the page in links."""
    one, two = new_order(api, referenceId="1"), new_order(api, referenceId="2")
    contact = new_person(api, one, "contacts")
    new_person(api, two, "consumers", guest=contact["guest"])
    guest = guest_of(contact)
    assert refs_in(api.get("/v2.1/orders?referenceId=2")) == [two["ref"]]
    assert refs_in(api.get(f"/v2.1/orders?guestRef={guest.upper()}")) == [one["ref"], two["ref"]]
    order = api.get(f"/v2.1/orders?guestRef={guest}&referenceId=1")
    assert refs_in(order) == [one["ref"]]
    query = f"guestRef={guest}&referenceId=1&offset=0&limit=10"
    assert order.json()["href"] == f"{api.url}/v2.1/orders?{query}"
    for nobody in (f"guestRef={NOBODY}", "guestRef=nobody", "referenceId=none", "referenceId=%00"):
        assert refs_in(api.get(f"/v2.1/orders?{nobody}")) == []


def test_orders_are_sorted(api: Api) -> None:
    """O-7: by creation, or with guestRef by when they were ordered."""
    late = new_order(api, referenceId="late", orderedAt="2025-02-01")
    early = new_order(api, referenceId="early", orderedAt="2025-01-01")
    guest = api.guest()
    for order in (late, early):
        new_person(api, order, "contacts", guest={"href": guest["href"]})
    by_guest = f"/v2.1/orders?guestRef={guest['ref']}&sort="
    assert refs_in(api.get(by_guest + "orderedAt")) == [early["ref"], late["ref"]]
    assert refs_in(api.get(by_guest + "orderedAt::DESC")) == [late["ref"], early["ref"]]
    assert refs_in(api.get("/v2.1/orders?sort=created::DESC")) == [early["ref"], late["ref"]]
    answer = api.get("/v2.1/orders?sort=orderedAt")
    assert (answer.status_code, answer.json()) == (
        400,
        invalid("sort", "orderedAt is only valid together with guestRef"),
    )
    assert api.get("/v2.1/orders?sort=price").status_code == 400
    assert api.get("/v2.1/orders?sort=created::down").status_code == 400


def test_expand_embeds_parts(api: Api) -> None:
    """L-9, section 5.1: all parts, or those named; full resources in envelopes."""
    order = new_order(api)
    path = f"/v2.1/orders/{order['ref']}"
    item, contact = new_item(api, order), new_person(api, order, "contacts")
    checked_body(api.post(f"{path}/extensions/ext", json={"firstTimeOrder": True}))
    whole = checked_body(api.get(f"{path}?expand=true"), 200)
    assert whole["orderItems"]["items"] == [item]
    assert whole["contacts"]["items"] == [contact]
    assert whole["consumers"]["items"] == []
    assert whole["dataExtensions"]["items"][0]["firstTimeOrder"] is True
    assert whole["orderItems"]["href"] == f"{api.url}{path}/orderItems?offset=0&limit=100"
    some = checked_body(api.get(f"{path}?expand=orderItems,nothing"), 200)
    assert some["orderItems"]["items"] == [item]
    assert some["contacts"] == {"href": f"{api.url}{path}/contacts"}
    (listed,) = api.get("/v2.1/orders?expand=true").json()["items"]
    assert listed == checked_body(api.get(path), 200)
    (listed,) = api.get("/v2.1/orders?expand=contacts").json()["items"]
    assert listed["contacts"]["items"] == [contact]


def test_embedded_parts_read_as_they_do_alone(api: Api) -> None:
    """5.1, P-6: instants, numbers as they were written, the items used in their order."""
    order = new_order(api)
    path = f"{api.url}/v2.1/orders/{order['ref']}"
    items = [new_item(api, order, orderedAt=f"2025-12-19T12:07:18.{ms}Z") for ms in ("000", "120")]
    money = b'{"name":"A","type":"BAG","price":12.50,"currencyCode":"EUR","status":"CONFIRMED"}'
    json = {"Content-Type": "application/json"}
    items.append(checked_body(api.post(f"{path}/orderItems", content=money, headers=json)))
    used = {"items": [{"href": item["href"]} for item in (items[1], items[0])]}
    consumer = new_person(api, order, "consumers", firstName="A", lastName="B", orderItems=used)
    answer = api.get(f"{path}?expand=true")
    assert answer.json()["orderItems"]["items"] == items
    assert answer.json()["consumers"]["items"] == [consumer]
    assert consumer["orderItems"] == used
    assert '"price":12.50' in answer.text


# Delete


def test_a_delete_takes_all_parts_with_it(api: Api) -> None:
    """O6, O-11, S-5: 204; the guests stay."""
    order = new_order(api)
    item, contact = new_item(api, order), new_person(api, order, "contacts")
    consumer = new_person(api, order, "consumers", **PERSON)
    path = f"/v2.1/orders/{order['ref']}"
    checked_body(api.post(f"{path}/extensions/ext", json={"a": 1}))
    answer = api.delete(path)
    assert (answer.status_code, answer.content) == (204, b"")
    deleted = [path, f"{path}/orderItems", f"{path}/contacts", f"{path}/consumers"]
    deleted += [f"{path}/extensions", f"{path}/extensions/ext", f"/v2.1/orderItems/{item['ref']}"]
    deleted += [f"/v2.1/orderContacts/{contact['ref']}", f"/v2.1/orderConsumers/{consumer['ref']}"]
    assert [api.get(each).status_code for each in deleted] == [404] * len(deleted)
    assert api.get(contact["guest"]["href"]).status_code == 200
    assert refs_in(api.get("/v2.1/orders")) == []
    assert new_order(api)["ref"] != order["ref"]


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("ref", [NOBODY, "nobody"])
def test_an_unknown_order_is_not_found(api: Api, method: str, ref: str) -> None:
    """errors.md 2: 404 whatever the ref looks like."""
    answer = api.request(method, f"/v2.1/orders/{ref}", json=ORDER if method[0] == "P" else None)
    assert (answer.status_code, answer.json()) == (404, no_order(api, ref))


def test_orders_of_another_workspace_are_unknown(api: Api, stranger: Api) -> None:
    """AU-3: and the same reference is another order there."""
    order = new_order(api)
    assert stranger.get(f"/v2.1/orders/{order['ref']}").status_code == 404
    assert new_order(stranger)["ref"] != order["ref"]


def test_segments_match_in_any_case(api: Api) -> None:
    """C-7: `orderitems` means `orderItems`."""
    order = new_order(api)
    assert api.get(f"/v2.1/ORDERS/{order['ref'].upper()}/orderitems").status_code == 200


# The guest's side


def test_guests_are_found_by_their_orders(api: Api) -> None:
    """G-8: orderRef and orderReferenceId, exactly."""
    order = new_order(api)
    contact = new_person(api, order, "contacts")
    other = new_person(api, order, "consumers", firstName="A", lastName="B")
    api.guest()
    refs = {guest_of(contact), guest_of(other)}
    for query in (f"orderRef={order['ref']}", "orderReferenceId=B94TXY-1"):
        assert set(refs_in(api.get(f"/v2.1/guests?{query}"))) == refs
    for query in (f"orderRef={NOBODY}", "orderRef=x", "orderReferenceId=b94txy-1"):
        assert refs_in(api.get(f"/v2.1/guests?{query}")) == []


def test_an_order_goes_with_its_only_contact(api: Api) -> None:
    """G-6, G-7: with another contact it stays and loses the guest's rows; else it goes."""
    shared, own = new_order(api, referenceId="shared"), new_order(api, referenceId="own")
    used = new_order(api, referenceId="used")
    contact = new_person(api, shared, "contacts")
    other = new_person(api, shared, "contacts", emails=["other@example.com"])
    guest = {"guest": contact["guest"]}
    new_person(api, shared, "consumers", **guest)
    new_person(api, own, "contacts", **guest)
    new_person(api, own, "consumers", firstName="A", lastName="B")
    new_person(api, used, "consumers", **guest)
    assert api.delete(contact["guest"]["href"]).status_code == 204
    assert refs_in(api.get("/v2.1/orders")) == [shared["ref"]]
    assert refs_in(api.get(f"/v2.1/orders/{shared['ref']}/contacts")) == [other["ref"]]
    assert refs_in(api.get(f"/v2.1/orders/{shared['ref']}/consumers")) == []
