"""Computed traits: define them and compute them for one guest."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from innkeeper import clock
from innkeeper.actions.admin import audit, background
from innkeeper.actions.audiences import usage
from innkeeper.actions.audiences.event_names import find_unknown_events
from innkeeper.errors import Conflict, Invalid, Outdated, Problem, Unknown, existing
from innkeeper.lake.guest_rows import guest_rows
from innkeeper.lake.snapshot import opened
from innkeeper.resources.base import Record
from innkeeper.resources.segments import LIVE
from innkeeper.rules import segment_reading
from innkeeper.rules import traits as rules
from innkeeper.rules.audited import TRAIT
from innkeeper.rules.segment_groups import FIRST_GROUP, definition_of
from innkeeper.rules.segment_matching import GuestRows, rows_that_meet
from innkeeper.rules.traits import BUILTIN, IN_CURRENCY, Traits
from innkeeper.rules.versions import Expected, expect
from innkeeper.store.work import Json, Work

RECALCULATE: Final = "segments.recalculate"
"""The name of the task that recalculates a Live segment for all guests."""


async def list_current(work: Work) -> Traits:
    """Return every built-in and defined trait, with relative dates as of now."""
    now = clock.now()
    own = {
        row["name"]: rules.as_of(rules.read(row["name"], row["definition"]), now)
        for row in await work.all("traits.list")
    }
    return Traits(own)


async def list_all(work: Work) -> list[Record]:
    """List the built-in traits, then the traits defined in this workspace."""
    built = [
        {"name": trait.name, "type": trait.type, "doc": trait.doc, "builtin": True}
        for trait in BUILTIN.values()
    ]
    built += [
        {"name": f"{trait.name}.EUR", "type": trait.type, "doc": trait.doc, "builtin": True}
        for trait in IN_CURRENCY.values()
    ]
    own = []
    for row in await work.all("traits.list"):
        trait = rules.read(row["name"], row["definition"])
        own.append({**row, "type": trait.type, "builtin": False})
    return built + own


async def fetch(work: Work, name: str) -> Record:
    """Fetch one trait as `list_all` does, built-in ones in any currency; raises `Unknown`."""
    for row in await work.all("traits.list"):
        if row["name"] == name:
            trait = rules.read(name, row["definition"])
            return {**row, "type": trait.type, "doc": "", "builtin": False}
    every = rules.Traits()
    if name not in every:
        raise Unknown("Trait", name)
    trait = every.trait(name)
    return {"name": name, "type": trait.type, "doc": trait.doc, "builtin": True}


async def put(
    work: Work,
    name: str,
    body: Mapping[str, Any],
    expected: Expected | None = None,
    *,
    only_new: bool = False,
    problems: Sequence[Problem] = (),
) -> Record:
    """Create or replace a trait; Live segments that use it are recalculated in the background.

    Raises `Invalid` with `problems` and all others; `Conflict` if a segment or an export would
    become invalid, or `only_new` is set and the trait exists; `Outdated` for another version.
    """
    unknown = await find_unknown_events(work, definition_of(body))
    problems = [*problems, *(each.moved(FIRST_GROUP, "") for each in unknown)]
    try:
        trait = rules.read(name, body)
    except Invalid as invalid:
        problems += invalid.problems
    if problems:
        raise Invalid(*problems)
    async with work.transaction():
        stored = await work.one("traits.lock", name=name)
        if only_new and stored is not None:
            raise Conflict(f"Trait {name} already exists.")
        if expected is not None and stored is None:
            raise Outdated(None)
        if stored is not None:
            expect(expected, stored)
        row = await work.row("traits.put", name=name, definition=Json(dict(body)))
        await audit.record(work, TRAIT, "change" if stored else "create", stored, row)
        every = await list_current(work)
        for segment in await work.all("segments.list"):
            if name not in usage.traits_in_definition(segment["definition"]):
                continue
            _check_readable(f"Segment {segment['friendly_id']}", segment["definition"], every)
            if segment["status"] == LIVE:
                await background.defer(work, RECALCULATE, segment=str(segment["ref"]))
        for export in await work.all("exports.list"):
            if name in usage.traits_in_definition(export["shape"].get("filter") or {}):
                _check_readable(
                    f"Audience export {export['friendly_id']}", export["shape"]["filter"], every
                )
    return {**row, "type": trait.type, "builtin": False}


async def delete(work: Work, name: str, expected: Expected | None = None) -> None:
    """Delete a trait; raises `Unknown`, and `InUse` while segments or exports use it."""
    async with work.transaction():
        stored = existing(await work.one("traits.lock", name=name), "Trait", name)
        expect(expected, stored)
        usage.refuse_unless_accepted(f"Trait {name}", await usage.of_trait(work, name), "")
        await work.run("traits.delete", name=name)
        await audit.record(work, TRAIT, "delete", stored, None)


async def lock_against_deletion(work: Work) -> None:
    """Lock all traits against deletion until the transaction ends: a definition may use them."""
    await work.all("traits.hold")


async def compute_for_guest(
    work: Work,
    guest: UUID,
    every: Traits | None = None,
    *,
    include_relative: bool = True,
    entity: str = "",
) -> dict[str, Any]:
    """Compute every trait of a guest as of now, in each currency of its orders; raises `Unknown`.

    `every`: the current traits, where the caller has them.

    `include_relative`: also compute the traits that depend on all guests, which needs a query of
    the lake; without it they are None. `entity`: compute those of this entity alone.
    """
    rows = await guest_rows(work, guest, {entity} if entity else None)
    if rows is None:
        raise Unknown("Guest", guest)
    if every is None:
        every = await list_current(work)
    codes = sorted({str(row["core_currency_code"]) for row in rows.of("orders")})
    names = [*every, *(f"{name}.{code}" for name in IN_CURRENCY for code in codes)]
    existing = [
        name for name in names if name in every and entity in ("", every.trait(name).entity.name)
    ]
    return await compute_from_rows(work, every, existing, rows, include_relative=include_relative)


async def compute_from_rows(
    work: Work,
    every: Traits,
    names: Iterable[str],
    guest: GuestRows,
    *,
    include_relative: bool = True,
) -> dict[str, Any]:
    """Compute traits, by name, from the rows of a guest; relative ones are read from the lake."""
    values = {
        name: None if trait.relative else rules.computed(trait, rows_that_meet(trait.group, guest))
        for name, trait in ((name, every.trait(name)) for name in names)
    }
    relative = [name for name in values if every.trait(name).relative]
    # A guest without purchases has no rank among buyers: no query is needed.
    if (
        include_relative
        and relative
        and rules.computed(every.trait(rules.ORDER_COUNT), guest.of("orders"))
    ):
        values |= await _compute_relative(work, every, relative, guest.row["guest_ref"])
    return values


async def _compute_relative(
    work: Work, every: Traits, names: Iterable[str], guest: str
) -> dict[str, Any]:
    """Read the traits of a guest that depend on all guests from the lake, by name."""
    from sqlglot import exp  # noqa: PLC0415 - slow to import

    from innkeeper.lake.trait_sql import trait_values  # noqa: PLC0415

    by_name = {}
    async with opened(work) as lake:
        for name in names:
            values = exp.select("value").from_(trait_values(every.trait(name)).subquery("v"))
            rows = await lake.rows(values.where(exp.column("guest_ref").eq(guest)))
            by_name[name] = rows[0][0] if rows else None
    return by_name


def _check_readable(user: str, definition: Mapping[str, Any], every: Traits) -> None:
    """Raise `Conflict` if a changed trait makes the definition of `user` invalid."""
    try:
        segment_reading.read(definition, every)
    except Invalid as invalid:
        raise Conflict(f"{user} would become invalid: {invalid.message}") from None
