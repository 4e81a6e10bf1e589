"""RL-2: how fast one client key may call, where the operator sets a limit."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from calling import Api, problem, run_server
from sites import Site

from innkeeper.web.app import create_app

PATH = "/v2.1/guests"


@pytest.fixture
def slow(site: Site) -> Iterator[str]:
    """The URL of a server that allows a key one request in an hour: no test is so slow."""
    with run_server(create_app(replace(site.settings, rate_limit=1 / 3600))) as url:
        yield url


def test_off_by_default(api: Api) -> None:
    """RL-1, RL-2: no limit, no 429, no Retry-After."""
    for _ in range(100):
        answer = api.get(PATH)
        assert answer.status_code == 200
        assert "retry-after" not in answer.headers


def test_a_key_over_its_rate_gets_429_with_retry_after(api: Api, stranger: Api, slow: str) -> None:
    """RL-2: 429 with the body of every error, and seconds to wait; other keys are not held up."""
    with Api(slow, api.client_key, api.token) as fast:
        assert fast.get(PATH).status_code == 200
        answer = fast.get(PATH)
        assert answer.status_code == 429
        seconds = answer.headers["retry-after"]
        assert 0 < int(seconds) <= 3600
        assert answer.json() == problem(429, "Too many requests", f"Try again in {seconds} s.")
        assert fast.post(PATH, json={"guestType": "visitor"}).status_code == 429
        assert fast.get("/v2.1/nothing").status_code == 429
    with Api(slow, stranger.client_key, stranger.token) as other:
        assert other.get(PATH).status_code == 200
    assert api.get(PATH).json()["totalCount"] == 0


def test_who_is_not_authenticated_takes_nothing_from_a_key(api: Api, slow: str) -> None:
    """RL-2, AU-5: client keys are public, so a stranger's attempts must not count."""
    with Api(slow, api.client_key, "wrong") as thief:
        assert [thief.get(PATH).status_code for _ in range(10)] == [401] * 10
    with Api(slow, api.client_key, api.token) as owner:
        assert owner.get(PATH).status_code == 200
