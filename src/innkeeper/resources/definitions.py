"""What callers define: segments, traits, audience exports, mappings.

Segment definitions, traits and mappings have parsers of their own (`rules/segment_reading.py`,
`rules/traits.py`, `wire/bulk/mapping.py`). Here are their schemas, which list the allowed members:
`rules/members.py` rejects others.
"""

from typing import Annotated, Any, Final

from innkeeper.resources.exports import DELIMITERS, DELTA, FORMATS, FULL_SYNC, MOST_COLUMNS
from innkeeper.resources.kinds import ListOf, Pattern, Schema, Text
from innkeeper.resources.payload_kinds import Described, NotBlank, Url, one_of
from innkeeper.resources.payloads import Absent, Payload

_TEXT: Final[Schema] = {"type": "string"}
_TEXTS: Final[Schema] = {"type": "array", "items": _TEXT}
_FLAG: Final[Schema] = {"type": "boolean"}
_ANY: Final[Schema] = {}


def _closed(title: str, **properties: Schema) -> Schema:
    return {"type": "object", "title": title, "properties": properties}


def _list_of(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _described(schema: Schema, description: str) -> Schema:
    return {**schema, "description": description}


_VALUES: Final = _described(_ANY, "What to compare with: an array, or one value alone.")
_TYPE: Final = _described({"anyOf": [_TEXT, _TEXTS]}, "Only rows of these subtypes.")
_ENTITY: Final = _described(_TEXT, "guest, session, event, order or order_item.")
_OPERATOR: Final = _described(_TEXT, "AND or OR.")

RULE: Final = _closed(
    "SegmentRule",
    location=_described(_TEXT, "core, identifier, trait, custom, ext, or a data extension's name."),
    field=_described(_TEXT, "Name of the field."),
    comparator=_described(_TEXT, "As docs/segments.md lists them."),
    comparatorDataType=_described(_TEXT, "string, number, boolean or timestamp."),
    values=_VALUES,
)
AMOUNT: Final = _closed(
    "SegmentAmount", comparator=_TEXT, values=_list_of(_ANY), value={"type": "number"}
)
TOTAL: Final = _closed(
    "SegmentTotal",
    comparator=_TEXT,
    values=_list_of(_ANY),
    value={"type": "number"},
    field=_TEXT,
    currency=_TEXT,
)
STEP: Final = _closed(
    "SegmentStep",
    entity=_ENTITY,
    type=_TYPE,
    ruleOperator=_OPERATOR,
    rules=_list_of(RULE),
    withinDays={"type": "number"},
    absent=_FLAG,
)
GROUP: Final = _closed(
    "SegmentGroup",
    entity=_ENTITY,
    type=_TYPE,
    ruleOperator=_OPERATOR,
    rules=_list_of(RULE),
    filterGroupType=_described(_TEXT, "INCLUDE or EXCLUDE."),
    count=AMOUNT,
    sum=TOTAL,
    sequence=_list_of(STEP),
)
SEGMENT_DEFINITION: Final = _closed(
    "SegmentDefinition",
    filterGroups=_list_of(GROUP),
    operator=_OPERATOR,
    retired=_described(_FLAG, "Whether guests that were merged into another count as well."),
    sql=_described(_TEXT, "A SELECT statement instead of groups."),
)
TRAIT: Final = _closed(
    "TraitDefinition",
    entity=_ENTITY,
    type=_TYPE,
    ruleOperator=_OPERATOR,
    rules=_list_of(RULE),
    function=_described(_TEXT, "count, sum, average, least, greatest, latest or most_common."),
    field=_TEXT,
    currency=_TEXT,
)
MAPPING: Final = _closed(
    "ImportMapping",
    entity=_TEXT,
    columns=_described(
        {"type": "object", "additionalProperties": {"anyOf": [_TEXT, _TEXTS]}},
        "Column -> field, or fields.",
    ),
    formats=_described(
        {"type": "object", "additionalProperties": _TEXT},
        "Column -> format of its dates, such as DD/MM/YYYY.",
    ),
    values=_described(
        {"type": "object", "additionalProperties": {"type": "object", "additionalProperties": {}}},
        "Column -> word -> value to use instead.",
    ),
    types=_described(
        {"type": "object", "additionalProperties": _TEXT},
        "Column -> text, number, boolean or json.",
    ),
    constants=_described(
        {"type": "object", "additionalProperties": {}}, "Field -> value where no column fills it."
    ),
    fallbacks=_described(
        {"type": "object", "additionalProperties": _TEXT},
        "Field -> column to take where the field's own columns are empty.",
    ),
    group=_described(
        _TEXT, "Column whose rows with the same value are one order; each row is a line of it."
    ),
    undecided=_described(
        _list_of(_TEXTS), "[table, entry] of each entry that the mapping needs before it is used."
    ),
    delimiter=_TEXT,
    encoding=_TEXT,
    header=_described({"type": "integer", "minimum": 0}, "Line that names the columns."),
    sheet=_described(_TEXT, "Sheet of a workbook."),
    decimal=_described(_TEXT, "Mark before decimals: . or ,"),
    timezone=_described(_TEXT, "Time zone of instants without an offset, such as Europe/Berlin."),
    pivot=_described({"type": "integer"}, "First year that two-digit years mean, such as 1930."),
    region=_described(_TEXT, "Country of phone numbers without a country code, such as US."),
    nothing=_described(_TEXTS, "Cells that are empty, such as NULL and N/A."),
    guards=_described(_TEXTS, 'Columns whose cells a spreadsheet guarded by \' or ="…".'),
    guarded=_described(_FLAG, "Whether cells are marked as an export with `guarded` marks them."),
)
"""A mapping from the columns of a file to the fields of records."""

LONGEST_NAME: Final = 128
MOST_TAGS: Final = 50
_Name = Annotated[str, NotBlank(LONGEST_NAME)]
_FriendlyId = Annotated[
    str, Pattern("[a-z0-9_]{1,128}", "must be lower-case letters, digits and underscores")
]
_Webhook = Annotated[str, Url()]
_Definition = Annotated[Any, Described(SEGMENT_DEFINITION)]


class _SegmentMembers(Payload):
    friendly_id: _FriendlyId | Absent | None
    tags: Annotated[list[str] | Absent | None, ListOf(Text(), MOST_TAGS)]
    webhook: _Webhook | Absent | None


class CreateSegmentRequest(_SegmentMembers):
    """A segment."""

    name: _Name
    definition: _Definition


class ChangeSegmentRequest(_SegmentMembers):
    """What a caller may change of a segment; null clears a webhook."""

    name: _Name | Absent
    definition: _Definition | Absent
    archived: bool | Absent


class ExportDestination(Payload):
    """Where an export's files go besides the API."""

    type: Annotated[str, one_of("FOLDER", "WEBHOOK")]
    url: Annotated[str, NotBlank()]


class ChangeExportRequest(Payload):
    """What a caller may change of an audience export; null clears a setting."""

    name: _Name | Absent
    friendly_id: _FriendlyId | Absent | None
    segment: Annotated[str | Absent | None, "Ref or friendly id of a segment."]
    definition_type: Annotated[str | Absent, one_of(FULL_SYNC, DELTA, any_case=True)]
    format: Annotated[str | Absent, one_of(*FORMATS, any_case=True)]
    columns: Annotated[list[str] | Absent | None, ListOf(Text(), MOST_COLUMNS)]
    template: dict[str, Any] | Absent | None
    delimiter: Annotated[str | Absent | None, one_of(*DELIMITERS)]
    header: bool | Absent | None
    quote: bool | Absent | None
    guarded: Annotated[bool | Absent | None, "CSV: mark texts that look like formulas."]
    filter: _Definition | Absent | None
    schedule: Annotated[str | Absent | None, "DAILY, WEEKLY or a cron line, UTC."]
    destination: ExportDestination | Absent | None
    webhook: _Webhook | Absent | None


class CreateExportRequest(ChangeExportRequest):
    """An audience export."""

    name: _Name
    segment: Annotated[str, "Ref or friendly id of a segment."]
