"""The members of segments, traits, audience exports and views of the list of guests.

`rules/segment_reading.py`, `rules/traits.py` and `wire/bulk/mapping.py` read their meaning.
"""

from typing import Annotated, Any, Final

from innkeeper.resources.base import Record
from innkeeper.resources.exports import (
    CONSENT_CHOICES,
    DELIMITERS,
    DELTA,
    FORMATS,
    FULL_SYNC,
    MOST_COLUMNS,
)
from innkeeper.resources.kinds import ListOf, Pattern, Text
from innkeeper.resources.payload_kinds import (
    Described,
    NotBlank,
    OneOrMany,
    Url,
    Within,
    Word,
    one_of,
)
from innkeeper.resources.payloads import Absent, JsonOf, Payload
from innkeeper.resources.segments import COMPARATORS, OF_NUMBERS, Entity, EntityName, NumberInText

MOST_GROUPS: Final = 50
MOST_RULES: Final = 100
MOST_STEPS: Final = 10
FARTHEST: Final = 10_000
"""Largest number of days, weeks, months or years."""
INCLUDE: Final = "INCLUDE"
EXCLUDE: Final = "EXCLUDE"
AND: Final = "AND"
OR: Final = "OR"
FUNCTIONS: Final = ("count", "sum", "average", "least", "greatest", "latest", "most_common")
"""The functions of traits."""

_Entity = Annotated[Entity, EntityName()]
_Operator = Annotated[str, Word((AND, OR))]
_Number = Annotated[float | Absent | None, NumberInText()]
_Numbers = Annotated[list[float] | Absent | None, OneOrMany(NumberInText())]


class SegmentRule(Payload, kw_only=True):
    """A comparison of one field."""

    location: Annotated[
        str | Absent | None,
        "core, identifier, trait, static_list, custom, ext, or a data extension's name.",
    ]
    field: Annotated[str, "Name of the field."]
    comparator: Annotated[
        str, Word((*COMPARATORS,)), "Name of a comparator, from docs/segments.md."
    ]
    comparator_data_type: Annotated[
        str | Absent | None, "Of an undeclared field: string, number, boolean or timestamp."
    ]
    values: Annotated[
        list[Any] | Absent | None,
        OneOrMany(Described({})),
        "Values to compare with: an array, or one value.",
    ]


_Rules = Annotated[list[Record], ListOf(JsonOf(SegmentRule), MOST_RULES)]


class SegmentAmount(Payload, kw_only=True):
    """A test of a number: how many rows there are."""

    comparator: Annotated[str, Word(OF_NUMBERS)]
    values: _Numbers
    value: _Number


class SegmentTotal(SegmentAmount, kw_only=True):
    """A test of a sum; one of money needs a currency."""

    field: str
    currency: str | Absent | None


class _Rows(Payload, kw_only=True):
    """Rows of one entity."""

    type: Annotated[list[str] | Absent | None, OneOrMany(Text()), "Only rows of these subtypes."]
    rule_operator: _Operator = AND
    rules: _Rules | Absent


class SegmentStep(_Rows, kw_only=True):
    """A step of a sequence."""

    entity: _Entity
    within_days: Annotated[float | Absent | None, Within(FARTHEST)]
    absent: bool | Absent | None


class SegmentGroup(_Rows, kw_only=True):
    """Rules on rows of one entity, or a sequence, which names the entities in its steps."""

    entity: _Entity | Absent
    filter_group_type: Annotated[str, Word((INCLUDE, EXCLUDE))] = INCLUDE
    count: Annotated[Record | Absent | None, JsonOf(SegmentAmount)]
    sum: Annotated[Record | Absent | None, JsonOf(SegmentTotal)]
    sequence: Annotated[
        list[Record] | Absent | None, ListOf(JsonOf(SegmentStep), MOST_STEPS, shortest=2)
    ]


class SegmentDefinition(Payload, kw_only=True):
    """Groups of rules, or SQL."""

    filter_groups: Annotated[
        list[Record] | Absent | None, ListOf(JsonOf(SegmentGroup), MOST_GROUPS)
    ]
    operator: _Operator = AND
    retired: Annotated[
        bool | Absent | None, "Whether guests that are merged into another guest count as well."
    ]
    sql: Annotated[str | Absent | None, "A SELECT statement instead of groups."]


class TraitDefinition(_Rows, kw_only=True):
    """The calculation of a trait from a guest's rows."""

    entity: _Entity
    function: Annotated[str, one_of(*FUNCTIONS)]
    field: str | Absent | None
    currency: str | Absent | None


LONGEST_NAME: Final = 128
MOST_TAGS: Final = 50
MOST_VIEW_COLUMNS: Final = 50
Name = Annotated[str, NotBlank(LONGEST_NAME)]
FriendlyId = Annotated[
    str, Pattern("[a-z0-9_]{1,128}", "must be lower-case letters, digits and underscores")
]
_Webhook = Annotated[str, Url()]
_Definition = Annotated[Record, JsonOf(SegmentDefinition)]


class _SegmentMembers(Payload):
    friendly_id: FriendlyId | Absent | None
    tags: Annotated[list[str] | Absent | None, ListOf(Text(), MOST_TAGS)]
    webhook: _Webhook | Absent | None


class CreateSegmentRequest(_SegmentMembers):
    """A segment."""

    name: Name
    definition: _Definition


class ChangeSegmentRequest(_SegmentMembers):
    """The members of a segment that a caller may change; null clears a webhook."""

    name: Name | Absent
    definition: _Definition | Absent
    archived: bool | Absent


class SetTagsRequest(Payload):
    """The tags of a segment."""

    tags: Annotated[list[str], ListOf(Text(LONGEST_NAME), MOST_TAGS)]


class ChangeGuestViewRequest(Payload):
    """The members of a view of the list of guests that a caller may change; null clears the
    sort."""

    name: Name | Absent
    shared: Annotated[bool | Absent, "Whether everybody sees it, or only who saved it."]
    definition: _Definition | Absent
    columns: Annotated[list[str] | Absent, ListOf(Text(), MOST_VIEW_COLUMNS)]
    sort: Annotated[str | Absent | None, "Column to sort by; with - before its name, descending."]


class CreateGuestViewRequest(ChangeGuestViewRequest):
    """A view of the list of guests."""

    name: Name
    definition: _Definition


class ExportDestination(Payload):
    """The destination of an export's files besides the API."""

    type: Annotated[str, one_of("FOLDER", "WEBHOOK")]
    url: Annotated[str, NotBlank()]


class ChangeExportRequest(Payload):
    """The members of an audience export that a caller may change; null clears a setting."""

    name: Name | Absent
    friendly_id: FriendlyId | Absent | None
    segment: Annotated[str | Absent | None, "Ref or friendly id of a segment."]
    static_list: Annotated[
        str | Absent | None, "Ref or friendly id of a static list, instead of a segment."
    ]
    definition_type: Annotated[str | Absent, one_of(FULL_SYNC, DELTA, any_case=True)]
    format: Annotated[str | Absent, one_of(*FORMATS, any_case=True)]
    columns: Annotated[list[str] | Absent | None, ListOf(Text(), MOST_COLUMNS)]
    template: dict[str, Any] | Absent | None
    delimiter: Annotated[str | Absent | None, one_of(*DELIMITERS)]
    header: bool | Absent | None
    quote: bool | Absent | None
    guarded: Annotated[
        bool | Absent | None, "CSV: mark texts that a spreadsheet would run as formulas."
    ]
    bom: Annotated[
        bool | Absent | None, "CSV: begin with a byte order mark, by which Excel recognises UTF-8."
    ]
    filter: _Definition | Absent | None
    consent: Annotated[
        str | Absent | None,
        one_of(*CONSENT_CHOICES),
        "Unsubscribed guests that are left out: of the channels of its columns (the default), of "
        "one channel, or NONE.",
    ]
    schedule: Annotated[str | Absent | None, "DAILY, WEEKLY or a cron line, UTC."]
    destination: ExportDestination | Absent | None
    webhook: _Webhook | Absent | None


class CreateExportRequest(ChangeExportRequest):
    """An audience export."""

    name: Name
