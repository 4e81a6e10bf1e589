"""Identity rules and guards: list, add, reorder, delete, replace; what guards stopped."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID, uuid4

from innkeeper import clock
from innkeeper.actions.admin import audit, background
from innkeeper.actions.identity import rulebook
from innkeeper.actions.paging import Page, PageRequest
from innkeeper.errors import Conflict, Invalid, Problem, Unknown
from innkeeper.resources.base import Changes, Record
from innkeeper.resources.codes import COUNTRIES
from innkeeper.resources.values import NOT_VALID
from innkeeper.rules import placeholders
from innkeeper.rules.audited import IDENTITY_GUARDS, IDENTITY_RULES
from innkeeper.rules.identity_rules import IdentityRule, IdentityRules
from innkeeper.rules.versions import Expected
from innkeeper.store.work import Json, Work

TASK: Final = "identity.run"
"""The background task that carries rule changes through the existing guests."""
SINGULAR: Final = "Identity rule"


async def list_rules(work: Work) -> list[IdentityRule]:
    """The rules in the order in which they are tried."""
    return list((await rulebook.read(work)).rules)


async def add_rule(work: Work, rule: IdentityRule) -> IdentityRule:
    """One more rule, tried last; raises `Conflict` for a name that is taken.

    Existing guests are found by it, as soon as they are indexed, but not merged: see `apply`.
    """
    async with work.transaction():
        known = await _locked(work)
        if any(other.name == rule.name for other in known):
            raise Conflict(f"Identity rule {rule.name} already exists.")
        await _store(work, known, [*known, rule], merging=False, verb="add")
    return rule


async def delete_rule(work: Work, name: str) -> None:
    """One rule less; raises `Unknown`. Merges that it made stand until they are undone."""
    async with work.transaction():
        known = await _locked(work)
        left = [rule for rule in known if rule.name != name]
        if len(left) == len(known):
            raise Unknown(SINGULAR, name)
        await _store(work, known, left, merging=False, verb="delete")


async def reorder_rules(
    work: Work,
    names: Sequence[str],
    expected: Expected | None = None,
    problems: Sequence[Problem] = (),
) -> list[IdentityRule]:
    """The same rules in another order; raises `Invalid` with `problems`, and unless each is named
    once."""
    async with work.transaction():
        known = await _locked(work, expected)
        named = {rule.name: rule for rule in known}
        if sorted(names) != sorted(named):
            problems = [*problems, Problem("rules", "must name every identity rule once")]
        if problems:
            raise Invalid(*problems)
        ordered = [named[name] for name in names]
        await _store(work, known, ordered, merging=False, verb="reorder")
    return ordered


async def read_rules(work: Work) -> IdentityRules:
    """Rules and guards as they are now, with the version that changes with either."""
    return await rulebook.read(work)


async def replace_rules(
    work: Work, new_rules: Sequence[IdentityRule], expected: Expected | None = None
) -> list[IdentityRule]:
    """Another list of rules; existing guests are found by them but not merged."""
    async with work.transaction():
        known = await _locked(work, expected)
        await _store(work, known, new_rules, merging=False, verb="save")
    return list(new_rules)


async def apply_rules(
    work: Work, new_rules: Sequence[IdentityRule] | None = None, expected: Expected | None = None
) -> Record:
    """Put rules in force, or keep those there are, and merge existing guests by them.

    The rules decide at once; the guests are indexed and merged by a job, which is returned.
    """
    async with work.transaction():
        known = await _locked(work, expected)
        new_rules = known if new_rules is None else new_rules
        return await _store(work, known, new_rules, merging=True, verb="apply")


async def fetch_guards(work: Work) -> Record:
    """`group_limit`, `region` and the values that `never` identify."""
    return represent_guards(await rulebook.read(work))


def represent_guards(book: IdentityRules) -> Record:
    """What guards go by, as callers see it."""
    return {"group_limit": book.group_limit, "region": book.region, "never": sorted(book.never)}


async def set_guards(
    work: Work,
    changes: Changes,
    expected: Expected | None = None,
    problems: Sequence[Problem] = (),
) -> Record:
    """Change some of what guards go by; null restores a default. Raises `Invalid` with `problems`
    and all others.

    `never` is the whole list; `add_never` and `remove_never` change the one in force.
    """
    async with work.transaction():
        await _locked(work, expected)
        before = represent_guards(await rulebook.read(work))
        wanted = before | changes
        limit = 100 if wanted["group_limit"] is None else wanted["group_limit"]
        region = wanted["region"]
        problems = [*problems]
        if region is not None and region.upper() not in COUNTRIES:
            problems.append(Problem("region", NOT_VALID))
        built_in = {*placeholders.PLACEHOLDERS}
        never = _never(wanted, built_in, problems)
        if problems:
            raise Invalid(*problems)
        await work.run(
            "identity.set_guards",
            group_limit=limit,
            region=region,
            never_added=sorted(never - built_in),
            never_removed=sorted(built_in - never),
        )
        await _changed(work)
        after = represent_guards(await rulebook.read(work))
        await _record_guards(work, before, after)
        return after


async def _record_guards(work: Work, before: Record, after: Record) -> None:
    """Of the values that never identify, those that were taken off the list and added to it."""
    old, new = {*before["never"]}, {*after["never"]}
    await audit.record(
        *(work, IDENTITY_GUARDS, "save"),
        {**before, "of": work.workspace, "never": sorted(old - new)},
        {**after, "of": work.workspace, "never": sorted(new - old)},
    )


def _never(wanted: Changes, built_in: set[str], problems: list[Problem]) -> set[str]:
    """The list that is wanted, as it compares; what is wrong with it is noted."""

    def plain(name: str) -> set[str]:
        values = wanted.get(name) or ()
        if any(len(value) > placeholders.LONGEST for value in values):
            reason = f"size must be between 0 and {placeholders.LONGEST}"
            problems.append(Problem(_SPELT[name], reason))
            return set()
        return {placeholders.plain(value) for value in values} - {""}

    never = built_in if wanted["never"] is None else plain("never")
    never = (never | plain("add_never")) - plain("remove_never")
    if len(never) > placeholders.MOST:
        reason = f"a maximum of {placeholders.MOST} values is allowed"
        problems.append(Problem(_SPELT["never"], reason))
    return never


_SPELT: Final = {"never": "never", "add_never": "addNever", "remove_never": "removeNever"}


async def list_guarded(work: Work, page_request: PageRequest) -> Page:
    """A page of what guards kept from identifying, newest first, each with its reason."""
    rows = await work.all("identity.guarded", limit=page_request.limit, offset=page_request.offset)
    return Page(rows, rows[0]["total"] if rows else 0)


async def fetch_job(work: Work, ref: UUID) -> Record:
    """How far a rule change is: state, done of total guests, merged; raises `Unknown`."""
    row = await work.one("identity.job", ref=ref)
    if row is None:
        raise Unknown("Identity job", ref)
    return row


async def list_jobs(work: Work, page_request: PageRequest) -> Page:
    """A page of rule changes, newest first."""
    rows = await work.all("identity.jobs", limit=page_request.limit, offset=page_request.offset)
    return Page(rows, rows[0]["total_jobs"] if rows else 0)


async def _locked(work: Work, expected: Expected | None = None) -> tuple[IdentityRule, ...]:
    """The rules, which nobody else changes until the transaction ends; raises `Outdated`."""
    await work.all("identity.one_at_a_time")
    book = await rulebook.read(work)
    if expected is not None:
        expected.check(str(book.version))
    return book.rules


async def _store(
    work: Work,
    known: Sequence[IdentityRule],
    wanted: Sequence[IdentityRule],
    *,
    merging: bool,
    verb: str,
) -> Record:
    """Replace the rules `known` so far, and have existing guests indexed by the wanted ones; the
    job that does it. `verb` says in the audit log how they were changed."""
    names = [rule.name for rule in wanted]
    if len(set(names)) < len(names):
        raise Invalid(Problem("identityRule", "must be unique"))
    stored = [
        {"name": rule.name, "conditions": [one.stored() for one in rule.conditions]}
        for rule in wanted
    ]
    await work.run("identity.clear_rules")
    await work.run("identity.set_rules", rules=Json(stored))
    await _changed(work)
    row = await work.one(
        "identity.create_job",
        ref=uuid4(),
        merging=merging,
        actor=work.actor,
        now=clock.now(),
    )
    await background.defer(work, TASK, lock=lock_of_jobs(work))
    states = (
        {"of": work.workspace, "rules": [str(rule) for rule in each]} for each in (known, wanted)
    )
    await audit.record(work, IDENTITY_RULES, verb, *states)
    assert row is not None  # noqa: S101 - an INSERT … RETURNING has a row
    return row


def lock_of_jobs(work: Work) -> str:
    """Changes of rules are carried through one after the other."""
    return f"{TASK}:{work.workspace}"


async def _changed(work: Work) -> None:
    await work.run("identity.changed")
