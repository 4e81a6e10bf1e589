"""Preview and apply identity rules to the existing guests (identity.md 9).

`plan` reads every guest without merges and returns the groups to merge. The preview shows the plan
and a job carries it out, so both agree. A job can be interrupted anywhere: the next run continues
it, and no step is done twice.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final
from uuid import UUID

from innkeeper import clock
from innkeeper.actions.admin import background
from innkeeper.actions.identity import ledger, merges, rulebook
from innkeeper.errors import Conflict, Unavailable, Unknown
from innkeeper.resources.base import Record
from innkeeper.rules.attachment import (
    GroupMember,
    GuardedGroup,
    MergedGroup,
    SupportedMerges,
    decide_groups,
)
from innkeeper.rules.identity import countable_keys
from innkeeper.rules.identity_keys import digest, lock_of
from innkeeper.rules.identity_rules import IdentityRule, IdentityRules, MatchedValue, rule_keys
from innkeeper.store.database import retrying
from innkeeper.store.work import Json, Row, Work

log = logging.getLogger(__name__)

BATCH: Final = 500
"""Guests whose keys are derived at a time, which delays other requests of the process."""
PAGE: Final = 2000
"""Shared keys, survivors or merges that a plan reads at a time."""
PAUSE_SECONDS: Final = 0.05
SAMPLES: Final = 10
"""Number of largest groups in a preview, and of sample groups beside them."""
PREVIEW_SIZE: Final = 20
"""Most guests listed for a group that a guard blocked."""
SOURCE: Final = "rule change"

Progress = Callable[[Record], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """The result of applying rules to the existing guests."""

    guests: int
    groups: list[MergedGroup]
    guarded: list[tuple[GuardedGroup, list[MatchedValue]]]
    """Groups that are not merged, each with the values that its guests share."""
    unsupported: int
    """Number of merges in force by other rules, which these rules would not make."""
    unsupported_samples: list[UUID]

    @property
    def merging(self) -> int:
        """Number of guests to be absorbed."""
        return sum(len(group.absorbed) for group in self.groups)


async def preview(work: Work, rules: Sequence[IdentityRule] | None = None) -> Record:
    """Return what applying `rules` (None: those in force) would merge.

    The preview has counts, the largest groups, sample groups and the groups that guards block.
    `unsupported` merges are in force by earlier rules, and would not be made by these.
    """
    book = await rulebook.read(work)
    if rules is not None:
        book = replace(book, rules=tuple(rules))
    async with work.in_slot(work.limits.rule_previews), work.transaction():
        planned = await plan(work, book)
        by_size = sorted(planned.groups, key=lambda group: (-len(group.absorbed), group.survivor))
        others = by_size[SAMPLES:]
        step = max(1, len(others) // SAMPLES)
        return {
            "guests": planned.guests,
            "merging": planned.merging,
            "groups": len(planned.groups),
            "largest": [await _preview_group(work, book, group) for group in by_size[:SAMPLES]],
            "samples": [
                await _preview_group(work, book, each) for each in others[::step][:SAMPLES]
            ],
            "guarded": [
                {
                    "reason": guarded.reason,
                    "rule": guarded.rule,
                    "evidence": evidence,
                    "size": guarded.size,
                    "guests": guarded.guests[:PREVIEW_SIZE],
                }
                for guarded, evidence in planned.guarded
            ],
            "unsupported": planned.unsupported,
            "unsupported_merges": [
                await merges.fetch(work, merge) for merge in planned.unsupported_samples
            ],
        }


async def plan(work: Work, book: IdentityRules) -> Plan:
    """Plan the merges of live guests under `book`. Call it in a transaction."""
    now = clock.now()
    count = 0
    await work.run("identity.no_timeout")
    await work.run("identity.create_plan")
    async for rows in _read_batches(work, None):
        count += len(rows)
        await work.copy_in(
            "identity.copy_plan",
            (
                (position, key, row["ref"])
                for row in rows
                for position, key in countable_keys(ledger.unmerged_record(row), book, now)
            ),
        )
    await work.run("identity.create_shared")
    await work.run("identity.fill_shared", most=book.group_limit)
    pages = _read_pages(work, "identity.shared_keys", "position")
    shared = [row async for rows in pages for row in rows]
    survivors = await _read_survivors(work, {owner for row in shared for owner in row["owners"]})
    groups, guarded = await asyncio.to_thread(decide_groups, shared, survivors, book)
    evidence = [
        [] if group.link is None else await _evidence(work, book, group.link) for group in guarded
    ]
    supported = await asyncio.to_thread(SupportedMerges, shared, book)
    unsupported, samples = 0, list[UUID]()
    async for rows in _read_pages(work, "identity.merges_by_rules", "merged_at", "ref"):
        others = await asyncio.to_thread(supported.without, rows)
        unsupported += len(others)
        samples += [row["ref"] for row in others[: SAMPLES - len(samples)]]
    with_evidence = [*zip(guarded, evidence, strict=True)]
    return Plan(count, groups, with_evidence, unsupported, samples)


async def run_jobs(work: Work, progress: Progress | None = None) -> bool:
    """Run the pending jobs, oldest first; return False if another process runs them.

    A job that fails is finished as `failed`, with its error. An interrupted job continues at the
    next call. Call it outside a transaction.
    """
    lock = lock_of(digest("jobs", work.workspace))
    claimed = await work.one("identity.try_lock_jobs", lock=lock)
    if not claimed or not claimed["is_locked"]:
        return False
    work.session_held += 1
    try:
        while (job := await work.one("identity.next_job")) is not None:
            await _run_job(work, job, progress)
    finally:
        work.session_held -= 1
        if not work.connection.closed:
            await work.all("identity.unlock_jobs", lock=lock)
    return True


async def _run_job(work: Work, job: Row, progress: Progress | None) -> None:
    """Run one job as its actor and finish it; raises `Unavailable`, which leaves it unfinished."""
    own_actor, work.actor = work.actor, job["actor"]
    try:
        if job["changes_rules"] or not job["undoes"]:
            await _settle(work, job)
            await _index(work, job, progress)
        if job["merging"]:
            await _merge(work, job, progress)
        if job["undoes"]:
            await _undo(work, job, progress)
        await work.run("identity.finish", ref=job["ref"], state="done", error=None)
    except Unavailable:
        # The database is not available: the job continues once it is.
        raise
    except Exception as error:
        log.exception("identity job %s failed", job["ref"])
        await work.run("identity.finish", ref=job["ref"], state="failed", error=str(error))
    finally:
        work.actor = own_actor


async def _settle(work: Work, job: Row) -> None:
    """Wait until no transaction writes by older rules: its guests would lack keys permanently.

    A statement that began before the rule change was committed reads the old rules, and its
    transaction may still write by them. So first those statements must end, then the transactions
    that were open.
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
    """Add to every guest the keys of the rules in force, one batch per transaction."""
    book = await rulebook.read(work)
    counted = await work.one("identity.count_guests")
    total = counted["guests"] if counted else 0
    if book.is_indexed:
        await _report_progress(work, job, progress, state="indexing", done=total, total=total)
        return
    done = job["done"] if job["state"] == "indexing" else 0
    if job["state"] in ("merging", "undoing"):
        return
    async for rows in _read_batches(work, job["last_guest_ref"]):
        pairs = [
            (key, row["ref"])
            for row in rows
            for key in book.keys(ledger.unmerged_record(row))
            | book.keys(ledger.visible_record(row))
        ]
        done += len(rows)
        async with work.transaction():
            if pairs:
                await ledger.add_keys(work, pairs)
            counts = {"state": "indexing", "done": done, "total": max(done, total)}
            await _report_progress(work, job, progress, **counts, last_guest_ref=rows[-1]["ref"])


async def _merge(work: Work, job: Row, progress: Progress | None) -> None:
    """Merge the groups of existing guests that the rules in force plan; store what guards block."""
    book = await rulebook.read(work)
    async with work.transaction():
        planned = await plan(work, book)
    for guarded, evidence in planned.guarded:
        await work.run(
            "identity.insert_guarded",
            rule=guarded.rule,
            reason=f"{guarded.reason}: {guarded.size}",
            evidence=Json(evidence),
            guests=guarded.guests[:PREVIEW_SIZE],
            source=SOURCE,
            source_ref=job["ref"],
        )
    done, merged = 0, job["merged"]

    async def absorb(pair: tuple[UUID, GroupMember]) -> None:
        nonlocal done, merged
        survivor, member = pair
        done += 1
        merge = partial(
            merges.absorb,
            work,
            survivor,
            member.guest,
            rule=member.rule.name,
            evidence=await _evidence(work, book, member),
            source=SOURCE,
            job=job["ref"],
        )
        merged += await retrying(merge) is not None
        if done % 100 == 0 or done == planned.merging:
            counts = {"state": "merging", "done": done, "total": planned.merging}
            await _report_progress(work, job, progress, **counts, merged=merged)

    # A merge that fails ends the job as failed, after all other merges.
    pairs = [(group.survivor, member) for group in planned.groups for member in group.absorbed]
    await background.try_each(pairs, absorb, "merging a guest", ends=(Unavailable,))


async def _undo(work: Work, job: Row, progress: Progress | None) -> None:
    """Undo the merges of an application that are still in force, the last first."""
    rows = await work.all("identity.application_merges", ref=job["undoes"], limit=None)
    done = 0

    async def undo(merge: UUID) -> None:
        nonlocal done
        # Meanwhile somebody may undo one, or erase its guests.
        with suppress(Conflict, Unknown):
            await retrying(partial(merges.undo_unrecorded, work, merge))
        done += 1
        if done % 100 == 0 or done == len(rows):
            counts = {"state": "undoing", "done": done, "total": len(rows)}
            await _report_progress(work, job, progress, **counts)

    refs = [row["ref"] for row in rows]
    await background.try_each(refs, undo, "undoing a merge", ends=(Unavailable,))


async def _report_progress(work: Work, job: Row, progress: Progress | None, **more: Any) -> None:
    """Store a job's progress and pass it to the callback."""
    counts = {"state": job["state"], "done": 0, "total": 0, "merged": job["merged"]} | more
    await work.run("identity.set_progress", ref=job["ref"], **{"last_guest_ref": None} | counts)
    if progress is not None:
        progress({**job, **counts})


async def _read_batches(work: Work, after: UUID | None) -> AsyncIterator[list[Row]]:
    """Yield all guests after a ref (None: from the start) in batches, in ref order."""
    while rows := await work.all("identity.guest_batch", after=after, limit=BATCH):
        yield rows
        after = rows[-1]["ref"]


async def _read_survivors(work: Work, guests: set[UUID]) -> dict[UUID, Row]:
    """Return the row of `identity.survivors` of each guest that exists, by guest."""
    refs, survivors = list(guests), dict[UUID, Row]()
    for start in range(0, len(refs), PAGE):
        rows = await work.all("identity.survivors", guests=refs[start : start + PAGE])
        survivors |= {row["ref"]: row for row in rows}
    return survivors


async def _read_pages(work: Work, query: str, *keys: str) -> AsyncIterator[list[Row]]:
    """Yield the rows of a query page by page, each after the last row of the page before by
    `keys`."""
    after: dict[str, Any] = {f"after_{key}": None for key in keys}
    while rows := await work.all(query, **after, limit=PAGE):
        yield rows
        after = {f"after_{key}": rows[-1][key] for key in keys}


async def _evidence(work: Work, book: IdentityRules, member: GroupMember) -> list[MatchedValue]:
    """Return the values behind the key by which a guest joins its group."""
    row = await work.one("merges.guest", ref=member.holder)
    if row is None:
        return []
    keys = rule_keys(ledger.unmerged_record(row), member.rule, book.region, None)
    return next((parts for key, parts in keys if key == member.key), [])


async def _preview_group(work: Work, book: IdentityRules, group: MergedGroup) -> Record:
    """Return a group as the preview shows it, with samples of its absorbed guests."""
    return {
        "survivor": group.survivor,
        "size": len(group.absorbed) + 1,
        "absorbed": [
            {
                "guest": member.guest,
                "rule": member.rule.name,
                "evidence": await _evidence(work, book, member),
            }
            for member in group.absorbed[:SAMPLES]
        ],
    }
