"""Parse event messages, before their browser is looked up (stream-api.md 4)."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from innkeeper.errors import BadRequest
from innkeeper.resources import events
from innkeeper.resources.kinds import CURRENCY
from innkeeper.resources.values import MAX_KEY, NOT_AN_INSTANT, ValueRefused, instant, storable

CLOCK_TRUST: Final = timedelta(hours=24)
"""Largest difference of a client's clock at which its time is used (stream-api.md 9)."""
DEFAULT_NAME: Final = "default"
STANDARD_MEMBERS: Final = frozenset(
    {
        *("browser_id", "client_key", "type", "channel", "pos", "currency", "language", "page"),
        "requested_at",
    }
)
"""Members that are stored separately; all others are the event's arbitrary data."""

# Reasons, by which the quarantine lists and counts events.
UNKNOWN_POINT_OF_SALE: Final = "unknown point of sale"
RESERVED_NAME: Final = "reserved name"
BAD_ATTRIBUTES: Final = "bad attributes"
NOT_A_CUSTOMER: Final = "guest is not a customer"
EXT_TOO_MANY: Final = "ext over 50 attributes"
EXT_UNUSABLE: Final = "ext attribute unusable"
EXT_OTHER_TYPE: Final = "ext attribute changed type"
BAD_MEMBER: Final = "bad member"

_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.I | re.ASCII)
# The SDKs flatten nested attributes with underscores (stream-api.md 4.3, note).
_EXT_KEY: Final = re.compile(rf"[A-Za-z0-9_]{{1,{MAX_KEY}}}", re.ASCII)
_SYSTEMS: Final = (
    *(("iPhone", "iOS"), ("iPad", "iOS"), ("Android", "Android"), ("Windows", "Windows")),
    *(("CrOS", "Chrome OS"), ("Mac OS X", "macOS"), ("Linux", "Linux")),
)


class InvalidEvent(Exception):
    """An event cannot be attached and goes to quarantine with this reason."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class ConfiguredPointOfSale:
    """The members of a configured point of sale that events need."""

    name: str
    timeout: timedelta
    test: bool = False


@dataclass(frozen=True, slots=True)
class StreamConfiguration:
    """The configuration of a workspace for events; `version` changes with every change."""

    version: UUID
    points_of_sale: Mapping[str, ConfiguredPointOfSale]
    sites: Mapping[str, str]
    """Site of the edge paths -> point of sale."""

    @property
    def default(self) -> ConfiguredPointOfSale | None:
        """The point of sale named `default`, or the only one."""
        points = self.points_of_sale
        only = next(iter(points.values())) if len(points) == 1 else None
        return points.get(DEFAULT_NAME, only)

    @property
    def longest_timeout(self) -> timedelta:
        """The longest time between an event and a session that it may belong to."""
        return max((point.timeout for point in self.points_of_sale.values()), default=timedelta())

    def point_of_sale(self, name: str, site: str | None, last: str | None) -> ConfiguredPointOfSale:
        """Return the point of sale of an event: by its `name`, else by the site of the edge path,
        else the session's `last` one, else the default.

        `site` is None on the direct paths. Raises `InvalidEvent` for an unknown name.
        """
        if name:
            point = self.points_of_sale.get(name)
        elif site is not None:
            point = self.points_of_sale.get(self.sites.get(site, site)) or self.default
        else:
            point = self.points_of_sale.get(last or "") or self.default
        if point is None:
            raise InvalidEvent(
                UNKNOWN_POINT_OF_SALE, name or "none is named and there is no default"
            )
        return point


@dataclass(frozen=True, slots=True)
class IncomingEvent:
    """An event as received."""

    message: dict[str, Any]
    received_at: datetime
    site: str | None = None
    user_agent: str = ""

    def request_details(self) -> dict[str, Any]:
        """Return what the quarantine stores in addition to the message."""
        return {"site": self.site, "user_agent": self.user_agent}


@dataclass(frozen=True, slots=True)
class InvalidPart:
    """Invalid members of an event that is attached without them."""

    reason: str
    detail: str
    message: dict[str, Any]


@dataclass(slots=True)
class ParsedEvent:
    """The members that every event has."""

    type: str
    browser: UUID | None
    """None if the id is not a UUID, so that no browser has it."""
    at: datetime
    channel: str | None
    point_of_sale: str
    parts: list[InvalidPart] = field(default_factory=list)


def read(event: IncomingEvent) -> ParsedEvent:
    """Parse an event; raises `BadRequest` without `browser_id` or `type`."""
    message = event.message
    for name in ("browser_id", "type"):
        value = message.get(name)
        if not isinstance(value, str) or not value.strip():
            raise BadRequest(f"{name} is required")
    browser = message["browser_id"].strip()
    requested_at = message.get("requested_at")
    client_time = _instant(requested_at)
    reading = ParsedEvent(
        type=message["type"].strip().upper(),
        browser=UUID(browser) if _UUID.fullmatch(browser) else None,
        at=event_time(client_time, event.received_at),
        channel=_word(message.get("channel")),
        point_of_sale=_text(message.get("pos")),
    )
    if client_time is None and requested_at not in (None, ""):
        detail = f"requested_at: {NOT_AN_INSTANT}"
        reading.parts.append(InvalidPart(BAD_MEMBER, detail, {"requested_at": requested_at}))
    currency = message.get("currency")
    if currency not in (None, "") and not CURRENCY.accepts(currency):
        detail = f"currency {str(currency)[:100]} is no ISO 4217 code"
        reading.parts.append(InvalidPart(BAD_MEMBER, detail, {"currency": currency}))
    return reading


def event_time(client_time: datetime | None, received_at: datetime) -> datetime:
    """Return the client's time if it is within a day of ours, else ours."""
    if client_time is not None and abs(client_time - received_at) <= CLOCK_TRUST:
        return client_time
    return received_at


def check_name(type_: str) -> None:
    """Raise `InvalidEvent` for names that custom events may not have."""
    if type_ in events.STANDARD:
        return
    if type_.startswith(events.RESERVED_PREFIX) or type_ in events.RESERVED:
        raise InvalidEvent(RESERVED_NAME, f"{type_[:100]} is reserved")
    if len(type_) > events.LONGEST_TYPE:
        raise InvalidEvent(RESERVED_NAME, f"a type has at most {events.LONGEST_TYPE} characters")


def defaults(message: Mapping[str, Any], details: Mapping[str, Any]) -> dict[str, Any]:
    """Return currency, language and page of an event, by default those of its session (4.1)."""
    values: dict[str, Any] = {}
    for name, in_session in (
        ("currency", "currency"),
        ("language", "language"),
        ("page", "last_page"),
    ):
        own = message.get(name)
        is_usable = isinstance(own, str) and (
            name != "currency" or not own or CURRENCY.accepts(own)
        )
        value = own if is_usable and own else details.get(in_session)
        # The SDK sends an empty page from servers; it is stored as it is.
        if value is None and name == "page" and isinstance(own, str):
            value = own
        if value is not None:
            values[name] = value
    return values


def usable_ext(ext: Any, kinds: Mapping[str, str]) -> tuple[dict[str, Any], list[InvalidPart]]:
    """Return the first 50 valid attributes of `ext`, and the others as invalid parts.

    `kinds`: attribute -> its type in earlier events of this event type.
    """
    if not isinstance(ext, dict):
        return {}, [InvalidPart(EXT_UNUSABLE, "ext is not an object", {"ext": ext})]
    good: dict[str, Any] = {}
    bad: dict[str, dict[str, Any]] = {}
    for name, value in ext.items():
        kind = kind_of(value)
        if kind is None or not _EXT_KEY.fullmatch(name):
            bad.setdefault(EXT_UNUSABLE, {})[name] = value
        elif kinds.get(name, kind) != kind:
            bad.setdefault(EXT_OTHER_TYPE, {})[name] = value
        elif len(good) >= events.MAX_EXT:
            bad.setdefault(EXT_TOO_MANY, {})[name] = value
        else:
            good[name] = value
    parts = [
        InvalidPart(reason, ", ".join(list(rest)[:10])[:500], {"ext": rest})
        for reason, rest in bad.items()
    ]
    return good, parts


def kind_of(value: Any) -> str | None:
    """Return the type of an attribute's value; None if it cannot be an attribute."""
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | Decimal):
        return "number"
    if isinstance(value, str):
        return "string"
    # The SDKs send arrays without flattening them.
    return "array" if isinstance(value, list) else None


def operating_system(user_agent: str) -> str | None:
    """Return the operating system that a user agent names, or None."""
    return next((name for word, name in _SYSTEMS if word in user_agent), None)


def arbitrary(message: Mapping[str, Any], without: Collection[str] = ()) -> dict[str, Any]:
    """Return the members of an event that are not stored separately."""
    return {
        name: value
        for name, value in message.items()
        if name not in STANDARD_MEMBERS and name not in without
    }


def _instant(value: Any) -> datetime | None:
    try:
        return instant(value)
    except ValueRefused:
        return None


def _word(value: Any) -> str | None:
    text = _text(value).upper()
    return text or None


def _text(value: Any) -> str:
    return storable(value).strip() if isinstance(value, str) else ""
