"""People and orders from all sources: a real database beside a model that never merges anybody.

REST in its four dialects, events, batches and imports send the same few people and orders, in any
order, with merges and their undo between. Whatever is merged meanwhile, each record must belong to
the guest that the model says; and once every merge is undone, guests, keys, orders, lines, data
extensions and the stored reasons must be those of the model. Contacts over REST take the fast path
where it applies; to force the slow one, the cached rules are made out of date, as a change by
another process does.
"""

import json
from collections import Counter
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from drawn_records import (
    LINE,
    ORDERED_AT,
    identifiable,
    identifiers,
    in_event,
    items,
    pairs,
    people,
    posted,
    prices,
    references,
    wire,
)
from hypothesis import strategies as st
from hypothesis.stateful import consumes, initialize, multiple, rule
from in_process import Site
from never_merged import PlainOrder, PlainPerson, evidence, has_person
from rest_sources import RestSources

from innkeeper.actions.identity import merges
from innkeeper.actions.paging import PageRequest
from innkeeper.errors import Invalid
from innkeeper.rules.identity_rules import Condition, IdentityRule
from innkeeper.wire.bulk import batch_records
from innkeeper.wire.bulk.batch_files import Layout

RULES = (
    IdentityRule("crm", (Condition(provider="crm"),)),
    IdentityRule("email", (Condition(provider="email"),)),
    IdentityRule("address", (Condition(field="email"),)),
    IdentityRule("phone and name", (Condition(field="phone"), Condition(field="last_name"))),
)


class Sources(RestSources):
    """Each rule sends a record to the application and to the model."""

    refs = RestSources.refs
    merged = RestSources.merged
    browsers = RestSources.browsers

    @initialize(target=refs, drawn=st.lists(posted, min_size=2, max_size=3), merged=st.booleans())
    def start(self, drawn: list[Any], merged: bool) -> Any:
        """A few guests, of whom one may be merged into another already."""
        Site.empty()
        refs = [self.post_guest(person, "visitor", ("v2.1", "open")) for person in drawn]
        if merged:
            self.merge(*refs[:2])
        return multiple(*refs)

    # Events

    @rule(target=browsers)
    def open_browser(self) -> str:
        with self.step():
            client = Site.logins["open"].client_key
            browser = Site.body_of(
                "GET", f"/v1.2/browser/create.json?client_key={client}&message=%7B%7D"
            )
            ref = UUID(browser["customer_ref"])
            (row,) = Site.rows("SELECT created_at FROM ws_live.guests WHERE ref = %s", ref)
            self.model.create(ref, {}, "visitor", row["created_at"])
            self.visited.add(ref)
            self.guest_of[browser["ref"]] = ref
        return browser["ref"]

    @rule(target=merged, browser=browsers, person=people, ids=identifiers)
    def identify(self, browser: str, person: Any, ids: Any) -> Any:
        person = {**person, "identifiers": ids}
        merge = None
        with self.step():
            current = self.guest_of[browser]
            Site.event(browser, "IDENTITY", **in_event(person))
            anonymous = self.model.is_anonymous(current)
            ref = self.model.identify(current, person, self.created("IDENTITY event"))
            decided = ref != current and self.model.joins[-1][1] is not None
            if decided and anonymous and self.root(ref) != self.root(current):
                merge = self.newest_merge(self.root(current))
                self.above[self.root(current)] = (self.root(ref), merge)
            self.guest_of[browser] = ref
            self.visited.add(ref)
        return multiple() if merge is None else merge

    def newest_merge(self, absorbed: UUID) -> UUID:
        page = Site.do(merges.list_, PageRequest(limit=1000), absorbed)
        (merge,) = (
            row["ref"]
            for row in page.items
            if row["absorbed_ref"] == absorbed and row["undone_at"] is None
        )
        return merge

    @rule(browser=browsers, reference=references, price=prices, items=items, ext=pairs)
    def order_checkout(
        self, browser: str, reference: str, price: int, items: list[str], ext: Any
    ) -> None:
        with self.step():
            guest = self.guest_of[browser]
            (row,) = Site.rows(
                "SELECT guest_type FROM ws_live.guests WHERE ref = %s", self.root(guest)
            )
            order = {
                **{"referenceId": reference, "orderedAt": ORDERED_AT, "status": "PURCHASED"},
                **{"currencyCode": "EUR", "price": price, "paymentType": "Cash"},
                "orderItems": [{**LINE, "referenceId": item} for item in items],
            }
            if ext:
                order["extensions"] = [{"name": "ext", "key": "default", **ext}]
            Site.event(browser, "ORDER_CHECKOUT", order=order)
            if row["guest_type"] != "customer":
                return
            stored = self.order(
                reference,
                **{"price": price, "currency_code": "EUR", "status": "PURCHASED"},
                **{"payment_type": "Cash", "channel": "WEB", "point_of_sale": "default"},
            )
            self.put_lines(stored, items)
            if ext:
                stored.pairs = {**(stored.pairs or {}), **ext}
            if all(contact.guest != guest for contact in stored.contacts):
                self.own_contact(stored, guest)

    def put_lines(self, order: PlainOrder, items: list[str]) -> None:
        """Each line of a message matches one stored line (stream-api.md 5)."""
        for item, count in Counter(items).items():
            order.lines += [item] * (count - order.lines.count(item))

    @rule(
        reference=references, item=st.sampled_from(["I-1", "I-2"]), contact=people, consumer=people
    )
    def checkout(self, reference: str, item: str, contact: Any, consumer: Any) -> None:
        """An order of several events of a new browser."""
        contact = {"first_name": "Ann", "last_name": "Byrne", **contact}
        consumer = {"first_name": "Bob", "last_name": "Byrne", **consumer}
        browser = self.open_browser()
        with self.step():
            product = {**LINE, "referenceId": item, "item_id": item, "currency": "EUR"}
            Site.event(browser, "ADD", product=product)
            Site.event(browser, "ADD_CONTACTS", contact=[in_event(contact)])
            Site.event(browser, "ADD_CONSUMERS", consumer=[{**in_event(consumer), "item_ids": []}])
            Site.event(browser, "CHECKOUT", reference_id=reference, status="PURCHASED")
            order = self.order(
                reference,
                **{"price": 10, "currency_code": "EUR", "status": "PURCHASED"},
                **{"channel": "WEB", "point_of_sale": "default"},
            )
            self.put_lines(order, [item])
            if not has_person(order.contacts, contact):
                ref = self.model.attach(order, contact, "contact", self.created("order contact"))
                order.contacts.append(PlainPerson(contact, ref))
            if not has_person(order.consumers, consumer):
                decided = self.model.companion(consumer, order.contacts[::-1])
                ref = decided.guest
                if ref is None:
                    ref, at = self.created("order consumer")
                    rest = {n: v for n, v in consumer.items() if n not in ("emails", "identifiers")}
                    self.model.create(ref, rest, "traveller", at)
                self.model.join(ref, decided, "order consumer", order)
                order.consumers.append(PlainPerson(consumer, ref))

    # Batches and imports

    @rule(
        several=st.lists(st.tuples(people, pairs), min_size=1, max_size=3), imported=st.booleans()
    )
    def put_guests(self, several: list[tuple[Any, Any]], imported: bool) -> None:
        """Rows of one chunk."""
        source = "import" if imported else "batch"
        entries = []
        for number, (person, ext) in enumerate(several, 1):
            value = {**wire(person), "guestType": "customer"}
            if ext:
                value["extensions"] = [{"name": "ext", "key": "default", **ext}]
            if imported:
                entries.append(Layout("guests").entry(number, json.dumps(value).encode()))
            else:
                row = {"ref": "r", "schema": "guest", "mode": "upsert", "value": value}
                entries.append(batch_records.entry(number, json.dumps(row).encode()))
        with self.step():
            failures = Site.batch(entries, source)
            failed = 0
            for person, ext in several:
                extend = partial(self.extend_by_batch, ext)
                failed += self.model.upsert(person, self.created(source), source, extend) is None
            assert len(failures) == failed, failures

    def extend_by_batch(self, ext: Any, ref: UUID) -> bool:
        """The data extensions of a merged group are those of its survivor (identity.md 9)."""
        extensions = self.model.guests[self.root(ref)].extensions
        changed = ext is not None and extensions.get("ext") != ext
        if changed:
            extensions["ext"] = ext
        return changed

    @rule(
        reference=references,
        price=prices,
        lines=st.none() | items,
        contact=people,
        consumer=st.none() | people,
        ext=pairs,
        way=st.sampled_from(["batch", "import", "row"]),
    )
    def put_order(
        self,
        reference: str,
        price: int,
        lines: list[str] | None,
        contact: Any,
        consumer: Any,
        ext: Any,
        way: str,
    ) -> None:
        lines = lines[:1] if lines and way == "row" else lines
        fields = {"channel": "WEB", "pointOfSale": "shop", "status": "PURCHASED", "price": price}
        fields |= {"referenceId": reference, "orderedAt": ORDERED_AT, "currencyCode": "EUR"}
        value: dict[str, Any] = {**fields, "paymentType": "Cash", "contact": wire(contact)}
        if lines:
            value["orderItems"] = [{**LINE, "referenceId": item} for item in lines]
        if consumer is not None:
            value["consumers"] = [wire(consumer)]
        if ext:
            value["extensions"] = [{"name": "ext", "key": "default", **ext}]
        if way == "batch":
            mode = "insert" if lines else "upsert"
            row = {"ref": "r", "schema": "order", "mode": mode, "value": value}
            entry = batch_records.entry(1, json.dumps(row).encode())
        elif way == "import":
            entry = Layout("orders").entry(1, json.dumps(value).encode())
        else:
            entry = batch_records.entry_of(1, value, batch_records.order_row)
        with self.step():
            failures = Site.batch([entry], way)
            persons = [contact, *([consumer] if consumer is not None else [])]
            assert bool(failures) == (not all(map(identifiable, persons))), failures
            if failures:
                return
            order = self.order(
                reference,
                **{"price": price, "currency_code": "EUR", "status": "PURCHASED"},
                **{"payment_type": "Cash", "channel": "WEB", "point_of_sale": "shop"},
            )
            self.put_lines(order, lines or [])
            if ext:
                order.pairs = ext
            own = self.put_contact(order, contact)
            if consumer is not None and all(one.body != consumer for one in order.consumers):
                self.put_consumer(order, consumer, own if evidence(contact)[0] else None)

    def put_contact(self, order: PlainOrder, person: Any) -> PlainPerson:
        """The contact of a record: an equal one stays, another one of the same guest changes."""
        for contact in order.contacts:
            if contact.body == person:
                return contact
        ref = self.model.attach(order, person, "contact", self.created("order contact"))
        for contact in order.contacts:
            if contact.guest == ref:
                contact.body = {**contact.body, **person}
                return contact
        order.contacts.append(PlainPerson(person, ref))
        return order.contacts[-1]

    def put_consumer(self, order: PlainOrder, person: Any, own: PlainPerson | None) -> None:
        """A consumer of a record; `own`: its contact if identified (batch-api.md 8)."""
        by_name = self.model.namesake(person, [own] if own else [])
        kind = "traveller" if person.keys() <= {"first_name", "last_name"} else "visitor"
        created = self.created("order consumer")
        ref = self.model.attach(order, person, "consumer", created, by_name=by_name, kind=kind)
        order.consumers.append(PlainPerson(person, ref))

    # Merges

    @rule(target=merged, one=refs, other=refs)
    def merge(self, one: UUID, other: UUID) -> Any:
        with self.step():
            if one == other or one in self.above or other in self.above:
                with pytest.raises(Invalid):
                    Site.do(merges.create, one, other)
                return multiple()
            row = Site.do(merges.create, one, other)
            self.above[other] = (one, row["ref"])
        return row["ref"]

    @rule(merge=consumes(merged))
    def unmerge(self, merge: UUID) -> None:
        with self.step():
            row = Site.do(merges.undo, merge)
            assert self.above.pop(row["absorbed_ref"]) == (row["survivor_ref"], merge)
