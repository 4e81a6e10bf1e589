"""Undo an application of identity rules as a whole: its merges, and the rules that it changed.

Each merge is undone exactly (see `merges.undo`), so earlier and later merges stay in force. The
rules from before return if nobody has changed them since.
"""

from typing import Any, Final
from uuid import UUID

from innkeeper.actions.admin import audit
from innkeeper.actions.identity import rule_settings
from innkeeper.errors import Conflict
from innkeeper.resources.base import Record
from innkeeper.rules.audited import IDENTITY_RULES
from innkeeper.rules.identity_rules import IdentityRule
from innkeeper.store.work import Row, Work

EXAMPLES: Final = 10
"""Most merges and most changed guests that a description names."""
MOST_CHANGED: Final = 1000
"""Most changed guests that are counted."""


async def describe(work: Work, application: UUID) -> Record:
    """Return what the undo of an application would do; changes nothing.

    `blocked` is the reason why it cannot be undone now, or None. `changed` names survivors whose
    fields were written by their ref since: these values stay on the survivor. Raises `Unknown`.
    """
    job = await rule_settings.fetch_job(work, application)
    counts = await work.row("identity.application_counts", ref=application)
    changed = await work.all("identity.changed_survivors", ref=application, limit=MOST_CHANGED)
    refs = [row["survivor_ref"] for row in changed]
    return {
        "application": job,
        "merges": counts["merges"],
        "undone": counts["undone"],
        "erased": max(0, job["merged"] - counts["merges"] - counts["undone"]),
        "rules": _effect_on_rules(job, await rule_settings.list_rules(work)),
        "blocked": await _blocked(work, job),
        "examples": await work.all("identity.application_merges", ref=application, limit=EXAMPLES),
        "changed": refs[:EXAMPLES],
        "total_changed": len(refs),
    }


async def request(work: Work, application: UUID) -> Record:
    """Queue the undo of an application, restore the rules before it, and return the job.

    Raises `Unknown`, and `Conflict` if it cannot be undone now.
    """
    async with work.transaction():
        stored = await rule_settings.lock_rules(work)
        job = await rule_settings.fetch_job(work, application)
        reason = await _blocked(work, job)
        if reason is not None:
            raise Conflict(reason)
        if _effect_on_rules(job, stored) != "restored":
            state = {"of": work.workspace, "rules": [str(rule) for rule in stored]}
            await audit.record(work, IDENTITY_RULES, "undo", state, state)
            return await rule_settings.create_job(work, undoes=application)
        rules = [IdentityRule.of(**row) for row in job["rules_before"]]
        return await rule_settings.store_rules(
            work, stored, rules, merging=False, verb="undo", undoes=application
        )


async def _blocked(work: Work, job: Row) -> str | None:
    if job["finished_at"] is None:
        return "This rule change has not finished. Undo it once it has."
    if await work.one("identity.undo_in_progress", ref=job["ref"]) is not None:
        return "This rule change is being undone already."
    return None if job["undoable"] else "No merge of this rule change is in force."


def _effect_on_rules(job: Row, stored: Any) -> str:
    """Return what the undo does to the rules: `unchanged` by the application, `restored`, or
    `changed since`, so that they stay."""
    before, after = job["rules_before"], job["rules_after"]
    if before == after:
        return "unchanged"
    return "restored" if rule_settings.stored_rows(stored) == after else "changed since"
