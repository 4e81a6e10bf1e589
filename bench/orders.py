"""Orders: create one, its items and its contacts; fetch one whole; list a guest's."""

import json
import random
from collections.abc import Iterator
from uuid import uuid4

from bench.guests import create, in_turn, refs, seed
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
    yield from _reads(bench, orders)


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


def _reads(bench: Bench, orders: list[str]) -> Iterator[str]:
    ours, floor = bench.ours, bench.floor
    yield from bench.rows(
        "GET order",
        in_turn(ours.get(f"/v2.1/orders/{ref}") for ref in orders),
        in_turn(floor.get(f"/orders/{ref}") for ref in orders),
    )
    whole, guests = _orders_of_guests(bench)
    yield from bench.rows(
        "GET order expanded (item, contact)",
        in_turn(ours.get(f"/v2.1/orders/{ref}?expand=true") for ref in whole),
        in_turn(floor.get(f"/orders/{ref}/whole") for ref in whole),
    )
    yield from bench.rows(
        "GET the 5 orders of a guest, expanded",
        in_turn(ours.get(f"/v2.1/orders?guestRef={ref}&expand=true") for ref in guests),
        in_turn(floor.get(f"/orders?guest={ref}") for ref in guests),
    )


def _orders_of_guests(bench: Bench) -> tuple[list[str], list[str]]:
    """A hundred orders with one item and one contact each, and their twenty guests."""
    orders, guests = [], []
    for person in map(contact, range(20)):
        for number in range(5):
            ref = create(bench.ours, "/v2.1/orders", order(number))["ref"]
            create(bench.ours, f"/v2.1/orders/{ref}/orderItems", ITEM)
            linked = create(bench.ours, f"/v2.1/orders/{ref}/contacts", person)
            orders.append(ref)
        guests.append(linked["guest"]["href"].rpartition("/")[2])
    return orders, guests
