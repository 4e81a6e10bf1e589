"""Files of exports without the rows of erased guests."""

import gzip
from codecs import BOM_UTF8
from pathlib import Path

import pytest

from innkeeper.lake.export_files import write_without
from innkeeper.settings import Settings


@pytest.mark.parametrize(
    ("header", "positions", "left"),
    [
        (False, [0], b"b,2\n"),
        (False, [1], b"a,1\n"),
        (False, [0, 1], b""),
        (True, [0], b"name,n\nb,2\n"),
    ],
)
def test_a_csv_file_keeps_its_byte_order_mark(
    tmp_path: Path, header: bool, positions: list[int], left: bytes
) -> None:
    """Also where the first row, before which it stands, is that of the erased guest."""
    source, target = tmp_path / "a.csv.gz", tmp_path / "b.csv.gz"
    rows = (b"name,n\n" if header else b"") + b"a,1\nb,2\n"
    # As it is written: the mark is a member of its own.
    source.write_bytes(gzip.compress(BOM_UTF8) + gzip.compress(rows))
    write_without(Settings(), source, target, "CSV", positions, header=header)
    assert gzip.decompress(target.read_bytes()) == BOM_UTF8 + left
