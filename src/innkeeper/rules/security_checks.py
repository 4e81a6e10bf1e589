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
    yield from _keys(facts)


def is_loopback(host: str) -> bool:
    """Whether an address to listen on is reachable only from this machine."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


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
    if facts.superuser:
        return Check(
            "database login",
            Severity.BAD,
            "The database is used by a superuser, who can read files and run programs.",
            "Give Innkeeper a login that owns its database and nothing else.",
        )
    return Check("database login", Severity.GOOD, "An ordinary login that owns its database.")


def _database_connection(facts: Facts) -> Check:
    if facts.encrypted_connection:
        return Check("database connection", Severity.GOOD, "Local, or encrypted.")
    return Check(
        "database connection",
        Severity.BAD,
        "The connection to the database is neither local nor encrypted.",
        "Add sslmode=verify-full to the database address.",
    )


def _secrets(facts: Facts) -> Check:
    if facts.plain_secrets:
        return Check(
            "stored secrets",
            Severity.BAD,
            f"{facts.plain_secrets} secrets are stored in plain text.",
            "Start `innkeeper serve` once: it encrypts them.",
        )
    return Check("stored secrets", Severity.GOOD, "Encrypted with a key outside the database.")


def _files(facts: Facts) -> Check:
    if facts.open_files:
        return Check(
            "files",
            Severity.BAD,
            f"Others on this machine may read {', '.join(facts.open_files)}.",
            "chmod 600 each of them, and replace the secrets in them.",
        )
    return Check("files", Severity.GOOD, "Files with secrets are for their owner alone.")


def _first_login(facts: Facts) -> Check:
    if facts.saved_login:
        return Check(
            "first login",
            Severity.WARNING,
            "The first API token is still in the file first-login.",
            "Store it elsewhere and delete the file.",
        )
    return Check("first login", Severity.GOOD, "No API token is left in a file.")


def _users(facts: Facts) -> Check:
    if not facts.users:
        return Check(
            "first owner",
            Severity.BAD,
            "Nobody has an account: whoever has the first link becomes the owner.",
            "Open the link that `innkeeper serve` prints, or writes to first-link.",
        )
    return Check("first owner", Severity.GOOD, f"{facts.users} people have an account.")


def _metrics(settings: Settings) -> Check:
    if settings.metrics_open:
        return Check(
            "metrics",
            Severity.WARNING,
            "Everybody may read /metrics.",
            "Set metrics_token instead of metrics_open.",
        )
    return Check("metrics", Severity.GOOD, "/metrics is for this machine, or a token.")


def _origins(settings: Settings) -> Check:
    if "*" in settings.cors_origins:
        return Check(
            "origins",
            Severity.WARNING,
            "Pages of every site may send events with your client key.",
            "Set cors_origins to the sites that you run.",
        )
    return Check("origins", Severity.GOOD, f"Pages of {settings.cors_origins or 'no site'}.")


def _rate(settings: Settings) -> Check:
    if not settings.rate_limit:
        return Check(
            "rate limit",
            Severity.WARNING,
            "A client key may send as many requests as it likes.",
            "Set rate_limit to a few times what your busiest client needs.",
        )
    return Check("rate limit", Severity.GOOD, f"{settings.rate_limit:g} requests a second and key.")


def _private_hosts(settings: Settings) -> Check:
    if settings.allowed_private_hosts:
        return Check(
            "private addresses",
            Severity.WARNING,
            f"Webhooks may go to {settings.allowed_private_hosts}.",
            "List single hosts that expect them, never a whole network with other services in it.",
        )
    return Check("private addresses", Severity.GOOD, "Webhooks go to public addresses only.")


def _destinations(settings: Settings) -> Check:
    listed = [each.strip() for each in settings.export_destinations.split(",") if each.strip()]
    broad = [each for each in listed if each.rstrip("/").count("/") < 2]
    if broad:
        return Check(
            "export destinations",
            Severity.BAD,
            f"Users may write exports anywhere below {', '.join(broad)}.",
            "List the folder that exports are for, such as /srv/exports or s3://bucket/exports.",
        )
    return Check(
        "export destinations",
        Severity.GOOD,
        f"Exports go to {', '.join(listed) or 'the folder exports of the data folder'}.",
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
            "Revoke what nobody needs: `innkeeper keys revoke`.",
        )
    if not wide and not old:
        yield Check("keys", Severity.GOOD, f"{len(facts.keys)} API keys, none too wide or unused.")
