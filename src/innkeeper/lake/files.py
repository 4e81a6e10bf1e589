"""Where the lake's files are, and their names."""

from typing import Final
from uuid import uuid4

from innkeeper.settings import Settings
from innkeeper.store.files import Files

FOLDER: Final = "lake"
SUFFIX: Final = ".parquet"


def storage(settings: Settings) -> Files:
    """The storage of this installation's lake."""
    return Files(settings.lake or str(settings.data / FOLDER), settings)


def new_path(workspace: str, folder: object, name: str, sequence: int) -> str:
    """A path that no file has: of a table, written by a flush."""
    return f"{workspace}/{folder}/{name}/{sequence:09}-{uuid4().hex[:12]}{SUFFIX}"
