"""Data extensions of guests: GE1 to GE7 and T7 to T12, for open and for official keys."""

import time
from typing import Any
from urllib.parse import quote
from uuid import UUID, uuid5

import pytest
from calling import NOBODY, Api, absent, invalid, no_guest, problem

SIX = ("ext", "ext1", "ext2", "ext3", "ext4", "ext5")
HUNDRED = {f"k{number}": number for number in range(100)}


def no_extension(api: Api, guest: str, name: str) -> dict[str, Any]:
    message = (
        f"Data extension {name} for Guest ref {guest} "
        f"and client key {api.client_key} was not found for v2.1"
    )
    return problem(404, "The specified resource does not exist.", message)


def pairs(extension: dict[str, Any]) -> dict[str, Any]:
    """What an extension holds, without what the server adds."""
    added = {"name", "href", "ref", "key", "createdAt", "modifiedAt", "guest"}
    return {name: value for name, value in extension.items() if name not in added}


# Create


@pytest.mark.parametrize("key", ["open", "official"])
def test_the_documented_extension_is_created(api: Api, official: Api, key: str) -> None:
    """X-2, X-9, X-10, X-11, C-5, CT-7, R-1: 201, pairs at the top level, a resolving parent."""
    caller = {"open": api, "official": official}[key]
    guest = caller.guest()
    answer = caller.post(
        f"/v2.1/guests/{guest['ref']}/extensions",
        json={
            "name": "ext",
            "vipMember": True,
            "loyaltyTier": "level2",
            "rewardBalance": 5012.25,
            "loyaltyNumber": 3452,
        },
    )
    assert answer.status_code == 201
    extension = answer.json()
    assert extension == {
        "name": "ext",
        "href": f"{caller.url}/v2.1/guests/{guest['ref']}/extensions/ext",
        "ref": str(uuid5(UUID(guest["ref"]), "ext")),
        "key": "default",
        "createdAt": extension["createdAt"],
        "modifiedAt": extension["createdAt"],
        "vipMember": True,
        "loyaltyTier": "level2",
        "rewardBalance": 5012.25,
        "loyaltyNumber": 3452,
        "guest": {"href": guest["href"]},
    }
    members = list(extension)
    assert members[:6] == ["name", "href", "ref", "key", "createdAt", "modifiedAt"]
    assert members[-1] == "guest"
    assert answer.headers["location"] == extension["href"]
    assert caller.get(extension["href"]).json() == extension
    assert caller.get(extension["guest"]["href"]).json() == guest


def test_an_extension_made_again_keeps_its_ref(api: Api) -> None:
    """C-5: name-based, so the same after a delete, and another on another guest."""
    guest = api.guest()
    first = api.extension(guest, name="ext", a=1)
    api.delete(first["href"])
    assert api.extension(guest, name="ext", b=2)["ref"] == first["ref"]
    assert api.extension(api.guest(), name="ext")["ref"] != first["ref"]


@pytest.mark.parametrize("name", SIX)
def test_an_official_extension_has_one_of_six_names(official: Api, name: str) -> None:
    """X-1."""
    assert official.extension(official.guest(), name=name)["name"] == name


@pytest.mark.parametrize(
    "name", ["ext0", "ext6", "Ext", "EXT1", "loyalty", "", "ext/1", 1, ["ext"]]
)
def test_an_official_extension_has_no_other_name(official: Api, name: Any) -> None:
    """X-1, RL-3, N-13: the documented refusal; so six at most."""
    href = official.guest()["dataExtensions"]["href"]
    answer = official.post(href, json={"name": name, "a": 1})
    reason = "value must be one of ext,ext1,ext2,ext3,ext4,ext5"
    assert (answer.status_code, answer.json()) == (400, invalid("name", reason))


@pytest.mark.parametrize("body", [{"a": 1}, {"name": None, "a": 1}])
def test_an_official_extension_must_be_named(official: Api, body: dict[str, Any]) -> None:
    """X-2."""
    answer = official.post(official.guest()["dataExtensions"]["href"], json=body)
    assert (answer.status_code, answer.json()) == (400, absent("name"))


@pytest.mark.parametrize(
    "name", ["loyalty", "Loyalty Card", "ÄÖ 🦊", "x" * 128, "...", "a.b", "%2F", "a?b#c", "fields"]
)
def test_an_open_extension_may_have_any_name(api: Api, name: str) -> None:
    """N-13, C-6: the href leads back to it, whatever the name."""
    guest = api.guest()
    extension = api.extension(guest, name=name, a=1)
    assert extension["name"] == name
    assert extension["href"] == f"{guest['dataExtensions']['href']}/{quote(name, safe='')}"
    assert api.get(extension["href"]).json() == extension
    assert pairs(api.patch(extension["href"], json={"a": 2}).json()) == {"a": 2}
    assert pairs(api.delete(f"{extension['href']}/fields").json()) == {}
    assert api.delete(extension["href"]).status_code == 204


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b", "x" * 129, "a\nb", "a\x7fb", "a\x9fb", 1, True, {}, ["ext"]]
)
def test_an_open_extension_has_a_usable_name(api: Api, name: Any) -> None:
    """N-13."""
    href = api.guest()["dataExtensions"]["href"]
    answer = api.post(href, json={"name": name, "a": 1})
    reason = "must be 1 to 128 characters without control characters or /"
    assert (answer.status_code, answer.json()) == (400, invalid("name", reason))


def test_an_unnamed_open_extension_is_ext(api: Api) -> None:
    """N-13."""
    assert api.extension(api.guest(), a=1)["name"] == "ext"


def test_a_guest_has_a_hundred_open_extensions(api: Api) -> None:
    """N-13: and no more."""
    guest = api.guest()
    for number in range(100):
        api.extension(guest, name=f"set {number}")
    answer = api.post(guest["dataExtensions"]["href"], json={"name": "one more"})
    reason = "a maximum of 100 data extensions is allowed"
    assert (answer.status_code, answer.json()) == (400, invalid("name", reason))
    assert len(api.get(guest["dataExtensions"]["href"]).json()) == 100


@pytest.mark.parametrize("key", ["open", "official"])
def test_a_name_in_use_is_409(api: Api, official: Api, key: str) -> None:
    """X-3, N-14, ER-6: the developer message is text."""
    caller = {"open": api, "official": official}[key]
    guest = caller.guest()
    stored = caller.extension(guest, name="ext1", a=1)
    answer = caller.post(guest["dataExtensions"]["href"], json={"name": "ext1", "b": 2})
    message = "Data extension ext1 already exists."
    assert (answer.status_code, answer.json()) == (409, problem(409, message, message))
    assert caller.get(stored["href"]).json() == stored


def test_an_extension_of_nobody_is_404(api: Api) -> None:
    answer = api.post(f"/v2.1/guests/{NOBODY}/extensions", json={"name": "ext", "a": 1})
    assert (answer.status_code, answer.json()) == (404, no_guest(api, NOBODY))


# Pairs


@pytest.mark.parametrize(
    "text",
    [
        *('"a"', '""', "true", "false", "0", "12", "-7", "12.0", "12.50", "0.1", "-0.25"),
        *("9007199254740993", "123456789012345678901234567890", "0.1234567890123456789"),
        *("1.7976931348623157e308", "100000000000000000000000", '"12"', '"\\u00e9\\ud83e\\udd8a"'),
    ],
)
def test_a_value_comes_back_as_sent(api: Api, text: str) -> None:
    """X-4: string, boolean, integer, floating-point; a number in the digits it was sent in."""
    href = api.guest()["dataExtensions"]["href"]
    body = f'{{"name":"ext","pair":{text}}}'
    response = api.post(href, content=body, headers={"Content-Type": "application/json"})
    assert response.status_code == 201, response.text
    for answer in (response, api.get(f"{href}/ext")):
        record = answer.text.partition('"pair":')[2].partition(',"guest"')[0]
        if "e308" in text:
            assert float(record) == 1.7976931348623157e308
        else:
            assert record == ('"é🦊"' if "u00e9" in text else text)


@pytest.mark.parametrize("value", [None, {}, {"a": 1}, [], ["a"]])
def test_other_values_are_refused(api: Api, value: Any) -> None:
    """X-4: object, array and null."""
    answer = api.post(api.guest()["dataExtensions"]["href"], json={"name": "ext", "pair": value})
    reason = "value must be a string, boolean or number"
    assert (answer.status_code, answer.json()) == (400, invalid("pair", reason))


@pytest.mark.parametrize(
    "key", ["Vip", "vip_member", "vip-member", "1st", "", "vip member", "é", "ﬁ"]
)
def test_keys_are_in_camel_case(api: Api, key: str) -> None:
    """X-6."""
    answer = api.post(api.guest()["dataExtensions"]["href"], json={"name": "ext", key: 1})
    reason = "must be alphanumeric and in camel case"
    assert (answer.status_code, answer.json()) == (400, invalid(key, reason))


def test_every_wrong_pair_is_named(api: Api) -> None:
    """ER-3 for extensions."""
    answer = api.post(
        api.guest()["dataExtensions"]["href"],
        json={"name": "a/b", "Up": 1, "none": None, "fine": 1},
    )
    assert answer.status_code == 400
    assert sorted(answer.json()["errors"]) == [
        "Up: must be alphanumeric and in camel case",
        "name: must be 1 to 128 characters without control characters or /",
        "none: value must be a string, boolean or number",
    ]


def test_a_key_has_at_most_255_characters(api: Api) -> None:
    """RL-4."""
    guest = api.guest()
    longest = "k" * 255
    assert pairs(api.extension(guest, name="ext", **{longest: 1})) == {longest: 1}
    answer = api.post(guest["dataExtensions"]["href"], json={"name": "ext1", longest + "k": 1})
    expected = invalid(longest, "size must be between 1 and 255")
    assert (answer.status_code, answer.json()) == (400, expected)


@pytest.mark.parametrize("letter", ["x", "é", "🦊"])
def test_a_value_has_at_most_32_kib(api: Api, letter: str) -> None:
    """RL-4: counted in bytes of UTF-8."""
    guest = api.guest()
    longest = letter * (32 * 1024 // len(letter.encode()))
    assert pairs(api.extension(guest, name="ext", text=longest)) == {"text": longest}
    answer = api.post(guest["dataExtensions"]["href"], json={"name": "ext1", "text": longest + "x"})
    expected = invalid("text", "size must be between 0 and 32768 bytes")
    assert (answer.status_code, answer.json()) == (400, expected)


def test_an_extension_has_at_most_a_hundred_pairs(api: Api) -> None:
    """X-5, RL-3: in a create, in a replace, and after the merge of a patch."""
    guest = api.guest()
    refused = invalid("ext", "a maximum of 100 key-value pairs is allowed")
    answer = api.post(guest["dataExtensions"]["href"], json={"name": "ext", **HUNDRED, "more": 1})
    assert (answer.status_code, answer.json()) == (400, refused)
    extension = api.extension(guest, name="ext", **HUNDRED)
    assert pairs(extension) == HUNDRED
    for method, body in (("PUT", {**HUNDRED, "more": 1}), ("PATCH", {"more": 1})):
        answer = api.request(method, extension["href"], json=body)
        assert (answer.status_code, answer.json()) == (400, refused)
    answer = api.patch(extension["href"], json={"k7": "new"})
    assert (answer.status_code, pairs(answer.json())) == (200, {**HUNDRED, "k7": "new"})


def test_official_keys_are_unique_over_a_guest(official: Api) -> None:
    """X-7: on every write; not for another guest."""
    guest = official.guest()
    official.extension(guest, name="ext", vipMember=True)
    other = official.extension(guest, name="ext1", points=1)
    refused = invalid("vipMember", "key already exists in data extension ext")
    collection = guest["dataExtensions"]["href"]
    answer = official.post(collection, json={"name": "ext2", "vipMember": 1})
    assert (answer.status_code, answer.json()) == (400, refused)
    for method in ("PUT", "PATCH"):
        answer = official.request(method, other["href"], json={"vipMember": 1})
        assert (answer.status_code, answer.json()) == (400, refused)
    assert official.get(other["href"]).json() == other
    assert official.extension(official.guest(), name="ext1", vipMember=1)["vipMember"] == 1


def test_open_keys_may_repeat_over_a_guest(api: Api) -> None:
    """N-13, X-7: each named set has its own keys."""
    guest = api.guest()
    api.extension(guest, name="one", vipMember=True)
    assert pairs(api.extension(guest, name="two", vipMember="yes")) == {"vipMember": "yes"}


RESERVED = {
    "key": "default",
    "ref": NOBODY,
    "href": "http://elsewhere/",
    "createdAt": "2001-01-01T00:00:00Z",
    "modifiedAt": None,
    "guest": {"href": "x"},
    "order": [],
    "orderItem": 1,
}


@pytest.mark.parametrize("key", ["open", "official"])
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_reserved_members_are_never_pairs(api: Api, official: Api, key: str, method: str) -> None:
    """X-8: accepted whatever they hold, and ignored."""
    caller = {"open": api, "official": official}[key]
    guest = caller.guest()
    collection = guest["dataExtensions"]["href"]
    if method == "POST":
        answer = caller.post(collection, json={**RESERVED, "name": "ext", "a": 1})
        assert answer.status_code == 201
    else:
        href = caller.extension(guest, name="ext", a=0)["href"]
        answer = caller.request(method, href, json={**RESERVED, "name": "ext1", "a": 1})
        assert answer.status_code == 200
    extension = answer.json()
    assert pairs(extension) == {"a": 1}
    assert (extension["name"], extension["key"]) == ("ext", "default")
    assert extension["guest"] == {"href": guest["href"]}


# One pair as {key, value}


def test_an_open_pair_may_come_as_key_and_value(api: Api) -> None:
    """N-12: stored as a flat pair, shown both ways while it is the only one."""
    guest = api.guest()
    extension = api.extension(guest, name="loyalty", key="tier", value="gold")
    assert extension["key"] == "tier"
    assert pairs(extension) == {"tier": "gold", "value": "gold"}
    assert api.get(extension["href"]).json() == extension
    assert api.get(guest["dataExtensions"]["href"]).json() == [extension]
    two = api.patch(extension["href"], json={"points": 1}).json()
    assert (two["key"], pairs(two)) == ("default", {"tier": "gold", "points": 1})


def test_an_official_key_sees_that_pair_flat_alone(api: Api, official: Api) -> None:
    """N-12: seed 000's form is shown to those who use it."""
    guest = api.extension(api.guest(), name="ext", key="tier", value="gold")
    record = official.get(guest["href"]).json()
    assert (record["key"], pairs(record)) == ("default", {"tier": "gold"})


def test_patch_and_put_take_key_and_value_too(api: Api) -> None:
    """NU-5, N-12: a patch sets that pair and keeps others; a replace leaves it alone."""
    guest = api.extension(api.guest(), name="loyalty", points=1)
    patched = api.patch(guest["href"], json={"key": "tier", "value": "gold"}).json()
    assert (patched["key"], pairs(patched)) == ("default", {"points": 1, "tier": "gold"})
    replaced = api.put(guest["href"], json={"key": "tier", "value": "blue"}).json()
    assert (replaced["key"], pairs(replaced)) == ("tier", {"tier": "blue", "value": "blue"})
    again = api.patch(guest["href"], json={"key": "tier", "value": "red"}).json()
    assert (again["key"], pairs(again)) == ("tier", {"tier": "red", "value": "red"})


def test_value_without_a_key_of_its_own_is_a_pair(api: Api, official: Api) -> None:
    """N-12, NU-4: `value` is an ordinary pair, for an open key a string."""
    assert pairs(api.extension(api.guest(), name="ext", value="x")) == {"value": "x"}
    guest = api.extension(api.guest(), name="ext", key="default", value="x")
    assert (guest["key"], pairs(guest)) == ("default", {"value": "x"})
    existing = official.extension(official.guest(), name="ext", key="tier", value=1.5)
    assert (existing["key"], pairs(existing)) == ("default", {"value": 1.5})


@pytest.mark.parametrize("body", [{"key": "tier", "value": 5}, {"value": True}, {"value": {}}])
def test_an_open_value_is_a_string(api: Api, body: dict[str, Any]) -> None:
    """N-12, NU-4."""
    answer = api.post(api.guest()["dataExtensions"]["href"], json=body)
    assert answer.status_code == 400
    assert answer.json()["message"] == "value: must be a string"


@pytest.mark.parametrize("key", ["Tier", "a b", "", "name", "ref", "key", "guest", 5, ["tier"]])
def test_the_key_of_a_single_pair_is_a_key(api: Api, key: Any) -> None:
    """N-12: X-6 and X-8 hold for it."""
    answer = api.post(api.guest()["dataExtensions"]["href"], json={"key": key, "value": "x"})
    expected = invalid("key", "must be alphanumeric and in camel case")
    assert (answer.status_code, answer.json()) == (400, expected)


def test_a_single_pair_cannot_rename_its_extension(api: Api) -> None:
    """NU-6: a name that differs from the path is 400."""
    guest = api.extension(api.guest(), name="loyalty", key="tier", value="gold")
    body = {"name": "other", "key": "tier", "value": "blue"}
    answer = api.put(guest["href"], json=body)
    assert (answer.status_code, answer.json()) == (400, invalid("name", "must be loyalty"))
    assert api.put(guest["href"], json={**body, "name": "loyalty"}).status_code == 200


# Read


def test_an_open_collection_is_an_array(api: Api) -> None:
    """N-11: of full extensions, oldest first."""
    guest = api.guest()
    href = guest["dataExtensions"]["href"]
    assert api.get(href).json() == []
    created = []
    for name in ("two", "one", "three"):
        created.append(api.extension(guest, name=name, a=name))
        time.sleep(0.002)
    answer = api.get(href)
    assert (answer.status_code, answer.json()) == (200, created)


@pytest.mark.parametrize(
    "query", ["expand=true", "expand=false", "offset=0", "limit=10", "expand="]
)
def test_an_open_collection_is_a_page_on_request(api: Api, query: str) -> None:
    """N-11, X-17."""
    guest = api.guest()
    extension = api.extension(guest, name="ext", a=1)
    page = api.get(f"{guest['dataExtensions']['href']}?{query}").json()
    assert (page["items"], page["offset"], page["limit"]) == ([extension], 0, 10)
    assert page["totalCount"] == 1


def test_an_official_collection_is_a_page(official: Api) -> None:
    """N-11, X-17: with full extensions as items."""
    guest = official.guest()
    href = guest["dataExtensions"]["href"]
    page = f"{href}?offset=0&limit=10"
    links = {"href": page, "first": {"href": page}, "last": {"href": page}}
    window = {"offset": 0, "limit": 10}
    assert official.get(href).json() == {**links, **window, "totalCount": 0, "items": []}
    extension = official.extension(guest, name="ext", a=1)
    assert official.get(href).json() == {**links, **window, "totalCount": 1, "items": [extension]}


def test_extensions_are_paged(official: Api) -> None:
    """L-2, L-7 for extensions."""
    guest = official.guest()
    created = []
    for name in SIX:
        created.append(official.extension(guest, name=name))
        time.sleep(0.002)
    href = guest["dataExtensions"]["href"]
    page = official.get(f"{href}?offset=2&limit=3").json()
    assert page == {
        "href": f"{href}?offset=2&limit=3",
        "offset": 2,
        "limit": 3,
        "totalCount": 6,
        "first": {"href": f"{href}?offset=0&limit=3"},
        "last": {"href": f"{href}?offset=3&limit=3"},
        "next": {"href": f"{href}?offset=5&limit=3"},
        "prev": {"href": f"{href}?offset=0&limit=3"},
        "items": created[2:5],
    }


@pytest.mark.parametrize("path", ["", "?limit=5", "?expand=true"])
def test_the_collection_of_nobody_is_404(api: Api, path: str) -> None:
    """X-17."""
    answer = api.get(f"/v2.1/guests/{NOBODY}/extensions{path}")
    assert (answer.status_code, answer.json()) == (404, no_guest(api, NOBODY))


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("suffix", ["", "/fields"])
def test_a_missing_extension_is_404(api: Api, method: str, suffix: str) -> None:
    """X-12, X-13, X-18, U-8: PUT and PATCH do not create; the documented developer text."""
    if suffix and method != "DELETE":
        return
    guest = api.guest()
    api.extension(guest, name="ext", a=1)
    body = {"json": {"b": 2}} if method in ("PUT", "PATCH") else {}
    answer = api.request(method, f"{guest['dataExtensions']['href']}/ext2{suffix}", **body)
    assert (answer.status_code, answer.json()) == (404, no_extension(api, guest["ref"], "ext2"))
    answer = api.request(method, f"/v2.1/guests/{NOBODY}/extensions/ext{suffix}", **body)
    assert (answer.status_code, answer.json()) == (404, no_guest(api, NOBODY))


def test_names_of_extensions_have_a_case(api: Api) -> None:
    """C-7 is about resource segments, not about what callers name."""
    guest = api.guest()
    api.extension(guest, name="Ext", a=1)
    assert api.get(f"{guest['href']}/EXTENSIONS/Ext").status_code == 200
    assert api.get(f"{guest['href']}/extensions/ext").status_code == 404


# Replace, patch, delete


def test_put_replaces_all_pairs(api: Api) -> None:
    """X-12, C-11: types may change, creation stays."""
    guest = api.extension(api.guest(), name="ext", a=1, b="two")
    time.sleep(0.002)
    answer = api.put(guest["href"], json={"b": 2.5, "c": False})
    assert answer.status_code == 200
    assert pairs(answer.json()) == {"b": 2.5, "c": False}
    assert answer.json()["createdAt"] == guest["createdAt"]
    assert answer.json()["modifiedAt"] > guest["modifiedAt"]
    assert api.get(guest["href"]).json() == answer.json()
    assert pairs(api.put(guest["href"], json={}).json()) == {}


def test_patch_replaces_only_keys_sent(api: Api) -> None:
    """X-12."""
    guest = api.extension(api.guest(), name="ext", a=1, b="two")
    time.sleep(0.002)
    answer = api.patch(guest["href"], json={"b": True, "c": "new"})
    assert (answer.status_code, pairs(answer.json())) == (200, {"a": 1, "b": True, "c": "new"})
    assert answer.json()["createdAt"] == guest["createdAt"]
    assert answer.json()["modifiedAt"] > guest["modifiedAt"]
    assert api.get(guest["href"]).json() == answer.json()


def test_a_refused_pair_changes_nothing(api: Api) -> None:
    """X-4: null is refused in a patch as well."""
    guest = api.extension(api.guest(), name="ext", a=1)
    answer = api.patch(guest["href"], json={"b": 2, "a": None})
    reason = "value must be a string, boolean or number"
    assert (answer.status_code, answer.json()) == (400, invalid("a", reason))
    assert api.get(guest["href"]).json() == guest


def test_delete_removes_an_extension(api: Api, official: Api) -> None:
    """X-13, N-10, S-6: 204 for an open key, 200 null for an official one; then 404."""
    guest = api.guest()
    for caller, name, status, body in ((api, "ext", 204, b""), (official, "ext1", 200, b"null")):
        extension = caller.extension(guest, name=name, a=1)
        answer = caller.delete(extension["href"])
        assert (answer.status_code, answer.content) == (status, body)
        for again in (caller.get(extension["href"]), caller.delete(extension["href"])):
            expected = no_extension(caller, guest["ref"], name)
            assert (again.status_code, again.json()) == (404, expected)


@pytest.mark.parametrize(
    ("query", "left"),
    [
        ("?name=a", {"b": 2, "c": 3, "d": 4}),
        ("?name=a|c", {"b": 2, "d": 4}),
        ("?name=a%7Cc", {"b": 2, "d": 4}),
        ("?name=a,c", {"b": 2, "d": 4}),
        ("?name=a%2Cc", {"b": 2, "d": 4}),
        ("?name=a&name=c", {"b": 2, "d": 4}),
        ("?name=a|b,c", {"d": 4}),
        ("?name=a,b&name=c|nothing", {"d": 4}),
        ("?name=nothing", {"a": 1, "b": 2, "c": 3, "d": 4}),
        ("?name=%00", {"a": 1, "b": 2, "c": 3, "d": 4}),
        ("?name=", {}),
        ("", {}),
    ],
)
def test_fields_removes_pairs(api: Api, query: str, left: dict[str, int]) -> None:
    """X-14, X-15, X-16: 200 with the extension after removal; without a name all pairs."""
    guest = api.extension(api.guest(), name="ext", a=1, b=2, c=3, d=4)
    answer = api.delete(f"{guest['href']}/fields{query}")
    assert (answer.status_code, pairs(answer.json())) == (200, left)
    assert answer.json()["createdAt"] == guest["createdAt"]
    assert api.get(guest["href"]).json() == answer.json()
