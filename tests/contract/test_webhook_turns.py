"""S5: a receiver that is slow stops nobody else's messages, in no workspace."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
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
from innkeeper.actions.audiences import delivery_slots, webhooks
from innkeeper.actions.audiences.delivery_slots import DeliverySlots, SlotClass
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


@pytest.mark.long
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
        "SELECT status::text FROM jobs.procrastinate_jobs WHERE args ->> 'url' = %s", [receiver.url]
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
def test_s5_slow_addresses_of_several_workspaces_share_their_slots(workspaces: int) -> None:
    """S5: however many slow addresses each of them has, another workspace has a slot."""
    slots = SlotClass(32)
    result = [slots.take(f"slow{number % workspaces}") for number in range(64 * workspaces)]
    assert 32 // (workspaces + 1) * workspaces <= sum(result) < 32
    assert slots.take("another")
    for number in range(workspaces):
        for _ in range(slots.running[f"slow{number}"]):
            slots.release(f"slow{number}")
    assert slots.running == {"another": 1}


@pytest.fixture
def slots(monkeypatch: pytest.MonkeyPatch) -> DeliverySlots:
    """Slots for messages that remember no address."""
    fresh = DeliverySlots(quick=64, new=32, slow=32)
    monkeypatch.setattr(webhooks, "MESSAGES", fresh)
    return fresh


def test_s5_an_address_without_a_slot_runs_again_later(
    api: Api, jobs: Any, receiver: Receiver, slots: DeliverySlots
) -> None:
    """S5: not at once, for the queue is in order of arrival and later jobs would wait."""
    queue(jobs, receiver.url)
    while slots.new.take("live"):
        pass
    assert jobs(turn_of(receiver.url)) == webhooks.SendResult(0, delivery_slots.SOON)
    assert not receiver.got
    slots.new.running.clear()
    assert jobs(turn_of(receiver.url)) == webhooks.SendResult(1)


def test_s5_slow_addresses_take_no_slot_of_those_that_answer(
    api: Api, jobs: Any, receiver: Receiver, slots: DeliverySlots
) -> None:
    """S5: with every slot for new and for slow addresses taken, in 64 workspaces."""
    queue(jobs, receiver.url)
    assert jobs(turn_of(receiver.url)) == webhooks.SendResult(1)
    for workspace in range(64):
        slots.new.take(f"w{workspace}")
        slots.slow.take(f"w{workspace}")
    assert not slots.new.take("live")
    assert not slots.slow.take("live")
    queue(jobs, f"{receiver.url}/again")
    assert jobs(turn_of(f"{receiver.url}/again")) == webhooks.SendResult(1)
    assert slots.quick.running == {}
    assert delivery_slots.MESSAGES.total + delivery_slots.FILES.total < delivery_slots.CONCURRENCY


def test_s5_an_address_that_becomes_slow_moves_to_a_slow_slot(
    api: Api, jobs: Any, dripping: Dripping, slots: DeliverySlots, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S5: its first slot is free again, and it gets none of those any more."""
    monkeypatch.setattr(delivery_slots, "QUICK_SECONDS", 0.1)
    monkeypatch.setattr(webhooks, "SECONDS", 1.0)
    queue(jobs, dripping.url)
    rows: list[tuple[int, int]] = []

    async def watched(work: Work) -> webhooks.SendResult:
        sending = asyncio.ensure_future(turn_of(dripping.url)(work))
        while not sending.done():
            rows.append((slots.new.running.total(), slots.slow.running.total()))
            await asyncio.sleep(0.01)
        return await sending

    assert jobs(watched) == webhooks.SendResult(0)
    assert list(dict.fromkeys(pair for pair in rows if pair != (0, 0))) == [(1, 0), (0, 1)]
    assert slots.new.running == slots.slow.running == {}
    (message,) = jobs(webhooks.list_all)
    assert (message["attempts"], message["error"]) == (1, "did not answer in time")

    async def next_slot(work: Work) -> Any:
        return slots.take(work, f"{dripping.url}/other")

    assert jobs(next_slot).slot_class is slots.slow


def test_s5_without_a_slow_slot_a_slow_request_is_cancelled_and_sent_later(
    api: Api, jobs: Any, dripping: Dripping, slots: DeliverySlots, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S5: that is no attempt, since the receiver had less time than it may take."""
    monkeypatch.setattr(delivery_slots, "QUICK_SECONDS", 0.1)
    slots.slow.running["others"] = slots.slow.slots
    queue(jobs, dripping.url)
    assert jobs(turn_of(dripping.url)) == webhooks.SendResult(0, delivery_slots.SOON)
    assert dripping.hung_up.wait(PATIENCE_SECONDS)
    assert slots.new.running == {}
    (message,) = jobs(webhooks.list_all)
    assert (message["attempts"], message["error"], message["sent_at"]) == (0, None, None)


def turn_of(url: str) -> Callable[[Work], Coroutine[Any, Any, webhooks.SendResult]]:
    """One turn of an address."""

    async def turn(work: Work) -> webhooks.SendResult:
        @asynccontextmanager
        async def lend() -> AsyncIterator[Work]:
            yield work

        return await webhooks.send_due_messages(lend, url)

    return turn


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
