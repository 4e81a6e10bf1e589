"""Encryption of the secrets in the database, with keys outside of the database.

The keys are Fernet keys (AES-128-CBC and HMAC-SHA256, by `cryptography`), newest first: the first
one encrypts, all of them decrypt. They come from the setting `secrets_key`, else from the file
`secrets.key` of the data folder, which is created when it is first needed.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from innkeeper.errors import OperatorError
from innkeeper.settings import Settings
from innkeeper.store.private_files import write_private

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet

FILE: Final = "secrets.key"
PREFIX: Final = "fernet:"
"""Prefix of every encrypted value; no secret in clear text contains a colon."""


class Undecryptable(OperatorError):
    """A secret in the database was encrypted with another key."""


@dataclass(frozen=True, slots=True)
class _Cached:
    source: str
    age_ns: int
    fernet: "MultiFernet"


_cached: dict[Path, _Cached] = {}


def encrypt(settings: Settings, secret: bytes) -> str:
    """Encrypt a secret for storage; creates the first key if there is none."""
    return PREFIX + _fernet(settings).encrypt(secret).decode()


def decrypt(settings: Settings, stored: str) -> bytes:
    """Decrypt a stored value; raises `Undecryptable`.

    A value without the prefix was stored by an earlier version in clear text.
    """
    if not stored.startswith(PREFIX):
        return stored.encode()
    from cryptography.fernet import InvalidToken  # noqa: PLC0415 - few processes need it

    try:
        return _fernet(settings).decrypt(stored.removeprefix(PREFIX))
    except InvalidToken:
        raise Undecryptable(
            "The secrets in this database were encrypted with another key. Copy secrets.key from "
            f"the data folder of the installation to {settings.data}, or set "
            "INNKEEPER_SECRETS_KEY to its lines joined by commas. If the key is lost, "
            "`innkeeper secrets reset` makes new secrets."
        ) from None


def add_key(settings: Settings) -> None:
    """Put a new key before the newest one in the key file; older ones are dropped.

    Raises OperatorError when the keys come from the setting, which only the operator can change.
    """
    from cryptography.fernet import Fernet  # noqa: PLC0415

    if settings.secrets_key:
        raise OperatorError(
            "The keys come from the setting secrets_key: put a new one before the others there "
            f"(for example {Fernet.generate_key().decode()}), restart every server, and run this "
            "again with --no-new-key."
        )
    newest = _keys(settings)[0]
    _write(settings.data / FILE, [Fernet.generate_key().decode(), newest])


def _fernet(settings: Settings) -> "MultiFernet":
    from cryptography.fernet import Fernet, MultiFernet  # noqa: PLC0415

    file = settings.data / FILE
    age = 0 if settings.secrets_key else _age(file)
    cached = _cached.get(settings.data)
    if cached is None or (cached.source, cached.age_ns) != (settings.secrets_key, age):
        keys = _keys(settings)
        try:
            fernet = MultiFernet([Fernet(key) for key in keys])
        except ValueError:
            source = "The setting secrets_key" if settings.secrets_key else f"The file {file}"
            raise OperatorError(
                f"{source} has an invalid key. A key is 32 bytes in URL-safe base64."
            ) from None
        age = 0 if settings.secrets_key else _age(file)
        cached = _cached[settings.data] = _Cached(settings.secrets_key, age, fernet)
    return cached.fernet


def _keys(settings: Settings) -> list[str]:
    if settings.secrets_key:
        return [key.strip() for key in settings.secrets_key.split(",") if key.strip()]
    file = settings.data / FILE
    if not file.exists():
        from cryptography.fernet import Fernet  # noqa: PLC0415

        _write(file, [Fernet.generate_key().decode()], replace=False)
    try:
        return file.read_text(encoding="ascii").split()
    except (OSError, UnicodeDecodeError) as error:
        raise OperatorError(f"The file {file} cannot be read: {error}.") from error


def _age(file: Path) -> int:
    try:
        return file.stat().st_mtime_ns
    except OSError:
        return 0


def _write(file: Path, keys: list[str], *, replace: bool = True) -> None:
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(file, "".join(f"{key}\n" for key in keys), replace=replace)
    except OSError as error:
        raise OperatorError(f"The file {file} cannot be written: {error.strerror}.") from error
