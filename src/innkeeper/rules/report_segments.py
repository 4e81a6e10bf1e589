"""Definitions of segments for the guests in rows of a report."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from innkeeper.resources.base import Record
from innkeeper.resources.segments import TIMESTAMP
from innkeeper.rules.rfm_groups import FREQUENCY_MAX, GROUPS, BuyerGroup

_AT_LEAST: Final = "is greater than or equal to"
_EQUAL: Final = "is equal to"
_BETWEEN: Final = "is between"


def definitions(
    name: str, params: Mapping[str, Any], rows: Sequence[Sequence[Any]]
) -> list[Record]:
    """Return a definition for each row; empty for reports that are not about certain guests."""
    if name == "funnel":
        steps = params["steps"]
        # Each group has a row for each step, in order.
        return [
            _reached(steps[: number % len(steps) + 1], params, row)
            for number, row in enumerate(rows)
        ]
    if name == "rfm":
        value = f"rfmValue.{params['currency']}"
        return [_buyers((row[0], row[0]), _trait(value, row[1], row[1])) for row in rows]
    if name == "rfm_groups":
        groups = {group.name: group for group in GROUPS}
        return [_buyers(groups[row[0]].recency, _ordered(groups[row[0]])) for row in rows]
    return []


def _reached(steps: Sequence[str], params: Mapping[str, Any], row: Sequence[Any]) -> Record:
    """Return the definition of the guests who took these steps in the days of a funnel, as days in
    UTC."""
    days = {
        "field": "createdAt",
        "comparator": _BETWEEN,
        "comparatorDataType": TIMESTAMP,
        "values": [params["first_day"], params["last_day"]],
    }
    window = {"withinDays": params["window"]} if params["window"] else {}
    sequence = [
        {
            "entity": "event",
            "type": step.strip().upper(),
            "rules": [days],
            **(window if position else {}),
        }
        for position, step in enumerate(steps)
    ]
    groups: list[Record] = sequence if len(sequence) == 1 else [{"sequence": sequence}]
    if params["by"] == "type":
        # No guest took the first step: there is no type.
        groups += [{"entity": "guest", "type": row[4].lower(), "rules": []}] if row[4] else []
    elif params["by"]:
        value = row[4]
        rule = {"field": params["by"], "comparator": "is null" if value is None else _EQUAL}
        rule |= {} if value is None else {"values": [value]}
        groups.append({"entity": "guest", "rules": [rule]})
    return {"operator": "AND", "filterGroups": groups}


def _buyers(recency: tuple[int, int], rule: Record) -> Record:
    """Return the definition of the guests with this recency among the buyers of all time in any
    currency, and with another rule."""
    rules = [_trait("rfmRecency", *recency), rule]
    return {"operator": "AND", "filterGroups": [{"entity": "guest", "rules": rules}]}


def _ordered(group: BuyerGroup) -> Record:
    """Return the rule that compares the number of orders."""
    fewest, most = group.frequency
    return _trait("orderCount", fewest, None if most >= FREQUENCY_MAX else most)


def _trait(name: str, least: int, most: int | None) -> Record:
    if least == most:
        test: Record = {"comparator": _EQUAL, "values": [least]}
    elif most is None:
        test = {"comparator": _AT_LEAST, "values": [least]}
    else:
        test = {"comparator": _BETWEEN, "values": [least, most]}
    return {"location": "trait", "field": name, **test}
