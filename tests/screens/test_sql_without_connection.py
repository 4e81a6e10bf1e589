"""S4: SQL is checked before a connection is taken, whichever way it comes."""

import asyncio
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from calling import Api, body_of
from visiting import Person

from innkeeper.lake import sql_process
from innkeeper.store.database import Database


@pytest.fixture
def lent(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """How many connections were lent when each child was started."""
    lent, result = 0, list[int]()
    checkout, put_back = Database.checkout, Database.put_back
    started = asyncio.create_subprocess_exec

    async def counted_checkout(database: Database, **more: Any) -> Any:
        nonlocal lent
        connection = await checkout(database, **more)
        lent += 1
        return connection

    async def counted_put_back(database: Database, connection: Any, **more: Any) -> None:
        nonlocal lent
        lent -= 1
        await put_back(database, connection, **more)

    async def counted_start(*words: Any, **more: Any) -> Any:
        result.append(lent)
        return await started(*words, **more)

    monkeypatch.setattr(Database, "checkout", counted_checkout)
    monkeypatch.setattr(Database, "put_back", counted_put_back)
    monkeypatch.setattr(asyncio, "create_subprocess_exec", counted_start)
    return result


def text() -> dict[str, str]:
    """A definition that nobody has checked yet, and that is refused."""
    return {"sql": f"SELECT guest_ref FROM guests WHERE nosuch = '{uuid4()}'"}


def test_s4_the_api_checks_sql_without_a_connection(api: Api, lent: list[int]) -> None:
    own = "/innkeeper/v1/segments"
    row = body_of(
        api.post(own, json={"name": "A", "definition": {"filterGroups": [{"entity": "order"}]}})
    )
    name, ref = f"S {uuid4().hex}", row["friendlyId"]
    answers = [
        api.post(own, json={"name": name, "definition": text()}),
        api.post(own, json={"name": name, "definition": text()}, headers={"Idempotency-Key": name}),
        api.patch(f"{own}/{ref}", json={"definition": text()}),
        api.post(f"{own}/preview", json={"definition": text()}),
        api.post(
            "/innkeeper/v1/exports",
            json={"name": name, "segment": ref, "columns": ["ref"], "filter": text()},
        ),
    ]
    assert [answer.status_code for answer in answers] == [400] * 5
    assert all("nosuch" in answer.json()["message"] for answer in answers)
    assert lent == [0] * 5


def test_s4_the_screens_check_sql_without_a_connection(owner: Person, lent: list[int]) -> None:
    answer = owner.post("/segments/new", do="save", name="S", **text())
    assert answer.status_code == 400
    assert "nosuch" in answer.text
    assert lent == [0]


def test_s4_who_may_not_edit_segments_starts_nothing(
    developer: Person, lent: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sql_process, "CHECKS", None)
    assert developer.post("/segments/new", do="save", name="S", **text()).status_code == 403
    assert lent == []
