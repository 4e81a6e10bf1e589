"""Parse the cells of a table: dates, numbers, booleans, codes and phone numbers in text."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

import phonenumbers

from innkeeper.resources.kinds import (
    COUNTRY,
    LANGUAGE,
    Code,
    Count,
    Day,
    Flag,
    Instant,
    Kind,
    ListOf,
    Number,
    ObjectOf,
    Opaque,
)
from innkeeper.resources.values import iso
from innkeeper.rules import normalize
from innkeeper.rules.code_names import country_code, language_code
from innkeeper.rules.date_formats import ISO, PIVOT, NotADate, SharedZone, read_date
from innkeeper.rules.normalize import is_damaged
from innkeeper.rules.number_formats import NotANumber, decimal_of, is_code, read_number
from innkeeper.wire.bulk import batch_records
from innkeeper.wire.bulk.damage import DAMAGED

JSON: Final = "json"
PERCENT: Final = "percent"
TYPES: Final = ("text", "number", PERCENT, "boolean", JSON)
"""Types of columns. Cells of `percent` are numbers with a percent sign, which is taken off; those
of `json` are JSON values."""
_TRUE: Final = (
    *("true", "t", "yes", "y", "1", "x", "on", "ja", "j", "wahr", "oui", "o", "vrai", "si", "sì"),
    *("sí", "s", "vero", "verdadero", "sim", "verdadeiro", "waar"),
)
_FALSE: Final = (
    *("false", "f", "no", "n", "0", "off", "nein", "falsch", "non", "faux", "falso", "não", "nao"),
    *("nee", "onwaar"),
)
TRUE: Final = frozenset(_TRUE)
FALSE: Final = frozenset(_FALSE)
_LETTERS: Final = frozenset(["1", "0", "x", "o", "s", "on", "off", "t", "f"])
"""Words that are booleans only in columns that are mapped to booleans."""
SPACES: Final = " \t\r\n\u00a0\u2007\u2009\u202f\u3000\u200b\ufeff"
"""Characters around the content of a cell that people do not see."""
PHONES: Final = ("phone", "mobile", "phoneNumbers")


class Unfit(ValueError):
    """A cell that its column's target does not accept; the argument is the reason."""


@dataclass(frozen=True, slots=True)
class CellRules:
    """How values are written in the cells of a file."""

    decimals: Mapping[str, str] = field(default_factory=dict)
    """Column -> mark before decimals."""
    decimal: str = ""
    """The mark of columns without one; empty if each cell shows its own."""
    timezone: str = ""
    """Time zone of instants without an offset; UTC where there is none."""
    pivot: int = 0
    """First year that two-digit years mean; 0 for 1970, and for births the last hundred years."""
    region: str = ""
    """Country of phone numbers without a country code."""
    nothing: frozenset[str] = frozenset()
    """Texts that mean empty, such as NULL and N/A."""
    guards: frozenset[str] = frozenset()
    """Columns whose cells a spreadsheet guarded: `'007`, `="007"`."""
    trim: frozenset[str] = frozenset()
    """Columns without the spaces around their cells."""

    def cleaned(self, column: str, cell: Any) -> Any:
        """Return a cell without its guard; None for an empty cell or a word that means empty."""
        if not isinstance(cell, str):
            return cell
        if column in self.trim:
            cell = cell.strip(SPACES)
        if column in self.guards:
            cell = unguarded_cell(cell)
        return None if not cell or (self.nothing and cell.strip() in self.nothing) else cell


def is_zone(name: str) -> bool:
    """Whether there is a time zone of that name."""
    try:
        zone_of(name)
    except (LookupError, ValueError):
        return False
    return True


def unguarded_cell(text: str) -> str:
    """Return a cell without the guard that made a spreadsheet treat it as text."""
    if text.startswith('="') and text.endswith('"') and len(text) > len('=""'):
        return text[2:-1].replace('""', '"')
    return text.removeprefix("'")


def is_guarded(text: str) -> bool:
    """Whether a cell has a guard: an apostrophe before a number or sign, or `="…"`."""
    if text.startswith('="'):
        return text.endswith('"')
    return text.startswith("'") and text[1:2].isascii() and text[1:2] in "0123456789+-=@"


@dataclass(frozen=True, slots=True)
class CellTarget:
    """The target of a column, with its kind and format."""

    column: str
    name: str
    kind: Kind | None
    """The kind of the field; None for a data extension, an identifier or an event's member."""
    type_: str | None
    """The type chosen for the column."""
    form: str | None
    """The format chosen for its dates."""
    is_json: bool
    """Whether it takes objects, as JSON."""


def takes_objects(target: CellTarget) -> bool:
    """Whether cells that begin with a bracket are JSON."""
    return target.is_json or isinstance(target.kind, ListOf | Opaque | ObjectOf)


def takes_text(rules: CellRules, target: CellTarget) -> bool:
    """Whether `read_cell` returns each text as it is, unless it is JSON for an object."""
    kind, is_phone = target.kind, target.name.rpartition(".")[2] in PHONES
    return not (
        target.form
        or target.type_ not in (None, "text")
        or isinstance(kind, Instant | Day | Number | Count | Flag)
        or _has_names(kind)
        or (rules.region and is_phone)
        or (target.type_ is None and target.name.startswith("extensions."))
    )


def read_cell(rules: CellRules, target: CellTarget, cell: Any) -> Any:
    """Return the value of a cell that is not empty; None if its word means empty. Raises
    `Unfit`."""
    column, kind, type_ = target.column, target.kind, target.type_
    if target.form and isinstance(cell, int | float | Decimal):
        # A number of a day or second, in a typed table.
        cell = str(cell)
    if not isinstance(cell, str):
        of = kind.element if isinstance(kind, ListOf) else kind
        return _as_text(cell) if of is not None and _is_text(of) else cell
    if type_ == JSON or (cell[:1] in ("[", "{") and takes_objects(target)):
        return _json(column, cell)
    if isinstance(kind, Instant | Day) or target.form:
        return _date(rules, target, cell)
    if type_ == PERCENT:
        if not cell.rstrip().endswith("%"):
            raise Unfit(f"{column}: must be a number with a percent sign")
        cell, type_ = _without_percent(cell), "number"
    if type_ == "number" or isinstance(kind, Number | Count):
        if kind is None and len(cell) > 1 and cell[0] == "0" and cell.isdecimal():
            raise Unfit(
                f"{column}: is a code with leading zeros, not a number: remove the column from "
                f"[types]"
            )
        return number_in(column, cell, rules.decimals.get(column, rules.decimal))
    return _read_word(rules, target, cell)


def _read_word(rules: CellRules, target: CellTarget, cell: str) -> Any:
    """Return the value of a cell that is neither date nor number nor JSON; raises `Unfit`."""
    column, kind, type_ = target.column, target.kind, target.type_
    if type_ == "boolean" or isinstance(kind, Flag):
        return boolean_in(column, cell)
    if _has_names(kind):
        return _code(kind, cell)
    if rules.region and target.name.rpartition(".")[2] in PHONES:
        return _phone(cell, rules.region)
    if type_ is None and target.name.startswith("extensions.") and is_damaged(cell):
        raise Unfit(f"{column}: {DAMAGED}")
    return cell


def number_in(column: str, cell: str, decimal: str = "") -> int | Decimal | None:
    """Return the number of a cell; None for NaN and infinity. Raises `Unfit`."""
    try:
        return read_number(cell, decimal)
    except NotANumber as error:
        raise Unfit(f"{column}: {error}") from None


def _without_percent(text: str) -> str:
    return text.strip().removesuffix("%").rstrip()


def boolean_in(column: str, cell: str) -> bool:
    """Return the boolean of a cell, by words of several languages; raises `Unfit`."""
    word = cell.strip().lower()
    if word in TRUE or word in FALSE:
        return word in TRUE
    raise Unfit(f"{column}: must be true or false")


def type_of(texts: Sequence[str]) -> str:
    """Return the type of a column that becomes a data extension: text, number, percent or boolean.

    Only words are booleans: ones and zeros stay numbers unless the mapping says boolean. Codes with
    leading zeros, and numbers with more digits than a spreadsheet stores exactly, are text.
    """
    words = {text.strip().lower() for text in texts}
    if words and words <= TRUE | FALSE and not words <= _LETTERS:
        return "boolean"
    if words and all(word.endswith("%") for word in words):
        type_ = type_of([_without_percent(text) for text in texts])
        return PERCENT if type_ == "number" else "text"
    if not texts or any(is_code(text) or is_damaged(text) for text in texts):
        return "text"
    try:
        # NaN is no value of any type.
        values = [_number_of(text) for text in texts]
    except NotANumber:
        return "text"
    return "number" if any(value is not None for value in values) else "text"


def _number_of(text: str) -> int | Decimal | None:
    """Return the number of a text; the rules decide if it has two readings. Raises `NotANumber`."""
    try:
        return read_number(text)
    except NotANumber:
        return read_number(text, decimal_of(text).replace("?", ","))


def _is_text(kind: Kind) -> bool:
    return not isinstance(kind, Number | Count | Flag | ListOf | Opaque | ObjectOf)


def _as_text(cell: Any) -> Any:
    """Convert a number of a typed table to text, for a field of text."""
    if isinstance(cell, bool) or not isinstance(cell, int | float | Decimal):
        return cell
    return str(cell)


def _json(column: str, cell: str) -> Any:
    try:
        return batch_records.json_value(cell.encode())
    except batch_records.BadText:
        raise Unfit(f"{column}: is not valid JSON") from None


def _date(rules: CellRules, target: CellTarget, cell: str) -> str:
    form, kind = target.form or ISO, target.kind
    try:
        if form == ISO:
            is_local = rules.timezone and isinstance(kind, Instant)
            return _zoned_iso(cell, rules.timezone) if is_local else cell
        moment = read_date(form, cell, pivot_of(rules, kind), zone_names(rules.timezone))
        if isinstance(kind, Day):
            return moment.date().isoformat()
        return _instant_text(_in_zone(moment, rules.timezone))
    except SharedZone as shared:
        raise Unfit(f"{target.column}: {shared} is several time zones: set timezone") from None
    except NotADate:
        raise Unfit(f"{target.column}: is not a date as {form}") from None
    except OverflowError:
        raise Unfit(f"{target.column}: is before the year 1, or after 9999, in UTC") from None


def pivot_of(rules: CellRules, kind: Kind | None) -> int:
    """Return the first year of the century that two-digit years of a field belong to."""
    from innkeeper import clock  # noqa: PLC0415

    is_birth = isinstance(kind, Day) and kind.past
    return rules.pivot or (clock.now().year - 99 if is_birth else PIVOT)


def _zoned_iso(cell: str, zone: str) -> str:
    """Return an instant; one in local time gets the file's time zone."""
    try:
        moment = datetime.fromisoformat(cell.strip())
    except ValueError:
        return cell
    return cell if moment.tzinfo else _instant_text(_in_zone(moment, zone))


def _instant_text(moment: datetime) -> str:
    return iso(moment) if moment.tzinfo else moment.isoformat()


def _in_zone(moment: datetime, zone: str) -> datetime:
    if moment.tzinfo or not zone:
        return moment
    localize: Callable[[datetime], datetime] = zone_of(zone).localize
    return localize(moment)


@lru_cache(64)
def zone_of(name: str) -> Any:
    """Return a time zone by its name; raises LookupError."""
    import pytz  # noqa: PLC0415 - slow to import, and few files need it

    return pytz.timezone(name)


@lru_cache(64)
def zone_names(name: str) -> frozenset[str]:
    """Return the abbreviations of a time zone in summer and winter; none without a name."""
    zone = zone_of(name) if name else None
    return frozenset(zone.localize(datetime(2024, month, 1)).tzname() for month in (1, 7) if zone)


def _has_names(kind: Kind | None) -> bool:
    """Whether a kind takes the codes of countries or languages, which cells may name."""
    return isinstance(kind, Code) and kind.accepted in (COUNTRY.accepted, LANGUAGE.accepted)


def _code(kind: Any, cell: str) -> str:
    """Return the code of a country or language by its name; an unknown name is returned
    unchanged."""
    text = cell.strip()
    if text.upper() in kind.accepted:
        return text.upper() if kind.upper else text
    if text.lower() in kind.accepted or "-" in text or "_" in text:
        return text
    code = country_code(text) if kind.accepted == COUNTRY.accepted else language_code(text)
    return code or cell


def _phone(cell: str, region: str) -> str:
    """Return a phone number with its country code; unchanged if it is not valid in the region."""
    if cell.strip().startswith(("+", "00")):
        return cell
    try:
        number = phonenumbers.parse(cell, region)
    except phonenumbers.NumberParseException:
        return cell
    if not phonenumbers.is_possible_number(number):
        return cell
    return normalize.phone(cell, region) or cell
