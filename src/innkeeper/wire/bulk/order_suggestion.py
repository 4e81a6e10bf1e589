"""Complete a suggested mapping of orders with the members that orders and their lines require."""

from collections import defaultdict
from typing import Any, Final

from innkeeper.wire.bulk import column_values as values
from innkeeper.wire.bulk.column_names import currency_in, named_targets, pair_name
from innkeeper.wire.bulk.suggested_mapping import Suggestion, Table
from innkeeper.wire.bulk.targets import is_of_item

CONSTANTS: Final = {"pointOfSale": "default", "channel": "OTHER"}
"""Members that orders require but that few files of orders have."""
NAMELESS: Final = "unnamed"
"""Name of an item of which a file has a price, but neither name nor number."""
_LINE_CONSTANTS: Final = {"status": "PURCHASED", "paymentType": "Other"}
_ITEM_CONSTANTS: Final = {"orderItems.type": "PRODUCT"}
_NEVER_VARY: Final = ("contact.", "customerNumber", "referenceId", "orderedAt")
_VARYING: Final = 0.2
"""Share of the orders with several lines above which a column is one of lines."""
_QUESTIONS: Final = {
    "referenceId": "Which column is the number of the order?",
    "orderedAt": "Which column is the date of the order?",
}


def complete_orders(suggestion: Suggestion, table: Table) -> None:
    """Add the members that orders require; leave a question for each that the file does not
    show."""
    _settle_items(suggestion, table)
    has_items = any(is_of_item(target) for target in _targets(suggestion))
    for target, question in _QUESTIONS.items():
        if suggestion.column_of(target) is None:
            suggestion.undecided[("columns", target)] = question
    if not any(target.startswith("contact.") for target in _targets(suggestion)) and not any(
        "customerNumber" in targets for targets in suggestion.columns.values()
    ):
        suggestion.undecided[("columns", "contact.email")] = (
            "Which column identifies the person who ordered?"
        )
    constants = {**CONSTANTS, **(_LINE_CONSTANTS if has_items else {})}
    for target, constant in constants.items():
        if _is_incomplete(suggestion, table, target):
            suggestion.constants.setdefault(target, constant)
    _choose_currency(suggestion, table, has_items=has_items)
    if has_items:
        _complete_items(suggestion, table)


def _targets(suggestion: Suggestion) -> set[str]:
    return {target for targets in suggestion.columns.values() for target in targets}


def _is_incomplete(suggestion: Suggestion, table: Table, target: str) -> bool:
    """Return whether some orders have no value for a target."""
    column = suggestion.column_of(target)
    return column is None or len(table.texts[column]) < len(table.rows)


def _settle_items(suggestion: Suggestion, table: Table) -> None:
    """Decide whether rows are lines of orders: they are if a line's price is known."""
    if not any(is_of_item(target) for target in _targets(suggestion)):
        return
    total, price = suggestion.column_of("price"), suggestion.column_of("orderItems.price")
    quantity = suggestion.column_of("orderItems.quantity")
    named = suggestion.column_of("orderItems.name") or suggestion.column_of("orderItems.productId")
    if price is None and named and total and _differs_by_line(suggestion, table, total):
        # `Price` of lines of one order is the price of each.
        suggestion.columns[total] = ["orderItems.price"]
        price, total = total, None
    of_one = quantity is None or {*table.texts[quantity]} <= {"1"}
    if price is None and total is not None and named and of_one and not _repeats(suggestion, table):
        suggestion.columns[total].append("orderItems.price")
    elif price is not None and named is None and total is None:
        # `Price` of a list without products is the amount paid.
        suggestion.columns[price] = ["price"]
        price = None
    if named is None or (price is None and suggestion.column_of("orderItems.price") is None):
        moved = [
            column
            for column, targets in suggestion.columns.items()
            if targets and all(map(is_of_item, targets))
        ]
        for column in moved:
            suggestion.columns[column] = [f"extensions.ext.{pair_name(column)}"]
        suggestion.notes.append(
            "No column has the name and the price of one item, so "
            f"{', '.join(moved)} become a data extension of the order."
        )
        return
    suggestion.group = suggestion.column_of("referenceId") or ""
    for column, targets in _varying(suggestion, table).items():
        suggestion.columns[column] = targets


def _groups(suggestion: Suggestion, table: Table) -> dict[str, list[Any]]:
    """Return order number -> its sample rows."""
    groups = defaultdict[str, list[Any]](list)
    column = suggestion.column_of("referenceId")
    if column is not None:
        for row in table.rows:
            groups[str(row.get(column))].append(row)
    return groups


def _repeats(suggestion: Suggestion, table: Table) -> bool:
    """Whether an order has several sample rows."""
    return any(len(rows) > 1 for rows in _groups(suggestion, table).values())


def _differs_by_line(suggestion: Suggestion, table: Table, column: str) -> bool:
    """Whether a column that may be of items differs between the sample rows of some order."""
    is_of_items = "orderItems.price" in named_targets("orders", column)
    return is_of_items and any(
        len({row.get(column) for row in rows} - {None, ""}) > 1
        for rows in _groups(suggestion, table).values()
    )


def _varying(suggestion: Suggestion, table: Table) -> dict[str, list[str]]:
    """Columns that differ between lines of many orders, with a target of the item.

    Who ordered, and when, never differ: there a difference is a fault of the file.
    """
    several = [rows for rows in _groups(suggestion, table).values() if len(rows) > 1]
    varying: dict[str, list[str]] = {}
    for column, targets in suggestion.columns.items():
        if any(is_of_item(one) or one.startswith(_NEVER_VARY) for one in targets):
            continue
        differing = sum(len({row.get(column) for row in rows} - {None, ""}) > 1 for rows in several)
        if differing > _VARYING * len(several):
            is_status = "status" in targets
            name = "status" if is_status else f"extensions.ext.{pair_name(column)}"
            varying[column] = [f"orderItems.{name}"]
    return varying


def _choose_currency(suggestion: Suggestion, table: Table, *, has_items: bool) -> None:
    """Use the currency of a column, of a header or of symbols; else leave a question."""
    column = suggestion.column_of("currencyCode")
    if column is not None:
        if has_items and suggestion.column_of("orderItems.currencyCode") is None:
            suggestion.columns[column].append("orderItems.currencyCode")
        return
    amounts = [
        name
        for name in (suggestion.column_of("price"), suggestion.column_of("orderItems.price"))
        if name is not None
    ]
    if not amounts:
        return
    currency = next(filter(None, map(currency_in, amounts)), None) or values.currency_of(
        [text for name in amounts for text in table.texts[name]]
    )
    for target in ("currencyCode", *(("orderItems.currencyCode",) if has_items else ())):
        if currency:
            suggestion.constants[target] = currency
        else:
            suggestion.undecided[("constants", target)] = (
                "The file does not show the currency: EUR, USD, GBP …?"
            )


def _complete_items(suggestion: Suggestion, table: Table) -> None:
    """Derive the required members of a line from the others."""
    for target, constant in _ITEM_CONSTANTS.items():
        if _is_incomplete(suggestion, table, target):
            suggestion.constants.setdefault(target, constant)
    if _is_incomplete(suggestion, table, "orderItems.vendor"):
        vendor = suggestion.constants.get("pointOfSale", CONSTANTS["pointOfSale"])
        suggestion.constants.setdefault("orderItems.vendor", vendor)
    name, product = (
        suggestion.column_of("orderItems.name"),
        suggestion.column_of("orderItems.productId"),
    )
    if name is not None and suggestion.column_of("orderItems.description") is None:
        suggestion.columns[name].append("orderItems.description")
    for target, column in (
        ("orderItems.name", product),
        ("orderItems.productId", name),
        ("orderItems.description", product),
    ):
        if column is not None and suggestion.column_of(target) != column:
            suggestion.fallbacks.setdefault(target, column)
    if any(not (row.get(name or "") or row.get(product or "")) for row in table.rows):
        for target in ("orderItems.name", "orderItems.productId", "orderItems.description"):
            suggestion.constants.setdefault(target, NAMELESS)
