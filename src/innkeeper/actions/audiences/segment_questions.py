"""Check, preview and explain definitions of segments, which need not be stored."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from innkeeper import clock
from innkeeper.actions.audiences import traits
from innkeeper.actions.audiences.event_names import find_unknown_events
from innkeeper.errors import Conflict, Invalid, Problem, existing
from innkeeper.lake import engines, sql_process
from innkeeper.lake.guest_rows import guest_rows
from innkeeper.lake.snapshot import opened
from innkeeper.resources.base import Record
from innkeeper.resources.segments import STATIC_LIST
from innkeeper.rules import segment_reading
from innkeeper.rules import segments as rules
from innkeeper.rules.segment_groups import groups_in
from innkeeper.rules.segment_matching import GuestRows, Verdict, matches
from innkeeper.rules.traits import Traits
from innkeeper.store.work import Work

if TYPE_CHECKING:
    from innkeeper.lake.segment_members import Question

SAMPLE: Final = 10
"""Guests that a preview lists."""


async def explain_definition(work: Work, body: Mapping[str, Any], guest: UUID) -> Verdict:
    """Explain whether a guest matches a definition, which need not be stored.

    Raises `Invalid`, `Unknown`, and `Conflict` for SQL.
    """
    every = await traits.list_current(work)
    definition = segment_reading.read(body, every)
    if definition.sql is not None:
        raise Conflict("A segment written in SQL has no rules to explain.")
    rows = existing(await guest_rows(work, guest), "Guest", guest)
    values = await traits.compute_from_rows(work, every, rules.traits_in(definition), rows)
    person = GuestRows(rows.row, rows.tables, values)
    return matches(rules.resolved(definition, clock.now()), person)


async def preview(
    work: Work, definition: Mapping[str, Any], problems: Sequence[Problem] = ()
) -> Record:
    """Count the guests that match a definition: {size, total, sample}.

    Raises `Invalid` with `problems` and every other problem.
    """
    from innkeeper.lake.segment_members import count_members  # noqa: PLC0415 - loads SQLGlot

    problems = [*problems]
    question = await read_question(work, definition, await traits.list_current(work), problems)
    if question is None or problems:
        raise Invalid(*problems)
    async with opened(work, engines.answering(work.settings, definition)) as lake:
        size, sample = await count_members(lake, question, SAMPLE)
        total = await count_guests(work)
    return {"size": size, "total": total, "sample": sample}


async def read_question(
    work: Work,
    definition: Mapping[str, Any],
    every: Traits,
    problems: list[Problem],
    stored: Mapping[str, Any] | None = None,
) -> "Question | None":
    """Read a definition that need not be stored; adds to `problems`, and returns None for any.

    The SQL of a definition that is `stored` is not checked again.
    """
    from innkeeper.lake.segment_members import Question  # noqa: PLC0415 - loads SQLGlot

    problems += await find_unknown_events(work, definition)
    try:
        question = Question.of(definition, every)
        if question.definition.sql is not None and definition is not stored:
            await sql_process.check_sql(question.definition.sql)
        problems += await _find_unknown_lists(work, definition)
    except Invalid as invalid:
        problems += invalid.problems
        return None
    return question


async def count_guests(work: Work) -> int:
    """Return the number of live guests, which the store maintains: rows are not counted."""
    return int((await work.row("guests.count_all"))["total"])


async def check_sql_early(definition: Any) -> None:
    """Check the SQL of a definition before a connection is used; `check_definition` raises the
    problems."""
    if isinstance(definition, Mapping):
        await sql_process.check_early(definition.get("sql"))


async def check_definition(work: Work, definition: Any, stored: Any = None) -> None:
    """Raise `Invalid` for an invalid definition; the SQL of `stored` is not checked again."""
    if not isinstance(definition, Mapping):
        raise Invalid(Problem("definition", "must be an object"))
    read = segment_reading.read(definition, await traits.list_current(work))
    if read.sql is not None and definition != stored:
        await sql_process.check_sql(read.sql)
    if unknown := await _find_unknown_lists(work, definition):
        raise Invalid(*unknown)


async def _find_unknown_lists(work: Work, definition: Mapping[str, Any]) -> list[Problem]:
    """Return a problem for each static list in a valid definition that does not exist, and lock the
    others against deletion until the transaction ends."""
    names = [
        (f"{path}.rules[{index}].field", str(rule.get("field")))
        for path, group in groups_in(definition, "definition")
        for index, rule in enumerate(group.get("rules") or ())
        if rule.get("location") == STATIC_LIST
    ]
    if not names:
        return []
    rows = await work.all("static_lists.hold_all", names=[name for _, name in names])
    stored = {row["friendly_id"] for row in rows}
    return [Problem(at, f"there is no list {name}") for at, name in names if name not in stored]
