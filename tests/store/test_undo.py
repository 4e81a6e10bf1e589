"""I10: what the undo of an import does, what blocks it, and how it continues."""

from collections.abc import Iterator
from typing import Any
from unittest.mock import ANY
from uuid import UUID, uuid4

import psycopg
import pytest
import typer
from drawn_records import LINE
from in_process import Site, running
from typer.testing import CliRunner
from undoing import call, contents, differences, records, run_import, run_undo

from innkeeper import clock
from innkeeper.actions.bulk import batches, command_imports, undo
from innkeeper.actions.identity import merges
from innkeeper.actions.privacy import privacy
from innkeeper.actions.records import guests
from innkeeper.cli.imports import import_
from innkeeper.errors import Conflict
from innkeeper.store.work import Work

ORDERED_AT = "2026-01-02T03:04:05.000Z"


@pytest.fixture
def site(dsn: str) -> Iterator[None]:
    with running(dsn):
        yield


def person(number: int, **fields: Any) -> dict[str, Any]:
    return {"identifiers": [{"provider": "email", "id": f"{number}@example.com"}], **fields}


def order(number: int, who: int, **fields: Any) -> dict[str, Any]:
    return {
        **{"referenceId": f"R-{number}", "orderedAt": ORDERED_AT, "currencyCode": "EUR"},
        **{"channel": "WEB", "pointOfSale": "shop", "status": "PURCHASED", "price": 10},
        **{"paymentType": "Cash", "contact": person(who), "orderItems": [LINE], **fields},
    }


def guest_of(number: int) -> Any:
    (row,) = Site.rows(
        "SELECT ref FROM ws_live.guests WHERE body -> 'identifiers' -> 0 ->> 'id' = %s",
        f"{number}@example.com",
    )
    return row["ref"]


def extended(value: int) -> dict[str, Any]:
    return {"extensions": [{"name": "ext", "key": "default", "a": value}]}


def test_i10_the_preview_counts_what_is_removed_and_restored(site: None) -> None:
    """Hand-counted; the undo reports the same, and a second one has nothing to do."""
    run_import("guests", [person(1, **extended(1)), person(2)])
    before = contents()
    ref = run_import(
        "guests",
        [person(1, firstName="Ann", **extended(2)), person(2, **extended(3)), person(3), person(4)],
    )
    found = call(undo.describe, ref)
    assert found["state"] is None
    assert found["removed"] == {"guests": 2, "extensions": 1}
    assert found["restored"] == {"guests": 1, "extensions": 1}
    assert (found["blocked"], found["complete"]) == ({}, True)
    undone = run_undo(ref)
    assert undone["state"] == undo.DONE
    assert {name: undone[name] for name in ("removed", "restored")} == {
        name: found[name] for name in ("removed", "restored")
    }
    assert not differences(before)
    with pytest.raises(Conflict, match="is undone already"):
        run_undo(ref)


@pytest.mark.parametrize("later", ["edit", "order", "browser", "merge", "extension", "guest"])
def test_i10_what_is_later_blocks_and_is_named(site: None, later: str) -> None:
    """Refused as a whole, or with `skip_changed` undone without it."""
    ref = run_import("guests", [person(1), person(2), person(3)])
    guest, path = guest_of(1), f"/v2.1/guests/{guest_of(1)}"
    if later == "edit":
        Site.made("PATCH", path, {"firstName": "Ann"})
        reason = "changed later"
    elif later == "extension":
        Site.made("POST", f"{path}/extensions", {"name": "ext", "a": 1})
        reason = "changed later"
    elif later == "order":
        run_import("orders", [order(1, 1)])
        reason = "matched later"
    elif later == "guest":
        run_import("guests", [person(1, firstName="Ann")])
        reason = "changed later"
    elif later == "merge":
        other = Site.made("POST", "/v2.1/guests", {"guestType": "customer"})["ref"]
        Site.do(merges.create, guest, UUID(other))
        reason = "merged later"
    else:
        client = Site.logins["open"].client_key
        call_ = f"/v1.2/browser/create.json?client_key={client}&message=%7B%7D"
        browser = Site.made("GET", call_)["ref"]
        identifiers = [{"provider": "email", "id": "1@example.com"}]
        Site.event(browser, "IDENTITY", identifiers=identifiers)
        reason = "events"
    before = contents()
    with pytest.raises(Conflict, match=f"1 {reason}.*guest {guest}"):
        run_undo(ref)
    assert not differences(before)
    undone = run_undo(ref, skip_changed=True)
    assert undone["removed"]["guests"] == 2
    assert undone["blocked"] == {reason: 1}
    assert undone["examples"] == [{"of": "guests", "ref": str(guest), "reason": reason}]
    assert guest_of(1) == guest


@pytest.mark.parametrize("is_created", [True, False])
def test_i10_a_change_at_the_time_of_another_chunk_blocks(site: None, is_created: bool) -> None:
    """While an import runs, others write at any millisecond, also at one of its later chunks."""
    if not is_created:
        run_import("guests", [person(1), person(2)])
    ref = run_import("guests", [person(1, city="Cork"), person(2, city="Cork")], chunk=1)
    first, last = Site.rows(
        "SELECT written_at FROM ws_live.import_chunks WHERE batch_ref = %s ORDER BY written_at", ref
    )
    assert first != last

    async def change(work: Work) -> None:
        with clock.simulated(last["written_at"]):
            await guests.patch(work, guest_of_first, {"first_name": "Ann"})

    guest_of_first = guest_of(1)
    Site.do(change)
    with pytest.raises(Conflict, match=f"1 changed later.*guest {guest_of_first}"):
        run_undo(ref)


def test_i10_an_item_with_extensions_that_a_later_chunk_adds(site: None) -> None:
    """It is the import's own, and does not block the undo of the order that the import created."""
    before = contents()
    lines = [LINE, {**LINE, "referenceId": "I-2", **extended(1)}]
    ref = run_import("orders", [order(1, 1), order(1, 1, orderItems=lines)], chunk=1)
    assert run_undo(ref)["removed"] == {
        **{"orders": 1, "items": 2, "contacts": 1, "guests": 1, "extensions": 1}
    }
    assert not differences(before)


def test_i10_an_import_that_changes_only_the_journal_of_a_group(site: None) -> None:
    """The guest itself stays as it was, but of its group the import's value is the latest."""
    run_import("guests", [person(1, city="Cork"), person(2, city="Sligo")])
    Site.do(merges.create, guest_of(2), guest_of(1))
    before = contents()
    ref = run_import("guests", [person(1, city="Cork")])
    assert call(batches.fetch, ref)["outcomes"] == {"unchanged": 1}
    assert differences(before).keys() >= {"guest_journal"}
    assert run_undo(ref)["state"] == undo.DONE
    assert not differences(before)


def test_i10_imports_are_undone_in_reverse_order(site: None) -> None:
    """Of two that changed the same guest, the later one blocks the earlier until it is undone."""
    before = contents()
    first = run_import("guests", [person(1, firstName="Ann"), person(2)])
    second = run_import("orders", [order(1, 1, contact=person(1, city="Cork")), order(2, 3)])
    with pytest.raises(Conflict, match="later depends"):
        run_undo(first)
    assert run_undo(second)["removed"] == {**{"orders": 2, "items": 2, "contacts": 2, "guests": 1}}
    run_undo(first)
    assert not differences(before)


def test_i10_an_undo_that_is_killed_goes_on(site: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the first of several chunks; the job of a server continues it."""
    before = contents()
    ref = run_import("orders", [order(number, number) for number in range(6)])
    run_chunk, chunks = undo._undo_chunk, 0

    async def killed(*args: Any) -> Any:
        nonlocal chunks
        chunks += 1
        if chunks > 2:
            raise KeyboardInterrupt
        return await run_chunk(*args)

    with monkeypatch.context() as patched:
        patched.setattr(undo, "_undo_chunk", killed)
        with pytest.raises(KeyboardInterrupt):
            run_undo(ref)
    stored = call(undo.describe, ref)
    assert (stored["state"], stored["removed"]["orders"]) == (undo.UNDOING, 4)
    done = call(undo.run, ref)["undo"]
    assert done["removed"] == {"orders": 6, "items": 6, "contacts": 6, "guests": 6}
    assert not differences(before)


def test_i10_what_was_recorded_is_erased_and_shown_and_expires(site: None, dsn: str) -> None:
    """Subject access shows the row before; an erasure removes it; `undo_days` ends it."""
    run_import("guests", [person(1, firstName="Planted"), person(2)])
    ref = run_import("guests", [person(1, firstName="Ann"), person(2, firstName="Bob"), person(3)])
    held = call(privacy.access, guest_of(1))["held"]["import_changes"]
    assert [row["previous"]["body"]["first_name"] for row in held if row["previous"]] == ["Planted"]
    guests = [guest_of(1), guest_of(3)]
    for guest in guests:
        call(privacy.erase, guest)
    with psycopg.connect(dsn) as connection:
        text = "".join(
            str(row)
            for table in ("import_chunks", "import_rows")
            for row in connection.execute(f"SELECT t::text FROM ws_live.{table} AS t").fetchall()
        )
        assert "Planted" not in text
        assert not [guest for guest in guests if str(guest) in text]
        connection.execute("UPDATE ws_live.batches SET created_at = now() - interval '15 days'")
    call(undo.expire)
    assert not Site.rows("SELECT FROM ws_live.import_rows")
    with pytest.raises(Conflict, match="older than 14 days"):
        run_undo(ref)


def test_i10_what_cannot_be_undone_says_why(site: None) -> None:
    """Batches, unfinished imports, and those that changed nothing."""
    run_import("guests", [person(1)])
    cases = [(run_import("guests", [person(1)]), "changed nothing")]
    for holds, message in (("batch", "is a batch"), ("events", "has not ended")):
        started = {"entity": holds, "source": None, "file_options": {}}
        cases.append((call(command_imports.start, uuid4(), **started)["ref"], message))
    for ref, message in cases:
        with pytest.raises(Conflict, match=message):
            run_undo(ref)


def test_i10_over_http_and_in_the_audit_log(site: None) -> None:
    """Previewed, refused with 409, queued; the log has the request and the end."""
    ref = run_import("guests", [person(1), person(2)])
    path = f"/innkeeper/v1/imports/{ref}/undo"
    shown = Site.made("GET", path)
    assert (shown["status"], shown["removed"]) == ("possible", {"guests": 2})
    Site.made("PATCH", f"/v2.1/guests/{guest_of(1)}", {"firstName": "Ann"})
    status, body = Site.call("POST", path, {})
    assert status == 409
    assert str(guest_of(1)) in body["message"] + str(body)
    assert Site.made("POST", path, {"skipChanged": True})["status"] == "waiting"
    call(undo.run, ref)
    shown = Site.made("GET", path)
    assert (shown["status"], shown["removed"]) == ("done", {"guests": 1})
    assert shown["examples"] == [
        {"of": "guests", "ref": str(guest_of(1)), "reason": "changed later"}
    ]
    rows = Site.rows("SELECT action, details FROM innkeeper.audit_log WHERE action ~ 'undo'")
    assert [row["action"] for row in rows] == ["import.undo", "import.undo_done"]
    assert rows[1]["details"]["removed"] == {"guests": 1}


def test_i10_as_a_command(site: None, dsn: str) -> None:
    """`innkeeper import undo`: lists, previews, undoes; with status 1 where it is refused."""
    before = contents()
    ref = run_import("guests", [person(1), person(2)])
    app = typer.Typer()
    app.command()(import_)

    def run(*words: object) -> Any:
        return CliRunner().invoke(app, ["undo", *map(str, words), "--database", dsn])

    assert str(ref) in run().output
    assert "Nothing is changed yet" in run(ref, "--dry-run").output
    assert differences(before)
    done = run(ref)
    assert done.exit_code == 0, done.output
    assert not differences(before)
    assert run(ref).exit_code == 1


def event(number: int, **members: Any) -> dict[str, Any]:
    common = {"type": "VIEW", "channel": "WEB", "pos": "default", "page": "/", **members}
    at = f"2026-01-02T03:{number:02}:05.000Z"
    identifier = {"provider": "email", "id": f"{number}@example.com"}
    return {"identifiers": identifier, "requested_at": at, **common}


def test_i10_the_preview_of_an_import_of_events_counts_and_names_what_blocks(site: None) -> None:
    """Hand-counted: each person has a guest, a browser, and a session of two events, IDENTITY and
    VIEW; a later change of one guest leaves what is that guest's alone."""
    run_import("guests", [person(1)])
    before = contents()
    ref = run_import("events", [event(1), event(2), event(3, ext={"plan": "pro"})])
    found = call(undo.describe, ref)
    # The visitor of the first browser is merged into the guest that was there.
    assert found["removed"] == {"guests": 3, "browsers": 3, "sessions": 3, "events": 6}
    assert (found["blocked"], found["complete"]) == ({}, True)
    guest = guest_of(3)
    Site.made("PATCH", f"/v2.1/guests/{guest}", {"firstName": "Ann"})
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
    Site.made("POST", f"/v2.1/orders/{item['order_ref']}/consumers", consumer)
    with pytest.raises(Conflict, match="used later"):
        run_undo(ref)
