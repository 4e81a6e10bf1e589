"""F16: the page of an order that lacks events of its cart."""

import re

from calling import Api
from streams import JANE, Page, product, quarantine
from visiting import Person


def test_f16_the_page_links_what_waits(api: Api, owner: Person) -> None:
    """Issue F16: marked; its quarantined parts are linked from the order's page, and replayed
    from there they come right."""
    page = Page(api)
    page("IDENTITY", **JANE)
    page("ADD", product=product("1", 1234.5), pos="screens")
    page("VIEW", pos="screens")
    page("CHECKOUT", reference_id="B-1", status="PURCHASED")
    ref = quarantine(api)[0]["orderRef"]
    text = owner.get(f"/orders/{ref}").text
    assert "incomplete" in text
    (link,) = re.findall(r'href="/w/live(/quarantine\?order=[^"]+)"', text)
    listed = owner.get(link).text
    assert listed.count('<details class="session">') == 1
    assert "Replay these 1" in listed
    response = api.post("/v2/tenants/points-of-sale", json={"name": "screens", "timeout": 30})
    assert response.status_code == 201
    try:
        answer = owner.post("/quarantine", order=ref)
        assert answer.status_code == 303
        assert answer.headers["location"].endswith(f"/quarantine?order={ref}")
    finally:
        api.delete("/v2/tenants/points-of-sale/screens")
    after = owner.get(f"/orders/{ref}").text
    assert "1,234.50 EUR" in after
    assert "incomplete" not in after
    # The view is none of the order's, and waits on.
    assert [one["type"] for one in quarantine(api)] == ["VIEW"]


def test_f16_an_order_without_a_price_shows_none(api: Api, owner: Person) -> None:
    guest = api.guest()
    body = {"referenceId": "N-1", "orderedAt": "2026-11-20T10:00:00Z"}
    record = api.post(f"/v2.1/guests/{guest['ref']}/orders", json=body).json()
    for path in (f"/orders/{record['ref']}", f"/guests/{guest['ref']}/orders"):
        assert "–" in owner.get(path).text
    assert owner.get("/quarantine?order=x").status_code == 404
