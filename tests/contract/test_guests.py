"""Guests over REST: G1 to G6 and T1 to T6, as an open and as an official key sees them."""

import re
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from calling import NOBODY, Api, absent, invalid, no_guest

INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z")

JANE = {
    "guestType": "customer",
    "email": "jane.doe@example.com",
    "emails": ["jane.doe@example.com"],
    "firstName": "Jane",
    "lastName": "Doe",
    "identifiers": [{"provider": "BXLP", "id": "USER-1002"}],
}

EVERYTHING: dict[str, Any] = {
    "guestType": "traveller",
    "title": "Capt",
    "firstName": "Jané 🦊",
    "lastName": "O'Doe",
    "gender": "Female",
    "dateOfBirth": "1990-01-01",
    "email": "jane@example.com",
    "emails": ["jane@example.com", "j.doe@example.org"],
    "phoneNumbers": ["+353161123345", "0161"],
    "nationality": "Irish",
    "passportNumber": "PB1234",
    "passportExpiry": "2031-05-06T07:08:09.010Z",
    "street": ["1 Main Street", ""],
    "city": "Dublin",
    "state": "Leinster",
    "country": "IE",
    "postCode": "D02 X285",
    "identifiers": [
        {"provider": "BXLP", "id": "USER-1002", "expiryDate": "2030-01-01T00:00:00.000Z"},
        {"provider": "email", "id": "Jane@Example.com"},
    ],
    "language": "en-IE",
    "phone": "123",
    "zipCode": "D02",
    "identityStatus": "anything",
    "subscriptions": [],
}

SERVER_OWNED = {"ref", "href", "guestRef", "createdAt", "modifiedAt", "firstSeen", "lastSeen"}


def own_fields(guest: dict[str, Any]) -> dict[str, Any]:
    """What the caller told of a guest, without what the server adds."""
    return {
        name: value
        for name, value in guest.items()
        if name not in SERVER_OWNED and name != "dataExtensions"
    }


# Create


def test_the_documented_guest_is_created(api: Api) -> None:
    """C-4, C-5, C-6, C-8, CT-7, G-15, N-5: 201 with the whole guest, Location is its href."""
    before = datetime.now(UTC)
    answer = api.post("/v2.1/guests", json=JANE)
    assert answer.status_code == 201
    guest = answer.json()
    ref, at = guest["ref"], guest["createdAt"]
    assert guest == {
        **JANE,
        "ref": ref,
        "guestRef": ref,
        "href": f"{api.url}/v2.1/guests/{ref}",
        "firstSeen": at,
        "lastSeen": at,
        "createdAt": at,
        "modifiedAt": at,
        "dataExtensions": {"href": f"{api.url}/v2.1/guests/{ref}/extensions"},
    }
    assert answer.headers["location"] == guest["href"]
    assert UUID(ref).version == 4
    assert ref == ref.lower()
    assert INSTANT.fullmatch(at)
    # Shown in milliseconds (C-8).
    assert before - timedelta(milliseconds=1) < datetime.fromisoformat(at) <= datetime.now(UTC)
    assert api.get(guest["href"]).json() == guest


def test_every_documented_field_comes_back(api: Api, official: Api) -> None:
    """N-9, C-10: the full list of fields; only the day of birth is shown by compatibility."""
    guest = api.guest(**EVERYTHING)
    assert own_fields(guest) == EVERYTHING
    assert own_fields(api.get(guest["href"]).json()) == EVERYTHING
    assert own_fields(official.get(guest["href"]).json()) == {
        **EVERYTHING,
        "dateOfBirth": "1990-01-01T00:00:00.000Z",
    }


def test_two_identical_posts_make_two_guests(api: Api) -> None:
    """G-1."""
    assert api.guest(**JANE)["ref"] != api.guest(**JANE)["ref"]
    assert api.get("/v2.1/guests").json()["totalCount"] == 2


def test_a_missing_guest_type_follows_compatibility(api: Api, official: Api) -> None:
    """G-3, N-4: visitor for an open key, refused for an official one."""
    answer = api.post("/v2.1/guests", json={"email": "jane@example.com"})
    assert (answer.status_code, answer.json()["guestType"]) == (201, "visitor")
    answer = official.post("/v2.1/guests", json={"email": "jane@example.com"})
    assert (answer.status_code, answer.json()) == (400, absent("guestType"))
    assert official.post("/v2.1/guests", json={"guestType": None}).status_code == 400


def test_an_empty_open_guest_is_a_visitor(api: Api) -> None:
    """N-4: nothing is required."""
    answer = api.post("/v2.1/guests", json={})
    assert answer.status_code == 201
    assert own_fields(answer.json()) == {"guestType": "visitor"}


@pytest.mark.parametrize("key", ["open", "official"])
@pytest.mark.parametrize("value", ["retired", "Visitor", "", 1, True, ["visitor"], {}])
def test_a_wrong_guest_type_is_refused(api: Api, official: Api, key: str, value: Any) -> None:
    """N-4: in both compatibilities, with the documented texts."""
    caller = {"open": api, "official": official}[key]
    answer = caller.post("/v2.1/guests", json={"guestType": value})
    assert (answer.status_code, answer.json()) == (400, invalid("guestType", "not a valid value"))


@pytest.mark.parametrize(
    ("payload", "email", "emails"),
    [
        ({"email": "a@b.co"}, "a@b.co", ["a@b.co"]),
        ({"emails": ["a@b.co", "c@d.co"]}, "a@b.co", ["a@b.co", "c@d.co"]),
        ({"email": "c@d.co", "emails": ["a@b.co", "c@d.co"]}, "c@d.co", ["a@b.co", "c@d.co"]),
        ({"email": "x@y.co", "emails": ["a@b.co"]}, "x@y.co", ["x@y.co", "a@b.co"]),
        ({"email": None, "emails": ["a@b.co"]}, "a@b.co", ["a@b.co"]),
        ({"email": "a@b.co", "emails": None}, "a@b.co", ["a@b.co"]),
        ({"email": "a@b.co", "emails": []}, "a@b.co", ["a@b.co"]),
        ({"emails": []}, None, []),
        ({"email": None}, None, None),
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_email_and_emails_mirror_each_other(
    api: Api, method: str, payload: dict[str, Any], email: str | None, emails: list[str] | None
) -> None:
    """G-2, N-6."""
    path = "/v2.1/guests" if method == "POST" else api.guest()["href"]
    guest = api.request(method, path, json=payload).json()
    assert (guest.get("email"), guest.get("emails")) == (email, emails)


@pytest.mark.parametrize(
    ("payload", "email", "emails"),
    [
        ({"email": "n@w.co"}, "n@w.co", ["n@w.co"]),
        ({"emails": ["n@w.co", "o@w.co"]}, "n@w.co", ["n@w.co", "o@w.co"]),
        ({"email": None}, None, None),
        ({"emails": None}, None, None),
        ({"firstName": "J"}, "a@b.co", ["a@b.co"]),
    ],
)
def test_a_patch_of_one_address_field_mirrors_too(
    api: Api, payload: dict[str, Any], email: str | None, emails: list[str] | None
) -> None:
    """G-2 on PATCH: one sent alone fills the other, or clears it."""
    guest = api.patch(api.guest(email="a@b.co")["href"], json=payload).json()
    assert (guest.get("email"), guest.get("emails")) == (email, emails)


def test_server_owned_and_unknown_members_are_ignored(api: Api) -> None:
    """C-9, C-10, N-5."""
    guest = api.guest(
        ref=NOBODY,
        href="http://elsewhere/",
        guestRef=NOBODY,
        createdAt="2001-01-01T00:00:00Z",
        modifiedAt=17,
        firstSeen="x",
        lastSeen=None,
        dataExtensions=[{"name": "ext"}],
        favouriteColour="teal",
    )
    assert own_fields(guest) == {"guestType": "visitor"}
    assert guest["ref"] != NOBODY
    assert guest["createdAt"] > "2026"


def test_null_members_of_a_create_are_absent(api: Api) -> None:
    """C-10: what is absent or null is not shown."""
    assert own_fields(api.guest(firstName=None, street=None, gender=None)) == {
        "guestType": "visitor"
    }


@pytest.mark.parametrize("value", ["JANE", "jane", "  Jane ", "", "İstanbul", "e\u0301", "a\tb"])
def test_text_comes_back_as_sent(api: Api, value: str) -> None:
    """Case formats are recommendations: section 3.1 stores and echoes what was sent."""
    guest = api.guest(firstName=value, passportNumber=value, postCode=value)
    record = api.get(guest["href"]).json()
    assert (record["firstName"], record["passportNumber"], record["postCode"]) == (value,) * 3


@pytest.mark.parametrize(
    ("payload", "expected"),
    [("male", "Male"), ("FEMALE", "Female"), ("Other", "Other"), ("unKnown", "Unknown")],
)
def test_an_open_key_sees_gender_in_four_words(api: Api, payload: str, expected: str) -> None:
    """N-7: any case in, seed 000's spelling out."""
    guest = api.guest(gender=payload)
    assert guest["gender"] == expected
    assert api.get(guest["href"]).json()["gender"] == expected


@pytest.mark.parametrize("value", ["m", "", "Male ", "un\u212anown", 1])
def test_an_open_key_is_refused_another_gender(api: Api, value: Any) -> None:
    """N-7: outside the four words 400 (a Kelvin sign is no K)."""
    answer = api.post("/v2.1/guests", json={"gender": value})
    assert (answer.status_code, answer.json()) == (400, invalid("gender", "not a valid value"))


def test_an_official_key_has_free_gender(api: Api, official: Api) -> None:
    """N-7: free text, shown as stored; an open key does not see a word outside its four."""
    guest = official.guest(gender="non-binary")
    assert guest["gender"] == "non-binary"
    assert "gender" not in api.get(guest["href"]).json()
    male = official.guest(gender="male")
    assert male["gender"] == "male"
    assert api.get(male["href"]).json()["gender"] == "Male"


@pytest.mark.parametrize(
    ("payload", "day"),
    [
        ("1990-01-01", "1990-01-01"),
        ("1990-01-01T00:00:00.000Z", "1990-01-01"),
        ("1985-12-24T00:00Z", "1985-12-24"),
        ("1990-01-01T23:30:00-11:00", "1990-01-01"),
        ("1990-01-01T00:30:00+14:00", "1990-01-01"),
        ("0001-01-01", "0001-01-01"),
    ],
)
def test_the_day_of_birth_is_stored_as_written(
    api: Api, official: Api, payload: str, day: str
) -> None:
    """N-8: no zone shift; a date for an open key, a date-time for an official one."""
    guest = api.guest(dateOfBirth=payload)
    assert guest["dateOfBirth"] == day
    assert official.get(guest["href"]).json()["dateOfBirth"] == f"{day}T00:00:00.000Z"
    assert official.guest(dateOfBirth=payload)["dateOfBirth"] == f"{day}T00:00:00.000Z"


def test_a_birth_in_the_future_is_refused(api: Api) -> None:
    """N-8: the past check."""
    answer = api.post("/v2.1/guests", json={"dateOfBirth": "2999-12-31"})
    assert (answer.status_code, answer.json()) == (
        400,
        invalid("dateOfBirth", "must be in the past"),
    )


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ("2031-05-06T07:08:09Z", "2031-05-06T07:08:09.000Z"),
        ("2031-05-06T07:08:09.1Z", "2031-05-06T07:08:09.100Z"),
        ("2031-05-06T07:08:09.123456789Z", "2031-05-06T07:08:09.123Z"),
        ("2031-05-06T07:08Z", "2031-05-06T07:08:00.000Z"),
        ("2031-05-06T07:08:09+02:00", "2031-05-06T05:08:09.000Z"),
        ("2031-05-06T23:30:00-0130", "2031-05-07T01:00:00.000Z"),
        ("2031-05-06", "2031-05-06T00:00:00.000Z"),
        ("2031-05-06T07:08:09", "2031-05-06T07:08:09.000Z"),
        ("2032-02-29T00:00:00Z", "2032-02-29T00:00:00.000Z"),
        ("9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z"),
    ],
)
def test_instants_are_utc_with_three_decimals(api: Api, payload: str, expected: str) -> None:
    """C-8: with or without seconds, decimals, an offset or a time."""
    guest = api.guest(
        passportExpiry=payload, identifiers=[{"provider": "p", "id": "i", "expiryDate": payload}]
    )
    assert guest["passportExpiry"] == expected
    assert guest["identifiers"] == [{"provider": "p", "id": "i", "expiryDate": expected}]
    assert api.get(guest["href"]).json() == guest


@pytest.mark.parametrize(
    "value",
    [
        *("", "soon", "2031-13-01", "2031-02-29T00:00:00Z", "2031-05-06T24:01:00Z", "2031-5-6"),
        *("06/05/2031", "2031-05-06T07:08:09+25:00", "0000-01-01", "20310506", 1700000000, True),
        *("9999-12-31T23:59:59-01:00", "0001-01-01T00:00:00+01:00", "٢٠٣١-٠٥-٠٦", "2031-05-06Z"),
    ],
)
def test_what_is_no_instant_is_refused(api: Api, value: Any) -> None:
    """C-8."""
    answer = api.post("/v2.1/guests", json={"passportExpiry": value})
    expected = invalid("passportExpiry", "must be an ISO 8601 date-time")
    assert (answer.status_code, answer.json()) == (400, expected)


@pytest.mark.parametrize(
    "address",
    [
        *("", "jane", "jane@", "@example.com", "jane@example", "jane@.com.", "a b@c.de"),
        *("jane@example.", "a@b@c.de", "jane@ex ample.com", "jane@example.com\n", 5, True, {}),
    ],
)
def test_a_malformed_address_is_refused(api: Api, address: Any) -> None:
    """G-16: in `email` and in each of `emails`."""
    answer = api.post("/v2.1/guests", json={"email": address})
    assert (answer.status_code, answer.json()) == (
        400,
        invalid("email", "not a well-formed email address"),
    )
    answer = api.post("/v2.1/guests", json={"emails": ["jane@example.com", address]})
    assert (answer.status_code, answer.json()) == (
        400,
        invalid("emails[1]", "not a well-formed email address"),
    )


@pytest.mark.parametrize(
    "address",
    ["jane@localhost.test", "JANE@EXAMPLE.COM", "j+x@a.b", "ĵ@exämple.com", "a@..b", "!@[1.2.3.4]"],
)
def test_a_tolerable_address_is_stored_as_sent(api: Api, address: str) -> None:
    """G-16: something, an at sign, something with a dot inside."""
    assert api.guest(email=address)["email"] == address


@pytest.mark.parametrize("value", ["IE", "ie", "iE", "XK", "GB"])
def test_a_valid_country_is_stored_in_its_case(api: Api, value: str) -> None:
    """G-16."""
    assert api.guest(country=value)["country"] == value


@pytest.mark.parametrize("value", ["", "UK", "EU", "IRL", "Ireland", "ZZ", "ß", "i", "IE ", 353])
def test_an_unknown_country_is_refused(api: Api, value: Any) -> None:
    """G-16 (an ß is no SS, which is South Sudan)."""
    answer = api.post("/v2.1/guests", json={"country": value})
    assert (answer.status_code, answer.json()) == (400, invalid("country", "not a valid value"))


@pytest.mark.parametrize(
    "value", ["en", "EN", "de", "en-US", "en-us", "EN-gb", "zh-Hant", "es-419"]
)
def test_a_valid_language_is_stored_in_its_case(api: Api, value: str) -> None:
    """G-16: two letters with or without a region."""
    assert api.guest(language=value)["language"] == value


@pytest.mark.parametrize(
    "value", ["", "english", "xx", "eng", "en-", "en-U", "en-USA1", "\u212aa", 1]
)
def test_an_unknown_language_is_refused(api: Api, value: Any) -> None:
    """G-16 (a Kelvin sign is no k)."""
    answer = api.post("/v2.1/guests", json={"language": value})
    assert (answer.status_code, answer.json()) == (400, invalid("language", "not a valid value"))


@pytest.mark.parametrize(
    ("identifiers", "expected"),
    [
        ([{"id": "1"}], absent("identifiers[0].provider")),
        ([{"provider": "p", "id": "1"}, {"provider": "p"}], absent("identifiers[1].id")),
        ([{"provider": "p", "id": None}], absent("identifiers[0].id")),
        ([{"provider": "p", "id": 1}], invalid("identifiers[0].id", "must be a string")),
        (["p"], invalid("identifiers[0]", "must be an object")),
        ({}, invalid("identifiers", "must be an array")),
        (
            [{"provider": "p", "id": "1", "expiryDate": "soon"}],
            invalid("identifiers[0].expiryDate", "must be an ISO 8601 date-time"),
        ),
    ],
)
def test_an_incomplete_identifier_is_refused(api: Api, identifiers: Any, expected: Any) -> None:
    """Section 3.1: an identifier without provider or id is 400."""
    answer = api.post("/v2.1/guests", json={"identifiers": identifiers})
    assert (answer.status_code, answer.json()) == (400, expected)


def test_every_problem_is_named_at_once(official: Api) -> None:
    """ER-3, EU-3: all in `errors` in the order of the declaration, the first in `message`."""
    answer = official.post(
        "/v2.1/guests", json={"firstName": 1, "country": "ZZ", "email": "x", "street": "Main St"}
    )
    assert answer.status_code == 400
    assert answer.json()["message"] == answer.json()["errors"][0]
    assert sorted(answer.json()["errors"]) == [
        "country: not a valid value",
        "email: not a well-formed email address",
        "firstName: must be a string",
        "guestType: may not be null.",
        "street: must be an array",
    ]


def test_nothing_is_stored_of_a_refused_guest(api: Api) -> None:
    assert api.post("/v2.1/guests", json={"email": "a@b.co", "country": "ZZ"}).status_code == 400
    assert api.get("/v2.1/guests").json()["totalCount"] == 0


# Fetch


@pytest.mark.parametrize(
    "ref",
    [
        NOBODY,
        "f7aabbca-1c1b-4fc2-be72-3e16294a4f03x",
        "f7aabbca1c1b4fc2be723e16294a4f03",
        "{f7aabbca-1c1b-4fc2-be72-3e16294a4f03}",
        "x",
        "0",
        "null",
    ],
)
@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_an_unknown_guest_is_404(api: Api, method: str, ref: str) -> None:
    """errors.md 2: also where the ref is no UUID, with the documented texts."""
    body = {"json": {"guestType": "visitor"}} if method in ("PUT", "PATCH") else {}
    answer = api.request(method, f"/v2.1/guests/{ref}", **body)
    assert (answer.status_code, answer.json()) == (404, no_guest(api, ref))


def test_a_ref_may_come_in_capitals(api: Api) -> None:
    """C-5: lower-case out; a UUID has no case."""
    guest = api.guest()
    answer = api.get(f"/v2.1/guests/{guest['ref'].upper()}")
    assert (answer.status_code, answer.json()) == (200, guest)


@pytest.mark.parametrize(
    "expand", ["true", "dataExtensions", "orders,dataExtensions", "false,true"]
)
def test_expand_embeds_the_extensions(api: Api, expand: str) -> None:
    """G-15, L-9."""
    guest = api.guest()
    first = api.extension(guest, name="ext", vipMember=True)
    second = api.extension(guest, name="ext1", points=12)
    href = f"{api.url}/v2.1/guests/{guest['ref']}/extensions"
    page = f"{href}?offset=0&limit=100"
    assert api.get(guest["href"], params={"expand": expand}).json()["dataExtensions"] == {
        "href": page,
        "offset": 0,
        "limit": 100,
        "totalCount": 2,
        "first": {"href": page},
        "last": {"href": page},
        "items": [first, second],
    }


@pytest.mark.parametrize("expand", ["", "false", "orders", "nothing,at,all", "TRUE!"])
def test_expand_of_nothing_keeps_the_link(api: Api, expand: str) -> None:
    """G-15, L-9: unknown names are ignored."""
    guest = api.guest()
    assert api.get(guest["href"], params={"expand": expand}).json() == guest


# Replace and patch


def test_put_clears_what_is_not_sent(api: Api) -> None:
    """G-4, N-9, C-11: fields go, guestType, refs and creation stay, modifiedAt moves."""
    guest = api.guest(**EVERYTHING)
    time.sleep(0.002)
    answer = api.put(guest["href"], json={"lastName": "Roe"})
    assert answer.status_code == 200
    after = answer.json()
    assert own_fields(after) == {"guestType": "traveller", "lastName": "Roe"}
    assert after["modifiedAt"] > guest["modifiedAt"]
    for each in ("ref", "href", "createdAt", "firstSeen", "lastSeen"):
        assert after[each] == guest[each]
    assert api.get(guest["href"]).json() == after


def test_put_keeps_extensions(api: Api) -> None:
    """G-4: they are separate resources; C-11: they are not written."""
    guest = api.guest(firstName="Jane")
    extension = api.extension(guest, name="ext", a=1)
    assert api.put(guest["href"], json={}).status_code == 200
    assert api.get(extension["href"]).json() == extension


@pytest.mark.parametrize("key", ["open", "official"])
@pytest.mark.parametrize("method", ["PUT", "PATCH"])
@pytest.mark.parametrize("body", [{}, {"guestType": None}])
def test_the_guest_type_need_not_be_sent_again(
    api: Api, official: Api, key: str, method: str, body: dict[str, None]
) -> None:
    """G-4, G-5: absent or null it keeps the stored value."""
    caller = {"open": api, "official": official}[key]
    answer = caller.request(method, api.guest(guestType="customer")["href"], json=body)
    assert (answer.status_code, own_fields(answer.json())) == (200, {"guestType": "customer"})


def test_patch_changes_only_what_is_sent(api: Api) -> None:
    """G-5: an array replaces the stored one, null clears."""
    guest = api.guest(**EVERYTHING)
    answer = api.patch(
        guest["href"],
        json={"guestType": "customer", "phoneNumbers": ["1"], "title": None, "street": None},
    )
    assert answer.status_code == 200
    expected = {**EVERYTHING, "guestType": "customer", "phoneNumbers": ["1"]}
    del expected["title"], expected["street"]
    assert own_fields(answer.json()) == expected
    assert api.get(guest["href"]).json() == answer.json()


def test_an_empty_patch_changes_nothing_but_the_time(api: Api) -> None:
    """C-11: any write updates modifiedAt."""
    guest = api.guest(**EVERYTHING)
    time.sleep(0.002)
    after = api.patch(guest["href"], json={}).json()
    assert after.pop("modifiedAt") > guest.pop("modifiedAt")
    assert after == guest


@pytest.mark.parametrize("name", [*EVERYTHING])
def test_null_clears_every_field_but_the_type(api: Api, name: str) -> None:
    """G-5."""
    guest = api.guest(**EVERYTHING)
    after = own_fields(api.patch(guest["href"], json={name: None}).json())
    cleared = {"email", "emails"} if name in ("email", "emails") else {name} - {"guestType"}
    assert after == {key: value for key, value in EVERYTHING.items() if key not in cleared}


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_a_refused_change_changes_nothing(api: Api, method: str) -> None:
    guest = api.guest(**EVERYTHING)
    answer = api.request(method, guest["href"], json={"firstName": "J", "guestType": "retired"})
    assert (answer.status_code, answer.json()) == (400, invalid("guestType", "not a valid value"))
    assert api.get(guest["href"]).json() == guest


def test_writing_an_extension_does_not_change_its_guest(api: Api) -> None:
    """C-11."""
    guest = api.guest()
    extension = api.extension(guest, name="ext", a=1)
    api.patch(extension["href"], json={"a": 2})
    api.delete(extension["href"])
    assert api.get(guest["href"]).json() == guest


def test_what_one_changes_the_filters_follow(api: Api) -> None:
    """G-8: a guest is found by what it is now, not by what it was."""
    guest = api.guest(email="old@b.co", identifiers=[{"provider": "p", "id": "old"}])
    api.patch(
        guest["href"], json={"email": "new@b.co", "identifiers": [{"provider": "p", "id": "new"}]}
    )

    def find(**filters: str) -> int:
        return api.get("/v2.1/guests", params=filters).json()["totalCount"]

    assert (find(email="old@b.co"), find(email="new@b.co")) == (0, 1)
    for id_, count in (("old", 0), ("new", 1)):
        assert find(**{"identifiers.provider": "p", "identifiers.id": id_}) == count


# Delete


def test_a_deleted_guest_is_404(api: Api) -> None:
    """G-6, N-10, S-7: 204 without a body for an open key; then 404 for it and its extensions."""
    guest = api.guest()
    extension = api.extension(guest, name="ext", a=1)
    answer = api.delete(guest["href"])
    assert (answer.status_code, answer.content) == (204, b"")
    assert "content-type" not in answer.headers
    for href in (guest["href"], extension["href"], guest["dataExtensions"]["href"]):
        assert api.get(href).status_code == 404
    assert api.delete(guest["href"]).status_code == 404
    assert api.get("/v2.1/guests").json()["totalCount"] == 0


def test_an_official_delete_answers_null(official: Api) -> None:
    """N-10, S-6, S-7: 200 and the JSON literal null."""
    answer = official.delete(official.guest()["href"])
    assert (answer.status_code, answer.content) == (200, b"null")
    assert answer.headers["content-type"] == "application/json"
