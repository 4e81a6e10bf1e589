"""S11: what `innkeeper doctor --security` says of an installation."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from innkeeper.rules.security_checks import Facts, KeyFacts, State, checks
from innkeeper.settings import Settings

NOW = datetime(2026, 6, 1, tzinfo=UTC)
KEY = KeyFacts("a" * 32, frozenset({"read"}), NOW - timedelta(days=1), NOW - timedelta(days=400))
PRODUCTION = Settings(
    public_url="https://cdp.example.com", cors_origins="https://shop.example", rate_limit=50
)
GOOD = Facts(
    PRODUCTION,
    NOW,
    superuser=False,
    encrypted_connection=True,
    plain_secrets=0,
    open_files=(),
    saved_login=False,
    users=1,
    keys=(KEY,),
)


def states(facts: Facts) -> dict[str, State]:
    return {check.name: check.state for check in checks(facts)}


def test_s11_a_production_installation_is_good() -> None:
    assert set(states(GOOD).values()) == {State.GOOD}


@pytest.mark.parametrize(
    ("changes", "name", "state"),
    [
        ({"superuser": True}, "database login", State.BAD),
        ({"encrypted_connection": False}, "database connection", State.BAD),
        ({"plain_secrets": 2}, "stored secrets", State.BAD),
        ({"open_files": ("/data/secrets.key",)}, "files", State.BAD),
        ({"saved_login": True}, "first login", State.WARNING),
        ({"users": 0}, "first owner", State.BAD),
        (
            {"keys": (replace(KEY, last_used_at=NOW - timedelta(days=181)),)},
            "unused keys",
            State.WARNING,
        ),
        ({"keys": (replace(KEY, last_used_at=None),)}, "unused keys", State.WARNING),
        (
            {"keys": (replace(KEY, scopes=frozenset({"administration"})),)},
            "administration keys",
            State.WARNING,
        ),
    ],
)
def test_s11_what_is_wrong_is_named_with_advice(
    changes: dict[str, Any], name: str, state: State
) -> None:
    facts = replace(GOOD, **changes)
    assert states(facts)[name] is state
    (found,) = (check for check in checks(facts) if check.name == name)
    assert found.advice


@pytest.mark.parametrize(
    ("changes", "name", "state"),
    [
        ({"public_url": ""}, "https", State.WARNING),
        ({"public_url": "", "host": "0.0.0.0"}, "https", State.BAD),  # noqa: S104 - compared
        ({"public_url": "http://cdp.example.com", "host": "10.0.0.5"}, "https", State.BAD),
        ({"host": "0.0.0.0"}, "https", State.WARNING),  # noqa: S104 - compared
        ({"host": "::1"}, "https", State.GOOD),
        ({"metrics_open": True}, "metrics", State.WARNING),
        ({"cors_origins": "*"}, "origins", State.WARNING),
        ({"rate_limit": 0.0}, "rate limit", State.WARNING),
        ({"allowed_private_hosts": "10.0.0.7"}, "private addresses", State.WARNING),
        ({"export_destinations": "/"}, "export destinations", State.BAD),
        ({"export_destinations": "/srv/exports,/etc"}, "export destinations", State.BAD),
        ({"export_destinations": "/srv/exports"}, "export destinations", State.GOOD),
        ({"export_destinations": "s3://bucket/exports"}, "export destinations", State.GOOD),
    ],
)
def test_s11_settings_that_are_wrong_in_production(
    changes: dict[str, Any], name: str, state: State
) -> None:
    assert states(replace(GOOD, settings=replace(PRODUCTION, **changes)))[name] is state
