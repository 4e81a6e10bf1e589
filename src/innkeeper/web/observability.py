"""Request logs, request metrics and correlation ids."""

import logging
import os
import re
import sys
from datetime import UTC, datetime
from random import getrandbits
from time import perf_counter
from typing import Any, Final

import msgspec
from prometheus_client import Histogram

from innkeeper import clock
from innkeeper.resources.values import iso

CORRELATION: Final = b"x-correlation-id"
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_SAFE_ID: Final = re.compile(rb"[A-Za-z0-9._:-]{1,128}")

log: Final = logging.getLogger("innkeeper.web")

REQUEST_SECONDS: Final = Histogram(
    "innkeeper_request_seconds",
    "Time from the first byte of a request to its answer.",
    ["method", "route", "status"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
)
_children: Final[dict[tuple[str, str, int], Any]] = {}


def observe(method: str, route: str, status: int, seconds: float) -> None:
    """Count one request; `route` is a template, never a path with refs in it."""
    labels = (method, route, status)
    child = _children.get(labels)
    if child is None:
        # A caller may send any method: unknown ones share a label.
        label = method if method in _METHODS else "other"
        child = REQUEST_SECONDS.labels(label, route, str(status))
        if label == method:
            _children[labels] = child
    child.observe(seconds)


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
    observe(method, route, status, seconds)
    members |= {"method": method, "route": route, "status": status, "ms": round(seconds * 1000, 2)}
    log_request(members, fault)


def log_request(members: dict[str, Any], fault: BaseException | None) -> None:
    """Write the log line of a request, with a traceback of `fault`.

    Without a fault, JSON lines go straight to standard error: `logging` would cost several times
    as much as the line.
    """
    if fault is not None:
        log.error("request failed", exc_info=fault, extra={"members": members})
    elif log.isEnabledFor(logging.INFO):
        if isinstance(logging.root.handlers[0].formatter, JsonLines):
            # Not by `iso`, whose cache is for instants that repeat.
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
