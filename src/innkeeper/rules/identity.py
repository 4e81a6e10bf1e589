"""Find the guest that the evidence of a record leads to (identity.md 2, 3, 9).

The fields of a person give `evidence` under the identity rules. The store looks up candidates by
the keys of the evidence. `match` turns both into a decision, to which `attachment` adds what
depends on the source of the record. Without a clock or database, the same evidence and candidates
always give the same decision.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from msgspec import Struct, field

from innkeeper.resources.base import Record
from innkeeper.resources.guests import VISITOR
from innkeeper.rules.identity_keys import guest_keys, identifier_key, in_order
from innkeeper.rules.identity_rules import (
    Condition,
    IdentityRule,
    IdentityRules,
    MatchedValue,
    is_valid,
    rule_keys,
)
from innkeeper.rules.placeholders import identifies_nobody

NEVER_IDENTIFIES: Final = "value never identifies"
TOO_MANY: Final = "too many guests share the value"


class RuleMatch(Struct, frozen=True):
    """A rule that a record matches, with every key by which it does."""

    rule: IdentityRule
    keys: dict[UUID, list[MatchedValue]]


class BlockedEvidence(Struct, frozen=True):
    """Evidence that a guard blocked, with the reason."""

    rule: str
    reason: str
    evidence: list[MatchedValue]


class Evidence(Struct, frozen=True):
    """What identifies a record: its rule matches, in order of the rules, and blocked evidence."""

    rule_matches: list[RuleMatch]
    blocked: list[BlockedEvidence] = field(default_factory=list)

    def keys(self) -> list[UUID]:
        """Return every key to look up and to lock, in the common order of keys."""
        return in_order({key for match in self.rule_matches for key in match.keys})


class Decision(Struct, frozen=True):
    """The guest to attach a record to, or None to create one, with the reason.

    `rule` and `evidence` are stored with the record: the match by which the guest was found, or,
    if a guest is created, the first rule that the record matches. `guest_type` is the type of a
    guest to create; `customer`: whether a visitor who is attached becomes a customer.
    """

    guest: UUID | None
    rule: str | None = None
    evidence: list[MatchedValue] = field(default_factory=list)
    blocked: list[BlockedEvidence] = field(default_factory=list)
    guest_type: str = VISITOR
    customer: bool = False


def evidence_of(person: Record, book: IdentityRules, now: datetime) -> Evidence:
    """Return the evidence of `person`, whether or not the workspace has identity rules."""
    return (evidence if book.rules else evidence_without_rules)(person, book, now)


def evidence(person: Record, book: IdentityRules, now: datetime) -> Evidence:
    """Return the rules that `person` matches by values that may identify (identity.md 2)."""
    rule_matches, blocked = [], []
    for rule in book.rules:
        keys: dict[UUID, list[MatchedValue]] = {}
        for key, parts in rule_keys(person, rule, book.region, now):
            if any(identifies_nobody(part["value"], book.never) for part in parts):
                blocked.append(BlockedEvidence(rule.name, NEVER_IDENTIFIES, parts))
            else:
                keys[key] = parts
        if keys:
            rule_matches.append(RuleMatch(rule, keys))
    return Evidence(rule_matches, blocked)


def identifying_keys(person: Record, book: IdentityRules) -> list[UUID]:
    """Return the keys that identify a person.

    Keys of values that never identify are left out, because other people have them as well.
    """

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
    """Return the keys of `person` under the rules that use a field such as `phone`."""
    return in_order(
        key
        for rule in book.rules
        if any(condition.field == name for condition in rule.conditions)
        for key, parts in rule_keys(person, rule, book.region, None)
        if not any(identifies_nobody(part["value"], book.never) for part in parts)
    )


def reasons(evidence: Evidence) -> dict[UUID, dict[str, Any] | None]:
    """Return key -> {rule, evidence}, in order of the rules.

    The value is None for a key that a guest may be indexed by although it no longer has the values.
    """
    reasons: dict[UUID, dict[str, Any] | None] = {}
    for match in evidence.rule_matches:
        for key, parts in match.keys.items():
            reason = {"rule": match.rule.name, "evidence": parts}
            reasons.setdefault(key, reason if match.rule.always_indexed else None)
    return reasons


def evidence_without_rules(person: Record, book: IdentityRules, now: datetime) -> Evidence:
    """Return the evidence in a workspace without rules: all identifiers must match."""
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


def creation(evidence: Evidence, blocked: Sequence[BlockedEvidence] = ()) -> Decision:
    """Return the decision to create a guest for a record that matches none."""
    match = evidence.rule_matches[0] if evidence.rule_matches else None
    blocked = [*evidence.blocked, *blocked]
    # In a workspace without rules, the evidence has a match without a name.
    if match is None or not match.rule.name:
        return Decision(None, blocked=blocked)
    return Decision(None, match.rule.name, next(iter(match.keys.values())), blocked)


def creation_reason(person: Record, book: IdentityRules, now: datetime) -> Decision:
    """Return the decision for a posted guest, which is created without a lookup.

    Stops at the first matching rule, because guests are posted often.
    """
    for rule in book.rules:
        for _, parts in rule_keys(person, rule, book.region, now):
            if not any(identifies_nobody(part["value"], book.never) for part in parts):
                return Decision(None, rule.name, parts)
    return Decision(None)


def match(
    evidence: Evidence, candidates: Sequence[Record], book: IdentityRules, now: datetime
) -> Decision:
    """Decide by the evidence alone, whether or not the workspace has identity rules."""
    if not candidates:
        return creation(evidence)
    if book.rules:
        return resolve(evidence, candidates, book, now)
    return resolve_without_rules(evidence, candidates, now)


def resolve(
    evidence: Evidence, candidates: Sequence[Record], book: IdentityRules, now: datetime
) -> Decision:
    """Decide by the first rule that matches a candidate, else create a guest (ID-1 to ID-4).

    `candidates` are unmerged guests, each with the `key` that it was found by. A key that more
    guests have than the limit identifies nobody. Guests that have a key only through a merge, or no
    longer, do not count, unless there are so many that not all were looked up. Of several matches
    the most recently seen guest wins, then the oldest, then the lowest ref (identity.md 9).
    """
    blocked: list[BlockedEvidence] = []
    for match in evidence.rule_matches:
        by_key: dict[UUID, list[Record]] = {}
        for candidate in candidates:
            if candidate["key"] in match.keys:
                by_key.setdefault(candidate["key"], []).append(candidate)
        owners: list[tuple[Record, list[MatchedValue]]] = []
        # Iterates over the person's own keys, so that the order of candidates does not matter.
        for key in match.keys:
            indexed = by_key.get(key, [])
            sharing = [one for one in indexed if holds(one, match.rule, key, book.region, now)]
            if book.is_too_many(len(sharing)) or len(indexed) >= book.candidates_max:
                blocked.append(BlockedEvidence(match.rule.name, TOO_MANY, match.keys[key]))
                continue
            owners += [(candidate, match.keys[key]) for candidate in sharing]
        if owners:
            owner, parts = min(owners, key=lambda owned: _precedence(owned[0]))
            return Decision(owner["ref"], match.rule.name, parts, [*evidence.blocked, *blocked])
    return creation(evidence, blocked)


def resolve_without_rules(
    evidence: Evidence, candidates: Sequence[Record], now: datetime
) -> Decision:
    """Decide for the guest that has all identifiers (identity.md 9, identity with zero rules)."""
    if not evidence.rule_matches:
        return creation(evidence)
    required = evidence.rule_matches[0].keys
    holders = [
        candidate
        for candidate in candidates
        if required.keys() <= {key for key, _ in _identifier_keys(candidate, now)}
    ]
    if not holders:
        return creation(evidence)
    owner = min(holders, key=_precedence)
    parts = [part for parts in required.values() for part in parts]
    return Decision(owner["ref"], None, parts, evidence.blocked)


def holds(guest: Record, rule: IdentityRule, key: UUID, region: str | None, now: datetime) -> bool:
    """Whether a stored guest has a key at `now`; an expired identifier does not count."""
    return any(own == key for own, _ in rule_keys(guest, rule, region, now))


def _identifier_keys(record: Record, now: datetime) -> Iterator[tuple[UUID, str]]:
    for one in record.get("identifiers") or ():
        if one["id"] and is_valid(one, now):
            yield identifier_key(one["provider"], one["id"]), one["id"]


def _precedence(guest: Record) -> tuple[float, datetime, UUID]:
    return -guest["last_seen"].timestamp(), guest["created_at"], guest["ref"]


def _part(**members: str) -> MatchedValue:
    return members


def countable_keys(
    record: Record, book: IdentityRules, now: datetime
) -> Iterator[tuple[int, UUID]]:
    """Yield (position of the rule, key) of each match that may merge a guest with others."""
    for match in evidence(record, book, now).rule_matches:
        position = book.rules.index(match.rule)
        for key in match.keys:
            yield position, key
