"""`innkeeper identity`, command by command, on a database: what each prints and does."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from process import decoded
from streams import work_on
from typer.testing import CliRunner

from innkeeper.actions.records import guests, orders
from innkeeper.actions.records.order_people import CONTACTS
from innkeeper.cli.identity import app
from innkeeper.resources.base import Record
from innkeeper.store.work import Work

ORDER = {"reference_id": "R-1", "ordered_at": "2026-03-01T12:00:00.000Z"}
PHONE = {"first_name": "Ann", "last_name": "Lee", "phone_numbers": ["+353861234567"]}


@pytest.fixture
def command(dsn: str) -> Callable[..., Any]:
    """Run a command that succeeds; what it printed, decoded where it is JSON."""

    def run(*words: str, status: int = 0) -> Any:
        done = CliRunner().invoke(app, [*words, "--database", dsn])
        assert done.exit_code == status, done.output
        return decoded(done.stdout)

    return run


async def _shown(work: Work, ref: str) -> Record:
    """A guest as callers see it; its row was written meanwhile, so its version is another."""
    guest = await guests.fetch(work, ref)
    del guest["row_version"]
    return guest


async def _two_of_one_phone(work: Work) -> tuple[str, str]:
    """A customer, whose order names a contact, and a visitor with the same phone and name."""
    order = await orders.create(work, ORDER)
    customer = {"guest_type": "customer", **PHONE}
    survivor = (await guests.create(work, {**customer, "emails": ["ann@x.com"]}))["ref"]
    absorbed = (await guests.create(work, {"guest_type": "visitor", **PHONE}))["ref"]
    await CONTACTS.create(
        work, order=order["ref"], changes={"first_name": "Ann", "guest_ref": str(survivor)}
    )
    return str(survivor), str(absorbed)


def test_rules_are_listed_added_reordered_and_deleted(command: Any) -> None:
    """identity.md 2, without its limit of five."""
    assert [rule["identityRule"] for rule in command("rules", "list", "--json")] == ["email"]
    command("rules", "add", "crm", "--provider", "CRM")
    command("rules", "add", "phone", "--field", "phone", "--field", "lastName")
    names = command("rules", "reorder", "phone", "email", "crm", "--json")
    assert [rule["identityRule"] for rule in names] == ["phone", "email", "crm"]
    command("rules", "delete", "email")
    listed = command("rules", "list", "--json")
    assert [(rule["identityRule"], rule["providers"]) for rule in listed] == [
        ("phone", []),
        ("crm", ["CRM"]),
    ]


def test_a_preview_says_what_apply_does_and_unmerge_undoes_it(
    command: Any, dsn: str, tmp_path: Path
) -> None:
    """A rule change is previewed, applied, explained and taken back."""
    stored, deleted = work_on(dsn, _two_of_one_phone)
    before = [work_on(dsn, lambda work, ref=ref: _shown(work, ref)) for ref in (stored, deleted)]
    rules = tmp_path / "rules.json"
    rules.write_text('[{"identityRule": "phone", "fields": ["phone", "lastName"]}]')
    output = command("preview", "--rules", str(rules), "--json")
    assert (output["guests"], output["merging"], output["groups"]) == (2, 1, 1)
    assert output["largest"][0]["survivor"] == stored
    assert "1 of 2 guests would be merged" in command("preview", "--rules", str(rules))
    # Looking changes nothing.
    assert [rule["identityRule"] for rule in command("rules", "list", "--json")] == ["email"]

    assert command("apply", "--rules", str(rules), "--json")["merged"] == 1
    why = command("why", stored, "--json")
    assert {str(ref) for ref in why["guests"]} == {stored, deleted}
    (merge,) = why["merges"]
    assert (merge["absorbedRef"], merge["rule"]) == (deleted, "phone")
    assert "order contact" in command("why", stored)
    command("unmerge", merge["ref"])
    after = [work_on(dsn, lambda work, ref=ref: _shown(work, ref)) for ref in (stored, deleted)]
    assert after == before
    history = command("history", stored, "--json")
    assert [entry["merge"]["ref"] for entry in history] == [merge["ref"]] * 2

    # Undone as a whole; rules that changed meanwhile stay.
    job = command("apply", "--json")["ref"]
    command("rules", "add", "crm", "--provider", "CRM")
    dry = command("undo", job, "--dry-run")
    assert "1 merges would be undone.\nRules: unchanged." in dry
    assert command("undo", job, "--json")["undoes"] == job
    assert [
        work_on(dsn, lambda work, ref=ref: _shown(work, ref)) for ref in (stored, deleted)
    ] == before
    assert [row["undoable"] for row in command("jobs", "--json")] == [False] * 4
    assert [rule["identityRule"] for rule in command("rules", "list", "--json")] == ["phone", "crm"]
    assert {entry["event"] for entry in history} == {"merged", "undone"}


def test_a_merge_by_hand_and_what_guards_stopped(command: Any, dsn: str) -> None:
    stored, deleted = work_on(dsn, _two_of_one_phone)
    merge = command("merge", stored, deleted, "--json")
    assert (merge["survivorRef"], merge["absorbedRef"]) == (stored, deleted)
    assert "Unknown" not in command("history", stored)
    command("guards", "--group-limit", "5", "--region", "IE")
    assert command("guards", "--json")["groupLimit"] == 5

    async def arrive(work: Work) -> None:
        order = await orders.create(work, ORDER)
        nobody = [{"provider": "email", "id": "test@test.com"}]
        await CONTACTS.create(
            work, order=order["ref"], changes={"first_name": "T", "identifiers": nobody}
        )

    work_on(dsn, arrive)
    (blocked,) = command("guarded", "--json")
    assert blocked["reason"] == "value never identifies"


def test_f7_values_that_never_identify_are_shown_and_extended(command: Any) -> None:
    """F7: by command; the list that comes with the program is the start."""
    output = command("guards", "--json")["never"]
    assert {"[object object]", "not set", "guest", "-", "{}"} <= {*output}
    words = ("--add-never", "Walk-In", "--add-never", "'kiosk'", "--remove-never", "TEST")
    changed = command("guards", *words, "--json")["never"]
    assert {*changed} ^ {*output} == {"walk-in", "kiosk", "test"}
    assert command("guards", "--never", "only", "--json")["never"] == ["only"]
    command("guards", "--add-never", "x" * 256, status=1)


def test_f5_why_of_a_guest_that_no_record_joined(command: Any, dsn: str) -> None:
    """F5: it looked for nobody, and says by what it is known."""
    ids = [{"provider": "email", "id": "ann@x.com"}]
    payload = {"guest_type": "customer", "identifiers": ids}
    guest = str(work_on(dsn, lambda work: guests.create(work, payload))["ref"])
    (joined,) = command("why", guest, "--json")["joined"]
    assert (joined["rule"], joined["source"]) == ("email", "guest")
    assert joined["evidence"] == [{"provider": "email", "value": "ann@x.com"}]
    assert "ann@x.com" in command("why", guest)
