"""Placeholders: values that systems write where they have none, and that identify nobody."""

import re
from collections.abc import Collection
from typing import Final

from innkeeper.rules import normalize

PLACEHOLDERS: Final = (
    # What programs make of nothing
    *("null", "nil", "none", "nan", "undefined", "void", "true", "false", "\\n"),
    *("[object object]", "[object undefined]", "[object null]", "[object promise]"),
    *("{}", "[]", "-", "0", "undefined undefined", "null null"),
    # What people and forms write
    *("n/a", "n.a.", "unknown", "anonymous", "guest", "not set", "not_set", "not-set"),
    *(
        "not available",
        "not applicable",
        "not provided",
        "no value",
        "test",
        "1234567890",
        "+1234567890",
    ),
    *("test@test.com", "test@example.com", "noemail@noemail.com", "none@none.com"),
    *("no@email.com", "na@na.com", "unknown@unknown.com", "null@null.com"),
    *("undefined@undefined.com", "guest@guest.com", "anonymous@anonymous.com"),
    *normalize.SHEET_ERRORS,
)
"""The list that every workspace begins with, as `plain` writes it. A workspace may add and remove;
blank values, zeros and punctuation alone, and damaged numbers identify nobody in any case."""
MOST: Final = 1000
"""Values on the list of a workspace."""
LONGEST: Final = 255
"""Characters of a value on it."""

_QUOTES: Final = " \t\r\n\f\v\u00a0\"'`´‘’‚‛“”„‟«»‹›"
_BRACKETS: Final = _QUOTES + "()[]{}<>"
_ZEROS: Final = re.compile(r"[0\W_]+")


def plain(value: str) -> str:
    """A value as it compares with the list: without case, invisible characters and the spaces and
    quotes around it; spaces inside are one."""
    text = normalize.visible(value).replace('\\"', '"').strip(_QUOTES).lower()
    return " ".join(text.split()) if " " in text or "\t" in text else text


def identifies_nobody(value: str, never: Collection[str]) -> bool:
    """Whether a value is on the list `never`, with or without brackets around it; or is blank,
    nothing but zeros and punctuation, or a number that a spreadsheet damaged."""
    text = plain(value)
    return (
        not text
        or text in never
        or text.strip(_BRACKETS) in never
        or _ZEROS.fullmatch(text) is not None
        or normalize.is_damaged(text)
    )
