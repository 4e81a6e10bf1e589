"""Declarations of guests and their data extensions (rest-v2.1.md 3 and 4)."""

from typing import Final

from innkeeper.resources.base import Field, Resource, instant_at, ref_of
from innkeeper.resources.kinds import (
    COUNTRY,
    EMAIL,
    IDENTIFIERS,
    LANGUAGE,
    MOST_IDENTITIES,
    MOST_LINES,
    Day,
    Instant,
    ListOf,
    OneOf,
    Opaque,
    Text,
)

VISITOR: Final = "visitor"
CUSTOMER: Final = "customer"
TRAVELLER: Final = "traveller"


class Person(Resource):
    """Fields that guests, order contacts and order consumers share."""

    title = Field(Text(), "Form of address, e.g. Ms, Dr, Capt.", personal=True, identifies=True)
    first_name = Field(Text(), "First name.", personal=True, identifies=True, searchable=True)
    last_name = Field(Text(), "Last name.", personal=True, identifies=True, searchable=True)
    gender = Field(Text(), "Gender.", identifies=True)
    date_of_birth = Field(
        *(Day(past=True), "Day of birth, in the past."),
        personal=True,
        identifies=True,
        spellings=("dob",),
    )
    emails = Field(
        ListOf(EMAIL, MOST_IDENTITIES), "E-mail addresses.", personal=True, spellings=("email",)
    )
    phone_numbers = Field(
        ListOf(Text(), MOST_IDENTITIES),
        "Phone numbers, e.g. +353161123345.",
        personal=True,
        spellings=("mobile", "phone"),
    )
    nationality = Field(Text(), "Nationality.", personal=True, identifies=True)
    passport_number = Field(Text(), "Passport number.", personal=True, identifies=True)
    passport_expiry = Field(Instant(), "Day on which the passport expires.", personal=True)
    street = Field(
        ListOf(Text(), MOST_LINES),
        "Street address: a list with one line per element.",
        personal=True,
        identifies=True,
    )
    city = Field(Text(), "City.", personal=True, identifies=True)
    state = Field(Text(), "State or region.", personal=True, identifies=True)
    # Not personal, like language and gender: too many people share it to locate anyone.
    country = Field(COUNTRY, "Country of residence, ISO 3166-1 alpha-2.", identifies=True)
    post_code = Field(
        Text(), "Post code.", personal=True, identifies=True, spellings=("postal code",)
    )
    identifiers = Field(
        IDENTIFIERS, "Ids of this person in other systems.", personal=True, in_events=False
    )


class Guest(Person):
    """A person, as one organisation knows that person."""

    versioned = True
    guest_type = Field(
        OneOf((VISITOR, CUSTOMER, TRAVELLER)),
        "visitor: not identified; customer: identified; traveller: travels on another person's "
        "order.",
        required=True,
        clearable=False,
        column=True,
        in_events=False,
    )
    email = Field(EMAIL, "First e-mail address; mirrors `emails`.", personal=True, in_events=False)
    language = Field(LANGUAGE, "Language, ISO 639-1, with or without a region.")
    phone = Field(Text(), "Phone number, from older clients.", personal=True, in_events=False)
    zip_code = Field(Text(), "Post code, from older clients.", personal=True, in_events=False)
    identity_status = Field(Text(), "Deprecated; stored as sent.", in_events=False)
    subscriptions = Field(
        ListOf(Opaque(), MOST_LINES),
        "Subscriptions of older clients; stored as sent.",
        personal=True,
        in_events=False,
    )
    first_seen = instant_at("When the guest was first seen.")
    last_seen = instant_at("When the guest was last seen.")
    ref = ref_of("guest")
    created_at = instant_at("When the guest was created here.")
    modified_at = instant_at("When the guest was last written.")


class GuestExtension(Resource):
    """Free key-value pairs of a guest, under a name."""

    singular = "Data extension"
    pairs = True


EXTENSION_NAMES: Final = ("ext", "ext1", "ext2", "ext3", "ext4", "ext5")
"""The only names an `official` key may use (X-1)."""
DEFAULT_KEY: Final = "default"
"""The key of every extension that v2.1 writes (X-9)."""


def extension_name(name: str, key: str) -> str:
    """Return the text that, with its parent, determines the ref of an extension (C-5)."""
    return name if key == DEFAULT_KEY else f"{name}/{key}"


MAX_PAIRS: Final = 100
"""Most pairs in one extension (X-5)."""
MAX_EXTENSIONS: Final = 100
"""Most extensions of one guest, for an `open` key (N-13)."""
RESERVED: Final = frozenset(
    {"name", "key", "ref", "href", "createdAt", "modifiedAt", "guest", "order", "orderItem"}
)
"""Members of an extension's body that do not count as pairs (X-8)."""
