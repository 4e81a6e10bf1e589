"""S9: cells that a spreadsheet would run."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from innkeeper.rules.spreadsheets import guarded, unguarded

DANGEROUS = ("=1+1", "+1+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1+1", "－1+1", "=")


@pytest.mark.parametrize("text", [*DANGEROUS, "+353 1 234", "-5\n", "'quoted", "'=1"])
def test_s9_what_looks_like_a_formula_is_marked(text: str) -> None:
    assert guarded(text) == "'" + text


@pytest.mark.parametrize("value", ["", "Jane", "a=b", "-5", "+3.25", "-0", 5, -5, -1.5, None, True])
def test_s9_numbers_and_plain_text_stay(value: object) -> None:
    assert guarded(value) == value


@given(st.text() | st.text(alphabet="=+-@'\t\r\n.15a"))
def test_s9_unguarded_gives_back_what_was_there(text: str) -> None:
    assert unguarded(guarded(text)) == text
