"""I10: what the undo of an import does, what blocks it, and how it continues."""

import asyncio
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
import typer
from drawn_records import LINE
from in_process import Site, running
from typer.testing import CliRunner
from undoing import (
    call,
    contents,
    differences,
    enveloped,
    event,
    guest_of,
    order,
    person,
    run_import,
    run_undo,
)

from innkeeper import clock
from innkeeper.actions.admin.background import RetryAt
from innkeeper.actions.audiences import static_lists
from innkeeper.actions.bulk import batches, command_imports, undo
from innkeeper.actions.identity import merges
from innkeeper.actions.privacy import privacy
from innkeeper.actions.records import guests
from innkeeper.cli import import_undo
from innkeeper.cli.imports import import_
from innkeeper.errors import Conflict
from innkeeper.jobs.batches import apply, undo_import
from innkeeper.store.work import Work


@pytest.fixture
def site(dsn: str) -> Iterator[None]:
    with running(dsn):
        yield


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
    description = call(undo.describe, ref)
    assert description["state"] is None
    assert description["removed"] == {"guests": 2, "extensions": 1}
    assert description["restored"] == {"guests": 1, "extensions": 1}
    assert (description["blocked"], description["complete"]) == ({}, True)
    undone = run_undo(ref)
    assert undone["state"] == undo.DONE
    assert {name: undone[name] for name in ("removed", "restored")} == {
        name: description[name] for name in ("removed", "restored")
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
        Site.body_of("PATCH", path, {"firstName": "Ann"})
        reason = "changed later"
    elif later == "extension":
        Site.body_of("POST", f"{path}/extensions", {"name": "ext", "a": 1})
        reason = "changed later"
    elif later == "order":
        run_import("orders", [order(1, 1)])
        reason = "matched later"
    elif later == "guest":
        run_import("guests", [person(1, firstName="Ann")])
        reason = "changed later"
    elif later == "merge":
        other = Site.body_of("POST", "/v2.1/guests", {"guestType": "customer"})["ref"]
        Site.do(merges.create, guest, UUID(other))
        reason = "merged later"
    else:
        client = Site.logins["open"].client_key
        call_ = f"/v1.2/browser/create.json?client_key={client}&message=%7B%7D"
        browser = Site.body_of("GET", call_)["ref"]
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
    stored_data = call(privacy.access, guest_of(1))["held"]["import_changes"]
    assert [row["previous"]["body"]["first_name"] for row in stored_data if row["previous"]] == [
        "Planted"
    ]
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
    """Unfinished imports, and those that changed nothing."""
    run_import("guests", [person(1)])
    started = {"entity": "events", "source": None, "file_options": {}}
    cases = [
        (run_import("guests", [person(1)]), "changed nothing"),
        (call(command_imports.start, uuid4(), **started)["ref"], "has not ended"),
    ]
    for ref, message in cases:
        with pytest.raises(Conflict, match=message):
            run_undo(ref)


def test_i10_a_batch_is_undone_as_an_import_is(site: None) -> None:
    """Guests and orders that it created or changed (batch-api.md 6)."""
    run_import("guests", [person(1, firstName="Ann", **extended(1))])
    run_import("orders", [order(1, 1)])
    before = contents()
    other = {**LINE, "referenceId": "I-2", "name": "Other"}
    ref = run_import(
        "batch",
        [
            enveloped("guest", "upsert", person(1, firstName=None, city="Cork", **extended(2))),
            enveloped("guest", "create", person(2, guestType="customer")),
            enveloped("order", "insert", order(1, 3, orderItems=[other], status="REFUNDED")),
            enveloped("order", "upsert", {**order(2, 4), "orderItems": []}),
        ],
    )
    assert call(batches.fetch, ref)["outcomes"] == {"created": 2, "updated": 2}
    assert differences(before)
    assert run_undo(ref)["state"] == undo.DONE
    assert not differences(before)


def test_i10_what_a_batch_deleted_or_merged_stays(site: None) -> None:
    """And is counted; a guest of the batch that it merged is left until that merge is undone."""
    run_import("guests", [person(1), person(2), person(3)])
    ref = run_import(
        "batch",
        [
            enveloped("guest", "delete", person(1)),
            enveloped("guest", "upsert", person(2, city="Cork")),
            enveloped("guest", "upsert", person(4)),
            enveloped("migration", "guest", {"migrateFrom": person(3), "migrateTo": person(2)}),
        ],
    )
    outcomes = {"created": 1, "updated": 1, "deleted": 1, "merged": 1}
    assert call(batches.fetch, ref)["outcomes"] == outcomes
    description = call(undo.describe, ref)
    assert description["not_undone"] == {"deleted": 1, "merged": 1}
    assert (description["removed"], description["blocked"]) == ({"guests": 1}, {"merged later": 1})
    run_undo(ref, skip_changed=True)
    (merge,) = Site.rows("SELECT ref FROM ws_live.merges")
    Site.do(merges.undo, merge["ref"])
    assert call(undo.describe, ref)["blocked"] == {"merged later": 1}


def test_i10_events_within_a_file_of_guests_are_undone_with_it(site: None) -> None:
    before = contents()
    at = {"requested_at": "2026-01-02T03:04:05.000Z"}
    view = {"type": "VIEW", "channel": "WEB", "pos": "default", "page": "/", **at}
    records = [
        *(enveloped("guest", "upsert", person(number)) for number in (1, 2)),
        enveloped("tracking", "", {**view, **person(2)}),
    ]
    ref = run_import("guests", records)
    assert call(batches.fetch, ref)["outcomes"] == {"created": 3}
    assert run_undo(ref)["blocked"] == {}
    assert not differences(before)


@pytest.mark.parametrize("holds", ["guests", "events"])
def test_i10_static_lists_that_lose_guests_are_named(site: None, holds: str) -> None:
    """Whoever put an imported guest on a list wants to know before it is gone."""
    values = [event(1), event(2)] if holds == "events" else [person(1), person(2)]
    ref = run_import(holds, values)
    for name, numbers in (("Both", (1, 2)), ("One", (2,)), ("None", ())):
        row = Site.do(static_lists.create, {"name": name})
        Site.do(static_lists.add, row["ref"], [guest_of(number) for number in numbers])
    description = call(undo.describe, ref)
    assert (description["lists"], description["blocked"]) == ({"Both": 2, "One": 1}, {})
    assert run_undo(ref)["lists"] == {"Both": 2, "One": 1}
    assert not Site.rows("SELECT FROM ws_live.static_list_members")


def test_i10_a_preview_waits_for_its_slot_without_a_connection(site: None) -> None:
    ref = run_import("guests", [person(1)])
    slots = Site.database.limits.undo_previews

    async def run(work: Work) -> dict[str, Any]:
        async with slots:
            waiting = asyncio.create_task(undo.describe(work, ref))
            while not slots.queued:
                assert not waiting.done()
                await asyncio.sleep(0)
            assert work._connection is None
        return await waiting

    assert call(run)["removed"] == {"guests": 1}


def test_i10_a_job_waits_for_the_lock_of_its_import(site: None) -> None:
    """Its last steps, a command, or the connection of a killed worker may still have the lock."""
    ref = run_import("guests", [person(1)])
    call(undo.request, ref)

    async def run(work: Work) -> None:
        async with Site.database.work("live", "test") as other:
            assert await batches.try_lock(other, ref)
            for job in (apply, undo_import):
                with pytest.raises(RetryAt):
                    await job(work, str(ref))
            await batches.unlock(other, ref)
        await undo_import(work, str(ref))

    call(run)
    assert call(undo.describe, ref)["state"] == undo.DONE


def test_i10_a_command_waits_for_the_lock_of_its_import(
    site: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says why, and then reports what was undone, by itself or by a server."""
    ref = run_import("guests", [person(1)])

    async def run(work: Work) -> Any:
        async with Site.database.work("live", "test") as other:
            assert await batches.try_lock(other, ref)

            async def pause(_: float) -> None:
                monkeypatch.undo()
                await undo.run(other, ref)
                await batches.unlock(other, ref)

            monkeypatch.setattr(import_undo, "sleep", pause)
            options = import_undo.UndoOptions(None, "live", False, False, False)  # type: ignore[arg-type]
            return await import_undo.undo_now(work, ref, options)

    undone = call(run)
    assert (undone["state"], undone["removed"]) == (undo.DONE, {"guests": 1})
    assert "The last steps of the import are running" in capsys.readouterr().err


def test_i10_over_http_and_in_the_audit_log(site: None) -> None:
    """Previewed, refused with 409, queued; the log has the request and the end."""
    ref = run_import("guests", [person(1), person(2)])
    path = f"/innkeeper/v1/imports/{ref}/undo"
    record = Site.body_of("GET", path)
    assert (record["status"], record["removed"]) == ("possible", {"guests": 2})
    Site.body_of("PATCH", f"/v2.1/guests/{guest_of(1)}", {"firstName": "Ann"})
    status, body = Site.call("POST", path, {})
    assert status == 409
    assert str(guest_of(1)) in body["message"] + str(body)
    assert Site.body_of("POST", path, {"skipChanged": True})["status"] == "waiting"
    call(undo.run, ref)
    record = Site.body_of("GET", path)
    assert (record["status"], record["removed"]) == ("done", {"guests": 1})
    assert record["examples"] == [
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

    batch = run_import("batch", [enveloped("guest", "upsert", person(3))])
    listed = run().output
    assert listed.index(str(batch)) < listed.index(str(ref))
    assert run(batch).exit_code == 0
    assert "Nothing is changed yet" in run(ref, "--dry-run").output
    assert differences(before)
    done = run(ref)
    assert done.exit_code == 0, done.output
    assert not differences(before)
    assert run(ref).exit_code == 1
