"""Validate the settings of an audience export and name every problem."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from innkeeper import clock
from innkeeper.actions.admin import stored_secrets
from innkeeper.actions.audiences import segments, traits
from innkeeper.errors import Invalid, Problem
from innkeeper.resources.base import Record
from innkeeper.resources.exports import CRONS, DELTA, FULL_SYNC
from innkeeper.rules import exports as rules
from innkeeper.store.destinations import BadDestination, destination_of
from innkeeper.store.work import Json, Work

LONGEST_SCHEDULE: Final = 200
_SHAPE: Final = (
    *("format", "columns", "template", "delimiter", "header", "quote", "guarded", "filter"),
)


async def read_settings(
    work: Work,
    body: Mapping[str, Any],
    early_problems: Sequence[Problem],
    stored: Record | None = None,
) -> dict[str, Any]:
    """Read the columns of an export; raises `Invalid` with `early_problems` and all others.

    `stored` is the export that the body changes; its filter is not checked again if it is the same.
    """
    problems = [*early_problems]
    name = body.get("name")
    if not isinstance(name, str) or not 0 < len(name.strip()) <= segments.LONGEST_NAME:
        problems.append(Problem("name", f"size must be between 1 and {segments.LONGEST_NAME}"))
        name = "x"
    friendly = body.get("friendlyId") or segments.friendly_id(name)
    if not isinstance(friendly, str) or not segments.FRIENDLY.fullmatch(friendly):
        problems.append(Problem("friendlyId", "must be lower-case letters, digits and underscores"))
    kind = str(body.get("definitionType", FULL_SYNC)).upper()
    if kind not in (FULL_SYNC, DELTA):
        problems.append(Problem("definitionType", "value must be one of FULL_SYNC,DELTA"))
    segment = await _lock_segment(work, body.get("segment"), stored, problems)
    webhook = body.get("webhook")
    if webhook is not None:
        problems += segments.web_address_problems(work, "webhook", webhook)
    shape = {each: body[each] for each in _SHAPE if body.get(each) is not None}
    problems += await _shape_problems(work, shape, stored)
    destination = body.get("destination")
    problems += _destination_problems(work, destination, shape)
    schedule = body.get("schedule")
    try:
        next_at = next_time(None if schedule is None else str(schedule), clock.now())
    except Invalid as invalid:
        problems += invalid.problems
    if problems:
        raise Invalid(*problems)
    is_signed = webhook or (destination or {}).get("type") == "WEBHOOK"
    return {
        "segment": segment,
        "next_at": next_at,
        "name": name.strip(),
        "friendly_id": friendly,
        "definition_type": kind,
        "shape": Json(shape),
        "schedule": schedule,
        "destination": None if destination is None else Json(destination),
        "webhook": webhook,
        "webhook_secret": stored_secrets.new_webhook_secret(work) if is_signed else None,
    }


async def _lock_segment(
    work: Work, segment: Any, stored: Record | None, problems: list[Problem]
) -> UUID | None:
    """Lock the segment of an export against deletion; returns its ref. Adds to `problems`."""
    ref = None
    if segment is not None:
        ref = await segments.lock_against_deletion(work, _ref_or_friendly_id(segment))
    # An export whose segment was deleted may stay without one; any other needs a segment.
    was_deleted = segment is None and stored is not None and stored["segment_ref"] is None
    if ref is None and not was_deleted:
        problems.append(Problem("segment", "there is no such segment"))
    return ref


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


async def _shape_problems(
    work: Work, shape: Mapping[str, Any], stored: Record | None
) -> Sequence[Problem]:
    """Return the problems of the columns and the filter of an export."""
    problems: list[Problem] = []
    await traits.lock_against_deletion(work)
    try:
        rules.read_shape(shape, await traits.list_current(work))
    except Invalid as invalid:
        problems += invalid.problems
    if "filter" in shape:
        before = stored["shape"].get("filter") if stored else None
        try:
            await segments.check_definition(work, shape["filter"], before)
        except Invalid as invalid:
            problems += (one.moved("definition", "filter") for one in invalid.problems)
    return problems


def _destination_problems(work: Work, destination: Any, shape: Mapping[str, Any]) -> list[Problem]:
    """Return the problems of a destination: a folder that the operator allows, or a URL."""
    if destination is None:
        return []
    url = destination.get("url") if isinstance(destination, dict) else None
    kind = destination.get("type") if isinstance(destination, dict) else None
    if kind not in ("FOLDER", "WEBHOOK") or not isinstance(url, str) or not url:
        return [Problem("destination", "must have a type, FOLDER or WEBHOOK, and a url")]
    if kind == "FOLDER":
        try:
            destination_of(work.settings, url)
        except BadDestination as error:
            return [Problem("destination.url", str(error))]
    if kind == "WEBHOOK" and (bad := segments.web_address_problems(work, "destination.url", url)):
        return bad
    if kind == "WEBHOOK" and str(shape.get("format")).upper() not in ("NDJSON", "JSON"):
        return [Problem("format", "must be JSON or NDJSON for a webhook")]
    return []


def _ref_or_friendly_id(value: Any) -> UUID | str:
    """Return a UUID if the value is one, else its text."""
    text = str(value)
    try:
        return UUID(text)
    except ValueError:
        return text
