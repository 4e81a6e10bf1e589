"""Declare the content of requests and responses: structs whose members have kinds.

A payload is a `msgspec.Struct`. The type of a member selects its kind (`str` is `Text()`).
`Annotated` names another kind, and adds a description or a `SchemaPart`. `| None` permits null.
`| Absent` permits absence, as a default does. Bodies are read member by member, so that every
problem is named.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import cache
from types import UnionType
from typing import Annotated, Any, ClassVar, Final, Union, cast, get_args, get_origin
from uuid import UUID

import msgspec

from innkeeper.errors import Problem, missing
from innkeeper.resources.base import Changes, Record, Resource
from innkeeper.resources.kinds import (
    Day,
    Flag,
    Instant,
    Kind,
    ListOf,
    Number,
    ObjectOf,
    Opaque,
    Schema,
    Text,
    Whole,
    or_null,
)
from innkeeper.resources.payload_kinds import LONGEST_KEY, MapOf, Ref
from innkeeper.resources.values import ValueRefused

Absent = msgspec.UnsetType
ABSENT: Final = msgspec.UNSET
MOST_PROBLEMS: Final = 100
"""Most problems that are named of one body."""
_REFUSED: Final = object()


class Payload(msgspec.Struct, rename="camel"):
    """Base class of the content of requests and responses.

    Its name in the API description is `schema_name`, or else the name of the class; a class whose
    name starts with an underscore is described where it is used.
    """

    schema_name: ClassVar[str] = ""
    blank_is_absent: ClassVar[bool] = False
    """Whether query parameters without text count as absent."""

    @classmethod
    def check(cls, values: Mapping[str, Any]) -> Iterator[Problem]:
        """Yield the problems of members together; `values` lacks members that were refused."""
        yield from ()


@dataclass(frozen=True, eq=False)
class SchemaPart:
    """Members of a schema in addition to those of the kind."""

    members: Schema


@dataclass(frozen=True)
class PayloadOf(Kind):
    """An object with the members of a payload."""

    payload: type[Payload]

    def read(self, value: Any) -> Payload:
        problems: list[Problem] = []
        payload = _read(self, value, "", problems)
        if problems:
            raise ValueRefused(problems[0].reason, problems[0].field)
        return cast("Payload", payload)

    def schema(self) -> Schema:
        return self._schema(is_stored=False)

    def stored_schema(self) -> Schema:
        return self._schema(is_stored=True)

    def _schema(self, *, is_stored: bool) -> Schema:
        members = members_of(self.payload)
        properties = {member.wire_name: member.schema(is_stored=is_stored) for member in members}
        required = [member.wire_name for member in members if member.is_required]
        return (
            _title_of(self.payload)
            | {"type": "object", "properties": properties}
            | ({"required": required} if required else {})
        )


@dataclass(frozen=True)
class JsonOf(Kind):
    """The JSON of a payload, stored as sent. The action that uses it reads it with `read_members`,
    since its members depend on stored data."""

    payload: type[Payload]

    def read(self, value: Any) -> Any:
        return value

    def schema(self) -> Schema:
        return PayloadOf(self.payload).stored_schema()


def _title_of(payload: type[Payload]) -> Schema:
    own: type[Payload] = get_origin(payload) or payload
    if own.schema_name:
        return {"title": own.schema_name}
    is_inline = own.__name__.startswith("_") or own is not payload
    return {} if is_inline else {"title": own.__name__}


@dataclass(frozen=True)
class Member:
    """One member of a payload."""

    name: str
    wire_name: str
    kind: Kind
    is_required: bool
    is_nullable: bool
    description: str
    more: Schema
    """Members of the schema in addition to those of the kind."""
    field: msgspec.structs.FieldInfo

    @property
    def default(self) -> Any:
        """The value of a member that is not there; `ABSENT` without a default."""
        if self.field.default_factory is not msgspec.NODEFAULT:
            return self.field.default_factory()
        return ABSENT if self.field.default is msgspec.NODEFAULT else self.field.default

    def schema(self, *, is_stored: bool = False) -> Schema:
        """Return the JSON schema of the member's value."""
        schema = self.kind.stored_schema() if is_stored else self.kind.schema()
        schema = or_null(schema) if self.is_nullable else schema
        described = {"description": self.description} if self.description else {}
        default = {"default": self.default} if isinstance(self.default, str | int) else {}
        return {**schema, **described, **default, **self.more}


@cache
def members_of(payload: type[Payload]) -> tuple[Member, ...]:
    """Return the members of a payload in order of declaration."""
    members = []
    for each in msgspec.structs.fields(payload):
        parsed = _parse(each.type)
        members.append(
            Member(
                each.name,
                each.encode_name,
                parsed.kind,
                each.required and not parsed.is_optional,
                parsed.is_nullable,
                parsed.description,
                parsed.more,
                each,
            )
        )
    return tuple(members)


def kind_of(annotation: Any) -> Kind:
    """Return the kind of the values of a type, which may be a kind already."""
    return annotation if isinstance(annotation, Kind) else _parse(annotation).kind


def decode(payload: type[Payload], body: Mapping[str, Any]) -> tuple[Payload | None, list[Problem]]:
    """Return the payload that a JSON object contains, or None and every problem."""
    problems: list[Problem] = []
    read = _read(PayloadOf(payload), body, "", problems)
    return (None if problems else read), problems[:MOST_PROBLEMS]


def read_members(
    payload: type[Payload], body: Mapping[str, Any], problems: list[Problem], at: str = ""
) -> dict[str, Any]:
    """Return the values of the members that `body` has, by attribute; adds to `problems`.

    Members that are refused are left out, so that the caller can check the others together.
    """
    values: dict[str, Any] = {}
    for member in members_of(payload):
        where = at + member.wire_name
        value = body.get(member.wire_name, ABSENT)
        if value is ABSENT and not member.is_required:
            values[member.name] = member.default
        elif value is None and member.is_nullable:
            values[member.name] = None
        elif value is ABSENT or value is None:
            problems.append(missing(where))
        elif (read := _read(member.kind, value, where, problems)) is not _REFUSED:
            values[member.name] = read
    own: type[Payload] = get_origin(payload) or payload
    problems += (problem.moved("", at) for problem in own.check(values))
    return values


def read_valid(payload: type[Payload], body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the members of a stored body, by attribute; absent and refused ones are None."""
    values = present(read_members(payload, body, []))
    return {member.name: values.get(member.name) for member in members_of(payload)}


def document_of(payload: type[Payload], **values: Any) -> Record:
    """Return the JSON of these members, by attribute; those that are None are left out."""
    names = {member.name: member.wire_name for member in members_of(payload)}
    return {names[name]: value for name, value in values.items() if value is not None}


def present(values: Mapping[str, Any]) -> Changes:
    """Return the values that are not absent."""
    return {name: value for name, value in values.items() if value is not ABSENT}


def _read(kind: Kind, value: Any, at: str, problems: list[Problem]) -> Any:
    """Return the value of a kind, or `_REFUSED`; adds every problem in it to `problems`."""
    if isinstance(kind, PayloadOf):
        return _read_payload(kind, value, at, problems)
    if isinstance(kind, ListOf) and kind.fits(value):
        return _read_list(kind, value, at, problems)
    if isinstance(kind, MapOf) and isinstance(value, dict):
        return _read_map(kind, value, at, problems)
    if isinstance(kind, ObjectOf) and isinstance(value, dict):
        before = len(problems)
        _check_object(kind, value, at, problems)
        if len(problems) > before:
            return _REFUSED
    try:
        return kind.read(value)
    except ValueRefused as refused:
        is_missing = refused.reason.endswith(".")
        problems.append(Problem(at + refused.at, refused.reason, missing=is_missing))
        return _REFUSED


def _read_payload(kind: PayloadOf, value: Any, at: str, problems: list[Problem]) -> Any:
    if not isinstance(value, Mapping):
        problems.append(Problem(at, "must be an object"))
        return _REFUSED
    before = len(problems)
    values = read_members(kind.payload, value, problems, f"{at}." if at else "")
    return _REFUSED if len(problems) > before else kind.payload(**values)


def _check_object(
    kind: ObjectOf, value: Mapping[str, Any], at: str, problems: list[Problem]
) -> None:
    """Add every problem in the members of an object to `problems`."""
    for name, member in kind.members.items():
        if value.get(name) is not None:
            _read(member, value[name], f"{at}.{name}", problems)
        elif name in kind.required:
            problems.append(missing(f"{at}.{name}"))


def _read_map(kind: MapOf, value: Mapping[str, Any], at: str, problems: list[Problem]) -> Any:
    """Return the elements of a map that are right, so that they can be checked further."""
    read = {}
    for name, element in value.items():
        where = f"{at}.{name[:LONGEST_KEY]}"
        if _read(Text(), name, where, problems) is not _REFUSED:
            read[name] = _read(kind.element, element, where, problems)
        if len(problems) > MOST_PROBLEMS:
            break
    return {name: element for name, element in read.items() if element is not _REFUSED}


def _read_list(kind: ListOf, value: list[Any], at: str, problems: list[Problem]) -> Any:
    """Return the elements of a list; of payloads those that are right, so that they can be compared
    with each other."""
    before, read = len(problems), []
    for index, element in enumerate(value):
        read.append(_read(kind.element, element, f"{at}[{index}]", problems))
        if len(problems) > MOST_PROBLEMS:
            break
    if len(problems) > before and not isinstance(kind.element, PayloadOf):
        return _REFUSED
    return [element for element in read if element is not _REFUSED]


_KINDS: Final[dict[Any, Kind]] = {
    str: Text(),
    bool: Flag(),
    int: Whole(),
    float: Number(),
    datetime: Instant(),
    date: Day(),
    UUID: Ref(),
    Any: Opaque(),
}


@dataclass(frozen=True)
class _Parsed:
    """The parts of an annotation: kind, description, and whether null or absence is permitted."""

    kind: Kind
    is_nullable: bool = False
    is_optional: bool = False
    description: str = ""
    more: Schema = field(default_factory=dict)


def _parse(annotation: Any, kind: Kind | None = None) -> _Parsed:
    """Return the parts of an annotation; `kind` is the one that an outer `Annotated` names."""
    if get_origin(annotation) is Annotated:
        base, *notes = get_args(annotation)
        kind = next((note for note in notes if isinstance(note, Kind)), None)
        parsed = _parse(base, kind)
        for note in notes:
            if isinstance(note, str):
                parsed = replace(parsed, description=note)
            elif isinstance(note, SchemaPart):
                parsed = replace(parsed, more=note.members)
        return parsed
    if get_origin(annotation) in (Union, UnionType):
        args = get_args(annotation)
        (own,) = (each for each in args if each not in (type(None), Absent))
        parsed = _parse(own, kind)
        return replace(parsed, is_nullable=type(None) in args, is_optional=Absent in args)
    return _Parsed(kind or _kind_of_type(annotation))


def _kind_of_type(annotation: Any) -> Kind:
    origin = get_origin(annotation) or annotation
    if origin is list:
        return ListOf(kind_of(get_args(annotation)[0]))
    if origin is dict:
        return MapOf(kind_of(get_args(annotation)[1]))
    if isinstance(origin, type) and issubclass(origin, Payload):
        return PayloadOf(annotation)
    return _KINDS[annotation]


def payload_of(
    resource: type[Resource],
    name: str,
    renamed: Mapping[str, str],
    *,
    is_request: bool,
    base: type[Payload] = Payload,
) -> type[Payload]:
    """Return the payload with the fields of a resource, as a request or a response has them.

    `renamed` has the names that differ from those of the fields; `base` has other members.
    """
    optional: Any = Any | Absent | None if is_request else Any | Absent
    members: list[Any] = []
    for each in resource.fields.values():
        type_: Any = Annotated[Any if each.required else optional, each.kind, each.doc]
        members.append((each.name, type_, msgspec.field(name=renamed.get(each.name))))
    return cast("type[Payload]", msgspec.defstruct(name, members, bases=(base,)))
