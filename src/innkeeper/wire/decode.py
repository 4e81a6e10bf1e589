"""Decode request bodies to changes, and name every problem at once."""

import re
from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any, Final

from innkeeper.errors import Invalid, Problem, missing
from innkeeper.resources.base import Changes, Field
from innkeeper.resources.guests import DEFAULT_KEY, MAX_PAIRS, RESERVED
from innkeeper.resources.kinds import Kind, Text
from innkeeper.resources.naming import camel
from innkeeper.resources.values import MAX_KEY, ValueRefused, opaque, primitive, storable
from innkeeper.wire.views import PairsView, Verb, View

_PAIR_KEY: Final = re.compile(r"[a-z][A-Za-z0-9]*", re.ASCII)
_FREE_NAME: Final = re.compile(r"[^\x00-\x1f\x7f-\x9f/]{1,128}")
DEFAULT_NAME: Final = "ext"
_KEY: Final = Text(longest=MAX_KEY)


def decode(view: View, verb: Verb, body: dict[str, Any], path_name: str | None = None) -> Changes:
    """Return the changes that `body` requests; raises `Invalid` with every problem (EU-3).

    `path_name` is the name of the data extension in the path, if there is one.
    """
    if isinstance(view, PairsView):
        return _decode_pairs(view, body, path_name)
    changes: Changes = {}
    problems: list[Problem] = []
    for spelt, name, read, required, clearable in _plan(view, verb):
        value = body.get(spelt)
        if value is None:
            if required or (clearable is False and spelt in body):
                problems.append(missing(spelt))
            elif clearable and spelt in body:
                changes[name] = None
            continue
        try:
            changes[name] = read(value)
        except ValueRefused as refused:
            problems.append(_problem(spelt, refused))
    if view.open_ended:
        _read_rest(view, body, changes, problems)
    if problems:
        raise Invalid(*problems)
    return {**view.defaults, **changes} if verb is Verb.CREATE else changes


def wire_name(view: View, name: str) -> str:
    """Return the name of a field in `view`."""
    return view.rename.get(name) or camel(name)


def writable(view: View) -> dict[str, tuple[Field, Kind]]:
    """Return the fields that a body may set, by name in JSON, with the kind that reads each."""
    return {
        wire_name(view, name): (field, view.accept.get(name, field.kind))
        for name, field in view.resource.fields.items()
        if not field.owned and name not in view.hide and name != view.open_ended
    }


def required_fields(view: View) -> frozenset[str]:
    """Return the names of the fields that a create requires."""
    if view.required is not None:
        return view.required
    return frozenset(name for name, field in view.resource.fields.items() if field.required)


_Read = Callable[[Any], Any]


@cache
def _plan(view: View, verb: Verb) -> list[tuple[str, str, _Read, bool, bool | None]]:
    """Return (name in JSON, field, function that reads a value, required, whether null clears it)
    of every member that a body of `verb` may have; None: null is as if it were absent."""
    named = required_fields(view)
    needed = named if verb in (Verb.CREATE, Verb.REPLACE) else frozenset()
    return [
        (
            spelt,
            field.name,
            kind.read,
            field.name in needed and (verb is Verb.CREATE or replaced(view, field)),
            field.name not in named if field.clearable else None,
        )
        for spelt, (field, kind) in writable(view).items()
    ]


def replaced(view: View, field: Field) -> bool:
    """Whether a replace requires a required field: without it, fields that cannot be cleared are
    kept (G-4)."""
    return field.clearable or field.name in view.insists


def _read_rest(view: View, body: dict[str, Any], changes: Changes, problems: list[Problem]) -> None:
    """Collect undocumented members into one field (VU-4)."""
    declared = _declared_members(view)
    try:
        rest = opaque({name: value for name, value in body.items() if name not in declared})
    except ValueRefused as refused:
        problems.append(Problem("body", refused.reason))
        return
    if rest:
        changes[view.open_ended] = rest


@cache
def _declared_members(view: View) -> frozenset[str]:
    spelt = (wire_name(view, name) for name in view.resource.fields)
    return frozenset({"href", *spelt, *view.parents, *view.children, *view.add, *view.linked})


def _problem(wire_name: str, refused: ValueRefused) -> Problem:
    if refused.reason.endswith("."):
        return missing(wire_name + refused.at)
    return Problem(wire_name + refused.at, refused.reason)


def _decode_pairs(view: PairsView, body: dict[str, Any], path_name: str | None) -> Changes:
    problems: list[Problem] = []
    name = path_name
    if view.named_by_path:
        problems += _name_problems(view, name)
    elif path_name is None:
        name = body.get("name", None if view.names else DEFAULT_NAME)
        problems += _name_problems(view, name)
    members = {key: value for key, value in body.items() if key not in RESERVED}
    single = _single_pair(view, body, problems)
    if single:
        del members["value"]
        members[single] = body["value"]
        if path_name is not None and body.get("name", path_name) != path_name:
            problems.append(Problem("name", f"must be {path_name}"))
    pairs: dict[str, Any] = {}
    for key, value in members.items():
        problem = key_problem(key)
        if problem is None:
            try:
                pairs[key] = primitive(value)
                continue
            except ValueRefused as refused:
                problem = Problem(key, refused.reason)
        problems.append(problem)
    if view.keyed:
        problems += _keyed_problems(body.get("key"))
    if len(members) > MAX_PAIRS:
        reason = f"a maximum of {MAX_PAIRS} key-value pairs is allowed"
        problems.insert(0, Problem(str(name), reason))
    if problems:
        raise Invalid(*problems)
    changes = {"name": name, "pairs": pairs, "single": bool(single) and len(pairs) == 1}
    return {**changes, "key": body["key"]} if view.keyed else changes


def _single_pair(view: PairsView, body: dict[str, Any], problems: list[Problem]) -> str | None:
    """Return the key of a pair that was sent as {key, value} (N-12)."""
    if not view.single_form or "value" not in body:
        return None
    if not isinstance(body["value"], str):
        problems.append(Problem("value", "must be a string"))
    key = body.get("key")
    if key is None or key == DEFAULT_KEY:
        return None
    if not isinstance(key, str) or key in RESERVED or not _PAIR_KEY.fullmatch(key):
        problems.append(Problem("key", "must be alphanumeric and in camel case"))
        return None
    return key


@lru_cache(1024)
def key_problem(key: str) -> Problem | None:
    """Return what is wrong with the name of a data extension's pair."""
    if len(key) > MAX_KEY:
        return Problem(key[:MAX_KEY], f"size must be between 1 and {MAX_KEY}")
    if not _PAIR_KEY.fullmatch(key):
        return Problem(key, "must be alphanumeric and in camel case")
    return None


def _keyed_problems(key: Any) -> list[Problem]:
    """Return the key that v2 requires in every body (VX-2)."""
    if key is None:
        return [missing("key")]
    try:
        _KEY.read(key)
    except ValueRefused as refused:
        return [Problem("key", refused.reason)]
    return []


def _name_problems(view: PairsView, name: Any) -> list[Problem]:
    if name is None:
        return [missing("name")]
    if view.names is not None:
        if name in view.names:
            return []
        return [Problem("name", f"value must be one of {','.join(view.names)}")]
    if not isinstance(name, str) or name in (".", "..") or not _FREE_NAME.fullmatch(name):
        return [Problem("name", "must be 1 to 128 characters without control characters or /")]
    try:
        storable(name)
    except ValueRefused as refused:
        return [Problem("name", refused.reason)]
    return []
