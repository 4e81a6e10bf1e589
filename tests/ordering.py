"""What tests of orders share: bodies that each dialect takes, and how to create with them."""

from typing import Any

import httpx
from calling import Api

ORDERED_AT = "2025-12-19T12:07:18.149Z"

ORDER: dict[str, Any] = {
    "referenceId": "B94TXY-1",
    "orderedAt": ORDERED_AT,
    "currencyCode": "EUR",
    "price": 12,
}
"""The least that v2.1 takes."""

WHOLE_ORDER: dict[str, Any] = {
    **ORDER,
    "paymentType": "Card",
    "cardType": "Visa",
    "pointOfSale": "spinair.com/france",
    "channel": "WEB",
    "status": "PURCHASED",
}

ITEM: dict[str, Any] = {
    "name": "Mobile AZ10",
    "type": "MOBILE",
    "price": 105,
    "currencyCode": "EUR",
    "status": "CONFIRMED",
}
"""The least that v2.1 takes."""

WHOLE_ITEM: dict[str, Any] = {
    **ITEM,
    "description": "Mobile AZ10 description",
    "productId": "1233-44",
    "originalPrice": 110,
    "originalCurrencyCode": "USD",
    "referenceId": "AAAAA-134",
    "vendor": "Vendor XYZ",
    "language": "EN",
    "quantity": 1,
    "channel": "WEB",
}

V2_ITEM: dict[str, Any] = {
    "type": "FLIGHT",
    "status": "PURCHASED",
    "currencyCode": "EUR",
    "price": -45,
    "productId": "DUB-LHR-DUB",
    "referenceId": "1",
}
"""The least that v2 takes."""

PERSON: dict[str, Any] = {
    "firstName": "Jane",
    "lastName": "Doe",
    "emails": ["jane.doe@example.com"],
    "identifiers": [{"provider": "email", "id": "jane.doe@example.com"}],
}

PARTS = ("contacts", "consumers", "orderItems")


def checked_body(answer: httpx.Response, status: int = 201) -> dict[str, Any]:
    """The body of an answer of that status; a create names where it stands (CT-7)."""
    assert answer.status_code == status, answer.text
    body: dict[str, Any] = answer.json()
    if status == 201:
        assert answer.headers["location"] == body["href"]
    return body


def new_order(api: Api, **fields: Any) -> dict[str, Any]:
    return checked_body(api.post("/v2.1/orders", json={**ORDER, **fields}))


def new_item(api: Api, order: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return checked_body(
        api.post(f"/v2.1/orders/{order['ref']}/orderItems", json={**ITEM, **fields})
    )


def new_person(api: Api, order: dict[str, Any], kind: str, **fields: Any) -> dict[str, Any]:
    """A contact or consumer (`kind` is `contacts` or `consumers`), as it is shown."""
    body = fields or PERSON
    return checked_body(api.post(f"/v2.1/orders/{order['ref']}/{kind}", json=body))


def guest_of(person: dict[str, Any]) -> str:
    """The ref of the guest that a contact or consumer is linked to (P-2)."""
    return str(person["guest"]["href"].rpartition("/")[2])


def refs_in(answer: httpx.Response) -> list[str]:
    """The refs of a list's items, in order, from their links."""
    assert answer.status_code == 200, answer.text
    return [item["href"].rpartition("/")[2] for item in answer.json()["items"]]


def own_fields(body: dict[str, Any], *added: str) -> dict[str, Any]:
    """What the caller told of a resource, without what the server adds."""
    server = {"ref", "href", "createdAt", "modifiedAt", "order", "guest", "dataExtensions", *PARTS}
    return {name: value for name, value in body.items() if name not in {*server, *added}}
