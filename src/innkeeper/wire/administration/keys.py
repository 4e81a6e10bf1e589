"""API keys over HTTP: list, create, rotate, revoke; for keys with the scope `administration`."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Final

from innkeeper.actions.admin import keys, sandbox_tokens
from innkeeper.errors import Conflict, Problem, Unknown
from innkeeper.resources.base import Record
from innkeeper.resources.kinds import ListOf, Text
from innkeeper.resources.payload_kinds import one_of
from innkeeper.resources.payloads import Absent, Payload, SchemaPart
from innkeeper.rules.scopes import DEFAULT_SCOPES, Scope, in_order
from innkeeper.store.work import Work
from innkeeper.wire.endpoint import EndpointFamily, EndpointRequest
from innkeeper.wire.payloads import Href, Items
from innkeeper.wire.scopes import refuse_lacking

PATH: Final = "/innkeeper/v1/keys"
LONGEST_NAME: Final = 100
_COMPATIBILITY: Final = one_of("open", "official")
_SCOPES: Final = ListOf(one_of(*Scope))
KEYS: Final = EndpointFamily("API keys", PATH, scopes=frozenset({Scope.ADMINISTRATION}))


class CreateKeyRequest(Payload):
    """The name, compatibility and scopes of a new key."""

    name: Annotated[str, Text(LONGEST_NAME)] = ""
    compatibility: Annotated[keys.Compatibility, _COMPATIBILITY] = "open"
    scopes: Annotated[
        list[str] | None, _SCOPES, SchemaPart({"default": in_order(DEFAULT_SCOPES)})
    ] = None

    @classmethod
    def check(cls, values: Mapping[str, Any]) -> Iterator[Problem]:
        if values.get("scopes") == []:
            yield Problem("scopes", "must name at least one scope")


class ApiKey(Payload):
    """An API key."""

    href: Annotated[str, Href(PATH + "/{client_key}")]
    client_key: str
    name: str
    compatibility: Annotated[str, _COMPATIBILITY]
    scopes: Annotated[list[str], _SCOPES]
    created_at: datetime
    last_used_at: datetime | Absent
    revoked_at: datetime | Absent
    expires_at: Annotated[datetime, "Of a token of a sandbox."] | Absent
    api_token: Annotated[str, "Only in the response that creates or rotates the key."] | Absent


@KEYS.endpoint("GET", "", "List API keys", response=Items[ApiKey])
async def list_keys(work: Work, _: EndpointRequest) -> Record:
    """Return every key of the workspace, including revoked ones."""
    return {"items": await keys.list_all(work, work.workspace)}


@KEYS.endpoint(
    "POST",
    "",
    "Create an API key with at most the caller's scopes",
    request=CreateKeyRequest,
    response=ApiKey,
    status=201,
    # A stored response would contain the token.
    own_transactions=True,
)
async def create_key(work: Work, request: EndpointRequest) -> Record:
    """Create a key. Only this response contains its token."""
    new: CreateKeyRequest = request.payload
    # The default scopes that the caller has; the caller's own if it has none of them.
    default = DEFAULT_SCOPES & request.scopes or request.scopes
    scopes = frozenset(map(Scope, new.scopes)) if new.scopes else default
    async with work.transaction():
        new_key = await keys.create(
            work, work.workspace, new.compatibility, new.name, scopes=scopes, by=request.scopes
        )
        row = await _own(work, new_key.client_key)
    return {**row, "api_token": new_key.api_token}


@KEYS.endpoint(
    "POST",
    "/{client_key}/rotate",
    "Replace the token of an API key",
    response=ApiKey,
    failures=frozenset({409}),
    own_transactions=True,
)
async def rotate_key(work: Work, request: EndpointRequest) -> Record:
    """Replace the token of a key; the old one stops working."""
    async with work.transaction():
        row = await _own(work, request.path["client_key"])
        if row["revoked_at"] is not None:
            raise Conflict("The key was revoked. Create another one.")
        new_key = await keys.rotate(work, row["client_key"], by=request.scopes)
    return {**row, "api_token": new_key.api_token}


class SandboxToken(Payload):
    """A key of the sandbox that is valid for an hour."""

    client_key: str
    api_token: Annotated[str, "Only in this response."]
    scopes: Annotated[list[str], _SCOPES]
    expires_at: datetime


@KEYS.endpoint(
    "POST",
    "/sandboxTokens",
    "Create a key of the sandbox for an hour, with the caller's scopes except administration",
    response=SandboxToken,
    status=201,
    own_transactions=True,
)
async def create_sandbox_token(work: Work, request: EndpointRequest) -> Record:
    """Create a key for trying requests; a sandbox has a limited number of them."""
    if not DEFAULT_SCOPES & request.scopes:
        refuse_lacking({Scope.READ})
    key = await sandbox_tokens.create(work, work.workspace, request.scopes)
    return {**asdict(key), "scopes": in_order(key.scopes)}


@KEYS.endpoint("DELETE", "/{client_key}", "Revoke an API key")
async def revoke_key(work: Work, request: EndpointRequest) -> None:
    """Revoke a key: requests with it are rejected."""
    async with work.transaction():
        row = await _own(work, request.path["client_key"])
        if row["revoked_at"] is None:
            await keys.revoke(work, row["client_key"])


async def _own(work: Work, client_key: str) -> Record:
    """Return a key of the caller's workspace; raises `Unknown` for any other."""
    for row in await keys.list_all(work, work.workspace):
        if row["client_key"] == client_key:
            return row
    raise Unknown("API key", client_key)
