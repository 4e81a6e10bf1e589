"""OAuth client credentials for audience exports (errors.md AU-6): clients and bearer tokens.

Tokens are JSON Web Tokens signed with a key of this installation (HS256). PyJWT verifies the
algorithm and the times.
"""

import hmac
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from innkeeper import clock
from innkeeper.actions.admin import audit, stored_secrets
from innkeeper.actions.admin.stored_secrets import digest_of
from innkeeper.errors import OperatorError, Unauthorized, existing
from innkeeper.resources.base import Record
from innkeeper.rules.audited import OAUTH_KEY
from innkeeper.store.work import Work

SCOPE: Final = "cdp.audience_exports:r"
LIFE: Final = timedelta(hours=24)
ISSUER: Final = "innkeeper"
_ALGORITHM: Final = "HS256"


@dataclass(frozen=True, slots=True)
class NewClient:
    """A new client with its secret, which cannot be displayed again."""

    client_id: str
    client_secret: str
    workspace: str


async def create(work: Work, workspace: str, name: str = "") -> NewClient:
    """Create a client for a workspace; raises `Unknown` if there is no such workspace."""
    existing(await work.one("control.find_workspace", name=workspace), "Workspace", workspace)
    key = await work.one("oauth.key_of", workspace=workspace)
    client = NewClient(secrets.token_urlsafe(24), secrets.token_urlsafe(36), workspace)
    async with work.transaction():
        await work.run(
            "oauth.create",
            client_id=client.client_id,
            secret_sha256=digest_of(client.client_secret),
            workspace=workspace,
            client_key=key["client_key"] if key else "",
            name=name,
        )
        after = {"client_id": client.client_id, "name": name, "client_secret": "new"}
        await audit.record(work, OAUTH_KEY, "create", None, after, workspace=workspace)
    return client


async def list_all(work: Work, workspace: str | None = None) -> list[Record]:
    """List every client, or the clients of a workspace, without secrets."""
    return await work.all("oauth.list", workspace=workspace)


async def revoke(work: Work, client_id: str) -> None:
    """Revoke a client and its tokens; raises OperatorError for an unknown or revoked one."""
    async with work.transaction():
        row = await work.one("oauth.find", client_id=client_id)
        if not await work.run("oauth.revoke", client_id=client_id) or row is None:
            raise OperatorError(f"There is no client {client_id} that has not been revoked.")
        before = {"client_id": client_id, "name": row["name"]}
        after = {**before, "revoked": True}
        await audit.record(work, OAUTH_KEY, "revoke", before, after, workspace=row["workspace"])


async def issue_token(work: Work, client_id: str, client_secret: str) -> dict[str, Any]:
    """Issue a token for `LIFE` and return the response body; raises `Unauthorized`."""
    client = await work.one("oauth.find", client_id=client_id)
    stored = bytes(client["secret_sha256"]) if client else bytes(32)
    if not hmac.compare_digest(digest_of(client_secret), stored) or client is None:
        raise Unauthorized
    now = clock.now()
    await work.run("oauth.touch", client_id=client_id, now=now)
    claims = {"iss": ISSUER, "sub": client_id, "scope": SCOPE, "iat": now, "exp": now + LIFE}
    import jwt  # noqa: PLC0415 - of use to few processes

    return {
        "access_token": jwt.encode(
            claims,
            await stored_secrets.installation_key(work, stored_secrets.TOKENS),
            algorithm=_ALGORITHM,
        ),
        "scope": SCOPE,
        "expires_in": int(LIFE.total_seconds()),
        "token_type": "Bearer",
    }


async def client_of(work: Work, bearer: str) -> Record:
    """Find the client of a token: client_key, workspace; raises `Unauthorized`."""
    import jwt  # noqa: PLC0415

    try:
        claims = jwt.decode(
            bearer,
            await stored_secrets.installation_key(work, stored_secrets.TOKENS),
            algorithms=[_ALGORITHM],
            issuer=ISSUER,
            options={"require": ["exp", "sub", "iss"]},
        )
    except jwt.InvalidTokenError:
        raise Unauthorized from None
    client = await work.one("oauth.find", client_id=str(claims["sub"]))
    if client is None or SCOPE not in str(claims.get("scope")).split():
        raise Unauthorized
    return client
