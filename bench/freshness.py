"""How soon a committed event is seen: by a question, and in a Live segment's stored membership."""

import json
import time
import urllib.request
from collections.abc import Callable, Iterator
from statistics import median
from typing import Any

from bench.events import client_key
from bench.servers import Server

OWN = "/innkeeper/v1/segments"
PAGE = "/bench/fresh"
MANY, FEW = 100, 20
"""Questions, with and without --full."""
LIVE_MANY, LIVE_FEW = 30, 4
"""Events waited for in stored membership."""


def freshness(ours: Server, full: bool) -> Iterator[str]:
    """A line each: on demand, and Live."""
    site = _Site(ours)
    total = [_seconds(site.view, site.count_members) for _ in range(MANY if full else FEW)]
    yield f"- An event is counted by a query that is sent after it: {_told(total)} (target: 1 s)."
    site.publish()
    stored = [_seconds(site.view, site.stored) for _ in range(LIVE_MANY if full else LIVE_FEW)]
    yield f"- It is in a Live segment's stored membership: {_told(stored)} (target: 10 s)."


def _seconds(act: Callable[[], int], size: Callable[[], int]) -> float:
    """From the end of an act until its size is seen."""
    expected = act()
    started = time.perf_counter()
    while size() < expected:
        time.sleep(0.02)
    return time.perf_counter() - started


def _told(durations: list[float]) -> str:
    durations.sort()
    p99 = durations[int(len(durations) * 0.99)]
    return f"p50 {median(durations):.2f} s, p99 {p99:.2f} s of {len(durations)}"


class _Site:
    """A site whose browsers view a page that a segment asks for."""

    def __init__(self, ours: Server) -> None:
        self._ours = ours
        self._key = client_key(ours)
        self._views = 0
        rules = [
            {"field": "createdAt", "comparator": "is in the past", "values": [2, "days"]},
            {"field": "page", "comparator": "is equal to", "values": [PAGE]},
        ]
        self._definition = {"filterGroups": [{"entity": "event", "type": "VIEW", "rules": rules}]}
        self._segment = ""

    def view(self) -> int:
        """A new browser views the page; how many have by now."""
        browser = self._call(
            "GET", f"/v1.2/browser/create.json?client_key={self._key}&message=%7B%7D"
        )
        event = {
            "client_key": self._key,
            "browser_id": browser["ref"],
            "type": "VIEW",
            "channel": "WEB",
            "pos": "default",
            "currency": "EUR",
            "language": "EN",
            "page": PAGE,
        }
        self._call("POST", "/v1.2/events", event)
        self._views += 1
        return self._views

    def count_members(self) -> int:
        """The number of guests in the segment now."""
        return int(self._call("POST", f"{OWN}/preview", {"definition": self._definition})["size"])

    def publish(self) -> None:
        """Make the segment Live."""
        created = self._call("POST", OWN, {"name": "fresh", "definition": self._definition})
        self._segment = f"{OWN}/{created['ref']}"
        self._call("POST", f"{self._segment}/start")
        while self._call("GET", self._segment)["status"] != "LIVE":
            time.sleep(0.1)

    def stored(self) -> int:
        """How many members are stored."""
        return int(self._call("GET", self._segment)["size"])

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        url = f"http://{self._ours.host}:{self._ours.port}{path}"
        headers = {"Authorization": self._ours.authorization, "Content-Type": "application/json"}
        payload = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, payload, headers, method=method)
        with urllib.request.urlopen(request) as answer:
            return json.loads(answer.read())
