"""Request logs, request metrics and correlation ids."""

import logging
import os
import re
import sys
from bisect import bisect_left
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import accumulate
from random import getrandbits
from time import perf_counter
from typing import Any, Final

import msgspec
from prometheus_client import REGISTRY
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from innkeeper import clock
from innkeeper.resources.values import iso

CORRELATION: Final = b"x-correlation-id"
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "other"})
_SAFE_ID: Final = re.compile(rb"[A-Za-z0-9._:-]{1,128}")

log: Final = logging.getLogger("innkeeper.web")

_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)


class RequestTimes(Collector):
    """A histogram of the times of requests. That of `prometheus_client` takes a lock and several
    calls for each time, and every request counts one."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str, int], list[int]] = {}
        """Requests by method, route and status: those in each bucket, then the longer ones."""
        self._seconds: dict[tuple[str, str, int], float] = {}

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request; `route` is a template, never a path with refs in it."""
        labels = (method, route, status)
        counts = self._counts.get(labels)
        if counts is None:
            if method not in _METHODS:
                # A caller may send any method: unknown ones share a label.
                return self.observe("other", route, status, seconds)
            counts = self._counts[labels] = [0] * (len(_BUCKETS) + 1)
            self._seconds[labels] = 0.0
        counts[bisect_left(_BUCKETS, seconds)] += 1
        self._seconds[labels] += seconds
        return None

    def collect(self) -> Iterator[HistogramMetricFamily]:
        family = HistogramMetricFamily(
            "innkeeper_request_seconds",
            "Time from the first byte of a request to the end of its response.",
            labels=["method", "route", "status"],
        )
        bounds = [*map(floatToGoString, _BUCKETS), "+Inf"]
        for (method, route, status), counts in [*self._counts.items()]:
            buckets = list(zip(bounds, accumulate(counts), strict=True))
            seconds = self._seconds[method, route, status]
            family.add_metric([method, route, str(status)], buckets, seconds)
        yield family


REQUEST_TIMES: Final = RequestTimes()
REGISTRY.register(REQUEST_TIMES)


def correlation_id(header: bytes | None) -> bytes:
    """Return the caller's id when it matches `_SAFE_ID`, else a new one."""
    if header is not None and _SAFE_ID.fullmatch(header):
        return header
    # It distinguishes requests and is no secret: the system's randomness is not needed.
    return b"%032x" % getrandbits(128)


def record_request(
    method: str,
    route: str,
    status: int,
    started: float,
    members: dict[str, Any],
    fault: BaseException | None,
) -> None:
    """Count a request that began at `started` (`time.perf_counter`), and write its log line, which
    has `members` too."""
    seconds = perf_counter() - started
    REQUEST_TIMES.observe(method, route, status, seconds)
    members |= {"method": method, "route": route, "status": status, "ms": round(seconds * 1000, 2)}
    log_request(members, fault)


def log_request(members: dict[str, Any], fault: BaseException | None) -> None:
    """Write the log line of a request, with a traceback of `fault`.

    Without a fault, JSON lines are written directly to standard error, since `logging` takes
    several times as long.
    """
    if fault is not None:
        log.error("request failed", exc_info=fault, extra={"members": members})
    elif log.isEnabledFor(logging.INFO):
        if isinstance(logging.root.handlers[0].formatter, JsonLines):
            # Without `iso`, whose cache is for instants that repeat.
            at = datetime.now(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"
            line = {"time": at, "level": "info", "logger": log.name, "event": "request"}
            line |= members
            os.write(2, msgspec.json.encode(line) + b"\n")
        else:
            log.info("request", extra={"members": members})


class JsonLines(logging.Formatter):
    """Formats a record as one line of JSON: time, level, logger, event and its `members`."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": iso(clock.now()),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **getattr(record, "members", {}),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line).decode()


class PlainLines(logging.Formatter):
    """Formats a record as one line of text: time, level, event and `key=value …`."""

    def format(self, record: logging.LogRecord) -> str:
        members = getattr(record, "members", {})
        line = " ".join(
            [iso(clock.now()), record.levelname, record.getMessage()]
            + [f"{name}={value}" for name, value in members.items()]
        )
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def configure_logs(level: str, form: str) -> None:
    """Log to standard error, as JSON or text; `level` and `form` are values of the settings."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if form == "json" else PlainLines())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
