"""Errors that callers see, each with its status, message and developer message.

Raise one anywhere. Only `web` catches them, and renders them in the body of the caller's dialect
(wire/error_body.py). The texts follow contract errors.md section 2.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, TypeVar

Existing = TypeVar("Existing")

USES_LISTED_MAX = 20
"""Most uses that an InUse error lists by name."""
DOES_NOT_EXIST = "The specified resource does not exist."


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault of a request: the field, in the caller's spelling, and the reason (ER-3)."""

    field: str
    reason: str
    # The documented text of a missing field ends in a full stop and serves as both messages.
    missing: bool = False
    position: tuple[int, int] | None = None
    """Line and column inside a field of several lines, such as SQL; both count from 1."""

    @property
    def message(self) -> str:
        return f"{self.field}: {self.reason}{self._where}"

    def moved(self, before: str, after: str) -> "Problem":
        """Return the problem with the prefix `before` of its field replaced by `after`."""
        return replace(self, field=after + self.field.removeprefix(before))

    @property
    def _where(self) -> str:
        return f" [line: {self.position[0]}, column: {self.position[1]}]" if self.position else ""

    @property
    def developer_message(self) -> str:
        if self.missing:
            return self.message
        return f"Attribute {self.field} is invalid ({self.reason}){self._where}."


def missing(field: str) -> Problem:
    """Return the problem of a required field that is missing (I-6)."""
    return Problem(field, "may not be null.", missing=True)


class ApiError(Exception):
    """Base class of errors that become an HTTP response."""

    status: ClassVar[int] = 500

    def __init__(
        self,
        message: str,
        developer_message: str | None = None,
        *,
        errors: Sequence[str] = (),
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.developer_message = message if developer_message is None else developer_message
        self.errors = list(errors) or [message]
        self.headers = headers or {}

    def message_for(self, client_key: str) -> str:
        """Return the developer message for a caller with that client key."""
        return self.developer_message


class Invalid(ApiError):
    """One or more fields, or query parameters, break a rule."""

    status = 400

    def __init__(self, *problems: Problem) -> None:
        first = problems[0]
        super().__init__(
            first.message, first.developer_message, errors=[problem.message for problem in problems]
        )
        self.problems = problems


class BadJson(ApiError):
    """The body is not a JSON object (CT-4, CT-6); line and column count from 1."""

    status = 400

    def __init__(self, line: int, column: int) -> None:
        super().__init__(
            "Unable to parse JSON string", f"JSON parse error [line: {line}, column: {column}]."
        )


class BadRequest(ApiError):
    """The request is wrong as a whole rather than in one field."""

    status = 400


class Unauthorized(ApiError):
    """Credentials are missing or wrong; the response is the same for every cause (AU-4)."""

    status = 401

    def __init__(self) -> None:
        super().__init__(
            "Authentication credentials are required to access the resource. "
            "All requests must be authenticated.",
            headers={"WWW-Authenticate": 'Basic realm="cdp"'},
        )


class Forbidden(ApiError):
    """The caller may not do this, or a signed link is invalid or has expired."""

    status = 403


class NotFound(ApiError):
    """No such path, resource or extension."""

    status = 404

    def __init__(self, developer_message: str = DOES_NOT_EXIST) -> None:
        super().__init__(DOES_NOT_EXIST, developer_message)


class Unknown(NotFound):
    """No resource has that ref, or its parent has no extension of that name.

    The documented text contains the caller's client key, which only `web` knows: see
    `message_for`.
    """

    def __init__(
        self,
        what: str,
        ref: object,
        *,
        parent: tuple[str, object] | None = None,
        survivor: object = None,
    ) -> None:
        super().__init__()
        self.what = what
        # A path may hold bytes that are not valid UTF-8; they cannot be sent back either.
        self.ref = str(ref).encode(errors="replace").decode()
        self.parent = parent
        self.survivor = survivor
        """The guest that this guest was merged into (identity.md 9)."""

    def message_for(self, client_key: str) -> str:
        if self.parent is None:
            text = f"{self.what} with ref {self.ref} for client key {client_key} was not found"
            merged = f": it was merged into guest {self.survivor}"
            return text if self.survivor is None else text + merged
        parent, parent_ref = self.parent
        return (
            f"{self.what} {self.ref} for {parent} ref {parent_ref} "
            f"and client key {client_key} was not found for v2.1"
        )


def existing(row: Existing | None, what: str, ref: object) -> Existing:
    """Return a row that was looked up by a ref or a name; raises `Unknown` if there is none."""
    if row is None:
        raise Unknown(what, ref)
    return row


class UnknownBrowser(ApiError):
    """No browser has that id. Tags in web pages react to this exact message by requesting a new id
    (stream-api.md 4)."""

    status = 404

    def __init__(self) -> None:
        super().__init__("Invalid browser id/ref specified")


class MethodNotAllowed(ApiError):
    """The path exists but does not allow the method."""

    status = 405

    def __init__(self, method: str, allowed: Sequence[str]) -> None:
        super().__init__(
            f"Method {method} is not allowed on this resource.",
            f"Allowed methods: {', '.join(allowed)}.",
            headers={"Allow": ", ".join(allowed)},
        )


class Conflict(ApiError):
    """The resource to create exists, or an idempotency key was used for a different request."""

    status = 409


class InUse(Conflict):
    """The resource to delete is used by others, which `errors` lists."""

    def __init__(self, what: str, uses: Sequence[str]) -> None:
        if not uses:
            text = f"{what} is no longer in use. Reload it, then delete it."
            super().__init__(text)
            return
        listed = [*uses[:USES_LISTED_MAX]]
        if len(uses) > len(listed):
            listed.append(f"{len(uses) - len(listed):,} more use it.")
        super().__init__(
            f"{what} is in use. {' '.join(listed)}",
            "Change or delete what uses it first: `errors` lists each.",
            errors=listed,
        )


class Outdated(ApiError):
    """The resource has changed since the caller read it: `If-Match` does not name its version."""

    status = 412

    def __init__(self, version: str | None) -> None:
        state = "It has no version." if version is None else f"Its version is now {version}."
        super().__init__(
            "The resource was changed since it was read.",
            f"{state} Fetch it again and repeat the change, or leave out If-Match.",
            headers={} if version is None else {"ETag": f'"{version}"'},
        )
        self.version = version


class TooLarge(ApiError):
    """The body is over the limit (RL-4)."""

    status = 413

    def __init__(self, limit: int) -> None:
        super().__init__("The request body is too large.", f"The limit is {limit} bytes.")


class UriTooLong(ApiError):
    """The path or the query of a request is over its limit."""

    status = 414


class HeadTooLarge(ApiError):
    """The line and headers of a request are over their limit."""

    status = 431


class RequestTimeout(ApiError):
    """A part of a request did not arrive in time."""

    status = 408


class UnsupportedMediaType(ApiError):
    """The endpoint does not accept the Content-Type (CT-3)."""

    status = 415

    def __init__(self, media_type: str, accepted: str = "application/json") -> None:
        super().__init__(
            "The media type of the request is not supported.",
            f"Send Content-Type: {accepted} instead of {media_type[:100]}.",
        )


class UnsupportedCoding(ApiError):
    """Request bodies are not accepted in that Content-Encoding."""

    status = 415

    def __init__(self, coding: str) -> None:
        super().__init__(
            "The content coding of the request is not supported.",
            f"Send Content-Encoding: gzip, deflate or none instead of {coding[:100]}.",
            headers={"Accept-Encoding": "gzip, deflate"},
        )


class TooManyRequests(ApiError):
    """The client key sends more requests than the operator allows (RL-2)."""

    status = 429

    def __init__(self, seconds: int) -> None:
        super().__init__(
            "Too many requests", f"Try again in {seconds} s.", headers={"Retry-After": str(seconds)}
        )


class ServerFault(ApiError):
    """An internal error. The log has its cause under the request id; the response does not."""

    status = 500

    def __init__(self) -> None:
        super().__init__("Internal server error.", "The request id names the entry in the log.")


class Unavailable(ApiError):
    """The database is unreachable, or every connection or slot is busy; the caller may retry."""

    status = 503

    def __init__(
        self, why: str = "The server is temporarily unavailable.", retry_seconds: int = 1
    ) -> None:
        super().__init__(why, headers={"Retry-After": str(retry_seconds)})


class OperatorError(Exception):
    """A mistake that the operator must correct; the message is one sentence for the terminal."""
