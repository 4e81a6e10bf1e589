"""Several processes behind one port act as one."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest
from calling import Api, Line
from process import Serve
from streams import Page, product

PATH = "/v2.1/guests"
CLIENTS = 32


@pytest.mark.long
def test_a_repeated_post_is_one_whichever_process_gets_it(serve: Serve) -> None:
    """Each on a connection of its own, most of them at once."""
    server = serve("--workers", 3, jobs=False)
    with Api(server.url, server.client_key, server.token) as api:

        def one(number: int) -> tuple[int, Any]:
            with closing(Line(api)) as line:
                return line("POST", PATH, {"firstName": "Jane"}, Idempotency_Key=f"k{number % 3}")

        with ThreadPoolExecutor(12) as pool:
            answers = list(pool.map(one, range(60)))
        assert {status for status, _ in answers} == {201}
        assert len({each["ref"] for _, each in answers}) == 3
        assert api.get(PATH).json()["totalCount"] == 3


@pytest.mark.long
def test_totals_and_pages_agree_over_processes(serve: Serve) -> None:
    """What one process has acknowledged all of them show."""
    server = serve("--workers", 3, jobs=False)
    with Api(server.url, server.client_key, server.token) as api:

        def one(number: int) -> None:
            with closing(Line(api)) as line:
                status, created = line("POST", PATH, {"email": f"{number}@b.co"})
                assert status == 201
            with closing(Line(api)) as line:
                status, result = line("GET", f"{PATH}?email={number}%40b.co")
                assert [guest["ref"] for guest in result["items"]] == [created["ref"]]

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(one, range(80)))
        assert api.get(PATH).json()["totalCount"] == 80


@pytest.mark.long
def test_events_of_many_clients_are_there_once_in_one_session(serve: Serve) -> None:
    """stream-api.md 5: whichever process takes an event, each (browser, channel) has one session,
    and every acknowledged event is in its own once."""
    server = serve("--workers", 2, jobs=False)
    with Api(server.url, server.client_key, server.token) as api:
        pages = [Page(api) for _ in range(3)]
        kinds: list[dict[str, Any]] = [
            {"type": "VIEW"},
            {"type": "ADD", "product": product("1")},
            {"type": "CAMPAIGN_SEEN", "ext": {"n": 1}},
        ]

        def client(number: int) -> list[tuple[str, str, str]]:
            messages = []
            with closing(Line(api)) as line:
                for turn in range(9):
                    page = pages[(number + turn) % 3]
                    channel = ("WEB", "MOBILE_APP")[(number // 3 + turn // 3) % 2]
                    body = {**page.always, **kinds[turn % 3], "channel": channel}
                    body |= {"client_key": api.client_key, "browser_id": page.browser}
                    status, answer = line("POST", "/v1.2/events", body)
                    assert status == 201, answer
                    messages.append((page.browser, channel, answer["ref"]))
            return messages

        with ThreadPoolExecutor(CLIENTS) as pool:
            messages = Counter(one for answer in pool.map(client, range(CLIENTS)) for one in answer)
        sessions = [session for page in pages for session in page.sessions]
    assert Counter((one["browserRef"], one["channel"], one["status"]) for one in sessions) == {
        (page.browser, channel, "OPEN"): 1 for page in pages for channel in ("WEB", "MOBILE_APP")
    }
    assert messages == Counter(
        (session["browserRef"], session["channel"], event["ref"])
        for session in sessions
        for event in session["events"]
    )
    assert len(messages) == CLIENTS * 9
