"""Print the rows of a workbook's sheet as lines of JSON, in a process with limited memory.

calamine allocates every cell between the first and the last of a sheet, even if only these two
exist, and aborts the process if that fails. So it runs in its own process.
"""

import json
import sys
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import Any, Final

from innkeeper.store.process_limits import limit_memory, limit_process

MEMORY_MB: Final = 2048
CPU_SECONDS: Final = 600
_EXACT: Final = 10**15
_OTHERS: Final = (
    "Choose the sheet with the records (the command has --sheet), or move it to the front. Its "
    "sheets are "
)


def is_filled(cell: Any) -> bool:
    """Whether a cell contains anything but spaces."""
    return cell is not None and cell != "" and not (isinstance(cell, str) and not cell.strip())


def read_sheet(path: str, sheet: str) -> Iterator[Any]:
    """Yield the names of the sheets as {"sheets": names}, then [row number in the sheet, cells] of
    each row that is not empty; or, as the last item, a sentence with the reason why the sheet
    cannot be read."""
    from python_calamine import CalamineError, CalamineWorkbook  # noqa: PLC0415 - in the child

    try:
        with CalamineWorkbook.from_path(path) as workbook:
            names = workbook.sheet_names
            yield {"sheets": names}
            if not names:
                yield "it has no sheets"
            elif sheet and sheet not in names:
                yield f"it has no sheet {sheet}. Its sheets are {', '.join(names[:20])}"
            else:
                rows = workbook.get_sheet_by_name(sheet or names[0]).iter_rows()
                many = 0
                for number, row in enumerate(rows, 1):
                    if any(map(is_filled, row)):
                        many += 1
                        yield [number, [_value(cell) for cell in row]]
                if many < 2 and len(names) > 1:
                    what = "is empty" if not many else "has one row"
                    yield f"its sheet {sheet or names[0]} {what}. {_OTHERS}{', '.join(names[:20])}"
    except CalamineError as error:
        if "password" in str(error).lower():
            yield "it is protected by a password. Save it without one"
        else:
            yield f"the workbook is damaged ({error})"


def _value(cell: Any) -> Any:
    """Convert a cell to JSON."""
    if isinstance(cell, float):
        return int(cell) if cell.is_integer() and abs(cell) < _EXACT else cell
    if isinstance(cell, datetime | date | time):
        return cell.isoformat()
    if isinstance(cell, timedelta):
        return str(cell)
    return cell


def main(path: str, sheet: str, parent: int) -> None:
    limit_process(parent, CPU_SECONDS)
    limit_memory(MEMORY_MB)
    for line in read_sheet(path, sheet):
        sys.stdout.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
