"""`/innkeeper/v1/consent`: the fields by which guests are unsubscribed from channels."""

from dataclasses import asdict
from typing import Annotated, Final

from innkeeper.actions.audiences import consent
from innkeeper.resources.exports import CHANNELS
from innkeeper.resources.kinds import ListOf, Text
from innkeeper.resources.payload_kinds import NotBlank, one_of
from innkeeper.resources.payloads import ABSENT, Absent, Payload
from innkeeper.rules.consent import LONGEST_VALUE, MOST_VALUES, UNSUBSCRIBED, ConsentField
from innkeeper.store.work import Work
from innkeeper.wire.endpoint import EndpointFamily, EndpointRequest, EndpointResponse
from innkeeper.wire.etags import etag

CONSENT: Final = EndpointFamily("Audience exports", "/innkeeper/v1/consent")


class Consent(Payload):
    """The field that states whether a guest is unsubscribed from a channel."""

    channel: Annotated[str, one_of(*CHANNELS)]
    field: Annotated[str, NotBlank(), "A pair such as `ext.newsletter`, or a text field of guests."]
    values: Annotated[
        list[str] | Absent,
        ListOf(Text(LONGEST_VALUE), MOST_VALUES),
        f"Values, in any case, that mean unsubscribed. By default {', '.join(UNSUBSCRIBED)}.",
    ] = ABSENT


class ConsentFields(Payload):
    """The declared fields, at most one for each channel."""

    items: list[Consent]


@CONSENT.endpoint("GET", "", "Fetch the fields of consent", response=ConsentFields, has_etag=True)
async def fetch_consent(work: Work, _: EndpointRequest) -> EndpointResponse:
    """Return the fields that state who is unsubscribed, by channel."""
    return _response(await consent.list_fields(work))


@CONSENT.endpoint(
    "PUT",
    "",
    "Replace the fields of consent",
    request=ConsentFields,
    response=ConsentFields,
    has_etag=True,
    takes_version=True,
)
async def replace_consent(work: Work, request: EndpointRequest) -> EndpointResponse:
    """Declare the fields by which audience exports leave out guests; an empty list removes all."""
    payload: ConsentFields = request.payload
    items = [
        {
            "channel": each.channel,
            "field": each.field,
            "values": UNSUBSCRIBED if isinstance(each.values, Absent) else each.values,
        }
        for each in payload.items
    ]
    return _response(await consent.put_fields(work, items, request.expected))


def _response(fields: list[ConsentField]) -> EndpointResponse:
    body = {"items": [asdict(each) for each in fields]}
    return EndpointResponse(body, etag=etag(consent.version_of(fields)))
