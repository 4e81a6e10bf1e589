"""Dates as people write them: formats such as `DD/MM/YYYY`, and which format a column has.

Tokens of a format: YYYY YY, MMMM MMM (names) MM M, DD D (also 1st, 1er), ddd (a day of the week,
which is not checked), HH H (0 to 23), hh h (1 to 12), mm, ss, A (AM or PM), Z (an offset, Z, or the
abbreviation of a time zone). `MM` after hours are minutes. EXCEL is a day number of a spreadsheet;
UNIX, UNIX_MS and UNIX_US are seconds, milliseconds, microseconds since 1970.
"""

import re
from collections import Counter
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, timezone
from functools import cache, lru_cache
from typing import Any, Final

EXCEL: Final = "EXCEL"
UNIX: Final = "UNIX"
UNIX_MS: Final = "UNIX_MS"
UNIX_US: Final = "UNIX_US"
_IN_A_SECOND: Final = {UNIX: 1, UNIX_MS: 1000, UNIX_US: 1_000_000}
_NUMBERED: Final = (EXCEL, *_IN_A_SECOND)
PIVOT: Final = 1970
"""First year of the century that two-digit years belong to, unless another is chosen."""
ISO: Final = ""
"""The format of dates that need none: ISO 8601."""
LONGEST: Final = 80
"""Most characters of a text that may be a date."""
_ZONES: Final = {
    **{"GMT": 0, "UTC": 0, "WET": 0, "WEST": 60, "CET": 60, "CEST": 120, "EET": 120, "EEST": 180},
    **{"EST": -300, "EDT": -240, "MST": -420, "MDT": -360, "PST": -480, "PDT": -420},
    **{"AKST": -540, "AKDT": -480, "HST": -600, "AEST": 600, "AEDT": 660, "AWST": 480},
    **{"JST": 540, "KST": 540, "HKT": 480, "SAST": 120, "MSK": 180, "NZST": 720, "NZDT": 780},
}
"""Abbreviation of a time zone -> minutes east of UTC, by its usual meaning."""
SHARED_ZONES: Final = {
    **{"CST": "America/Chicago", "CDT": "America/Chicago", "BST": "Europe/London"},
    **{"IST": "Asia/Kolkata", "AST": "America/Halifax", "ADT": "America/Halifax"},
}
"""Abbreviation that several time zones share, such as US Central and China -> one of them."""
_ZONE: Final = (
    r"(?:[Zz]|(?:UTC|GMT)?[+-][0-9]{2}(?::?[0-9]{2})?(?: \([^()]{1,40}\))?|(?:UTC|GMT)[+-][0-9]|"
    + "|".join(sorted((*_ZONES, *SHARED_ZONES), key=len, reverse=True))
    + ")"
)
_ORDINAL: Final = "(?:st|nd|rd|th|er|º|°)?"
_TOKENS: Final[dict[str, str]] = {
    "YYYY": r"(?P<year>[0-9]{4})",
    "YY": r"(?P<short>[0-9]{2})",
    "MMMM": r"(?P<name>[^\W\d_]{1,20}\.?)",
    "MMM": r"(?P<name>[^\W\d_]{1,20}\.?)",
    "MM": r"(?P<month>[0-9]{1,2})",
    "M": r"(?P<month>[0-9]{1,2})",
    "DD": rf"(?P<day>[0-9]{{1,2}}){_ORDINAL}",
    "D": rf"(?P<day>[0-9]{{1,2}}){_ORDINAL}",
    "ddd": r"[^\W\d_]{1,20}\.?",
    "HH": r"(?P<hour>[0-9]{1,2})",
    "H": r"(?P<hour>[0-9]{1,2})",
    "hh": r"(?P<half>[0-9]{1,2})",
    "h": r"(?P<half>[0-9]{1,2})",
    "mm": r"(?P<minute>[0-9]{2})",
    "ss": r"(?P<second>[0-9]{2})(?:[.,](?P<fraction>[0-9]{1,9}))?",
    "A": r"(?P<noon>[AaPp])\.?[Mm]\.?",
    "Z": rf"(?P<zone>{_ZONE})",
}
_TOKEN: Final = re.compile("YYYY|YY|MMMM|MMM|MM|M|DD|D|ddd|HH|H|hh|h|mm|ss|A|Z")
_DIGITS: Final = r"[0-9]{1,2}"
_SHAPE: Final = re.compile(
    r"(?:(?P<w>[^\W\d_]{2,12})(?P<v>\.?,? ))?"
    rf"(?P<a>[0-9]{{1,4}}|[^\W\d_]{{3,12}})(?P<ao>{_ORDINAL})(?P<s>[./-] ?|,? | de |[年년] ?)"
    rf"(?P<b>[0-9]{{1,2}}|[^\W\d_]{{3,12}})(?P<bo>{_ORDINAL})(?P<t>[./-] ?|,? | del? |[月월] ?)"
    r"(?P<c>[0-9]{4}|[0-9]{1,2})(?P<e>[日일])?"
    r"(?:(?P<u>,? |T|,? (?:at|à|um) )(?P<h>[0-9]{1,2}):[0-9]{2}"
    r"(?P<sec>:[0-9]{2}(?:[.,][0-9]{1,9})?)?"
    rf"(?P<ap> ?[AaPp]\.?[Mm]\.?)?(?P<z> ?{_ZONE})?)?"
)
_COMPACT: Final = re.compile(r"(?:19|20)[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])")
_SERIAL: Final = re.compile(r"[1-9][0-9]{4}(?:\.[0-9]{1,15})?")
_SECONDS: Final = re.compile(r"1[0-9]{9}(?:[0-9]{3})?")
_FIRST_SERIAL: Final = date(1899, 12, 30)
_LAST_SERIAL: Final = 80_000


class NotADate(ValueError):
    """A text that is not written in a format."""


class SharedZone(NotADate):
    """A time whose abbreviation several time zones share; the argument is the abbreviation."""


def read_date(form: str, text: str, pivot: int = PIVOT, zones: Container[str] = ()) -> datetime:
    """Read a date; naive unless the text has an offset or the abbreviation of one time zone. Raises
    `NotADate`, and `SharedZone` for an abbreviation of several that is none of `zones`, those of
    the file's time zone."""
    if "%" in form:
        # The older form of mappings: directives of `strptime`.
        try:
            return datetime.strptime(text, form)
        except (ValueError, re.error):
            # A directive that occurs twice is an error of the pattern.
            raise NotADate from None
    if form in _NUMBERED:
        return _read_number(form, text)
    match = _pattern(form).fullmatch(text.strip()) if len(text) <= LONGEST else None
    if match is None:
        raise NotADate
    part = match.groupdict()
    zone = _zone(part.get("zone"), zones)
    try:
        return datetime(
            _year(part, pivot),
            _month(part),
            int(part.get("day") or 1),
            _hour(part),
            int(part.get("minute") or 0),
            int(part.get("second") or 0),
            int((part.get("fraction") or "0").ljust(6, "0")[:6]),
            tzinfo=zone,
        )
    except ValueError:
        raise NotADate from None


def format_fault(form: str) -> str | None:
    """Return the fault of a format as text, or None."""
    if "%" in form or form in _NUMBERED:
        return None
    tokens = [token for token, _ in _spelt(form) if token]
    if not any(token.startswith("YY") for token in tokens) or len(form) > LONGEST:
        return "is not a format of dates such as DD/MM/YYYY"
    if len(set(map(_meaning, tokens))) < len(tokens):
        return "names a part of the date twice"
    return None


@lru_cache(1024)
def _pattern(form: str) -> re.Pattern[str]:
    pieces = list(_spelt(form))
    parts = list[str]()
    for position, (token, literal) in enumerate(pieces):
        if not token:
            parts.append(" ?" if literal == " " else re.escape(literal))
            continue
        following = pieces[position + 1][0] if position + 1 < len(pieces) else ""
        is_packed = following and token not in ("ss", "A", "Z")
        spelt = _TOKENS[token]
        # Parts with nothing between them have all their digits.
        parts.append(spelt.replace(_DIGITS, "[0-9]{2}") if is_packed else spelt)
    return re.compile("".join(parts))


def _spelt(form: str) -> Iterator[tuple[str, str]]:
    """Yield (token, "") and ("", text between tokens) of a format."""
    at, has_hours = 0, False
    for match in _TOKEN.finditer(form):
        if match.start() > at:
            yield "", form[at : match.start()]
        name = match[0]
        yield ("mm" if name == "MM" and has_hours else name), ""
        has_hours = has_hours or name[0] in "Hh"
        at = match.end()
    if at < len(form):
        yield "", form[at:]


def _meaning(token: str) -> str:
    return "Y" if token[0] == "Y" else "h" if token[0] in "Hh" else token[0]


def _read_number(form: str, text: str) -> datetime:
    try:
        number = float(text)
        if form == EXCEL:
            start = datetime(_FIRST_SERIAL.year, _FIRST_SERIAL.month, _FIRST_SERIAL.day)
            return start + timedelta(seconds=round(number * 86_400))
        return datetime.fromtimestamp(number / _IN_A_SECOND[form], UTC)
    except (ValueError, OverflowError, OSError):
        raise NotADate from None


def _year(part: dict[str, Any], pivot: int) -> int:
    if part.get("year"):
        return int(part["year"])
    return pivot + (int(part["short"]) - pivot) % 100


def _month(part: dict[str, Any]) -> int:
    if not part.get("name"):
        return int(part.get("month") or 1)
    month = month_names().get(part["name"].rstrip(".").casefold())
    if month is None:
        raise ValueError
    return month


def _hour(part: dict[str, Any]) -> int:
    if part.get("half") is None:
        return int(part.get("hour") or 0)
    half = int(part["half"])
    if not 1 <= half <= 12:
        raise ValueError
    return half % 12 + (12 if (part.get("noon") or "A") in "Pp" else 0)


def _zone(zone: str | None, zones: Container[str]) -> timezone | None:
    if zone in SHARED_ZONES and zone not in zones:
        raise SharedZone(zone)
    if zone is None or zone in SHARED_ZONES:
        return None
    if zone in ("Z", "z"):
        return UTC
    if zone in _ZONES:
        return timezone(timedelta(minutes=_ZONES[zone]))
    offset = zone.partition(" ")[0].removeprefix("UTC").removeprefix("GMT")
    minutes = int(offset[1:3]) * 60 + int(offset[3:].lstrip(":") or 0)
    return timezone(timedelta(minutes=minutes if offset[0] == "+" else -minutes))


def _shared_zone(text: str) -> str:
    """Return the abbreviation at the end of a time if several time zones share it; else an empty
    text."""
    end = text.strip().rpartition(" ")[2]
    return end if end in SHARED_ZONES else ""


@cache
def month_names() -> dict[str, int]:
    """Return names of months, full and abbreviated, in languages of Europe -> number."""
    return _calendar_names("months")


@cache
def _day_names() -> dict[str, int]:
    """Return names of the days of the week in the same languages -> number."""
    return _calendar_names("days")


def _calendar_names(of: str) -> dict[str, int]:
    from babel import Locale  # noqa: PLC0415 - slow to import, and few files need it

    names = dict[str, int]()
    for language in ("en", "de", "fr", "es", "nl", "it", "pt", "pl", "sv", "da", "nb", "fi", "cs"):
        table: Any = getattr(Locale.parse(language), of)
        for context in ("format", "stand-alone"):
            for width in ("wide", "abbreviated"):
                for number, name in table[context][width].items():
                    names.setdefault(name.rstrip(".").casefold(), number)
    return names


@dataclass(slots=True)
class DateColumn:
    """The format of the dates of a column, by all of its cells."""

    votes: Counter[str] = field(default_factory=Counter)
    """Format -> number of cells that it fits."""
    proofs: Counter[str] = field(default_factory=Counter)
    """Format -> number of cells that no other format fits."""
    cells: int = 0
    examples: dict[str, str] = field(default_factory=dict)
    """Format -> an example of a cell that it fits."""
    zones: list[str] = field(default_factory=list)
    """Abbreviations in its cells that several time zones share."""

    def add(self, text: str) -> None:
        self.cells += 1
        forms = possible_formats(text)
        for form in forms:
            self.votes[form] += 1
            self.examples.setdefault(form, text)
        if len(forms) == 1:
            self.proofs[forms[0]] += 1
        if forms and (zone := _shared_zone(text)) and zone not in self.zones:
            self.zones.append(zone)

    def add_example(self, text: str) -> None:
        """Use a cell as the example of the formats that have none."""
        for form in possible_formats(text):
            if form in self.votes:
                self.examples.setdefault(form, text)

    def formats(self) -> list[str]:
        """Return its possible formats: none if it has no dates, several if its cells decide nothing
        or contradict each other."""
        most = max(self.votes.values(), default=0)
        if not most or most * 2 < self.cells:
            return []
        best = [form for form, votes in self.votes.items() if votes == most]
        proven = [form for form in self.votes if self.proofs[form] and _twin(form) in self.votes]
        twins = [form for form in proven if self.proofs[_twin(form)]]
        if twins:
            # Some cells can only be DD/MM, others only MM/DD.
            return sorted(twins)[:2]
        form = best[0]
        twin = _twin(form)
        if twin in self.votes and not self.proofs[form] and not self.proofs[twin]:
            return sorted((form, twin))
        return [twin] if self.proofs[twin] and not self.proofs[form] else [form]


def _twin(form: str) -> str:
    """Return the format with day and month the other way round."""
    if "MMM" in form or form.startswith("YY") or "DD" not in form:
        return "-"
    return form.replace("DD", "\0", 1).replace("MM", "DD", 1).replace("\0", "MM", 1)


def possible_formats(text: str) -> list[str]:
    """Return the formats that fit a text; none if it is no date."""
    text = text.strip()
    return [] if len(text) > LONGEST else [*_formats_of_text(text)]


@lru_cache(1 << 13)
def _formats_of_text(text: str) -> Sequence[str]:
    """Do the same for a text of at most `LONGEST` characters; cached, since columns repeat their
    dates."""
    if (text.isdecimal() and text.isascii()) or _SERIAL.fullmatch(text):
        return _formats_of_number(text)
    match = _SHAPE.fullmatch(text)
    return tuple(_formats_of_match(match)) if match else ()


def _formats_of_number(text: str) -> list[str]:
    if _COMPACT.fullmatch(text):
        return ["YYYYMMDD"]
    if _SERIAL.fullmatch(text) and float(text) < _LAST_SERIAL:
        return [EXCEL]
    if _SECONDS.fullmatch(text):
        return [UNIX if len(text) == len("1700000000") else UNIX_MS]
    return []


def _formats_of_match(match: re.Match[str]) -> Iterator[str]:
    weekday, a, b, c = match.group("w", "a", "b", "c")
    if weekday and weekday.casefold() not in _day_names():
        return
    day = f"ddd{match['v'].lstrip('.')}" if weekday else ""
    time = _time_format(match)
    if a.isdecimal() and len(a) == 4:
        yield from () if day else _formats_with_year_first(match, time)
    elif len(c) > 1 and not match["e"]:
        year = ("YYYY" if len(c) == 4 else "YY") + time
        is_numeric = a.isdecimal() and b.isdecimal()
        formats = _numeric_formats if is_numeric else _formats_with_name
        yield from (day + form for form in formats(match, year))


def _time_format(match: re.Match[str]) -> str:
    """Return the format of what follows the date."""
    time = match["e"] or ""
    if match["h"]:
        is_half = match["ap"] is not None
        time += match["u"] + ("hh" if is_half else "HH") + ":mm" + (":ss" if match["sec"] else "")
        time += (" A" if match["ap"][0] == " " else "A") if is_half else ""
        time += (" Z" if match["z"][0] == " " else "Z") if match["z"] else ""
    return time


def _formats_with_year_first(match: re.Match[str], time: str) -> Iterator[str]:
    b, c, s, t = match.group("b", "c", "s", "t")
    if not b.isdecimal() or int(b) > 12 or match["ao"] or match["bo"]:
        return
    is_iso = s == t == "-" and len(b) == len(c) == 2 and (match["z"] or "Z")[0] in "Zz+-"
    is_iso = is_iso and match["u"] in (None, " ", "T") and "A" not in time
    yield ISO if is_iso else f"YYYY{s}MM{t}DD{time}"


def _formats_with_name(match: re.Match[str], year: str) -> Iterator[str]:
    """Yield the format of a date whose month is a name."""
    a, b, s, t = match.group("a", "b", "s", "t")
    if b.isdecimal() and a.casefold() in month_names():
        yield f"MMM{s.lstrip('.')}DD{t}{year}"
    elif a.isdecimal() and len(a) <= 2 and b.casefold() in month_names():
        yield f"DD{s}MMM{t.lstrip('.')}{year}"


def _numeric_formats(match: re.Match[str], year: str) -> Iterator[str]:
    a, b, c, s, t = match.group("a", "b", "c", "s", "t")
    if len(a) > 2 or match["ao"] or match["bo"]:
        return
    if 1 <= int(a) <= 31 and 1 <= int(b) <= 12:
        yield f"DD{s}MM{t}{year}"
    # With points, the month never comes first.
    if 1 <= int(b) <= 31 and 1 <= int(a) <= 12 and (s != "." or int(b) > 12):
        yield f"MM{s}DD{t}{year}"
    if len(a) == len(b) == len(c) == 2 and int(a) > 31 and int(b) <= 12:
        yield f"YY{s}MM{t}DD{year.removeprefix('YY')}"
