"""What is shown in place of values that name or locate a person: one place decides, for all pages.

It follows from the declarations of resources: fields that are `personal`, addresses of pages (their
query strings may hold anything) and `free` JSON, which nobody declared member by member. Which
fields rules and filters may not name is in `rules/personal.py`, which roles see personal data in
`rules/access.py`. All others see that a value is there, and its first letter.
"""

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final

from innkeeper.resources.base import Field, Record, Resource
from innkeeper.resources.kinds import IDENTIFIERS
from innkeeper.resources.segments import CORE
from innkeeper.rules.personal import is_page_address, is_personal
from innkeeper.rules.sql_literals import mask_sql

HIDDEN: Final = "•••"
LONG_NUMBER: Final = 7
"""Digits from which on a number of free JSON may be a telephone number or an id."""
FINE_NUMBER: Final = 4
"""Digits behind the point from which on it may be a place on the map."""

_BETWEEN_WORDS: Final = re.compile(r"([\s/?&=,;'\"<>()]+)")


def masked(text: str) -> str:
    """Personal text for those who may not read it: `jane@example.com` is `j•••@•••`."""
    first = text[:1]
    return f"{first}{HIDDEN}@{HIDDEN}" if "@" in text else f"{first}{HIDDEN}"


def masked_addresses(text: str) -> str:
    """Text with the e-mail addresses in it masked."""
    words = _BETWEEN_WORDS.split(text)
    return "".join(masked(word) if _is_address(word) else word for word in words)


def masked_page(address: str) -> str:
    """The address of a page without its query and fragment, and without e-mail addresses."""
    ends = [at for sign in "?#" if (at := address.find(sign)) >= 0]
    if not ends:
        return masked_addresses(address)
    end = min(ends)
    rest = HIDDEN if len(address) > end + 1 else ""
    return f"{masked_addresses(address[:end])}{address[end]}{rest}"


def masked_line(text: str) -> str:
    """A line of text: e-mail addresses and the query strings of addresses of pages are masked."""
    return " ".join(masked_page(word) for word in text.split(" "))


def masked_row(row: Iterable[Any]) -> list[Any]:
    """A row of a report: its texts are addresses of pages and names of products, mostly."""
    return [masked_line(value) if isinstance(value, str) else value for value in row]


def masked_record(record: Record, resource: type[Resource]) -> Record:
    """A record without what names or locates a person: masked, so that one sees it is there."""
    return {
        name: value if (field := resource.fields.get(name)) is None else _field(field, value)
        for name, value in record.items()
    }


def masked_free(value: Any) -> Any:
    """JSON that nobody declared: texts are masked, and numbers that may be an id or a place."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int | float | Decimal):
        return HIDDEN if _may_identify(str(value)) else value
    if isinstance(value, Mapping):
        return {masked_addresses(str(key)): masked_free(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [masked_free(item) for item in value]
    return masked(str(value))


def masked_rule(location: str, field: str, data_type: str, value: str) -> str:
    """What a rule of a segment compares with."""
    if location == CORE and is_page_address(field):
        return masked_page(value)
    return masked(value) if value and is_personal(field, location, data_type) else value


def masked_setting(path: str, value: Any) -> Any:
    """A field of configuration, or a member of its JSON at a path: what rules compare with is
    masked, and addresses of people and of pages."""
    member = path.rpartition(".")[2].partition("[")[0]
    if member in ("value", "values"):
        return masked_free(value)
    if member == "sql" and isinstance(value, str):
        return masked_sql(value)
    if isinstance(value, Mapping):
        return {key: masked_setting(str(key), each) for key, each in value.items()}
    if isinstance(value, list):
        return [masked_setting(path, each) for each in value]
    return masked_line(value) if isinstance(value, str) else value


def masked_sql(text: str) -> str:
    """SQL of a segment: its words without what they are compared with."""
    return mask_sql(text, masked, lambda digits: HIDDEN if _may_identify(digits) else digits)


def _field(field: Field, value: Any) -> Any:
    if field.personal:
        return _identifiers(value) if field.kind is IDENTIFIERS else _personal(value)
    if field.page_address:
        return masked_page(value) if isinstance(value, str) else value
    if field.free:
        return masked_free(value)
    return _lines(value)


def _lines(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _lines(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_lines(item) for item in value]
    return masked_line(value) if isinstance(value, str) else value


def _personal(value: Any) -> Any:
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, Mapping):
        return {masked_addresses(str(key)): _personal(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_personal(item) for item in value]
    return masked(value) if isinstance(value, str) else HIDDEN


def _identifiers(value: Any) -> Any:
    if not isinstance(value, list):
        return _personal(value)
    return [
        {name: item if name == "provider" else _personal(item) for name, item in each.items()}
        for each in value
    ]


def _is_address(word: str) -> bool:
    return any(0 < word.find(sign) < len(word) - len(sign) for sign in ("@", "%40"))


def _may_identify(number: str) -> bool:
    digits = sum(letter.isdecimal() for letter in number)
    return digits >= LONG_NUMBER or len(number.partition(".")[2]) >= FINE_NUMBER
