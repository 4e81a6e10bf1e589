"""Errors and headers in the API description, each written once and referred to."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from innkeeper.resources.kinds import Schema

JSON: Final = "application/json"
_TEXT: Final[Schema] = {"type": "string"}
ERRORS: Final[Mapping[int, tuple[str, str]]] = {
    400: ("BadRequest", "A field, a query parameter or the JSON is wrong; every problem is named."),
    401: ("Unauthorized", "Credentials are missing or wrong."),
    403: ("Forbidden", "The API key lacks a scope, or the person is on the block list."),
    404: ("NotFound", "The resource does not exist."),
    409: (
        "Conflict",
        "The resource exists already, or the Idempotency-Key was used for another request.",
    ),
    412: (
        "Outdated",
        "The resource changed after the version that If-Match names, or it has no version.",
    ),
    413: ("TooLarge", "The body is too large."),
    415: (
        "UnsupportedMediaType",
        "The media type is not JSON, or the content coding is neither gzip nor deflate.",
    ),
    429: (
        "TooManyRequests",
        "Too many requests with this client key. Retry after the seconds in Retry-After.",
    ),
    414: ("UriTooLong", "The path or the query is too long."),
    431: ("HeadTooLarge", "The request line and headers are too large."),
    500: ("ServerFault", "An error of the server. X-Correlation-Id names its entry in the log."),
    503: ("Unavailable", "Temporarily unavailable. Retry after the seconds in Retry-After."),
}
"""Status -> (name of the response, meaning)."""
ALWAYS: Final = frozenset({400, 401, 403, 414, 429, 431, 500, 503})
"""Errors of every operation of the API, including 400 for invalid HTTP."""

HEADERS: Final[dict[str, Schema]] = {
    "X-Correlation-Id": {
        "description": "The id of the request: the one that the caller sent, or a new one.",
        "schema": _TEXT,
    },
    "Cache-Control": {"schema": _TEXT},
    "Innkeeper-Ignored": {
        "description": "Members and query parameters that the vendor's operations ignored: at most "
        "10 names, percent-encoded, joined by commas.",
        "schema": _TEXT,
    },
    "Location": {"description": "URL of what was created.", "schema": {**_TEXT, "format": "uri"}},
    "Idempotent-Replayed": {
        "description": "`true` if this is the stored response to an earlier request with this "
        "Idempotency-Key.",
        "schema": {**_TEXT, "enum": ["true"]},
    },
    "ETag": {
        "description": "The version of the resource in this response; in an error, the version "
        "that is stored now.",
        "schema": _TEXT,
    },
    "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 0}},
    "Accept-Encoding": {
        "description": "Content codings that request bodies may use.",
        "schema": _TEXT,
    },
    "WWW-Authenticate": {"description": "How to authenticate.", "schema": _TEXT},
}
# The headers of CORS and of web/browser_security.py concern browsers only, and are not described.
_OF_ALL: Final = ("X-Correlation-Id", "Cache-Control", "Innkeeper-Ignored")
OF_ERRORS: Final = {
    401: ("WWW-Authenticate",),
    412: ("ETag",),
    415: ("Accept-Encoding",),
    429: ("Retry-After",),
    503: ("Retry-After",),
}
"""Status -> headers of that error."""


def headers(*names: str) -> Schema:
    """Return the headers of a response: the common ones, and `names`."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in (*_OF_ALL, *names)}


def content(schema: Schema, media: str = JSON) -> Schema:
    """Return a body with that schema."""
    return {media: {"schema": schema}}


def error_responses(prefix: str, schema: str) -> Schema:
    """Return every error as a response, for the operations whose errors have that schema."""
    body = content({"$ref": f"#/components/schemas/{schema}"})
    return {
        prefix + name: {
            "description": meaning,
            "headers": headers(*OF_ERRORS.get(status, ())),
            "content": body,
        }
        for status, (name, meaning) in ERRORS.items()
    }


def failures(statuses: Iterable[int], prefix: str) -> dict[str, Any]:
    """Return the errors of an operation, including the common ones."""
    return {
        str(status): {"$ref": f"#/components/responses/{prefix}{ERRORS[status][0]}"}
        for status in sorted({*statuses, *ALWAYS})
    }


def error_schema(more: Mapping[str, str]) -> Schema:
    """Return the schema of the body of an error; `more` are members of a dialect that repeat others
    (ER-2)."""
    properties: Schema = {
        # `UNAUTHORIZED` instead of 401 in dialects whose clients do not require a number.
        "status": {"type": ["integer", "string"]},
        "code": {"type": "integer"},
        "message": _TEXT,
        "developerMessage": _TEXT,
        "moreInfoUrl": _TEXT,
        "statusCode": {"type": "integer"},
        "errors": {"type": "array", "items": _TEXT, "minItems": 1},
        # Only for members that are text with several lines, such as SQL.
        "line": {"type": "integer", "minimum": 1},
        "column": {"type": "integer", "minimum": 1},
    }
    properties |= {member: properties[repeated] for member, repeated in more.items()}
    required = ["status", "code", "message", "moreInfoUrl", "statusCode", "errors", *more]
    return {"type": "object", "properties": properties, "required": required}
