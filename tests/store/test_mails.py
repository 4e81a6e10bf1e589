"""E-mail to users by a real SMTP server on loopback; off by default."""

import re
import ssl
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import UUID, uuid4

import pytest
from smtp_server import Mailbox, mailbox
from tls_mail_server import PASSWORD, USER, SecureMailbox, secure_mail_server, write_certificates

from innkeeper import clock
from innkeeper.actions.admin import log_in, long_jobs, mails, users
from innkeeper.actions.audiences import segments
from innkeeper.errors import OperatorError
from innkeeper.rules.access import Role
from innkeeper.settings import Settings
from innkeeper.store.database import Database
from innkeeper.store.mail import mail_server, send_mail

__all__ = ["mailbox"]


def turn_on(database: Database, mailbox: Mailbox) -> None:
    """As if the operator had set an SMTP server."""
    own = {"smtp_url": mailbox.url, "smtp_from": "Inn <inn@example.com>"}
    database._settings = replace(database.settings, **own)


async def jobs(database: Database) -> list[dict[str, Any]]:
    async with database.control() as work:
        cursor = await work.connection.execute(
            "SELECT task_name, args FROM jobs.procrastinate_jobs ORDER BY id"
        )
        return list(await cursor.fetchall())


async def test_a_forgotten_password_gets_a_link(database: Database, mailbox: Mailbox) -> None:
    turn_on(database, mailbox)
    async with database.control() as work:
        await users.invite(work, "nora@example.com", "Nora", Role.OWNER)

    async def ask(email: str) -> None:
        await mails.request_reset(database.control, email, "192.0.2.1", "https://inn.example")

    await ask("nobody@example.com")
    assert await jobs(database) == []
    await ask(" Nora@Example.com ")
    (job,) = await jobs(database)
    assert "link" not in job["args"], "the link is made by the job"
    await mails.send_reset(database, UUID(job["args"]["user"]), job["args"]["base"])
    ((sender, recipients, message),) = mailbox.messages
    assert (sender, recipients) == ("inn@example.com", ["nora@example.com"])
    assert message["Auto-Submitted"] == "auto-generated"
    link = re.search(r"https://inn\.example/login\?link=(\S+)", message.get_content())
    assert link is not None
    async with database.control() as work:
        stored = await users.fetch_link(work, link[1])
        assert stored is not None
        assert stored["email"] == "nora@example.com"
    await ask("nora@example.com")
    await ask("nora@example.com")
    with pytest.raises(log_in.Locked):
        await ask("nora@example.com")
    async with database.control() as work:
        await work.connection.execute("UPDATE innkeeper.users SET disabled_at = now()")
    for user in (job["args"]["user"], str(uuid4())):
        await mails.send_reset(database, UUID(user), "https://inn.example")
    assert len(mailbox.messages) == 1, "no link for a user who was disabled or deleted meanwhile"


async def test_each_failure_to_publish_a_segment_is_reported(
    database: Database, mailbox: Mailbox
) -> None:
    turn_on(database, mailbox)
    everybody = {"filterGroups": [{"entity": "guest", "rules": []}]}
    async with database.work("live", "nora@example.com") as work:
        segment = await segments.create(work, {"name": "All", "definition": everybody})
        for expected in (1, 1):
            start = {"kind": "PUBLISH", "engine": "duckdb", "revision": 1, "now": clock.now()}
            end = dict.fromkeys(("sequence", "snapshot", "rows", "entered", "departed"))
            ref = uuid4()
            await work.run("segments.begin_run", ref=ref, segment=segment["ref"], **start)
            failed = {"state": "FAILED", "error": "The lake is full.", "now": clock.now()}
            await work.one("segments.end_run", ref=ref, **end, **failed)
            assert await mails.queue_failures(work) == expected
        assert await mails.queue_failures(work) == 0


async def test_a_failed_job_is_reported_once_to_its_user(
    database: Database, mailbox: Mailbox
) -> None:
    async def fail(actor: str) -> None:
        async with database.work("live") as work:
            load = {"ref": uuid4(), "now": clock.now()}
            await work.run("long_jobs.start_demo", **load, total=1, actor=actor)
            await work.run("long_jobs.end_demo", **load, error="of jo@example.com")

    async def queue() -> int:
        async with database.work("live") as work:
            return await mails.queue_failures(work)

    async with database.control() as work:
        for name, role, memberships in (
            ("nora", Role.OWNER, None),
            ("dev", Role.DEVELOPER, None),
            ("gone", Role.OWNER, ["other"]),
        ):
            address = f"{name}@example.com"
            await work.run(
                "users.create",
                **{"ref": uuid4(), "email": address, "name": name, "role": role},
                **{"workspaces": memberships, "password_hash": None, "now": clock.now()},
            )
            await fail(address)
    await fail("operator")
    assert await queue() == 0, "off by default"
    turn_on(database, mailbox)
    assert await queue() == 3
    assert await queue() == 0
    async with database.work("live") as work:
        assert await mails.forget_failures(work) == 0
        await work.connection.execute(
            "UPDATE ws_live.failure_mails SET queued_at = queued_at - interval '25 hours'"
        )
        assert await mails.forget_failures(work) == 3
        await work.connection.execute(
            "UPDATE ws_live.demo_loads SET finished_at = finished_at - interval '25 hours'"
        )
    assert await queue() == 0, "too old to be reported"
    for job in await jobs(database):
        members = {name: value for name, value in job["args"].items() if name != "workspace"}
        await mails.send_failure(database, "live", members)
    payload = {recipients[0]: message for _, recipients, message in mailbox.messages}
    assert payload.keys() == {"nora@example.com", "dev@example.com"}
    assert payload["nora@example.com"]["Subject"] == "Innkeeper: the load of demo data failed"
    assert "of jo@example.com" in payload["nora@example.com"].get_content()
    assert "jo@example.com" not in payload["dev@example.com"].get_content()


def test_every_kind_of_job_has_words() -> None:
    assert mails.KINDS.keys() == set(long_jobs.KINDS)


async def test_servers_and_passwords(mailbox: Mailbox) -> None:
    assert mail_server(Settings()) is None
    settings = Settings(smtp_url="smtps://me%40x:p%3Aw@mail.example", smtp_from="a@b.example")
    server = mail_server(settings)
    assert server is not None
    assert (server.port, server.is_tls, server.user, server.password) == (465, True, "me@x", "p:w")
    assert "p%3Aw" not in str(settings.redacted())
    for url, sender in (("http://x", "a@b"), ("smtp://", "a@b"), ("smtp://x", "nobody")):
        with pytest.raises(OperatorError):
            mail_server(Settings(smtp_url=url, smtp_from=sender))
    secret = Settings(smtp_url=mailbox.url.replace("//", "//u:p@"), smtp_from="a@b.example")
    with pytest.raises(OSError, match="no password was sent"):
        await send_mail(secret, "c@d.example", "x", "y")
    assert mailbox.messages == []


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
async def test_certificates_are_checked_before_a_password_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    """The certificate's authority must be trusted and its name be that of the host."""
    authority, right = write_certificates(tmp_path, "localhost")

    async def send(chain: Path, trusted: Path | None, refused: bool) -> SecureMailbox:
        if trusted is None:
            monkeypatch.delenv("SSL_CERT_FILE", raising=False)
        else:
            monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
        async with secure_mail_server(chain, scheme) as (box, port):
            url = f"{scheme}://{quote(USER)}:{quote(PASSWORD)}@localhost:{port}"
            settings = Settings(smtp_url=url, smtp_from="inn@example.com")
            with pytest.raises(ssl.SSLCertVerificationError) if refused else nullcontext():
                await send_mail(settings, "nora@example.com", "Hello", "Two\n.\nlines\n")
        return box

    box = await send(right, authority, refused=False)
    assert box.passwords == [PASSWORD.encode()]
    (message,) = box.messages
    assert message.endswith(b"Two\r\n.\r\nlines\r\n")

    other_authority, wrong = write_certificates(tmp_path, "other.example")
    for chain, trusted in ((right, None), (wrong, other_authority)):
        box = await send(chain, trusted, refused=True)
        assert (box.passwords, box.messages) == ([], []), chain
