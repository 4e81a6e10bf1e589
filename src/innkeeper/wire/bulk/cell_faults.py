"""Find the cells of a table that their fields refuse, with reasons, and remove them from a row."""

from collections.abc import Mapping
from typing import Any, Final

from innkeeper.resources.kinds import ListOf
from innkeeper.resources.values import ValueRefused
from innkeeper.rules.batch import RecordError
from innkeeper.wire.bulk.batch_records import guarded, own_guest
from innkeeper.wire.bulk.cells import Unfit
from innkeeper.wire.bulk.damage import refuse_damaged
from innkeeper.wire.bulk.mapping import ColumnMapping
from innkeeper.wire.bulk.put_values import put
from innkeeper.wire.bulk.targets import FULL_NAME, kind_of

_OF_PEOPLE: Final = ("identifiers", "extensions", FULL_NAME, "phone", "mobile", "phoneNumbers")
"""Members that are read as those of a guest."""
_read_guest: Final = refuse_damaged(own_guest)


def cell_fault(mapping: ColumnMapping, entity: str, column: str, cell: Any) -> str | None:
    """Return why a target of a column does not accept a cell; None if all do."""
    try:
        for target, value in mapping.column_values(entity, column, cell):
            if fault := _target_fault(entity, target, value):
                return fault
    except Unfit as unfit:
        return str(unfit).removeprefix(f"{column}: ")
    return None


def without_faults(
    mapping: ColumnMapping, entity: str, row: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return a row without the cells that their targets refuse, and column -> why, of those."""
    faults = dict[str, str]()
    for column in dict.fromkeys((*mapping.columns, *mapping.fallbacks.values())):
        if fault := cell_fault(mapping, entity, column, row.get(column)):
            faults[column] = fault
    return {name: cell for name, cell in row.items() if name not in faults}, faults


def _target_fault(entity: str, target: str, value: Any) -> str | None:
    kind = kind_of(entity, target)
    if kind is not None:
        is_element = isinstance(kind, ListOf) and not isinstance(value, list)
        try:
            kind.read([value] if is_element else value)
        except ValueRefused as refused:
            return str(refused)
    name = target.removeprefix("contact.").removeprefix("orderItems.")
    if entity == "events" or name.partition(".")[0] not in _OF_PEOPLE:
        return None
    guest: dict[str, Any] = {}
    put("guests", guest, name, value)
    read = guarded(_read_guest, guest)
    if not isinstance(read, RecordError):
        return None
    return (read.errors or (read.message,))[0].rpartition(": ")[2]
