"""Create a token of a sandbox on a click, for the examples on pages and in the API reference; it is
shown once."""

from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from innkeeper.actions.admin import sandbox_tokens, users
from innkeeper.resources.values import iso
from innkeeper.rules.access import Right, may
from innkeeper.rules.scopes import scopes_of_role
from innkeeper.store.database import Database
from innkeeper.web.browser_security import read_cookie
from innkeeper.web.ui.shell import LOGIN_COOKIE

HEADER: Final = "x-requested-with"
"""Header that takes the place of the CSRF token, which the public API reference does not have:
pages of other sites cannot send it."""


def routes(database: Database) -> list[BaseRoute]:
    """Return the route of sandbox tokens."""

    async def create(request: Request) -> Response:
        """Create a token of the sandbox of `workspace`, by default the workspace that the user
        opened last."""
        if not request.headers.get(HEADER):
            return _refused(403, "The request lacks a header.")
        workspace = request.query_params.get("workspace", "")
        async with database.control() as work:
            person = await users.fetch_login(work, read_cookie(request, LOGIN_COOKIE))
            if person is None:
                return _refused(401, "Log in first, in another tab.")
            workspace = workspace or person.workspace
            names = {each["name"] for each in person.all_workspaces}
            if workspace not in names or not person.may_open(workspace):
                return _refused(404, "There is no such workspace.")
            if not may(person.role, Right.KEYS):
                return _refused(403, f"The role {person.role} may not {Right.KEYS}.")
            work.actor = person.email
            key = await sandbox_tokens.create(work, workspace, scopes_of_role(person.role))
        assert key.expires_at is not None  # noqa: S101 - it expires
        login = {"login": f"{key.client_key}:{key.api_token}", "expiresAt": iso(key.expires_at)}
        return JSONResponse(login, 201, {"cache-control": "no-store"})

    return [Route("/sandbox-token", create, methods=["POST"])]


def _refused(status: int, message: str) -> Response:
    return JSONResponse({"message": message}, status)
