"""How streams look: messages in, bodies and errors out, JSONP (stream-api.md 2 to 4)."""

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import unquote_to_bytes
from uuid import UUID

from innkeeper.errors import ApiError, BadJson, BadRequest, Invalid, Unauthorized, UnknownBrowser
from innkeeper.resources.values import Refused, opaque
from innkeeper.wire.json_text import decode_object

VERSION: Final = "1.2"
JAVASCRIPT: Final = b"application/javascript"
CALLBACK: Final = re.compile(r"[A-Za-z_$][A-Za-z0-9_$.]{0,127}", re.ASCII)
NO_DECISION: Final[Mapping[str, Any]] = {}
"""What callFlows and personalize answer: no flow is run here, so none decides."""
WEB_FLOWS: Final = b"/* Innkeeper runs no web experiences. */\n"
_MESSAGE: Final = b"message"
# What opens and closes strings, arrays and objects; an escape goes with what it escapes.
_MARKS: Final = re.compile(rb'\\.|["{}\[\]]', re.DOTALL)
_OPENING: Final = (b"{", b"[")
_CLOSING: Final = (b"}", b"]")


def created(client_key: str, browser: UUID, guest: UUID) -> dict[str, Any]:
    """The answer to browser create (section 3)."""
    return {**_head("OK", client_key), "ref": browser, "customer_ref": guest}


def shown(client_key: str, browser: UUID, guest: UUID) -> dict[str, Any]:
    """The answer to browser show (section 3)."""
    return {**_head("OK", client_key), "ref": browser, "customer": {"ref": guest}}


def taken(client_key: str, event: UUID, guest: UUID) -> dict[str, Any]:
    """The answer to an event (sections 4 and 9)."""
    return {**_head("OK", client_key), "ref": event, "customer_ref": guest}


def event_error(error: ApiError, client_key: str, more_info_url: str) -> dict[str, Any]:
    """The body of an error of browsers and events (sections 4 and 9)."""
    if isinstance(error, UnknownBrowser):
        body = _head("NOT_FOUND", client_key)
    else:
        body = {**_head("ERROR", client_key), "error_code": error.status}
    return {**body, "error_msg": error.message, "moreInfo": more_info_url}


def flow_error(error: ApiError, client_key: str, more_info_url: str) -> dict[str, Any]:
    """The body of an error of callFlows and personalize (section 7)."""
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
        else body | {"developerMessage": error.told(client_key)}
    )


def jsonp(callback: str, body: bytes) -> bytes:
    """A script that hands `body`, which is JSON, to a function of the page."""
    # JSON may hold two line separators that no script could before 2019.
    plain = body.replace(b"\xe2\x80\xa8", rb"\u2028").replace(b"\xe2\x80\xa9", rb"\u2029")
    return b"%s(%s);" % (callback.encode(), plain)


def callback_of(query: Mapping[str, str]) -> str | None:
    """The function a script asks for; raises `BadRequest` for what cannot name one."""
    name = query.get("callback")
    if name is not None and not CALLBACK.fullmatch(name):
        raise BadRequest("callback is not the name of a function")
    return name


def parse_query(query: bytes, *, takes_message: bool) -> tuple[dict[str, str], bytes | None]:
    """The parameters of a query, and its `message` for a route that takes one.

    A message may be sent unencoded and hold `&`: it ends where its JSON object ends. Time is
    linear in the length of the query.
    """
    pieces = query.split(b"&")
    parameters: dict[str, str] = {}
    message: bytes | None = None
    index = 0
    while index < len(pieces):
        name, _, value = pieces[index].partition(b"=")
        index += 1
        if takes_message and message is None and name == _MESSAGE:
            message, index = _read_message(value, pieces, index)
            continue
        decoded = unquote_to_bytes(value.replace(b"+", b" ")).decode(errors="replace")
        parameters.setdefault(
            unquote_to_bytes(name.replace(b"+", b" ")).decode(errors="replace"), decoded
        )
    return parameters, message


def _read_message(value: bytes, pieces: list[bytes], index: int) -> tuple[bytes, int]:
    """The JSON text of the message that starts with `value`, and the index of the first piece
    after it; `value` alone when no JSON object starts there or it does not end."""
    # In what was encoded a plus is a space; in what was not it is a plus, as of a phone number.
    encoded = b"{" not in value

    def unquoted(piece: bytes) -> bytes:
        return unquote_to_bytes(piece.replace(b"+", b" ") if encoded else piece)

    first = unquoted(value)
    end = _ObjectEnd()
    if index == len(pieces) or _is_object(first) or end.is_in(first):
        return first, index
    texts = [first]
    for after, piece in enumerate(pieces[index:], index + 1):
        texts.append(unquoted(piece))
        if end.is_in(texts[-1]):
            whole = b"&".join(texts)
            return (whole, after) if _is_object(whole) else (first, index)
    return first, index


def _is_object(text: bytes) -> bool:
    try:
        decode_object(text)
    except (BadJson, Invalid):
        return False
    return True


class _ObjectEnd:
    """Finds where a JSON object ends in a text that comes in pieces, each read once."""

    def __init__(self) -> None:
        self._depth = 0
        self._in_string = False

    def is_in(self, piece: bytes) -> bool:
        """Whether the object ends in this piece, or cannot end any more."""
        for mark in _MARKS.findall(piece):
            if mark == b'"':
                self._in_string = not self._in_string
            elif not self._in_string and mark in _OPENING:
                self._depth += 1
            elif not self._in_string and mark in _CLOSING:
                self._depth -= 1
                if self._depth <= 0:
                    return True
        return self._depth == 0


def message(text: bytes | None) -> dict[str, Any]:
    """The JSON object of a message; raises `BadRequest` for what is none."""
    if not text:
        raise BadRequest("message is required")
    try:
        return decode_object(text)
    except BadJson as error:
        raise BadRequest("message is not a JSON object", error.developer_message) from None
    except Invalid as error:
        raise BadRequest(error.message) from None


def check_storable(decoded: dict[str, Any]) -> None:
    """Refuse what no database keeps: U+0000, numbers beyond all bounds (errors.md CT-8)."""
    try:
        opaque(decoded)
    except Refused as refused:
        raise BadRequest(f"message: {refused.reason}") from None


def _head(status: str, client_key: str) -> dict[str, Any]:
    return {"status": status, "version": VERSION, "client_key": client_key}
