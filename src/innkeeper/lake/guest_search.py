"""Search the lake by values without an index in the store: parts of e-mail addresses, and the
beginnings of order references."""

from pathlib import Path

from sqlglot import exp

from innkeeper.lake.session import Form
from innkeeper.lake.snapshot import Lake


async def find_by_part(lake: Lake, text: str, most: int, *, emails: bool) -> list[str]:
    """Return refs of guests with an order whose reference begins with a text, or, with `emails`,
    with an e-mail address that contains it, in any case."""
    rows = await lake.rows(_matching(text, emails=emails).limit(most))
    return [str(ref) for (ref,) in rows]


async def write_by_part(lake: Lake, text: str, path: Path, *, emails: bool) -> int:
    """Write the refs of all of them to a file, a line for each; return their number."""
    query, form = _matching(text, emails=emails), Form("FORMAT csv, HEADER false")
    seconds = lake.snapshot.settings.lake_query_seconds
    return await lake.run(lambda session: session.copy(query, path, form, seconds))


def _matching(text: str, *, emails: bool) -> exp.Select:
    part = exp.Literal.string(text.lower())
    begins = exp.StartsWith(
        this=exp.Lower(this=exp.column("core_reference_id")), expression=part.copy()
    )
    matching: exp.Query = exp.select("guest_ref").from_("orders").where(begins)
    if emails:
        matching = exp.union(
            matching, exp.select("guest_ref").from_("guests").where(_has_email(part))
        )
    rows = exp.select("guest_ref").distinct().from_(matching.subquery("u"))
    return rows.where("NOT guest_ref IS NULL")


def _has_email(part: exp.Expr) -> exp.Expr:
    emails = exp.ArrayToString(this=exp.column("core_emails"), expression=exp.Literal.string(" "))
    return exp.or_(
        *(
            exp.GT(
                this=exp.StrPosition(this=exp.Lower(this=each), substr=part.copy()),
                expression=exp.Literal.number(0),
            )
            for each in (exp.column("core_email"), emails)
        )
    )
