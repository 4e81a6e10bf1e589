"""Files of exports: what is written is what a reader finds, and says it is."""

import io

import pytest

from innkeeper.store.readers import compression_of, expanded
from innkeeper.store.writers import writer
from innkeeper.wire.bulk.file_formats import guessed_compression, guessed_format


@pytest.mark.parametrize(
    ("name", "compression"),
    [("a.csv", ""), ("a.csv.gz", "gzip"), ("a.csv.zst", "zstd"), ("A.CSV.ZSTD", "zstd")],
)
def test_i2_a_file_is_compressed_as_its_name_says(name: str, compression: str) -> None:
    assert guessed_compression(name) == compression
    assert guessed_format(name) == ("csv", bool(compression))
    stream = io.BytesIO()
    with writer("csv", stream, {"n": "VARCHAR"}, compression=compression) as put:
        put([{"n": "é"}, {"n": "2"}])
    stream.seek(0)
    assert compression_of(stream) == compression
    assert expanded(stream).read().decode().splitlines() == ["n", "é", "2"]
