"""What the audit log records of configuration: each kind's fields, and old → new of two states.

Secrets are never recorded, nor is what addresses of other systems carry in their queries. A field
that holds JSON is recorded by its members, as far as they differ.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice
from typing import Any, Final

from innkeeper.rules.masking import masked_page

MOST_FIELDS: Final = 200
"""Fields of one change that are recorded; a member of JSON is one."""
MOST_ITEMS: Final = 200
"""Items of a list that are recorded."""
LONGEST_PATH: Final = 200
"""Characters of the name of a field that are recorded, members included."""
LONGEST: Final = 4000
"""Characters of a text that are recorded."""
IS_SET: Final = "(secret)"
IS_ANOTHER: Final = "(another secret)"
_MORE: Final = "…"


@dataclass(frozen=True, slots=True)
class AuditedKind:
    """One kind of configuration."""

    name: str
    """Names the kind in the log, and begins its actions: `segment`, `segment.change`."""
    key: str
    """The field that a person knows one by."""
    fields: tuple[str, ...]
    """What is recorded of it."""
    inline: frozenset[str] = frozenset()
    """Fields of JSON whose members stand for themselves, without the field's name."""
    secrets: frozenset[str] = frozenset()
    """Fields of which it is recorded only that there is one, or another."""
    addresses: frozenset[str] = frozenset()
    """Fields, and members of JSON, that are addresses: recorded without their query."""


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
        *("name", "segment_ref", "definition_type", "shape", "schedule", "destination"),
        *("webhook", "webhook_secret"),
    ),
    inline=frozenset({"shape"}),
    secrets=_HOOK,
    addresses=_ADDRESSES,
)
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
    "oauth",
    "client_id",
    ("name", "client_secret", "revoked"),
    secrets=frozenset({"client_secret"}),
)
IDENTITY_RULES: Final = AuditedKind("identity_rules", "of", ("rules",))
IDENTITY_GUARDS: Final = AuditedKind("identity_guards", "of", ("group_limit", "region", "never"))
IMPORT: Final = AuditedKind(
    "import",
    "ref",
    ("holds", "state", "size", "about"),
    inline=frozenset({"about"}),
)
FILE_EXPORT: Final = AuditedKind("file_export", "ref", ("entity", "format", "compressed"))
WORKSPACE: Final = AuditedKind("workspace", "name", ("name", "sandbox_of"))
USER: Final = AuditedKind("user", "email", ("role", "workspaces", "disabled"))
KINDS: Final = {
    kind.name: kind
    for kind in (
        *(SEGMENT, EXPORT, TRAIT, POINT_OF_SALE, SITE, KEY, ALIAS, OAUTH_KEY, IDENTITY_RULES),
        *(IDENTITY_GUARDS, IMPORT, FILE_EXPORT, WORKSPACE, USER),
    )
}
"""Every kind, by name."""


def differences(
    kind: AuditedKind, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None
) -> dict[str, list[Any]]:
    """{field: [before, after]} of what differs between two states of one thing; None for the state
    of what does not exist yet, or any more. A field that a state lacks is None in it."""
    pairs = _differing(kind, before or {}, after or {})
    found = dict(islice(pairs, MOST_FIELDS))
    more = sum(1 for _ in pairs)
    return found | {_MORE: [None, f"{more} more"]} if more else found


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
    """(path, old, new) of each value that differs, inside of objects and lists of objects."""
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
    """A value as the log holds it."""
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
