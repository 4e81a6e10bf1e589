"""Encode the rows that the records of a chunk write if their guests and orders are new.

Most records of a first import match nobody. Their rows are encoded ahead, without I/O, so that
another process can do it while the chunk before is written (`wire/bulk/reader_process.py`).
`creation_writer` writes those whose keys no guest and no other record of the chunk has. All other
records are decided one by one (`guest_records`, `order_records`), by the same rules.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from innkeeper import clock
from innkeeper.refs import named_bytes, neighbouring_refs
from innkeeper.resources.base import Changes, Record
from innkeeper.resources.guests import extension_name
from innkeeper.resources.values import instant
from innkeeper.rules import identity
from innkeeper.rules.attachment import GUEST_RECORD, SOURCES, Terms, decide
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
from innkeeper.rules.identity import Decision, Evidence
from innkeeper.rules.identity_keys import guest_keys, reference_key
from innkeeper.rules.identity_rules import IdentityRules, expires
from innkeeper.rules.orders import COLUMNS, is_identifiable, order_person
from innkeeper.rules.search_words import search_words
from innkeeper.store import binary_rows
from innkeeper.store.binary_rows import (
    NULL,
    Offsets,
    encode_word,
    head,
    json,
    ref,
    ref_bytes,
    text,
    whole,
)

_WRITTEN: Final[Offsets] = (0, 0)
"""The columns created_at and modified_at."""
_NEW_GUEST: Final[Offsets] = (0, 0, *_WRITTEN)
_JOINED: Final[Offsets] = (0,)
_PAIR: Final = head((), b"", b"")
"""The start of a row of two columns."""
_FIRST: Final = whole(0)
"""Sequence of the join that creates a guest."""
_CONTACT: Final = text(SOURCES["contact"])
_SEEN: Final = ("first_seen", "last_seen")


RowsKey = tuple[str, Offsets]
"""The query that copies rows, and what their last columns are."""
_KEYS: Final[RowsKey] = ("guest_writes.copy_keys", ())
_WORDS: Final[RowsKey] = ("creations.copy_words", ())


@dataclass(frozen=True, slots=True)
class CreationTerms:
    """The terms that the rows of a creation depend on, apart from its record."""

    book: IdentityRules
    contact: Terms
    source: str
    """The source of guest records, as it is stored with their joins."""
    source_ref: UUID | None
    actor: str


class OwnedRows(NamedTuple):
    """Rows as `binary_rows.head` encodes them, and the number of the creation of each."""

    owners: list[int]
    heads: list[bytes]


class Creation(NamedTuple):
    """A record whose guest, or order with its guest, is new; refs and keys are 16 bytes."""

    position: int
    """Position of the record in its chunk."""
    keys: Collection[bytes]
    """Keys of which no guest may have one."""
    guest: bytes
    order: bytes | None
    reference: bytes | None
    """Key of the referenceId, which no order may have."""
    names: Sequence[str]
    """Words of the guest's name."""
    providers: Sequence[str]


@dataclass(slots=True)
class Creations:
    """The creations of a chunk, and the keys that all of its records lock."""

    version: UUID
    """Version of the identity rules."""
    each: list[Creation] = field(default_factory=list)
    rows: dict[RowsKey, OwnedRows] = field(default_factory=dict)
    keys: list[bytes] = field(default_factory=list)
    references: list[bytes] = field(default_factory=list)
    is_complete: bool = True
    """Whether every valid record of the chunk has a creation."""

    def without(self, left_out: Collection[int]) -> "Creations":
        """Return the creations without some, which `left_out` numbers."""
        if not left_out:
            return self
        numbers = {
            old: new
            for new, old in enumerate(n for n in range(len(self.each)) if n not in left_out)
        }
        rows = dict[RowsKey, OwnedRows]()
        for key, owned in self.rows.items():
            rest = [pair for pair in zip(*owned, strict=True) if pair[0] in numbers]
            if rest:
                rows[key] = OwnedRows([numbers[one] for one, _ in rest], [row for _, row in rest])
        each = [self.each[old] for old in numbers]
        return replace(self, each=each, rows=rows, is_complete=False)


class _Person(NamedTuple):
    """A person of a record: the fields of a new guest, and what is looked up."""

    fields: Record
    times: dict[str, Any]
    """When the record says that the guest was seen first and last."""
    evidence: Evidence
    rule_keys: set[bytes]
    """Keys to look up."""
    keys: list[bytes]
    """The keys of the new guest."""


class _Draft(NamedTuple):
    """A record that may create a guest, or an order with its guest."""

    position: int
    what: Any
    person: _Person
    decision: Decision
    groups: Sequence[ExtensionRecord]
    contact: Record
    """The fields of the person as the order stores them; empty for a record of a guest."""
    order: bytes | None
    reference: bytes | None


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
    drafts = encoder.orders(valid) if kinds == {OrderWrite} else encoder.guests(valid)
    encoder.add_rows(drafts)
    return encoder.creations(len(valid))


class _Encoder:
    """Encodes records under the same terms, read at the same time."""

    def __init__(self, terms: CreationTerms) -> None:
        self._terms = terms
        self._book = terms.book
        self._now: datetime = clock.now()
        source_ref = NULL if terms.source_ref is None else ref(terms.source_ref)
        self._source = (text(terms.source), source_ref)
        self._actor = text(terms.actor)
        self._new_ref = neighbouring_refs().__next__
        self._each: list[Creation] = []
        self._rows: dict[RowsKey, OwnedRows] = defaultdict(lambda: OwnedRows([], []))
        self._keys: set[bytes] = set()
        self._references: set[bytes] = set()

    def guests(self, records: Sequence[tuple[int, GuestWrite]]) -> list[_Draft]:
        """Return the records of guests that share no key with others."""
        people = [self._person(what.changes) for _, what in records]
        alone = self._alone([(person,) for person in people], [()] * len(people))
        return [
            _Draft(
                position,
                what,
                person,
                decide(what.changes, person.evidence, (), GUEST_RECORD, self._book, self._now),
                what.groups,
                {},
                None,
                None,
            )
            for (position, what), person, is_alone in zip(records, people, alone, strict=True)
            if is_alone and person.rule_keys
        ]

    def orders(self, records: Sequence[tuple[int, OrderWrite]]) -> list[_Draft]:
        """Return the records of orders that share no key with others."""
        contacts = [self._person(what.contact.changes) for _, what in records]
        references = [reference_key(what.changes["reference_id"]).bytes for _, what in records]
        self._references.update(references)
        people = [
            (contact, *(self._person(one.changes) for one in (*what.contacts, *what.consumers)))
            for (_, what), contact in zip(records, contacts, strict=True)
        ]
        alone = self._alone(people, [(reference,) for reference in references])
        drafts = []
        for (position, what), person, reference, is_alone in zip(
            records, contacts, references, alone, strict=True
        ):
            body = order_person(what.contact.changes)
            more_people = what.contacts or what.consumers
            is_plain = not (more_people or what.children or what.is_row)
            if is_alone and is_plain and is_identifiable(body):
                args = (body, person.evidence, (), self._terms.contact, self._book, self._now)
                more = (what.contact.groups, body, self._new_ref(), reference)
                drafts.append(_Draft(position, what, person, decide(*args), *more))
        return drafts

    def creations(self, records: int) -> Creations:
        """Return what so many records create."""
        return Creations(
            self._book.version,
            self._each,
            {**self._rows},
            sorted(self._keys),
            sorted(self._references),
            is_complete=len(self._each) == records,
        )

    def _person(self, changes: Changes) -> _Person:
        """Return the fields of a person as a new guest, and the keys."""
        fields, times = guest_fields(changes), dict[str, Any]()
        for name in _SEEN:
            if name in fields:
                times[name] = fields.pop(name)
        keys = guest_keys(fields, () if self._book.is_indexed else self._book.keys(fields))
        evidence = identity.evidence_of(changes, self._book, self._now)
        rule_keys = {key.bytes for match in evidence.rule_matches for key in match.keys}
        return _Person(fields, times, evidence, rule_keys, [key.bytes for key in keys])

    def _alone(
        self, people: Sequence[Sequence[_Person]], others: Sequence[Collection[bytes]]
    ) -> list[bool]:
        """Return for each record whether no other has a key of its people, or of its `others`."""
        owners, alone = dict[bytes, int](), [True] * len(people)
        for number, (each, other) in enumerate(zip(people, others, strict=True)):
            claims = {*other}
            for person in each:
                self._keys |= person.rule_keys
                claims.update(person.rule_keys, person.keys)
            for key in claims:
                owner = owners.setdefault(key, number)
                if owner != number:
                    alone[number] = alone[owner] = False
        return alone

    def add_rows(self, drafts: Sequence[_Draft]) -> None:
        """Add the creations of drafts with their rows, as far as they can be encoded.

        Evidence that a guard blocked, and identifiers that expire, are decided when it is written.
        """
        every_words = [search_words(draft.person.fields) for draft in drafts]
        for draft, words in zip(drafts, every_words, strict=True):
            person = draft.person
            identifiers = person.fields.get("identifiers") or ()
            if words is None or draft.decision.blocked or any(map(expires, identifiers)):
                continue
            if "last_seen" in person.times and "first_seen" not in person.times:
                continue
            try:
                extensions = check_groups({}, draft.groups) if draft.groups else {}
            except RecordRejected:
                continue
            guest = self._new_ref()
            self._add_guest(guest, draft, words)
            self._add_extensions("guest_writes.copy_extensions", guest, extensions)
            if draft.order is not None:
                self._add_order(draft.order, guest, draft)
            names = [word for word in words if word[0] != "#"]
            providers = [one["provider"] for one in identifiers]
            refs = (guest, draft.order, draft.reference)
            creation = Creation(draft.position, person.rule_keys, *refs, names, providers)
            self._each.append(creation)

    def _add_row(self, query: str, offsets: Offsets, *columns: bytes) -> None:
        """Add a row of the next creation."""
        owners, heads = self._rows[query, offsets]
        owners.append(len(self._each))
        heads.append(head(offsets, *columns))

    def _add_guest(self, guest: bytes, draft: _Draft, words: Sequence[str]) -> None:
        """Add the rows of a new guest: itself, its keys, words and join."""
        person, decision = draft.person, draft.decision
        seen = [binary_rows.instant(instant(value)) for value in person.times.values()]
        own, offsets = ref_bytes(guest), _NEW_GUEST[len(seen) :]
        kind, body = encode_word(decision.guest_type), json(person.fields)
        self._add_row("guest_writes.copy_guests", offsets, own, kind, body, *seen)
        rule = NULL if decision.rule is None else encode_word(decision.rule)
        source = self._source if draft.order is None else (_CONTACT, ref_bytes(draft.order))
        join = (own, _FIRST, rule, json(decision.evidence), *source, self._actor)
        self._add_row("creations.copy_joins", _JOINED, *join)
        number = len(self._each)
        for pairs, firsts in (
            (_KEYS, [ref_bytes(key) for key in person.keys]),
            (_WORDS, [encode_word(word) for word in words]),
        ):
            if firsts:
                owners, heads = self._rows[pairs]
                owners.append(number)
                heads.append(_PAIR + (own + _PAIR).join(firsts) + own)

    def _add_order(self, order: bytes, guest: bytes, draft: _Draft) -> None:
        """Add the rows of an order, its items, contact and data extension."""
        what: OrderWrite = draft.what
        changes = what.changes
        ordered_at = instant(changes["ordered_at"])
        body = {
            name: value
            for name, value in changes.items()
            if value is not None and name not in COLUMNS
        }
        own = ref_bytes(order)
        key = (text(changes["reference_id"]), ref_bytes(draft.reference or b""))
        columns = (own, *key, binary_rows.instant(ordered_at), json(body))
        self._add_row("order_writes.copy_orders", _WRITTEN, *columns)
        for position, item in enumerate(what.items):
            self._add_item(order, ordered_at, position, item)
        contact = (ref_bytes(self._new_ref()), own, ref_bytes(guest))
        self._add_row("order_writes.copy_contacts", _WRITTEN, *contact, json(draft.contact))
        if what.group is not None:
            group = {(what.group.name, what.group.key): what.group.pairs}
            self._add_extensions("order_writes.copy_extensions", order, group)

    def _add_item(
        self, order: bytes, ordered_at: datetime, position: int, item: ItemRecord
    ) -> None:
        """Add the rows of an item and its data extension (`OrderBatch.put_items`)."""
        own, moment = self._new_ref(), item.changes.get("ordered_at")
        body = {name: value for name, value in item.changes.items() if name != "ordered_at"}
        at = binary_rows.instant(instant(moment) if moment else ordered_at)
        # Lists are sorted by age (L-10): a millisecond per position preserves the record's order.
        offsets = (position, 0)
        columns = (ref_bytes(own), ref_bytes(order), at, json(body), NULL)
        self._add_row("order_writes.copy_items", offsets, *columns)
        self._add_extensions("order_writes.copy_item_extensions", own, item.extensions)

    def _add_extensions(
        self, query: str, parent: bytes, extensions: Mapping[tuple[str, str], Record]
    ) -> None:
        """Add the rows of the data extensions of a new parent."""
        for (name, key), pairs in extensions.items():
            own = ref_bytes(named_bytes(parent, extension_name(name, key)))
            columns = (ref_bytes(parent), encode_word(name), encode_word(key), own, json(pairs))
            self._add_row(query, _WRITTEN, *columns)
