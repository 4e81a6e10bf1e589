"""S2: requests with large bodies hold nobody up, and what one person may have is bounded."""

import asyncio
import gc
import gzip
import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from calling import Api, body_of, invalid, run_server
from profiles import each_day
from prometheus_client import REGISTRY
from sites import Site
from streams import Page, product, quarantine
from waiting import until, until_blocked

from innkeeper.rules import carts
from innkeeper.web import large_requests
from innkeeper.web.app import create_app
from innkeeper.web.large_requests import LARGE_BYTES, MAX_RUNNING
from innkeeper.web.request_shell import ShellRequest
from innkeeper.wire.json_text import MOST_MEMBERS

GUEST = b'{"guestType":"visitor","firstName":"Jane"}'
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def page(api: Api) -> Page:
    return Page(api)


def large() -> float:
    return REGISTRY.get_sample_value("innkeeper_large_bodies_total") or 0.0


def padded(body: bytes, size: int) -> bytes:
    return body + b" " * (size - len(body))


def processes() -> set[int]:
    """The processes for large requests that this one started."""
    listed = subprocess.run(
        ["ps", "-o", "pid=,args=", "--ppid", str(os.getpid())],
        capture_output=True,
        text=True,
        check=False,
    )
    lines = (line.split(None, 1) for line in listed.stdout.splitlines())
    return {int(pid) for pid, command in lines if "innkeeper.web.large_worker" in command}


@pytest.mark.parametrize(("size", "more"), [(LARGE_BYTES, 0), (LARGE_BYTES + 1, 1), (1 << 20, 1)])
def test_s2_large_bodies_are_dealt_with_beside_the_event_loop(
    api: Api, page: Page, size: int, more: int
) -> None:
    """S2: small ones on the loop as ever, larger ones in the thread; the answers are the same."""
    before = large()
    guest = body_of(api.post("/v2.1/guests", content=padded(GUEST, size), headers=JSON))
    assert guest["firstName"] == "Jane"
    assert large() == before + more
    changed = api.patch(
        f"/v2.1/guests/{guest['ref']}", content=padded(b'{"city":"Cork"}', size), headers=JSON
    )
    assert body_of(changed)["city"] == "Cork"
    assert large() == before + 2 * more
    event = f'{{"client_key":"{api.client_key}","browser_id":"{page.browser}","type":"VIEW"}}'
    answer = page.post("/v1.2/events", content=padded(event.encode(), size))
    assert answer.status_code == 201
    assert large() == before + 3 * more
    assert [each["type"] for each in page.session["events"]] == ["VIEW"]


def test_s2_small_bodies_of_many_members_are_large(api: Api, page: Page) -> None:
    """S2: 32 KB of numbers took the loop 20 ms; of text they take it nothing."""
    guest, before = api.guest(), large()
    path = f"/v2.1/guests/{guest['ref']}/extensions"
    api.post(path, content=b'{"name":"ext","a":[' + b"1," * 15_000 + b"1]}", headers=JSON)
    assert large() == before + 1
    event = {"client_key": api.client_key, "browser_id": page.browser, "type": "VIEW"}
    for members, more in (([1] * 10_000, 2), (["x" * 300] * 100, 2)):
        assert page.post("/v1.2/events", json={**event, "a": members}).status_code == 201
        assert large() == before + more


def test_s2_errors_and_repetitions_are_the_same_in_the_thread(api: Api, page: Page) -> None:
    body = padded(b'{"guestType":"vip","country":"Ireland"}', LARGE_BYTES + 1)
    answer = api.post("/v2.1/guests", content=body, headers=JSON)
    assert answer.status_code == 400
    assert answer.json()["errors"] == ["country: not a valid value", "guestType: not a valid value"]
    assert api.post("/v2.1/guests", content=body[1:], headers=JSON).status_code == 400
    stranger = page.post("/v1.2/events", content=padded(b'{"client_key":"x"}', LARGE_BYTES + 1))
    assert stranger.status_code == 401
    key = {**JSON, "Idempotency-Key": "once"}
    content = padded(GUEST, LARGE_BYTES + 1)
    first = api.post("/v2.1/guests", content=content, headers=key)
    again = api.post("/v2.1/guests", content=content, headers=key)
    assert (again.json(), again.headers["idempotent-replayed"]) == (body_of(first), "true")


def test_s2_numbers_stay_as_they_are_written(api: Api) -> None:
    """CT-5: read by a function in Python, which lets other threads run."""
    guest = api.guest()
    body = b'{"name":"ext","price":12.50,"whole":12.0}'
    path = f"/v2.1/guests/{guest['ref']}/extensions"
    answer = api.post(path, content=padded(body, LARGE_BYTES + 1), headers=JSON)
    assert answer.status_code == 201
    assert '"price":12.50,"whole":12.0' in answer.text
    beyond = padded(b'{"name":"ext2","n":1e99999999999999999999}', LARGE_BYTES + 1)
    assert api.post(path, content=beyond, headers=JSON).status_code == 400


@pytest.fixture
def narrow(site: Site) -> Iterator[str]:
    """A server with one database connection for all requests."""
    with run_server(create_app(replace(site.settings, pool_size=1))) as url:
        yield url


def test_s2_large_bodies_hold_no_connection_of_others(site: Site, api: Api, narrow: str) -> None:
    """S2: while large ones wait for a locked guest, with one connection in the pool."""
    waited_for, other = api.guest(), api.guest()
    body = padded(b'{"city":"Cork"}', LARGE_BYTES + 1)

    def send(answers: list[int]) -> None:
        with Api(narrow, api.client_key, api.token) as caller:
            path = f"/v2.1/guests/{waited_for['ref']}"
            answers.append(caller.patch(path, content=body, headers=JSON).status_code)

    answers: list[int] = []
    senders = [threading.Thread(target=send, args=(answers,)) for _ in range(MAX_RUNNING + 3)]
    with psycopg.connect(site.dsn) as holding, Api(narrow, api.client_key, api.token) as caller:
        holding.execute("SELECT FROM ws_live.guests WHERE ref = %s FOR UPDATE", [waited_for["ref"]])
        for sender in senders:
            sender.start()
        until_blocked(site.dsn, 1)
        for _ in range(3):
            body_of(caller.get(f"/v2.1/guests/{other['ref']}"))
            body_of(caller.patch(f"/v2.1/guests/{other['ref']}", json={"city": "Cork"}))
        assert not answers
        holding.rollback()
        for sender in senders:
            sender.join(60)
    assert answers == [200] * len(senders)


@pytest.mark.long
def test_s2_a_limited_number_of_large_bodies_waits(
    site: Site, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S2: one more is refused with 503."""
    monkeypatch.setattr(large_requests, "MAX_PENDING", 2)
    guest = api.guest()
    body = padded(b'{"city":"Cork"}', LARGE_BYTES + 1)
    answers: list[int] = []

    def send(url: str) -> None:
        with Api(url, api.client_key, api.token) as caller:
            path = f"/v2.1/guests/{guest['ref']}"
            answers.append(caller.patch(path, content=body, headers=JSON).status_code)

    with run_server(create_app(site.settings)) as url, psycopg.connect(site.dsn) as holding:
        holding.execute("SELECT FROM ws_live.guests WHERE ref = %s FOR UPDATE", [guest["ref"]])
        senders = [threading.Thread(target=send, args=(url,)) for _ in range(MAX_RUNNING + 3)]
        for sender in senders:
            sender.start()
        until("the one too many to be refused", lambda: answers == [503])
        until_blocked(site.dsn, 1)
        holding.rollback()
        for sender in senders:
            sender.join(60)
    assert sorted(answers) == [200] * (MAX_RUNNING + 2) + [503]


@pytest.mark.long
def test_s2_a_server_without_large_bodies_has_no_such_process(site: Site, api: Api) -> None:
    before = processes()
    with (
        run_server(create_app(site.settings)) as url,
        Api(url, api.client_key, api.token) as caller,
    ):
        caller.guest()
        assert processes() == before
        body = padded(GUEST, LARGE_BYTES + 1)
        assert caller.post("/v2.1/guests", content=body, headers=JSON).status_code == 201
        (started,) = processes() - before
        os.kill(started, signal.SIGKILL)
        # Until its parent has noticed, it is listed there.
        until("the process to end", lambda: not Path(f"/proc/{started}").exists())
        # The next request starts another one.
        assert caller.post("/v2.1/guests", content=body, headers=JSON).status_code == 201
        assert len(processes() - before) == 1
    until("the process to end", lambda: processes() == before)


def test_s2_a_request_whose_process_is_killed_gets_503_with_retry_after(
    site: Site, api: Api
) -> None:
    guest, before = api.guest(), processes()
    body = padded(b'{"city":"Cork"}', LARGE_BYTES + 1)
    answers: list[int] = []
    with (
        run_server(create_app(site.settings)) as url,
        Api(url, api.client_key, api.token) as caller,
        psycopg.connect(site.dsn) as holding,
    ):
        holding.execute("SELECT FROM ws_live.guests WHERE ref = %s FOR UPDATE", [guest["ref"]])

        def send() -> None:
            path = f"/v2.1/guests/{guest['ref']}"
            answers.append(caller.patch(path, content=body, headers=JSON).status_code)

        sender = threading.Thread(target=send)
        sender.start()
        until_blocked(site.dsn, 1)
        (started,) = processes() - before
        os.kill(started, signal.SIGKILL)
        sender.join(60)
        assert answers == [503]


@pytest.mark.long
async def test_s2_the_process_ends_when_it_is_idle(site: Site, api: Api) -> None:
    before = processes()
    large_requests_ = large_requests.LargeRequests(site.settings, idle_seconds=0.01)
    scope = {
        **{"type": "http", "method": "GET", "path": "/v2.1/guests", "query_string": b""},
        **{"raw_path": b"/v2.1/guests"},
        **{"headers": [], "scheme": "http", "server": ("localhost", 80)},
    }
    response = await large_requests_.forward(scope, b"")
    assert response.status == 401
    while processes() != before:
        await asyncio.sleep(0.01)
    await large_requests_.close()


@pytest.mark.long
def test_s2_what_the_process_counts_and_logs_is_counted_here(api: Api, page: Page) -> None:
    def value(name: str, **labels: str) -> float:
        return REGISTRY.get_sample_value(name, labels) or 0.0

    reason = {"reason": "unknown point of sale"}
    before = value("innkeeper_events_total"), value("innkeeper_events_quarantined_total", **reason)
    event = {"client_key": api.client_key, "browser_id": page.browser, "type": "VIEW"}
    content = padded(json.dumps({**event, "pos": "nowhere"}).encode(), LARGE_BYTES + 1)
    assert page.post("/v1.2/events", content=content).status_code == 201
    assert value("innkeeper_events_total") == before[0] + 1
    assert value("innkeeper_events_quarantined_total", **reason) == before[1] + 1


# What one person may have


def identifiers(count: int) -> list[dict[str, Any]]:
    return [{"provider": "CRM", "id": str(number)} for number in range(count)]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("identifiers", identifiers(200)),
        ("emails", [f"a{number}@example.com" for number in range(200)]),
        ("phoneNumbers", [f"+3531611{number:05}" for number in range(200)]),
    ],
)
def test_s2_one_person_has_a_limited_number_of_identities(
    api: Api, field: str, value: list[Any]
) -> None:
    """S2: each of them takes a lock of the database, which has thousands for all."""
    assert len(api.guest(**{field: value})[field]) == 200
    answer = api.post("/v2.1/guests", json={"guestType": "visitor", field: [*value, value[0]]})
    expected = invalid(field, "size must be between 0 and 200")
    assert (answer.status_code, answer.json()) == (400, expected)


def test_s2_what_an_event_names_too_many_of_waits_in_quarantine(api: Api, page: Page) -> None:
    """S2: the event counts with what is in bounds, the rest is kept as a part."""
    page("IDENTITY", identifiers=identifiers(250))
    guest = body_of(api.get(f"/v2.1/guests/{page.guest}"))
    assert len(guest["identifiers"]) == 200
    (part,) = quarantine(api)
    assert "more than 200" in part["detail"]
    people = [{"firstname": "A", "lastname": "B", "email": f"c{n}@example.com"} for n in range(201)]
    page("ADD_CONTACTS", contact=people)
    details = [each["detail"] for each in quarantine(api)]
    assert "contact: too many" in details


def test_s2_a_cart_has_a_limited_number_of_lines(
    api: Api, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S2: each event of a cart writes all of it; what has no room waits in quarantine."""
    monkeypatch.setattr(carts, "MOST_LINES", 2)
    for item in ("a", "b", "c", "b"):
        page("ADD", product=product(item))
    (waiting,) = quarantine(api)
    assert waiting["detail"] == "product: the cart has 2 lines already"
    page("ADD", product=product("d", description="x" * 32_000, vendor="y" * 1000))
    details = {each["detail"] for each in quarantine(api)}
    assert "product: longer than 32768 characters" in details


def under_way() -> list[object]:
    """The requests that something still holds."""
    return [each for each in gc.get_objects() if isinstance(each, ShellRequest)]


@pytest.mark.parametrize("size", each_day((100, LARGE_BYTES + 1), 100))
def test_s4_refused_requests_are_freed_at_once(api: Api, page: Page, size: int) -> None:
    """S4: no garbage collector has to run, which it does seldom, for their memory."""
    expanding = {**JSON, "Content-Encoding": "gzip"}
    api.get("/v2.1/guests")
    gc.collect()
    gc.disable()
    try:
        for content, headers in (
            (padded(b'{"guestType":"vip"}', size), JSON),
            (padded(b"{", size), JSON),
            (gzip.compress(b" " * (4 << 20)), expanding),
        ):
            answer = api.post("/v2.1/guests", content=content, headers=headers)
            assert answer.status_code in (400, 413)
        event = {"client_key": api.client_key, "browser_id": page.browser, "type": ""}
        for content in (padded(json.dumps(event).encode(), size), padded(b"{", size)):
            assert page.post("/v1.2/events", content=content).status_code == 400
        until("refused requests to be freed", lambda: not under_way())
    finally:
        gc.enable()


def test_s2_bodies_of_very_many_members_are_refused(api: Api) -> None:
    """S2: to build 95,000 members takes the interpreter for tens of milliseconds; the marks of JSON
    in strings are none."""
    guest = api.guest()
    path = f"/v2.1/guests/{guest['ref']}/extensions"
    many = b'{"name":"ext",' + b",".join(b'"%x":0' % n for n in range(95_000)) + b"}"
    answer = api.post(path, content=many, headers=JSON)
    assert answer.json() == invalid("body", f"must have at most {MOST_MEMBERS} members")
    for damaged in (
        many[:-1],
        b'{"a":[' + b"[" * 900_000,
        b'{"a":"' + b'\\"' * 40 + b"," * 900_000,
    ):
        assert api.post(path, content=damaged, headers=JSON).status_code == 400
    text = ",:[{" * 7_000
    prose = {"name": "ext", **{f"text{n}": text for n in range(30)}}
    body_of(api.post(path, content=json.dumps(prose), headers=JSON))


def test_s2_large_results_are_read_beside_the_event_loop(api: Api, site: Site) -> None:
    """S2: a page of large guests is parsed and written in the thread; a small one is not."""
    text = "x" * 180_000
    for number in range(4):
        guest = api.guest(email=f"guest{number}@example.com")
        with psycopg.connect(site.dsn, autocommit=True) as connection:
            connection.execute(
                "UPDATE ws_live.guests SET body = body || jsonb_build_object('city', %s::text) "
                "WHERE ref = %s",
                [text, guest["ref"]],
            )
    before = large()
    page = api.get("/v2.1/guests", params={"limit": 2, "expand": "true"})
    assert len(page.json()["items"]) == 2
    assert large() == before
    page = api.get("/v2.1/guests", params={"limit": 100, "expand": "true"})
    assert [one["city"] for one in page.json()["items"]] == [text] * 4
    assert large() == before + 1
