"""Files of a moment: where they are, and that none stays behind."""

import subprocess
import sys
from pathlib import Path

from innkeeper.settings import Settings
from innkeeper.store import temp_files
from innkeeper.store.files import Files

DYING = """
import os, sys
from pathlib import Path
from innkeeper.settings import Settings
from innkeeper.store import temp_files
from innkeeper.store.files import Files

settings = Settings(data=Path(sys.argv[1]))
with temp_files.temporary(settings, "flush") as folder, Files.of(settings).staged():
    (folder / "rows").write_text("somebody")
    temp_files.named(settings, "lake").mkdir()
    if sys.argv[2] == "killed":
        os.kill(os.getpid(), 9)
"""


def left(data: Path) -> list[Path]:
    return [path for path in data.rglob("*") if path.parent.name in ("scratch", "staged")]


def die(data: Path, how: str) -> None:
    subprocess.run([sys.executable, "-c", DYING, data, how], check=False, capture_output=True)


def test_a_process_that_ends_leaves_nothing(tmp_path: Path) -> None:
    die(tmp_path, "in good order")
    assert (tmp_path / "scratch").is_dir()
    assert left(tmp_path) == []


def test_what_a_killed_one_left_is_swept_and_no_other(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path)
    die(tmp_path, "killed")
    assert len(left(tmp_path)) == 3
    with temp_files.temporary(settings, "tail") as folder:
        assert temp_files.sweep(temp_files.scratch(settings)) == 2
        Files.of(settings).sweep()
        assert left(tmp_path) == [folder]


def test_a_data_folder_that_cannot_be_made_is_done_without(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with temp_files.temporary(Settings(data=tmp_path / "file"), "tail") as folder:
        assert folder.is_dir()
