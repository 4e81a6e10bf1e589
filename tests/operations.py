"""Counting what a call does, so that a test can compare sizes without a clock."""

import re
import sys
from collections.abc import Callable
from types import BuiltinFunctionType, FrameType
from typing import Any, Final

_CHEAP: Final = frozenset({"startswith", "endswith", "find", "append", "extend", "write"})
"""Methods whose time does not follow from the size of the object they belong to."""


def operations(call: Callable[[], Any]) -> int:
    """Steps of `call`: each line of Python is one, each call of a function one more for every
    byte or character of text that it is given, or that the text whose method it is has.

    What a function in C is given cannot be seen: it counts as one step, a regular expression as
    the longest text at hand where it is used.
    """
    steps = 0

    def traced(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal steps
        steps += 1
        if event == "call":
            steps += sum(_sizes(frame))
        return traced

    def profiled(frame: FrameType, event: str, what: Any) -> None:
        nonlocal steps
        if event != "c_call":
            return
        steps += 1
        owner = what.__self__ if isinstance(what, BuiltinFunctionType) else None
        if isinstance(owner, re.Pattern):
            steps += max(_sizes(frame), default=0)
        elif isinstance(owner, str | bytes | bytearray) and what.__name__ not in _CHEAP:
            steps += len(owner)

    before = sys.gettrace(), sys.getprofile()
    sys.setprofile(profiled)
    sys.settrace(traced)
    try:
        call()
    finally:
        sys.settrace(before[0])
        sys.setprofile(before[1])
    return steps


def lines_of(call: Callable[[], Any]) -> int:
    """Lines of Python that `call` runs."""
    lines = 0

    def traced(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal lines
        lines += 1
        return traced

    before = sys.gettrace()
    sys.settrace(traced)
    try:
        call()
    finally:
        sys.settrace(before)
    return lines


def _sizes(frame: FrameType) -> list[int]:
    texts = frame.f_locals.values()
    return [len(value) for value in texts if isinstance(value, str | bytes | bytearray)]


def assert_linear(call: Callable[[bytes], Any], repeated: bytes, times: int = 200) -> None:
    """Twice as much of `repeated` takes about twice as many steps, not four times."""
    call(repeated)  # what is cached is cached
    few = operations(lambda: call(repeated * times))
    many = operations(lambda: call(repeated * (2 * times)))
    assert many < 2.5 * few, f"{times} times: {few} steps; twice as often: {many}"
