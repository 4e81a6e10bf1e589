"""Webhooks of segments and exports: list, create and delete them, retry their messages."""

from typing import Final

from innkeeper.actions.admin import audit, stored_secrets
from innkeeper.actions.audiences import segments
from innkeeper.errors import Conflict, Invalid, Problem, Unknown
from innkeeper.resources.base import Record
from innkeeper.rules import audited
from innkeeper.rules.identity_keys import digest
from innkeeper.rules.versions import Expected
from innkeeper.store.work import Work

KINDS: Final = {"segment": "Segment", "export": "Audience export"}
_AUDITED: Final = {"segment": audited.SEGMENT, "export": audited.EXPORT}


async def list_all(work: Work) -> list[Record]:
    """List every webhook: kind, friendly_id, name, url, and how many of its messages are pending,
    were delivered or were cancelled."""
    return await work.all("webhooks.subscriptions")


def version_of(rows: list[Record]) -> str:
    """Return the version of the webhooks that `list_all` returns; it changes with any URL."""
    each = [f"{row['kind']}:{row['friendly_id']} {row['url']}" for row in rows]
    return digest("webhooks", *each).hex


async def put(
    work: Work, kind: str, friendly_id: str, url: str, expected: Expected | None = None
) -> str:
    """Create a webhook; returns the secret that its messages are signed with.

    Raises `Invalid`, `Unknown`, and `Outdated` if the `version_of` all webhooks is not the expected
    one.
    """
    if problems := segments.web_address_problems(work, "url", url):
        raise Invalid(*problems)
    stored = stored_secrets.new_webhook_secret(work)
    await _write(work, kind, friendly_id, url, stored, expected)
    return stored_secrets.webhook_secret(work.settings, stored)


async def remove(work: Work, kind: str, friendly_id: str, expected: Expected | None = None) -> None:
    """Delete a webhook; queued messages are still sent. Raises `Unknown`, `Outdated`."""
    await _write(work, kind, friendly_id, None, None, expected)


async def retry_message(work: Work, sequence: int) -> None:
    """Queue a cancelled message again; raises `Conflict` for any other."""
    async with work.transaction():
        if not await work.run("webhooks.again", sequence=sequence):
            raise Conflict("Only a message that has failed can be sent again.")
        await audit.note(work, "webhook.again", sequence=str(sequence))


async def _write(
    work: Work,
    kind: str,
    friendly_id: str,
    url: str | None,
    secret: str | None,
    expected: Expected | None,
) -> None:
    """Set or clear a webhook; raises `Invalid`, `Unknown`, `Outdated`."""
    if kind not in KINDS:
        raise Invalid(Problem("kind", f"value must be one of {','.join(KINDS)}"))
    async with work.transaction():
        before = await work.one(f"webhooks.lock_{kind}", friendly_id=friendly_id)
        if expected is not None:
            expected.check(version_of(await list_all(work)))
        after = await work.one(
            f"webhooks.subscribe_{kind}", friendly_id=friendly_id, url=url, secret=secret
        )
        if after is None:
            raise Unknown(KINDS[kind], friendly_id)
        action = "webhook.delete" if url is None else "webhook.create"
        await audit.record(work, _AUDITED[kind], "", before, after, action=action)
