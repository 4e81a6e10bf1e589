"""Rules applied to existing guests: as an oracle and the preview say; undone exactly."""

import asyncio
from collections.abc import Iterator
from itertools import combinations
from typing import Any, ClassVar
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from profiles import LONG

from innkeeper.actions.identity import merges, rule_changes, rule_settings, rule_undo
from innkeeper.actions.paging import PageRequest
from innkeeper.actions.records import guests
from innkeeper.rules.identity_rules import Condition, IdentityRule
from innkeeper.store.database import Database
from innkeeper.store.work import Work

EXAMPLES = 1000 if LONG else 10
RULES = (
    IdentityRule("crm", (Condition(provider="crm"),)),
    IdentityRule("email", (Condition(field="email"),)),
    IdentityRule("name and city", (Condition(field="last_name"), Condition(field="city"))),
)
EMAIL = (IdentityRule("email", (Condition(provider="email"),)),)

people = st.fixed_dictionaries(
    {"guest_type": st.sampled_from(["visitor", "customer", "traveller"])},
    optional={
        "identifiers": st.lists(
            st.fixed_dictionaries(
                {"provider": st.just("crm"), "id": st.sampled_from(["1", "2", "3", "unknown"])}
            ),
            max_size=2,
        ),
        "emails": st.lists(st.sampled_from(["a@x.com", "A@x.com", "b@x.com"]), max_size=2),
        "last_name": st.sampled_from(["Ó Néill", "ONeill", "Byrne"]),
        "city": st.sampled_from(["Cork", "CORK", "Galway"]),
    },
)


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two guests share a value of a rule, compared value by value."""

    def ids(guest: dict[str, Any]) -> set[str]:
        return {item["id"] for item in guest.get("identifiers", ()) if item["id"] != "unknown"}

    def emails(guest: dict[str, Any]) -> set[str]:
        return {address.lower() for address in guest.get("emails", ())}

    def place(guest: dict[str, Any]) -> set[tuple[str, str]]:
        name = {"Ó Néill": "oneill"}.get(guest.get("last_name", ""), guest.get("last_name", ""))
        both = (name.lower(), guest.get("city", "").lower())
        return {both} if all(both) else set()

    return any(each(one) & each(other) for each in (ids, emails, place))


class Site:
    runner: ClassVar[asyncio.Runner]
    database: ClassVar[Database]

    @classmethod
    def do(cls, act: Any) -> Any:
        async def run() -> Any:
            async with cls.database.work("live", "test") as work:
                return await act(work)

        return cls.runner.run(run())


@pytest.fixture
def site(dsn: str) -> Iterator[None]:
    async def opened() -> Database:
        database = Database(dsn, pool_size=3)
        await database.open()
        return database

    with asyncio.Runner() as runner:
        Site.runner = runner
        Site.database = runner.run(opened())
        yield
        runner.run(Site.database.close())


async def begin(work: Work, drawn: list[dict[str, Any]]) -> list[dict[str, Any]]:
    await work.connection.execute("DELETE FROM ws_live.guests")
    await rule_settings.replace_rules(work, EMAIL)
    await rule_changes.run_jobs(work)
    return [await guests.create(work, person) for person in drawn]


async def standing(work: Work) -> dict[UUID, UUID]:
    cursor = await work.connection.execute(
        "SELECT ref, coalesce(survivor_ref, ref) AS live FROM ws_live.guests"
    )
    return {row["ref"]: row["live"] for row in await cursor.fetchall()}


async def stored(work: Work) -> list[dict[str, Any]]:
    cursor = await work.connection.execute("SELECT * FROM ws_live.guests ORDER BY ref")
    return await cursor.fetchall()


def expected(created: list[dict[str, Any]]) -> dict[UUID, UUID]:
    """Guest -> survivor, by spreading marks until nothing changes."""
    mark = {guest["ref"]: guest["ref"] for guest in created}
    changed = True
    while changed:
        changed = False
        for one, other in combinations(created, 2):
            if same(one, other) and mark[one["ref"]] != mark[other["ref"]]:
                lowest = min(mark[one["ref"]], mark[other["ref"]])
                mark[one["ref"]] = mark[other["ref"]] = lowest
                changed = True
    survivors = {}
    for group in set(mark.values()):
        members = [guest for guest in created if mark[guest["ref"]] == group]
        customers = [guest for guest in members if guest["guest_type"] == "customer"]
        survivors[group] = min(
            customers or members, key=lambda guest: (guest["created_at"], guest["ref"])
        )["ref"]
    return {ref: survivors[group] for ref, group in mark.items()}


def test_applying_equals_an_oracle_and_the_preview_and_is_undone(site: None) -> None:
    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(people, max_size=8))
    def check(drawn: list[dict[str, Any]]) -> None:
        async def run(work: Work) -> None:
            created = await begin(work, drawn)
            before = await stored(work)
            oracle = expected(created)
            preview = await rule_changes.preview(work, RULES)
            assert await standing(work) == {guest["ref"]: guest["ref"] for guest in created}
            job = await rule_settings.apply_rules(work, RULES)
            assert await rule_changes.run_jobs(work)
            assert await standing(work) == oracle
            merged = [(ref, live) for ref, live in oracle.items() if ref != live]
            assert preview["merging"] == len(merged)
            payload = {
                (one["guest"], group["survivor"])
                for group in [*preview["largest"], *preview["samples"]]
                for one in group["absorbed"]
            }
            assert payload == set(merged)
            page = await merges.list_(work, PageRequest(limit=1000))
            assert {(row["absorbed_ref"], row["survivor_ref"]) for row in page.items} == payload
            assert all(row["rule"] and row["evidence"] for row in page.items)
            assert (await rule_changes.preview(work))["merging"] == 0
            if merged:
                await rule_undo.request(work, job["ref"])
                assert await rule_changes.run_jobs(work)
                assert await stored(work) == before
                assert await rule_settings.list_rules(work) == list(EMAIL)
                page = await merges.list_(work, PageRequest(limit=1000))
                assert all(row["undone_at"] for row in page.items)

        Site.do(run)

    check()


def test_a_job_that_was_cut_off_goes_on(site: None) -> None:
    """Stopped at any step, it ends as if it had not been."""

    class CutOff(BaseException):
        pass

    async def run(work: Work) -> None:
        drawn = [
            {"guest_type": "visitor", "last_name": name, "city": "Cork", "emails": [f"{number}@x"]}
            for number, name in enumerate(["Byrne", "BYRNE", "Walsh", "walsh", "Wâlsh", "Ray"])
        ]
        created = await begin(work, drawn)
        oracle = expected([*created[:4], {**created[4], "last_name": "walsh"}, created[5]])
        job = await rule_settings.apply_rules(work, RULES)
        for steps in (1, 2):
            left = steps

            def cut(_: Any) -> None:
                nonlocal left
                left -= 1
                if not left:
                    raise CutOff

            with pytest.raises(CutOff):
                await rule_changes.run_jobs(work, cut)
        assert await rule_changes.run_jobs(work)
        assert await standing(work) == oracle
        done = await rule_settings.fetch_job(work, job["ref"])
        assert (done["state"], done["merged"]) == ("done", 3)

    Site.do(run)


def test_a_group_over_the_limit_stays_apart_and_is_listed(site: None) -> None:
    async def run(work: Work) -> None:
        drawn = [
            {
                "guest_type": "visitor",
                "identifiers": [{"provider": "crm", "id": str(number)}],
                "emails": [f"{number // 2}@x.com", f"{(number + 1) // 2}@x.com"],
            }
            for number in range(6)
        ]
        created = await begin(work, drawn)
        await rule_settings.set_guards(work, {"group_limit": 4})
        assert (await rule_changes.preview(work, RULES))["merging"] == 0
        await rule_settings.apply_rules(work, RULES)
        await rule_changes.run_jobs(work)
        assert await standing(work) == {guest["ref"]: guest["ref"] for guest in created}
        (entry,) = (await rule_settings.list_guarded(work, PageRequest())).items
        assert entry["reason"] == "the group would be too large: 6"
        assert set(entry["guests"]) == {guest["ref"] for guest in created}

    Site.do(run)
