"""Data extensions over v2: LX1 to LX6, LE1 to LE5, VX-1 to VX-9, VG-5 (rest-v2-legacy.md 5)."""

from typing import Any
from uuid import UUID, uuid5

import pytest
from calling import NOBODY, Api, absent, invalid
from ordering import checked_body, new_order, refs_in
from test_legacy import v2

PARENTS = {"guest": "guests", "order": "orders"}


@pytest.fixture(params=PARENTS)
def parent(request: pytest.FixtureRequest, api: Api) -> tuple[str, str]:
    """The member that names the parent, and its ref."""
    owner = api.guest() if request.param == "guest" else new_order(api)
    return request.param, owner["ref"]


Parent = tuple[str, str]


def at(parent: Parent, name: str = "ext", version: str = "v2") -> str:
    member, ref = parent
    tail = f"ext{name}" if version == "v2" else f"extensions/{name}"
    return f"/{version}/{PARENTS[member]}/{ref}/{tail}"


def put(api: Api, parent: Parent, name: str = "ext", **body: Any) -> dict[str, Any]:
    return checked_body(api.post(at(parent, name), json={"key": "default", **body}))


def pairs(extension: dict[str, Any], parent: Parent) -> dict[str, Any]:
    server = {"href", "ref", "key", "name", "createdAt", "modifiedAt", parent[0]}
    return {name: value for name, value in extension.items() if name not in server}


def test_an_extension_is_created_under_a_key(api: Api, parent: Parent) -> None:
    """LX1, LX3, LE1, LE3, VX-2, VX-6, VX-9, C-5: its ref is made of name and key."""
    member, ref = parent
    budgets = put(api, parent, key="budgets", yearly=5)
    assert budgets == {
        "href": f"{api.url}{at(parent)}/{budgets['ref']}",
        "ref": str(uuid5(UUID(ref), "ext/budgets")),
        "key": "budgets",
        "createdAt": budgets["createdAt"],
        "modifiedAt": budgets["createdAt"],
        "yearly": 5,
        member: {"href": f"{api.url}/v2/{PARENTS[member]}/{ref}"},
    }
    assert put(api, parent)["ref"] == str(uuid5(UUID(ref), "ext"))
    assert checked_body(api.get(budgets["href"]), 200) == budgets


def test_a_post_replaces_what_has_the_key(api: Api, parent: Parent) -> None:
    """VX-4, VX-5, VX-9: an upsert, with the same ref and without pairs not sent."""
    first = put(api, parent, a=1, b=2)
    second = put(api, parent, b=3)
    assert (second["ref"], pairs(second, parent)) == (first["ref"], {"b": 3})
    assert second["createdAt"] == first["createdAt"]
    assert refs_in(api.get(at(parent))) == [first["ref"]]


def test_a_post_on_the_ref_replaces_it(api: Api, parent: Parent) -> None:
    """LX4, LE4, VX-2, VX-5, V-5: 200; the key stays."""
    extension = put(api, parent, a=1, b=2)
    updated = checked_body(api.post(extension["href"], json={"key": "default", "c": 1}), 200)
    assert (updated["ref"], pairs(updated, parent)) == (extension["ref"], {"c": 1})
    for body, expected in (
        ({"a": 1}, absent("key")),
        ({"key": "other"}, invalid("key", "cannot be updated")),
        ({"key": 5}, invalid("key", "must be a string")),
    ):
        answer = api.post(extension["href"], json=body)
        assert (answer.status_code, answer.json()) == (400, v2(expected))


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, absent("key")),
        ({"key": "default", "a": {}}, invalid("a", "value must be a string, boolean or number")),
        ({"key": "default", "a-b": 1}, invalid("a-b", "must be alphanumeric and in camel case")),
    ],
)
def test_a_wrong_body_is_refused(
    api: Api, parent: Parent, body: dict[str, Any], expected: dict[str, Any]
) -> None:
    """VX-2, VX-3."""
    answer = api.post(at(parent), json=body)
    assert (answer.status_code, answer.json()) == (400, v2(expected))


def test_a_hundred_pairs_are_enough(api: Api, parent: Parent) -> None:
    """VX-3."""
    hundred = {f"k{number}": number for number in range(100)}
    assert len(pairs(put(api, parent, **hundred), parent)) == 100
    body = {"key": "default", **hundred, "more": 1}
    assert api.post(at(parent), json=body).status_code == 400


def test_keys_under_a_name_are_listed(api: Api, parent: Parent) -> None:
    """LX2, LE2, VX-7: links; none is an empty page, an unknown parent 404."""
    path = at(parent)
    page = {"href": f"{api.url}{path}?offset=0&limit=10"}
    empty = {**page, "offset": 0, "limit": 10, "first": page, "last": page, "items": []}
    assert checked_body(api.get(path), 200) == empty
    one, two = put(api, parent), put(api, parent, key="budgets")
    assert checked_body(api.get(path), 200) == {
        **empty,
        "items": [{"href": one["href"]}, {"href": two["href"]}],
    }
    assert api.get(f"{path}?expand=true").json()["items"] == [one, two]
    assert refs_in(api.get(f"{path}?offset=1")) == [two["ref"]]
    assert api.get(at((parent[0], NOBODY))).status_code == 404


def test_a_name_differs_in_its_first_letter_only(api: Api, parent: Parent) -> None:
    """VX-1: the exact name, else the other case; any name is allowed."""
    lower = put(api, parent, a=1)
    assert api.get(at(parent, "Ext")).json()["items"] == [{"href": lower["href"]}]
    assert put(api, parent, "Ext", b=1)["ref"] == lower["ref"]
    spending = put(api, parent, "Spending", total=5)
    assert spending["href"].startswith(f"{api.url}{at(parent, 'Spending')}/")
    assert refs_in(api.get(at(parent, "spending"))) == [spending["ref"]]
    assert refs_in(api.get(at(parent, "SPENDING"))) == []


def test_one_or_all_of_a_name_are_deleted(api: Api, parent: Parent) -> None:
    """LX5, LX6, LE5, VU-3: 200 with null."""
    one, two = put(api, parent), put(api, parent, key="budgets")
    put(api, parent, "other")
    answer = api.delete(two["href"])
    assert (answer.status_code, answer.json()) == (200, None)
    for method in ("GET", "DELETE"):
        assert api.request(method, two["href"]).status_code == 404
    assert api.post(two["href"], json={"key": "budgets"}).status_code == 404
    put(api, parent, key="more")
    answer = api.delete(at(parent))
    assert (answer.status_code, answer.json()) == (200, None)
    assert refs_in(api.get(at(parent))) == []
    assert api.get(one["href"]).status_code == 404
    assert len(refs_in(api.get(at(parent, "other")))) == 1
    assert api.delete(at(parent)).status_code == 404


def test_both_versions_share_one_store(api: Api, parent: Parent) -> None:
    """VX-8: v2.1 shows the default key, else the oldest; what v2.1 writes has the default key."""
    official = at(parent, version="v2.1")
    put(api, parent, key="budgets", a=1)
    put(api, parent, key="email", b=1)
    response = checked_body(api.get(official), 200)
    assert (response["key"], pairs(response, parent)) == ("budgets", {"a": 1})
    default = put(api, parent, c=1)
    response = checked_body(api.get(official), 200)
    assert (response["ref"], pairs(response, parent)) == (default["ref"], {"c": 1})
    checked_body(api.put(official, json={"d": 1}), 200)
    assert pairs(checked_body(api.get(default["href"]), 200), parent) == {"d": 1}
    assert api.delete(official).status_code in (200, 204)
    assert refs_in(api.get(at(parent))) == []


def test_what_v21_makes_v2_reads(api: Api) -> None:
    """VX-8: the other way round, for the six names and for an order's one."""
    guest = api.guest()
    made_first = api.extension(guest, name="ext1", vip=True)
    parent = ("guest", guest["ref"])
    (ref,) = refs_in(api.get(at(parent, "ext1")))
    assert ref == made_first["ref"]
    assert pairs(checked_body(api.get(f"{at(parent, 'ext1')}/{ref}"), 200), parent) == {"vip": True}


def test_a_record_has_a_member_for_each_name(api: Api, parent: Parent) -> None:
    """VG-5, VU-2: named after the route; the collection itself when expanded."""
    member, ref = parent
    record = f"/v2/{PARENTS[member]}/{ref}"
    assert not [name for name in checked_body(api.get(record), 200) if name.startswith("ext")]
    extension = put(api, parent, a=1)
    put(api, parent, "Preferences")
    response = checked_body(api.get(record), 200)
    assert response["extext"] == {"href": f"{api.url}{at(parent)}"}
    assert response["extPreferences"] == {"href": f"{api.url}{at(parent, 'Preferences')}"}
    whole = checked_body(api.get(f"{record}?expand=true"), 200)
    assert whole["extext"]["items"] == [extension]
    some = checked_body(api.get(f"{record}?expand=extext"), 200)
    assert some["extext"]["items"] == [extension]
    assert "items" not in some["extPreferences"]
