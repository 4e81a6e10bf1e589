"""A state machine whose database must be, once every merge is undone, what a model has."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from drawn_records import NESTED_LINE, STORED_LINE
from hypothesis.stateful import Bundle, RuleBasedStateMachine
from in_process import Site
from never_merged import PERSON, NeverMerged, PlainOrder, PlainPerson, keys_of

from innkeeper import clock
from innkeeper.actions.identity import merges


class Compared(RuleBasedStateMachine):
    """What all rules need, and the comparison at the end."""

    refs = Bundle("refs")
    merged = Bundle("merged")
    browsers = Bundle("browsers")

    def __init__(self) -> None:
        super().__init__()
        self.model = NeverMerged()
        self.above: dict[UUID, tuple[UUID, UUID]] = {}
        """Absorbed -> (survivor, merge), in force."""
        self.guest_of: dict[str, UUID] = {}
        """The guest of each browser."""
        self.visited: set[UUID] = set()
        """Guests of browsers, whose `last_seen` follows their sessions."""
        self.written: dict[UUID, tuple[datetime, datetime]] = {}
        """Guest -> between which instants it was last written."""

    # Helpers

    def root(self, ref: UUID) -> UUID:
        while ref in self.above:
            ref = self.above[ref][0]
        return ref

    def created(self, source: str) -> tuple[UUID, datetime]:
        """The oldest guest that the model does not have yet and a record of `source` created."""
        rows = Site.rows(
            "SELECT g.ref, g.created_at FROM ws_live.guests AS g JOIN ws_live.guest_joins AS j "
            "ON j.guest_ref = g.ref WHERE j.source = %s AND g.ref <> ALL (%s) "
            "ORDER BY j.sequence LIMIT 1",
            source,
            list(self.model.guests),
        )
        return (rows[0]["ref"], rows[0]["created_at"]) if rows else (UUID(int=0), clock.now())

    @contextmanager
    def step(self, *, slow: bool = False) -> Iterator[None]:
        """Send a record and compare who there is; the model must follow inside."""
        start = clock.now()
        for guest in self.model.guests.values():
            guest.changed = False
        if slow:
            Site.write("UPDATE ws_live.identity_settings SET version = gen_random_uuid()")
        yield
        end = clock.now() + timedelta(milliseconds=1)
        for ref, guest in self.model.guests.items():
            if guest.changed:
                self.written[ref] = (start, end)
        rows = Site.rows(
            "SELECT ref, survivor_ref, coalesce((unmerged -> 'now' ->> 'last_seen')::timestamptz, "
            "last_seen) AS seen FROM ws_live.guests"
        )
        assert {row["ref"] for row in rows} == self.model.guests.keys(), (
            "other guests than expected"
        )
        assert {row["ref"]: row["survivor_ref"] for row in rows if row["survivor_ref"]} == {
            ref: self.root(ref) for ref in self.above
        }
        for row in rows:
            self.model.guests[row["ref"]].seen = row["seen"]
        # Lists are by age, in milliseconds.
        while clock.now().microsecond // 1000 == end.microsecond // 1000:
            pass

    def order(self, reference: str, **fields: Any) -> PlainOrder:
        """The model's order of a reference, with fields that were written to it."""
        order = self.model.orders.get(reference)
        if order is None:
            (row,) = Site.rows("SELECT ref FROM ws_live.orders WHERE reference_id = %s", reference)
            order = self.model.orders[reference] = PlainOrder(row["ref"], {})
        order.fields |= fields
        return order

    def order_ref(self, reference: str) -> PlainOrder:
        """An order, posted if there is none."""
        if reference not in self.model.orders:
            self.post_order(reference, 10, "v2.1")
        return self.model.orders[reference]

    def own_contact(self, order: PlainOrder, ref: UUID) -> None:
        fields = self.model.guests[ref].fields
        body = {name: fields[name] for name in PERSON if fields.get(name) is not None}
        order.contacts.append(PlainPerson(body, ref))
        self.model.joins.append((ref, None, [], "order contact", order.ref))

    # The end

    def teardown(self) -> None:
        for merge in sorted(merge for _, merge in self.above.values()):
            Site.do(merges.undo, merge)
        self.above.clear()
        self.compare_guests()
        self.compare_reasons()
        self.compare_orders()

    def compare_guests(self) -> None:
        rows = Site.rows("SELECT * FROM ws_live.guests")
        assert {row["ref"] for row in rows} == self.model.guests.keys()
        for row in rows:
            guest = self.model.guests[row["ref"]]
            assert (row["body"], row["guest_type"]) == (guest.fields, guest.guest_type)
            assert (row["unmerged"], row["survivor_ref"]) == (None, None)
            reason = row["creation_reason"]
            assert reason is None or reason.pop("actor")
            assert reason == guest.reason
            assert row["first_seen"] == row["created_at"] == guest.created
            if row["ref"] not in self.visited:
                assert row["last_seen"] == guest.created
            earliest, latest = self.written[row["ref"]]
            assert earliest - timedelta(milliseconds=1) <= row["modified_at"] <= latest
        stored: dict[UUID, set[UUID]] = {ref: set() for ref in self.model.guests}
        for row in Site.rows("SELECT guest_ref, key FROM ws_live.guest_keys"):
            stored[row["guest_ref"]].add(row["key"])
        assert stored == {ref: keys_of(one.fields) for ref, one in self.model.guests.items()}
        assert Site.rows("SELECT FROM ws_live.guest_journal") == []
        extensions = Site.rows("SELECT guest_ref, name, pairs FROM ws_live.guest_extensions")
        assert {(row["guest_ref"], row["name"]): row["pairs"] for row in extensions} == {
            (ref, name): pairs
            for ref, guest in self.model.guests.items()
            for name, pairs in guest.extensions.items()
        }
        counted = Site.rows("SELECT coalesce(sum(guests), 0) AS n FROM ws_live.guest_counts")
        assert counted == [{"n": len(self.model.guests)}]

    def compare_reasons(self) -> None:
        refs = {order.ref for order in self.model.orders.values()}
        joins = Site.rows("SELECT * FROM ws_live.guest_joins ORDER BY sequence")
        assert text_of(
            (j["guest_ref"], j["rule"], j["evidence"], j["source"], order_of(j, refs))
            for j in joins
        ) == text_of(self.model.joins)
        blocked = Site.rows("SELECT * FROM ws_live.guarded_evidence ORDER BY sequence")
        assert text_of(
            (b["rule"], b["reason"], b["evidence"], b["guests"][0], b["source"], order_of(b, refs))
            for b in blocked
        ) == text_of(self.model.blocked)

    def compare_orders(self) -> None:
        rows = Site.rows("SELECT ref, reference_id, body FROM ws_live.orders")
        assert {row["reference_id"]: (row["ref"], row["body"]) for row in rows} == {
            reference: (order.ref, order.fields) for reference, order in self.model.orders.items()
        }
        for order in self.model.orders.values():
            of = " FROM ws_live.{} WHERE order_ref = %s ORDER BY created_at, ref"
            lines = Site.rows("SELECT body" + of.format("order_items"), order.ref)
            assert text_of(row["body"] for row in lines) == text_of(
                {"product_id": "P", "quantity": 1}
                if line == NESTED_LINE
                else {**STORED_LINE, "reference_id": line}
                for line in order.lines
            )
            for table in ("contacts", "consumers"):
                sql = "SELECT body, guest_ref" + of.format(f"order_{table}")
                stored = Site.rows(sql, order.ref)
                assert text_of((row["body"], row["guest_ref"]) for row in stored) == text_of(
                    (one.body, one.guest) for one in getattr(order, table)
                )
            extensions = Site.rows(
                "SELECT pairs FROM ws_live.order_extensions WHERE order_ref = %s", order.ref
            )
            expected = [] if order.pairs is None else [order.pairs]
            assert [row["pairs"] for row in extensions] == expected


def order_of(row: dict[str, Any], orders: set[UUID]) -> UUID | None:
    """The order that a reason names."""
    return row["source_ref"] if row["source_ref"] in orders else None


def text_of(rows: Any) -> list[str]:
    """Rows in an order that does not depend on when they were written."""
    return sorted(json.dumps(row, default=str, sort_keys=True) for row in rows)
