"""F4: what the page of a guest says was spent."""

import re
from typing import Any

from calling import Api, body_of
from visiting import Person


def order(api: Api, guest: dict[str, Any], reference: str, **fields: Any) -> dict[str, Any]:
    body = {"referenceId": reference, "orderedAt": "2026-11-20T10:00:00Z", "status": "PURCHASED"}
    response = body_of(api.post("/v2.1/orders", json={**body, "currencyCode": "EUR", **fields}))
    link = {"guest": {"href": guest["href"]}}
    body_of(api.post(f"/v2.1/orders/{response['ref']}/contacts", json=link))
    return response


def test_f4_the_page_of_a_guest(api: Api, owner: Person) -> None:
    """Issue F4: 200 and 100 with the 100 refunded is 200; a refund of its own is taken off."""
    guest = api.guest()

    def spent() -> list[str]:
        return re.findall(
            r"Spent.{0,80}?(-?[\d,.]+ EUR)", owner.get(f"/guests/{guest['ref']}").text
        )

    order(api, guest, "R-1", price=200)
    second = order(api, guest, "R-2", price=100)
    assert spent() == ["300.00 EUR"]
    body_of(api.patch(f"/v2.1/orders/{second['ref']}", json={"status": "REFUNDED"}))
    assert spent() == ["200.00 EUR"]
    order(api, guest, "R-3", price=-30, status="REFUNDED")
    assert spent() == ["170.00 EUR"]
