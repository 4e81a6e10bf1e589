"""Contacts of orders among many guests whom four identity rules know, over HTTP."""

import asyncio
import json
import random
import time
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

from bench import people
from bench.guests import create
from bench.idle import processor_seconds
from bench.load import drive
from bench.orders import order
from bench.people import FilledGuest
from bench.report import Bench
from bench.servers import Server

CONNECTIONS = (1, 16)
ORDERS = 200
MERGED_ORDERS = 1000


def measure(bench: Bench) -> Iterator[str]:
    """A table of p50 and p99 by what a contact is known by."""
    number = people.FULL if bench.full else people.SMALL
    guests = asyncio.run(people.filled(bench.ours.dsn, number))
    ours = asyncio.run(people.fill_server(bench.ours))
    orders = [create(ours, "/v2.1/orders", order(one))["ref"] for one in range(ORDERS)]
    chance = random.Random(3)
    rules = ", ".join(rule.name for rule in people.RULES)
    yield f"{number:,} guests, four rules in this order: {rules}.\n"
    yield "CPU: mean processor time of the server and PostgreSQL for a request.\n"
    yield "| Contact of an order | connections | requests/s | p50 ms | p99 ms | CPU ms |"
    yield "|---|---:|---:|---:|---:|---:|"
    for kind, contact_of in KINDS.items():

        def request(
            _: int, contact_of: Callable[[FilledGuest], dict[str, Any]] = contact_of
        ) -> bytes:
            body = json.dumps(contact_of(chance.choice(guests))).encode()
            return ours.post(f"/v2.1/orders/{chance.choice(orders)}/contacts", body)

        for connections in CONNECTIONS:
            used = processor_seconds(ours.pid)
            result = asyncio.run(drive(ours.host, ours.port, request, connections, bench.seconds))
            used = (processor_seconds(ours.pid) - used) / max(result.requests, 1) * 1000
            failed = f" ({result.failures} failed)" if result.failures else ""
            yield (
                f"| {kind}{failed} | {connections} | {result.per_second:,.0f} "
                f"| {result.p50:.2f} | {result.p99:.2f} | {used:.2f} |"
            )
    yield f"\n{_undone(ours)}"


def _undone(ours: Server) -> str:
    """How long undoing a merge takes after which 1,000 orders came for the absorbed guest."""
    took = []
    for many in (0, MERGED_ORDERS):
        refs = []
        for _ in "ab":
            word = f"{uuid4().hex}@example.org"
            email = {"provider": "email", "id": word}
            guest = {"guestType": "customer", "email": word, "identifiers": [email]}
            refs.append(create(ours, "/v2.1/guests", json.dumps(guest).encode())["ref"])
        both = json.dumps(dict(zip(("survivor", "absorbed"), refs, strict=True))).encode()
        merge = create(ours, "/innkeeper/v1/merges", both)["ref"]
        contact = json.dumps({"firstName": "Jane", "identifiers": [email]}).encode()
        for number in range(many):
            placed = create(ours, "/v2.1/orders", order(number))["ref"]
            create(ours, f"/v2.1/orders/{placed}/contacts", contact)
        began = time.perf_counter()
        create(ours, f"/innkeeper/v1/merges/{merge}/undo", b"")
        took.append((time.perf_counter() - began) * 1000)
    return (
        f"Undo of a merge after which {MERGED_ORDERS:,} orders came: {took[1]:.0f} ms; "
        f"after which none came: {took[0]:.0f} ms."
    )


def _named(one: FilledGuest) -> dict[str, Any]:
    return {"firstName": one.first, "lastName": one.last}


def _by_email(one: FilledGuest, **more: Any) -> dict[str, Any]:
    return {**_named(one), "emails": [one.email], **more}


def _stranger(_: FilledGuest) -> dict[str, Any]:
    word = uuid4().hex[:12]
    return {
        "firstName": word,
        "lastName": word,
        "dateOfBirth": "1999-09-09",
        "phoneNumbers": [f"+35389{int(word, 16) % 10_000_000:07}"],
        "emails": [f"{word}@example.org"],
        "identifiers": [{"provider": "CRM", "id": word}],
    }


KINDS: dict[str, Callable[[FilledGuest], dict[str, Any]]] = {
    "matched by the first rule": lambda one: {
        **_named(one),
        "identifiers": [{"provider": "CRM", "id": one.crm}],
    },
    "matched by the second rule": _by_email,
    "matched by the third rule": lambda one: {**_named(one), "phoneNumbers": [one.phone]},
    "matched by the fourth rule": lambda one: {**_named(one), "dateOfBirth": one.born},
    "matched by the second rule, with a new city": lambda one: _by_email(one, city=uuid4().hex[:8]),
    "new, with values for all four rules": _stranger,
}
