"""Workspaces: isolated sets of data, each with a sandbox that can be reset."""

import re
from typing import Final

from innkeeper.actions.admin import audit, keys
from innkeeper.errors import OperatorError, existing
from innkeeper.rules.audited import WORKSPACE
from innkeeper.store import migrate
from innkeeper.store.migrate import LOCK, SANDBOX_SUFFIX
from innkeeper.store.work import Row, Work

# Shorter than the limit of a schema name, so that the name of the sandbox fits too.
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,32}")


async def list_all(work: Work) -> list[Row]:
    """List every workspace (name, sandbox_of, created_at), each before its sandbox."""
    return await work.all("control.list_workspaces")


async def create(work: Work, name: str) -> dict[str, keys.NewKey]:
    """Create an empty workspace and its sandbox, each with a first key; returns name -> key.

    Raises OperatorError for an invalid or existing name.
    """
    if name.endswith(SANDBOX_SUFFIX):
        raise OperatorError(
            f"{name} is the name of a sandbox: create the workspace "
            f"{name.removesuffix(SANDBOX_SUFFIX)}, and its sandbox comes with it."
        )
    if not _NAME.fullmatch(name):
        raise OperatorError(
            f"{name} cannot name a workspace: use a to z, 0 to 9 and _, "
            "beginning with a letter, at most 33 characters."
        )
    async with work.transaction():
        await work.run("control.one_at_a_time", lock=LOCK)
        if await work.one("control.find_workspace", name=name) is not None:
            raise OperatorError(f"Workspace {name} already exists.")
        await migrate.create_workspace(work.connection, name)
        await audit.record(work, WORKSPACE, "create", None, {"name": name}, workspace=name)
        return {
            each: await keys.create(work, each, name="first")
            for each in (name, name + SANDBOX_SUFFIX)
        }


async def reset(work: Work, name: str) -> None:
    """Delete all data of a sandbox; its keys stay. Raises `Unknown`, and OperatorError for a
    workspace that is no sandbox."""
    async with work.transaction():
        await work.run("control.one_at_a_time", lock=LOCK)
        row = existing(await work.one("control.find_workspace", name=name), "Workspace", name)
        if row["sandbox_of"] is None:
            raise OperatorError(f"{name} is not a sandbox, and only a sandbox can be reset.")
        await migrate.drop_schema(work.connection, name)
        await migrate.create_schema(work.connection, name)
        await audit.record(work, WORKSPACE, "reset", row, row, workspace=name)
