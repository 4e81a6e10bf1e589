"""The fields by which guests are unsubscribed from channels."""

from collections.abc import Mapping, Sequence
from typing import Any

from innkeeper.actions.admin import audit
from innkeeper.resources.base import Record
from innkeeper.rules.audited import CONSENT
from innkeeper.rules.consent import ConsentField, read_fields
from innkeeper.rules.identity_keys import digest
from innkeeper.rules.versions import Expected
from innkeeper.store.work import Json, Work


async def list_fields(work: Work, query: str = "consent.fetch") -> list[ConsentField]:
    """List the declared fields, at most one for each channel."""
    row = await work.one(query)
    return [
        ConsentField(channel, each["field"], tuple(each["values"]))
        for channel, each in (row["fields"] if row else {}).items()
    ]


def version_of(fields: Sequence[ConsentField]) -> str:
    """Return the version of the declared fields."""
    return digest("consent", *map(str, sorted(fields, key=lambda each: each.channel))).hex


async def put_fields(
    work: Work, items: Sequence[Mapping[str, Any]], expected: Expected | None = None
) -> list[ConsentField]:
    """Replace the declared fields; raises `Invalid`, and `Outdated` if their version is not the
    expected one."""
    fields = read_fields(items)
    async with work.transaction():
        stored = await list_fields(work, "consent.lock")
        if expected is not None:
            expected.check(version_of(stored))
        await work.run("consent.put", fields=Json(_as_json(fields)))
        before, after = ({"of": "", "fields": _as_json(each)} for each in (stored, fields))
        await audit.record(work, CONSENT, "change", before, after)
    return fields


def _as_json(fields: Sequence[ConsentField]) -> Record:
    return {each.channel: {"field": each.field, "values": list(each.values)} for each in fields}
