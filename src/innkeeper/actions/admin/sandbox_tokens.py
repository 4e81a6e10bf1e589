"""Keys of a sandbox that are valid for an hour, for trying requests."""

from datetime import timedelta
from typing import Final

from innkeeper import clock
from innkeeper.actions.admin import keys
from innkeeper.rules.access import SANDBOX
from innkeeper.rules.scopes import DEFAULT_SCOPES, Scope
from innkeeper.store.work import Work

LIFE: Final = timedelta(hours=1)


async def create(work: Work, workspace: str, grantable: frozenset[Scope]) -> keys.NewKey:
    """Create a key of the sandbox of a workspace with the scopes that its creator may grant,
    without administration; raises `Unknown` if there is no such workspace."""
    sandbox = workspace if workspace.endswith(SANDBOX) else workspace + SANDBOX
    return await keys.create(
        *(work, sandbox, "open", "sandbox token"),
        scopes=DEFAULT_SCOPES & grantable,
        by=grantable,
        expires_at=clock.now() + LIFE,
    )
