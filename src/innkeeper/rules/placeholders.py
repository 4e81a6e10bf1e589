"""Placeholders: values that systems store instead of none, and that do not identify a person."""

import re
from collections.abc import Collection
from typing import Final

from innkeeper.rules import normalize

PLACEHOLDERS: Final = (
    # Written by programs
    *("null", "nil", "none", "nan", "undefined", "void", "true", "false", "\\n"),
    *("[object object]", "[object undefined]", "[object null]", "[object promise]"),
    *("{}", "[]", "-", "0", "undefined undefined", "null null"),
    # Written by people and forms
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
"""The initial list of every workspace, normalized by `plain`. A workspace may add and remove
values. Blank values, values of zeros and punctuation, and damaged numbers never identify."""
MOST: Final = 1000
"""Most values on the list of a workspace."""
LONGEST: Final = 255
"""Most characters of a value on the list."""

_QUOTES: Final = " \t\r\n\f\v\u00a0\"'`´‘’‚‛“”„‟«»‹›"
_BRACKETS: Final = _QUOTES + "()[]{}<>"
_ZEROS: Final = re.compile(r"[0\W_]+")


def plain(value: str) -> str:
    """Normalize a value for comparison with the list: no case, invisible characters, or spaces and
    quotes around it; single spaces inside."""
    text = normalize.visible(value).replace('\\"', '"').strip(_QUOTES).lower()
    return " ".join(text.split()) if " " in text or "\t" in text else text


def identifies_nobody(value: str, never: Collection[str]) -> bool:
    """Whether a value is on the list `never`, with or without brackets, or is blank, only zeros and
    punctuation, or a number that a spreadsheet damaged."""
    text = plain(value)
    if not text or text in never or text.strip(_BRACKETS) in never:
        return True
    return not text[0].isalpha() and (
        _ZEROS.fullmatch(text) is not None or normalize.is_damaged(text)
    )
