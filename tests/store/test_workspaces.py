"""Workspaces: created with a sandbox, isolated, reset only where that is harmless."""

import pytest

from innkeeper.actions.admin import keys, workspaces
from innkeeper.errors import OperatorError, Unknown
from innkeeper.store.database import Database
from innkeeper.store.work import Work


async def _points_of_sale(work: Work) -> list[str]:
    cursor = await work.connection.execute(
        f"SELECT name FROM ws_{work.workspace}.points_of_sale ORDER BY name"
    )
    return [row["name"] for row in await cursor.fetchall()]


async def _open_shop(work: Work, name: str) -> None:
    await work.connection.execute(
        f"INSERT INTO ws_{work.workspace}.points_of_sale (name) VALUES (%s)", [name]
    )


async def test_live_is_there_with_a_rule_and_a_point_of_sale(work: Work) -> None:
    cursor = await work.connection.execute("SELECT name, conditions FROM ws_live.identity_rules")
    assert await cursor.fetchall() == [{"name": "email", "conditions": [{"provider": "email"}]}]
    cursor = await work.connection.execute(
        "SELECT name, timeout_minutes FROM ws_live.points_of_sale"
    )
    assert await cursor.fetchall() == [{"name": "default", "timeout_minutes": 20}]


async def test_a_workspace_comes_with_a_sandbox_each_with_a_key(control: Work) -> None:
    workspace = await workspaces.create(control, "hotel")
    assert list(workspace) == ["hotel", "hotel_sandbox"]
    for name, key in workspace.items():
        key_row = await keys.find(control, key.client_key)
        assert key_row is not None
        assert key_row["workspace"] == name
    listed = [(row["name"], row["sandbox_of"]) for row in await workspaces.list_all(control)]
    assert listed == [
        ("hotel", None),
        ("hotel_sandbox", "hotel"),
        ("live", None),
        ("live_sandbox", "live"),
    ]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("live", "already"),
        ("hotel_sandbox", "its sandbox comes with it"),
        ("Hotel", "cannot name a workspace"),
        ("hotel-1", "cannot name a workspace"),
        ('x"; DROP SCHEMA ws_live', "cannot name a workspace"),
        ("h" * 34, "cannot name a workspace"),
        ("", "cannot name a workspace"),
    ],
)
async def test_a_bad_or_taken_name_is_refused(control: Work, name: str, why: str) -> None:
    with pytest.raises(OperatorError, match=why):
        await workspaces.create(control, name)
    assert len(await workspaces.list_all(control)) == 2


async def test_the_longest_name_works(control: Work) -> None:
    assert len(await workspaces.create(control, "h" * 33)) == 2


async def test_a_reset_empties_the_sandbox_and_nothing_else(database: Database) -> None:
    for name in ("live", "live_sandbox"):
        async with database.work(name) as work:
            await _open_shop(work, "airport")
    async with database.control() as control:
        key = await keys.create(control, "live_sandbox")
        # Twice, since the pool's other connections have prepared statements by then.
        for _ in range(2):
            await workspaces.reset(control, "live_sandbox")
            for _ in range(3):
                async with database.work("live_sandbox") as work:
                    assert await _points_of_sale(work) == ["default"]
        assert await keys.find(control, key.client_key) is not None
    async with database.work("live") as work:
        assert await _points_of_sale(work) == ["airport", "default"]


async def test_only_a_sandbox_can_be_reset(control: Work) -> None:
    with pytest.raises(OperatorError, match="not a sandbox"):
        await workspaces.reset(control, "live")
    with pytest.raises(Unknown):
        await workspaces.reset(control, "none")
