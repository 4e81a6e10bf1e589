"""S6: exports are delivered to what the operator lists, and nowhere else."""

import io
import os
import threading
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from innkeeper.errors import OperatorError
from innkeeper.settings import Settings
from innkeeper.store.destinations import BadDestination, allowed_destinations, destination_of


def copy(settings: Settings, url: str, content: bytes = b"rows") -> None:
    destination_of(settings, url).copy(io.BytesIO(content), ("fans", "1"), "0000.csv.gz")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    listed = f"{tmp_path}/listed, s3://bucket/exports/ ,file://{tmp_path}/by-url"
    return Settings(data=tmp_path / "data", export_destinations=listed)


def test_s6_the_folder_of_exports_is_always_there(tmp_path: Path) -> None:
    """And nothing else, unless the operator lists it."""
    settings = Settings(data=tmp_path / "data")
    copy(settings, "weekly/to shop")
    file = tmp_path / "data" / "exports" / "weekly" / "to shop" / "fans" / "1" / "0000.csv.gz"
    assert file.read_bytes() == b"rows"
    assert file.stat().st_mode & 0o777 == 0o600
    for folder in file.relative_to(tmp_path / "data").parents[:-1]:
        assert (tmp_path / "data" / folder).stat().st_mode & 0o777 == 0o700
    assert [path.name for path in file.parent.iterdir()] == ["0000.csv.gz"]
    for url in (str(tmp_path), "/", "/etc", "s3://bucket", f"file://{tmp_path}", "memory://a"):
        with pytest.raises(BadDestination, match="export_destinations"):
            destination_of(settings, url)
    copy(settings, str(tmp_path / "data" / "exports"), b"others")


@pytest.mark.parametrize("below", ["", "/", "/a/b", "//a"])
def test_s6_what_is_listed_and_below_is_taken(
    settings: Settings, tmp_path: Path, below: str
) -> None:
    for root in (f"{tmp_path}/listed", f"file://{tmp_path}/by-url", f"{tmp_path}/by-url"):
        copy(settings, root + below)
    assert destination_of(settings, "s3://bucket/exports" + below).root.text == (
        "s3://bucket/exports"
    )


@pytest.mark.parametrize(
    "url",
    [
        *("../listed", "a/../../b", "..", "a/..", "./a", "a/./b"),
        *("{tmp}/listed/../other", "{tmp}/listed/..", "{tmp}/listed2", "{tmp}/other", "{tmp}"),
        *("file://{tmp}/listed/../other", "file:///etc", "local:///etc", "file://etc"),
        *("s3://bucket", "s3://bucket/exports2", "s3://bucket/exports/../x", "s3://other/exports"),
        *("s3://key:word@bucket/exports", "S3A://bucket/exports", "gs://bucket/exports"),
        *("simplecache::s3://bucket/exports", "s3://bucket/exports::file:///etc"),
        *("zip://a.zip::{tmp}/listed", "filecache::file://{tmp}/listed", "memory://x"),
        *("http://example.com/", "ftp://a/b", "sftp://a/b", "github://a:b@main/", "data:,a"),
        *("", "  ", "a\0b", "a\nb", "a" * 2000, None, 5, ["a"]),
    ],
)
def test_s6_everything_else_is_refused(settings: Settings, tmp_path: Path, url: Any) -> None:
    report = url.replace("{tmp}", str(tmp_path)) if isinstance(url, str) else url
    if report == "data:,a":
        # A name like any other, inside the folder of exports.
        assert destination_of(settings, report).below == ("data:,a",)
        return
    with pytest.raises(BadDestination):
        destination_of(settings, report)


def test_s6_no_symbolic_link_below_the_listed_folder_is_followed(
    settings: Settings, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    own = tmp_path / "data" / "exports"
    (own / "linked").parent.mkdir(parents=True)
    (own / "linked").symlink_to(elsewhere)
    (own / "deep").mkdir()
    (own / "deep" / "fans").symlink_to(elsewhere)
    for url in ("linked", "linked/more", "deep"):
        with pytest.raises(OSError, match="Not a directory|symbolic links"):
            copy(settings, url)
    assert list(elsewhere.iterdir()) == []
    # The listed folder itself is the operator's, and may be one.
    (tmp_path / "listed").symlink_to(elsewhere)
    copy(settings, f"{tmp_path}/listed")
    assert (elsewhere / "fans" / "1" / "0000.csv.gz").exists()


@pytest.mark.parametrize("name", ["0000.csv.gz", "0000.csv.gz.half"])
def test_s6_a_file_that_is_there_is_replaced_and_never_written_into(
    settings: Settings, tmp_path: Path, name: str
) -> None:
    """Whoever may write to the folder gains neither what it holds nor another file."""
    folder = tmp_path / "data" / "exports" / "fans" / "1"
    folder.mkdir(parents=True)
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (folder / name).symlink_to(victim)
    copy(settings, str(folder.parents[1]))
    assert victim.read_text() == "precious"
    done = folder / "0000.csv.gz"
    assert (done.read_bytes(), done.is_symlink()) == (b"rows", False)
    done.chmod(0o644)
    reading = done.open("rb")
    copy(settings, str(folder.parents[1]), b"new rows")
    with reading:
        assert reading.read() == b"rows"
    assert (done.read_bytes(), done.stat().st_mode & 0o777) == (b"new rows", 0o600)


def test_s6_a_pipe_in_the_place_of_a_file_holds_up_nobody(
    settings: Settings, tmp_path: Path
) -> None:
    folder = tmp_path / "data" / "exports" / "fans" / "1"
    folder.mkdir(parents=True)
    os.mkfifo(folder / "0000.csv.gz.half")
    os.mkfifo(folder / "0000.csv.gz")
    done = threading.Thread(target=copy, args=(settings, str(folder.parents[1])), daemon=True)
    done.start()
    done.join()
    assert (folder / "0000.csv.gz").read_bytes() == b"rows"


def test_s6_object_storage_below_a_listed_prefix(tmp_path: Path) -> None:
    import fsspec

    bucket = uuid4().hex
    settings = Settings(data=tmp_path, export_destinations=f"memory://{bucket}/exports")
    copy(settings, f"memory://{bucket}/exports/weekly")
    system = fsspec.filesystem("memory")
    names = system.find(f"/{bucket}")
    assert names == [f"/{bucket}/exports/weekly/fans/1/0000.csv.gz"]
    assert system.cat_file(names[0]) == b"rows"


@pytest.mark.parametrize("listed", ["exports", "/a/../b", "s3://bucket/../x"])
def test_s6_a_list_that_cannot_be_read_stops_the_start(listed: str) -> None:
    with pytest.raises(OperatorError, match="export_destinations"):
        allowed_destinations(Settings(export_destinations=listed))
