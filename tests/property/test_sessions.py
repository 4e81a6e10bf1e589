"""Sessions of events in any order of arrival equal those of a slow reference (stream-api.md 5)."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from happenings import TIMEOUTS, Happened, live, reference
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from profiles import LONG

from innkeeper.actions.events import browsers, ingest, stream_settings
from innkeeper.rules.sessions import Mark, Span, divided, place_event, span_of
from innkeeper.rules.stream import IncomingEvent
from innkeeper.store.database import Database

__all__ = ["live"]

START = datetime(2026, 11, 20, tzinfo=UTC)

# Few minutes, so that events meet, repeat and lie exactly a timeout apart.
happened = st.tuples(
    st.integers(0, 60), st.sampled_from(TIMEOUTS), st.integers(0, 9).map(lambda one: one == 0)
)
arrivals = st.lists(happened, min_size=1, max_size=14)


def mark_of(event: Happened) -> Mark:
    minute, timeout, cuts = event
    return Mark(START + timedelta(minutes=minute), timedelta(minutes=timeout), cuts)


@settings(max_examples=2000 if LONG else 100)
@given(arrivals)
def test_divided_equals_the_reference(events: list[Happened]) -> None:
    """All events at once."""
    order = sorted(range(len(events)), key=lambda index: (events[index][0], index))
    groups = divided([mark_of(events[index]) for index in order])
    assert {frozenset(order[place] for place in group) for group in groups} == reference(events)


@settings(max_examples=2000 if LONG else 100)
@given(arrivals)
def test_placing_one_by_one_equals_the_reference(events: list[Happened]) -> None:
    """One event after the other, in order of arrival, as the store does it."""
    rows: list[tuple[Span, list[int]]] = []
    for index, event in enumerate(events):
        mark = mark_of(event)
        rows.sort(key=lambda one: (one[0].started_at, one[0].expires_at))
        placement = place_event([span for span, _ in rows], mark)
        joined = [rows[place] for place in placement.joins]
        rows = [one for place, one in enumerate(rows) if place not in placement.joins]
        if not joined:
            rows.append((span_of(mark), [index]))
        elif placement.is_plain:
            ((span, members),) = joined
            rows.append((span.with_mark(mark), [*members, index]))
        else:
            members = sorted(
                [index, *(one for _, several in joined for one in several)],
                key=lambda one: (events[one][0], one),
            )
            for group in divided([mark_of(events[one]) for one in members]):
                row = [members[place] for place in group]
                span = span_of(mark_of(events[row[0]]))
                for one in row[1:]:
                    span = span.with_mark(mark_of(events[one]))
                rows.append((span, row))
    assert {frozenset(members) for _, members in rows} == reference(events)


# The same through the database


async def recorded(dsn: str, events: Sequence[Happened]) -> list[dict[str, Any]]:
    """The rows of the events, in order of arrival, after one browser sent them."""
    async with Database(dsn, pool_size=1) as database, database.work("live") as work:
        await stream_settings.read(work)
        browser, _ = await browsers.create(work)
        base = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(hours=3)
        refs: list[UUID] = []
        for number, (minute, timeout, cuts) in enumerate(events):
            at = base + timedelta(minutes=minute)
            message = {
                "browser_id": str(browser),
                "type": "FORCE_CLOSE" if cuts else "VIEW",
                "pos": str(timeout),
                "page": str(number),
                "requested_at": at.isoformat(),
            }
            outcome = await ingest.record(work, IncomingEvent(message, base + timedelta(hours=2)))
            assert outcome is not None
            refs.append(outcome.ref)
        cursor = await work.connection.execute(
            "SELECT e.ref, e.session_ref, e.at, e.body ->> 'page' AS page, s.events, "
            "s.started_at, s.last_at, s.expires_at, s.details FROM ws_live.events AS e "
            "JOIN ws_live.sessions AS s ON s.ref = e.session_ref WHERE e.browser_ref = %s",
            [browser],
        )
        rows = {row["ref"]: row for row in await cursor.fetchall()}
        cursor = await work.connection.execute(
            "SELECT count(*) AS sessions FROM ws_live.sessions WHERE browser_ref = %s", [browser]
        )
        (count,) = await cursor.fetchall()
        assert count["sessions"] == len({row["session_ref"] for row in rows.values()})
        return [rows[ref] for ref in refs]


@settings(
    max_examples=300 if LONG else 8,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(arrivals)
def test_the_store_equals_the_reference(live: str, events: list[Happened]) -> None:
    """No event is lost or doubled, each is in its session, and sessions tell it right."""
    rows = asyncio.run(recorded(live, events))
    groups: dict[UUID, set[int]] = {}
    for index, row in enumerate(rows):
        assert row["page"] == str(index)
        groups.setdefault(row["session_ref"], set()).add(index)
    assert {frozenset(group) for group in groups.values()} == reference(events)
    for row in rows:
        group = groups[row["session_ref"]]
        members = sorted(group, key=lambda index: (events[index][0], index))
        times = [rows[index]["at"] for index in members]
        assert row["events"] == len(group)
        assert (row["started_at"], row["last_at"]) == (times[0], times[-1])
        ends = [
            rows[index]["at"] + timedelta(minutes=events[index][1])
            for index in members
            if not events[index][2]
        ]
        cut = [rows[index]["at"] for index in members if events[index][2]]
        assert row["expires_at"] == (cut[-1] if cut else max(ends))
        assert row["details"]["first_page"] == str(members[0])
        assert row["details"]["last_page"] == str(members[-1])
