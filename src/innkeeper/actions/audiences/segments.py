"""Segments: define, publish, pause, preview and explain them (segmentation-and-export.md 1)."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID, uuid4

from innkeeper.actions.admin import audit, background, stored_secrets
from innkeeper.actions.admin.named_records import NamedRecords
from innkeeper.actions.audiences import segment_questions, traits, usage
from innkeeper.actions.audiences.event_names import find_unknown_events
from innkeeper.errors import Conflict, Invalid, Problem, Unknown
from innkeeper.resources.base import Record
from innkeeper.resources.definitions import ChangeSegmentRequest, CreateSegmentRequest
from innkeeper.resources.naming import camel, field_problem
from innkeeper.resources.payloads import ABSENT, Absent, Payload, members_of, present, read_members
from innkeeper.resources.segments import DRAFT, EDITABLE, LIVE, NEXT, PAUSED, PUBLISHING, SCHEDULED
from innkeeper.rules.audited import EXPORT, SEGMENT
from innkeeper.rules.segment_matching import Verdict
from innkeeper.rules.versions import Expected, expect
from innkeeper.store.outbound_http import BadAddress, check_url
from innkeeper.store.work import Json, Work

SEGMENTS: Final = NamedRecords("segments", "Segment", SEGMENT)
PUBLISH: Final = "segments.publish"
"""The name of the task that makes a segment Live."""
NAME_LENGTH: Final = 128
list_all: Final = SEGMENTS.list_all
"""List every segment, newest first."""
fetch: Final = SEGMENTS.fetch
"""Fetch one segment by ref or friendly id; raises `Unknown`."""


async def create(work: Work, body: Mapping[str, Any], problems: Sequence[Problem] = ()) -> Record:
    """Create a segment with status Draft.

    Raises `Invalid` with `problems` and every other problem, `Conflict` if the friendly id exists.
    """
    problems = [*problems, *await find_unknown_events(work, body.get("definition"))]
    values = read_members(CreateSegmentRequest, body, problems)
    async with work.transaction():
        fields = await _read_columns(work, values, problems)
        return await SEGMENTS.create(work, status=DRAFT, **fields)


async def change(
    work: Work,
    segment: UUID | str,
    body: Mapping[str, Any],
    expected: Expected | None = None,
    problems: Sequence[Problem] = (),
) -> Record:
    """Change the definition, name, tags or webhook of a segment; 409 while it is Live (1.1).

    Raises `Invalid` with `problems` and every other problem, and `Outdated` if the stored version
    is not the expected one.
    """
    unknown = await find_unknown_events(work, body.get("definition"))
    async with work.transaction():
        row = await SEGMENTS.fetch_locked(work, segment)
        expect(expected, row)
        if row["status"] not in EDITABLE:
            raise Conflict(f"A segment that is {row['status']} cannot be changed: pause it first.")
        is_new = body.get("definition") != row["definition"]
        problems = [*problems, *(unknown if is_new else ())]
        values = read_changes(ChangeSegmentRequest, body, row, problems)
        fields = await _read_columns(work, values, problems, row["definition"])
        del fields["friendly_id"]
        if fields["webhook"] == row["webhook"]:
            fields["webhook_secret"] = row["webhook_secret"]
        return await SEGMENTS.rewrite(work, row, archived=values["archived"], **fields)


async def set_tags(
    work: Work, segment: UUID | str, tags: Sequence[str], expected: Expected | None = None
) -> Record:
    """Replace the tags of a segment, also of a Live one: they change no member."""
    async with work.transaction():
        row = await SEGMENTS.fetch_locked(work, segment)
        expect(expected, row)
        named = dict.fromkeys(tag.strip() for tag in tags)
        written = await work.one(
            "segments.set_tags", ref=row["ref"], tags=[tag for tag in named if tag]
        )
        written = written or SEGMENTS.unknown(segment)
        await audit.record(work, SEGMENT, "change", row, written)
        return written


async def delete(
    work: Work, segment: UUID | str, *, accepted: str = "", expected: Expected | None = None
) -> None:
    """Delete a segment; 409 while it is Live, and `InUse` while others use it.

    `accepted`: the `usage.token_of` the uses that the caller has confirmed. Exports among them stay
    with their files, but without a segment until another is set.
    """
    async with work.transaction():
        row = await SEGMENTS.fetch_locked(work, segment, "segments.lock_whole")
        expect(expected, row)
        if row["status"] not in EDITABLE:
            raise Conflict(f"A segment that is {row['status']} cannot be deleted: pause it first.")
        uses = await usage.of_segment(work, row)
        usage.refuse_unless_accepted(f"Segment {row['friendly_id']}", uses, accepted)
        exports = await work.all("exports.leave_source", segment=row["ref"])
        for export in exports:
            before = {**export, "segment_ref": row["ref"]}
            await audit.record(work, EXPORT, "change", before, export)
        await SEGMENTS.delete(work, row)


async def lock_against_deletion(work: Work, segment: UUID | str) -> UUID | None:
    """Lock a segment against deletion until the transaction ends; returns its ref, or None if there
    is no such segment."""
    row = await work.one("segments.hold", **SEGMENTS.keys(segment))
    return row["ref"] if row else None


async def start(work: Work, segment: UUID | str) -> Record:
    """Publish a segment: it becomes Live in the background; on failure its status is restored."""
    async with work.transaction():
        row = await SEGMENTS.fetch_locked(work, segment)
        moved = await _set_status(work, row, PUBLISHING, previous_status=row["status"])
        await audit.record(work, SEGMENT, "start", row, moved)
        await background.defer(work, PUBLISH, segment=str(row["ref"]))
        return moved


async def pause(work: Work, segment: UUID | str) -> Record:
    """Pause a segment: it is no longer calculated, and its stored members are deleted."""
    async with work.transaction():
        row = await SEGMENTS.fetch_locked(work, segment)
        moved = await _set_status(work, row, PAUSED)
        await audit.record(work, SEGMENT, "pause", row, moved)
        await work.run("segments.forget_members", segment=row["ref"])
        return moved


async def finish_publishing(work: Work, segment: UUID, *, is_successful: bool) -> Record:
    """Finish publishing: set Scheduled and then Live, or restore the previous status (1.1)."""
    async with work.transaction():
        row = await SEGMENTS.fetch_locked(work, segment)
        if row["status"] != PUBLISHING:
            return row
        if not is_successful:
            return await _set_status(work, row, row["previous_status"] or DRAFT)
        return await _set_status(work, await _set_status(work, row, SCHEDULED), LIVE)


async def revisions(work: Work, segment: UUID | str) -> list[Record]:
    """List the revisions of a segment, newest first."""
    row = await fetch(work, segment)
    return await work.all("segments.revisions", ref=row["ref"])


async def restore(
    work: Work, segment: UUID | str, revision: int, expected: Expected | None = None
) -> Record:
    """Make an earlier revision the newest one: its name and its definition; 409 while it is Live.

    Raises `Unknown` if there is no such revision, `Invalid` if its definition is invalid today.
    """
    for each in await revisions(work, segment):
        if each["revision"] == revision:
            body = {"name": each["name"], "definition": each["definition"]}
            return await change(work, segment, body, expected)
    raise Unknown("Segment revision", str(revision))


async def duplicate(work: Work, segment: UUID | str, name: str = "") -> Record:
    """Create a Draft with the definition and tags of a segment; `name`: by default `Copy of …`."""
    row = await fetch(work, segment)
    name = name or f"Copy of {row['name']}"[:NAME_LENGTH]
    used = {each["friendly_id"] for each in await list_all(work)}
    free = friendly_id(name)
    number = 2
    while free in used:
        free, number = f"{friendly_id(name)}_{number}", number + 1
    members = {"name": name, camel("friendly_id"): free, "tags": row["tags"]}
    return await create(work, members | {"definition": row["definition"]})


async def of_guest(work: Work, guest: UUID) -> list[Record]:
    """List the Live segments that store a guest as member: ref, friendly_id, name, since."""
    return await work.all("segments.of_guest", guest=guest)


async def explain(work: Work, segment: UUID | str, guest: UUID) -> Verdict:
    """Explain whether a guest is in a segment now; raises `Unknown`, `Conflict` for SQL."""
    row = await fetch(work, segment)
    return await segment_questions.explain_definition(work, row["definition"], guest)


async def _read_columns(
    work: Work, values: Mapping[str, Any], early_problems: Sequence[Problem], stored: Any = None
) -> dict[str, Any]:
    """Return the columns of a segment with the members `values`.

    Raises `Invalid` with `early_problems` and every other problem.
    """
    problems = [*early_problems, *web_address_problems(work, "webhook", values.get("webhook"))]
    await traits.lock_against_deletion(work)
    if "definition" in values:
        try:
            await segment_questions.check_definition(work, values["definition"], stored)
        except Invalid as invalid:
            problems += invalid.problems
    if problems:
        raise Invalid(*problems)
    return {
        "name": values["name"].strip(),
        "friendly_id": values["friendly_id"] or friendly_id(values["name"]),
        "tags": values["tags"] or [],
        "definition": Json(values["definition"]),
        "webhook": values["webhook"] or None,
        "webhook_secret": stored_secrets.new_webhook_secret(work) if values["webhook"] else None,
    }


def read_changes(
    request: type[Payload], body: Mapping[str, Any], row: Record, problems: list[Problem]
) -> dict[str, Any]:
    """Return the members of a stored record after the changes in `body`; adds to `problems`.

    The friendly id cannot be changed.
    """
    changes = read_members(request, body, problems)
    if changes.get("friendly_id") not in (None, ABSENT, row["friendly_id"]):
        problems.append(field_problem("friendly_id", "cannot be changed"))
    stored = {member.name: row.get(member.name) for member in members_of(request)}
    return {**stored, **present(changes)}


def friendly_id(name: str) -> str:
    """Make a friendly id from a name: lower-case letters, digits and underscores (2.2)."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or f"n_{uuid4().hex[:8]}"


def web_address_problems(work: Work, field: str, url: str | Absent | None) -> list[Problem]:
    """Return the problems of a URL that messages are to be sent to."""
    if not isinstance(url, str):
        return []
    try:
        check_url(work.settings, url)
    except BadAddress as error:
        return [Problem(field, str(error))]
    return []


async def _set_status(
    work: Work, row: Record, status: str, previous_status: str | None = None
) -> Record:
    """Set the status of a locked segment; raises `Conflict` if the transition is not allowed."""
    if status not in NEXT[row["status"]]:
        raise Conflict(f"A segment that is {row['status']} cannot become {status}.")
    moved = await work.one(
        "segments.set_status", ref=row["ref"], status=status, previous_status=previous_status
    )
    return moved or SEGMENTS.unknown(row["ref"])
