"""Complete the rows of reports with values that are easier to derive here than in SQL."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import Any, Final
from urllib.parse import unquote_plus

from innkeeper.rules.rfm_groups import GROUPS, group_of

Rows = list[tuple[Any, ...]]
MOST_GROUPS: Final = 10
"""Most groups of guests that a funnel is split into: the largest of its first step."""


def finish(name: str, rows: Rows) -> Rows:
    """Return the rows of a report as its columns describe them."""
    if name == "products":
        return [_named_product(*row) for row in rows]
    if name == "campaigns":
        return [(*(unquote_plus(text) for text in row[:3]), *row[3:]) for row in rows]
    return _grouped(rows) if name == "rfm_groups" else rows


def _named_product(*row: Any) -> tuple[Any, ...]:
    """Name a product by what the names of its variants start with."""
    product, currency, quantity, revenue, first, last, variants = row
    pairs = zip(first or "", last or "", strict=False)
    shared = "".join(one for one, _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
    if variants > 1:
        # Not half a word: "Boots 4" of "Boots 40" and "Boots 42" is "Boots".
        shared = shared.rpartition(" ")[0].rstrip(" ,-/(")
    return product, currency, quantity, revenue, shared or first, variants


def _grouped(rows: Rows) -> Rows:
    """Sum buyers by recency and frequency into named groups."""
    sums: dict[str, list[Any]] = defaultdict(lambda: [0, 0, 0])
    for recency, frequency, guests, orders, revenue in rows:
        for index, value in enumerate((guests, orders, revenue or 0)):
            sums[group_of(int(recency), int(frequency)).name][index] += value
    total = sum(guests for guests, _, _ in sums.values()) or 1
    return [
        (group.name, guests, round(guests / total, 4), orders, revenue, group.meaning)
        for group in GROUPS
        if group.name in sums
        for guests, orders, revenue in [sums[group.name]]
    ]


def funnel(
    steps: Sequence[str], counts: Sequence[Mapping[str | None, int]], *, is_split: bool
) -> Rows:
    """Return (step, guests, share of the first step, share of the step before, and perhaps the
    group) from the guests of each group by step."""
    first = counts[0]
    groups = sorted(first, key=lambda group: (-first[group], group or ""))[:MOST_GROUPS]
    rows: Rows = []
    for group in groups or [None]:
        before = whole = first.get(group, 0)
        for step, by_group in zip(steps, counts, strict=True):
            guests = by_group.get(group, 0)
            shares = [round(guests / base, 4) if base else 0 for base in (whole, before)]
            rows.append((step, guests, *shares, *([group] if is_split else [])))
            before = guests
    return rows
