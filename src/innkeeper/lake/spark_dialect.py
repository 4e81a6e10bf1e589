"""The lake's queries in Spark's SQL: only what SQLGlot does not translate from DuckDB."""

import re
from collections.abc import Callable
from typing import Any, ClassVar, Final

from sqlglot import exp
from sqlglot.dialects.spark import Spark

_MEMBER: Final = re.compile(r'\."([^"]*)"')
_TIMES: Final = {"%Y": "yyyy", "%m": "MM", "%d": "dd", "%H": "HH", "%M": "mm", "%S": "ss"} | {
    "%g": "SSS",
    "T": "'T'",
    "Z": "'Z'",
}
_TIME_PART: Final = re.compile("|".join(_TIMES))


class LakeSpark(Spark):
    """Spark's dialect with the lake's own functions."""

    class Generator(Spark.Generator):  # type: ignore[valid-type, misc]
        """Generates Spark SQL from trees whose anonymous functions are DuckDB's."""

        TRANSFORMS: ClassVar[Any] = {
            **Spark.Generator.TRANSFORMS,
            exp.JSONKeys: lambda self, node: self.json_keys(node),
        }

        TYPE_MAPPING: ClassVar[Any] = {
            **Spark.Generator.TYPE_MAPPING,
            # Its views have refs as text.
            exp.DataType.Type.UUID: "STRING",
        }

        def anonymous_sql(self, expression: exp.Anonymous) -> str:
            own = _OWN.get(expression.name.lower())
            if own is None:
                return str(super().anonymous_sql(expression))
            return own(self, expression.expressions)

        def cte_sql(self, expression: exp.CTE) -> str:
            # Spark has no such keyword, and resolves a name that is used twice to one of them.
            expression.set("materialized", None)
            return str(super().cte_sql(expression))

        def json_keys(self, node: exp.JSONKeys) -> str:
            """The members of a JSON object, or of an object inside it."""
            target, path = self.sql(node, "this"), node.args.get("expression")
            if path is not None:
                target = f"GET_JSON_OBJECT({target}, {self.sql(exp.Literal.string(_plain(path)))})"
            return f"JSON_OBJECT_KEYS({target})"


def _plain(path: exp.Expr) -> str:
    text = path.sql(dialect="duckdb")
    return text.strip("'")


def _member(write: Any, arguments: list[exp.Expr], kind: str) -> str:
    """The value at a path of quoted members, as JSON."""
    column, path = arguments
    steps = "".join(f'["{name}"]' for name in _MEMBER.findall(path.name))
    json_path = write.sql(exp.Literal.string(f"${steps}"))
    return f"TRY_VARIANT_GET(TRY_PARSE_JSON({write.sql(column)}), {json_path}, '{kind}')"


def _json_type(write: Any, arguments: list[exp.Expr]) -> str:
    """DuckDB's name of the type of a member; every number is a DOUBLE."""
    type_ = f"SCHEMA_OF_VARIANT({_member(write, arguments, 'variant')})"
    return (
        f"CASE WHEN {type_} = 'STRING' THEN 'VARCHAR' WHEN {type_} = 'VOID' THEN 'NULL' "
        f"WHEN {type_} = 'BOOLEAN' THEN 'BOOLEAN' WHEN {type_} LIKE 'OBJECT%' THEN 'OBJECT' "
        f"WHEN {type_} LIKE 'ARRAY%' THEN 'ARRAY' WHEN {type_} IS NOT NULL THEN 'DOUBLE' END"
    )


def _api_time(write: Any, arguments: list[exp.Expr]) -> str:
    value, form = arguments
    pattern = _TIME_PART.sub(lambda part: _TIMES[part[0]], form.name)
    return f"DATE_FORMAT({write.sql(value)}, {write.sql(exp.Literal.string(pattern))})"


_OWN: Final[dict[str, Callable[[Any, list[exp.Expr]], str]]] = {
    "json_type": _json_type,
    "json_extract_string": lambda write, arguments: _member(write, arguments, "string"),
    "strftime": _api_time,
    # The rows of a table as structures in one list.
    "list": lambda write, arguments: f"COLLECT_LIST(STRUCT({write.sql(arguments[0])}.*))",
}
