"""S5: a receiver that is slow stops nobody else's messages, in no workspace."""

import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from calling import Api
from receiving import Receiver, receiver, send_due
from sites import Site
from test_segments_api import jobs
from waiting import PATIENCE_SECONDS, until

from innkeeper.actions.admin import stored_secrets
from innkeeper.actions.audiences import webhooks, workspace_share
from innkeeper.actions.audiences.workspace_share import SLOTS, workspace_slot
from innkeeper.store.work import Work

__all__ = ["jobs", "receiver"]


class Dripping:
    """Accepts a message and answers a byte now and then, for as long as the test likes."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/drip"
        self.called = threading.Event()
        self.stop = threading.Event()
        self.hung_up = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Dripping":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self._listener.close()
        self._thread.join(PATIENCE_SECONDS)

    def _run(self) -> None:
        # Whoever tries again is refused at once.
        with self._listener:
            caller, _ = self._listener.accept()
        with caller:
            caller.recv(65536)
            self.called.set()
            caller.sendall(b"HTTP/1.1 200 OK\r\n")
            while not self.stop.wait(0.05):
                try:
                    caller.sendall(b"X: y\r\n")
                except OSError:
                    self.hung_up.set()
                    return


@pytest.fixture
def dripping() -> Iterator[Dripping]:
    with Dripping() as one:
        yield one


def queue(jobs: Any, url: str, workspace: str = "live") -> None:
    """A message to an address, and the job that sends it."""

    async def act(work: Work) -> None:
        secret = stored_secrets.new_webhook_secret(work)
        await webhooks.queue_message(work, url, secret, {"event": uuid4()})
        await webhooks.queue_due(work)

    jobs(act, workspace)


def test_s5_a_dripping_receiver_stops_nobody_elses_messages(
    api: Api,
    stranger: Api,
    jobs: Any,
    site: Site,
    receiver: Receiver,
    dripping: Dripping,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Neither in its own workspace nor in another, which came after it."""
    monkeypatch.setattr(webhooks, "SECONDS", PATIENCE_SECONDS)
    queue(jobs, dripping.url)
    queue(jobs, f"{receiver.url}/same")
    queue(jobs, f"{receiver.url}/other", "other")
    thread = threading.Thread(target=site.run_worker)
    thread.start()
    until("both messages to who answers", lambda: len(receiver.got) == 2)
    assert dripping.called.wait(PATIENCE_SECONDS)
    assert not dripping.hung_up.is_set()
    assert thread.is_alive(), "the dripping one is still waited for"
    dripping.stop.set()
    thread.join(PATIENCE_SECONDS)
    assert not thread.is_alive()


def test_s5_a_dripping_receiver_is_given_up_and_tried_later(
    api: Api, jobs: Any, dripping: Dripping, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "SECONDS", 0.5)
    queue(jobs, dripping.url)
    assert jobs(send_due) == 0
    (message,) = jobs(webhooks.list_all)
    assert (message["attempts"], message["error"]) == (1, "did not answer in time")
    assert message["due_at"] > message["created_at"]
    assert dripping.hung_up.wait(PATIENCE_SECONDS)


def test_s5_an_address_has_one_job_at_a_time(
    api: Api, jobs: Any, receiver: Receiver, connection: psycopg.Connection
) -> None:
    for _ in range(3):
        queue(jobs, receiver.url)
    (waiting,) = connection.execute(
        "SELECT status::text FROM jobs.procrastinate_jobs WHERE args ->> 'url' = %s",
        [receiver.url],
    ).fetchall()
    assert waiting == ("todo",)


def test_s5_messages_to_one_address_keep_their_order_and_a_long_turn_ends(
    api: Api, jobs: Any, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        queue(jobs, receiver.url)
    # No time at all: one message, and then others have their turn.
    monkeypatch.setattr(webhooks, "TURN_SECONDS", -1)
    assert jobs(send_due) == 0
    monkeypatch.undo()
    assert jobs(send_due) == 3
    numbers = [int(headers["X-Innkeeper-Message"]) for headers, _ in receiver.got]
    assert numbers == sorted(numbers)


@pytest.mark.parametrize("workspaces", [1, 2, 5, 20])
def test_s5_slow_addresses_of_several_workspaces_leave_slots_to_others(workspaces: int) -> None:
    """S5: 64 slow addresses of each; another workspace has a slot all the same."""
    with ExitStack() as stack:
        taken = [
            stack.enter_context(workspace_slot(f"slow{number % workspaces}"))
            for number in range(64 * workspaces)
        ]
        share = SLOTS // (workspaces + 1)
        assert share * workspaces <= sum(taken) < SLOTS
        assert stack.enter_context(workspace_slot("another"))
    assert workspace_share._running == {}


def test_s5_an_address_without_a_slot_asks_again_later(
    api: Api, jobs: Any, receiver: Receiver
) -> None:
    """S5: not at once, for the queue is in order of arrival and later jobs would wait."""
    queue(jobs, receiver.url)

    async def turn(work: Work) -> webhooks.SendResult:
        @asynccontextmanager
        async def lend() -> AsyncIterator[Work]:
            yield work

        return await webhooks.send_due_messages(lend, receiver.url)

    with ExitStack() as stack:
        while stack.enter_context(workspace_slot("live")):
            pass
        assert jobs(turn) == webhooks.SendResult(0, workspace_share.SOON)
    assert not receiver.got
    assert jobs(turn) == webhooks.SendResult(1)


@pytest.mark.parametrize(
    "url", ["http://10.0.0.1/", "http://2130706434:80/", "http://[::1]/", "ftp://a.example/"]
)
def test_s5_no_private_address_is_taken_wherever_one_is_given(api: Api, url: str) -> None:
    """Segments, exports and their destinations; the screens go through the same functions."""
    everybody = {"field": "ref", "comparator": "is not null", "values": []}
    definition = {"filterGroups": [{"entity": "guest", "rules": [everybody]}]}
    body = {"name": f"S {uuid4().hex}", "definition": definition}
    refused = api.post("/innkeeper/v1/segments", json={**body, "webhook": url})
    assert refused.status_code == 400
    assert refused.json()["message"].startswith("webhook: must be ")
    segment = api.post("/innkeeper/v1/segments", json=body).json()["ref"]
    export = {"name": f"E {uuid4().hex}", "segment": segment, "format": "NDJSON"}
    for more, field in (
        ({"webhook": url}, "webhook"),
        ({"destination": {"type": "WEBHOOK", "url": url}}, "destination.url"),
    ):
        refused = api.post("/innkeeper/v1/exports", json={**export, **more})
        assert refused.status_code == 400
        assert refused.json()["message"].startswith(f"{field}: must be ")
