"""Orders: create one, its items and its contacts; fetch one whole; list a guest's."""

import json
import random
from collections.abc import Iterator
from uuid import uuid4

from bench.guests import constant, create, refs, seed
from bench.report import HEAD, RULE, Bench
from innkeeper.rules.identity_keys import identifier_key


def order(number: int) -> bytes:
    """The body of the n-th order."""
    return json.dumps(
        {
            "referenceId": f"B-{number}-{uuid4().hex[:8]}",
            "orderedAt": "2026-03-01T12:00:00.000Z",
            "currencyCode": "EUR",
            "price": 105.5,
            "channel": "WEB",
            "pointOfSale": "shop.example/ie",
            "paymentType": "Card",
            "cardType": "Visa",
            "status": "PURCHASED",
        }
    ).encode()


ITEM = json.dumps(
    {
        "name": "Mobile AZ10",
        "type": "MOBILE",
        "productId": "1233-44",
        "price": 105,
        "currencyCode": "EUR",
        "status": "CONFIRMED",
        "quantity": 1,
    }
).encode()


def contact(number: int, names: tuple[str, str] = ("firstName", "lastName")) -> bytes:
    """The body of the n-th contact: somebody new, known by an e-mail address."""
    identifier = {"provider": "email", "id": f"contact-{number}-{uuid4().hex[:8]}@example.com"}
    jane = dict(zip(names, ("Jane", "Doe"), strict=True))
    return json.dumps({**jane, "identifiers": [identifier]}).encode()


AS_STORED = ("first_name", "last_name")
"""What the floor, which stores a body as it comes, is sent: names that search finds by."""


def measure(bench: Bench) -> Iterator[str]:
    """A table: each kind of request at several numbers of connections."""
    ours = bench.ours
    seed(ours, "/v2.1/orders", order, 500)
    orders = refs(ours, "/v2.1/orders", 100)
    yield (
        "For a new contact the floor writes the same rows: guest, key, reason of creation, "
        "contact. Its guest has names, which triggers index for search.\n"
    )
    yield HEAD
    yield RULE
    yield from _writes(bench, orders)
    yield from _reads(bench, orders[-1])


def _writes(bench: Bench, orders: list[str]) -> Iterator[str]:
    ours, floor = bench.ours, bench.floor
    chance = random.Random(1)

    def below(path: str) -> str:
        return f"/v2.1/orders/{chance.choice(orders)}/{path}"

    yield from bench.rows(
        "POST order",
        lambda number: ours.post("/v2.1/orders", order(number)),
        lambda number: floor.post("/orders", order(number)),
    )
    yield from bench.rows(
        "POST order item",
        lambda _: ours.post(below("orderItems"), ITEM),
        lambda _: floor.post(f"/orders/{chance.choice(orders)}/orderItems", ITEM),
    )
    yield from bench.rows(
        "POST order contact, new guest",
        lambda number: ours.post(below("contacts"), contact(number)),
        lambda number: floor.post(
            f"/orders/{chance.choice(orders)}/contacts", contact(number, AS_STORED)
        ),
    )
    existing = [contact(number) for number in range(100)]
    for body in existing:
        create(ours, below("contacts"), body)

    def at_floor(number: int) -> bytes:
        body = existing[number % len(existing)]
        (identifier,) = json.loads(body)["identifiers"]
        key = identifier_key(identifier["provider"], identifier["id"])
        return floor.post(f"/orders/{chance.choice(orders)}/contacts/known?key={key}", body)

    yield from bench.rows(
        "POST order contact, existing guest",
        lambda number: ours.post(below("contacts"), existing[number % len(existing)]),
        at_floor,
    )


def _reads(bench: Bench, ref: str) -> Iterator[str]:
    ours, floor = bench.ours, bench.floor
    yield from bench.rows(
        "GET order",
        constant(ours.get(f"/v2.1/orders/{ref}")),
        constant(floor.get(f"/orders/{ref}")),
    )
    whole, guest_ref = _order_of_a_guest(bench)
    yield from bench.rows(
        "GET order expanded (item, contact)",
        constant(ours.get(f"/v2.1/orders/{whole}?expand=true")),
        constant(floor.get(f"/orders/{whole}/whole")),
    )
    yield from bench.rows(
        "GET the 5 orders of a guest, expanded",
        constant(ours.get(f"/v2.1/orders?guestRef={guest_ref}&expand=true")),
        constant(floor.get(f"/orders?guest={guest_ref}")),
    )


def _order_of_a_guest(bench: Bench) -> tuple[str, str]:
    """An order with one item and one contact, and its guest, who has four more."""
    person = contact(0)
    created = []
    for number in range(5):
        ref = create(bench.ours, "/v2.1/orders", order(number))["ref"]
        create(bench.ours, f"/v2.1/orders/{ref}/orderItems", ITEM)
        linked = create(bench.ours, f"/v2.1/orders/{ref}/contacts", person)
        created.append((ref, linked["guest"]["href"].rpartition("/")[2]))
    return created[0]
