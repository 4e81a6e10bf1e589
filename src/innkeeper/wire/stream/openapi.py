"""The stream endpoints in the API description; they have their own bodies and credentials."""

import re
from typing import Final

from innkeeper.resources.kinds import Schema
from innkeeper.wire.openapi_responses import ERRORS, OF_ERRORS, content, headers
from innkeeper.wire.stream.routes import EVENT_ERROR, FLOW_ERROR, STREAM_ROUTES, TAG, StreamRoute

_REASONS: Final = {
    400: "The message or the callback cannot be read, or a required member is missing.",
    401: "The client key or the context id is missing or unknown.",
    404: "No browser has that id.",
    415: "The content coding of the body is not supported.",
}
"""Meanings of errors that differ from those of the other operations."""
_OF_ALL: Final = (400, 403, 431, 500, 503)


def stream_paths() -> dict[str, Schema]:
    """Return the path items of every stream endpoint."""
    paths: dict[str, Schema] = {}
    for route in STREAM_ROUTES:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return paths


STREAM_SCHEMAS: Final = {"StreamError": EVENT_ERROR, "FlowError": FLOW_ERROR}


def _error_responses(schema: str) -> Schema:
    body = {"$ref": f"#/components/schemas/{schema}"}
    # The server itself refuses a head that is too large, in the body of every other API.
    bodies = {431: {"$ref": "#/components/schemas/Error"}}
    return {
        f"{schema.removesuffix('Error')}{ERRORS[status][0]}": {
            "description": _REASONS.get(status, ERRORS[status][1]),
            "headers": headers(*OF_ERRORS.get(status, ())),
            "content": content(bodies.get(status, body)),
        }
        for status in sorted({*_OF_ALL, *_REASONS, 413})
    }


STREAM_RESPONSES: Final = {
    name: response
    for schema in STREAM_SCHEMAS
    for name, response in _error_responses(schema).items()
}


def _operation(route: StreamRoute) -> Schema:
    text: Schema = {"type": "string"}
    parameters: list[Schema] = [
        {"name": name, "in": "path", "required": True, "schema": text}
        for name in re.findall(r"\{(\w+)\}", route.path)
    ]
    parameters += [
        {"name": name, "in": "query", "schema": text, "description": description}
        for name, description in route.query.items()
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
        out["requestBody"] = {"required": True, "content": content(route.body)}
    return out


def _responses(route: StreamRoute) -> Schema:
    media = content(route.response_schema or {"type": "string"}, route.media)
    responses: Schema = {str(route.status): _good("Done.", media)}
    if "callback" in route.query:
        script = content({"type": "string"}, "application/javascript")
        both = {**(media if route.status == 200 else {}), **script}
        description = "The response, also an error, as a script that calls `callback`."
        responses["200"] = _good(description, both)
    prefix = "Flow" if route.flow else "Stream"
    for status in sorted({*route.failures, *_OF_ALL}):
        responses[str(status)] = {"$ref": f"#/components/responses/{prefix}{ERRORS[status][0]}"}
    return responses


def _good(description: str, body: Schema) -> Schema:
    return {"description": description, "headers": headers(), "content": body}
