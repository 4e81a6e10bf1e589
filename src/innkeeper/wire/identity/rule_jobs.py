"""Applications of identity rules over HTTP: apply, progress, undo as a whole."""

from datetime import datetime
from typing import Annotated, Final, Literal, get_args
from uuid import UUID

from innkeeper.actions.identity import rule_settings, rule_undo
from innkeeper.actions.paging import Page
from innkeeper.resources.base import Record
from innkeeper.resources.payload_kinds import one_of
from innkeeper.resources.payloads import Absent, Payload
from innkeeper.rules.scopes import CHANGE_RULES, READ_PERSONAL
from innkeeper.store.work import Work
from innkeeper.wire.endpoint import EndpointFamily, EndpointRequest
from innkeeper.wire.identity.merges import PATH, TAG, Merge
from innkeeper.wire.identity.rules import PreviewIdentityRulesRequest
from innkeeper.wire.payloads import Actor, ErrorText, GuestLink, Href, PageOf, Paging

RULE_JOBS: Final = EndpointFamily(TAG, PATH + "/identity")

_State = Literal["waiting", "settling", "indexing", "merging", "undoing", "done", "failed"]


_Effect = Literal["unchanged", "restored", "changed since"]


class IdentityJob(Payload):
    """The progress of a rule change."""

    href: Annotated[str, Href(PATH + "/identity/jobs/{ref}")]
    ref: UUID
    state: Annotated[_State, one_of(*get_args(_State))]
    merging: bool
    undoes: UUID | Absent
    undoable: bool
    done: int
    total: int
    merged: int
    actor: Annotated[str, Actor()] | Absent
    error: ErrorText | Absent
    created_at: datetime | Absent
    finished_at: datetime | Absent


@RULE_JOBS.endpoint(
    "POST",
    "/apply",
    "Apply rules to existing guests",
    request=PreviewIdentityRulesRequest,
    response=IdentityJob,
    status=202,
    scopes=CHANGE_RULES,
    takes_version=True,
)
async def apply_identity_rules(work: Work, request: EndpointRequest) -> Record:
    """Return the job that indexes and merges existing guests."""
    new: PreviewIdentityRulesRequest = request.payload
    return await rule_settings.apply_rules(work, new.identity_rules(), request.expected)


@RULE_JOBS.endpoint(
    "GET", "/jobs", "List rule changes", parameters=Paging, response=PageOf[IdentityJob]
)
async def list_identity_jobs(work: Work, request: EndpointRequest) -> Page:
    """Return rule changes, newest first."""
    return await rule_settings.list_jobs(work, request.parameters.page())


@RULE_JOBS.endpoint("GET", "/jobs/{job}", "Fetch a rule change", response=IdentityJob)
async def fetch_identity_job(work: Work, request: EndpointRequest) -> Record:
    """Return the progress of a rule change."""
    return await rule_settings.fetch_job(work, request.refs()["job"])


class _Undo(Payload):
    """What the undo of a rule change would do."""

    application: IdentityJob
    merges: int
    undone: int
    erased: int
    rules: Annotated[_Effect, one_of(*get_args(_Effect))]
    blocked: str | Absent
    examples: list[Merge]
    changed: list[GuestLink]
    total_changed: int


@RULE_JOBS.endpoint(
    "GET",
    "/jobs/{job}/undo",
    "Preview the undo of a rule change",
    response=_Undo,
    scopes=READ_PERSONAL,
)
async def preview_identity_undo(work: Work, request: EndpointRequest) -> Record:
    """Return what the undo of an applied rule change would do; changes nothing."""
    return await rule_undo.describe(work, request.refs()["job"])


@RULE_JOBS.endpoint(
    "POST",
    "/jobs/{job}/undo",
    "Undo a rule change",
    response=IdentityJob,
    status=202,
    scopes=CHANGE_RULES,
    failures=frozenset({409}),
)
async def undo_identity_job(work: Work, request: EndpointRequest) -> Record:
    """Return the job that undoes the merges of an applied rule change."""
    return await rule_undo.request(work, request.refs()["job"])
