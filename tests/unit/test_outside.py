"""What waits for other systems: given up in time, undone where it ends later, never twice."""

import asyncio
import threading
import time

import pytest

from innkeeper.store.outside import within

pytestmark = pytest.mark.anyio


async def test_what_ends_in_time_is_answered() -> None:
    assert await within(5, "there", lambda: 3) == 3
    with pytest.raises(ZeroDivisionError):
        await within(5, "there", lambda: 1 // 0)


async def test_what_was_given_up_is_undone_and_holds_its_place() -> None:
    release, undone = threading.Event(), threading.Event()
    with pytest.raises(TimeoutError, match="nothing moved for 0.05 seconds"):
        await within(0.05, "place", lambda: release.wait(20), undo=undone.set)
    with pytest.raises(TimeoutError, match="still hangs"):
        await within(5, "place", lambda: 1)
    assert await within(5, "elsewhere", lambda: 2) == 2
    assert not undone.is_set()
    release.set()
    assert await asyncio.to_thread(undone.wait, 20)
    until = time.monotonic() + 20
    while time.monotonic() < until:
        try:
            assert await within(5, "place", lambda: 4) == 4
            return
        except TimeoutError:
            await asyncio.sleep(0.01)
    pytest.fail("its place was not given back")


async def test_a_late_error_is_nobodys() -> None:
    release = threading.Event()

    def act() -> None:
        release.wait(20)
        raise OSError("late")

    with pytest.raises(TimeoutError):
        await within(0.05, "late", act)
    release.set()
    await asyncio.sleep(0.05)


async def test_what_moves_is_waited_for() -> None:
    began = time.monotonic()

    def act() -> str:
        time.sleep(0.3)
        return "done"

    assert await within(0.1, "moving", act, moved=time.monotonic) == "done"
    assert time.monotonic() - began >= 0.3
