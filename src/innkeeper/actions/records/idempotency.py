"""Answering a repeated POST with its first answer (our extension: `Idempotency-Key`)."""

from datetime import timedelta
from uuid import UUID

from innkeeper import clock
from innkeeper.errors import Conflict
from innkeeper.resources.base import Record
from innkeeper.rules.identity_keys import digest, lock_of
from innkeeper.store.work import Work


def scope_of(client_key: str, path: str, key: str) -> UUID:
    """What an idempotency key is unique in: the client key and the path."""
    return digest("idempotency", client_key, path, key)


async def first_answer(work: Work, scope: UUID, request_hash: UUID, hours: int) -> Record | None:
    """The kept {status, location, body}; waits for a twin still under way.

    Raises `Conflict` when the key was used for another request. Holds the scope until the
    transaction ends, so call it inside the write's own.
    """
    lock = lock_of(scope)
    await work.one("idempotency.lock", lock=lock)
    kept = await work.one(
        "idempotency.fetch", scope=scope, oldest=clock.now() - timedelta(hours=hours)
    )
    if kept is not None and kept["request_hash"] != request_hash:
        raise Conflict(
            "Idempotency-Key was used for another request.",
            "The same Idempotency-Key came with another body; use a new key for a new request.",
        )
    return kept


async def keep(
    work: Work,
    scope: UUID,
    request_hash: UUID,
    hours: int,
    *,
    status: int,
    location: str | None,
    body: bytes,
) -> None:
    """Keep an answer in the transaction of the write it tells of."""
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
