"""A first mapping of a table's columns, by their names and some rows, for a person to edit."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import cache
from typing import Any, Final

from innkeeper.resources.kinds import Day, Instant
from innkeeper.rules.normalize import folded
from innkeeper.wire.bulk.mapping import PLANS, Unfit, boolean_in, is_target, kind_of, number_in


def suggested(holds: str, columns: Iterable[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """A mapping file to edit: what each column seems to be, by its name and some rows."""
    parts = suggested_parts(holds, columns, rows)
    return _toml(holds, parts["columns"], parts["formats"], parts["types"])


def suggested_parts(
    holds: str, columns: Iterable[str], rows: Iterable[Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    """The same as the parts of a mapping: its tables `columns`, `formats` and `types`."""
    samples = list(rows)
    chosen: dict[str, str | list[str]] = {}
    formats, types = dict[str, str](), dict[str, str]()
    for column in columns:
        if not column:
            continue
        texts = [str(row[column]) for row in samples if row.get(column) not in (None, "")]
        targets = _guess(holds, column)
        chosen[column] = targets[0] if len(targets) == 1 else targets
        kind = kind_of(holds, targets[0])
        if isinstance(kind, Instant | Day) and (form := _date_format(texts)):
            formats[column] = form
        if targets[0].startswith("extensions.") and (type_ := _type_of(texts)) != "text":
            types[column] = type_
    return {"columns": chosen, "formats": formats, "types": types}


_ALIASES: Final[Mapping[str, str]] = {
    **dict.fromkeys(("email", "emailaddress", "mail"), "email"),
    **dict.fromkeys(("firstname", "givenname", "forename"), "firstName"),
    **dict.fromkeys(("lastname", "surname", "familyname"), "lastName"),
    **dict.fromkeys(("dob", "birthdate", "birthday", "dateofbirth"), "dateOfBirth"),
    **dict.fromkeys(("phone", "mobile", "telephone", "phonenumber", "tel"), "phoneNumbers"),
    **dict.fromkeys(("street", "address", "address1", "streetaddress", "address2"), "street"),
    **dict.fromkeys(("city", "town"), "city"),
    **dict.fromkeys(("state", "region", "province", "county"), "state"),
    **dict.fromkeys(("zip", "zipcode", "postcode", "postalcode"), "postCode"),
    **dict.fromkeys(("country", "countrycode"), "country"),
    **dict.fromkeys(("gender", "sex"), "gender"),
    **dict.fromkeys(("title", "salutation"), "title"),
    **dict.fromkeys(("language", "lang"), "language"),
    **dict.fromkeys(("created", "createdat", "signupdate", "firstseen"), "firstSeen"),
    **dict.fromkeys(("lastseen", "lastlogin"), "lastSeen"),
}
_ORDER_ALIASES: Final[Mapping[str, str]] = {
    **dict.fromkeys(("order", "orderid", "ordernumber", "orderno", "reference"), "referenceId"),
    **dict.fromkeys(("date", "orderdate", "orderedat", "purchasedat"), "orderedAt"),
    **dict.fromkeys(("total", "amount", "totalprice", "price"), "price"),
    **dict.fromkeys(("currency", "currencycode"), "currencyCode"),
    **dict.fromkeys(("pos", "store", "shop", "pointofsale"), "pointOfSale"),
    **dict.fromkeys(("payment", "paymenttype", "paymentmethod"), "paymentType"),
    **dict.fromkeys(("product", "productname", "item", "itemname"), "orderItems.name"),
    **dict.fromkeys(("sku", "productid", "productcode"), "orderItems.productId"),
    **dict.fromkeys(("qty", "quantity"), "orderItems.quantity"),
}
_IDS: Final = ("customerid", "customernumber", "customerno", "crmid", "memberid", "id", "clientid")
_DATES: Final = (
    *("%Y-%m-%d", "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%Y/%m/%d", "%d-%m-%Y", "%Y%m%d"),
    *("%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M", "%d.%m.%Y %H:%M", "%d.%m.%Y %H:%M:%S"),
)


def _guess(holds: str, column: str) -> list[str]:
    if is_target(holds, column):
        return [column]
    word = folded(column)
    own = _own_names(holds)
    if holds == "orders":
        guess = own.get(word) or _ORDER_ALIASES.get(word)
        return [guess] if guess else [f"contact.{target}" for target in _guess("guests", column)]
    target = _ALIASES.get(word) or own.get(word)
    if target == "email":
        # The field alone identifies nobody: identity rules look at identifiers.
        return ["email", "identifiers.email"]
    if target is None:
        target = "identifiers.CRM" if word in _IDS else f"extensions.ext.{_camel(column)}"
    return [target]


@cache
def _own_names(holds: str) -> dict[str, str]:
    """Fields by their folded names."""
    return {folded(name): name for name in PLANS[holds] if is_target(holds, name)}


def _camel(column: str) -> str:
    words = "".join(c if c.isascii() and c.isalnum() else " " for c in column).split()
    name = "".join(word[:1].upper() + word[1:] for word in words)
    name = name.lstrip("0123456789") or "column"
    return name[:1].lower() + name[1:]


def _date_format(texts: list[str]) -> str:
    """How dates are written, unless it is ISO 8601 or cannot be told."""
    for form in _DATES if texts else ():
        if all(_is_date(text, form) for text in texts):
            return "" if form == "%Y-%m-%d" else form
    return ""


def _is_date(text: str, form: str) -> bool:
    try:
        datetime.strptime(text, form)
    except ValueError:
        return False
    return True


def _type_of(texts: list[str]) -> str:
    readers: tuple[tuple[str, Callable[[str, str], Any]], ...] = (
        ("boolean", boolean_in),
        ("number", number_in),
    )
    for kind, read in readers:
        try:
            # NaN is no value, and no other type's either.
            if any(value is not None for value in [read("", text) for text in texts]):
                return kind
        except Unfit:
            continue
    return "text"


def _toml(
    holds: str,
    columns: Mapping[str, str | list[str]],
    formats: Mapping[str, str],
    types: Mapping[str, str],
) -> str:
    lines = [
        f"# Which column becomes which field of {holds}. Edit it, then import again.",
        "# A column may fill several fields; a line left out is a column not imported.",
        f"entity = {_text(holds)}",
        "",
        "[columns]",
    ]
    for column, targets in columns.items():
        single = targets if isinstance(targets, str) else None
        text = _text(single) if single else "[" + ", ".join(map(_text, targets)) + "]"
        lines.append(f"{_text(column)} = {text}")
    lines += ["", "# How dates are written, where it is not ISO 8601.", "[formats]"]
    lines += [f"{_text(column)} = {_text(form)}" for column, form in formats.items()]
    lines += ["", "# number or boolean, for columns that become data extensions.", "[types]"]
    lines += [f"{_text(column)} = {_text(kind)}" for column, kind in types.items()]
    lines += ["", '# Words to take instead of others, e.g. "Sex" = { M = "male", F = "female" }.']
    lines += ["[values]", ""]
    lines += ['# The same for every record, e.g. pointOfSale = "default".', "[constants]"]
    return "\n".join(lines) + "\n"


def _text(text: str) -> str:
    escaped = "".join(
        f"\\u{ord(c):04x}" if c in '"\\' or ord(c) < 0x20 or ord(c) == 0x7F else c for c in text
    )
    return f'"{escaped}"'
