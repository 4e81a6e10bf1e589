"""The operations of `identity` as data: where they live and what they take and answer."""

from typing import Any, Final

from innkeeper.rules import placeholders
from innkeeper.wire.endpoint import Endpoint
from innkeeper.wire.identity import identity
from innkeeper.wire.identity.identity import MAX_NAME, OWN, RULES, TAG
from innkeeper.wire.schemas import (
    DONE,
    FLAG,
    INSTANT,
    PAGING,
    REF,
    REFERENCE,
    TEXT,
    TEXTS,
    URL,
    WHOLE,
    an_object,
    array_of,
    named,
    one_of,
    page_of,
)

_EVIDENCE: Final = array_of(an_object(("value",), provider=TEXT, field=TEXT, value=TEXT))
_RULE: Final = named(
    "IdentityRule",
    an_object(
        ("identityRule", "providers"),
        identityRule={**TEXT, "minLength": 1, "maxLength": MAX_NAME},
        providers=array_of({**TEXT, "minLength": 1}),
        fields=array_of(one_of(*identity.FIELD_NAMES)),
    ),
)
_RULES: Final = an_object(("rules",), rules=array_of(_RULE))
_MERGE: Final = named(
    "Merge",
    an_object(
        ("ref", "href", "survivor", "absorbed", "evidence", "source", "actor", "mergedAt"),
        ref=REF,
        href=URL,
        survivor=REFERENCE,
        absorbed=REFERENCE,
        rule=TEXT,
        evidence=_EVIDENCE,
        source=TEXT,
        actor=TEXT,
        mergedAt=INSTANT,
        undoneAt=INSTANT,
        undoneBy=TEXT,
    ),
)
_STATES: Final = ("waiting", "settling", "indexing", "merging", "done", "failed")
_JOB: Final = named(
    "IdentityJob",
    an_object(
        ("ref", "state", "merging", "done", "total", "merged"),
        href=URL,
        ref=REF,
        state=one_of(*_STATES),
        merging=FLAG,
        done=WHOLE,
        total=WHOLE,
        merged=WHOLE,
        actor=TEXT,
        error=TEXT,
        createdAt=INSTANT,
        finishedAt=INSTANT,
    ),
)
_GUARDED: Final = named(
    "Guarded",
    an_object(
        ("reason", "guests", "evidence"),
        reason=TEXT,
        rule=TEXT,
        evidence=_EVIDENCE,
        guests=array_of(REFERENCE),
        size=WHOLE,
        source=TEXT,
        sourceRef=TEXT,
        actor=TEXT,
        guardedAt=INSTANT,
    ),
)
_GROUP: Final = named(
    "PreviewedGroup",
    an_object(
        ("survivor", "size", "absorbed"),
        survivor=REFERENCE,
        size=WHOLE,
        absorbed=array_of(an_object(("guest",), guest=REFERENCE, rule=TEXT, evidence=_EVIDENCE)),
    ),
)
_PREVIEW: Final = an_object(
    ("guests", "merging", "groups", "largest", "samples", "guarded"),
    guests=WHOLE,
    merging=WHOLE,
    groups=WHOLE,
    largest=array_of(_GROUP),
    samples=array_of(_GROUP),
    guarded=array_of(_GUARDED),
)
_JOINED: Final = named(
    "JoinedRecord",
    an_object(
        ("guest", "evidence", "source", "joinedAt"),
        guest=REFERENCE,
        rule=TEXT,
        evidence=_EVIDENCE,
        source=TEXT,
        sourceRef=TEXT,
        actor=TEXT,
        joinedAt=INSTANT,
    ),
)
_WHY: Final = an_object(
    ("guest", "guests", "merges", "joined"),
    guest=REFERENCE,
    guests=array_of(REFERENCE),
    merges=array_of(_MERGE),
    joined=array_of(_JOINED),
)
_GUARDS: Final = an_object(
    groupLimit={"type": ["integer", "null"], "minimum": 1, "maximum": 2**31 - 1},
    region={"type": ["string", "null"]},
    never={"type": ["array", "null"], "items": TEXT, "maxItems": placeholders.MOST},
)
_GUARD_CHANGES: Final = an_object(
    **_GUARDS["properties"],
    addNever={**TEXTS, "description": "Values to add to `never`."},
    removeNever={**TEXTS, "description": "Values to take off it."},
)


def _tenant(method: str, path: str, name: str, summary: str, perform: Any, **more: Any) -> Endpoint:
    more = {"tag": "Configuration (v2)"} | more
    return Endpoint(
        method=method, path=RULES + path, name=name, summary=summary, perform=perform, **more
    )


def _own(method: str, path: str, name: str, summary: str, perform: Any, **more: Any) -> Endpoint:
    more = {"tag": TAG, "failures": frozenset({400})} | more
    return Endpoint(
        method=method, path=OWN + path, name=name, summary=summary, perform=perform, **more
    )


TENANT_RULES: Final = (
    _tenant(
        "GET",
        "",
        "listIdentityRules",
        "List identity rules",
        identity.list_rules,
        response_schema=array_of(_RULE),
    ),
    _tenant(
        "POST",
        "",
        "createIdentityRule",
        "Create an identity rule",
        identity.create_rule,
        old_body=_RULE | {"title": "CreateIdentityRuleBody", "required": ["identityRule"]},
        response_schema=an_object((*_RULE["required"], *DONE), **_RULE["properties"], **DONE),
        status=201,
        failures=frozenset({409}),
    ),
    _tenant(
        "DELETE",
        "/{name}",
        "deleteIdentityRule",
        "Delete an identity rule",
        identity.delete_rule,
        response_schema=an_object(tuple(DONE), **DONE),
    ),
)

OWN_IDENTITY: Final = (
    _own(
        "GET",
        "/identity/rules",
        "fetchIdentityRules",
        "Fetch the identity rules in order",
        identity.own_rules,
        response_schema=_RULES,
        has_etag=True,
    ),
    _own(
        "PUT",
        "/identity/rules",
        "replaceIdentityRules",
        "Replace the identity rules",
        identity.replace_rules,
        old_body=_RULES,
        response_schema=_RULES,
        has_etag=True,
        takes_version=True,
    ),
    _own(
        "POST",
        "/identity/reorder",
        "reorderIdentityRules",
        "Reorder the identity rules",
        identity.reorder_rules,
        old_body=an_object(("identityRules",), identityRules=array_of(TEXT)),
        response_schema=_RULES,
        has_etag=True,
        takes_version=True,
    ),
    _own(
        "POST",
        "/identity/preview",
        "previewIdentityRules",
        "Preview what rules would merge",
        identity.preview,
        old_body=an_object(rules=array_of(_RULE)),
        response_schema=_PREVIEW,
    ),
    _own(
        "POST",
        "/identity/apply",
        "applyIdentityRules",
        "Apply rules to existing guests",
        identity.apply,
        old_body=an_object(rules=array_of(_RULE)),
        response_schema=_JOB,
        status=202,
        takes_version=True,
    ),
    _own(
        "GET",
        "/identity/jobs",
        "listIdentityJobs",
        "List rule changes",
        identity.list_jobs,
        response_schema=page_of(_JOB),
        old_query=PAGING,
    ),
    _own(
        "GET",
        "/identity/jobs/{job}",
        "fetchIdentityJob",
        "Fetch a rule change",
        identity.fetch_job,
        response_schema=_JOB,
    ),
    _own(
        "GET",
        "/identity/guards",
        "fetchIdentityGuards",
        "Fetch what guards go by",
        identity.fetch_guards,
        response_schema=_GUARDS,
        has_etag=True,
    ),
    _own(
        "PATCH",
        "/identity/guards",
        "changeIdentityGuards",
        "Change what guards go by",
        identity.change_guards,
        old_body=_GUARD_CHANGES,
        response_schema=_GUARDS,
        has_etag=True,
        takes_version=True,
    ),
    _own(
        "GET",
        "/identity/guarded",
        "listIdentityGuarded",
        "List what guards stopped",
        identity.list_guarded,
        response_schema=page_of(_GUARDED),
        old_query=PAGING,
    ),
    _own(
        "GET",
        "/guests/{guest}/identity",
        "explainGuest",
        "Explain why a guest is who it is",
        identity.why,
        response_schema=_WHY,
    ),
    _own(
        "GET",
        "/guests/{guest}/identity/history",
        "listGuestHistory",
        "List merges and undos of a guest",
        identity.history,
        response_schema=array_of(
            an_object(("event", "at", "by"), event=TEXT, at=INSTANT, by=TEXT, merge=_MERGE)
        ),
    ),
    _own(
        "GET",
        "/merges",
        "listMerges",
        "List merges",
        identity.list_merges,
        response_schema=page_of(_MERGE),
        old_query={"guestRef": "Only those of this guest.", **PAGING},
    ),
    _own(
        "POST",
        "/merges",
        "createMerge",
        "Merge two guests",
        identity.create_merge,
        old_body=an_object(("survivor", "absorbed"), survivor=TEXT, absorbed=TEXT),
        response_schema=_MERGE,
        status=201,
    ),
    _own(
        "GET",
        "/merges/{merge}",
        "fetchMerge",
        "Fetch a merge",
        identity.fetch_merge,
        response_schema=_MERGE,
    ),
    _own(
        "POST",
        "/merges/{merge}/undo",
        "undoMerge",
        "Undo a merge",
        identity.undo_merge,
        response_schema=_MERGE,
    ),
)
