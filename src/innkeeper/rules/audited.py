"""Configuration in the audit log: the recorded fields of each kind, and the old → new of a change.

Secrets are never recorded, nor are the query strings of URLs. Of a field that contains JSON, the
members that differ are recorded.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice
from typing import Any, Final

from innkeeper.rules.masking import masked_page

MOST_FIELDS: Final = 200
"""Most fields recorded of one change; each member of JSON counts."""
MOST_ITEMS: Final = 200
"""Most items recorded of a list."""
LONGEST_PATH: Final = 200
"""Most characters recorded of a field's path."""
LONGEST: Final = 4000
"""Most characters recorded of a text."""
IS_SET: Final = "(secret)"
IS_ANOTHER: Final = "(another secret)"
_MORE: Final = "…"


@dataclass(frozen=True, slots=True)
class AuditedKind:
    """A kind of configuration, and how its fields are recorded."""

    name: str
    """The kind's name in the log, and the prefix of its actions: `segment`, `segment.change`."""
    key: str
    """The field that identifies one to people."""
    fields: tuple[str, ...]
    """Recorded fields."""
    inline: frozenset[str] = frozenset()
    """Fields of JSON whose members are recorded without the field's name."""
    secrets: frozenset[str] = frozenset()
    """Fields of which only the presence or a change is recorded, never the value."""
    addresses: frozenset[str] = frozenset()
    """Fields and members of JSON that are URLs, recorded without their query."""


_HOOK: Final = frozenset({"webhook_secret"})
_ADDRESSES: Final = frozenset({"webhook", "destination.url"})
SEGMENT: Final = AuditedKind(
    "segment",
    "friendly_id",
    ("name", "status", "tags", "definition", "archived", "webhook", "webhook_secret"),
    inline=frozenset({"definition"}),
    secrets=_HOOK,
    addresses=_ADDRESSES,
)
EXPORT: Final = AuditedKind(
    "export",
    "friendly_id",
    (
        *(
            "name",
            "segment_ref",
            "static_list_ref",
            "definition_type",
            "shape",
            "schedule",
            "destination",
        ),
        *("webhook", "webhook_secret"),
    ),
    inline=frozenset({"shape"}),
    secrets=_HOOK,
    addresses=_ADDRESSES,
)
SAVED_QUERY: Final = AuditedKind("saved_query", "name", ("name", "sql"))
STATIC_LIST: Final = AuditedKind("static_list", "friendly_id", ("name", "description"))
GUEST_VIEW: Final = AuditedKind("guest_view", "name", ("name", "is_shared", "columns", "sort"))
TRAIT: Final = AuditedKind("trait", "name", ("definition",), inline=frozenset({"definition"}))
POINT_OF_SALE: Final = AuditedKind(
    "point_of_sale", "name", ("name", "market", "brand", "language", "timeout_minutes", "test")
)
SITE: Final = AuditedKind("site", "site", ("point_of_sale",))
KEY: Final = AuditedKind(
    "key",
    "client_key",
    ("name", "compatibility", "scopes", "api_token", "revoked"),
    secrets=frozenset({"api_token"}),
)
ALIAS: Final = AuditedKind("alias", "alias", ("client_key",))
OAUTH_KEY: Final = AuditedKind(
    "oauth", "client_id", ("name", "client_secret", "revoked"), secrets=frozenset({"client_secret"})
)
IDENTITY_RULES: Final = AuditedKind("identity_rules", "of", ("rules",))
IDENTITY_GUARDS: Final = AuditedKind("identity_guards", "of", ("group_limit", "region", "never"))
CONSENT: Final = AuditedKind("consent", "of", ("fields",), inline=frozenset({"fields"}))
IMPORT: Final = AuditedKind(
    "import", "ref", ("entity", "state", "size", "file_options"), inline=frozenset({"file_options"})
)
IMPORT_SOURCE: Final = AuditedKind(
    "import_source",
    "name",
    ("name", "address", "entity", "file_options", "mark_column", "schedule"),
    inline=frozenset({"file_options"}),
    addresses=frozenset({"address"}),
)
FILE_EXPORT: Final = AuditedKind(
    "file_export", "ref", ("entity", "format", "compressed", "compression")
)
WORKSPACE: Final = AuditedKind("workspace", "name", ("name", "sandbox_of"))
USER: Final = AuditedKind("user", "email", ("role", "workspaces", "disabled"))
KINDS: Final = {each.name: each for each in vars().copy().values() if isinstance(each, AuditedKind)}
"""Every kind, by name."""


def differences(
    kind: AuditedKind, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None
) -> dict[str, list[Any]]:
    """Return field -> [before, after] of the fields that differ between two states.

    A state is None before creation and after deletion; a field that a state lacks counts as None.
    """
    pairs = _differing(kind, before or {}, after or {})
    listed = dict(islice(pairs, MOST_FIELDS))
    more = sum(1 for _ in pairs)
    return listed | {_MORE: [None, f"{more} more"]} if more else listed


def _differing(
    kind: AuditedKind, before: Mapping[str, Any], after: Mapping[str, Any]
) -> Iterator[tuple[str, list[Any]]]:
    for name in kind.fields:
        old, new = before.get(name), after.get(name)
        if name in kind.secrets:
            if old != new:
                yield name, [old and IS_SET, new and (IS_ANOTHER if old else IS_SET)]
            continue
        for path, *pair in _members("" if name in kind.inline else name, old, new):
            is_address = path in kind.addresses
            yield path[:LONGEST_PATH], [_recorded(value, is_address) for value in pair]


def _members(path: str, old: Any, new: Any) -> Iterator[tuple[str, Any, Any]]:
    """Yield (path, old, new) of each value that differs, also within objects and lists of them."""
    if old == new:
        return
    if all(each is None or isinstance(each, Mapping) for each in (old, new)):
        old, new = old or {}, new or {}
        for name in dict.fromkeys([*old, *new]):
            inner = f"{path}.{name}" if path else str(name)
            yield from _members(inner, old.get(name), new.get(name))
    elif all(each is None or _is_list_of_objects(each) for each in (old, new)):
        old, new = old or [], new or []
        for at in range(max(len(old), len(new))):
            parts = (each[at] if at < len(each) else None for each in (old, new))
            yield from _members(f"{path}[{at}]", *parts)
    else:
        yield path, old, new


def _is_list_of_objects(value: Any) -> bool:
    is_list = isinstance(value, list | tuple) and bool(value)
    return is_list and all(isinstance(each, Mapping) for each in value)


def _recorded(value: Any, is_address: bool = False) -> Any:
    """Return a value as the log stores it: bounded, and URLs without their query."""
    if value is None or isinstance(value, bool | int | float | Decimal):
        return value
    if isinstance(value, Mapping):
        return {str(name): _recorded(each) for name, each in islice(value.items(), MOST_ITEMS)}
    if isinstance(value, list | tuple | set | frozenset):
        items = sorted(value, key=str) if isinstance(value, set | frozenset) else value
        more = [_MORE] if len(items) > MOST_ITEMS else []
        return [*(_recorded(each) for each in islice(items, MOST_ITEMS)), *more]
    text = str(value)
    text = masked_page(text) if is_address else text
    return text if len(text) <= LONGEST else text[:LONGEST] + _MORE
