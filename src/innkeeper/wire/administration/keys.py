"""API keys over HTTP: list, create, rotate, revoke; for keys with the scope `administration`."""

from collections.abc import Sequence
from typing import Any, Final

from innkeeper.actions.admin import keys
from innkeeper.errors import Conflict, Invalid, Problem, Unknown
from innkeeper.resources.base import Record
from innkeeper.resources.values import iso
from innkeeper.rules.scopes import DEFAULT_SCOPES, Scope, in_order, read_scopes
from innkeeper.store.work import Work
from innkeeper.wire.endpoint import Endpoint, EndpointRequest, EndpointResponse
from innkeeper.wire.schemas import (
    INSTANT,
    TEXT,
    URL,
    an_object,
    array_of,
    items_of,
    named,
    one_of,
)

PATH: Final = "/innkeeper/v1/keys"
TAG: Final = "API keys"
LONGEST_NAME: Final = 100
COMPATIBILITIES: Final = ("open", "official")


def represent(row: Record, base: str) -> dict[str, Any]:
    """A key without its token."""
    item = {
        "href": f"{base}{PATH}/{row['client_key']}",
        "clientKey": row["client_key"],
        "name": row["name"],
        "compatibility": row["compatibility"],
        "scopes": row["scopes"],
        "createdAt": iso(row["created_at"]),
    }
    for member, column in (("lastUsedAt", "last_used_at"), ("revokedAt", "revoked_at")):
        if row.get(column) is not None:
            item[member] = iso(row[column])
    return item


async def list_keys(work: Work, request: EndpointRequest) -> EndpointResponse:
    """Every key of the workspace, revoked ones too."""
    rows = await keys.list_all(work, work.workspace)
    return EndpointResponse({"items": [represent(row, request.base) for row in rows]})


async def create_key(work: Work, request: EndpointRequest) -> EndpointResponse:
    """201 with the key and its token, which is shown this once."""
    name, compatibility, key_scopes = _read(request.body or {}, request.problems)
    scopes = DEFAULT_SCOPES & request.scopes if key_scopes is None else key_scopes
    async with work.transaction():
        made = await keys.create(
            work, work.workspace, compatibility, name, scopes=scopes, by=request.scopes
        )
        row = await _own(work, made.client_key)
    body = {**represent(row, request.base), "apiToken": made.api_token}
    return EndpointResponse(body, 201, body["href"])


async def rotate_key(work: Work, request: EndpointRequest) -> EndpointResponse:
    """200 with the key and its new token; the old one ends."""
    async with work.transaction():
        row = await _own(work, request.path["client_key"])
        if row["revoked_at"] is not None:
            raise Conflict("The key was revoked: create another one.")
        made = await keys.rotate(work, row["client_key"], by=request.scopes)
    return EndpointResponse({**represent(row, request.base), "apiToken": made.api_token})


async def revoke_key(work: Work, request: EndpointRequest) -> EndpointResponse:
    """204; calls with the key are refused from now on."""
    async with work.transaction():
        row = await _own(work, request.path["client_key"])
        if row["revoked_at"] is None:
            await keys.revoke(work, row["client_key"])
    return EndpointResponse(status=204)


async def _own(work: Work, client_key: str) -> Record:
    """A key of the caller's workspace; raises `Unknown` for any other."""
    for row in await keys.list_all(work, work.workspace):
        if row["client_key"] == client_key:
            return row
    raise Unknown("API key", client_key)


def _read(
    body: dict[str, Any], name_problems: Sequence[Problem]
) -> tuple[str, keys.Compatibility, frozenset[Scope] | None]:
    problems = [*name_problems]
    name = body.get("name", "")
    if not isinstance(name, str) or len(name) > LONGEST_NAME:
        problems.append(Problem("name", f"must be a string of at most {LONGEST_NAME} characters"))
    compatibility = body.get("compatibility", "open")
    if compatibility not in COMPATIBILITIES:
        words = ",".join(COMPATIBILITIES)
        problems.append(Problem("compatibility", f"value must be one of {words}"))
    key_scopes = body.get("scopes")
    scopes = None
    if key_scopes is not None and not isinstance(key_scopes, list):
        problems.append(Problem("scopes", "must be an array"))
    elif key_scopes is not None:
        try:
            scopes = read_scopes(map(str, key_scopes))
        except Invalid as invalid:
            problems += invalid.problems
    if problems:
        raise Invalid(*problems)
    return name, compatibility, scopes


_SCOPES: Final = array_of(one_of(*Scope))
_KEY: Final = named(
    "ApiKey",
    an_object(
        ("href", "clientKey", "name", "compatibility", "scopes", "createdAt"),
        href=URL,
        clientKey=TEXT,
        name=TEXT,
        compatibility=one_of(*COMPATIBILITIES),
        scopes=_SCOPES,
        createdAt=INSTANT,
        lastUsedAt=INSTANT,
        revokedAt=INSTANT,
        apiToken={**TEXT, "description": "Only when the key was just made."},
    ),
)
_ONE: Final = PATH + "/{client_key}"
_PARAMETERS: Final = {"client_key": "clientKey"}

KEYS: Final = (
    Endpoint(
        method="GET",
        path=PATH,
        name="listKeys",
        summary="List API keys",
        tag=TAG,
        perform=list_keys,
        response_schema=items_of(_KEY),
    ),
    Endpoint(
        method="POST",
        path=PATH,
        name="createKey",
        summary="Create an API key no wider than the caller's",
        tag=TAG,
        perform=create_key,
        body=an_object(
            name={**TEXT, "maxLength": LONGEST_NAME},
            compatibility={**one_of(*COMPATIBILITIES), "default": "open"},
            scopes={**_SCOPES, "default": in_order(DEFAULT_SCOPES)},
        ),
        response_schema=_KEY,
        status=201,
        # A stored answer would hold the token.
        own_transactions=True,
    ),
    Endpoint(
        method="POST",
        path=_ONE + "/rotate",
        name="rotateKey",
        summary="Give an API key another token",
        tag=TAG,
        perform=rotate_key,
        response_schema=_KEY,
        parameters=_PARAMETERS,
        failures=frozenset({409}),
        own_transactions=True,
    ),
    Endpoint(
        method="DELETE",
        path=_ONE,
        name="revokeKey",
        summary="Revoke an API key",
        tag=TAG,
        perform=revoke_key,
        parameters=_PARAMETERS,
        status=204,
    ),
)
