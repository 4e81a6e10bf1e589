"""Schemas of the API description: requests and responses of each view."""

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

from innkeeper.resources.guests import MAX_PAIRS
from innkeeper.resources.kinds import Schema, or_null
from innkeeper.resources.naming import camel
from innkeeper.resources.values import MAX_KEY, PRIMITIVE_SCHEMA
from innkeeper.wire.decode import replaced, required_fields, wire_name, writable
from innkeeper.wire.routes import Operation, view_at
from innkeeper.wire.schemas import PAGE_REQUIRED, REF, URL, paging, ref_to
from innkeeper.wire.views import Dialect, PairsView, Verb, View

FIRST: Final = "v2.1"
"""The dialect whose schemas have names without a prefix."""


def schema_name(dialect: Dialect, view: View) -> str:
    """Return the name of a view's schema; other dialects have a prefix."""
    prefix = "" if dialect.name == FIRST else camel(dialect.name).capitalize()
    return prefix + (view.name or view.resource.__name__)


def add_schemas(schemas: dict[str, Schema], operation: Operation, compatibility: str) -> None:
    """Add the schemas of an operation's request and response."""
    view = operation.view(compatibility)
    _add_response_schemas(schemas, operation.dialect, view, compatibility)
    if operation.verb in (Verb.CREATE, Verb.REPLACE, Verb.PATCH):
        schemas[body_name(operation, view)] = _body(operation, view)


def _add_response_schemas(
    schemas: dict[str, Schema], dialect: Dialect, view: View, compatibility: str
) -> None:
    """Add the schemas of a view, its pages and its collections."""
    name = schema_name(dialect, view)
    if name in schemas:
        return
    if isinstance(view, PairsView):
        schemas[name] = _response_pairs(view)
    else:
        schemas[name] = response_fields(view, dict(_children(dialect, view, compatibility)))
    page = schemas[f"{name}Page"] = _page(view, name)
    # Embedded in its parent: a link, or a page of whole resources; an empty one may be no page.
    whole = {"type": "array", "items": ref_to(name)}
    members = {**page["properties"], "items": whole}
    schemas[f"{name}Collection"] = {"type": "object", "properties": members, "required": ["href"]}
    for child in _views_at(dialect, view, compatibility):
        _add_response_schemas(schemas, dialect, child, compatibility)


def _views_at(dialect: Dialect, view: View, compatibility: str) -> Iterator[View]:
    paths = [*view.children.values(), *view.arrays.values()]
    for path in (*paths, *([view.extensions] if view.extensions else [])):
        yield view_at(dialect, path, compatibility)


def _children(dialect: Dialect, view: View, compatibility: str) -> Iterator[tuple[str, Schema]]:
    """Return the members that contain other resources, with their schemas."""
    for member, path in view.children.items():
        child = schema_name(dialect, view_at(dialect, path, compatibility))
        yield member, ref_to(f"{child}Collection")
    for member, path in view.arrays.items():
        child = schema_name(dialect, view_at(dialect, path, compatibility))
        yield member, {"type": "array", "items": ref_to(child)}
    if view.extensions:
        child = schema_name(dialect, view_at(dialect, view.extensions, compatibility))
        yield "", ref_to(f"{child}Collection")


def body_name(operation: Operation, view: View) -> str:
    """Return the name of the schema of an operation's body."""
    return schema_name(operation.dialect, view) + operation.verb.name.capitalize()


def _body(operation: Operation, view: View) -> Schema:
    if isinstance(view, PairsView):
        return _pairs_body(operation, view)
    needed = required_fields(view) if operation.verb in (Verb.CREATE, Verb.REPLACE) else ()
    properties: dict[str, Schema] = {}
    required = []
    for spelt, (field, kind) in writable(view).items():
        must = field.name in needed and (operation.verb is Verb.CREATE or replaced(view, field))
        schema = kind.schema()
        # A required member cannot be cleared later either.
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
        # Without `allOf`, generators of clients would ignore all other properties.
        | ({"allOf": [{"anyOf": groups}]} if groups else {})
    )


def _held(view: View, group: Iterable[str]) -> Schema:
    """Return a condition that fields are present and not empty."""
    least = {"array": {"minItems": 1}, "string": {"minLength": 1}}
    spelt = {wire_name(view, name): view.resource.fields[name].kind.schema() for name in group}
    properties = {
        name: {**schema, **least.get(schema.get("type", ""), {})} for name, schema in spelt.items()
    }
    return {"type": "object", "required": list(spelt), "properties": properties}


def response_fields(view: View, children: dict[str, Schema]) -> Schema:
    """Return the schema of a view's declared fields; `children`: members that contain other
    resources."""
    properties: dict[str, Schema] = {"href": URL}
    for name, field in view.resource.fields.items():
        if name in view.hide or name == view.open_ended:
            continue
        # A kind that a view reads specially applies to responses only if the view also shows it
        # specially.
        kind = view.accept.get(name, field.kind) if name in view.show else field.kind
        schema = kind.stored_schema()
        if name == "ref":
            schema = REF
        elif name in view.show and schema.get("format") == "date":
            schema = {"type": "string", "format": "date-time"}
        properties[wire_name(view, name)] = {**schema, "description": field.doc}
    properties |= {member: computed.schema for member, computed in view.add.items()}
    links = {"type": "object", "properties": {"items": {"type": "array", "items": ref_to("Link")}}}
    properties |= {member: {**links, "required": ["items"]} for member in view.linked}
    properties |= {member: ref_to("Link") for member in view.parents}
    named = children.get("")
    properties |= {member: schema for member, schema in children.items() if member}
    out: Schema = {"type": "object", "properties": properties, "required": ["href", "ref"]}
    if named is not None:
        out["patternProperties"] = {"^ext": named}
    if view.open_ended:
        out["additionalProperties"] = True
    return out


def _response_pairs(view: PairsView) -> Schema:
    instant: Schema = {"type": "string", "format": "date-time"}
    return {
        "type": "object",
        "properties": {
            **({} if view.keyed else {"name": {"type": "string"}}),
            "href": URL,
            "ref": REF,
            "key": {"type": "string"},
            "createdAt": instant,
            "modifiedAt": instant,
            **{member: ref_to("Link") for member in view.parents},
        },
        "required": [*(() if view.keyed else ("name",)), "href", "ref", "key"],
        "additionalProperties": PRIMITIVE_SCHEMA,
        "description": "The pairs of the data extension are members of the same object.",
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
    short = ref_to("Reference" if "ref" in view.links else "Link")
    items: dict[str, Any] = {"anyOf": [ref_to(name), short]} if view.links else ref_to(name)
    properties = paging(items, total=view.with_total)
    if isinstance(view, PairsView) and view.announces:
        properties |= {"name": {"type": "string"}}
        properties |= {member: ref_to("Link") for member in view.parents}
    return {"type": "object", "properties": properties, "required": list(PAGE_REQUIRED)}
