"""I10: an import or an application of rules that is undone leaves what was there before."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from all_sources import RULES, Sources
from drawn_records import (
    LINE,
    ORDERED_AT,
    identifiers,
    in_event,
    items,
    pairs,
    people,
    prices,
    references,
    wire,
)
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule, run_state_machine_as_test
from in_process import Site, running
from never_merged import GROUP_LIMIT
from profiles import LONG
from undoing import call, contents, differences, enveloped, run_import, run_undo

from innkeeper.actions.bulk import undo
from innkeeper.actions.identity import rule_changes, rule_settings, rule_undo
from innkeeper.rules.identity_rules import IdentityRule
from innkeeper.store.work import Work

orders = st.tuples(references, prices, st.none() | items, people, st.none() | people, pairs)


def extended(value: dict[str, Any], ext: Any) -> dict[str, Any]:
    return value | ({"extensions": [{"name": "ext", "key": "default", **ext}]} if ext else {})


def order(
    reference: str, price: int, lines: Any, contact: Any, consumer: Any, ext: Any
) -> dict[str, Any]:
    value: dict[str, Any] = {
        **{"referenceId": reference, "orderedAt": ORDERED_AT, "currencyCode": "EUR"},
        **{"channel": "WEB", "pointOfSale": "shop", "status": "PURCHASED", "price": price},
        **{"paymentType": "Cash", "contact": wire(contact)},
    }
    if lines:
        value["orderItems"] = [
            extended({**LINE, "referenceId": item}, ext if item == "I-1" else None)
            for item in lines
        ]
    if consumer is not None:
        value["consumers"] = [wire(consumer)]
    return extended(value, ext)


BY_APPLICATIONS = {
    **dict.fromkeys(("identity_jobs", "guarded_evidence"), "what happened"),
    "identity_settings": "the version of the rules, which every change renews",
}


def apply_rules(rules: Sequence[IdentityRule]) -> UUID:
    """Apply rules as the command does; the ref of the application."""

    async def run(work: Work) -> UUID:
        job = await rule_settings.apply_rules(work, rules)
        assert await rule_changes.run_jobs(work)
        ref: UUID = job["ref"]
        return ref

    ref: UUID = call(run)
    return ref


def undo_application(ref: UUID) -> None:
    async def run(work: Work) -> None:
        await rule_undo.request(work, ref)
        assert await rule_changes.run_jobs(work)

    call(run)


MOMENTS = [
    (datetime.now(UTC) - timedelta(minutes=minutes)).isoformat(timespec="milliseconds")
    for minutes in (3000, 70, 55, 40, 20, 1)
]
PRODUCT = {**LINE, "item_id": "I-1", "currency": "EUR"}
payloads = st.one_of(
    st.sampled_from(
        [
            {"type": "VIEW", "page": "/"},
            {"type": "VIEW", "page": "/", "pos": "elsewhere"},
            {"type": "VIEW"},
            {"type": "FORCE_CLOSE"},
            {"type": "ADD", "product": PRODUCT},
            {"type": "ADD", "product": {}},
            {"type": "CONFIRM", "product": [{"item_id": "I-1"}]},
            {"type": "CHECKOUT", "reference_id": "R-1", "status": "PURCHASED"},
            {"type": "PAYMENT", "pay_type": "Card"},
            {"type": "SIGNED_UP", "ext": {"plan": "pro"}},
            {"type": "SIGNED_UP", "ext": {"plan": 3}},
        ]
    ),
    st.builds(
        lambda person, ids: {"type": "IDENTITY", **in_event({**person, "identifiers": ids})},
        people,
        identifiers,
    ),
    st.builds(lambda person: {"type": "ADD_CONTACTS", "contact": [in_event(person)]}, people),
    st.builds(lambda person: {"type": "ADD_CONSUMERS", "consumer": [in_event(person)]}, people),
    st.builds(
        lambda reference, price, items: {
            "type": "ORDER_CHECKOUT",
            "order": {
                **{"referenceId": reference, "orderedAt": ORDERED_AT, "status": "PURCHASED"},
                **{"currencyCode": "EUR", "price": price, "paymentType": "Cash"},
                "orderItems": [{**LINE, "referenceId": item} for item in items],
            },
        },
        references,
        prices,
        items,
    ),
)
NEW_BROWSER = UUID(int=7)
SOMEBODY = {"provider": "email", "id": "one"}


class Undone(Sources):
    """A random population: imports go into it and come out again, rules are applied and undone."""

    @rule(
        guests=st.lists(st.tuples(people, pairs), min_size=1, max_size=4),
        rows=st.lists(orders, max_size=4),
    )
    def import_and_undo(self, guests: list[tuple[Any, Any]], rows: list[Any]) -> None:
        """Of guests, then of orders; the later one is undone first."""
        before = contents()
        values = [
            extended({**wire(person), "guestType": "customer"}, ext) for person, ext in guests
        ]
        imports = [run_import("guests", values)]
        if rows:
            imports.append(run_import("orders", [order(*row) for row in rows]))
        for ref in reversed(imports):
            # One whose records change no guest may still write to the journals of merged groups.
            if Site.rows("SELECT FROM ws_live.import_chunks WHERE batch_ref = %s LIMIT 1", ref):
                assert run_undo(ref)["state"] == undo.DONE
        assert not differences(before)

    @rule(rules=st.permutations(RULES), number=st.integers(2, 4))
    def apply_and_undo(self, rules: list[IdentityRule], number: int) -> None:
        """Rules that merge some of the guests; the ledger then lists these merges as undone."""
        before = contents()
        ref = apply_rules(rules[:number])
        (merged,) = Site.rows("SELECT merged FROM ws_live.identity_jobs WHERE ref = %s", ref)
        if not merged["merged"]:
            call(rule_settings.replace_rules, RULES)
            call(rule_changes.run_jobs)
        else:
            undo_application(ref)
        changed = {
            name: rows for name, rows in differences(before).items() if name not in BY_APPLICATIONS
        }
        ledger = changed.pop("merges", {"missing": [], "new": []})
        assert not changed
        assert not ledger["missing"]
        assert len(ledger["new"]) == merged["merged"]
        assert all('"undone_at": null' not in row for row in ledger["new"])

    @rule(
        drawn=st.lists(
            st.tuples(payloads, st.sampled_from([0, 0, 1, None]), st.sampled_from(MOMENTS)),
            min_size=1,
            max_size=7,
        )
    )
    def import_and_undo_events(self, drawn: list[Any]) -> None:
        """Of browsers that are known or new, and of somebody without a browser."""
        import_and_undo_rows("events", events_of(drawn))

    @rule(
        guests=st.lists(st.tuples(people, pairs), min_size=1, max_size=3),
        rows=st.lists(orders, max_size=2),
        drawn=st.lists(
            st.tuples(payloads, st.sampled_from([0, 1, None]), st.sampled_from(MOMENTS)),
            min_size=1,
            max_size=4,
        ),
        shuffled=st.randoms(use_true_random=False),
    )
    def import_and_undo_a_batch_with_events(
        self, guests: list[Any], rows: list[Any], drawn: list[Any], shuffled: Any
    ) -> None:
        """Records of every kind in any order, several of which are of the same people."""
        values = [
            enveloped("guest", "upsert", extended({**wire(person), "guestType": "customer"}, ext))
            for person, ext in guests
        ]
        values += [enveloped("order", "insert", order(*row)) for row in rows]
        values += [enveloped("tracking", "insert", value) for value in events_of(drawn)]
        shuffled.shuffle(values)
        import_and_undo_rows("batch", values)


def events_of(drawn: list[Any]) -> list[dict[str, Any]]:
    """Events of the browser that came last, of a new one, or of somebody without a browser."""
    rows = Site.rows("SELECT ref FROM ws_live.browsers ORDER BY created_at DESC, ref LIMIT 1")
    browsers = [rows[0]["ref"] if rows else NEW_BROWSER, NEW_BROWSER]
    return [
        {"channel": "WEB", "pos": "default", "requested_at": at, **payload}
        | ({"identifiers": SOMEBODY} if who is None else {"browser_id": str(browsers[who])})
        for payload, who, at in drawn
    ]


def import_and_undo_rows(holds: str, values: list[dict[str, Any]]) -> None:
    """Import what is recorded row by row, and undo it."""
    before = contents()
    ref = run_import(holds, values, chunk=4)
    assert not Site.rows("SELECT FROM ws_live.batch_failures WHERE message = 'Internal error'")
    if Site.rows("SELECT FROM ws_live.import_rows WHERE batch_ref = %s LIMIT 1", ref):
        undone = run_undo(ref)
        assert (undone["state"], undone["blocked"]) == (undo.DONE, {})
    assert not differences(before)


@pytest.fixture
def site(dsn: str) -> Iterator[None]:
    with running(dsn):
        Site.do(rule_settings.replace_rules, RULES)
        Site.do(rule_settings.set_guards, {"group_limit": GROUP_LIMIT})
        yield


def test_i10_undone_imports_and_rules_leave_what_was_there_before(site: None) -> None:
    run_state_machine_as_test(
        Undone,
        settings=settings(
            max_examples=300 if LONG else 3,
            stateful_step_count=25 if LONG else 12,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
