"""SQL that converts values of a Parquet file to what JSON can represent, at any depth.

NaN, infinite numbers and infinite dates become NULL. An instant with a time zone is written in UTC
with `Z`, since few parsers read DuckDB's own format (`+00`).
"""

from typing import Any, Final

_NUMBERS: Final = ("float", "double")
_DATES: Final = ("date", "timestamp", "timestamp_s", "timestamp_ms", "timestamp_ns")
_INSTANTS: Final = ("timestamp with time zone", "timestamp_tz", "timestamp_tz_ns")


def json_ready(kind: Any, value: str, depth: int = 0) -> str:
    """Return an expression for `value`, itself an expression, that `to_json` writes as valid JSON.

    `kind` is its DuckDB type. The expression is unchanged if no conversion is needed.
    """
    name = kind.id
    if name in _NUMBERS or name in _DATES:
        return f"CASE WHEN isfinite({value}) THEN {value} END"
    if name in _INSTANTS:
        return _instant(value)
    if name == "struct":
        return _struct(kind, value, depth)
    if name in ("list", "array"):
        return _list(dict(kind.children)["child"], value, depth)
    if name == "map":
        return _map(kind, value, depth)
    return value


def quoted(name: str) -> str:
    """Quote a name for SQL."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Quote a text for SQL."""
    return "'" + text.replace("'", "''") + "'"


def _instant(value: str) -> str:
    # Milliseconds, as everywhere, where the rest of the microseconds is nothing.
    micro = f"strftime({value}, '%Y-%m-%dT%H:%M:%S.%fZ')"
    milli = f"strftime({value}, '%Y-%m-%dT%H:%M:%S.%gZ')"
    return (
        f"CASE WHEN NOT isfinite({value}) THEN NULL "
        f"WHEN microsecond({value}) % 1000 = 0 THEN {milli} ELSE {micro} END"
    )


def _struct(kind: Any, value: str, depth: int) -> str:
    members = [
        (name, f"struct_extract({value}, {literal(name)})", of) for name, of in kind.children
    ]
    converted = [(name, member, json_ready(of, member, depth)) for name, member, of in members]
    if all(member == ready for _, member, ready in converted):
        return value
    packed = ", ".join(f"{quoted(name)} := {ready}" for name, _, ready in converted)
    return f"CASE WHEN {value} IS NOT NULL THEN struct_pack({packed}) END"


def _list(of: Any, value: str, depth: int) -> str:
    item = f"item{depth}"
    ready = json_ready(of, item, depth + 1)
    return value if ready == item else f"list_transform({value}, lambda {item}: {ready})"


def _map(kind: Any, value: str, depth: int) -> str:
    entry = f"entry{depth}"
    member = f"{entry}.value"
    ready = json_ready(dict(kind.children)["value"], member, depth + 1)
    if ready == member:
        return value
    pair = f"struct_pack(key := {entry}.key, value := {ready})"
    return f"map_from_entries(list_transform(map_entries({value}), lambda {entry}: {pair}))"
