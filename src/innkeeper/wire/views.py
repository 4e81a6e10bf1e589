"""A view: how one resource looks in one dialect, as the exceptions to its declaration.

Routes, decoder, encoder, list queries and the API description all walk views.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Final, Self

from innkeeper.resources.base import Record, Resource
from innkeeper.resources.kinds import Kind, Schema
from innkeeper.wire.endpoint import Endpoint


class Verb(StrEnum):
    """What a caller can do with a resource; actions are named after them."""

    CREATE = "create"
    LIST = "list_"
    FETCH = "fetch"
    REPLACE = "replace"
    PATCH = "patch"
    DELETE = "delete"
    CLEAR = "clear"


WRITES: Final = frozenset({Verb.REPLACE, Verb.PATCH, Verb.DELETE, Verb.CLEAR})
"""Verbs that change what is there already; those of versioned resources heed If-Match."""
SHOWS_VERSION: Final = frozenset({Verb.CREATE, Verb.FETCH, Verb.REPLACE, Verb.PATCH})
"""Verbs that answer with one resource, and with its ETag where it is versioned."""


class ListShape(StrEnum):
    """How a list is answered."""

    ENVELOPE = "envelope"
    ARRAY = "array"
    ARRAY_UNLESS_PAGED = "array unless paged"
    """An array, but an envelope when the query has `expand`, `offset` or `limit` (N-11)."""


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
    """A member that is computed of the record, and the schema of what comes out."""

    schema: Schema
    of: Callable[[Record], Any]
    """None leaves it out."""


def ref_of_record(record: Record) -> Any:
    """The ref of a record, for a member that repeats it."""
    return record["ref"]


@dataclass(frozen=True, kw_only=True, eq=False)
class View:
    """How one resource looks in one dialect.

    Paths mark refs as `{guest}`: the name is the parameter of the action that takes it.
    """

    resource: type[Resource]
    path: str
    """Of the collection, e.g. `/v2.1/guests/{guest}/extensions`."""
    item: str
    """Of one resource, e.g. `/v2.1/guests/{guest}/extensions/{name}`."""
    verbs: frozenset[Verb]
    name: str = ""
    """What tells it from the dialect's other views of the resource, e.g. `NestedOrder`."""
    methods: Mapping[Verb, tuple[str, str]] = field(default_factory=dict)
    """(method, path) of verbs that are not where REST would put them."""
    rename: Mapping[str, str] = field(default_factory=dict)
    """Field -> name on the wire, where that is not its camelCase."""
    required: frozenset[str] | None = None
    """Fields that create must send, where they are not the declared ones."""
    any_of: tuple[tuple[str, ...], ...] = ()
    """Groups of fields of which a create or replace must send one, with values (P-1)."""
    insists: frozenset[str] = frozenset()
    """Fixed fields that a replace must send all the same (N-22)."""
    defaults: Mapping[str, Any] = field(default_factory=dict)
    """Field -> value of a create that does not send it."""
    accept: Mapping[str, Kind] = field(default_factory=dict)
    """Field -> kind that is read in place of the declared one."""
    show: Mapping[str, Show] = field(default_factory=dict)
    """Field -> how its stored value is shown; None leaves it out."""
    add: Mapping[str, Computed] = field(default_factory=dict)
    """Computed members."""
    hide: frozenset[str] = frozenset()
    """Fields neither accepted nor shown; a replace keeps them."""
    keep: Mapping[str, Show] = field(default_factory=dict)
    """Field -> how it is shown; a replace that sends what is shown keeps what is stored (N-17)."""
    open_ended: str = ""
    """Field that takes the members no document lists, which are shown again as they came."""
    parents: Mapping[str, str] = field(default_factory=dict)
    """Member -> path of the resource that this one belongs to."""
    linked: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Member -> (field that holds refs, path of each), shown as `{"items": [{"href"}]}`."""
    children: Mapping[str, str] = field(default_factory=dict)
    """Member -> path of a collection that belongs to this one: a link, or embedded by `expand`."""
    fetch_expands: frozenset[str] = frozenset()
    """Children that a fetch embeds without being asked."""
    create_expands: bool = False
    """A create answers the children as collections (VO-2)."""
    arrays: Mapping[str, str] = field(default_factory=dict)
    """Member -> path of a collection that is shown whole, as an array, in every answer."""
    extensions: str = ""
    """Path of the data extensions of a name; each name is a member of its own (VG-5)."""
    filters: Mapping[str, str] = field(default_factory=dict)
    """Query parameter -> filter of the list action."""
    ref_filters: frozenset[str] = frozenset()
    """Filters that hold a ref: what is no UUID finds nothing."""
    needs_filter: bool = False
    """A list without any filter is 400 (VO-3)."""
    create_query: Mapping[str, str] = field(default_factory=dict)
    """Query parameter of a create that holds a ref -> parameter of the action (O-10)."""
    sorts: Mapping[str, str] = field(default_factory=dict)
    """Name in `sort` -> field."""
    shape: ListShape = ListShape.ENVELOPE
    links: tuple[str, ...] = ()
    """Members of a list's items until they are expanded (L-8); without any they always are."""
    with_total: bool = True
    deleted: int = 204
    """Status of a delete; 200 answers the JSON literal null (S-6)."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Parameters for the actions that write."""

    def but(self, **exceptions: Any) -> Self:
        """This view with exceptions."""
        return replace(self, **exceptions)

    def method_and_path(self, verb: Verb) -> tuple[str, str]:
        """Where a verb lives."""
        if verb in self.methods:
            return self.methods[verb]
        if verb in (Verb.CREATE, Verb.LIST):
            return METHODS[verb], self.path
        return METHODS[verb], self.item + ("/fields" if verb is Verb.CLEAR else "")


@dataclass(frozen=True, kw_only=True, eq=False)
class PairsView(View):
    """A view of a data extension: which names it may have, and how pairs are sent."""

    names: tuple[str, ...] | None = None
    """The only names allowed; None allows any (N-13)."""
    single_form: bool = False
    """Also reads and shows one pair as {key, value} (N-12)."""
    named_by_path: bool = False
    """The path names it even on create (E-1)."""
    announces: str = ""
    """Name of the one extension that a list tells of: its envelope has that name and href (E-6)."""
    with_texts: bool = True
    """Whether pairs that are texts are shown."""
    keyed: bool = False
    """Several keys stand under a name, each addressed by its ref (v2)."""


@dataclass(frozen=True)
class Dialect:
    """A family of views that share a base path, an error body and the order of a link's query.

    `views` are told apart by the API key's compatibility where they differ: a pair is
    (open, official).
    """

    name: str
    views: tuple[View | tuple[View, View], ...]
    endpoints: tuple[Endpoint, ...] = ()
    """Operations that are no verb of a resource."""
    extra_error_members: Mapping[str, str] = field(default_factory=dict)
    """Member -> member of the error body that it repeats."""
    page_before_filters: bool = False
    """Links put offset and limit before the filters (VL-1)."""
    href_keeps_expand: bool = False
    """The href of an expanded resource keeps that query (VL-4)."""
