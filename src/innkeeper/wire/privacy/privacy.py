"""`/innkeeper/v1/privacy`: erasure, subject access, the block list."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from innkeeper.actions.privacy import block_list, privacy
from innkeeper.actions.privacy.erasure import GDPR_DELETE, Receipt
from innkeeper.errors import Invalid, Problem, missing
from innkeeper.resources.base import Record
from innkeeper.resources.kinds import EMAIL, IDENTIFIERS, Schema
from innkeeper.resources.values import NOT_VALID, ValueRefused
from innkeeper.store.work import Work
from innkeeper.wire.endpoint import Endpoint, EndpointRequest, EndpointResponse, ref_in
from innkeeper.wire.naming import camel
from innkeeper.wire.privacy.subject import held_on
from innkeeper.wire.privacy.subject_page import plain
from innkeeper.wire.schemas import (
    COUNTS,
    FLAG,
    FREE,
    INSTANT,
    REF,
    TEXT,
    WHOLE,
    an_object,
    array_of,
    named,
    one_of,
    or_absent,
)

TAG: Final = "Privacy"
PATH: Final = "/innkeeper/v1/privacy"


async def erase(work: Work, request: EndpointRequest) -> EndpointResponse:
    """201 with the receipt."""
    body = request.body or {}
    guest_ref, mode = body.get("guestRef"), body.get("mode", GDPR_DELETE)
    problems = [*request.problems]
    guest = ref_in(guest_ref) if isinstance(guest_ref, str) else None
    if guest_ref is None:
        problems.append(missing("guestRef"))
    elif guest is None:
        problems.append(Problem("guestRef", NOT_VALID))
    if mode not in privacy.MODES:
        problems.append(Problem("mode", f"value must be one of {','.join(privacy.MODES)}"))
    suppress = body.get("suppress", False)
    if not isinstance(suppress, bool):
        problems.append(Problem("suppress", "must be a boolean"))
    if problems or guest is None:
        raise Invalid(*problems)
    receipt = await privacy.erase(work, guest, mode, suppress=suppress)
    return EndpointResponse(represent_receipt(receipt), 201)


async def access(work: Work, request: EndpointRequest) -> EndpointResponse:
    """200 with all that is held on a guest."""
    return EndpointResponse(plain(await held_on(work, request.refs()["guest"])))


async def suppress(work: Work, request: EndpointRequest) -> EndpointResponse:
    """201 with how many digests are new on the block list."""
    problems = [*request.problems]
    reason = (request.body or {}).get("reason", "asked for")
    if not isinstance(reason, str) or len(reason) > 255:
        problems.append(Problem("reason", "size must be between 0 and 255"))
    person = _person(request.body or {}, problems)
    added = await block_list.suppress_person(work, person, reason)
    return EndpointResponse({"added": added}, 201)


async def release(work: Work, request: EndpointRequest) -> EndpointResponse:
    """201 with how many digests left the block list."""
    person = _person(request.body or {}, request.problems)
    return EndpointResponse({"removed": await block_list.release_person(work, person)}, 201)


async def totals(work: Work, _: EndpointRequest) -> EndpointResponse:
    """200 with the size of the block list and the number of refusals."""
    return EndpointResponse(plain(await block_list.count_totals(work)))


def represent_receipt(receipt: Receipt) -> dict[str, Any]:
    """A receipt of one person."""
    return {
        "at": receipt.at,
        "by": receipt.by,
        "mode": receipt.mode,
        "subject": receipt.subjects[0] if receipt.subjects else None,
        "guests": receipt.guests,
        "removed": {camel(name): many for name, many in receipt.removed.items()},
    }


def _person(body: Mapping[str, Any], name_problems: Sequence[Problem]) -> Record:
    """Identifiers and an e-mail address, as guests have them; raises `Invalid` with the problems
    that were found and all others."""
    problems = [*name_problems]
    person: Record = {}
    for name, kind in (("identifiers", IDENTIFIERS), ("email", EMAIL)):
        if body.get(name) is None:
            continue
        try:
            person[name] = kind.read(body[name])
        except ValueRefused as refused:
            problems.append(Problem(name + refused.at, refused.reason))
    are_right = len(problems) == len(name_problems)
    if are_right and not person.get("identifiers") and "email" not in person:
        problems.append(missing("identifiers"))
    if problems:
        raise Invalid(*problems)
    return person


_PERSON: Final = an_object(
    identifiers=IDENTIFIERS.schema(), email=TEXT, reason={**TEXT, "maxLength": 255}
)
_RECEIPT: Final = named(
    "ErasureReceipt",
    an_object(
        ("at", "by", "mode", "subject", "guests", "removed"),
        at=INSTANT,
        by=TEXT,
        mode=TEXT,
        subject=or_absent(TEXT),
        guests=WHOLE,
        removed=COUNTS,
    ),
)
_HELD: Final[Schema] = {
    "type": "object",
    "additionalProperties": {"anyOf": [array_of({}), FREE]},
    "description": "Place -> what it holds.",
}


PRIVACY: Final = (
    Endpoint(
        method="POST",
        path=PATH + "/erasures",
        name="eraseGuest",
        summary="Erase a guest for good",
        tag=TAG,
        perform=erase,
        body=an_object(
            ("guestRef",),
            guestRef=REF,
            mode={**one_of(*privacy.MODES), "default": GDPR_DELETE},
            suppress={**FLAG, "default": False},
        ),
        response_schema=_RECEIPT,
        status=201,
        failures=frozenset({404}),
    ),
    Endpoint(
        method="GET",
        path=PATH + "/subjects/{guest}",
        name="fetchSubject",
        summary="Fetch all that is held on a guest",
        tag=TAG,
        perform=access,
        response_schema=an_object(
            ("guest", "guests", "workspace", "at", "held"),
            guest=REF,
            guests=array_of(REF),
            workspace=TEXT,
            at=INSTANT,
            held=_HELD,
        ),
    ),
    Endpoint(
        method="POST",
        path=PATH + "/suppressions",
        name="suppressIdentifiers",
        summary="Keep identifiers from coming back",
        tag=TAG,
        perform=suppress,
        body=_PERSON,
        response_schema=an_object(("added",), added=WHOLE),
        status=201,
    ),
    Endpoint(
        method="POST",
        path=PATH + "/releases",
        name="releaseIdentifiers",
        summary="Let identifiers come back",
        tag=TAG,
        perform=release,
        body=_PERSON,
        response_schema=an_object(("removed",), removed=WHOLE),
        status=201,
    ),
    Endpoint(
        method="GET",
        path=PATH + "/suppressions",
        name="fetchSuppressions",
        summary="Count what is kept from coming back",
        tag=TAG,
        perform=totals,
        response_schema=an_object(("suppressed", "refused"), suppressed=WHOLE, refused=WHOLE),
    ),
)
