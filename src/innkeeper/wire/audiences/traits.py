"""Computed traits over HTTP: `/innkeeper/v1/traits`."""

from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

from innkeeper.actions.audiences import segments, traits
from innkeeper.actions.records.guests import fetch as fetch_guest
from innkeeper.resources.base import Record, without_nulls
from innkeeper.resources.definitions import TraitDefinition
from innkeeper.resources.payload_kinds import Described, MapOf
from innkeeper.resources.payloads import Absent, Payload
from innkeeper.rules.scopes import READ_PERSONAL
from innkeeper.store.work import Work
from innkeeper.wire.endpoint import EndpointFamily, EndpointRequest
from innkeeper.wire.payloads import DefinitionOf, Items
from innkeeper.wire.scopes import require_for_definition

TRAITS: Final = EndpointFamily("Segments", "/innkeeper/v1")
_ONE: Final = "/traits/{trait}"


class TraitResponse(Payload):
    """A computed trait."""

    schema_name = "Trait"

    name: str
    type: str
    doc: str | Absent
    builtin: bool
    modified_at: datetime | Absent
    definition: Annotated[Any | Absent, DefinitionOf(TraitDefinition)]


@TRAITS.endpoint("GET", "/traits", "List computed traits", response=Items[TraitResponse])
async def list_traits(work: Work, _: EndpointRequest) -> Record:
    """Return every computed trait, built in or not."""
    return {"items": await traits.list_all(work)}


@TRAITS.endpoint("GET", _ONE, "Fetch a computed trait", response=TraitResponse, has_etag=True)
async def fetch_trait(work: Work, request: EndpointRequest) -> Record:
    """Return one computed trait, built in or not."""
    row = await traits.fetch(work, request.refs()["trait"])
    return {**row, "doc": row["doc"] or None}


@TRAITS.endpoint(
    "PUT",
    _ONE,
    "Create or replace a computed trait",
    request=TraitDefinition,
    raises_later=True,
    response=TraitResponse,
    has_etag=True,
    takes_version=True,
    failures=frozenset({409}),
)
async def put_trait(work: Work, request: EndpointRequest) -> Record:
    """Create or replace a trait."""
    require_for_definition(request.body, request.scopes)
    name, body = request.path["trait"], request.body or {}
    return await traits.put(work, name, body, request.expected, problems=request.problems)


@TRAITS.endpoint(
    "DELETE", _ONE, "Delete a computed trait", takes_version=True, failures=frozenset({409})
)
async def delete_trait(work: Work, request: EndpointRequest) -> None:
    """Delete a trait."""
    await traits.delete(work, request.refs()["trait"], request.expected)


class _LiveSegment(Payload):
    ref: UUID
    friendly_id: str
    name: str
    since: datetime


class _TraitsOfGuest(Payload):
    traits: Annotated[dict[str, Any], MapOf(Described({"type": ["number", "string"]}))]
    segments: list[_LiveSegment]


@TRAITS.endpoint(
    "GET",
    "/guests/{guest}/traits",
    "Fetch the computed traits and Live segments of a guest",
    response=_TraitsOfGuest,
    scopes=READ_PERSONAL,
)
async def fetch_guest_traits(work: Work, request: EndpointRequest) -> Record:
    """Return every computed trait of a guest, and the Live segments that contain the guest."""
    guest: UUID = request.refs()["guest"]
    await fetch_guest(work, guest)
    computed = await traits.compute_for_guest(work, guest)
    return {"traits": without_nulls(computed), "segments": await segments.of_guest(work, guest)}
