"""A dry run of an import has the outcomes of the import, and leaves nothing behind."""

import json
from typing import Any

import psycopg
import pytest
from batching import Batches
from calling import Api
from psycopg import sql
from sites import Site
from test_batch_records import JANE, item, order
from test_files_api import imported

JOHN = "john@example.com"


def guest(email: str, **fields: Any) -> dict[str, Any]:
    return {"identifiers": [{"provider": "email", "id": email}], **fields}


def extension(value: int) -> list[dict[str, Any]]:
    return [{"name": "ext", "key": "default", "a": value}]


GUESTS = [
    guest(JANE, firstName="Jane"),
    guest(JOHN, firstName="John", extensions=extension(1)),
    guest(JANE, firstName="Jane"),
    guest(JOHN, extensions=extension(1)),
    guest(JOHN, extensions=extension(2)),
]
ORDERS = [
    order("O-1", orderItems=[item(), item(referenceId="L-2")]),
    order("O-1", orderItems=[item(), item(referenceId="L-2")]),
    order("O-2", JOHN),
    order("O-2", JOHN, price=31),
    order("O-1", orderItems=[item(referenceId="L-3")]),
    order("O-1", orderItems=[item(referenceId="L-3")]),
]


@pytest.fixture
def batches(api: Api, site: Site) -> Batches:
    batches = Batches(api, site.settings)
    batches.by_worker = True
    return batches


def contents(connection: psycopg.Connection) -> dict[str, str]:
    """A digest of every table of the workspace, except those of imports and the lake."""
    tables = connection.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = 'ws_live'::regnamespace "
        "AND relkind = 'r' AND relname NOT LIKE ALL (ARRAY['batch%', 'lake%'])"
    ).fetchall()
    digests = {}
    for (name,) in tables:
        digest = "SELECT md5(coalesce(string_agg(t::text, '|' ORDER BY t::text), '')) FROM {} AS t"
        row = connection.execute(
            sql.SQL(digest).format(sql.Identifier("ws_live", name))  # type: ignore[arg-type]
        ).fetchone()
        assert row is not None
        digests[name] = row[0]
    return digests


def lines(values: list[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(value).encode() + b"\n" for value in values)


@pytest.mark.parametrize("chunk", [1, 2, 1000])
@pytest.mark.parametrize(("entity", "values"), [("guests", GUESTS), ("orders", ORDERS)])
def test_the_outcomes_are_those_of_the_import(
    batches: Batches,
    connection: psycopg.Connection,
    monkeypatch: pytest.MonkeyPatch,
    chunk: int,
    entity: str,
    values: list[dict[str, Any]],
) -> None:
    """However many records share a transaction, and beside guests that are there already."""
    monkeypatch.setattr("innkeeper.wire.bulk.batch_files.CHUNK", chunk)
    batches.api.guest(identifiers=[{"provider": "email", "id": JANE}])
    before = contents(connection)
    body = {"entity": entity, "compressed": False}
    tried = imported(batches, {**body, "dryRun": True}, lines(values))
    assert contents(connection) == before
    done = imported(batches, body, lines(values))
    assert (tried["status"], done["status"]) == ("success", "success")
    outcomes = dict(tried["outcomes"])
    # A dry run says which records would join a guest of the file; the import counts what they did.
    merged = outcomes.pop("merged", 0)
    assert outcomes.get("created") == done["outcomes"].get("created")
    assert sum(outcomes.values()) + merged == sum(done["outcomes"].values()) == len(values)
    if entity == "orders":
        assert outcomes == done["outcomes"] == {"created": 2, "unchanged": 2, "updated": 2}
    else:
        assert (outcomes, merged) == ({"created": 1, "updated": 1, "unchanged": 1}, 2)
    assert contents(connection) != before
    again = imported(batches, {**body, "dryRun": True}, lines(values[:1]))
    assert again["outcomes"] == imported(batches, body, lines(values[:1]))["outcomes"]
