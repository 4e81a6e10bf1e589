"""Contacts and consumers over v2.1: OC1 to OC6, ON1 to ON7, P-1 to P-9 (rest-v2.1.md 7, 8)."""

from typing import Any

import pytest
from calling import NOBODY, Api, absent, invalid, problem
from jsonschema import Draft202012Validator
from ordering import (
    PERSON,
    checked_body,
    guest_of,
    new_item,
    new_order,
    new_person,
    own_fields,
    refs_in,
)

WHOLE: dict[str, Any] = {
    "title": "Ms",
    "firstName": "Jane",
    "lastName": "Doe",
    "gender": "female",
    "dateOfBirth": "1985-12-24T00:00:00.000Z",
    "emails": ["jane.doe@example.com", "jd@example.org"],
    "phoneNumbers": ["+353161123345"],
    "nationality": "Irish",
    "passportNumber": "PZ4A9565",
    "passportExpiry": "2035-01-01T00:00:00.000Z",
    "street": ["1 Main Street"],
    "city": "Dublin",
    "state": "Leinster",
    "country": "IE",
    "postCode": "D02 X285",
    "identifiers": [
        {"provider": "email", "id": "jane.doe@example.com"},
        {"provider": "BXLP", "id": "1", "expiryDate": "2035-01-01T16:17:16.000Z"},
    ],
}
KINDS = ("contacts", "consumers")
ONE = {"contacts": "orderContacts", "consumers": "orderConsumers"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_person_is_created_with_every_field(api: Api, kind: str) -> None:
    """OC1, OC3, ON1, ON3, P-2, P-9, R-1: and the answer names the guest."""
    order = new_order(api)
    person = new_person(api, order, kind, **WHOLE)
    expected = {
        **WHOLE,
        "ref": person["ref"],
        "href": f"{api.url}/v2.1/{ONE[kind]}/{person['ref']}",
        "createdAt": person["createdAt"],
        "modifiedAt": person["createdAt"],
        "order": {"href": order["href"]},
        "guest": {"href": f"{api.url}/v2.1/guests/{guest_of(person)}"},
    }
    if kind == "consumers":
        expected["orderItems"] = {"items": []}
    assert person == expected
    assert checked_body(api.get(person["href"]), 200) == person
    guest = checked_body(api.get(person["guest"]["href"]), 200)
    assert guest["guestType"] == "customer"
    assert (guest["firstName"], guest["emails"]) == ("Jane", WHOLE["emails"])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "enough",
    [
        {"identifiers": [{"provider": "X", "id": "1"}]},
        {"emails": ["a@example.com"]},
        {"firstName": "A", "lastName": "B"},
    ],
)
def test_one_thing_is_enough_to_know_someone(api: Api, kind: str, enough: dict[str, Any]) -> None:
    """P-1."""
    person = new_person(api, new_order(api), kind, **enough)
    assert own_fields(person, "orderItems") == enough


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "little",
    [{}, {"firstName": "A"}, {"lastName": "B"}, {"emails": []}, {"identifiers": []}, {"city": "X"}],
)
def test_nobody_is_known_by_less(api: Api, kind: str, little: dict[str, Any]) -> None:
    """P-1, U-7: 400 on create and replace, and no guest is made."""
    order = new_order(api)
    answer = api.post(f"/v2.1/orders/{order['ref']}/{kind}", json=little)
    assert (answer.status_code, answer.json()) == (400, absent("firstName"))
    assert api.get("/v2.1/guests").json()["totalCount"] == 0
    person = new_person(api, order, kind)
    assert api.put(person["href"], json=little).status_code == 400


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("verb", ["Create", "Replace"])
def test_the_description_names_the_sufficient_fields(api: Api, kind: str, verb: str) -> None:
    """P-1: as a schema, so that a generated client knows."""
    document = api.get("/openapi.json").json()
    name = ONE[kind][0].upper() + ONE[kind][1:-1] + verb
    schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
    validator = Draft202012Validator(schema)
    guest = {"href": f"{api.url}/v2.1/guests/{NOBODY}"}
    for enough in ({"guest": guest}, {"emails": ["a@example.com"]}, PERSON):
        assert validator.is_valid(enough), enough
    for little in (*({}, {"city": "X"}), *({"firstName": "A"}, {"firstName": "A", "lastName": ""})):
        assert not validator.is_valid(little), little
    assert not validator.is_valid({"emails": [], "identifiers": [], "guest": None})


@pytest.mark.parametrize(
    ("field", "value", "at", "reason"),
    [
        ("gender", "Male", "gender", "not a valid value"),
        ("gender", "other", "gender", "not a valid value"),
        ("dateOfBirth", "2999-01-01", "dateOfBirth", "must be in the past"),
        ("emails", ["nobody"], "emails[0]", "not a well-formed email address"),
        ("emails", "a@example.com", "emails", "must be an array"),
        ("country", "Ireland", "country", "not a valid value"),
        ("guest", {"href": "https://host/v2.1/guests/x"}, "guest.href", "not a valid value"),
        ("guest", "f7aabbca", "guest.href", "not a valid value"),
        ("guest", {"href": f"/v2.1/guests/{NOBODY}"}, "guest.href", "not a valid value"),
    ],
)
def test_a_wrong_value_is_refused(api: Api, field: str, value: Any, at: str, reason: str) -> None:
    """Section 7, G-16, P-6."""
    order = new_order(api)
    body = {"firstName": "A", "lastName": "B", field: value}
    answer = api.post(f"/v2.1/orders/{order['ref']}/contacts", json=body)
    assert (answer.status_code, answer.json()) == (400, invalid(at, reason))


def test_a_person_of_the_day_is_no_error(api: Api) -> None:
    """Section 7: forms of dates; shown as a date-time."""
    person = new_person(api, new_order(api), "contacts", **PERSON, dateOfBirth="1985-12-24T00:00Z")
    assert person["dateOfBirth"] == "1985-12-24T00:00:00.000Z"


# Identity


@pytest.mark.parametrize("kind", KINDS)
def test_the_named_guest_is_attached(api: Api, kind: str) -> None:
    """Section 8 steps 1 and 6, VC-4: by href, in any case; fills gaps, overwrites nothing."""
    guest = api.guest(firstName="Jo")
    href = f"https://elsewhere/v2.1/guests/{guest['ref'].upper()}"
    person = new_person(api, new_order(api), kind, guest={"href": href}, firstName="A", city="Cork")
    assert guest_of(person) == guest["ref"]
    after = api.get(guest["href"]).json()
    assert (after["firstName"], after["city"]) == ("Jo", "Cork")
    assert after["guestType"] == ("customer" if kind == "contacts" else "visitor")
    assert api.get("/v2.1/guests").json()["totalCount"] == 1


def test_an_identifier_of_a_rule_finds_its_guest(api: Api) -> None:
    """ID-1, ID-3, section 8 step 2: across orders and roles, e-mail ids in any case."""
    first = new_person(api, new_order(api), "contacts")
    again = [{"provider": "email", "id": " Jane.Doe@Example.com"}]
    other = new_order(api, referenceId="2")
    second = new_person(api, other, "consumers", identifiers=again)
    assert guest_of(second) == guest_of(first)
    assert api.get("/v2.1/guests").json()["totalCount"] == 1


def test_an_unknown_person_becomes_a_guest(api: Api) -> None:
    """ID-4, ID-5, section 8 step 5: a contact is a customer, a mere consumer a visitor."""
    order = new_order(api)
    contact = new_person(api, order, "contacts", firstName="A", lastName="B")
    consumer = new_person(api, order, "consumers", firstName="C", lastName="D")
    assert api.get(contact["guest"]["href"]).json()["guestType"] == "customer"
    assert api.get(consumer["guest"]["href"]).json()["guestType"] == "visitor"
    assert guest_of(contact) != guest_of(consumer)


def test_a_consumer_may_be_the_contact_by_name(api: Api) -> None:
    """ID-7, section 8 step 4: on the same order, with nothing else to tell who it is."""
    order = new_order(api)
    contact = new_person(api, order, "contacts")
    namesake = new_person(api, order, "consumers", firstName="Jane", lastName="Doe")
    assert guest_of(namesake) == guest_of(contact)
    other = new_order(api, referenceId="2")
    stranger = new_person(api, other, "consumers", firstName="Jane", lastName="Doe")
    assert guest_of(stranger) != guest_of(contact)


def test_a_merge_is_followed_when_people_are_read(api: Api, site: Any) -> None:
    """identity.md 9: an absorbed guest's rows show the survivor, who has its orders too."""
    order = new_order(api)
    contact = new_person(api, order, "contacts")
    survivor = api.guest()
    sql = "UPDATE ws_live.guests SET survivor_ref = %s WHERE ref = %s"
    import psycopg

    with psycopg.connect(site.dsn, autocommit=True) as connection:
        connection.execute(sql, [survivor["ref"], guest_of(contact)])
        assert guest_of(checked_body(api.get(contact["href"]), 200)) == survivor["ref"]
        response = "/v2.1/orders?guestRef="
        assert refs_in(api.get(response + survivor["ref"])) == [order["ref"]]
        assert refs_in(api.get(response + guest_of(contact))) == []
        assert refs_in(api.get(f"/v2.1/guests?orderRef={order['ref']}")) == [survivor["ref"]]
        patched = checked_body(api.patch(contact["href"], json={"city": "Cork"}), 200)
        assert guest_of(patched) == survivor["ref"]
        recorded = "SELECT guest_ref FROM ws_live.order_contacts"
        assert str(connection.execute(recorded).fetchone()[0]) == guest_of(contact)
        assert api.delete(survivor["href"]).status_code == 204
    assert refs_in(api.get("/v2.1/orders")) == []


# Update


@pytest.mark.parametrize("kind", KINDS)
def test_a_replace_clears_and_a_patch_keeps(api: Api, kind: str) -> None:
    """OC4, OC5, ON4, ON5, P-5: the guest stays while no new evidence comes."""
    person = new_person(api, new_order(api), kind, **WHOLE)
    patched = checked_body(api.patch(person["href"], json={"city": "Cork", "title": None}), 200)
    expected = {**WHOLE, "city": "Cork"}
    del expected["title"]
    assert own_fields(patched, "orderItems") == expected
    small = {"firstName": "J", "lastName": "D"}
    replaced = checked_body(api.put(person["href"], json=small), 200)
    assert own_fields(replaced, "orderItems") == small
    assert guest_of(patched) == guest_of(replaced) == guest_of(person)
    assert checked_body(api.get(person["href"]), 200) == replaced
    assert api.get("/v2.1/guests").json()["totalCount"] == 1


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_new_evidence_may_move_the_link(api: Api, method: str) -> None:
    """P-5: identifiers, emails or guest that change are resolved again."""
    order = new_order(api)
    person = new_person(api, order, "contacts")
    other = api.guest(identifiers=[{"provider": "email", "id": "other@example.com"}])
    changed = {"identifiers": other["identifiers"]}
    moved = checked_body(api.request(method, person["href"], json=changed), 200)
    assert guest_of(moved) == other["ref"]
    back = {**PERSON, "guest": person["guest"]}
    moved = checked_body(api.request(method, person["href"], json=back), 200)
    assert guest_of(moved) == guest_of(person)
    unknown = {**PERSON, "guest": {"href": f"/{NOBODY}"}}
    assert api.request(method, person["href"], json=unknown).status_code == 400


# Items of a consumer


def test_a_consumer_uses_items(api: Api) -> None:
    """ON7, P-7, P-9, section 7: links in request and answer, in the order they were named."""
    order = new_order(api)
    items = [new_item(api, order, name=str(number)) for number in range(3)]
    links = [{"href": item["href"]} for item in reversed(items)]
    consumer = new_person(
        api, order, "consumers", **PERSON, orderItems={"items": [*links, links[0]]}
    )
    assert consumer["orderItems"] == {"items": links}
    path = f"/v2.1/orderConsumers/{consumer['ref']}/orderItems"
    assert sorted(refs_in(api.get(path))) == sorted(item["ref"] for item in items)
    assert api.get(path).json()["href"] == f"{api.url}{path}?offset=0&limit=10"
    assert api.get(f"{path}?expand=true").json()["items"] == items
    fewer = checked_body(
        api.patch(consumer["href"], json={"orderItems": {"items": links[:1]}}), 200
    )
    assert fewer["orderItems"] == {"items": links[:1]}
    assert checked_body(api.patch(consumer["href"], json={"city": "X"}), 200)["orderItems"] == {
        "items": links[:1]
    }
    assert checked_body(api.put(consumer["href"], json=PERSON), 200)["orderItems"] == {"items": []}
    assert refs_in(api.get(path)) == []
    assert api.get(f"/v2.1/orderConsumers/{NOBODY}/orderItems").status_code == 404


def test_items_of_another_order_are_refused(api: Api) -> None:
    """P-6: 400 that names the link; nothing is made."""
    order, other = new_order(api), new_order(api, referenceId="2")
    own, foreign = new_item(api, order), new_item(api, other)
    for href in (foreign["href"], f"/v2.1/orderItems/{NOBODY}"):
        links = {"items": [{"href": own["href"]}, {"href": href}]}
        answer = api.post(
            f"/v2.1/orders/{order['ref']}/consumers", json={**PERSON, "orderItems": links}
        )
        expected = invalid("orderItems.items[1].href", "not a valid value")
        assert (answer.status_code, answer.json()) == (400, expected)
    assert refs_in(api.get(f"/v2.1/orders/{order['ref']}/consumers")) == []
    assert api.get("/v2.1/guests").json()["totalCount"] == 0


# Lists and deletes


@pytest.mark.parametrize("kind", KINDS)
def test_people_are_listed(api: Api, kind: str) -> None:
    """OC2, ON2, P-3, P-8, U-13: several of them, as links or whole."""
    order = new_order(api)
    people = [new_person(api, order, kind, firstName=str(n), lastName="B") for n in range(3)]
    path = f"/v2.1/orders/{order['ref']}/{kind}"
    assert api.get(path).json()["items"] == [
        {"href": person["href"], "ref": person["ref"]} for person in people
    ]
    assert api.get(f"{path}?expand=true").json()["items"] == people
    assert refs_in(api.get(f"{path}?offset=1&limit=1")) == [people[1]["ref"]]


@pytest.mark.parametrize("kind", KINDS)
def test_a_deleted_person_is_off_the_order(api: Api, kind: str) -> None:
    """OC6, ON6, P-4, S-2, U-6: 204; guest and order stay, and no longer belong together."""
    order = new_order(api)
    person = new_person(api, order, kind)
    answer = api.delete(person["href"])
    assert (answer.status_code, answer.content) == (204, b"")
    assert api.get(person["href"]).status_code == 404
    assert api.get(person["guest"]["href"]).status_code == 200
    assert api.get(order["href"]).status_code == 200
    assert refs_in(api.get(f"/v2.1/orders?guestRef={guest_of(person)}")) == []


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("ref", [NOBODY, "nobody"])
@pytest.mark.parametrize(
    ("kind", "word"), [("orderContacts", "contact"), ("orderConsumers", "consumer")]
)
def test_an_unknown_person_is_not_found(
    api: Api, kind: str, word: str, ref: str, method: str
) -> None:
    """errors.md 2."""
    answer = api.request(method, f"/v2.1/{kind}/{ref}", json=PERSON if method[0] == "P" else None)
    text = f"Order {word} with ref {ref} for client key {api.client_key} was not found"
    expected = problem(404, "The specified resource does not exist.", text)
    assert (answer.status_code, answer.json()) == (404, expected)


@pytest.mark.parametrize("kind", KINDS)
def test_an_unknown_order_has_no_people(api: Api, kind: str) -> None:
    path = f"/v2.1/orders/{NOBODY}/{kind}"
    assert [api.get(path).status_code, api.post(path, json=PERSON).status_code] == [404, 404]
    assert api.get("/v2.1/guests").json()["totalCount"] == 0
