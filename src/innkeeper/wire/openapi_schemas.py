"""Schemas of the API description: what is shown and sent, of each view."""

import re
from collections.abc import Iterable
from typing import Final

from innkeeper.resources.guests import MAX_PAIRS
from innkeeper.resources.kinds import Schema, or_null
from innkeeper.resources.values import MAX_KEY, PRIMITIVE_SCHEMA
from innkeeper.wire.decode import replaced, required_fields, wire_name, writable
from innkeeper.wire.naming import camel
from innkeeper.wire.routes import Operation
from innkeeper.wire.served import DIALECTS
from innkeeper.wire.views import PairsView, Verb, View

LINK: Final[Schema] = {
    "type": "object",
    "properties": {"href": {"type": "string", "format": "uri"}},
    "required": ["href"],
}


def error_schema() -> Schema:
    """The body of every error but the stream's."""
    return {
        "type": "object",
        "properties": {
            "status": {"type": ["integer", "string"]},
            "code": {"type": "integer"},
            "message": {"type": "string"},
            "developerMessage": {"type": "string"},
            "moreInfoUrl": {"type": "string"},
            "statusCode": {"type": "integer"},
            "errors": {"type": "array", "items": {"type": "string"}, "minItems": 1},
            # Only of what is written as a text of lines, as SQL is.
            "line": {"type": "integer", "minimum": 1},
            "column": {"type": "integer", "minimum": 1},
        },
        "required": ["status", "code", "message", "moreInfoUrl", "statusCode", "errors"],
    }


def schema_name(operation: Operation, view: View) -> str:
    """What a view's schema is called; others carry their dialect before the name."""
    prefix = "" if operation.dialect is DIALECTS[0] else camel(operation.dialect.name).capitalize()
    return prefix + (view.name or view.resource.__name__)


def ref_to(name: str) -> Schema:
    """A schema by its name."""
    return {"$ref": f"#/components/schemas/{name}"}


def add_schemas(schemas: dict[str, Schema], operation: Operation, view: View) -> None:
    """Add what an operation answers with and takes."""
    name = schema_name(operation, view)
    if name not in schemas:
        schemas[name] = _pairs_shown(view) if isinstance(view, PairsView) else _fields_shown(view)
        schemas[f"{name}Page"] = _page(view, name)
    if operation.verb in (Verb.CREATE, Verb.REPLACE, Verb.PATCH):
        schemas[body_name(operation, view)] = _body(operation, view)


def body_name(operation: Operation, view: View) -> str:
    """What the schema of an operation's body is called."""
    return schema_name(operation, view) + operation.verb.name.capitalize()


def _body(operation: Operation, view: View) -> Schema:
    if isinstance(view, PairsView):
        return _pairs_body(operation, view)
    needed = required_fields(view) if operation.verb in (Verb.CREATE, Verb.REPLACE) else ()
    properties: dict[str, Schema] = {}
    required = []
    for spelt, (field, kind) in writable(view).items():
        must = field.name in needed and (operation.verb is Verb.CREATE or replaced(view, field))
        schema = kind.schema()
        # What must be there cannot be cleared later either.
        lasting = field.clearable and field.name in required_fields(view)
        properties[spelt] = schema if must or lasting else or_null(schema)
        if field.doc:
            properties[spelt] = {**properties[spelt], "description": field.doc}
        if must:
            required.append(spelt)
    whole = operation.verb in (Verb.CREATE, Verb.REPLACE)
    groups = [_held(view, group) for group in view.any_of] if whole else []
    return (
        {"type": "object", "properties": properties}
        | ({"required": required} if required else {})
        | ({"anyOf": groups} if groups else {})
    )


def _held(view: View, group: Iterable[str]) -> Schema:
    """That fields are sent, and not empty."""
    spelt = {wire_name(view, name): view.resource.fields[name].kind.schema() for name in group}
    least = {"array": {"minItems": 1}, "string": {"minLength": 1}}
    properties = {
        name: {"type": schema["type"], **least.get(schema["type"], {})} if "type" in schema else {}
        for name, schema in spelt.items()
    }
    return {"required": list(spelt), "properties": properties}


def _fields_shown(view: View) -> Schema:
    properties: dict[str, Schema] = {"href": {"type": "string", "format": "uri"}}
    for name, field in view.resource.fields.items():
        if name in view.hide:
            continue
        # What a view reads in its own way it shows so only where it also shows it in its own way.
        kind = view.accept.get(name, field.kind) if name in view.show else field.kind
        schema = kind.shown()
        if name == "ref":
            schema = {"type": "string", "format": "uuid"}
        elif name in view.show and schema.get("format") == "date":
            schema = {"type": "string", "format": "date-time"}
        properties[wire_name(view, name)] = {**schema, "description": field.doc}
    for member in view.parents:
        properties[member] = ref_to("Link")
    for member in view.children:
        properties[member] = {"type": "object", "properties": LINK["properties"]}
    for member in view.arrays:
        properties[member] = {"type": "array", "items": {"type": "object"}}
    return {"type": "object", "properties": properties, "required": ["href", "ref"]}


def _pairs_shown(view: PairsView) -> Schema:
    instant: Schema = {"type": "string", "format": "date-time"}
    return {
        "type": "object",
        "properties": {
            **({} if view.keyed else {"name": {"type": "string"}}),
            "href": {"type": "string", "format": "uri"},
            "ref": {"type": "string", "format": "uuid"},
            "key": {"type": "string"},
            "createdAt": instant,
            "modifiedAt": instant,
            **{member: ref_to("Link") for member in view.parents},
        },
        "required": [*(() if view.keyed else ("name",)), "href", "ref", "key"],
        "additionalProperties": PRIMITIVE_SCHEMA,
        "description": "The pairs stand beside these members.",
    }


def _pairs_body(operation: Operation, view: PairsView) -> Schema:
    properties: dict[str, Schema] = {}
    if operation.verb is Verb.CREATE and "name" not in re.findall(r"\{(\w+)\}", operation.path):
        properties["name"] = (
            {"type": "string", "enum": list(view.names)}
            if view.names
            else {"type": "string", "pattern": r"^[^\u0000-\u001f\u007f-\u009f/.]{1,128}$"}
        )
    if view.keyed:
        properties["key"] = {"type": "string", "maxLength": MAX_KEY}
    if view.single_form:
        properties["key"] = {"type": "string", "pattern": "^(default|[a-z][A-Za-z0-9]*Key)$"}
        properties["value"] = {"type": "string"}
    must = [name for name in ("name", "key") if name in properties and (view.names or view.keyed)]
    return {
        "type": "object",
        "properties": properties,
        "patternProperties": {f"^[a-z][A-Za-z0-9]{{0,{MAX_KEY - 1}}}$": PRIMITIVE_SCHEMA},
        "propertyNames": {"pattern": f"^[a-z][A-Za-z0-9]{{0,{MAX_KEY - 1}}}$"},
        "maxProperties": MAX_PAIRS,
        "description": f"At most {MAX_PAIRS} pairs of string, boolean or number.",
    } | ({"required": must} if must else {})


def _page(view: View, name: str) -> Schema:
    whole: Schema = {"type": "integer", "minimum": 0}
    return {
        "type": "object",
        "properties": {
            "href": {"type": "string", "format": "uri"},
            "offset": whole,
            "limit": whole,
            **({"totalCount": whole} if view.with_total else {}),
            **{link: ref_to("Link") for link in ("first", "last", "next", "prev")},
            "items": {
                "type": "array",
                "items": {"anyOf": [ref_to(name), ref_to("Link")]} if view.links else ref_to(name),
            },
        },
        "required": ["href", "offset", "limit", "first", "last", "items"],
    }
