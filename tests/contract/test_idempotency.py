"""`Idempotency-Key` on POST, our extension: one request, however often it is sent."""

import json
import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from calling import NOBODY, Api, problem, run_server
from sites import Site
from waiting import PATIENCE_SECONDS, until_blocked

from innkeeper.actions.records import idempotency
from innkeeper.rules.identity_keys import lock_of
from innkeeper.web.app import create_app

PATH = "/v2.1/guests"
USED = problem(
    409,
    "Idempotency-Key was used for another request.",
    "The same Idempotency-Key came with another body; use a new key for a new request.",
)


@pytest.fixture
def twin(site: Site) -> Iterator[str]:
    """The URL of a second server on the same database."""
    with run_server(create_app(site.settings)) as url:
        yield url


def post(api: Api, key: str, path: str = PATH, **body: Any) -> Any:
    return api.post(path, json=body, headers={"Idempotency-Key": key})


def total(api: Api) -> int:
    return api.get(PATH).json()["totalCount"]


def test_a_repeated_post_answers_the_first_answer(api: Api) -> None:
    first = post(api, "order-17", firstName="Jane")
    assert first.status_code == 201
    assert "idempotent-replayed" not in first.headers
    again = post(api, "order-17", firstName="Jane")
    assert (again.status_code, again.content) == (201, first.content)
    assert again.headers["location"] == first.headers["location"] == first.json()["href"]
    assert again.headers["content-type"] == "application/json"
    assert again.headers["idempotent-replayed"] == "true"
    assert total(api) == 1


def test_the_first_response_is_stored_unchanged(api: Api) -> None:
    """Also when the guest has changed since."""
    first = post(api, "k", firstName="Jane")
    api.patch(first.json()["href"], json={"firstName": "Joan"})
    assert post(api, "k", firstName="Jane").content == first.content


def test_a_deleted_guest_deletes_the_stored_response(api: Api) -> None:
    """It holds what was to be removed (G-6), so the same key acts anew."""
    first = post(api, "k", firstName="Jane")
    api.delete(first.json()["href"])
    again = post(api, "k", firstName="Jane")
    assert again.status_code == 201
    assert again.json()["ref"] != first.json()["ref"]
    assert total(api) == 1


def test_another_body_is_409(api: Api) -> None:
    post(api, "k", firstName="Jane")
    answer = post(api, "k", firstName="Joan")
    assert (answer.status_code, answer.json()) == (409, USED)
    spaced = api.post(PATH, content=b'{"firstName": "Jane"}', headers={"Idempotency-Key": "k"})
    assert spaced.status_code == 409
    assert total(api) == 1


def test_another_query_is_another_request(api: Api) -> None:
    post(api, "k", firstName="Jane")
    assert post(api, "k", f"{PATH}?a=b", firstName="Jane").status_code == 409


def test_a_key_holds_for_one_caller_and_one_path(api: Api, official: Api, stranger: Api) -> None:
    mine = post(api, "k", guestType="visitor").json()
    other = post(official, "k", guestType="visitor").json()
    elsewhere = post(stranger, "k", guestType="visitor").json()
    assert len({mine["ref"], other["ref"], elsewhere["ref"]}) == 3
    extension = post(api, "k", f"{PATH}/{mine['ref']}/extensions", guestType="visitor")
    assert (extension.status_code, extension.json()["guestType"]) == (201, "visitor")
    stranger.delete(elsewhere["href"])


def test_a_post_without_a_key_is_never_a_repeat(api: Api) -> None:
    """G-1."""
    refs = {api.guest(firstName="Jane")["ref"] for _ in range(3)}
    assert len(refs) == 3


def test_other_methods_do_not_look_at_the_key(api: Api) -> None:
    guest = api.guest()
    key = {"Idempotency-Key": "k"}
    for name in ("a", "b"):
        answer = api.patch(guest["href"], json={"firstName": name}, headers=key)
        assert (answer.status_code, answer.json()["firstName"]) == (200, name)


def test_a_refused_post_is_not_stored(api: Api) -> None:
    """A 4xx is not stored: the same key serves the corrected request."""
    assert post(api, "k", country="ZZ").status_code == 400
    assert post(api, "k", country="ZZ").status_code == 400
    assert post(api, "k", country="IE").status_code == 201
    assert post(api, "k", country="IE").headers["idempotent-replayed"] == "true"


def test_a_conflict_is_not_stored(api: Api) -> None:
    guest = api.guest()
    path = f"{PATH}/{guest['ref']}/extensions"
    extension = api.extension(guest, name="ext", a=1)
    assert post(api, "k", path, name="ext", a=1).status_code == 409
    api.delete(extension["href"])
    assert post(api, "k", path, name="ext", a=1).status_code == 201


@pytest.mark.parametrize("key", ["x", "x" * 255, "!~ a", "3f2504e0-4f89-11d3-9a0c-0305e82c3301"])
def test_a_key_is_printable_text(api: Api, key: str) -> None:
    assert post(api, key).status_code == 201
    assert post(api, key).headers["idempotent-replayed"] == "true"


@pytest.mark.parametrize("key", [b"", b"x" * 256, b"\xff", b"a\tb", "é".encode()])
def test_another_key_is_400(api: Api, key: bytes) -> None:
    headers = [(b"Idempotency-Key", key), (b"Content-Type", b"application/json")]
    answer = api.post(PATH, content=b"{}", headers=headers)
    message = "Idempotency-Key must be 1 to 255 printable ASCII characters."
    assert (answer.status_code, answer.json()) == (400, problem(400, message))
    assert total(api) == 0


def test_the_description_lists_operations_with_a_key(api: Api, anonymous: Api) -> None:
    """A key that is no word is refused where one counts, and not looked at elsewhere."""
    paths = anonymous.get("/openapi.json").json()["paths"]
    listed, counts = set(), set()
    for path, methods in paths.items():
        response = methods.get("post")
        if response is None or response["tags"] == ["Stream API"]:
            continue
        if any(one["name"] == "Idempotency-Key" for one in response["parameters"]):
            listed.add(path)
        where = re.sub(r"\{\w+\}", NOBODY, path)
        answer = api.post(where, json={}, headers={"Idempotency-Key": "x" * 256})
        if answer.status_code == 400 and "Idempotency-Key" in answer.json()["message"]:
            counts.add(path)
    assert counts == listed
    assert len(listed) > 20


def test_a_replay_crosses_processes(api: Api, twin: str) -> None:
    with Api(twin, api.client_key, api.token) as other:
        first = post(api, "k", firstName="Jane")
        again = post(other, "k", firstName="Jane")
    assert (again.status_code, again.content) == (201, first.content)
    assert total(api) == 1


def test_twins_wait_for_the_first(api: Api, twin: str) -> None:
    """Sent at once to two servers: one guest, one answer for all."""

    def one(number: int) -> Any:
        url = (api.url, twin)[number % 2]
        with Api(url, api.client_key, api.token) as caller:
            return post(caller, "k", firstName="Jane")

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(one, range(32)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert sum("idempotent-replayed" not in answer.headers for answer in answers) == 1
    assert total(api) == 1


def test_a_twin_waits_until_the_first_is_committed(api: Api, site: Site, twin: str) -> None:
    """Held up inside its transaction, the first keeps the second waiting, which then repeats it,
    on another server too."""

    def one(url: str) -> Any:
        with Api(url, api.client_key, api.token) as caller:
            return post(caller, "k", firstName="Jane")

    with psycopg.connect(site.dsn) as blocker, ThreadPoolExecutor(2) as pool:
        blocker.execute("LOCK TABLE ws_live.guests IN SHARE MODE")
        twins = [pool.submit(one, url) for url in (site.url, twin)]
        until_blocked(site.dsn, sessions=2)
        assert not any(twin.done() for twin in twins)
        blocker.rollback()
        answers = [twin.result(PATIENCE_SECONDS) for twin in twins]
    assert answers[0].content == answers[1].content
    assert sorted("idempotent-replayed" in answer.headers for answer in answers) == [False, True]
    assert total(api) == 1


def test_twins_with_other_bodies_are_409(api: Api) -> None:
    """Of requests that race under one key, one body wins and the others are told so."""
    started = threading.Barrier(8)

    def one(number: int) -> Any:
        with api.another() as caller:
            started.wait()
            return post(caller, "k", firstName=str(number))

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(one, range(8)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 7
    assert total(api) == 1


def test_a_twin_of_a_refused_post_acts_itself(api: Api) -> None:
    """A first that fails leaves nothing that a waiting twin could repeat."""
    guest = api.guest()
    path = f"{PATH}/{guest['ref']}/extensions"

    def one(_: int) -> int:
        with api.another() as caller:
            return post(caller, "k", path, name="a/b").status_code

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(one, range(6))) == [400] * 6


def test_a_response_is_stored_for_a_day(api: Api, connection: psycopg.Connection) -> None:
    first = post(api, "k", firstName="Jane").json()

    def age(**by: float) -> None:
        connection.execute(
            "UPDATE ws_live.idempotency SET created_at = created_at - %s", [timedelta(**by)]
        )

    age(hours=23, minutes=59)
    assert post(api, "k", firstName="Jane").json() == first
    age(minutes=2)
    assert post(api, "k", firstName="Joan").json()["ref"] != first["ref"]
    assert post(api, "k", firstName="Jane").status_code == 409


def test_old_answers_are_dropped(api: Api, connection: psycopg.Connection) -> None:
    """Each answer that is kept clears away some that are over a day old."""
    for number in range(5):
        post(api, f"old-{number}")
    connection.execute("UPDATE ws_live.idempotency SET created_at = created_at - interval '2 days'")
    post(api, "new")
    assert connection.execute("SELECT count(*) FROM ws_live.idempotency").fetchone() == (1,)


def test_no_secret_is_stored_with_a_response(api: Api, connection: psycopg.Connection) -> None:
    post(api, "my-secret-key", firstName="Jane")
    (row,) = connection.execute("SELECT row_to_json(i)::text FROM ws_live.idempotency i").fetchall()
    assert "my-secret-key" not in json.dumps(row)
    assert api.token not in json.dumps(row)


def test_s3_twins_wait_for_each_other_without_a_connection_each(
    api: Api, site: Site, connection: psycopg.Connection
) -> None:
    """Two connections in all and six twins, of which the first waits in the database: others are
    served."""
    settings = replace(site.settings, pool_size=2)
    scope = idempotency.scope_id(api.client_key, PATH, "six")

    def twin_post(one: Api) -> Any:
        with one.another() as another:
            return post(another, "six", firstName="Jane")

    connection.execute("SELECT pg_advisory_lock(%s)", [lock_of(scope)])
    with (
        run_server(create_app(settings)) as url,
        Api(url, api.client_key, api.token) as caller,
        ThreadPoolExecutor(6) as threads,
    ):
        twins = [threads.submit(twin_post, caller) for _ in range(6)]
        try:
            until_blocked(site.dsn)
            for _ in range(20):
                assert caller.get(PATH).status_code == 200
        finally:
            connection.execute("SELECT pg_advisory_unlock(%s)", [lock_of(scope)])
        answers = {twin.result().content for twin in twins}
    assert len(answers) == 1
    assert total(api) == 1
