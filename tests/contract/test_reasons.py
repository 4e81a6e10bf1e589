"""Why a record is a guest's: the same answer by whatever way it came (F5; identity.md 2, 3)."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from batching import Batches, record, upsert
from calling import Api
from ordering import ITEM, ORDER, checked_body, guest_of, new_item, new_order, new_person
from sites import Site
from streams import JANE, Page, product

MAIL = "jane@example.com"
IDENTIFIED = [{"provider": "email", "id": MAIL}]
PERSON = {"firstName": "Jane", "lastName": "Doe", "identifiers": IDENTIFIED}
NULL = {"provider": "email", "id": "null"}
"""A value that never identifies: who sends one does not take the fast path."""


@dataclass(frozen=True)
class Sources:
    """Ways in: each method sends Jane once."""

    api: Api
    batches: Batches

    def guest(self) -> None:
        self.api.guest(**PERSON, email=MAIL)

    def contact_quick(self) -> None:
        new_person(self.api, new_order(self.api), "contacts", **PERSON)

    def contact_slow(self) -> None:
        new_person(
            self.api,
            new_order(self.api),
            "contacts",
            **{**PERSON, "identifiers": [*IDENTIFIED, NULL]},
        )

    def consumer_quick(self) -> None:
        new_person(self.api, new_order(self.api), "consumers", **PERSON)

    def consumer_slow(self) -> None:
        order = new_order(self.api)
        uses = {"items": [{"href": new_item(self.api, order)["href"]}]}
        new_person(self.api, order, "consumers", **PERSON, orderItems=uses)

    def contact_put(self) -> None:
        order = new_order(self.api)
        contact = new_person(self.api, order, "contacts", firstName="Jane", lastName="Doe")
        checked_body(self.api.put(f"/v2.1/orderContacts/{contact['ref']}", json=PERSON), 200)

    def legacy_contact(self) -> None:
        order = new_order(self.api)
        checked_body(self.api.post(f"/v2/orders/{order['ref']}/contacts", json=PERSON))

    def identity(self) -> None:
        Page(self.api)("IDENTITY", **JANE)

    def checkout(self) -> None:
        page = Page(self.api)
        page("ADD", product=product("1"))
        page("ADD_CONTACTS", contact=[{**JANE}])
        page("CHECKOUT", reference_id="B-1", status="PURCHASED")

    def order_checkout(self) -> None:
        page = Page(self.api)
        page("IDENTITY", **JANE)
        order = {**ORDER, "status": "PURCHASED", "orderItems": [{**ITEM, "referenceId": "1"}]}
        page("ORDER_CHECKOUT", order=order)

    def batch_guest(self) -> None:
        assert self.batches.apply(upsert(MAIL, firstName="Jane", lastName="Doe")) == []

    def batch_order(self) -> None:
        order = {**ORDER, "channel": "WEB", "pointOfSale": "default", "contact": PERSON}
        assert self.batches.apply(record("order", "upsert", order)) == []

    def import_lines(self) -> None:
        self._import("guests", "ndjson", json.dumps(PERSON).encode())

    def import_table(self) -> None:
        content = f"firstName,lastName,identifiers.email\nJane,Doe,{MAIL}\n"
        self._import("guests", "csv", content.encode())

    def import_order(self) -> None:
        order = {**ORDER, "channel": "WEB", "pointOfSale": "default", "contact": PERSON}
        self._import("orders", "ndjson", json.dumps(order).encode())

    def import_event(self) -> None:
        event = {"type": "VIEW", "channel": "WEB", "pos": "default", "identifiers": IDENTIFIED}
        event["requested_at"] = "2024-03-01T10:30:00Z"
        self._import("events", "ndjson", json.dumps(event).encode())

    def _import(self, entity: str, form: str, content: bytes) -> None:
        about = {"entity": entity, "format": form, "compressed": False}
        execution = checked_body(self.batches.api.post("/innkeeper/v1/imports", json=about))
        assert self.batches.upload(execution["location"]["href"], content).status_code == 200
        self.batches.work_at_once()
        done = self.api.get(execution["href"]).json()
        assert (done["status"], done["failed"]) == ("success", 0), done


WAYS: tuple[Callable[[Sources], None], ...] = (
    *(Sources.guest, Sources.contact_quick, Sources.contact_slow, Sources.contact_put),
    *(Sources.consumer_quick, Sources.consumer_slow, Sources.legacy_contact),
    *(Sources.identity, Sources.checkout, Sources.order_checkout),
    *(Sources.batch_guest, Sources.batch_order),
    *(Sources.import_lines, Sources.import_table, Sources.import_order, Sources.import_event),
)


@pytest.fixture
def sources(api: Api, site: Site) -> Sources:
    return Sources(api, Batches(api, site.settings))


def jane(api: Api) -> str:
    """The ref of the one guest who is Jane."""
    (ref,) = [
        guest["ref"]
        for guest in api.get("/v2.1/guests").json()["items"]
        if any(one["id"].lower() == MAIL for one in guest.get("identifiers", ()))
    ]
    return str(ref)


def reasons(api: Api) -> list[tuple[Any, Any]]:
    """(rule, evidence) of each record that joined Jane by a rule."""
    body = checked_body(api.get(f"/innkeeper/v1/guests/{jane(api)}/identity"), 200)
    return [(row["rule"], row["evidence"]) for row in body["joined"] if "rule" in row]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_f5_who_is_new_is_explained(sources: Sources, way: Callable[[Sources], None]) -> None:
    """F5: the rule and the values that made her a guest, by every way in."""
    way(sources)
    assert reasons(sources.api) == [("email", [{"provider": "email", "value": MAIL}])]


@pytest.mark.parametrize("way", [way for way in WAYS if way is not Sources.guest])
def test_f5_who_is_known_is_explained(sources: Sources, way: Callable[[Sources], None]) -> None:
    """F5: and those by which a later record joined her."""
    sources.api.guest(identifiers=[{"provider": "email", "id": MAIL.upper()}])
    way(sources)
    assert reasons(sources.api) == [
        ("email", [{"provider": "email", "value": value}]) for value in (MAIL, MAIL.upper())
    ]


FIRST: tuple[Callable[[Sources], None], ...] = (
    *(Sources.guest, Sources.contact_quick, Sources.batch_guest, Sources.batch_order),
    *(Sources.import_lines, Sources.identity),
)
"""A way of each kind."""


@pytest.mark.parametrize("later", [Sources.contact_slow, Sources.legacy_contact])
@pytest.mark.parametrize("first", FIRST)
def test_f5_the_answer_is_the_same_by_whatever_way_she_came_first(
    sources: Sources, first: Callable[[Sources], None], later: Callable[[Sources], None]
) -> None:
    """F5: the record that made her, and the one that joined her."""
    first(sources)
    later(sources)
    assert reasons(sources.api) == [("email", [{"provider": "email", "value": MAIL}])] * 2


UNKNOWN = {"firstName": "Jane", "lastName": "Doe", "identifiers": [NULL]}
"""Jane by a value that never identifies; a batch takes no guest of that kind (batch-api.md 5)."""
BY_NOTHING: dict[str, Callable[[Sources], object]] = {
    "guest": lambda sources: sources.api.guest(**UNKNOWN),
    "guest without a value": lambda sources: sources.api.guest(firstName="Jane"),
    "contact": lambda sources: new_person(
        sources.api, new_order(sources.api), "contacts", **UNKNOWN
    ),
    "consumer": lambda sources: new_person(
        sources.api, new_order(sources.api), "consumers", **UNKNOWN
    ),
    "batch": lambda sources: sources.batches.apply(
        record(
            "order",
            "upsert",
            {**ORDER, "channel": "WEB", "pointOfSale": "default", "contact": UNKNOWN},
        )
    ),
}


@pytest.mark.parametrize("way", BY_NOTHING)
def test_f5_who_is_new_by_no_rule_is_listed(sources: Sources, way: str) -> None:
    """F5: one row, without a rule, for the record that made her."""
    BY_NOTHING[way](sources)
    (guest,) = sources.api.get("/v2.1/guests").json()["items"]
    (row,) = joined(sources.api, guest["ref"])
    assert ("rule" in row, row["evidence"]) == (False, [])


def joined(api: Api, ref: str) -> list[dict[str, Any]]:
    """The records that made a guest or joined it, not those of guests that were merged into it."""
    body = checked_body(api.get(f"/innkeeper/v1/guests/{ref}/identity"), 200)
    return [row for row in body["joined"] if row["guest"]["ref"] == ref]


@pytest.mark.parametrize("way", [*FIRST, Sources.order_checkout])
def test_f5_the_answer_stays_whatever_changes(
    sources: Sources, site: Site, way: Callable[[Sources], None]
) -> None:
    """F5: it is why she is a guest, not what she would be known by today."""
    api = sources.api
    way(sources)
    ref = jane(api)
    before = joined(api, ref)
    assert before[-1]["evidence"] == [{"provider": "email", "value": MAIL}]
    path, rules = f"/v2.1/guests/{ref}", "/innkeeper/v1/identity/rules"
    old = api.get(rules).json()
    try:
        by_name = {"identityRule": "name", "providers": [], "fields": ["firstName", "lastName"]}
        checked_body(api.put(rules, json={"rules": [by_name, *old["rules"]]}), 200)
        assert joined(api, ref) == before
        checked_body(api.put("/innkeeper/v1/identity/rules", json={"rules": [by_name]}), 200)
        assert joined(api, ref) == before
    finally:
        checked_body(api.put(rules, json=old), 200)
    other = [{"provider": "email", "id": "other@example.com"}]
    checked_body(api.patch(path, json={"identifiers": other, "email": "other@example.com"}), 200)
    assert joined(api, ref) == before
    third = api.guest(firstName="Tom", email="tom@example.com", identifiers=[NULL])
    pair = {"survivor": third["ref"], "absorbed": ref}
    merge = checked_body(api.post("/innkeeper/v1/merges", json=pair))
    whole = checked_body(api.get(f"/innkeeper/v1/guests/{third['ref']}/identity"), 200)["joined"]
    assert [row for row in whole if row["guest"]["ref"] == ref] == before
    checked_body(api.post(f"{merge['href']}/undo"), 200)
    assert joined(api, ref) == before
    checked_body(api.put(path, json={"guestType": "customer", "lastName": "Doe"}), 200)
    assert joined(api, ref) == before


def test_f5_an_order_of_an_event_is_listed(sources: Sources) -> None:
    """F5: ORDER_CHECKOUT puts the guest of its browser on the order; so does guest.href by REST,
    and both are told alike."""
    sources.order_checkout()
    (order,) = sources.api.get("/v2.1/orders").json()["items"]
    (contact,) = sources.api.get(f"/v2.1/orders/{order['ref']}/contacts?expand=true").json()[
        "items"
    ]
    by_rest = new_order(sources.api, referenceId="by REST")
    named = {"guest": {"href": contact["guest"]["href"]}}
    new_person(sources.api, by_rest, "contacts", **named)
    body = sources.api.get(f"/innkeeper/v1/guests/{guest_of(contact)}/identity").json()
    values = [
        {name: value for name, value in row.items() if name not in ("joinedAt", "actor", "guest")}
        for row in body["joined"]
        if row["source"] == "order contact"
    ]
    assert values == [
        {"evidence": [], "source": "order contact", "sourceRef": by_rest["ref"]},
        {"evidence": [], "source": "order contact", "sourceRef": order["ref"]},
    ]


def test_f5_a_consumer_of_an_event_is_listed(sources: Sources) -> None:
    """F5: one who is the contact, by the value that both have (stream-api.md 4.2)."""
    page = Page(sources.api)
    page("ADD", product=product("1"))
    page("ADD_CONTACTS", contact=[{**JANE}])
    page("ADD_CONSUMERS", consumer=[{**JANE}])
    page("CHECKOUT", reference_id="B-1", status="PURCHASED")
    reason = ("email", [{"provider": "email", "value": MAIL}])
    assert reasons(sources.api) == [reason, reason]
