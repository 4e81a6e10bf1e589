"""What the vendor's pages show, run as they show it: every curl line with its placeholders filled
in, every example body, and the members of every answer they print.

Seed 001: orders and their data extensions. Seed 002: order items. Seed 003: order contacts of v2.
Seed 004: creating an order over v2.
"""

import json
import shutil
import subprocess
from dataclasses import dataclass
from typing import Any

import pytest
from calling import NOBODY, Api
from ordering import ITEM, PARTS, WHOLE_ITEM, checked_body, guest_of, new_item, new_order, refs_in
from waiting import PATIENCE_SECONDS

PAIRS = {"firstTimeOrder": True, "storeLocation": "London", "totalUnits": 8, "totalDiscount": "20%"}
"""Seed 001, the example of a request's body."""
EXTENSION = {"name", "href", "ref", "key", "createdAt", "modifiedAt", "order"}
"""Seed 001, the members of an extension beside its pairs."""
ITEM_MEMBERS = {
    *("ref", "href", "name", "description", "createdAt", "modifiedAt", "orderedAt", "type"),
    *("productId", "price", "currencyCode", "originalPrice", "originalCurrencyCode"),
    *("referenceId", "vendor", "status", "language", "quantity", "channel", "order"),
}
"""Seed 002, the members of an item."""
UNAUTHORIZED = {
    "status": "UNAUTHORIZED",
    "code": 401,
    "message": "Authentication credentials are required to access the resource. "
    "All requests must be authenticated.",
    "moreInfoUrl": "https://support.sitecore.com",
}
"""Seed 002, the one error it prints."""
V2_ORDER = {
    "pointOfSale": "spinair.com/france",
    "channel": "WEB",
    "currencyCode": "EUR",
    "price": 12,
    "orderedAt": "2025-12-19T12:07:18.149Z",
    "referenceId": "B94TXY-1",
    "paymentType": "Card",
    "cardType": "Visa",
    "status": "PURCHASED",
}
"""Seed 004, the body that is sent; the answer repeats it."""


@dataclass(frozen=True)
class Curl:
    """The vendor's command line, run for real: `curl -i -X METHOD -u … URL -H … -d …`."""

    api: Api

    def __call__(self, method: str, path: str, *more: str) -> tuple[int, Any]:
        """(status, decoded body) of the answer."""
        program = shutil.which("curl")
        assert program, "the vendor's examples are curl commands"
        login = f"{self.api.client_key}:{self.api.token}"
        command = [program, "-s", "-i", "-X", method, "-u", login, self.api.url + path, *more]
        done = subprocess.run(command, capture_output=True, check=True, timeout=PATIENCE_SECONDS)
        head, _, body = done.stdout.partition(b"\r\n\r\n")
        return int(head.split()[1]), json.loads(body) if body else None

    def with_json(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        return self(method, path, "-H", "Content-Type: application/json", "-d", json.dumps(body))


@pytest.fixture
def curl(api: Api) -> Curl:
    return Curl(api)


# Seed 001


def test_the_authentication_example_lists_orders(api: Api, curl: Curl) -> None:
    """`curl -X GET {baseURL}/v2.1/orders -u … -H Accept`."""
    order = new_order(api)
    status, page = curl("GET", "/v2.1/orders", "-H", "Accept: application/json")
    assert status == 200
    assert [item["ref"] for item in page["items"]] == [order["ref"]]


def test_get_started(api: Api, curl: Curl) -> None:
    """Steps 1 to 4: an order, its contact, the guest in `guest.href`, found by its ref."""
    body = {**V2_ORDER, "referenceId": "first"}
    status, order = curl.with_json("POST", "/v2.1/orders", body)
    assert status == 201
    person = {
        "firstName": "Jane",
        "lastName": "Doe",
        "identifiers": [{"provider": "email", "id": "jane.doe@example.com"}],
    }
    status, contact = curl.with_json("POST", f"/v2.1/orders/{order['ref']}/contacts", person)
    assert status == 201
    guest = contact["guest"]["href"].split("/")[-1]
    status, record = curl("GET", f"/v2.1/guests/{guest}")
    assert (status, record["firstName"], record["guestType"]) == (200, "Jane", "customer")
    assert refs_in(api.get(f"/v2.1/orders?guestRef={guest}")) == [order["ref"]]


def test_an_order_data_extension_through_its_life(api: Api, curl: Curl) -> None:
    """Every operation of the section: POST, GET, PUT, PATCH, DELETE fields, GET the URL, DELETE."""
    order = new_order(api)
    path = f"/v2.1/orders/{order['ref']}/extensions/ext"

    status, created = curl.with_json("POST", path, PAIRS)
    assert (status, set(created)) == (201, EXTENSION | set(PAIRS))
    assert created["href"] == api.url + path
    assert (created["name"], created["key"]) == ("ext", "default")
    assert {name: created[name] for name in PAIRS} == PAIRS

    status, fetched = curl("GET", path)
    assert (status, fetched) == (200, created)

    two = {"withWarranty": "yes", "color": "red", "storeLocation": "Dublin"}
    status, replaced = curl.with_json("PUT", path, two)
    assert (status, set(replaced)) == (200, EXTENSION | set(two))

    status, patched = curl.with_json("PATCH", path, {"totalUnits": 9})
    assert (status, set(patched)) == (200, EXTENSION | set(two) | {"totalUnits"})

    status, cleared = curl("DELETE", f"{path}/fields?name=withWarranty%2Ccolor")
    assert (status, set(cleared)) == (200, EXTENSION | {"storeLocation", "totalUnits"})
    status, cleared = curl("DELETE", f"{path}/fields?name=firstTimeOrder|storeLocation")
    assert (status, set(cleared)) == (200, EXTENSION | {"totalUnits"})

    query = "expand=true&limit=40&offset=0"
    status, page = curl("GET", f"/v2.1/orders/{order['ref']}/extensions?{query}")
    assert status == 200
    assert {"name", "offset", "limit", "first", "last", "href", "items", "order"} <= set(page)
    assert (page["name"], page["offset"], page["limit"]) == ("ext", 0, 40)
    assert page["href"] == api.url + path
    assert page["order"] == {"href": order["href"]}

    status, nothing = curl("DELETE", path)
    assert (status, nothing) == (200, None)
    assert curl("GET", path)[0] == 404


# Seed 002


def test_an_order_item_through_its_life(api: Api, curl: Curl) -> None:
    """Every operation of the section: POST, GET the list, GET, PUT, PATCH, DELETE."""
    order = new_order(api)
    items = f"/v2.1/orders/{order['ref']}/orderItems"

    status, item = curl.with_json("POST", items, WHOLE_ITEM)
    assert status in (200, 201)
    assert set(item) - {"dataExtensions"} == ITEM_MEMBERS
    assert {name: item[name] for name in WHOLE_ITEM} == WHOLE_ITEM
    path = f"/v2.1/orderItems/{item['ref']}"
    assert item["href"] == api.url + path

    status, page = curl("GET", f"{items}?expand=true&limit=40&offset=0")
    assert (status, page["items"]) == (200, [item])
    assert (page["offset"], page["limit"]) == (0, 40)
    status, page = curl("GET", items)
    assert page["href"] == f"{api.url}{items}?offset=0&limit=10"
    assert {"offset", "limit", "first", "last", "href", "items"} <= set(page)
    assert page["items"][0]["ref"] == item["ref"]

    status, fetched = curl("GET", f"{path}?expand=true")
    assert status in (200, 201)
    assert set(fetched) - {"dataExtensions"} == ITEM_MEMBERS

    for method in ("PUT", "PATCH"):
        status, written = curl.with_json(method, path, {**WHOLE_ITEM, "price": 99.9})
        assert status in (200, 201)
        assert set(written) - {"dataExtensions"} == ITEM_MEMBERS
        assert written["price"] == 99.9

    assert curl("DELETE", path) == (204, None)
    assert curl("GET", path)[0] == 404


def test_the_printed_error(anonymous: Api) -> None:
    """The answer to a DELETE without credentials."""
    answer = anonymous.delete(f"/v2.1/orderItems/{NOBODY}")
    assert answer.status_code == 401
    body = answer.json()
    assert {name: body[name] for name in UNAUTHORIZED} == UNAUTHORIZED
    assert "developerMessage" not in body


@pytest.mark.parametrize("missing", ["currencyCode", "name", "price", "status", "type"])
def test_what_is_marked_required_is(api: Api, missing: str) -> None:
    """And all else is optional."""
    order = new_order(api)
    new_item(api, order)
    body = {name: value for name, value in ITEM.items() if name != missing}
    assert api.post(f"/v2.1/orders/{order['ref']}/orderItems", json=body).status_code == 400


# Seed 003

TITLES = (
    *("Br", "Brigadier", "Capt", "Colonel", "Dame", "Dr", "Elder", "Fr", "General", "Hon"),
    *("Judge", "Lord", "Master", "Miss", "Mr", "Mrs", "Ms", "Mstr", "Prof", "Rabbi", "Rev"),
    *("Shaikha", "Sheikh", "Sir", "Sister", "Sr"),
)
ATTRIBUTES = [
    *(("title", title, title) for title in TITLES),
    ("firstName", "John", "John"),
    ("lastName", "Doe", "Doe"),
    *(("gender", word, word) for word in ("male", "female", "unknown")),
    ("dateOfBirth", "1985-12-24T00:00Z", "1985-12-24T00:00:00.000Z"),
    # The page's own addresses are hidden from crawlers: any will do.
    ("emails", ["john@example.com", "john.doe@example.com"], None),
    *(("nationality", word, word) for word in ("Irish", "British", "Spanish", "French")),
    *(("country", code, code) for code in ("IE", "GB", "ES", "FR")),
    ("passportNumber", "PZ4A9565", "PZ4A9565"),
    ("passportExpiry", "2025-01-01T00:00:00.000Z", "2025-01-01T00:00:00.000Z"),
    ("phoneNumbers", ["+353161123345"], None),
    (
        "identifiers",
        [{"provider": "ProfileSystem", "id": "B7524AE6-CF1C-440F-B1A2-0C9D42F5CB41"}],
        None,
    ),
    (
        "identifiers",
        [
            {
                "provider": "ProfileSystem",
                "id": "B7524AE6-CF1C-440F-B1A2-0C9D42F5CB41",
                "expiryDate": "2025-01-01T16:17:16.000Z",
            }
        ],
        None,
    ),
]


@pytest.mark.parametrize(("name", "payload", "expected"), ATTRIBUTES)
def test_an_attribute_of_an_order_contact(api: Api, name: str, payload: Any, expected: Any) -> None:
    """The tables of attributes, identifiers and standard response attributes."""
    order = checked_body(api.post("/v2/orders", json=V2_ORDER))
    body = {"firstName": "Jane", "lastName": "Roe", name: payload}
    contact = checked_body(api.post(f"/v2/orders/{order['ref']}/contacts", json=body))
    assert contact[name] == (payload if expected is None else expected)
    assert contact["href"] == f"{api.url}/v2/orderContacts/{contact['ref']}"
    assert {"createdAt", "modifiedAt"} <= set(contact)
    assert contact["order"] == {"href": order["href"]}
    assert contact["guest"] == {"href": f"{api.url}/v2/guests/{guest_of(contact)}"}
    assert checked_body(api.get(contact["href"]), 200) == contact


@pytest.mark.parametrize("missing", ["provider", "id"])
def test_an_identifier_needs_both(api: Api, missing: str) -> None:
    """The table of identifiers: provider and id are required, the date is not."""
    identifier = {"provider": "ProfileSystem", "id": "1"}
    del identifier[missing]
    order = checked_body(api.post("/v2/orders", json=V2_ORDER))
    body = {"firstName": "Jane", "lastName": "Roe", "identifiers": [identifier]}
    answer = api.post(f"/v2/orders/{order['ref']}/contacts", json=body)
    assert answer.status_code == 400
    assert answer.json()["message"] == f"identifiers[0].{missing}: may not be null."


# Seed 004


def test_an_order_is_created_over_v2(api: Api, curl: Curl) -> None:
    """Both printed bodies. The command names no Content-Type, so curl sends a form's (CT-3)."""
    body = json.dumps(V2_ORDER, indent=4)
    accept = ("-H", "Accept: application/json")
    status, order = curl("POST", "/v2/orders", *accept, "--data-raw", f"\n{body}")
    assert status == 201
    assert set(order) == {*V2_ORDER, "href", "ref", "createdAt", "modifiedAt", *PARTS}
    assert {name: order[name] for name in V2_ORDER} == V2_ORDER
    assert order["href"] == f"{api.url}/v2/orders/{order['ref']}"
    for part in PARTS:
        assert order[part]["items"] == []


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("pointOfSale", "spinflight.com"),
        ("pointOfSale", "spinair.com"),
        *(("currencyCode", code) for code in ("EUR", "NZD", "USD")),
        ("price", 50),
        ("price", 30.6),
        ("orderedAt", "2025-01-01T16:17:16.000Z"),
        ("referenceId", "B94TXY-1"),
    ],
)
def test_an_example_of_the_table(api: Api, field: str, value: Any) -> None:
    """The five attributes that are needed at a minimum, with each value it shows."""
    least = ("pointOfSale", "currencyCode", "price", "orderedAt", "referenceId")
    body = {name: V2_ORDER[name] for name in least}
    order = checked_body(api.post("/v2/orders", json={**body, field: value}))
    assert order[field] == value
