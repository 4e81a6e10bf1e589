"""Recognise the field of a column by its name, in six languages; names are in `columns.toml`."""

import re
import tomllib
import unicodedata
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Final

from innkeeper.resources.codes import CURRENCIES
from innkeeper.rules.normalize import folded
from innkeeper.wire.bulk.targets import PLANS, is_target

CUSTOMER_NUMBER: Final = "customerNumber"
"""Represents an identifier of the person in the system that exported the file."""
BARE_IDS: Final = frozenset(("id", "recordid", "externalid"))
"""Names that mean the person in a list of persons, and the order in a list of orders."""
_TABLES: Final = {"guests": ("guests",), "orders": ("orders", "items", "guests")}
_PREFIXES: Final = {"items": "orderItems."}
_IN_BRACKETS: Final = re.compile(r"\(([^()]*)\)")
_WORDS: Final = re.compile(r"[^\W_]+")


@cache
def _document() -> Mapping[str, Any]:
    text = files("innkeeper.wire.bulk").joinpath("columns.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


@cache
def _names(table: str) -> Mapping[str, str]:
    """Folded name of a column -> field."""
    names = {
        folded(name): field for field, several in _document()[table].items() for name in several
    }
    own = {folded(name): name for name in PLANS.get(table, ()) if is_target(table, name)}
    return {**names, **{name: field for name, field in own.items() if name not in names}}


@cache
def _qualifiers() -> tuple[str, ...]:
    return tuple(sorted({folded(word) for word in _document()["qualifiers"]}, key=len)[::-1])


@cache
def words_of(field: str) -> Mapping[str, str]:
    """Folded word in a cell -> value of a field that accepts only certain values."""
    table: Mapping[str, list[str]] = _document()["values"].get(field, {})
    return {folded(word): value for value, several in table.items() for word in several}


def named_targets(entity: str, column: str) -> list[str]:
    """Return the targets that a column's name suggests, the likeliest first.

    Orders have targets of their own, of their items and of their contact. `customerNumber` stands
    for an identifier.
    """
    meanings = dict[str, None]()
    if is_target(entity, column) and "." in column:
        meanings[column] = None
    spellings = _spellings(column)
    for stripped in (False, True):
        for table in _TABLES[entity]:
            for word in spellings:
                for field in _fields(table, word, stripped=stripped):
                    is_order = entity == "orders" and word in BARE_IDS and field == CUSTOMER_NUMBER
                    meanings["referenceId" if is_order else _target(entity, table, field)] = None
    if is_target(entity, column):
        meanings[column] = None
    return list(meanings)


def rank_of(entity: str, column: str) -> tuple[int, int]:
    """Return how usual a column's name is for its field; of two columns for a field, the one with
    the lower rank is it."""
    for number, table in enumerate(_TABLES[entity]):
        for word in _spellings(column):
            if word in _names(table):
                return number, list(_names(table)).index(word)
    return len(_TABLES), 0


def _fields(table: str, word: str, *, stripped: bool) -> list[str]:
    """Return the fields of a folded name, or of the name without a qualifier."""
    names = _names(table)
    if not stripped:
        return [names[word]] if word in names else []
    if table == "orders":
        return []
    shorter = [word.removeprefix(each) for each in _qualifiers() if word.startswith(each)]
    shorter += [word.removesuffix(each) for each in _qualifiers() if word.endswith(each)]
    return [names[each] for each in shorter if each in names]


def _target(entity: str, table: str, field: str) -> str:
    if entity == "orders" and table == "guests":
        return field if field == CUSTOMER_NUMBER else f"contact.{field}"
    return _PREFIXES.get(table, "") + field


def _spellings(column: str) -> list[str]:
    """Return the folded forms of a column's name: the whole, then without currency and brackets."""
    bare = _IN_BRACKETS.sub(" ", column)
    # Address books have `E-mail 1 - Value` and `Address 1 - City`, JSON `address.city`.
    what, _, part = bare.partition(" - ")
    if folded(part) == "value":
        bare = what.strip("0123456789 ")
    elif folded(what) == "address1":
        bare = part
    of, _, member = bare.rpartition(".")
    if folded(of) in ("address", "billingaddress", "defaultaddress"):
        bare = member
    words = [word for word in _WORDS.findall(bare) if word not in CURRENCIES]
    return list(dict.fromkeys(filter(None, (folded(column), folded(" ".join(words))))))


def currency_in(column: str) -> str | None:
    """Return the currency that a column's name contains: `Total (EUR)`."""
    codes = [word for word in _WORDS.findall(column) if word in CURRENCIES]
    return codes[0] if len(codes) == 1 and column.strip() != codes[0] else None


def pair_name(column: str) -> str:
    """Return a column's name as the name of a pair in a data extension, in camel case."""
    plain = unicodedata.normalize("NFKD", column.replace("ß", "ss"))
    letters = (c for c in plain if not unicodedata.combining(c))
    words = "".join(c if c.isascii() and c.isalnum() else " " for c in letters).split()
    lower = (word.lower() if word.isupper() else word for word in words)
    name = "".join(word[:1].upper() + word[1:] for word in lower)
    name = name.lstrip("0123456789") or "column"
    return name[:1].lower() + name[1:]
