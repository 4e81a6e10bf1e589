"""Answer a repeated POST with its first response (our extension: `Idempotency-Key`)."""

from datetime import timedelta
from uuid import UUID

from innkeeper import clock
from innkeeper.errors import Conflict
from innkeeper.resources.base import Record
from innkeeper.rules.identity_keys import digest, lock_of
from innkeeper.store.work import Work


def scope_id(client_key: str, path: str, key: str) -> UUID:
    """Return the id of an idempotency key, which is unique per client key and path."""
    return digest("idempotency", client_key, path, key)


async def fetch_response(work: Work, scope: UUID, request_hash: UUID, hours: int) -> Record | None:
    """Return the stored response {status, location, body} of an equal request, or None.

    Waits for an equal request that is still running. Locks the scope until the transaction ends, so
    call it in the transaction of the write. Raises `Conflict` if the key was used for another
    request.
    """
    lock = lock_of(scope)
    await work.one("idempotency.lock", lock=lock)
    stored = await work.one(
        "idempotency.fetch", scope=scope, oldest=clock.now() - timedelta(hours=hours)
    )
    if stored is not None and stored["request_hash"] != request_hash:
        raise Conflict(
            "Idempotency-Key was used for another request.",
            "The same Idempotency-Key came with another body; use a new key for a new request.",
        )
    return stored


async def store_response(
    work: Work,
    scope: UUID,
    request_hash: UUID,
    hours: int,
    *,
    status: int,
    location: str | None,
    body: bytes,
) -> None:
    """Store a response, in the transaction of its write."""
    now = clock.now()
    await work.run(
        "idempotency.store",
        scope=scope,
        request_hash=request_hash,
        status=status,
        location=location,
        body=body,
        now=now,
        oldest=now - timedelta(hours=hours),
    )
