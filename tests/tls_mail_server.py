"""A real SMTP server (aiosmtpd) on loopback that requires TLS and a password, with certificates."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from innkeeper import clock

USER, PASSWORD = "me@x", "p:w"


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _certificate(
    subject: str, issuer: str, key: ec.EllipticCurvePrivateKey, own: ec.EllipticCurvePrivateKey
) -> x509.Certificate:
    """The certificate of `own`, signed with `key`, for the host `subject`."""
    now = clock.now()
    return (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer))
        .public_key(own.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(subject)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=subject == issuer, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )


def write_certificates(folder: Path, host: str) -> tuple[Path, Path]:
    """Write an authority's certificate, and a chain with a key for `host`; return both paths."""
    authority, own = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    pem = serialization.Encoding.PEM
    root, chain = folder / "authority.pem", folder / f"{host}.pem"
    root.write_bytes(_certificate("Authority", "Authority", authority, authority).public_bytes(pem))
    chain.write_bytes(
        _certificate(host, "Authority", authority, own).public_bytes(pem)
        + own.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return root, chain


class SecureMailbox:
    """Stores messages, and the passwords that clients sent."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self.passwords: list[bytes] = []

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Envelope) -> str:
        assert isinstance(envelope.content, bytes)
        self.messages.append(envelope.content)
        return "250 stored"

    def authenticate(
        self, _server: Any, _session: Any, _envelope: Any, _mechanism: str, payload: LoginPassword
    ) -> AuthResult:
        self.passwords.append(payload.password)
        return AuthResult(
            success=(payload.login, payload.password) == (USER.encode(), PASSWORD.encode())
        )


@asynccontextmanager
async def secure_mail_server(chain: Path, scheme: str) -> AsyncIterator[tuple[SecureMailbox, int]]:
    """Run the server: encrypted from the start (`smtps`), or by STARTTLS, which it requires."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(chain)
    box, is_tls = SecureMailbox(), scheme == "smtps"

    def session() -> SMTP:
        return SMTP(
            box,
            tls_context=None if is_tls else context,
            require_starttls=not is_tls,
            auth_require_tls=not is_tls,
            auth_required=not is_tls,
            authenticator=box.authenticate,
        )

    server = await asyncio.get_running_loop().create_server(
        session, "127.0.0.1", 0, ssl=context if is_tls else None
    )
    async with server:
        yield box, server.sockets[0].getsockname()[1]
