"""Segments written in SQL: two gates between the text and the machine.

The tree: one SELECT over the documented views, functions of an allow-list. The engine: a DuckDB
of its own that sees the lake's files alone, its configuration locked, limits of memory and time,
thrown away afterwards: what the first gate let through by mistake finds nothing to harm.
"""

import tempfile
from typing import TYPE_CHECKING, Any, Final

from innkeeper.errors import Invalid, Problem
from innkeeper.lake import duckdb as engine
from innkeeper.lake.views import DOCUMENTED

if TYPE_CHECKING:
    from sqlglot import exp

    from innkeeper.lake.snapshot import Snapshot

FIELD: Final = "definition.sql"
LONGEST: Final = 32 * 1024
DEEPEST: Final = 400
"""Levels of a tree: deeper ones have no use but to exhaust whoever walks them."""

_FUNCTIONS: Final = frozenset(
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
"""Functions that read nothing but their arguments, as SQLGlot names them or as they are spelt."""


def checked(text: str) -> "exp.Query":
    """The text as a tree; raises `Invalid` for anything but a plain question."""
    from sqlglot import exp, parse  # noqa: PLC0415
    from sqlglot.errors import SqlglotError  # noqa: PLC0415

    if len(text) > LONGEST:
        raise _refused(f"is longer than {LONGEST} characters")
    try:
        trees = parse(text, dialect="duckdb")
        tree = trees[0] if len(trees) == 1 else None
        if not isinstance(tree, exp.Select | exp.SetOperation):
            raise _refused("must be one SELECT statement")
        _check(tree)
    except SqlglotError as error:
        raise _refused(f"is not SQL: {str(error).splitlines()[0]}") from None
    except RecursionError:
        raise _refused("is too deep") from None
    names = [name.lower() for name in tree.named_selects]
    if "guest_ref" not in names and "*" not in names:
        raise _refused("must return a column guest_ref")
    return tree


def _check(tree: "exp.Query") -> None:
    from sqlglot import exp  # noqa: PLC0415

    named = {each.alias.lower() for each in tree.find_all(exp.CTE)}
    if named & set(DOCUMENTED):
        raise _refused("must not give a view's name to something else")
    for node in tree.walk():
        if isinstance(node, exp.Table):
            _check_table(node, named)
        elif isinstance(node, exp.Func) and not isinstance(node, _operators()):
            name = node.name.lower() if isinstance(node, exp.Anonymous) else _spelt(node)
            if name not in _FUNCTIONS:
                raise _refused(f"must not call {name}")
        elif isinstance(node, _forbidden()):
            raise _refused(f"must not use {node.key}")
        if node.depth > DEEPEST:
            raise _refused("is too deep")


def _check_table(node: "exp.Table", named: set[str]) -> None:
    from sqlglot import exp  # noqa: PLC0415

    plain = isinstance(node.this, exp.Identifier) and not node.args.get("db")
    if not plain or node.name.lower() not in named | set(DOCUMENTED):
        raise _refused(f"must read only {', '.join(DOCUMENTED)}")


def _operators() -> tuple[type[Any], ...]:
    """What SQLGlot counts as functions but is written as an operator or a keyword."""
    from sqlglot import exp  # noqa: PLC0415

    return (exp.And, exp.Or, exp.Xor, exp.Case, exp.If, exp.Cast, exp.Exists, exp.Connector)


def _forbidden() -> tuple[type[Any], ...]:
    from sqlglot import exp  # noqa: PLC0415

    return (
        *(exp.DDL, exp.DML, exp.Command, exp.Into, exp.Parameter, exp.Placeholder),
        *(exp.SessionParameter, exp.Pragma, exp.Set, exp.Attach, exp.Copy, exp.TableSample),
        *(exp.Unnest, exp.Lateral, exp.Pivot, exp.Values),
    )


def _spelt(node: "exp.Func") -> str:
    names = type(node).sql_names()
    return next((name.lower() for name in names if name.lower() in _FUNCTIONS), names[0].lower())


def _refused(reason: str) -> Invalid:
    return Invalid(Problem(FIELD, reason))


def sandboxed_members(snapshot: "Snapshot", text: str, seconds: float) -> list[str]:
    """The guest_ref column of what a text finds, in an engine of its own; raises `Invalid`.

    The engine is DuckDB whatever `lake_engine` says: Spark cannot be locked like this.
    """
    import duckdb  # noqa: PLC0415
    from sqlglot import exp  # noqa: PLC0415

    from innkeeper.lake.duckdb_session import DuckSession  # noqa: PLC0415

    tree = checked(text)
    question = exp.select("guest_ref").distinct().from_(tree.subquery("asked"))
    question = question.where(exp.column("guest_ref").is_(exp.null()).not_())
    memory = snapshot.settings.lake_memory_mb
    with tempfile.TemporaryDirectory(prefix="innkeeper-sql-") as folder:
        connection = duckdb.connect(
            config={
                "memory_limit": f"{memory}MB",
                "temp_directory": folder,
                "max_temp_directory_size": f"{memory * 4}MB",
                "autoinstall_known_extensions": "false",
                "autoload_known_extensions": "false",
            }
        )
        try:
            _lock(connection, snapshot)
            sandbox = DuckSession(snapshot, connection)
            sandbox.use(DOCUMENTED)
            connection.execute("SET enable_external_access = false")
            connection.execute("SET lock_configuration = true")
            rows = sandbox.fetched(question.sql(dialect="duckdb"), seconds)
        except duckdb.Error as error:
            raise _refused(str(error).splitlines()[0]) from None
        finally:
            connection.close()
    return [str(ref) for (ref,) in rows]


def _lock(connection: Any, snapshot: "Snapshot") -> None:
    """What may be read once external access is off: the lake's own files."""
    if not snapshot.place.is_local:
        connection.register_filesystem(snapshot.place.filesystem)
    files = [path for paths in snapshot.files.values() for path in paths]
    full = [snapshot.place.full(path) for path in files]
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(f"SET allowed_paths = {engine.listed(full)}")
