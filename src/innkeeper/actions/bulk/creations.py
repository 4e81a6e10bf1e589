"""Encode the rows that the records of a chunk write if their guests and orders are new.

Most records of a first import match nobody. Their rows are encoded ahead, without I/O, so that
another process can do it while the chunk before is written (`wire/bulk/reader_process.py`).
`creation_writer` writes those whose keys no guest and no other record of the chunk has. All other
records are decided one by one (`guest_records`, `order_records`), by the same rules.
"""

from array import array
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from itertools import chain
from typing import Any, Final
from uuid import UUID

from msgspec import Struct

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
_TIMES_SEEN: Final = ("first_seen", "last_seen")
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


class _Person(Struct, gc=False):
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
    claimed: Collection[bytes]
    """All these keys, each once."""
    is_plain: bool = True
    """Whether no guard blocked evidence, and no identifier expires, which is decided later."""


@lru_cache(4096)
def _word_pairs(words: Sequence[str]) -> Sequence[bytes]:
    """Return the first columns of rows of words; cached, as names repeat."""
    return [_PAIR + encode_word(word) for word in words]


def encode_creations(records: Iterable[BatchRecord], terms: CreationTerms) -> Creations | None:
    """Encode the rows of the records of a chunk that create (`CreationEncoder`)."""
    encoder = CreationEncoder(terms)
    for record in records:
        encoder.add(record)
    return encoder.creations()


class CreationEncoder:
    """Encodes the records of a chunk under the same terms, read at the same time.

    A record is encoded right after it was read, while the processor's cache has it.
    """

    def __init__(self, terms: CreationTerms) -> None:
        self._terms = terms
        self._book = terms.book
        self._evidence_of = compile_evidence(terms.book)
        self._now: datetime = clock.now()
        self._at = binary_rows.instant(self._now)
        self._written = self._at + self._at
        self._unseen = self._written + self._written
        source_ref = NULL if terms.source_ref is None else ref(terms.source_ref)
        self._by = text(terms.actor) + self._at
        self._source = text(terms.source) + source_ref + self._by
        self._new_ref = neighbouring_refs().__next__
        self._new = Creations(terms.book.version, self._now)
        self._rows = defaultdict[str, list[bytes]](list)
        """Query -> the rows of each creation of one kind; empty for one that has none."""
        self._items: list[bytes] = []
        """The instants of items by position."""
        self._keys: set[bytes] = set()
        self._references: set[bytes] = set()
        self._records = self._valid = 0
        self._kinds = set[type]()
        self._claims: dict[int, Collection[bytes]] = {}
        """Position of each record -> the keys of its people, and its reference, each once."""

    def add(self, record: BatchRecord) -> bool:
        """Add the next record; return whether it has a creation if no other shares a key."""
        position, what, number = self._records, record.what, len(self._new.positions)
        self._records += 1
        if isinstance(what, RecordError):
            return False
        self._valid += 1
        self._kinds.add(type(what))
        if isinstance(what, GuestWrite):
            self._add_guest_write(position, what)
        elif isinstance(what, OrderWrite):
            self._add_order_write(position, what)
        return len(self._new.positions) > number

    def creations(self) -> Creations | None:
        """Return the creations of records that share no key with others; None unless all records
        are of guests, or all of orders."""
        new = self._new
        if self._kinds not in ({GuestWrite}, {OrderWrite}):
            return None
        new.is_complete = len(new.positions) == self._valid
        for query, rows in self._rows.items():
            content = b"".join(rows)
            if content:
                new.rows[query] = EncodedRows(content, array("I", map(len, rows)).tobytes())
        for name, keys in (("keys", self._keys), ("references", self._references)):
            if keys:
                new.locked[name] = binary_rows.encode_keys(sorted(keys))
        return new.without(self._sharing())

    def _add_guest_write(self, position: int, what: GuestWrite) -> None:
        person = self._person(what.changes, GUEST_RECORD)
        self._claims[position] = person.claimed
        if person.lookup:
            self._keys.update(person.lookup)
            self._add_creation(position, person, what.groups)

    def _add_order_write(self, position: int, what: OrderWrite) -> None:
        terms = self._terms.contact
        people = [
            self._person(each.changes, terms)
            for each in (what.contact, *what.contacts, *what.consumers)
        ]
        reference = digest_bytes("reference", what.changes["reference_id"])
        self._references.add(reference)
        self._claims[position] = {reference}.union(*[each.claimed for each in people])
        for each in people:
            self._keys.update(each.lookup)
        if not (len(people) > 1 or what.children or what.is_row):
            contact = order_person(people[0].fields)
            if is_identifiable(contact):
                more = (what, contact, reference)
                self._add_creation(position, people[0], what.contact.groups, more)

    def _sharing(self) -> set[int]:
        """Return the numbers of the creations that share a key with another record."""
        claimed = [*chain.from_iterable(self._claims.values())]
        if len({*claimed}) == len(claimed):
            return set()
        owners, sharing = dict[bytes, int](), set[int]()
        for position, keys in self._claims.items():
            for key in keys:
                owner = owners.setdefault(key, position)
                if owner != position:
                    sharing |= {owner, position}
        return {number for number, at in enumerate(self._new.positions) if at in sharing}

    def _person(self, changes: Changes, terms: Terms) -> _Person:
        """Return the fields of a person as a new guest, the keys, and the decision to create it."""
        fields = guest_fields(changes)
        times = _UNSEEN
        if "first_seen" in fields or "last_seen" in fields:
            times = [fields.pop(name, None) for name in _TIMES_SEEN]
        plain = self._evidence_of(fields) if self._evidence_of is not None else None
        if plain is not None:
            lookup, keys, rule, reason = plain
            kind = created_type(terms, by_rule=bool(lookup))
            return _Person(fields, times, lookup, keys, kind, rule, reason, keys)
        evidence = identity.evidence_of(changes, self._book, self._now)
        decision = decide(changes, evidence, (), terms, self._book, self._now)
        more = () if self._book.is_indexed else self._book.keys(fields)
        looked_up = {key.bytes for match in evidence.rule_matches for key in match.keys}
        keys = [key.bytes for key in guest_keys(fields, more)]
        return _Person(
            fields,
            times,
            looked_up,
            keys,
            decision.guest_type,
            decision.rule,
            decision.evidence,
            looked_up.union(keys),
            not (decision.blocked or any(map(expires, fields.get("identifiers") or ()))),
        )

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
        new, guest, source = self._new, self._new_ref(), self._source
        if order is not None:
            what, contact, reference = order
            ref_of_order = self._new_ref()
            source = _CONTACT + ref_bytes(ref_of_order) + self._by
            new.orders.append(ref_of_order)
            new.references.append(reference)
            self._add_order(what, ref_of_order, reference)
            self._add_contact(ref_of_order, guest, contact)
        names, phones = words
        self._add_guest(guest, person, source)
        self._add_words(guest, names, phones)
        self._add_extensions("guest_writes.copy_extensions", [(guest, extensions)])
        new.positions.append(position)
        new.lookups.append(b"".join(person.lookup))
        new.guests.append(guest)
        new.names.append(names)
        new.providers.append([one["provider"] for one in person.fields.get("identifiers") or ()])

    def _add_guest(self, guest: bytes, person: _Person, source: bytes) -> None:
        """Add the rows of a new guest: itself, its keys and join."""
        own, written, rows = REF + guest, self._unseen, self._rows
        if person.times is not _UNSEEN:
            times = [
                self._at if value is None else binary_rows.instant(instant(value))
                for value in person.times
            ]
            written = b"".join(times) + self._written
        rows["guest_writes.copy_guests"].append(
            _SEVEN + own + encode_word(person.kind) + json(person.fields) + written
        )
        rule = NULL if person.rule is None else encode_word(person.rule)
        rows["creations.copy_joins"].append(
            _EIGHT + own + _FIRST + rule + json(person.evidence) + source
        )
        rows["guest_writes.copy_keys"].append(
            b"".join([_PAIR_OF_REF + key + own for key in person.keys])
        )

    def _add_words(self, guest: bytes, names: Sequence[str], phones: Sequence[str]) -> None:
        """Add the rows of the words of a new guest."""
        own, pairs = REF + guest, _word_pairs(names)
        if phones:
            pairs = [*pairs, *[_PAIR + text(word) for word in phones]]
        self._rows["creations.copy_words"].append(own.join([*pairs, b""]))

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
        orders = self._rows["order_writes.copy_orders"]
        orders.append(row(7, own, key, at, json(body), self._written))
        self._add_items(own, at, what.items)
        group = what.group
        extensions = {} if group is None else {(group.name, group.key): group.pairs}
        self._add_extensions("order_writes.copy_extensions", [(order, extensions)])

    def _add_contact(self, order: bytes, guest: bytes, contact: Record) -> None:
        """Add the row of the contact of a new order."""
        refs = (ref_bytes(self._new_ref()), ref_bytes(order), ref_bytes(guest))
        contacts = self._rows["order_writes.copy_contacts"]
        contacts.append(row(6, *refs, json(contact), self._written))

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
        self._rows["order_writes.copy_items"].append(b"".join(rows))
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
        self._rows[query].append(b"".join(rows))
