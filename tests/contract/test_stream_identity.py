"""IDENTITY events: who is at a browser (identity.md 3, 4, 5 and 9; stream-api.md 4.2)."""

from typing import Any

import pytest
from calling import Api
from streams import JANE, Page, ago, types


@pytest.fixture
def page(api: Api) -> Page:
    return Page(api)


def guest(api: Api, ref: str) -> dict[str, Any]:
    answer = api.get(f"/v2.1/guests/{ref}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def email(address: str, **more: Any) -> dict[str, Any]:
    """The members of an IDENTITY event that the default rule goes by."""
    return {"identifiers": [{"provider": "email", "id": address}], **more}


def test_no_rule_is_met(api: Api, page: Page) -> None:
    """identity.md 3 row 1: a visitor still, with what was sent."""
    before = page.guest
    page("IDENTITY", identifiers=[{"provider": "crm", "id": "7"}], firstname="Jane")
    assert page.guest == before
    result = guest(api, before)
    assert (result["guestType"], result["firstName"]) == ("visitor", "Jane")
    assert result["identifiers"] == [{"provider": "crm", "id": "7"}]


def test_a_rule_is_met_by_nobody_else(api: Api, page: Page) -> None:
    """identity.md 3 row 3: the profile keeps its ref and becomes a customer."""
    before = page.guest
    assert page("IDENTITY", **JANE)["customer_ref"] == before
    assert guest(api, before)["guestType"] == "customer"
    assert api.get("/v2.1/guests").json()["totalCount"] == 1


def test_all_members_of_identity(api: Api, page: Page) -> None:
    """identity.md 5 and 7: stream spellings; `dob` and `expiry_date` in every format seen."""
    page(
        "IDENTITY",
        identifiers=[
            {"provider": "email", "id": "Jane@Example.com", "expiry_date": "2031-12-31T23:59"},
            {"provider": "crm", "id": "7", "expiry_date": "2031-12-31T23:59:59.000Z"},
        ],
        email="jane@example.com",
        title="Ms",
        firstname="Jane",
        lastname="Doe",
        gender="Female",
        dob="1990-01-02T00:00",
        mobile="+353861234567",
        phone="+35312345678",
        street=["1 Main Street", "Flat 2"],
        city="Dublin",
        state="Leinster",
        country="IE",
        postal_code="D02",
    )
    report = guest(api, page.guest)
    assert {
        **report,
        "email": "jane@example.com",
        "emails": ["jane@example.com"],
        "title": "Ms",
        "firstName": "Jane",
        "lastName": "Doe",
        "gender": "Female",
        "dateOfBirth": "1990-01-02",
        "phoneNumbers": ["+353861234567", "+35312345678"],
        "street": ["1 Main Street", "Flat 2"],
        "city": "Dublin",
        "state": "Leinster",
        "country": "IE",
        "postCode": "D02",
        "identifiers": [
            {
                "provider": "email",
                "id": "Jane@Example.com",
                "expiryDate": "2031-12-31T23:59:00.000Z",
            },
            {"provider": "crm", "id": "7", "expiryDate": "2031-12-31T23:59:59.000Z"},
        ],
    } == report


def test_the_last_write_wins_and_nothing_is_cleared(api: Api, page: Page) -> None:
    """identity.md 9 row update of PII; 3 row several IDENTITY events."""
    page("IDENTITY", **JANE, city="Dublin")
    page("IDENTITY", **email("jane@example.com"), firstname="Janet", lastname="", city=None)
    report = guest(api, page.guest)
    assert (report["firstName"], report["lastName"], report["city"]) == ("Janet", "Doe", "Dublin")


def test_another_profile_has_the_identifier(api: Api, page: Page) -> None:
    """identity.md 3 row 2, 4, ID-6: sessions move to the existing profile, this one retires."""
    jane = api.guest(
        guestType="customer",
        firstName="Jane",
        identifiers=[{"provider": "email", "id": "jane@example.com"}],
    )
    visitor = page.guest
    page("VIEW", page="before")
    answer = page("IDENTITY", **email("JANE@example.com ", firstname="J"))
    assert answer["customer_ref"] == page.guest == jane["ref"]
    page("VIEW", page="after")
    # Retired: its survivor is named (identity.md 9).
    response = api.get(f"/v2.1/guests/{visitor}")
    assert response.status_code == 404
    assert jane["ref"] in response.json()["developerMessage"]
    assert types(page.session) == ["VIEW", "IDENTITY", "VIEW"]
    assert page.session["guestRef"] == jane["ref"]
    assert guest(api, jane["ref"])["firstName"] == "J"
    assert api.get("/v2.1/guests").json()["totalCount"] == 1


def test_two_browsers_of_one_person(api: Api, page: Page) -> None:
    other = Page(api)
    page("VIEW", page="1", requested_at=ago(minutes=2))
    other("VIEW", page="2", requested_at=ago(minutes=1))
    page("IDENTITY", **JANE)
    other("IDENTITY", **JANE)
    assert page.guest == other.guest
    assert [session["browserRef"] for session in page.sessions] == [page.browser, other.browser]


def test_undo_gives_everybody_their_own(api: Api, page: Page) -> None:
    """Design, "Merge, and undo": sessions keep whom they were recorded for; reads follow."""
    jane = api.guest(
        guestType="customer", identifiers=[{"provider": "email", "id": "jane@example.com"}]
    )
    visitor = page.guest
    page("VIEW", page="before", requested_at=ago(hours=2))
    page("IDENTITY", **JANE)
    (merge,) = api.get("/innkeeper/v1/merges").json()["items"]
    assert len(page.context(jane["ref"])["sessions"]) == 2
    assert api.post(f"/innkeeper/v1/merges/{merge['ref']}/undo").status_code == 200
    (before,) = page.context(visitor)["sessions"]
    assert before["events"][0]["page"] == "before"
    assert guest(api, visitor)["guestType"] == "visitor"
    # The browser was told to be Jane's.
    assert page.guest == jane["ref"]


def test_a_second_person_at_one_browser(api: Api, page: Page) -> None:
    """identity.md 3 row 4: the browser is re-linked, the earlier customer is kept."""
    page("VIEW", page="jane's", requested_at=ago(minutes=3))
    page("IDENTITY", **JANE, requested_at=ago(minutes=2))
    jane = page.guest
    page("IDENTITY", **email("jim@example.com", firstname="Jim"), requested_at=ago(minutes=1))
    jim = page.guest
    page("VIEW", page="jim's")
    assert jim != jane
    assert guest(api, jane)["firstName"] == "Jane"
    assert guest(api, jim)["firstName"] == "Jim"
    (of_jane,) = page.context(jane)["sessions"]
    (of_jim,) = page.context(jim)["sessions"]
    assert types(of_jane)[::-1] == ["VIEW", "IDENTITY"]
    assert types(of_jim)[::-1] == ["IDENTITY", "VIEW"]
    assert (of_jane["status"], of_jim["status"]) == ("CLOSED", "OPEN")
    # A late event is still Jane's.
    page("VIEW", page="late", requested_at=ago(minutes=2.5))
    (of_jane,) = page.context(jane)["sessions"]
    pages = [event["page"] for event in of_jane["events"]]
    assert pages == ["jane's", "late", "jane's"]
    assert len(page.context(jim)["sessions"][0]["events"]) == 2


def test_and_the_first_one_again(api: Api, page: Page) -> None:
    page("IDENTITY", **JANE)
    jane = page.guest
    page("IDENTITY", **email("jim@example.com"))
    page("IDENTITY", **JANE)
    assert page.guest == jane
    assert len(page.context(jane)["sessions"]) == 2


def test_a_second_person_ends_every_channels_session(api: Api, page: Page) -> None:
    """A session is one person's, on whatever channel the other one came."""
    page("VIEW", channel="MOBILE_APP")
    page("IDENTITY", **JANE)
    jane = page.guest
    page("IDENTITY", **email("jim@example.com"))
    page("VIEW", channel="MOBILE_APP")
    channels = [session["channel"] for session in page.context(jane)["sessions"]]
    assert sorted(channels) == ["MOBILE_APP", "WEB"]
    assert len(page.context()["sessions"]) == 2


def test_a_merge_by_rest_shows_in_the_next_answer(api: Api, page: Page) -> None:
    """Section 9 row customer_ref: always the current guest."""
    other = api.guest(guestType="customer", firstName="Jane")
    page("VIEW")
    page("VIEW")
    merged = api.post(
        "/innkeeper/v1/merges", json={"survivor": other["ref"], "absorbed": page.guest}
    )
    assert merged.status_code == 201, merged.text
    assert page("VIEW")["customer_ref"] == other["ref"]
    observed = guest(api, other["ref"])["lastSeen"]
    # A new session: the survivor is seen.
    page("VIEW", requested_at=ago(minutes=-40))
    assert guest(api, other["ref"])["lastSeen"] > observed
    assert len(page.context(other["ref"])["sessions"]) == 2


def test_who_says_who_they_are_was_seen_when_the_session_began(api: Api, page: Page) -> None:
    """identity.md 7 row lastSeen: an anonymous session that turns out to be Jane's is hers."""
    existing = api.guest(**JANE)
    page("VIEW", requested_at=ago(minutes=-30))
    page("IDENTITY", **JANE, requested_at=ago(minutes=-32))
    assert page.guest == existing["ref"]
    assert (
        guest(api, existing["ref"])["lastSeen"] == page.session["startedAt"] > existing["lastSeen"]
    )


def test_identity_and_rest_find_the_same_guest(api: Api, page: Page) -> None:
    """Issue: the very same resolution as REST."""
    page("IDENTITY", **JANE)
    order = api.post(
        "/v2.1/orders",
        json={"referenceId": "B-1", "orderedAt": ago(hours=1), "currencyCode": "EUR", "price": 1},
    ).json()
    contact = api.post(
        f"/v2.1/orders/{order['ref']}/contacts",
        json={"firstName": "J", "lastName": "D", "identifiers": JANE["identifiers"]},
    ).json()
    assert contact["guest"]["href"].endswith(page.guest)
    assert [order["referenceId"] for order in page.context()["orders"]] == ["B-1"]
