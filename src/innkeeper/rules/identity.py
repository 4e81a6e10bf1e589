"""Whether a record and a guest are one person: rules, evidence, decision (identity.md 2, 3, 9).

Changes flow so: a person's fields → `evidence` under the rulebook → candidates, found by the
evidence's keys → `resolve` → a decision, which the store applies. Nothing here reads a clock
or a database, so the same evidence and candidates always give the same decision.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice, product
from typing import Any, Final
from uuid import UUID

from innkeeper.resources.base import Record
from innkeeper.resources.values import iso
from innkeeper.rules import normal
from innkeeper.rules.keys import EMAIL_PROVIDER, digest, email_key, identifier_key, in_order

MAX_KEYS: Final = 100
"""Keys one record has under one rule, so that long lists of values cannot multiply."""

NEVER: Final = (
    *("null", "none", "nil", "nan", "n/a", "undefined", "unknown", "anonymous"),
    *("test", "test@test.com", "test@example.com", "noemail@noemail.com", "none@none.com"),
    *("no@email.com", "na@na.com", "unknown@unknown.com", "1234567890", "+1234567890"),
)
"""Values that identify nobody; blank ones and those of zeros alone never do either."""

NEVER_IDENTIFIES: Final = "value never identifies"
TOO_MANY: Final = "too many guests share the value"

Evidence1 = dict[str, str]
"""One condition that was met: {"provider" or "field": which, "value": as it was sent}."""


@dataclass(frozen=True, slots=True)
class Condition:
    """What must be equal: the id of an identifier provider (2.1), or a guest field (2.0)."""

    provider: str | None = None
    field: str | None = None

    @property
    def label(self) -> str:
        """Its spelling inside a key."""
        return f"field:{self.field}" if self.provider is None else f"provider:{self.provider}"

    def stored(self) -> dict[str, str]:
        """As the workspace keeps it."""
        if self.provider is not None:
            return {"provider": self.provider}
        return {"field": self.field or ""}


@dataclass(frozen=True, slots=True)
class Rule:
    """A name, and conditions that must all be met by one pair of records."""

    name: str
    conditions: tuple[Condition, ...]

    @property
    def always_indexed(self) -> bool:
        """Whether every guest has its keys already: one provider, or e-mail alone."""
        return len(self.conditions) == 1 and (
            self.conditions[0].provider is not None or self.conditions[0].field == "email"
        )

    @staticmethod
    def of(name: str, conditions: Iterable[Mapping[str, str]]) -> "Rule":
        """The rule that a workspace keeps as `conditions`."""
        return Rule(name, tuple(Condition(**condition) for condition in conditions))


@dataclass(frozen=True, slots=True)
class Rulebook:
    """Everything one workspace decides identity by."""

    version: UUID
    """Another with every change."""
    rules: tuple[Rule, ...]
    never: frozenset[str] = frozenset(NEVER)
    group_limit: int = 100
    """Guests that may share a key, or be one identity group."""
    region: str | None = None
    """Country that national phone numbers belong to, where the record names none."""

    def keys(self, record: Record) -> set[UUID]:
        """The index keys that rules need beside those every guest has (`keys.guest_keys`)."""
        return {
            key
            for rule in self.rules
            if not rule.always_indexed
            for key, _ in rule_keys(record, rule, self.region, None)
        }


@dataclass(frozen=True, slots=True)
class Met:
    """A rule that a record meets, with every key it meets it by."""

    rule: Rule
    keys: dict[UUID, list[Evidence1]]


@dataclass(frozen=True, slots=True)
class Stopped:
    """Something a guard kept from identifying, and why."""

    rule: str
    reason: str
    evidence: list[Evidence1]


@dataclass(frozen=True, slots=True)
class Found:
    """What a record says about who it is: rules met, in their order, and what guards stopped."""

    met: list[Met]
    stopped: list[Stopped] = field(default_factory=list)

    def keys(self) -> list[UUID]:
        """Every key to look up and to lock, in one order for everybody."""
        return in_order({key for met in self.met for key in met.keys})


@dataclass(frozen=True, slots=True)
class Decision:
    """Attach to `guest` by `rule`, or create a guest when there is none to attach to."""

    guest: UUID | None
    rule: str | None = None
    evidence: list[Evidence1] = field(default_factory=list)
    stopped: list[Stopped] = field(default_factory=list)


def evidence(person: Record, book: Rulebook, now: datetime) -> Found:
    """The rules `person` meets, without the values that never identify (identity.md 2)."""
    found, stopped = [], []
    for rule in book.rules:
        keys: dict[UUID, list[Evidence1]] = {}
        for key, parts in rule_keys(person, rule, book.region, now):
            if any(_never(part["value"], book.never) for part in parts):
                stopped.append(Stopped(rule.name, NEVER_IDENTIFIES, parts))
            else:
                keys[key] = parts
        if keys:
            found.append(Met(rule, keys))
    return Found(found, stopped)


def reasons(found: Found) -> dict[UUID, dict[str, Any] | None]:
    """Each key of some evidence, that of the first rule first, with the rule and the values behind
    it; None for keys that may not hold any more for a guest who is indexed by them."""
    why: dict[UUID, dict[str, Any] | None] = {}
    for met in found.met:
        for key, parts in met.keys.items():
            told = {"rule": met.rule.name, "evidence": parts}
            why.setdefault(key, told if met.rule.always_indexed else None)
    return why


def evidence_without_rules(person: Record, book: Rulebook, now: datetime) -> Found:
    """With no rules configured: every identifier sent, all of which a guest must hold."""
    pairs = {
        identifier_key(one["provider"], one["id"]): _part(provider=one["provider"], value=one["id"])
        for one in person.get("identifiers") or ()
        if one["id"] and _valid(one, now) and not _never(one["id"], book.never)
    }
    if not pairs:
        return Found([])
    conditions = tuple(Condition(provider=part["provider"]) for part in pairs.values())
    return Found([Met(Rule("", conditions), {key: [part] for key, part in pairs.items()})])


def resolve(found: Found, candidates: Sequence[Record], book: Rulebook, now: datetime) -> Decision:
    """The first rule, in order, by which a candidate is the person; else create (ID-1 to ID-4).

    `candidates` are guests as they would be without any merge, each with what it was found by
    in `key`: more than the limit for one key means that the key identifies nobody. Of several
    owners the most recently seen is meant, then the oldest, then the lowest ref (identity.md 9).
    """
    stopped = list(found.stopped)
    for met in found.met:
        by_key: dict[UUID, list[Record]] = {}
        for candidate in candidates:
            if candidate["key"] in met.keys:
                by_key.setdefault(candidate["key"], []).append(candidate)
        owners: list[tuple[Record, list[Evidence1]]] = []
        # In the order of the person's own values, so that the order of candidates tells nothing.
        for key in met.keys:
            several = by_key.get(key, [])
            if len(several) > book.group_limit:
                stopped.append(Stopped(met.rule.name, TOO_MANY, met.keys[key]))
                continue
            owners += [
                (candidate, met.keys[key])
                for candidate in several
                if holds(candidate, met.rule, key, book.region, now)
            ]
        if owners:
            owner, parts = min(owners, key=lambda owned: _precedence(owned[0]))
            return Decision(owner["ref"], met.rule.name, parts, stopped)
    return Decision(None, stopped=stopped)


def resolve_without_rules(found: Found, candidates: Sequence[Record], now: datetime) -> Decision:
    """The guest that holds every identifier sent (identity.md 9, identity with zero rules)."""
    if not found.met:
        return Decision(None, stopped=found.stopped)
    sent = found.met[0].keys
    holders = [
        candidate
        for candidate in candidates
        if sent.keys() <= {key for key, _ in _identifier_keys(candidate, now)}
    ]
    if not holders:
        return Decision(None, stopped=found.stopped)
    owner = min(holders, key=_precedence)
    parts = [part for parts in sent.values() for part in parts]
    return Decision(owner["ref"], None, parts, found.stopped)


def holds(guest: Record, rule: Rule, key: UUID, region: str | None, now: datetime) -> bool:
    """Whether a stored guest has that key now: an expired identifier no longer counts."""
    return any(own == key for own, _ in rule_keys(guest, rule, region, now))


def rule_keys(
    record: Record, rule: Rule, region: str | None, now: datetime | None
) -> Iterator[tuple[UUID, list[Evidence1]]]:
    """Each key of a record under a rule, with the values behind it; none unless all conditions
    have a value. Without `now` expired identifiers count, as an index wants it.
    """
    each = [_values(record, condition, region, now) for condition in rule.conditions]
    if not all(each):
        return
    if rule.always_indexed:
        (condition,) = rule.conditions
        for value, shown in each[0].items():
            key = (
                email_key(value)
                if condition.provider is None
                else identifier_key(condition.provider, value)
            )
            yield key, [_shown(condition, shown)]
        return
    # In one order whatever the rule says, so that a key serves every rule with its conditions.
    parts = sorted(zip(rule.conditions, each, strict=True), key=lambda part: part[0].label)
    for combination in islice(product(*(values.items() for _, values in parts)), MAX_KEYS):
        words = [
            word
            for (condition, _), (value, _) in zip(parts, combination, strict=True)
            for word in (condition.label, value)
        ]
        yield (
            digest("rule", *words),
            [
                _shown(condition, shown)
                for (condition, _), (_, shown) in zip(parts, combination, strict=True)
            ],
        )


def contradicts(own: Iterable[Met], sent: Iterable[Met]) -> bool:
    """Whether what a guest is known by and what was sent are two people: one rule, other keys."""
    known = {met.rule.name: met.keys.keys() for met in own}
    return any(
        met.rule.name in known and not known[met.rule.name] & met.keys.keys() for met in sent
    )


def names_match(person: Record, contacts: Iterable[Record]) -> UUID | None:
    """The guest of the first contact with the same first and last name (ID-7), if any."""
    own = _names(person)
    if not all(own):
        return None
    for contact in contacts:
        if contact.get("guest_ref") is not None and _names(contact) == own:
            guest: UUID = contact["guest_ref"]
            return guest
    return None


def same_person(
    person: Record, contacts: Sequence[Record], book: Rulebook, now: datetime
) -> UUID | None:
    """The guest of the contact who is this consumer, if any (stream-api.md 4.2).

    Both meet a rule by one value; or the consumer meets none, and has the names of a contact who
    meets one.
    """
    of = evidence if book.rules else evidence_without_rules
    own = set(of(person, book, now).keys())
    known = [(contact, of(contact, book, now).keys()) for contact in contacts]
    for contact, keys in known:
        if own & {*keys}:
            return contact["guest_ref"]  # type: ignore[no-any-return]
    return None if own else names_match(person, [contact for contact, keys in known if keys])


FIELDS: Final = (
    *("email", "phone", "first_name", "last_name", "date_of_birth", "post_code", "street"),
    *("city", "state", "country", "nationality", "passport_number", "gender", "title"),
)
"""Guest fields that a rule may name: each compares as `_values` says."""

_DATE_LIKE: Final = frozenset({"date_of_birth"})


def _values(
    record: Record, condition: Condition, region: str | None, now: datetime | None
) -> dict[str, str]:
    """Normalised value -> value as stored, of what a condition looks at."""
    if condition.provider is not None:
        return {
            _normal_id(condition.provider, one["id"]): one["id"]
            for one in record.get("identifiers") or ()
            if one["provider"] == condition.provider
            and one["id"]
            and (now is None or _valid(one, now))
        }
    name = condition.field or ""
    if name == "email":
        sent = (record.get("email"), *(record.get("emails") or ()))
        pairs = [(normal.email(value), value) for value in sent if value]
    elif name == "phone":
        where = record.get("country") or region
        sent = (*(record.get("phone_numbers") or ()), record.get("phone"))
        pairs = [(normal.phone(value, where), value) for value in sent if value]
    elif name == "post_code":
        value = record.get("post_code") or record.get("zip_code") or ""
        pairs = [(normal.folded(value), value)]
    elif name == "street":
        value = " ".join(record.get("street") or ())
        pairs = [(normal.folded(value), value)]
    else:
        value = record.get(name) or ""
        pairs = [(value if name in _DATE_LIKE else normal.folded(value), value)]
    return {compared: value for compared, value in pairs if compared}


def _identifier_keys(record: Record, now: datetime) -> Iterator[tuple[UUID, str]]:
    for one in record.get("identifiers") or ():
        if one["id"] and _valid(one, now):
            yield identifier_key(one["provider"], one["id"]), one["id"]


def _normal_id(provider: str, value: str) -> str:
    return normal.email(value) if provider == EMAIL_PROVIDER else value


def _valid(identifier: Mapping[str, Any], now: datetime) -> bool:
    # Stored instants are UTC texts of one width, so they compare as text.
    expiry = identifier.get("expiryDate")
    return expiry is None or expiry > iso(now)


def _never(value: str, never: Collection[str]) -> bool:
    plain = value.strip().lower()
    return not plain or plain in never or normal.is_zeros(plain)


def _precedence(guest: Record) -> tuple[float, datetime, UUID]:
    return -guest["last_seen"].timestamp(), guest["created_at"], guest["ref"]


def _names(record: Record) -> tuple[str, str]:
    return (
        normal.folded(record.get("first_name") or ""),
        normal.folded(record.get("last_name") or ""),
    )


def _part(**members: str) -> Evidence1:
    return members


def _shown(condition: Condition, value: str) -> Evidence1:
    return {**condition.stored(), "value": value}


def countable_keys(record: Record, book: Rulebook, now: datetime) -> Iterator[tuple[int, UUID]]:
    """Each (position of the rule, key) by which a guest may be one with others."""
    for met in evidence(record, book, now).met:
        position = book.rules.index(met.rule)
        for key in met.keys:
            yield position, key
