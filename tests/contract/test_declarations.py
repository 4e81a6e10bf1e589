"""Every field of the guest declaration: missing, null, wrong type, too long, owned.

The cases walk the declaration; what to expect of each kind stands here, from the contract.
"""

from typing import Any

import pytest
from calling import Api, invalid

from innkeeper.resources.base import Field
from innkeeper.resources.guests import Guest
from innkeeper.resources.kinds import (
    Code,
    Day,
    Instant,
    ListOf,
    ObjectOf,
    OneOf,
    Opaque,
    Pattern,
    Text,
)

# rest-v2.1.md 3.1, name by name.
DOCUMENTED = {
    *("guestType", "title", "firstName", "lastName", "gender", "dateOfBirth", "email", "emails"),
    *("phoneNumbers", "nationality", "passportNumber", "passportExpiry", "street", "city", "state"),
    *("country", "postCode", "identifiers", "language", "zipCode", "identityStatus"),
    *("subscriptions", "phone"),
}
OWNED = {"firstSeen", "lastSeen", "ref", "createdAt", "modifiedAt"}

ANY = [None, True, 5, 1.5, "text", ["text"], [5], {"a": 1}]
LONG = "x" * (32 * 1024 + 1)
TOO_LONG = "size must be between 0 and 32768 bytes"


def spelt(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.title() for word in rest)


FIELDS: dict[str, Field] = {
    spelt(name): field for name, field in Guest.fields.items() if not field.owned
}


def reason(field: Field) -> str:
    """What a value of a wrong JSON type is told."""
    reasons = {
        Text: "must be a string",
        OneOf: "not a valid value",
        Code: "not a valid value",
        Pattern: "not a well-formed email address",
        Instant: "must be an ISO 8601 date-time",
        Day: "must be an ISO 8601 date-time",
        ListOf: "must be an array",
    }
    return reasons[type(field.kind)]


def wrong_types(field: Field) -> list[Any]:
    """Values that are not even of the field's JSON type; null is none of them: it clears."""
    right = list if isinstance(field.kind, ListOf) else str
    return [value for value in ANY if value is not None and not isinstance(value, right)]


def test_the_declaration_is_the_documented_list() -> None:
    """N-9, section 3.1: every documented field, and what the server owns."""
    assert set(FIELDS) == DOCUMENTED
    assert {spelt(name) for name, field in Guest.fields.items() if field.owned} == OWNED


@pytest.mark.parametrize("name", [name for name in FIELDS if name != "gender"])
def test_a_wrong_type_is_refused(official: Api, name: str) -> None:
    """errors.md 2: `field: reason`, in every verb that takes a body."""
    href = official.guest()["href"]
    answers = {}
    for value in wrong_types(FIELDS[name]):
        for method in ("POST", "PUT", "PATCH"):
            path = "/v2.1/guests" if method == "POST" else href
            answer = official.request(method, path, json={"guestType": "visitor", name: value})
            answers[method, repr(value)] = (answer.status_code, answer.json())
    assert answers
    assert answers == dict.fromkeys(answers, (400, invalid(name, reason(FIELDS[name]))))


@pytest.mark.parametrize("name", FIELDS)
def test_every_field_but_the_type_may_be_missing_or_null(official: Api, name: str) -> None:
    """C-10, G-3: null is as good as absent."""
    body = {"guestType": "visitor", name: None}
    if name == "guestType":
        assert official.post("/v2.1/guests", json=body).status_code == 400
        return
    answer = official.post("/v2.1/guests", json=body)
    assert answer.status_code == 201
    assert name not in answer.json()


def holders() -> list[Any]:
    """(name, a body member that holds a text over the limit, where the problem is)."""
    cases = []
    for name, field in FIELDS.items():
        kind = field.kind
        if isinstance(kind, Text):
            cases.append((name, LONG, name))
        elif isinstance(kind, ListOf) and isinstance(kind.element, Text):
            cases.append((name, ["fine", LONG], f"{name}[1]"))
        elif isinstance(kind, ListOf) and isinstance(kind.element, Opaque):
            cases.append((name, [{"a": [LONG]}], f"{name}[0]"))
        elif isinstance(kind, ListOf) and isinstance(kind.element, ObjectOf):
            fine = {"provider": "p", "id": "i"}
            cases += [(name, [{**fine, member: LONG}], f"{name}[0].{member}") for member in fine]
        elif isinstance(kind, Pattern):
            cases.append((name, f"a@b.{LONG}", name))
        elif isinstance(kind, ListOf):
            cases.append((name, [f"a@b.{LONG}"], f"{name}[0]"))
    return [pytest.param(*case, id=case[2]) for case in cases]


@pytest.mark.parametrize(("name", "value", "where"), holders())
def test_a_text_too_long_is_refused(official: Api, name: str, value: Any, where: str) -> None:
    """RL-4: 32 KiB for each text, wherever it stands."""
    answer = official.post("/v2.1/guests", json={"guestType": "visitor", name: value})
    assert (answer.status_code, answer.json()) == (400, invalid(where, TOO_LONG))


@pytest.mark.parametrize(
    "name", [name for name, field in FIELDS.items() if isinstance(field.kind, ListOf)]
)
def test_a_null_in_an_array_is_refused(official: Api, name: str) -> None:
    """Null clears a field, it is no element of one; subscriptions are kept as they come."""
    answer = official.post("/v2.1/guests", json={"guestType": "visitor", name: [None]})
    if name == "subscriptions":
        assert answer.json()["subscriptions"] == [None]
    else:
        assert answer.status_code == 400
        assert answer.json()["message"].startswith(f"{name}[0]: ")


@pytest.mark.parametrize("name", sorted(OWNED))
@pytest.mark.parametrize("value", ANY)
def test_what_the_server_owns_is_ignored(official: Api, name: str, value: Any) -> None:
    """C-9."""
    guest = official.guest()
    after = official.patch(guest["href"], json={name: value})
    assert after.status_code == 200
    assert {**after.json(), "modifiedAt": guest["modifiedAt"]} == guest


@pytest.mark.parametrize("compatibility", ["open", "official"])
def test_the_description_names_every_field(anonymous: Api, compatibility: str) -> None:
    """One declaration serves the API and its description."""
    answer = anonymous.get(f"/openapi.json?compatibility={compatibility}")
    schemas = answer.json()["components"]["schemas"]
    assert set(schemas["GuestCreate"]["properties"]) == DOCUMENTED
    records = set(schemas["Guest"]["properties"])
    assert records >= DOCUMENTED | OWNED | {"href", "dataExtensions"}
    required = schemas["GuestCreate"].get("required", [])
    assert required == ([] if compatibility == "open" else ["guestType"])
    assert schemas["GuestPatch"].get("required", []) == []
