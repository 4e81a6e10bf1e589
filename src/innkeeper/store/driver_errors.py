"""Translate errors of the database driver into errors of this project. The only place that does."""

from typing import Final

import psycopg
from psycopg import errors as pg

from innkeeper.errors import BadRequest, Conflict, Unavailable


class Contended(Unavailable):
    """The transaction conflicted with another and was rolled back; it may succeed if it runs
    again."""


_UNSTORABLE: Final = "The request holds a value that cannot be stored."

# SQLSTATEs (or their two-character classes) under which the database is there but cannot
# serve: no memory, disk or connection left; shutting down or starting; read-only after a
# failover; a statement that took too long.
_UNAVAILABLE: Final = ("08", "53", "57", "58", "25006")


def may_pass(error: BaseException) -> bool:
    """Whether the same operation may succeed later without a change: the database, storage, disk or
    network is unavailable. Other errors would occur again."""
    away = (Unavailable, OSError, psycopg.OperationalError, psycopg.InterfaceError)
    return isinstance(error, away)


def translated(error: Exception) -> Exception:
    """Return the error to raise in place of psycopg's; the same error if it is a bug of ours."""
    if isinstance(error, UnicodeEncodeError):
        # A lone surrogate, which no encoding can represent.
        return BadRequest(_UNSTORABLE, "Text must not contain unpaired surrogates.")
    if not isinstance(error, psycopg.Error):
        return error
    return _of_server(error, error.sqlstate) if error.sqlstate else _of_client(error)


def _of_client(error: psycopg.Error) -> Exception:
    """Translate an error of the client library: an invalid value (NUL in text) or a lost
    connection."""
    if isinstance(error, psycopg.DataError):
        return BadRequest(_UNSTORABLE, str(error))
    return Unavailable() if isinstance(error, psycopg.OperationalError) else error


def _of_server(error: psycopg.Error, state: str) -> Exception:
    if isinstance(error, pg.DeadlockDetected | pg.SerializationFailure):
        return Contended()
    if state.startswith("22") or isinstance(error, pg.ProgramLimitExceeded):
        return BadRequest(_UNSTORABLE, error.diag.message_primary)
    if isinstance(error, pg.UniqueViolation):
        return Conflict("The resource already exists.", error.diag.message_primary)
    return Unavailable() if state.startswith(_UNAVAILABLE) else error
