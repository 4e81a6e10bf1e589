"""Format values for pages: the filters of the templates."""

import re
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import UTC, datetime, tzinfo
from decimal import Decimal, InvalidOperation
from typing import Any, Final
from uuid import UUID

from markupsafe import Markup

from innkeeper import clock
from innkeeper.resources.base import Record
from innkeeper.resources.segments import COMPARATORS, CORE, STATIC_LIST, TRAIT
from innkeeper.resources.values import ValueRefused, instant, iso, plain
from innkeeper.web.ui.audit_words import done_words
from innkeeper.web.ui.bounded import is_cut, json_html, json_text, rows, whole
from innkeeper.wire.bulk.cells import unguarded_cell

_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|[_\-\s.]+")
_SHORT: Final = {"id", "url", "crm", "sql", "api", "bid", "utm", "gdpr", "sku", "rfm"}


COMPARISONS: Final = {
    "is equal to": "is",
    "is not equal to": "is not",
    "includes any of": "is any of",
    "does not include any of": "is none of",
    "is null": "has no value",
    "is not null": "has any value",
    "is less than or equal to": "is at most",
    "is greater than": "is more than",
    "is greater than or equal to": "is at least",
    "is in the past": "is within the last",
    "is not in the past": "is not within the last",
    "is in the next": "is within the next",
    "is not in the next": "is not within the next",
    "is now plus": "is from now exactly",
    "is now minus": "is before now exactly",
    "is true": "is yes",
    "is false": "is no",
}
"""Comparator -> its name on pages, where its own name is not plain."""
_OF_LISTS: Final = {"is true": "includes the guest", "is false": "does not include the guest"}


def title_words(key: str) -> str:
    """Format a name as a title in sentence case: `firstTimeOrder` as First time order."""
    words = [word for word in _CAMEL.split(key) if word]
    return " ".join(_word(word, is_first=not index) for index, word in enumerate(words))


def _word(word: str, *, is_first: bool) -> str:
    if word.lower() in _SHORT and len(word) < 4:
        return word.upper()
    if is_first:
        return word[:1].upper() + word[1:]
    return word if word.isupper() else word[:1].lower() + word[1:]


TIME_ZONE: Final[ContextVar[tzinfo]] = ContextVar("time_zone", default=UTC)
"""The time zone in which the visitor of a page sees times."""


def _moment(value: Any) -> datetime | None:
    """Return an instant in the visitor's time zone; None for a value that is no instant."""
    try:
        at = value if isinstance(value, datetime) else instant(value)
        return at.astimezone(TIME_ZONE.get())
    except (ValueRefused, ValueError):
        return None


def date(value: Any) -> str:
    """Format a day as ISO 8601 does: `2026-11-21`."""
    moment = _moment(value)
    return moment.date().isoformat() if moment else str(value or "")


def moment(value: Any) -> str:
    """Format a time: `2026-11-21 09:48`."""
    at = _moment(value)
    return f"{at:%Y-%m-%d %H:%M}" if at else str(value or "")


def ago(value: Any) -> str:
    """Format the time since an instant, `3 hours ago`; the day when it is over 45 days ago or in
    the future."""
    at = _moment(value)
    if at is None:
        return str(value or "")
    seconds = (clock.now() - at).total_seconds()
    if seconds < 0 or seconds > 86400 * 45:
        return date(at)
    for size, word in ((86400, "day"), (3600, "hour"), (60, "minute")):
        count = int(seconds // size)
        if count:
            return f"{count} {word}{'s' if count > 1 else ''} ago"
    return "just now"


def when(value: Any) -> Markup:
    """Format the time since an instant as `ago` does, with the exact time on hover."""
    at = _moment(value)
    if at is None:
        return Markup('<span class="faint">–</span>')
    return Markup('<time datetime="{}" title="{} {}">{}</time>').format(
        iso(at), moment(at), TIME_ZONE.get(), ago(at)
    )


def number(value: Any) -> str:
    """Format a number, `12,345`; a float that is whole has no fraction."""
    if value is None:
        return "–"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int):
        return f"{value:,}"
    try:
        return f"{Decimal(str(value)):,}"
    except InvalidOperation:
        return str(value)


def money(amount: Any, currency: str | None = None) -> str:
    """Format an amount: `1,234.50 EUR`."""
    if amount is None:
        return "–"
    try:
        text = f"{Decimal(str(amount)):,.2f}"
    except InvalidOperation:
        text = str(amount)
    return f"{text} {currency}" if currency else text


def compact(value: Any) -> str:
    """Format a number in few characters, `12.3k`, for axes and tiles."""
    amount = float(value or 0)
    for size, letter in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(amount) >= size:
            text = f"{amount / size:.1f}".removesuffix(".0")
            return text + letter
    return f"{amount:.0f}" if amount == int(amount) else f"{amount:.1f}"


def duration(seconds: Any) -> str:
    """Format a number of seconds: `4 min 10 s`."""
    if seconds is None:
        return "–"
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def full_name(guest: Record) -> str:
    """Return first and last name; empty when the guest has neither."""
    parts = (guest.get(name) for name in ("first_name", "last_name"))
    return " ".join(part for part in parts if part)


def display_name(guest: Record) -> str:
    """Return the name that pages show for a guest: its name, else e-mail address, else the start of
    its ref; Anonymous for a visitor without identifiers."""
    emails = guest.get("emails") or []
    name = full_name(guest) or guest.get("email") or (emails[0] if emails else "")
    if name:
        return str(name)
    identifying = ("identifiers", "has_identifiers", "phone", "phone_numbers")
    is_identified = any(guest.get(field) for field in identifying)
    return f"Guest {str(guest['ref'])[:8]}" if is_identified else "Anonymous"


def initials(guest: Record) -> str:
    """Return two letters for an avatar."""
    letters = [str(guest.get(name) or "")[:1] for name in ("first_name", "last_name")]
    return ("".join(letters) or str(guest.get("email") or "")[:1] or "?").upper()


def tint(ref: Any) -> int:
    """Return the number of one of six colours, always the same for one guest."""
    return (ref.int if isinstance(ref, UUID) else sum(map(ord, str(ref)))) % 6


def value_text(value: Any) -> str:
    """Format a value of a data extension as JSON spells it; a text without quotes."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def compared_text(value: Any) -> str:
    """Format the value that a rule of a segment compared."""
    if value is None:
        return "nothing"
    return moment(value) if isinstance(value, datetime) else value_text(value)


def run_state(status: str) -> str:
    """Translate the state of an execution, for which the vendor uses names of its own systems."""
    words = {"PENDING_SEGMENTATION": "waiting", "PENDING_EMR_JOB": "running", "SUCCESS": "done"}
    return words.get(status, status)


def column_words(name: str) -> str:
    """Format a column of an export: `trait.lifetimeValue.EUR` as Lifetime Value EUR."""
    before, _, after = name.partition(".")
    return f"SHA-256 of {after}" if before == "sha256" else title_words(after or name)


def rule_words(what: str) -> str:
    """Format a rule of an explanation: `core.first_name is null` as First Name is null."""
    field, sep, test = what, "", ""
    for name in sorted(COMPARATORS, key=len, reverse=True):
        if what.endswith(f" {name}"):
            field, sep, test = what.removesuffix(f" {name}"), " ", name
            break
    location, _, name = field.partition(".")
    suffix = {CORE: "", TRAIT: "", STATIC_LIST: " (list)"}.get(location, f" ({location})")
    return f"{title_words(name)}{suffix}{sep}{comparison(test, location)}"


def comparison(name: str, location: str = CORE) -> str:
    """Format a comparator in plain words: `is greater than or equal to` as is at least."""
    return (_OF_LISTS if location == STATIC_LIST else COMPARISONS).get(name, name)


def group_words(what: str) -> str:
    """Format a group of an explanation: `not order_item` as Without order item."""
    words = what.removeprefix("not ").replace("_", " ")
    return f"Without {words}" if what.startswith("not ") else words.capitalize()


def type_words(names: str) -> str:
    """Format the types of a group of a segment: `VIEW,ADD` as View or Add."""
    return " or ".join(name.replace("_", " ").capitalize() for name in names.split(",") if name)


def target_words(targets: str) -> str:
    """Format targets of a file's column: `contact.identifiers.CRM` as Contact: Identifier CRM."""
    return " + ".join(_target(target) for target in targets.split(","))


def _target(target: str) -> str:
    where, _, rest = target.partition(".")
    if not rest:
        return title_words(target)
    if where in ("contact", "orderItems"):
        return f"{title_words(where)}: {_target(rest)}"
    if where == "identifiers":
        return f"Identifier {rest}"
    return f"Extension {rest}"


def import_state(row: Record) -> str:
    """Return the state of an import as pages show it."""
    if row["fault"] == "discarded":
        return "discarded"
    if (row.get("undo") or {}).get("state") == "done":
        return "undone"
    words = {"uploading": "waiting", "file_uploaded": "waiting", "processing": "running"}
    state = str(words.get(row["state"], row["state"]))
    if state == "success":
        return "done"
    if state != "error" or row["fault"] or not row["records"]:
        return state
    return "partly done" if row["failed"] < row["records"] else "failed"


def size(count: int) -> str:
    """Format a number of bytes: `1.2 MB`."""
    for unit, word in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if count >= unit:
            return f"{count / unit:.1f} {word}"
    return f"{count} B"


def title_keys(series: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Return the series of a chart with their names as words, always in the same order."""
    names = sorted(series, key=lambda name: (name.lower() not in ("converted", "customer"), name))
    return [(title_words(name.lower()), series[name]) for name in names]


FILTERS: Final = {
    function.__name__: function
    for function in (
        *(
            title_words,
            date,
            moment,
            ago,
            when,
            number,
            money,
            compact,
            duration,
            full_name,
            display_name,
        ),
        *(initials, tint, value_text, title_keys, plain, json_text, json_html),
        *(whole, rows, is_cut),
        *(
            compared_text,
            run_state,
            column_words,
            target_words,
            unguarded_cell,
            type_words,
            rule_words,
            comparison,
            group_words,
            import_state,
            size,
            done_words,
        ),
    )
}
