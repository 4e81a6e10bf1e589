"""Merges and their undo on a real database, beside a model that never merged anything.

The model knows nothing of keys, journals or survivors: it compares values one by one and fills
dicts. Whatever is merged, undone and written between, each record must belong to the guest that
the model says, and once every merge is undone, each guest must be what the model has.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, ClassVar
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)
from natural_batches import force_batches
from profiles import LONG

from innkeeper import clock
from innkeeper.actions.identity import merges, resolve, rule_settings, visitors
from innkeeper.actions.paging import PageRequest
from innkeeper.actions.records import extensions, guests
from innkeeper.errors import Invalid, Unknown
from innkeeper.rules.identity_rules import Condition, IdentityRule
from innkeeper.store.database import Database
from innkeeper.store.work import Work

SEQUENCES = 10_000 if LONG else 40

RULES = (
    IdentityRule("crm", (Condition(provider="crm"),)),
    IdentityRule("email", (Condition(provider="email"),)),
    IdentityRule("phone and name", (Condition(field="phone"), Condition(field="last_name"))),
)

people = st.fixed_dictionaries(
    {},
    optional={
        "identifiers": st.lists(
            st.fixed_dictionaries(
                {
                    "provider": st.sampled_from(["crm", "email", "loyalty"]),
                    "id": st.sampled_from(["one", "Two", "two", "three"]),
                }
            ),
            max_size=2,
            unique_by=lambda one: (one["provider"], one["id"].lower()),
        ),
        "emails": st.lists(st.sampled_from(["a@x.com", "b@x.com"]), min_size=1, max_size=1),
        "phone_numbers": st.sampled_from([["+353861234567"], ["+353 86 123 4567"], ["+15"]]),
        "last_name": st.sampled_from(["Ó Néill", "O'Neill", "Byrne"]),
        "city": st.sampled_from(["Cork", "Galway"]),
    },
)
changes = st.fixed_dictionaries(
    {},
    optional={
        "city": st.sampled_from(["Sligo", None]),
        "last_name": st.sampled_from(["Walsh", "Byrne", None]),
        "identifiers": st.sampled_from([[{"provider": "crm", "id": "one"}], None]),
        "guest_type": st.sampled_from(["visitor", "customer"]),
    },
)


@dataclass
class Plain:
    """A guest of the model."""

    fields: dict[str, Any]
    seen: datetime
    written: tuple[datetime, datetime]
    """Between which instants it was last written."""
    pairs: dict[str, dict[str, Any]] = field(default_factory=dict)

    def ids(self, provider: str) -> set[str]:
        return values(self.fields, provider)

    def join(self, person: dict[str, Any], customer: bool, between: tuple[Any, Any]) -> None:
        before = dict(self.fields)
        if "emails" in person and "emails" not in self.fields:
            self.fields |= {"emails": person["emails"], "email": person["emails"][0]}
        for name in ("phone_numbers", "last_name", "city"):
            if name in person:
                self.fields.setdefault(name, person[name])
        for one in person.get("identifiers", ()):
            if not values({"identifiers": [one]}, one["provider"]) <= self.ids(one["provider"]):
                self.fields["identifiers"] = [*self.fields.get("identifiers", ()), one]
        if customer and self.fields["guest_type"] == "visitor":
            self.fields["guest_type"] = "customer"
        if self.fields != before:
            self.written = between

    def identify(self, person: dict[str, Any], met: bool, between: tuple[Any, Any]) -> None:
        before = dict(self.fields)
        if "emails" in person:
            self.fields |= {"emails": person["emails"], "email": person["emails"][0]}
        for name in ("phone_numbers", "last_name", "city"):
            if name in person:
                self.fields[name] = person[name]
        self.join({"identifiers": person.get("identifiers", ())}, met, between)
        if self.fields != before:
            self.written = between


def known(record: dict[str, Any]) -> bool:
    """Whether a rule is met by anything of a record."""
    return bool(values(record, "crm") or values(record, "email") or called(record))


def contradictory(own: dict[str, Any], sent: dict[str, Any]) -> bool:
    """Whether one rule knows both by other values."""
    both = [
        (values(own, "crm"), values(sent, "crm")),
        (values(own, "email"), values(sent, "email")),
        (called(own), called(sent)),
    ]
    return any(one and other and not one & other for one, other in both)


def values(record: dict[str, Any], provider: str) -> set[str]:
    lower = str.lower if provider == "email" else str
    return {
        lower(one["id"]) for one in record.get("identifiers") or () if one["provider"] == provider
    }


def called(record: dict[str, Any]) -> set[tuple[str, str]]:
    name = {"Ó Néill": "oneill", "O'Neill": "oneill"}.get(
        record.get("last_name") or "", (record.get("last_name") or "").lower()
    )
    numbers = {number.replace(" ", "") for number in record.get("phone_numbers") or ()}
    return {(name, number) for number in numbers if name and len(number) > 5}


def owner(model: dict[UUID, Plain], person: dict[str, Any]) -> tuple[UUID | None, bool]:
    """Who the person is by the first rule that somebody meets, and whether any rule was met."""
    tests = [
        lambda one: values(one, "crm") & values(person, "crm"),
        lambda one: values(one, "email") & values(person, "email"),
        lambda one: called(one) & called(person),
    ]
    met = known(person)
    for test in tests:
        owners = [(one.seen, ref) for ref, one in model.items() if test(one.fields)]
        if owners:
            latest = max(seen for seen, _ in owners)
            return min(ref for seen, ref in owners if seen == latest), met
    return None, met


class Site:
    """One database for every sequence."""

    runner: ClassVar[asyncio.Runner]
    database: ClassVar[Database]

    @classmethod
    def do(cls, act: Any, *args: Any, **more: Any) -> Any:
        async def run() -> Any:
            async with cls.database.work("live", "test") as work, work.transaction():
                return await act(work, *args, **more)

        return cls.runner.run(run())


class Merging(RuleBasedStateMachine):
    """Creates, contacts, merges, undos and writes, on both."""

    refs = Bundle("refs")
    merged = Bundle("merged")

    def __init__(self) -> None:
        super().__init__()
        self.model: dict[UUID, Plain] = {}
        self.above: dict[UUID, tuple[UUID, UUID]] = {}
        """Absorbed -> (survivor, merge), in force."""
        self.order_links: list[UUID] = []

    @initialize()
    def empty(self) -> None:
        async def clear(work: Work) -> None:
            await work.connection.execute("DELETE FROM ws_live.guests")

        Site.do(clear)

    def root(self, ref: UUID) -> UUID:
        while ref in self.above:
            ref = self.above[ref][0]
        return ref

    @rule(target=refs, person=people, kind=st.sampled_from(["visitor", "customer"]))
    def create(self, person: dict[str, Any], kind: str) -> UUID:
        record = Site.do(guests.create, {**person, "guest_type": kind})
        self._keep(record["ref"], record, person, kind)
        return record["ref"]

    def _keep(self, ref: UUID, record: Any, person: dict[str, Any], kind: str) -> None:
        fields = {name: value for name, value in person.items() if value != []}
        if "identifiers" in person:
            fields["identifiers"] = person["identifiers"]
        if "emails" in person:
            fields["email"] = person["emails"][0]
        at = record["created_at"]
        self.model[ref] = Plain({**fields, "guest_type": kind}, at, (at, at))

    @rule(target=refs, person=people, role=st.sampled_from(["contact", "consumer"]))
    def attach(self, person: dict[str, Any], role: Any) -> Any:
        start = clock.now()
        got = Site.do(resolve.attach, person, role=role, order=uuid4())
        between = (start, clock.now())
        expected, met = owner(self.model, person)
        self.order_links.append(got)
        if expected is not None:
            assert got == expected, "the record belongs to another guest than without merges"
            self.model[got].join(person, role == "contact" or met, between)
            return multiple()
        assert got not in self.model, "a guest was found that nobody would be without merges"
        kind = "customer" if role == "contact" or met else "visitor"
        person = {name: value for name, value in person.items() if value}
        self._keep(got, Site.do(guests.fetch, got), person, kind)
        return got

    @rule(ref=refs, person=people)
    def attach_given(self, ref: UUID, person: dict[str, Any]) -> None:
        start = clock.now()
        if ref in self.above:
            with pytest.raises(Invalid):
                Site.do(resolve.attach, person, role="contact", order=uuid4(), named_guest=ref)
            return
        got = Site.do(resolve.attach, person, role="contact", order=uuid4(), named_guest=ref)
        assert got == ref
        self.model[ref].join(person, True, (start, clock.now()))

    @rule(ref=refs, person=people)
    def identify(self, ref: UUID, person: dict[str, Any]) -> None:
        """An IDENTITY of the browser that points to `ref` (identity.md 3)."""
        self._identify(ref, person)

    @rule(target=merged, person=people)
    def identify_anonymous(self, person: dict[str, Any]) -> Any:
        """An IDENTITY of a new browser, whose guest may be absorbed by an existing one."""
        fresh = self.create({}, "visitor")
        merge = self._identify(fresh, person)
        return multiple() if merge is None else merge

    def _identify(self, ref: UUID, person: dict[str, Any]) -> UUID | None:
        start = clock.now()
        rest = {name: value for name, value in person.items() if name != "identifiers"}
        got = Site.do(visitors.identify, ref, person.get("identifiers", []), rest)
        between = (start, clock.now())
        expected, met = owner(self.model, person)
        plain = self.model[ref]
        merge = None
        if expected is not None:
            anonymous = plain.fields["guest_type"] == "visitor" and not known(plain.fields)
            if expected != ref and anonymous and self.root(ref) != self.root(expected):
                (merge,) = self._newest(self.root(ref))
                self.above[self.root(ref)] = (self.root(expected), merge)
        elif not contradictory(plain.fields, person):
            expected = ref
        if expected is None:
            assert got not in self.model
            sent = {name: value for name, value in person.items() if value}
            self._keep(got, Site.do(guests.fetch, got), sent, "customer")
            return None
        assert got == expected
        self.model[got].identify(person, met, between)
        return merge

    def _newest(self, absorbed: UUID) -> list[UUID]:
        page = Site.do(merges.list_, PageRequest(limit=1000), absorbed)
        return [
            row["ref"]
            for row in page.items
            if row["absorbed_ref"] == absorbed and row["undone_at"] is None
        ]

    @rule(target=merged, one=refs, other=refs)
    def merge(self, one: UUID, other: UUID) -> Any:
        if one == other or one in self.above or other in self.above:
            with pytest.raises(Invalid):
                Site.do(merges.create, one, other)
            return multiple()
        row = Site.do(merges.create, one, other)
        self.above[other] = (one, row["ref"])
        return row["ref"]

    @rule(merge=consumes(merged))
    def unmerge(self, merge: UUID) -> None:
        row = Site.do(merges.undo, merge)
        assert self.above.pop(row["absorbed_ref"]) == (row["survivor_ref"], merge)
        standing = {above for above, _ in self.above.values()} | self.above.keys()
        if row["survivor_ref"] not in standing:
            self.same(row["survivor_ref"])

    @rule(ref=refs, wanted=changes)
    def patch(self, ref: UUID, wanted: dict[str, Any]) -> None:
        self._write(guests.patch, ref, wanted)

    @rule(ref=refs, wanted=people)
    def replace(self, ref: UUID, wanted: dict[str, Any]) -> None:
        self._write(guests.replace, ref, wanted)

    def _write(self, act: Any, ref: UUID, wanted: dict[str, Any]) -> None:
        if ref in self.above:
            with pytest.raises(Unknown) as refused:
                Site.do(act, ref, wanted)
            assert str(self.root(ref)) in refused.value.message_for("key")
            return
        record = Site.do(act, ref, wanted)
        plain = self.model[ref]
        if act is guests.replace:
            plain.fields = {"guest_type": plain.fields["guest_type"]}
        if "emails" in wanted:
            plain.fields["email"] = wanted["emails"][0]
        plain.fields |= wanted
        plain.fields = {name: value for name, value in plain.fields.items() if value is not None}
        plain.written = (record["modified_at"], record["modified_at"])

    @rule(ref=refs, name=st.sampled_from(["ext", "ext1"]), value=st.integers(0, 3))
    def extend(self, ref: UUID, name: str, value: int) -> None:
        pairs = self.model[ref].pairs
        sent = {"name": name, "pairs": {"level": value}, "single": False}
        of_guests = extensions.OF_GUESTS
        act = of_guests.replace if name in pairs else of_guests.create
        more = {"name": name} if name in pairs else {}
        if ref in self.above:
            with pytest.raises(Unknown):
                Site.do(act, guest=ref, changes=sent, **more)
            return
        Site.do(act, guest=ref, changes=sent, **more)
        pairs[name] = {"level": value}

    @invariant()
    def survivors_stand_for_all_below(self) -> None:
        if not self.above:
            return

        async def standing(work: Work) -> dict[UUID, UUID]:
            cursor = await work.connection.execute(
                "SELECT ref, survivor_ref FROM ws_live.guests WHERE survivor_ref IS NOT NULL"
            )
            return {row["ref"]: row["survivor_ref"] for row in await cursor.fetchall()}

        assert Site.do(standing) == {ref: self.root(ref) for ref in self.above}

    def same(self, ref: UUID) -> None:
        """One guest is what the model has."""
        record = Site.do(guests.fetch, ref)
        plain = self.model[ref]
        columns = {"ref", "first_seen", "last_seen", "created_at", "modified_at", "row_version"}
        shown = {name: value for name, value in record.items() if name not in columns}
        shown.pop("own", None)
        assert shown == plain.fields
        assert record["last_seen"] == record["first_seen"] == record["created_at"] == plain.seen
        earliest, latest = plain.written
        assert earliest <= record["modified_at"] <= latest + timedelta(milliseconds=1)

    def teardown(self) -> None:
        for merge in sorted(merge for _, merge in self.above.values()):
            Site.do(merges.undo, merge)
        self.above.clear()

        async def everything(work: Work) -> dict[str, Any]:
            async def rows(sql: str) -> list[Any]:
                return [
                    tuple(r.values()) for r in await (await work.connection.execute(sql)).fetchall()
                ]

            return {
                "left": await rows("SELECT ref FROM ws_live.guests WHERE own IS NOT NULL"),
                "journal": await rows("SELECT guest_ref FROM ws_live.guest_journal"),
                "pairs": await rows("SELECT guest_ref, name, pairs FROM ws_live.guest_extensions"),
                "joined": await rows("SELECT guest_ref FROM ws_live.guest_joins"),
                "count": await rows("SELECT sum(guests) FROM ws_live.guest_counts"),
            }

        found = Site.do(everything)
        assert found["left"] == []
        assert found["journal"] == []
        assert found["count"] in ([(len(self.model),)], [(None,)])
        for ref in self.model:
            self.same(ref)
        expected = {
            (ref, name): pairs
            for ref, plain in self.model.items()
            for name, pairs in plain.pairs.items()
        }
        assert {(ref, name): pairs for ref, name, pairs in found["pairs"]} == expected


@pytest.fixture
def site(dsn: str) -> Iterator[None]:
    async def opened() -> Database:
        database = Database(dsn, pool_size=2)
        await database.open()
        return database

    with asyncio.Runner() as runner:
        Site.runner = runner
        Site.database = runner.run(opened())
        Site.do(rule_settings.replace_rules, RULES)
        yield
        runner.run(Site.database.close())


@pytest.mark.parametrize("batches", ["lone", "forced"])
def test_undoing_every_merge_leaves_what_never_merged(
    site: None, batches: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also with every batch of requests forced (P1)."""
    if batches == "forced":
        force_batches(monkeypatch)
    run_state_machine_as_test(
        Merging,
        settings=settings(
            max_examples=SEQUENCES // 2,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
