"""What a write makes of a guest, and which guests become one (identity.md 4 and 9).

An intent is a write as it can be repeated: what the caller wanted, not what came of it, since
the same wish does different things to different guests (a contact fills only empty fields).
The ledger keeps intents, and undoing a merge is repeating those that remain.
"""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Literal, TypeVar, cast

from innkeeper.resources.base import Changes, Record
from innkeeper.resources.guests import CUSTOMER, VISITOR, Guest, Person
from innkeeper.resources.values import instant, iso
from innkeeper.rules.guests import guest_fields, mirror_email, present
from innkeeper.rules.identity_keys import identifier_key

Key = TypeVar("Key", bound=Hashable)
Intent = dict[str, Any]
"""{"verb", "at", …}: JSON, as the journal keeps it."""
Verb = Literal["replace", "patch", "join", "identify", "see", "upsert"]

COLUMNS: Final = frozenset(name for name, field in Guest.fields.items() if field.column)
"""Fields of a guest that have a column of their own."""


def intent(verb: Verb, at: datetime, **more: Any) -> Intent:
    """A write at an instant: `changes` of a replace, patch or upsert (a batch's); `person` and
    `customer` (whether a visitor becomes one) of a join (an order's person) or identify (a
    person's own word)."""
    return {"verb": verb, "at": iso(at), **more}


def written(guest: Record, change: Intent) -> Record:
    """The guest after a write; the very same record when nothing changes."""
    changes: Changes
    match change["verb"]:
        case "replace":
            # PUT clears what it does not send, `guest_type` apart (G-4).
            kept = {name: guest[name] for name in COLUMNS if name in guest}
            return {**kept, **guest_fields(change["changes"]), "modified_at": instant(change["at"])}
        case "patch":
            return _changed(guest, change["changes"], change)
        case "upsert":
            changes = upserted(guest, change["changes"])
            return _changed(guest, changes, change) if changes else guest
        case "join":
            changes = joined(guest, change["person"])
        case "identify":
            changes = identified(guest, change["person"])
        case "see":
            seen = instant(change["at"])
            return guest if seen <= guest["last_seen"] else {**guest, "last_seen": seen}
        case verb:
            raise ValueError(f"{verb} is no verb of an intent")
    if change["customer"] and guest["guest_type"] == VISITOR:
        changes["guest_type"] = CUSTOMER
    return _changed(guest, changes, change) if changes else guest


def joined(guest: Record, person: Record) -> Changes:
    """What attaching an order's person changes: identifiers the guest lacks are added and empty
    fields filled, nothing is overwritten (rest-v2.1.md section 8, step 6)."""
    sent = mirror_email({name: person[name] for name in Person.fields if person.get(name)})
    changes = {name: value for name, value in sent.items() if value and not guest.get(name)}
    return changes | _more_identifiers(guest, person)


def identified(guest: Record, person: Record) -> Changes:
    """What a person's own IDENTITY changes: the last write wins for each field that is present,
    and an absent or empty one never clears (identity.md 9)."""
    sent = {name: person[name] for name in Guest.fields if person.get(name)}
    changes = {
        name: value
        for name, value in mirror_email(sent).items()
        if value and name not in COLUMNS and guest.get(name) != value
    }
    changes.pop("identifiers", None)
    return changes | _more_identifiers(guest, person)


def upserted(guest: Record, sent: Changes) -> Changes:
    """What a batch's record changes: fields sent replace, null clears, identifiers are united
    (batch-api.md 6 and 11); nothing when the guest is so already."""
    changes = mirror_email(sent)
    for name in ("first_seen", "last_seen"):
        if name in changes:
            changes = {**changes, name: instant(changes[name])}
    if changes.get("identifiers") is not None:
        changes = {**changes, "identifiers": _united(guest, changes["identifiers"])}
    if all(guest.get(name) == value for name, value in changes.items()):
        return {}
    return changes


def _united(guest: Record, sent: Sequence[Record]) -> list[Record]:
    """The identifiers held and sent; one sent again has the expiry date it is sent with."""
    united = {(one["provider"], one["id"]): one for one in guest.get("identifiers") or ()}
    for one in sent:
        pair = (one["provider"], one["id"])
        if pair not in united or "expiryDate" in one:
            united[pair] = one
    return list(united.values())


def _more_identifiers(guest: Record, person: Record) -> Changes:
    held = list(guest.get("identifiers") or ())
    known = {identifier_key(one["provider"], one["id"]) for one in held}
    more = []
    for one in person.get("identifiers") or ():
        key = identifier_key(one["provider"], one["id"])
        if key not in known:
            known.add(key)
            more.append(one)
    return {"identifiers": held + more} if more else {}


def _changed(guest: Record, changes: Changes, change: Intent) -> Record:
    return present({**guest, **mirror_email(changes), "modified_at": instant(change["at"])})


def repeated(guest: Record, changes: Iterable[Intent]) -> Record:
    """The guest after several writes, in their order."""
    for change in changes:
        guest = written(guest, change)
    return guest


class Groups:
    """Guests that are one, directly or through others: a union-find."""

    def __init__(self) -> None:
        self._above: dict[Hashable, Hashable] = {}

    def root(self, one: Hashable) -> Hashable:
        """What stands for the group of `one`."""
        path = []
        while (above := self._above.setdefault(one, one)) != one:
            path.append(one)
            one = above
        for passed in path:
            self._above[passed] = one
        return one

    def join(self, one: Hashable, other: Hashable) -> None:
        """Make two groups one."""
        self._above[self.root(one)] = self.root(other)

    def all(self) -> list[list[Hashable]]:
        """Every group of two or more."""
        groups = defaultdict(list)
        for one in self._above:
            groups[self.root(one)].append(one)
        return [group for group in groups.values() if len(group) > 1]


def groups_of(shared: Iterable[Sequence[Key]]) -> list[list[Key]]:
    """Groups of those that share something, directly or through others."""
    groups = Groups()
    for owners in shared:
        for other in owners[1:]:
            groups.join(owners[0], other)
    return cast(list[list[Key]], groups.all())


def survivor_first(guests: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Guests of one group, the survivor first: a customer, then the oldest, then the lowest ref
    (identity.md 9, rule change applied to existing guests)."""
    return sorted(
        guests,
        key=lambda guest: (guest["guest_type"] != CUSTOMER, guest["created_at"], guest["ref"]),
    )
