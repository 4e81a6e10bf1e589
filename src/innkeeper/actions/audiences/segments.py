"""Segments: define, publish, pause, ask who is in them and why (segmentation-and-export.md 1)."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID, uuid4

from innkeeper import clock
from innkeeper.actions.admin import audit, background, stored_secrets
from innkeeper.actions.audiences import traits, usage
from innkeeper.actions.audiences.event_names import find_unknown_events
from innkeeper.errors import Conflict, Invalid, Problem, Unknown
from innkeeper.lake import engines, sql_process
from innkeeper.lake.guest_rows import guest_rows
from innkeeper.lake.snapshot import opened
from innkeeper.resources.base import Record
from innkeeper.resources.segments import (
    DRAFT,
    EDITABLE,
    LIVE,
    NEXT,
    PAUSED,
    PUBLISHING,
    SCHEDULED,
)
from innkeeper.rules import segment_reading
from innkeeper.rules import segments as rules
from innkeeper.rules.audited import EXPORT, SEGMENT
from innkeeper.rules.segment_matching import GuestRows, Verdict, matches
from innkeeper.rules.versions import Expected, expect
from innkeeper.store.outbound_http import BadAddress, check_url
from innkeeper.store.work import Json, Work

SINGULAR: Final = "Segment"
PUBLISH: Final = "segments.publish"
"""The task that makes a segment Live."""
SAMPLE: Final = 10
LONGEST_NAME: Final = 128
MOST_TAGS: Final = 50
FRIENDLY: Final = re.compile(r"[a-z0-9_]{1,128}")


async def list_all(work: Work) -> list[Record]:
    """Every segment, newest first."""
    return await work.all("segments.list", parts=_COLUMNS)


async def fetch(work: Work, segment: UUID | str) -> Record:
    """One segment by ref or friendly id; raises `Unknown`."""
    ref = segment if isinstance(segment, UUID) else _ref_of(segment)
    row = await work.one("segments.fetch", parts=_COLUMNS, ref=ref, friendly_id=str(segment))
    return row or _unknown(segment)


async def create(work: Work, body: Mapping[str, Any], problems: Sequence[Problem] = ()) -> Record:
    """A new Draft; raises `Invalid` with `problems` and all others, and `Conflict` for a taken
    friendly id."""
    problems = [*problems, *await find_unknown_events(work, body.get("definition"))]
    async with work.transaction():
        fields = await _read_columns(work, body, problems)
        row = await work.one(
            "segments.create",
            parts=_COLUMNS,
            ref=uuid4(),
            status=DRAFT,
            actor=work.actor,
            now=clock.now(),
            **fields,
        )
        if row is None:
            raise Conflict(f"Segment {fields['friendly_id']} already exists.")
        await audit.record(work, SEGMENT, "create", None, row)
        return row


async def change(
    work: Work,
    segment: UUID | str,
    body: Mapping[str, Any],
    expected: Expected | None = None,
    problems: Sequence[Problem] = (),
) -> Record:
    """Another definition, name, tags or webhook; 409 while it is Live (1.1).

    Raises `Invalid` with `problems` and all others, and `Outdated` where the caller expects another
    version.
    """
    unknown = await find_unknown_events(work, body.get("definition"))
    async with work.transaction():
        row = await _fetch_locked(work, segment)
        expect(expected, row)
        if row["status"] not in EDITABLE:
            raise Conflict(f"A segment that is {row['status']} cannot be changed: pause it first.")
        if body.get("definition") != row["definition"]:
            problems = [*problems, *unknown]
        named = body.get("friendlyId")
        if named not in (None, row["friendly_id"]) and FRIENDLY.fullmatch(str(named)):
            problems = [*problems, Problem("friendlyId", "cannot be changed")]
        fields = await _read_columns(work, {**_body_of(row), **body}, problems, row["definition"])
        if fields.pop("friendly_id") != row["friendly_id"]:
            raise Invalid(Problem("friendlyId", "cannot be changed"))
        if fields["webhook"] == row["webhook"]:
            fields["webhook_secret"] = row["webhook_secret"]
        written = await work.one(
            "segments.rewrite",
            parts=_COLUMNS,
            ref=row["ref"],
            archived=body.get("archived", row["archived"]) is True,
            actor=work.actor,
            now=clock.now(),
            **fields,
        )
        written = written or _unknown(segment)
        await audit.record(work, SEGMENT, "change", row, written)
        return written


async def delete(
    work: Work, segment: UUID | str, *, accepted: str = "", expected: Expected | None = None
) -> None:
    """Remove a segment; 409 while it is Live, and `InUse` while others use it.

    `accepted`: the `usage.token_of` uses that whoever deletes it has seen. Exports among them stay
    without a source, with their files, until they are given another.
    """
    async with work.transaction():
        row = await _fetch_locked(work, segment, "segments.lock_whole")
        expect(expected, row)
        if row["status"] not in EDITABLE:
            raise Conflict(f"A segment that is {row['status']} cannot be deleted: pause it first.")
        uses = await usage.of_segment(work, row)
        usage.refuse_unless_accepted(f"Segment {row['friendly_id']}", uses, accepted)
        left = await work.all(
            "exports.leave_source", segment=row["ref"], actor=work.actor, now=clock.now()
        )
        for export in left:
            before = {**export, "segment_ref": row["ref"]}
            await audit.record(work, EXPORT, "change", before, export)
        await work.run("segments.delete", ref=row["ref"])
        await audit.record(work, SEGMENT, "delete", row, None)


async def lock_against_deletion(work: Work, segment: UUID | str) -> UUID | None:
    """The ref of a segment, kept from being deleted until the transaction ends; None without."""
    ref = segment if isinstance(segment, UUID) else _ref_of(segment)
    row = await work.one("segments.hold", ref=ref, friendly_id=str(segment))
    return row["ref"] if row else None


async def start(work: Work, segment: UUID | str) -> Record:
    """Publish: it becomes Live in the background; on an error it goes back to where it was."""
    async with work.transaction():
        row = await _fetch_locked(work, segment)
        moved = await _set_status(work, row, PUBLISHING, came_from=row["status"])
        await audit.record(work, SEGMENT, "start", row, moved)
        await background.defer(work, PUBLISH, segment=str(row["ref"]))
        return moved


async def pause(work: Work, segment: UUID | str) -> Record:
    """Stop calculating; nobody is stored as a member any more."""
    async with work.transaction():
        row = await _fetch_locked(work, segment)
        moved = await _set_status(work, row, PAUSED)
        await audit.record(work, SEGMENT, "pause", row, moved)
        await work.run("segments.forget_members", segment=row["ref"])
        return moved


async def finish_publishing(work: Work, segment: UUID, *, good: bool) -> Record:
    """The end of a publishing: Scheduled and then Live, or back (1.1)."""
    async with work.transaction():
        row = await _fetch_locked(work, segment)
        if row["status"] != PUBLISHING:
            return row
        if not good:
            return await _set_status(work, row, row["came_from"] or DRAFT)
        return await _set_status(work, await _set_status(work, row, SCHEDULED), LIVE)


async def revisions(work: Work, segment: UUID | str) -> list[Record]:
    """What a segment was, newest first."""
    row = await fetch(work, segment)
    return await work.all("segments.revisions", ref=row["ref"])


async def of_guest(work: Work, guest: UUID) -> list[Record]:
    """The Live segments a guest is stored as a member of: ref, friendly_id, name, since."""
    return await work.all("segments.of_guest", guest=guest)


async def explain(work: Work, segment: UUID | str, guest: UUID) -> Verdict:
    """Whether a guest is in a segment now, and why; raises `Unknown`, `Conflict` for SQL."""
    row = await fetch(work, segment)
    return await explain_definition(work, row["definition"], guest)


async def explain_definition(work: Work, body: Mapping[str, Any], guest: UUID) -> Verdict:
    """The same of a definition that need not be kept; raises `Invalid` as well."""
    known = await traits.list_current(work)
    definition = segment_reading.read(body, known)
    if definition.sql is not None:
        raise Conflict("A segment written in SQL has no rules to explain.")
    rows = await guest_rows(work, guest)
    if rows is None:
        raise Unknown("Guest", guest)
    values = await traits.compute_from_rows(work, known, rules.traits_in(definition), rows)
    person = GuestRows(rows.row, rows.tables, values)
    return matches(rules.resolved(definition, clock.now()), person)


async def preview(
    work: Work, definition: Mapping[str, Any], problems: Sequence[Problem] = ()
) -> Record:
    """How many guests a definition would hold, of how many, and some of them.

    Raises `Invalid` with `problems` and all others.
    """
    from innkeeper.lake.segment_members import (  # noqa: PLC0415 - loads SQLGlot
        Question,
        count_members,
    )

    problems = [*problems, *await find_unknown_events(work, definition)]
    try:
        question = Question.of(definition, await traits.list_current(work))
        if question.definition.sql is not None:
            await sql_process.check_sql(question.definition.sql)
    except Invalid as invalid:
        problems += invalid.problems
    if problems:
        raise Invalid(*problems)
    async with opened(work, engines.answering(work.settings, definition)) as lake:
        size, sample = await count_members(lake, question, SAMPLE)
        total = await count_guests(work)
    return {"size": size, "total": total, "sample": sample}


async def count_guests(work: Work) -> int:
    """All guests that segments choose from: kept by the store, so not counted."""
    row = await work.one("guests.count_all")
    return int(row["total"]) if row else 0


async def check_sql_early(definition: Any) -> None:
    """Check the SQL of a definition before a connection is taken; `check` raises what is wrong."""
    if isinstance(definition, Mapping):
        await sql_process.check_early(definition.get("sql"))


async def check_definition(work: Work, definition: Any, stored: Any = None) -> None:
    """Raises `Invalid` for a definition that could not be asked; `stored` has been checked."""
    if not isinstance(definition, Mapping):
        raise Invalid(Problem("definition", "must be an object"))
    read = segment_reading.read(definition, await traits.list_current(work))
    if read.sql is not None and definition != stored:
        await sql_process.check_sql(read.sql)


async def _read_columns(
    work: Work, body: Mapping[str, Any], found: Sequence[Problem], stored: Any = None
) -> dict[str, Any]:
    """The columns of a body; raises `Invalid` with the problems that were found and all others."""
    problems = [*found]
    name = body.get("name")
    if not isinstance(name, str) or not 0 < len(name.strip()) <= LONGEST_NAME:
        problems.append(Problem("name", f"size must be between 1 and {LONGEST_NAME}"))
        name = ""
    friendly = body.get("friendlyId") or friendly_id(name)
    if not isinstance(friendly, str) or not FRIENDLY.fullmatch(friendly):
        problems.append(Problem("friendlyId", "must be lower-case letters, digits and underscores"))
    tags = body.get("tags") or []
    good = isinstance(tags, list) and all(isinstance(tag, str) for tag in tags)
    if not good or len(tags) > MOST_TAGS:
        problems.append(Problem("tags", f"must be an array of at most {MOST_TAGS} strings"))
    webhook = body.get("webhook")
    if webhook is not None:
        problems += web_address_problems(work, "webhook", webhook)
    try:
        await traits.lock_against_deletion(work)
        await check_definition(work, body.get("definition"), stored)
    except Invalid as invalid:
        problems += invalid.problems
    if problems:
        raise Invalid(*problems)
    return {
        "name": name.strip(),
        "friendly_id": friendly,
        "tags": tags,
        "definition": Json(body["definition"]),
        "webhook": webhook,
        "webhook_secret": stored_secrets.new_webhook_secret(work) if webhook else None,
    }


def friendly_id(name: str) -> str:
    """A friendly id made of a name: lower-case letters, digits and underscores (2.2)."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or f"n_{uuid4().hex[:8]}"


def web_address_problems(work: Work, field: str, url: Any) -> list[Problem]:
    """What keeps messages from being sent to a web address."""
    try:
        check_url(work.settings, url)
    except BadAddress as error:
        return [Problem(field, str(error))]
    return []


def _body_of(row: Record) -> dict[str, Any]:
    return {
        "name": row["name"],
        "friendlyId": row["friendly_id"],
        "tags": row["tags"],
        "webhook": row["webhook"],
        "definition": row["definition"],
    }


async def _fetch_locked(work: Work, segment: UUID | str, lock: str = "segments.lock") -> Record:
    ref = (await fetch(work, segment))["ref"]
    return await work.one(lock, parts=_COLUMNS, ref=ref) or _unknown(segment)


async def _set_status(work: Work, row: Record, status: str, came_from: str | None = None) -> Record:
    if status not in NEXT[row["status"]]:
        raise Conflict(f"A segment that is {row['status']} cannot become {status}.")
    moved = await work.one(
        "segments.set_status",
        parts=_COLUMNS,
        ref=row["ref"],
        status=status,
        came_from=came_from,
        now=clock.now(),
    )
    return moved or _unknown(row["ref"])


def _ref_of(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _unknown(segment: UUID | str) -> Record:
    raise Unknown(SINGULAR, segment)


_COLUMNS: Final = {"columns": ("segments.columns",)}
