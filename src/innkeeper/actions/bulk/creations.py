"""Encode the rows that the records of a chunk write if their guests and orders are new.

Most records of a first import match nobody. Their rows are encoded ahead, without I/O, so that
another process can do it while the chunk before is written (`wire/bulk/reader_process.py`).
`creation_writer` writes those whose keys no guest and no other record of the chunk has. All other
records are decided one by one (`guest_records`, `order_records`), by the same rules.
"""

from array import array
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Final, NamedTuple
from uuid import UUID

from innkeeper import clock
from innkeeper.actions.bulk.encoded_creations import Creations, EncodedRows
from innkeeper.refs import named_bytes, neighbouring_refs
from innkeeper.resources.base import Changes, Record
from innkeeper.resources.guests import extension_name
from innkeeper.resources.values import instant
from innkeeper.rules import identity
from innkeeper.rules.attachment import GUEST_RECORD, SOURCES, Terms, created_type, decide
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
from innkeeper.rules.guests import guest_fields
from innkeeper.rules.identity_keys import digest_bytes, guest_keys
from innkeeper.rules.identity_rules import IdentityRules, MatchedValue, expires
from innkeeper.rules.orders import COLUMNS, is_identifiable, order_person
from innkeeper.rules.plain_evidence import compile_evidence
from innkeeper.rules.search_words import search_words
from innkeeper.store import binary_rows
from innkeeper.store.binary_rows import (
    NULL,
    REF,
    encode_word,
    json,
    ref,
    ref_bytes,
    row,
    text,
    whole,
)

_PAIR: Final = row(2)
"""The start of a row of two columns."""
_PAIR_OF_REF: Final = row(2, REF)
_SEVEN: Final = row(7)
_EIGHT: Final = row(8)
_FIRST: Final = whole(0)
"""Sequence of the join that creates a guest."""
_CONTACT: Final = text(SOURCES["contact"])
_SEEN: Final = ("first_seen", "last_seen")
_UNSEEN: Final = [None, None]


@dataclass(frozen=True, slots=True)
class CreationTerms:
    """The terms that the rows of a creation depend on, apart from its record."""

    book: IdentityRules
    contact: Terms
    source: str
    """The source of guest records, as it is stored with their joins."""
    source_ref: UUID | None
    actor: str


class _Person(NamedTuple):
    """A person of a record as a new guest, and what is looked up."""

    fields: Record
    times: list[Any]
    """When the record says that the guest was seen first and last; None if it does not."""
    lookup: Collection[bytes]
    """Keys to look up."""
    keys: Sequence[bytes]
    """The keys of the new guest."""
    kind: str
    """The type of the new guest."""
    rule: str | None
    evidence: list[MatchedValue]
    """The reason for the new guest."""
    is_plain: bool
    """Whether no guard blocked evidence, and no identifier expires, which is decided later."""


@lru_cache(4096)
def _word_pairs(words: Sequence[str]) -> Sequence[bytes]:
    """Return the first columns of rows of words; cached, as names repeat."""
    return [_PAIR + encode_word(word) for word in words]


def encode_creations(records: Sequence[BatchRecord], terms: CreationTerms) -> Creations | None:
    """Encode the rows of the records of a chunk that create; None for records of other kinds.

    Records that share a key with others have no creation.
    """
    valid: list[tuple[int, Any]] = [
        (position, record.what)
        for position, record in enumerate(records)
        if not isinstance(record.what, RecordError)
    ]
    kinds = {type(what) for _, what in valid}
    if kinds not in ({GuestWrite}, {OrderWrite}):
        return None
    # Each step takes all records, which is faster than all steps of one record after the other.
    encoder = _Encoder(terms)
    if kinds == {OrderWrite}:
        encoder.add_orders(valid)
    else:
        encoder.add_guests(valid)
    return encoder.creations(len(valid))


class _Encoder:
    """Encodes records under the same terms, read at the same time."""

    def __init__(self, terms: CreationTerms) -> None:
        self._terms = terms
        self._book = terms.book
        self._evidence_of = compile_evidence(terms.book)
        self._now: datetime = clock.now()
        self._at = binary_rows.instant(self._now)
        self._written = self._at + self._at
        self._unseen = self._written + self._written
        source_ref = NULL if terms.source_ref is None else ref(terms.source_ref)
        self._source = text(terms.source) + source_ref
        self._by = text(terms.actor) + self._at
        self._new_ref = neighbouring_refs().__next__
        self._made = Creations(terms.book.version, self._now)
        self._rows = defaultdict[str, list[bytes]](list)
        self._items: list[bytes] = []
        """The instants of items by position."""
        self._keys: set[bytes] = set()
        self._references: set[bytes] = set()

    def add_guests(self, records: Sequence[tuple[int, GuestWrite]]) -> None:
        """Add the creations of guests that share no key with others."""
        people = [self._person(what.changes, GUEST_RECORD) for _, what in records]
        alone = self._alone([(person,) for person in people])
        for (position, what), person, is_alone in zip(records, people, alone, strict=True):
            if is_alone and person.lookup:
                self._add_creation(position, person, what.groups)

    def add_orders(self, records: Sequence[tuple[int, OrderWrite]]) -> None:
        """Add the creations of orders that share no key with others."""
        terms = self._terms.contact
        references = [
            digest_bytes("reference", what.changes["reference_id"]) for _, what in records
        ]
        self._references.update(references)
        people = [
            [
                self._person(each.changes, terms)
                for each in (what.contact, *what.contacts, *what.consumers)
            ]
            for _, what in records
        ]
        for (position, what), (person, *others), reference, is_alone in zip(
            records, people, references, self._alone(people, references), strict=True
        ):
            if is_alone and not (others or what.children or what.is_row):
                contact = order_person(person.fields)
                if is_identifiable(contact):
                    more = (what, contact, reference)
                    self._add_creation(position, person, what.contact.groups, more)

    def creations(self, records: int) -> Creations:
        """Return what so many records create."""
        made = self._made
        number = len(made.positions)
        for query, rows in self._rows.items():
            sizes = array("I", map(len, rows)).tobytes()
            made.rows[query] = EncodedRows(b"".join(rows), sizes)
        for name, keys in (("keys", self._keys), ("references", self._references)):
            if keys:
                made.locked[name] = binary_rows.encode_keys(sorted(keys))
        made.is_complete = number == records
        return made

    def _person(self, changes: Changes, terms: Terms) -> _Person:
        """Return the fields of a person as a new guest, the keys, and the decision to create it."""
        fields = guest_fields(changes)
        times = _UNSEEN
        if not fields.keys().isdisjoint(_SEEN):
            times = [fields.pop(name, None) for name in _SEEN]
        plain = self._evidence_of(fields) if self._evidence_of is not None else None
        if plain is not None:
            kind = created_type(terms, by_rule=bool(plain.lookup))
            lookup, keys, rule, reason = plain
            return _Person(fields, times, lookup, keys, kind, rule, reason, is_plain=True)
        evidence = identity.evidence_of(changes, self._book, self._now)
        decision = decide(changes, evidence, (), terms, self._book, self._now)
        more = () if self._book.is_indexed else self._book.keys(fields)
        return _Person(
            fields,
            times,
            {key.bytes for match in evidence.rule_matches for key in match.keys},
            [key.bytes for key in guest_keys(fields, more)],
            decision.guest_type,
            decision.rule,
            decision.evidence,
            not (decision.blocked or any(map(expires, fields.get("identifiers") or ()))),
        )

    def _alone(
        self, people: Sequence[Sequence[_Person]], references: Sequence[bytes] = ()
    ) -> list[bool]:
        """Return for each record whether no other has a key of its people, or its reference."""
        claims = list[set[bytes]]()
        for number, each in enumerate(people):
            claimed = {references[number]} if references else set()
            for person in each:
                self._keys.update(person.lookup)
                claimed.update(person.lookup, person.keys)
            claims.append(claimed)
        owners, alone = dict[bytes, int](), [True] * len(people)
        if sum(map(len, claims)) == len(set().union(*claims)):
            return alone
        for number, claimed in enumerate(claims):
            for key in claimed:
                owner = owners.setdefault(key, number)
                if owner != number:
                    alone[number] = alone[owner] = False
        return alone

    def _add_creation(
        self,
        position: int,
        person: _Person,
        groups: Sequence[ExtensionRecord],
        order: tuple[OrderWrite, Record, bytes] | None = None,
    ) -> None:
        """Add a creation with its rows, if they can be encoded.

        `order`: the record of an order, its contact's fields as the order stores them, and the key
        of its referenceId.
        """
        words = search_words(person.fields) if person.is_plain else None
        first_seen, last_seen = person.times
        if words is None or (first_seen is None and last_seen is not None):
            return
        try:
            extensions = check_groups({}, groups) if groups else {}
        except RecordRejected:
            return
        made, guest, source = self._made, self._new_ref(), self._source
        if order is not None:
            what, contact, reference = order
            ref_of_order = self._new_ref()
            source = _CONTACT + ref_bytes(ref_of_order)
            made.orders.append(ref_of_order)
            made.references.append(reference)
            self._add_order(what, ref_of_order, reference)
            self._add_contact(ref_of_order, guest, contact)
        names, phones = words
        self._add_guest(guest, person, source)
        self._add_words(guest, names, phones)
        if extensions:
            self._add_extensions("guest_writes.copy_extensions", [(guest, extensions)])
        made.positions.append(position)
        made.lookups.append(b"".join(person.lookup))
        made.guests.append(guest)
        made.names.append(names)
        made.providers.append([one["provider"] for one in person.fields.get("identifiers") or ()])

    def _add(self, query: str, rows: bytes) -> None:
        """Add the rows of the next creation in a table."""
        added, number = self._rows[query], len(self._made.positions)
        if len(added) < number:
            added += [b""] * (number - len(added))
        added.append(rows)

    def _add_guest(self, guest: bytes, person: _Person, source: bytes) -> None:
        """Add the rows of a new guest: itself, its keys and join."""
        own, written = ref_bytes(guest), self._unseen
        if person.times != _UNSEEN:
            seen = [
                self._at if value is None else binary_rows.instant(instant(value))
                for value in person.times
            ]
            written = b"".join(seen) + self._written
        kind, rule = encode_word(person.kind), NULL
        self._add("guest_writes.copy_guests", _SEVEN + own + kind + json(person.fields) + written)
        if person.rule is not None:
            rule = encode_word(person.rule)
        join = _EIGHT + own + _FIRST + rule + json(person.evidence) + source + self._by
        self._add("creations.copy_joins", join)
        if person.keys:
            rows = [_PAIR_OF_REF + key for key in person.keys]
            self._add("guest_writes.copy_keys", own.join(rows) + own)

    def _add_words(self, guest: bytes, names: Sequence[str], phones: Sequence[str]) -> None:
        """Add the rows of the words of a new guest."""
        own, pairs = ref_bytes(guest), _word_pairs(names)
        if phones:
            pairs = [*pairs, *[_PAIR + text(word) for word in phones]]
        if pairs:
            self._add("creations.copy_words", own.join(pairs) + own)

    def _add_order(self, what: OrderWrite, order: bytes, reference: bytes) -> None:
        """Add the rows of an order, its items and data extension."""
        changes = what.changes
        own, at = ref_bytes(order), binary_rows.instant(instant(changes["ordered_at"]))
        body = {
            name: value
            for name, value in changes.items()
            if value is not None and name not in COLUMNS
        }
        key = text(changes["reference_id"]) + ref_bytes(reference)
        self._add("order_writes.copy_orders", row(7, own, key, at, json(body), self._written))
        self._add_items(own, at, what.items)
        if what.group is not None:
            group = {(what.group.name, what.group.key): what.group.pairs}
            self._add_extensions("order_writes.copy_extensions", [(order, group)])

    def _add_contact(self, order: bytes, guest: bytes, contact: Record) -> None:
        """Add the row of the contact of a new order."""
        refs = (ref_bytes(self._new_ref()), ref_bytes(order), ref_bytes(guest))
        self._add("order_writes.copy_contacts", row(6, *refs, json(contact), self._written))

    def _add_items(self, order: bytes, ordered_at: bytes, items: Sequence[ItemRecord]) -> None:
        """Add the rows of the items of an order (`OrderBatch.put_items`)."""
        rows, groups = [], []
        for position, item in enumerate(items):
            own, body, at = self._new_ref(), item.changes, ordered_at
            if "ordered_at" in body:
                body = {name: value for name, value in body.items() if name != "ordered_at"}
                at = binary_rows.instant(instant(item.changes["ordered_at"]))
            written = self._written_at(position)
            rows.append(_SEVEN + REF + own + order + at + json(body) + NULL + written)
            if item.group is not None:
                groups.append((own, item.extensions))
        if rows:
            self._add("order_writes.copy_items", b"".join(rows))
        self._add_extensions("order_writes.copy_item_extensions", groups)

    def _written_at(self, position: int) -> bytes:
        """Return the instants of the item of an order at a position."""
        if position == len(self._items):
            # Lists are sorted by age (L-10): a millisecond per position preserves the order.
            self._items.append(binary_rows.instant(self._now, position) + self._at)
        return self._items[position]

    def _add_extensions(
        self, query: str, parents: Sequence[tuple[bytes, Mapping[tuple[str, str], Record]]]
    ) -> None:
        """Add the rows of the data extensions of new parents of a creation."""
        rows = [
            _SEVEN
            + REF
            + parent
            + encode_word(name)
            + encode_word(key)
            + REF
            + named_bytes(parent, extension_name(name, key))
            + json(pairs)
            + self._written
            for parent, extensions in parents
            for (name, key), pairs in extensions.items()
        ]
        if rows:
            self._add(query, b"".join(rows))
