"""Answer a repeated POST with its first response (our extension: `Idempotency-Key`)."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from innkeeper import clock
from innkeeper.errors import Conflict
from innkeeper.rules.identity_keys import digest, lock_of
from innkeeper.store.batching import ALONE, Alone
from innkeeper.store.work import Work


@dataclass(frozen=True, slots=True)
class FirstResponse:
    """The response to the first request with an idempotency key."""

    status: int
    location: str | None
    body: bytes
    is_replayed: bool = False
    """Whether it was stored, and the request did nothing."""


@dataclass(frozen=True, slots=True)
class KeyedRequest:
    """A request with an idempotency key."""

    scope: UUID
    """Of `scope_id`."""
    request_hash: UUID
    actor: str
    respond: Callable[[Work], Awaitable[FirstResponse]]
    """Run the request, in the transaction that stores its response."""


def scope_id(client_key: str, path: str, key: str) -> UUID:
    """Return the id of an idempotency key, which is unique per client key and path."""
    return digest("idempotency", client_key, path, key)


async def respond_once(work: Work, request: KeyedRequest, hours: int) -> FirstResponse:
    """Return the stored response to an equal request, or run the request and store its response.

    Waits for an equal request that is still running. Concurrent requests share a transaction: one
    that fails is run again alone. Raises `Conflict` if the key was used for another request.
    """

    async def respond_batch(
        work: Work, items: Sequence[KeyedRequest]
    ) -> list[FirstResponse | Alone]:
        return await _respond_all(work, items, hours)

    async def respond_alone() -> FirstResponse:
        (response,) = await _respond_all(work, [request], hours)
        if isinstance(response, Alone):
            raise Conflict(
                "Idempotency-Key was used for another request.",
                "The same Idempotency-Key came with another body; use a new key for a new request.",
            )
        return response

    return await work.in_batch("idempotency", respond_batch, request, respond_alone, queue=hours)


async def _respond_all(
    work: Work, requests: Sequence[KeyedRequest], hours: int
) -> list[FirstResponse | Alone]:
    """Respond to requests in one transaction; `ALONE` for a key of another request, and for a key
    that came twice, whose first response is stored by the end of the transaction."""
    oldest = clock.now() - timedelta(hours=hours)
    scopes = [request.scope for request in requests]
    responses: list[FirstResponse | Alone] = []
    new: set[UUID] = set()
    async with work.transaction():
        # The second statement sees the responses of requests that the first one waited for.
        _, rows = await work.in_turn(
            ("guest_writes.lock_keys", {"locks": [lock_of(scope) for scope in scopes]}),
            ("idempotency.fetch", {"scopes": scopes, "oldest": oldest}),
        )
        stored = {row["scope"]: row for row in rows}
        for request in requests:
            row = stored.get(request.scope)
            if request.scope in new:
                responses.append(ALONE)
            elif row is None:
                new.add(request.scope)
                work.actor = request.actor
                responses.append(await request.respond(work))
            elif row["request_hash"] == request.request_hash:
                response = FirstResponse(row["status"], row["location"], bytes(row["body"]), True)
                responses.append(response)
            else:
                responses.append(ALONE)
        await _store(work, requests, responses, oldest)
    return responses


async def _store(
    work: Work,
    requests: Sequence[KeyedRequest],
    responses: Sequence[FirstResponse | Alone],
    oldest: datetime,
) -> None:
    """Store the responses that are new, in the transaction of their writes."""
    new = [
        (request.scope, request.request_hash, response.status, response.location, response.body)
        for request, response in zip(requests, responses, strict=True)
        if not isinstance(response, Alone) and not response.is_replayed
    ]
    if new:
        scopes, hashes, statuses, locations, bodies = map(list, zip(*new, strict=True))
        await work.run(
            "idempotency.store",
            scopes=scopes,
            hashes=hashes,
            statuses=statuses,
            locations=locations,
            bodies=bodies,
            oldest=oldest,
        )
