"""Segments written in SQL, first check: one SELECT over documented views with known functions.

Problems name their position in the text (`lake/sql_positions.py`). Parsing a text can take long and
much memory, so this runs only in a child process (`lake/sql_process.py`).
"""

import re
from typing import TYPE_CHECKING, Any, Final

from innkeeper.errors import Invalid, Problem
from innkeeper.lake import duckdb as engine
from innkeeper.lake import sql_positions as positions
from innkeeper.lake.sql_jobs import FIELD
from innkeeper.lake.sql_names import rename_ctes, resolved_cte, suggestion
from innkeeper.lake.tables import BY_NAME
from innkeeper.lake.views import DOCUMENTED, text_view_sql

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection as Connection
    from sqlglot import exp

_MISSING_COLUMN: Final = re.compile(r'column (?:named )?"([^"]{1,100})"')
DEEPEST: Final = 400
"""Maximum depth of a syntax tree; deeper ones only exhaust the code that walks them."""

FUNCTIONS: Final = frozenset(
    """
    count sum avg min max median mode stddev stddev_pop stddev_samp variance var_pop var_samp
    quantile quantile_cont quantile_disc approx_count_distinct approx_distinct count_if bool_and
    bool_or logical_and logical_or any_value first last arg_max arg_min arbitrary corr
    row_number rank dense_rank percent_rank cume_dist ntile lag lead first_value last_value
    nth_value
    coalesce nullif if case greatest least abs round floor ceil ceiling sqrt power pow exp ln log
    sign mod trunc truncate cast try_cast
    lower upper trim ltrim rtrim length len char_length substring substr left right replace concat
    concat_ws starts_with ends_with contains strpos str_position position split split_part reverse
    regexp_matches regexp_like regexp_extract regexp_replace md5 like ilike
    date date_trunc timestamp_trunc date_part extract date_diff datediff date_add date_sub
    datetime_diff timestamp_diff datetime_sub datetime_add timestamp_sub timestamp_add year month
    day hour minute second dayofweek day_of_week dayofyear day_of_year week week_of_year
    quarter current_date current_timestamp now today last_day strftime time_to_str strptime
    str_to_time epoch epoch_ms at_time_zone interval make_date to_timestamp ts_or_ds_to_date
    json_extract json_extract_string json_extract_scalar json_value json_array_length json_type
    array_size array_length array_contains list_contains list_has_any array_overlaps array_any
    list_filter array_filter filter exists distinct
    """.split()  # noqa: SIM905
)
"""Functions that read only their arguments, by SQLGlot's name or as written."""


def checked(text: str) -> "exp.Query":
    """Parse a text; raises `Invalid` with the position for anything but a plain SELECT.

    Names that WITH defines are renamed in the tree (`rename_ctes`).
    """
    from sqlglot import exp, parse  # noqa: PLC0415
    from sqlglot.errors import SqlglotError  # noqa: PLC0415

    try:
        read = parse(text, dialect="duckdb")
        trees = [each for each in read if each and not isinstance(each, exp.Semicolon)]
        tree = trees[0] if len(trees) == 1 else None
        if not isinstance(tree, exp.Select | exp.SetOperation):
            second = positions.of_node(trees[1], text) if len(trees) > 1 else None
            raise refused("must be one SELECT statement", second or (1, 1))
        _check(tree, text)
    except SqlglotError as error:
        reason = str(error).splitlines()[0].partition(" Line ")[0].rstrip(".")
        raise refused(f"is not SQL: {reason}", positions.of_parse_error(error, text)) from None
    except RecursionError:
        raise refused("is too deep") from None
    names = [name.lower() for name in tree.named_selects]
    if "guest_ref" not in names and "*" not in names:
        raise refused("must return a column guest_ref", positions.of_node(tree, text))
    rename_ctes(tree)
    return tree


def _check(tree: "exp.Query", text: str) -> None:
    from sqlglot import exp  # noqa: PLC0415

    for node in tree.walk():
        reason = ""
        if isinstance(node, exp.CTE):
            if node.alias.lower() in DOCUMENTED:
                reason = "must not give a view's name to something else"
        elif isinstance(node, exp.Table):
            if not _readable(node):
                reason = f"must read only {', '.join(DOCUMENTED)}"
                reason += suggestion(node.name, DOCUMENTED)
        elif isinstance(node, exp.Func) and not isinstance(node, _operators()):
            name = node.name.lower() if isinstance(node, exp.Anonymous) else _spelt(node)
            if name not in FUNCTIONS:
                reason = f"must not call {name}{suggestion(name, FUNCTIONS)}"
        elif isinstance(node, _forbidden()):
            reason = f"must not use {node.key}"
        if node.depth > DEEPEST:
            raise refused("is too deep")
        if reason:
            raise refused(reason, positions.of_node(node, text))


def _readable(node: "exp.Table") -> bool:
    """Whether a table is a documented view, or a name that an earlier WITH defines."""
    from sqlglot import exp  # noqa: PLC0415

    if not isinstance(node.this, exp.Identifier) or node.args.get("db"):
        return False
    return node.name.lower() in DOCUMENTED or resolved_cte(node) is not None


def _operators() -> tuple[type[Any], ...]:
    """Nodes that SQLGlot counts as functions but that are written as operators or keywords."""
    from sqlglot import exp  # noqa: PLC0415

    return (exp.And, exp.Or, exp.Xor, exp.Case, exp.If, exp.Cast, exp.Exists, exp.Connector)


def _forbidden() -> tuple[type[Any], ...]:
    from sqlglot import exp  # noqa: PLC0415

    return (
        *(exp.DDL, exp.DML, exp.Command, exp.Into, exp.Parameter, exp.Placeholder),
        *(exp.SessionParameter, exp.Pragma, exp.Set, exp.Attach, exp.Copy, exp.TableSample),
        *(exp.Unnest, exp.Lateral, exp.Pivot, exp.Values, exp.Describe, exp.Show),
    )


def _spelt(node: "exp.Func") -> str:
    names = type(node).sql_names()
    return next((name.lower() for name in names if name.lower() in FUNCTIONS), names[0].lower())


def refused(reason: str, position: positions.Position | None = None) -> Invalid:
    """A problem of the text, with its position."""
    return Invalid(Problem(FIELD, reason, position=position))


def bound(tree: "exp.Query", text: str) -> None:
    """Let DuckDB bind a checked tree over empty views; raises `Invalid`.

    This finds what a tree does not show: missing columns and types that cannot be compared.
    """
    import duckdb  # noqa: PLC0415

    connection = duckdb.connect(config={"memory_limit": "64MB", "threads": 1})
    try:
        for name in DOCUMENTED:
            rows = engine.typed_rows(BY_NAME[name], None, 0)
            connection.execute(f"CREATE VIEW rows_{name} AS {rows}")
            view = text_view_sql(BY_NAME[name], old=False, merged=False)
            connection.execute(f"CREATE VIEW {name} AS {view}")
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        _describe(connection, tree.sql(dialect="duckdb"))
    except duckdb.Error as error:
        position = None
        try:
            # The text as typed, so that lines and columns are right.
            _describe(connection, text.strip().rstrip(";"))
        except duckdb.Error as typed:
            skipped = len(text) - len(text.lstrip())
            position = positions.of_pointer(str(typed), text.strip(), lines_before=1)
            if position is not None:
                line, column = positions.of_offset(text, skipped)
                position = (
                    line + position[0] - 1,
                    position[1] + (column - 1 if position[0] == 1 else 0),
                )
        reason = first_sentence(error).rstrip("!.") + _like_columns(error, tree)
        raise refused(reason, position) from None
    finally:
        connection.close()


def _like_columns(error: Exception, tree: "exp.Query") -> str:
    """Return the columns like the one that DuckDB misses, as the end of a message."""
    from sqlglot import exp  # noqa: PLC0415

    missing = _MISSING_COLUMN.search(str(error))
    if missing is None:
        return ""
    tables = {table.name.lower() for table in tree.find_all(exp.Table)} & {*DOCUMENTED}
    columns = [each.name for name in tables for each in BY_NAME[name].columns]
    named = [each.alias for each in tree.find_all(exp.Alias)]
    return suggestion(missing[1], [*columns, *named, "guest_ref"])


def _describe(connection: "Connection", text: str) -> None:
    connection.execute(f"DESCRIBE SELECT guest_ref FROM (\n{text}\n) AS query")  # noqa: S608


def first_sentence(error: Exception) -> str:
    """The first sentence of DuckDB's error."""
    return str(error).splitlines()[0]
