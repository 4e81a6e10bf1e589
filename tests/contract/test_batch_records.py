"""Records of batches: modes, values, errors (batch-api.md 5 to 9 and 11)."""

import gzip
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from batching import Batches, as_json, packed, record, upsert
from calling import Api
from sites import Site

JANE = "jane@example.com"


@pytest.fixture
def batches(api: Api, site: Site) -> Batches:
    return Batches(api, site.settings)


NAME = "extensions[0].name: must be 1 to 128 characters without control characters or /"


def identified(email: str = JANE, **fields: Any) -> dict[str, Any]:
    return {"identifiers": [{"provider": "email", "id": email}], **fields}


def errors_in(log: list[dict[str, Any]]) -> list[tuple[int, str]]:
    return [(line["code"], line["message"]) for line in log]


class TestFile:
    """Section 6: file rules and envelope."""

    def test_byte_order_marks_are_skipped(self, batches: Batches) -> None:
        bom = b"\xef\xbb\xbf"
        first, second = as_json(upsert("a@example.com")), as_json(upsert("b@example.com"))
        assert batches.apply(bom + first, bom + second) == []
        assert batches.guest("a@example.com")["guestType"] == "customer"
        assert batches.guest("b@example.com")["guestType"] == "customer"

    def test_last_line_needs_no_end_and_lines_may_end_in_crlf(self, batches: Batches) -> None:
        text = as_json(upsert("a@example.com")) + b"\r\n\n" + as_json(upsert("b@example.com"))
        batch = batches.upload_and_apply(gzip.compress(text))
        assert (batch["status"]["code"], batch["totalRecords"]) == ("success", 2)

    def test_a_file_may_have_guests_and_orders(self, batches: Batches) -> None:
        assert batches.apply(upsert(JANE), record("order", "insert", order())) == []
        assert len(orders_of(batches)) == 1

    def test_one_guest_twice_in_a_file_is_one_guest(self, batches: Batches) -> None:
        """The vendor may make two; records are applied in the order of the file (section 11)."""
        log = batches.apply(
            upsert(JANE, firstName="Jane", lastName="Doe"), upsert(JANE, firstName="Janet")
        )
        assert log == []
        guest = batches.guest(JANE)
        assert (guest["firstName"], guest["lastName"]) == ("Janet", "Doe")

    def test_every_record_succeeds_or_fails_alone(self, batches: Batches) -> None:
        good = [upsert(f"{number}@example.com") for number in range(20)]
        bad = [upsert(f"bad{number}@example.com", firstName=5) for number in range(20)]
        log = batches.apply(*(one for pair in zip(good, bad, strict=True) for one in pair))
        assert [line["ref"] for line in log] == [one["ref"] for one in bad]
        assert batches.api.get("/v2.1/guests").json()["totalCount"] == 20

    @pytest.mark.parametrize(
        "line", ["{", "[]", "null", '"text"', '{"schema": "guest"', "\u0000", '{"a": "\\ud800"}']
    )
    def test_lines_that_are_no_record(self, batches: Batches, line: str) -> None:
        (failed,) = batches.apply(line)
        assert failed["code"] in (400, 402)
        assert failed["ref"] is None

    @pytest.mark.parametrize(
        ("schema", "mode"),
        [
            ("guest", "insert"),
            ("guest", "replace"),
            ("guest", None),
            ("guest", 5),
            ("order", "create"),
            ("order", "gdpr_delete"),
            ("migration", "upsert"),
            ("tracking", "insert"),
            ("nothing", "upsert"),
            (None, "upsert"),
        ],
    )
    def test_unsupported_modes_are_402(self, batches: Batches, schema: Any, mode: Any) -> None:
        """Sections 5 and 11: guest insert, tracking schema."""
        log = batches.apply({"ref": "1", "schema": schema, "mode": mode, "value": identified()})
        assert errors_in(log) == [(402, "Unsupported mode")]

    def test_tracking_is_for_who_enables_it(
        self, batches: Batches, api: Api, site: Site, connection: psycopg.Connection
    ) -> None:
        """Section 11: unless enabled by config."""
        sender = Batches(api, replace(site.settings, batch_tracking=True))
        event = {"type": "VIEW", "page": "home", "channel": "WEB", "pos": "default"}
        event |= {"requested_at": "2024-05-01T10:00:00Z", **identified()}
        assert sender.apply(record("tracking", "insert", event)) == []
        rows = connection.execute("SELECT type, body ->> 'page' FROM ws_live.events").fetchall()
        assert ("VIEW", "home") in rows

    def test_one_record_that_the_database_refuses_fails_alone(
        self, batches: Batches, connection: psycopg.Connection
    ) -> None:
        """Section 5: 500. A chunk that fails is halved until the record at fault stands alone."""
        connection.execute(
            "ALTER TABLE ws_live.guests ADD CONSTRAINT no_teapots "
            "CHECK (body ->> 'city' IS DISTINCT FROM 'Teapot')"
        )
        try:
            cities = ["Teapot" if number == 7 else "Cork" for number in range(12)]
            payloads = [upsert(f"{n}@example.com", city=city) for n, city in enumerate(cities)]
            (failed,) = batches.apply(*payloads)
        finally:
            connection.execute("ALTER TABLE ws_live.guests DROP CONSTRAINT no_teapots")
        assert failed == {
            "ref": payloads[7]["ref"],
            "code": 500,
            "message": "Internal error",
            "line": 8,
        }
        assert batches.api.get("/v2.1/guests").json()["totalCount"] == 11

    @pytest.mark.parametrize("value", [None, 5, "text", []])
    def test_a_value_that_is_no_object_is_400(self, batches: Batches, value: Any) -> None:
        log = batches.apply({"ref": "1", "schema": "guest", "mode": "upsert", "value": value})
        assert errors_in(log) == [(400, "Validation error")]


class TestGuestUpsert:
    """Sections 6 and 7."""

    def test_creates_a_customer_with_every_documented_field(self, batches: Batches) -> None:
        value = {
            "guestType": "customer",
            "firstSeen": "2019-08-08T15:26Z",
            "lastSeen": "2020-08-08T15:26:33Z",
            "title": "Mrs",
            "firstName": "Jane",
            "lastName": "Doe",
            "gender": "female",
            "dateOfBirth": "1985-12-24T00:00Z",
            "email": JANE,
            "phoneNumbers": ["+353161123345"],
            "language": "EN",
            "nationality": "Irish",
            "passportNumber": "PB1234567",
            "passportExpiry": "2030-01-01T00:00Z",
            "street": ["Apt. 1", "Custom House Quay"],
            "city": "Dublin",
            "state": "Leinster",
            "postCode": "D01",
            "country": "IE",
            "identifiers": [
                {"provider": "email", "id": JANE},
                {"provider": "BXLP", "id": "123456", "expiryDate": "2031-01-01T00:00"},
            ],
            "subscriptions": [{"name": "NEWS", "channel": "EMAIL", "status": "SUBSCRIBED"}],
            "extensions": [{"name": "ext", "key": "default", "loyaltyNumber": "1234"}],
        }
        assert batches.apply(record("guest", "upsert", value)) == []
        guest = batches.guest(JANE)
        assert guest["guestType"] == "customer"
        assert guest["firstSeen"] == "2019-08-08T15:26:00.000Z"
        assert guest["lastSeen"] == "2020-08-08T15:26:33.000Z"
        assert guest["passportExpiry"] == "2030-01-01T00:00:00.000Z"
        assert guest["dateOfBirth"] == "1985-12-24"
        for name in (
            *("title", "firstName", "lastName", "email", "phoneNumbers", "language"),
            *("nationality", "passportNumber", "street", "city", "state", "postCode", "country"),
            "subscriptions",
        ):
            assert guest[name] == value[name], name
        assert guest["identifiers"][1]["expiryDate"] == "2031-01-01T00:00:00.000Z"
        extension = batches.api.get(f"/v2.1/guests/{guest['ref']}/extensions/ext").json()
        assert (extension["key"], extension["loyaltyNumber"]) == ("default", "1234")

    def test_changes_only_fields_present_and_null_clears(self, batches: Batches) -> None:
        """Section 11: `upsert` with `null`."""
        before = batches.api.guest(
            email=JANE, city="Dublin", firstName="Jane", state="L", **identified()
        )
        log = batches.apply(record("guest", "upsert", identified(firstName="Janet", state=None)))
        assert log == []
        after = batches.guest(JANE)
        assert after["ref"] == before["ref"]
        assert (after["firstName"], after["city"]) == ("Janet", "Dublin")
        assert "state" not in after
        assert after["guestType"] == "customer"

    def test_what_is_so_already_is_not_written_again(self, batches: Batches) -> None:
        batches.apply(upsert(JANE, firstName="Jane"))
        before = batches.guest(JANE)
        batches.apply(upsert(JANE, firstName="Jane"))
        assert batches.guest(JANE) == before

    def test_identifiers_are_united_and_an_expiry_date_replaced(self, batches: Batches) -> None:
        """Section 11: identifiers on upsert."""
        crm = {"provider": "CRM", "id": "1", "expiryDate": "2030-01-01T00:00:00.000Z"}
        batches.api.guest(identifiers=[{"provider": "email", "id": JANE}, crm])
        later = {**crm, "expiryDate": "2031-01-01T00:00Z"}
        other = {"provider": "CRM", "id": "2"}
        batches.apply(
            record(
                "guest",
                "upsert",
                {"identifiers": [{"provider": "email", "id": JANE}, later, other]},
            )
        )
        body = batches.api.get("/v2.1/guests?identifiers.provider=CRM&identifiers.id=1").json()
        assert body["items"][0]["identifiers"] == [
            {"provider": "email", "id": JANE},
            {"provider": "CRM", "id": "1", "expiryDate": "2031-01-01T00:00:00.000Z"},
            other,
        ]

    def test_only_identity_rules_match(self, batches: Batches) -> None:
        """Section 7: required to identify; the field `email` alone does not."""
        log = batches.apply(
            record("guest", "upsert", {"guestType": "customer", "email": JANE}),
            record("guest", "upsert", {"identifiers": [{"provider": "CRM", "id": "1"}]}),
            record("guest", "upsert", {"identifiers": [{"provider": "email", "id": " "}]}),
            record("guest", "upsert", {}),
        )
        assert errors_in(log) == [(400, "Identity information missing")] * 4

    @pytest.mark.parametrize(
        ("fields", "error"),
        [
            ({"guestType": "visitor"}, "guestType: not a valid value"),
            ({"guestType": "traveller"}, "guestType: not a valid value"),
            ({"title": "mrs"}, "title: not a valid value"),
            ({"gender": "Female"}, "gender: not a valid value"),
            ({"country": "ie"}, "country: not a valid value"),
            ({"language": "xx"}, "language: not a valid value"),
            ({"dateOfBirth": "2999-01-01T00:00Z"}, "dateOfBirth: must be in the past"),
            ({"dateOfBirth": "24/12/1985"}, "dateOfBirth: must be an ISO 8601 date-time"),
            ({"email": "jane"}, "email: not a well-formed email address"),
            ({"phoneNumbers": "+353"}, "phoneNumbers: must be an array"),
            ({"street": [5]}, "street[0]: must be a string"),
            ({"firstName": 5}, "firstName: must be a string"),
            ({"firstSeen": "soon"}, "firstSeen: must be an ISO 8601 date-time"),
            ({"identifiers": [{"provider": "email"}]}, "identifiers[0].id: may not be null."),
            ({"shoeSize": 44}, "shoeSize: is not an attribute of this schema"),
            ({"extensions": {}}, "extensions: must be an array"),
            ({"extensions": [5]}, "extensions[0]: must be an object"),
            ({"extensions": [{"name": "a/b", "c": 1}]}, NAME),
            (
                {"extensions": [{"name": "ext", "a": [1]}]},
                "extensions[0].a: value must be a string, boolean or number",
            ),
            (
                {"extensions": [{"name": "ext", "some_name": 1}]},
                "extensions[0].some_name: must be alphanumeric and in camel case",
            ),
            (
                {"extensions": [{"name": "ext", **{f"a{n}": n for n in range(101)}}]},
                "extensions[0].ext: a maximum of 100 key-value pairs is allowed",
            ),
            (
                {"extensions": [{"name": "ext", "a": 1}, {"name": "ext1", "a": 2}]},
                "a: key already exists in data extension ext",
            ),
        ],
    )
    def test_validation_errors(self, batches: Batches, fields: dict[str, Any], error: str) -> None:
        """Sections 5, 7 and 11: unknown attributes too."""
        (line,) = batches.apply(record("guest", "upsert", {**identified(), **fields}))
        assert (line["code"], line["message"]) == (400, "Validation error")
        assert line["errors"] == [error]
        assert batches.api.get("/v2.1/guests").json()["totalCount"] == 0

    def test_the_log_has_no_value_of_a_record(self, batches: Batches) -> None:
        (line,) = batches.apply(record("guest", "upsert", identified(gender="secret-value")))
        assert "secret-value" not in json.dumps(line)

    def test_an_extension_overwrites_its_group(self, batches: Batches) -> None:
        """Section 7."""
        one = {"name": "ext", "key": "default", "tier": "gold", "points": 5}
        other = {"name": "ext1", "key": "default", "shoes": 44}
        batches.apply(upsert(JANE, extensions=[one, other]))
        batches.apply(upsert(JANE, extensions=[{"name": "ext", "key": "default", "tier": "iron"}]))
        ref = batches.guest(JANE)["ref"]
        ext = batches.api.get(f"/v2.1/guests/{ref}/extensions/ext").json()
        assert ext["tier"] == "iron"
        assert "points" not in ext
        assert batches.api.get(f"/v2.1/guests/{ref}/extensions/ext1").json()["shoes"] == 44

    def test_keys_are_unique_over_groups_stored_before(self, batches: Batches) -> None:
        """Section 7; a record that fails changes nothing at all."""
        batches.apply(upsert(JANE, extensions=[{"name": "ext", "tier": "gold"}]))
        values = [{"name": "ext2", "tier": "iron"}]
        (line,) = batches.apply(upsert(JANE, firstName="Janet", extensions=values))
        assert line["errors"] == ["tier: key already exists in data extension ext"]
        assert "firstName" not in batches.guest(JANE)

    def test_older_tenants_name_extensions_freely(self, batches: Batches) -> None:
        """Section 7: 2.0 tenants, `loyalty`/`flyWithMe`."""
        groups = [
            {"name": "loyalty", "key": "flyWithMe", "tier": "gold"},
            {"name": "loyalty", "key": "other", "tier": "iron"},
        ]
        assert batches.apply(upsert(JANE, extensions=groups)) == []

    def test_an_unknown_visitor_becomes_a_customer(self, batches: Batches) -> None:
        visitor = batches.api.guest(**identified())
        assert visitor["guestType"] == "visitor"
        batches.apply(record("guest", "upsert", identified()))
        assert batches.guest_by_ref(visitor["ref"])["guestType"] == "customer"

    def test_without_rules_all_identifiers_must_be_the_same(self, batches: Batches) -> None:
        """identity.md 9, identity with zero rules."""
        rules = batches.api.get("/v2/tenants/identity-rules").json()
        assert batches.api.put("/innkeeper/v1/identity/rules", json={"rules": []}).status_code < 300
        try:
            both = [{"provider": "email", "id": JANE}, {"provider": "CRM", "id": "1"}]
            assert batches.apply(record("guest", "upsert", {"identifiers": both})) == []
            assert batches.apply(record("guest", "upsert", {"identifiers": both})) == []
            assert batches.apply(record("guest", "upsert", {"identifiers": both[1:]})) == []
            guests = batches.api.get("/v2.1/guests").json()
            assert guests["totalCount"] == 1
            assert guests["items"][0]["guestType"] == "visitor"
        finally:
            batches.api.put("/innkeeper/v1/identity/rules", json={"rules": rules})


class TestOtherGuestModes:
    """Section 6."""

    def test_create_is_409_for_an_identity_that_exists(self, batches: Batches) -> None:
        value = identified(firstName="Jane")
        log = batches.apply(
            record("guest", "create", value), record("guest", "create", {**value, "city": "Cork"})
        )
        assert errors_in(log) == [(409, "Guest already exists")]
        body = batches.api.get("/v2.1/guests").json()
        assert body["totalCount"] == 1
        assert "city" not in body["items"][0]

    def test_merge_is_an_upsert_of_a_complete_guest(self, batches: Batches) -> None:
        log = batches.apply(
            record("guest", "merge", identified(firstName="Jane")),
            record("guest", "merge", identified(firstName="Jane", guestType="customer")),
        )
        assert errors_in(log) == [(400, "Validation error")]
        assert log[0]["errors"] == ["guestType: may not be null."]
        assert batches.api.get("/v2.1/guests").json()["totalCount"] == 1


def order(reference: str = "ORDER-1", email: str = JANE, **fields: Any) -> dict[str, Any]:
    """An order as the vendor's guide shows it (section 8)."""
    return {
        "referenceId": reference,
        "channel": "WEB",
        "pointOfSale": "default",
        "orderedAt": "2020-08-23T16:17:16.000Z",
        "status": "PURCHASED",
        "currencyCode": "EUR",
        "price": 30.50,
        "paymentType": "Card",
        "cardType": "Visa",
        "contact": {
            "firstName": "Jane",
            "lastName": "Doe",
            "email": email,
            "identifiers": [{"provider": "email", "id": email}],
        },
        "orderItems": [item()],
        **fields,
    }


def item(reference: str = "ITEM-1", **fields: Any) -> dict[str, Any]:
    return {
        "type": "SHOE",
        "productId": "SKU-1",
        "name": "Trainers",
        "description": "Red trainers",
        "vendor": "Shoes Ltd",
        "price": 30.50,
        "currencyCode": "EUR",
        "referenceId": reference,
        "quantity": 1,
        **fields,
    }


def upserted(**fields: Any) -> dict[str, Any]:
    value = order(**fields)
    return {
        name: each
        for name, each in value.items()
        if name in {"referenceId", "channel", "pointOfSale", "orderedAt", "contact"}
        or name in fields
    }


def orders_of(batches: Batches, email: str = JANE) -> list[dict[str, Any]]:
    guest = batches.guest_by_identifier(email)
    answer = batches.api.get(f"/v2.1/orders?guestRef={guest['ref']}&expand=true")
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


def parts(batches: Batches, order: dict[str, Any], name: str) -> list[dict[str, Any]]:
    answer = batches.api.get(f"/v2.1/orders/{order['ref']}/{name}?expand=true").json()
    items: list[dict[str, Any]] = answer["items"]
    return items


class TestOrderInsert:
    """Section 8."""

    def test_creates_the_order_with_all_its_parts(self, batches: Batches) -> None:
        value = order(
            orderItems=[
                item(extensions=[{"name": "ext", "key": "default", "size": 44}], price=-1),
                item(
                    "ITEM-2",
                    type="FLIGHT",
                    consumerTypeCode="ADT",
                    originalPrice=12,
                    originalCurrencyCode="USD",
                    status="CONFIRMED",
                    orderedAt="2020-08-24T00:00Z",
                    flightSegments=[
                        {
                            "id": "1",
                            "origin": "DUB",
                            "destination": "LHR",
                            "departureDateTime": "2020-09-01T10:00Z",
                            "arrivalDateTime": "2020-09-01T11:00Z",
                            "flightNumber": "1",
                            "fareClass": "Y",
                            "fareFamily": "Eco",
                            "carrier": "EI",
                            "originDestination": 1,
                        }
                    ],
                ),
            ],
            consumers=[
                {"firstName": "Tom", "lastName": "Doe", "orderItems": [{"referenceId": "ITEM-2"}]}
            ],
            extensions=[{"name": "ext", "key": "default", "gift": True}],
        )
        assert batches.apply(record("order", "insert", value)) == []
        (stored_order,) = orders_of(batches)
        assert (stored_order["price"], stored_order["cardType"]) == (30.5, "Visa")
        items = parts(batches, stored_order, "orderItems")
        assert [one["referenceId"] for one in items] == ["ITEM-1", "ITEM-2"]
        assert items[0]["price"] == -1
        assert items[1]["orderedAt"] == "2020-08-24T00:00:00.000Z"
        (contact,) = parts(batches, stored_order, "contacts")
        assert contact["emails"] == [JANE]
        (consumer,) = parts(batches, stored_order, "consumers")
        assert consumer["orderItems"]["items"][0]["href"] == items[1]["href"]
        extension = batches.api.get(f"/v2.1/orders/{stored_order['ref']}/extensions/ext").json()
        assert extension["gift"] is True
        own = batches.api.get(f"/v2.1/orderItems/{items[0]['ref']}/extensions/ext").json()
        assert own["size"] == 44

    def test_makes_the_contact_a_customer(self, batches: Batches) -> None:
        batches.apply(record("order", "insert", order()))
        guest = batches.guest(JANE)
        assert (guest["guestType"], guest["firstName"]) == ("customer", "Jane")

    def test_finds_a_contact_who_is_there_and_overwrites_nothing(self, batches: Batches) -> None:
        existing = batches.api.guest(firstName="Janet", **identified())
        batches.apply(record("order", "insert", order()))
        guest = batches.guest_by_ref(existing["ref"])
        assert (guest["firstName"], guest["lastName"]) == ("Janet", "Doe")
        assert len(orders_of(batches)) == 1

    def test_the_same_twice_is_one_order_with_its_parts_once(self, batches: Batches) -> None:
        consumer = {
            "firstName": "Tom",
            "lastName": "Doe",
            "orderItems": [{"referenceId": "ITEM-1"}],
        }
        line = record("order", "insert", order(consumers=[consumer]))
        batches.apply(line, line)
        before = batches.api.get("/v2.1/guests").json()["totalCount"]
        batches.apply(line)
        (stored_order,) = orders_of(batches)
        for name in ("orderItems", "contacts", "consumers"):
            assert len(parts(batches, stored_order, name)) == 1, name
        assert batches.api.get("/v2.1/guests").json()["totalCount"] == before == 2

    @pytest.mark.parametrize(
        "name",
        [
            *("referenceId", "channel", "pointOfSale", "orderedAt", "status", "currencyCode"),
            *("price", "paymentType", "cardType", "contact", "orderItems"),
        ],
    )
    def test_required_fields(self, batches: Batches, name: str) -> None:
        value = order()
        del value[name]
        (line,) = batches.apply(record("order", "insert", value))
        assert (line["code"], line["errors"]) == (400, [f"{name}: may not be null."])

    @pytest.mark.parametrize(
        "name", ["type", "productId", "name", "description", "vendor", "price", "currencyCode"]
    )
    def test_required_fields_of_items(self, batches: Batches, name: str) -> None:
        value = item()
        del value[name]
        (line,) = batches.apply(record("order", "insert", order(orderItems=[value])))
        assert line["errors"] == [f"orderItems[0].{name}: may not be null."]

    @pytest.mark.parametrize(
        ("fields", "error"),
        [
            ({"channel": "web"}, "channel: not a valid value"),
            ({"status": "RESERVED"}, "status: not a valid value"),
            ({"paymentType": "Bitcoin"}, "paymentType: not a valid value"),
            ({"cardType": "Amex"}, "cardType: not a valid value"),
            ({"currencyCode": "EURO"}, "currencyCode: not a valid value"),
            ({"price": "30"}, "price: must be a number"),
            ({"orderedAt": "yesterday"}, "orderedAt: must be an ISO 8601 date-time"),
            ({"colour": "red"}, "colour: is not an attribute of this schema"),
            ({"contact": "Jane"}, "contact: must be an object"),
            ({"contact": {"shoeSize": 44}}, "contact.shoeSize: is not an attribute of this schema"),
            ({"orderItems": [item(type="shoe")]}, "orderItems[0].type: must be in upper case"),
            (
                {"orderItems": [item(name="n" * 129)]},
                "orderItems[0].name: size must be between 0 and 128",
            ),
            (
                {"extensions": [{"name": "ext1", "a": 1}]},
                "extensions[0].name: value must be one of ext",
            ),
            (
                {"extensions": [{"name": "ext", "a": 1}, {"name": "ext", "b": 1}]},
                "extensions: a maximum of 1 data extension is allowed",
            ),
            (
                {"consumers": [{"firstName": "T", "lastName": "D", "orderItems": [{}]}]},
                "consumers[0].orderItems[0].referenceId: may not be null.",
            ),
            (
                {
                    "consumers": [
                        {"firstName": "T", "lastName": "D", "orderItems": [{"referenceId": "?"}]}
                    ]
                },
                "consumers[0].orderItems: not a valid value",
            ),
        ],
    )
    def test_validation_errors(self, batches: Batches, fields: dict[str, Any], error: str) -> None:
        (line,) = batches.apply(record("order", "insert", order(**fields)))
        assert (line["code"], line["message"]) == (400, "Validation error")
        assert error in line["errors"]
        assert batches.api.get("/v2.1/guests").json()["totalCount"] == 0

    def test_a_contact_who_is_nobody_is_400(self, batches: Batches) -> None:
        value = order(contact={"firstName": "Jane"})
        assert errors_in(batches.apply(record("order", "insert", value))) == [
            (400, "Identity information missing")
        ]


class TestConsumers:
    """Section 8, consumer rule."""

    def insert(self, batches: Batches, **consumer: Any) -> dict[str, Any]:
        batches.apply(record("order", "insert", order(consumers=[consumer])))
        (stored_order,) = orders_of(batches)
        (created,) = parts(batches, stored_order, "consumers")
        guest = batches.api.get(created["guest"]["href"]).json()
        return {**guest, "is_contact": guest["ref"] == batches.guest(JANE)["ref"]}

    def test_names_alone_make_a_traveller(self, batches: Batches) -> None:
        guest = self.insert(batches, firstName="Tom", lastName="Doe")
        assert (guest["guestType"], guest["is_contact"]) == ("traveller", False)

    def test_names_of_the_identified_contact_are_the_contact(self, batches: Batches) -> None:
        assert self.insert(batches, firstName="JANE", lastName="doe")["is_contact"]

    def test_an_identified_consumer_is_a_customer(self, batches: Batches) -> None:
        guest = self.insert(batches, **identified("tom@example.com"))
        assert (guest["guestType"], guest["is_contact"]) == ("customer", False)


class TestOrderUpsert:
    """Section 8."""

    def test_changes_only_what_is_sent(self, batches: Batches) -> None:
        batches.apply(record("order", "insert", order()))
        assert batches.apply(record("order", "upsert", upserted(status="REFUNDED"))) == []
        (stored_order,) = orders_of(batches)
        assert (stored_order["status"], stored_order["price"]) == ("REFUNDED", 30.5)
        assert len(parts(batches, stored_order, "contacts")) == 1

    def test_creates_an_order_that_is_not_there(self, batches: Batches) -> None:
        assert batches.apply(record("order", "upsert", upserted())) == []
        assert len(orders_of(batches)) == 1

    def test_within_two_days_is_the_same_order_later_another(self, batches: Batches) -> None:
        """identity.md 8."""
        batches.apply(record("order", "upsert", upserted(orderedAt="2020-08-01T00:00Z")))
        batches.apply(record("order", "upsert", upserted(orderedAt="2020-08-03T00:00Z")))
        assert len(orders_of(batches)) == 1
        batches.apply(record("order", "upsert", upserted(orderedAt="2020-08-03T00:01Z")))
        assert len(orders_of(batches)) == 2

    @pytest.mark.parametrize(
        "name", ["referenceId", "channel", "pointOfSale", "orderedAt", "contact"]
    )
    def test_required_fields(self, batches: Batches, name: str) -> None:
        value = upserted()
        del value[name]
        (line,) = batches.apply(record("order", "upsert", value))
        assert line["errors"] == [f"{name}: may not be null."]

    def test_items_are_not_supported(self, batches: Batches) -> None:
        (line,) = batches.apply(record("order", "upsert", order()))
        assert line["errors"] == ["orderItems: is not supported by upsert"]

    def test_an_extension_overwrites(self, batches: Batches) -> None:
        ext = {"name": "ext", "key": "default"}
        batches.apply(record("order", "upsert", upserted(extensions=[{**ext, "a": 1, "b": 2}])))
        batches.apply(record("order", "upsert", upserted(extensions=[{**ext, "a": 3}])))
        (stored_order,) = orders_of(batches)
        extension = batches.api.get(f"/v2.1/orders/{stored_order['ref']}/extensions/ext").json()
        assert extension["a"] == 3
        assert "b" not in extension


class TestGuestDelete:
    """Sections 5, 6 and 9."""

    def test_takes_the_guest_and_leaves_orders_and_items(self, batches: Batches) -> None:
        batches.apply(record("order", "insert", order()))
        (stored_order,) = orders_of(batches)
        guest = batches.guest(JANE)
        assert batches.apply(record("guest", "delete", identified())) == []
        assert batches.api.get(f"/v2.1/guests/{guest['ref']}").status_code == 404
        assert batches.api.get(f"/v2.1/orders/{stored_order['ref']}").status_code == 200
        assert len(parts(batches, stored_order, "orderItems")) == 1
        assert parts(batches, stored_order, "contacts") == []

    def test_gdpr_delete_takes_orders_and_items_too(self, batches: Batches) -> None:
        batches.apply(record("order", "insert", order()))
        (stored_order,) = orders_of(batches)
        (one,) = parts(batches, stored_order, "orderItems")
        assert batches.apply(record("guest", "gdpr_delete", identified())) == []
        assert batches.api.get(f"/v2.1/orders/{stored_order['ref']}").status_code == 404
        assert batches.api.get(f"/v2.1/orderItems/{one['ref']}").status_code == 404

    def test_gdpr_delete_of_a_mere_consumer_leaves_the_order(self, batches: Batches) -> None:
        """segmentation-and-export.md 5: the order belongs to the contact and stays."""
        batches.apply(record("order", "insert", order(consumers=[identified("tom@example.com")])))
        (stored_order,) = orders_of(batches)
        assert batches.apply(record("guest", "gdpr_delete", identified("tom@example.com"))) == []
        assert batches.api.get(f"/v2.1/orders/{stored_order['ref']}").status_code == 200
        assert parts(batches, stored_order, "consumers") == []
        assert len(parts(batches, stored_order, "contacts")) == 1

    def test_of_several_matches_one_goes_a_record(self, batches: Batches) -> None:
        for _ in range(3):
            batches.api.guest(**identified())
        log = batches.apply(
            record("guest", "delete", identified()), record("guest", "delete", identified())
        )
        assert log == []
        assert batches.api.get("/v2.1/guests").json()["totalCount"] == 1

    def test_unknown_guests_are_404(self, batches: Batches) -> None:
        log = batches.apply(record("guest", "delete", identified()))
        assert [line["code"] for line in log] == [404]

    @pytest.mark.parametrize(
        "value", [{}, {"firstName": "Jane", "lastName": "Doe"}, {"email": JANE}]
    )
    def test_too_little_is_400(self, batches: Batches, value: dict[str, Any]) -> None:
        log = batches.apply(upsert(JANE), record("guest", "delete", value))
        assert errors_in(log) == [(400, "Not Enough Identifying Info")]

    @pytest.mark.parametrize("mode", ["delete", "gdpr_delete"])
    def test_a_guest_with_an_open_session_stays(
        self, batches: Batches, connection: psycopg.Connection, mode: str
    ) -> None:
        batches.apply(upsert(JANE))
        open_session(connection, batches.guest(JANE)["ref"])
        assert errors_in(batches.apply(record("guest", mode, identified()))) == [
            (403, "Action not allowed")
        ]
        assert batches.guest(JANE)

    def test_a_guest_created_and_deleted_in_one_file_is_deleted(self, batches: Batches) -> None:
        """Section 11: as if in file order."""
        log = batches.apply(upsert(JANE), record("guest", "delete", identified()), upsert(JANE))
        assert log == []
        assert batches.api.get("/v2.1/guests").json()["totalCount"] == 1


class TestOrderDelete:
    """Sections 5, 6 and 9."""

    def test_takes_the_order_and_leaves_the_guest(self, batches: Batches) -> None:
        batches.apply(record("order", "insert", order()))
        assert batches.apply(record("order", "delete", {"referenceId": "ORDER-1"})) == []
        assert orders_of(batches) == []

    @pytest.mark.parametrize(
        ("ordered_at", "code"),
        [
            ("2020-08-24T16:17:16.000Z", None),
            ("2020-08-22T16:17:16.000Z", None),
            ("2020-08-24T16:17:16.001Z", 404),
            ("2020-08-22T16:17:15.999Z", 404),
        ],
    )
    def test_ordered_at_reaches_24_hours(
        self, batches: Batches, ordered_at: str, code: int | None
    ) -> None:
        """O-12: a day, where REST's match of orders reaches two."""
        batches.apply(record("order", "insert", order()))
        value = {"referenceId": "ORDER-1", "orderedAt": ordered_at}
        log = batches.apply(record("order", "delete", value))
        assert [line["code"] for line in log] == ([code] if code else [])

    def test_none_found_is_404(self, batches: Batches) -> None:
        log = batches.apply(record("order", "delete", {"referenceId": "ORDER-1"}))
        message = "No order found for the provided referenceId and orderedAt attributes"
        assert errors_in(log) == [(404, message)]

    def test_several_need_the_day_or_the_ref(self, batches: Batches) -> None:
        batches.apply(
            record("order", "insert", order()),
            record("order", "insert", order(orderedAt="2021-01-01T00:00Z")),
        )
        first, second = sorted(orders_of(batches), key=lambda one: one["orderedAt"])
        log = batches.apply(record("order", "delete", {"referenceId": "ORDER-1"}))
        assert errors_in(log) == [
            (
                400,
                "More than one order exists with that referenceId, please supply the orderedAt "
                "date for the order you wish to delete",
            )
        ]
        value = {"referenceId": "ORDER-1", "orderRef": second["ref"]}
        assert batches.apply(record("order", "delete", value)) == []
        assert [one["ref"] for one in orders_of(batches)] == [first["ref"]]

    @pytest.mark.parametrize(
        "value",
        [
            {},
            {"referenceId": 5},
            {"referenceId": "1", "orderedAt": "soon"},
            {"referenceId": "1", "orderRef": "x"},
        ],
    )
    def test_validation(self, batches: Batches, value: dict[str, Any]) -> None:
        assert errors_in(batches.apply(record("order", "delete", value))) == [
            (400, "Validation error")
        ]


class TestMigration:
    """Section 6; identity.md 4."""

    def migrated(self, batches: Batches, source: str, target: str) -> list[dict[str, Any]]:
        value = {"migrateFrom": identified(source), "migrateTo": identified(target)}
        return batches.apply(record("migration", "guest", value))

    def test_the_first_is_retired_and_the_second_has_its_orders(self, batches: Batches) -> None:
        batches.apply(
            record("order", "insert", order(email="old@example.com")), upsert(JANE, city="Cork")
        )
        old = batches.guest("old@example.com")
        assert self.migrated(batches, "old@example.com", JANE) == []
        assert batches.api.get(f"/v2.1/guests/{old['ref']}").status_code == 404
        assert len(orders_of(batches)) == 1
        assert batches.guest_by_identifier(JANE)["city"] == "Cork"

    def test_again_changes_nothing(self, batches: Batches) -> None:
        batches.apply(upsert("old@example.com"), upsert(JANE))
        assert self.migrated(batches, "old@example.com", JANE) == []
        assert self.migrated(batches, "old@example.com", JANE) == []

    def test_a_guest_with_an_open_session_stays(
        self, batches: Batches, connection: psycopg.Connection
    ) -> None:
        batches.apply(upsert("old@example.com"), upsert(JANE))
        open_session(connection, batches.guest("old@example.com")["ref"])
        log = self.migrated(batches, "old@example.com", JANE)
        assert [line["message"] for line in log] == ["Unable to migrate Guest with open session"]

    def test_errors(self, batches: Batches) -> None:
        batches.apply(upsert(JANE))
        log = batches.apply(
            record(
                "migration",
                "guest",
                {"migrateFrom": identified("x@example.com"), "migrateTo": identified()},
            ),
            record("migration", "guest", {"migrateFrom": identified(), "migrateTo": {}}),
            record("migration", "guest", {"migrateFrom": identified()}),
        )
        assert sorted(line["code"] for line in log) == [400, 400, 404]

    def test_records_after_it_reach_the_survivor(self, batches: Batches) -> None:
        batches.apply(upsert("old@example.com"), upsert(JANE))
        self.migrated(batches, "old@example.com", JANE)
        ext = [{"name": "ext", "tier": "gold"}]
        log = batches.apply(
            upsert("old@example.com", city="Cork", extensions=ext),
            upsert("old@example.com", state="Munster"),
        )
        assert log == []
        survivor = batches.guest_by_identifier(JANE)
        assert (survivor["city"], survivor["state"]) == ("Cork", "Munster")
        href = f"/v2.1/guests/{survivor['ref']}/extensions/ext"
        assert batches.api.get(href).json()["tier"] == "gold"


def open_session(connection: psycopg.Connection, guest: str) -> None:
    """The guest is at it right now."""
    browser, now = uuid4(), datetime.now(UTC)
    connection.execute(
        "INSERT INTO ws_live.browsers (ref, guest_ref, created_at) VALUES (%s, %s, %s)",
        [browser, guest, now],
    )
    connection.execute(
        "INSERT INTO ws_live.sessions (ref, browser_ref, guest_ref, channel, started_at, last_at, "
        "expires_at, events, details, created_at, modified_at) "
        "VALUES (%s, %s, %s, 'WEB', %s, %s, %s + interval '20 minutes', 0, '{}', %s, %s)",
        [uuid4(), browser, guest, now, now, now, now, now],
    )


def test_packed_is_what_the_guide_says() -> None:
    """Section 6: gzip of one minified object a line."""
    assert gzip.decompress(packed([{"a": 1}, "x"])) == b'{"a": 1}\nx\n'
