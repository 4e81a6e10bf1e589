"""Encode the rows that the records of a chunk write if their guests and orders are new.

Most records of a first import match nobody. Their rows are encoded ahead, without I/O, so that
another process can do it while the chunk before is written (`wire/bulk/reader_process.py`).
`creation_writer` writes those whose keys no guest and no other record of the chunk has. All other
records are decided one by one (`guest_records`, `order_records`), by the same rules.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from innkeeper import clock
from innkeeper.actions.identity import ledger
from innkeeper.actions.identity.resolve import SOURCES
from innkeeper.actions.records.extensions import extension_ref
from innkeeper.actions.records.orders import COLUMNS
from innkeeper.refs import new_ref
from innkeeper.resources.base import Changes, Record
from innkeeper.resources.values import instant
from innkeeper.rules import identity
from innkeeper.rules.attachment import GUEST_RECORD, Terms, decide
from innkeeper.rules.batch import (
    BatchRecord,
    ExtensionRecord,
    GuestWrite,
    ItemRecord,
    OrderWrite,
    RecordError,
    RecordRejected,
    check_groups,
)
from innkeeper.rules.guests import guest_fields, present
from innkeeper.rules.identity import Decision, Evidence
from innkeeper.rules.identity_keys import guest_keys, reference_key
from innkeeper.rules.identity_rules import IdentityRules, expires
from innkeeper.rules.orders import is_identifiable, order_person
from innkeeper.rules.search_words import search_words
from innkeeper.store import binary_rows
from innkeeper.store.binary_rows import NULL, Offsets, encode_word, head, json, ref, text

_WRITTEN: Final[Offsets] = (0, 0)
"""The columns created_at and modified_at."""
_NEW_GUEST: Final[Offsets] = (0, 0, *_WRITTEN)
_JOINED: Final[Offsets] = (0,)
_PAIR: Final = head((), b"", b"")
"""The start of a row of two columns."""
_CONTACT: Final = text(SOURCES["contact"])
_SEEN: Final = ("first_seen", "last_seen")

EncodedRow = tuple[str, Offsets, bytes]
"""The query that copies a row, and the row as `binary_rows.head` encodes it."""


@dataclass(frozen=True, slots=True)
class CreationTerms:
    """The terms that the rows of a creation depend on, apart from its record."""

    book: IdentityRules
    contact: Terms
    source: str
    """The source of guest records, as it is stored with their joins."""
    source_ref: UUID | None
    actor: str


class Creation(NamedTuple):
    """The rows of a record whose guest, or order with its guest, is new."""

    position: int
    """Position of the record in its chunk."""
    guest: int
    order: int | None
    keys: list[int]
    """Keys of which no guest may have one."""
    reference: int | None
    """Key of the referenceId, which no order may have."""
    rows: list[EncodedRow]
    names: list[str]
    """Words of the guest's name."""
    providers: list[str]


@dataclass(frozen=True, slots=True)
class Creations:
    """The creations of a chunk, and the keys that all of its records lock."""

    version: UUID
    """Version of the identity rules."""
    each: list[Creation]
    keys: list[int]
    references: list[int]
    is_complete: bool
    """Whether every valid record of the chunk has a creation."""


@dataclass(frozen=True, slots=True)
class _Person:
    """A person of a record: the fields of a new guest, and what is looked up."""

    fields: Record
    times: dict[str, Any]
    """When the record says that the guest was seen first and last."""
    evidence: Evidence
    keys: list[UUID]
    """The keys of the new guest."""


class _Draft:
    """The keys that a record looks up, and its creation if it can be encoded."""

    def __init__(self, person: _Person, others: Sequence[_Person] = ()) -> None:
        self.keys: set[int] = set()
        """Keys that are looked up."""
        self.claims: set[int] = set()
        """Keys that no other record of the chunk may have."""
        for each in (person, *others):
            self.keys.update(k.int for match in each.evidence.rule_matches for k in match.keys)
            self.claims.update(key.int for key in each.keys)
        self.claims |= self.keys
        self.reference: int | None = None
        self.guest: UUID | None = None
        """The new guest; None if the record has to be decided by itself."""
        self.order: UUID | None = None
        self.rows: list[EncodedRow] = []
        self.names: list[str] = []
        self.providers: list[str] = []

    def creation(self, position: int) -> Creation | None:
        """Return the creation of the record at a position, if there is one."""
        if self.guest is None:
            return None
        order = None if self.order is None else self.order.int
        head_ = (position, self.guest.int, order, [*self.keys], self.reference)
        return Creation(*head_, self.rows, self.names, self.providers)


def encode_creations(records: Sequence[BatchRecord], terms: CreationTerms) -> Creations | None:
    """Encode the rows of the records of a chunk that create; None for records of other kinds.

    Records that share a key with others have no creation.
    """
    valid = [
        (position, record.what)
        for position, record in enumerate(records)
        if not isinstance(record.what, RecordError)
    ]
    kinds = {type(what) for _, what in valid}
    if kinds not in ({GuestWrite}, {OrderWrite}):
        return None
    encoder = _Encoder(terms)
    drafts = [(position, encoder.draft(what)) for position, what in valid]
    claims = Counter(key for _, draft in drafts for key in draft.claims)
    alone = (pair for pair in drafts if all(claims[key] == 1 for key in pair[1].claims))
    creations = [one for at, draft in alone if (one := draft.creation(at)) is not None]
    return Creations(
        terms.book.version,
        creations,
        [*{key for _, draft in drafts for key in draft.keys}],
        [*{draft.reference for _, draft in drafts if draft.reference is not None}],
        is_complete=len(creations) == len(valid),
    )


class _Encoder:
    """Encodes records under the same terms, read at the same time."""

    def __init__(self, terms: CreationTerms) -> None:
        self._terms = terms
        self._book = terms.book
        self._now: datetime = clock.now()
        self._indexes = not all(rule.always_indexed for rule in terms.book.rules)
        source_ref = NULL if terms.source_ref is None else ref(terms.source_ref)
        self._source = (text(terms.source), source_ref)
        self._actor = text(terms.actor)
        self._contact = terms.contact

    def draft(self, what: Any) -> _Draft:
        """Return the keys and rows of a record."""
        return self._order(what) if isinstance(what, OrderWrite) else self._guest(what)

    def _guest(self, what: GuestWrite) -> _Draft:
        person = self._person(what.changes)
        draft = _Draft(person)
        if person.evidence.rule_matches:
            args = (what.changes, person.evidence, (), GUEST_RECORD, self._book, self._now)
            self._create_guest(draft, person, decide(*args), what.groups, *self._source)
        return draft

    def _order(self, what: OrderWrite) -> _Draft:
        person = self._person(what.contact.changes)
        others = [self._person(each.changes) for each in (*what.contacts, *what.consumers)]
        draft = _Draft(person, others)
        reference = reference_key(what.changes["reference_id"])
        draft.reference = reference.int
        draft.claims.add(reference.int)
        body = order_person(what.contact.changes)
        if what.contacts or what.consumers or what.children or what.is_row:
            return draft
        if not is_identifiable(body):
            return draft
        decision = decide(body, person.evidence, (), self._contact, self._book, self._now)
        order = new_ref()
        source = (_CONTACT, ref(order))
        self._create_guest(draft, person, decision, what.contact.groups, *source)
        if draft.guest is not None:
            draft.order = order
            draft.rows += self._order_rows(order, reference, what)
            contact = head(_WRITTEN, ref(new_ref()), source[1], ref(draft.guest), json(body))
            draft.rows.append(("order_writes.copy_contacts", _WRITTEN, contact))
        return draft

    def _person(self, changes: Changes) -> _Person:
        """Return the fields of a person as a new guest, and the keys."""
        times = [(name, changes[name]) for name in _SEEN if changes.get(name) is not None]
        fields = guest_fields(changes)
        for name, _ in times:
            del fields[name]
        own = guest_keys(fields, self._book.keys(fields) if self._indexes else ())
        evidence = identity.evidence_of(changes, self._book, self._now)
        return _Person(fields, dict(times), evidence, own)

    def _create_guest(
        self,
        draft: _Draft,
        person: _Person,
        decision: Decision,
        groups: Sequence[ExtensionRecord],
        *source: bytes,
    ) -> None:
        """Add a new guest with its keys, words, join and data extensions, if they can be encoded.

        Evidence that a guard blocked, and identifiers that expire, are decided when it is written.
        """
        words, identifiers = search_words(person.fields), person.fields.get("identifiers") or ()
        if words is None or decision.blocked or any(map(expires, identifiers)):
            return
        if "last_seen" in person.times and "first_seen" not in person.times:
            return
        try:
            extensions = check_groups({}, groups) if groups else {}
        except RecordRejected:
            return
        seen = [binary_rows.instant(instant(value)) for value in person.times.values()]
        guest, offsets = new_ref(), _NEW_GUEST[len(seen) :]
        own = ref(guest)
        kind, body = encode_word(decision.guest_type), json(ledger.body_members(person.fields))
        rule = NULL if decision.rule is None else encode_word(decision.rule)
        join = (own, rule, json(decision.evidence), *source, self._actor)
        keys = b"".join([_PAIR + ref(key) + own for key in person.keys])
        draft.rows = [
            ("guest_writes.copy_guests", offsets, head(offsets, own, kind, body, *seen)),
            ("guest_writes.copy_keys", (), keys),
            (
                "creations.copy_words",
                (),
                b"".join([_PAIR + encode_word(one) + own for one in words]),
            ),
            ("guest_writes.copy_joins", _JOINED, head(_JOINED, *join)),
            *_extension_rows("guest_writes.copy_extensions", guest, extensions),
        ]
        draft.guest = guest
        draft.names = [word for word in words if word[0] != "#"]
        draft.providers = [one["provider"] for one in identifiers]

    def _order_rows(self, order: UUID, reference: UUID, what: OrderWrite) -> Iterable[EncodedRow]:
        """Yield the rows of an order, its items and data extensions."""
        changes = what.changes
        ordered_at = instant(changes["ordered_at"])
        body = present({n: value for n, value in changes.items() if n not in COLUMNS})
        key = (text(changes["reference_id"]), ref(reference))
        columns = (ref(order), *key, binary_rows.instant(ordered_at), json(body))
        yield "order_writes.copy_orders", _WRITTEN, head(_WRITTEN, *columns)
        for position, item in enumerate(what.items):
            yield from _item_rows(order, ordered_at, position, item)
        if what.group is not None:
            group = {(what.group.name, what.group.key): what.group.pairs}
            yield from _extension_rows("order_writes.copy_extensions", order, group)


def _item_rows(
    order: UUID, ordered_at: datetime, position: int, item: ItemRecord
) -> Iterable[EncodedRow]:
    """Yield the rows of an item and its data extension (`OrderBatch.put_items`)."""
    own, moment = new_ref(), item.changes.get("ordered_at")
    body = {name: value for name, value in item.changes.items() if name != "ordered_at"}
    at = binary_rows.instant(instant(moment) if moment else ordered_at)
    # Lists are sorted by age (L-10): a millisecond per position preserves the record's order.
    offsets = (position, 0)
    columns = (ref(own), ref(order), at, json(body), NULL)
    yield "order_writes.copy_items", offsets, head(offsets, *columns)
    yield from _extension_rows("order_writes.copy_item_extensions", own, item.extensions)


def _extension_rows(
    query: str, parent: UUID, extensions: dict[tuple[str, str], Record]
) -> Iterable[EncodedRow]:
    """Yield the rows of the data extensions of a new parent."""
    for (name, key), pairs in extensions.items():
        own = extension_ref(parent, name, key)
        row = head(
            _WRITTEN, ref(parent), encode_word(name), encode_word(key), ref(own), json(pairs)
        )
        yield query, _WRITTEN, row
