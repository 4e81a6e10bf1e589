"""Cells that a spreadsheet would take for formulas, marked and unmarked.

Excel, LibreOffice and Google Sheets run a cell that begins with one of `FORMULA`. A mark, the
apostrophe, makes it text; a cell that begins with an apostrophe gets one more, so that taking one
off each marked cell gives back what was there.
"""

import re
from typing import Any, Final

FORMULA: Final = "=+-@\t\r\n＝＋－＠"
MARK: Final = "'"
STARTS: Final = f"^[{MARK}=+@\t\r\n＝＋－＠-]"
"""What a cell that needs a mark looks like, as a regular expression."""
NUMBER: Final = "^[-+]?[0-9]+([.][0-9]+)?$"
"""A number begins like a formula, and is none."""
_NUMBER: Final = re.compile(NUMBER)

MAPPING: Final = (
    "# Written by Innkeeper beside a guarded export: an import takes the marks off again.\n"
    'entity = "{entity}"\n'
    "guarded = true\n"
)
"""The mapping beside a file whose cells are marked, which is called like the file with a suffix."""
MAPPING_SUFFIX: Final = ".mapping.toml"


def guarded(value: Any) -> Any:
    """A value as a cell that no spreadsheet runs; numbers stay what they are."""
    if not isinstance(value, str) or not value or value[0] not in FORMULA + MARK:
        return value
    return value if _NUMBER.match(value) and value[-1] != "\n" else MARK + value


def unguarded(cell: str) -> str:
    """The value of a cell that `guarded` made."""
    return cell[1:] if cell.startswith(MARK) else cell
