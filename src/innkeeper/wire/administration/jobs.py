"""`/innkeeper/v1/jobs`: the jobs that users wait for, and the demo data of a sandbox."""

from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

from innkeeper.actions.admin import long_jobs
from innkeeper.actions.console import demo_loads
from innkeeper.resources.base import Record
from innkeeper.resources.kinds import Whole
from innkeeper.resources.payload_kinds import one_of
from innkeeper.resources.payloads import Absent, Payload
from innkeeper.rules.scopes import Scope
from innkeeper.store.work import Work
from innkeeper.wire.endpoint import EndpointFamily, EndpointRequest
from innkeeper.wire.payloads import ErrorText

JOBS: Final = EndpointFamily("Jobs", "/innkeeper/v1")
_PATHS: Final = {
    "import": "imports/{ref}",
    "undo": "imports/{ref}/undo",
    "export": "exports/{friendly_id}",
    "file_export": "fileExports/{ref}",
    "segment": "segments/{ref}",
    "identity_rules": "identity/jobs/{ref}",
    **dict.fromkeys(("add_to_list", "remove_from_list", "erase"), "bulkActions/{ref}"),
}


class LongJob(Payload):
    """A job that users wait for."""

    kind: Annotated[str, one_of(*long_jobs.KINDS)]
    ref: Annotated[UUID, "Of the import, execution, segment or other thing."]
    href: str | Absent
    name: str | Absent
    state: Annotated[str, one_of(*long_jobs.STATES)]
    done: Annotated[int, "Lines or records so far."] | Absent
    total: Annotated[int, "How many there are."] | Absent
    error: ErrorText | Absent
    started_at: datetime
    finished_at: datetime | Absent


class LongJobs(Payload):
    """The newest jobs, unfinished ones first."""

    unfinished: int
    items: list[LongJob]


class DemoLoad(Payload):
    """A load of demo data."""

    ref: UUID
    state: Annotated[str, one_of(*long_jobs.STATES)]
    done: int
    total: Annotated[int, "How many guests are written."]


class LoadDemoRequest(Payload):
    """How large the demo shop is."""

    guests: Annotated[int, Whole(1, demo_loads.MOST_GUESTS)] = demo_loads.GUESTS


@JOBS.endpoint("GET", "/jobs", "List long jobs", response=LongJobs)
async def list_long_jobs(work: Work, request: EndpointRequest) -> Record:
    """Return the newest jobs of each kind: running, ended or failed, with their progress."""
    rows = await long_jobs.list_newest(work, long_jobs.MOST_JOBS)
    items = [{**row, "href": _href(row, request.base)} for row in rows]
    return {"items": items, "unfinished": rows[0]["unfinished"] if rows else 0}


@JOBS.endpoint(
    "POST",
    "/demo",
    "Load demo data into a sandbox",
    request=LoadDemoRequest,
    response=DemoLoad,
    status=202,
    scopes=frozenset({Scope.WRITE, Scope.ADMINISTRATION}),
    failures=frozenset({409}),
)
async def load_demo(work: Work, request: EndpointRequest) -> Record:
    """Fill the sandbox, which must have no guests, with a demo shop in the background."""
    payload: LoadDemoRequest = request.payload
    return await demo_loads.start(work, payload.guests)


def _href(row: dict[str, Any], base: str) -> str | None:
    path = _PATHS.get(row["kind"])
    return path and f"{base}/innkeeper/v1/{path.format(**row)}"
