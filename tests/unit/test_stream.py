"""What an event tells before anything is known of its browser (stream-api.md 1, 4, 4.1, 4.3, 9)."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from innkeeper.errors import BadRequest
from innkeeper.rules import stream
from innkeeper.rules.stream import (
    ConfiguredPointOfSale,
    IncomingEvent,
    InvalidEvent,
    StreamConfiguration,
)

NOW = datetime(2026, 11, 21, 10, tzinfo=UTC)
BROWSER = "85b3dec3-60ac-44ec-9b51-5a9d3ee2ae9b"
MINUTES = timedelta(minutes=20)


def event(**members: Any) -> IncomingEvent:
    return IncomingEvent({"browser_id": BROWSER, "type": "VIEW", **members}, NOW)


@pytest.mark.parametrize("name", ["browser_id", "type"])
@pytest.mark.parametrize("value", [None, "", "  ", 7, ["VIEW"]])
def test_what_every_event_needs(name: str, value: Any) -> None:
    """4.1 rows browser_id and type."""
    with pytest.raises(BadRequest, match=f"{name} is required"):
        stream.read(event(**{name: value}))


def test_what_places_an_event() -> None:
    """4.1: words in any case and with blanks around them."""
    reading = stream.read(event(type=" view ", channel=" web ", pos=" shop ", currency="EUR"))
    assert (reading.type, reading.channel, reading.point_of_sale) == ("VIEW", "WEB", "shop")
    assert (reading.browser, reading.at, reading.parts) == (UUID(BROWSER), NOW, [])
    bare = stream.read(event(channel="", pos=None))
    assert (bare.channel, bare.point_of_sale) == (None, "")


@pytest.mark.parametrize("browser", ["nobody", BROWSER[:-1], "{" + BROWSER + "}"])
def test_a_browser_that_is_no_uuid(browser: str) -> None:
    """Section 4 row 404: nobody has it."""
    assert stream.read(event(browser_id=browser)).browser is None


def test_a_currency_that_is_none() -> None:
    """4.1 row currency: only that part goes to quarantine."""
    (part,) = stream.read(event(currency="euro")).parts
    assert (part.reason, part.message) == (stream.BAD_MEMBER, {"currency": "euro"})
    assert stream.read(event(currency="")).parts == []


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("2026-11-21T09:00:00.000Z", NOW - timedelta(hours=1)),
        ("2026-11-20T10:00:00.000Z", NOW - timedelta(hours=24)),
        ("2026-11-22T10:00:00.000Z", NOW + timedelta(hours=24)),
        ("2026-11-20T09:59:59.999Z", NOW),
        ("2026-11-22T10:00:00.001Z", NOW),
        ("2026-11-21T11:00:00,000+02", NOW - timedelta(hours=1)),
        ("2026-11-21 09:00:00+00", NOW - timedelta(hours=1)),
        ("yesterday", NOW),
        (None, NOW),
    ],
)
def test_whose_clock_counts(message: Any, expected: datetime) -> None:
    """Section 9: the client's within a day of ours."""
    assert stream.read(event(requested_at=message)).at == expected


@pytest.mark.parametrize("name", ["VIEW", "ORDER_CHECKOUT", "ROOM_VIEWED", "X" * 100])
def test_names_that_are_taken(name: str) -> None:
    """4.2: standard types, and custom ones."""
    stream.check_name(name)


@pytest.mark.parametrize("name", ["SC_ANYTHING", "CLICK", "PURCHASE", "TRACKING", "X" * 101])
def test_names_that_are_reserved(name: str) -> None:
    """4.2, reserved names."""
    with pytest.raises(InvalidEvent) as misused:
        stream.check_name(name)
    assert misused.value.reason == stream.RESERVED_NAME


# Points of sale (section 9; section 1 row site)


def configured(*names: str, **sites: str) -> StreamConfiguration:
    points = {
        name: ConfiguredPointOfSale(name, MINUTES * (at + 1)) for at, name in enumerate(names)
    }
    return StreamConfiguration(UUID(int=0), points, sites)


@pytest.mark.parametrize(
    ("message", "site", "last", "expected"),
    [
        ("shop", None, "other", "shop"),
        ("shop", "my-site", None, "shop"),
        ("", None, "shop", "shop"),
        ("", None, "deleted", "default"),
        ("", None, None, "default"),
        ("", "shop", "other", "shop"),
        ("", "my-site", None, "other"),
        ("", "nowhere", "shop", "default"),
        ("", "", "shop", "default"),
    ],
)
def test_where_an_event_happened(message: str, site: Any, last: Any, expected: str) -> None:
    config = configured("default", "shop", "other", **{"my-site": "other"})
    assert config.point_of_sale(message, site, last).name == expected


def test_an_unknown_point_of_sale() -> None:
    """Section 9: its own name is never replaced by the default."""
    for config, each in ((configured("default"), "shop"), (configured("a", "b"), "")):
        with pytest.raises(InvalidEvent) as misused:
            config.point_of_sale(each, None, None)
        assert misused.value.reason == stream.UNKNOWN_POINT_OF_SALE


def test_the_default_and_the_longest_timeout() -> None:
    only = configured("shop").default
    assert only is not None
    assert only.name == "shop"
    assert configured("a", "b").default is None
    assert configured("a", "b", "c").longest_timeout == 3 * MINUTES
    assert configured().longest_timeout == timedelta()


# ext (4.3)


def test_usable_attributes() -> None:
    """4.3 rows key syntax, value types; note: underscores and arrays of the SDKs."""
    ext = {"a": "x", "b_c": True, "D1": 7, "e": Decimal("1.5"), "f": [1, {"g": 2}]}
    assert stream.usable_ext(ext, {}) == (ext, [])


@pytest.mark.parametrize(
    ("name", "value"),
    [("a-b", 1), ("ä", 1), ("", 1), ("a" * 5000, 1), ("a", None), ("a", {"b": 1})],
)
def test_unusable_attributes(name: str, value: Any) -> None:
    """4.3: such a one alone goes to quarantine."""
    good, (part,) = stream.usable_ext({"fine": 1, name: value}, {})
    assert good == {"fine": 1}
    assert (part.reason, part.message) == (stream.EXT_UNUSABLE, {"ext": {name: value}})


def test_an_attribute_keeps_its_type() -> None:
    """4.3 row type conflicts: integers and floats are one type."""
    kinds = {"a": "number", "b": "string", "c": "boolean"}
    good, (part,) = stream.usable_ext({"a": Decimal("1.5"), "b": 7, "c": 1, "new": "x"}, kinds)
    assert good == {"a": Decimal("1.5"), "new": "x"}
    assert (part.reason, part.message) == (stream.EXT_OTHER_TYPE, {"ext": {"b": 7, "c": 1}})


def test_fifty_attributes() -> None:
    """4.3 row max attributes: the first fifty usable ones."""
    ext: dict[str, Any] = {"bad key": 0} | {f"a{number}": number for number in range(52)}
    good, parts = stream.usable_ext(ext, {})
    assert list(good) == [f"a{number}" for number in range(50)]
    assert {part.reason: list(part.message["ext"]) for part in parts} == {
        stream.EXT_UNUSABLE: ["bad key"],
        stream.EXT_TOO_MANY: ["a50", "a51"],
    }


def test_ext_that_is_no_object() -> None:
    good, (part,) = stream.usable_ext([1], {})
    assert (good, part.reason, part.message) == ({}, stream.EXT_UNUSABLE, {"ext": [1]})


# What is kept with an event


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({}, {"currency": "EUR", "language": "EN", "page": "/last"}),
        (
            {"currency": "USD", "page": "/new"},
            {"currency": "USD", "language": "EN", "page": "/new"},
        ),
        ({"currency": "nonsense"}, {"currency": "EUR", "language": "EN", "page": "/last"}),
        ({"page": ""}, {"currency": "EUR", "language": "EN", "page": "/last"}),
    ],
)
def test_members_from_the_session(message: Any, expected: Any) -> None:
    """4.1: currency, language and page as before."""
    details = {"currency": "EUR", "language": "EN", "last_page": "/last"}
    assert stream.defaults(message, details) == expected


def test_an_empty_page_of_a_server() -> None:
    """4.1 row page of a server: told, if of nothing."""
    assert stream.defaults({"page": ""}, {}) == {"page": ""}
    assert stream.defaults({}, {}) == {}


def test_arbitrary_data() -> None:
    """identity.md 8 row Event: all members without a place of their own."""
    message = {"browser_id": "b", "type": "T", "page": "/", "ext": {"a": 1}, "sc_search": 2, "x": 3}
    assert stream.arbitrary(message) == {"ext": {"a": 1}, "sc_search": 2, "x": 3}
    assert stream.arbitrary(message, {"x"}) == {"ext": {"a": 1}, "sc_search": 2}


@pytest.mark.parametrize(
    ("agent", "system"),
    [
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X)", "iOS"),
        ("Mozilla/5.0 (Linux; Android 15; Pixel 9)", "Android"),
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64)", "Windows"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 15_0)", "macOS"),
        ("Mozilla/5.0 (X11; Linux x86_64)", "Linux"),
        ("curl/8", None),
    ],
)
def test_operating_systems(agent: str, system: str | None) -> None:
    assert stream.operating_system(agent) == system
