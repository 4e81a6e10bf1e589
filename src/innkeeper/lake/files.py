"""The storage of the lake's files, and their names."""

from typing import Final
from uuid import uuid4

from innkeeper.settings import Settings
from innkeeper.store.files import Files

FOLDER: Final = "lake"
SUFFIX: Final = ".parquet"


def storage(settings: Settings) -> Files:
    """Return the storage of this installation's lake."""
    return Files(settings.lake or str(settings.data / FOLDER), settings)


def new_path(workspace: str, folder: object, name: str, sequence: int) -> str:
    """Return a new path for a file of a table, written by a flush."""
    return f"{workspace}/{folder}/{name}/{sequence:09}-{uuid4().hex[:12]}{SUFFIX}"
