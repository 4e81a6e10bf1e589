"""Items of long lists as JSON text: the values of a record stay the text that PostgreSQL sent.

The names, order and links of items with the same members are prepared once per view. Only values
that the view converts are decoded.
"""

from collections.abc import Callable, Collection
from operator import itemgetter
from typing import Any, Final

import msgspec

from innkeeper.resources.base import Record
from innkeeper.wire.encode import paths_of, spelt_names
from innkeeper.wire.json_text import decode_value, encode
from innkeeper.wire.views import PairsView, Show, View, ref_of_record

ItemText = Callable[[Record, bytes], msgspec.Raw]
"""(record as `Work.all_as_json` returns it, base URL as JSON without quotes) -> the item."""

_SHAPES_MAX: Final = 256
"""Maximum number of combinations of a base URL and members with prepared text."""


def item_text_encoder(view: View) -> ItemText | None:
    """Return the function that writes records of `view`; None if it needs decoded records.

    Its text has the members of `encode.encoder`.
    """
    before, _, after = view.item.partition("{")
    after = after.partition("}")[2]
    below, others = paths_of(view)
    repeats_ref = all(computed.of is ref_of_record for computed in view.add.values())
    is_prepared = repeats_ref and not (others or view.linked or view.open_ended)
    if not is_prepared or isinstance(view, PairsView) or "{" in after:
        return None
    names = {name: member for name, member in spelt_names(view).items() if name != "ref"}
    shows = [(name, show) for name, show in view.show.items() if name in names]
    repeats = [*(["ref"] if "ref" not in view.hide else []), *view.add]
    own = _literal(before), _literal(after)
    prepared: dict[tuple[Any, ...], tuple[bytes, Callable[[Record], tuple[Any, ...]]]] = {}

    def prepare(shape: tuple[Any, ...]) -> tuple[bytes, Callable[[Record], tuple[Any, ...]]]:
        """Return the text of items with these members, and the values that go into it."""
        base, *members = shape
        href = _literal(base) + own[0] + b"%b" + own[1]
        ordered = [name for name in names if name in members]
        parts = [b'"href":"' + href + b'"']
        parts += [_literal(encode(member)) + b':"%b"' for member in repeats]
        parts += [_literal(encode(names[name])) + b":%b" for name in ordered]
        parts += [
            _literal(encode(member)) + b':{"href":"' + href + _literal(path) + b'"}'
            for member, path in below
        ]
        refs = ["ref"] * (1 + len(repeats))
        values = itemgetter(*refs, *ordered, *["ref"] * len(below))
        if len(prepared) >= _SHAPES_MAX:
            prepared.clear()
        prepared[shape] = b"{" + b",".join(parts) + b"}", values
        return prepared[shape]

    def encode_item(record: Record, base: bytes) -> msgspec.Raw:
        for name, show in shows:
            if name in record:
                record[name] = _convert(record[name], show)
        shape = (base, *record)
        text, values = prepared.get(shape) or prepare(shape)
        try:
            return msgspec.Raw(text % values(record))
        except TypeError:  # a value is null, which few are
            return encode_item(_without_null(record, view.show), base)

    return encode_item


def _literal(text: str | bytes) -> bytes:
    """Escape a text for use in a `%` format."""
    return (text.encode() if isinstance(text, str) else text).replace(b"%", b"%%")


def _without_null(record: Record, converted: Collection[str]) -> Record:
    """Return a record with null as JSON; a value that converts to None is left out."""
    return {
        name: b"null" if value is None else value
        for name, value in record.items()
        if value is not None or name not in converted
    }


def _convert(value: Any, show: Show) -> bytes | None:
    """Return a value as a view shows it; None leaves the member out."""
    converted = show(decode_value(value))
    return None if converted is None else encode(converted)
