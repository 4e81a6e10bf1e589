"""`/v2/configurations` and `/v2/tenants/points-of-sale` (segmentation-and-export.md 7)."""

from typing import Any, Final
from urllib.parse import quote

from innkeeper.actions.admin import configuration
from innkeeper.resources.base import Record
from innkeeper.resources.configuration import PointOfSale
from innkeeper.resources.kinds import Schema
from innkeeper.store.work import Work
from innkeeper.wire.decode import decode, wire_name, writable
from innkeeper.wire.endpoint import Endpoint, EndpointRequest, EndpointResponse
from innkeeper.wire.schemas import DONE, TEXT, WHOLE, an_object, array_of, named
from innkeeper.wire.views import Verb, View

TAG: Final = "Configuration (v2)"
PATH: Final = "/v2/tenants/points-of-sale"
POINT_OF_SALE: Final = View(
    resource=PointOfSale,
    path=PATH,
    item=PATH + "/{name}",
    verbs=frozenset(),
    rename={"timeout_minutes": "timeout"},
)
"""Read by the same decoder as resources; not routed as one, since it has neither ref nor pages."""


def _represent(record: Record) -> dict[str, Any]:
    return {
        wire_name(POINT_OF_SALE, name): record[name]
        for name in PointOfSale.fields
        if record[name] is not None
    }


def _done(name: str, status: int = 200) -> dict[str, Any]:
    """What the vendor's tenant calls answer beside the record, and a typed client reads."""
    return {"name": name, "result": "OK", "message": "Done.", "status": status, "code": status}


async def fetch_configuration(work: Work, _: EndpointRequest) -> EndpointResponse:
    """The workspace's settings, in the two objects that clients read."""
    settings = await configuration.settings(work)
    return EndpointResponse(
        {
            "settings": {
                "clientKey": settings["client_key"],
                "defaultTimeout": settings["default_timeout"],
                "segmentationVersion": settings["data_model"],
                "guestContextVersion": settings["data_model"],
                "active": "true",
            },
            "configurations": {"name": settings["name"], "timeZone": "UTC", "language": "en"},
        }
    )


async def list_points_of_sale(work: Work, _: EndpointRequest) -> EndpointResponse:
    """All of them, as a bare array."""
    return EndpointResponse(
        [_represent(record) for record in await configuration.points_of_sale(work)]
    )


async def create_point_of_sale(work: Work, request: EndpointRequest) -> EndpointResponse:
    """201 with the point of sale and the vendor's word that it was made."""
    changes = decode(POINT_OF_SALE, Verb.CREATE, request.body or {})
    created = await configuration.create_point_of_sale(work, changes)
    location = f"{request.base}{PATH}/{quote(created['name'], safe='')}"
    return EndpointResponse(_done(created["name"], 201) | _represent(created), 201, location)


async def delete_point_of_sale(work: Work, request: EndpointRequest) -> EndpointResponse:
    """200 with a body: a typed client parses one after this DELETE."""
    name = request.path["name"]
    await configuration.delete_point_of_sale(work, request.refs()["name"])
    return EndpointResponse(_done(name))


_REQUEST_SCHEMA: Final[dict[str, Schema]] = {
    spelt: kind.schema() | {"description": field.doc}
    for spelt, (field, kind) in writable(POINT_OF_SALE).items()
}
_MEMBERS: Final[dict[str, Schema]] = {
    spelt: kind.stored_schema() | {"description": field.doc}
    for spelt, (field, kind) in writable(POINT_OF_SALE).items()
}
_RESPONSE_SCHEMA: Final = named("PointOfSale", an_object(("name",), **_MEMBERS))
_CONFIGURATION: Final = an_object(
    ("settings", "configurations"),
    settings=an_object(
        clientKey=TEXT,
        defaultTimeout=WHOLE,
        segmentationVersion=TEXT,
        guestContextVersion=TEXT,
        active=TEXT,
    ),
    configurations=an_object(name=TEXT, timeZone=TEXT, language=TEXT),
)

TENANTS: Final = (
    Endpoint(
        method="GET",
        path="/v2/configurations",
        name="fetchConfiguration",
        summary="Fetch the settings of the workspace",
        tag=TAG,
        perform=fetch_configuration,
        response_schema=_CONFIGURATION,
    ),
    Endpoint(
        method="GET",
        path=PATH,
        name="listPointsOfSale",
        summary="List points of sale",
        tag=TAG,
        perform=list_points_of_sale,
        response_schema=array_of(_RESPONSE_SCHEMA),
    ),
    Endpoint(
        method="POST",
        path=PATH,
        name="createPointOfSale",
        summary="Create a point of sale",
        tag=TAG,
        perform=create_point_of_sale,
        old_body=an_object(("name",), **_REQUEST_SCHEMA),
        response_schema=an_object(tuple(DONE), **(_MEMBERS | DONE)),
        status=201,
    ),
    Endpoint(
        method="DELETE",
        path=PATH + "/{name}",
        name="deletePointOfSale",
        summary="Delete a point of sale",
        tag=TAG,
        perform=delete_point_of_sale,
        response_schema=an_object(tuple(DONE), **DONE),
    ),
)
