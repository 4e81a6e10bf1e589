"""Attach, identify, merge and undo on a database: concurrency, freshness of rules, cost."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from random import Random
from typing import Any
from uuid import UUID, uuid4

import pytest
from counting import note_statements
from natural_batches import skip_if_forced
from profiles import LONG
from psycopg.types.json import Jsonb
from waiting import wait_until

from innkeeper import clock
from innkeeper.actions.identity import (
    merges,
    resolve,
    rule_changes,
    rule_settings,
    rulebook,
    visitors,
)
from innkeeper.actions.paging import PageRequest
from innkeeper.actions.records import guests, orders
from innkeeper.actions.records.order_people import CONSUMERS, CONTACTS
from innkeeper.errors import Invalid, Unknown
from innkeeper.rules.identity_rules import Condition, IdentityRule
from innkeeper.settings import Settings
from innkeeper.store.configuration_cache import IDENTITY_RULES
from innkeeper.store.database import Database, retrying
from innkeeper.store.work import Work

EMAIL = {"provider": "email", "id": "ann@x.com"}
ANN: dict[str, Any] = {"first_name": "Ann", "last_name": "Lee", "identifiers": [EMAIL]}


@pytest.fixture
async def population(dsn: str) -> AsyncIterator[Database]:
    """A pool for many at once."""
    async with Database(dsn, pool_size=16) as opened:
        yield opened


async def attach(work: Work, person: dict[str, Any], **more: Any) -> UUID:
    async with work.transaction():
        return await resolve.attach(work, person, **{"role": "contact", "order": uuid4(), **more})


async def identify(work: Work, guest: UUID, *ids: dict[str, str], **person: Any) -> UUID:
    async with work.transaction():
        return (await visitors.identify(work, guest, ids, person)).guest


async def visitor(work: Work, **fields: Any) -> UUID:
    ref: UUID = (await guests.create(work, {"guest_type": "visitor", **fields}))["ref"]
    return ref


async def test_64_arrivals_of_one_person_at_once_make_one_guest(population: Database) -> None:
    """Half know the person by a second identifier as well, under the other rule."""
    async with population.work("live") as work:
        rules = [IdentityRule(name, (Condition(provider=name),)) for name in ("crm", "email")]
        await rule_settings.replace_rules(work, rules)

    async def arrive(number: int) -> UUID:
        crm = [{"provider": "crm", "id": "7"}] if number % 2 else []
        person = {"last_name": f"Lee {number}", "identifiers": [*crm, EMAIL]}

        async def once() -> UUID:
            async with population.work("live") as work:
                return await attach(work, person)

        return await retrying(once)

    task = await asyncio.gather(*(arrive(number) for number in range(64)))
    assert len(set(task)) == 1
    async with population.work("live") as work:
        guest = await guests.fetch(work, task[0])
        assert sorted(one["provider"] for one in guest["identifiers"]) == ["crm", "email"]


async def new_order(work: Work, number: int = 1) -> UUID:
    payload = {"reference_id": f"R-{number}", "ordered_at": "2026-03-01T12:00:00.000Z"}
    ref: UUID = (await orders.create(work, payload))["ref"]
    return ref


async def written_of(work: Work, guest: UUID) -> list[Any]:
    """What is stored of a guest, but for refs and times."""
    results = []
    for sql in (
        "SELECT guest_type, body, survivor_ref, unmerged FROM ws_live.guests WHERE ref = %s",
        "SELECT key FROM ws_live.guest_keys WHERE guest_ref = %s ORDER BY key",
        "SELECT rule, evidence, source, actor FROM ws_live.guest_joins WHERE guest_ref = %s",
    ):
        rows = await (await work.connection.execute(sql, [guest])).fetchall()
        results.append([tuple(row.values()) for row in rows])
    return results


@pytest.mark.parametrize("role", ["contact", "consumer"])
async def test_a_stranger_is_written_alike_in_one_statement_and_in_several(
    work: Work, role: str
) -> None:
    """People on orders take the short way where it will do; `attach` is the long one."""
    slowly = await attach(work, ANN, role=role)
    expected = await written_of(work, slowly)
    await work.connection.execute("DELETE FROM ws_live.guests")
    people = CONTACTS if role == "contact" else CONSUMERS
    order = await new_order(work)
    person = await people.create(work, order=order, changes=ANN)
    assert await written_of(work, person["guest_ref"]) == expected
    again = await people.create(work, order=order, changes=ANN)
    assert again["guest_ref"] == person["guest_ref"]
    existing = await written_of(work, person["guest_ref"])
    assert existing[:2] == expected[:2]
    assert existing[2] == expected[2] * 2
    stranger = {**ANN, "identifiers": [{"provider": "x", "id": "1"}]}
    with pytest.raises(Unknown):
        await people.create(work, stranger, order=uuid4())
    assert (await guests.list_(work, PageRequest())).total == 1


PROVIDERS = ["crm", "email", "loyalty"]
EXPIRIES = [
    {},
    {},
    {},
    {"expiryDate": "2020-01-01T00:00:00.000Z"},
    {"expiryDate": "2040-01-01T00:00:00.000Z"},
]
DRAWN: dict[str, Any] = {
    "first_name": lambda chance: chance.choice(["Ann", "Bob"]),
    "last_name": lambda chance: chance.choice(["Lee", "LEE", "Poe"]),
    "emails": lambda chance: [chance.choice(["ann@x.com", "Ann@X.com", "bob@x.com"])],
    "phone_numbers": lambda chance: [chance.choice(["+353861234567", "+353 86 123 4567", "+15"])],
    "city": lambda chance: "Cork",
    "identifiers": lambda chance: [
        {"provider": one, "id": chance.choice(["1", "2"]), **chance.choice(EXPIRIES)}
        for one in chance.sample(PROVIDERS, chance.randint(1, 2))
    ],
}


def drawn(chance: Random) -> dict[str, Any]:
    """A person of whom something is told."""
    report = chance.sample(list(DRAWN), chance.randint(1, len(DRAWN)))
    return {name: DRAWN[name](chance) for name in report} or {"first_name": "Ann"}


async def everybody(work: Work, existing: list[UUID]) -> dict[UUID | None, Any]:
    """What is stored of guests; of one that is not `known`, under None."""
    refs = await (await work.connection.execute("SELECT ref FROM ws_live.guests")).fetchall()
    return {
        row["ref"] if row["ref"] in existing else None: await written_of(work, row["ref"])
        for row in refs
    }


async def test_the_short_way_equals_the_long_one(work: Work) -> None:
    """Drawn guests, some of them merged, and a drawn contact: the same guest, by the same rule,
    is written alike by `attach` and by the statement that does most of it at once."""
    rules = [
        IdentityRule("phone and name", (Condition(field="phone"), Condition(field="last_name"))),
        IdentityRule("crm", (Condition(provider="crm"),)),
        IdentityRule("e-mail", (Condition(field="email"),)),
        IdentityRule("email", (Condition(provider="email"),)),
    ]
    await rule_settings.replace_rules(work, rules)
    order = await new_order(work)
    for seed in range(2000 if LONG else 15):
        with clock.simulated(datetime(2026, 11, 21, tzinfo=UTC)):
            await compare(work, order, Random(seed))


async def compare(work: Work, order: UUID, chance: Random) -> None:
    await work.connection.execute("DELETE FROM ws_live.guests")
    kinds = chance.choices(["visitor", "customer", "traveller"], [1, 3, 1], k=2)
    values = [
        (await guests.create(work, {"guest_type": kind, **drawn(chance)}))["ref"] for kind in kinds
    ]
    if chance.random() < 0.3:
        await merges.create(work, *values)
    person = {"first_name": "Ann", "last_name": "Lee", **drawn(chance)}
    with pytest.raises(LookupError):
        async with work.transaction():
            guest = await resolve.attach(work, person, role="contact", order=order)
            expected = await everybody(work, values)
            raise LookupError
    await CONTACTS.create(work, order=order, changes=person)
    assert await everybody(work, values) == expected
    rows = await work.all("order_contacts.contacts_of", order=order)
    if guest in values:
        assert rows[0]["guest_ref"] == guest


async def test_64_contacts_of_one_stranger_at_once_are_one_guest(population: Database) -> None:
    """Each on an order of its own, by the short way."""

    async def arrive(number: int) -> UUID:
        async def once() -> UUID:
            async with population.work("live") as work:
                order = await new_order(work, number)
                person = await CONTACTS.create(work, order=order, changes=ANN)
                ref: UUID = person["guest_ref"]
                return ref

        return await retrying(once)

    assert len({*await asyncio.gather(*(arrive(number) for number in range(64)))}) == 1


async def test_crossing_merges_and_arrivals_leave_sound_groups(population: Database) -> None:
    """Merges of the same guests in both directions, attachments and undos, all at once."""
    async with population.work("live") as work:
        ids = [{"provider": "email", "id": f"{number}@x.com"} for number in range(6)]
        refs = [await visitor(work, identifiers=[one]) for one in ids]

    async def act(number: int) -> None:
        one, other = refs[number % 6], refs[(number * 5 + 1) % 6]

        async def once() -> None:
            async with population.work("live") as work:
                if number % 3 == 0:
                    person = {"identifiers": [ids[number % 6]], "city": "Cork"}
                    assert await attach(work, person) == refs[number % 6]
                elif one != other:
                    row = await merges.absorb(work, one, other, rule=None, evidence=(), source="t")
                    if row is not None and number % 2:
                        await merges.undo(work, row["ref"])

        await retrying(once)

    await asyncio.gather(*(act(number) for number in range(60)))
    async with population.work("live") as work:
        for row in await work.all("merges.list", guest=None, limit=1000, offset=0):
            if row["undone_at"] is None:
                await merges.undo(work, row["ref"])
        for ref in refs:
            guest = await guests.fetch(work, ref)
            assert len(guest["identifiers"]) == 1


async def test_people_on_orders_take_one_statement_in_the_frequent_cases(work: Work) -> None:
    """A new person, and a known one without new data; see `attach_person` in identity.sql."""
    skip_if_forced()
    order = await new_order(work)
    await CONTACTS.create(
        work, {**ANN, "identifiers": [{"provider": "email", "id": "b@x"}]}, order=order
    )
    counted = note_statements(work)

    async def statements(people: Any, person: dict[str, Any]) -> int:
        before = len(counted)
        await people.create(work, person, order=order)
        return len(counted) - before

    assert await statements(CONTACTS, ANN) == 1
    assert await statements(CONTACTS, ANN) == 1
    assert await statements(CONSUMERS, ANN) == 1
    # With new data, after the first: BEGIN, look up, lock, write, reason, contact, COMMIT.
    assert await statements(CONTACTS, {**ANN, "city": "Cork"}) == 8
    assert await statements(CONTACTS, {**ANN, "city": "Galway"}) == 1
    browser = await visitor(work)
    before = len(counted)
    # BEGIN, look up with the current guest, lock and write, reason, COMMIT.
    await identify(work, browser, {"provider": "email", "id": "c@x"})
    assert len(counted) - before == 6
    browser = await visitor(work)
    before = len(counted)
    # And four that merge the anonymous visitor, less the write of nothing new.
    await identify(work, browser, {"provider": "email", "id": "c@x"})
    assert len(counted) - before == 9


async def test_undoing_a_merge_takes_as_many_statements_whatever_the_orders(work: Work) -> None:
    """How fast it is, is measured by bench/resolution.py."""
    counts = []
    for many in (10, 300):
        survivor, absorbed, merge = await merged_with_orders(work, many)
        counted = note_statements(work)
        await merges.undo(work, merge)
        counts.append(len(counted))
        assert "identifiers" not in await guests.fetch(work, survivor)
        assert len((await guests.fetch(work, absorbed))["identifiers"]) == 1 + many // 10
        await guests.delete(work, absorbed)
    assert counts[0] == counts[1] > 0


async def merged_with_orders(work: Work, many: int) -> tuple[UUID, UUID, UUID]:
    """A merge (survivor, absorbed, merge) after which orders came for the absorbed guest."""
    survivor, absorbed = await visitor(work), await visitor(work, identifiers=[EMAIL])
    row = await merges.create(work, survivor, absorbed)
    orders = [uuid4() for _ in range(many)]
    await work.connection.execute(
        "INSERT INTO ws_live.orders SELECT ref, 'r', ref, now(), '{}', now(), now() "
        "FROM unnest(%s::uuid[]) AS ref",
        [orders],
    )
    for number, order in enumerate(orders):
        # Some of them write something to the survivor, so that the journal is long as well.
        more = {"provider": "crm", "id": str(number)}
        person = {**ANN, "identifiers": [EMAIL, *([more] if number % 10 == 0 else [])]}
        async with work.transaction():
            guest = await resolve.attach(work, person, role="contact", order=order)
            await work.connection.execute(
                "INSERT INTO ws_live.order_contacts VALUES (%s, %s, %s, %s, now(), now())",
                [uuid4(), order, guest, Jsonb({})],
            )
    assert len((await guests.fetch(work, survivor))["identifiers"]) == 1 + many // 10
    return survivor, absorbed, row["ref"]


async def test_an_arrival_with_nothing_new_writes_nothing_to_the_guest(work: Work) -> None:
    ref = await attach(work, ANN)
    before = await guests.fetch(work, ref)
    assert await attach(work, ANN) == ref
    assert await guests.fetch(work, ref) == before


async def test_guest_types_follow_the_role_and_the_settings(database: Database) -> None:
    """rest-v2.1.md 8, step 5."""

    async def kind(person: dict[str, Any], role: str, **settings: bool) -> str:
        async with database.work("live") as work:
            work.settings = Settings.load(config="", environment={}, **settings)
            return (await guests.fetch(work, await attach(work, person, role=role)))["guest_type"]

    nobody = {"first_name": "A", "last_name": "B"}
    assert await kind(nobody, "contact") == "customer"
    assert await kind(nobody, "contact", contact_is_customer=False) == "visitor"
    assert await kind(nobody, "consumer") == "visitor"
    assert await kind(nobody, "consumer", travel_tenant=True) == "traveller"
    assert await kind(ANN, "consumer", travel_tenant=True) == "customer"


async def test_a_consumer_named_like_a_contact_is_that_guest(work: Work) -> None:
    """rest-v2.1.md 8, step 4: only when nothing else identifies the consumer."""
    contact = await attach(work, ANN)
    contacts = [{"first_name": "ANN", "last_name": "Lee", "guest_ref": contact}]
    named = {"first_name": "Ann", "last_name": "Lee"}
    more: dict[str, Any] = {"role": "consumer", "order_contacts": contacts}
    assert await attach(work, named, **more) == contact
    other = {**named, "identifiers": [{"provider": "crm", "id": "9"}]}
    assert await attach(work, other, **more) != contact
    assert await attach(work, {**named, "last_name": "Ley"}, **more) != contact


async def test_a_retired_or_unknown_guest_cannot_be_given(work: Work) -> None:
    one, other = await visitor(work), await visitor(work)
    await merges.create(work, one, other)
    for options in (other, uuid4()):
        with pytest.raises(Invalid, match=r"guest\.href"):
            await attach(work, ANN, named_guest=options)


async def test_without_rules_a_guest_holds_every_identifier_or_is_made(work: Work) -> None:
    """rest-v2.1.md 8, step 3; identity.md 9: every guest stays a visitor."""
    await rule_settings.replace_rules(work, [])
    crm = {"provider": "crm", "id": "1"}
    both = await attach(work, {"identifiers": [EMAIL, crm]}, role="consumer")
    assert await attach(work, {"identifiers": [crm]}, role="consumer") == both
    assert (await guests.fetch(work, both))["guest_type"] == "visitor"
    third = {"identifiers": [EMAIL, {"provider": "crm", "id": "2"}]}
    assert await attach(work, third, role="consumer") != both


async def test_another_process_writes_by_the_new_rules_at_once(dsn: str, work: Work) -> None:
    """A guest written by a process that remembers older rules has the keys of the new ones."""
    await visitor(work, last_name="Lee", city="Cork")
    rules = [IdentityRule("name", (Condition(field="last_name"), Condition(field="city")))]
    stale = await rulebook.current(work)
    await rule_settings.apply_rules(work, rules)
    work.cache.put(IDENTITY_RULES, "live", stale)
    person = {"last_name": "LEE", "city": "cork"}
    created = await visitor(work, last_name="Byrne", city="Cork")
    work.cache.put(IDENTITY_RULES, "live", stale)
    assert await attach(work, {"last_name": "BYRNE", "city": "CORK"}) == created
    work.cache.put(IDENTITY_RULES, "live", stale)
    patched = await visitor(work)
    work.cache.put(IDENTITY_RULES, "live", stale)
    await guests.patch(work, patched, {"last_name": "Walsh", "city": "Cork"})
    assert await attach(work, {"last_name": "walsh", "city": "cork"}) == patched
    await rule_changes.run_jobs(work)
    assert (await guests.fetch(work, await attach(work, person)))["last_name"] == "Lee"


async def test_a_job_waits_for_writers_that_began_before_the_change(population: Database) -> None:
    rules = [IdentityRule("name", (Condition(field="last_name"), Condition(field="city")))]
    async with population.work("live") as slow, population.work("live") as work:
        await rulebook.current(slow)
        async with slow.transaction():
            late = await visitor(slow, last_name="Lee", city="Cork")
            await rule_settings.replace_rules(work, rules)
            counted = note_statements(work)
            job = asyncio.create_task(rule_changes.run_jobs(work))
            # Often enough for whatever it waits for: claim, look, settle, and look again.
            await wait_until("the job to look several times", lambda: len(counted) >= 8)
            assert not job.done()
        assert await job
        assert await attach(work, {"last_name": "lee", "city": "CORK"}) == late


async def test_an_identity_without_a_met_rule_leaves_a_visitor(work: Work) -> None:
    """identity.md 3, first row."""
    guest = await visitor(work)
    assert await identify(work, guest, {"provider": "crm", "id": "1"}, city="Cork") == guest
    record = await guests.fetch(work, guest)
    assert (record["guest_type"], record["city"]) == ("visitor", "Cork")
    assert record["identifiers"] == [{"provider": "crm", "id": "1"}]


async def test_an_identity_nobody_has_makes_the_guest_a_customer(work: Work) -> None:
    """identity.md 3, third row; 9: the last write wins, absent and empty never clear."""
    guest = await visitor(work, city="Cork", first_name="A")
    assert await identify(work, guest, EMAIL, city="Sligo", first_name="") == guest
    record = await guests.fetch(work, guest)
    assert (record["guest_type"], record["city"]) == ("customer", "Sligo")
    assert record["first_name"] == "A"


async def test_an_identity_somebody_has_absorbs_the_anonymous_guest(work: Work) -> None:
    """identity.md 3, second row: the existing guest survives, and undo takes it back."""
    existing, anonymous = await attach(work, ANN), await visitor(work, city="Cork")
    assert await identify(work, anonymous, EMAIL, state="Munster") == existing
    with pytest.raises(Unknown) as retired:
        await guests.fetch(work, anonymous)
    assert retired.value.survivor == existing
    record = await guests.fetch(work, existing)
    assert (record["state"], record.get("city")) == ("Munster", None)
    report = await merges.explain(work, existing)
    (merge,) = report["merges"]
    assert (merge["rule"], merge["source"]) == ("email", "IDENTITY event")
    await merges.undo(work, merge["ref"])
    assert (await guests.fetch(work, anonymous))["city"] == "Cork"
    assert (await guests.fetch(work, existing))["state"] == "Munster"


async def test_a_second_person_on_a_browser_is_another_guest(work: Work) -> None:
    """identity.md 3, fourth row: the browser is linked anew, the earlier customer is kept."""
    first = await identify(work, await visitor(work), EMAIL)
    bob = {"provider": "email", "id": "bob@x.com"}
    second = await identify(work, first, bob)
    assert second != first
    assert await identify(work, second, EMAIL) == first
    assert (await merges.list_(work, PageRequest())).total == 0


async def test_more_identifiers_of_the_same_person_stay_with_the_guest(work: Work) -> None:
    first = await identify(work, await visitor(work), EMAIL)
    assert await identify(work, first, EMAIL, {"provider": "crm", "id": "1"}) == first


async def test_without_rules_only_a_guest_without_identifiers_is_absorbed(work: Work) -> None:
    """identity.md 9, identity with zero rules: a full set of identifiers, else the guest stays."""
    await rule_settings.replace_rules(work, [])
    crm = {"provider": "crm", "id": "1"}
    first = await identify(work, await visitor(work), EMAIL)
    other = await identify(work, await visitor(work), crm)
    assert await identify(work, other, EMAIL) == first
    assert (await guests.fetch(work, other))["identifiers"] == [crm]
    assert await identify(work, await visitor(work), EMAIL) == first
    page = await merges.list_(work, PageRequest())
    assert [row["survivor_ref"] for row in page.items] == [first]
    assert (await guests.fetch(work, first))["guest_type"] == "visitor"


async def test_who_has_a_key_is_found_without_going_through_the_keys_of_others(work: Work) -> None:
    """Whatever is known of the tables: these had one row when the server planned its questions."""
    order = await orders.create(
        work, changes={"reference_id": "K-1", "ordered_at": "2026-03-01T12:00:00.000Z"}
    )
    for number in range(80):
        email = {"provider": "email", "id": f"nobody-{number}@x.com"}
        await CONTACTS.create(work, order=order["ref"], changes={**ANN, "identifiers": [email]})
    await work.connection.execute("SELECT pg_stat_force_next_flush()")
    cursor = await work.connection.execute(
        "SELECT coalesce(sum(idx_tup_read), 0) AS read FROM pg_stat_user_indexes "
        "WHERE schemaname = 'ws_live' AND relname = 'guest_keys'"
    )
    row = await cursor.fetchone()
    assert row is not None
    assert row["read"] <= 80
