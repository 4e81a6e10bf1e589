"""`/innkeeper/v1/privacy`: erasure, subject access, the block list."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

from innkeeper.actions.privacy import block_list, privacy
from innkeeper.actions.privacy.erasure import GDPR_DELETE, Receipt
from innkeeper.errors import Problem, missing
from innkeeper.resources.base import Record, without_nulls
from innkeeper.resources.kinds import EMAIL, IDENTIFIERS, Text
from innkeeper.resources.naming import camel
from innkeeper.resources.payload_kinds import Described, one_of
from innkeeper.resources.payloads import Payload
from innkeeper.resources.values import plain
from innkeeper.rules.scopes import READ_PERSONAL, Scope
from innkeeper.store.work import Work
from innkeeper.wire.endpoint import EndpointFamily, EndpointRequest
from innkeeper.wire.privacy.subject import held_on
from innkeeper.wire.schemas import FREE, array_of

PRIVACY: Final = EndpointFamily("Privacy", "/innkeeper/v1/privacy")


class EraseGuestRequest(Payload):
    """The guest to erase, and the mode."""

    guest_ref: UUID
    mode: Annotated[str, one_of(*privacy.MODES)] = GDPR_DELETE
    suppress: bool = False


class ErasureReceipt(Payload):
    """The receipt of an erasure."""

    at: datetime
    by: str
    mode: str
    subject: str | None
    guests: int
    removed: dict[str, int]


@PRIVACY.endpoint(
    "POST",
    "/erasures",
    "Erase a guest",
    request=EraseGuestRequest,
    response=ErasureReceipt,
    status=201,
    scopes=frozenset({Scope.DELETE}),
    failures=frozenset({404}),
)
async def erase_guest(work: Work, request: EndpointRequest) -> Record:
    """Erase a guest; returns the receipt."""
    order: EraseGuestRequest = request.payload
    return represent_receipt(
        await privacy.erase(work, order.guest_ref, order.mode, suppress=order.suppress)
    )


def represent_receipt(receipt: Receipt) -> Record:
    """Return the receipt for one person."""
    return {
        "at": receipt.at,
        "by": receipt.by,
        "mode": receipt.mode,
        "subject": receipt.subjects[0] if receipt.subjects else None,
        "guests": receipt.guests,
        "removed": {camel(name): many for name, many in receipt.removed.items()},
    }


class _Subject(Payload):
    guest: UUID
    guests: list[UUID]
    workspace: str
    at: datetime
    held: Annotated[
        dict[str, Any],
        Described({"type": "object", "additionalProperties": {"anyOf": [array_of({}), FREE]}}),
        "Table -> rows about the guest.",
    ]


@PRIVACY.endpoint(
    "GET",
    "/subjects/{guest}",
    "Fetch all data that is stored about a guest",
    response=_Subject,
    scopes=READ_PERSONAL,
)
async def fetch_subject(work: Work, request: EndpointRequest) -> Record:
    """Return all data that is stored about a guest."""
    subject: Record = plain(await held_on(work, request.refs()["guest"]), camel)
    return subject


class PersonRequest(Payload):
    """The identifiers and the e-mail address of a person."""

    identifiers: Annotated[list[Record] | None, IDENTIFIERS] = None
    email: Annotated[str, EMAIL] | None = None
    reason: Annotated[str, Text(255)] = "requested"

    @classmethod
    def check(cls, values: Mapping[str, Any]) -> Iterator[Problem]:
        if not (values.get("identifiers", True) or values.get("email", True)):
            yield missing("identifiers")

    def person(self) -> Record:
        """Return the person in the form of a stored guest."""
        fields = {"identifiers": self.identifiers, "email": self.email}
        return without_nulls(fields)


class _Suppressed(Payload):
    added: int


@PRIVACY.endpoint(
    "POST",
    "/suppressions",
    "Add identifiers to the block list",
    request=PersonRequest,
    response=_Suppressed,
    status=201,
)
async def suppress_identifiers(work: Work, request: EndpointRequest) -> Record:
    """Return the number of new entries of the block list."""
    order: PersonRequest = request.payload
    return {"added": await block_list.suppress_person(work, order.person(), order.reason)}


class _Released(Payload):
    removed: int


@PRIVACY.endpoint(
    "POST",
    "/releases",
    "Remove identifiers from the block list",
    request=PersonRequest,
    response=_Released,
    status=201,
)
async def release_identifiers(work: Work, request: EndpointRequest) -> Record:
    """Return the number of removed entries of the block list."""
    order: PersonRequest = request.payload
    return {"removed": await block_list.release_person(work, order.person())}


class _BlockListTotals(Payload):
    suppressed: int
    refused: int


@PRIVACY.endpoint(
    "GET",
    "/suppressions",
    "Count the entries of the block list and the refused records",
    response=_BlockListTotals,
)
async def fetch_suppressions(work: Work, _: EndpointRequest) -> Record:
    """Return the size of the block list and the number of refusals."""
    return await block_list.count_totals(work)
