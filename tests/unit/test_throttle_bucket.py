"""The token bucket of RL-2, with a clock of our own."""

import pytest

from innkeeper.errors import TooManyRequests
from innkeeper.web.rate_limit import Throttle


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def admitted(throttle: Throttle, key: str = "k") -> bool:
    try:
        throttle.admit(key)
    except TooManyRequests:
        return False
    return True


def test_as_many_at_once_as_a_second_allows() -> None:
    throttle = Throttle(3, Clock())
    assert [admitted(throttle) for _ in range(5)] == [True, True, True, False, False]


def test_tokens_come_back_at_the_rate() -> None:
    throttle = Throttle(4, clock := Clock())
    assert [admitted(throttle) for _ in range(5)] == [True] * 4 + [False]
    clock.now += 0.25
    assert [admitted(throttle) for _ in range(2)] == [True, False]
    clock.now += 3600
    assert [admitted(throttle) for _ in range(5)] == [True] * 4 + [False]


def test_a_refusal_costs_nothing() -> None:
    throttle = Throttle(1, clock := Clock())
    assert admitted(throttle)
    for _ in range(10):
        clock.now += 0.0625
        assert not admitted(throttle)
    clock.now += 0.375
    assert admitted(throttle)


def test_less_than_one_a_second() -> None:
    throttle = Throttle(0.25, clock := Clock())
    assert [admitted(throttle) for _ in range(2)] == [True, False]
    clock.now += 3.5
    assert not admitted(throttle)
    clock.now += 0.5
    assert admitted(throttle)


@pytest.mark.parametrize(
    ("rate", "passed", "seconds"), [(0.25, 0.0, "4"), (0.25, 1.5, "3"), (10, 0.0, "1"), (1, 0, "1")]
)
def test_seconds_to_wait_are_whole_and_enough(rate: float, passed: float, seconds: str) -> None:
    throttle = Throttle(rate, clock := Clock())
    while admitted(throttle):
        pass
    clock.now += passed
    with pytest.raises(TooManyRequests) as refused:
        throttle.admit("k")
    assert refused.value.headers == {"Retry-After": seconds}
    clock.now += int(seconds)
    assert admitted(throttle)


def test_each_key_has_a_bucket() -> None:
    throttle = Throttle(1, Clock())
    assert [admitted(throttle, key) for key in "aabb"] == [True, False, True, False]


def test_no_rate_is_no_limit() -> None:
    throttle = Throttle(0, Clock())
    assert all(admitted(throttle) for _ in range(1000))
