"""Whether a record and a guest are one person: rules, evidence, decision (identity.md 2, 3, 9).

Changes flow so: a person's fields → `evidence` under the rulebook → candidates, found by the
evidence's keys → `resolve` → a decision, which the store applies. Nothing here reads a clock
or a database, so the same evidence and candidates always give the same decision.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from innkeeper.resources.base import Record
from innkeeper.rules import normalize
from innkeeper.rules.identity_keys import guest_keys, identifier_key, in_order
from innkeeper.rules.identity_rules import (
    Condition,
    Evidence1,
    IdentityRule,
    IdentityRules,
    is_valid,
    rule_keys,
)
from innkeeper.rules.placeholders import identifies_nobody

NEVER_IDENTIFIES: Final = "value never identifies"
TOO_MANY: Final = "too many guests share the value"


@dataclass(frozen=True, slots=True)
class RuleMatch:
    """A rule that a record meets, with every key it meets it by."""

    rule: IdentityRule
    keys: dict[UUID, list[Evidence1]]


@dataclass(frozen=True, slots=True)
class BlockedEvidence:
    """Something a guard kept from identifying, and why."""

    rule: str
    reason: str
    evidence: list[Evidence1]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a record says about who it is: rules met, in their order, and what guards stopped."""

    rule_matches: list[RuleMatch]
    blocked: list[BlockedEvidence] = field(default_factory=list)

    def keys(self) -> list[UUID]:
        """Every key to look up and to lock, in one order for everybody."""
        return in_order({key for met in self.rule_matches for key in met.keys})


@dataclass(frozen=True, slots=True)
class Decision:
    """Attach to `guest`, or create one when there is none to attach to, and why.

    `rule` and `evidence` are the reason that is stored with the record, whatever way it came: what
    the guest was found by, or the first rule that the record meets when a guest is made of it.
    """

    guest: UUID | None
    rule: str | None = None
    evidence: list[Evidence1] = field(default_factory=list)
    blocked: list[BlockedEvidence] = field(default_factory=list)


def evidence_of(person: Record, book: IdentityRules, now: datetime) -> Evidence:
    """What `person` says about who it is, whether the workspace has identity rules or none."""
    return (evidence if book.rules else evidence_without_rules)(person, book, now)


def evidence(person: Record, book: IdentityRules, now: datetime) -> Evidence:
    """The rules `person` meets, without the values that never identify (identity.md 2)."""
    found, stopped = [], []
    for rule in book.rules:
        keys: dict[UUID, list[Evidence1]] = {}
        for key, parts in rule_keys(person, rule, book.region, now):
            if any(identifies_nobody(part["value"], book.never) for part in parts):
                stopped.append(BlockedEvidence(rule.name, NEVER_IDENTIFIES, parts))
            else:
                keys[key] = parts
        if keys:
            found.append(RuleMatch(rule, keys))
    return Evidence(found, stopped)


def identifying_keys(person: Record, book: IdentityRules) -> list[UUID]:
    """The keys that a person is known by, without those of values that never identify: other people
    have those as well."""

    def identifies(value: str | None) -> bool:
        return value is not None and not identifies_nobody(value, book.never)

    ids = [one for one in person.get("identifiers") or () if identifies(one["id"])]
    emails = filter(identifies, (person.get("email"), *(person.get("emails") or ())))
    more = (
        key
        for rule in book.rules
        if not rule.always_indexed
        for key, parts in rule_keys(person, rule, book.region, None)
        if all(identifies(part["value"]) for part in parts)
    )
    return guest_keys({"identifiers": ids, "emails": list(emails)}, more)


def keys_with_field(name: str, person: Record, book: IdentityRules) -> list[UUID]:
    """The keys of rules that look at a field, e.g. `phone`, by which `person` may be recognised."""
    return in_order(
        key
        for rule in book.rules
        if any(condition.field == name for condition in rule.conditions)
        for key, parts in rule_keys(person, rule, book.region, None)
        if not any(identifies_nobody(part["value"], book.never) for part in parts)
    )


def reasons(evidence: Evidence) -> dict[UUID, dict[str, Any] | None]:
    """Each key of some evidence, that of the first rule first, with the rule and the values behind
    it; None for keys that may not hold any more for a guest who is indexed by them."""
    why: dict[UUID, dict[str, Any] | None] = {}
    for met in evidence.rule_matches:
        for key, parts in met.keys.items():
            told = {"rule": met.rule.name, "evidence": parts}
            why.setdefault(key, told if met.rule.always_indexed else None)
    return why


def evidence_without_rules(person: Record, book: IdentityRules, now: datetime) -> Evidence:
    """With no rules configured: every identifier sent, all of which a guest must hold."""
    pairs = {
        identifier_key(one["provider"], one["id"]): _part(provider=one["provider"], value=one["id"])
        for one in person.get("identifiers") or ()
        if one["id"] and is_valid(one, now) and not identifies_nobody(one["id"], book.never)
    }
    if not pairs:
        return Evidence([])
    conditions = tuple(Condition(provider=part["provider"]) for part in pairs.values())
    return Evidence(
        [RuleMatch(IdentityRule("", conditions), {key: [part] for key, part in pairs.items()})]
    )


def creation(evidence: Evidence, stopped: Sequence[BlockedEvidence] = ()) -> Decision:
    """The decision to make a guest of a record that belongs to nobody."""
    met = evidence.rule_matches[0] if evidence.rule_matches else None
    stopped = [*evidence.blocked, *stopped]
    # Without rules identifiers were looked up, but no rule was met.
    if met is None or not met.rule.name:
        return Decision(None, blocked=stopped)
    return Decision(None, met.rule.name, next(iter(met.keys.values())), stopped)


def creation_reason(person: Record, book: IdentityRules, now: datetime) -> Decision:
    """The same of a guest that is posted, for whom nobody is looked up. It stops at the first rule
    that is met, since guests are posted often."""
    for rule in book.rules:
        for _, parts in rule_keys(person, rule, book.region, now):
            if not any(identifies_nobody(part["value"], book.never) for part in parts):
                return Decision(None, rule.name, parts)
    return Decision(None)


def resolve(
    evidence: Evidence, candidates: Sequence[Record], book: IdentityRules, now: datetime
) -> Decision:
    """The first rule, in order, by which a candidate is the person; else create (ID-1 to ID-4).

    `candidates` are guests as they would be without any merge, each with what it was found by
    in `key`: more than the limit for one key means that the key identifies nobody. Of several
    owners the most recently seen is meant, then the oldest, then the lowest ref (identity.md 9).
    """
    stopped: list[BlockedEvidence] = []
    for met in evidence.rule_matches:
        by_key: dict[UUID, list[Record]] = {}
        for candidate in candidates:
            if candidate["key"] in met.keys:
                by_key.setdefault(candidate["key"], []).append(candidate)
        owners: list[tuple[Record, list[Evidence1]]] = []
        # In the order of the person's own values, so that the order of candidates tells nothing.
        for key in met.keys:
            several = by_key.get(key, [])
            if len(several) > book.group_limit:
                stopped.append(BlockedEvidence(met.rule.name, TOO_MANY, met.keys[key]))
                continue
            owners += [
                (candidate, met.keys[key])
                for candidate in several
                if holds(candidate, met.rule, key, book.region, now)
            ]
        if owners:
            owner, parts = min(owners, key=lambda owned: _precedence(owned[0]))
            return Decision(owner["ref"], met.rule.name, parts, [*evidence.blocked, *stopped])
    return creation(evidence, stopped)


def resolve_without_rules(
    evidence: Evidence, candidates: Sequence[Record], now: datetime
) -> Decision:
    """The guest that holds every identifier sent (identity.md 9, identity with zero rules)."""
    if not evidence.rule_matches:
        return creation(evidence)
    sent = evidence.rule_matches[0].keys
    holders = [
        candidate
        for candidate in candidates
        if sent.keys() <= {key for key, _ in _identifier_keys(candidate, now)}
    ]
    if not holders:
        return creation(evidence)
    owner = min(holders, key=_precedence)
    parts = [part for parts in sent.values() for part in parts]
    return Decision(owner["ref"], None, parts, evidence.blocked)


def holds(guest: Record, rule: IdentityRule, key: UUID, region: str | None, now: datetime) -> bool:
    """Whether a stored guest has that key now: an expired identifier no longer counts."""
    return any(own == key for own, _ in rule_keys(guest, rule, region, now))


def contradicts(own: Iterable[RuleMatch], sent: Iterable[RuleMatch]) -> bool:
    """Whether what a guest is known by and what was sent are two people: one rule, other keys."""
    known = {met.rule.name: met.keys.keys() for met in own}
    return any(
        met.rule.name in known and not known[met.rule.name] & met.keys.keys() for met in sent
    )


def names_match(person: Record, contacts: Iterable[Record], never: Collection[str]) -> UUID | None:
    """The guest of the first contact with the same first and last name (ID-7), if any; none for
    names on the list `never`."""
    own = _names(person)
    if not all(own) or any(identifies_nobody(person[name], never) for name in _NAMES):
        return None
    for contact in contacts:
        if contact.get("guest_ref") is not None and _names(contact) == own:
            guest: UUID = contact["guest_ref"]
            return guest
    return None


def same_person(
    person: Record, contacts: Sequence[Record], book: IdentityRules, now: datetime
) -> Decision:
    """The guest of the contact who is this consumer, if any (stream-api.md 4.2).

    Both meet a rule by one value; or the consumer meets none, and has the names of a contact who
    meets one.
    """
    found = evidence_of(person, book, now)
    known = [(contact, {*evidence_of(contact, book, now).keys()}) for contact in contacts]
    for contact, keys in known:
        for met in found.rule_matches:
            for key in keys & met.keys.keys():
                return Decision(contact["guest_ref"], met.rule.name or None, met.keys[key])
    if found.rule_matches:
        return Decision(None)
    contacts = [contact for contact, keys in known if keys]
    return Decision(names_match(person, contacts, book.never))


def _identifier_keys(record: Record, now: datetime) -> Iterator[tuple[UUID, str]]:
    for one in record.get("identifiers") or ():
        if one["id"] and is_valid(one, now):
            yield identifier_key(one["provider"], one["id"]), one["id"]


def _precedence(guest: Record) -> tuple[float, datetime, UUID]:
    return -guest["last_seen"].timestamp(), guest["created_at"], guest["ref"]


_NAMES: Final = ("first_name", "last_name")


def _names(record: Record) -> list[str]:
    return [normalize.folded(record.get(name) or "") for name in _NAMES]


def _part(**members: str) -> Evidence1:
    return members


def countable_keys(
    record: Record, book: IdentityRules, now: datetime
) -> Iterator[tuple[int, UUID]]:
    """Each (position of the rule, key) by which a guest may be one with others."""
    for met in evidence(record, book, now).rule_matches:
        position = book.rules.index(met.rule)
        for key in met.keys:
            yield position, key
