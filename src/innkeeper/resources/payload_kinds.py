"""Kinds of values that only endpoints of our own have."""

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from innkeeper.resources.kinds import Kind, ListOf, Number, OneOf, Schema, Text
from innkeeper.resources.values import NOT_VALID, ValueRefused, ref_in, storable

LONGEST_KEY: Final = 100
"""Most characters of a key that a problem names."""


@dataclass(frozen=True)
class NotBlank(Text):
    """Text with a character that is not a space."""

    def read(self, value: Any) -> str:
        text = super().read(value)
        if not text.strip():
            limits = f"size must be between 1 and {self.longest}"
            raise ValueRefused(limits if self.longest else NOT_VALID)
        return text

    def schema(self) -> Schema:
        most = {"maxLength": self.longest} if self.longest else {}
        return {"type": "string", "minLength": 1, **most}


@dataclass(frozen=True)
class Label(NotBlank):
    """Printable text that is not blank."""

    def read(self, value: Any) -> str:
        text = super().read(value)
        if not text.isprintable():
            raise ValueRefused(NOT_VALID)
        return text


@dataclass(frozen=True)
class Url(Text):
    """A URL; whether it can be called is not checked."""

    def schema(self) -> Schema:
        return {"type": "string", "format": "uri"}


@dataclass(frozen=True)
class Ref(Kind):
    """A reference: a UUID, in whatever case."""

    def read(self, value: Any) -> UUID:
        ref = ref_in(value) if isinstance(value, str) else None
        if ref is None:
            raise ValueRefused(NOT_VALID)
        return ref

    def schema(self) -> Schema:
        return {"type": "string", "format": "uuid"}


@dataclass(frozen=True)
class MapOf(Kind):
    """An object with members of any name, which have one kind."""

    element: Kind

    def read(self, value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise ValueRefused("must be an object")
        read = {}
        for name, member in value.items():
            try:
                read[storable(name)] = self.element.read(member)
            except ValueRefused as refused:
                raise ValueRefused(refused.reason, f".{name[:LONGEST_KEY]}{refused.at}") from None
        return read

    def schema(self) -> Schema:
        return {"type": "object", "additionalProperties": self.element.schema() or True}


@dataclass(frozen=True)
class OneOrMany(Kind):
    """An array, or one element alone; read as a list."""

    element: Kind

    def read(self, value: Any) -> list[Any]:
        if isinstance(value, list):
            return ListOf(self.element).read(value)
        try:
            return [self.element.read(value)]
        except ValueRefused as refused:
            raise ValueRefused(f"{refused.reason}, or an array of such") from None

    def schema(self) -> Schema:
        one = self.element.schema()
        return {"anyOf": [one, {"type": "array", "items": one}]} if one else {}


@dataclass(frozen=True)
class Checked(Kind):
    """Values of a kind in which a function finds no fault; it returns the reason, or None."""

    kind: Kind
    fault: Callable[[Any], str | None]

    def read(self, value: Any) -> Any:
        read = self.kind.read(value)
        reason = self.fault(read)
        if reason is not None:
            raise ValueRefused(reason)
        return read

    def schema(self) -> Schema:
        return self.kind.schema()


@dataclass(frozen=True)
class Word(Kind):
    """One of a few words in any case; returned in the declared case."""

    words: tuple[str, ...]
    by_lower: dict[str, str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_lower", {word.lower(): word for word in self.words})

    def read(self, value: Any) -> str:
        if isinstance(value, str) and (word := self.by_lower.get(value.strip().lower())):
            return word
        raise ValueRefused(f"value must be one of {','.join(self.words)}")

    def schema(self) -> Schema:
        return {"type": "string", "description": f"In any case: {', '.join(self.words)}."}


@dataclass(frozen=True)
class Within(Number):
    """A number above 0, at most `most`."""

    most: int

    def read(self, value: Any) -> int | Decimal:
        read = super().read(Decimal(repr(value)) if isinstance(value, float) else value)
        if not 0 < read <= self.most:
            raise ValueRefused(f"must be above 0 and at most {self.most}")
        return read

    def schema(self) -> Schema:
        return {"type": "number", "exclusiveMinimum": 0, "maximum": self.most}


@dataclass(frozen=True, eq=False)
class Described(Kind):
    """Any JSON that another part of the program reads, with a schema of its own."""

    described: Schema

    def read(self, value: Any) -> Any:
        if self.described.get("type") == "object" and not isinstance(value, dict):
            raise ValueRefused("must be an object")
        return value

    def schema(self) -> Schema:
        return self.described


def one_of(*words: str, any_case: bool = False) -> OneOf:
    """Return the kind of one of a few words, which its problem lists."""
    return OneOf(words, any_case, reason=f"value must be one of {','.join(words)}")
