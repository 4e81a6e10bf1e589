"""Orders over several rows of a table: rows with one value of the group column are one order."""

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from innkeeper.store.readers import MAX_CELLS, MAX_LINE, weight_of
from innkeeper.store.tables import EXTRA
from innkeeper.wire.bulk.cells import Unfit
from innkeeper.wire.bulk.mapping import ColumnMapping
from innkeeper.wire.bulk.targets import is_of_item

OPEN_ORDERS: Final = 10_000
"""Orders whose cells are cached for later rows, of `MAX_CELLS` characters altogether; the least
recently seen orders are dropped first."""
MOST_ORDERS: Final = 4_000_000
"""Most orders in a file; their hashes are in memory, to detect an order that returns after it was
dropped."""
_MOST_ROWS: Final = 1000
"""Rows of one order that are read as one record; an order may have several records."""

_ROW_WEIGHT: Final = MAX_LINE // 4000
"""Bytes that a row counts for; a chunk has at most 4000."""

NumberedRow = tuple[int, Mapping[str, Any]]


@dataclass(slots=True)
class _OpenOrder:
    """The rows of an order so far: column -> (cell, line), and the sum of the lines."""

    cells: dict[str, tuple[Any, int]] = field(default_factory=dict)
    total: Decimal | int = 0

    def size(self) -> int:
        """Return how many characters its cells have."""
        return sum(len(cell) for cell, _ in self.cells.values() if isinstance(cell, str))


@dataclass(frozen=True, slots=True)
class OrderRows:
    """Consecutive rows of one order; cells of the order are the same in all of them."""

    line: int
    """Number of the first row."""
    rows: list[dict[str, Any]]
    conflicts: list[str]
    """Differences between rows, as sentences without values."""
    order: _OpenOrder

    def weight(self) -> int:
        """Return the share of a chunk's bytes that these rows take."""
        return max(len(self.rows) * _ROW_WEIGHT, sum(map(weight_of, self.rows)))

    def value(self, mapping: ColumnMapping) -> dict[str, Any]:
        """Return the value of the order with the items of these rows; raises `Unfit`."""
        if self.conflicts:
            raise Unfit("; ".join(self.conflicts))
        values = [mapping.value("orders", row) for row in self.rows]
        items = [item for value in values for item in value.get("orderItems", ())]
        whole = values[0]
        if items:
            whole["orderItems"] = items
            self.order.total += sum(map(_amount, items))
            whole.setdefault("price", self.order.total)
        return whole


def _amount(item: Mapping[str, Any]) -> Decimal | int:
    """Return the amount of a line, which counts if the order has no price of its own."""
    price, quantity = item.get("price"), item.get("quantity", 1)
    are_numbers = isinstance(price, Decimal | int) and isinstance(quantity, Decimal | int)
    return price * quantity if are_numbers else 0


def order_rows(
    rows: Iterable[NumberedRow], mapping: ColumnMapping, after: int = 0
) -> Iterator[tuple[int, OrderRows]]:
    """Yield (number of the last row, rows of one order), past the row `after`.

    An empty cell of the order is filled from a row of the order that has it, above it, or below it
    among consecutive rows. An empty group cell continues the order above.
    """
    open_orders: OrderedDict[str, _OpenOrder] = OrderedDict()
    closed, weight = set[int](), 0
    columns = [
        column for column, targets in mapping.columns.items() if not all(map(is_of_item, targets))
    ]
    for key, run in order_runs(rows, mapping.group):
        order = open_orders.pop(key, None)
        conflicts = []
        if order is None:
            order = _OpenOrder()
            if hash(key) in closed:
                conflicts.append(
                    f"{mapping.group}: other rows of this order are too far above; sort the file "
                    f"by {mapping.group}"
                )
        open_orders[key] = order
        before = order.size()
        conflicts += _carry(order, run, columns)
        weight += order.size() - before
        while len(open_orders) > OPEN_ORDERS or (weight > MAX_CELLS and len(open_orders) > 1):
            evicted, forgotten = open_orders.popitem(last=False)
            weight -= forgotten.size()
            if len(closed) < MOST_ORDERS:
                closed.add(hash(evicted))
        filled = [
            {**row, **{name: cell for name, (cell, _) in order.cells.items()}} for _, row in run
        ]
        read = OrderRows(run[0][0], filled, conflicts, order)
        if run[-1][0] > after:
            yield run[-1][0], read
        else:
            # The row is applied already, but its sum counts for later rows.
            order.total += _sum_of(read, mapping)


def _sum_of(read: OrderRows, mapping: ColumnMapping) -> Decimal | int:
    """Return the sum of the items of rows; 0 if they cannot be read."""
    try:
        values = [mapping.value("orders", row) for row in read.rows]
    except Unfit:
        return 0
    return sum(_amount(item) for value in values for item in value.get("orderItems", ()))


def order_runs(rows: Iterable[NumberedRow], group: str) -> Iterator[tuple[str, list[NumberedRow]]]:
    """Yield (value of the group column, consecutive rows that have it)."""
    key, run, weight = "", list[NumberedRow](), 0
    for number, row in rows:
        own = str(row.get(group) or "") or key
        if run and (own != key or len(run) == _MOST_ROWS or weight >= MAX_LINE):
            yield key, run
            run, weight = [], 0
        key = own
        run.append((number, row))
        weight += weight_of(row)
    if run:
        yield key, run


def _carry(order: _OpenOrder, run: list[NumberedRow], columns: list[str]) -> list[str]:
    """Add the cells of rows to those of their order; return what differs."""
    conflicts = dict[str, str]()
    for number, row in run:
        if row.get(EXTRA):
            conflicts.setdefault("", f"line {number}: has more cells than the header")
        for column in columns:
            cell = row.get(column)
            if cell is None or cell == "":
                continue
            stored, line = order.cells.setdefault(column, (cell, number))
            if stored != cell:
                conflicts.setdefault(
                    column, f"{column}: differs between lines {line} and {number} of one order"
                )
    return list(conflicts.values())
