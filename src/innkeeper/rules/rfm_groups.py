"""Named groups of buyers, by recency and frequency of their orders."""

from dataclasses import dataclass
from typing import Final

FREQUENCY_MAX: Final = 5
"""Largest number of orders that is distinguished: five means five or more."""


@dataclass(frozen=True, slots=True)
class BuyerGroup:
    """Buyers with a recency (1 to 5; 5 is the most recent fifth) and a number of orders."""

    name: str
    meaning: str
    recency: tuple[int, int]
    frequency: tuple[int, int]

    def contains(self, recency: int, frequency: int) -> bool:
        """Whether a buyer with these values belongs to the group."""
        lowest, highest = self.recency
        fewest, most = self.frequency
        return lowest <= recency <= highest and fewest <= frequency <= most


GROUPS: Final = (
    BuyerGroup("champions", "4 orders or more, among the latest buyers", (4, 5), (4, 5)),
    BuyerGroup("loyal", "2 or 3 orders, among the latest buyers", (4, 5), (2, 3)),
    BuyerGroup("new", "1 order, among the latest buyers", (4, 5), (1, 1)),
    BuyerGroup("promising", "1 order, some time ago", (3, 3), (1, 1)),
    BuyerGroup("needs attention", "2 orders or more, some time ago", (3, 3), (2, 5)),
    BuyerGroup("at risk", "2 orders or more, long ago", (1, 2), (2, 5)),
    BuyerGroup("lost", "1 order, long ago", (1, 2), (1, 1)),
)
"""Every buyer belongs to exactly one."""


def group_of(recency: int, frequency: int) -> BuyerGroup:
    """Return the group of a buyer."""
    frequency = min(frequency, FREQUENCY_MAX)
    return next(group for group in GROUPS if group.contains(recency, frequency))
