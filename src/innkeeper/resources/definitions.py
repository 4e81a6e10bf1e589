"""JSON schemas of what callers define: segments, traits, exports, identity rules, mappings.

Each schema lists the allowed members. The OpenAPI description contains it, and `rules/members.py`
rejects other members. Which values are allowed is checked by the readers in `rules/`.
"""

from typing import Final

from innkeeper.resources.exports import DELTA, FULL_SYNC
from innkeeper.resources.kinds import Schema

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
_FRIENDLY_ID: Final[Schema] = {**_TEXT, "pattern": "^[a-z0-9_]{1,128}$"}
_WEBHOOK: Final[Schema] = {"anyOf": [{**_TEXT, "format": "uri"}, {"type": "null"}]}
SEGMENT: Final[Schema] = {
    "type": "object",
    "properties": {
        "name": {**_TEXT, "minLength": 1, "maxLength": 128},
        "friendlyId": _FRIENDLY_ID,
        "tags": _TEXTS,
        "webhook": _WEBHOOK,
        "definition": SEGMENT_DEFINITION,
    },
}
SEGMENT_CHANGE: Final[Schema] = {
    "type": "object",
    "properties": {**SEGMENT["properties"], "archived": _FLAG},
}
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
DESTINATION: Final = _closed(
    "ExportDestination", type=_described(_TEXT, "FOLDER or WEBHOOK."), url=_TEXT
)
_ABSENT: Final[Schema] = {"type": "null"}


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, _ABSENT]}


EXPORT: Final[Schema] = {
    "type": "object",
    "properties": {
        "name": _TEXT,
        "friendlyId": _FRIENDLY_ID,
        "segment": _described(_TEXT, "Ref or friendly id of a segment."),
        "definitionType": {**_TEXT, "enum": [FULL_SYNC, DELTA]},
        "format": {**_TEXT, "enum": ["CSV", "JSON", "NDJSON", "PARQUET"]},
        "columns": _or_null(_TEXTS),
        "template": _or_null({"type": "object", "additionalProperties": True}),
        "delimiter": {**_TEXT, "enum": [",", "|"]},
        "header": _FLAG,
        "quote": _FLAG,
        "guarded": _described(_FLAG, "CSV: mark texts that look like formulas."),
        "filter": _or_null(SEGMENT_DEFINITION),
        "schedule": _or_null(_described(_TEXT, "DAILY, WEEKLY or a cron line, UTC.")),
        "destination": _or_null(DESTINATION),
        "webhook": _WEBHOOK,
    },
}
MAPPING: Final = _closed(
    "ImportMapping",
    entity=_TEXT,
    columns=_described(
        {"type": "object", "additionalProperties": {"anyOf": [_TEXT, _TEXTS]}},
        "Column -> field, or fields.",
    ),
    formats=_described(
        {"type": "object", "additionalProperties": _TEXT}, "Column -> format of dates."
    ),
    values=_described(
        {"type": "object", "additionalProperties": {"type": "object", "additionalProperties": {}}},
        "Column -> word -> value to use instead.",
    ),
    types=_described(
        {"type": "object", "additionalProperties": _TEXT}, "Column -> number or boolean."
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
    guarded=_described(_FLAG, "Whether cells are marked as an export with `guarded` marks them."),
)
"""A mapping from the columns of a file to the fields of records."""
IDENTITY_RULES: Final = _closed(
    "IdentityRules",
    rules=_list_of(_closed("IdentityRule", identityRule=_TEXT, providers=_TEXTS, fields=_TEXTS)),
)
"""Identity rules in the order in which they are tried."""
