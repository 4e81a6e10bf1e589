"""Validate the settings of an audience export and name every problem."""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import msgspec

from innkeeper import clock
from innkeeper.actions.admin import stored_secrets
from innkeeper.actions.audiences import segment_questions, segments, static_lists, traits
from innkeeper.errors import Invalid, Problem
from innkeeper.resources.base import Record
from innkeeper.resources.definitions import ExportDestination
from innkeeper.resources.exports import FULL_SYNC
from innkeeper.resources.naming import field_problem
from innkeeper.resources.payloads import ABSENT
from innkeeper.rules import exports as rules
from innkeeper.rules.schedules import next_time
from innkeeper.store.destinations import BadDestination, destination_of
from innkeeper.store.work import Json, Work

_SHAPE: Final = (
    *("format", "columns", "template", "delimiter", "header", "quote", "guarded", "bom", "filter"),
    "consent",
)


async def read_settings(
    work: Work,
    values: Mapping[str, Any],
    early_problems: Sequence[Problem],
    stored: Record | None = None,
) -> dict[str, Any]:
    """Return the columns of an export with the members `values`.

    Raises `Invalid` with `early_problems` and all others. `stored` is the export that is changed;
    its filter is not checked again if it is the same.
    """
    problems = [*early_problems]
    source = await _lock_source(work, values, stored, problems)
    problems += segments.web_address_problems(work, "webhook", values.get("webhook"))
    shape = {name: values[name] for name in _SHAPE if values.get(name) not in (None, ABSENT)}
    problems += await _shape_problems(work, shape, stored)
    destination = values.get("destination") or None
    if isinstance(destination, ExportDestination):
        destination = msgspec.to_builtins(destination)
    problems += _destination_problems(work, destination, shape)
    try:
        next_at = next_time(values.get("schedule") or None, clock.now())
    except Invalid as invalid:
        problems += invalid.problems
    if problems:
        raise Invalid(*problems)
    is_signed = values["webhook"] or (destination or {}).get("type") == "WEBHOOK"
    return {
        **source,
        "next_at": next_at,
        "name": values["name"].strip(),
        "friendly_id": values["friendly_id"] or segments.friendly_id(values["name"]),
        "definition_type": (values["definition_type"] or FULL_SYNC).upper(),
        "shape": Json(shape),
        "schedule": values["schedule"] or None,
        "destination": None if destination is None else Json(destination),
        "webhook": values["webhook"] or None,
        "webhook_secret": stored_secrets.new_webhook_secret(work) if is_signed else None,
    }


async def _lock_source(
    work: Work, values: Mapping[str, Any], stored: Record | None, problems: list[Problem]
) -> dict[str, UUID | None]:
    """Lock the segment or list of an export against deletion; returns the refs of both, one of
    them None. Adds to `problems`."""
    segment, static_list = values.get("segment") or None, values.get("static_list") or None
    refs: dict[str, UUID | None] = {"segment": None, "static_list": None}
    if segment and static_list:
        problems.append(field_problem("static_list", "cannot be set together with segment"))
    elif static_list:
        refs["static_list"] = await static_lists.lock_against_deletion(work, static_list)
        if refs["static_list"] is None:
            problems.append(field_problem("static_list", "there is no such list"))
    else:
        if segment:
            refs["segment"] = await segments.lock_against_deletion(work, segment)
        # Only an export whose segment was deleted may have no source.
        was_deleted = not segment and stored is not None and not has_source(stored)
        if refs["segment"] is None and not was_deleted and {"segment", "static_list"} <= {*values}:
            problems.append(Problem("segment", "there is no such segment"))
    return refs


def has_source(export: Record) -> bool:
    """Whether an export has a segment or a list that it reads."""
    return export["segment_ref"] is not None or export["static_list_ref"] is not None


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
            await segment_questions.check_definition(work, shape["filter"], before)
        except Invalid as invalid:
            problems += (one.moved("definition", "filter") for one in invalid.problems)
    return problems


def _destination_problems(
    work: Work, destination: Record | None, shape: Mapping[str, Any]
) -> list[Problem]:
    """Return the problems of a destination: a folder that the operator allows, or a URL."""
    if destination is None:
        return []
    url = destination["url"]
    if destination["type"] == "FOLDER":
        try:
            destination_of(work.settings, url)
        except BadDestination as error:
            return [Problem("destination.url", str(error))]
        return []
    if bad := segments.web_address_problems(work, "destination.url", url):
        return bad
    if str(shape.get("format")).upper() not in ("NDJSON", "JSON"):
        return [Problem("format", "must be JSON or NDJSON for a webhook")]
    return []
