"""Schedules of exports and import sources: DAILY, WEEKLY, or a cron line in UTC."""

from datetime import datetime
from typing import Final

from innkeeper.errors import Invalid, Problem
from innkeeper.resources.exports import CRONS

LONGEST_SCHEDULE: Final = 200


def next_time(schedule: str | None, after: datetime) -> datetime | None:
    """Return the next time of a schedule in UTC, None without one; raises `Invalid`."""
    if schedule is None:
        return None
    from croniter import CroniterBadDateError, croniter  # noqa: PLC0415 - of use to few requests

    line = CRONS.get(schedule.upper(), schedule)
    # A long list of values takes seconds to parse.
    if len(line) > LONGEST_SCHEDULE or len(line.split()) != 5 or not croniter.is_valid(line):
        raise Invalid(Problem("schedule", "must be DAILY, WEEKLY or a cron line of five fields"))
    try:
        following: datetime = croniter(line, after).get_next(datetime)
    except CroniterBadDateError:
        raise Invalid(Problem("schedule", "names a day that never comes")) from None
    return following
