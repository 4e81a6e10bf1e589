"""A small SMTP server on loopback that stores what it receives."""

import socketserver
import threading
from collections.abc import Iterator
from email import message_from_string, policy
from email.message import EmailMessage

import pytest


class Mailbox(socketserver.ThreadingTCPServer):
    """Stores messages: (sender, recipients, message). It offers neither TLS nor passwords."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Session)
        self.messages: list[tuple[str, list[str], EmailMessage]] = []

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.server_address[1]}"


class _Session(socketserver.StreamRequestHandler):
    server: Mailbox

    def handle(self) -> None:
        sender, recipients = "", []
        self._answer("220 mail.test ready")
        while line := self.rfile.readline().decode().strip():
            word = line.split(" ")[0].upper()
            if word == "MAIL":
                sender = line.partition("<")[2].partition(">")[0]
            elif word == "RCPT":
                recipients.append(line.partition("<")[2].partition(">")[0])
            elif word == "DATA":
                self._answer("354 go on")
                parts: list[str] = []
                while (part := self.rfile.readline().decode()) not in (".\r\n", ""):
                    parts.append(part.removeprefix("."))
                message = message_from_string("".join(parts), policy=policy.default)
                assert isinstance(message, EmailMessage)
                self.server.messages.append((sender, recipients, message))
            elif word == "QUIT":
                self._answer("221 bye")
                return
            self._answer("250 ok")

    def _answer(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with Mailbox() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()
