"""Decode stream messages, and encode responses, errors and JSONP (stream-api.md 2 to 4)."""

import re
from collections.abc import Mapping
from json import JSONDecoder
from typing import Any, Final
from uuid import UUID

from innkeeper.errors import ApiError, BadJson, BadRequest, Invalid, Unauthorized, UnknownBrowser
from innkeeper.resources.values import ValueRefused, opaque
from innkeeper.wire.json_text import decode_object
from innkeeper.wire.request_target import check_query, percent_decode

VERSION: Final = "1.2"
JAVASCRIPT: Final = b"application/javascript"
CALLBACK: Final = re.compile(r"[A-Za-z_$][A-Za-z0-9_$.]{0,127}", re.ASCII)
NO_DECISION: Final[Mapping[str, Any]] = {}
"""The response of callFlows and personalize: no decision, since no flow runs here."""
WEB_FLOWS: Final = b"/* Innkeeper runs no web experiences. */\n"
_MESSAGE: Final = b"message="
_OBJECT_START: Final = re.compile(r"(?:\xef\xbb\xbf)?[ \t\r\n]*\{")
# Finds the end of an object; `decode_object` checks whether it is valid.
_scanner: Final = JSONDecoder(strict=False)


def created(client_key: str, browser: UUID, guest: UUID) -> dict[str, Any]:
    """Return the response to browser create (section 3)."""
    return {**_head("OK", client_key), "ref": browser, "customer_ref": guest}


def represent_browser(client_key: str, browser: UUID, guest: UUID) -> dict[str, Any]:
    """Return the response to browser show (section 3)."""
    return {**_head("OK", client_key), "ref": browser, "customer": {"ref": guest}}


def represent_event(client_key: str, event: UUID, guest: UUID) -> dict[str, Any]:
    """Return the response to an event (sections 4 and 9)."""
    return {**_head("OK", client_key), "ref": event, "customer_ref": guest}


def event_error(error: ApiError, client_key: str, more_info_url: str) -> dict[str, Any]:
    """Return the body of an error of browsers and events (sections 4 and 9)."""
    if isinstance(error, UnknownBrowser):
        body = _head("NOT_FOUND", client_key)
    else:
        body = {**_head("ERROR", client_key), "error_code": error.status}
    return {**body, "error_msg": error.message, "moreInfo": more_info_url}


def flow_error(error: ApiError, client_key: str, more_info_url: str) -> dict[str, Any]:
    """Return the body of an error of callFlows and personalize (section 7)."""
    body: dict[str, Any] = {
        "status": error.status,
        "code": error.status,
        "message": error.message,
        "developerMessage": error.message,
        "moreInfoUrl": more_info_url,
    }
    return (
        body
        if isinstance(error, Unauthorized)
        else body | {"developerMessage": error.message_for(client_key)}
    )


def jsonp(callback: str, body: bytes) -> bytes:
    """Return a script that passes `body`, which is JSON, to a function of the page."""
    # JSON may hold two line separators that no script could before 2019.
    plain = body.replace(b"\xe2\x80\xa8", rb"\u2028").replace(b"\xe2\x80\xa9", rb"\u2029")
    return b"%s(%s);" % (callback.encode(), plain)


def callback_of(query: Mapping[str, str]) -> str | None:
    """Return the name of the JSONP function; raises `BadRequest` for an invalid name."""
    name = query.get("callback")
    if name is not None and not CALLBACK.fullmatch(name):
        raise BadRequest("callback is not the name of a function")
    return name


def parse_query(query: bytes, *, takes_message: bool) -> tuple[dict[str, str], bytes | None]:
    """Return the parameters of a query, and its `message` for a route that takes one.

    A message may be sent without percent-encoding and contain `&`: it ends where its JSON object
    ends. The time is linear in the length of the query, and functions in C read the message. Raises
    `UriTooLong` if the rest of the query exceeds the limits of `request_target`.
    """
    message: bytes | None = None
    start = _message_start(query) if takes_message else -1
    if start >= 0:
        message, length = _read_message(query[start:])
        query = query[: start - len(_MESSAGE)] + query[start + length + 1 :]
    check_query(query)
    parameters: dict[str, str] = {}
    for pair in filter(None, query.split(b"&")):
        name, _, value = pair.partition(b"=")
        parameters.setdefault(_decode(name), _decode(value))
    return parameters, message


def _decode(text: bytes) -> str:
    return percent_decode(text.replace(b"+", b" ")).decode(errors="replace")


def _message_start(query: bytes) -> int:
    """Return the position of the value of the first parameter `message`; -1 without one."""
    if query.startswith(_MESSAGE):
        return len(_MESSAGE)
    before = query.find(b"&" + _MESSAGE)
    return -1 if before < 0 else before + 1 + len(_MESSAGE)


def _read_message(raw: bytes) -> tuple[bytes, int]:
    """Return the JSON text of the message at the start of `raw`, and its length in `raw`; up to the
    first `&` if there is no complete JSON object."""
    value = raw.partition(b"&")[0]
    # In encoded text a plus is a space; in other text it is a plus, as in a phone number.
    encoded = b"{" not in value

    def decoded(text: bytes) -> bytes:
        return percent_decode(text.replace(b"+", b" ") if encoded else text)

    first = decoded(value)
    if len(value) == len(raw) or _is_object(first):
        return first, len(value)
    whole = decoded(raw)
    end = _object_end(whole)
    # The two texts differ at each `&` of the query, but not at one that was sent as %26.
    marked = decoded(raw.replace(b"&", b"\0"))
    inside = marked.count(b"\0", 0, end) - whole.count(b"\0", 0, end)
    used = b"&".join(raw.split(b"&", inside + 1)[: inside + 1])
    text = decoded(used)
    return (text, len(used)) if _is_object(text) else (first, len(value))


def _object_end(text: bytes) -> int:
    """Return the end of the JSON object at the start of `text`; 0 if there is none."""
    plain = text.decode("latin-1")  # one character for each byte
    start = _OBJECT_START.match(plain)
    if start is None:
        return 0
    try:
        _, end = _scanner.raw_decode(plain, start.end() - 1)
    except (ValueError, RecursionError):
        return 0
    return end


def _is_object(text: bytes) -> bool:
    try:
        decode_object(text)
    except (BadJson, Invalid):
        return False
    return True


def message(text: bytes | None) -> dict[str, Any]:
    """Decode the JSON object of a message; raises `BadRequest`."""
    if not text:
        raise BadRequest("message is required")
    try:
        return decode_object(text)
    except BadJson as error:
        raise BadRequest("message is not a JSON object", error.developer_message) from None
    except Invalid as error:
        raise BadRequest(error.message) from None


def check_storable(decoded: dict[str, Any]) -> None:
    """Refuse values that the database cannot store: U+0000, numbers that are too large (errors.md
    CT-8)."""
    try:
        opaque(decoded)
    except ValueRefused as refused:
        raise BadRequest(f"message: {refused.reason}") from None


def _head(status: str, client_key: str) -> dict[str, Any]:
    return {"status": status, "version": VERSION, "client_key": client_key}
