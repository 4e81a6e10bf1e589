"""What waits for other systems: given up in time, undone where it ends later, never twice."""

import threading
import time

import pytest
from waiting import PATIENCE_SECONDS, wait_until

from innkeeper.store import external_calls
from innkeeper.store.external_calls import within


async def test_what_ends_in_time_is_answered() -> None:
    assert await within(PATIENCE_SECONDS, "there", lambda: 3) == 3
    with pytest.raises(ZeroDivisionError):
        await within(PATIENCE_SECONDS, "there", lambda: 1 // 0)


async def test_what_was_given_up_is_undone_and_holds_its_place() -> None:
    release, undone = threading.Event(), threading.Event()
    with pytest.raises(TimeoutError, match="no data was transferred for 0.05 seconds"):
        await within(0.05, "place", release.wait, undo=undone.set)
    with pytest.raises(TimeoutError, match="has not ended yet"):
        await within(PATIENCE_SECONDS, "place", lambda: 1)
    assert await within(PATIENCE_SECONDS, "elsewhere", lambda: 2) == 2
    assert not undone.is_set()
    release.set()
    await wait_until("what was given up to be undone", undone.is_set)

    async def given_back() -> bool:
        try:
            return await within(PATIENCE_SECONDS, "place", lambda: 4) == 4
        except TimeoutError:
            return False

    await wait_until("its place to be given back", given_back)


async def test_a_late_error_is_nobodys() -> None:
    """Warnings are errors here: one that nobody retrieved would fail this test."""
    release = threading.Event()

    def act() -> None:
        release.wait()
        raise OSError("late")

    with pytest.raises(TimeoutError):
        await within(0.05, "late", act)
    release.set()
    await wait_until("the late error", external_calls._stuck["late"].done)


async def test_what_moves_is_waited_for() -> None:
    """It ends long after its time, having moved whenever it was looked at."""
    looked = 0
    enough = threading.Event()

    def moved() -> float:
        nonlocal looked
        looked += 1
        if looked == 3:
            enough.set()
        return time.monotonic()

    assert await within(0.05, "moving", enough.wait, moved=moved)
    assert looked >= 3
