"""Find the guests that are unsubscribed from a channel, by the fields that a workspace declares."""

from collections.abc import Sequence
from typing import Any

from sqlglot import exp

from innkeeper.lake.snapshot import Lake
from innkeeper.lake.tables import TEXT
from innkeeper.rules.consent import ConsentField


async def find_unsubscribed(
    lake: Lake, fields: Sequence[ConsentField], guests: Sequence[str]
) -> tuple[set[str], list[dict[str, Any]]]:
    """Find those of `guests` that are unsubscribed by any of the fields, and count them by field:
    {channel, field, guests}."""
    among, left_out, counts = set(guests), set[str](), []
    for field in fields:
        rows = await lake.rows(_unsubscribed(field))
        unsubscribed = among.intersection(str(ref) for (ref,) in rows)
        left_out |= unsubscribed
        counts.append({"channel": field.channel, "field": field.field, "guests": len(unsubscribed)})
    return left_out, counts


def _unsubscribed(field: ConsentField) -> exp.Select:
    """SELECT the guests whose field has one of the values; of several pairs of a guest, any."""
    if field.pair is None:
        select = exp.select("guest_ref").from_("guests")
        # A ref is not stored as text.
        value: exp.Expr = exp.cast(exp.column(field.column), TEXT)
    else:
        name, key = field.pair
        select = exp.select("guest_ref").distinct().from_("extensions")
        select = select.where(exp.column("name").eq(name), exp.column("key").eq(key))
        value = exp.column("value")
    trimmed = exp.func("lower", exp.func("trim", value))
    return select.where(trimmed.isin(*field.values))
