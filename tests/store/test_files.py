"""One storage for uploads, exports and the lake: the same behaviour in a folder and elsewhere."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from innkeeper.errors import Unavailable
from innkeeper.lake.files import storage
from innkeeper.settings import Settings
from innkeeper.store.files import Files

NAME = "live/uploads/one"


@pytest.fixture(params=["folder", "file", "memory"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> Files:
    address = {
        "folder": str(tmp_path / "files"),
        "file": f"file://{tmp_path}/files/",
        "memory": f"memory://{uuid4().hex}",
    }[request.param]
    return Files(address, Settings(data=tmp_path))


def put(files: Files, name: str, content: bytes) -> None:
    with files.staged() as staged:
        staged.write(content)
        files.put(name, staged)


def read(files: Files, name: str) -> bytes:
    with files.open(name) as stream:
        return stream.read()


def test_a_file_is_stored_read_listed_and_removed(files: Files) -> None:
    put(files, NAME, b"first")
    put(files, NAME, b"second")
    assert (read(files, NAME), files.size(NAME)) == (b"second", 6)
    with files.local(NAME) as path:
        assert path.read_bytes() == b"second"
    ((name, written),) = files.listed("live")
    assert name == NAME
    assert abs(datetime.now(UTC) - written) < timedelta(hours=1)
    assert files.remove("live/uploads/none") is False
    assert files.remove("live/uploads/none", NAME) is True
    with pytest.raises(FileNotFoundError):
        files.open(NAME)
    with pytest.raises(FileNotFoundError), files.local(NAME):
        pass


def test_a_folder_is_removed_with_all_below(files: Files) -> None:
    for number in range(3):
        put(files, f"live/{number}/part", b"x")
    put(files, "other/part", b"x")
    files.remove_folder("live")
    files.remove_folder("live")
    assert [name for name, _ in files.listed("other")] == ["other/part"]
    assert list(files.listed("live")) == []


def test_no_half_of_a_file_has_its_name(tmp_path: Path) -> None:
    files = Files(str(tmp_path / "files"), Settings(data=tmp_path))

    def cut_off() -> None:
        with files.writing(NAME) as target:
            Path(target).write_bytes(b"half")
            raise RuntimeError("cut off")

    with pytest.raises(RuntimeError):
        cut_off()
    with files.staged() as staged:
        staged.write(b"half")
    assert [path for path in (tmp_path / "files").rglob("*") if path.is_file()] == []
    with files.writing(NAME) as target:
        Path(target).write_bytes(b"whole")
    assert read(files, NAME) == b"whole"
    (mode,) = {path.stat().st_mode & 0o777 for path in (tmp_path / "files" / "live").rglob("*/")}
    assert mode == 0o700


def test_storage_out_of_reach_is_unavailable_to_all_who_use_it(tmp_path: Path) -> None:
    """The lake too: it raised whatever its storage did."""
    settings = Settings(data=tmp_path, files="unknown://files", lake="unknown://lake")
    for files in (Files.of(settings), storage(settings)):
        for act in (files.open, files.size, files.remove, files.remove_folder):
            with pytest.raises(Unavailable):
                act(NAME)
        with pytest.raises(Unavailable):
            list(files.listed("live"))
        with pytest.raises(Unavailable):
            put(files, NAME, b"x")


def test_a_file_elsewhere_is_fetched_without_holding_up_the_loop(files: Files) -> None:
    put(files, NAME, b"content")

    async def fetch() -> bytes:
        async with files.fetched(NAME) as path:
            return path.read_bytes()

    assert asyncio.run(fetch()) == b"content"
