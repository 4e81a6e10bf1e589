"""What rules would make of the existing guests, and making it so (identity.md 9).

`plan` looks at every guest, as it would be without merges, and says who becomes one; preview
shows the plan, a job carries it out, and both are the same function of the same guests. A job
may stop anywhere: run again it goes on, and what it did is not done twice.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final
from uuid import UUID

from innkeeper import clock
from innkeeper.actions.admin import background
from innkeeper.actions.identity import ledger, merges, rulebook
from innkeeper.errors import Unavailable
from innkeeper.resources.base import Record
from innkeeper.rules.identity import TOO_MANY, countable_keys
from innkeeper.rules.identity_keys import digest, lock_of
from innkeeper.rules.identity_rules import Evidence1, IdentityRule, IdentityRules, rule_keys
from innkeeper.rules.merging import groups_of, survivor_first
from innkeeper.store.database import retrying
from innkeeper.store.work import Json, Row, Work

log = logging.getLogger(__name__)

BATCH: Final = 2000
PAUSE_SECONDS: Final = 0.05
SAMPLES: Final = 10
"""Groups that a preview shows: the largest, and as many others."""
PREVIEW_SIZE: Final = 20
"""Guests that are named of a group that a guard stopped."""
TOO_LARGE: Final = "the group would be too large"
SOURCE: Final = "rule change"

Progress = Callable[[Record], None]


@dataclass(frozen=True, slots=True)
class GroupMember:
    """A live guest that becomes part of a group, and the shared key that says so."""

    guest: UUID
    rule: IdentityRule
    key: UUID
    holder: UUID
    """Who has the key: the guest itself, or one that it stands for."""


@dataclass(frozen=True, slots=True)
class MergedGroup:
    """Live guests that become one."""

    survivor: UUID
    absorbed: list[GroupMember]


@dataclass(frozen=True, slots=True)
class GuardedGroup:
    """Guests that stay apart, and why."""

    reason: str
    rule: IdentityRule | None
    guests: list[UUID]
    size: int
    evidence: list[Evidence1] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that rules would make of the existing guests."""

    guests: int
    groups: list[MergedGroup]
    guarded: list[GuardedGroup]

    @property
    def merging(self) -> int:
        """Guests that would no longer be live."""
        return sum(len(group.absorbed) for group in self.groups)


async def preview(work: Work, rules: Sequence[IdentityRule] | None = None) -> Record:
    """What applying rules, or those in force, would merge: counts, largest groups, samples."""
    book = await rulebook.read(work)
    if rules is not None:
        book = replace(book, rules=tuple(rules))
    async with work.transaction():
        planned = await plan(work, book)
        by_size = sorted(planned.groups, key=lambda group: (-len(group.absorbed), group.survivor))
        others = by_size[SAMPLES:]
        step = max(1, len(others) // SAMPLES)
        return {
            "guests": planned.guests,
            "merging": planned.merging,
            "groups": len(planned.groups),
            "largest": [await _preview_of(work, book, group) for group in by_size[:SAMPLES]],
            "samples": [await _preview_of(work, book, each) for each in others[::step][:SAMPLES]],
            "guarded": [
                {
                    "reason": guarded.reason,
                    "rule": guarded.rule.name if guarded.rule else None,
                    "evidence": guarded.evidence,
                    "size": guarded.size,
                    "guests": guarded.guests,
                }
                for guarded in planned.guarded
            ],
        }


async def plan(work: Work, book: IdentityRules) -> Plan:
    """Which live guests become one under a rulebook. Call it in a transaction.

    A key that more guests share than the limit allows joins nobody, and neither does a group
    that would be larger: both are reported.
    """
    now = clock.now()
    seen = 0
    await work.run("identity.patient")
    await work.run("identity.begin_plan")
    async for rows in _batches(work, None):
        seen += len(rows)
        await work.copy_in(
            "identity.copy_plan",
            (
                (position, key, row["ref"])
                for row in rows
                for position, key in countable_keys(ledger.own_record(row), book, now)
            ),
        )
    shared = await work.all("identity.shared", most=book.group_limit)
    standing = await _standing(work, {owner for row in shared for owner in row["owners"]})
    over = [row for row in shared if row["guests"] > book.group_limit]
    groups, too_large = _grouped(
        [row for row in shared if row["guests"] <= book.group_limit], standing, book
    )
    return Plan(seen, groups, [*[await _too_many(work, book, row) for row in over], *too_large])


def _grouped(
    shared: list[Row], standing: dict[UUID, Row], book: IdentityRules
) -> tuple[list[MergedGroup], list[GuardedGroup]]:
    """Groups of live guests that share keys, and those too large to be one."""
    first: dict[UUID, GroupMember] = {}
    holders: dict[UUID, set[UUID]] = defaultdict(set)
    sharing: list[list[UUID]] = []
    for row in shared:
        # A guest deleted meanwhile stands for nobody.
        live = {standing[owner]["live"]: owner for owner in row["owners"] if owner in standing}
        for owner in row["owners"]:
            if owner in standing:
                holders[standing[owner]["live"]].add(owner)
        if len(live) > 1:
            sharing.append(list(live))
            for one, owner in live.items():
                first.setdefault(one, GroupMember(one, book.rules[row["rule"]], row["key"], owner))
    about = {row["live"]: row for row in standing.values()}
    groups: list[MergedGroup] = []
    too_large: list[GuardedGroup] = []
    for members in groups_of(sharing):
        size = sum(len(holders[member]) for member in members)
        survivor, *others = (
            row["live"] for row in survivor_first(about[member] for member in members)
        )
        if size > book.group_limit:
            too_large.append(
                GuardedGroup(TOO_LARGE, None, [survivor, *others][:PREVIEW_SIZE], size)
            )
        else:
            groups.append(MergedGroup(survivor, [first[other] for other in others]))
    return sorted(groups, key=lambda group: group.survivor), too_large


async def run_jobs(work: Work, progress: Progress | None = None) -> bool:
    """Carry out what is waiting, oldest first; False when another process is at it.

    A job that fails is finished as `failed`, with its error; one that is cut off goes on when
    this is called again. Call it outside a transaction.
    """
    lock = lock_of(digest("jobs", work.workspace))
    claimed = await work.one("identity.claim", lock=lock)
    if not claimed or not claimed["mine"]:
        return False
    work.session_held += 1
    try:
        while (job := await work.one("identity.next_job")) is not None:
            await _run(work, job, progress)
    finally:
        work.session_held -= 1
        if not work.connection.closed:
            await work.all("identity.let_go", lock=lock)
    return True


async def _run(work: Work, job: Row, progress: Progress | None) -> None:
    asked_by, work.actor = work.actor, job["actor"]
    try:
        await _settle(work, job)
        await _index(work, job, progress)
        if job["merging"]:
            await _merge(work, job, progress)
        await work.run("identity.finish", ref=job["ref"], state="done", error=None, now=clock.now())
    except Unavailable:
        # The database went away: the job goes on when it is back.
        raise
    except Exception as fault:
        log.exception("identity job %s failed", job["ref"])
        await work.run(
            "identity.finish", ref=job["ref"], state="failed", error=str(fault), now=clock.now()
        )
    finally:
        work.actor = asked_by


async def _settle(work: Work, job: Row) -> None:
    """Wait until nobody writes by older rules: such a guest would lack keys for good.

    Whoever reads the rules in a statement that began before the change was committed does not
    see it, and may write in the same transaction. So first such statements must end, and then
    the transactions that were under way.
    """
    while job["state"] == "waiting" and job["stale"]:
        await asyncio.sleep(PAUSE_SECONDS)
        job = await work.one("identity.next_job") or job
    if job["state"] == "waiting":
        await work.run("identity.settle", ref=job["ref"])
        job = await work.one("identity.next_job") or job
    while job["state"] == "settling" and not job["clear"]:
        await asyncio.sleep(PAUSE_SECONDS)
        job = await work.one("identity.next_job") or job


async def _index(work: Work, job: Row, progress: Progress | None) -> None:
    """Give every guest the keys that the rules in force look it up by."""
    book = await rulebook.read(work)
    counted = await work.one("identity.count_guests")
    total = counted["guests"] if counted else 0
    if all(rule.always_indexed for rule in book.rules):
        await _tell(work, job, progress, state="indexing", done=total, total=total)
        return
    done = job["done"] if job["state"] == "indexing" else 0
    if job["state"] == "merging":
        return
    async for rows in _batches(work, job["reached"]):
        pairs = [
            (key, row["ref"])
            for row in rows
            for key in book.keys(ledger.own_record(row)) | book.keys(ledger.visible_record(row))
        ]
        done += len(rows)
        async with work.transaction():
            if pairs:
                await work.run(
                    "identity.add_keys",
                    keys=[key for key, _ in pairs],
                    guests=[ref for _, ref in pairs],
                )
            counts = {"state": "indexing", "done": done, "total": max(done, total)}
            await _tell(work, job, progress, **counts, reached=rows[-1]["ref"])


async def _merge(work: Work, job: Row, progress: Progress | None) -> None:
    """Merge the groups that the rules in force make of the existing guests."""
    book = await rulebook.read(work)
    async with work.transaction():
        planned = await plan(work, book)
    for guarded in planned.guarded:
        await work.run(
            "identity.note_guarded",
            rule=guarded.rule.name if guarded.rule else None,
            reason=f"{guarded.reason}: {guarded.size}",
            evidence=Json(guarded.evidence),
            guests=guarded.guests,
            source=SOURCE,
            source_ref=job["ref"],
            actor=work.actor,
            now=clock.now(),
        )
    done, merged = 0, job["merged"]

    async def absorb(pair: tuple[UUID, GroupMember]) -> None:
        nonlocal done, merged
        survivor, joined = pair
        done += 1
        merge = partial(
            merges.absorb,
            work,
            survivor,
            joined.guest,
            rule=joined.rule.name,
            evidence=await _evidence(work, book, joined),
            source=SOURCE,
        )
        merged += await retrying(merge) is not None
        if done % 100 == 0 or done == planned.merging:
            counts = {"state": "merging", "done": done, "total": planned.merging}
            await _tell(work, job, progress, **counts, merged=merged)

    # One that fails ends the job as failed, once all others are done.
    pairs = [(group.survivor, joined) for group in planned.groups for joined in group.absorbed]
    await background.try_each(pairs, absorb, "merging a guest", ends=(Unavailable,))


async def _tell(work: Work, job: Row, progress: Progress | None, **more: Any) -> None:
    counts = {"state": job["state"], "done": 0, "total": 0, "merged": job["merged"]} | more
    await work.run("identity.progress", ref=job["ref"], **{"reached": None} | counts)
    if progress is not None:
        progress({**job, **counts})


async def _batches(work: Work, after: UUID | None) -> AsyncIterator[list[Row]]:
    while rows := await work.all("identity.batch", after=after, limit=BATCH):
        yield rows
        after = rows[-1]["ref"]


async def _standing(work: Work, guests: set[UUID]) -> dict[UUID, Row]:
    rows = await work.all("identity.standing", guests=list(guests))
    return {row["ref"]: row for row in rows}


async def _too_many(work: Work, book: IdentityRules, row: Row) -> GuardedGroup:
    rule, owners = book.rules[row["rule"]], row["owners"]
    parts = await _evidence(work, book, GroupMember(owners[0], rule, row["key"], owners[0]))
    return GuardedGroup(TOO_MANY, rule, owners, row["guests"], parts)


async def _evidence(work: Work, book: IdentityRules, joined: GroupMember) -> list[Evidence1]:
    """The values behind the key by which a guest joins its group."""
    row = await work.one("merges.guest", ref=joined.holder)
    if row is None:
        return []
    keys = rule_keys(ledger.own_record(row), joined.rule, book.region, None)
    return next((parts for key, parts in keys if key == joined.key), [])


async def _preview_of(work: Work, book: IdentityRules, group: MergedGroup) -> Record:
    return {
        "survivor": group.survivor,
        "size": len(group.absorbed) + 1,
        "absorbed": [
            {
                "guest": joined.guest,
                "rule": joined.rule.name,
                "evidence": await _evidence(work, book, joined),
            }
            for joined in group.absorbed[:SAMPLES]
        ],
    }
