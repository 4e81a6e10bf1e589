"""Identity keys: digests of a fixed size by which guests are looked up.

A key is a 128-bit digest in a `uuid` column. Its size does not depend on the value (an id may have
32 KiB, an index entry may not), and the index contains no personal data. A row that is found is a
candidate only; exact comparisons (G-9) check its values as well.
"""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from hashlib import blake2b
from operator import attrgetter
from typing import Final
from uuid import UUID

from innkeeper.refs import ref_of
from innkeeper.resources.base import Record
from innkeeper.rules import normalize

KEY_FORM: Final = 2
"""Version of how keys are derived. Raise it with every change, so that installations derive their
stored keys again (`actions/identity/rekeying.py`)."""

_number: Final = attrgetter("int")
_start_hash: Final = blake2b(digest_size=16, person=b"innkeeper").copy


@lru_cache(1024)
def digest(kind: str, *parts: str) -> UUID:
    """Return the key of `parts`, which differs for another kind or another division into parts.

    Cached, because several rules and the index use the same keys of a record.
    """
    return ref_of(int.from_bytes(digest_bytes(kind, *parts)))


def digest_bytes(kind: str, *parts: str) -> bytes:
    """Return the 16 bytes of the key of `parts`."""
    if len(parts) == 1:
        text = f"{kind}\x1f{len(parts[0])}:{parts[0]}"
    else:
        text = kind + "".join([f"\x1f{len(part)}:{part}" for part in parts])
    hashed = _start_hash()
    hashed.update(text.encode())
    return hashed.digest()


def lock_of(key: UUID) -> int:
    """Return the number of a key's advisory lock: 64 bits, signed."""
    number = key.int >> 64
    return number - (1 << 64) if number >> 63 else number


def email_key(address: str) -> UUID:
    """Return the key of an e-mail address in `email` or `emails`."""
    return digest("email", normalize.email(address))


def identifier_key(provider: str, value: str) -> UUID:
    """Return the key of an identifier: the exact provider and the id by `normalize.identifier`."""
    return digest("identifier", provider, normalize.identifier(provider, value))


def keys_with_invisible_characters(record: Record) -> Iterator[UUID]:
    """Yield the keys that values with invisible characters had before those were removed: old
    entries of block lists are stored under them."""
    for address in {record.get("email"), *(record.get("emails") or ())}:
        if address is not None and normalize.visible(address) != address:
            yield digest("email", address.strip().lower())
    for one in record.get("identifiers") or ():
        provider, value = one["provider"], one["id"]
        if normalize.visible(value) != value:
            original = value.strip().lower() if provider == normalize.EMAIL_PROVIDER else value
            yield digest("identifier", provider, original)


def reference_key(reference_id: str) -> UUID:
    """Return the key by which orders of a referenceId are looked up."""
    return digest("reference", reference_id)


def guest_keys(record: Record, more: Iterable[UUID] = ()) -> list[UUID]:
    """Return every key of a guest, without repeats, in the common order of keys.

    `more`: further keys that the workspace's identity rules need (`IdentityRules.keys`).
    """
    keys = {*_keys(record), *more}
    return [*keys] if len(keys) < 2 else in_order(keys)


def in_order(keys: Iterable[UUID]) -> list[UUID]:
    """Return keys in the common order, in which all transactions lock them."""
    return sorted(keys, key=_number)


def _keys(record: Record) -> Iterable[UUID]:
    email, emails = record.get("email"), record.get("emails") or ()
    # `email` is usually one of `emails` (G-2).
    addresses = emails if email is None or email in emails else (email, *emails)
    keys = [email_key(address) for address in addresses if address is not None]
    for identifier in record.get("identifiers") or ():
        keys.append(identifier_key(identifier["provider"], identifier["id"]))
    return keys
