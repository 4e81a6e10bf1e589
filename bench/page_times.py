"""Pages of a large shop: how long the server takes for each, and for what it loads afterwards."""

import html
import random
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote
from uuid import uuid4

import httpx
import psycopg

from bench.idle import processor_seconds
from bench.large_shop import Size, cached_guests, fill_shop, ref, remember
from bench.servers import Server, innkeeper, invite
from innkeeper.lake.reports import EVERY
from innkeeper.web.ui.routes import PAGES

SMALL: Final = Size(20_000, 200_000, 20_000)
FULL: Final = Size(1_000_000, 10_000_000, 1_000_000)
ROUNDS: Final = 10
SLOW_MS: Final = 200
LEFT_OUT: Final = re.compile(
    r"csv|file|download|rejects|/bulk|/imports/|/undo|/ui/|rules/|\{other\}"
)
"""Files, pages of imports that the shop has not, and pages that read none of its rows."""
QUERIES: Final = {
    "/segments/values": "?entity=guest&field=core:city:string",
    "/segments/fields": "?entity=guest",
    "/segments/{segment}/compare": "?with=viewed",
}
"""Path of a page that needs a query -> the query."""
ABOUT: Final = """
### Server time of pages

{size.guests:,} guests, {size.events:,} events, {size.orders:,} orders; {filled}.
{rounds} requests for each page, one after the other, over one connection; pages of a guest or order
are of another one each time. "Loaded afterwards" are the parts that an open page requests itself.
"CPU" is the mean processor time of the server and PostgreSQL, without background jobs.

| Page | p50 ms | p99 ms | CPU ms | loaded afterwards, p50 ms | p99 ms | CPU ms |
|---|---:|---:|---:|---:|---:|---:|"""


def measure_times(full: bool) -> Iterator[str]:
    """A line for each page."""
    size = FULL if full else SMALL
    folder = Path(tempfile.gettempdir()) / f"innkeeper-bench-pages-{size.guests}"
    is_old = cached_guests(folder, size)
    if not is_old:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o711)
    began = time.monotonic()
    with innkeeper(folder) as ours:
        if not is_old:
            fill_shop(ours.dsn, folder, size, datetime.now(UTC))
            remember(folder, size)
        filled = "filled earlier" if is_old else f"filled in {time.monotonic() - began:.0f} s"
        yield ABOUT.format(size=size, filled=filled, rounds=ROUNDS)
        with httpx.Client(base_url=f"http://{ours.host}:{ours.port}", timeout=120) as client:
            _log_in(client, ours)
            _create_objects(client, ours)
            for path, draw in (*_pages(size), *_searches(size, _names(ours.dsn))):
                yield _timed(client, ours.pid, path, draw)


def _log_in(client: httpx.Client, ours: Server) -> None:
    link = invite(ours)
    form = dict(re.findall(r'name="(csrf|link)" value="([^"]*)"', client.get(link).text))
    client.post("/login", data=form | {"name": "Nora", "password": "correct horse battery staple"})


def _create_objects(client: httpx.Client, ours: Server) -> None:
    """Create what pages are about, unless an earlier run did."""
    headers = {"Authorization": ours.authorization}

    def post(path: str, **body: Any) -> None:
        client.post(f"/innkeeper/v1/{path}", json=body, headers=headers)

    cork = {"entity": "guest", "rules": [_rule("city", "is equal to", "Cork")]}
    viewed = {"entity": "event", "rules": [_rule("createdAt", "is in the past", 30, "days")]}
    post("segments", name="Cork", definition={"filterGroups": [cork]})
    post("segments", name="Viewed", definition={"filterGroups": [viewed]})
    for segment in ("cork", "viewed"):
        post(f"segments/{segment}/run")
    largest = {"entity": "order", "function": "greatest", "field": "price", "currency": "EUR"}
    client.put("/innkeeper/v1/traits/largest", json=largest, headers=headers)
    post("staticLists", name="Some")
    guests = [str(ref("g", number)) for number in range(1000)]
    post("staticLists/some/guests", guests=guests)
    post("exports", name="All", segment="cork", columns=["ref", "email"])


def _rule(field: str, comparator: str, *values: Any) -> dict[str, Any]:
    return {"field": field, "comparator": comparator, "values": values}


def _pages(size: Size) -> Iterator[tuple[str, Callable[[], str]]]:
    """Every page with what it is measured as: (path as it is declared, the next address)."""
    chance = random.Random(1)

    def one(letter: str, most: int) -> Callable[[], str]:
        return lambda: str(ref(letter, chance.randrange(most)))

    samples: dict[str, Callable[[], str]] = {
        "guest": one("g", size.guests),
        "order": one("o", size.orders),
        "segment": lambda: "cork",
        "static_list": lambda: "some",
        "export": lambda: "all",
        "trait": lambda: "largest",
        "field": lambda: "city",
    }

    def address(path: str) -> Callable[[], str]:
        return lambda: re.sub(r"\{(\w+)\}", lambda record: samples[record[1]](), path)

    for page in PAGES:
        if page.show is None or LEFT_OUT.search(page.path):
            continue
        names = set(re.findall(r"\{(\w+)\}", page.path))
        if page.path == "/reports/{report}":
            yield from ((f"/reports/{each}", address(f"/reports/{each}")) for each in EVERY)
        elif names <= samples.keys():
            yield page.path, address(page.path + QUERIES.get(page.path, ""))
    busiest = str(ref("g", 0))
    for more in (
        *("/?period=365", "/guests?type=all", "/guests?type=all&sort=-lastSeen"),
        *("/guests?type=all&columns=orderCount&sort=-orderCount", f"/guests/{busiest}"),
        *(f"/guests/{busiest}/timeline", f"/guests/{busiest}/orders"),
        *("/segments/viewed", "/segments/viewed/guests", "/traits/of/rfmValue.EUR"),
    ):
        yield more.replace(busiest, "(the busiest)"), address(more)


def _names(dsn: str) -> list[tuple[str, str]]:
    """First and last names of some guests."""
    refs = [ref("g", number) for number in range(1000)]
    sql = "SELECT body ->> 'first_name', body ->> 'last_name' FROM ws_live.guests"
    with psycopg.connect(dsn) as connection:
        return connection.execute(f"{sql} WHERE ref = ANY (%s)", [refs]).fetchall()


def _searches(size: Size, names: list[tuple[str, str]]) -> Iterator[tuple[str, Callable[[], str]]]:
    chance = random.Random(2)
    words: dict[str, Callable[[], str]] = {
        "a last name": lambda: chance.choice(names)[1],
        "three letters": lambda: chance.choice(names)[1][:3],
        "two names": lambda: " ".join(chance.choice(names)),
        "an e-mail address": lambda: f"g{chance.randrange(size.guests)}@example.com",
        "part of an e-mail address": lambda: f"g{chance.randrange(size.guests)}@ex",
        "an order reference": lambda: f"HH-{chance.randrange(size.orders)}",
        "eight characters of a ref": lambda: str(ref("g", chance.randrange(size.guests)))[:8],
        "nobody": lambda: f"x{uuid4().hex}",
    }
    for kind, word in words.items():
        for path, what in (("/find?kind=guests&q=", "Suggestions"), ("/guests?q=", "Search")):
            yield f"{what}: {kind}", partial(_searched, path, word)


def _searched(path: str, word: Callable[[], str]) -> str:
    return path + quote(word())


def _timed(client: httpx.Client, pid: int, path: str, draw: Callable[[], str]) -> str:
    """One line of the table."""
    pages, cells = _requested(client, pid, [f"/w/live{draw()}" for _ in range(ROUNDS)], {})
    afterwards = [url for page in pages for url in _loaded_afterwards(page.text)]
    parts, more = _requested(client, pid, afterwards, {"HX-Request": "true"})
    wrong = sorted({each.status_code for each in (*pages, *parts)} - {200, 303})
    title = f"{path.replace('|', ' ')}{f' ({wrong})' if wrong else ''}"
    return f"| {' | '.join((title, *cells, *more))} |"


def _requested(
    client: httpx.Client, pid: int, urls: Sequence[str], headers: dict[str, str]
) -> tuple[list[httpx.Response], list[str]]:
    """Request each URL; return the responses, and p50, p99 and mean CPU time as cells."""
    if not urls:
        return [], [""] * 3
    responses, times = list[httpx.Response](), list[float]()
    used = processor_seconds(pid)
    for url in urls:
        began = time.perf_counter()
        responses.append(client.get(url, headers=headers))
        times.append((time.perf_counter() - began) * 1000)
    used = processor_seconds(pid) - used
    ranked = sorted(times)
    quantiles = ranked[len(ranked) // 2], ranked[int(len(ranked) * 0.99)]
    cells = [f"**{each:.0f}**" if each > SLOW_MS else f"{each:.0f}" for each in quantiles]
    return responses, [*cells, f"{used / len(urls) * 1000:.0f}"]


def _loaded_afterwards(page: str) -> list[str]:
    """Addresses that htmx requests once a page is open; the bell is a page of its own."""
    tags = re.findall(r'<[^>]*hx-trigger="(?:load|revealed)"[^>]*>', page)
    urls = [html.unescape(re.findall(r'hx-get="([^"]*)"', tag)[0]) for tag in tags]
    return [url for url in urls if not url.endswith("/jobs/bell")]
