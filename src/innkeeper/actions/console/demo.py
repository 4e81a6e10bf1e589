"""Load the demo data: the history of a shop, written by the same actions as live requests."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial
from random import Random
from typing import Any, Final
from uuid import UUID

from innkeeper import clock
from innkeeper.actions.admin import configuration
from innkeeper.actions.console import demo_settings
from innkeeper.actions.console.demo_shop import (
    MONTHS,
    POINTS_OF_SALE,
    DemoStep,
    current_visit,
    story,
)
from innkeeper.actions.events import browsers, ingest, partitions, sessions, stream_settings
from innkeeper.actions.events.incoming import UNDER_LOCK
from innkeeper.actions.records import guests, orders
from innkeeper.actions.records.extensions import OF_GUESTS, OF_ORDERS
from innkeeper.actions.records.order_items import ITEMS
from innkeeper.actions.records.order_people import CONTACTS
from innkeeper.errors import Conflict, OperatorError
from innkeeper.resources.base import without_nulls
from innkeeper.rules.stream import IncomingEvent
from innkeeper.store.database import Database, retrying
from innkeeper.store.work import Work

AT_ONCE: Final = 4
"""Number of guests whose stories are written at the same time."""
_VISIT_GAP: Final = timedelta(minutes=20)
"""Longest time between two events that are written together: they belong to one session."""


async def prepare(database: Database, workspace: str) -> datetime:
    """Create points of sale, a rule and event partitions; returns the time at which stories end.

    Raises OperatorError if the workspace holds guests.
    """
    async with database.work(workspace, "demo") as work:
        counted = await work.one("guests.count_all")
        if counted and counted["total"]:
            raise OperatorError(
                f"{workspace} already contains guests: choose an empty workspace with --workspace."
            )
        for point in POINTS_OF_SALE:
            try:
                await configuration.create_point_of_sale(work, dict(point))
            except Conflict:
                continue
        await demo_settings.add_rule(work)
        now = clock.now()
        await _create_partitions(work, now)
    return now


async def write_stories(
    database: Database,
    workspace: str,
    numbers: Iterable[int],
    seed: int,
    now: datetime,
    progress: Callable[[int], None] = lambda done: None,
) -> dict[str, int]:
    """Write the stories of the guests with these numbers; returns {guests, events, orders}.

    The workspace must be prepared (`prepare`).
    """
    pending = iter(numbers)
    counts = {"guests": 0, "events": 0, "orders": 0}

    async def write_pending() -> None:
        for number in pending:
            steps = story(seed, number, now)
            await retrying(partial(_write_story, database, workspace, steps))
            counts["guests"] += 1
            counts["events"] += sum(step.kind == "event" for step in steps)
            counts["orders"] += sum(_is_order(step) for step in steps)
            progress(counts["guests"])

    async with database.work(workspace, "demo") as work:
        await _create_partitions(work, now)
    await asyncio.gather(*(write_pending() for _ in range(AT_ONCE)))
    return counts


async def finish(database: Database, workspace: str, visitors: int = 0) -> None:
    """Write current visitors and quarantined events, close sessions and update statistics, once all
    stories are written."""
    for number in range(visitors):
        await _write_story(database, workspace, current_visit(number, clock.now()))
    async with database.work(workspace, "demo") as work:
        await _write_quarantined(work)
        await sessions.close_idle(work)
        await work.run("demo.analyse")


async def _create_partitions(work: Work, now: datetime) -> None:
    """Create the partition of every month of the stories in advance, so that events need not wait
    for each other's."""
    settings = await stream_settings.read(work)
    for months_ago in range(MONTHS + 2):
        await partitions.ensure_partition(
            work, settings.version, now - timedelta(days=30 * months_ago)
        )


async def _write_story(database: Database, workspace: str, steps: Sequence[DemoStep]) -> None:
    """Write the story of one person in one transaction, by a work of its own, whose times grow."""
    browser_refs: dict[int, UUID] = {}
    async with database.work(workspace, "demo") as work, work.transaction():
        # A crash may lose the last transactions: this is only demo data.
        await work.run("demo.disable_synchronous_commit")
        for visit in _visits(steps):
            with clock.simulated(visit[-1].at):
                if visit[0].kind == "event":
                    await _write_events(work, visit, browser_refs)
                elif visit[0].kind == "order":
                    await _write_order(work, visit[0].content)
                else:
                    await _write_guest(work, visit[0].content)


def _visits(steps: Sequence[DemoStep]) -> Iterator[list[DemoStep]]:
    """Yield consecutive plain events of a browser's session together, every other step alone."""
    visit: list[DemoStep] = []
    for step in steps:
        if visit and not (
            _is_plain(visit[-1])
            and _is_plain(step)
            and step.browser == visit[-1].browser
            and step.at - visit[-1].at < _VISIT_GAP
        ):
            yield visit
            visit = []
        visit.append(step)
    if visit:
        yield visit


def _is_plain(step: DemoStep) -> bool:
    return step.kind == "event" and step.content["type"] not in UNDER_LOCK


async def _write_events(
    work: Work, visit: Sequence[DemoStep], browser_refs: dict[int, UUID]
) -> None:
    """Record events of one browser; creates the browser in `browser_refs` if it is new."""
    browser = visit[0].browser
    if browser not in browser_refs:
        browser_refs[browser], _ = await browsers.create(work)
    ref = str(browser_refs[browser])
    events = [
        IncomingEvent({**step.content, "browser_id": ref}, step.at, None, step.agent)
        for step in visit
    ]
    written = await ingest.record_batch(work, events) if len(events) > 1 else [None]
    for event, ingested in zip(events, written, strict=True):
        if ingested is None:
            await ingest.record(work, event)


async def _write_order(work: Work, content: dict[str, Any]) -> None:
    """Create an order with its items, contact and data extensions."""
    order = await orders.create(work, dict(content["order"]))
    for item in content["items"]:
        await ITEMS.create(work, order=order["ref"], changes=dict(item))
    contact = await CONTACTS.create(work, order=order["ref"], changes=dict(content["contact"]))
    if content["ext"]["firstTimeOrder"]:
        chance = Random(content["order"]["reference_id"])  # noqa: S311 - a story, not a secret
        pairs = {
            "tier": chance.choice(("Gold", "Silver", "Bronze")),
            "prefersStorePickup": chance.random() < 0.4,
            "newsletterWeekly": chance.random() < 0.8,
        }
        rows = await OF_GUESTS.of_one(work, contact["guest_ref"])
        if not rows:
            changes = {"name": "ext", "pairs": pairs, "single": False}
            await OF_GUESTS.create(work, changes=changes, guest=contact["guest_ref"])
    changes = {"name": "ext", "pairs": content["ext"], "single": False}
    await OF_ORDERS.create(work, changes=changes, order=order["ref"])


async def _write_guest(work: Work, person: dict[str, Any]) -> None:
    """Create a guest as an import would."""
    changes = without_nulls(person)
    await guests.create(work, {**changes, "guest_type": "customer"})


async def _write_quarantined(work: Work) -> None:
    """Write a few invalid events, which go to quarantine."""
    browser, _ = await browsers.create(work)
    invalid: tuple[dict[str, Any], ...] = (
        {"type": "VIEW", "pos": "harbourandhill.fr", "page": "/soldes"},
        {"type": "VIEW", "pos": "harbourandhill.fr", "page": "/vestes"},
        {"type": "VIEW", "pos": "harbourandhill.fr", "page": "/tentes"},
        {"type": "SC_CUSTOM", "pos": "harbourandhill.com"},
        {"type": "IDENTITY", "pos": "harbourandhill.com", "firstname": "Jo"},
        {"type": "ADD", "pos": "harbourandhill.com", "product": {"item_id": "BOOT-03"}},
    )
    for turn, members in enumerate(invalid):
        at = clock.now() - timedelta(hours=3 * turn + 1)
        message = {"channel": "WEB", "browser_id": str(browser), **members}
        with clock.simulated(at):
            await ingest.record(work, IncomingEvent(message, at))


def _is_order(step: DemoStep) -> bool:
    return step.kind == "order" or step.content.get("type") == "CHECKOUT"
