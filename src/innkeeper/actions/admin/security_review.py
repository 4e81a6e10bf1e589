"""Apply the checks of `rules/security_checks.py` to a running installation."""

import stat
from pathlib import Path
from typing import Final

from innkeeper import clock
from innkeeper.rules.security_checks import Check, Facts, KeyFacts, checks
from innkeeper.settings import Settings
from innkeeper.store import encryption
from innkeeper.store.work import Work

LOGIN_FILE: Final = "first-login"
"""`CLIENT_KEY:API_TOKEN` of the first key, as `curl -u` takes it."""
LINK_FILE: Final = "first-link"
"""The URL at which the first owner of the screens sets a password."""
_SECRET_FILES: Final = (encryption.FILE, LOGIN_FILE, LINK_FILE, "server.json", "postgres.log")


async def review(work: Work, open_files: tuple[str, ...], *, saved_login: bool) -> list[Check]:
    """Run every security check on the installation of `work`.

    `open_files`: result of `secret_files_open_to_others`; `saved_login`: of `login_is_saved`.
    """
    login = await work.one("security.login")
    plain = await work.one("security.plain_signing_keys")
    people = await work.one("users.count")
    rows = await work.all("control.list_keys", workspace=None)
    assert login is not None and plain is not None and people is not None  # noqa: PT018, S101
    facts = Facts(
        work.settings,
        clock.now(),
        superuser=login["superuser"],
        encrypted_connection=login["local"] or login["encrypted"],
        plain_secrets=plain["total"],
        open_files=open_files,
        saved_login=saved_login,
        users=people["total"],
        keys=tuple(
            KeyFacts(
                row["client_key"], frozenset(row["scopes"]), row["last_used_at"], row["created_at"]
            )
            for row in rows
            if row["revoked_at"] is None
        ),
    )
    return list(checks(facts))


def secret_files_open_to_others(settings: Settings) -> tuple[str, ...]:
    """List the files with secrets in the data folder that other users of the machine may read."""
    paths = []
    for name in _SECRET_FILES:
        path = settings.data / name
        try:
            mode = stat.S_IMODE(path.stat().st_mode)
        except OSError:
            continue
        if mode & 0o077:
            paths.append(str(path))
    return tuple(paths)


def login_is_saved(settings: Settings) -> bool:
    """Whether the file with the first key and token is still in the data folder."""
    return Path(settings.data / LOGIN_FILE).exists()
