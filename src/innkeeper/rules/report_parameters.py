"""The parameters of reports: the values that API, pages and command line accept, and their
placeholders in SQL."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, ClassVar, Final

import msgspec

from innkeeper.errors import Invalid, Problem
from innkeeper.resources.kinds import CURRENCY, Day, Text, Whole
from innkeeper.resources.naming import camel
from innkeeper.resources.payload_kinds import one_of
from innkeeper.resources.payloads import ABSENT, Absent, Payload, decode
from innkeeper.resources.values import ValueRefused, whole_in
from innkeeper.rules.time_zones import read_time_zone

UNITS: Final = ("day", "week", "month", "year")
BREAKDOWNS: Final = ("country", "city", "language", "gender", "type")
STEPS: Final = ("VIEW", "ADD", "CONFIRM", "CHECKOUT")
MOST_STEPS: Final = 10
LONGEST_PRODUCT: Final = 1000
_DAYS: Final = 90


@dataclass(frozen=True)
class _ReportDay(Day):
    """A day, of a year from 1900 to 9000."""

    def read(self, value: Any) -> Any:
        try:
            day = date.fromisoformat(value)
        except ValueError:
            day = date.min
        if not 1900 <= day.year <= 9000:
            raise ValueRefused("must be a day, YYYY-MM-DD")
        return day


@dataclass(frozen=True)
class _WholeText(Whole):
    """A whole number, which may be written as digits."""

    noun: str = "whole number"

    def read(self, value: Any) -> int:
        try:
            return super().read(whole_in(value) if isinstance(value, str) else value)
        except ValueRefused:
            raise ValueRefused(f"must be a {self.noun} from {self.least} to {self.most}") from None


@dataclass(frozen=True)
class _Words(Text):
    """Words, separated by commas."""

    most: int = 0
    noun: str = "words"

    def read(self, value: Any) -> Any:
        words = [word for word in value.split(",") if word]
        if not 1 <= len(words) <= self.most:
            raise ValueRefused(f"must be 1 to {self.most} {self.noun}, joined by commas")
        return words


@dataclass(frozen=True)
class _ZoneName(Text):
    """The name of a time zone."""

    def read(self, value: Any) -> str:
        return read_time_zone(value).key


class ReportParameters(Payload, kw_only=True):
    """The period and options of a report, as text."""

    blank_is_absent: ClassVar[bool] = True

    first_day: Annotated[
        date | Absent, _ReportDay(), "First day; by default 90 days before `to`."
    ] = msgspec.field(name="from")
    last_day: Annotated[date | Absent, _ReportDay(), "Last day; by default today."] = msgspec.field(
        name="to"
    )
    time_zone: Annotated[str, _ZoneName(), "Name of a time zone, e.g. Europe/Dublin."] = "UTC"
    interval: Annotated[str, one_of(*UNITS), "Unit of a row of a report over time."] = "day"
    currency: Annotated[
        str | Absent, CURRENCY, "Only this currency; RFM needs one and takes EUR by default."
    ]
    limit: Annotated[int, _WholeText(1, 1000), "Maximum number of rows of a ranking."] = 20
    steps: Annotated[
        list[str],
        _Words(most=MOST_STEPS, noun="event types"),
        "Event types of a funnel, separated by commas; by default " + ",".join(STEPS) + ".",
    ] = msgspec.field(default_factory=lambda: [*STEPS])
    window: Annotated[
        int,
        _WholeText(0, 366, "whole number of days"),
        "Most days between two steps of a funnel; 0 for any.",
    ] = 0
    by: Annotated[str | Absent, one_of(*BREAKDOWNS), "Field of guests that splits a funnel."]
    product: Annotated[str | Absent, Text(LONGEST_PRODUCT), "Only variants of this product."]


def read_parameters(texts: Mapping[str, str]) -> ReportParameters:
    """Read parameters by name, in any spelling of declarations; blank ones count as absent.

    Raises `Invalid` with every problem.
    """
    named = {camel(name): text for name, text in texts.items() if text}
    parameters, problems = decode(ReportParameters, named)
    if not isinstance(parameters, ReportParameters):
        raise Invalid(*problems)
    return parameters


def placeholders(parameters: ReportParameters, now: datetime) -> dict[str, Any]:
    """Return the values for the placeholders of a report's SQL (`lake/reports.py`).

    In addition: `window`, `by`, `steps`, and the days `first` and `last`. Raises `Invalid` if the
    first day is after the last.
    """
    local = read_time_zone(parameters.time_zone)
    last = _or(parameters.last_day, now.astimezone(local).date())
    first = _or(parameters.first_day, last - timedelta(days=_DAYS - 1))
    if first > last:
        raise Invalid(Problem("from", "must not be after to"))
    after = last + timedelta(days=1)
    # The period before one of thousands of years starts before the calendar.
    before = date.fromordinal(max(2, first.toordinal() - (after - first).days))
    midnights = {"before": before, "start": first, "until": after}
    return {
        "zone": parameters.time_zone,
        "unit": parameters.interval,
        "currency": _or(parameters.currency, "EUR"),
        "chosen": _or(parameters.currency, ""),
        "window": parameters.window,
        "by": _or(parameters.by, ""),
        "product": _or(parameters.product, ""),
        "most": parameters.limit,
        "steps": parameters.steps,
        "first": first,
        "last": last,
        "first_day": first.isoformat(),
        "last_day": last.isoformat(),
        "after_day": after.isoformat(),
        **{
            name: datetime(day.year, day.month, day.day, tzinfo=local).astimezone(UTC).isoformat()
            for name, day in midnights.items()
        },
    }


def _or(value: Any, default: Any) -> Any:
    return default if value is ABSENT else value
