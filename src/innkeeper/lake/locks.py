"""Locks of the lake, by workspace: for flushes, compactions and readers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from innkeeper.rules.identity_keys import digest
from innkeeper.store.work import Work

FLUSH: Final = "flush"
COMPACT: Final = "compact"
REFRESH: Final = "refresh"
EXPORTS: Final = "exports"


def lock_number(work: Work, what: str) -> int:
    """Return the number of an advisory lock: 64 bits, signed."""
    return digest("lake", work.workspace, what).int % 2**64 - 2**63


def readers_lock(work: Work, generation: int) -> int:
    """Name of the lock that readers of the files of a generation share."""
    return lock_number(work, f"readers {generation}")


@asynccontextmanager
async def alone(work: Work, what: str, *, wait: bool = True) -> AsyncIterator[bool]:
    """Try to take an exclusive lock without waiting; yields whether it was taken."""
    if work.in_transaction:
        raise RuntimeError("a lock of the lake is taken before the transaction it protects")
    number = lock_number(work, what)
    if wait:
        await work.one("lake.lock", lock=number)
        ours = True
    else:
        row = await work.one("lake.try_lock", lock=number)
        ours = bool(row and row["ours"])
    work.session_held += ours
    try:
        yield ours
    finally:
        work.session_held -= ours
        if ours and not work.connection.closed:
            await work.one("lake.unlock", lock=number)


@asynccontextmanager
async def together(work: Work, what: str) -> AsyncIterator[None]:
    """Hold a shared lock, which excludes `alone` for the same name."""
    if work.in_transaction:
        raise RuntimeError("a lock of the lake is taken before the transaction it protects")
    number = lock_number(work, what)
    await work.one("lake.share", lock=number)
    work.session_held += 1
    try:
        yield
    finally:
        work.session_held -= 1
        if not work.connection.closed:
            await work.one("lake.unshare", lock=number)
