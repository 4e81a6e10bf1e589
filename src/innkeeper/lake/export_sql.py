"""The rows of an export as SQL: one row for each guest of a table of refs, with the chosen
columns."""

from sqlglot import exp, parse_one

from innkeeper.lake.tables import REFS, TEXT
from innkeeper.lake.trait_sql import trait_values
from innkeeper.resources.exports import HASHED, PARQUET
from innkeeper.resources.segments import STRING, TIMESTAMP
from innkeeper.rules import spreadsheets
from innkeeper.rules.exports import ExportColumn, ExportFormat
from innkeeper.rules.traits import Traits

CHOSEN = "chosen"
"""Name of the table with the guests of one file."""


def export_rows(shape: ExportFormat, traits: Traits, *, are_few: bool = False) -> exp.Select:
    """SELECT one row a guest, in order of their refs; a guest that no longer exists has only a
    ref. `are_few`: whether traits are computed for these guests alone, not for all."""
    select = exp.select().from_(f"{CHOSEN} AS c")
    select = select.join("guests AS g", on="g.guest_ref = c.guest_ref", join_type="left")
    for index, column in enumerate(shape.columns):
        among = CHOSEN if are_few else ""
        select = add_column(select, column, shape, traits, alias=f"j{index}", among=among)
    return select.order_by("c.guest_ref")


def add_column(
    select: exp.Select,
    column: ExportColumn,
    shape: ExportFormat,
    traits: Traits,
    *,
    guest: str = "c",
    alias: str = "j",
    among: str = "",
) -> exp.Select:
    """Add a column to a query of guests `g`.

    `guest`: the table whose `guest_ref` every row has; `alias`: a name for the table of the values.
    """
    value: exp.Expr
    if column.declared is not None:
        value = exp.column(column.declared.column, "g")
        if column.field == "ref":
            value = exp.column("guest_ref", guest)
        elif column.declared.type == TIMESTAMP and shape.format != PARQUET:
            value = _api_time(value, day=column.field == "date_of_birth")
        elif shape.guarded and column.declared.type == STRING:
            value = _marked(value)
        return select.select(exp.alias_(value, column.name, quoted=True))
    if column.location == HASHED:
        return select.select(exp.alias_(_hashed(column.field), column.name, quoted=True))
    if column.location == "trait":
        trait = traits.trait(column.field)
        rows: exp.Query = trait_values(trait, every=False, among=among)
        value = exp.column("value", alias)
        if trait.function in ("count", "sum"):
            # A guest without rows has 0, one that no longer exists nothing.
            number = exp.func("coalesce", value, exp.Literal.number(0))
            exists = exp.column("guest_ref", "g").is_(exp.null()).not_()
            value = exp.case().when(exists, number)
        if trait.type == TIMESTAMP and shape.format != PARQUET:
            value = _api_time(value)
        elif shape.guarded and trait.type == STRING:
            value = _marked(value)
    elif column.location == "list":
        rows = _list(column.field)
        value = exp.column("value", alias)
    else:
        rows = exp.select("guest_ref", "arg_max(value, meta_modified_at) AS value")
        rows = (
            rows.from_("extensions")
            .group_by("guest_ref")
            .where(exp.column("name").eq(column.location), exp.column("key").eq(column.field))
            .where("NOT value IS NULL")
        )
        value = exp.column("value", alias)
        value = _marked(value) if shape.guarded else value
    select = select.join(
        rows.subquery(alias), on=f"{alias}.guest_ref = {guest}.guest_ref", join_type="left"
    )
    return select.select(exp.alias_(value, column.name, quoted=True))


def _hashed(field: str) -> exp.Expr:
    """The SHA-256 of the normalised e-mail address or phone number, null where there is none.

    Addresses are trimmed and in lower case. A phone number is `+` and its digits; one without a
    country code has no digest.
    """
    if field == "email":
        return parse_one("sha256(nullif(lower(trim(g.core_email)), ''))", dialect="duckdb")
    number = "coalesce(g.core_phone_numbers[1], g.core_phone)"
    digits = f"regexp_replace({number}, '[^0-9]', '', 'g')"
    return parse_one(
        f"CASE WHEN {number} LIKE '+%' AND {digits} <> '' THEN sha256('+' || {digits}) END",
        dialect="duckdb",
    )


def _api_time(value: exp.Expr, *, day: bool = False) -> exp.Expr:
    """Format an instant as the API does: UTC with three decimals; a day without time as a day."""
    form = "%Y-%m-%d" if day else "%Y-%m-%dT%H:%M:%S.%gZ"
    return exp.Anonymous(this="strftime", expressions=[value, exp.Literal.string(form)])


def _marked(value: exp.Expr) -> exp.Expr:
    """Format a text as a cell that no spreadsheet runs as a formula (`spreadsheets.guarded`)."""
    starts, number = (
        exp.RegexpLike(this=value.copy(), expression=exp.Literal.string(pattern))
        for pattern in (spreadsheets.STARTS, spreadsheets.NUMBER)
    )
    marked = exp.DPipe(this=exp.Literal.string(spreadsheets.MARK), expression=value.copy())
    return exp.case().when(exp.and_(starts, exp.not_(number)), marked).else_(value)


def csv_cell(column: ExportColumn, table: str, traits: Traits) -> exp.Expr:
    """Format a value of `export_rows` as a cell that no spreadsheet runs; the texts of a list are
    separated by semicolons."""
    value = exp.column(column.name, table, quoted=True)
    if column.declared is not None:
        if column.declared.column in REFS:
            return exp.cast(value, TEXT)
        if column.declared.many:
            return _marked(exp.ArrayToString(this=value, expression=exp.Literal.string("; ")))
        return _marked(value) if column.declared.type == STRING else value
    if column.location == "trait":
        return _marked(value) if traits.trait(column.field).type == STRING else value
    if column.location == "list":
        return exp.Anonymous(this="to_json", expressions=[value])
    return value if column.location == HASHED else _marked(value)


def _list(table: str) -> exp.Select:
    """Aggregate all rows of a table for each guest, as a list of structures."""
    every = exp.Anonymous(this="list", expressions=[exp.column("t")])
    return (
        exp.select("t.guest_ref", exp.alias_(every, "value"))
        .from_(f"{table} AS t")
        .group_by("t.guest_ref")
    )
