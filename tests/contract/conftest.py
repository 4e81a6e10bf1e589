"""Contract tests talk to one server over HTTP."""

from sites import (
    anonymous,
    api,
    bare,
    connection,
    empty,
    official,
    official_key_api,
    open_key_api,
    other_workspace_api,
    site,
    stranger,
)

__all__ = [
    "anonymous",
    "api",
    "bare",
    "connection",
    "empty",
    "official",
    "official_key_api",
    "open_key_api",
    "other_workspace_api",
    "site",
    "stranger",
]
