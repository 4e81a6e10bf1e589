"""The official v2.1 dialect: the declarations, their paths, and what differs."""

from innkeeper.resources.guests import EXTENSION_NAMES, Guest, GuestExtension
from innkeeper.wire.naming import camel
from innkeeper.wire.views import PairsView, Verb, View

ALL = frozenset(Verb) - {Verb.CLEAR}


def midnight(day: str) -> str:
    """A day as the vendor shows it (N-8)."""
    return f"{day}T00:00:00.000Z"


GUEST = View(
    resource=Guest,
    path="/v2.1/guests",
    item="/v2.1/guests/{guest}",
    verbs=ALL,
    show={"date_of_birth": midnight},
    add={"guestRef": lambda guest: guest["ref"]},
    children={"dataExtensions": "/v2.1/guests/{guest}/extensions"},
    filters={
        "email": "email",
        "identifiers": "identifier",
        "email.untouched": "email_untouched",
        "guestType": "guest_type",
        "phoneNumber": "phone_number",
        **{
            camel(name): name
            for name in (
                *("first_name", "last_name", "city", "country", "state", "title", "gender"),
                *("nationality", "post_code", "date_of_birth", "passport_number"),
            )
        },
    },
    sorts={
        camel(name): name
        for name in (
            *("created_at", "modified_at", "first_seen", "last_seen"),
            *("email", "first_name", "last_name", "guest_type"),
        )
    },
    deleted=200,
)

GUEST_EXTENSION = PairsView(
    resource=GuestExtension,
    path="/v2.1/guests/{guest}/extensions",
    item="/v2.1/guests/{guest}/extensions/{name}",
    verbs=frozenset(Verb),
    parents={"guest": "/v2.1/guests/{guest}"},
    names=EXTENSION_NAMES,
    deleted=200,
    options={"unique_keys": True},
)
