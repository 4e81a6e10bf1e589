"""P4: a process of its own reads a large file, until its parent ends it."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from profiles import each_day

from innkeeper.actions.bulk.creations import CreationTerms
from innkeeper.actions.bulk.packed_records import PackedRecords
from innkeeper.errors import Unavailable
from innkeeper.rules.attachment import Terms
from innkeeper.rules.identity_rules import Condition, IdentityRule, IdentityRules
from innkeeper.wire.bulk import record_reader
from innkeeper.wire.bulk.batch_files import Layout
from innkeeper.wire.bulk.reader_start import started_readers
from innkeeper.wire.bulk.record_reader import LEAST_BYTES, RecordReader


def test_p4_a_reading_process_outlives_a_stop_signal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service manager sends SIGTERM to every process of the server, whose running import goes on,
    also to one that still starts. A process that is killed is no fault of the file: the import is
    tried again."""
    pairs = {f"a{number}": "x" * 30 for number in range(10)}
    extension = {"name": "ext", "key": "default", **pairs}
    path = tmp_path / "guests.ndjson"
    with path.open("w") as file:
        for number in range(14_000):
            file.write(json.dumps({"email": f"{number}@x.example", "extensions": [extension]}))
            file.write("\n")
    assert path.stat().st_size > LEAST_BYTES
    started: list[subprocess.Popen[bytes]] = []
    start = subprocess.Popen

    def starting(*args: Any, **more: Any) -> Any:
        started.append(start(*args, **more))
        started[-1].terminate()
        return started[-1]

    monkeypatch.setattr(subprocess, "Popen", starting)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    chunks = RecordReader(Layout("guests"), path).chunks()
    expected = RecordReader(Layout("guests"), path).chunks_here()
    assert next(chunks) == next(expected)
    (process,) = started
    process.terminate()
    assert next(chunks) == next(expected)
    process.kill()
    with pytest.raises(Unavailable):
        list(chunks)

    def killed(*args: Any, **more: Any) -> Any:
        process = start(*args, **more)
        process.kill()
        process.wait()
        return process

    monkeypatch.setattr(subprocess, "Popen", killed)
    with pytest.raises(Unavailable):
        list(RecordReader(Layout("guests"), path).chunks())


def test_p4_a_process_that_is_started_early_reads_the_file_or_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "guests.ndjson"
    path.write_text('{"email": "ann@x.example"}\n' * 200_000)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    with started_readers([str(path), str(path)]) as started:
        (unused,) = started
        assert unused.poll() is None
    assert unused.returncode == -9
    with started_readers([str(path)]) as started:
        used = started.pop()
        reader = RecordReader(Layout("guests"), path, 199_000, process=used)
        assert [len(chunk.items) for chunk in reader.chunks()] == [1000]
    assert used.returncode is not None
    for name in (str(tmp_path), str(tmp_path / "none"), "https://host.example/guests.ndjson", "-"):
        with started_readers([name]) as started:
            assert started == []


TERMS = CreationTerms(
    IdentityRules(uuid4(), (IdentityRule("e-mail", (Condition(field="email"),)),)),
    Terms(is_customer=True),
    *("import", uuid4(), "test"),
)


@pytest.mark.parametrize("form", each_day(("ndjson", "csv"), "csv"))
def test_p4_records_with_creations_are_read_again_where_they_are_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    """A process that needs most records again gets them as they were read, from then on."""
    path, written = tmp_path / f"guests.{form}", []
    for number in range(18_000):
        # Some name nobody, and some are the same person as the one before.
        email = "" if number % 10 == 3 else f"{number - (number % 7 == 1)}@x.example"
        row = {"email": email or None, "firstName": f"Ann{number}", "city": "Cork"}
        written.append(f"{email},Ann{number},Cork" if form == "csv" else json.dumps(row))
    path.write_text("email,firstName,city\n" * (form == "csv") + "\n".join(written))
    monkeypatch.setattr(record_reader, "LEAST_BYTES", 0)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    layout = Layout("guests", form).prepared(path)
    expected = [chunk.items for chunk in RecordReader(layout, path).chunks_here()]
    again = []
    for items in (chunk.items for chunk in RecordReader(layout, path, 0, TERMS).chunks()):
        assert isinstance(items, PackedRecords)
        assert items.creations is not None
        assert items[10:20] == expected[len(again)][10:20]
        assert [*items] == expected[len(again)]
        again.append(items.read_again)
    assert again[0] > 500
    assert again[-1] == 0
