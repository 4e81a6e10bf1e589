"""`/innkeeper/v1/guests`: the search of the list of guests."""

from datetime import datetime
from typing import Annotated, Final
from uuid import UUID

from innkeeper.actions.console import search
from innkeeper.resources.base import Record
from innkeeper.resources.guests import CUSTOMER, TRAVELLER, VISITOR
from innkeeper.resources.payload_kinds import NotBlank, one_of
from innkeeper.resources.payloads import ABSENT, Absent, Payload
from innkeeper.rules.scopes import READ_PERSONAL
from innkeeper.store.work import Work
from innkeeper.wire.endpoint import EndpointFamily, EndpointRequest
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


@GUEST_SEARCH.endpoint(
    "GET",
    "",
    "Search guests",
    parameters=SearchGuestsParameters,
    response=GuestHits,
    scopes=READ_PERSONAL,
    own_transactions=True,
)
async def search_guests(work: Work, request: EndpointRequest) -> Record:
    """Return a page of the guests that match a text, as the list of guests finds them."""
    parameters: SearchGuestsParameters = request.parameters
    kind = parameters.type if isinstance(parameters.type, str) else None
    hits = await search.find_guests(work, parameters.q, parameters.page(), guest_type=kind)
    items = [{**item, "matched_by": item["found_by"]} for item in hits.items]
    return {"total_count": hits.total, "is_more": hits.is_more, "items": items}
