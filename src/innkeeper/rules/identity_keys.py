"""Index keys: what a guest can be found by, as fixed-size digests.

A key is a 128-bit digest held in a `uuid` column: it has one size whatever a client sends
(an id may be 32 KiB, an index entry not), and it puts no personal data into an index. A hit
is a candidate; who compares exactly (G-9) checks the row's own values as well.
"""

from collections.abc import Iterable, Iterator
from hashlib import blake2b
from operator import attrgetter
from typing import Final
from uuid import UUID

from innkeeper.refs import ref_of
from innkeeper.resources.base import Record
from innkeeper.rules import normalize

KEY_FORM: Final = 2
"""How the keys of guests are derived: another number with every change, so that an installation
makes those it has stored again (`actions/identity/rekeying.py`)."""

_number: Final = attrgetter("int")


def digest(kind: str, *parts: str) -> UUID:
    """The key of `parts`; no other kind or division into parts shares it."""
    text = kind
    for part in parts:
        text += f"\x1f{len(part)}:{part}"
    hashed = blake2b(text.encode(), digest_size=16, person=b"innkeeper")
    return ref_of(int.from_bytes(hashed.digest()))


def lock_of(key: UUID) -> int:
    """The number of the advisory lock that stands for a key."""
    number = key.int >> 64
    return number - (1 << 64) if number >> 63 else number


def email_key(address: str) -> UUID:
    """The key of an e-mail address among a guest's `email` and `emails`."""
    return digest("email", normalize.email(address))


def identifier_key(provider: str, value: str) -> UUID:
    """The key of an identifier: the provider exactly, the id as `normal.identifier` has it."""
    return digest("identifier", provider, normalize.identifier(provider, value))


def keys_with_invisible_characters(record: Record) -> Iterator[UUID]:
    """The keys that values with invisible characters had before those were taken out: what was put
    on a block list then is there under these."""
    for address in {record.get("email"), *(record.get("emails") or ())}:
        if address is not None and normalize.visible(address) != address:
            yield digest("email", address.strip().lower())
    for one in record.get("identifiers") or ():
        provider, value = one["provider"], one["id"]
        if normalize.visible(value) != value:
            as_sent = value.strip().lower() if provider == normalize.EMAIL_PROVIDER else value
            yield digest("identifier", provider, as_sent)


def reference_key(reference_id: str) -> UUID:
    """The key that orders of a referenceId are found by."""
    return digest("reference", reference_id)


def guest_keys(record: Record, more: Iterable[UUID] = ()) -> list[UUID]:
    """Every key a guest is found by, without repeats, in a stable order.

    `more`: those that the workspace's identity rules need besides (`Rulebook.keys`).
    """
    return in_order({*_keys(record), *more})


def in_order(keys: Iterable[UUID]) -> list[UUID]:
    """Keys in the one order that everybody looks up and locks in."""
    return sorted(keys, key=_number)


def _keys(record: Record) -> Iterable[UUID]:
    # `email` is mostly one of `emails` (G-2).
    for address in {record.get("email"), *(record.get("emails") or ())}:
        if address is not None:
            yield email_key(address)
    for identifier in record.get("identifiers") or ():
        yield identifier_key(identifier["provider"], identifier["id"])
