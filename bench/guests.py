"""Guests: fetch, create, list a hundred."""

import asyncio
import json
import urllib.request
from collections.abc import Callable, Iterator
from uuid import uuid4

from bench.load import Sample, compare, drive
from bench.servers import Server

CONNECTIONS = (1, 16, 64)


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


def measure(ours: Server, floor: Server, seconds: float) -> Iterator[tuple[str, Sample, Sample]]:
    """(what, ours, floor) for each kind of request and number of connections."""
    seed(ours, 1000)
    ref = first_ref(ours)
    kinds: list[tuple[str, Callable[[int], bytes], Callable[[int], bytes]]] = [
        (
            "GET guest",
            constant(ours.get(f"/v2.1/guests/{ref}")),
            constant(floor.get(f"/guests/{ref}")),
        ),
        (
            "POST guest",
            lambda number: ours.post("/v2.1/guests", guest(number)),
            lambda number: floor.post("/guests", guest(number)),
        ),
        (
            "GET 100 guests",
            constant(ours.get("/v2.1/guests?limit=100")),
            constant(floor.get("/guests")),
        ),
    ]
    for what, our_request, floor_request in kinds:
        for connections in CONNECTIONS:
            pair = compare((ours, our_request), (floor, floor_request), connections, seconds)
            yield f"{what}, {connections} connection{'s' * (connections > 1)}", *pair


def constant(request: bytes) -> Callable[[int], bytes]:
    return lambda _: request


def seed(ours: Server, many: int) -> None:
    """Some guests, so that a list has a hundred."""

    async def run() -> None:
        def request(number: int) -> bytes:
            return ours.post("/v2.1/guests", guest(number))

        made = 0
        while made < many:
            made += (await drive(ours.host, ours.port, request, 16, 0.5)).requests

    asyncio.run(run())


def first_ref(ours: Server) -> str:
    """The ref of the oldest guest."""
    request = urllib.request.Request(
        f"http://{ours.host}:{ours.port}/v2.1/guests?limit=1",
        headers={"Authorization": ours.authorization},
    )
    with urllib.request.urlopen(request) as answer:
        return str(json.loads(answer.read())["items"][0]["ref"])
