"""Checks of a request before it takes a connection."""

from collections.abc import Awaitable, Callable
from typing import Any

from innkeeper.actions.audiences import segment_questions
from innkeeper.wire.endpoint import EndpointRequest


def check_sql(*path: str) -> Callable[[EndpointRequest], Awaitable[None]]:
    """Return the check of the SQL in the definition at a path of members of the body."""

    async def check(request: EndpointRequest) -> None:
        value: Any = request.body
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        await segment_questions.check_sql_early(value)

    return check
