"""Keys of an installation that were derived in another way are made again (F7, F8, F9)."""

import asyncio
import json
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from innkeeper.actions.console.search import find_guests
from innkeeper.actions.identity import ledger, rekeying, rule_settings
from innkeeper.actions.records import orders
from innkeeper.actions.records.order_people import CONTACTS
from innkeeper.rules.identity_keys import digest
from innkeeper.rules.placeholders import PLACEHOLDERS
from innkeeper.store.database import Database
from innkeeper.store.work import Work

SPELT = "\u00a0ja\u200bne@x.com"
PHONE = "+353 1 234 5678 ext. 5"
RULES = {
    "email": [{"provider": "email"}],
    "phone": [{"field": "phone"}],
    "name": [{"field": "first_name"}, {"field": "last_name"}],
}


def field_key(*words: str) -> UUID:
    return digest("rule", *words)


JANE = {
    "first_name": "Ja\u200bne",
    "last_name": "D\u034foe",
    "phone_numbers": [PHONE],
    "identifiers": [{"provider": "email", "id": SPELT}],
}
OLD_KEYS = [
    digest("identifier", "email", "\u00a0ja\u200bne@x.com".strip()),
    field_key("field:phone", "+35312345678"),
    field_key("field:first_name", "jane", "field:last_name", "d\u034foe"),
]
"""Of Jane as she was written before: with every character, and the number without its extension."""
NEW_KEYS = [
    digest("identifier", "email", "jane@x.com"),
    field_key("field:phone", "+35312345678;ext=5"),
    field_key("field:first_name", "jane", "field:last_name", "doe"),
]
DAMAGED = {"phone_numbers": ["353861234567.0"], "first_name": "Ann"}


@pytest.fixture
def old(dsn: str) -> str:
    """A database whose guests have keys of the form before."""
    execute(dsn, "UPDATE ws_live.identity_settings SET key_form = 1")
    return dsn


def insert(dsn: str, body: dict[str, Any], keys: list[UUID], unmerged: Any = None) -> UUID:
    ref = uuid4()
    with psycopg.connect(dsn) as connection:
        connection.execute(
            "INSERT INTO ws_live.guests (ref, guest_type, body, first_seen, last_seen, created_at, "
            "modified_at, unmerged) VALUES (%s, 'customer', %s, now(), now(), now(), now(), %s)",
            [ref, json.dumps(body), None if unmerged is None else json.dumps(unmerged)],
        )
        for key in keys:
            connection.execute("INSERT INTO ws_live.guest_keys VALUES (%s, %s)", [key, ref])
    return ref


def execute(dsn: str, *statements: str) -> list[Any]:
    with psycopg.connect(dsn) as connection:
        cursors = [connection.execute(statement) for statement in statements]
        return cursors[-1].fetchall() if cursors[-1].description else []


def set_rules(dsn: str) -> None:
    rows = (
        f"({number}, '{name}', '{json.dumps(conditions)}')"
        for number, (name, conditions) in enumerate(RULES.items(), 1)
    )
    execute(
        dsn,
        "DELETE FROM ws_live.identity_rules",
        f"INSERT INTO ws_live.identity_rules (position, name, conditions) VALUES {','.join(rows)}",
    )


def keys_of(dsn: str, guest: UUID) -> set[UUID]:
    rows = execute(dsn, f"SELECT key FROM ws_live.guest_keys WHERE guest_ref = '{guest}'")
    return {row[0] for row in rows}


def act(dsn: str, what: Any) -> Any:
    async def run() -> Any:
        async with Database(dsn, pool_size=1) as database, database.work("live") as work:
            return await what(work)

    return asyncio.run(run())


async def contact(work: Work, **person: Any) -> UUID:
    order = {"reference_id": str(uuid4()), "ordered_at": "2025-01-01T00:00:00.000Z", "price": 1}
    created = await orders.create(work, {**order, "currency_code": "EUR"})
    return (await CONTACTS.create(work, order=created["ref"], changes=person))["guest_ref"]  # type: ignore[no-any-return]


def test_keys_are_made_again(old: str) -> None:
    """F8, F9: of a guest, of one that others are merged into, and only of those who need it."""
    set_rules(old)
    jane = insert(old, JANE, OLD_KEYS)
    at = "2025-01-01T00:00:00.000Z"
    state = {"guest_type": "customer", "body": JANE, "last_seen": at, "modified_at": at}
    merged = insert(old, {"first_name": "Other"}, OLD_KEYS, {"base": state, "now": state})
    damaged = insert(old, DAMAGED, [field_key("field:phone", "353861234567.0")])
    plain = insert(old, {"phone_numbers": ["+353 86 123 4567"]}, [UUID(int=1)])
    asyncio.run(rekeying.upgrade(old))
    assert keys_of(old, jane) == keys_of(old, merged) == set(NEW_KEYS)
    assert keys_of(old, damaged) == set()
    assert keys_of(old, plain) == {UUID(int=1)}
    assert execute(old, "SELECT key_form FROM ws_live.identity_settings") == [(2,)]
    execute(old, f"DELETE FROM ws_live.guests WHERE ref = '{merged}'")

    async def arrive(work: Work) -> list[UUID]:
        names = {"first_name": "Jane", "last_name": "Poe"}
        return [
            await contact(work, identifiers=[{"provider": "email", "id": "Jane@x.com"}]),
            await contact(work, **names, phone_numbers=["01 234 5678x5"], country="IE"),
            await contact(work, first_name="JANE", last_name="doe"),
            await contact(work, **names, phone_numbers=["+35312345678"]),
        ]

    *same, other = act(old, arrive)
    assert set(same) == {jane}
    assert other != jane


def test_it_goes_on_after_it_was_cut_off(old: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not done until all are, and doing it twice does no harm."""
    guests = [insert(old, JANE, OLD_KEYS) for _ in range(5)]
    monkeypatch.setattr(rekeying, "BATCH", 2)
    real, done = ledger.guest_keys, list[Any]()

    def dying(*arguments: Any) -> Any:
        done.append(arguments)
        if len(done) > 6:
            raise KeyboardInterrupt
        return real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(ledger, "guest_keys", dying)
        with pytest.raises(KeyboardInterrupt):
            asyncio.run(rekeying.upgrade(old))
    assert execute(old, "SELECT key_form FROM ws_live.identity_settings") == [(1,)]
    for _ in range(2):
        asyncio.run(rekeying.upgrade(old))
        assert all(keys_of(old, guest) == {NEW_KEYS[0]} for guest in guests)


def test_a_workspace_made_now_needs_nothing(dsn: str) -> None:
    rows = execute(
        dsn,
        "SELECT key_form FROM ws_live.identity_settings "
        "UNION SELECT key_form FROM ws_live_sandbox.identity_settings",
    )
    assert rows == [(2,)]


def test_search_finds_what_is_seen(old: str) -> None:
    """F9, F8: a name is found as it is seen, a phone by its number without the extension; and no
    word stays behind."""
    jane = insert(old, JANE, [])
    rows = execute(old, "SELECT word FROM ws_live.guest_words ORDER BY word")
    assert rows == [("#12345678",), ("doe",), ("jane",)]
    assert execute(old, "SELECT word FROM ws_live.name_words ORDER BY 1") == [("doe",), ("jane",)]
    for text in ("Jane", "jane d\u00adoe", "01 234 5678", PHONE):
        hits = act(old, lambda work, text=text: find_guests(work, text))
        assert [hit["ref"] for hit in hits.items] == [jane], text
    execute(old, f"DELETE FROM ws_live.guests WHERE ref = '{jane}'")
    assert execute(old, "SELECT word FROM ws_live.guest_words") == []


def test_changes_to_the_list_of_values_that_never_identify(old: str) -> None:
    """F7: the list is the built-in one with the stored additions and removals."""
    execute(
        old,
        "UPDATE ws_live.identity_settings SET placeholders_added = ARRAY['walk-in'], "
        "placeholders_removed = ARRAY['test', 'nil', 'unknown', 'test@test.com']",
    )
    never = set(act(old, rule_settings.fetch_guards)["never"])
    assert {"walk-in", "null", "none", "[object object]", "guest"} <= never
    assert never.isdisjoint({"test", "nil", "unknown", "test@test.com"})
    sandbox = (
        "SELECT placeholders_added, placeholders_removed FROM ws_live_sandbox.identity_settings"
    )
    assert execute(old, sandbox) == [([], [])]
    assert len(never) == len(PLACEHOLDERS) + 1 - 4
