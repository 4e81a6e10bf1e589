"""The page of one guest: its tabs show what there is, and each state has an address."""

import re

import httpx
import pytest

MAIL = "tabs@example.com"
WHO = [{"provider": "email", "id": MAIL}]
COMMON = {"pos": "harbourandhill.com", "currency": "EUR", "language": "EN"}


@pytest.fixture(scope="module")
def guest(shop):
    """Two sessions, one on the web and one in the app, of which the first left a cart."""
    with httpx.Client(base_url=shop.url, auth=(shop.client_key, shop.token)) as api:
        body = {"guestType": "customer", "firstName": "Tabs", "email": MAIL, "identifiers": WHO}
        ref = api.post("/v2.1/guests", json=body).json()["ref"]
        ext = {"name": "ext", "favouriteBrand": "Burren", "isMember": True}
        api.post(f"/v2.1/guests/{ref}/extensions", json=ext)
        product = {"item_id": "T1", "product_id": "T1", "name": "Tent", "type": "TENT"}
        added = {"type": "ADD", "product": {**product, "price": 300, "quantity": 1}}
        other_event = {"type": "VIEW", "page": "/app"}
        person = {"type": "IDENTITY", "identifiers": WHO}
        for channel, last in (("WEB", added), ("MOBILE_APP", other_event)):
            payload = {"client_key": shop.client_key}
            browser = api.get("/v1.2/browser/create.json", params=payload).json()["ref"]
            values = {**COMMON, **payload, "browser_id": browser, "channel": channel}
            for event in (person, last):
                assert api.post("/v1.2/events", json={**values, **event}).status_code < 300
        return ref


def test_the_timeline_is_filtered_and_a_session_opens_to_its_events(page, guest) -> None:
    page.go(f"/guests/{guest}")
    page.get_by_role("navigation", name="Guest").get_by_role("link", name="Timeline").click()
    sessions = page.locator("details.session")
    assert sessions.count() == 2
    page.get_by_label("Channel").select_option("WEB")
    page.wait_for_url("**channel=WEB**")
    assert sessions.count() == 1
    sessions.first.locator("summary").click()
    event = sessions.first.locator(".events li", has_text="Add")
    event.wait_for()
    assert "Tent" in event.inner_text()
    page.get_by_label("Outcome").select_option(label="Converted")
    page.wait_for_url("**interaction=CONVERTED**")
    assert page.get_by_role("heading", name="No session matches").is_visible()
    page.go_back()
    page.wait_for_url(re.compile(r"timeline\?channel=WEB"))
    assert sessions.count() == 1
    page.get_by_label("Date").select_option(index=1)
    page.wait_for_url(re.compile("date=[^&]"))
    assert sessions.count() == 1


def test_properties_read_as_words_and_json_is_raw(page, guest) -> None:
    page.go(f"/guests/{guest}/properties")
    assert page.locator("dt:text-is('Favourite brand') + dd").inner_text() == "Burren"
    assert page.locator("dt:text-is('Is member') + dd").inner_text() == "true"
    assert page.get_by_text("email", exact=True).first.is_visible()
    # Nobody without an order has a tab of orders.
    tabs = page.get_by_role("navigation", name="Guest")
    assert tabs.get_by_role("link", name="Orders").count() == 0
    tabs.get_by_role("link", name="Raw JSON").click()
    raw = page.locator("pre.json").inner_text()
    assert '"favouriteBrand": "Burren"' in raw
    assert f'"ref": "{guest}"' in raw
    # As the API spells it.
    assert '"firstName": "Tabs"' in raw


def test_the_group_is_a_picture_with_its_reasons(page, guest) -> None:
    page.go(f"/guests/{guest}/identity")
    assert page.get_by_role("heading", name="3 records are one guest").is_visible()
    assert page.locator(".graph .node").count() == 3
    assert page.locator(".graph .rule", has_text="email").count() == 2
    assert page.get_by_text(f"email = {MAIL}").first.is_visible()


def test_orders_have_totals_per_currency_and_sort_by_day(page, shop) -> None:
    """By hand: 30 and 12.50 EUR are bought, 99 EUR was cancelled: 42.50 EUR, 2 of 3 bought."""
    who = [{"provider": "email", "id": "totals@example.com"}]
    orders = [("T-1", 30, "PURCHASED"), ("T-2", 12.5, "PURCHASED"), ("T-3", 99, "CANCELLED")]
    with httpx.Client(base_url=shop.url, auth=(shop.client_key, shop.token)) as api:
        ref = api.post("/v2.1/guests", json={"guestType": "customer", "identifiers": who}).json()[
            "ref"
        ]
        for day, (reference, price, status) in enumerate(orders, 1):
            order = {"referenceId": reference, "price": price, "status": status, "channel": "WEB"}
            order |= {"currencyCode": "EUR", "pointOfSale": "harbourandhill.com"}
            order["orderedAt"] = f"2026-05-0{day}T10:00:00.000Z"
            order_ref = api.post("/v2.1/orders", json=order).json()["ref"]
            contact = {"firstName": "To", "lastName": "Tal", "identifiers": who}
            api.post(f"/v2.1/orders/{order_ref}/contacts", json=contact).raise_for_status()
    page.go(f"/guests/{ref}/orders")
    assert page.locator(".stat").all_inner_texts()[0].split() == ["Orders", "3", "2", "bought"]
    assert "42.50 EUR" in page.locator(".stat").nth(1).inner_text()
    assert page.locator("td a.open").all_inner_texts() == ["T-3", "T-2", "T-1"]
    page.get_by_role("link", name="Ordered").click()
    page.wait_for_url("**sort=ordered")
    assert page.locator("td a.open").all_inner_texts() == ["T-1", "T-2", "T-3"]
