"""Several processes behind one port act as one."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

from calling import Api, Line
from process import Serve

PATH = "/v2.1/guests"


def test_a_repeated_post_is_one_whichever_process_gets_it(serve: Serve) -> None:
    """Each on a connection of its own, most of them at once."""
    server = serve("--workers", 3)
    with Api(server.url, server.client_key, server.token) as api:

        def one(number: int) -> tuple[int, Any]:
            with closing(Line(api)) as line:
                return line("POST", PATH, {"firstName": "Jane"}, Idempotency_Key=f"k{number % 3}")

        with ThreadPoolExecutor(12) as pool:
            answers = list(pool.map(one, range(60)))
        assert {status for status, _ in answers} == {201}
        assert len({shown["ref"] for _, shown in answers}) == 3
        assert api.get(PATH).json()["totalCount"] == 3


def test_totals_and_pages_agree_over_processes(serve: Serve) -> None:
    """What one process has acknowledged all of them show."""
    server = serve("--workers", 3)
    with Api(server.url, server.client_key, server.token) as api:

        def one(number: int) -> None:
            with closing(Line(api)) as line:
                status, made = line("POST", PATH, {"email": f"{number}@b.co"})
                assert status == 201
            with closing(Line(api)) as line:
                status, found = line("GET", f"{PATH}?email={number}%40b.co")
                assert [guest["ref"] for guest in found["items"]] == [made["ref"]]

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(one, range(80)))
        assert api.get(PATH).json()["totalCount"] == 80
