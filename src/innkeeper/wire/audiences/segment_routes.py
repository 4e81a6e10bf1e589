"""The operations of `segments` as data: where they live and what they take and answer."""

from typing import Final

from innkeeper.resources.kinds import Schema
from innkeeper.wire.audiences import segments as wire
from innkeeper.wire.audiences.segments import OWN, TRAITS, V4
from innkeeper.wire.specials import Special

TAG: Final = "Segments"
_TEXT: Final[Schema] = {"type": "string"}
_WHOLE: Final[Schema] = {"type": "integer"}
_OBJECT: Final[Schema] = {"type": "object"}
_SEGMENT: Final[Schema] = {
    "type": "object",
    "properties": {
        "ref": {**_TEXT, "format": "uuid"},
        "href": _TEXT,
        "name": _TEXT,
        "friendlyId": _TEXT,
        "status": {
            **_TEXT,
            "enum": ["DRAFT", "PUBLISHING", "SCHEDULED", "LIVE", "PAUSED"],
        },
        "type": {**_TEXT, "enum": ["BASIC", "ADVANCED"]},
        "tags": {"type": "array", "items": _TEXT},
        "size": _WHOLE,
        "sample": {"type": "array", "items": _TEXT},
        "definition": _OBJECT,
        "revision": _WHOLE,
        "archived": {"type": "boolean"},
    },
    "required": ["ref", "href", "name", "friendlyId", "status", "definition"],
}
_BODY: Final[Schema] = {
    "type": "object",
    "properties": {
        "name": {**_TEXT, "minLength": 1, "maxLength": 128},
        "friendlyId": {**_TEXT, "pattern": "^[a-z0-9_]{1,128}$"},
        "tags": {"type": "array", "items": _TEXT},
        "webhook": {**_TEXT, "format": "uri"},
        "definition": {
            "type": "object",
            "description": "`filterGroups` joined by `operator`, or `sql`: see docs/segments.md.",
        },
    },
}
_ITEMS: Final[Schema] = {
    "type": "object",
    "properties": {"items": {"type": "array", "items": _OBJECT}},
    "required": ["items"],
}
_RUN: Final[Schema] = {
    "type": "object",
    "properties": {"state": {**_TEXT, "enum": ["RUNNING", "SUCCESS", "FAILED"]}, "rows": _WHOLE},
    "required": ["state"],
}


def _special(method: str, path: str, name: str, summary: str, **more: object) -> Special:
    parameters = {"segment": "segmentRef", "trait": "traitName", "guest": "guestRef"}
    given: dict[str, object] = {"tag": TAG, "parameters": parameters, **more}
    return Special(method=method, path=path, name=name, summary=summary, **given)  # type: ignore[arg-type]


_ONE: Final = OWN + "/{segment}"

SEGMENTS_V4: Final = (
    _special(
        "GET", V4, "listSegmentDefinitions", "List segments", perform=wire.list_v4, shown=_ITEMS
    ),
    _special(
        "GET",
        V4 + "/{segment}",
        "fetchSegmentDefinition",
        "Fetch a segment",
        perform=wire.fetch,
        shown=_SEGMENT,
    ),
)
"""What the vendor's clients read (segmentation-and-export.md 1.3)."""

OWN_SEGMENTS: Final = (
    _special("GET", OWN, "listSegments", "List segments", perform=wire.list_v4, shown=_ITEMS),
    _special(
        "POST",
        OWN,
        "createSegment",
        "Create a segment, a Draft",
        perform=wire.create,
        before=wire.check_early,
        body=_BODY | {"required": ["name", "definition"]},
        shown=_SEGMENT,
        status=201,
    ),
    _special(
        "POST",
        OWN + "/preview",
        "previewSegment",
        "Count the guests of a definition",
        perform=wire.preview,
        before=wire.check_early,
        body={"type": "object", "properties": {"definition": _OBJECT}, "required": ["definition"]},
        shown={"type": "object", "properties": {"size": _WHOLE, "total": _WHOLE}},
        own_transactions=True,
        failures=frozenset({503}),
    ),
    _special(
        "GET",
        OWN + "/fields",
        "listSegmentFields",
        "What segments may ask",
        perform=wire.fields,
        shown=_OBJECT,
    ),
    _special(
        "GET",
        OWN + "/values",
        "listSegmentValues",
        "Frequent values of a field",
        perform=wire.values,
        shown=_OBJECT,
        needs=frozenset({"entity", "field"}),
        query={
            "entity": "guest, session, event, order or order_item.",
            "field": "Name of the field.",
            "type": "Only rows of this subtype.",
            "location": "core, identifier, trait, custom, ext, or the name of a data extension.",
            "contains": "Only values that hold this text, whatever its case.",
        },
        failures=frozenset({400}),
    ),
    _special("GET", _ONE, "fetchSegment", "Fetch a segment", perform=wire.fetch, shown=_SEGMENT),
    _special(
        "PATCH",
        _ONE,
        "changeSegment",
        "Change a Draft or a Paused segment",
        perform=wire.change,
        before=wire.check_early,
        body=_BODY,
        shown=_SEGMENT,
        failures=frozenset({409}),
    ),
    _special(
        "DELETE",
        _ONE,
        "deleteSegment",
        "Delete a Draft or a Paused segment",
        perform=wire.delete,
        status=204,
        failures=frozenset({409}),
    ),
    _special(
        "POST",
        _ONE + "/start",
        "startSegment",
        "Publish: calculate, then keep it Live",
        perform=wire.start,
        shown=_SEGMENT,
        status=202,
    ),
    _special(
        "POST",
        _ONE + "/pause",
        "pauseSegment",
        "Stop calculating",
        perform=wire.pause,
        shown=_SEGMENT,
    ),
    _special(
        "POST",
        _ONE + "/run",
        "runSegment",
        "Calculate now",
        perform=wire.run,
        shown=_RUN,
        own_transactions=True,
    ),
    _special(
        "GET",
        _ONE + "/runs",
        "listSegmentRuns",
        "List runs, newest first",
        perform=wire.runs,
        shown=_ITEMS,
    ),
    _special(
        "GET",
        _ONE + "/revisions",
        "listSegmentRevisions",
        "What the segment was",
        perform=wire.revisions,
        shown=_ITEMS,
    ),
    _special(
        "GET",
        _ONE + "/guests",
        "listSegmentGuests",
        "Guests in the segment now",
        perform=wire.members,
        shown=_ITEMS,
        failures=frozenset({400}),
        query={"offset": "Guests to skip.", "limit": "Guests on the page, 100 unless told."},
    ),
    _special(
        "GET",
        _ONE + "/guests/{guest}",
        "explainSegmentGuest",
        "Whether a guest is in the segment, and why",
        perform=wire.explain,
        shown=_OBJECT,
        failures=frozenset({409}),
    ),
    _special(
        "GET", TRAITS, "listTraits", "List computed traits", perform=wire.list_traits, shown=_ITEMS
    ),
    _special(
        "PUT",
        TRAITS + "/{trait}",
        "putTrait",
        "Define a computed trait",
        perform=wire.put_trait,
        body={"type": "object", "required": ["entity", "function"]},
        shown=_OBJECT,
    ),
    _special(
        "DELETE",
        TRAITS + "/{trait}",
        "deleteTrait",
        "Remove a computed trait",
        perform=wire.delete_trait,
        status=204,
    ),
    _special(
        "GET",
        "/innkeeper/v1/guests/{guest}/traits",
        "fetchGuestTraits",
        "Computed traits and Live segments of a guest",
        perform=wire.traits_of_guest,
        shown=_OBJECT,
    ),
)
"""Everything else that segments can do, under our own paths."""
