"""I10: an import or an application of rules that is undone leaves what was there before."""

from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID

import pytest
from all_sources import RULES, Sources
from drawn_records import LINE, ORDERED_AT, items, pairs, people, prices, references, wire
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule, run_state_machine_as_test
from in_process import Site, running
from never_merged import GROUP_LIMIT
from profiles import LONG
from undoing import call, contents, differences, run_import, run_undo

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
            max_examples=300 if LONG else 5,
            stateful_step_count=25 if LONG else 12,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
