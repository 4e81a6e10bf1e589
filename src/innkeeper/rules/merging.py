"""Apply writes to guests, and group guests that share identity keys (identity.md 4 and 9).

An intent is a write that can be applied again: it holds what the caller requested, not the result,
because the same request changes different guests differently (a contact fills only empty fields).
The ledger stores intents. Undoing a merge applies the remaining intents again.
"""

import json
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Literal, TypeVar, cast

from innkeeper.resources.base import Changes, Record, without_nulls
from innkeeper.resources.guests import CUSTOMER, VISITOR, Guest, Person
from innkeeper.resources.values import instant, iso
from innkeeper.rules.guests import guest_fields, mirror_email
from innkeeper.rules.identity_keys import identifier_key

Key = TypeVar("Key", bound=Hashable)
Intent = dict[str, Any]
"""{"verb", "at", …}: JSON, as the ledger stores it."""
Verb = Literal["replace", "patch", "join", "identify", "see", "upsert"]

COLUMNS: Final = frozenset(name for name, field in Guest.fields.items() if field.column)
"""Fields of a guest that have a column of their own."""


def intent(verb: Verb, at: datetime, **more: Any) -> Intent:
    """Build the intent of a write.

    `replace`, `patch` and `upsert` (a record of a batch) have `changes`. `join` (a contact or
    consumer) and `identify` (an IDENTITY event) have `person`, and `customer`: whether a visitor
    becomes a customer.
    """
    return {"verb": verb, "at": iso(at), **more}


def written(guest: Record, change: Intent) -> Record:
    """Return the guest after a write; the same object if nothing changes."""
    changes: Changes
    match change["verb"]:
        case "replace":
            # PUT clears what it does not send, `guest_type` apart (G-4).
            columns = {name: guest[name] for name in COLUMNS if name in guest}
            fields = guest_fields(change["changes"])
            return {**columns, **fields, "modified_at": instant(change["at"])}
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
            at = instant(change["at"])
            return guest if at <= guest["last_seen"] else {**guest, "last_seen": at}
        case verb:
            raise ValueError(f"{verb} is not a verb of an intent")
    if change["customer"] and guest["guest_type"] == VISITOR:
        changes["guest_type"] = CUSTOMER
    return _changed(guest, changes, change) if changes else guest


def joined(guest: Record, person: Record) -> Changes:
    """Return the changes of attaching a contact or consumer: missing identifiers are added and
    empty fields filled, nothing is overwritten (rest-v2.1.md section 8, step 6)."""
    fields = mirror_email({name: person[name] for name in Person.fields if person.get(name)})
    changes = {name: value for name, value in fields.items() if value and not guest.get(name)}
    return changes | _more_identifiers(guest, person)


def unchanged_by_join(person: Record) -> str:
    """Return an SQL/JSON path predicate on the body of a guest that `joined` would not change.

    It is stricter than `joined`: each identifier must be stored exactly as it is, and each other
    field must have a text. A body that does not satisfy it may be unchanged all the same.
    """
    predicates = [_HAS_TEXT[name] for name in person if name in _HAS_TEXT and person[name]]
    if person.get("emails"):
        predicates.append(_HAS_TEXT["email"])
    for one in person.get("identifiers") or ():
        provider, value = _quoted(one["provider"]), _quoted(one["id"])
        predicates.append(
            f"exists($.identifiers[*] ? (@.provider == {provider} && @.id == {value}))"
        )
    return " && ".join(predicates) or "true == true"


_quoted: Final = json.JSONEncoder(ensure_ascii=False).encode
_HAS_TEXT: Final = {
    name: f'exists($."{name}"[*] ? (@ != "" && @ != null))'
    for name in (*Person.fields, "email")
    if name != "identifiers"
}


def identified(guest: Record, person: Record) -> Changes:
    """Return the changes of an IDENTITY event: the last write wins for each field that is present;
    an absent or empty field clears nothing (identity.md 9)."""
    fields = {name: person[name] for name in Guest.fields if person.get(name)}
    changes = {
        name: value
        for name, value in mirror_email(fields).items()
        if value and name not in COLUMNS and guest.get(name) != value
    }
    changes.pop("identifiers", None)
    return changes | _more_identifiers(guest, person)


def upserted(guest: Record, incoming: Changes) -> Changes:
    """Return the changes of a batch record: fields are replaced, null clears, identifiers are
    united (batch-api.md 6 and 11); empty if the guest has all values already."""
    changes = mirror_email(incoming)
    for name in ("first_seen", "last_seen"):
        if name in changes:
            changes = {**changes, name: instant(changes[name])}
    if changes.get("identifiers") is not None:
        changes = {**changes, "identifiers": _united(guest, changes["identifiers"])}
    if all(guest.get(name) == value for name, value in changes.items()):
        return {}
    return changes


def _united(guest: Record, incoming: Sequence[Record]) -> list[Record]:
    """Return stored and new identifiers; a new expiry date replaces the stored one."""
    united = {(one["provider"], one["id"]): one for one in guest.get("identifiers") or ()}
    for one in incoming:
        pair = (one["provider"], one["id"])
        if pair not in united or "expiryDate" in one:
            united[pair] = one
    return list(united.values())


def _more_identifiers(guest: Record, person: Record) -> Changes:
    stored = list(guest.get("identifiers") or ())
    keys = {identifier_key(one["provider"], one["id"]) for one in stored}
    more = []
    for one in person.get("identifiers") or ():
        key = identifier_key(one["provider"], one["id"])
        if key not in keys:
            keys.add(key)
            more.append(one)
    return {"identifiers": stored + more} if more else {}


def _changed(guest: Record, changes: Changes, change: Intent) -> Record:
    return without_nulls({**guest, **mirror_email(changes), "modified_at": instant(change["at"])})


def repeated(guest: Record, changes: Iterable[Intent]) -> Record:
    """Return the guest after several writes, in order."""
    for change in changes:
        guest = written(guest, change)
    return guest


class Groups:
    """Groups of connected items: a union-find structure."""

    def __init__(self) -> None:
        self._above: dict[Hashable, Hashable] = {}

    def root(self, one: Hashable) -> Hashable:
        """Return the representative of the group of `one`."""
        path = []
        while (above := self._above.setdefault(one, one)) != one:
            path.append(one)
            one = above
        for each in path:
            self._above[each] = one
        return one

    def join(self, one: Hashable, other: Hashable) -> None:
        """Unite the groups of two items."""
        self._above[self.root(one)] = self.root(other)

    def all(self) -> list[list[Hashable]]:
        """Return every group of two or more items."""
        groups = defaultdict(list)
        for one in self._above:
            groups[self.root(one)].append(one)
        return [group for group in groups.values() if len(group) > 1]


def groups_of(shared: Iterable[Sequence[Key]]) -> list[list[Key]]:
    """Return the groups of items that share something, directly or through other items."""
    groups = Groups()
    for owners in shared:
        for other in owners[1:]:
            groups.join(owners[0], other)
    return cast(list[list[Key]], groups.all())


def survivor_first(guests: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Sort the guests of a group, the survivor first: a customer, then the oldest, then the lowest
    ref (identity.md 9, rule change applied to existing guests)."""
    return sorted(
        guests,
        key=lambda guest: (guest["guest_type"] != CUSTOMER, guest["created_at"], guest["ref"]),
    )
