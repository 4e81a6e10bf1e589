"""kill -9 of Innkeeper and of its PostgreSQL in the middle of many concurrent creates.

Each round kills, starts again on the same folder, and asks: is every acknowledged guest there, as
it was acknowledged, and is none there twice? Half of them are sent under an Idempotency-Key, and
all of those are sent again; each must be there exactly once. The others have no key, and share
statements with each other, as do the events sent beside them; each must be there exactly once too.

INNKEEPER_LONG=1 plays 20 rounds instead of one, and creates 2,000 guests in each instead of 400,
over 64 connections instead of 16.
"""

import json
import os
import random
import signal
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from http.client import HTTPException
from pathlib import Path
from typing import Any

import psycopg
import pytest
from calling import Api, Line
from process import Innkeeper, Serve
from profiles import LONG
from waiting import until

pytestmark = pytest.mark.installed
ROUNDS = 20 if LONG else 1
CREATES = 2000 if LONG else 400
CALLERS = 64 if LONG else 16
PATH = "/v2.1/guests"
CUSTOMERS = f"{PATH}?guestType=customer&limit=100"


class Callers:
    """Several connections that create guests, and remember what was acknowledged."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self.acknowledged: dict[str, dict[str, Any]] = {}
        self.events: set[str] = set()

    def create(self, emails: Iterable[str]) -> None:
        """Send every email, until all are answered or the server is gone."""
        waiting = iter(list(emails))

        def post() -> None:
            with closing(Line(self._api)) as line, suppress(OSError, HTTPException):
                _, browser = line("GET", f"/v1.2/browser/create.json?client_key={line.client_key}")
                for email in waiting:
                    body = {"guestType": "customer", "email": email}
                    key = {"Idempotency_Key": email} if is_keyed(email) else {}
                    status, record = line("POST", PATH, body, **key)
                    if status != 201:
                        # It is sent again after the start, with its event.
                        continue
                    self.acknowledged[email] = record
                    if not key:
                        self._view(line, browser["ref"], email)

        with ThreadPoolExecutor(CALLERS) as pool:
            for done in [pool.submit(post) for _ in range(CALLERS)]:
                done.result()

    def _view(self, line: Line, browser: str, page: str) -> None:
        common = {"client_key": line.client_key, "browser_id": browser, "channel": "WEB"}
        event = {**common, "type": "VIEW", "pos": "default", "page": page}
        status, outcome = line("POST", "/v1.2/events", event)
        if status == 201:
            self.events.add(outcome["ref"])


def is_keyed(email: str) -> bool:
    """Whether a guest is sent under an Idempotency-Key."""
    return int(email.split("-")[2].partition("@")[0]) % 2 == 0


def pages(data: Path) -> dict[str, str]:
    """The page of every event by its ref; none is there twice."""
    dsn = json.loads((data / "server.json").read_text())["dsn"]
    with psycopg.connect(dsn) as connection:
        rows = connection.execute(
            "SELECT ref::text, body ->> 'page' FROM ws_live.events"
        ).fetchall()
    assert len({page for _, page in rows}) == len(rows), "an event is there twice"
    return dict(rows)


def everyone(api: Api) -> list[dict[str, Any]]:
    """Every customer, page by page; browsers have guests too."""
    with closing(Line(api)) as line:
        guests: list[dict[str, Any]] = []
        while True:
            status, page = line("GET", f"{CUSTOMERS}&offset={len(guests)}")
            assert status == 200
            guests += page["items"]
            if "next" not in page:
                assert page["totalCount"] == len(guests)
                return guests


def stripped(guest: dict[str, Any]) -> dict[str, Any]:
    """Without links, which name the port that a server had."""
    return {name: value for name, value in guest.items() if name not in ("href", "dataExtensions")}


def kill(server: Innkeeper, first: str) -> None:
    """Both at once, as when a machine runs out of memory."""
    victims = [server.process.pid, server.postmaster]
    for victim in victims if first == "innkeeper" else reversed(victims):
        os.kill(victim, signal.SIGKILL)
    server.process.wait()


def test_nothing_acknowledged_is_lost_and_nothing_doubled(serve: Serve, data: Path) -> None:
    chance = random.Random(ROUNDS)
    expected: dict[str, dict[str, Any]] = {}
    server, events = serve(), 0
    key, token = server.client_key, server.token
    for number in range(ROUNDS):
        emails = [f"guest-{number}-{each}@example.com" for each in range(CREATES)]
        after = chance.randrange(CREATES // 10, CREATES * 8 // 10)
        with Api(server.url, key, token) as api, ThreadPoolExecutor(1) as pool:
            first = Callers(api)
            creating = pool.submit(first.create, emails)
            until(
                f"{after} guests to be created",
                lambda first=first, after=after: len(first.acknowledged) >= after,
                pause=0.0005,
            )
            kill(server, ("innkeeper", "postgres")[number % 2])
            creating.result()
        assert after <= len(first.acknowledged) < CREATES

        server = serve()
        with Api(server.url, key, token) as api:
            expected |= first.acknowledged
            there = everyone(api)
            params = {guest["email"]: guest for guest in there}
            assert len(params) == len(there), "a guest is there twice"
            for email, item in expected.items():
                assert stripped(params[email]) == stripped(item)

            assert first.events <= pages(data).keys()

            again = [email for email in emails if is_keyed(email) or email not in params]
            second = Callers(api)
            second.create(again)
            assert len(second.acknowledged) == len(again)
            for email in first.acknowledged.keys() & set(again):
                assert second.acknowledged[email] == first.acknowledged[email]
            expected |= {email: params[email] for email in emails if email in params}
            expected |= second.acknowledged
            there = everyone(api)
            assert len(there) == len(expected) == CREATES * (number + 1)
            assert {guest["email"] for guest in there} == set(expected)
            events += len(first.events | second.events)
            print(f"round {number + 1}: {len(expected)} guests and {events} events acknowledged")
