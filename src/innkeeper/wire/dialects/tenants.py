"""`/v2/configurations` and `/v2/tenants/points-of-sale` (segmentation-and-export.md 7)."""

from typing import Final
from urllib.parse import quote

import msgspec

from innkeeper.actions.admin import configuration
from innkeeper.resources.base import Record
from innkeeper.resources.configuration import PointOfSale
from innkeeper.resources.kinds import ListOf
from innkeeper.resources.payloads import Payload, PayloadOf, payload_of, present
from innkeeper.store.work import Work
from innkeeper.wire.endpoint import EndpointFamily, EndpointRequest, EndpointResponse
from innkeeper.wire.payloads import Confirmation, confirm

PATH: Final = "/v2/tenants/points-of-sale"
TENANTS: Final = EndpointFamily("Configuration (v2)", "")
_RENAMED: Final = {"timeout_minutes": "timeout"}
PointOfSaleRequest: Final = payload_of(PointOfSale, "PointOfSaleRequest", _RENAMED, is_request=True)
PointOfSaleResponse: Final = payload_of(PointOfSale, "PointOfSale", _RENAMED, is_request=False)
_CreatedPointOfSale: Final = payload_of(
    PointOfSale, "_CreatedPointOfSale", _RENAMED, is_request=False, base=Confirmation
)


class _Settings(Payload):
    client_key: str
    default_timeout: int
    segmentation_version: str
    guest_context_version: str
    active: str


class _Configurations(Payload):
    name: str
    time_zone: str
    language: str


class _Configuration(Payload):
    settings: _Settings
    configurations: _Configurations


@TENANTS.endpoint(
    "GET", "/v2/configurations", "Fetch the settings of the workspace", response=_Configuration
)
async def fetch_configuration(work: Work, _: EndpointRequest) -> Record:
    """Return the workspace's settings, in the two objects that clients read."""
    stored = await configuration.settings(work)
    version = stored["data_model"]
    versions = {"segmentation_version": version, "guest_context_version": version}
    return {
        "settings": {**stored, **versions, "active": "true"},
        "configurations": {"name": stored["name"], "time_zone": "UTC", "language": "en"},
    }


@TENANTS.endpoint(
    "GET", PATH, "List points of sale", response=ListOf(PayloadOf(PointOfSaleResponse))
)
async def list_points_of_sale(work: Work, _: EndpointRequest) -> list[Record]:
    """Return all points of sale, as a bare array."""
    return await configuration.points_of_sale(work)


@TENANTS.endpoint(
    "POST",
    PATH,
    "Create a point of sale",
    request=PointOfSaleRequest,
    response=_CreatedPointOfSale,
    status=201,
)
async def create_point_of_sale(work: Work, request: EndpointRequest) -> EndpointResponse:
    """Create a point of sale."""
    changes = present(msgspec.structs.asdict(request.payload))
    created = await configuration.create_point_of_sale(work, changes)
    location = f"{request.base}{PATH}/{quote(created['name'], safe='')}"
    return EndpointResponse({**created, **confirm(created["name"], 201)}, location=location)


@TENANTS.endpoint("DELETE", PATH + "/{name}", "Delete a point of sale", response=Confirmation)
async def delete_point_of_sale(work: Work, request: EndpointRequest) -> Record:
    """Delete a point of sale. The response has a body, which a typed client parses."""
    await configuration.delete_point_of_sale(work, request.refs()["name"])
    return confirm(request.path["name"])
