"""Mask personal data for users and keys without the right to see it.

Masked are the fields declared `personal`, the query strings of page addresses, and the texts of
`free` JSON, whose members are not declared. A masked value shows that it exists, and its first
letter. `rules/personal.py` says which fields rules and filters may not name, and
`rules/access.py` which roles see personal data.
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
"""Fewest digits of a number in free JSON that may be a phone number or an id."""
FINE_NUMBER: Final = 4
"""Fewest decimals of a number in free JSON that may be a coordinate."""

_BETWEEN_WORDS: Final = re.compile(r"([\s/?&=,;'\"<>()]+)")


def masked(text: str) -> str:
    """Mask a personal text: `jane@example.com` becomes `j•••@•••`."""
    first = text[:1]
    return f"{first}{HIDDEN}@{HIDDEN}" if "@" in text else f"{first}{HIDDEN}"


def masked_addresses(text: str) -> str:
    """Mask the e-mail addresses in a text."""
    words = _BETWEEN_WORDS.split(text)
    return "".join(masked(word) if _is_address(word) else word for word in words)


def masked_page(address: str) -> str:
    """Mask the query, fragment and e-mail addresses of a page address."""
    ends = [at for sign in "?#" if (at := address.find(sign)) >= 0]
    if not ends:
        return masked_addresses(address)
    end = min(ends)
    rest = HIDDEN if len(address) > end + 1 else ""
    return f"{masked_addresses(address[:end])}{address[end]}{rest}"


def masked_line(text: str) -> str:
    """Mask the e-mail addresses and the query strings of page addresses in a line of text."""
    return " ".join(masked_page(word) for word in text.split(" "))


def masked_row(row: Iterable[Any]) -> list[Any]:
    """Mask a row of a report, whose texts are mostly page addresses and product names."""
    return [masked_line(value) if isinstance(value, str) else value for value in row]


def masked_record(record: Record, resource: type[Resource]) -> Record:
    """Mask the personal values of a record."""
    return {
        name: value if (field := resource.fields.get(name)) is None else _field(field, value)
        for name, value in record.items()
    }


def masked_free(value: Any) -> Any:
    """Mask undeclared JSON: texts, and numbers that may be an id or a coordinate."""
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
    """Mask the value that a segment's rule compares with, if the field is personal."""
    if location == CORE and is_page_address(field):
        return masked_page(value)
    return masked(value) if value and is_personal(field, location, data_type) else value


def masked_setting(path: str, value: Any) -> Any:
    """Mask a configuration field, or a member of its JSON at `path`: the values of rules, e-mail
    addresses and page addresses."""
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
    """Mask the literals in the SQL of a segment."""
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
