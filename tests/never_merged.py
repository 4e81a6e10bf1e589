"""A plain model of people and orders in which nobody is ever merged.

It compares values one by one and fills dicts; it has no keys but for those it expects to be stored,
no journal and no survivors, and imports nothing of what it is compared with. Each method is one way
in which a record arrives; the numbers are those of the contract.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import blake2b
from typing import Any
from uuid import UUID

GROUP_LIMIT = 3
"""Most guests that may share a value; with more it identifies nobody."""
NEVER, TOO_MANY = "value never identifies", "too many guests share the value"
RULES = ("crm", "email", "address", "phone and name")
PERSON = ("first_name", "last_name", "city", "emails", "phone_numbers", "identifiers")
Person = dict[str, Any]
Part = dict[str, str]


@dataclass
class Decided:
    """Whose record it is (None: of a new guest), by which rule and values, and what was ignored."""

    guest: UUID | None
    rule: str | None = None
    evidence: list[Part] = field(default_factory=list)
    blocked: list[tuple[str, str, list[Part]]] = field(default_factory=list)


@dataclass
class PlainGuest:
    """A guest as it is without merges."""

    ref: UUID
    fields: Person
    guest_type: str
    seen: datetime
    created: datetime
    reason: dict[str, Any] | None = None
    """The reason that is stored with a posted guest."""
    extensions: dict[str, dict[str, Any]] = field(default_factory=dict)
    changed: bool = True
    """Whether fields or type have changed since this was last reset."""

    def write(self, fields: Person, *, customer: bool = False, kind: str = "") -> bool:
        """Set the fields, and make a visitor a customer, or anybody a `kind`; return whether that
        changes anything."""
        kind = kind or (
            "customer" if customer and self.guest_type == "visitor" else self.guest_type
        )
        changes = (fields, kind) != (self.fields, self.guest_type)
        self.fields, self.guest_type = fields, kind
        self.changed |= changes
        return changes


@dataclass
class PlainPerson:
    """A contact or consumer of an order."""

    body: Person
    guest: UUID
    items: list[UUID] = field(default_factory=list)


@dataclass
class PlainOrder:
    """An order with its parts."""

    ref: UUID
    fields: dict[str, Any]
    lines: list[str] = field(default_factory=list)
    """The referenceId of each item; the model's items of one referenceId are alike."""
    contacts: list[PlainPerson] = field(default_factory=list)
    """Oldest first."""
    consumers: list[PlainPerson] = field(default_factory=list)
    pairs: dict[str, Any] | None = None


def letters(name: str) -> str:
    return {"Ó Néill": "oneill", "O'Neill": "oneill"}.get(name, name.lower())


def digits(phone: str) -> str:
    return phone.replace(" ", "") if len(phone) > 5 else ""


def addresses(record: Person) -> list[str]:
    return list(dict.fromkeys([*filter(None, [record.get("email")]), *record.get("emails", ())]))


def values(record: Person, rule: str, *, expired: bool = False) -> dict[Any, list[Part]]:
    """Compared value -> the values as sent, of one rule."""
    if rule == "address":
        return {one.lower(): [{"field": "email", "value": one}] for one in addresses(record)}
    if rule == "phone and name":
        name = record.get("last_name") or ""
        numbers = record.get("phone_numbers", ())
        return {
            (letters(name), digits(one)): [
                {"field": "last_name", "value": name},
                {"field": "phone", "value": one},
            ]
            for one in numbers
            if letters(name) and digits(one)
        }
    return {
        compared_id(one): [{"provider": rule, "value": one["id"]}]
        for one in record.get("identifiers", ())
        if one["provider"] == rule and (expired or one.get("expiryDate", "9") > "2026")
    }


def compared_id(one: Part) -> str:
    return one["id"].lower() if one["provider"] == "email" else one["id"]


def evidence(person: Person) -> tuple[dict[str, dict[Any, list[Part]]], list[Any]]:
    """Rule -> compared values, and the values that never identify (identity.md 2)."""
    usable: dict[str, dict[Any, list[Part]]] = {}
    blocked = []
    for rule in RULES:
        for value, parts in values(person, rule).items():
            if any(part["value"] == "unknown" for part in parts):
                blocked.append((rule, NEVER, parts))
            else:
                usable.setdefault(rule, {})[value] = parts
    return usable, blocked


def filled(fields: Person, person: Person) -> Person:
    """A contact fills what is empty and adds identifiers (rest-v2.1.md 8, step 6)."""
    after = dict(fields)
    for name, value in mirrored(person).items():
        if name != "identifiers" and not after.get(name):
            after[name] = value
    return with_identifiers(after, person)


def overwritten(fields: Person, person: Person) -> Person:
    """IDENTITY overwrites what it has and adds identifiers (identity.md 9)."""
    payload = {name: value for name, value in mirrored(person).items() if name != "identifiers"}
    return with_identifiers({**fields, **payload}, person)


def upserted(fields: Person, person: Person) -> Person:
    """A batch record overwrites; its identifiers are united by their text (batch-api.md 11)."""
    after = {**fields, **mirrored(person)}
    if "identifiers" in person:
        united = {(one["provider"], one["id"]): one for one in fields.get("identifiers", ())}
        for one in person["identifiers"]:
            if (one["provider"], one["id"]) not in united or "expiryDate" in one:
                united[one["provider"], one["id"]] = one
        after["identifiers"] = list(united.values())
    return after


def mirrored(person: Person) -> Person:
    """`email` is the first of `emails` (G-2)."""
    payload = {name: value for name, value in person.items() if value}
    return {**payload, "email": payload["emails"][0]} if "emails" in payload else payload


def with_identifiers(fields: Person, person: Person) -> Person:
    stored = list(fields.get("identifiers", ()))
    for one in person.get("identifiers", ()):
        same = [each for each in stored if each["provider"] == one["provider"]]
        if compared_id(one) not in map(compared_id, same):
            stored.append(one)
    return {**fields, "identifiers": stored} if stored else fields


def keys_of(record: Person) -> set[UUID]:
    """The keys of a guest: each address, each identifier, each phone number with the name."""
    keys = {digest("email", one.lower()) for one in addresses(record)}
    keys |= {
        digest("identifier", one["provider"], compared_id(one))
        for one in record.get("identifiers", ())
    }
    for name, phone in values(record, "phone and name"):
        keys.add(digest("rule", "field:last_name", name, "field:phone", phone))
    return keys


def digest(kind: str, *parts: str) -> UUID:
    text = "".join([kind, *(f"\x1f{len(part)}:{part}" for part in parts)])
    return UUID(bytes=blake2b(text.encode(), digest_size=16, person=b"innkeeper").digest())


class NeverMerged:
    """Guests, orders and reasons."""

    def __init__(self) -> None:
        self.guests: dict[UUID, PlainGuest] = {}
        self.orders: dict[str, PlainOrder] = {}
        self.joins: list[tuple[UUID, str | None, list[Part], str, UUID | None]] = []
        """Guest, rule, values, source and the order where there is one."""
        self.blocked: list[tuple[str, str, list[Part], UUID, str, UUID | None]] = []

    def decide(self, person: Person) -> Decided:
        """By the first rule that anybody meets: the one seen last, then the oldest, then the lowest
        ref (identity.md 9)."""
        usable, blocked = evidence(person)
        for rule, each in usable.items():
            owners = []
            for value, parts in each.items():
                sharing = [g for g in self.guests.values() if value in values(g.fields, rule)]
                if len(sharing) > GROUP_LIMIT:
                    blocked.append((rule, TOO_MANY, parts))
                else:
                    owners += [(-g.seen.timestamp(), g.created, g.ref, parts) for g in sharing]
            if owners:
                *_, guest, parts = min(owners, key=lambda owner: owner[:3])
                return Decided(guest, rule, parts, blocked)
        for rule, each in usable.items():
            return Decided(None, rule, next(iter(each.values())), blocked)
        return Decided(None, blocked=blocked)

    def create(self, ref: UUID, person: Person, kind: str, at: datetime) -> PlainGuest:
        guest = PlainGuest(ref, mirrored(person), kind, at, at)
        self.guests[ref] = guest
        return guest

    def post(self, ref: UUID, person: Person, kind: str, at: datetime) -> None:
        """A posted guest, whom nobody is looked up for (G-1); empty values are stored."""
        guest = self.create(ref, person, kind, at)
        guest.fields = {**person, **guest.fields}
        usable, _ = evidence(person)
        rule = next(iter(usable), None)
        guest.reason = {"evidence": next(iter(usable[rule].values())) if rule else []}
        guest.reason |= {"rule": rule} if rule else {}

    def join(
        self, guest: UUID, decided: Decided, source: str, order: PlainOrder | None = None
    ) -> None:
        ref = order and order.ref
        self.joins.append((guest, decided.rule, decided.evidence, source, ref))
        for rule, reason, parts in decided.blocked:
            self.blocked.append((rule, reason, parts, guest, source, ref))

    def attach(
        self,
        order: PlainOrder,
        person: Person,
        role: str,
        created: tuple[UUID, datetime],
        *,
        named: UUID | None = None,
        by_name: UUID | None = None,
        kind: str = "visitor",
    ) -> UUID:
        """A contact or consumer (rest-v2.1.md 8); `created`: what a new guest would be.

        `by_name`: the guest whose contact has the same name, for who meets no rule.
        """
        decided = Decided(named) if named else self.decide(person)
        usable, _ = evidence(person)
        customer = role == "contact" or bool(usable and not named)
        ref = decided.guest
        if ref is None and by_name is not None:
            ref, customer = by_name, False
        if ref is None:
            ref, at = created
            self.create(ref, person, "customer" if customer else kind, at)
        else:
            guest = self.guests[ref]
            guest.write(filled(guest.fields, person), customer=customer)
        self.join(ref, decided, f"order {role}", order)
        return ref

    def namesake(self, person: Person, contacts: list[PlainPerson]) -> UUID | None:
        """The guest of a contact of the same name, for a consumer that nothing else identifies
        (rest-v2.1.md 8, step 4)."""
        if evidence(person)[0] or person.get("identifiers") or not named(person):
            return None
        same = (one.guest for one in contacts if named(one.body) == named(person))
        return next(same, None)

    def companion(self, person: Person, contacts: list[PlainPerson]) -> Decided:
        """The contact who is the same person as a consumer of an event (stream-api.md 4.2)."""
        usable, _ = evidence(person)
        for contact in contacts:
            theirs, _ = evidence(contact.body)
            for rule, each in usable.items():
                for value, parts in each.items():
                    if value in theirs.get(rule, {}):
                        return Decided(contact.guest, rule, parts)
        if usable:
            return Decided(None)
        same = [c for c in contacts if evidence(c.body)[0] and named(c.body) == named(person)]
        return Decided(same[0].guest if same and named(person) else None)

    def identify(self, current: UUID, person: Person, created: tuple[UUID, datetime]) -> UUID:
        """An IDENTITY event of a browser whose guest is `current` (identity.md 3)."""
        decided = self.decide(person)
        usable, _ = evidence(person)
        ref = decided.guest
        if ref is None:
            ref = current
            theirs, _ = evidence(self.guests[current].fields)
            if any(r in theirs and not theirs[r].keys() & usable[r].keys() for r in usable):
                ref, at = created
                self.create(ref, person, "customer", at)
        guest = self.guests[ref]
        guest.write(overwritten(guest.fields, person), customer=bool(usable))
        self.join(ref, decided, "IDENTITY event")
        return ref

    def is_anonymous(self, ref: UUID) -> bool:
        """Whether an IDENTITY may merge the guest into another."""
        guest = self.guests[ref]
        return guest.guest_type == "visitor" and not evidence(guest.fields)[0]

    def upsert(
        self,
        person: Person,
        created: tuple[UUID, datetime],
        source: str,
        extend: Callable[[UUID], bool],
    ) -> UUID | None:
        """A guest of a batch or import (batch-api.md 6); None if nothing identifies it.

        `extend` writes the record's data extension; returns whether that changes it.
        """
        if not evidence(person)[0]:
            return None
        decided = self.decide(person)
        ref = decided.guest
        if ref is None:
            ref, at = created
            self.create(ref, person, "customer", at)
            self.join(ref, decided, source)
            extend(ref)
            return ref
        guest = self.guests[ref]
        extended = extend(ref)
        # The record has a `guestType`, which overwrites also that of a traveller.
        if guest.write({**upserted(guest.fields, person)}, kind="customer") or extended:
            self.join(ref, decided, source)
        return ref


def named(person: Person) -> tuple[str, str] | None:
    names = letters(person.get("first_name") or ""), letters(person.get("last_name") or "")
    return names if all(names) else None


def has_person(people: list[PlainPerson], person: dict[str, Any]) -> bool:
    """Whether an order has a person already: a CHECKOUT may be repeated. Empty values are none."""
    who = ("first_name", "last_name", "emails", "identifiers")
    return any(
        all((one.body.get(n) or None) == (person.get(n) or None) for n in who) for one in people
    )
