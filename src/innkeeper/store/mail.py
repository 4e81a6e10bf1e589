"""Send e-mail by the operator's SMTP server."""

import smtplib
import ssl
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import Final
from urllib.parse import unquote, urlsplit

from innkeeper.errors import OperatorError
from innkeeper.settings import Settings
from innkeeper.store.external_calls import within

SECONDS: Final = 30.0
"""Time limit of one message."""
_STEP_SECONDS: Final = 10.0
"""Time limit of each response of the server."""
_PORTS: Final = {"smtp": 587, "smtps": 465}


@dataclass(frozen=True, slots=True)
class MailServer:
    """The SMTP server of the settings."""

    host: str
    port: int
    is_tls: bool
    """Whether the connection is encrypted from its start; otherwise by STARTTLS."""
    user: str
    password: str


def mail_server(settings: Settings) -> MailServer | None:
    """Return the server of the settings, None if e-mail is off; raises OperatorError."""
    if not settings.smtp_url:
        return None
    try:
        parts = urlsplit(settings.smtp_url)
        port = parts.port
    except ValueError:
        port, parts = None, urlsplit("")
    if parts.scheme not in _PORTS or not parts.hostname:
        raise OperatorError("smtp_url must be smtp://host:587 or smtps://host:465.")
    if "@" not in settings.smtp_from:
        raise OperatorError("smtp_from must be the e-mail address that messages come from.")
    return MailServer(
        parts.hostname,
        port or _PORTS[parts.scheme],
        parts.scheme == "smtps",
        unquote(parts.username or ""),
        unquote(parts.password or ""),
    )


async def send_mail(settings: Settings, recipient: str, subject: str, text: str) -> None:
    """Send a message; raises OSError, also in time limits, and OperatorError if e-mail is off."""
    server = mail_server(settings)
    if server is None:
        raise OperatorError("E-mail is off: set smtp_url and smtp_from.")
    message = EmailMessage()
    message["From"] = settings.smtp_from
    message["To"] = recipient
    message["Subject"] = " ".join(subject.split())
    message["Date"] = formatdate()
    message["Message-ID"] = make_msgid(domain=settings.smtp_from.rpartition("@")[2].strip("> "))
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(text)
    await within(SECONDS, f"smtp {server.host}", lambda: _send(server, message))


def _send(server: MailServer, message: EmailMessage) -> None:
    """Send a message. A password is sent only over an encrypted connection."""
    context = ssl.create_default_context()
    if server.is_tls:
        opened: smtplib.SMTP = smtplib.SMTP_SSL(
            server.host, server.port, timeout=_STEP_SECONDS, context=context
        )
    else:
        opened = smtplib.SMTP(server.host, server.port, timeout=_STEP_SECONDS)
    with opened as connection:
        connection.ehlo()
        if not server.is_tls and connection.has_extn("starttls"):
            connection.starttls(context=context)
            connection.ehlo()
        elif not server.is_tls and server.user:
            raise OSError("the SMTP server offers no encryption, so no password was sent")
        if server.user:
            connection.login(server.user, server.password)
        connection.send_message(message)
