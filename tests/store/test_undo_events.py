"""I10: the undo of an import of events, what blocks it, and what a browser has after it."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import ANY
from uuid import UUID, uuid4

import psycopg
import pytest
from drawn_records import LINE
from in_process import Site, running
from undoing import (
    ORDERED_AT,
    call,
    contents,
    differences,
    enveloped,
    event,
    guest_of,
    order,
    person,
    records,
    run_import,
    run_undo,
)

from innkeeper.actions.bulk import batches, command_imports, undo
from innkeeper.errors import Conflict
from innkeeper.store.work import Work
from innkeeper.wire.bulk.batch_files import Layout
from innkeeper.wire.bulk.mixed_files import mark_mixed


@pytest.fixture
def site(dsn: str) -> Iterator[None]:
    with running(dsn):
        yield


def test_i10_the_preview_of_an_import_of_events_counts_and_names_what_blocks(site: None) -> None:
    """Hand-counted: each person has a guest, a browser, and a session of two events, IDENTITY and
    VIEW; a later change of one guest leaves what is that guest's alone."""
    run_import("guests", [person(1)])
    before = contents()
    ref = run_import("events", [event(1), event(2), event(3, ext={"plan": "pro"})])
    description = call(undo.describe, ref)
    # The visitor of the first browser is merged into the guest that was there.
    assert description["removed"] == {"guests": 3, "browsers": 3, "sessions": 3, "events": 6}
    assert (description["blocked"], description["complete"]) == ({}, True)
    guest = guest_of(3)
    Site.body_of("PATCH", f"/v2.1/guests/{guest}", {"firstName": "Ann"})
    with pytest.raises(Conflict, match=f"1 changed later.*guest {guest}"):
        run_undo(ref)
    undone = run_undo(ref, skip_changed=True)
    # Of the third, VIEW goes and IDENTITY stays with its session, since IDENTITY wrote the guest.
    assert undone["removed"] == {"guests": 2, "browsers": 2, "sessions": 2, "events": 5}
    assert undone["blocked"] == {"changed later": 1}
    assert not Site.rows("SELECT FROM ws_live.event_attributes")
    left = {name: len(rows["new"]) for name, rows in differences(before).items()}
    assert left == {
        **{"guests": 1, "browsers": 1, "sessions": 1, "events": 1, "guest_joins": 1},
        **dict.fromkeys(
            ("guest_keys", "guest_counts", "guest_words", "name_words", "name_typos"), ANY
        ),
    }


@pytest.mark.parametrize("later", [None, "event", "import"])
def test_i10_a_browser_has_the_channel_of_its_last_event(site: None, later: str | None) -> None:
    """Undone, an import of events restores the defaults of the next event (stream-api.md 4.1), but
    not over those of an event that came later."""
    browser = str(uuid4())

    def view(number: int, channel: str) -> UUID:
        value = event(number, browser_id=browser, channel=channel)
        del value["identifiers"]
        return run_import("events", [value])

    view(1, "MOBILE_APP")
    ref, expected = view(2, "WEB"), "MOBILE_APP"
    if later == "event":
        Site.event(browser, "VIEW", channel="CALL_CENTER", page="/")
        expected = "CALL_CENTER"
    elif later == "import":
        view(3, "OFFLINE")
        expected = "OFFLINE"
    assert run_undo(ref)["state"] == undo.DONE
    (row,) = Site.rows("SELECT channel FROM ws_live.browsers WHERE ref = %s", browser)
    assert row["channel"] == expected


def test_i10_consumers_of_an_imported_event_are_its_own(site: None) -> None:
    """They are undone with the order that it created."""
    before = contents()
    people = [{"firstName": "Bo", "lastName": "Lee", "email": "bo@example.com"}]
    bought = {"referenceId": "R-1", "orderedAt": ORDERED_AT, "status": "PURCHASED", "price": 10}
    bought |= {"currencyCode": "EUR", "paymentType": "Cash", "orderItems": [LINE]}
    values = [
        event(1, type="ADD_CONSUMERS", consumer=people),
        event(1, type="ORDER_CHECKOUT", order=bought),
    ]
    ref = run_import("events", values)
    description = call(undo.describe, ref)
    assert description["blocked"] == {}, description
    assert run_undo(ref)["state"] == undo.DONE
    assert not differences(before)


def test_i10_a_chunk_of_events_that_fails_leaves_no_setting_on_its_connection(site: None) -> None:
    """Whoever gets the connection next commits to the disk, and is not part of the import."""

    async def run(work: Work) -> Any:
        batch = await command_imports.start(
            work, uuid4(), entity="events", source=None, file_options={}
        )
        await work.connection.execute("ALTER TABLE ws_live.import_rows RENAME TO away")
        with pytest.raises(psycopg.errors.UndefinedTable):
            await batches.apply_chunk(
                work, batch, batches.source_of(batch), records("events", [event(1)])
            )
        cursor = await work.connection.execute(
            "SELECT current_setting('synchronous_commit') AS commit, "
            "current_setting('innkeeper.import', true) AS import"
        )
        return await cursor.fetchone()

    assert call(run) == {"commit": "on", "import": ""}


def test_i10_an_item_of_an_event_that_a_later_consumer_uses_stays(site: None) -> None:
    """As an item of a row does: its deletion would delete which item the consumer uses."""
    run_import("orders", [order(1, 1)])
    fields = {"referenceId": "R-1", "orderedAt": ORDERED_AT, "status": "PURCHASED", "price": 10}
    items = [{**LINE, "name": "Other", "productId": "Q", "referenceId": "I-9"}]
    bought = {**fields, "currencyCode": "EUR", "paymentType": "Cash", "orderItems": items}
    ref = run_import("events", [event(1, type="ORDER_CHECKOUT", order=bought)])
    (item,) = Site.rows(
        "SELECT ref, order_ref FROM ws_live.order_items WHERE body ->> 'reference_id' = 'I-9'"
    )
    assert call(undo.describe, ref)["blocked"] == {}
    link = {"href": f"/v2.1/orderItems/{item['ref']}"}
    consumer = {"firstName": "Bo", "lastName": "Lee", "orderItems": {"items": [link]}}
    Site.body_of("POST", f"/v2.1/orders/{item['order_ref']}/consumers", consumer)
    with pytest.raises(Conflict, match="used later"):
        run_undo(ref)


MIXED = [
    enveloped("guest", "upsert", {**person(1), "guestType": "customer", "firstName": "Ann"}),
    enveloped("tracking", "insert", event(1)),
    enveloped("guest", "upsert", {**person(1), "guestType": "customer", "lastName": "Lee"}),
    enveloped("order", "insert", order(1, 2)),
    enveloped("tracking", "insert", event(2)),
    enveloped(
        "guest",
        "upsert",
        {**person(3), "guestType": "customer", "extensions": [{"name": "ext", "a": 1}]},
    ),
]


def test_i10_a_batch_with_events_is_undone_as_a_whole(site: None) -> None:
    """Hand-counted: guests 1 to 3 and an order with a contact and an item; guests 1 and 2 have a
    browser, and a session with IDENTITY and VIEW, whose visitors were merged and are not."""
    run_import("guests", [person(9)])
    before = contents()
    ref = run_import("batch", MIXED)
    description = call(undo.describe, ref)
    assert (description["blocked"], description["complete"]) == ({}, True)
    counts = {"guests": 5, "browsers": 2, "sessions": 2, "events": 4, "extensions": 1}
    assert description["removed"] == {**counts, "orders": 1, "items": 1, "contacts": 1}
    assert run_undo(ref)["state"] == undo.DONE
    assert not differences(before)


def test_i10_of_a_batch_with_events_only_what_is_used_later_stays(site: None) -> None:
    """A guest that changed later stays with what its events need; the records of others go."""
    ref = run_import("batch", MIXED, chunk=6)
    guest = guest_of(3)
    Site.body_of("PATCH", f"/v2.1/guests/{guest}", {"firstName": "Eve"})
    with pytest.raises(Conflict, match=f"1 changed later.*guest {guest}"):
        run_undo(ref)
    undone = run_undo(ref, skip_changed=True)
    assert undone["blocked"] == {"changed later": 1}
    left = Site.rows("SELECT ref FROM ws_live.guests")
    assert [row["ref"] for row in left] == [guest]
    assert not Site.rows("SELECT FROM ws_live.orders UNION ALL SELECT FROM ws_live.events")


def test_i10_what_a_batch_with_events_deleted_is_not_stored(site: None) -> None:
    """Erased people must not stay in what is recorded for an undo."""
    run_import("guests", [{**person(4), "firstName": "Secret"}])
    deleted = enveloped("guest", "gdpr_delete", person(4))
    ref = run_import("batch", [MIXED[0], deleted, MIXED[1]])
    assert call(undo.describe, ref)["not_undone"] == {"deleted": 1}
    recorded = Site.rows("SELECT previous::text AS text FROM ws_live.import_rows")
    assert not [row for row in recorded if "Secret" in (row["text"] or "")]
    assert run_undo(ref)["state"] == undo.DONE
    assert not Site.rows("SELECT FROM ws_live.guests")


@pytest.mark.parametrize(
    ("holds", "tracking", "records", "is_mixed"),
    [
        ("batch", True, MIXED, True),
        ("batch", False, MIXED, False),
        ("batch", True, MIXED[:1], False),
        ("guests", False, MIXED, True),
        ("guests", False, [person(1, firstName='"tracking"')], False),
        ("events", False, [MIXED[1]], False),
    ],
)
def test_i10_a_file_with_events_is_marked_before_its_first_record(
    site: None, tmp_path: Path, holds: Any, tracking: bool, records: Any, is_mixed: bool
) -> None:
    """Events of a batch are records only where the setting says so; then all is by rows."""
    path = tmp_path / "records.json.gz"
    path.write_bytes(gzip.compress(b"".join(json.dumps(one).encode() + b"\n" for one in records)))

    async def run(work: Work) -> Any:
        batch = await command_imports.start(
            work, uuid4(), entity=holds, source=None, file_options={}
        )
        layout = Layout(holds, tracking=tracking).prepared(path)
        batch = await mark_mixed(work, batch, layout, path)
        return batches.is_recorded_by_rows(await batches.fetch(work, batch["ref"]))

    assert call(run) is (is_mixed or holds == "events")
