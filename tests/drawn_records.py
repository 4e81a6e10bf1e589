"""A few people and orders to draw from, and how each source spells them."""

from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st

ORDERED_AT = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

EXPIRED, EXPIRES = ({"expiryDate": f"20{year}-01-01T00:00:00.000Z"} for year in (20, 90))
identifiers = st.lists(
    st.builds(
        lambda provider, value, expiry: {"provider": provider, "id": value, **expiry},
        st.sampled_from(["crm", "email", "loyalty"]),
        st.sampled_from(["one", "one", "Two", "Two", "two", "unknown"]),
        st.sampled_from([{}, {}, {}, {}, EXPIRED, EXPIRES]),
    ),
    min_size=1,
    max_size=2,
    unique_by=lambda one: (one["provider"], one["id"].lower()),
)
people = st.fixed_dictionaries(
    {},
    optional={
        "identifiers": identifiers,
        "emails": st.sampled_from([["a@x.com"], ["A@x.com"], ["b@x.com"]]),
        "phone_numbers": st.sampled_from([["+353861234567"], ["+353 86 123 4567"], ["+15"]]),
        "first_name": st.sampled_from(["Ann", "Bob"]),
        "last_name": st.sampled_from(["Ó Néill", "O'Neill", "Byrne"]),
        "city": st.sampled_from(["Cork", "Galway"]),
    },
)
posted = st.builds(
    lambda person, empty: {**empty, **person},
    people,
    st.sampled_from([{}, {}, {"last_name": "", "identifiers": []}, {"emails": [], "city": ""}]),
)
changes = st.fixed_dictionaries(
    {},
    optional={
        "city": st.sampled_from(["Sligo", None]),
        "last_name": st.sampled_from(["Walsh", "Byrne", None]),
        "identifiers": st.sampled_from([[{"provider": "crm", "id": "one"}], None]),
        "guest_type": st.sampled_from(["visitor", "customer"]),
    },
)
references = st.sampled_from(["R-1", "R-2"])
items = st.lists(st.sampled_from(["I-1", "I-2"]), min_size=1, max_size=3)
prices = st.sampled_from([10, 20])
pairs = st.none() | st.fixed_dictionaries({"inext": st.integers(0, 2)})

WIRE = {
    "guest_type": "guestType",
    "first_name": "firstName",
    "last_name": "lastName",
    "phone_numbers": "phoneNumbers",
}
LINE = {
    **{"type": "OTHER", "name": "Thing", "productId": "P", "description": "d", "vendor": "v"},
    **{"price": 5, "currencyCode": "EUR", "status": "CONFIRMED", "quantity": 2},
}
STORED_LINE = {
    **{"type": "OTHER", "name": "Thing", "product_id": "P", "description": "d", "vendor": "v"},
    **{"price": 5, "currency_code": "EUR", "status": "CONFIRMED", "quantity": 2},
}
NESTED_LINE = "nested"


def wire(person: dict[str, Any]) -> dict[str, Any]:
    return {WIRE.get(name, name): value for name, value in person.items()}


def in_event(person: dict[str, Any]) -> dict[str, Any]:
    """A person as events spell it."""
    spelt = {"first_name": "firstname", "last_name": "lastname", "phone_numbers": "phone"}
    payload = {spelt.get(name, name): value for name, value in person.items() if name != "emails"}
    if "emails" in person:
        payload["email"] = person["emails"][0]
    if "identifiers" in person:
        payload["identifiers"] = [
            {{"expiryDate": "expiry_date"}.get(name, name): value for name, value in one.items()}
            for one in person["identifiers"]
        ]
    return payload


def identifiable(person: dict[str, Any]) -> bool:
    """P-1."""
    names = person.get("first_name") and person.get("last_name")
    return bool(person.get("identifiers") or person.get("emails") or names)
