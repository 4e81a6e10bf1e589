"""Events: attributes, types, ext and quarantine reasons (stream-api.md 4.1, 4.2, 4.3, 9)."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from calling import Api
from streams import JANE, Page, ago, iso, product, quarantine, types

from innkeeper.resources.events import RESERVED, STANDARD


@pytest.fixture
def page(api: Api) -> Page:
    return Page(api)


def only(items: list[dict[str, Any]]) -> dict[str, Any]:
    (item,) = items
    return item


# 4.1 Common attributes


def test_members_of_every_event(page: Page) -> None:
    """4.1, identity.md 8: columns of an event and of its session."""
    page(
        "VIEW",
        currency="EUR",
        language="EN",
        page="Home Page",
        utm_source="mail",
        utm_campaign="spring",
        referrer="https://search.example/",
        session_data={"uri": "/x"},
        anything={"nested": [1, 2.50]},
        ext={"a": 1},
    )
    session = page.session
    event = only(session["events"])
    assert {
        **event,
        "arbitraryData": {
            "utm_source": "mail",
            "utm_campaign": "spring",
            "referrer": "https://search.example/",
            "session_data": {"uri": "/x"},
            "anything": {"nested": [1, 2.5]},
            "ext": {"a": 1},
        },
        "type": "VIEW",
        "status": "PROCESSED",
        "channel": "WEB",
        "pointOfSale": "default",
        "currencyCode": "EUR",
        "language": "EN",
        "page": "Home Page",
        "browserRef": page.browser,
        "sessionRef": session["ref"],
    } == event
    assert session["guestRef"] == page.guest
    assert session["utmAttributes"] == {"source": "mail", "campaign": "spring"}
    assert session["referer"] == "https://search.example/"
    assert session["customData"] == {"uri": "/x"}
    assert (session["firstPageURI"], session["lastPageURI"]) == ("Home Page", "Home Page")
    assert (session["status"], session["sessionType"]) == ("OPEN", "WEB")


@pytest.mark.parametrize("type_", ["VIEW", "BANNER_SEEN"])
def test_members_of_a_search_widget(page: Page, type_: str) -> None:
    """4.1 row sc_search: kept as it came, on VIEW and custom events."""
    payload = {"data": {"value": {"items": [1, "a"]}}, "metadata": {"ut_api_version": "1.0"}}
    page(type_, sc_search=payload)
    assert only(page.session["events"])["arbitraryData"] == {"sc_search": payload}


def test_later_events_need_only_their_type(page: Page) -> None:
    """4.1 last paragraph, 9: channel and pos as before, the rest from the session."""
    page("VIEW", channel="MOBILE_APP", currency="USD", language="FR", page="Start")
    page("VIEW", channel=None, pos=None)
    first, second = page.session["events"]
    for name in ("channel", "pointOfSale", "currencyCode", "language", "page"):
        assert second[name] == first[name], name


def test_an_empty_page_is_stored(page: Page) -> None:
    """4.1 row page, section 8: `""` on a server."""
    page("VIEW", page="")
    assert only(page.session["events"])["page"] == ""


def test_the_first_event_needs_only_its_type(page: Page) -> None:
    """Section 9: the default point of sale; channel WEB."""
    page("VIEW", channel=None, pos=None)
    event = only(page.session["events"])
    assert (event["channel"], event["pointOfSale"]) == ("WEB", "default")


def test_spellings(page: Page) -> None:
    """4.1: type and channel are upper case."""
    page("view", channel="mobile_web")
    event = only(page.session["events"])
    assert (event["type"], event["channel"]) == ("VIEW", "MOBILE_WEB")


@pytest.mark.parametrize("hours", [-23.9, -1, 0, 23.9])
def test_requested_at_within_a_day(page: Page, hours: float) -> None:
    """4.1 row requested_at, section 9 row event time."""
    at = iso(datetime.now(UTC) + timedelta(hours=hours))
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    page("VIEW", requested_at=at)
    event = only(page.session["events"])
    assert event["createdAt"] == at
    # When it was received.
    assert before < datetime.fromisoformat(event["modifiedAt"]) <= datetime.now(UTC)


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(lambda: ago(hours=24.1), id="a day ago"),
        pytest.param(lambda: ago(hours=-24.1), id="tomorrow"),
        "yesterday",
        7,
        None,
    ],
)
def test_requested_at_that_cannot_be_believed(page: Page, payload: Any) -> None:
    """Section 9 row event time: else receipt time (F24: by the clock of now, not of collection)."""
    page("VIEW", requested_at=payload() if callable(payload) else payload)
    at = datetime.fromisoformat(only(page.session["events"])["createdAt"])
    assert abs(at - datetime.now(UTC)) < timedelta(minutes=1)


def test_a_currency_that_is_none(api: Api, page: Page) -> None:
    """4.1 row currency: ISO 4217. The event is attached, what is wrong is kept."""
    page("VIEW", currency="EURO")
    assert "currencyCode" not in only(page.session["events"])
    quarantined = only(quarantine(api))
    assert (quarantined["what"], quarantined["reason"]) == ("part of an event", "bad member")
    assert quarantined["message"] == {"currency": "EURO"}


# 4.2 Event types


def test_views_searches_forms_and_custom_events(page: Page) -> None:
    """4.2 rows VIEW, SEARCH, FORM, custom."""
    page("VIEW", ext={"pageVariantId": "v"})
    page("SEARCH", product_name="dress", product_type="CLOTHES")
    page("FORM", ext={"formId": "f", "interactionType": "SUBMITTED"})
    page("MY:CUSTOM EVENT-1", ext={"a": "b"}, sc_search={"data": {}, "metadata": {}})
    assert types(page.session) == ["VIEW", "SEARCH", "FORM", "MY:CUSTOM EVENT-1"]


FLIGHT = {
    "product_name": "DUB-LHR",
    "product_type": "FLIGHT",
    "flight_type": "RT",
    "origin": "DUB",
    "destination": "LHR",
    "start": "2027-01-01T10:00",
    "end": "2027-01-08T10:00",
    "adults": 1,
    "children": 0,
    "infants": 0,
}


def test_flight_search(api: Api, page: Page) -> None:
    """4.2 row SEARCH: what a flight must tell; one way has no way back."""
    page("SEARCH", **FLIGHT)
    page("SEARCH", **FLIGHT | {"flight_type": "OW", "end": None})
    assert types(page.session) == ["SEARCH", "SEARCH"]
    for name, wrong in (
        ("flight_type", "XX"),
        ("origin", "Dublin"),
        ("destination", None),
        ("start", ""),
        ("end", None),
        ("adults", "1"),
    ):
        page("SEARCH", **FLIGHT | {name: wrong})
        assert quarantine(api)[-1]["detail"] == name


MISUSED: list[tuple[str, dict[str, Any], str]] = [
    ("SEARCH", {"product_type": "X"}, "product_name"),
    ("SEARCH", {}, "product_name, product_type"),
    ("IDENTITY", {}, "identifiers"),
    ("IDENTITY", {"identifiers": []}, "identifiers"),
    ("IDENTITY", {"identifiers": [{"provider": "email"}]}, "identifiers[0].id: may not be null."),
    ("IDENTITY", {"identifiers": "x", "email": "a@b.co"}, "identifiers"),
    ("ADD", {}, "product"),
    ("ADD", {"product": {}}, "product.item_id, product.type, product.price, product.quantity"),
    ("ADD", {"product": product("1", quantity=0)}, "product.quantity"),
    ("ADD", {"product": product("1", price="12")}, "product.price"),
    ("ADD_CONTACTS", {}, "contact"),
    ("ADD_CONTACTS", {"contact": [{"title": "Ms"}]}, "contact"),
    ("ADD_CONSUMERS", {}, "consumer"),
    ("ADD_CONSUMERS", {"consumer": [{"title": "Ms", "firstname": "A"}]}, "consumer"),
    ("CONFIRM", {}, "product"),
    ("CONFIRM", {"product": [{"name": "x"}]}, "product.item_id"),
    ("CHECKOUT", {}, "reference_id, status"),
    ("CHECKOUT", {"reference_id": "R", "status": "SHIPPED"}, "status"),
    ("PAYMENT", {"pay_type": "Barter"}, "pay_type"),
    ("ORDER_CHECKOUT", {}, "order"),
]


@pytest.mark.parametrize(("type_", "members", "detail"), MISUSED)
def test_a_type_without_what_it_requires(
    api: Api, page: Page, type_: str, members: dict[str, Any], detail: str
) -> None:
    """4.2 column R, issue: a reserved type misused answers 201 and is kept with its reason."""
    ref = page(type_, **members)["ref"]
    quarantined = only(quarantine(api))
    assert quarantined["ref"] == ref
    assert (quarantined["what"], quarantined["reason"], quarantined["detail"]) == (
        "event",
        "bad attributes",
        detail,
    )
    assert quarantined["message"] | members == quarantined["message"]
    assert page.context()["sessions"] == []


@pytest.mark.parametrize("name", sorted(RESERVED - STANDARD | {"SC_ANYTHING", "SC_", "x" * 101}))
def test_names_that_no_custom_event_may_have(api: Api, page: Page, name: str) -> None:
    """4.2 reserved names."""
    page(name)
    assert only(quarantine(api))["reason"] == "reserved name"
    assert page.context()["sessions"] == []


def test_bots(api: Api, page: Page) -> None:
    """4.2 bots, section 9: only a bot may name a browser that was not issued."""
    bot = Page(api, "0123abcd-ffff-0fff-ffff-0123456789ab", channel="bot")
    for _ in range(2):
        bot("VIEW", ext={"sourceUserAgent": "crawler"})
    session = bot.session
    assert (types(session), session["channel"]) == (["VIEW", "VIEW"], "BOT")
    assert page.send("VIEW", browser_id="0123abcd-ffff-0fff-ffff-0123456789ac").status_code == 404


# 4.3 ext


def test_ext_as_the_sdks_send_it(page: Page) -> None:
    """4.3 note: flattened names have underscores, arrays pass; numbers stay what they were."""
    ext = {"order_amount": 12.50, "n": 12, "a": [1, {"b": 2}], "s": "x", "b": False, "e": ""}
    page("VIEW", ext=ext)
    raw = page.api.get(f"/v2/guestContexts/{page.guest}").text
    assert only(page.session["events"])["arbitraryData"]["ext"] == ext
    assert '"order_amount":12.5' in raw


def test_ext_over_fifty(api: Api, page: Page) -> None:
    """4.3 row max attributes, section 9: the first 50 usable, the rest in quarantine."""
    ext: dict[str, Any] = {f"k{number}": number for number in range(55)}
    ref = page("MANY", ext=ext)["ref"]
    quarantined = only(quarantine(api))
    event = only(page.session["events"])
    assert event["arbitraryData"]["ext"] == {f"k{number}": number for number in range(50)}
    assert quarantined["reason"] == "ext over 50 attributes"
    assert quarantined["eventRef"] == ref
    assert quarantined["message"] == {"ext": {f"k{number}": number for number in range(50, 55)}}


@pytest.mark.parametrize(
    "bad", [{"a": {"b": 1}}, {"a": None}, {"a b": 1}, {"ä": 1}, {"": 1}, {"a.b": 1}]
)
def test_ext_that_cannot_be_used(api: Api, page: Page, bad: dict[str, Any]) -> None:
    """4.3 rows key syntax, value types."""
    page("VIEW", ext={"good": 1, **bad})
    assert only(page.session["events"])["arbitraryData"]["ext"] == {"good": 1}
    quarantined = only(quarantine(api))
    assert (quarantined["reason"], quarantined["message"]) == (
        "ext attribute unusable",
        {"ext": bad},
    )


@pytest.mark.parametrize("ext", [[1], "x", 7])
def test_ext_that_is_no_object(api: Api, page: Page, ext: Any) -> None:
    """4.3: flat object."""
    page("VIEW", ext=ext)
    assert only(page.session["events"])["arbitraryData"]["ext"] == {}
    assert only(quarantine(api))["message"] == {"ext": ext}


def test_ext_types_stay(api: Api, page: Page) -> None:
    """4.3 row type conflicts: one type across all events of a type, whoever sends them."""
    page("TYPED", ext={"level": 3, "name": "x"})
    page("TYPED", ext={"level": 3.5, "name": "y"})
    Page(api)("TYPED", ext={"level": "high", "name": "z"})
    page("OTHER", ext={"level": "high"})
    quarantined = only(quarantine(api))
    assert quarantined["reason"] == "ext attribute changed type"
    assert quarantined["message"] == {"ext": {"level": "high"}}
    assert types(page.session) == ["TYPED", "TYPED", "OTHER"]


def test_bad_members_of_an_identity(api: Api, page: Page) -> None:
    """4.2 row IDENTITY: what is wrong is kept, the rest counts."""
    page(
        "IDENTITY",
        **JANE | {"dob": "long ago", "country": "Ireland", "city": "Dublin", "gender": "Female"},
    )
    guest = api.get(f"/v2.1/guests/{page.guest}").json()
    assert (guest["guestType"], guest["city"], guest["firstName"]) == ("customer", "Dublin", "Jane")
    assert "country" not in guest
    assert {item["detail"].partition(":")[0] for item in quarantine(api)} == {"dob", "country"}
