"""The pages of one guest, segment, export and the like, checked as every page is."""

import re

import httpx
import pytest
from page_checks import WIDE_AND_NARROW, check

TABS = ["", "/timeline", "/orders", "/properties", "/identity", "/json", "/edit"]
TABS += ["/extensions/new"]


@pytest.fixture(scope="module")
def content(shop, opened):
    """What pages of their own are about: a segment, an export that ran, an import that waits."""
    with httpx.Client(base_url=shop.url, auth=(shop.client_key, shop.token)) as api:
        body = {"name": "Everybody", "definition": {"filterGroups": [{"entity": "guest"}]}}
        api.post("/innkeeper/v1/segments", json=body)
        api.post("/innkeeper/v1/segments/everybody/run")
        api.post("/innkeeper/v1/staticLists", json={"name": "Autumn"})
        shoes = {"location": "ext", "field": "category", "comparator": "is equal to"}
        steps = [{"entity": "event", "rules": [{**shoes, "values": ["shoes"]}] * 2}]
        steps += [{"entity": "order", "absent": True, "withinDays": 7}]
        body = {"name": "Steps", "definition": {"filterGroups": [{"sequence": steps}]}}
        assert api.post("/innkeeper/v1/segments", json=body).status_code == 201
        recent = {"field": "orderedAt", "comparator": "is in the past", "values": [1, "years"]}
        trait = {"entity": "order", "function": "greatest", "field": "price", "currency": "EUR"}
        trait["rules"] = [recent]
        assert api.put("/innkeeper/v1/traits/dearest", json=trait).status_code == 200
        export = {"name": "All", "segment": "everybody", "columns": ["ref"]}
        api.post("/innkeeper/v1/exports", json=export)
        api.post("/innkeeper/v1/exports/all/run")
        order = _first(api, "/v2.1/orders")
        guest = _first(api, "/v2.1/guests")
        pair = [api.post("/v2.1/guests", json={"guestType": "customer"}).json() for _ in "ab"]
        merged = pair[0]["ref"]
        both = {"survivor": merged, "absorbed": pair[1]["ref"]}
        assert api.post("/innkeeper/v1/merges", json=both).status_code < 300
    one = opened(1280)
    page = one.go("/imports")
    text = b"E-mail,Town\na@example.com,Cork\n"
    file = {"name": "people.csv", "mimeType": "text/csv", "buffer": text}
    page.locator("#file").set_input_files(file)
    page.get_by_role("button", name="Upload").click()
    page.wait_for_url("**/imports/*")
    result = re.sub(r".*/w/live", "", page.url)
    one.context.close()
    return [
        *("/segments/everybody/guests", "/segments/everybody/history"),
        *("/segments/everybody/compare?with=steps", "/segments?q=steps"),
        *("/segments/everybody", "/segments/everybody/edit", f"/segments/everybody/why/{guest}"),
        *(
            "/segments/steps",
            "/segments/steps/edit",
            "/lists/autumn",
            f"/guests/bulk?do=erase&guests={guest}",
        ),
        *("/traits/of/dearest", "/traits/of/dearest/edit"),
        *("/exports/all", "/exports/all/edit", result, f"/orders/{order}"),
        *(f"/guests/{guest}/merge", f"/guests/{guest}/merge?other=a", f"/guests/{merged}/identity"),
    ]


def _first(api: httpx.Client, path: str) -> str:
    item = api.get(path, params={"limit": 1}).json()["items"][0]
    return str(item.get("ref") or item["href"].rpartition("/")[2])


@WIDE_AND_NARROW
def test_pages_of_what_was_made(shared, content) -> None:
    for number, path in enumerate(content):
        shared[0].go(path)
        check(shared, number)
    undo = shared[0].page.get_by_role("link", name="Undo…")
    undo.click()
    shared[0].page.get_by_role("heading", name="Undo this merge?").wait_for()
    check(shared, len(content))


@WIDE_AND_NARROW
def test_tabs_of_a_guest(shared) -> None:
    one, _ = shared
    row = one.go("/guests").locator("[data-row] a.open").first
    base = re.sub(r".*/w/live", "", row.get_attribute("href"))
    for number, tab in enumerate(TABS):
        one.go(base + tab)
        if one.page.get_by_role("heading", name="Not found").count() == 0:
            check(shared, number)
