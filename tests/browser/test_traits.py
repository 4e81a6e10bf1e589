"""Computed traits on the screens: defined, previewed, used, changed, deleted once nobody asks."""

import re

import httpx
import pytest
from picking import pick_field

FAIR = "fair.example"
ORDER = {"orderedAt": "2026-10-01T10:00:00.000Z", "status": "PURCHASED", "channel": "WEB"}
SPENT = {
    "Una": ((FAIR, 30, "EUR"), (FAIR, 80, "EUR"), ("elsewhere.example", 500, "EUR")),
    "Vic": ((FAIR, 10, "EUR"), (FAIR, 70, "USD")),
    "Wim": (("elsewhere.example", 20, "EUR"),),
}


@pytest.fixture(scope="module")
def api(shop):
    with httpx.Client(base_url=shop.url, auth=(shop.client_key, shop.token)) as client:
        yield client


@pytest.fixture(scope="module")
def buyers(api):
    """Three people: what each spent where is written above."""
    for name, orders in SPENT.items():
        mail = f"{name.lower()}@fair.example"
        who = [{"provider": "email", "id": mail}]
        person = {"guestType": "customer", "firstName": name, "lastName": "Fair", "email": mail}
        ref = api.post("/v2.1/guests", json={**person, "identifiers": who}).json()["ref"]
        for number, (where, price, currency) in enumerate(orders):
            body = {**ORDER, "referenceId": f"F-{name}-{number}", "pointOfSale": where}
            body |= {"price": price, "currencyCode": currency}
            order_ref = api.post("/v2.1/orders", json=body).json()["ref"]
            contact = {"firstName": name, "email": mail, "identifiers": who}
            response = api.post(f"/v2.1/orders/{order_ref}/contacts", json=contact)
            assert response.json()["guest"]["href"].endswith(ref), response.text


def defined(api):
    """Traits that are not built in, by name."""
    items = api.get("/innkeeper/v1/traits").json()["items"]
    return {each["name"]: each["definition"] for each in items if not each["builtin"]}


def _build(page) -> None:
    """Price of orders at the fair, added up, in EUR; by keys alone from the rule on."""
    page.get_by_label("How it is computed").select_option("Sum")
    page.get_by_label("Of which field").wait_for()
    page.get_by_label("Of which field").select_option("Price")
    page.get_by_label("Currency").wait_for()
    page.get_by_role("button", name="Rule", exact=True).press("Enter")
    pick_field(page, "Point of sale")
    value = page.get_by_label("Value", exact=True)
    value.press_sequentially("fair")
    page.locator(f"datalist option[value='{FAIR}']").wait_for(state="attached")
    # A form that comes back meanwhile has another field in the place of this one.
    page.locator("#live:not(.stale) .count").wait_for()
    value.fill(FAIR)
    page.keyboard.press("Tab")


def test_a_marketer_defines_a_trait_and_sees_its_values(page, api, buyers) -> None:
    """By hand: Una 110 and Vic 10 EUR at the fair, so 60 on average; USD is never added."""
    page.go("/segments")
    page.get_by_role("link", name="Computed traits").click()
    page.get_by_role("link", name="New trait").click()
    page.locator("#live .count:not(.loading)").wait_for()
    _build(page)
    live = page.locator("#live")
    live.locator(".count", has_text=re.compile("^2$")).wait_for()
    expected = [("Lowest", "10.00 EUR"), ("Average", "60.00 EUR"), ("Highest", "110.00 EUR")]
    words = [live.locator(each).all_inner_texts() for each in ("dt", "dd")]
    assert list(zip(*words, strict=True)) == expected
    assert live.locator("li a").all_inner_texts() == ["Una Fair", "Vic Fair"]
    # A name that is taken is told where it is typed, and nothing that was typed is lost.
    name = page.get_by_label("Name", exact=True)
    name.fill("Order count")
    page.get_by_role("button", name="Save", exact=True).last.click()
    page.get_by_text("There is a trait orderCount already.").wait_for()
    assert (name.input_value(), name.get_attribute("aria-invalid")) == ("Order count", "true")
    assert page.get_by_label("Value", exact=True).input_value() == FAIR
    name.fill("Spent at the fair")
    name.press("Enter")
    page.wait_for_url("**/traits/of/spentAtTheFair")
    assert page.get_by_text("Price of all orders, added up, in EUR").is_visible()
    assert page.get_by_text(f"where Point of sale is {FAIR}").is_visible()
    page.locator("#values").get_by_text("110.00 EUR").first.wait_for()
    stored = defined(api)["spentAtTheFair"]
    rule = {"location": "core", "field": "point_of_sale", "comparator": "is equal to"}
    rule |= {"values": [FAIR], "comparatorDataType": "string"}
    expected = {"entity": "order", "function": "sum", "field": "price", "currency": "EUR"}
    assert {name: stored[name] for name in expected} == expected
    assert stored["rules"] == [rule]
    page.get_by_role("link", name="Edit").click()
    page.get_by_label("How it is computed").select_option("Count")
    page.get_by_role("heading", name="Number of orders").wait_for()
    assert live.locator("dd").all_inner_texts() == ["2", "2", "2"]
    page.get_by_role("button", name="Save", exact=True).last.click()
    page.get_by_text("spentAtTheFair was saved.").wait_for()
    assert page.get_by_text("Number of orders", exact=True).is_visible()


def test_leaving_with_unsaved_changes_needs_confirmation(page) -> None:
    page.go("/traits/new")
    page.locator("#live .count:not(.loading)").wait_for()
    requests = []
    page.once("dialog", lambda dialog: (requests.append(dialog.type), dialog.dismiss()))
    page.get_by_label("Name", exact=True).fill("Half done")
    page.get_by_label("How it is computed").select_option("Average")
    page.get_by_label("Of which field").wait_for()
    page.get_by_role("link", name="Cancel").click(no_wait_after=True)
    page.wait_for_function("() => true")
    assert requests == ["beforeunload"]
    assert page.get_by_label("Name", exact=True).input_value() == "Half done"


@pytest.mark.long
def test_a_used_trait_names_its_users_and_stays(page, api) -> None:
    body = {"entity": "order", "function": "count"}
    assert api.put("/innkeeper/v1/traits/timesBought", json=body).status_code == 200
    rule = {"location": "trait", "field": "timesBought", "comparator": "is greater than"}
    group = {"entity": "guest", "rules": [{**rule, "values": [3]}]}
    segment = {"name": "Bought often", "definition": {"filterGroups": [group]}}
    assert api.post("/innkeeper/v1/segments", json=segment).status_code == 201
    page.go("/traits")
    row = page.get_by_role("row").filter(has_text="timesBought")
    assert row.get_by_role("link", name="Bought often").is_visible()
    row.get_by_role("link", name="Times Bought").click()
    page.get_by_role("button", name="Delete…").click()
    dialog = page.locator("dialog[open]")
    assert "Bought often uses it." in dialog.inner_text()
    assert dialog.get_by_role("button", name="Delete").count() == 0
    page.keyboard.press("Escape")
    # A request without the dialog is refused, with the reason.
    csrf = page.locator("[name=csrf]").first.input_value()
    answer = page.request.post(page.url, form={"csrf": csrf, "action": "delete"})
    assert answer.status == 409
    assert "Segment bought_often uses trait timesBought." in answer.text()
    api.delete("/innkeeper/v1/segments/bought_often")
    page.reload()
    page.get_by_role("button", name="Delete…").click()
    page.locator("dialog[open] [name=confirm]").fill("timesBought")
    page.locator("dialog[open]").get_by_role("button", name="Delete", exact=True).click()
    page.get_by_text("timesBought was deleted.").wait_for()
    assert "timesBought" not in defined(api)


@pytest.mark.long
def test_what_the_api_defined_saves_back_as_it_was(page, api) -> None:
    """Spelt as clients may spell it; of what the form has no place for nothing is lost."""
    odd = {"entity": "orderItem", "function": "most_common", "field": "productId"}
    odd["rules"] = [{"field": "price", "comparator": "Is Between", "values": ["1", 2.5]}]
    assert api.put("/innkeeper/v1/traits/oddOne", json=odd).status_code == 200
    page.go("/traits/of/oddOne/edit")
    page.locator("#live .count:not(.loading)").wait_for()
    page.get_by_role("button", name="Save", exact=True).last.click()
    page.get_by_text("oddOne was saved.").wait_for()
    assert defined(api)["oddOne"] == odd
    sum_in_euro = {"entity": "order", "function": "least", "field": "orderedAt", "currency": "EUR"}
    assert api.put("/innkeeper/v1/traits/oddOne", json=sum_in_euro).status_code == 200
    page.go("/traits/of/oddOne/edit")
    page.wait_for_url("**/traits/of/oddOne")
    assert page.get_by_text("The form cannot show every part of this definition").is_visible()
