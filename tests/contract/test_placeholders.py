"""Values that identify nobody, by every way in (F7, F8, F9; identity.md 2)."""

import gzip
import json
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from batching import Batches, record, upsert
from calling import Api, body_of
from ordering import ORDER, guest_of, new_order, new_person
from profiles import each_day
from sites import Site
from streams import JANE, Page, product

from innkeeper.rules.placeholders import PLACEHOLDERS

OWN = "/innkeeper/v1"
GUARDS = f"{OWN}/identity/guards"
NOBODY = ("[object Object]", '"null"', " undefined ", "\u200bGuest", "(not set)", "3.53861E+11")


@pytest.fixture
def batches(api: Api, site: Site) -> Batches:
    return Batches(api, site.settings)


@pytest.fixture
def ruled(api: Api) -> Iterator[Api]:
    """The API; rules and guards are as they were afterwards."""
    before = body_of(api.get(f"{OWN}/identity/rules"))
    yield api
    api.put(f"{OWN}/identity/rules", json=before)
    api.patch(GUARDS, json=dict.fromkeys(("groupLimit", "region", "never")))


def person(value: str, name: str = "Ann", provider: str = "email") -> dict[str, Any]:
    ids = [{"provider": provider, "id": value}]
    return {"firstName": name, "lastName": f"Of {name}", "identifiers": ids}


def find_guests(api: Api, value: str, provider: str = "email") -> list[dict[str, Any]]:
    query = {"identifiers.provider": provider, "identifiers.id": value}
    items: list[dict[str, Any]] = body_of(api.get("/v2.1/guests", params=query))["items"]
    return items


def contact(api: Api, **message: Any) -> str:
    """The ref of the guest that a contact of an order of its own belongs to."""
    return guest_of(
        new_person(api, new_order(api, referenceId=str(message)), "contacts", **message)
    )


@pytest.mark.parametrize("value", each_day(NOBODY, *NOBODY[::3]))
def test_f7_contacts_and_events_stay_apart(api: Api, value: str) -> None:
    """F7: REST by the fast and the slow path, events; each value is stored as it was sent, found
    by it, and the guard is noted."""
    other = {**person(value, "Ben"), "identifiers": person(value)["identifiers"] * 2}
    guests = {contact(api, **person(value)), contact(api, **other)}
    for name in ("Cai", "Dov"):
        page = Page(api)
        page("IDENTITY", identifiers=[{"provider": "email", "id": value}], firstname=name)
        guests.add(page.guest)
    assert len(guests) == 4
    assert {guest["ref"] for guest in find_guests(api, value)} == guests
    assert {guest["identifiers"][0]["id"] for guest in find_guests(api, value)} == {value}
    guarded = body_of(api.get(f"{OWN}/identity/guarded"))["items"]
    assert {entry["reason"] for entry in guarded} == {"value never identifies"}
    assert {entry["evidence"][0]["value"] for entry in guarded} == {value}


@pytest.mark.parametrize("value", each_day(NOBODY, *NOBODY[::3]))
def test_f7_batches(batches: Batches, value: str) -> None:
    """F7: a guest who is nobody fails (batch-api.md 7), orders are of different people, and
    nobody is deleted or merged by such a value."""
    api = batches.api
    first, second = person(value), person(value, "Ben")
    orders = [
        {**ORDER, "referenceId": name, "channel": "WEB", "pointOfSale": "default", "contact": one}
        for name, one in (("1", first), ("2", second))
    ]
    log = batches.apply(*(record("order", "upsert", order) for order in orders))
    assert log == []
    assert len(find_guests(api, value)) == 2
    ids = first["identifiers"]
    log = batches.apply(
        record("guest", "upsert", {"guestType": "customer", **first}),
        record("guest", "delete", {"identifiers": ids}),
        record("migration", "guest", {"migrateFrom": {"identifiers": ids}, "migrateTo": first}),
    )
    assert [(line["code"], line["message"]) for line in log] == [
        (400, "Identity information missing"),
        (400, "Not Enough Identifying Info"),
        (400, "Identity information missing"),
    ]
    assert len(find_guests(api, value)) == 2


def test_f7_imported_events_without_a_browser(batches: Batches) -> None:
    """F7: who is told by such a value alone has no browser; another value beside it counts, and
    so it does beside a browser id that is none."""
    zero = str(UUID(int=0))
    expected: list[dict[str, Any]] = [
        {"identifiers": [{"provider": "email", "id": "null"}]},
        {"identifiers": [{"provider": "email", "id": "[object Object]"}], "browser_id": "null"},
        {"browser_id": zero},
        {"identifiers": [{"provider": "email", "id": one} for one in ("null", "a@x.com")]},
        {"identifiers": [{"provider": "email", "id": "b@x.com"}], "browser_id": zero},
        {"identifiers": {"provider": "email", "id": "A@x.com "}, "browser_id": None},
    ]
    always = {"type": "VIEW", "channel": "WEB", "pos": "default"}
    always["requested_at"] = "2024-03-01T10:30:00Z"
    for dry in (True, False):
        done = imported(batches, "events", [always | one for one in expected], dryRun=dry)
        assert (done["failed"], done["outcomes"]["created"]) == (3, 3)
        assert [(line["line"], line["message"]) for line in rejects(batches, done)] == [
            (1, "Identity information missing"),
            (2, "Identity information missing"),
            (3, "Validation error"),
        ]
    assert {one["id"] for one in find_guests(batches.api, "a@x.com")[0]["identifiers"]} == {
        "null",
        "a@x.com",
    }
    assert len(find_guests(batches.api, "b@x.com")) == 1


def test_f7_consumers_named_like_nobody(batches: Batches) -> None:
    """F7, ID-7: names that say nothing make a consumer no contact."""
    api, page = batches.api, Page(batches.api)
    nobody = {"firstName": "Guest", "lastName": "undefined"}
    ids = {"identifiers": [{"provider": "email", "id": "ann@x.com"}]}
    order = new_order(api)
    of_contact = guest_of(new_person(api, order, "contacts", **nobody, **ids))
    assert guest_of(new_person(api, order, "consumers", **nobody)) != of_contact
    page("ADD", product=product("1"))
    page("ADD_CONTACTS", contact=[{"firstname": "Guest", "lastname": "undefined", **ids}])
    page("ADD_CONSUMERS", consumer=[{"firstname": "Guest", "lastname": "undefined"}])
    ref = page("CHECKOUT", reference_id="B-2", status="PURCHASED")["ref"]
    assert ref
    expected = {**ORDER, "referenceId": "B-3", "channel": "WEB", "pointOfSale": "default"}
    expected |= {"contact": {**nobody, **ids}, "consumers": [nobody], "status": "PURCHASED"}
    item = {"type": "MOBILE", "productId": "1", "name": "A", "description": "A", "vendor": "V"}
    expected |= {"paymentType": "Cash", "orderItems": [{**item, "price": 1, "currencyCode": "EUR"}]}
    assert batches.apply(record("order", "insert", expected)) == []
    for name in ("B-2", "B-3"):
        (stored,) = body_of(api.get("/v2.1/orders", params={"referenceId": name}))["items"]
        paths = (f"/v2.1/orders/{stored['ref']}/{kind}?expand=true" for kind in PEOPLE)
        (one,), (other,) = (body_of(api.get(path))["items"] for path in paths)
        assert guest_of(one) == of_contact
        assert guest_of(other) != of_contact


PEOPLE = ("contacts", "consumers")


def test_f7_without_rules(ruled: Api) -> None:
    """F7, identity.md 9, identity with zero rules: such a value joins nobody either, and whoever
    has nothing else is an anonymous visitor still."""
    body_of(ruled.put(f"{OWN}/identity/rules", json={"rules": []}))
    assert contact(ruled, **person("null")) != contact(ruled, **person("null", "Ben"))
    page, existing = Page(ruled), contact(ruled, **person("C-1", provider="CRM"))
    page("IDENTITY", identifiers=[{"provider": "CRM", "id": "undefined"}])
    visitor = page.guest
    assert visitor != existing
    page("IDENTITY", identifiers=[{"provider": "CRM", "id": "C-1"}])
    assert page.guest == existing
    assert ruled.get(f"/v2.1/guests/{visitor}").status_code == 404


def test_f7_rules_over_fields(ruled: Api) -> None:
    """F7: any part of a rule that says nothing makes the rule say nothing."""
    rule = {"identityRule": "person", "providers": [], "fields": ["firstName", "lastName"]}
    body_of(ruled.put(f"{OWN}/identity/rules", json={"rules": [rule]}))
    names = {"firstName": "Ann", "lastName": '"undefined"'}
    assert contact(ruled, **names) != contact(ruled, **{**names, "lastName": "UNDEFINED"})
    names["lastName"] = "Lee"
    assert contact(ruled, **names) == contact(ruled, **{**names, "firstName": " ann"})


def test_f7_erased_people_take_nobody_along(batches: Batches) -> None:
    """F7: what they shared with others is neither blocked nor searched for in uploads."""
    api = batches.api
    ids = [{"provider": "email", "id": one} for one in ("null", "ann@x.com")]
    guest = api.guest(identifiers=ids, emails=["test@test.com"])
    waiting = api.post(f"{OWN}/imports", json={"entity": "guests", "compressed": False}).json()
    ben = [{"provider": "email", "id": one} for one in ("null", "ben@x.com")]
    lines = [
        {"firstName": "Ann", "identifiers": ids[1:]},
        {"firstName": "Ben", "email": "test@test.com", "identifiers": ben},
    ]
    content = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    assert batches.upload(waiting["location"]["href"], content).status_code == 200
    stored_data = body_of(api.get(f"{OWN}/privacy/subjects/{guest['ref']}"))["held"]
    assert [each["line"] for each in stored_data["uploads"]] == [1]
    body = {"guestRef": guest["ref"], "suppress": True}
    assert api.post(f"{OWN}/privacy/erasures", json=body).status_code == 201
    batches.search_files()
    batches.work_at_once()
    done = body_of(api.get(waiting["href"]))
    assert (done["status"], done["outcomes"]) == ("success", {"created": 1})
    assert [one["firstName"] for one in find_guests(api, "ben@x.com")] == ["Ben"]
    assert contact(api, **person("null", "Cai"))
    nobody = api.post(f"{OWN}/privacy/suppressions", json={"identifiers": ids[:1]})
    assert nobody.status_code == 400
    assert nobody.json()["errors"] == ["identifiers: value never identifies"]
    assert (
        api.post("/v2.1/guests", json={"guestType": "visitor", "identifiers": ids[1:]}).status_code
        == 403
    )


def test_f7_the_list_is_shown_and_extended(ruled: Api) -> None:
    """F7: one list, in one place; a workspace adds to it and takes from it."""
    response = body_of(ruled.get(GUARDS))["never"]
    assert response == sorted(PLACEHOLDERS)
    walk_in = person("Walk-In", provider="email")
    assert contact(ruled, **walk_in) == contact(ruled, **walk_in)
    changed = body_of(
        ruled.patch(GUARDS, json={"addNever": [' "WALK-in" '], "removeNever": ["test"]})
    )
    assert set(changed["never"]) ^ set(response) == {"walk-in", "test"}
    assert contact(ruled, **walk_in) != contact(ruled, **walk_in, title="Ms")
    assert contact(ruled, **person("TEST")) == contact(ruled, **person("test", "Ben"))
    for body in (
        {"addNever": [1]},
        {"removeNever": "x"},
        {"never": ["x" * 256]},
        {"addNever": [str(number) for number in range(1001)]},
    ):
        assert ruled.patch(GUARDS, json=body).status_code == 400
    assert body_of(ruled.get(GUARDS))["never"] == changed["never"]


@pytest.mark.parametrize("damaged", ["3.53861E+11", "353861234567.0", "#NAME?", '"3,53861e+11"'])
@pytest.mark.parametrize("entity", ["guests", "orders", "events", "lines of batches"])
def test_f8_damaged_numbers_are_reported_by_import(
    batches: Batches, entity: str, damaged: str
) -> None:
    """F8: the record is refused with the reason; nothing of it is written."""
    ann = {"identifiers": [{"provider": "email", "id": "ann@x.com"}]}
    guest = {**ann, "phoneNumbers": ["+353861234567", damaged]}
    order = {**ORDER, "channel": "WEB", "pointOfSale": "default", "contact": guest}
    event = {**ann, "type": "IDENTITY", "channel": "WEB", "pos": "default", "mobile": damaged}
    event["requested_at"] = "2024-03-01T10:30:00Z"
    report, where = {
        "guests": (guest, "phoneNumbers[1]"),
        "orders": (order, "contact.phoneNumbers[1]"),
        "events": (event, "mobile"),
        "lines of batches": (upsert("ann@x.com", **guest), "phoneNumbers[1]"),
    }[entity]
    entity = "guests" if entity == "lines of batches" else entity
    for dry in (True, False):
        done = imported(batches, entity, [report], dryRun=dry)
        assert (done["status"], done["failed"], done["outcomes"]) == ("error", 1, {})
        (reject,) = rejects(batches, done)
        assert reject["message"] == "Validation error"
        reason = "is a value that a spreadsheet damaged"
        assert [error.partition(":")[0] for error in reject["errors"]] == [where]
        assert reason in reject["errors"][0]
    assert body_of(batches.api.get("/v2.1/guests"))["totalCount"] == 0


def test_f8_a_damaged_id_is_reported_with_all_else_that_is_wrong(batches: Batches) -> None:
    """F8: two ids that lost the same digits look like one person."""
    payload = {"identifiers": [{"provider": "CRM", "id": "4.47712E+11"}], "email": "nobody"}
    done = imported(batches, "guests", [payload])
    (reject,) = rejects(batches, done)
    assert [error.partition(":")[0] for error in reject["errors"]] == ["email", "identifiers[0].id"]


def test_f8_damaged_numbers_are_stored_by_the_vendors_ways(ruled: Api, batches: Batches) -> None:
    """F8: there they are kept as sent and found, and give no key; extensions tell people apart."""
    rule = {"identityRule": "phone", "providers": [], "fields": ["phone"]}
    body_of(ruled.put(f"{OWN}/identity/rules", json={"rules": [rule]}))
    body_of(ruled.patch(GUARDS, json={"region": "IE"}))
    damaged, names = "3.53861E+11", {"firstName": "Ann", "lastName": "Lee"}
    one = contact(ruled, **names, phoneNumbers=[damaged])
    assert one != contact(ruled, **names, phoneNumbers=[damaged], title="Ms")
    response = body_of(ruled.get(f"/v2.1/guests/{one}"))
    assert response["phoneNumbers"] == [damaged]

    def by(number: str) -> str:
        return contact(ruled, **names, phoneNumbers=[number])

    desk = by("+353 1 234 5678")
    assert by("01 234 5678") == desk
    five = by("01 234 5678 ext. 5")
    assert five == by("+35312345678;ext=5") == by("01-2345678x5")
    assert by("01-2345678x6") not in (desk, five)


@pytest.mark.parametrize("mark", ["\u200b", "\u200e", "\u00ad", "\ufeff"])
def test_f9_one_person_by_every_way_in(batches: Batches, mark: str) -> None:
    """F9: and what is stored is what was sent."""
    api, request = batches.api, f"\u00a0{mark}ja{mark}ne@example.com{mark}"
    jane = contact(api, **person(request))
    stored = body_of(api.get(f"/v2.1/guests/{jane}"))
    assert stored["identifiers"] == person(request)["identifiers"]
    assert contact(api, **person("jane@example.com")) == jane
    page = Page(api)
    page("IDENTITY", **JANE)
    assert page.guest == jane
    payload = {"guestType": "customer", **person(f"jane@exam{mark}ple.com", "Jane")}
    assert batches.apply(record("guest", "upsert", payload)) == []
    done = imported(batches, "guests", [person(f"jane@example.com{mark}")])
    assert done["outcomes"].get("created", 0) == 0
    assert body_of(api.get("/v2.1/guests"))["totalCount"] == 1


def imported(batches: Batches, entity: str, values: list[Any], **more: Any) -> dict[str, Any]:
    body = {"entity": entity, "compressed": False, **more}
    execution = body_of(batches.api.post(f"{OWN}/imports", json=body))
    content = b"".join(json.dumps(value).encode() + b"\n" for value in values)
    assert batches.upload(execution["location"]["href"], content).status_code == 200
    batches.work_at_once()
    return body_of(batches.api.get(execution["href"]))


def rejects(batches: Batches, done: dict[str, Any]) -> list[dict[str, Any]]:
    log = gzip.decompress(batches.api.get(done["log"], auth=None).content)
    return [json.loads(line) for line in log.splitlines()]
