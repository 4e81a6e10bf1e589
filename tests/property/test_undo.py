"""I10: an import that is undone leaves what was there before, whoever it met."""

from collections.abc import Iterator
from typing import Any

import pytest
from all_sources import RULES, Sources
from drawn_records import LINE, ORDERED_AT, items, pairs, people, prices, references, wire
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule, run_state_machine_as_test
from in_process import Site, running
from never_merged import GROUP_LIMIT
from profiles import LONG
from undoing import contents, differences, run_import, run_undo

from innkeeper.actions.bulk import undo
from innkeeper.actions.identity import rule_settings

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


class Undone(Sources):
    """A random population, into which imports go and come out again."""

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


@pytest.fixture
def site(dsn: str) -> Iterator[None]:
    with running(dsn):
        Site.do(rule_settings.replace_rules, RULES)
        Site.do(rule_settings.set_guards, {"group_limit": GROUP_LIMIT})
        yield


def test_i10_an_undone_import_leaves_what_was_there_before(site: None) -> None:
    run_state_machine_as_test(
        Undone,
        settings=settings(
            max_examples=300 if LONG else 5,
            stateful_step_count=25 if LONG else 12,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
