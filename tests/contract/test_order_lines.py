"""F3: two lines of an order are two items, by every way in, and sent again they change nothing."""

import gzip
import json
from typing import Any

import pytest
from batching import Batches, record
from calling import Api
from ordering import ITEM, WHOLE_ITEM, checked_body, new_order
from profiles import each_day
from sites import Site
from streams import JANE, Page, product
from test_batch_records import item, order
from test_files_api import imported

EXTENSION = {"name": "ext", "key": "default"}


@pytest.fixture
def batches(api: Api, site: Site) -> Batches:
    return Batches(api, site.settings)


@pytest.fixture
def page(api: Api) -> Page:
    result = Page(api)
    result("IDENTITY", **JANE)
    return result


def the_order(api: Api) -> dict[str, Any]:
    """The only order, as it is shown."""
    (listed,) = api.get("/v2.1/orders").json()["items"]
    return dict(api.get(f"/v2.1/orders/{listed['ref']}", params={"expand": "true"}).json())


def items_of(api: Api) -> list[dict[str, Any]]:
    """The items of the only order, each with its extension's pair `seat`."""
    items: list[dict[str, Any]] = the_order(api)["orderItems"]["items"]
    for one in items:
        answer = api.get(f"/v2.1/orderItems/{one['ref']}/extensions/ext")
        one["seat"] = answer.json()["seat"] if answer.status_code == 200 else None
    return items


def seats(api: Api) -> list[tuple[Any, Any]]:
    return [(one.get("referenceId"), one["seat"]) for one in items_of(api)]


def seat(number: int) -> list[dict[str, Any]]:
    return [{**EXTENSION, "seat": number}]


LINES = [
    [{"orderedAt": "2026-11-21T10:00:00.000Z", "seat": 1}, {"seat": 1}],
    [{"seat": 1}, {"seat": 2}],
    [{"referenceId": "L-1", "seat": 1}, {"referenceId": "L-1", "seat": 2}],
    [{"referenceId": "L-1", "seat": 1}, {"seat": 2}, {"seat": 2}],
]


@pytest.mark.parametrize("lines", LINES)
def test_f3_in_a_batch(batches: Batches, lines: list[dict[str, Any]]) -> None:
    """Issue F3: equal lines, and lines of one referenceId, are items with their own extensions."""
    payloads = [
        {
            **{name: value for name, value in item().items() if name != "referenceId"},
            **{name: value for name, value in line.items() if name != "seat"},
            "extensions": seat(line["seat"]),
        }
        for line in lines
    ]
    expected = [(line.get("referenceId"), line["seat"]) for line in lines]
    assert batches.apply(record("order", "insert", order(orderItems=payloads))) == []
    before = items_of(batches.api)
    assert seats(batches.api) == expected
    # Again, and in another order.
    for again in (payloads, payloads[::-1]):
        batches.apply(record("order", "insert", order(orderItems=again)))
        assert items_of(batches.api) == before
    # Twice in one file is once again.
    value = order("ORDER-1", orderItems=payloads)
    batches.apply(record("order", "insert", value), record("order", "insert", value))
    assert items_of(batches.api) == before


@pytest.mark.parametrize("lines", LINES)
def test_f3_in_an_order_checkout(page: Page, lines: list[dict[str, Any]]) -> None:
    payloads = [
        {
            "name": "Ticket",
            **{name: value for name, value in line.items() if name != "seat"},
            "extensions": seat(line["seat"]),
        }
        for line in lines
    ]
    whole = {
        "referenceId": "O-1",
        "orderedAt": "2026-11-20T10:00:00.000Z",
        "status": "PURCHASED",
        "currencyCode": "EUR",
        "price": 42.50,
    }
    page("ORDER_CHECKOUT", order={**whole, "orderItems": payloads})
    before, as_it_was = items_of(page.api), the_order(page.api)
    assert seats(page.api) == [(line.get("referenceId"), line["seat"]) for line in lines]
    for again in (payloads, payloads[::-1]):
        page("ORDER_CHECKOUT", order={**whole, "orderItems": again})
        assert items_of(page.api) == before
        assert the_order(page.api) == as_it_was
    # A line without a match is new, what is not sent stays.
    page("ORDER_CHECKOUT", order={**whole, "orderItems": [{"name": "Ribbon"}]})
    assert items_of(page.api)[:-1] == before
    assert items_of(page.api)[-1]["name"] == "Ribbon"


def test_f3_lines_of_a_cart(page: Page) -> None:
    """stream-api.md 4.2 row ADD: two item_ids are two lines, though all else is equal."""
    same = {"name": "Dress", "productId": "P", "referenceId": "R"}
    for _ in range(2):
        page("ADD", product=product("1", 3, **same))
        page("ADD", product=product("2", 3, **same))
        page("ADD", product=product("2", 4, **same))
        page("CHECKOUT", reference_id="B-1", status="PURCHASED")
        assert [(one["referenceId"], one["price"]) for one in items_of(page.api)] == [
            ("R", 3),
            ("R", 4),
        ]
    assert the_order(page.api)["price"] == 7


def test_f3_a_checkout_sent_again_finds_an_empty_cart(page: Page) -> None:
    """Issue F3: a retry changes nothing, neither the price nor whose order it is."""
    page("ADD", product=product("1", 3))
    page(
        "ADD_CONTACTS", contact=[{"firstname": "Ann", "lastname": "Poe", "email": "a@poe.example"}]
    )
    for _ in range(3):
        page("CHECKOUT", reference_id="B-1", status="PURCHASED", currency="USD")
        stored_order = the_order(page.api)
        assert (stored_order["price"], stored_order["currencyCode"]) == (3, "EUR")
        assert len(stored_order["orderItems"]["items"]) == 1
        assert [one["firstName"] for one in stored_order["contacts"]["items"]] == ["Ann"]


def test_f3_posting_an_item_always_creates(api: Api) -> None:
    """Issue F3: the rule is for messages that carry an order with its lines."""
    stored_order = new_order(api)
    for _ in range(2):
        checked_body(api.post(f"/v2.1/orders/{stored_order['ref']}/orderItems", json=WHOLE_ITEM))
        checked_body(api.post(f"/v2/orders/{stored_order['ref']}/orderItems", json={**ITEM, **V2}))
    guest = api.guest()
    api.post(
        f"/v2.1/orders/{stored_order['ref']}/contacts", json={"guest": {"href": guest["href"]}}
    )
    nested = f"/v2.1/guests/{guest['ref']}/orders/{stored_order['ref']}/items"
    for _ in range(2):
        checked_body(api.post(nested, json={"sku": "S", "quantity": 1}))
    assert len(items_of(api)) == 6


def test_f3_an_order_that_is_posted_again_is_not_modified(api: Api) -> None:
    """rest-v2.1.md O-3: it is the same order; without a change nothing changes."""
    first = new_order(api, channel="WEB")
    again = new_order(api, channel="WEB")
    assert (again["ref"], again["modifiedAt"]) == (first["ref"], first["modifiedAt"])
    changed = new_order(api, channel="OTHER")
    assert (changed["ref"], changed["channel"]) == (first["ref"], "OTHER")
    assert changed["modifiedAt"] > first["modifiedAt"]


V2 = {"type": "OTHER", "productId": "P", "referenceId": "AAAAA-134"}

EQUAL_LINES = b"""\
Order Number,Order Status,Order Date,Email (Billing),Order Total Amount,Order Currency,SKU,\
Item Name,Quantity,Item Cost
1001,completed,2026-02-20 10:00:00,ada@example.com,60.00,EUR,TEE-1,Classic Tee,1,30.00
1001,completed,2026-02-20 10:00:00,ada@example.com,60.00,EUR,TEE-1,Classic Tee,1,30.00
"""
MAPPING = {
    "columns": {
        "Order Number": "referenceId",
        "Email (Billing)": ["contact.email", "contact.identifiers.email"],
        "Order Status": "status",
        "Order Date": "orderedAt",
        "Order Currency": ["currencyCode", "orderItems.currencyCode"],
        "Order Total Amount": "price",
        "Quantity": "orderItems.quantity",
        "Item Name": ["orderItems.name", "orderItems.description"],
        "Item Cost": "orderItems.price",
        "SKU": "orderItems.productId",
    },
    "values": {"Order Status": {"completed": "PURCHASED", "refunded": "REFUNDED"}},
    "constants": {
        "channel": "WEB",
        "pointOfSale": "default",
        "paymentType": "Other",
        "orderItems.type": "PRODUCT",
        "orderItems.vendor": "shop",
    },
}


@pytest.mark.parametrize("chunk", each_day((1, 1000), 1000))
def test_f3_rows_of_a_table(batches: Batches, monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    """Issue F3, the file equal_lines.csv: one order, two items, 60.00; imported twice: the same.

    However many records share a transaction."""
    monkeypatch.setattr("innkeeper.wire.bulk.batch_files.CHUNK", chunk)
    batches.by_worker = True
    body = {"entity": "orders", "format": "csv", "compressed": False, "mapping": MAPPING}
    rehearsed = imported(batches, {**body, "dryRun": True}, EQUAL_LINES)
    first = imported(batches, body, EQUAL_LINES)
    assert first["outcomes"] == {"created": 1, "updated": 1}
    assert rehearsed["outcomes"] == first["outcomes"]
    stored_order, items = the_order(batches.api), items_of(batches.api)
    assert (stored_order["price"], stored_order["currencyCode"]) == (60, "EUR")
    assert [(one["productId"], one["price"], one["quantity"]) for one in items] == [
        ("TEE-1", 30, 1)
    ] * 2
    again = imported(batches, body, EQUAL_LINES)
    assert again["outcomes"] == {"unchanged": 2}
    assert (the_order(batches.api), items_of(batches.api)) == (stored_order, items)
    # One more in the file is one more item, wherever it stands.
    more = EQUAL_LINES + EQUAL_LINES.splitlines(keepends=True)[-1]
    assert imported(batches, body, more)["outcomes"] == {"unchanged": 2, "updated": 1}
    assert len(items_of(batches.api)) == 3


def test_f3_lines_of_json_are_whole_orders(batches: Batches) -> None:
    """Issue F3: a line of NDJSON is a message of its own, and a repeat of it changes nothing."""
    batches.by_worker = True
    line = {name: value for name, value in item().items() if name != "referenceId"}
    content = b"".join(
        json.dumps(order(orderItems=lines)).encode() + b"\n" for lines in ([line, line], [line])
    )
    done = imported(batches, {"entity": "orders"}, gzip.compress(content))
    assert done["outcomes"] == {"created": 1, "unchanged": 1}
    assert len(items_of(batches.api)) == 2


def test_f3_a_consumer_uses_the_line_of_its_own_message(batches: Batches) -> None:
    """batch-api.md 8: consumers name items by referenceId; of several, the first of the record."""
    payloads = [item("L-1", price=1), item("L-1", price=2)]
    consumer = {"firstName": "Tom", "lastName": "Doe", "orderItems": [{"referenceId": "L-1"}]}
    value = order(orderItems=payloads, consumers=[consumer])
    for _ in range(2):
        assert batches.apply(record("order", "insert", value)) == []
        stored_order = the_order(batches.api)
        consumers = batches.api.get(f"{stored_order['href']}/consumers?expand=true").json()["items"]
        (used,) = consumers[0]["orderItems"]["items"]
        assert used["href"] == stored_order["orderItems"]["items"][0]["href"]
        assert stored_order["orderItems"]["items"][0]["price"] == 1
