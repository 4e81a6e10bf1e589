"""The operations of `identity` as data: where they live and what they take and answer."""

from typing import Any, Final

from innkeeper.resources.kinds import Schema
from innkeeper.rules import placeholders
from innkeeper.wire.recognition import identity
from innkeeper.wire.recognition.identity import MAX_NAME, OWN, RULES, TAG
from innkeeper.wire.specials import Special

_TEXT: Final[Schema] = {"type": "string"}
_WHOLE: Final[Schema] = {"type": "integer"}
_TIME: Final[Schema] = {"type": "string", "format": "date-time"}


def _object(required: tuple[str, ...] = (), **properties: Schema) -> Schema:
    out: Schema = {"type": "object", "properties": properties}
    return out | ({"required": list(required)} if required else {})


def _array(of: Schema) -> Schema:
    return {"type": "array", "items": of}


_LINK: Final = _object(("ref", "href"), ref={**_TEXT, "format": "uuid"}, href=_TEXT)
_EVIDENCE: Final = _array(_object(("value",), provider=_TEXT, field=_TEXT, value=_TEXT))
_RULE: Final = _object(
    ("identityRule", "providers"),
    identityRule={**_TEXT, "minLength": 1, "maxLength": MAX_NAME},
    providers=_array({**_TEXT, "minLength": 1}),
    fields=_array({**_TEXT, "enum": list(identity.FIELD_NAMES)}),
)
_RULES: Final = _object(("rules",), rules=_array(_RULE))
_MERGE: Final = _object(
    ("ref", "href", "survivor", "absorbed", "evidence", "source", "actor", "mergedAt"),
    ref={**_TEXT, "format": "uuid"},
    href=_TEXT,
    survivor=_LINK,
    absorbed=_LINK,
    rule=_TEXT,
    evidence=_EVIDENCE,
    source=_TEXT,
    actor=_TEXT,
    mergedAt=_TIME,
    undoneAt=_TIME,
    undoneBy=_TEXT,
)
_STATES: Final = ("waiting", "settling", "indexing", "merging", "done", "failed")
_JOB: Final = _object(
    ("ref", "state", "merging", "done", "total", "merged"),
    ref={**_TEXT, "format": "uuid"},
    state={**_TEXT, "enum": list(_STATES)},
    merging={"type": "boolean"},
    done=_WHOLE,
    total=_WHOLE,
    merged=_WHOLE,
    actor=_TEXT,
    error=_TEXT,
    createdAt=_TIME,
    finishedAt=_TIME,
)
_GUARDED: Final = _object(
    ("reason", "guests", "evidence"),
    reason=_TEXT,
    rule=_TEXT,
    evidence=_EVIDENCE,
    guests=_array(_LINK),
    size=_WHOLE,
    source=_TEXT,
    sourceRef=_TEXT,
    actor=_TEXT,
    guardedAt=_TIME,
)
_GROUP: Final = _object(
    ("survivor", "size", "absorbed"),
    survivor=_LINK,
    size=_WHOLE,
    absorbed=_array(_object(("guest",), guest=_LINK, rule=_TEXT, evidence=_EVIDENCE)),
)
_PREVIEW: Final = _object(
    ("guests", "merging", "groups", "largest", "samples", "guarded"),
    guests=_WHOLE,
    merging=_WHOLE,
    groups=_WHOLE,
    largest=_array(_GROUP),
    samples=_array(_GROUP),
    guarded=_array(_GUARDED),
)
_WHY: Final = _object(
    ("guest", "guests", "merges", "joined"),
    guest=_LINK,
    guests=_array(_LINK),
    merges=_array(_MERGE),
    joined=_array(
        _object(
            ("guest", "evidence", "source", "joinedAt"),
            guest=_LINK,
            rule=_TEXT,
            evidence=_EVIDENCE,
            source=_TEXT,
            sourceRef=_TEXT,
            actor=_TEXT,
            joinedAt=_TIME,
        )
    ),
)
_GUARDS: Final = _object(
    groupLimit={"type": ["integer", "null"], "minimum": 1, "maximum": 2**31 - 1},
    region={"type": ["string", "null"]},
    never={"type": ["array", "null"], "items": _TEXT, "maxItems": placeholders.MOST},
)
_GUARD_CHANGES: Final = {
    **_GUARDS,
    "properties": {
        **_GUARDS["properties"],
        "addNever": {**_array(_TEXT), "description": "Values to add to `never`."},
        "removeNever": {**_array(_TEXT), "description": "Values to take off it."},
    },
}
_PAGING: Final = {"offset": "Items to skip.", "limit": "Items on the page, at most 100."}


def _page(of: Schema) -> Schema:
    return _object(("href", "items"), href=_TEXT, totalCount=_WHOLE, items=_array(of))


def _tenant(method: str, path: str, name: str, summary: str, perform: Any, **more: Any) -> Special:
    more = {"tag": "Configuration (v2)"} | more
    return Special(
        method=method, path=RULES + path, name=name, summary=summary, perform=perform, **more
    )


def _own(method: str, path: str, name: str, summary: str, perform: Any, **more: Any) -> Special:
    more = {"tag": TAG, "failures": frozenset({400})} | more
    return Special(
        method=method, path=OWN + path, name=name, summary=summary, perform=perform, **more
    )


TENANT_RULES: Final = (
    _tenant(
        "GET",
        "",
        "listIdentityRules",
        "List identity rules",
        identity.list_rules,
        shown=_array(_RULE),
    ),
    _tenant(
        "POST",
        "",
        "createIdentityRule",
        "Create an identity rule",
        identity.create_rule,
        body=_RULE | {"required": ["identityRule"]},
        shown=_RULE,
        status=201,
    ),
    _tenant(
        "DELETE",
        "/{name}",
        "deleteIdentityRule",
        "Delete an identity rule",
        identity.delete_rule,
        shown=_object(name=_TEXT),
    ),
)

OWN_IDENTITY: Final = (
    _own(
        "GET",
        "/identity/rules",
        "fetchIdentityRules",
        "Fetch the identity rules in order",
        identity.own_rules,
        shown=_RULES,
    ),
    _own(
        "PUT",
        "/identity/rules",
        "replaceIdentityRules",
        "Replace the identity rules",
        identity.replace_rules,
        body=_RULES,
        shown=_RULES,
    ),
    _own(
        "POST",
        "/identity/reorder",
        "reorderIdentityRules",
        "Reorder the identity rules",
        identity.reorder_rules,
        body=_object(("identityRules",), identityRules=_array(_TEXT)),
        shown=_RULES,
    ),
    _own(
        "POST",
        "/identity/preview",
        "previewIdentityRules",
        "Preview what rules would merge",
        identity.preview,
        body=_object(rules=_array(_RULE)),
        shown=_PREVIEW,
    ),
    _own(
        "POST",
        "/identity/apply",
        "applyIdentityRules",
        "Apply rules to existing guests",
        identity.apply,
        body=_object(rules=_array(_RULE)),
        shown=_JOB,
        status=202,
    ),
    _own(
        "GET",
        "/identity/jobs",
        "listIdentityJobs",
        "List rule changes",
        identity.list_jobs,
        shown=_page(_JOB),
        query=_PAGING,
    ),
    _own(
        "GET",
        "/identity/jobs/{job}",
        "fetchIdentityJob",
        "Fetch a rule change",
        identity.fetch_job,
        shown=_JOB,
    ),
    _own(
        "GET",
        "/identity/guards",
        "fetchIdentityGuards",
        "Fetch what guards go by",
        identity.fetch_guards,
        shown=_GUARDS,
    ),
    _own(
        "PATCH",
        "/identity/guards",
        "changeIdentityGuards",
        "Change what guards go by",
        identity.change_guards,
        body=_GUARD_CHANGES,
        shown=_GUARDS,
    ),
    _own(
        "GET",
        "/identity/guarded",
        "listIdentityGuarded",
        "List what guards stopped",
        identity.list_guarded,
        shown=_page(_GUARDED),
        query=_PAGING,
    ),
    _own(
        "GET",
        "/guests/{guest}/identity",
        "explainGuest",
        "Explain why a guest is who it is",
        identity.why,
        shown=_WHY,
    ),
    _own(
        "GET",
        "/guests/{guest}/identity/history",
        "listGuestHistory",
        "List merges and undos of a guest",
        identity.history,
        shown=_array(_object(("event", "at", "by"), event=_TEXT, at=_TIME, by=_TEXT, merge=_MERGE)),
    ),
    _own(
        "GET",
        "/merges",
        "listMerges",
        "List merges",
        identity.list_merges,
        shown=_page(_MERGE),
        query={"guestRef": "Only those of this guest.", **_PAGING},
    ),
    _own(
        "POST",
        "/merges",
        "createMerge",
        "Merge two guests",
        identity.create_merge,
        body=_object(("survivor", "absorbed"), survivor=_TEXT, absorbed=_TEXT),
        shown=_MERGE,
        status=201,
    ),
    _own(
        "GET", "/merges/{merge}", "fetchMerge", "Fetch a merge", identity.fetch_merge, shown=_MERGE
    ),
    _own(
        "POST",
        "/merges/{merge}/undo",
        "undoMerge",
        "Undo a merge",
        identity.undo_merge,
        shown=_MERGE,
    ),
)
