"""People and orders from all sources (see `all_sources`), with fixed and generated sequences."""

from collections.abc import Iterator
from typing import Any

import pytest
from all_sources import RULES, Sources
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test
from in_process import Site, running
from never_merged import GROUP_LIMIT
from profiles import LONG

from innkeeper.actions.identity import rule_settings

SEQUENCES = 2000 if LONG else 6


@pytest.fixture
def site(dsn: str) -> Iterator[None]:
    with running(dsn):
        Site.do(rule_settings.replace_rules, RULES)
        Site.do(rule_settings.set_guards, {"group_limit": GROUP_LIMIT})
        yield


def test_all_sources_store_what_a_model_without_merges_has(site: None) -> None:
    run_state_machine_as_test(
        Sources,
        settings=settings(
            max_examples=SEQUENCES,
            stateful_step_count=25 if LONG else 15,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def crm(number: str, **fields: Any) -> dict[str, Any]:
    return {"identifiers": [{"provider": "crm", "id": number}], **fields}


ANN = {"first_name": "Ann", "last_name": "Byrne"}


def test_a_row_adds_a_contact_of_a_merged_guest_of_its_own(site: None) -> None:
    """The contact of a batch row changes a contact of the same guest only, not one of a guest that
    is merged with it at the moment."""
    sources = Sources()
    sources.start([crm("one"), crm("Two")], merged=True)
    for number in ("one", "Two"):
        sources.put_order("R-1", 10, ["I-1"], crm(number, city="Cork"), None, None, "batch")
    sources.teardown()


def test_a_consumer_of_a_row_is_the_contact_of_that_row(site: None) -> None:
    """Not an older contact of the same name whom nothing identifies (batch-api.md 8)."""
    sources = Sources()
    sources.start([crm("one"), crm("Two")], merged=False)
    sources.post_contact("R-1", {**ANN, "city": "Cork"}, "v2.1", False)
    sources.put_order("R-1", 10, None, crm("one", **ANN), ANN, None, "batch")
    sources.teardown()


@pytest.mark.parametrize("imported", [True, False])
def test_a_guest_record_makes_a_traveller_a_customer(site: None, imported: bool) -> None:
    """Its `guestType` overwrites the type as other fields do (batch-api.md 6)."""
    sources = Sources()
    sources.start([crm("one"), crm("Two")], merged=False)
    bob = {"last_name": "Byrne", "phone_numbers": ["+353861234567"]}
    sources.checkout("R-1", "I-1", {}, {**bob, "identifiers": [{"provider": "loyalty", "id": "1"}]})
    (row,) = Site.rows("SELECT ref FROM ws_live.guests WHERE guest_type = 'traveller'")
    sources.put_guests([({**bob, "city": "Cork"}, None)], imported)
    assert Site.rows("SELECT guest_type FROM ws_live.guests WHERE ref = %s", row["ref"]) == [
        {"guest_type": "customer"}
    ]
    sources.teardown()


def test_a_checkout_has_a_contact_whose_lists_are_stored_empty(site: None) -> None:
    sources = Sources()
    ref, _ = sources.start([{**ANN, "emails": []}, crm("one")], merged=False).values
    sources.post_order_of_guest(ref, "R-1", 10, True)
    sources.checkout("R-1", "I-1", ANN, {})
    (contact,) = Site.rows("SELECT body FROM ws_live.order_contacts")
    assert contact["body"] == {**ANN, "emails": []}
    sources.teardown()


@pytest.mark.parametrize("nested", [True, False])
def test_an_order_of_a_survivor_stores_nothing_of_the_guests_merged_into_it(
    site: None, nested: bool
) -> None:
    sources = Sources()
    survivor, _ = sources.start([crm("one"), crm("Two")], merged=True).values
    sources.post_contact("R-1", crm("Two", city="Cork"), "v2.1", False)
    sources.post_order_of_guest(survivor, "R-2", 10, nested)
    sources.teardown()


def test_order_checkout_of_a_merged_guest_has_that_guest_as_contact(site: None) -> None:
    sources = Sources()
    survivor, _ = sources.start([crm("one", **ANN), crm("Two")], merged=False).values
    browser = sources.open_browser()
    sources.identify(browser, {"city": "Cork"}, [{"provider": "loyalty", "id": "one"}])
    sources.merge(survivor, sources.guest_of[browser])
    sources.post_contact_of_guest("R-2", {"first_name": "Bob"}, survivor)
    sources.order_checkout(browser, "R-1", 10, ["I-1"], None)
    sources.teardown()


def test_survivors_do_not_count_among_those_who_share_a_value(site: None) -> None:
    """Three guests may share a value; that a survivor shows it as well makes no fourth."""
    sources = Sources()
    refs = sources.start([crm("one"), crm("one"), crm("one")], merged=False).values
    other = sources.post_guest({"city": "Cork"}, "visitor", ("v2.1", "open"))
    sources.merge(other, refs[2])
    sources.post_contact("R-1", crm("one", **ANN), "v2.1", False)
    for slow in (False, True):
        sources.post_contact("R-1", crm("one", **ANN), "v2.1", slow)
    sources.put_guests([(crm("one", city="Galway"), None)], False)
    sources.teardown()


def test_a_row_that_changes_nothing_of_a_merged_guest_stores_no_reason(site: None) -> None:
    sources = Sources()
    sources.start([crm("one"), crm("Two", city="Cork")], merged=True)
    for _ in range(2):
        sources.put_guests([(crm("Two", city="Cork"), None)], False)
    sources.teardown()
