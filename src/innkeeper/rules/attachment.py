"""Decide how a record is attached: to which guest, or to a new one of which type, and why.

Every source calls this module: contacts and consumers over REST, in events, batches and imports;
guest records of batches and imports; IDENTITY events. `identity.match` finds the guest that the
evidence leads to; this module adds what depends on the source. Changed rules ask which of the
existing guests become one. The store looks up candidates by the keys of the evidence and applies
the decision.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, Final, Literal
from uuid import UUID

from msgspec.structs import replace

from innkeeper.resources.base import Record
from innkeeper.resources.guests import CUSTOMER, TRAVELLER, VISITOR
from innkeeper.rules import identity, merging, normalize
from innkeeper.rules.identity import TOO_MANY, Decision, Evidence, RuleMatch
from innkeeper.rules.identity_rules import Condition, IdentityRule, IdentityRules, MatchedValue
from innkeeper.rules.placeholders import identifies_nobody

Role = Literal["contact", "consumer"]
SOURCES: Final[dict[Role, str]] = {"contact": "order contact", "consumer": "order consumer"}
"""The source of a person on an order, as it is stored with the join."""
TOO_LARGE: Final = "the group would be too large"
_NAMES: Final = ("first_name", "last_name")
_NO_EXPIRY: Final = "!exists($.identifiers[*].expiryDate)"


@dataclass(frozen=True, slots=True)
class Terms:
    """Facts about a person from source and settings, independent of identity rules."""

    is_customer: bool = False
    """Whether the person is a customer even if no rule matches."""
    new_type: str = VISITOR
    """Type of a new guest who is no customer."""
    by_name: bool = False
    """Whether the person may match a contact by name, if nothing else identifies them (ID-7)."""


GUEST_RECORD: Final = Terms()
"""A guest record of a batch or import."""


@cache
def order_terms(
    role: Role, *, contact_is_customer: bool, travel_tenant: bool, is_traveller: bool = False
) -> Terms:
    """Return the terms of a person on an order (rest-v2.1.md 8, steps 4 and 5).

    `is_traveller`: whether a consumer is one in other tenants too (batch-api.md 8).
    """
    if role == "contact":
        return Terms(is_customer=contact_is_customer)
    return Terms(new_type=TRAVELLER if travel_tenant or is_traveller else VISITOR, by_name=True)


def has_names_only(person: Record) -> bool:
    """Whether a person has no fields but first and last name."""
    return set(person) <= {*_NAMES}


def decide(
    person: Record,
    evidence: Evidence,
    candidates: Sequence[Record],
    terms: Terms,
    book: IdentityRules,
    now: datetime,
    contacts: Iterable[Record] = (),
) -> Decision:
    """Decide for the guest that the evidence leads to, else for a contact of the same name, else
    for a new guest (rest-v2.1.md 8, steps 2 to 6).

    `contacts`: the contacts that a person without evidence may match, each with the stored
    `guest_ref`.
    """
    matched = identity.match(evidence, candidates, book, now)
    if matched.guest is None and needs_contacts(person, evidence, terms):
        namesake = names_match(person, contacts, book.never)
        if namesake is not None:
            return replace(matched, guest=namesake)
    by_rule = meets_rule(evidence, book)
    kind, customer = created_type(terms, by_rule=by_rule), terms.is_customer or by_rule
    return Decision(
        matched.guest, matched.rule, matched.evidence, matched.blocked, kind, customer=customer
    )


def created_type(terms: Terms, *, by_rule: bool) -> str:
    """Return the type of a new guest; `by_rule`: an identity rule matches."""
    return CUSTOMER if terms.is_customer or by_rule else terms.new_type


def decide_named(guest: UUID, terms: Terms) -> Decision:
    """Decide for the guest that the record itself names (rest-v2.1.md 8, step 1)."""
    return Decision(guest, customer=terms.is_customer)


def decide_visitor(
    current: Record,
    evidence: Evidence,
    candidates: Sequence[Record],
    book: IdentityRules,
    now: datetime,
) -> tuple[Decision, bool]:
    """Decide for the guest of a browser whose visitor identified themselves (identity.md 3).

    `current` is the guest of the browser, without merges. Returns the decision, and whether that
    guest is to be merged into the decided one, since it is an anonymous visitor.
    """
    matched = identity.match(evidence, candidates, book, now)
    decision = replace(matched, customer=meets_rule(evidence, book), guest_type=CUSTOMER)
    if matched.guest is not None:
        merges = matched.guest != current["ref"] and _is_anonymous(current, book, now)
        return decision, merges
    if contradicts(identity.evidence(current, book, now).rule_matches, evidence.rule_matches):
        return decision, False
    return replace(decision, guest=current["ref"]), False


def decide_companion(
    person: Record, contacts: Sequence[Record], book: IdentityRules, now: datetime
) -> Decision:
    """Decide for the contact who is the same person as a consumer of an event, else for a new
    traveller (stream-api.md 4.2).

    Both match a rule by the same key; or the consumer matches none, and has the names of a contact
    that matches one.
    """
    traveller = Decision(None, guest_type=TRAVELLER)
    own = identity.evidence_of(person, book, now)
    contact_keys = [
        (contact, {*identity.evidence_of(contact, book, now).keys()}) for contact in contacts
    ]
    for contact, keys in contact_keys:
        for match in own.rule_matches:
            for key, parts in match.keys.items():
                if key in keys:
                    return Decision(contact["guest_ref"], match.rule.name or None, parts)
    if own.rule_matches:
        return traveller
    identified = [contact for contact, keys in contact_keys if keys]
    return replace(traveller, guest=names_match(person, identified, book.never))


@dataclass(frozen=True, slots=True)
class GroupMember:
    """A live guest of a group, and the shared key that links it to the group."""

    guest: UUID
    rule: IdentityRule
    key: UUID
    holder: UUID
    """The guest with the key: `guest` itself, or one merged into it."""


@dataclass(frozen=True, slots=True)
class MergedGroup:
    """Live guests to merge into one."""

    survivor: UUID
    absorbed: list[GroupMember]


@dataclass(frozen=True, slots=True)
class GuardedGroup:
    """Guests that a guard keeps separate, and the reason."""

    reason: str
    guests: list[UUID]
    size: int
    link: GroupMember | None = None
    """A guest with the key that too many share."""

    @property
    def rule(self) -> str | None:
        return None if self.link is None else self.link.rule.name


def decide_groups(
    shared: Iterable[Record], survivors: Mapping[UUID, Record], book: IdentityRules
) -> tuple[list[MergedGroup], list[GuardedGroup]]:
    """Decide which existing guests become one under changed rules (identity.md 9).

    Guests are not merged by a key that more than `group_limit` guests share, nor into a group of
    more guests than that. `shared` has each key with its `rule` (a position), its `owners` and
    their number, `guests`; `survivors` has the live guest of each owner that still exists.
    """
    first: dict[UUID, GroupMember] = {}
    holders: dict[UUID, set[UUID]] = defaultdict(set)
    sharing: list[list[UUID]] = []
    guarded: list[GuardedGroup] = []
    for row in shared:
        rule, key, owners = book.rules[row["rule"]], row["key"], row["owners"]
        if book.is_too_many(row["guests"]):
            link = GroupMember(owners[0], rule, key, owners[0])
            guarded.append(GuardedGroup(TOO_MANY, owners, row["guests"], link))
            continue
        live = {survivors[owner]["live"]: owner for owner in owners if owner in survivors}
        for owner in owners:
            if owner in survivors:
                holders[survivors[owner]["live"]].add(owner)
        if len(live) > 1:
            sharing.append([*live])
            for guest, owner in live.items():
                first.setdefault(guest, GroupMember(guest, rule, key, owner))
    live_rows = {row["live"]: row for row in survivors.values()}
    groups: list[MergedGroup] = []
    for members in merging.groups_of(sharing):
        size = sum(len(holders[member]) for member in members)
        in_order = merging.survivor_first(live_rows[member] for member in members)
        survivor, *others = (row["live"] for row in in_order)
        if book.is_too_many(size):
            guarded.append(GuardedGroup(TOO_LARGE, [survivor, *others], size))
        else:
            groups.append(MergedGroup(survivor, [first[other] for other in others]))
    return sorted(groups, key=lambda group: group.survivor), guarded


class SupportedMerges:
    """The merges that rules would make.

    Their guests share a key, directly or through other guests, or a rule would have matched by
    their evidence, which an event may have had alone. `shared` is as in `decide_groups`.
    """

    def __init__(self, shared: Iterable[Record], book: IdentityRules) -> None:
        self._rules = [{one.label for one in rule.conditions} for rule in book.rules]
        self._groups = merging.Groups()
        for row in shared:
            if not book.is_too_many(row["guests"]):
                for owner in row["owners"][1:]:
                    self._groups.join(row["owners"][0], owner)

    def without(self, merges: Iterable[Record]) -> list[Record]:
        """Return the merges that the rules would not make."""
        root = self._groups.root
        return [
            row
            for row in merges
            if root(row["survivor_ref"]) != root(row["absorbed_ref"])
            and not any(rule <= _labels(row["evidence"]) for rule in self._rules)
        ]


def _labels(evidence: Iterable[MatchedValue]) -> set[str]:
    return {Condition(part.get("provider"), part.get("field")).label for part in evidence}


@dataclass(slots=True)
class DirectDecisions:
    """The decisions that one statement applies without another query: a person whose keys no guest
    has, and a person who matches a guest that has all their data."""

    creation: Decision
    """Reason to create a guest, if none has one of the keys."""
    created_type: str
    """Type of that guest."""
    keys: list[UUID]
    """The keys of the person; the first that a guest has decides."""
    reasons: list[dict[str, Any] | None]
    """Reason to attach to a guest that has a key, by position; None: call `decide`."""
    settled: str
    """SQL/JSON path predicate: `decide` would attach without a change to a guest whose body
    satisfies it."""
    settled_types: list[str]
    """Guest types that remain as they are."""


def direct_decisions(
    person: Record, evidence: Evidence, terms: Terms, book: IdentityRules
) -> DirectDecisions:
    """Return what `decide` decides in the two most frequent cases."""
    by_rule = meets_rule(evidence, book)
    customer = terms.is_customer or by_rule
    kind = created_type(terms, by_rule=by_rule)
    reasons = identity.reasons(evidence) if by_rule else {}
    types = [CUSTOMER, TRAVELLER, *([] if customer else [VISITOR])]
    # A key of an identifier that expires may no longer identify.
    settled = f"{_NO_EXPIRY} && {merging.unchanged_by_join(person)}"
    keys = list(reasons) or evidence.keys()
    creation = identity.creation(evidence)
    return DirectDecisions(creation, kind, keys, list(reasons.values()), settled, types)


def meets_rule(evidence: Evidence, book: IdentityRules) -> bool:
    """Whether an identity rule matches. Identifiers without rules do not count."""
    return bool(evidence.rule_matches) and bool(book.rules)


def needs_contacts(person: Record, evidence: Evidence, terms: Terms) -> bool:
    """Whether a person may match a contact by name, since nothing else identifies them."""
    return terms.by_name and not (evidence.rule_matches or person.get("identifiers"))


def contradicts(own: Iterable[RuleMatch], others: Iterable[RuleMatch]) -> bool:
    """Whether the matches of a guest and of a record contradict: both match a rule, by different
    keys."""
    own_keys = {match.rule.name: match.keys.keys() for match in own}
    return any(
        match.rule.name in own_keys and not own_keys[match.rule.name] & match.keys.keys()
        for match in others
    )


def names_match(person: Record, contacts: Iterable[Record], never: Collection[str]) -> UUID | None:
    """Return the guest of the first contact with the same first and last name (ID-7), or None.

    Names on the list `never` do not match.
    """
    own = _names(person)
    if not all(own) or any(identifies_nobody(person[name], never) for name in _NAMES):
        return None
    for contact in contacts:
        if contact.get("guest_ref") is not None and _names(contact) == own:
            guest: UUID = contact["guest_ref"]
            return guest
    return None


def _is_anonymous(guest: Record, book: IdentityRules, now: datetime) -> bool:
    """Whether a guest is an anonymous visitor: it matches no rule (without rules: it has no
    identifier)."""
    is_visitor: bool = guest["guest_type"] == VISITOR
    return is_visitor and not identity.evidence_of(guest, book, now).rule_matches


def _names(record: Record) -> list[str]:
    return [normalize.folded(record.get(name) or "") for name in _NAMES]
