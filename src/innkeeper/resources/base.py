"""Base classes of declarations: a resource is a class, its fields are class attributes.

Everything that walks a declaration (decoder, encoder, OpenAPI, imports, the segment builder,
test strategies) reads `Resource.fields`, in the order of declaration.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from innkeeper.resources.kinds import Instant, Kind, Text

Record = dict[str, Any]
"""A resource as the store returns it: field names in snake_case, absent fields left out."""
Changes = dict[str, Any]
"""Changes that a caller requests: an absent field stays as it is, None clears it."""


@dataclass(eq=False)
class Field:
    """One field of a resource.

    `required`: must be present on create. `fixed`: cannot change after create. `owned`: set by
    the server; accepted and ignored in requests (C-9). `clearable`: null and PUT may remove it.
    `column`: has a column of its own instead of a member in the row's body. `personal`: identifies
    or locates a person, so roles without the right to personal data see it masked.
    `page_address`: the URL of a page, whose query may contain personal data. `free`: JSON without
    declared members, which may contain personal data as well. `identifies`: identity rules may
    name it. `searchable`: the search for guests by name looks into it. `in_events`: events may
    carry it as a field of a person. `spellings`: further names that it has in events.
    """

    kind: Kind
    doc: str = ""
    required: bool = False
    fixed: bool = False
    owned: bool = False
    clearable: bool = True
    column: bool = False
    personal: bool = False
    page_address: bool = False
    free: bool = False
    identifies: bool = False
    searchable: bool = False
    in_events: bool = True
    spellings: tuple[str, ...] = ()
    name: str = field(init=False, default="")

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name


def ref_of(what: str) -> Field:
    """Declare the public UUID of a resource."""
    return Field(Text(), f"Reference of the {what}: a UUID.", owned=True, column=True)


def instant_at(doc: str) -> Field:
    """Declare an instant that the server sets, with a column of its own."""
    return Field(Instant(), doc, owned=True, column=True)


class Resource:
    """Base of every declaration."""

    singular: ClassVar[str]
    """The name in error texts: `Guest`, `Order item`."""
    fields: ClassVar[dict[str, Field]]
    """Every field by name, in order of declaration."""
    versioned: ClassVar[bool] = False
    """Whether responses have its version as ETag, and writes check If-Match."""
    pairs: ClassVar[bool] = False
    """Whether it holds free key-value pairs instead of declared fields: a data extension."""
    parent: ClassVar["type[Resource] | None"] = None
    """The resource that it belongs to, and with which it is deleted."""
    key: ClassVar[str]
    """Its name in paths and columns: `order_item`."""
    table: ClassVar[str]
    """The table that stores it: ref, body, created_at, modified_at, and the parent of a child."""
    plural: ClassVar[str]
    """The name of a list of them, without its parent's: `items`."""
    statements: ClassVar[str] = "children"
    """The file of `store/queries` with the templates of its statements, if it has a parent."""

    def __init_subclass__(cls) -> None:
        cls.fields = {
            name: member
            for base in reversed(cls.__mro__)
            for name, member in vars(base).items()
            if isinstance(member, Field)
        }
        if "singular" not in vars(cls):
            words = re.sub(r"(?<!^)([A-Z])", r" \1", cls.__name__)
            cls.singular = words[0] + words[1:].lower()
        cls.key = re.sub(r"(?<!^)([A-Z])", r"_\1", cls.__name__).lower()
        cls.table = f"{cls.key}s"
        cls.plural = cls.table.removeprefix(f"{cls.parent.key}_" if cls.parent else "")

    @classmethod
    def belongs_to(cls) -> "type[Resource]":
        """Return its parent; raises TypeError if it has none."""
        if cls.parent is None:
            raise TypeError(f"{cls.__name__} has no parent")
        return cls.parent


def without_nulls(members: Mapping[str, Any]) -> dict[str, Any]:
    """Return the members that are not None."""
    return {name: value for name, value in members.items() if value is not None}
