"""The fields that segments may use: entities, fields, comparators, and suggested values."""

from typing import Annotated, Final

from innkeeper.actions.audiences import segment_catalogue
from innkeeper.resources.base import Record
from innkeeper.resources.payloads import Absent, Payload
from innkeeper.resources.segments import CORE, STRING
from innkeeper.rules.personal import is_page_address, is_personal
from innkeeper.rules.scopes import Scope
from innkeeper.store.work import Work
from innkeeper.wire.endpoint import EndpointFamily, EndpointRequest
from innkeeper.wire.scopes import refuse_lacking

SEGMENT_FIELDS: Final = EndpointFamily("Segments", "/innkeeper/v1/segments")


class _Subtype(Payload):
    name: str
    count: int
    share: float


class _Field(Payload):
    location: str
    field: str
    type: str
    doc: str | Absent
    count: int | Absent


class _Entity(Payload):
    name: str
    total: int
    types: list[_Subtype]
    fields: list[_Field]


class _Comparator(Payload):
    name: str
    types: list[str]
    values: Annotated[list[int], "Smallest and largest number of values."]


class _Fields(Payload):
    entities: list[_Entity]
    comparators: list[_Comparator]


@SEGMENT_FIELDS.endpoint(
    "GET", "/fields", "List the fields that segments may use", response=_Fields
)
async def list_segment_fields(work: Work, _: EndpointRequest) -> Record:
    """Return the fields for a segment builder: entities, subtypes in use, fields, comparators."""
    return await segment_catalogue.list_fields(work)


class ListSegmentValuesParameters(Payload, kw_only=True):
    """The field whose values to list."""

    entity: Annotated[str, "guest, session, event, order or order_item."]
    field: Annotated[str, "Name of the field."]
    type: Annotated[str, "Only rows of this subtype."] | Absent
    location: Annotated[
        str, "core, identifier, trait, custom, ext, or the name of a data extension."
    ] = CORE
    contains: Annotated[str, "Only values that contain this text, in any case."] = ""


class _FieldValue(Payload):
    value: str
    count: int
    share: float
    currency: Annotated[str, "Currency, of an amount of money."] | Absent


class _Values(Payload):
    total: int
    values: list[_FieldValue]


@SEGMENT_FIELDS.endpoint(
    "GET",
    "/values",
    "List frequent values of a field",
    parameters=ListSegmentValuesParameters,
    response=_Values,
)
async def list_segment_values(work: Work, request: EndpointRequest) -> Record:
    """Return the most frequent values of a field, with their shares."""
    parameters: ListSegmentValuesParameters = request.parameters
    if not request.personal:
        # Values are texts, whatever the field is.
        is_page = parameters.location == CORE and is_page_address(parameters.field)
        if is_page or is_personal(parameters.field, parameters.location, STRING):
            refuse_lacking({Scope.PERSONAL_DATA})
    return await segment_catalogue.list_values(
        work,
        parameters.entity,
        parameters.type or None,
        parameters.location,
        parameters.field,
        parameters.contains,
    )
