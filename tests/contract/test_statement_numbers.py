"""P6: how many statements a request runs, counted where they are sent."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any
from unittest.mock import patch

import psycopg
from calling import Api
from sites import Site
from streams import JANE, Page
from visiting import log_in


@contextmanager
def counted() -> Iterator[list[str]]:
    """The statements that are sent meanwhile, without those that begin and end transactions."""
    statements: list[str] = []
    execute = psycopg.AsyncCursor.execute

    async def count(cursor: Any, query: Any, *args: Any, **more: Any) -> Any:
        if str(query) not in ("BEGIN", "COMMIT"):
            statements.append(str(query))
        return await execute(cursor, query, *args, **more)

    def count_copy(cursor: Any, query: Any, *args: Any, **more: Any) -> Any:
        statements.append(str(query))
        return copy(cursor, query, *args, **more)

    copy = psycopg.AsyncCursor.copy
    with (
        patch.object(psycopg.AsyncCursor, "execute", count),
        patch.object(psycopg.AsyncCursor, "copy", count_copy),
    ):
        yield statements


def test_p6_an_identity_event(api: Api) -> None:
    """An IDENTITY that changes nothing, after one that read the configuration."""
    page = Page(api)
    page("VIEW", page="/")
    page("IDENTITY", **JANE)
    with counted() as statements:
        page("IDENTITY", **JANE)
    assert len(statements) <= 9, statements


def test_p6_the_page_of_a_guest(site: Site, api: Api) -> None:
    """The overview of a guest: eight statements, one of which reads all rows that traits need."""
    page = Page(api)
    page("IDENTITY", **JANE)
    guest, owner = page.guest, log_in(site)
    with closing(owner.http):
        owner.get(f"/guests/{guest}")
        with counted() as shown:
            answer = owner.get(f"/guests/{guest}")
    assert answer.status_code == 200
    assert len(shown) <= 8, shown
