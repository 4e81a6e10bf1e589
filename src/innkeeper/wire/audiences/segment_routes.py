"""The operations of `segments` as data: where they live and what they take and answer."""

from typing import Final

from innkeeper.resources.definitions import SEGMENT, SEGMENT_CHANGE, SEGMENT_DEFINITION, TRAIT
from innkeeper.wire.audiences import segments as wire
from innkeeper.wire.audiences.segments import OWN, TRAITS, V4
from innkeeper.wire.endpoint import Endpoint
from innkeeper.wire.schemas import (
    FLAG,
    INSTANT,
    NUMBER,
    REF,
    TEXT,
    TEXTS,
    URL,
    WHOLE,
    an_object,
    array_of,
    items_of,
    named,
    one_of,
    or_absent,
    ref_to,
)

TAG: Final = "Segments"
_SHARE: Final = NUMBER
_SEGMENT: Final = named(
    "Segment",
    an_object(
        ("clientKey", "ref", "href", "name", "friendlyId", "status", "type", "definition"),
        clientKey=TEXT,
        href=URL,
        ref=REF,
        name=TEXT,
        friendlyId=TEXT,
        status=one_of("DRAFT", "PUBLISHING", "SCHEDULED", "LIVE", "PAUSED"),
        type=one_of("BASIC", "ADVANCED"),
        tags=TEXTS,
        size=WHOLE,
        lastRunAt=INSTANT,
        lastLiveAt=INSTANT,
        sample=array_of(REF),
        definition=SEGMENT_DEFINITION,
        executions=ref_to("Link"),
        revisions=ref_to("Link"),
        revision=WHOLE,
        archived=FLAG,
        modifiedByRef=TEXT,
        modifiedAt=INSTANT,
        createdAt=INSTANT,
        webhook=URL,
        share=_SHARE,
        change=an_object(("guests",), guests=WHOLE, share=_SHARE),
        webhookSecret={**TEXT, "description": "Shown once, when a webhook is set."},
    ),
)
_SEGMENTS: Final = an_object(("href", "items"), href=URL, items=array_of(_SEGMENT))
_RUN: Final = named(
    "SegmentRun",
    an_object(
        ("ref", "state"),
        ref=REF,
        segmentRef=REF,
        kind=TEXT,
        state=one_of("RUNNING", "SUCCESS", "FAILED"),
        engine=TEXT,
        revision=WHOLE,
        sequence=WHOLE,
        snapshot=TEXT,
        rows=WHOLE,
        entered=WHOLE,
        departed=WHOLE,
        startedAt=INSTANT,
        finishedAt=INSTANT,
        milliseconds=WHOLE,
        error=TEXT,
    ),
)
_REVISION: Final = named(
    "SegmentRevision",
    an_object(
        ("revision", "name", "definition", "modifiedAt"),
        revision=WHOLE,
        name=TEXT,
        definition=SEGMENT_DEFINITION,
        modifiedBy=TEXT,
        modifiedAt=INSTANT,
    ),
)
_PREVIEW: Final = an_object(
    ("size", "total", "sample", "share"),
    size=WHOLE,
    total=WHOLE,
    sample=array_of(REF),
    share=or_absent(_SHARE),
)
_VALUE_SHARE: Final = {"count": WHOLE, "share": _SHARE}
_FIELDS: Final = an_object(
    ("entities", "comparators"),
    entities=array_of(
        an_object(
            ("name", "total", "types", "fields"),
            name=TEXT,
            total=WHOLE,
            types=array_of(an_object(("name", "count", "share"), name=TEXT, **_VALUE_SHARE)),
            fields=array_of(
                an_object(
                    ("location", "field", "type"),
                    location=TEXT,
                    field=TEXT,
                    type=TEXT,
                    doc=TEXT,
                    count=WHOLE,
                )
            ),
        )
    ),
    comparators=array_of(
        an_object(
            ("name", "types", "values"),
            name=TEXT,
            types=TEXTS,
            values={**array_of(WHOLE), "description": "Fewest and most values it takes."},
        )
    ),
)
_VALUES: Final = an_object(
    ("total", "values"),
    total=WHOLE,
    values=array_of(
        an_object(
            ("value", "count", "share"),
            value=TEXT,
            **_VALUE_SHARE,
            currency={**TEXT, "description": "Of an amount of money."},
        )
    ),
)
_DECIDED: Final = {"holds": FLAG, "what": TEXT, "value": {}}
_VERDICT: Final = an_object(
    ("member", "groups"),
    member=FLAG,
    groups=array_of(
        an_object(
            ("holds", "what", "value", "rules"),
            **_DECIDED,
            rules=array_of(an_object(("holds", "what", "value"), **_DECIDED)),
        )
    ),
)
_TRAIT: Final = named(
    "Trait",
    an_object(
        ("name", "type", "builtin"),
        name=TEXT,
        type=TEXT,
        doc=TEXT,
        builtin=FLAG,
        modifiedAt=INSTANT,
        definition=TRAIT,
    ),
)
_OF_GUEST: Final = an_object(
    ("traits", "segments"),
    traits={"type": "object", "additionalProperties": {"type": ["number", "string"]}},
    segments=array_of(
        an_object(
            ("ref", "friendlyId", "name", "since"),
            ref=REF,
            friendlyId=TEXT,
            name=TEXT,
            since=INSTANT,
        )
    ),
)


def _endpoint(method: str, path: str, name: str, summary: str, **more: object) -> Endpoint:
    parameters = {"segment": "segmentRef", "trait": "traitName", "guest": "guestRef"}
    given: dict[str, object] = {"tag": TAG, "path_names": parameters, **more}
    return Endpoint(method=method, path=path, name=name, summary=summary, **given)  # type: ignore[arg-type]


_ONE: Final = OWN + "/{segment}"

SEGMENTS_V4: Final = (
    _endpoint(
        "GET",
        V4,
        "listSegmentDefinitions",
        "List segments",
        perform=wire.list_v4,
        response_schema=_SEGMENTS,
    ),
    _endpoint(
        "GET",
        V4 + "/{segment}",
        "fetchSegmentDefinition",
        "Fetch a segment",
        perform=wire.fetch,
        response_schema=_SEGMENT,
        has_etag=True,
    ),
)
"""What the vendor's clients read (segmentation-and-export.md 1.3)."""

OWN_SEGMENTS: Final = (
    _endpoint(
        "GET", OWN, "listSegments", "List segments", perform=wire.list_v4, response_schema=_SEGMENTS
    ),
    _endpoint(
        "POST",
        OWN,
        "createSegment",
        "Create a segment, a Draft",
        perform=wire.create,
        before=wire.check_early,
        old_body=SEGMENT | {"required": ["name", "definition"]},
        response_schema=_SEGMENT,
        status=201,
        has_etag=True,
    ),
    _endpoint(
        "POST",
        OWN + "/preview",
        "previewSegment",
        "Count the guests of a definition",
        perform=wire.preview,
        before=wire.check_early,
        old_body=an_object(("definition",), definition=SEGMENT_DEFINITION),
        response_schema=_PREVIEW,
        own_transactions=True,
        failures=frozenset({503}),
    ),
    _endpoint(
        "GET",
        OWN + "/fields",
        "listSegmentFields",
        "What segments may ask",
        perform=wire.fields,
        response_schema=_FIELDS,
    ),
    _endpoint(
        "GET",
        OWN + "/values",
        "listSegmentValues",
        "Frequent values of a field",
        perform=wire.values,
        response_schema=_VALUES,
        needs=frozenset({"entity", "field"}),
        old_query={
            "entity": "guest, session, event, order or order_item.",
            "field": "Name of the field.",
            "type": "Only rows of this subtype.",
            "location": "core, identifier, trait, custom, ext, or the name of a data extension.",
            "contains": "Only values that hold this text, whatever its case.",
        },
        failures=frozenset({400}),
    ),
    _endpoint(
        "GET",
        _ONE,
        "fetchSegment",
        "Fetch a segment",
        perform=wire.fetch,
        response_schema=_SEGMENT,
        has_etag=True,
    ),
    _endpoint(
        "PATCH",
        _ONE,
        "changeSegment",
        "Change a Draft or a Paused segment",
        perform=wire.change,
        before=wire.check_early,
        old_body=SEGMENT_CHANGE,
        response_schema=_SEGMENT,
        has_etag=True,
        takes_version=True,
        failures=frozenset({409}),
    ),
    _endpoint(
        "DELETE",
        _ONE,
        "deleteSegment",
        "Delete a Draft or a Paused segment",
        perform=wire.delete,
        status=204,
        takes_version=True,
        failures=frozenset({409}),
    ),
    _endpoint(
        "POST",
        _ONE + "/start",
        "startSegment",
        "Publish: calculate, then keep it Live",
        perform=wire.start,
        response_schema=_SEGMENT,
        status=202,
    ),
    _endpoint(
        "POST",
        _ONE + "/pause",
        "pauseSegment",
        "Stop calculating",
        perform=wire.pause,
        response_schema=_SEGMENT,
    ),
    _endpoint(
        "POST",
        _ONE + "/run",
        "runSegment",
        "Calculate now",
        perform=wire.run,
        response_schema=_RUN,
        own_transactions=True,
    ),
    _endpoint(
        "GET",
        _ONE + "/runs",
        "listSegmentRuns",
        "List runs, newest first",
        perform=wire.runs,
        response_schema=items_of(_RUN),
    ),
    _endpoint(
        "GET",
        _ONE + "/revisions",
        "listSegmentRevisions",
        "What the segment was",
        perform=wire.revisions,
        response_schema=items_of(_REVISION),
    ),
    _endpoint(
        "GET",
        _ONE + "/guests",
        "listSegmentGuests",
        "Guests in the segment now",
        perform=wire.members,
        response_schema=an_object(("totalCount", "items"), totalCount=WHOLE, items=array_of(REF)),
        failures=frozenset({400}),
        old_query={"offset": "Guests to skip.", "limit": "Guests on the page, 100 unless told."},
    ),
    _endpoint(
        "GET",
        _ONE + "/guests/{guest}",
        "explainSegmentGuest",
        "Whether a guest is in the segment, and why",
        perform=wire.explain,
        response_schema=_VERDICT,
        failures=frozenset({409}),
    ),
    _endpoint(
        "GET",
        TRAITS,
        "listTraits",
        "List computed traits",
        perform=wire.list_traits,
        response_schema=items_of(_TRAIT),
    ),
    _endpoint(
        "GET",
        TRAITS + "/{trait}",
        "fetchTrait",
        "Fetch a computed trait",
        perform=wire.fetch_trait,
        response_schema=_TRAIT,
        has_etag=True,
    ),
    _endpoint(
        "PUT",
        TRAITS + "/{trait}",
        "putTrait",
        "Define a computed trait",
        perform=wire.put_trait,
        old_body=TRAIT | {"title": "PutTraitBody", "required": ["entity", "function"]},
        response_schema=_TRAIT,
        has_etag=True,
        takes_version=True,
        failures=frozenset({409}),
    ),
    _endpoint(
        "DELETE",
        TRAITS + "/{trait}",
        "deleteTrait",
        "Remove a computed trait",
        perform=wire.delete_trait,
        status=204,
        takes_version=True,
        failures=frozenset({409}),
    ),
    _endpoint(
        "GET",
        "/innkeeper/v1/guests/{guest}/traits",
        "fetchGuestTraits",
        "Computed traits and Live segments of a guest",
        perform=wire.traits_of_guest,
        response_schema=_OF_GUEST,
    ),
)
"""Everything else that segments can do, under our own paths."""
