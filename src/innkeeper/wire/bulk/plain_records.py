"""Read plain records of an import in one step: lines whose values are stored as they are sent.

The members of a plan become a type that msgspec checks while it parses. A line that does not fit,
or has a value that is not stored as it is, is left to `batch_records`, which decides and explains.
"""

from collections.abc import Callable, Collection, Mapping
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Final, Literal, Required, TypedDict

import msgspec
from msgspec import UNSET, Meta, Struct, defstruct
from msgspec.structs import astuple

from innkeeper.errors import Problem
from innkeeper.resources.base import Changes
from innkeeper.resources.guests import DEFAULT_KEY, EXTENSION_NAMES, MAX_PAIRS, RESERVED
from innkeeper.resources.kinds import Code, Kind, ListOf, ObjectOf, OneOf, Pattern, Text
from innkeeper.resources.values import MAX_TEXT_BYTES, ValueRefused, number
from innkeeper.rules.batch import (
    BatchRecord,
    ExtensionRecord,
    GuestWrite,
    ItemRecord,
    Operation,
    OrderWrite,
    PersonRecord,
)
from innkeeper.rules.normalize import is_damaged, is_damaged_phone
from innkeeper.wire.bulk.batch_plans import OWN_GUEST, OWN_ORDER, Plan
from innkeeper.wire.bulk.batch_records import EXTENSION, ORDER_EXTENSION, groups_of
from innkeeper.wire.decode import key_problem
from innkeeper.wire.views import PairsView

_NUL: Final = b"\\u0000"
_MAX_TEXT: Final = MAX_TEXT_BYTES // 4
"""Characters of a text that certainly has no more bytes than a text may have."""
_NEVER: Final = Literal["\0"]
"""The type of members that a plain record does not have; lines with U+0000 are not plain."""

_dict_of: Final[Any] = TypedDict
"""Makes the type of a dict whose members are not known here."""

PlainReader = Callable[[int, bytes], BatchRecord | None]
"""Returns the record of a line with a number; None if it is not plain."""


class _NotPlain(Exception):
    """Raised for a value that is not stored as it is."""


def _type_of(kind: Kind) -> Any:
    """Return the type of values that a kind stores as they are; None if there is none."""
    type_: Any = None
    match kind:
        case Text() if type(kind) is Text:
            type_ = Annotated[str, Meta(max_length=min(kind.longest or _MAX_TEXT, _MAX_TEXT))]
        case OneOf(any_case=False):
            type_ = Literal[kind.words]
        case Code(region=False):
            lower = () if kind.upper else (code.lower() for code in kind.accepted)
            type_ = Literal[(*kind.accepted, *lower)]
        case Pattern():
            type_ = Annotated[str, Meta(max_length=_MAX_TEXT, pattern=rf"^(?:{kind.expression})\Z")]
        case ListOf() if element := _type_of(kind.element):
            type_ = Annotated[
                list[element],  # type: ignore[valid-type]
                Meta(min_length=kind.shortest, max_length=kind.longest),
            ]
        case ObjectOf(open_ended=False):
            members = {
                name: Required[_type_of(each) or _NEVER] if name in kind.required else _NEVER
                for name, each in kind.members.items()
            }
            type_ = _dict_of("Members", members, total=False)
    return type_


class _Members:
    """The members of a plan as a type, and the fields that its values become."""

    def __init__(
        self, plan: Plan, nested: Mapping[str, Any], needed: Collection[str] = (), name: str = ""
    ) -> None:
        """`nested`: names and types of other members; `needed`: names of members that must be
        present."""
        plain, read, ignored = list[Any](), list[Any](), list[Any]()
        self._read: list[tuple[str, Callable[[Any], Any]]] = []
        for spelt, (field, kind, _) in plan.items():
            default = () if spelt in needed else (UNSET,)
            type_ = None if kind is None else _type_of(kind)
            if kind is None:
                ignored.append((field, Any, *default))
            elif type_ is None:
                read.append((field, Any, *default))
                self._read.append((field, kind.read))
            else:
                plain.append((field, type_, *default))
        self._names = [*enumerate(field for field, *_ in (*plain, *read))]
        more = [
            (spelt, type_, *(() if spelt in needed else (UNSET,)))
            for spelt, type_ in nested.items()
        ]
        self.type: type[Struct] = defstruct(
            name or "Members",
            [*plain, *read, *more, *ignored],
            rename={field: spelt for spelt, (field, *_) in plan.items()},
            forbid_unknown_fields=True,
            kw_only=True,
            gc=False,
        )

    def changes(self, members: Any) -> Changes:
        """Return the fields; raises `_NotPlain`, and `ValueRefused`."""
        values = astuple(members)
        changes = {name: values[at] for at, name in self._names if values[at] is not UNSET}
        for name, read in self._read:
            if name in changes:
                if changes[name] is None:
                    raise _NotPlain
                changes[name] = read(changes[name])
        return changes


_EXTENSIONS: Final[Mapping[str, Any]] = {"extensions": list[dict[str, Any]]}
_GUEST: Final = _Members(OWN_GUEST, _EXTENSIONS)
_ITEM: Final = _Members(OWN_ORDER.item, _EXTENSIONS, OWN_ORDER.needed_of_items)
_PERSON: Final = _Members(OWN_ORDER.person, _EXTENSIONS)
_ORDER: Final = _Members(
    OWN_ORDER.order,
    {
        "contact": _PERSON.type,
        "orderItems": Annotated[list[_ITEM.type], Meta(min_length=1)],  # type: ignore[name-defined]
        **_EXTENSIONS,
    },
    {*OWN_ORDER.needed["insert"], "contact", "orderItems"},
)


def _guest(members: Any) -> GuestWrite:
    """As `batch_records.own_guest`."""
    changes = _person(_GUEST, members)
    groups = _groups(members, EXTENSION)
    changes.pop("guest_type", None)
    return GuestWrite("upsert", changes, groups)


def _order(members: Any) -> OrderWrite:
    """As `batch_records.any_order`."""
    changes = _ORDER.changes(members)
    contact = PersonRecord(_person(_PERSON, members.contact), _groups(members.contact, EXTENSION))
    items = [ItemRecord(_ITEM.changes(each), _group(each)) for each in members.orderItems]
    return OrderWrite("insert", changes, contact, [], items, _group(members))


def _person(kind: _Members, members: Any) -> Changes:
    """Return the fields of a person; raises `_NotPlain` if a spreadsheet damaged one."""
    changes = kind.changes(members)
    phones = changes.get("phone_numbers") or ()
    for phone in (*phones, changes["phone"]) if "phone" in changes else phones:
        if is_damaged_phone(phone):
            raise _NotPlain
    for one in changes.get("identifiers") or ():
        if is_damaged(one["id"].strip()):
            raise _NotPlain
    return changes


def _groups(members: Any, view: PairsView) -> list[ExtensionRecord]:
    """Return the data extensions of a record."""
    if members.extensions is UNSET:
        return []
    plain = list[ExtensionRecord]()
    for one in members.extensions:
        group = _plain_group(one, view)
        if group is None:
            break
        plain.append(group)
    else:
        return plain
    problems: list[Problem] = []
    read = groups_of(members.extensions, view, problems)
    if problems:
        raise _NotPlain
    return read


def _plain_group(members: dict[str, Any], view: PairsView) -> ExtensionRecord | None:
    """Return a data extension of the usual name and key; None if it is not plain."""
    name, key = members.get("name"), members.get("key", DEFAULT_KEY)
    if name not in (view.names or EXTENSION_NAMES) or key != DEFAULT_KEY:
        return None
    pairs = dict[str, Any]()
    for pair, value in members.items():
        if pair in RESERVED:
            continue
        kind = type(value)
        if kind is str:
            is_plain = len(value) <= _MAX_TEXT
        elif kind is int:
            is_plain, value = True, number(value)  # noqa: PLW2901
        else:
            is_plain = kind is bool
        if not is_plain or key_problem(pair) is not None:
            return None
        pairs[pair] = value
    return ExtensionRecord(name, key, pairs) if len(pairs) <= MAX_PAIRS else None


def _group(members: Any) -> ExtensionRecord | None:
    """Return the data extension of an order or item."""
    groups = _groups(members, ORDER_EXTENSION)
    if len(groups) > 1:
        raise _NotPlain
    return groups[0] if groups else None


def _of_line(kind: _Members) -> Callable[[bytes], Any]:
    """Return the function from a line to its members."""
    decode = msgspec.json.Decoder(kind.type, float_hook=Decimal).decode

    def members(text: bytes) -> Any:
        if _NUL in text:
            raise _NotPlain
        return decode(text)

    return members


def _of_value(kind: _Members) -> Callable[[dict[str, Any]], Any]:
    """Return the function from a value to its members."""
    type_, encode = kind.type, msgspec.json.Encoder(decimal_format="number").encode

    def members(value: dict[str, Any]) -> Any:
        try:
            has_nul = _NUL in encode(value)
        except (TypeError, OverflowError):
            raise _NotPlain from None
        if has_nul:
            raise _NotPlain
        return msgspec.convert(value, type_)

    return members


def _reader(
    members_of: Callable[[Any], Any], operation: Callable[[Any], Operation]
) -> Callable[[int, Any], BatchRecord | None]:
    def read(line: int, source: Any) -> BatchRecord | None:
        try:
            members: Any = members_of(source)
            what = operation(members)
        except _LEFT:
            return None
        return BatchRecord(line, members.ref if isinstance(members.ref, str) else None, what)

    return read


_LEFT: Final = (
    *(msgspec.MsgspecError, UnicodeError, InvalidOperation, RecursionError),
    *(ValueRefused, _NotPlain),
)
PLAIN_READERS: Final[Mapping[str, PlainReader]] = {
    "guests": _reader(_of_line(_GUEST), _guest),
    "orders": _reader(_of_line(_ORDER), _order),
}
"""The readers of plain lines, by kind."""
PLAIN_VALUES: Final[Mapping[str, Callable[[int, dict[str, Any]], BatchRecord | None]]] = {
    "guests": _reader(_of_value(_GUEST), _guest),
    "orders": _reader(_of_value(_ORDER), _order),
}
"""The readers of plain values that a mapping makes of rows, by kind."""
