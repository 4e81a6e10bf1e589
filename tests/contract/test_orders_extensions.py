"""Data extensions of orders and items: OE1 to OE7, OX1 to OX7, E-1 to E-8 (rest-v2.1.md 9)."""

from typing import Any
from uuid import UUID, uuid5

import pytest
from calling import NOBODY, Api, invalid, problem
from ordering import checked_body, new_item, new_order

SAMPLES: dict[str, dict[str, Any]] = {
    "order": {
        "firstTimeOrder": True,
        "storeLocation": "London",
        "totalUnits": 8,
        "totalDiscount": "20%",
    },
    "orderItem": {"withWarranty": True, "color": "obsidian", "capacityInGb": 128},
}
WORDS = {"order": "Order", "orderItem": "Order item"}


@pytest.fixture(params=SAMPLES)
def parent(request: pytest.FixtureRequest, api: Api) -> tuple[str, dict[str, Any]]:
    """An order or an item: the member that names it in an extension, and its body."""
    order = new_order(api)
    return request.param, order if request.param == "order" else new_item(api, order)


Parent = tuple[str, dict[str, Any]]


def no_extension(api: Api, kind: str, ref: str, name: str = "ext") -> dict[str, Any]:
    message = (
        f"Data extension {name} for {WORDS[kind]} ref {ref} "
        f"and client key {api.client_key} was not found for v2.1"
    )
    return problem(404, "The specified resource does not exist.", message)


def test_an_extension_is_created_where_its_path_says(api: Api, parent: Parent) -> None:
    """OE1, OE2, OX1, OX2, E-1 to E-4, E-3, C-5, X-10: no name in the body, a name-based ref."""
    kind, owner = parent
    href = f"{owner['href']}/extensions/ext"
    extension = checked_body(api.post(href, json=SAMPLES[kind]))
    assert extension == {
        "name": "ext",
        "href": href,
        "ref": str(uuid5(UUID(owner["ref"]), "ext")),
        "key": "default",
        "createdAt": extension["createdAt"],
        "modifiedAt": extension["createdAt"],
        **SAMPLES[kind],
        kind: {"href": owner["href"]},
    }
    assert checked_body(api.get(href), 200) == extension


def test_no_other_name_is_taken(api: Api, parent: Parent) -> None:
    """E-1, E-8: 400 on writes, 404 where there is nothing to find."""
    kind, owner = parent
    path = f"{owner['href']}/extensions/ext1"
    for method in ("POST", "PUT", "PATCH"):
        answer = api.request(method, path, json={"a": 1})
        expected = invalid("name", "value must be one of ext")
        assert (answer.status_code, answer.json()) == (400, expected)
    for method in ("GET", "DELETE"):
        answer = api.request(method, path)
        assert answer.json() == no_extension(api, kind, owner["ref"], "ext1")


def test_an_extension_that_exists_is_a_conflict(api: Api, parent: Parent) -> None:
    """E-5."""
    href = f"{parent[1]['href']}/extensions/ext"
    checked_body(api.post(href, json={"a": 1}))
    answer = api.post(href, json={"b": 1})
    assert (answer.status_code, answer.json()) == (
        409,
        problem(409, "Data extension ext already exists."),
    )


@pytest.mark.parametrize(
    ("pairs", "field", "reason"),
    [
        ({"a": {}}, "a", "value must be a string, boolean or number"),
        ({"a": [1]}, "a", "value must be a string, boolean or number"),
        ({"a": None}, "a", "value must be a string, boolean or number"),
        ({"Ab": 1}, "Ab", "must be alphanumeric and in camel case"),
        ({"a_b": 1}, "a_b", "must be alphanumeric and in camel case"),
        (
            {f"k{number}": 1 for number in range(101)},
            "ext",
            "a maximum of 100 key-value pairs is allowed",
        ),
    ],
)
def test_a_wrong_pair_is_refused(
    api: Api, parent: Parent, pairs: dict[str, Any], field: str, reason: str
) -> None:
    """E-2, E-7, X-4 to X-6."""
    href = f"{parent[1]['href']}/extensions/ext"
    answer = api.post(href, json=pairs)
    assert (answer.status_code, answer.json()) == (400, invalid(field, reason))


def test_reserved_members_are_no_pairs(api: Api, parent: Parent) -> None:
    """X-8: accepted and ignored, `name` and `key` among them."""
    kind, owner = parent
    body = {"name": "other", "key": "k", "ref": NOBODY, "order": {}, "orderItem": {}, "a": "1"}
    extension = checked_body(api.post(f"{owner['href']}/extensions/ext", json=body))
    assert (extension["name"], extension["key"], extension["a"]) == ("ext", "default", "1")
    assert extension[kind] == {"href": owner["href"]}


def test_pairs_are_replaced_patched_and_removed(api: Api, parent: Parent) -> None:
    """OE3, OE4, OE6, OX3, OX4, OX6, X-12, X-14 to X-16."""
    href = f"{parent[1]['href']}/extensions/ext"
    server = {"name", "href", "ref", "key", "createdAt", "modifiedAt", parent[0]}

    def pairs(method: str, path: str, **more: Any) -> dict[str, Any]:
        body = checked_body(api.request(method, path, **more), 200)
        return {name: value for name, value in body.items() if name not in server}

    checked_body(api.post(href, json={"a": 1, "b": 2}))
    assert pairs("PATCH", href, json={"b": "two", "c": 3.5}) == {"a": 1, "b": "two", "c": 3.5}
    assert pairs("PUT", href, json={"d": 1, "e": 2, "f": 3, "g": 4}) == {
        "d": 1,
        "e": 2,
        "f": 3,
        "g": 4,
    }
    assert pairs("DELETE", f"{href}/fields?name=d|x") == {"e": 2, "f": 3, "g": 4}
    assert pairs("DELETE", f"{href}/fields?name=e%2Cf") == {"g": 4}
    assert pairs("DELETE", f"{href}/fields") == {}
    assert pairs("GET", href) == {}


def test_a_deleted_extension_is_404(api: Api, parent: Parent) -> None:
    """OE5, OX5, S-3, S-6, X-13: 200 with null; nothing can be written to it then (X-12)."""
    kind, owner = parent
    href = f"{owner['href']}/extensions/ext"
    first = checked_body(api.post(href, json={"a": 1}))
    answer = api.delete(href)
    assert (answer.status_code, answer.json()) == (200, None)
    assert answer.headers["content-type"] == "application/json"
    missing = no_extension(api, kind, owner["ref"])
    for method in ("GET", "PUT", "PATCH", "DELETE"):
        answer = api.request(method, href, json={"a": 1} if method[0] == "P" else None)
        assert (answer.status_code, answer.json()) == (404, missing)
    assert api.delete(f"{href}/fields").status_code == 404
    assert checked_body(api.post(href, json={"a": 1}))["ref"] == first["ref"]


def test_a_list_has_the_envelope_of_its_extension(api: Api, parent: Parent) -> None:
    """OE7, OX7, E-6: the envelope has its name and href; the items are links or whole."""
    kind, owner = parent
    path = f"{owner['href']}/extensions"
    page = {"href": f"{path}?offset=0&limit=10"}
    empty = {
        "name": "ext",
        "href": f"{path}/ext",
        "offset": 0,
        "limit": 10,
        "first": page,
        "last": page,
        "items": [],
        kind: {"href": owner["href"]},
    }
    assert checked_body(api.get(path), 200) == empty
    extension = checked_body(api.post(f"{path}/ext", json={"a": 1}))
    link = {"href": f"{path}/ext", "ref": extension["ref"]}
    assert checked_body(api.get(path), 200) == {**empty, "items": [link]}
    assert api.get(f"{path}?expand=true&limit=40&offset=0").json()["items"] == [extension]


@pytest.mark.parametrize("path", ["orders", "orderItems"])
def test_an_unknown_parent_has_no_extensions(api: Api, path: str) -> None:
    """404 that names the parent."""
    at = f"/v2.1/{path}/{NOBODY}/extensions"
    answers = [api.get(at), api.get(f"{at}/ext"), api.post(f"{at}/ext", json={"a": 1})]
    word = WORDS["order" if path == "orders" else "orderItem"]
    for answer in answers:
        assert answer.status_code == 404
        assert answer.json()["developerMessage"].startswith(f"{word} with ref {NOBODY} for")
