"""Fast UUIDs for refs: an import needs a dozen of them for each record."""

import os
from collections.abc import Callable, Iterator
from hashlib import sha1
from typing import Any, Final
from uuid import UUID, SafeUUID

_set_number: Final[Callable[[UUID, int], None]] = UUID.__dict__["int"].__set__
_set_is_safe: Final[Callable[[UUID, Any], None]] = UUID.__dict__["is_safe"].__set__
_NO_VERSION: Final = ~(0xF000 << 64 | 0xC000 << 48)
_BITS_4: Final = 0x4000 << 64 | 0x8000 << 48
_POOLED: Final = 64
"""Refs whose random bits are read from the system at a time."""
_TAIL: Final = 10
"""The last bytes of a ref, with its version and variant."""
_EACH_TAIL: Final = sum(1 << 8 * _TAIL * each for each in range(_POOLED))
_POOL_RANDOM: Final = _EACH_TAIL * ((1 << 76) - 1 & _NO_VERSION)
_POOL_BITS: Final = _EACH_TAIL * _BITS_4
_BITS_5: Final = 0x5000 << 64 | 0x8000 << 48


def ref_of(number: int) -> UUID:
    """Return `UUID(int=number)` of a 128-bit number, in a third of the constructor's time."""
    ref = UUID.__new__(UUID)
    _set_number(ref, number)
    _set_is_safe(ref, SafeUUID.unknown)
    return ref


def named_ref(parent: UUID, name: str) -> UUID:
    """Return `uuid5(parent, name)`, in half of its time."""
    return ref_of(int.from_bytes(named_bytes(parent.int.to_bytes(16), name)))


def named_bytes(parent: bytes, name: str) -> bytes:
    """Return the 16 bytes of `uuid5(parent, name)`, by those of its parent."""
    hashed = sha1(parent + name.encode(), usedforsecurity=False).digest()
    return (int.from_bytes(hashed[:16]) & _NO_VERSION | _BITS_5).to_bytes(16)


def new_ref() -> UUID:
    """Return a random ref (UUID version 4)."""
    return ref_of(int.from_bytes(os.urandom(16)) & _NO_VERSION | _BITS_4)


def neighbouring_refs() -> Iterator[bytes]:
    """Yield the 16 bytes of random refs (UUID version 4) in ascending order.

    They have their first bits in common, and 74 random bits each: rows that are written together
    are neighbours in indexes, and many of them share a page.
    """
    first, count = os.urandom(4), 0
    while True:
        # The bits of version and variant are set in all refs of the pool at once.
        pool = int.from_bytes(os.urandom(_TAIL * _POOLED)) & _POOL_RANDOM | _POOL_BITS
        tails = pool.to_bytes(_TAIL * _POOLED)
        for at in range(0, _TAIL * _POOLED, _TAIL):
            yield first + count.to_bytes(2) + tails[at : at + _TAIL]
            # Past the last of 65,536 the order starts again.
            count = count + 1 & 0xFFFF
