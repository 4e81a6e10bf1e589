"""Security checks of an installation: the finding of each, and what to do.

`actions/admin/security_review.py` collects the `Facts`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from ipaddress import ip_address
from typing import Final
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
    yield from (rule.check(facts) for rule in _RULES)
    yield from _keys(facts)


def is_loopback(host: str) -> bool:
    """Whether an address to listen on is reachable only from this machine."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True)
class _Rule:
    """One check: its finding if there is a fault, and the good one.

    The texts contain values by name: the fault, facts and settings.
    """

    name: str
    fault: Callable[[Facts], object]
    """Returns the fault; a false value if there is none."""
    severity: Severity
    finding: str
    advice: str
    good: str

    def check(self, facts: Facts) -> Check:
        """Return the result for an installation."""
        fault = self.fault(facts)
        settings = facts.settings
        values = {
            "fault": fault,
            "facts": facts,
            "settings": settings,
            "origins": settings.cors_origins or "no site",
            "exports": settings.export_destinations or "the folder exports of the data folder",
            "imports": settings.import_sources or "the folder imports of the data folder",
        }
        if fault:
            return Check(self.name, self.severity, self.finding.format(**values), self.advice)
        return Check(self.name, Severity.GOOD, self.good.format(**values))


def _transport(settings: Settings) -> Check:
    name = "https"
    if urlsplit(settings.public_url).scheme == "https":
        if is_loopback(settings.host):
            return Check(name, Severity.GOOD, f"Served as {settings.public_url} by a proxy.")
        return Check(
            name,
            Severity.WARNING,
            f"Listens on {settings.host}, so callers can bypass the proxy.",
            "Listen on 127.0.0.1, or let a firewall admit only the proxy.",
        )
    if is_loopback(settings.host):
        return Check(
            name,
            Severity.WARNING,
            "No https address is set: fine on a laptop.",
            "Terminate TLS at a proxy, and set INNKEEPER_PUBLIC_URL=https://…",
        )
    return Check(
        name,
        Severity.BAD,
        f"Listens on {settings.host} without https: tokens are sent in clear text.",
        "Terminate TLS at a proxy, listen on 127.0.0.1, and set INNKEEPER_PUBLIC_URL=https://…",
    )


def _broad(setting: str) -> str:
    """Return the locations that a setting lists too broadly."""
    locations = [each.strip() for each in setting.split(",")]
    return ", ".join(each for each in locations if each and each.rstrip("/").count("/") < 2)


_RULES: Final = (
    _Rule(
        "database login",
        lambda facts: facts.superuser,
        Severity.BAD,
        "The database is used by a superuser, who can read files and run programs.",
        "Give Innkeeper a login that owns its database and nothing else.",
        "An ordinary login that owns its database.",
    ),
    _Rule(
        "database connection",
        lambda facts: not facts.encrypted_connection,
        Severity.BAD,
        "The connection to the database is neither local nor encrypted.",
        "Add sslmode=verify-full to the database address.",
        "Local, or encrypted.",
    ),
    _Rule(
        "stored secrets",
        lambda facts: facts.plain_secrets,
        Severity.BAD,
        "{fault} secrets are stored in plain text.",
        "Start `innkeeper serve` once: it encrypts them.",
        "Encrypted with a key outside the database.",
    ),
    _Rule(
        "files",
        lambda facts: ", ".join(facts.open_files),
        Severity.BAD,
        "Others on this machine may read {fault}.",
        "chmod 600 each of them, and replace the secrets in them.",
        "Files with secrets are for their owner alone.",
    ),
    _Rule(
        "first login",
        lambda facts: facts.saved_login,
        Severity.WARNING,
        "The first API token is still in the file first-login.",
        "Store it elsewhere and delete the file.",
        "No API token is left in a file.",
    ),
    _Rule(
        "first owner",
        lambda facts: not facts.users,
        Severity.BAD,
        "Nobody has an account: whoever has the first link becomes the owner.",
        "Open the link that `innkeeper serve` prints, or writes to first-link.",
        "{facts.users} people have an account.",
    ),
    _Rule(
        "metrics",
        lambda facts: facts.settings.metrics_open,
        Severity.WARNING,
        "Everybody may read /metrics.",
        "Set metrics_token instead of metrics_open.",
        "Only this machine, or a bearer token, can read /metrics.",
    ),
    _Rule(
        "origins",
        lambda facts: "*" in facts.settings.cors_origins,
        Severity.WARNING,
        "Pages of every site may send events with your client key.",
        "Set cors_origins to the sites that you run.",
        "Pages of {origins}.",
    ),
    _Rule(
        "rate limit",
        lambda facts: not facts.settings.rate_limit,
        Severity.WARNING,
        "A client key may send any number of requests.",
        "Set rate_limit to a few times what your busiest client needs.",
        "{settings.rate_limit:g} requests a second and key.",
    ),
    _Rule(
        "private addresses",
        lambda facts: facts.settings.allowed_private_hosts,
        Severity.WARNING,
        "Webhooks may go to {fault}.",
        "List single hosts that expect them, never a whole network with other services in it.",
        "Webhooks go to public addresses only.",
    ),
    _Rule(
        "export destinations",
        lambda facts: _broad(facts.settings.export_destinations),
        Severity.BAD,
        "Users may write exports anywhere below {fault}.",
        "List the folder that exports are for, such as /srv/exports or s3://bucket/exports.",
        "Exports go to {exports}.",
    ),
    _Rule(
        "import sources",
        lambda facts: _broad(facts.settings.import_sources),
        Severity.BAD,
        "Users may import any file below {fault}.",
        "List the folder that imports are for, such as /srv/imports or s3://bucket/imports.",
        "Imports read {imports}.",
    ),
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
