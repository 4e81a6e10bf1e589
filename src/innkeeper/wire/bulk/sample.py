"""A sample of a table: its columns, its first rows, and rows from all parts of it."""

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from random import Random
from typing import IO, Any, Final, cast

from innkeeper.store.readers import Unreadable
from innkeeper.wire.bulk.batch_files import Layout
from innkeeper.wire.bulk.column_names import CUSTOMER_NUMBER, named_targets
from innkeeper.wire.bulk.nested_rows import flat_row

FIRST_ROWS: Final = 200
OTHER_ROWS: Final = 800
"""Number of rows of a sample that come from after the first rows of a table."""
MOST_ROWS: Final = 200_000
"""Number of rows from which a sample is drawn."""


_WRAPPERS: Final = frozenset(
    (
        *("results", "data", "items", "records", "rows", "customers", "profiles", "persons"),
        *("people", "users", "guests", "orders", "events", "members"),
    )
)
"""Members of a response of some API that hold its records."""
_OF_PERSON: Final = frozenset(
    (
        *("contact.email", "contact.firstName", "contact.lastName", "contact.fullName"),
        *("contact.phoneNumbers", CUSTOMER_NUMBER, "referenceId"),
    )
)
"""Targets that show whom or which order an object is about."""


@dataclass(frozen=True, slots=True)
class TableSample:
    """Columns of a table and some of its rows, with their line numbers."""

    columns: list[str]
    rows: list[dict[str, Any]]
    lines: list[int] = field(default_factory=list)


def read_sample(layout: Layout, path: Path, most: int = MOST_ROWS) -> TableSample:
    """Read a sample of the first `most` rows of a table by its layout, which is prepared; raises
    `Unreadable`."""
    with layout.table(path) as (columns, rows):
        numbered = _sample(islice(rows, most))
    return TableSample(columns, [row for _, row in numbered], [number for number, _ in numbered])


def read_json_sample(layout: Layout, source: Path | IO[bytes]) -> TableSample:
    """Read the first values of a JSON file; its columns are the paths of their members."""
    opening = layout.opened(source) if isinstance(source, Path) else nullcontext(source)
    with opening as stream:
        whole = list(islice(layout.values(cast(IO[bytes], stream)), FIRST_ROWS))
    rows = [dict(flat_row(value)) for value in whole]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    if len(rows) == 1 and (wrapper := _wrapper_in(whole[0])):
        raise Unreadable(
            f"it is one object, and the records seem to be in its member {wrapper}. Save that list "
            f"alone, for example with jq .{wrapper}"
        )
    return TableSample(columns, rows, list(range(1, len(rows) + 1)))


def _wrapper_in(value: dict[str, Any]) -> str | None:
    """Return the member of a response that holds its records; None for a record: a person or an
    order that has a list, such as that of its orders."""
    for name, member in value.items():
        is_list = name in _WRAPPERS and isinstance(member, list)
        if is_list and member and isinstance(member[0], dict):
            own = {each: one for each, one in value.items() if each != name}
            return None if _is_about_one(own) and not _is_about_one(member[0]) else name
    return None


def _is_about_one(value: dict[str, Any]) -> bool:
    """Whether an object has an e-mail address, or two other members that identify a person or an
    order."""
    names = [name for name, member in dict(flat_row(value)).items() if member]
    about = {target for name in names for target in named_targets("orders", name)} & _OF_PERSON
    return "contact.email" in about or len(about) > 1 or "identifiers" in value


def _sample(rows: Iterator[tuple[int, dict[str, Any]]]) -> list[tuple[int, dict[str, Any]]]:
    """Return the first rows, then others of equal probability; the same ones each time."""
    first, others = list[tuple[int, dict[str, Any]]](), list[tuple[int, dict[str, Any]]]()
    random = Random(0)  # noqa: S311 - a sample, no secret
    for number, row in enumerate(rows, 1):
        if number <= FIRST_ROWS:
            first.append(row)
        elif len(others) < OTHER_ROWS:
            others.append(row)
        elif (position := random.randrange(number - FIRST_ROWS)) < OTHER_ROWS:
            others[position] = row
    return first + sorted(others, key=lambda one: one[0])
