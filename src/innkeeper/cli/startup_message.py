"""The message of `innkeeper serve` at its start: addresses, credentials and an example request."""

import shlex
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from innkeeper import __version__
from innkeeper.actions.admin import keys, users
from innkeeper.actions.admin.security_review import LINK_FILE, LOGIN_FILE
from innkeeper.actions.admin.stored_secrets import digest_of
from innkeeper.rules.access import SANDBOX
from innkeeper.settings import Settings
from innkeeper.store.data_folder import unusable
from innkeeper.store.private_files import write_private
from innkeeper.store.work import Work

_EXAMPLE: Final = (
    '{"guestType":"customer","email":"jane.doe@example.com","firstName":"Jane","lastName":"Doe"}'
)
_LINK: Final = "/login?link="


@dataclass(frozen=True, slots=True)
class FirstAccess:
    """Credentials at the start of the server: created now, or created earlier and still valid."""

    new_key: keys.NewKey | None
    """The workspace's first key, if it was created now."""
    client_key: str | None
    """A client key that is not revoked."""
    link_token: str | None
    """Token of the first link to the screens, while there are no users."""
    login_saved: bool = False
    """Whether the login file contains a valid login."""


async def first_access(
    work: Work, workspace: str, saved_login: str, saved_link: str = ""
) -> FirstAccess:
    """Create the first key of a workspace and of its sandbox, and the first link, if there are
    none. The token of the sandbox's key is not printed; the screens replace it.

    `saved_login` is the content of the login file and `saved_link` the token in the link file;
    both are empty if there is no file.
    """
    new = await keys.create_first(work, workspace)
    await keys.create_first(work, workspace + SANDBOX)
    rows = await keys.list_all(work, workspace)
    valid = [row["client_key"] for row in rows if row["revoked_at"] is None]
    link_token = await users.first_owner_link(work, saved_link)
    saved = new is None and await _login_works(work, saved_login)
    return FirstAccess(new, valid[0] if valid else None, link_token, saved)


def saved_login(data: Path) -> str:
    """Return the content of the login file; empty if it cannot be read."""
    return _content(data / LOGIN_FILE)


def saved_link(data: Path) -> str:
    """Return the token of the link that the demo or an earlier start saved, or an empty string."""
    return _content(data / LINK_FILE).partition(_LINK)[2]


def _content(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""


async def _login_works(work: Work, login: str) -> bool:
    client_key, _, token = login.partition(":")
    row = await keys.find(work, client_key)
    return row is not None and bytes(row["token_sha256"]) == digest_of(token)


def greet(settings: Settings, url: str, access: FirstAccess, *, terminal: bool) -> None:
    """Print the server's addresses, and a command that creates a guest.

    Secrets are printed only to a terminal. Otherwise (a log, a pipe, a container) they are written
    to files that only the owner of the data folder can read, and the command reads them.
    """
    screens = screens_address(settings.data, url, access.link_token, terminal=terminal)
    if access.new_key is not None and not terminal:
        _write(
            settings.data / LOGIN_FILE, f"{access.new_key.client_key}:{access.new_key.api_token}"
        )
    if access.login_saved or (access.new_key is not None and not terminal):
        login, lines = _login_in_file(settings, access)
    else:
        login, lines = _credentials(settings, access)
    lines = [f"Innkeeper {__version__} at {url}", "", f"  Screens: {screens}", "", *lines]
    lines += [
        "",
        f"curl -u {login} -H 'Content-Type: application/json' -d '{_EXAMPLE}' {url}/v2.1/guests",
        "",
    ]
    print("\n".join(lines), flush=True)


def server_url(host: str, port: int) -> str:
    """Return the URL by which this machine reaches a server that listens on host and port."""
    if host in ("0.0.0.0", "::", ""):  # noqa: S104 - compared, not bound
        host = "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def screens_address(data: Path, url: str, link_token: str | None, *, terminal: bool) -> str:
    """Return the address of the screens for printing: with the token only on a terminal.

    Otherwise the link is written to a file, and the text names the file.
    """
    if not link_token:
        (data / LINK_FILE).unlink(missing_ok=True)
        return f"{url}/"
    address = f"{url}{_LINK}{link_token}"
    if terminal:
        return address
    _write(data / LINK_FILE, address)
    return f"the address in {data / LINK_FILE}"


def save_link(data: Path, url: str, link_token: str) -> None:
    """Save a link that the next start of the server prints instead of a new one."""
    _write(data / LINK_FILE, f"{url}{_LINK}{link_token}")


def command_name() -> str:
    """Return the command that starts this program: its name, or its path if the name is not on the
    PATH."""
    return "innkeeper" if shutil.which("innkeeper") else sys.argv[0]


def _database_options(settings: Settings) -> list[str]:
    """Return the options by which another command finds the same installation."""
    if settings.database:
        # Without the password, which must not appear in a log or a shell's history.
        return ["--database", str(settings.redacted()["database"])]
    return [] if settings.data == Settings().data else ["--data", str(settings.data)]


def _login_in_file(settings: Settings, access: FirstAccess) -> tuple[str, list[str]]:
    file = settings.data / LOGIN_FILE
    client_key = access.new_key.client_key if access.new_key else access.client_key
    return f'"$(cat {shlex.quote(str(file))})"', [
        f"  client key  {client_key}",
        f"  API token   in {file}, which only you can read",
        "",
        "Create a guest:",
    ]


def _credentials(settings: Settings, access: FirstAccess) -> tuple[str, list[str]]:
    """Return the login as a shell word, and the lines that explain it."""
    where = _database_options(settings)
    command = command_name()
    if access.new_key is not None:
        return f"'{access.new_key.client_key}:{access.new_key.api_token}'", [
            f"  client key  {access.new_key.client_key}",
            f"  API token   {access.new_key.api_token}",
            "",
            "The token is shown only once. Create a guest:",
        ]
    if access.client_key is not None:
        return f'"{access.client_key}:$INNKEEPER_TOKEN"', [
            f"  client key  {access.client_key}",
            "",
            "Its token was shown when it was created. To replace it with a new one:",
            "",
            f"  {shlex.join([command, 'keys', 'rotate', access.client_key, *where])}",
            "",
            "Create a guest:",
        ]
    return '"CLIENT_KEY:$INNKEEPER_TOKEN"', [
        "Every key has been revoked. To create a new one:",
        "",
        f"  {shlex.join([command, 'keys', 'create', *where])}",
        "",
        "Create a guest:",
    ]


def _write(path: Path, text: str) -> None:
    try:
        write_private(path, text + "\n")
    except OSError as error:
        raise unusable(path.parent, error) from error
