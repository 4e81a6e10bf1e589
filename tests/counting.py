"""The statements that go to the database."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import psycopg

from innkeeper.store.statements import Statements
from innkeeper.store.work import Work


def note_statements(work: Work) -> list[str]:
    """Return the list to which each statement of the connection of `work` is added from now on."""
    payloads: list[str] = []
    statements = work.connection.statements
    run, command = statements.run, statements.command

    async def note(text: str, *params: Any) -> Any:
        payloads.append(text)
        return await run(text, *params)

    async def note_command(sql: bytes) -> Any:
        payloads.append(sql.decode())
        return await command(sql)

    vars(statements).update(run=note, command=note_command)
    return payloads


@contextmanager
def counted() -> Iterator[list[str]]:
    """The statements that are sent meanwhile on any connection, without those that begin and end
    transactions."""
    payloads: list[str] = []
    run, execute, copy = Statements.run, psycopg.AsyncCursor.execute, psycopg.AsyncCursor.copy

    async def note(statements: Statements, text: str, *params: Any) -> Any:
        payloads.append(text)
        return await run(statements, text, *params)

    async def note_execute(cursor: Any, query: Any, *args: Any, **more: Any) -> Any:
        payloads.append(str(query))
        return await execute(cursor, query, *args, **more)

    def note_copy(cursor: Any, query: Any, *args: Any, **more: Any) -> Any:
        payloads.append(str(query))
        return copy(cursor, query, *args, **more)

    with (
        patch.object(Statements, "run", note),
        patch.object(psycopg.AsyncCursor, "execute", note_execute),
        patch.object(psycopg.AsyncCursor, "copy", note_copy),
    ):
        yield payloads
