"""S11: what `innkeeper doctor --security` says of an installation."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from innkeeper.rules.security_checks import Facts, KeyFacts, Severity, checks
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


def states(facts: Facts) -> dict[str, Severity]:
    return {check.name: check.state for check in checks(facts)}


def test_s11_a_production_installation_is_good() -> None:
    assert set(states(GOOD).values()) == {Severity.GOOD}


@pytest.mark.parametrize(
    ("changes", "name", "state"),
    [
        ({"superuser": True}, "database login", Severity.BAD),
        ({"encrypted_connection": False}, "database connection", Severity.BAD),
        ({"plain_secrets": 2}, "stored secrets", Severity.BAD),
        ({"open_files": ("/data/secrets.key",)}, "files", Severity.BAD),
        ({"saved_login": True}, "first login", Severity.WARNING),
        ({"users": 0}, "first owner", Severity.BAD),
        (
            {"keys": (replace(KEY, last_used_at=NOW - timedelta(days=181)),)},
            "unused keys",
            Severity.WARNING,
        ),
        ({"keys": (replace(KEY, last_used_at=None),)}, "unused keys", Severity.WARNING),
        (
            {"keys": (replace(KEY, scopes=frozenset({"administration"})),)},
            "administration keys",
            Severity.WARNING,
        ),
    ],
)
def test_s11_what_is_wrong_is_named_with_advice(
    changes: dict[str, Any], name: str, state: Severity
) -> None:
    facts = replace(GOOD, **changes)
    assert states(facts)[name] is state
    (result,) = (check for check in checks(facts) if check.name == name)
    assert result.advice


@pytest.mark.parametrize(
    ("changes", "name", "state"),
    [
        ({"public_url": ""}, "https", Severity.WARNING),
        ({"public_url": "", "host": "0.0.0.0"}, "https", Severity.BAD),  # noqa: S104 - compared
        ({"public_url": "http://cdp.example.com", "host": "10.0.0.5"}, "https", Severity.BAD),
        ({"host": "0.0.0.0"}, "https", Severity.WARNING),  # noqa: S104 - compared
        ({"host": "::1"}, "https", Severity.GOOD),
        ({"metrics_open": True}, "metrics", Severity.WARNING),
        ({"cors_origins": "*"}, "origins", Severity.WARNING),
        ({"rate_limit": 0.0}, "rate limit", Severity.WARNING),
        ({"allowed_private_hosts": "10.0.0.7"}, "private addresses", Severity.WARNING),
        ({"import_sources": "/etc"}, "import sources", Severity.BAD),
        ({"import_sources": "/srv/imports"}, "import sources", Severity.GOOD),
        ({"export_destinations": "/"}, "export destinations", Severity.BAD),
        ({"export_destinations": "/srv/exports,/etc"}, "export destinations", Severity.BAD),
        ({"export_destinations": "/srv/exports"}, "export destinations", Severity.GOOD),
        ({"export_destinations": "s3://bucket/exports"}, "export destinations", Severity.GOOD),
    ],
)
def test_s11_settings_that_are_wrong_in_production(
    changes: dict[str, Any], name: str, state: Severity
) -> None:
    assert states(replace(GOOD, settings=replace(PRODUCTION, **changes)))[name] is state
