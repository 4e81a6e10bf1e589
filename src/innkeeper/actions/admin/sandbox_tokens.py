"""Keys of a sandbox that are valid for an hour, for trying requests."""

from datetime import timedelta
from typing import Final

from innkeeper import clock
from innkeeper.actions.admin import keys
from innkeeper.rules.access import SANDBOX, Role
from innkeeper.rules.scopes import DEFAULT_SCOPES, scopes_of_role
from innkeeper.store.work import Work

LIFE: Final = timedelta(hours=1)


async def create(work: Work, workspace: str, role: Role) -> keys.NewKey:
    """Create a key of the sandbox of a workspace with the scopes of a role, without
    administration; raises OperatorError if there is no such workspace."""
    sandbox = workspace if workspace.endswith(SANDBOX) else workspace + SANDBOX
    grantable = scopes_of_role(role)
    return await keys.create(
        *(work, sandbox, "open", "sandbox token"),
        scopes=DEFAULT_SCOPES & grantable,
        by=grantable,
        expires_at=clock.now() + LIFE,
    )
