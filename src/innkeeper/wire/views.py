"""Views: the representation of a resource in a dialect, as exceptions to its declaration.

Routes, decoder, encoder, list queries and the API description are all derived from views.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Final, Self

from innkeeper.resources.base import Record, Resource
from innkeeper.resources.kinds import Kind, Schema
from innkeeper.wire.endpoint import Endpoint


class Verb(StrEnum):
    """The operations on a resource; actions are named after them."""

    CREATE = "create"
    LIST = "list_"
    FETCH = "fetch"
    REPLACE = "replace"
    PATCH = "patch"
    DELETE = "delete"
    CLEAR = "clear"


WRITES: Final = frozenset({Verb.REPLACE, Verb.PATCH, Verb.DELETE, Verb.CLEAR})
"""Verbs that change an existing resource; those of versioned resources evaluate If-Match."""
SHOWS_VERSION: Final = frozenset({Verb.CREATE, Verb.FETCH, Verb.REPLACE, Verb.PATCH})
"""Verbs that return one resource, with its ETag if it is versioned."""


class ListShape(StrEnum):
    """Forms of the response of a list."""

    ENVELOPE = "envelope"
    ARRAY = "array"
    ARRAY_UNLESS_PAGED = "array unless paged"
    """An array, or an envelope if the query has `expand`, `offset` or `limit` (N-11)."""


METHODS: Mapping[Verb, str] = {
    Verb.CREATE: "POST",
    Verb.LIST: "GET",
    Verb.FETCH: "GET",
    Verb.REPLACE: "PUT",
    Verb.PATCH: "PATCH",
    Verb.DELETE: "DELETE",
    Verb.CLEAR: "DELETE",
}

Show = Callable[[Any], Any]


@dataclass(frozen=True)
class Computed:
    """A member that is computed from the record, and its schema."""

    schema: Schema
    of: Callable[[Record], Any]
    """Computes the value; None omits the member."""
    selects: bool = False
    """Whether `of` only chooses among values of the record and texts, whatever the values are."""


def ref_of_record(record: Record) -> Any:
    """The ref of a record, for a member that repeats it."""
    return record["ref"]


@dataclass(frozen=True, kw_only=True, eq=False)
class View:
    """The representation of a resource in a dialect.

    Paths contain refs as `{guest}`: the name of the action's parameter.
    """

    resource: type[Resource]
    path: str
    """Of the collection, e.g. `/v2.1/guests/{guest}/extensions`."""
    item: str
    """Of one resource, e.g. `/v2.1/guests/{guest}/extensions/{name}`."""
    verbs: frozenset[Verb]
    name: str = ""
    """Suffix that distinguishes the view from other views of the resource in the dialect, e.g.
    `NestedOrder`."""
    methods: Mapping[Verb, tuple[str, str]] = field(default_factory=dict)
    """(method, path) of verbs with an unusual method or path."""
    rename: Mapping[str, str] = field(default_factory=dict)
    """Field -> name in JSON, if that is not its camelCase."""
    required: frozenset[str] | None = None
    """Fields that a create requires, if they differ from the declared ones."""
    any_of: tuple[tuple[str, ...], ...] = ()
    """Groups of fields of which a create or replace requires one with values (P-1)."""
    insists: frozenset[str] = frozenset()
    """Fixed fields that a replace requires all the same (N-22)."""
    defaults: Mapping[str, Any] = field(default_factory=dict)
    """Field -> default of a create."""
    accept: Mapping[str, Kind] = field(default_factory=dict)
    """Field -> kind that reads it, if that is not the declared one."""
    show: Mapping[str, Show] = field(default_factory=dict)
    """Field -> function that converts its stored value; None omits it."""
    add: Mapping[str, Computed] = field(default_factory=dict)
    """Computed members."""
    hide: frozenset[str] = frozenset()
    """Fields that are neither accepted nor returned; a replace does not change them."""
    keep: Mapping[str, Show] = field(default_factory=dict)
    """Field -> function that converts its value; a replace with the converted value keeps the
    stored one (N-17)."""
    open_ended: str = ""
    """Field that stores undocumented members, which are returned unchanged."""
    parents: Mapping[str, str] = field(default_factory=dict)
    """Member -> path of the resource that this one belongs to."""
    linked: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Member -> (field with refs, path of each), returned as `{"items": [{"href"}]}`."""
    children: Mapping[str, str] = field(default_factory=dict)
    """Member -> path of a child collection: a link, or embedded by `expand`."""
    fetch_expands: frozenset[str] = frozenset()
    """Children that a fetch embeds without `expand`."""
    create_expands: bool = False
    """Whether a create returns the children as collections (VO-2)."""
    arrays: Mapping[str, str] = field(default_factory=dict)
    """Member -> path of a collection that every response contains whole, as an array."""
    extensions: str = ""
    """Path of the data extensions of a name; each name is a member of its own (VG-5)."""
    filters: Mapping[str, str] = field(default_factory=dict)
    """Query parameter -> filter of the list action."""
    ref_filters: frozenset[str] = frozenset()
    """Filters with a ref as value: anything but a UUID matches nothing."""
    needs_filter: bool = False
    """Whether a list without any filter is 400 (VO-3)."""
    create_query: Mapping[str, str] = field(default_factory=dict)
    """Query parameter of a create that holds a ref -> parameter of the action (O-10)."""
    sorts: Mapping[str, str] = field(default_factory=dict)
    """Name in `sort` -> field."""
    shape: ListShape = ListShape.ENVELOPE
    links: tuple[str, ...] = ()
    """Members of a list's items until they are expanded (L-8); if empty, items are always
    expanded."""
    with_total: bool = True
    deleted: int = 204
    """Status of a delete; 200 has the JSON literal null as body (S-6)."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Additional arguments of the actions that write."""

    def but(self, **exceptions: Any) -> Self:
        """Return this view with exceptions."""
        return replace(self, **exceptions)

    def method_and_path(self, verb: Verb) -> tuple[str, str]:
        """Return the method and path of a verb."""
        if verb in self.methods:
            return self.methods[verb]
        if verb in (Verb.CREATE, Verb.LIST):
            return METHODS[verb], self.path
        return METHODS[verb], self.item + ("/fields" if verb is Verb.CLEAR else "")


@dataclass(frozen=True, kw_only=True, eq=False)
class PairsView(View):
    """The view of a data extension: its allowed names, and the form of its pairs."""

    names: tuple[str, ...] | None = None
    """The only names allowed; None allows any (N-13)."""
    single_form: bool = False
    """Whether it also reads and returns one pair as {key, value} (N-12)."""
    named_by_path: bool = False
    """Whether the path contains the name even for a create (E-1)."""
    announces: str = ""
    """Name of the only extension in a list, whose envelope has that name and href (E-6)."""
    with_texts: bool = True
    """Whether pairs with text values are returned."""
    keyed: bool = False
    """Whether a name has several keys, each addressed by its ref (v2)."""


@dataclass(frozen=True, eq=False)
class Dialect:
    """A family of views with a common base path, error body and order of query parameters in links.

    Where views differ by the API key's compatibility, `views` has a pair (open, official).
    """

    name: str
    views: tuple[View | tuple[View, View], ...]
    endpoints: tuple[Endpoint, ...] = ()
    """Operations that are not verbs of a resource."""
    extra_error_members: Mapping[str, str] = field(default_factory=dict)
    """Additional member of the error body -> member that it repeats."""
    page_before_filters: bool = False
    """Whether links have offset and limit before the filters (VL-1)."""
    href_keeps_expand: bool = False
    """Whether the href of an expanded resource keeps the query (VL-4)."""
