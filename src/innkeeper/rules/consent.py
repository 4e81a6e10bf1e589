"""Consent: by which field a guest is unsubscribed from a channel, and which channels an export
uses."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from innkeeper.errors import Invalid, OperatorError, Problem
from innkeeper.resources.exports import BY_COLUMNS, CHANNELS, EMAIL, HASHED, NOBODY, PHONE, POST
from innkeeper.resources.segments import ENTITIES, STRING, snake

UNSUBSCRIBED: Final = ("false", "no", "0", "unsubscribed")
"""Values of a field that mean unsubscribed, unless others are declared; in any case."""
MOST_VALUES: Final = 20
LONGEST_VALUE: Final = 100
_COLUMNS: Final = {
    EMAIL: ("email", "emails", f"{HASHED}.email"),
    PHONE: ("phone", "phoneNumbers", f"{HASHED}.phone"),
    POST: ("street", "postCode"),
}


@dataclass(frozen=True, slots=True)
class ConsentField:
    """The field that states whether a guest is unsubscribed from a channel."""

    channel: str
    field: str
    """`ext.newsletter`, a pair of a data extension, or a text field of guests."""
    values: tuple[str, ...]
    """Values that mean unsubscribed, in lower case. A guest without a value is not unsubscribed."""

    @property
    def pair(self) -> tuple[str, str] | None:
        """Name and key of the pair of a data extension; None for a field of guests."""
        name, dot, key = self.field.partition(".")
        return (name, key) if dot else None

    @property
    def column(self) -> str:
        """The column of the lake that holds a field of guests."""
        return ENTITIES["guest"].fields[snake(self.field)].column


def read_words(words: str) -> dict[str, Any]:
    """Read `EMAIL=ext.newsletter:no,0`, as a command takes it; raises `OperatorError`."""
    channel, equals, rest = words.partition("=")
    name, colon, values = rest.partition(":")
    if channel.upper() not in CHANNELS or not equals:
        raise OperatorError(f"{words} must begin with {', '.join(CHANNELS)} and =.")
    values_given = values.split(",") if colon else list(UNSUBSCRIBED)
    return {"channel": channel.upper(), "field": name, "values": values_given}


def read_fields(items: Iterable[Mapping[str, Any]]) -> list[ConsentField]:
    """Read declared fields, whose members are checked; raises `Invalid`."""
    problems, fields = [], list[ConsentField]()
    for index, item in enumerate(items):
        values = tuple(dict.fromkeys(value.strip().lower() for value in item["values"]))
        field = ConsentField(item["channel"], item["field"].strip(), values)
        if any(each.channel == field.channel for each in fields):
            problems.append(Problem(f"items[{index}].channel", "is declared already"))
        if not _is_field(field):
            reason = "must be a text field of guests or a pair such as ext.newsletter"
            problems.append(Problem(f"items[{index}].field", reason))
        if not values or not all(values):
            problems.append(Problem(f"items[{index}].values", "must name at least one value"))
        fields.append(field)
    if problems:
        raise Invalid(*problems)
    return fields


def channels_of(choice: str, columns: Iterable[str]) -> list[str]:
    """Return the channels whose unsubscribed guests an export with these columns leaves out."""
    if choice != BY_COLUMNS:
        return [] if choice == NOBODY else [choice]
    named = set(columns)
    return [channel for channel in CHANNELS if named.intersection(_COLUMNS[channel])]


def _is_field(field: ConsentField) -> bool:
    if field.pair is not None:
        return all(field.pair)
    declared = ENTITIES["guest"].fields.get(snake(field.field))
    return declared is not None and declared.type == STRING and not declared.many
