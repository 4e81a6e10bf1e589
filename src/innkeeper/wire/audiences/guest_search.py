"""`/innkeeper/v1/guests`: the search of the list of guests."""

from datetime import datetime
from typing import IO, Annotated, Final
from uuid import UUID

from innkeeper.actions.console import search
from innkeeper.resources.base import Record
from innkeeper.resources.exports import TABLE_COLUMNS
from innkeeper.resources.guests import CUSTOMER, TRAVELLER, VISITOR
from innkeeper.resources.payload_kinds import NotBlank, one_of
from innkeeper.resources.payloads import ABSENT, Absent, Payload
from innkeeper.rules.scopes import READ_PERSONAL
from innkeeper.store.work import Work
from innkeeper.wire.endpoint import EndpointFamily, EndpointRequest, EndpointResponse
from innkeeper.wire.payloads import Href, Paging

GUEST_SEARCH: Final = EndpointFamily("Guests", "/innkeeper/v1/guests")


class SearchGuestsParameters(Paging, kw_only=True):
    """What to search guests by."""

    q: Annotated[
        str,
        NotBlank(),
        "A ref or its beginning, browser id (`bid:`), order reference, e-mail address or a part of "
        "it, identifier, phone number, or name, with typos.",
    ]
    type: Annotated[str | Absent, one_of(CUSTOMER, VISITOR, TRAVELLER)] = ABSENT
    format: Annotated[str, one_of("json", "csv"), "json, or csv with all hits."] = "json"
    columns: Annotated[str | Absent, "Columns of CSV as exports name them, joined by commas."] = (
        ABSENT
    )


class GuestHit(Payload):
    """A guest that matches a search; a merged guest is its survivor."""

    ref: UUID
    href: Annotated[str, Href("/v2.1/guests/{ref}")]
    guest_type: str
    first_name: str | Absent
    last_name: str | Absent
    email: str | Absent
    phone: str | Absent
    city: str | Absent
    country: str | Absent
    last_seen: datetime
    matched_by: Annotated[str, "Which of its values matches."]


class GuestHits(Payload):
    """The guests that match a search, the closest first."""

    total_count: int
    is_more: Annotated[bool, f"Whether there are more; {search.MOST} of each kind are read."]
    items: list[GuestHit]


def definition_of_type(guest_type: str | None) -> Record:
    """Return the definition of all guests of a type, or of any."""
    types = {"type": [guest_type.upper()]} if guest_type else {}
    return {"filterGroups": [{"entity": "guest", **types}]}


@GUEST_SEARCH.endpoint(
    "GET",
    "",
    "Search guests",
    parameters=SearchGuestsParameters,
    response=GuestHits,
    scopes=READ_PERSONAL,
    other_media=("text/csv",),
    own_transactions=True,
)
async def search_guests(work: Work, request: EndpointRequest) -> Record | EndpointResponse:
    """Return a page of the guests that match a text, as the list of guests finds them, or all of
    them as CSV."""
    parameters: SearchGuestsParameters = request.parameters
    kind = parameters.type if isinstance(parameters.type, str) else None
    if parameters.format == "csv":
        named = parameters.columns
        columns = named.split(",") if isinstance(named, str) else TABLE_COLUMNS
        definition = definition_of_type(kind)

        async def open_file() -> IO[bytes]:
            page = parameters.page()
            return (await search.open_csv(work, parameters.q, definition, columns, page))[0]

        return EndpointResponse(open_file=open_file, content_type="text/csv; charset=utf-8")
    hits = await search.find_guests(work, parameters.q, parameters.page(), guest_type=kind)
    items = [{**item, "matched_by": item["found_by"]} for item in hits.items]
    return {"total_count": hits.total, "is_more": hits.is_more, "items": items}
