"""Guests, orders, contacts and consumers over REST, in every dialect."""

from datetime import datetime
from typing import Any
from uuid import UUID

from compared import Compared
from drawn_records import (
    LINE,
    NESTED_LINE,
    ORDERED_AT,
    changes,
    identifiable,
    people,
    posted,
    prices,
    references,
    wire,
)
from hypothesis import strategies as st
from hypothesis.stateful import multiple, rule
from in_process import Site
from never_merged import PlainPerson


class RestSources(Compared):
    """Each rule sends a request to the application and to the model."""

    refs = Compared.refs

    # Guests over REST

    @rule(
        target=refs,
        person=posted,
        kind=st.sampled_from(["visitor", "customer"]),
        way=st.sampled_from([("v2.1", "open"), ("v2.1", "official"), ("v2", "open")]),
    )
    def post_guest(self, person: Any, kind: str, way: tuple[str, str]) -> UUID:
        with self.step():
            body = {**wire(person), "guestType": kind}
            created = Site.body_of("POST", f"/{way[0]}/guests", body, way[1])
            at = datetime.fromisoformat(created["createdAt"])
            (row,) = Site.rows(
                "SELECT created_at FROM ws_live.guests WHERE ref = %s", created["ref"]
            )
            self.model.post(UUID(created["ref"]), person, kind, row["created_at"])
            assert at <= row["created_at"]
        return UUID(created["ref"])

    @rule(ref=refs, wanted=changes, way=st.sampled_from(["PATCH", "PUT"]))
    def write_guest(self, ref: UUID, wanted: dict[str, Any], way: str) -> None:
        with self.step():
            status, body = Site.call(way, f"/v2.1/guests/{ref}", wire(wanted))
            if ref in self.above:
                assert (status, str(self.root(ref)) in body["developerMessage"]) == (404, True)
                return
            assert status == 200, body
            guest = self.model.guests[ref]
            fields = {} if way == "PUT" else guest.fields
            fields = {**fields, **wanted}
            guest.guest_type = fields.pop("guest_type", guest.guest_type)
            guest.fields = {name: value for name, value in fields.items() if value is not None}
            guest.changed = True

    @rule(ref=refs, name=st.sampled_from(["ext", "ext1"]), level=st.integers(0, 2))
    def extend_guest(self, ref: UUID, name: str, level: int) -> None:
        with self.step():
            extensions = self.model.guests[ref].extensions
            path, body = f"/v2.1/guests/{ref}/extensions", {"name": name, f"in{name}": level}
            if name in extensions:
                status, _ = Site.call("PUT", f"{path}/{name}", body)
            else:
                status, _ = Site.call("POST", path, body)
            assert (status == 404) == (ref in self.above)
            if ref not in self.above:
                extensions[name] = {f"in{name}": level}

    # Orders over REST

    @rule(reference=references, price=prices, way=st.sampled_from(["v2.1", "v2"]))
    def post_order(self, reference: str, price: int, way: str) -> None:
        with self.step():
            body = {"referenceId": reference, "orderedAt": ORDERED_AT, "price": price}
            more = {"currencyCode": "EUR", "pointOfSale": "shop"}
            Site.body_of("POST", f"/{way}/orders", {**body, **more})
            self.order(reference, price=price, currency_code="EUR", point_of_sale="shop")

    @rule(ref=refs, reference=references, price=prices, nested=st.booleans())
    def post_order_of_guest(self, ref: UUID, reference: str, price: int, nested: bool) -> None:
        """The guest becomes a contact unless it is one (O-10, N-19, N-21)."""
        with self.step():
            body = {"referenceId": reference, "orderedAt": ORDERED_AT, "currencyCode": "EUR"}
            if nested:
                path, body = f"/v2.1/guests/{ref}/orders", {**body, "totalPrice": price}
            else:
                path, body = f"/v2.1/orders?guestRef={ref}", {**body, "price": price}
            status, answer = Site.call("POST", path, body)
            if ref in self.above:
                assert status == (404 if nested else 400), answer
                return
            assert status == 201, answer
            order = self.order(reference, price=price, currency_code="EUR")
            if all(contact.guest != ref for contact in order.contacts):
                self.own_contact(order, ref)
                guest = self.model.guests[ref]
                guest.write(guest.fields, customer=True)

    @rule(
        reference=references,
        item=st.sampled_from(["I-1", "I-2"]),
        way=st.sampled_from(["v2.1", "v2"]),
    )
    def post_item(self, reference: str, item: str, way: str) -> None:
        order = self.order_ref(reference)
        with self.step():
            path = f"/{way}/orders/{order.ref}/orderItems"
            Site.body_of("POST", path, {**LINE, "referenceId": item})
            order.lines.append(item)

    @rule(reference=references)
    def post_nested_item(self, reference: str) -> None:
        order = self.order_ref(reference)
        roots = [self.root(contact.guest) for contact in order.contacts]
        if roots:
            with self.step():
                path = f"/v2.1/guests/{roots[0]}/orders/{order.ref}/items"
                Site.body_of("POST", path, {"sku": "P", "quantity": 1})
                order.lines.append(NESTED_LINE)

    @rule(reference=references, level=st.integers(0, 2))
    def extend_order(self, reference: str, level: int) -> None:
        order = self.order_ref(reference)
        with self.step():
            way = "POST" if order.pairs is None else "PUT"
            Site.body_of(way, f"/v2.1/orders/{order.ref}/extensions/ext", {"level": level})
            order.pairs = {"level": level}

    # Contacts and consumers over REST

    @rule(
        target=refs,
        reference=references,
        person=people,
        way=st.sampled_from(["v2.1", "v2.1", "v2"]),
        slow=st.sampled_from([False, False, True]),
    )
    def post_contact(self, reference: str, person: Any, way: str, slow: bool) -> Any:
        return self.post_person(reference, person, way, "contact", slow)

    @rule(
        target=refs,
        reference=references,
        person=people,
        way=st.sampled_from(["v2.1", "v2.1", "v2"]),
        slow=st.sampled_from([False, False, True]),
    )
    def post_consumer(self, reference: str, person: Any, way: str, slow: bool) -> Any:
        return self.post_person(reference, person, way, "consumer", slow)

    @rule(reference=references, person=people, ref=refs)
    def post_contact_of_guest(self, reference: str, person: Any, ref: UUID) -> None:
        """`guest.href` names the guest (step 1)."""
        self.post_person(reference, person, "v2.1", "contact", False, named=ref)

    def post_person(
        self,
        reference: str,
        person: Any,
        way: str,
        role: str,
        slow: bool,
        named: UUID | None = None,
    ) -> Any:
        if way == "v2":
            person = {"first_name": "Ann", "last_name": "Byrne", **person}
        order = self.order_ref(reference)
        existing = set(self.model.guests)
        with self.step(slow=slow):
            people = order.contacts if role == "contact" else order.consumers
            body = wire(person)
            if named:
                body["guest"] = {"href": f"http://test/v2.1/guests/{named}"}
            status, answer = Site.call("POST", f"/{way}/orders/{order.ref}/{role}s", body)
            if not (identifiable(person) or named) or named in self.above:
                assert status == 400, answer
                return multiple()
            assert status == 201, answer
            by_name = None
            if role == "consumer":
                by_name = self.model.namesake(person, order.contacts[::-1])
            created = self.created(f"order {role}")
            ref = self.model.attach(order, person, role, created, named=named, by_name=by_name)
            assert answer["guest"]["href"].endswith(str(self.root(ref)))
            people.append(PlainPerson(person, ref))
        return multiple() if ref in existing else ref

    @rule(reference=references, person=people, at=st.integers(0, 5))
    def patch_contact(self, reference: str, person: Any, at: int) -> None:
        """A contact with new evidence is matched again (P-5)."""
        order = self.order_ref(reference)
        if not order.contacts:
            return
        contact = order.contacts[at % len(order.contacts)]
        with self.step():
            rows = Site.rows(
                "SELECT ref, body FROM ws_live.order_contacts "
                "WHERE order_ref = %s AND guest_ref = %s ORDER BY created_at, ref",
                order.ref,
                contact.guest,
            )
            row = next(row["ref"] for row in rows if row["body"] == contact.body)
            contact = next(
                each
                for each in order.contacts
                if (each.guest, each.body) == (contact.guest, contact.body)
            )
            status, answer = Site.call("PATCH", f"/v2.1/orderContacts/{row}", wire(person))
            assert status == 200, answer
            before, contact.body = contact.body, {**contact.body, **person}
            if new_evidence(before, contact.body):
                created = self.created("order contact")
                contact.guest = self.model.attach(order, contact.body, "contact", created)


def new_evidence(before: dict[str, Any], after: dict[str, Any]) -> bool:
    def evidence_in(person: dict[str, Any]) -> set[tuple[str, str]]:
        ids = {(one["provider"], one["id"]) for one in person.get("identifiers", ())}
        return ids | {("", one) for one in person.get("emails", ())}

    return not evidence_in(after) <= evidence_in(before)
