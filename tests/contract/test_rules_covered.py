"""Every rule that is served has a test that names it; those that are not yet say why."""

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]

RULES = {
    "L": range(1, 13),
    "G": range(1, 17),
    "X": range(1, 19),
    "C": range(1, 12),
    "N": range(1, 27),
    "O": range(1, 13),
    "I": range(1, 8),
    "P": range(1, 10),
    "ID": range(1, 8),
    "E": range(1, 10),
    "V": range(1, 7),
    "VL": range(1, 6),
    "VG": range(1, 6),
    "VX": range(1, 10),
    "VO": range(1, 8),
    "VC": range(1, 6),
    "VK": range(1, 3),
    "ER": range(1, 7),
    "AU": range(1, 8),
    "CT": range(1, 9),
    "RL": range(1, 5),
    "S": range(1, 8),
    "R": [1],
}
LATER = {
    "C-2": "states which data models v2 and v2.1 serve: nothing to observe",
    "L-12": "tells that the vendor's samples of links do not resolve; R-1 is what we do",
    "V-6": "tells of hosts: nothing to observe",
}


def named() -> set[str]:
    """Rules that some test names, this file apart."""
    results: set[str] = set()
    for file in TESTS.rglob("test_*.py"):
        if file != Path(__file__):
            results |= set(re.findall(r"\b[A-Z]{1,2}-\d+\b", file.read_text()))
    return results


def test_every_rule_is_named_by_a_test() -> None:
    rules = {f"{letter}-{number}" for letter, numbers in RULES.items() for number in numbers}
    assert rules - named() - set(LATER) == set()


def test_what_is_left_for_later_is_a_rule() -> None:
    rules = {f"{letter}-{number}" for letter, numbers in RULES.items() for number in numbers}
    assert set(LATER) <= rules
