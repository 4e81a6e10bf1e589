"""Error bodies: the union of all documented forms, with the additions of each dialect (errors.md
2)."""

from collections.abc import Mapping
from typing import Any

from innkeeper.errors import ApiError, Invalid, Unauthorized


def error_body(
    error: ApiError, more_info_url: str, client_key: str, extra: Mapping[str, str]
) -> dict[str, Any]:
    """Return the body of an error. `extra` names members that repeat others (ER-2: `moreInfo`)."""
    unauthorized = isinstance(error, Unauthorized)
    body: dict[str, Any] = {
        # The one documented text status (N-26); v2's typed clients need a number (ER-2).
        "status": "UNAUTHORIZED" if unauthorized and not extra else error.status,
        "code": error.status,
        "message": error.message,
    }
    if not unauthorized:
        body["developerMessage"] = error.message_for(client_key)
    body |= {"moreInfoUrl": more_info_url, "statusCode": error.status, "errors": error.errors}
    positions = [each.position for each in error.problems] if isinstance(error, Invalid) else []
    for line, column in filter(None, positions[:1]):
        body |= {"line": line, "column": column}
    return body | {member: body[repeated] for member, repeated in extra.items()}
