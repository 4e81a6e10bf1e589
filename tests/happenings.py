"""Events as sessions see them, the slow reference of sessions, and a database for them."""

from collections.abc import Iterator, Sequence

import psycopg
import pytest
from databases import cloned

TIMEOUTS = (2, 5, 20)
"""Minutes of the points of sale that events happen at; each is named like its minutes."""

Happened = tuple[int, int, bool]
"""(minute, timeout, whether it is an obeyed FORCE_CLOSE)."""


def reference(events: Sequence[Happened]) -> set[frozenset[int]]:
    """Sessions as sets of arrivals, by comparing everything with everything.

    Two events are of one session when one covers the time of the other and no FORCE_CLOSE stands
    between; and so are those that are so through others.
    """
    order = sorted(range(len(events)), key=lambda index: (events[index][0], index))
    position = {index: place for place, index in enumerate(order)}
    cuts = [position[index] for index in order if events[index][2]]

    def related(one: int, other: int) -> bool:
        first, second = sorted((one, other), key=lambda index: position[index])
        if any(position[first] <= cut < position[second] for cut in cuts):
            return False
        minute, timeout, _ = events[first]
        return events[second][0] <= minute + timeout

    groups = [{index} for index in range(len(events))]
    changed = True
    while changed:
        changed = False
        for one in groups:
            for other in groups:
                if one is not other and any(related(a, b) for a in one for b in other):
                    one.update(other)
                    groups.remove(other)
                    changed = True
                    break
            if changed:
                break
    return {frozenset(group) for group in groups}


@pytest.fixture(scope="module")
def live(server: str, template: str) -> Iterator[str]:
    """A database with those points of sale."""
    with cloned(server, template) as dsn:
        with psycopg.connect(dsn, autocommit=True) as connection:
            for timeout in TIMEOUTS:
                connection.execute(
                    "INSERT INTO ws_live.points_of_sale (name, timeout_minutes, test) "
                    "VALUES (%s, %s, true)",
                    [str(timeout), timeout],
                )
        yield dsn
