"""Items of long lists and embedded children as JSON text: the values of a record stay the text that
PostgreSQL sent.

The names, order and links of items with the same members are prepared once per view. Only values
that the view converts are decoded.
"""

from collections.abc import Callable
from functools import partial
from operator import itemgetter
from typing import Any, Final, TypeVar

import msgspec

from innkeeper.resources.base import Record
from innkeeper.wire.encode import link_parts, spelt_names
from innkeeper.wire.json_text import decode_value, encode
from innkeeper.wire.views import PairsView, View, ref_of_record

ItemsText = Callable[[list[Record], bytes], list[msgspec.Raw]]
"""(records as `Work.all_as_json` or `child_records.parse_as_text` returns them, base URL as JSON
without quotes) -> the items. Changes the records."""
_Shape = tuple[str, ...]
"""The members of a record."""
Key = TypeVar("Key")
Entry = TypeVar("Entry")
_Prepared = tuple[list[bytes], Callable[[Record], tuple[Any, ...]]]
"""The text of items of a shape in pieces, and the values between them."""

_BASES_MAX: Final = 16
"""Maximum number of base URLs with prepared text."""
_SHAPES_MAX: Final = 256
"""Maximum number of combinations of members with prepared text, for each base URL."""


def items_text_encoder(view: View) -> ItemsText | None:
    """Return the function that writes records of `view`; None if it needs decoded records.

    Its text has the members of `encode.encoder`.
    """
    added = [(member, each) for member, each in view.add.items() if each.of is not ref_of_record]
    if isinstance(view, PairsView) or view.open_ended or not all(each.selects for _, each in added):
        return None
    names = _names_of(view)
    shows = [(name, show) for name, show in view.show.items() if name in names]
    fields = {member: name for name, member in names.items()}
    selected = [(fields.get(member, member), computed.of) for member, computed in added]
    names |= {name: member for (member, _), (name, _) in zip(added, selected, strict=True)}
    linked = [
        (member, field, path.partition("{")[0].encode())
        for member, (field, path) in view.linked.items()
    ]
    prepare = _preparer(view, names)
    by_base: dict[bytes, dict[_Shape, _Prepared]] = {}

    def convert(records: list[Record], base: bytes) -> None:
        for name, show in shows:
            for record in records:
                if name in record:
                    _put(record, name, show(decode_value(record[name])))
        for name, select in selected:
            for record in records:
                _put(record, name, select(record))
        for member, field, path in linked:
            start = b'{"href":"' + base + path
            for record in records:
                record[member] = b",".join(start + ref + b'"}' for ref in record.get(field) or ())

    def encode_items(records: list[Record], base: bytes) -> list[msgspec.Raw]:
        convert(records, base)
        prepared = _entry(by_base, base, dict, _BASES_MAX)
        items = []
        for record in records:
            shape = tuple(record)
            pieces, values = prepared.get(shape) or _entry(
                prepared, shape, partial(prepare, base, shape), _SHAPES_MAX
            )
            parts = pieces[:]
            parts[1::2] = values(record)
            try:
                items.append(msgspec.Raw(b"".join(parts)))
            except TypeError:  # a value is null, which few are
                parts = [b"null" if part is None else part for part in parts]
                items.append(msgspec.Raw(b"".join(parts)))
        return items

    return encode_items


def _entry(entries: dict[Key, Entry], key: Key, make: Callable[[], Entry], most: int) -> Entry:
    """Return the entry of a key, made on first use; of too many, all are dropped."""
    if key not in entries:
        if len(entries) >= most:
            entries.clear()
        entries[key] = make()
    return entries[key]


def _names_of(view: View) -> dict[str, str]:
    """The fields whose values items show, and their members: those that are no links."""
    links = {*view.parents, *view.children, *view.linked}
    spelt = spelt_names(view).items()
    return {name: member for name, member in spelt if name != "ref" and member not in links}


def _preparer(view: View, names: dict[str, str]) -> Callable[[bytes, _Shape], _Prepared]:
    """Return the function that prepares the text of items of a shape."""
    repeats = [] if "ref" in view.hide else ["ref"]
    repeats += [member for member, computed in view.add.items() if computed.of is ref_of_record]

    def prepare(base: bytes, members: _Shape) -> _Prepared:
        literals, values = [b""], list[str]()

        def add(text: bytes, between: list[str], names: list[str]) -> None:
            """Append text, then texts with values between them."""
            first, *rest = map(str.encode, between)
            literals[-1] += text + first
            literals.extend(rest)
            values.extend(names)

        def add_link(path: str) -> None:
            texts, refs = link_parts(view, path)
            add(b'{"href":"' + base, texts, refs)
            literals[-1] += b'"'

        add_link(view.item)
        for member in repeats:
            add(b"," + encode(member), [':"', '"'], ["ref"])
        for name, member in names.items():
            if name in members:
                add(b"," + encode(member), [":", ""], [name])
        for member in view.linked:
            add(b"," + encode(member), [':{"items":[', "]}"], [member])
        for member, path in {**view.parents, **view.children}.items():
            literals[-1] += b"," + encode(member) + b":"
            add_link(path)
            literals[-1] += b"}"
        literals[-1] += b"}"
        pieces = [b""] * (2 * len(literals) - 1)
        pieces[0::2] = literals
        return pieces, _values_of(values)

    return prepare


def _values_of(names: list[str]) -> Callable[[Record], tuple[Any, ...]]:
    """Return the function that takes values of a record, as a tuple also if there is one name."""
    return itemgetter(*names) if len(names) > 1 else lambda record: (record[names[0]],)


def _put(record: Record, name: str, value: Any) -> None:
    """Set a member to a value or to the text of one; None leaves the member out."""
    if value is None:
        record.pop(name, None)
    else:
        record[name] = value if isinstance(value, msgspec.Raw | bytes) else encode(value)
