"""Counts of the outcomes of records."""

from collections import Counter

from innkeeper.actions.bulk.outcomes import MOST_REASONS, OTHER_REASONS, add_reasons


def test_i9_of_very_many_reasons_the_rarer_ones_share_a_number() -> None:
    total = Counter[str]()
    for start in (0, 300):
        add_reasons(total, Counter({f"reason {start + n}": 1 for n in range(300)}))
    add_reasons(total, Counter({"often": 5, OTHER_REASONS: 2}))
    assert len(total) == MOST_REASONS + 1
    assert (total["often"], total.total()) == (5, 607)
