"""Guests: fetch, create, list a hundred."""

import asyncio
import json
import urllib.request
from collections.abc import Iterable, Iterator
from typing import Any
from uuid import uuid4

from bench.load import Requests, drive
from bench.report import HEAD, RULE, Bench
from bench.servers import Server

OFFSETS = range(900)
"""Where the lists of a hundred begin, among at least a thousand."""


def guest(number: int) -> bytes:
    """The body of the n-th guest: an e-mail address, an identifier, seven fields."""
    return json.dumps(
        {
            "guestType": "customer",
            "email": f"guest-{number}-{uuid4().hex[:8]}@example.com",
            "firstName": "Jane",
            "lastName": "Doe",
            "phoneNumbers": ["+353161123345"],
            "city": "Dublin",
            "country": "IE",
            "identifiers": [{"provider": "CRM", "id": f"C-{number}"}],
        }
    ).encode()


def measure(bench: Bench) -> Iterator[str]:
    """A table: each kind of request at several numbers of connections."""
    ours, floor = bench.ours, bench.floor
    seed(ours, "/v2.1/guests", guest, 1000)
    guests = refs(ours, "/v2.1/guests", 100)
    yield HEAD
    yield RULE
    yield from bench.rows(
        "GET guest",
        in_turn(ours.get(f"/v2.1/guests/{ref}") for ref in guests),
        in_turn(floor.get(f"/guests/{ref}") for ref in guests),
    )
    yield from bench.rows(
        "POST guest",
        lambda number: ours.post("/v2.1/guests", guest(number)),
        lambda number: floor.post("/guests", guest(number)),
    )
    yield from bench.rows(
        "GET 100 guests",
        in_turn(ours.get(f"/v2.1/guests?limit=100&offset={offset}") for offset in OFFSETS),
        in_turn(floor.get(f"/guests?offset={offset}") for offset in OFFSETS),
    )


def in_turn(requests: Iterable[bytes]) -> Requests:
    """These requests in turn, so that concurrent ones differ: equal ones may share an answer."""
    different = list(requests)
    return lambda number: different[number % len(different)]


def seed(ours: Server, path: str, body: Requests, many: int) -> None:
    """At least so many resources, so that a list has a hundred."""
    count = 0
    while count < many:
        sample = asyncio.run(
            drive(ours.host, ours.port, lambda number: ours.post(path, body(number)), 16, 0.5)
        )
        count += sample.requests


def refs(ours: Server, path: str, many: int) -> list[str]:
    """The refs of the oldest resources of a list."""
    request = urllib.request.Request(
        f"http://{ours.host}:{ours.port}{path}?limit={many}",
        headers={"Authorization": ours.authorization},
    )
    with urllib.request.urlopen(request) as answer:
        return [str(item["ref"]) for item in json.loads(answer.read())["items"]]


def create(ours: Server, path: str, body: bytes) -> Any:
    """Create one resource; the answer."""
    request = urllib.request.Request(
        f"http://{ours.host}:{ours.port}{path}",
        data=body,
        headers={"Authorization": ours.authorization, "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as answer:
        return json.loads(answer.read())
