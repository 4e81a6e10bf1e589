"""Identity rules and guards: list, add, reorder, delete, replace; list guarded evidence."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID, uuid4

from innkeeper.actions.admin import audit, background
from innkeeper.actions.identity import rulebook
from innkeeper.actions.paging import Page, PageRequest, read_page
from innkeeper.errors import Conflict, Invalid, Problem, Unknown, existing
from innkeeper.resources.base import Changes, Record
from innkeeper.resources.naming import field_problem
from innkeeper.rules import placeholders
from innkeeper.rules.audited import IDENTITY_GUARDS, IDENTITY_RULES
from innkeeper.rules.identity_rules import IdentityRule, IdentityRules
from innkeeper.rules.versions import Expected
from innkeeper.store.work import Json, Work

TASK: Final = "identity.run"
"""The background task that applies rule changes to the existing guests."""
SINGULAR: Final = "Identity rule"


async def list_rules(work: Work) -> list[IdentityRule]:
    """List the rules in the order in which they are tried."""
    return list((await rulebook.read(work)).rules)


async def add_rule(work: Work, rule: IdentityRule) -> IdentityRule:
    """Add a rule, tried last; raises `Conflict` if the name is in use.

    Existing guests match it once they are indexed. They are not merged: see `apply_rules`.
    """
    async with work.transaction():
        stored = await lock_rules(work)
        if any(other.name == rule.name for other in stored):
            raise Conflict(f"Identity rule {rule.name} already exists.")
        await store_rules(work, stored, [*stored, rule], merging=False, verb="add")
    return rule


async def delete_rule(work: Work, name: str) -> None:
    """Delete a rule; raises `Unknown`. Merges by it stay in force until they are undone."""
    async with work.transaction():
        stored = await lock_rules(work)
        remaining = [rule for rule in stored if rule.name != name]
        if len(remaining) == len(stored):
            raise Unknown(SINGULAR, name)
        await store_rules(work, stored, remaining, merging=False, verb="delete")


async def reorder_rules(
    work: Work,
    names: Sequence[str],
    expected: Expected | None = None,
    problems: Sequence[Problem] = (),
) -> list[IdentityRule]:
    """Put the rules into another order.

    Raises `Invalid` with the caller's `problems`, and if `names` is not every rule exactly once.
    """
    async with work.transaction():
        stored = await lock_rules(work, expected)
        named = {rule.name: rule for rule in stored}
        if sorted(names) != sorted(named):
            problems = [*problems, Problem("rules", "must name every identity rule once")]
        if problems:
            raise Invalid(*problems)
        ordered = [named[name] for name in names]
        await store_rules(work, stored, ordered, merging=False, verb="reorder")
    return ordered


async def read_rules(work: Work) -> IdentityRules:
    """Read rules and guards in force, with the version that changes with either."""
    return await rulebook.read(work)


async def replace_rules(
    work: Work, new_rules: Sequence[IdentityRule], expected: Expected | None = None
) -> list[IdentityRule]:
    """Replace the list of rules; existing guests match the new rules but are not merged."""
    async with work.transaction():
        stored = await lock_rules(work, expected)
        await store_rules(work, stored, new_rules, merging=False, verb="save")
    return list(new_rules)


async def apply_rules(
    work: Work, new_rules: Sequence[IdentityRule] | None = None, expected: Expected | None = None
) -> Record:
    """Put `new_rules` in force (None: keep the stored rules) and merge existing guests by them.

    The rules are in force at once. A job indexes and merges the guests; it is returned.
    """
    async with work.transaction():
        stored = await lock_rules(work, expected)
        new_rules = stored if new_rules is None else new_rules
        return await store_rules(work, stored, new_rules, merging=True, verb="apply")


async def fetch_guards(work: Work) -> Record:
    """Return the guards: `group_limit`, `region` and the values that `never` identify."""
    return represent_guards(await rulebook.read(work))


def represent_guards(book: IdentityRules) -> Record:
    """Return the guards of `book` as callers see them."""
    return {"group_limit": book.group_limit, "region": book.region, "never": sorted(book.never)}


async def set_guards(
    work: Work, changes: Changes, expected: Expected | None = None, problems: Sequence[Problem] = ()
) -> Record:
    """Change some of the guards' settings and return all; None restores a default.

    `never` is the whole list; `add_never` and `remove_never` change the list in force. Raises
    `Invalid` with the caller's `problems`, and if the list becomes too long.
    """
    async with work.transaction():
        await lock_rules(work, expected)
        before = represent_guards(await rulebook.read(work))
        requested = before | changes
        limit = 100 if requested["group_limit"] is None else requested["group_limit"]
        built_in = {*placeholders.PLACEHOLDERS}
        never = _never(requested, built_in)
        if len(never) > placeholders.MOST:
            reason = f"a maximum of {placeholders.MOST} values is allowed"
            problems = [*problems, Problem("never", reason)]
        if problems:
            raise Invalid(*problems)
        await work.run(
            "identity.set_guards",
            group_limit=limit,
            region=requested["region"],
            placeholders_added=sorted(never - built_in),
            placeholders_removed=sorted(built_in - never),
        )
        await _renew_version(work)
        after = represent_guards(await rulebook.read(work))
        await _record_guards(work, before, after)
        return after


async def _record_guards(work: Work, before: Record, after: Record) -> None:
    """Write a guard change to the audit log; of `never`, only the values removed and added."""
    old, new = {*before["never"]}, {*after["never"]}
    await audit.record(
        *(work, IDENTITY_GUARDS, "save"),
        {**before, "of": work.workspace, "never": sorted(old - new)},
        {**after, "of": work.workspace, "never": sorted(new - old)},
    )


def _never(requested: Changes, built_in: set[str]) -> set[str]:
    """Return the requested `never` list in its comparable form."""

    def plain(name: str) -> set[str]:
        return {placeholders.plain(value) for value in requested.get(name) or ()} - {""}

    never = built_in if requested["never"] is None else plain("never")
    return (never | plain("add_never")) - plain("remove_never")


async def list_guarded(work: Work, page_request: PageRequest) -> Page:
    """Return a page of evidence that guards blocked, newest first, each with its reason."""
    return await read_page(work, "identity.guarded", page_request)


async def fetch_job(work: Work, ref: UUID) -> Record:
    """Return a rule change's job: state, done of total guests, merged; raises `Unknown`."""
    return existing(await work.one("identity.job", ref=ref), "Identity job", ref)


async def list_jobs(work: Work, page_request: PageRequest) -> Page:
    """Return a page of the jobs of rule changes, newest first."""
    return await read_page(work, "identity.jobs", page_request, total="total_jobs")


async def lock_rules(work: Work, expected: Expected | None = None) -> tuple[IdentityRule, ...]:
    """Lock the rules until the transaction ends and return them; raises `Outdated`."""
    await work.all("identity.lock_rules")
    book = await rulebook.read(work)
    if expected is not None:
        expected.check(str(book.version))
    return book.rules


async def store_rules(
    work: Work,
    stored: Sequence[IdentityRule],
    new_rules: Sequence[IdentityRule],
    *,
    merging: bool,
    verb: str,
    undoes: UUID | None = None,
) -> Record:
    """Replace the `stored` rules by `new_rules`, and return the job that applies them to guests.

    The job indexes the existing guests and, if `merging`, merges them. `verb` names the change in
    the audit log. Raises `Invalid` if two rules share a name.
    """
    names = [rule.name for rule in new_rules]
    if len(set(names)) < len(names):
        raise Invalid(field_problem("identity_rule", "must be unique"))
    before, after = stored_rows(stored), stored_rows(new_rules)
    await work.run("identity.delete_rules")
    await work.run("identity.set_rules", rules=Json(after))
    await _renew_version(work)
    row = await create_job(work, merging=merging, undoes=undoes, before=before, after=after)
    states = (
        {"of": work.workspace, "rules": [str(rule) for rule in each]}
        for each in (stored, new_rules)
    )
    await audit.record(work, IDENTITY_RULES, verb, *states)
    return row


def stored_rows(rules: Sequence[IdentityRule]) -> list[Record]:
    """Return rules as the database stores them."""
    return [
        {"name": rule.name, "conditions": [one.stored() for one in rule.conditions]}
        for rule in rules
    ]


async def create_job(
    work: Work,
    *,
    merging: bool = False,
    undoes: UUID | None = None,
    before: Sequence[Record] | None = None,
    after: Sequence[Record] | None = None,
) -> Record:
    """Create and queue a job that indexes guests by changed rules (`before` → `after`), and merges
    them or undoes an application."""
    row = await work.row(
        "identity.create_job",
        ref=uuid4(),
        merging=merging,
        undoes=undoes,
        before=None if before is None else Json(before),
        after=None if after is None else Json(after),
    )
    await background.defer(work, TASK, lock=lock_of_jobs(work))
    return row


def lock_of_jobs(work: Work) -> str:
    """Return the name of the lock by which the jobs of a workspace run one after the other."""
    return f"{TASK}:{work.workspace}"


async def _renew_version(work: Work) -> None:
    """Change the version of rules and guards, which makes every cached copy out of date."""
    await work.run("identity.renew_version")
