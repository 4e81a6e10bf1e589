"""The stream endpoints in the API description: they have bodies and credentials of their own."""

import re
from typing import Any, Final

from innkeeper.resources.kinds import Schema
from innkeeper.wire.stream.routes import (
    EVENT_ERROR,
    FLOW_ERROR,
    STREAM_ROUTES,
    TAG,
    StreamRoute,
)

_REASONS: Final = {
    400: "The message or the callback cannot be read, or a required member is missing.",
    401: "The client key, or the context id, is missing or unknown.",
    404: "No browser has that id.",
    413: "The body is too large.",
    415: "The content coding of the body is not supported.",
    503: "Temporarily unavailable: retry at once.",
}


def stream_paths() -> dict[str, Schema]:
    """The path items of every stream endpoint."""
    paths: dict[str, Schema] = {}
    for route in STREAM_ROUTES:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return paths


STREAM_SCHEMAS: Final = {"StreamError": EVENT_ERROR, "FlowError": FLOW_ERROR}


def _operation(route: StreamRoute) -> Schema:
    text: Schema = {"type": "string"}
    parameters: list[Schema] = [
        {"name": name, "in": "path", "required": True, "schema": text}
        for name in re.findall(r"\{(\w+)\}", route.path)
    ]
    parameters += [
        {"name": name, "in": "query", "schema": text, "description": told}
        for name, told in route.query.items()
    ]
    out: Schema = {
        "operationId": route.name,
        "summary": route.summary,
        "tags": [TAG],
        # The client key is public: it is sent in the query, in a header or in the body.
        "security": [],
        "parameters": parameters,
        "responses": _responses(route),
    }
    if route.body is not None:
        content = {"application/json": {"schema": route.body}}
        out["requestBody"] = {"required": True, "content": content}
    return out


def _responses(route: StreamRoute) -> Schema:
    shown: dict[str, Any] = {route.media: {"schema": route.shown or {"type": "string"}}}
    responses: Schema = {str(route.status): {"description": "Done.", "content": shown}}
    if "callback" in route.query:
        script = {"application/javascript": {"schema": {"type": "string"}}}
        content = {**script, **(shown if route.status == 200 else {})}
        described = "The answer, an error too, as a script that calls `callback`."
        responses["200"] = {"description": described, "content": content}
    schema = {"$ref": f"#/components/schemas/{'FlowError' if route.flow else 'StreamError'}"}
    for status in (*route.failures, 503):
        content = {"application/json": {"schema": schema}}
        responses[str(status)] = {"description": _REASONS[status], "content": content}
    return responses
