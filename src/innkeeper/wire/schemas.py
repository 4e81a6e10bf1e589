"""Parts of schemas that many operations of the API description share."""

from typing import Final

from innkeeper.resources.kinds import Schema

TEXT: Final[Schema] = {"type": "string"}
WHOLE: Final[Schema] = {"type": "integer"}
COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
REF: Final[Schema] = {"type": "string", "format": "uuid"}
URL: Final[Schema] = {"type": "string", "format": "uri"}
FREE: Final[Schema] = {"type": "object", "additionalProperties": True}
"""An object with arbitrary members."""
LINK: Final[Schema] = {"type": "object", "properties": {"href": URL}, "required": ["href"]}
REFERENCE: Final[Schema] = {
    "type": "object",
    "properties": {"href": URL, "ref": REF},
    "required": ["href", "ref"],
}
"""An item of a list that is not expanded (L-8)."""


def an_object(required: tuple[str, ...] = (), **properties: Schema) -> Schema:
    """An object with these members."""
    out: Schema = {"type": "object", "properties": properties}
    return out | ({"required": list(required)} if required else {})


def named(title: str, schema: Schema) -> Schema:
    """A schema that the description contains under its own name."""
    return {"title": title, **schema}


def array_of(items: Schema) -> Schema:
    """An array of these elements."""
    return {"type": "array", "items": items}


def one_of(*words: str) -> Schema:
    """One of a closed set of words."""
    return {"type": "string", "enum": list(words)}


def ref_to(name: str) -> Schema:
    """A reference to a schema by its name."""
    return {"$ref": f"#/components/schemas/{name}"}


def paging(items: Schema, *, total: bool = True) -> Schema:
    """The members of a page (L-1, L-2)."""
    return {
        "href": URL,
        "offset": COUNT,
        "limit": COUNT,
        **({"totalCount": COUNT} if total else {}),
        **{link: ref_to("Link") for link in ("first", "last", "next", "prev")},
        "items": array_of(items),
    }


PAGE_REQUIRED: Final = ("href", "offset", "limit", "first", "last", "items")
