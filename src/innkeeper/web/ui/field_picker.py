"""The picker of fields that the segment builder, traits and the list of guests share: the fields
of an entity with what they mean, and the most frequent values of one with their shares."""

from collections.abc import Sequence
from typing import Any, Final

from starlette.responses import Response

from innkeeper.actions.audiences import segment_catalogue
from innkeeper.errors import BadRequest, Unavailable
from innkeeper.resources.segments import (
    BOOLEAN,
    CORE,
    CUSTOM,
    EXT,
    IDENTIFIER,
    NUMBER,
    STATIC_LIST,
    STRING,
    TIMESTAMP,
    TRAIT,
)
from innkeeper.rules.access import Right
from innkeeper.rules.personal import is_personal
from innkeeper.web.ui.formatting import title_words
from innkeeper.web.ui.segments import read_catalogue
from innkeeper.web.ui.shell import PageRoute, Visit

_GROUP_TITLES: Final = {
    CORE: "Fields",
    TRAIT: "Computed traits",
    IDENTIFIER: "Identifiers",
    STATIC_LIST: "Lists",
    CUSTOM: "Attributes of events",
    EXT: "Attributes of events, in ext",
}
_KINDS: Final = {STRING: "text", NUMBER: "number", BOOLEAN: "yes or no", TIMESTAMP: "time"}
_SHARES_SHOWN: Final = 8


async def values(visit: Visit) -> Response:
    """List frequent values of a field for an input; none for visitors who may not see personal
    data."""
    entity, kind, field = (visit.query_text(name) for name in ("entity", "type", "field"))
    location, _, rest = field.partition(":")
    frequent = []
    if visit.personal:
        parameters = (
            entity,
            kind or None,
            location,
            rest.rpartition(":")[0],
            visit.query_text("contains"),
        )
        if visit.query_text("view") == "shares":
            return await _show_shares(visit, parameters)
        frequent = (await segment_catalogue.list_values(visit.work, *parameters))["values"]
    return visit.show("segment_values.html", values=frequent)


async def _show_shares(visit: Visit, parameters: tuple[Any, ...]) -> Response:
    """Show the most frequent values of a field with their shares, or why there are none now."""
    counted: dict[str, Any] = {"values": [], "total": 0}
    problem = ""
    try:
        counted = await segment_catalogue.list_values(visit.work, *parameters)
    except Unavailable:
        problem = "The values cannot be counted now."
    values = counted["values"][:_SHARES_SHOWN]
    return visit.show("field_values.html", values=values, total=counted["total"], problem=problem)


async def fields(visit: Visit) -> Response:
    """List the fields of an entity for the picker, with what they mean and their share of rows."""
    name, kind = visit.query_text("entity"), visit.query_text("type")
    catalogue, _ = await read_catalogue(visit, {name})
    entity = next((each for each in catalogue["entities"] if each["name"] == name), None)
    if entity is None:
        raise BadRequest("Unknown entity.")
    groups: dict[str, list[dict[str, Any]]] = {}
    for each in visible_fields(visit, entity["fields"]):
        title = _GROUP_TITLES.get(each["location"], f"Data extension {each['location']}")
        groups.setdefault(title, []).append(_option(visit, entity, kind, each))
    return visit.show("field_options.html", groups=[*groups.items()])


def _option(
    visit: Visit, entity: dict[str, Any], kind: str, field: dict[str, Any]
) -> dict[str, Any]:
    """Return a field as the picker shows it; `values`: the address of its most frequent values."""
    location, doc = field["location"], field.get("doc", "")
    key = f"{location}:{field['field']}:{field['type']}"
    is_list = location == STATIC_LIST
    label = doc if is_list else title_words(field["field"])
    address = ""
    if visit.may(Right.SEGMENTS) and visit.personal and not is_list:
        query = {"entity": entity["name"], "type": kind, "field": key, "view": "shares"}
        address = visit.url("/segments/values", **query)
    return {
        "key": key,
        "label": label,
        "doc": "" if doc.lower().rstrip(".") == label.lower() else doc,
        "kind": "" if is_list else _KINDS.get(field["type"], field["type"]),
        "share": field["count"] / entity["total"] if field.get("count") else 0,
        "values": address,
    }


def visible_fields(visit: Visit, every: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the fields that a visitor may filter by."""
    return [
        each
        for each in every
        if visit.personal or not is_personal(each["field"], each["location"], each["type"])
    ]


PAGES: Final = (
    PageRoute("/segments/values", values, right=Right.SEGMENTS),
    PageRoute("/segments/fields", fields),
)
