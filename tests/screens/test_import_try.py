"""S4: what "Try" reads of an uploaded file is bounded, and nothing of it is read on the loop."""

import gzip
import io
from pathlib import Path
from random import Random
from typing import IO, Any, cast

import duckdb
import httpx
import openpyxl
import pytest
from visiting import Person

from innkeeper.store.limited_streams import LimitedStream, TooLong
from innkeeper.store.readers import MAX_LINE, Unreadable, check_gzip, chunks, lines
from innkeeper.web.ui.import_dry_run import DRY_RUN_BYTES
from innkeeper.web.ui.import_preview import SHOWN_ROWS, START_BYTES, WHOLE_BYTES


def uploaded(owner: Person, file: bytes, name: str) -> str:
    """The path of an import that waits for its mapping."""
    answer = owner.http.post(
        "/w/live/imports",
        data={"csrf": owner.csrf, "entity": "guests"},
        files={"file": (name, file)},
    )
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"])


def tried(owner: Person, path: str) -> tuple[int, str]:
    form = {"csrf": owner.csrf, "action": "try", "c0": "email", "c1": ""}
    answer = owner.http.post(path, data=form)
    return answer.status_code, " ".join(answer.text.split())


@pytest.mark.parametrize("packed", [False, True])
def test_i11_the_first_rows_of_a_large_file_are_shown_by_its_start(
    owner: Person, analyst: Person, packed: bool
) -> None:
    """Cut anywhere: within a row, a quoted cell, or the compressed content."""
    random = Random(1)
    rows = "".join(
        f'a{number}@example.com;"{random.random()}\n{random.random()}"\n'
        for number in range(60_000)
    )
    file = f"E-Mail;Größe\n{rows}".encode()
    file = gzip.compress(file) if packed else file
    assert len(file) > START_BYTES

    def preview(person: Person, start: bytes, name: str) -> httpx.Response:
        payload = {"csrf": person.csrf}
        path = "/w/live/imports/preview"
        return person.http.post(path, data=payload, files={"file": (name, start)})

    page = preview(owner, file[:START_BYTES], "people.csv").text
    assert "<th>Größe</th>" in page
    assert page.count("<tr>") == 1 + SHOWN_ROWS
    assert "a9@example.com" in page
    assert preview(analyst, b"a;b\n1;2\n", "a.csv").status_code == 403
    lines = preview(owner, b'{"email": "a@example.com"}\n{"city": "Cork"}\n', "a.json").text
    assert "<th>email</th>" in lines
    assert "Cork" in lines
    for encoding in ("cp1252", "utf-16", "utf-16-le"):
        western = ("Straße;Ort\n" + "Hauptstraße;Köln\n" * 80_000).encode(encoding)
        answer = preview(owner, western[:START_BYTES], "a.csv")
        assert answer.status_code == 200, encoding
        assert "<th>Straße</th>" in answer.text
        assert "Köln" in answer.text
    mixed = "Ort\nKöln\nKöln\n".encode() + "München\n".encode("cp1252")
    assert "two encodings" in preview(owner, mixed, "a.csv").text
    cut = preview(owner, ("x" * START_BYTES).encode("utf-16-le")[: START_BYTES - 1], "a.csv")
    assert cut.status_code == 200, cut.text
    assert "web page" in preview(owner, b"<!doctype html><p>Log in", "a.csv").text
    assert owner.http.post("/w/live/imports/preview", data={"csrf": "x"}).status_code == 403


def test_i11_the_first_rows_of_parquet_files_and_workbooks_are_shown(
    owner: Person, tmp_path: Path
) -> None:
    """Of a large Parquet file by its start and its end, which has its columns; what lies between is
    never shown as if it were empty."""
    rows = "SELECT 'a' || n || '@example.com' AS email, hash(n) AS \"Größe\" FROM range({}) AS t(n)"

    def parquet(name: str, many: int, group: int) -> bytes:
        path = tmp_path / name
        options = f"(FORMAT parquet, ROW_GROUP_SIZE {group}, COMPRESSION uncompressed)"
        duckdb.sql(f"COPY ({rows.format(many)}) TO '{path}' {options}")
        return path.read_bytes()

    def preview(file: bytes, name: str, whole: int = WHOLE_BYTES, **payload: Any) -> str:
        end = file[max(whole, len(file) - START_BYTES) :] if name.endswith("parquet") else b""
        files = {"file": (name, file[:whole] + end)}
        payload = {"csrf": owner.csrf, "size": len(file), "end": len(end)} | payload
        answer = owner.http.post("/w/live/imports/preview", data=payload, files=files)
        assert answer.status_code == 200, answer.text[-200:]
        return " ".join(answer.text.split())

    small = preview(parquet("small.parquet", 50, 2048), "small.parquet")
    large = parquet("large.parquet", 400_000, 20_480)
    for page in (small, preview(large, "large.parquet")):
        assert "<th>Größe</th>" in page
        assert page.count("<tr>") == 1 + SHOWN_ROWS
        assert "a9@example.com" in page
    # Its first group of rows is larger than the part that was sent.
    page = preview(parquet("wide.parquet", 500_000, 500_000), "wide.parquet")
    assert "<th>Größe</th>" in page
    assert page.count("<tr>") == 1
    assert "This file has 500,000 rows. They are shown once it is uploaded." in page
    # Its first group was sent, but not all that is read ahead.
    page = preview(parquet("short.parquet", 100_000, 2048), "short.parquet", 100 << 10)
    assert "<th>Größe</th>" in page
    assert "cannot be read" not in page
    cut = preview(large, "large.parquet", 4 << 20, size=len(large) + 1)
    assert "a9@example.com" in cut or "uploaded" in cut
    assert "once it is uploaded" in preview(b"PAR1" + b"x" * 100, "a.parquet", size=200)
    assert "cannot be read" in preview(b"PAR1" + b"x" * 100, "a.parquet")
    workbook = openpyxl.Workbook()
    for row in (["E-Mail", "Ort"], ["ann@example.com", "Köln"]):
        workbook.active.append(row)
    workbook.save(tmp_path / "people.xlsx")
    book = (tmp_path / "people.xlsx").read_bytes()
    page = preview(book, "people.xlsx")
    assert "<th>E-Mail</th>" in page
    assert "Köln" in page
    assert "over 8 MB" in preview(book, "people.xlsx", size=WHOLE_BYTES * 2)
    assert "the most that is uploaded" in preview(b"a;b\n1;2\n", "a.csv", size=10**12)


def test_s4_try_reads_a_compressed_file(owner: Person) -> None:
    rows = "".join(f"a{number}@example.com,x\n" for number in range(1500))
    path = uploaded(owner, gzip.compress(f"email,note\n{rows}".encode()), "a.csv.gz")
    status, page = tried(owner, path)
    assert status == 200, page
    assert "all 1,500 records" in page


@pytest.mark.long
def test_s4_try_stops_where_a_file_expands_too_far(owner: Person) -> None:
    """S4: 200 MB out of 200 KB; the first records are tried."""
    rows = "".join(f"a{number}@example.com,x\n" for number in range(1000))
    file = f"email,note\n{rows}".encode() + (b"b@example.com," + b"x" * 100_000 + b"\n") * 2000
    path = uploaded(owner, gzip.compress(file), "a.csv.gz")
    status, page = tried(owner, path)
    assert status == 200, page
    assert "the first 1,000 records" in page


@pytest.mark.long
def test_s4_try_reports_records_that_are_too_long(owner: Person) -> None:
    file = b"email,note\n" + (b"b@example.com," + b"x" * 1_000_000 + b"\n") * 100
    path = uploaded(owner, gzip.compress(file), "a.csv.gz")
    status, page = tried(owner, path)
    assert status == 400
    assert f"longer than {DRY_RUN_BYTES:,} bytes" in page
    assert "--dry-run" in page


class Counted(io.BytesIO):
    """Bytes that tell how many of them were read."""

    taken = 0

    def read(self, size: int | None = -1) -> bytes:
        piece = super().read(size)
        self.taken += len(piece)
        return piece


def test_s4_no_more_than_the_limit_is_read() -> None:
    """S4: counted at the source; one byte more tells that there is more."""
    source = Counted(b"x" * 10_000_000)
    limited = LimitedStream(source, 1_000_000)
    with pytest.raises(TooLong):
        limited.read()
    assert source.taken == 1_000_001
    exact = LimitedStream(Counted(b"a\nb\n"), 4)
    assert list(lines(cast(IO[bytes], exact))) == [(1, b"a\n"), (2, b"b\n")]


def test_s4_a_file_that_expands_without_end_is_refused() -> None:
    """S4: before anything of it is applied."""
    file = gzip.compress(b"{}\n" * 100_000)
    check_gzip(io.BytesIO(file), 300_000)
    with pytest.raises(Unreadable, match="longer than 299,999 bytes: send it in parts"):
        check_gzip(io.BytesIO(file), 299_999)


def test_s4_a_chunk_of_long_lines_has_few_records() -> None:
    """S4: a thousand lines of 8 MB are not held at once."""
    every = [(number, b"x" * (MAX_LINE // 4)) for number in range(1, 11)]
    rows = [(len(each.items), each.line) for each in chunks(every, lambda _, text: text, 1000)]
    assert rows == [(4, 4), (4, 8), (2, 10)]
    short = [(number, b"{}") for number in range(1, 2501)]
    assert [len(each.items) for each in chunks(short, lambda _, text: text, 1000)] == [
        *(1000, 1000, 500)
    ]
