"""OAuth client credentials for audience exports (errors.md AU-6): clients, and bearer tokens.

Tokens are JSON Web Tokens signed with a secret of this installation (HS256, by PyJWT: its
verification of algorithm and times is not worth writing again).
"""

import hmac
import secrets
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from typing import Any, Final

from innkeeper import clock
from innkeeper.actions.admin import audit, stored_secrets
from innkeeper.errors import OperatorError, Unauthorized
from innkeeper.resources.base import Record
from innkeeper.rules.audited import OAUTH_KEY
from innkeeper.store.work import Work

SCOPE: Final = "cdp.audience_exports:r"
LIFE: Final = timedelta(hours=24)
ISSUER: Final = "innkeeper"
_ALGORITHM: Final = "HS256"


@dataclass(frozen=True, slots=True)
class NewClient:
    """A client with its secret, which nobody can show again."""

    client_id: str
    client_secret: str
    workspace: str


async def create(work: Work, workspace: str, name: str = "") -> NewClient:
    """A client for a workspace; raises OperatorError when there is no such workspace."""
    if await work.one("control.find_workspace", name=workspace) is None:
        raise OperatorError(f"There is no workspace {workspace}.")
    key = await work.one("oauth.key_of", workspace=workspace)
    made = NewClient(secrets.token_urlsafe(24), secrets.token_urlsafe(36), workspace)
    async with work.transaction():
        await work.run(
            "oauth.create",
            client_id=made.client_id,
            secret_sha256=_digest(made.client_secret),
            workspace=workspace,
            client_key=key["client_key"] if key else "",
            name=name,
            now=clock.now(),
        )
        after = {"client_id": made.client_id, "name": name, "client_secret": "new"}
        await audit.record(work, OAUTH_KEY, "create", None, after, workspace=workspace)
    return made


async def list_all(work: Work, workspace: str | None = None) -> list[Record]:
    """Every client, or a workspace's, without secrets."""
    return await work.all("oauth.list", workspace=workspace)


async def revoke(work: Work, client_id: str) -> None:
    """End a client and the tokens it has; raises OperatorError for an unknown one."""
    async with work.transaction():
        row = await work.one("oauth.find", client_id=client_id)
        if not await work.run("oauth.revoke", client_id=client_id, now=clock.now()) or row is None:
            raise OperatorError(f"There is no client {client_id} that has not been revoked.")
        before = {"client_id": client_id, "name": row["name"]}
        after = {**before, "revoked": True}
        await audit.record(work, OAUTH_KEY, "revoke", before, after, workspace=row["workspace"])


async def issue_token(work: Work, client_id: str, client_secret: str) -> dict[str, Any]:
    """The answer to a right secret: a token for a day; raises `Unauthorized`."""
    found = await work.one("oauth.find", client_id=client_id)
    stored = bytes(found["secret_sha256"]) if found else bytes(32)
    if not hmac.compare_digest(_digest(client_secret), stored) or found is None:
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
    """The client that a token was given to: client_key, workspace; raises `Unauthorized`."""
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
    found = await work.one("oauth.find", client_id=str(claims["sub"]))
    if found is None or SCOPE not in str(claims.get("scope")).split():
        raise Unauthorized
    return found


def _digest(secret: str) -> bytes:
    return sha256(secret.encode("utf-8", "surrogatepass")).digest()
