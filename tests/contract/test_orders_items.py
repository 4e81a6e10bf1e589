"""Order items over v2.1: operations OI1 to OI6, rules I-1 to I-7 (rest-v2.1.md 6)."""

from typing import Any

import pytest
from calling import NOBODY, Api, absent, invalid, problem
from ordering import (
    ITEM,
    ORDERED_AT,
    WHOLE_ITEM,
    checked_body,
    new_item,
    new_order,
    new_person,
    own_fields,
    refs_in,
)


def no_item(api: Api, ref: str) -> dict[str, Any]:
    text = f"Order item with ref {ref} for client key {api.client_key} was not found"
    return problem(404, "The specified resource does not exist.", text)


def test_an_item_is_created_with_every_field(api: Api) -> None:
    """OI1, OI3, R-1, I-7: its link stands at the top level; the order stays as it is."""
    order = new_order(api)
    item = checked_body(api.post(f"/v2.1/orders/{order['ref']}/orderItems", json=WHOLE_ITEM))
    assert item == {
        **WHOLE_ITEM,
        "ref": item["ref"],
        "href": f"{api.url}/v2.1/orderItems/{item['ref']}",
        "createdAt": item["createdAt"],
        "modifiedAt": item["createdAt"],
        "orderedAt": ORDERED_AT,
        "order": {"href": order["href"]},
        "dataExtensions": {"href": f"{api.url}/v2.1/orderItems/{item['ref']}/extensions"},
    }
    assert checked_body(api.get(item["href"]), 200) == item
    after = checked_body(api.get(item["order"]["href"]), 200)
    assert (after["price"], after["modifiedAt"]) == (order["price"], order["modifiedAt"])


@pytest.mark.parametrize("field", ["name", "type", "price", "currencyCode", "status"])
def test_a_required_field_is_missed(api: Api, field: str) -> None:
    """I-6: on create and on replace; a patch may leave it out, but not clear it (I-4)."""
    order = new_order(api)
    item = new_item(api, order)
    body = {name: value for name, value in ITEM.items() if name != field}
    for method, path in (
        ("POST", f"/v2.1/orders/{order['ref']}/orderItems"),
        ("PUT", item["href"]),
    ):
        answer = api.request(method, path, json=body)
        assert (answer.status_code, answer.json()) == (400, absent(field))
    assert api.patch(item["href"], json=body).status_code == 200
    answer = api.patch(item["href"], json={field: None})
    assert (answer.status_code, answer.json()) == (400, absent(field))


@pytest.mark.parametrize(
    "barred",
    [
        *("FLIGHT", "HOTEL", "MORTGAGE", "MORTGAGE_APPLICATION"),
        *("LOAN_APPLICATION", "PERSONAL_LOAN", "RAIL"),
    ],
)
def test_a_typed_item_is_left_to_v2(api: Api, barred: str) -> None:
    """I-1, I-2: seven types are refused."""
    order = new_order(api)
    path = f"/v2.1/orders/{order['ref']}/orderItems"
    answer = api.post(path, json={**ITEM, "type": barred})
    assert (answer.status_code, answer.json()) == (400, invalid("type", "not a valid value"))
    item = new_item(api, order)
    assert api.patch(item["href"], json={"type": barred}).status_code == 400


@pytest.mark.parametrize("kind", ["Flight Item", "Mobile", "MOBILE", "flight", "HOTEL ", ""])
def test_any_other_type_is_taken(api: Api, kind: str) -> None:
    """I-1: compared exactly."""
    assert new_item(api, new_order(api), type=kind)["type"] == kind


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("name", "x" * 129, "size must be between 0 and 128"),
        ("quantity", 0, "must be greater than or equal to 1"),
        ("quantity", -1, "must be greater than or equal to 1"),
        ("quantity", 1.5, "must be an integer"),
        ("quantity", "1", "must be an integer"),
        ("quantity", 2**31, "must be less than or equal to 2147483647"),
        ("price", "105", "must be a number"),
        ("status", 1, "must be a string"),
    ],
)
def test_a_wrong_value_is_refused(api: Api, field: str, value: Any, reason: str) -> None:
    """I-3."""
    path = f"/v2.1/orders/{new_order(api)['ref']}/orderItems"
    answer = api.post(path, json={**ITEM, field: value})
    assert (answer.status_code, answer.json()) == (400, invalid(field, reason))


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "x" * 128},
        {"name": "é" * 128},
        {"quantity": 1},
        {"quantity": 2.0},
        {"quantity": 2**31 - 1},
        {"price": -45},
        {"status": "Accepted"},
        {"language": "Klingon"},
    ],
)
def test_an_edge_is_taken(api: Api, fields: dict[str, Any]) -> None:
    """I-3, section 6: limits included, negative prices, free status and language."""
    item = new_item(api, new_order(api), **fields)
    assert {name: item[name] for name in fields} == fields


def test_an_item_has_its_own_time_if_sent(api: Api) -> None:
    """Section 6: orderedAt is the order's, unless sent; a replace without it takes it again."""
    item = new_item(api, new_order(api), orderedAt="2025-12-20T00:00Z")
    assert item["orderedAt"] == "2025-12-20T00:00:00.000Z"
    assert (
        checked_body(api.patch(item["href"], json={"quantity": 2}), 200)["orderedAt"]
        == item["orderedAt"]
    )
    assert checked_body(api.put(item["href"], json=ITEM), 200)["orderedAt"] == ORDERED_AT


def test_a_replace_clears_and_a_patch_keeps(api: Api) -> None:
    """OI4, OI5, I-4."""
    order = new_order(api)
    item = checked_body(api.post(f"/v2.1/orders/{order['ref']}/orderItems", json=WHOLE_ITEM))
    patched = checked_body(api.patch(item["href"], json={"quantity": 3, "vendor": None}), 200)
    expected = {**WHOLE_ITEM, "quantity": 3}
    del expected["vendor"]
    assert own_fields(patched, "orderedAt") == expected
    replaced = checked_body(api.put(item["href"], json=ITEM), 200)
    assert own_fields(replaced, "orderedAt") == ITEM
    assert replaced["createdAt"] == item["createdAt"]
    assert checked_body(api.get(item["href"]), 200) == replaced


def test_items_are_listed_and_expanded(api: Api) -> None:
    """OI2, L-7 to L-10: links, or the same bodies as their GET."""
    order, other = new_order(api), new_order(api, referenceId="other")
    items = [new_item(api, order, name=str(number)) for number in range(3)]
    new_item(api, other)
    path = f"/v2.1/orders/{order['ref']}/orderItems"
    page = api.get(path).json()
    assert page["href"] == f"{api.url}{path}?offset=0&limit=10"
    assert page["items"] == [{"href": item["href"], "ref": item["ref"]} for item in items]
    assert "totalCount" not in page
    whole = api.get(f"{path}?expand=true&limit=40&offset=0").json()
    assert whole["items"] == items
    assert refs_in(api.get(f"{path}?offset=1&limit=1")) == [items[1]["ref"]]
    assert api.get(f"{path}?limit=0").status_code == 400


def test_expand_embeds_the_extension(api: Api) -> None:
    """I-5."""
    item = new_item(api, new_order(api))
    checked_body(api.post(f"{item['href']}/extensions/ext", json={"color": "obsidian"}))
    whole = checked_body(api.get(f"{item['href']}?expand=true"), 200)
    (extension,) = whole["dataExtensions"]["items"]
    assert extension["color"] == "obsidian"


def test_a_deleted_item_is_404(api: Api) -> None:
    """OI6, S-4: 204, and no consumer uses it any more."""
    order = new_order(api)
    item = new_item(api, order)
    used = {"items": [{"href": item["href"]}]}
    consumer = new_person(api, order, "consumers", firstName="A", lastName="B", orderItems=used)
    answer = api.delete(item["href"])
    assert (answer.status_code, answer.content) == (204, b"")
    assert api.get(item["href"]).json() == no_item(api, item["ref"])
    assert checked_body(api.get(consumer["href"]), 200)["orderItems"] == {"items": []}


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("ref", [NOBODY, "nobody"])
def test_an_unknown_item_is_not_found(api: Api, method: str, ref: str) -> None:
    """errors.md 2."""
    answer = api.request(method, f"/v2.1/orderItems/{ref}", json=ITEM if method[0] == "P" else None)
    assert (answer.status_code, answer.json()) == (404, no_item(api, ref))


def test_an_unknown_order_has_no_items(api: Api) -> None:
    """OI1, OI2: 404 that names the order."""
    path = f"/v2.1/orders/{NOBODY}/orderItems"
    for answer in (api.get(path), api.post(path, json=ITEM)):
        assert answer.status_code == 404
        assert answer.json()["developerMessage"].startswith(f"Order with ref {NOBODY} for")
