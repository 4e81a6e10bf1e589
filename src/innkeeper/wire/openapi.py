"""The API description (OpenAPI 3.1), generated from the views and endpoints that serve requests."""

import re
from collections.abc import Iterable
from functools import cache
from typing import Any, Final

from innkeeper import __version__
from innkeeper.actions.paging import DEFAULT_LIMIT
from innkeeper.resources.kinds import Schema
from innkeeper.resources.naming import camel
from innkeeper.wire.endpoint import TEXT_PARAMETERS, Endpoint
from innkeeper.wire.openapi_responses import (
    HEADERS,
    content,
    error_responses,
    error_schema,
    failures,
    headers,
)
from innkeeper.wire.openapi_schemas import add_schemas, body_name, schema_name
from innkeeper.wire.pagination import LIMIT, OFFSET
from innkeeper.wire.registry import DIALECTS
from innkeeper.wire.routes import Operation, operations
from innkeeper.wire.schemas import LINK, REFERENCE, ref_to
from innkeeper.wire.stream.openapi import STREAM_RESPONSES, STREAM_SCHEMAS, stream_paths
from innkeeper.wire.stream.routes import TAG as STREAM_TAG
from innkeeper.wire.views import SHOWS_VERSION, WRITES, Dialect, ListShape, PairsView, Verb, View

IDEMPOTENCY: Final[Schema] = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "Extension of Innkeeper: for 24 hours, the same key and body on this path "
    "return the first response again; another body returns 409.",
    "schema": {"type": "string", "pattern": "^[!-~]([ -~]{0,253}[!-~])?$"},
}
IF_MATCH: Final[Schema] = {
    "name": "If-Match",
    "in": "header",
    "description": "Extension of Innkeeper: ETags of the versions that may be replaced, or `*`; "
    "any other version returns 412. Without this header the last write wins.",
    "schema": {
        "type": "string",
        "pattern": '^(\\*|(W/)?"[^"\\s,]{0,100}"(, ?(W/)?"[^"\\s,]{0,100}")*)$',
    },
}
_SUMMARIES: Final = {
    Verb.CREATE: "Create a {}",
    Verb.LIST: "List {}s",
    Verb.FETCH: "Fetch a {}",
    Verb.REPLACE: "Replace a {}",
    Verb.PATCH: "Change fields of a {}",
    Verb.DELETE: "Delete a {}",
    Verb.CLEAR: "Remove pairs from a {}",
}

_SECURITY: Final[Schema] = {
    "basicAuth": {
        "type": "http",
        "scheme": "basic",
        "description": "The client key as user, the API token as password.",
    },
    "bearerAuth": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "A token of `POST /oauth/token`, for audience exports.",
    },
}


def description(compatibility: str, base: str) -> Schema:
    """Return the OpenAPI document of the API at `base` for keys with a compatibility."""
    return {**_description(compatibility), "servers": [{"url": base or "/"}]}


@cache
def _description(compatibility: str) -> Schema:
    schemas: dict[str, Schema] = {"Link": LINK, "Reference": REFERENCE}
    responses: dict[str, Schema] = {}
    for dialect in DIALECTS:
        prefix = error_prefix(dialect)
        schemas[f"{prefix}Error"] = error_schema(dialect.extra_error_members)
        responses |= error_responses(prefix, f"{prefix}Error")
    paths = _paths(compatibility, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Innkeeper",
            "version": __version__,
            "description": "A self-hosted customer data platform that implements the Sitecore CDP "
            f"APIs. This is the API for a key with the compatibility `{compatibility}`.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "security": [{"basicAuth": []}],
        "tags": _tags(),
        "paths": paths,
        "components": {
            "securitySchemes": _SECURITY,
            "headers": HEADERS,
            "responses": responses | STREAM_RESPONSES,
            "schemas": schemas | STREAM_SCHEMAS,
        },
    }


def error_prefix(dialect: Dialect) -> str:
    """Return the prefix of the names of a dialect's errors: empty for the common ones."""
    return dialect.name.upper() if dialect.extra_error_members else ""


def _paths(compatibility: str, schemas: dict[str, Schema]) -> dict[str, Schema]:
    """Return every path with its operations; adds the schemas that they refer to."""
    paths: dict[str, Schema] = {}
    for operation in operations(DIALECTS):
        add_schemas(schemas, operation, compatibility)
        item = paths.setdefault(_outside(operation.path), {})
        item[operation.method.lower()] = _operation(operation, operation.view(compatibility))
    for dialect in DIALECTS:
        for special in dialect.endpoints:
            item = paths.setdefault(_outside(special.path, special), {})
            item[special.method.lower()] = _endpoint(special, error_prefix(dialect), schemas)
            if special.body is not None:
                body = {**special.body, "title": _endpoint_body(special)}
                hoisted(body, schemas)
    for path, item in hoisted(stream_paths(), schemas).items():
        paths.setdefault(path, {}).update(item)
    return paths


def _tags() -> list[Schema]:
    names = {_tag(operation) for operation in operations(DIALECTS)}
    names |= {special.tag for dialect in DIALECTS for special in dialect.endpoints}
    return [{"name": name} for name in sorted(names | {STREAM_TAG})]


def _outside(path: str, special: Endpoint | None = None) -> str:
    """Return a path with the parameter names of the vendor's documents."""
    return re.sub(r"\{(\w+)\}", lambda match: "{" + _parameter(match.group(1), special) + "}", path)


def _parameter(name: str, special: Endpoint | None = None) -> str:
    if special and name in TEXT_PARAMETERS:
        return special.path_names.get(name, TEXT_PARAMETERS[name][1])
    return "dataExtensionName" if name == "name" else camel(name) + "Ref"


def _tag(operation: Operation) -> str:
    view = next(iter(operation.views.values()))
    return f"{view.resource.__name__} ({operation.dialect.name})"


def _operation(operation: Operation, view: View) -> Schema:
    singular = view.resource.singular.lower()
    summary = _SUMMARIES[operation.verb].format(singular).replace(" a order", " an order")
    out: Schema = {
        "operationId": f"{operation.verb.value.strip('_')}{schema_name(operation.dialect, view)}",
        "summary": summary,
        "tags": [_tag(operation)],
        "parameters": _parameters(operation, view),
        "responses": _responses(operation, view),
    }
    if operation.verb in (Verb.CREATE, Verb.REPLACE, Verb.PATCH):
        body = content(ref_to(body_name(operation, view)))
        out["requestBody"] = {"required": True, "content": body}
    return out


def _parameters(operation: Operation, view: View) -> list[Schema]:
    out = _path_parameters(operation.path)
    if isinstance(view, PairsView) and view.named_by_path and "{name}" in operation.path:
        out[-1]["schema"] = {"type": "string", "enum": list(view.names or ())}

    def query(name: str, schema: Schema, text: str) -> None:
        out.append({"name": name, "in": "query", "schema": schema, "description": text})

    if operation.verb is Verb.LIST:
        query("offset", OFFSET.schema(), "Items to skip.")
        query(
            "limit",
            LIMIT.schema() | {"default": DEFAULT_LIMIT},
            "Items on the page; a value over 100 counts as 100.",
        )
        for name in view.filters:
            if name != "identifiers":
                query(name, {"type": "string"}, "Only items with exactly this value.")
        if "identifiers" in view.filters:
            both = "Only guests with this identifier; send provider and id together."
            query("identifiers.provider", {"type": "string"}, both)
            query("identifiers.id", {"type": "string"}, both)
        if view.sorts:
            key = f"({'|'.join(view.sorts)})(::(ASC|DESC))?"
            pattern = f"^({key}(\\|{key})*)?$"
            query("sort", {"type": "string", "pattern": pattern}, "`field::ASC|field::DESC`.")
    if operation.verb in (Verb.LIST, Verb.FETCH):
        query("expand", {"type": "string"}, "`true`, or names of children to embed.")
    if operation.verb is Verb.CREATE:
        for name in view.create_query:
            query(name, {"type": "string", "format": "uuid"}, "Guest to link as contact.")
    if operation.verb is Verb.CLEAR:
        query(
            "name",
            {"type": "string"},
            "Keys of the pairs to remove, separated by | or commas. Without this parameter all "
            "pairs are removed.",
        )
    if operation.takes_key:
        out.append(IDEMPOTENCY)
    if view.resource.versioned and operation.verb in WRITES:
        out.append(IF_MATCH)
    return out


def _path_parameters(path: str, special: Endpoint | None = None) -> list[Schema]:
    text: Schema = {"type": "string"}
    return [
        {
            "name": _parameter(name, special),
            "in": "path",
            "required": True,
            "schema": text if name in TEXT_PARAMETERS else {**text, "format": "uuid"},
        }
        for name in re.findall(r"\{(\w+)\}", path)
    ]


def _endpoint_body(special: Endpoint) -> str:
    return special.name[:1].upper() + special.name[1:] + "Body"


def hoisted(schema: Any, schemas: dict[str, Schema]) -> Any:
    """Return a schema whose parts with a title are moved to `schemas` and referred to by name."""
    if isinstance(schema, list):
        return [hoisted(each, schemas) for each in schema]
    if not isinstance(schema, dict):
        return schema
    out = {name: hoisted(each, schemas) for name, each in schema.items()}
    title = out.get("title")
    if not isinstance(title, str):
        return out
    del out["title"]
    if schemas.setdefault(title, out) != out:
        raise ValueError(f"two schemas are called {title}")
    return ref_to(title)


def _endpoint(special: Endpoint, prefix: str, schemas: dict[str, Schema]) -> Schema:
    parameters = _path_parameters(special.path, special)
    for name, member in special.query.items():
        schema = member.schema()
        text = schema.pop("description", "")
        must = {"required": True} if member.is_required else {}
        parameters.append(
            {"name": name, "in": "query", "schema": schema, "description": text, **must}
        )
    if special.takes_key:
        parameters.append(IDEMPOTENCY)
    if special.takes_version:
        parameters.append(IF_MATCH)
    answer: Schema = {"description": "Done.", "headers": headers(*_endpoint_headers(special))}
    if (kind := special.response_kind) is not None:
        others = {media: {"schema": {"type": "string"}} for media in special.other_media}
        answer["content"] = {**content(hoisted(kind.stored_schema(), schemas)), **others}
    statuses = set(special.failures) | ({404} if "{" in special.path else set())
    statuses |= {400, 413, 415} if special.takes_body else set()
    # The errors of an Idempotency-Key: it is malformed, or was used for another request.
    statuses |= {400, 409} if special.takes_key else set()
    # A resource without versions refuses If-Match, too.
    statuses |= {412} if special.takes_version or special.writes else set()
    out: Schema = {
        "operationId": special.name,
        "summary": special.summary,
        "tags": [special.tag],
        "parameters": parameters,
        "responses": {str(special.status): answer, **failures(statuses, prefix)},
    }
    if special.bearer:
        out["security"] = [{"bearerAuth": []}]
    if special.body is not None:
        out["requestBody"] = {"required": True, "content": content(ref_to(_endpoint_body(special)))}
    return out


def _endpoint_headers(special: Endpoint) -> Iterable[str]:
    if special.status in (201, 202):
        yield "Location"
    if special.takes_key:
        yield "Idempotent-Replayed"
    if special.has_etag:
        yield "ETag"


def _responses(operation: Operation, view: View) -> Schema:
    good = {Verb.CREATE: 201, Verb.DELETE: view.deleted}.get(operation.verb, 200)
    more = ["Idempotent-Replayed"] if operation.takes_key else []
    more += ["Location"] if operation.verb is Verb.CREATE else []
    more += ["ETag"] if view.resource.versioned and operation.verb in SHOWS_VERSION else []
    answer: Schema = {"description": "Done.", "headers": headers(*more)}
    if good != 204:
        answer["content"] = content(_response_schema(operation, view))
    statuses = {404} if "{" in operation.path else set()
    if operation.verb is Verb.LIST:
        statuses |= {400}
    if operation.verb in (Verb.CREATE, Verb.REPLACE, Verb.PATCH):
        statuses |= {400, 413, 415}
    if operation.takes_key:
        statuses |= {400, 409}
    if operation.verb in WRITES:
        statuses |= {412}
    return {str(good): answer, **failures(statuses, error_prefix(operation.dialect))}


def _response_schema(operation: Operation, view: View) -> Schema:
    """Return the successful response of an operation."""
    name = schema_name(operation.dialect, view)
    if operation.verb is Verb.DELETE:
        return {"type": "null"}
    if operation.verb is not Verb.LIST:
        return ref_to(name)
    page = ref_to(f"{name}Page")
    array: Schema = {"type": "array", "items": ref_to(name)}
    return {
        ListShape.ENVELOPE: page,
        ListShape.ARRAY: array,
        ListShape.ARRAY_UNLESS_PAGED: {"anyOf": [array, page]},
    }[view.shape]
