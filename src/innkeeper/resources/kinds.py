"""Kinds of values: what each accepts, how it is stored, and its JSON schema.

`read` takes a decoded JSON value and returns the value to store, which is JSON again, so that a
record's body goes into the database as it is. It raises `ValueRefused`.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any, Final

from innkeeper import clock
from innkeeper.resources.codes import COUNTRIES, CURRENCIES, LANGUAGES
from innkeeper.resources.values import (
    INT32,
    MAX_TEXT_BYTES,
    NOT_VALID,
    ValueRefused,
    instant,
    iso,
    number,
    opaque,
    storable,
)

Schema = dict[str, Any]


def or_null(schema: Schema) -> Schema:
    """Return the schema of a member that may also be null, which clears it."""
    if "enum" in schema:
        return {**schema, "type": ["string", "null"], "enum": [*schema["enum"], None]}
    if schema.keys() == {"anyOf"}:
        return {"anyOf": [*schema["anyOf"], {"type": "null"}]}
    # Not a list of types: with a format or a pattern, code generators would then accept "" too.
    return {"anyOf": [schema, {"type": "null"}]} if schema else schema


class Kind:
    """Base class: the values that a field accepts."""

    def read(self, value: Any) -> Any:
        """Return the value to store for a decoded JSON value; raises `ValueRefused`."""
        raise NotImplementedError

    def accepts(self, value: Any) -> bool:
        """Whether `read` accepts a value."""
        try:
            self.read(value)
        except ValueRefused:
            return False
        return True

    def schema(self) -> Schema:
        """Return the JSON schema (2020-12) of the value in requests."""
        raise NotImplementedError

    def stored_schema(self) -> Schema:
        """Return the JSON schema of the value in responses, which may contain values that only
        other APIs accept."""
        return self.schema()


@dataclass(frozen=True)
class Text(Kind):
    """A string of at most `longest` characters."""

    longest: int | None = None

    def read(self, value: Any) -> str:
        if not isinstance(value, str):
            raise ValueRefused("must be a string")
        if self.longest is not None and len(value) > self.longest:
            raise ValueRefused(f"size must be between 0 and {self.longest}")
        if len(value) * 4 <= MAX_TEXT_BYTES and value.isascii() and "\x00" not in value:
            # As `storable`, without a call: most values are such texts.
            return value
        return storable(value)

    def schema(self) -> Schema:
        return {"type": "string"} | ({"maxLength": self.longest} if self.longest else {})


@dataclass(frozen=True)
class OneOf(Kind):
    """One of a closed set of words, stored as sent; with `any_case`, in any case."""

    words: tuple[str, ...]
    any_case: bool = False
    others: tuple[str, ...] = ()
    """Words that only other APIs store, and that responses may contain (N-17)."""
    reason: str = NOT_VALID
    accepted: frozenset[str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        words = (word.lower() for word in self.words) if self.any_case else self.words
        object.__setattr__(self, "accepted", frozenset(words))

    def read(self, value: Any) -> str:
        if isinstance(value, str) and (value.isascii() or not self.any_case):
            word = value.lower() if self.any_case else value
            if word in self.accepted:
                return value
        raise ValueRefused(self.reason)

    def schema(self) -> Schema:
        return {"type": "string", "enum": list(self.words)}

    def stored_schema(self) -> Schema:
        return {"type": "string", "enum": [*self.words, *self.others]}


@dataclass(frozen=True, eq=False)
class Spelt(Kind):
    """One of a closed set of words, each stored as another."""

    stored: Mapping[str, str]

    def read(self, value: Any) -> str:
        if isinstance(value, str) and value in self.stored:
            return self.stored[value]
        raise ValueRefused(NOT_VALID)

    def schema(self) -> Schema:
        return {"type": "string", "enum": list(self.stored)}


@dataclass(frozen=True)
class NoneOf(Text):
    """Any text except some barred words (I-1)."""

    barred: tuple[str, ...] = ()

    def read(self, value: Any) -> str:
        text = super().read(value)
        if text in self.barred:
            raise ValueRefused(NOT_VALID)
        return text

    def schema(self) -> Schema:
        return super().schema() | {"not": {"enum": list(self.barred)}}

    def stored_schema(self) -> Schema:
        # v2 and events create items of the barred types.
        return super().schema()


@dataclass(frozen=True)
class Pattern(Kind):
    """Text that matches a regular expression."""

    expression: str
    reason: str
    matches: Callable[[str], object] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "matches", re.compile(self.expression).fullmatch)

    def read(self, value: Any) -> str:
        if not isinstance(value, str) or not self.matches(value):
            raise ValueRefused(self.reason)
        return storable(value)

    def schema(self) -> Schema:
        return {"type": "string", "pattern": f"^{self.expression}$"}


# Accepts the same addresses as `[^\s@]+@[^\s@]+\.[^\s@]+`, but in linear time: that expression
# backtracks for hours over a long row of dots.
# White space is listed, since the meaning of `\s` depends on the regular expression engine.
_SPACE: Final = r"\t-\r \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
EMAIL = Pattern(
    rf"[^@{_SPACE}]+@[^@{_SPACE}][^.@{_SPACE}]*\.[^@{_SPACE}]+", "not a well-formed email address"
)
"""G-16: what the vendor's SDKs accept; stored and returned as sent."""


@dataclass(frozen=True)
class Code(Kind):
    """A code of the set `accepted`, in any case unless `upper`, with a region if `region`."""

    accepted: frozenset[str]
    upper: bool = False
    region: bool = False
    lower_in_set: bool = False

    def read(self, value: Any) -> str:
        # A letter outside ASCII may become ASCII when its case changes: ß becomes SS.
        if not isinstance(value, str) or not value.isascii():
            raise ValueRefused(NOT_VALID)
        code = value
        if self.region:
            code, separator, region = value.replace("_", "-").partition("-")
            if separator and not re.fullmatch(r"[A-Za-z]{2}|[0-9]{3}|[A-Za-z]{4}", region):
                raise ValueRefused(NOT_VALID)
        if not self.upper:
            code = code.lower() if self.lower_in_set else code.upper()
        if code not in self.accepted:
            raise ValueRefused(NOT_VALID)
        return value

    def schema(self) -> Schema:
        # Lists each code in the case of its standard; other cases are accepted too.
        if self.region:
            codes = "|".join(sorted({*self.accepted, *(code.upper() for code in self.accepted)}))
            region = "[-_]([A-Za-z]{2}|[0-9]{3}|[A-Za-z]{4})"
            return {"type": "string", "pattern": f"^({codes})({region})?$"}
        return {"type": "string", "enum": sorted(self.accepted)}

    def stored_schema(self) -> Schema:
        # Stored as sent, in any case.
        return {"type": "string"}


COUNTRY = Code(COUNTRIES)
LANGUAGE = Code(LANGUAGES, region=True, lower_in_set=True)
CURRENCY = Code(CURRENCIES, upper=True)


@dataclass(frozen=True)
class Instant(Kind):
    """A date-time, stored as UTC text with milliseconds."""

    def read(self, value: Any) -> str:
        return iso(instant(value))

    def schema(self) -> Schema:
        return {"type": "string", "format": "date-time"}


@dataclass(frozen=True)
class Day(Kind):
    """A calendar day, stored as written; a time or offset after it is ignored (N-8)."""

    past: bool = False

    def read(self, value: Any) -> str:
        instant(value)
        day = str(value)[:10]
        if self.past and date.fromisoformat(day) > clock.now().date():
            raise ValueRefused("must be in the past")
        return day

    def schema(self) -> Schema:
        return {"type": "string", "format": "date"}


@dataclass(frozen=True)
class Number(Kind):
    """Any number within the range of a double, returned exactly as sent."""

    def read(self, value: Any) -> int | Decimal:
        return number(value)

    def schema(self) -> Schema:
        return {"type": "number"}


@dataclass(frozen=True)
class Whole(Kind):
    """A whole number from `least` to `most`."""

    least: int | None = None
    most: int | None = None

    def read(self, value: Any) -> int:
        # JSON has one kind of number: 2.0 is a whole number like 2.
        # Only small numbers are converted: the digits of 1e999999999 would fill the memory.
        is_small = isinstance(value, Decimal) and value.copy_abs() <= INT32
        if is_small and value == value.to_integral_value():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValueRefused("must be an integer")
        if self.least is not None and value < self.least:
            raise ValueRefused(f"must be greater than or equal to {self.least}")
        if self.most is not None and value > self.most:
            raise ValueRefused(f"must be less than or equal to {self.most}")
        return value

    def schema(self) -> Schema:
        limits = {"minimum": self.least, "maximum": self.most}
        return {"type": "integer"} | {name: n for name, n in limits.items() if n is not None}


@dataclass(frozen=True)
class Count(Whole):
    """A whole number from 1 to the largest int32 (I-3)."""

    least: int | None = 1
    most: int | None = INT32


@dataclass(frozen=True)
class Flag(Kind):
    """True or false."""

    def read(self, value: Any) -> bool:
        if not isinstance(value, bool):
            raise ValueRefused("must be true or false")
        return value

    def schema(self) -> Schema:
        return {"type": "boolean"}


@dataclass(frozen=True)
class ListOf(Kind):
    """An array of `shortest` to `longest` elements of one kind."""

    element: Kind
    longest: int | None = None
    shortest: int = 0

    def fits(self, value: Any) -> bool:
        """Whether a value is an array of the right length."""
        if not isinstance(value, list):
            return False
        return self.shortest <= len(value) and (self.longest is None or len(value) <= self.longest)

    def read(self, value: Any) -> list[Any]:
        if not self.fits(value):
            if not isinstance(value, list):
                raise ValueRefused("must be an array")
            raise ValueRefused(f"size must be between {self.shortest} and {self.longest}")
        read = []
        for index, element in enumerate(value):
            try:
                read.append(self.element.read(element))
            except ValueRefused as refused:
                raise ValueRefused(refused.reason, f"[{index}]{refused.at}") from None
        return read

    def schema(self) -> Schema:
        limits = {"minItems": self.shortest or None, "maxItems": self.longest}
        limits = {name: n for name, n in limits.items() if n is not None}
        return {"type": "array", "items": self.element.schema()} | limits

    def stored_schema(self) -> Schema:
        return {**self.schema(), "items": self.element.stored_schema()}


@dataclass(frozen=True)
class ObjectOf(Kind):
    """An object whose members have kinds of their own; other members are dropped.

    Members have the same names in the database as in JSON, in camelCase: identifiers,
    subscriptions and flight segments.
    """

    members: Mapping[str, Kind]
    required: frozenset[str] = frozenset()
    open_ended: bool = False
    """Whether to store other members as sent, for objects that are not documented in full."""

    def read(self, value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise ValueRefused("must be an object")
        read: dict[str, Any] = dict(opaque(value)) if self.open_ended else {}
        for name, kind in self.members.items():
            member = value.get(name)
            if member is None:
                if name in self.required:
                    raise ValueRefused("may not be null.", f".{name}")
                read.pop(name, None)
                continue
            try:
                read[name] = kind.read(member)
            except ValueRefused as refused:
                raise ValueRefused(refused.reason, f".{name}{refused.at}") from None
        return read

    def schema(self) -> Schema:
        properties = {
            name: kind.schema() if name in self.required else or_null(kind.schema())
            for name, kind in self.members.items()
        }
        return (
            {"type": "object", "properties": properties}
            | ({"required": sorted(self.required)} if self.required else {})
            | ({"additionalProperties": True} if self.open_ended else {})
        )


@dataclass(frozen=True)
class Opaque(Kind):
    """Any JSON, stored and returned as sent, never interpreted."""

    def read(self, value: Any) -> Any:
        return opaque(value)

    def schema(self) -> Schema:
        return {}


MOST_IDENTITIES = 200
"""Most identifiers, e-mail addresses or phone numbers of a person in a request: each is locked."""
MOST_LINES = 1000
"""Most elements of other lists."""
IDENTIFIERS = ListOf(
    ObjectOf(
        {"provider": Text(), "id": Text(), "expiryDate": Instant()},
        required=frozenset({"provider", "id"}),
    ),
    MOST_IDENTITIES,
)
"""Ids of a guest in other systems: {provider, id, expiryDate?} (identity.md 5)."""
