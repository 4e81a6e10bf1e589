"""Every error a caller can meet: status, message and developer message side by side.

Raise one anywhere; `web` asks the dialect for its body (wire/error_body.py) and nothing else
catches them. The texts are those of contract errors.md section 2.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

MOST_USES = 20
"""Uses that an error lists by name."""
DOES_NOT_EXIST = "The specified resource does not exist."


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a request: the field as its caller spells it, and why (ER-3)."""

    field: str
    reason: str
    # The documented text for a missing field is used for both messages and ends in a stop.
    missing: bool = False
    position: tuple[int, int] | None = None
    """Line and column inside a field that is a text of many lines; both count from 1."""

    @property
    def message(self) -> str:
        return f"{self.field}: {self.reason}{self._where}"

    def moved(self, before: str, after: str) -> "Problem":
        """The same of a field whose path starts otherwise where it was sent."""
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
    """The problem of a required field that was not sent (I-6)."""
    return Problem(field, "may not be null.", missing=True)


class ApiError(Exception):
    """An answer below 600 that is not what the caller hoped for."""

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
        """The developer message for the caller with that client key."""
        return self.developer_message


class Invalid(ApiError):
    """One or more fields, or query parameters, break a rule."""

    status = 400

    def __init__(self, *problems: Problem) -> None:
        first = problems[0]
        super().__init__(
            first.message,
            first.developer_message,
            errors=[problem.message for problem in problems],
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
    """A request that is wrong as a whole rather than in one field."""

    status = 400


class Unauthorized(ApiError):
    """Credentials are missing or wrong: one answer for every cause (AU-4)."""

    status = 401

    def __init__(self) -> None:
        super().__init__(
            "Authentication credentials are required to access the resource. "
            "All requests must be authenticated.",
            headers={"WWW-Authenticate": 'Basic realm="cdp"'},
        )


class LinkExpired(ApiError):
    """A signed link that has expired, or that nobody signed."""

    status = 403


class NotFound(ApiError):
    """No such path, resource or extension."""

    status = 404

    def __init__(self, developer_message: str = DOES_NOT_EXIST) -> None:
        super().__init__(DOES_NOT_EXIST, developer_message)


class Unknown(NotFound):
    """No live resource has that ref, or no extension of its parent that name.

    The documented text names the caller's client key, which only the edge knows: see `told`.
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
        # A path may hold bytes that are no text: they cannot be told of either.
        self.ref = str(ref).encode(errors="replace").decode()
        self.parent = parent
        self.survivor = survivor
        """The guest that a retired one was merged into (identity.md 9)."""

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


class UnknownBrowser(ApiError):
    """No browser has that id: the tag pages start over on exactly this (stream-api.md 4)."""

    status = 404

    def __init__(self) -> None:
        super().__init__("Invalid browser id/ref specified")


class MethodNotAllowed(ApiError):
    """The path exists, the method does not."""

    status = 405

    def __init__(self, method: str, allowed: Sequence[str]) -> None:
        super().__init__(
            f"Method {method} is not allowed on this resource.",
            f"Allowed methods: {', '.join(allowed)}.",
            headers={"Allow": ", ".join(allowed)},
        )


class Conflict(ApiError):
    """What is to be created exists, or an idempotency key was used for something else."""

    status = 409


class InUse(Conflict):
    """Others use what is to be deleted: `errors` names each of them."""

    def __init__(self, what: str, uses: Sequence[str]) -> None:
        if not uses:
            text = f"{what} is used no longer. Look again before it is deleted."
            super().__init__(text)
            return
        shown = [*uses[:MOST_USES]]
        if len(uses) > len(shown):
            shown.append(f"{len(uses) - len(shown):,} more use it.")
        super().__init__(
            f"{what} is in use. {' '.join(shown)}",
            "Change or delete what uses it first: `errors` lists each.",
            errors=shown,
        )


class Outdated(ApiError):
    """It was changed since the caller read it: `If-Match` names no version that it has now."""

    status = 412

    def __init__(self, version: str | None) -> None:
        told = "It has no version." if version is None else f"Its version is {version} now."
        super().__init__(
            "The resource was changed since it was read.",
            f"{told} Fetch it again and repeat the change, or send no If-Match.",
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


class UnsupportedMediaType(ApiError):
    """The Content-Type is none that the endpoint reads (CT-3)."""

    status = 415

    def __init__(self, media_type: str, wanted: str = "application/json") -> None:
        super().__init__(
            "The media type of the request is not supported.",
            f"Send Content-Type: {wanted} instead of {media_type[:100]}.",
        )


class UnsupportedCoding(ApiError):
    """The Content-Encoding is none that request bodies are read in."""

    status = 415

    def __init__(self, coding: str) -> None:
        super().__init__(
            "The content coding of the request is not supported.",
            f"Send Content-Encoding: gzip, deflate or none instead of {coding[:100]}.",
            headers={"Accept-Encoding": "gzip, deflate"},
        )


class TooManyRequests(ApiError):
    """The client key calls faster than the operator allows (RL-2)."""

    status = 429

    def __init__(self, seconds: int) -> None:
        super().__init__(
            "Too many requests",
            f"Try again in {seconds} s.",
            headers={"Retry-After": str(seconds)},
        )


class ServerFault(ApiError):
    """A fault of ours; its cause is in the log under the request id, never in the answer."""

    status = 500

    def __init__(self) -> None:
        super().__init__("Internal server error.", "The request id names the entry in the log.")


class Unavailable(ApiError):
    """The database cannot be reached, or every connection or slot stayed busy: retry soon."""

    status = 503

    def __init__(
        self, why: str = "The server is temporarily unavailable.", retry_seconds: int = 1
    ) -> None:
        super().__init__(why, headers={"Retry-After": str(retry_seconds)})


class OperatorError(Exception):
    """Something the person at the command line must put right, told in one sentence."""
