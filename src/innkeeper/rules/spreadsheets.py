"""Mark texts that a spreadsheet would run as formulas, and remove the marks.

Excel, LibreOffice and Google Sheets run a cell that begins with one of `FORMULA`. An apostrophe in
front makes it text. A cell that begins with an apostrophe gets another one, so that removing one
apostrophe restores every cell.
"""

import re
from typing import Any, Final

FORMULA: Final = "=+-@\t\r\n＝＋－＠"
MARK: Final = "'"
STARTS: Final = f"^[{MARK}=+@\t\r\n＝＋－＠-]"
"""Regular expression of cells that need a mark."""
NUMBER: Final = "^[-+]?[0-9]+([.][0-9]+)?$"
"""Regular expression of numbers, which may begin like a formula but need no mark."""
_NUMBER: Final = re.compile(NUMBER)

MAPPING: Final = (
    "# Written by Innkeeper beside a guarded export: an import removes the marks again.\n"
    'entity = "{entity}"\n'
    "guarded = true\n"
)
"""The mapping of a file with marked cells; its name is the file's name with `MAPPING_SUFFIX`."""
MAPPING_SUFFIX: Final = ".mapping.toml"


def guarded(value: Any) -> Any:
    """Return a value as a cell that no spreadsheet runs; numbers are unchanged."""
    if not isinstance(value, str) or not value or value[0] not in FORMULA + MARK:
        return value
    return value if _NUMBER.match(value) and value[-1] != "\n" else MARK + value


def unguarded(cell: str) -> str:
    """Return the value of a cell from `guarded`."""
    return cell[1:] if cell.startswith(MARK) else cell
