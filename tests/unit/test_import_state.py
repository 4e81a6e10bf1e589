"""The state of an import as pages name it: partial success is no success."""

import pytest

from innkeeper.web.ui.formatting import import_state


@pytest.mark.parametrize(
    ("state", "records", "failed", "fault", "expected"),
    [
        ("success", 400, 0, None, "done"),
        ("error", 400, 10, None, "partly done"),
        ("error", 10, 10, None, "failed"),
        ("error", 400, 0, "The file cannot be read.", "error"),
        ("corrupted", 0, 0, "It has no header.", "corrupted"),
        ("processing", 100, 10, None, "running"),
        ("success", 400, 0, "discarded", "discarded"),
    ],
)
def test_an_import_is_done_where_all_records_are(
    state: str, records: int, failed: int, fault: str | None, expected: str
) -> None:
    row = {"state": state, "records": records, "failed": failed, "fault": fault, "undo": None}
    assert import_state(row) == expected
