"""Segments as clients see them: the vendor's reads under /v4, ours under /innkeeper/v1."""

from typing import Any, Final
from uuid import UUID

from innkeeper.actions.admin.stored_secrets import webhook_secret
from innkeeper.actions.audiences import segment_catalogue, segment_runs, segments, traits
from innkeeper.actions.records.guests import fetch as fetch_guest
from innkeeper.errors import Invalid, Problem
from innkeeper.resources.base import Record
from innkeeper.resources.segments import CORE, STRING
from innkeeper.resources.values import iso, ref_in
from innkeeper.rules.personal import is_page_address, is_personal, without_personal
from innkeeper.rules.scopes import Scope
from innkeeper.rules.segment_matching import Decided, Verdict
from innkeeper.store.work import Work
from innkeeper.wire.endpoint import EndpointRequest, EndpointResponse
from innkeeper.wire.etags import etag_of
from innkeeper.wire.naming import camel
from innkeeper.wire.pagination import page_request_of
from innkeeper.wire.scopes import masked_actor, refuse_lacking, require_for_definition

V4: Final = "/v4/segmentDefinitions"
OWN: Final = "/innkeeper/v1/segments"
TRAITS: Final = "/innkeeper/v1/traits"
MOST: Final = 10_000


def represent(row: Record, request: EndpointRequest, client_key: str) -> dict[str, Any]:
    """A segment in the vendor's form (1.3), with what is ours beside it."""
    base = request.base
    href = f"{base}{V4}/{row['ref']}"
    item: dict[str, Any] = {
        "clientKey": client_key,
        "href": href,
        "ref": row["ref"],
        "name": row["name"],
        "friendlyId": row["friendly_id"],
        "status": row["status"],
        "type": "ADVANCED" if "sql" in row["definition"] else "BASIC",
        "tags": row["tags"],
        "size": row["size"],
        "lastRunAt": row["last_run_at"],
        "lastLiveAt": row["last_live_at"],
        "sample": row["sample"],
        "definition": _definition_of(row, request),
        "executions": {"href": f"{base}{OWN}/{row['ref']}/runs"},
        "revisions": {"href": f"{base}{OWN}/{row['ref']}/revisions"},
        "revision": row["revision"],
        "archived": row["archived"],
        "modifiedByRef": masked_actor(row["modified_by"], request.scopes),
        "modifiedAt": row["modified_at"],
        "createdAt": row["created_at"],
        "webhook": row["webhook"],
        "share": _share(row["size"], row["total"]),
        "change": _change(row),
    }
    return {name: _plain(value) for name, value in item.items() if value is not None}


def _share(size: int | None, total: int | None) -> float | None:
    return None if not total or size is None else round(size / total, 6)


def _change(row: Record) -> dict[str, Any] | None:
    """How the size differs from the run before (1.4)."""
    before, size = row["previous_size"], row["size"]
    if before is None or size is None:
        return None
    share = round((size - before) / before, 6) if before else None
    return {"guests": size - before} | ({} if share is None else {"share": share})


def _plain(value: Any) -> Any:
    return iso(value) if hasattr(value, "isoformat") and hasattr(value, "tzinfo") else value


def _record(row: Record, *names: str) -> dict[str, Any]:
    return {camel(name): _plain(row[name]) for name in names if row.get(name) is not None}


async def list_v4(work: Work, request: EndpointRequest) -> EndpointResponse:
    """`{href, items}`: every segment."""
    items = [represent(row, request, work.actor) for row in await segments.list_all(work)]
    return EndpointResponse({"href": request.base + V4, "items": items})


async def fetch(work: Work, request: EndpointRequest) -> EndpointResponse:
    """One segment by ref or friendly id."""
    row = await segments.fetch(work, _segment(request))
    return EndpointResponse(represent(row, request, work.actor), etag=etag_of(row))


async def check_early(request: EndpointRequest) -> None:
    """Check the SQL of a body before a connection is taken."""
    await segments.check_sql_early((request.body or {}).get("definition"))


async def create(work: Work, request: EndpointRequest) -> EndpointResponse:
    """201 with the Draft; the secret that its webhook's messages are signed with, once."""
    require_for_definition(request.body, request.scopes)
    row = await segments.create(work, request.body or {}, request.problems)
    body = represent(row, request, work.actor) | _secret(work, row)
    return EndpointResponse(body, 201, f"{request.base}{OWN}/{row['ref']}", etag=etag_of(row))


async def change(work: Work, request: EndpointRequest) -> EndpointResponse:
    """200 with the segment as it is now."""
    require_for_definition(request.body, request.scopes)
    row = await segments.change(
        work, _segment(request), request.body or {}, request.expected, request.problems
    )
    return EndpointResponse(
        represent(row, request, work.actor) | _secret(work, row), etag=etag_of(row)
    )


async def delete(work: Work, request: EndpointRequest) -> EndpointResponse:
    """204."""
    await segments.delete(work, _segment(request), expected=request.expected)
    return EndpointResponse(status=204)


async def start(work: Work, request: EndpointRequest) -> EndpointResponse:
    """202 with the segment, which is Publishing."""
    row = await segments.start(work, _segment(request))
    return EndpointResponse(represent(row, request, work.actor), 202)


async def pause(work: Work, request: EndpointRequest) -> EndpointResponse:
    """200 with the segment, which is Paused."""
    return EndpointResponse(
        represent(await segments.pause(work, _segment(request)), request, work.actor)
    )


async def run(work: Work, request: EndpointRequest) -> EndpointResponse:
    """200 with the run, failed or not."""
    return EndpointResponse(_run(await segment_runs.run(work, _segment(request))))


async def runs(work: Work, request: EndpointRequest) -> EndpointResponse:
    """Every run, newest first."""
    rows = await segment_runs.runs(work, _segment(request))
    return EndpointResponse({"items": [_run(row) for row in rows]})


async def revisions(work: Work, request: EndpointRequest) -> EndpointResponse:
    """What the segment was, newest first."""
    rows = await segments.revisions(work, _segment(request))
    names = ("revision", "name", "definition", "modified_by", "modified_at")
    items = []
    for row in rows:
        actor = masked_actor(row["modified_by"], request.scopes)
        members = {"definition": _definition_of(row, request), "modified_by": actor}
        items.append(_record({**row, **members}, *names))
    return EndpointResponse({"items": items})


async def preview(work: Work, request: EndpointRequest) -> EndpointResponse:
    """How many guests a definition would hold."""
    require_for_definition(request.body, request.scopes)
    result = await segments.preview(work, _definition(request), request.problems)
    return EndpointResponse({**result, "share": _share(result["size"], result["total"])})


async def members(work: Work, request: EndpointRequest) -> EndpointResponse:
    """Refs of the guests in the segment now, asked of the lake."""
    page_request = page_request_of(request.query, default_limit=100, max_limit=MOST)
    size, items = await segment_catalogue.list_members(work, _segment(request), page_request)
    return EndpointResponse({"totalCount": size, "items": items})


async def explain(work: Work, request: EndpointRequest) -> EndpointResponse:
    """Whether a guest is in the segment now, and why."""
    guest: UUID = request.refs()["guest"]
    verdict = await segments.explain(work, _segment(request), guest)
    return EndpointResponse(_verdict(verdict))


async def fields(work: Work, _: EndpointRequest) -> EndpointResponse:
    """What a builder offers: entities, subtypes in use, fields, comparators."""
    return EndpointResponse(await segment_catalogue.list_fields(work))


async def values(work: Work, request: EndpointRequest) -> EndpointResponse:
    """The most frequent values of a field, with their shares."""
    for name in ("entity", "field"):
        if not request.query.get(name):
            raise Invalid(Problem(name, "may not be null.", missing=True))
    if not request.personal:
        where = request.query.get("location", CORE)
        # Values are texts, whatever the field is.
        field = request.query["field"]
        if is_personal(field, where, STRING) or (where == CORE and is_page_address(field)):
            refuse_lacking({Scope.PERSONAL_DATA})
    result = await segment_catalogue.list_values(
        work,
        request.query["entity"],
        request.query.get("type"),
        request.query.get("location", "core"),
        request.query["field"],
        request.query.get("contains", ""),
    )
    return EndpointResponse(result)


async def list_traits(work: Work, request: EndpointRequest) -> EndpointResponse:
    """Every computed trait."""
    items = [
        {
            **_record(row, "name", "type", "doc", "builtin", "modified_at"),
            **_with_definition(row, request),
        }
        for row in await traits.list_all(work)
    ]
    return EndpointResponse({"items": items})


async def fetch_trait(work: Work, request: EndpointRequest) -> EndpointResponse:
    """One computed trait, built in or not."""
    return _trait(await traits.fetch(work, request.refs()["trait"]), request)


async def put_trait(work: Work, request: EndpointRequest) -> EndpointResponse:
    """200 with the trait."""
    require_for_definition(request.body, request.scopes)
    name, body = request.path["trait"], request.body or {}
    row = await traits.put(work, name, body, request.expected, problems=request.problems)
    return _trait(row, request)


def _trait(row: Record, request: EndpointRequest) -> EndpointResponse:
    doc = {"doc": row["doc"]} if row.get("doc") else {}
    item = _record(row, "name", "type", "builtin", "modified_at") | doc
    etag = etag_of(row) if "modified_at" in row else None
    return EndpointResponse(item | _with_definition(row, request), etag=etag)


async def delete_trait(work: Work, request: EndpointRequest) -> EndpointResponse:
    """204."""
    await traits.delete(work, request.refs()["trait"], request.expected)
    return EndpointResponse(status=204)


async def traits_of_guest(work: Work, request: EndpointRequest) -> EndpointResponse:
    """Every computed trait of a guest, and the Live segments that hold it."""
    guest: UUID = request.refs()["guest"]
    await fetch_guest(work, guest)
    computed = await traits.compute_for_guest(work, guest)
    rows = await segments.of_guest(work, guest)
    return EndpointResponse(
        {
            "traits": {
                name: _plain(value) for name, value in computed.items() if value is not None
            },
            "segments": [_record(row, "ref", "friendly_id", "name", "since") for row in rows],
        }
    )


def _segment(request: EndpointRequest) -> UUID | str:
    text = request.path["segment"]
    return ref_in(text) or text


def _secret(work: Work, row: Record) -> dict[str, Any]:
    stored = row["webhook_secret"]
    return {"webhookSecret": webhook_secret(work.settings, stored)} if stored else {}


def _definition_of(row: Record, request: EndpointRequest) -> Any:
    return row["definition"] if request.personal else without_personal(row["definition"])


def _with_definition(row: Record, request: EndpointRequest) -> dict[str, Any]:
    return {"definition": _definition_of(row, request)} if "definition" in row else {}


def _run(row: Record) -> dict[str, Any]:
    names = ("ref", "segment_ref", "kind", "state", "engine", "revision", "sequence", "snapshot")
    more = ("rows", "entered", "departed", "started_at", "finished_at", "error")
    item = _record(row, *names, *more)
    if row.get("finished_at") and row.get("started_at"):
        seconds = (row["finished_at"] - row["started_at"]).total_seconds()
        item["milliseconds"] = round(seconds * 1000)
    return item


def _verdict(verdict: Verdict) -> dict[str, Any]:
    def represent_decision(decided: Decided) -> dict[str, Any]:
        value = decided.value
        value = [str(each) for each in value] if isinstance(value, list) else _plain(value)
        return {"holds": decided.holds, "what": decided.what, "value": value}

    return {
        "member": verdict.member,
        "groups": [
            {**represent_decision(group), "rules": [represent_decision(rule) for rule in rules]}
            for group, rules in verdict.groups
        ],
    }


def _definition(request: EndpointRequest) -> dict[str, Any]:
    definition = (request.body or {}).get("definition")
    if not isinstance(definition, dict):
        raise Invalid(*request.problems, Problem("definition", "must be an object"))
    return definition
