"""F22: requests to the screens are logged and counted as those of the API are."""

import logging
import re

import httpx
import pytest
from sites import Site
from visiting import Person
from waiting import until


def counted(http: httpx.Client, method: str, route: str, status: int) -> float:
    """How many requests /metrics tells of."""
    labels = re.escape(f'{{method="{method}",route="{route}",status="{status}"}}')
    match = re.search(
        rf"^innkeeper_request_seconds_count{labels} (\S+)$", http.get("/metrics").text, re.M
    )
    return float(match[1]) if match else 0.0


def lines(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """The lines of requests, once there is one: it is written after the answer has left."""
    return until(
        "the line of the request",
        lambda: [each for each in caplog.records if each.name == "innkeeper.web"],
    )


CALLS = (
    ("GET", "/w/live/guests?q=secret@example.com", "/w/{workspace}/guests", 200),
    ("GET", "/w/live/guests/x", "/w/{workspace}/guests/{guest}", 404),
    ("GET", "/w/live/nowhere", "unknown", 404),
    ("PUT", "/w/live/guests", "/w/{workspace}/guests", 405),
    ("POST", "/w/live/settings", "/w/{workspace}/settings", 403),
    ("GET", "/login", "/login", 303),
    ("GET", "/oauth/token", "/oauth/token", 405),
    ("GET", "/docs", "/docs", 200),
    ("PURGE", "/w/live/guests", "/w/{workspace}/guests", 405),
)


@pytest.mark.parametrize(("method", "path", "route", "status"), CALLS)
def test_f22_a_request_is_one_line_and_one_count(
    owner: Person, caplog: pytest.LogCaptureFixture, method: str, path: str, route: str, status: int
) -> None:
    text = "other" if method == "PURGE" else method
    before = counted(owner.http, text, route, status)
    with caplog.at_level(logging.INFO, "innkeeper.web"):
        answer = owner.http.request(method, path, headers={"X-Correlation-Id": "mine-7"})
        (line,) = lines(caplog)
    assert (answer.status_code, answer.headers["x-correlation-id"]) == (status, "mine-7")
    assert counted(owner.http, text, route, status) == before + 1
    members = line.members  # type: ignore[attr-defined]
    assert members["id"] == "mine-7"
    assert (members["method"], members["route"], members["status"]) == (method, route, status)
    assert members["ms"] > 0
    if route.startswith("/w/") and status != 405:
        assert members["workspace"] == "live"
        assert re.fullmatch(r"[0-9a-f-]{36}", members["user"])
    assert "example.com" not in str(members)


def test_f22_a_fault_of_a_page_is_logged_once_with_its_cause(
    owner: Person, connection, caplog: pytest.LogCaptureFixture
) -> None:
    connection.execute("ALTER TABLE innkeeper.api_keys RENAME TO aside")
    try:
        assert owner.get("/settings").status_code == 500
    finally:
        connection.execute("ALTER TABLE innkeeper.aside RENAME TO api_keys")
    (line,) = lines(caplog)
    assert line.exc_info is not None
    assert "api_keys" in str(line.exc_info[1])
    assert line.members["route"] == "/w/{workspace}/settings"  # type: ignore[attr-defined]


def test_f22_probes_are_neither_logged_nor_counted(
    site: Site, anonymous: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "innkeeper.web"):
        for path in ("/healthz", "/readyz", "/metrics"):
            assert anonymous.get(path).status_code == 200
    assert not [each for each in caplog.records if each.name == "innkeeper.web"]
    assert counted(anonymous, "GET", "/healthz", 200) == 0
