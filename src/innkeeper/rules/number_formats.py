"""Numbers as people write them, `1.234,56`, `€ 12.50`, `(3)`, and their decimal mark."""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Final

LONGEST: Final = 100
"""Most characters of a text that may be a number."""
EXACT_DIGITS: Final = 15
"""Most digits that a spreadsheet, or a double, stores exactly."""
_PLAIN: Final = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,3})?")
_MARKED: Final = re.compile(r"[0-9]+(?:[.,][0-9]+)*")
_CURRENCY: Final = re.compile(
    r"(?:^[A-Z]{3}(?=[^A-Za-z]))|(?:(?<=[^A-Za-z])[A-Z]{3}$)|^[A-Z]{1,2}(?=\$)"
)
_LOCAL_NAME: Final = re.compile(
    r"(?<=[0-9\s-])(?:zł|Kč|Ft|kr\.?|lei|лв\.?|руб\.?|р\.|Fr\.)$|^(?:kr\.?|Rs\.?|Fr\.)(?=[ 0-9-])"
)
"""Currencies whose sign is neither a code nor a symbol of Unicode."""
_NO_DECIMALS: Final = re.compile(r"(?<=[0-9])([.,])[-–—]{1,2}$")
"""What stands for decimals of zero: `12.–`, `12,--`."""
_GROUP_MARKS: Final = " \u00a0\u202f\u2009'’"
_NOTHING: Final = ("nan", "-nan", "inf", "-inf", "+inf", "infinity", "-infinity", "+infinity")


class NotANumber(ValueError):
    """A text that is not a number; the argument is the reason."""


def read_number(text: str, decimal: str = "") -> int | Decimal | None:
    """Read a number; None for NaN and infinity, which count as empty. Raises `NotANumber`.

    `decimal` is the mark before decimals: `.` or `,`. Without it a number with two readings is
    refused: `1,234`.
    """
    text = text.strip()
    if decimal != "," and len(text) <= LONGEST and _PLAIN.fullmatch(text):
        return int(text) if text.lstrip("+-").isdecimal() else Decimal(text)
    if text.lower() in _NOTHING:
        return None
    sign, digits = _bare(text)
    mark = decimal or decimal_of(text)
    if mark == "?":
        raise NotANumber('reads as two numbers: set decimal = "." or decimal = "," in the mapping')
    whole, separator, rest = (
        digits.rpartition(mark) if mark and mark in digits else (digits, "", "")
    )
    other = "," if mark == "." else "."
    groups = whole.split(other)
    if (
        not _are_groups(groups, is_indian=other == ",")
        or (mark and mark in whole)
        or (separator and other in rest)
    ):
        raise NotANumber("must be a number")
    try:
        number = Decimal("".join(groups) + (f".{rest}" if rest else ""))
    except InvalidOperation:
        raise NotANumber("must be a number") from None
    number = -number if sign else number
    return int(number) if not rest else number


def _are_groups(groups: Sequence[str], *, is_indian: bool) -> bool:
    """Whether digits are grouped by three, or `is_indian` by two: `12,34,567`."""
    if len(groups) == 1:
        return True
    first, *inner, last = map(len, groups)
    by_two = is_indian and first <= 2 and {*inner} == {2}
    return last == 3 and (by_two or (first <= 3 and {*inner} <= {3}))


def decimal_of(text: str) -> str:
    """Return the decimal mark of a number: `.`, `,`, an empty text if it has none, `?` if it may be
    either (`1,234`). Raises `NotANumber`."""
    _, digits = _bare(text)
    if no_decimals := _NO_DECIMALS.search(text.strip()):
        return no_decimals[1]
    comma, point = digits.count(","), digits.count(".")
    if comma and point:
        return "," if digits.rindex(",") > digits.rindex(".") else "."
    if not comma and not point:
        return ""
    mark = "," if comma else "."
    if comma + point > 1:
        return "." if comma else ","
    whole, _, rest = digits.partition(mark)
    return "?" if len(rest) == 3 and len(whole) <= 3 and not whole.startswith("0") else mark


def _bare(text: str) -> tuple[bool, str]:
    """Return whether a number is negative, and its digits with their marks."""
    bare = text.strip()
    if not bare or len(bare) > LONGEST:
        raise NotANumber("must be a number")
    is_negative = bare[0] == "(" and bare[-1] == ")"
    bare = bare[1:-1] if is_negative else bare
    bare = "".join(each for each in bare if unicodedata.category(each) != "Sc" or each == "$")
    bare = _CURRENCY.sub("", _LOCAL_NAME.sub("", bare.strip())).replace("$", "").strip()
    bare = _NO_DECIMALS.sub("", bare)
    if bare[:1] in ("-", "−", "+") or bare[-1:] == "-":
        is_negative = is_negative or "+" not in bare
        bare = bare.strip("-−+").strip()
    for mark in _GROUP_MARKS:
        if mark in bare:
            groups = bare.replace(mark, " ").split(" ")
            if not all(len(each.replace(",", ".").partition(".")[0]) == 3 for each in groups[1:]):
                raise NotANumber("must be a number")
            bare = "".join(groups)
    if not _MARKED.fullmatch(bare):
        raise NotANumber("must be a number")
    return is_negative, bare


@dataclass(slots=True)
class NumberColumn:
    """The decimal mark of a column, by all of its cells."""

    marks: Counter[str] = field(default_factory=Counter)
    """Result of `decimal_of` -> number of cells."""
    example: str = ""
    """An example of a cell with two readings."""

    def add(self, text: str) -> None:
        if text.isdecimal():
            return
        text = text.rstrip(" %") if text.endswith("%") else text
        try:
            mark = decimal_of(text)
        except NotANumber:
            return
        self.marks[mark] += 1
        if mark == "?" and not self.example:
            self.example = text

    def add_example(self, text: str) -> None:
        """Use a cell as the example of one with two readings, if there is none."""
        if not self.example and self.marks["?"] and _undecided(text):
            self.example = text


def _undecided(text: str) -> bool:
    try:
        return decimal_of(text) == "?"
    except NotANumber:
        return False


def is_code(text: str) -> bool:
    """Whether a text of digits is a code, not an amount: it starts with zeros or is very long."""
    digits = text.strip().lstrip("+-")
    if not digits.isdecimal():
        return False
    return len(digits) > EXACT_DIGITS or (len(digits) > 1 and digits[0] == "0") or text[:1] == "+"
