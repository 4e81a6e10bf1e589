"""Security checks of an installation: the finding of each, and what to do.

`actions/admin/security_review.py` collects the `Facts`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from ipaddress import ip_address
from urllib.parse import urlsplit

from innkeeper.settings import Settings

UNUSED: timedelta = timedelta(days=180)
"""Time without use after which a key is reported."""


class Severity(StrEnum):
    """How serious a finding is."""

    GOOD = "good"
    WARNING = "warning"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Check:
    """The result of one check: its severity, the finding, and advice."""

    name: str
    state: Severity
    finding: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class KeyFacts:
    """An API key that has not been revoked."""

    client_key: str
    scopes: frozenset[str]
    last_used_at: datetime | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Facts:
    """Facts about an installation that the checks need."""

    settings: Settings
    now: datetime
    superuser: bool
    """Whether the database user is a superuser."""
    encrypted_connection: bool
    """Whether the connection to the database is encrypted, or local."""
    plain_secrets: int
    """Number of stored secrets that are not encrypted."""
    open_files: tuple[str, ...]
    """Files with secrets that other users of the machine may read."""
    saved_login: bool
    """Whether the file with the first login still exists."""
    users: int
    keys: tuple[KeyFacts, ...]


def checks(facts: Facts) -> Iterator[Check]:
    """Run every check, in order of display."""
    yield _transport(facts.settings)
    yield _database_login(facts)
    yield _database_connection(facts)
    yield _secrets(facts)
    yield _files(facts)
    yield _first_login(facts)
    yield _users(facts)
    yield _metrics(facts.settings)
    yield _origins(facts.settings)
    yield _rate(facts.settings)
    yield _private_hosts(facts.settings)
    yield _destinations(facts.settings)
    yield _import_sources(facts.settings)
    yield from _keys(facts)


def is_loopback(host: str) -> bool:
    """Whether an address to listen on is reachable only from this machine."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _check(
    name: str, fault: object, severity: Severity, finding: str, advice: str, *, good: str
) -> Check:
    """Return the finding of a check if there is a `fault`, else the `good` one."""
    if fault:
        return Check(name, severity, finding, advice)
    return Check(name, Severity.GOOD, good)


def _transport(settings: Settings) -> Check:
    name = "https"
    if urlsplit(settings.public_url).scheme == "https":
        if is_loopback(settings.host):
            return Check(name, Severity.GOOD, f"Served as {settings.public_url} by a proxy.")
        return Check(
            name,
            Severity.WARNING,
            f"Listens on {settings.host}, so that callers can go past the proxy.",
            "Listen on 127.0.0.1, or let a firewall admit the proxy alone.",
        )
    if is_loopback(settings.host):
        return Check(
            name,
            Severity.WARNING,
            "No https address is set: fine on a laptop.",
            "Let a proxy end TLS, and set INNKEEPER_PUBLIC_URL=https://…",
        )
    return Check(
        name,
        Severity.BAD,
        f"Listens on {settings.host} without https: tokens travel readable.",
        "Let a proxy end TLS, listen on 127.0.0.1, and set INNKEEPER_PUBLIC_URL=https://…",
    )


def _database_login(facts: Facts) -> Check:
    return _check(
        "database login",
        facts.superuser,
        Severity.BAD,
        "The database is used by a superuser, who can read files and run programs.",
        "Give Innkeeper a login that owns its database and nothing else.",
        good="An ordinary login that owns its database.",
    )


def _database_connection(facts: Facts) -> Check:
    return _check(
        "database connection",
        not facts.encrypted_connection,
        Severity.BAD,
        "The connection to the database is neither local nor encrypted.",
        "Add sslmode=verify-full to the database address.",
        good="Local, or encrypted.",
    )


def _secrets(facts: Facts) -> Check:
    return _check(
        "stored secrets",
        facts.plain_secrets,
        Severity.BAD,
        f"{facts.plain_secrets} secrets are stored in plain text.",
        "Start `innkeeper serve` once: it encrypts them.",
        good="Encrypted with a key outside the database.",
    )


def _files(facts: Facts) -> Check:
    return _check(
        "files",
        facts.open_files,
        Severity.BAD,
        f"Others on this machine may read {', '.join(facts.open_files)}.",
        "chmod 600 each of them, and replace the secrets in them.",
        good="Files with secrets are for their owner alone.",
    )


def _first_login(facts: Facts) -> Check:
    return _check(
        "first login",
        facts.saved_login,
        Severity.WARNING,
        "The first API token is still in the file first-login.",
        "Store it elsewhere and delete the file.",
        good="No API token is left in a file.",
    )


def _users(facts: Facts) -> Check:
    return _check(
        "first owner",
        not facts.users,
        Severity.BAD,
        "Nobody has an account: whoever has the first link becomes the owner.",
        "Open the link that `innkeeper serve` prints, or writes to first-link.",
        good=f"{facts.users} people have an account.",
    )


def _metrics(settings: Settings) -> Check:
    return _check(
        "metrics",
        settings.metrics_open,
        Severity.WARNING,
        "Everybody may read /metrics.",
        "Set metrics_token instead of metrics_open.",
        good="/metrics is for this machine, or a token.",
    )


def _origins(settings: Settings) -> Check:
    return _check(
        "origins",
        "*" in settings.cors_origins,
        Severity.WARNING,
        "Pages of every site may send events with your client key.",
        "Set cors_origins to the sites that you run.",
        good=f"Pages of {settings.cors_origins or 'no site'}.",
    )


def _rate(settings: Settings) -> Check:
    return _check(
        "rate limit",
        not settings.rate_limit,
        Severity.WARNING,
        "A client key may send as many requests as it likes.",
        "Set rate_limit to a few times what your busiest client needs.",
        good=f"{settings.rate_limit:g} requests a second and key.",
    )


def _private_hosts(settings: Settings) -> Check:
    return _check(
        "private addresses",
        settings.allowed_private_hosts,
        Severity.WARNING,
        f"Webhooks may go to {settings.allowed_private_hosts}.",
        "List single hosts that expect them, never a whole network with other services in it.",
        good="Webhooks go to public addresses only.",
    )


def _import_sources(settings: Settings) -> Check:
    listed, broad = _listed(settings.import_sources)
    return _check(
        "import sources",
        broad,
        Severity.BAD,
        f"Users may import any file below {', '.join(broad)}.",
        "List the folder that imports are for, such as /srv/imports or s3://bucket/imports.",
        good=f"Imports read {', '.join(listed) or 'the folder imports of the data folder'}.",
    )


def _listed(setting: str) -> tuple[list[str], list[str]]:
    """Return the places that a setting lists, and those of them that hold too much."""
    listed = [each.strip() for each in setting.split(",") if each.strip()]
    return listed, [each for each in listed if each.rstrip("/").count("/") < 2]


def _destinations(settings: Settings) -> Check:
    listed, broad = _listed(settings.export_destinations)
    return _check(
        "export destinations",
        broad,
        Severity.BAD,
        f"Users may write exports anywhere below {', '.join(broad)}.",
        "List the folder that exports are for, such as /srv/exports or s3://bucket/exports.",
        good=f"Exports go to {', '.join(listed) or 'the folder exports of the data folder'}.",
    )


def _keys(facts: Facts) -> Iterator[Check]:
    wide = [key.client_key for key in facts.keys if "administration" in key.scopes]
    if wide:
        yield Check(
            "administration keys",
            Severity.WARNING,
            f"May manage API keys: {', '.join(wide)}.",
            "Keep the scope for keys that need it: `innkeeper keys scopes`.",
        )
    old = [
        key.client_key
        for key in facts.keys
        if facts.now - (key.last_used_at or key.created_at) > UNUSED
    ]
    if old:
        yield Check(
            "unused keys",
            Severity.WARNING,
            f"Not used for {UNUSED.days} days: {', '.join(old)}.",
            "Revoke unused keys: `innkeeper keys revoke`.",
        )
    if not wide and not old:
        yield Check("keys", Severity.GOOD, f"{len(facts.keys)} API keys, none too wide or unused.")
