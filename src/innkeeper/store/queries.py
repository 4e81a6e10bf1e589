"""Load the named queries of `store/queries/*.sql` for the schema of a workspace."""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, Final
from uuid import UUID

from innkeeper.resources.base import Resource
from innkeeper.resources.orders import CHILDREN, PLAIN_CHILDREN

WORKSPACE_NAME = re.compile(r"[a-z][a-z0-9_]{0,40}")
_HEADER = re.compile(r"^-- (?P<name>[a-z_0-9]+\.[a-z_0-9]+)$", re.MULTILINE)
_DESCRIPTION = re.compile(r"\n*(?:-- .*\n)+")
_INDENTATION = re.compile(r"\n +")
_MARKER = re.compile(r"\{([a-z_]+(?:\.[a-z_0-9]+)?)\}")
_PARAMETER = re.compile(r"%\(([a-z_]+)\)s")
_ARRAYS = {UUID: "uuid[]", str: "text[]", int: "bigint[]"}
_KEPT_TEXTS = 1000
_TEMPLATES: Final = ("children", "order_people")
"""Files with templates for child resources."""
_OPTIONAL: Final = frozenset({"used_items", "locked_columns", "locked_rows"})
"""Templates that only some resources have."""


def schema_of(workspace: str) -> str:
    """Return the PostgreSQL schema of a workspace; the name is checked, so it needs no quotes."""
    if not WORKSPACE_NAME.fullmatch(workspace):
        raise ValueError(f"{workspace!r} is not a workspace name")
    return f"ws_{workspace}"


@cache
def catalogue() -> Mapping[str, str]:
    """Return every query of every file, with its markers, by name."""
    queries: dict[str, str] = {}
    for file in sorted(files("innkeeper.store").joinpath("queries").iterdir(), key=str):
        if file.name.endswith(".sql"):
            queries |= parse(file.name.removesuffix(".sql"), file.read_text(encoding="utf-8"))
    for resource in CHILDREN:
        queries |= _of_child(resource, queries)
    queries |= _lines_of_tables(queries)
    return {
        name: text for name, text in queries.items() if name.partition(".")[0] not in _TEMPLATES
    }


def _lines_of_tables(queries: Mapping[str, str]) -> dict[str, str]:
    """Return the parts of `lake.lines`: `lake.lines_of_` and the name of each table of the lake."""
    prefix = "lake.rows_of_"
    rows = {name.removeprefix(prefix): name for name in queries if name.startswith(prefix)}
    rows |= {part.table: f"{part.table}.lake_rows" for part in PLAIN_CHILDREN}
    return {
        f"lake.lines_of_{table}": f"UNION ALL SELECT json_build_array('{table}', line)::text "  # noqa: S608 - our own
        f"FROM (\n{queries[name]}\n) AS line"
        for table, name in rows.items()
    }


def _of_child(resource: type[Resource], queries: Mapping[str, str]) -> dict[str, str]:
    """Return the statements of a child resource, from the templates."""
    files_of = [
        vars(base)["statements"]
        for base in reversed(resource.__mro__)
        if "statements" in vars(base)
    ]
    texts: dict[str, str] = {}
    for stem in (*files_of, resource.table):
        own = (name for name in queries if name.partition(".")[0] == stem)
        texts |= {name.partition(".")[2]: queries[name] for name in own}
    words = {
        "name": resource.table,
        "table": f"{{ws}}.{resource.table}",
        "parent": f"{{ws}}.{resource.belongs_to().table}",
        "parent_ref": f"{resource.belongs_to().key}_ref",
    }

    def filled(marker: re.Match[str]) -> str:
        if marker[1] in words:
            return words[marker[1]]
        text = texts.get(marker[1], "" if marker[1] in _OPTIONAL else None)
        return marker[0] if text is None else _MARKER.sub(filled, text)

    return {f"{resource.table}.{name}": _MARKER.sub(filled, text) for name, text in texts.items()}


def parse(stem: str, text: str) -> dict[str, str]:
    """Parse the queries of one file: a line `-- stem.name`, lines that describe it, its SQL.

    Raises ValueError for a name that is repeated or belongs to another file, and for a query
    without description or SQL.
    """
    queries: dict[str, str] = {}
    _, *pieces = _HEADER.split(text)
    for name, body in zip(pieces[::2], pieces[1::2], strict=True):
        described = _DESCRIPTION.match(body)
        sql = body[described.end() :].strip() if described else ""
        if name in queries or not name.startswith(stem + "."):
            raise ValueError(f"{stem}.sql: {name} repeats or belongs to another file")
        if not sql:
            raise ValueError(f"{stem}.sql: {name} lacks its description or its SQL")
        if name.endswith(".sort_keys"):
            queries |= _sort_keys(name.removesuffix("_keys"), sql)
            continue
        # Cursors of psycopg (`Work.in_turn`) parse more than 4096 characters again each time.
        queries[name] = _INDENTATION.sub("\n", sql)
    return queries


def _sort_keys(prefix: str, text: str) -> dict[str, str]:
    """Return the fragments `x.sort_{name}_asc` and `_desc` of each line of `x.sort_keys`."""
    keys = dict(line.split(": ", 1) for line in text.splitlines())
    return {
        f"{prefix}_{name}_{direction}": f"{expression} {direction.upper()},"
        for name, expression in keys.items()
        for direction in ("asc", "desc")
    }


def batched(text: str, params: Mapping[str, Any]) -> str:
    """Return the SQL that runs a read once for each element of its parameters, which become arrays.

    Each row has the position of its element, from 1, as `batch_position`; the rows of an element
    are in the order of the read. `params` are those of one element, to take their types from.
    """
    arrays = ", ".join(f"%({name})s::{_ARRAYS[type(value)]}" for name, value in params.items())
    names = ", ".join([*params, "batch_position"])
    read = _PARAMETER.sub(r"element.\1", text)
    return (
        "SELECT element.batch_position, result.* "  # noqa: S608 - our own
        f"FROM unnest({arrays}) WITH ORDINALITY AS element ({names}) "
        f"CROSS JOIN LATERAL (\n{read}\n) AS result"
    )


class Queries:
    """Every query, with the schema of one workspace in its text.

    `schema` is None for the control queries, which name their schema themselves.
    """

    def __init__(self, schema: str | None) -> None:
        self._schema = schema
        self._texts: dict[tuple[str, tuple[tuple[str, tuple[str, ...]], ...]], str] = {}
        self._plain: dict[str, str] = {}

    def text(self, name: str, **parts: Sequence[str]) -> str:
        """Return the SQL of a query, its markers replaced with the queries that `parts` names.

        A marker that is the name of a query, as `{segments.columns}`, is replaced with that query,
        another one without a part is removed, and markers inside parts are replaced alike. The text
        never contains input of a caller: parts are names of queries, and an unknown name
        raises KeyError.
        """
        if not parts:
            plain = self._plain.get(name)
            if plain is None:
                plain = self._plain[name] = self._composed(name, {}, set())
            return plain
        key = (name, tuple(sorted((part, tuple(names)) for part, names in parts.items())))
        text = self._texts.get(key)
        if text is None:
            # Callers choose filters and sort keys freely: their combinations are too many to keep.
            if len(self._texts) >= _KEPT_TEXTS:
                self._texts.clear()
            used: set[str] = set()
            text = self._composed(name, parts, used)
            if unknown := parts.keys() - used:
                raise KeyError(f"{name} has no marker {sorted(unknown)}")
            self._texts[key] = text
        return text

    def _composed(self, name: str, parts: Mapping[str, Sequence[str]], used: set[str]) -> str:
        def filled(marker: re.Match[str]) -> str:
            used.add(marker[1])
            if marker[1] == "ws":
                if self._schema is None:
                    raise KeyError(f"{name} belongs to a workspace")
                return self._schema
            if "." in marker[1]:
                return self._composed(marker[1], parts, used)
            return "\n".join(self._composed(part, parts, used) for part in parts.get(marker[1], ()))

        return _MARKER.sub(filled, catalogue()[name])
