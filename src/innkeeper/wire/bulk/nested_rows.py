"""Flatten rows with nested values to plain columns: `traits.email`, `event_params.currency`."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

_DEEPEST: Final = 4


def flat_row(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a row whose columns are the paths of its nested values.

    A list of {key, value} counts as an object, as BigQuery stores parameters of events; elements of
    other lists are numbered. A row without nested values is returned unchanged.
    """
    if not any(isinstance(value, dict | list) for value in row.values()):
        return row
    return dict(_pairs("", row, 0))


def _pairs(path: str, value: Any, depth: int) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and depth < _DEEPEST:
        for name, inner in value.items():
            yield from _pairs(f"{path}.{name}" if path else name, inner, depth + 1)
    elif isinstance(value, list) and value and all(map(_is_parameter, value)):
        for one in value:
            yield f"{path}.{one['key']}", _parameter(one["value"])
    elif isinstance(value, list) and not any(isinstance(each, dict | list) for each in value):
        yield path, value
        yield from ((f"{path}.{number}", each) for number, each in enumerate(value[:10]))
    else:
        yield path, value


def _is_parameter(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("key"), str) and "value" in value


def _parameter(value: Any) -> Any:
    """Return the value of `{string_value, int_value, …}` that is not null."""
    if not isinstance(value, dict):
        return value
    return next((each for each in value.values() if each is not None), None)
