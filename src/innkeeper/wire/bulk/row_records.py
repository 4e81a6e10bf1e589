"""Records out of rows of a table, by a mapping: a row, or the rows of one order."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Final

from msgspec import structs

from innkeeper.rules import batch as rules
from innkeeper.rules.batch import BatchRecord, Operation, RecordError
from innkeeper.wire.bulk import batch_records
from innkeeper.wire.bulk.cell_faults import without_faults
from innkeeper.wire.bulk.cells import Unfit
from innkeeper.wire.bulk.damage import refuse_damaged
from innkeeper.wire.bulk.mapping import ColumnMapping
from innkeeper.wire.bulk.nested_rows import flat_row
from innkeeper.wire.bulk.order_rows import OrderRows
from innkeeper.wire.bulk.plain_records import PLAIN_VALUES
from innkeeper.wire.bulk.row_values import RowValues

READERS: Final[Mapping[str, Callable[[dict[str, Any]], Operation]]] = {
    "guests": refuse_damaged(batch_records.own_guest),
    "orders": refuse_damaged(batch_records.any_order),
    "events": refuse_damaged(batch_records.event),
}
"""The functions that read the values of an import."""
_ORDER_ROW: Final = refuse_damaged(batch_records.order_row)


def row_record(
    entity: str,
    line: int,
    row: Mapping[str, Any],
    mapping: ColumnMapping,
    values: RowValues | None = None,
) -> BatchRecord:
    """Return the record of a row; never raises.

    `values`: the compiled mapping. With `refuse = "cell"` a row that is refused is read again
    without the cells that their fields do not accept.
    """
    row = flat_row(row) if mapping.is_of_paths else row
    value_of = partial(mapping.value, entity) if values is None else values.value
    record = _row_record(entity, line, row, mapping, value_of)
    if mapping.refuse != "cell" or not isinstance(record.what, RecordError):
        return record
    cleaned, faults = without_faults(mapping, entity, row)
    return _or_better(record, _row_record(entity, line, cleaned, mapping, value_of), faults.items())


def order_record(several: OrderRows, mapping: ColumnMapping) -> BatchRecord:
    """Return the record of consecutive rows of one order, as `row_record` does."""
    total = several.order.total
    record = _order_record(several, mapping)
    if mapping.refuse != "cell" or not isinstance(record.what, RecordError) or several.conflicts:
        return record
    rows, faults = list[dict[str, Any]](), list[tuple[str, str]]()
    for number, row in enumerate(several.rows):
        cleaned, own = without_faults(mapping, "orders", row)
        rows.append(cleaned)
        # Cells of the order stand in each of its rows.
        faults += [each for each in own.items() if not number or each[0] in mapping.item_columns]
    several.order.total = total
    return _or_better(record, _order_record(replace(several, rows=rows), mapping), faults)


def _row_record(
    entity: str,
    line: int,
    row: Mapping[str, Any],
    mapping: ColumnMapping,
    value_of: Callable[[Mapping[str, Any]], dict[str, Any]],
) -> BatchRecord:
    try:
        value = value_of(row)
    except Unfit as unfit:
        return BatchRecord(line, None, rules.invalid(str(unfit)))
    if mapping.is_of_lines:
        return batch_records.entry_of(line, value, _ORDER_ROW)
    plain = PLAIN_VALUES[entity](line, value) if entity in PLAIN_VALUES else None
    return plain or batch_records.entry_of(line, value, READERS[entity])


def _order_record(several: OrderRows, mapping: ColumnMapping) -> BatchRecord:
    try:
        value = several.value(mapping)
    except Unfit as unfit:
        return BatchRecord(several.line, None, rules.invalid(str(unfit)))
    return batch_records.entry_of(several.line, value, _ORDER_ROW)


def _or_better(
    refused: BatchRecord, without: BatchRecord, faults: Iterable[tuple[str, str]]
) -> BatchRecord:
    """Return the record without bad cells if it is right, else the one that was refused."""
    left_out = tuple(f"{column}: {fault}" for column, fault in faults)
    if not left_out or isinstance(without.what, RecordError):
        return refused
    return structs.replace(without, left_out=left_out)
