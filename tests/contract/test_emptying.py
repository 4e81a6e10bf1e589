"""F24: between two tests nothing stays in the workspace, whichever way it is emptied."""

import os

import databases
import psycopg
import pytest
from calling import Api, body_of
from psycopg import sql
from sites import Site


def filled(connection: psycopg.Connection) -> set[str]:
    """Tables of the workspace with rows."""
    tables = connection.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = 'ws_live'::regnamespace "
        "AND relkind = 'r'"
    ).fetchall()
    results = set()
    for (name,) in tables:
        looked = sql.SQL("SELECT EXISTS (SELECT FROM {})")
        row = connection.execute(looked.format(sql.Identifier("ws_live", name))).fetchone()
        if row and row[0]:
            results.add(name)
    return results


@pytest.mark.parametrize("way", ["rows are deleted", "tables are truncated"])
def test_f24_nothing_stays_but_what_is_configured(
    api: Api, connection: psycopg.Connection, site: Site, way: str
) -> None:
    before = filled(connection)
    assert before <= set(databases.CONFIGURATION)
    guest = api.guest(email="jane.doe@example.com", firstName="Jane")
    api.extension(guest, name="ext", nick="JD")
    order = {"referenceId": "F24", "orderedAt": "2026-10-02T10:00:00.000Z", "currencyCode": "EUR"}
    order |= {"price": 1, "status": "PURCHASED", "channel": "WEB"}
    body_of(api.post("/v2.1/orders", json={**order, "guestRef": guest["ref"]}))
    assert {"guests", "orders"} <= filled(connection)
    opened, without_triggers = databases.connect_to_empty(site.dsn)
    with opened:
        databases.empty(opened, without_triggers and way == "rows are deleted")
    assert filled(connection) == before
    assert api.get("/v2.1/guests").json()["items"] == []


def test_f24_processes_of_tests_find_innkeeper_compiled() -> None:
    """Each of the hundreds that the tests start would else compile it for itself."""
    assert "PYTHONDONTWRITEBYTECODE" not in os.environ
